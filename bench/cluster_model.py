"""What a pass takes on a cluster, task by task: a simulation that goes on where no machines are.

A scheduler handles one task after the other; workers have weights from each other, take in what
they add up over links of their own, and results go up a tree. Nothing is measured here: the numbers
that it needs are bench_dask.py's. ``python -m bench.cluster_model [PICTURE]`` draws
docs/images/cluster_model.png, of up to 1024 workers.
"""

import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from fastsoftmax.dask.cluster import FAN_IN

PICTURE = Path(__file__).parent.parent / "docs" / "images" / "cluster_model.png"


@dataclass(frozen=True)
class Cluster:
    """What a cluster is made of.

    Parameters
    ----------
    task : float
        Seconds of client and scheduler for each task of a block, the tree's share included.
    rate : float
        Multiply-adds a second of a worker.
    bandwidth, latency : float
        Bytes a second that a worker takes in, copies and all, and seconds of a message. Between two
        workers of one machine it is far less than a network gives.
    """

    task: float = 3.5e-3
    rate: float = 30e9
    bandwidth: float = 4e7
    latency: float = 2e-4


def seconds_of_a_pass(cluster, n_workers, n_blocks, n_rows, n_features, n_classes):
    """From the call until the sum is there, float32 weights, one thread a worker."""
    n_weights = n_classes * (n_features + 1)
    of_weights = 4 * n_weights / cluster.bandwidth + cluster.latency
    of_sums = 8 * n_weights / cluster.bandwidth
    arithmetic = 2 * n_rows / n_blocks * n_weights / cluster.rate
    # Workers that have the weights double with each transfer.
    weights_at = of_weights * np.ceil(np.log2(np.arange(n_workers) + 1) + 1)
    free, done = weights_at.copy(), np.empty(n_blocks)
    for block in range(n_blocks):
        worker = block % n_workers
        begin = max(free[worker], (block + 1) * cluster.task + cluster.latency)
        free[worker] = done[block] = begin + arithmetic
    # A task of the tree is told of when its results are there; a worker takes in all but its own.
    while len(done) > 1:
        groups = [done[k : k + FAN_IN] for k in range(0, len(done), FAN_IN)]
        done = np.array([max(g) + 2 * cluster.latency + (len(g) - 1) * of_sums for g in groups])
    return float(done[0] + cluster.latency)


def parts(cluster, **shape):
    """Seconds of a pass, and what they would be without all but one of its costs."""
    free = Cluster(task=0.0, rate=np.inf, bandwidth=np.inf, latency=0.0)
    network = {"bandwidth": cluster.bandwidth, "latency": cluster.latency}
    alone = {
        "arithmetic": replace(free, rate=cluster.rate),
        "scheduler and client": replace(free, task=cluster.task),
        "weights and sums": replace(free, **network),
    }
    return {
        "a pass": seconds_of_a_pass(cluster, **shape),
        **{name: seconds_of_a_pass(other, **shape) for name, other in alone.items()},
    }


def draw(picture=PICTURE):
    """A terabyte of float32 rows, two blocks a worker, by the number of workers."""
    from matplotlib.figure import Figure

    n_features, numbers = 768, 2 ** np.arange(11)
    n_rows = 10**12 // (4 * n_features)
    figure = Figure(figsize=(9, 4), layout="constrained")
    for axes, n_classes in zip(figure.subplots(1, 2, sharey=True), (10, 1000), strict=True):
        found = [
            parts(
                Cluster(),
                n_workers=int(n),
                n_blocks=max(2 * int(n), 1),
                n_rows=n_rows,
                n_features=n_features,
                n_classes=n_classes,
            )
            for n in numbers
        ]
        print(f"{n_classes} classes")
        for n, terms in zip(numbers, found, strict=True):
            print(f"  {n:5} workers: " + ", ".join(f"{k} {v:.3g} s" for k, v in terms.items()))
        for name in found[0]:
            style = {"color": "black", "linewidth": 2} if name == "a pass" else {"linestyle": "--"}
            axes.loglog(numbers, [terms[name] for terms in found], label=name, **style)
        axes.set(xlabel="workers", title=f"{n_classes} classes", xticks=numbers[::2])
        axes.set_xticklabels(numbers[::2])
        axes.set_ylim(1e-3, 5e4)
        axes.minorticks_off()
    figure.axes[0].set_ylabel("seconds a pass over 1 TB")
    figure.axes[0].legend(fontsize="small")
    figure.savefig(picture, dpi=110)
    print(f"picture: {picture}")


if __name__ == "__main__":
    draw(*map(Path, sys.argv[1:]))

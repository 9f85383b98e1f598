"""Does the cost of an epoch grow as the work does? Its time against n, d and K, three decades each.

Fits a straight line on log-log axes to the points past 10⁵ multiply-adds, prints the slopes, draws
docs/scaling.png, and fails where a slope isn't within 1 ± 0.08. It says nothing of how fast an
epoch is: test_epoch.py does. Run by hand: ``python -m bench.scaling [PICTURE]``.
"""

import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.adapters.fastsoftmax_kernels import Kernels
from bench.data import random_problem
from fastsoftmax import kernels

PICTURE = Path(__file__).parent.parent / "docs" / "scaling.png"
LARGE = 1e5  # multiply-adds of an epoch, 2·n·d·K, from which on the slope counts
TOLERANCE = 0.08
SECONDS = 0.1  # spent on a point, at least
ROUNDS = 7

#: What is varied → (what it is called, its values, (n, d, K)); None stands for the value. Classes
#: start at 10: with fewer, an epoch is mostly the staging of rows, which doesn't grow with them.
SWEEPS = {
    "n": ("samples", np.geomspace(128, 131_072, 11), (None, 256, 16)),
    "d": ("features", np.geomspace(16, 16_384, 11), (2048, None, 16)),
    "K": ("classes", np.geomspace(10, 10_240, 11), (2048, 256, None)),
}


@dataclass(frozen=True)
class Sweep:
    """Times of epochs along one axis."""

    name: str
    label: str
    values: np.ndarray
    work: np.ndarray  # multiply-adds of an epoch
    seconds: np.ndarray

    @property
    def large(self):
        """Which points count."""
        return self.work > LARGE

    @property
    def slope(self):
        """Exponent of the power law through the points that count."""
        return np.polyfit(np.log(self.values[self.large]), np.log(self.seconds[self.large]), 1)[0]

    @property
    def passes(self):
        """Whether the slope is what it should be."""
        return abs(self.slope - 1) <= TOLERANCE


def epoch_seconds(problem):
    """Shortest time of an epoch: whatever disturbs it is no part of its cost."""
    contender = Kernels(problem, kernels.available[-1])
    contender.epoch()
    best, total, rounds = np.inf, 0.0, 0
    while rounds < ROUNDS or total < SECONDS:
        contender.reset()
        start = time.perf_counter()
        contender.epoch()
        seconds = time.perf_counter() - start
        best, total, rounds = min(best, seconds), total + seconds, rounds + 1
    return best


def measure(name):
    """Time one of SWEEPS on one thread."""
    label, values, shape = SWEEPS[name]
    values = np.rint(values).astype(int)
    seconds, work = [], []
    for value in values:
        n, d, n_classes = (value if size is None else size for size in shape)
        seconds.append(epoch_seconds(random_problem("scaling", n, d, n_classes)))
        work.append(2 * n * d * n_classes)
    fixed = ", ".join(
        f"{size:,} {word}"
        for size, word in zip(shape, ("samples", "features", "classes"), strict=True)
        if size is not None
    )
    return Sweep(name, f"{label} ({fixed})", values, np.array(work), np.array(seconds))


def draw(sweeps, path):
    """One panel a sweep: the times, and the power law of exponent 1 nearest to them."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(1, len(sweeps), figsize=(10, 3.4), layout="constrained")
    for panel, sweep in zip(panels, sweeps, strict=True):
        rate = np.exp(np.mean(np.log(sweep.seconds / sweep.values)[sweep.large]))
        panel.loglog(sweep.values, sweep.values * rate, color="0.7", label="slope 1")
        panel.loglog(
            sweep.values, sweep.seconds, "o-", markersize=4, label=f"measured: {sweep.slope:.2f}"
        )
        panel.set_xlabel(sweep.label)
        panel.grid(alpha=0.3)
        panel.legend(frameon=False)
    panels[0].set_ylabel("seconds an epoch")
    figure.suptitle("Time of an epoch: batch 128, float32, one thread")
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def main(arguments):
    """Measure, print, draw; give 1 where a slope is off."""
    sweeps = [measure(name) for name in SWEEPS]
    for sweep in sweeps:
        verdict = "" if sweep.passes else f"  not within 1 ± {TOLERANCE}"
        print(f"{sweep.name}: slope {sweep.slope:.3f}, {sweep.label}{verdict}")
        for value, work, seconds in zip(sweep.values, sweep.work, sweep.seconds, strict=True):
            print(f"  {value:7d} {1e3 * seconds:10.4f} ms  {2e-9 * work / seconds:7.1f} GFLOP/s")
    draw(sweeps, arguments[0] if arguments else PICTURE)
    return int(not all(sweep.passes for sweep in sweeps))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""An epoch of minibatch SGD with momentum: every shape of bench/data.py, as users have them.

Ours in float32 and float64, batches of 128 and 32, one thread and two, and from uint8 and float16
rows; peers in float32 with batches of 128 on one thread. Also every number of classes from 1 to
64, to find a tile shape that is bad. Coefficients are compared first, and only then is it timed.
Asserts no time: bench/report.py sets the medians beside the goals. Run by ``make bench``.
"""

from dataclasses import replace

import numpy as np
import pytest

from bench.adapters.fastsoftmax_kernels import Kernels
from bench.adapters.numpy_loop import NumpyLoop
from bench.data import ITEMS, SHAPES, random_problem
from bench.epochs import check_epoch, time_epoch
from bench.roofline import THREADS, Roofline
from fastsoftmax import kernels

BEST = kernels.available[-1]

#: At most so many times the limit, at batches of 128.
GOALS = {
    "MNIST": 1.4,
    "embeddings, 100": 1.25,
    "embeddings, 1000": 1.25,
    "forest cover": 2.5,  # narrow rows: the limit leaves the exponentials out
    "letters": 2.5,
}
SPEEDUP = 1.7  # of two threads, at least, at batches of 128
SMALL_BATCH = 0.75  # of the rate at 128, at least, for 32 at ten classes on one thread


def _pytorch(problem):
    torch = pytest.importorskip("torch")
    torch.set_num_threads(problem.n_threads)
    from bench.adapters.pytorch_loop import PyTorchLoop

    return PyTorchLoop(problem)


PEERS = {
    "numpy": NumpyLoop,
    "reference": lambda problem: Kernels(problem, "reference"),
    "pytorch": _pytorch,
}


def comparison(what, problem, at_least):
    """Ask for a row's rate ÷ that of ours on another problem (bench/report.py)."""
    return {
        "what": what,
        "workload": problem.title,
        "contender": BEST,
        "n_threads": problem.n_threads,
        "at_least": at_least,
    }


@pytest.mark.parametrize("n_threads", THREADS)
@pytest.mark.parametrize("batch_size", [128, 32])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", SHAPES)
def test_epoch(benchmark, shape, dtype, batch_size, n_threads):
    """Ours."""
    problem = replace(SHAPES[shape]().with_items(dtype), batch_size=batch_size, n_threads=n_threads)
    recorded = {"comparisons": []}
    if batch_size == 128:
        recorded["goal"] = GOALS[shape]
    if n_threads > 1:
        one = replace(problem, n_threads=1)
        goal = SPEEDUP if batch_size == 128 else None
        recorded["comparisons"].append(comparison("two threads ÷ one", one, goal))
    elif batch_size == 32:
        goal = SMALL_BATCH if shape == "MNIST" else None
        large = replace(problem, batch_size=128)
        recorded["comparisons"].append(comparison("batch 32 ÷ 128", large, goal))
    contender = Kernels(problem, BEST)
    time_epoch(benchmark, BEST, contender, problem, SHAPES[shape], **recorded)


@pytest.mark.parametrize("n_threads", THREADS)
@pytest.mark.parametrize("items", ITEMS)
def test_epoch_of_items(benchmark, items, n_threads):
    """Ours, from rows that no peer reads as they are: no slower than from float32 rows."""
    problem = replace(ITEMS[items](), n_threads=n_threads)
    same = problem.with_items(np.float32)
    what = f"{problem.X.dtype.name} rows ÷ float32 rows"  # times in test_epoch
    contender = Kernels(problem, BEST)
    time_epoch(
        benchmark,
        BEST,
        contender,
        problem,
        ITEMS[items],
        comparisons=[comparison(what, same, 1.0)],
    )


@pytest.mark.parametrize("peer", PEERS)
@pytest.mark.parametrize("shape", SHAPES)
def test_epoch_of_peers(benchmark, shape, peer):
    """Theirs."""
    problem = SHAPES[shape]()
    time_epoch(benchmark, peer, PEERS[peer](problem), problem, SHAPES[shape])


@pytest.mark.parametrize("n_classes", range(1, 65))
def test_epoch_by_classes(benchmark, n_classes):
    """Ours on one thread, for every number of rows that coef may have.

    2048 × 784 values fit a cache of the third level: it is tiles that are compared, not memory.
    """

    def make_problem():
        return random_problem("classes", 2048, 784, n_classes)

    problem = make_problem()
    contender = Kernels(problem, BEST)
    check_epoch(contender, problem, make_problem)
    operations = 4 * problem.X.size * n_classes
    best = Roofline.measure(problem.dtype).gemm_rate
    benchmark.extra_info.update(n_classes=n_classes, operations=operations, gemm_rate=best)
    benchmark.pedantic(contender.epoch, setup=contender.reset, rounds=51, warmup_rounds=1)

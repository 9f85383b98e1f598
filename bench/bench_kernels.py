"""An epoch, a full gradient and a prediction beside what the machine can do, on several shapes.

Run from the repository root, on an idle machine, for one of the builds; the matrix product is that
of the same instruction set::

    FASTSOFTMAX_ISA=avx2 OPENBLAS_CORETYPE=Haswell python -m bench.bench_kernels [float32 | float64]

The limit is the arithmetic at the rate of NumPy's matrix product, or one read of X, as in
roofline.py; a prediction has half of the arithmetic. One thread, batches of 128, rows in random
order. On a machine that is shared a kernel may run at half of its rate for seconds at a time: each
turn stands between two small products, and counts where both took no more than a tenth longer than
the quickest. Prints the median of those turns, with a question mark where there were less than
three and the quickest of all turns stands in its place.
"""

import os
import sys
import time

import numpy as np
from threadpoolctl import threadpool_limits

from bench.roofline import gemm_rate, read_bandwidth
from fastsoftmax import kernels
from fastsoftmax.optimization.sgd import Plan
from fastsoftmax.problem.objective import Problem, State

#: Rows, features, classes.
SHAPES = [
    (12_000, 784, 10),
    (4000, 768, 100),
    (2000, 768, 1000),
    (8000, 617, 26),
    (16_000, 1024, 3),
    (100_000, 54, 7),
]
BATCH_SIZE = 128
SECONDS = 6  # for the turns of a call
TURNS = 9
SMALL = 320  # rows of the products between turns: a millisecond


def seconds_of(function):
    """How long one call takes."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


class Watch:
    """Tells turns that nothing disturbed from others."""

    def __init__(self, dtype):
        self._product = np.random.default_rng(0).random((SMALL, SMALL)).astype(dtype)
        self._out = np.empty_like(self._product)
        self._best = min(self._seconds() for _ in range(100))

    def _seconds(self):
        return seconds_of(lambda: np.matmul(self._product, self._product, out=self._out))

    def median(self, function):
        """Seconds of a call, and whether enough turns were quiet."""
        function()
        quiet, every = [], []
        end = time.perf_counter() + SECONDS
        while time.perf_counter() < end and len(quiet) < TURNS:
            before = self._seconds()
            every.append(seconds_of(function))
            between = max(before, self._seconds())
            if between < 1.1 * self._best:
                quiet.append(every[-1])
        return (np.median(quiet), True) if len(quiet) >= 3 else (min(every), False)


def calls_of(n, d, n_classes, dtype):
    """What is timed, by name."""
    rng = np.random.default_rng(0)
    problem = Problem(
        X=rng.standard_normal((n, d), dtype=np.float32).astype(dtype),
        rows=rng.permutation(n),
        y_true=rng.integers(n_classes, size=n).astype(np.int32),
        dtype=np.dtype(dtype),
        sample_weight=None,
        shift=None,
        inverse_scale=None,
        alpha=1e-4,
        loss="softmax",
        fit_intercept=True,
        n_threads=1,
    )
    state = State.drawn((n_classes, d), problem.dtype, 0.01, np.random.RandomState(0))
    plan = Plan(learning_rate=1e-3, batch_size=BATCH_SIZE)
    rates = np.full(problem.n_steps(BATCH_SIZE), 1e-3)
    coef, intercept = state.coef.astype(np.float64), state.intercept.astype(np.float64)
    return {
        "epoch": lambda: problem.run_epoch(state.copy(), problem.rows, rates, plan),
        "gradient": lambda: problem.loss_gradient(coef, intercept),
        "prediction": lambda: problem.objective(state),
    }


def main(*dtypes):
    """Print a table a dtype."""
    for dtype in dtypes or ("float32", "float64"):
        rate, read = gemm_rate(dtype), read_bandwidth()
        print(
            f"{kernels.active}, {dtype}: matrix product {rate / 1e9:.0f} GFLOP/s "
            f"(OPENBLAS_CORETYPE={os.environ.get('OPENBLAS_CORETYPE', '')}), "
            f"memory {read / 1e9:.1f} GB/s\n"
        )
        print("| time ÷ limit | epoch | gradient | prediction |")
        print("|---|---:|---:|---:|")
        for n, d, n_classes in SHAPES:
            cells = []
            for name, call in calls_of(n, d, n_classes, dtype).items():
                with threadpool_limits(1, user_api="blas"):
                    seconds, is_quiet = Watch(dtype).median(call)
                products = n * d * n_classes * (2 if name == "prediction" else 4)
                limit = max(products / rate, n * d * np.dtype(dtype).itemsize / read)
                cells.append(f"{seconds / limit:.2f}{'' if is_quiet else '?'}")
            print(f"| {n} × {d}, {n_classes} | {' | '.join(cells)} |", flush=True)
        print()


if __name__ == "__main__":
    main(*sys.argv[1:])

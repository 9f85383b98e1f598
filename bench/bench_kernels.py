"""An epoch, a full gradient and a prediction beside what the machine can do, on several shapes.

Run from the repository root, on an idle machine, for one of the builds; the matrix product is that
of the same instruction set::

    FASTSOFTMAX_ISA=avx2 OPENBLAS_CORETYPE=Haswell python -m bench.bench_kernels [float32 | float64]

The limit is the arithmetic at the rate of NumPy's matrix product, or one read of X, as in
roofline.py; a prediction has half of the arithmetic. One thread, batches of 128, rows in random
order. On a machine that is shared all may run at half of its rate for seconds at a time: each turn
stands between two products, the quickest of which are the limit's, and counts where both took no
more than a tenth longer. Prints the median of those turns, with a question mark where there were
less than three and the quickest of all turns stands in its place.
"""

import os
import sys
import time

import numpy as np
from threadpoolctl import threadpool_limits

from bench.kernel_calls import calls_of, problem_of
from bench.roofline import read_bandwidth
from fastsoftmax import kernels

#: Rows, features, classes.
SHAPES = [
    (12_000, 784, 10),
    (4000, 768, 100),
    (2000, 768, 1000),
    (8000, 617, 26),
    (16_000, 1024, 3),
    (100_000, 54, 7),
]
SECONDS = 6  # for the turns of a call
TURNS = 9
SIZE = 512  # of the products between turns: some milliseconds, at nearly the rate of larger ones


def seconds_of(function):
    """How long one call takes."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


class Watch:
    """Tells turns that nothing disturbed from others."""

    def __init__(self, dtype):
        self._product = np.random.default_rng(0).random((SIZE, SIZE)).astype(dtype)
        self._out = np.empty_like(self._product)
        self._best = min(self._seconds() for _ in range(30))

    def _seconds(self):
        return seconds_of(lambda: np.matmul(self._product, self._product, out=self._out))

    @property
    def rate(self):
        """Floating-point operations a second, of the quickest product so far."""
        return 2 * SIZE**3 / self._best

    def median(self, function):
        """Seconds of a call, and whether enough turns were quiet."""
        function()
        turns = []
        end = time.perf_counter() + SECONDS
        while time.perf_counter() < end and len(turns) < TURNS:
            before = self._seconds()
            seconds = seconds_of(function)
            turns.append((seconds, max(before, self._seconds())))
            self._best = min(self._best, before)
        quiet = [seconds for seconds, beside in turns if beside < 1.1 * self._best]
        return (np.median(quiet), True) if len(quiet) >= 3 else (min(turns)[0], False)


def main(*dtypes):
    """Print a table a dtype."""
    for dtype in dtypes or ("float32", "float64"):
        read, blas = read_bandwidth(), os.environ.get("OPENBLAS_CORETYPE", "NumPy's choice")
        print(f"{kernels.active}, {dtype}; BLAS: {blas}; memory {read / 1e9:.1f} GB/s\n")
        print("| time ÷ limit | epoch | gradient | prediction | GFLOP/s of a product |")
        print("|---|---:|---:|---:|---:|")
        for n, d, n_classes in SHAPES:
            cells, rates, rng = [], [], np.random.default_rng(0)
            X = rng.standard_normal((n, d), dtype=dtype)
            problem = problem_of(X, n, n_classes, dtype, rng)
            for name, call in calls_of(problem, n_classes).items():
                with threadpool_limits(1, user_api="blas"):
                    watch = Watch(dtype)
                    seconds, is_quiet = watch.median(call)
                products = n * d * n_classes * (2 if name == "prediction" else 4)
                limit = max(products / watch.rate, n * d * np.dtype(dtype).itemsize / read)
                cells.append(f"{seconds / limit:.2f}{'' if is_quiet else '?'}")
                rates.append(f"{watch.rate / 1e9:.0f}")
            row = " | ".join([*cells, ", ".join(rates)])
            print(f"| {n} × {d}, {n_classes} | {row} |", flush=True)
        print()


if __name__ == "__main__":
    main(*sys.argv[1:])

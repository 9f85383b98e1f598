"""What this machine can do at best, measured now: matrix products, reading, copying.

An epoch can't be faster than its arithmetic at the rate of the best matrix product, nor than one
read of X from memory; the larger of the two is its limit. Exponentials and the update are left
out. Imported by bench/test_epoch.py; ``python -m bench.roofline`` prints the rates.
"""

import os
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_limits

GEMM_SIZE = 2048
STREAM_BYTES = 512 * 2**20  # far larger than any cache
REPEATS = 5


def _best_seconds(function):
    """Shortest of several runs: a limit is what the machine can do when nothing disturbs it."""
    function()
    seconds = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def cores():
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def gemm_rate(dtype=np.float32, n_threads=1):
    """Floating-point operations per second of NumPy's product of two 2048 × 2048 matrices."""
    rng = np.random.default_rng(0)
    left, right = (rng.random((GEMM_SIZE, GEMM_SIZE), dtype=np.float32).astype(dtype) for _ in "ab")
    out = np.empty_like(left)
    with threadpool_limits(n_threads, user_api="blas"):
        return 2 * GEMM_SIZE**3 / _best_seconds(lambda: np.matmul(left, right, out=out))


def _stream_rate(function, n_threads):
    """Bytes per second of ``function(block, out)`` over blocks of a large array, a thread each."""
    source = np.ones(STREAM_BYTES // 8)
    target = np.zeros_like(source)
    blocks = list(
        zip(np.array_split(source, n_threads), np.array_split(target, n_threads), strict=True)
    )
    with ThreadPoolExecutor(n_threads) as pool, threadpool_limits(1):
        seconds = _best_seconds(lambda: list(pool.map(lambda pair: function(*pair), blocks)))
    return source.nbytes / seconds


def read_bandwidth(n_threads=1):
    """Bytes per second of a sum over an array far larger than cache.

    The sum is a dot product of the array with itself: one read of memory, and BLAS's loop keeps
    up with it, which ``ndarray.sum`` does not on every machine.
    """
    return _stream_rate(lambda block, out: block.dot(block), n_threads)


def copy_bandwidth(n_threads=1):
    """Bytes copied per second, each counted once, though it is read and written."""
    return _stream_rate(lambda block, out: np.copyto(out, block), n_threads)


@dataclass(frozen=True)
class Roofline:
    """Rates measured in this run, for one dtype and number of threads."""

    dtype: np.dtype
    n_threads: int
    gemm_rate: float
    read_bandwidth: float
    copy_bandwidth: float

    @classmethod
    def measure(cls, dtype=np.float32, n_threads=1):
        """Take all three rates, in a second or two."""
        return cls(
            np.dtype(dtype),
            n_threads,
            gemm_rate(dtype, n_threads),
            read_bandwidth(n_threads),
            copy_bandwidth(n_threads),
        )

    def epoch_seconds(self, n_samples, n_features, n_classes, itemsize=None):
        """The limit: max(4·n·d·K / GEMM rate, n·d·itemsize / read bandwidth).

        Parameters
        ----------
        n_samples, n_features, n_classes : int
        itemsize : int or None
            Bytes of one value of X; None means this dtype's.
        """
        values = n_samples * n_features
        arithmetic = 4 * values * n_classes / self.gemm_rate
        reading = values * (itemsize or self.dtype.itemsize) / self.read_bandwidth
        return max(arithmetic, reading)

    def copy_seconds(self, n_bytes):
        """The limit of an elementwise function: the time of a copy."""
        return n_bytes / self.copy_bandwidth


def main():
    """Print the rates of one thread and of all."""
    print("dtype    threads  GEMM GFLOP/s  read GB/s  copy GB/s  MNIST epoch, ms at best")
    for dtype in (np.float32, np.float64):
        for n_threads in sorted({1, cores()}):
            roof = Roofline.measure(dtype, n_threads)
            limit = 1e3 * roof.epoch_seconds(60_000, 784, 10)
            print(
                f"{roof.dtype.name:8} {n_threads:7d} {roof.gemm_rate / 1e9:13.1f}"
                f" {roof.read_bandwidth / 1e9:10.1f} {roof.copy_bandwidth / 1e9:10.1f}"
                f" {limit:24.1f}"
            )


if __name__ == "__main__":
    main()

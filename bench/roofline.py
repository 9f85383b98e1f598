"""What this machine can do at best, measured now: matrix products, reading, copying.

An epoch can't be faster than its arithmetic at the rate of the best matrix product, nor than one
read of X from memory; the larger of the two is its limit. Exponentials, the update and the tile's
own traffic are left out. Imported by the benchmark files; ``python -m bench.roofline`` prints the
rates.

NumPy's product as installed is not always the best: on a CPU that it doesn't know by name,
OpenBLAS falls back to kernels for AVX2, which do half of what AVX-512 can. So the limit uses the
best rate that any of these reaches: NumPy as it is; NumPy with OpenBLAS told which kernels to use;
PyTorch, where installed. NumPy's own rate is kept beside it.
"""

import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_info, threadpool_limits

GEMM_SIZE = 2048
STREAM_BYTES = 512 * 2**20  # far larger than any cache
REPEATS = 5
DTYPES = ("float32", "float64")

#: What is set in the environment of a process that measures a product; NumPy as it is comes first.
#: Cooperlake's and later kernels of OpenBLAS differ from SkylakeX's in bfloat16 alone.
GEMMS = {
    "numpy": {},
    "numpy, AVX2 kernels": {"OPENBLAS_CORETYPE": "Haswell"},
    "numpy, AVX-512 kernels": {"OPENBLAS_CORETYPE": "SkylakeX"},
    "pytorch": {},
}


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


#: The goals are stated for one thread and for two.
THREADS = tuple(sorted({1, min(2, cores())}))


def blas_kernel():
    """The architecture whose kernels NumPy's BLAS chose for this CPU, or "unknown"."""
    names = [pool.get("architecture") for pool in threadpool_info() if pool["user_api"] == "blas"]
    return next((name for name in names if name), "unknown")


def gemm_rate(dtype=np.float32, n_threads=1, library="numpy"):
    """Floating-point operations per second of a product of two 2048 × 2048 matrices, here."""
    rng = np.random.default_rng(0)
    left, right = (rng.random((GEMM_SIZE, GEMM_SIZE), dtype=np.float32).astype(dtype) for _ in "ab")
    out = np.empty_like(left)
    if library == "pytorch":
        import torch

        torch.set_num_threads(n_threads)
        left, right, out = map(torch.from_numpy, (left, right, out))
        return 2 * GEMM_SIZE**3 / _best_seconds(lambda: torch.matmul(left, right, out=out))
    with threadpool_limits(n_threads, user_api="blas"):
        return 2 * GEMM_SIZE**3 / _best_seconds(lambda: np.matmul(left, right, out=out))


def _key(dtype, n_threads):
    return f"{np.dtype(dtype).name} {n_threads}"


def _measure_gemms(library):
    """Rates of one library in this process: "dtype threads" → floating-point operations/s."""
    return {_key(dtype, n): gemm_rate(dtype, n, library) for dtype in DTYPES for n in THREADS}


@cache
def gemm_rates():
    """The rates of each of GEMMS that can run here, each measured in a process of its own.

    A BLAS chooses its kernels when it is loaded, and two libraries in one process would keep each
    other's threads spinning. What isn't installed, or what this CPU can't run, is left out.

    Returns
    -------
    rates : dict of str to dict of str to float
        name → "dtype threads" → floating-point operations per second; "numpy" is always there.
    """
    rates = {}
    for name, settings in GEMMS.items():
        result = subprocess.run(
            [sys.executable, "-m", "bench.roofline", name.split(",")[0]],
            env={**os.environ, **settings},
            cwd=Path(__file__).parent.parent,
            capture_output=True,
            text=True,
            check=name == "numpy",
        )
        if result.returncode == 0:
            rates[name] = json.loads(result.stdout)
    return rates


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


@cache
def read_bandwidth(n_threads=1):
    """Bytes per second of a sum over an array far larger than cache.

    The sum is a dot product of the array with itself: one read of memory. BLAS's loop is as fast
    as one in C that prefetches; ``ndarray.sum`` is slower than memory on some machines.
    """
    return _stream_rate(lambda block, out: block.dot(block), n_threads)


@cache
def copy_bandwidth(n_threads=1):
    """Bytes copied per second, each counted once, though it is read and written."""
    return _stream_rate(lambda block, out: np.copyto(out, block), n_threads)


@dataclass(frozen=True)
class Roofline:
    """Rates measured in this run, for one dtype and number of threads.

    ``numpy_gemm_rate`` is that of NumPy as installed, ``gemm_rate`` the best there is.
    """

    dtype: np.dtype
    n_threads: int
    gemm_rate: float
    numpy_gemm_rate: float
    read_bandwidth: float
    copy_bandwidth: float

    @classmethod
    def measure(cls, dtype=np.float32, n_threads=1):
        """Take all rates, in some seconds, once in a process. ``n_threads`` is one of THREADS."""
        key = _key(dtype, n_threads)
        rates = {name: measured[key] for name, measured in gemm_rates().items()}
        return cls(
            np.dtype(dtype),
            n_threads,
            max(rates.values()),
            rates["numpy"],
            read_bandwidth(n_threads),
            copy_bandwidth(n_threads),
        )

    def _seconds(self, n_flops, n_bytes):
        """The limit by the best product, and by NumPy's own, as fields of a result."""
        reading = n_bytes / self.read_bandwidth
        return {
            "limit_seconds": max(n_flops / self.gemm_rate, reading),
            "numpy_limit_seconds": max(n_flops / self.numpy_gemm_rate, reading),
        }

    def of_avx2(self):
        """The same machine without AVX-512: what a build for AVX2 could reach."""
        rate = gemm_rates().get("numpy, AVX2 kernels", {}).get(_key(self.dtype, self.n_threads))
        return replace(self, gemm_rate=rate or self.gemm_rate)

    def epoch(self, n_samples, n_features, n_classes, itemsize=None):
        """The limit of an epoch: max(4·n·d·K / GEMM rate, n·d·itemsize / read bandwidth).

        Parameters
        ----------
        n_samples, n_features, n_classes : int
        itemsize : int or None
            Bytes of one value of X; None means this dtype's.

        Returns
        -------
        seconds : dict
            ``limit_seconds``, by the best product, and ``numpy_limit_seconds``, by NumPy's.
        """
        values = n_samples * n_features
        return self._seconds(4 * values * n_classes, values * (itemsize or self.dtype.itemsize))

    def prediction(self, n_samples, n_features, n_classes, itemsize=None):
        """The limit of a prediction: 2·n·d·K operations or one read of X; as for an epoch."""
        values = n_samples * n_features
        return self._seconds(2 * values * n_classes, values * (itemsize or self.dtype.itemsize))

    def copy_seconds(self, n_bytes):
        """The limit of an elementwise function: the time of a copy."""
        return n_bytes / self.copy_bandwidth


def main():
    """Print the rates of one thread and of all."""
    print(f"NumPy's BLAS uses its kernels for {blas_kernel()}")
    print("dtype    threads  read GB/s  copy GB/s  GFLOP/s of products")
    for dtype in DTYPES:
        for n_threads in THREADS:
            products = ", ".join(
                f"{measured[_key(dtype, n_threads)] / 1e9:.0f} ({name})"
                for name, measured in gemm_rates().items()
            )
            print(
                f"{dtype:8} {n_threads:7d} {read_bandwidth(n_threads) / 1e9:10.1f}"
                f" {copy_bandwidth(n_threads) / 1e9:10.1f}  {products}"
            )


if __name__ == "__main__":
    if len(sys.argv) > 1:  # a measurement for gemm_rates
        print(json.dumps(_measure_gemms(sys.argv[1])))
    else:
        main()

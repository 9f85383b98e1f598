"""Fits of rows on disk beside the same rows in memory: rate of a pass, memory, and the minimum.

Run from the repository root::

    python -m bench.bench_out_of_core [GIGABYTES] [FOLDER]

Writes float32 rows of 768 features, ten classes, as ``.npy`` files: half a gigabyte, and as many as
asked for. The small ones are fitted from disk and from memory in turn: seconds a pass and seconds of
processors, which other programs change less, ratio of the rates, objectives. The large ones are read once, for the rate of the disk or of the page cache, and
fitted with the default memory to tol 1e-4 in a process of its own, whose largest resident memory is
told. The rows are deleted afterwards.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from fastsoftmax import SoftmaxClassifier
from fastsoftmax.sources import NpySource

N_FEATURES, N_CLASSES = 768, 10
ROWS_A_FILE = 100_000
SMALL = 0.5
ROUNDS = 3


def written(folder, gigabytes, seed=0):
    """Write so many rows; gives the source's patterns."""
    folder.mkdir()
    rng = np.random.default_rng(seed)
    coef = rng.normal(size=(N_FEATURES, N_CLASSES)).astype(np.float32) / np.sqrt(N_FEATURES)
    n_left, number = int(gigabytes * 1e9 / (4 * N_FEATURES)), 0
    while n_left > 0:
        n = min(n_left, ROWS_A_FILE)
        X = rng.standard_normal((n, N_FEATURES), dtype=np.float32)
        raw = 4 * X @ coef + rng.gumbel(size=(n, N_CLASSES))
        np.save(folder / f"X_{number:04}.npy", X)
        np.save(folder / f"y_{number:04}.npy", raw.argmax(axis=1).astype(np.int32))
        n_left, number = n_left - n, number + 1
    return f"{folder}/X_*.npy", f"{folder}/y_*.npy"


class Clock:
    """Seconds of each pass of a fit, and of its processors, as its callback hears of them."""

    def __init__(self):
        self.seconds, self._last = [], self._now()

    @staticmethod
    def _now():
        return np.array([time.perf_counter(), time.process_time()])

    def __call__(self, info):
        now = self._now()
        self.seconds.append(now - self._last)
        self._last = now

    def of_a_pass(self):
        """The median of those in order, which come last: seconds, and those of processors."""
        return np.median(self.seconds[4:], axis=0)


def fitted(*data, **parameters):
    """A model, and the Clock of its fit."""
    clock = Clock()
    model = SoftmaxClassifier(random_state=0, callbacks=[clock], **parameters).fit(*data)
    return model, clock


def alone(folder):
    """The fit of a folder in a process of its own: prints what came of it, and its memory."""
    source = NpySource(f"{folder}/X_*.npy", f"{folder}/y_*.npy")
    start = time.perf_counter()
    model, clock = fitted(source, tol=1e-4)
    seconds = time.perf_counter() - start
    peak = _peak_megabytes()
    print(
        f"  {seconds:.1f} s, {model.n_iter_} epochs and passes, {clock.of_a_pass()[0]:.2f} s a pass; "
        f"converged {model.converged_}, {model.suboptimality_:.1e} above the minimum, proved "
        f"{model.suboptimality_bound_:.1e}; at most {peak:.0f} MB resident, the files' own pages "
        "among them"
    )


def _peak_megabytes():
    """The most that this process has had resident; what its parent had doesn't count."""
    with open("/proc/self/status") as file:
        (line,) = (line for line in file if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def read_rate(folder):
    """Bytes a second that files are read at, into one buffer."""
    buffer, n_read, start = bytearray(8 << 20), 0, time.perf_counter()
    for path in sorted(folder.glob("X_*.npy")):
        with open(path, "rb", buffering=0) as file:
            while size := file.readinto(buffer):
                n_read += size
    return n_read / (time.perf_counter() - start)


def main(gigabytes=4.0, folder=None):
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        small = Path(temporary) / "small"
        patterns = written(small, SMALL)
        X, y = (
            np.concatenate([np.load(path) for path in sorted(small.glob(f"{name}_*.npy"))])
            for name in "Xy"
        )
        ratios = []
        for _ in range(ROUNDS):
            streamed = fitted(NpySource(*patterns), tol=1e-8, dtype="float32", max_iter=20)
            held = fitted(X, y, tol=1e-8, dtype="float32", max_iter=20)
            from_files, in_memory = streamed[1].of_a_pass(), held[1].of_a_pass()
            ratios.append(in_memory / from_files)
            print(
                f"{SMALL} GB: a pass {from_files[0]:.3f} s from files ({from_files[1]:.3f} of "
                f"processors), {in_memory[0]:.3f} s in memory ({in_memory[1]:.3f}); objectives "
                f"{streamed[0].loss_curve_[-1]:.9f} and {held[0].loss_curve_[-1]:.9f}"
            )
        by_clock, by_processors = np.median(ratios, axis=0)
        print(
            f"rate from files ÷ in memory, median: {by_clock:.2f}, and by seconds of processors "
            f"{by_processors:.2f}"
        )
        del X, y
        large = Path(temporary) / "large"
        written(large, gigabytes)
        os.sync()
        print(f"{gigabytes} GB, read at {read_rate(large) / 1e9:.1f} GB/s")
        code = f"from bench.bench_out_of_core import alone; alone({os.fspath(large)!r})"
        subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True)


if __name__ == "__main__":
    arguments = sys.argv[1:]
    main(*(float(one) for one in arguments[:1]), *arguments[1:])

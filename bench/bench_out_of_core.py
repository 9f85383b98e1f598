"""Fits of rows on disk beside the same rows in memory: rate of a pass, memory, and the minimum.

Run from the repository root::

    python -m bench.bench_out_of_core [GIGABYTES] [--folder FOLDER] [--limit GIGABYTES] [--draw]

Writes float32 rows of 768 features, ten classes, as ``.npy`` files: half a gigabyte, and as many as
asked for. The small ones are fitted from disk and from memory in turn: seconds a pass, and seconds
of processors, which other programs change less, ratio of the rates, objectives. The large ones are
read once, for the rate of the disk or of the page cache, and fitted with the default memory to tol
1e-6 in a process of its own, whose largest resident memory is told, and which may have no more
addresses than ``--limit`` says, what is mapped included. ``--draw`` draws its memory and its
distance from the minimum over time as docs/images/out_of_core.png. The rows are deleted afterwards.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

from fastsoftmax import SoftmaxClassifier
from fastsoftmax.sources import NpySource

N_FEATURES, N_CLASSES = 768, 10
ROWS_A_FILE = 100_000
SMALL = 0.5
ROUNDS = 3

#: Of the large fit: the distance that is proved is then about 1e-4.
TOL = 1e-6

PICTURE = Path(__file__).parent.parent / "docs" / "images" / "out_of_core.png"

#: Seconds between two looks at the memory.
LOOK_EVERY = 0.1


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


class Watch:
    """Resident memory and objectives over the time of a fit."""

    def __init__(self):
        self.start, self.memory, self.objectives = time.perf_counter(), [], []
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *error):
        self._is_over.set()
        self._thread.join()

    def __call__(self, info):
        self.objectives.append((time.perf_counter() - self.start, info.objective))

    def _look(self):
        page = os.sysconf("SC_PAGE_SIZE") / 2**20
        while not self._is_over.wait(LOOK_EVERY):
            resident = int(Path("/proc/self/statm").read_text().split()[1]) * page
            self.memory.append((time.perf_counter() - self.start, resident))


def alone(folder, limit=None):
    """The fit of a folder in a process of its own: prints what came of it, and its memory."""
    if limit is not None:
        resource.setrlimit(resource.RLIMIT_AS, (int(limit * 1e9),) * 2)
    source = NpySource(f"{folder}/X_*.npy", f"{folder}/y_*.npy")
    clock = Clock()
    with Watch() as watch:
        model = SoftmaxClassifier(random_state=0, callbacks=[clock, watch], tol=TOL).fit(source)
        seconds = time.perf_counter() - watch.start
    a_pass, n_bytes = clock.of_a_pass()[0], sum(p.stat().st_size for p in _files(folder))
    print(
        f"  {seconds:.1f} s, {model.n_iter_} epochs and passes, {a_pass:.2f} s a pass, "
        f"{n_bytes / a_pass / 1e9:.2f} GB/s; converged {model.converged_}, "
        f"{model.suboptimality_:.1e} above the minimum, proved {model.suboptimality_bound_:.1e}; "
        f"at most {_peak_megabytes():.0f} MB resident, the files' own pages among them",
        flush=True,
    )
    minimum = model.loss_curve_[-1] - model.suboptimality_
    above = [(at, value - minimum) for at, value in watch.objectives if np.isfinite(value)]
    told = {"memory": watch.memory, "above": above, "gigabytes": n_bytes / 1e9}
    (Path(folder) / "watch.json").write_text(json.dumps(told))


def draw(watch):
    """The picture of what a Watch has seen, as :func:`alone` keeps it."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    memory, distance = figure.subplots(2, sharex=True)
    memory.plot(*zip(*watch["memory"], strict=True), color="C0")
    memory.set(ylabel="resident (MB)", ylim=(0, None))
    memory.set_title(f"a fit of {watch['gigabytes']:.0f} GB of files, max_memory 256 MiB")
    distance.semilogy(*zip(*watch["above"], strict=True), "o-", color="C1", markersize=3)
    distance.axhline(1e-4, color="0.6", linestyle="--", linewidth=1)
    distance.set(xlabel="seconds", ylabel="above the minimum", xlim=(0, None))
    figure.savefig(PICTURE, dpi=110)
    print(f"picture: {PICTURE}")


def _peak_megabytes():
    """The most that this process has had resident; what its parent had doesn't count."""
    with open("/proc/self/status") as file:
        (line,) = (line for line in file if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def _files(folder):
    return sorted(Path(folder).glob("X_*.npy"))


def read_rate(folder):
    """Bytes a second that files are read at, into one buffer."""
    buffer, n_read, start = bytearray(8 << 20), 0, time.perf_counter()
    for path in _files(folder):
        with open(path, "rb", buffering=0) as file:
            while size := file.readinto(buffer):
                n_read += size
    return n_read / (time.perf_counter() - start)


def main(gigabytes, folder=None, limit=None, draws=False):
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
        print(f"{gigabytes} GB, read at {read_rate(large) / 1e9:.1f} GB/s", flush=True)
        code = f"from bench.bench_out_of_core import alone; alone({os.fspath(large)!r}, {limit})"
        subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True)
        if draws:
            draw(json.loads((large / "watch.json").read_text()))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("gigabytes", nargs="?", type=float, default=4.0)
    parser.add_argument("--folder", help="where the rows are written; the system's as it comes")
    parser.add_argument("--limit", type=float, help="of the fit's addresses, in GB")
    parser.add_argument("--draw", action="store_true")
    given = parser.parse_args()
    main(given.gigabytes, given.folder, given.limit, given.draw)

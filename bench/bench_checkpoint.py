"""Fits that are killed again and again, and end at the bits of a fit that nobody has killed.

Run from the repository root::

    python -m bench.bench_checkpoint [KILLS] [SOLVER ...]

For each solver a fit with a checkpoint is begun in a process of its own, killed by SIGKILL at a
random moment, gone on with and killed again, until it was killed so often; a fit that ends before
it is killed is begun anew. The last one is let finish. Its parameters and its curve must be those
of an undisturbed fit, to the last bit, as must be those of every fit that has ended in between.
Ends with status 1 where one isn't.
"""

import os
import signal
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from scipy.sparse import csr_array, load_npz, save_npz

from fastsoftmax import SoftmaxClassifier
from fastsoftmax.sources import NpySource

KILLS = 50

#: Parameters of each, whether rows are sparse, and whether they are read from files in blocks.
FITS = {
    "auto": ({"tol": 1e-7}, False, False),
    "lbfgs": ({"solver": "lbfgs", "tol": 1e-6}, False, False),
    "sgd": ({"solver": "sgd", "max_iter": 60}, False, False),
    "adagrad": ({"solver": "adagrad", "max_iter": 60}, False, False),
    "dual": ({"solver": "dual", "alpha": 1e-3, "tol": 1e-7}, True, False),
    "files": ({"tol": 1e-6}, False, True),
}


def written(folder):
    """Rows and labels as files, dense and sparse."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((8000, 40), dtype=np.float32)
    raw = X @ rng.normal(size=(40, 10)) + 2 * rng.gumbel(size=(len(X), 10))
    np.save(folder / "X.npy", X)
    np.save(folder / "y.npy", raw.argmax(axis=1))
    X[np.abs(X) < 1] = 0
    save_npz(folder / "X.npz", csr_array(X))


def fit(name, folder, **kept):
    """The model of a solver."""
    parameters, is_sparse, is_streamed = FITS[name]
    model = SoftmaxClassifier(random_state=0, n_jobs=1, **parameters)
    paths = folder / "X.npy", folder / "y.npy"
    if is_streamed:
        return model.fit(NpySource(*paths, max_memory=1 << 18), **kept)
    X = load_npz(folder / "X.npz") if is_sparse else np.load(paths[0])
    return model.fit(X, np.load(paths[1]), **kept)


def begun(name, folder):
    """A process that fits, and keeps what it has come to: forked, as all is imported here."""
    process = os.fork()
    if process:
        return process
    status = 1
    try:
        model = fit(name, folder, checkpoint=folder / name, resume=True)
        np.savez(folder / f"{name}.ended.npz", *_results(model))
        status = 0
    finally:
        os._exit(status)


def _results(model):
    return model.coef_, model.intercept_, model.loss_curve_


def killed(name, folder, n_kills):
    """Kill a fit so often; gives how many kills met it after a first pass, and how many ended."""
    fit(name, folder)
    start = time.perf_counter()
    whole = _results(fit(name, folder, checkpoint=folder / name))
    seconds = time.perf_counter() - start
    (folder / name).unlink()
    rng = np.random.default_rng(0)
    n_killed = n_resumed = n_ended = 0
    while True:
        is_last = n_killed == n_kills
        process = begun(name, folder)
        if not is_last:
            time.sleep(rng.uniform(0, 1.2 * seconds))
            os.kill(process, signal.SIGKILL)  # who has ended stays until it is waited for
        _, status = os.waitpid(process, 0)
        if os.WIFSIGNALED(status):
            n_killed += 1
            n_resumed += (folder / name).exists()
            continue
        if status:
            raise RuntimeError(f"{name}: a fit ended with status {status}")
        n_ended += 1
        with np.load(folder / f"{name}.ended.npz") as ended:
            for array, other in zip(ended.values(), whole, strict=True):
                np.testing.assert_array_equal(array, other, err_msg=name)
        (folder / name).unlink()
        if is_last:
            return n_resumed, n_ended


def main(n_kills=KILLS, names=()):
    status = 0
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        written(folder)
        for name in names or FITS:
            try:
                n_resumed, n_ended = killed(name, folder, n_kills)
            except (AssertionError, RuntimeError) as error:
                print(f"{name}: {error}", flush=True)
                status = 1
                continue
            print(
                f"{name}: killed {n_kills} times, {n_resumed} of them with a checkpoint to go on "
                f"from; {n_ended} fits have ended, at the bits of an undisturbed one",
                flush=True,
            )
    return status


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if sys.argv[1:] else KILLS, sys.argv[2:]))

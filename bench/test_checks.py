"""What kernels look at before they go by it, against the epoch that follows: 2 % is the goal.

A CSR matrix is looked at once a fit (``check_csr``), numbers of rows and class codes in every call.
The latter are timed by calls that are refused after they were looked at, for the learning rates
that they lack. The data are a sparse set, 20newsgroups_tfidf.npz in the folder FASTSOFTMAX_DATA,
and a dense one whose rows are short, covtype.npz there. Asserts no time.
"""

import os
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from bench import test_sparse
from fastsoftmax import kernels

ROUNDS = 21
AT_LEAST = 50  # times their checks, an epoch
BATCH = 128
SETS = {"20 newsgroups tf-idf": "20newsgroups_tfidf.npz", "forest cover": "covtype.npz"}


def _steps(n_samples, n_classes, n_features, n_threads):
    """What an epoch is given after the targets."""
    shape = (n_classes, n_features)
    state = [np.zeros(size, np.float32) for size in (shape, n_classes) * 2]
    rates = np.full(-(-n_samples // BATCH), 1e-3)
    return [*state, rates, BATCH, "softmax", "sgd", 0.0, 0.0, True, n_threads]


@cache
def _newsgroups(n_threads):
    X, y = test_sparse.load()
    parts = X.data, X.indices, X.indptr
    rows = np.random.default_rng(0).permutation(len(y))
    steps = _steps(len(y), test_sparse.N_CLASSES, X.shape[1], n_threads)
    kernel = kernels.implementation
    return (
        lambda: kernel.sparse_epoch(*parts, rows, y, None, None, *steps),
        lambda: kernel.check_csr(X.indices, X.indptr, len(X.data), X.shape[1]),
    )


@cache
def _forest_cover(n_threads):
    with np.load(Path(os.environ["FASTSOFTMAX_DATA"], SETS["forest cover"])) as file:
        X, y = file["X"], np.unique(file["y"], return_inverse=True)[1].astype(np.int32)
    X = ((X - X.mean(axis=0)) / np.maximum(X.std(axis=0), 1e-9)).astype(np.float32)
    rows = np.random.default_rng(0).permutation(len(y))
    steps = _steps(*(len(y), y.max() + 1, X.shape[1]), n_threads)
    kernel, targets = kernels.implementation, (X, rows, y, None, None, None)
    lacking = [*steps[:4], np.zeros(0), *steps[5:]]

    def refused():
        with pytest.raises(ValueError, match="learning_rates"):
            kernel.epoch(*targets, *lacking)

    return lambda: kernel.epoch(*targets, *steps), refused


WORK = {"20 newsgroups tf-idf": _newsgroups, "forest cover": _forest_cover}


@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("timed", ["epoch", "checks"])
@pytest.mark.parametrize("name", WORK)
def test_checks(benchmark, name, timed, n_threads):
    """Both calls, so that one can be set against the other."""
    if not Path(os.environ.get("FASTSOFTMAX_DATA", ""), SETS[name]).is_file():
        pytest.skip(f"set FASTSOFTMAX_DATA to a folder with {SETS[name]}")
    call = WORK[name](n_threads)[timed == "checks"]
    benchmark.pedantic(call, rounds=ROUNDS, warmup_rounds=1)
    work = {"workload": f"checks of an epoch, {name}", "n_threads": n_threads}
    benchmark.extra_info.update(work, contender=timed)
    if timed == "checks":
        goal = {"what": "epoch ÷ checks", "at_least": AT_LEAST, "contender": "epoch"}
        benchmark.extra_info["comparisons"] = [work | goal]

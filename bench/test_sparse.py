"""An epoch over 20 newsgroups as tf-idf, 11293 × 42254 sparse, 20 classes, against SGDClassifier.

scikit-learn's SGDClassifier takes one row a step, one class against the rest, and has no softmax
loss in descent; an epoch of it reads each value as often as ours does. It runs ten epochs at a
time on two processes' worth of threads, as its users run it, and its row is a tenth of that. Ours
are rows of several sizes of minibatch. Full gradients and predictions are timed beside scipy's
products. Reads ``20newsgroups_tfidf.npz`` in the folder FASTSOFTMAX_DATA. Asserts no time.
"""

import os
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse
from sklearn.linear_model import SGDClassifier

from fastsoftmax import kernels

N_CLASSES = 20
ALPHA = 1e-4
EPOCHS = 10  # of SGDClassifier at a time
TITLE = "20 newsgroups tf-idf, 11293 × 42254, 131 values a row, 20 classes"


@cache
def load():
    """CSR matrix of float32 and class codes."""
    with np.load(Path(os.environ["FASTSOFTMAX_DATA"], "20newsgroups_tfidf.npz")) as file:
        parts = file["X_data"], file["X_indices"], file["X_indptr"]
        return sparse.csr_matrix(parts, shape=tuple(file["X_shape"])), file["y"].astype(np.int32)


@pytest.fixture(scope="module")
def data():
    """The matrix and the codes, or a skip."""
    if not Path(os.environ.get("FASTSOFTMAX_DATA", ""), "20newsgroups_tfidf.npz").is_file():
        pytest.skip("set FASTSOFTMAX_DATA to a folder with 20newsgroups_tfidf.npz")
    return load()


def _note(benchmark, contender, n_threads, workload):
    benchmark.extra_info.update(
        workload=f"{workload}, {TITLE}", contender=contender, n_threads=n_threads
    )


@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("batch_size", [1, 32, 128])
@pytest.mark.parametrize("update", ["sgd", "momentum", "adagrad"])
def test_epoch_fastsoftmax(benchmark, data, update, batch_size, n_threads):
    """AdaGrad without the penalty, which is what it costs O(values) for."""
    X, y = data
    alpha = 0.0 if update == "adagrad" else ALPHA
    shape = (N_CLASSES, X.shape[1])
    state = [np.zeros(size, np.float32) for size in (shape, N_CLASSES, shape, N_CLASSES)]
    rows = np.random.default_rng(0).permutation(len(y))
    rates = np.full(-(-len(y) // batch_size), 0.5)
    benchmark.pedantic(
        kernels.implementation.sparse_epoch,
        (X.data, X.indices, X.indptr, rows, y, None, None, *state, rates, batch_size, "softmax",
         update, 0.9, alpha, True, n_threads),
        rounds=15,
        warmup_rounds=1,
    )  # fmt: skip
    _note(benchmark, f"fastsoftmax, {update}, batch {batch_size}", n_threads, "epoch")


def test_epoch_scikit_learn(benchmark, data):
    """Its time is of EPOCHS epochs, on two threads."""
    X, y = data
    model = SGDClassifier(loss="log_loss", alpha=ALPHA, max_iter=EPOCHS, tol=None, n_jobs=2)
    benchmark.pedantic(model.fit, (X, y), rounds=3, warmup_rounds=1)
    _note(benchmark, f"SGDClassifier, {EPOCHS} epochs", 2, "epoch")


@pytest.mark.parametrize("n_threads", [1, 2])
def test_gradient_fastsoftmax(benchmark, data, n_threads):
    """Mean loss and gradient over all rows."""
    X, y = data
    coef, gradient = np.zeros((2, N_CLASSES, X.shape[1]), np.float32)
    intercept, of_intercept = np.zeros((2, N_CLASSES), np.float32)
    benchmark.pedantic(
        kernels.implementation.sparse_loss_gradient,
        (X.data, X.indices, X.indptr, y, None, None, None, coef, intercept, gradient,
         of_intercept, "softmax", n_threads),
        rounds=15,
        warmup_rounds=1,
    )  # fmt: skip
    _note(benchmark, "fastsoftmax", n_threads, "gradient")


def test_gradient_scipy(benchmark, data):
    """The two products alone, without the softmax between."""
    X, _ = data
    coef = np.zeros((X.shape[1], N_CLASSES), np.float32)
    benchmark.pedantic(lambda: X.T @ (X @ coef), rounds=5, warmup_rounds=1)
    _note(benchmark, "scipy's two products", 1, "gradient")

"""The data that the benchmarks train on, and the statement of the work that every peer is given.

Reads ``mnist.npz`` from the folder named by the environment variable FASTSOFTMAX_DATA, or has
scikit-learn fetch the same data from OpenML. Times nothing and knows no peer. Called by the
benchmark files.
"""

import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

MNIST_TRAIN = 60_000  # rows of MNIST before its own test part begins


@dataclass(frozen=True)
class Problem:
    """One pass of minibatch SGD with momentum, the same for every contender.

    The objective is the mean cross-entropy of softmax plus alpha/2 times the squared coefficients,
    the intercept not penalised; the rows are visited in the order ``rows``, ``batch_size`` at a
    time; the parameters and the velocity start at zero, and are of the dtype of ``X``.

    Attributes
    ----------
    name : str
    X : C-contiguous float32 or float64 ndarray of shape (n_samples, n_features)
    y_true : int32 ndarray of shape (n_samples,)
        Class codes in [0, n_classes).
    rows : intp ndarray of shape (n_samples,)
        A permutation: training on rows in their order in memory would flatter everyone.
    n_classes, batch_size : int
    learning_rate, momentum, alpha : float
    n_threads : int
    """

    name: str
    X: np.ndarray
    y_true: np.ndarray
    rows: np.ndarray
    n_classes: int
    batch_size: int = 128
    learning_rate: float = 0.01
    momentum: float = 0.9
    alpha: float = 1e-4
    n_threads: int = 1

    @property
    def n_steps(self):
        """Number of minibatches; the last may be shorter than the others."""
        return -(-len(self.rows) // self.batch_size)


@cache
def load_mnist():
    """MNIST's pixels in [0, 1] and class codes, in its own two parts.

    Returns
    -------
    X, y, X_test, y_test : ndarrays
        (60000, 784) float32, (60000,) int32, (10000, 784) float32, (10000,) int32.

    Raises
    ------
    OSError
        If FASTSOFTMAX_DATA has no such file, or, where it isn't set, OpenML can't be reached.
    """
    folder = os.environ.get("FASTSOFTMAX_DATA")
    if folder:
        with np.load(Path(folder, "mnist.npz")) as file:
            X, y, X_test, y_test = (file[key] for key in ("X", "y", "X_test", "y_test"))
    else:
        from sklearn.datasets import fetch_openml

        X, y = fetch_openml("mnist_784", version=1, as_frame=False, return_X_y=True)
        X, X_test = X[:MNIST_TRAIN], X[MNIST_TRAIN:]
        y, y_test = y[:MNIST_TRAIN], y[MNIST_TRAIN:]
    return (
        (X.reshape(len(X), -1) / np.float32(255)).astype(np.float32),
        y.astype(np.int32),
        (X_test.reshape(len(X_test), -1) / np.float32(255)).astype(np.float32),
        y_test.astype(np.int32),
    )


def mnist(n_threads=1):
    """One epoch of 60000 × 784, ten classes, batches of 128, in a shuffled order."""
    X, y, _, _ = load_mnist()
    rows = np.random.default_rng(0).permutation(len(X))
    return Problem("mnist", X, y, rows, n_classes=10, n_threads=n_threads)

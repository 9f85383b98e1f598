"""The data that the benchmarks train on, and the statement of the work that every peer is given.

MNIST is read from ``mnist.npz`` in the folder named by the environment variable FASTSOFTMAX_DATA,
or scikit-learn fetches it from OpenML. The other shapes are drawn at random: an epoch's time does
not depend on the values. Times nothing and knows no peer. Called by the benchmark files.
"""

import os
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from pathlib import Path

import numpy as np

MNIST_TRAIN = 60_000  # rows of MNIST before its own test part begins


@dataclass(frozen=True)
class Problem:
    """One pass of minibatch SGD with momentum, the same for every contender.

    The objective is the mean cross-entropy of softmax plus alpha/2 times the squared coefficients,
    the intercept not penalised; the rows are visited in the order ``rows``, ``batch_size`` at a
    time; the parameters and the velocity start at zero and are of :attr:`dtype`.

    Attributes
    ----------
    name : str
    X : C-contiguous ndarray of shape (n_samples, n_features)
        Float32 or float64, which is then the dtype of the computation, or, for fastsoftmax alone,
        an item type that is computed in float32.
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
    def dtype(self):
        """The dtype that is computed in."""
        return np.dtype(np.float64 if self.X.dtype == np.float64 else np.float32)

    @property
    def title(self):
        """The work in words, the number of threads left out."""
        n, d = self.X.shape
        return (
            f"{self.name} epoch, {n} × {d}, {self.n_classes} classes, batch {self.batch_size}, "
            f"{self.X.dtype.name}"
        )

    def with_items(self, dtype):
        """The same work on a copy of X of another dtype."""
        return replace(self, X=self.X.astype(dtype))

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


@cache
def _mnist():
    X, y, _, _ = load_mnist()
    return Problem("MNIST", X, y, _shuffled(len(X)), n_classes=10)


@cache
def _mnist_bytes():
    """MNIST's pixels as they come, 0 to 255, with a learning rate that suits their size."""
    problem = _mnist()
    X = np.rint(problem.X * 255).astype(np.uint8)
    return replace(problem, X=X, learning_rate=problem.learning_rate / 255**2)


def _shuffled(n_samples):
    return np.random.default_rng(0).permutation(n_samples)


@lru_cache(maxsize=4)  # the sweep over classes makes many
def random_problem(name, n_samples, n_features, n_classes):
    """Normal float32 features of about unit length a row; classes that depend on them, noisily."""
    rng = np.random.default_rng(1)
    X = rng.standard_normal((n_samples, n_features), dtype=np.float32)
    # A few directions decide, so that drawing the classes costs little where there are many.
    of_class = rng.standard_normal((n_classes, min(n_features, 8)), dtype=np.float32)
    raw = X[:, : of_class.shape[1]] @ of_class.T
    raw += rng.gumbel(size=raw.shape).astype(np.float32)
    y_true = raw.argmax(axis=1).astype(np.int32)
    X /= np.float32(np.sqrt(n_features))
    return Problem(name, X, y_true, _shuffled(n_samples), n_classes)


#: The shapes that are timed: name → function that makes the work, float32, batch 128, one thread.
SHAPES = {
    "MNIST": _mnist,
    "embeddings, 100": lambda: random_problem("embeddings", 20_000, 768, 100),
    "embeddings, 1000": lambda: random_problem("embeddings", 20_000, 768, 1000),
    "forest cover": lambda: random_problem("forest cover", 464_809, 54, 7),
    "letters": lambda: random_problem("letters", 16_000, 16, 26),
}

#: The same in items that fastsoftmax reads as they are.
ITEMS = {
    "MNIST, uint8": _mnist_bytes,
    "embeddings, 100, float16": lambda: SHAPES["embeddings, 100"]().with_items(np.float16),
}

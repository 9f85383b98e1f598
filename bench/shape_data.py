"""Problems of many shapes to fit: small to large, narrow to wide, two classes to a thousand.

Sets that scikit-learn ships, sets of the folder named by FASTSOFTMAX_DATA, and drawn ones, some in
the shape of sets that are often seen. fastsoftmax was not tuned on them. The penalty is that of
``C=1``. Called by bench_shapes.py.
"""

from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy.sparse import csr_array
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine
from sklearn.preprocessing import StandardScaler, normalize

from bench.fit_data import mnist_bytes, prepared

#: The shares of the classes of Statlog's shuttle.
SHUTTLE_SHARES = (0.784, 0.0008, 0.003, 0.155, 0.0558, 0.0002, 0.0012)


@dataclass(frozen=True)
class ShapeProblem:
    """Rows, dense or CSR, and class codes from 0, each of which occurs."""

    name: str
    X: np.ndarray | csr_array
    y: np.ndarray

    @property
    def n_classes(self):
        """Number of classes."""
        return int(self.y.max()) + 1

    def objective(self, coef, intercept):
        """What ``C=1`` minimises, divided by the number of rows."""
        return self.objective_and_bound(coef, intercept)[0]

    def objective_and_bound(self, coef, intercept):
        """The objective, and how far above the minimum it is at most.

        Two classes have one row of coef, the difference of two, and the penalty is that row's. In
        float64, from the definition. The bound is that of bench/optimum.py.
        """
        alpha, coef = 1 / len(self.y), np.asarray(coef, np.float64)
        raw = self.X.astype(np.float64) @ coef.T + intercept
        if len(coef) == 1:
            raw = np.hstack([np.zeros_like(raw), raw])
        raw -= raw.max(axis=1, keepdims=True)
        probability = np.exp(raw)
        sums = probability.sum(axis=1)
        loss = (np.log(sums) - raw[np.arange(len(raw)), self.y]).mean()
        probability /= sums[:, None]
        probability[np.arange(len(raw)), self.y] -= 1
        residual = probability[:, -len(coef) :] / len(self.y)
        slope = residual.T @ self.X + alpha * coef
        bound = ((slope**2).sum() + (residual.sum(axis=0) ** 2).sum()) / (2 * alpha)
        return float(loss + alpha / 2 * (coef**2).sum()), float(bound)


def _shipped(load):
    X, y = load(return_X_y=True)
    return StandardScaler().fit_transform(X), y


def _stored(name):
    problem = prepared(name)
    return problem.X, problem.y


def _mnist_subset():
    X, y, *_ = mnist_bytes()
    return X[:10_000].astype(np.float32) / np.float32(255), y[:10_000]


def _moved(n_samples, n_features, n_classes):
    """Normal rows, each class's mean moved in one feature of its own."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(n_samples, n_features)), np.arange(n_samples) % n_classes
    X[np.arange(n_samples), y] += 3
    return X, y


def _centres(n_samples, n_features, n_classes):
    """Many classes about normal centres."""
    rng = np.random.default_rng(0)
    y = np.arange(n_samples) % n_classes
    X = rng.normal(size=(n_classes, n_features))[y]
    return X + 0.4 * rng.normal(size=X.shape), y


def _clusters(n_samples, n_features, n_classes, shares=None):
    """Classes of heavy tails and correlated features, z-scored; the first rows have each class."""
    rng = np.random.default_rng(0)
    y = rng.choice(n_classes, n_samples, p=shares and np.array(shares) / sum(shares))
    y[:n_classes] = np.arange(n_classes)
    mixing = rng.normal(size=(n_features, n_features)) / np.sqrt(np.arange(1, n_features + 1))
    centres = rng.normal(size=(n_classes, n_features))
    X = (centres[y] + rng.standard_t(3, size=(n_samples, n_features))) @ mixing.T
    return StandardScaler().fit_transform(X), y


def _mixed_units():
    """Three classes that overlap, of 20 features, ten of them in a unit 1e4 times as small."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(2000, 20))
    y = (X @ rng.normal(size=(20, 3)) + 2 * rng.gumbel(size=(2000, 3))).argmax(axis=1)
    X[:, ::2] *= 1e4
    return X, y


def _words(n_samples, n_features, n_classes):
    """Like TF-IDF: 30 words in each row, common ones and some of its class; of length 1."""
    rng = np.random.default_rng(0)
    y = np.arange(n_samples) % n_classes
    word = (n_features * rng.random((n_samples, 30)) ** 3).astype(int)
    of_class = rng.random(word.shape) < 0.1
    word[of_class] = ((word + 1) * (y[:, None] + 1) * 37 % n_features)[of_class]
    starts = np.arange(0, word.size + 1, word.shape[1])
    X = csr_array((np.ones(word.size), word.ravel(), starts), shape=(n_samples, n_features))
    X.sum_duplicates()
    n_rows_of = np.bincount(X.indices, minlength=n_features)
    X.data = np.log1p(X.data) * np.log((1 + n_samples) / (1 + n_rows_of))[X.indices]
    return normalize(X), y


#: name → function that makes X and y.
SHAPES = {
    "iris": partial(_shipped, load_iris),
    "wine": partial(_shipped, load_wine),
    "breast cancer": partial(_shipped, load_breast_cancer),
    "digits": partial(_shipped, load_digits),
    "wide 40": partial(_moved, 40, 2000, 2),
    "wide 100": partial(_moved, 100, 2000, 5),
    "wide 72": partial(_moved, 72, 7129, 2),
    "wide 150": partial(_moved, 150, 1800, 3),
    "wide 200": partial(_moved, 200, 5000, 2),
    "widest": partial(_moved, 100, 20_000, 2),
    "1000 classes": partial(_centres, 3000, 16, 1000),
    "500 classes": partial(_centres, 5000, 32, 500),
    "letters": partial(_stored, "letters"),
    "newsgroups": partial(_stored, "newsgroups"),
    "penbased-like": partial(_clusters, 7494, 16, 10),
    "shuttle-like": partial(_clusters, 43_500, 9, 7, SHUTTLE_SHARES),
    "satellite-like": partial(_clusters, 4435, 36, 6),
    "digits-like": partial(_clusters, 3823, 64, 10),
    "mixed units": _mixed_units,
    "sparse words": partial(_words, 3000, 2000, 8),
    "MNIST subset": _mnist_subset,
}

#: Those that scikit-learn ships, over which a grid is searched.
SHIPPED = ("iris", "wine", "breast cancer", "digits")


def made(name):
    """The problem of a name of SHAPES.

    Raises
    ------
    OSError
        If it is read from a file that isn't in FASTSOFTMAX_DATA.
    """
    return ShapeProblem(name, *SHAPES[name]())

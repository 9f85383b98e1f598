"""How many passes over the rows fits take: more of them is slower on every machine.

Sets that scikit-learn ships, and drawn ones of many shapes, as they come. The counts don't depend
on the machine, but that instruction sets sum in different orders, and a fit near its ``tol`` may
then take a pass more; hence the slack. A change that takes fewer passes lowers them here.
"""

import math
from functools import partial

import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine
from sklearn.preprocessing import StandardScaler, normalize

from fastsoftmax import LogisticRegression, SoftmaxClassifier

SLACK = 0.2  # of the passes, rounded up
LEAST_SLACK = 2


def shipped(load, z_scored=False):
    X, y = load(return_X_y=True)
    return (StandardScaler().fit_transform(X) if z_scored else X), y


def moved(n_samples, n_features, n_classes):
    """Normal rows, each class's mean moved in one feature of its own."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(n_samples, n_features)), np.arange(n_samples) % n_classes
    X[np.arange(n_samples), y] += 3
    return X, y


def clusters(n_samples, n_features, n_classes):
    """Classes of heavy tails and correlated features, z-scored."""
    rng = np.random.default_rng(0)
    y = np.arange(n_samples) % n_classes
    mixing = rng.normal(size=(n_features, n_features)) / np.sqrt(np.arange(1, n_features + 1))
    X = rng.normal(size=(n_classes, n_features))[y]
    X = (X + rng.standard_t(3, size=X.shape)) @ mixing.T
    return StandardScaler().fit_transform(X), y


def mixed_units():
    """Three classes that overlap, of 20 features, ten of them in a unit 1e4 times as small."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(2000, 20))
    y = (X @ rng.normal(size=(20, 3)) + 2 * rng.gumbel(size=(2000, 3))).argmax(axis=1)
    X[:, ::2] *= 1e4
    return X, y


def many_classes():
    """A hundred classes about normal centres."""
    rng = np.random.default_rng(0)
    y = np.arange(3000) % 100
    X = rng.normal(size=(100, 32))[y]
    return X + rng.normal(size=X.shape), y


def centres(n_samples, n_features, n_classes):
    """Classes close about normal centres, in few features."""
    rng = np.random.default_rng(0)
    y = np.arange(n_samples) % n_classes
    X = rng.normal(size=(n_classes, n_features))[y]
    return X + 0.4 * rng.normal(size=X.shape), y


def of_low_rank(n_samples, n_features, n_classes):
    """Classes that overlap in a quarter of the directions, of which each counts less."""
    rng = np.random.default_rng(0)
    y = np.arange(n_samples) % n_classes
    n_directions = n_features // 4
    X = rng.normal(size=(n_classes, n_directions))[y]
    X = (X + 1.5 * rng.normal(size=X.shape)) / np.sqrt(np.arange(1, n_directions + 1))
    X = X @ rng.normal(size=(n_directions, n_features))
    X += 0.1 * X.std() * rng.normal(size=X.shape)
    return (X / X.std()).astype(np.float32), y


def words():
    """Like TF-IDF: 30 words of 800 in each row, common ones and some of its class; of length 1."""
    rng = np.random.default_rng(0)
    n_samples, n_features, n_classes, n_words = 3000, 800, 8, 30
    y = np.arange(n_samples) % n_classes
    word = (n_features * rng.random((n_samples, n_words)) ** 3).astype(int)
    of_class = rng.random(word.shape) < 0.1
    word[of_class] = ((word + 1) * (y[:, None] + 1) * 37 % n_features)[of_class]
    starts = np.arange(0, word.size + 1, n_words)
    X = csr_array((np.ones(word.size), word.ravel(), starts), shape=(n_samples, n_features))
    X.sum_duplicates()
    n_rows_of = np.bincount(X.indices, minlength=n_features)
    X.data = np.log1p(X.data) * np.log((1 + n_samples) / (1 + n_rows_of))[X.indices]
    return normalize(X), y


#: name → what makes X and y.
DATA = {
    "iris": partial(shipped, load_iris),
    "iris, z-scored": partial(shipped, load_iris, z_scored=True),
    "wine": partial(shipped, load_wine),
    "wine, z-scored": partial(shipped, load_wine, z_scored=True),
    "breast cancer": partial(shipped, load_breast_cancer),
    "breast cancer, z-scored": partial(shipped, load_breast_cancer, z_scored=True),
    "digits": partial(shipped, load_digits),
    "digits, z-scored": partial(shipped, load_digits, z_scored=True),
    "40 × 2000": partial(moved, 40, 2000, 2),
    "150 × 1800": partial(moved, 150, 1800, 3),
    "satellite-like": partial(clusters, 4435, 36, 6),
    "digits-like": partial(clusters, 3823, 64, 10),
    "mixed units": mixed_units,
    "100 classes": many_classes,
    "200 classes": partial(of_low_rank, 8000, 128, 200),
    "1000 classes": partial(centres, 3000, 16, 1000),
    "words": words,
}

#: name → passes of SoftmaxClassifier and of LogisticRegression; when measured, each instruction set
#: took as many.
PASSES = {
    "iris": (10, 7),
    "iris, z-scored": (10, 7),
    "wine": (11, 9),
    "wine, z-scored": (11, 8),
    "breast cancer": (8, 9),
    "breast cancer, z-scored": (9, 8),
    "digits": (24, 61),
    "digits, z-scored": (21, 43),
    "40 × 2000": (12, 8),
    "150 × 1800": (13, 19),
    "satellite-like": (14, 22),
    "digits-like": (18, 39),
    "mixed units": (5, 6),
    "100 classes": (17, 27),
    "200 classes": (9, 20),
    "1000 classes": (10, 13),
    "words": (8, 9),
}


@pytest.mark.parametrize("name", DATA)
def test_no_more_passes(name):
    X, y = DATA[name]()
    models = SoftmaxClassifier(random_state=0), LogisticRegression()
    found = tuple(int(np.max(model.fit(X, y).n_iter_)) for model in models)
    most = [n + max(LEAST_SLACK, math.ceil(SLACK * n)) for n in PASSES[name]]
    assert all(n <= m for n, m in zip(found, most, strict=True)), (
        f"{name}: {found} passes, where {PASSES[name]} were known"
    )

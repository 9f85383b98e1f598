"""Whole fits to be timed: the matrices, in the form that every peer is given them, and ours.

Real sets are read from the folder named by FASTSOFTMAX_DATA; the synthetic ones are drawn here.
What is done to a matrix outside the clock (z-scores, division by 255) is done here. An epoch's
work is bench/data.py's; the optimum is bench/optimum.py's. Called by bench_time_to_optimum.py,
run_peer.py, bench_fits.py, shape_data.py and test_sgd_auto.py.
"""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

ALPHA = 1e-4
RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class FitProblem:
    """Mean cross-entropy of softmax plus alpha/2 · ‖coef‖², the intercept not penalised.

    Attributes
    ----------
    name : str
    X, X_test : float32 ndarrays of shape (n_samples, n_features), C-contiguous
    y, y_test : int32 ndarrays
        Class codes from 0, each of which occurs in ``y``.
    raw : ndarray like X, or None
        The matrix that ``X`` is the z-scores of, which fastsoftmax is given with ``standardize``;
        None where it is given ``X`` as well.
    alpha : float
    """

    name: str
    X: np.ndarray
    y: np.ndarray
    X_test: np.ndarray
    y_test: np.ndarray
    raw: np.ndarray | None = None
    alpha: float = ALPHA

    @property
    def n_classes(self):
        """Number of classes."""
        return int(self.y.max()) + 1

    @property
    def title(self):
        """Name and size in words."""
        n, d = self.X.shape
        return f"{self.name}, {n} × {d}, {self.n_classes} classes"

    def objective(self, coef, intercept):
        """What is minimised, in float64, by blocks of rows.

        Parameters
        ----------
        coef : ndarray of shape (n_classes, n_features)
        intercept : ndarray of shape (n_classes,)
        """
        coef = np.asarray(coef, np.float64)
        total = 0.0
        for start in range(0, len(self.y), 4096):
            rows = slice(start, start + 4096)
            raw_prediction = self.X[rows].astype(np.float64) @ coef.T + intercept
            raw_prediction -= raw_prediction.max(axis=1, keepdims=True)
            true = np.take_along_axis(raw_prediction, self.y[rows, None], axis=1)
            total += np.log(np.exp(raw_prediction).sum(axis=1)).sum() - true.sum()
        return float(total / len(self.y) + self.alpha / 2 * (coef**2).sum())

    def test_accuracy(self, coef, intercept):
        """Share of the test rows whose class is predicted."""
        prediction = (self.X_test @ np.asarray(coef, np.float32).T + intercept).argmax(axis=1)
        return float((prediction == self.y_test).mean())


def _read(name):
    folder = os.environ.get("FASTSOFTMAX_DATA")
    if not folder:
        raise OSError(f"set FASTSOFTMAX_DATA to the folder that holds {name}.npz")
    with np.load(Path(folder, f"{name}.npz")) as file:
        X, X_test = (file[key].reshape(len(file[key]), -1) for key in ("X", "X_test"))
        return X, file["y"].astype(np.int32), X_test, file["y_test"].astype(np.int32)


def _z_scored(name, of_file, *, keep_raw):
    X, y, X_test, y_test = _read(of_file)
    mean, deviation = X.mean(axis=0, dtype=np.float64), X.std(axis=0, dtype=np.float64)
    deviation[deviation == 0] = 1
    scored, scored_test = (((part - mean) / deviation).astype(np.float32) for part in (X, X_test))
    return FitProblem(name, scored, y, scored_test, y_test, raw=X if keep_raw else None)


def _mnist():
    X, y, X_test, y_test = _read("mnist")
    X, X_test = (part.astype(np.float32) / np.float32(255) for part in (X, X_test))
    return FitProblem("mnist", X, y, X_test, y_test)


def mnist_bytes():
    """MNIST as it comes: uint8 rows and class codes of both parts.

    Raises
    ------
    OSError
        If its file isn't in FASTSOFTMAX_DATA.
    """
    return _read("mnist")


def _newsgroups():
    return FitProblem("newsgroups", *_read("20newsgroups_wordllama256"))


def synthetic(name, n_directions, noise, shape=(50_000, 768, 1000), n_test=10_000):
    """Gaussian classes about random means, in float32 features of variance about 1.

    ``shape`` is the number of rows to train on, of features and of classes.

    With fewer directions than features, means and noise live in a subspace whose j-th axis has
    standard deviation 1/√j, seen through a random matrix, with 1 % of isotropic noise: correlated
    columns and a badly conditioned Gram matrix, as embeddings have. ``noise``, the deviation of a
    row from its class's mean in units of the means' own deviation, was chosen by short SGD fits and
    their test accuracy, so that the classes overlap.
    """
    n_samples, n_features, n_classes = shape
    rng = np.random.default_rng(0)
    means = rng.standard_normal((n_classes, n_directions), dtype=np.float32)
    y = rng.integers(0, n_classes, n_samples + n_test).astype(np.int32)
    y[:n_classes] = np.arange(n_classes)  # every class occurs
    X = means[y] + np.float32(noise) * rng.standard_normal((len(y), n_directions), dtype=np.float32)
    if n_directions < n_features:
        X /= np.sqrt(np.arange(1, n_directions + 1, dtype=np.float32))
        X = X @ rng.standard_normal((n_directions, n_features), dtype=np.float32)
        X += 0.1 * X.std() * rng.standard_normal(X.shape, dtype=np.float32)
    X = np.ascontiguousarray(X / X[:n_samples].std(), dtype=np.float32)
    return FitProblem(name, X[:n_samples], y[:n_samples], X[n_samples:], y[n_samples:])


#: name → function that makes the problem.
PROBLEMS = {
    "mnist": _mnist,
    "covtype": lambda: _z_scored("covtype", "covtype", keep_raw=True),
    "letters": lambda: _z_scored("letters", "letterrecognition", keep_raw=False),
    "newsgroups": _newsgroups,
    "synthetic": lambda: synthetic("synthetic", 768, noise=5.0),
    "synthetic low-rank": lambda: synthetic("synthetic low-rank", 96, noise=2.0),
}


def prepared(name):
    """A problem of PROBLEMS, from bench/results/problems where it was made before.

    Raises
    ------
    OSError
        If its file isn't in FASTSOFTMAX_DATA.
    """
    path = RESULTS / "problems" / f"{name.replace(' ', '_')}.npz"
    if not path.exists():
        problem = PROBLEMS[name]()
        arrays = {key: getattr(problem, key) for key in ("X", "y", "X_test", "y_test", "raw")}
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(path, **{key: array for key, array in arrays.items() if array is not None})
    with np.load(path) as file:
        return FitProblem(name, **dict(file))

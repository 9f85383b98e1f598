"""Random problems, most of them hard, each drawn from a seed. Holds no test.

Columns alike, each of its own size from 1e-8 to 1e8, or of two sizes; offsets of up to 1e9
deviations, as far as the dtype can tell rows apart then; rare indicators, amounts of money, codes,
constant and repeated columns and rows; classes of one row, of weight 0, that can be told apart
without error or not at all; penalties from none to more than the loss.
"""

from dataclasses import dataclass, field

import numpy as np
from scipy.sparse import csr_array, issparse
from truth import Objective

from fastsoftmax import LogisticRegression, SoftmaxClassifier

__all__ = ["HardProblem", "drawn"]

#: Most of (classes × features) with ``light``, so that the truth takes hundredths of a second.
LIGHT = 500
HEAVY = 2000

#: Largest offset in deviations: what is left of the dtype's digits tells rows apart. Without an
#: intercept, an offset is a direction of curvature like any other.
FARTHEST = {"float32": 5, "float64": 9}
FARTHEST_WITHOUT_INTERCEPT = 3


@dataclass(eq=False)
class HardProblem:
    """Data, and an estimator's parameters.

    Parameters
    ----------
    X : ndarray or csr_array
    y : ndarray
    parameters : dict
    weight : ndarray or None
    estimator : {"softmax", "logistic"}
        The latter is ``LogisticRegression``.
    name : str
        An expression that draws it again, where there is one.
    """

    X: object
    y: np.ndarray
    parameters: dict
    weight: np.ndarray | None = None
    estimator: str = "softmax"
    name: str = "HardProblem(...)"
    drawn_as: tuple = field(default=())

    def __repr__(self):
        given = ", ".join(f"{name}={value!r}" for name, value in self.parameters.items())
        form = "csr" if issparse(self.X) else "dense"
        weight = "" if self.weight is None else f", {np.count_nonzero(self.weight == 0)} weigh 0"
        n_samples, n_features = self.X.shape
        shape = f"{n_samples} × {n_features}, {len(np.unique(self.y))} classes"
        said = "; ".join((f"{shape}, {form} {self.X.dtype}{weight}", *self.drawn_as))
        return f"{self.name}  # {self.estimator}({given}); {said}"

    def fitted(self):
        """The estimator, fitted."""
        kind = SoftmaxClassifier if self.estimator == "softmax" else LogisticRegression
        return kind(**self.parameters).fit(self.X, self.y, sample_weight=self.weight)

    def objective(self):
        """What the estimator documents that it minimises."""
        codes = np.searchsorted(np.unique(self.y), self.y)
        n_classes = int(codes.max()) + 1
        weight = np.ones(len(codes)) if self.weight is None else self.weight.astype(np.float64)
        row_weight = weight
        if self.parameters.get("class_weight") == "balanced":
            totals = np.bincount(codes, weight, n_classes)
            shares = np.divide(1, totals, where=totals > 0, out=np.zeros(n_classes))
            weight = weight * shares[codes] * weight.sum() / np.count_nonzero(totals)
        if self.estimator == "softmax":
            alpha = self.parameters.get("alpha", 1e-4)
        else:
            alpha = 1 / (self.parameters.get("C", 1.0) * weight.sum())
        return Objective(
            self.X,
            codes,
            n_classes,
            alpha,
            weight,
            ovr=self.parameters.get("multi_class") == "ovr",
            fit_intercept=self.parameters.get("fit_intercept", True),
            standardize=self.parameters.get("standardize", False),
            label_smoothing=self.parameters.get("label_smoothing", 0.0),
            row_weight=row_weight,
        )


def drawn(seed, light=False):
    """The problem of this seed; with ``light`` another, that is solved soon."""
    rng = np.random.default_rng([seed, int(light)])
    n_samples, n_features, n_classes = _shape(rng, LIGHT if light else HEAVY)
    dtype = str(rng.choice(["float32", "float64"]))
    fit_intercept = bool(rng.random() < 0.8)
    Z, columns = _columns(rng, n_samples, n_features)
    y, labels = _labels(rng, Z, n_classes)
    X, sizes = _sized(rng, Z, dtype, fit_intercept)
    repeated = _repeated(rng, X, y)
    X = X.astype(dtype)
    if rng.random() < 0.25:
        X = csr_array(X)
    weight = _weight(rng, y)
    estimator = "logistic" if rng.random() < 0.2 else "softmax"
    parameters = _parameters(rng, n_samples if weight is None else weight.sum(), estimator)
    if not fit_intercept:
        parameters["fit_intercept"] = False
    if light and estimator == "logistic" and n_features > 100:
        parameters["max_iter"] = 100  # a thousand take seconds
    return HardProblem(
        X=X,
        y=y,
        parameters=parameters | {"random_state": seed % 1000},
        weight=weight,
        estimator=estimator,
        name=f"drawn({seed}, light={light})",
        drawn_as=tuple(said for said in (columns, sizes, labels, repeated) if said),
    )


def _shape(rng, most):
    n_samples = int(np.exp(rng.uniform(np.log(2), np.log(600))))
    n_features = int(np.exp(rng.uniform(0, np.log(60))))
    n_classes = int(rng.choice([2, 2, 2, 3, 3, 4, 5, 7, 10, 15, 25, 40]))
    kind = rng.random()
    if kind < 0.06:
        n_samples, n_features = int(rng.integers(2, 41)), int(rng.integers(100, 2101))
        n_classes = min(n_classes, n_samples, 7)
    elif kind < 0.09 and most > LIGHT:
        n_samples, n_features = int(rng.integers(350, 600)), int(rng.integers(1, 4))
        n_classes = int(rng.integers(200, 301))
    n_classes = max(2, min(n_classes, n_samples))
    # Features, or rows where they are fewer, times classes is the size of the truth's Hessian.
    if min(n_features, n_samples) * n_classes > most:
        if kind < 0.06:
            n_classes = max(2, most // n_samples)
        else:
            n_features = max(1, most // n_classes)
    return n_samples, n_features, n_classes


def _columns(rng, n_samples, n_features):
    """Columns of a size of about 1, and what they are."""
    Z = rng.normal(size=(n_samples, n_features))
    kind = str(rng.choice(["normal", "normal", "mixed", "rare", "correlated", "uniform", "zeros"]))
    if kind == "correlated":
        n_factors = max(1, n_features // 4)
        Z = rng.normal(size=(n_samples, n_factors)) @ rng.normal(size=(n_factors, n_features))
        Z += 10.0 ** rng.uniform(-4, 0) * rng.normal(size=Z.shape)
    elif kind == "uniform":
        Z = rng.uniform(size=Z.shape)
    elif kind == "zeros":  # like counts: most are 0
        Z = Z * (np.abs(Z) > 1)
    elif kind == "rare":
        Z = (rng.random(Z.shape) < 10.0 ** rng.uniform(-3, -0.5, n_features)).astype(float)
        Z[rng.integers(n_samples), :] = 1
    elif kind == "mixed":
        for j in range(n_features):
            Z[:, j] = {
                0: lambda: rng.normal(size=n_samples),
                1: lambda: np.exp(rng.normal(size=n_samples)),
                2: lambda: rng.integers(0, 5, n_samples).astype(float),
                3: lambda: (rng.random(n_samples) < 10.0 ** rng.uniform(-3, -0.3)).astype(float),
                4: lambda: rng.uniform(size=n_samples),
                5: lambda: rng.standard_t(2, n_samples),
            }[int(rng.integers(6))]()
    return Z, kind


def _labels(rng, Z, n_classes):
    """Labels of every class, and what they have to do with the columns."""
    kind = str(rng.choice(["noisy", "noisy", "noisy", "separable", "random", "lonely"]))
    n_samples, n_features = Z.shape
    raw = Z @ rng.normal(size=(n_features, n_classes)) / np.sqrt(n_features)
    if kind == "noisy":
        raw = raw * 10.0 ** rng.uniform(-1, 1.5) + rng.gumbel(size=raw.shape)
    elif kind == "random":
        raw = rng.normal(size=raw.shape)
    codes = raw.argmax(axis=1)
    if kind == "lonely":  # all but two or three classes have one row
        codes = rng.integers(0, min(n_classes, 3), n_samples)
        for k in range(2, n_classes):
            codes[k - 2] = k
    if len(np.unique(codes)) < 2:
        codes[0] = (codes[1] + 1) % n_classes
    return codes, kind


def _sized(rng, Z, dtype, fit_intercept):
    """Columns of other sizes and away from 0."""
    n_features = Z.shape[1]
    kind = str(rng.choice(["as they are", "alike", "each", "each", "two blocks", "money"]))
    size = np.ones(n_features)
    if kind == "alike":
        size *= 10.0 ** rng.uniform(-4, 4)
    elif kind == "each":
        size = 10.0 ** rng.uniform(-8, 8, n_features)
    elif kind == "two blocks":
        size = 10.0 ** (4 * (rng.permutation(n_features) % 2))
    elif kind == "money":
        size[0] = 1e4
    said = f"sizes {kind}"
    offset = np.zeros(n_features)
    farthest = FARTHEST[dtype] if fit_intercept else FARTHEST_WITHOUT_INTERCEPT
    where = rng.random()
    if where < 0.15:
        offset[:] = 10.0 ** rng.uniform(0, farthest)
    elif where < 0.35:
        offset = 10.0 ** rng.uniform(-1, farthest, n_features) * (rng.random(n_features) < 0.5)
    if kind == "money":
        offset[0] = 3
    if offset.any():
        said += f", offsets up to {offset.max():.0e}"
    return (Z + offset) * size, said


def _repeated(rng, X, y):
    """Some columns become others' copies, multiples, constant or 0, some rows copies; in place."""
    said = []
    n_samples, n_features = X.shape
    for what in rng.choice(["copy", "multiple", "constant", "zero"], int(rng.integers(0, 3))):
        if rng.random() < 0.5 or n_features < 2:
            continue
        j = int(rng.integers(1, n_features))
        X[:, j] = {
            "copy": lambda j=j: X[:, j - 1],
            "multiple": lambda j=j: -2 * X[:, j - 1],
            "constant": lambda: np.full(n_samples, 7.0),
            "zero": lambda: np.zeros(n_samples),
        }[str(what)]()
        said.append(f"column {j} {what}")
    if n_samples > 3 and rng.random() < 0.15:
        half = n_samples // 2
        X[half : 2 * half] = X[:half]
        said.append("rows twice")
        if rng.random() < 0.5:
            kept = y.copy()
            kept[half : 2 * half] = y[:half]
            if len(np.unique(kept)) > 1:
                y[:] = kept
    return ", ".join(said)


def _weight(rng, y):
    """Weights of rows, or None; at least two classes have some."""
    kind = rng.random()
    if kind < 0.6:
        return None
    n_samples = len(y)
    if kind < 0.7:
        weight = rng.uniform(0.1, 3, n_samples)
    elif kind < 0.9:
        weight = rng.integers(0, 4, n_samples).astype(float)
    else:
        weight = 10.0 ** rng.uniform(-3, 3, n_samples)
    first = np.unique(y, return_index=True)[1]
    weight[first if rng.random() < 0.8 else first[:2]] += 0.5
    return weight


def _parameters(rng, weight_sum, estimator):
    alpha = float(rng.choice([0.0, *(10.0 ** np.arange(-12, 2)), 1e-4, 1e-4, 1e-4, 1e-3, 1e-2]))
    tol = float(rng.choice([1e-3, 1e-4, 1e-5, 1e-5, 1e-5, 1e-6, 1e-7]))
    parameters = {}
    if rng.random() < 0.1:
        parameters["class_weight"] = "balanced"
    if estimator == "logistic":
        C = float("inf") if alpha == 0 else float(1 / (alpha * weight_sum))
        return {"C": C, "tol": tol, "max_iter": int(rng.choice([100, 1000])), **parameters}
    parameters |= {"alpha": alpha, "tol": tol, "solver": str(rng.choice(["auto", "lbfgs"]))}
    if rng.random() < 0.25:
        parameters["standardize"] = True
    if rng.random() < 0.2:
        parameters["multi_class"] = "ovr"
    if rng.random() < 0.1:
        parameters["label_smoothing"] = float(rng.choice([0.05, 0.3]))
    return parameters

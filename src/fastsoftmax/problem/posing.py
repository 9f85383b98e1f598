"""From checked data and an estimator's parameters to the problem that is solved.

Weights of rows, units and the strength of the penalty in them. Nothing is checked here but what
the parameters and the data can only be together, nothing is trained. Called by estimator.py and
selection.py.
"""

from dataclasses import dataclass

import numpy as np

from .objective import Problem
from .standardization import Units, measure
from .statistics import ColumnStatistics
from .weights import check_class_weight, mean_one, row_weights

__all__ = ["Posed", "pose"]


@dataclass(frozen=True)
class Posed:
    """A problem, and what leads back from it to the user's data.

    Parameters
    ----------
    problem : objective.Problem
    units : standardization.Units
        That training runs in.
    unit : float
        What one scale for all features multiplies coef by; ``alpha`` is divided by its square.
    statistics : statistics.ColumnStatistics or None
    scale : float64 ndarray of shape (n_features,) or None
        What ``standardize`` divides by.
    class_total : float64 ndarray of shape (n_classes,)
        Σ sample weight of each class.
    weight_sum, n_rows : float, int
        Σ (sample weight · class weight) and count of the rows, those of earlier calls included.
    """

    problem: Problem
    units: Units
    unit: float
    statistics: ColumnStatistics | None
    scale: np.ndarray | None
    class_total: np.ndarray
    weight_sum: float
    n_rows: int


def pose(estimator, X, codes, classes, sample_weight, memory, n_threads, dtype, all_zero=False):
    """State the problem of an estimator's parameters on these rows.

    Parameters
    ----------
    estimator : SoftmaxClassifier
    X : ndarray or SparseRows of shape (n_samples, n_features)
    codes : int32 ndarray of shape (n_samples,)
    classes : ndarray of shape (n_classes,)
    sample_weight : float64 ndarray of shape (n_samples,) or None
        Rows of weight 0 are left out of everything.
    memory : memory.Memory
        Of earlier calls of ``partial_fit``, else empty or of parameters alone.
    n_threads : int
    dtype : {float32, float64}
        Of the computation.
    all_zero : bool
        Whether there may be no row of weight above 0; it is a call of ``partial_fit`` then.

    Returns
    -------
    posed : Posed
    """
    statistics, scale, units = measure(
        X, sample_weight, estimator.standardize, dtype, memory.statistics, memory.n_rows, n_threads
    )
    class_total = np.bincount(codes, weights=sample_weight, minlength=len(classes))
    if memory.class_total is not None:
        class_total = class_total + memory.class_total
    class_weight = check_class_weight(estimator.class_weight, classes, class_total)
    rows, weight, weight_sum = row_weights(codes, sample_weight, class_weight, all_zero)
    weight_sum, n_rows = weight_sum + memory.weight_sum, len(rows) + memory.n_rows
    if isinstance(estimator.class_weight, str):
        # Earlier rows too count as balanced by these totals.
        weight_sum = float(class_total.sum())
    mean_weight = weight_sum / n_rows if n_rows > 0 else 1.0
    alpha, unit = estimator._strength(weight_sum), 1.0
    if estimator._chooses_units() and len(rows) > 0 and units.shift is None and not all_zero:
        units, unit = Units.chosen(X, rows, weight, dtype, estimator.fit_intercept, alpha)
        alpha /= unit**2
    problem = Problem(
        X=X,
        rows=rows,
        y_true=codes,
        sample_weight=mean_one(weight, mean_weight, len(X), dtype),
        shift=units.shift,
        inverse_scale=units.inverse_scale,
        loss="softmax" if estimator.multi_class == "softmax" and len(classes) > 2 else "logistic",
        alpha=alpha,
        fit_intercept=bool(estimator.fit_intercept),
        n_threads=n_threads,
        dtype=np.dtype(dtype),
        label_smoothing=float(estimator.label_smoothing),
    )
    return Posed(problem, units, unit, statistics, scale, class_total, weight_sum, n_rows)

"""From checked data and the objective that is asked for to the problem that is solved.

Weights of rows, units and the strength of the penalty in them. Nothing is checked here but what
the objective and the data can only be together, nothing is trained. Called by fitting.py and
cross_validation.py.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .objective import Problem
from .rows import SparseRows, rows_of
from .standardization import Units, measure, units_of
from .statistics import ColumnStatistics
from .weights import check_class_weight, mean_one, row_weights

__all__ = ["Formulation", "Posed", "Seen", "pose"]


@dataclass(frozen=True)
class Formulation:
    """Which objective to minimise, whatever the rows.

    Parameters
    ----------
    strength : callable
        Gives alpha ≥ 0, in the units of X, for the sum of the weights of the rows.
    multi_class : {"softmax", "ovr"}
    label_smoothing : float in [0, 1)
    standardize : bool or {"population", "sample"}
    fit_intercept : bool
    class_weight : dict, "balanced" or None
    chooses_units : callable
        ``chooses_units(problem, n_rows)`` says of a Problem in the units of X, for coef of n_rows,
        whether training may run in units of its own where ``standardize`` is off: the minimum is
        the same, the path to it isn't.
    """

    strength: Callable[[float], float]
    multi_class: str = "softmax"
    label_smoothing: float = 0.0
    standardize: bool | str = False
    fit_intercept: bool = True
    class_weight: Any = None
    chooses_units: Callable[[Problem, int], bool] = lambda problem, n_rows: True


@dataclass(frozen=True)
class Seen:
    """What is remembered of the rows trained on so far; the defaults are those before any.

    Parameters
    ----------
    weight_sum, n_rows : float, int
        Σ (sample weight · class weight) and count of the rows, each row once a call.
    class_total : float64 ndarray of shape (n_classes,) or None
        Σ sample weight of each class.
    statistics : ColumnStatistics or None
        Where ``standardize`` asks for them.
    """

    weight_sum: float = 0.0
    n_rows: int = 0
    class_total: np.ndarray | None = None
    statistics: ColumnStatistics | None = None


@dataclass(frozen=True)
class Posed:
    """A problem, and what leads back from it to the user's data.

    Parameters
    ----------
    problem : objective.Problem or streamed.OfBlocks
    units : standardization.Units
        That training runs in.
    unit : float
        What one scale for all features multiplies coef by; ``alpha`` is divided by its square.
    scale : float64 ndarray of shape (n_features,) or None
        What ``standardize`` divides by.
    seen : Seen
        These rows included.
    """

    problem: Problem
    units: Units
    unit: float
    scale: np.ndarray | None
    seen: Seen


def pose(data, formulation, earlier=None):
    """State the problem that this objective makes of these rows.

    Parameters
    ----------
    data : checks.CheckedData or checks.StreamedData
    formulation : Formulation
    earlier : Seen or None
        Rows of earlier calls of ``partial_fit``, which has rows in memory.

    Returns
    -------
    posed : Posed
    """
    if not data.is_held:
        return _pose_streamed(data, formulation)
    earlier = earlier or Seen()
    X, sample_weight, dtype = data.X, data.sample_weight, data.dtype
    statistics, scale, units = measure(
        X,
        sample_weight,
        formulation.standardize,
        dtype,
        earlier.statistics,
        earlier.n_rows,
        data.n_threads,
    )
    class_total = np.bincount(data.codes, weights=sample_weight, minlength=len(data.classes))
    if earlier.class_total is not None:
        class_total = class_total + earlier.class_total
    class_weight = check_class_weight(formulation.class_weight, data.classes, class_total)
    rows, weight, weight_sum = row_weights(data.codes, sample_weight, class_weight, data.is_batch)
    weight_sum, n_rows = weight_sum + earlier.weight_sum, len(rows) + earlier.n_rows
    if isinstance(formulation.class_weight, str):
        # Earlier rows too count as balanced by these totals.
        weight_sum = float(class_total.sum())
    mean_weight = weight_sum / n_rows if n_rows > 0 else 1.0
    alpha, unit = formulation.strength(weight_sum), 1.0
    problem = Problem(
        X=X,
        rows=rows,
        y_true=data.codes,
        sample_weight=mean_one(weight, mean_weight, len(X), dtype),
        shift=units.shift,
        inverse_scale=units.inverse_scale,
        alpha=alpha,
        dtype=np.dtype(dtype),
        **_of_formulation(data, formulation),
    )
    has_no_units = units.shift is None and len(rows) > 0 and not data.is_batch
    if has_no_units and formulation.chooses_units(problem, data.coef_shape[0]):
        problem, units, unit = _in_chosen_units(problem, weight)
    return Posed(problem, units, unit, scale, Seen(weight_sum, n_rows, class_total, statistics))


def _of_formulation(data, formulation):
    """Fields of a Problem that don't depend on its rows."""
    is_softmax = formulation.multi_class == "softmax" and len(data.classes) > 2
    return {
        "loss": "softmax" if is_softmax else "logistic",
        "fit_intercept": formulation.fit_intercept,
        "n_threads": data.n_threads,
        "label_smoothing": formulation.label_smoothing,
    }


def _in_chosen_units(problem, weight):
    """The problem in units that suit training, these units, and their scale."""
    units, unit = Units.chosen(
        problem.X, problem.rows, weight, problem.dtype, problem.fit_intercept, problem.alpha
    )
    problem = replace(
        problem,
        shift=units.shift,
        inverse_scale=units.inverse_scale,
        alpha=problem.alpha / unit**2,
    )
    return problem, units, unit


def _pose_streamed(data, formulation):
    """As :func:`pose`, of rows that are not in memory."""
    scan, dtype = data.scan, data.dtype
    class_weight = check_class_weight(formulation.class_weight, data.classes, scan.class_total)
    class_total, used = scan.class_total, scan.class_total > 0
    if class_weight is not None:
        class_total, used = class_total * class_weight, used & (class_weight > 0)
    weight_sum, n_used = float(class_total.sum()), int(scan.class_count[used].sum())
    if not weight_sum > 0:
        raise ValueError(
            "sample_weight times class_weight must be above 0 for at least one row; got zeros alone"
        )
    statistics, scale, units = None, None, Units()
    X = rows_of(scan.X, summed=True)
    if formulation.standardize:
        statistics = scan.statistics
        is_sparse = isinstance(X, SparseRows)
        scale, units = units_of(
            statistics, formulation.standardize, dtype, scan.n_samples, is_sparse
        )
    given = scan.stands_for
    if scan.sample_weight is not None:
        given = given * scan.sample_weight
    rows, weight, _ = row_weights(scan.codes, given, class_weight)
    problem = Problem(
        X=X,
        rows=rows,
        y_true=scan.codes,
        sample_weight=mean_one(weight, weight[rows].mean(), len(X), dtype),
        shift=units.shift,
        inverse_scale=units.inverse_scale,
        alpha=formulation.strength(weight_sum),
        dtype=np.dtype(dtype),
        **_of_formulation(data, formulation),
    )
    unit = 1.0
    if units.shift is None:
        problem, units, unit = _in_chosen_units(problem, weight)
    problem = scan.problem(
        class_weight,
        weight_sum / n_used,
        sampled=problem,
        n_used=n_used,
        class_share=class_total / weight_sum,
    )
    seen = Seen(weight_sum, n_used, scan.class_total, statistics)
    return Posed(problem, units, unit, scale, seen)

"""What one call of fit or partial_fit leaves for the next, as attributes of the estimator.

A :class:`fitting.Memory` is read from the estimator before a call and written back whole after it,
so that a call that fails in between has changed nothing. On the estimator it lies as plain arrays
and scalars, for pickle's sake. Nothing is computed here. Called by the estimators.
"""

from contextlib import contextmanager
from dataclasses import replace
from functools import cache

from scipy.sparse import issparse

from ..optimization.fitting import Memory
from ..optimization.history import columns_of
from ..problem.checks import check_warm_start
from ..problem.posing import Seen
from ..problem.statistics import ColumnStatistics
from .coefficients import kernel_model

__all__ = [
    "fitted_copy",
    "remember",
    "remembered",
    "set_fitted",
    "starting_point",
    "unchanged_on_failure",
]

#: Attributes of solvers that know when they are done.
OUTCOME = ("converged_", "suboptimality_", "suboptimality_bound_")

#: Of rows that were held out.
VALIDATION = ("validation_scores_", "best_iter_")


@contextmanager
def unchanged_on_failure(estimator):
    """Leave the estimator's attributes as they were if the block raises, Ctrl-C included.

    Enough as long as the block replaces arrays and never writes into them.
    """
    before = vars(estimator).copy()
    try:
        yield
    except BaseException:
        estimator.__dict__ = before
        raise


def remembered(estimator):
    """All that partial_fit goes on from; that of a first call where the estimator is not fitted."""
    if not hasattr(estimator, "coef_"):
        return Memory()
    parameters = parameters_of(estimator)
    if not hasattr(estimator, "_coef_state"):  # see fitted_copy
        return parameters
    statistics = None
    if hasattr(estimator, "mean_"):
        statistics = ColumnStatistics(
            estimator._column_weight_sum, estimator.mean_, estimator._column_squares
        )
    # A user who has set coef_ to one of another shape has no use for its optimiser's state.
    is_of_coef = estimator._coef_state.shape == parameters.coef.shape
    return replace(
        parameters,
        coef_state=estimator._coef_state,
        intercept_state=estimator._intercept_state,
        update=estimator._update if is_of_coef else None,
        seen=Seen(
            weight_sum=estimator._weight_sum,
            n_rows=estimator._n_rows,
            # Files of 0.1.0's first days have neither this nor history_.
            class_total=getattr(estimator, "_class_total", None),
            statistics=statistics,
        ),
        history=getattr(estimator, "history_", None) or columns_of(estimator.loss_curve_),
        n_halvings=estimator._n_halvings,
        learning_rate=getattr(estimator, "learning_rate_", None),
        rate_settings=getattr(estimator, "_rate_settings", None),
    )


def parameters_of(estimator):
    """Only where the parameters stand, for ``warm_start``; one row for two classes."""
    if issparse(estimator.coef_):
        raise ValueError("coef_ was made sparse by sparsify(); call densify() before training on")
    coef, intercept = kernel_model(estimator)
    if len(coef) == len(estimator.classes_) == 2:  # as good a point to begin from as any
        coef, intercept = coef[1:] - coef[:1], intercept[1:] - intercept[:1]
    return Memory(coef=coef, intercept=intercept)


def starting_point(estimator, data):
    """Where a fit begins: nowhere, or with ``warm_start`` where the last one ended."""
    if not (estimator.warm_start and hasattr(estimator, "coef_")):
        return Memory()
    memory = parameters_of(estimator)
    check_warm_start(data, memory.coef, estimator.classes_)
    return memory.astype(data.dtype)


def remember(estimator, memory):
    """Keep what partial_fit goes on from, beyond what users look at."""
    seen = memory.seen
    estimator._coef_state, estimator._intercept_state = memory.coef_state, memory.intercept_state
    estimator._update, estimator._n_halvings = memory.update, memory.n_halvings
    estimator._weight_sum, estimator._n_rows = seen.weight_sum, seen.n_rows
    estimator._class_total = seen.class_total
    estimator.learning_rate_ = memory.learning_rate
    estimator._rate_settings = memory.rate_settings
    if seen.statistics is None:
        _forget(estimator, ("_column_squares", "_column_weight_sum"))
    else:
        estimator._column_squares = seen.statistics.squares
        estimator._column_weight_sum = seen.statistics.weight_sum


def set_fitted(estimator, classes, fitted):
    """Set the attributes that users look at; those go that a fit without them would leave."""
    memory, outcome = fitted.memory, fitted.outcome
    estimator.classes_ = classes
    estimator.coef_, estimator.intercept_ = memory.coef, memory.intercept
    estimator.history_, estimator.loss_curve_ = memory.history, memory.history["objective"]
    estimator.n_iter_ = len(estimator.loss_curve_)
    _forget(estimator, ("mean_", "scale_", *VALIDATION, *OUTCOME))
    if memory.seen.statistics is not None:
        estimator.mean_, estimator.scale_ = memory.seen.statistics.mean, fitted.scale
    if outcome is not None:
        estimator.suboptimality_ = outcome.suboptimality
        estimator.suboptimality_bound_ = outcome.suboptimality_bound
        estimator.converged_ = outcome.converged
    if fitted.is_validated and fitted.history.epochs:
        estimator.validation_scores_ = memory.history["validation_score"]
        estimator.best_iter_ = fitted.history.best_epoch() + 1


def _forget(estimator, names):
    for name in names:
        vars(estimator).pop(name, None)


@cache
def _parameter_names(cls):
    """Those of an estimator's class; to ask its signature takes longer than a small fit."""
    return tuple(cls._get_param_names())


def fitted_copy(estimator, classes, coef, intercept):
    """An estimator of the same parameters that predicts by these weights, and remembers no more."""
    names = _parameter_names(type(estimator))
    copy = type(estimator)(**{name: getattr(estimator, name) for name in names})
    for name in ("n_features_in_", "feature_names_in_"):
        if hasattr(estimator, name):
            setattr(copy, name, getattr(estimator, name))
    copy.classes_, copy.coef_, copy.intercept_ = classes, coef, intercept
    return copy

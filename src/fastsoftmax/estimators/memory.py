"""What one call of fit or partial_fit leaves for the next, as attributes of the estimator.

A :class:`Memory` is read from the estimator before a call and written back whole after it, so that
a call that fails in between has changed nothing. On the estimator it lies as plain arrays and
scalars, for pickle's sake. Called by estimator.py alone.
"""

from dataclasses import dataclass, field, replace

import numpy as np
from scipy.sparse import issparse

from ..optimization.history import columns_of
from ..problem.objective import State
from ..problem.statistics import ColumnStatistics

__all__ = ["Memory", "fitted_copy", "take_over"]


#: Of the solvers that know when they are done.
OUTCOME = ("converged_", "suboptimality_", "suboptimality_bound_")


def _check_dense(estimator):
    if issparse(estimator.coef_):
        raise ValueError("coef_ was made sparse by sparsify(); call densify() before training on")


@dataclass(frozen=True)
class Memory:
    """Everything that a later call goes on from; the defaults are those of a first call.

    Parameters
    ----------
    coef, intercept : ndarrays or None
        Parameters in the units of X.
    coef_state, intercept_state : ndarrays or None
        What the optimiser remembers, in the units that training ran in. Those of the next call
        differ by the drift of the column statistics, which is not worth a conversion.
    update : str or None
        Whose state that is; another optimiser starts anew.
    weight_sum, n_rows : float, int
        Σ (sample weight · class weight) and count of the rows trained on, each row once a call.
    class_total : float64 ndarray of shape (n_classes,) or None
        Σ sample weight of each class.
    statistics : ColumnStatistics or None
    history : dict of ndarrays
        See :func:`history.joined_columns`.
    n_halvings : int
        Of the learning rate, after divergence.
    learning_rate : float or None
        At the start; None before one was chosen.
    """

    coef: np.ndarray | None = None
    intercept: np.ndarray | None = None
    coef_state: np.ndarray | None = None
    intercept_state: np.ndarray | None = None
    update: str | None = None
    weight_sum: float = 0.0
    n_rows: int = 0
    statistics: ColumnStatistics | None = None
    class_total: np.ndarray | None = None
    history: dict = field(default_factory=lambda: columns_of(()))
    n_halvings: int = 0
    learning_rate: float | None = None

    @classmethod
    def of(cls, estimator):
        """All of it, for partial_fit; that of a first call where the estimator is not fitted."""
        if not hasattr(estimator, "coef_"):
            return cls()
        _check_dense(estimator)
        if not hasattr(estimator, "_coef_state"):  # see fitted_copy
            return cls.of_parameters(estimator)
        statistics = None
        if hasattr(estimator, "mean_"):
            statistics = ColumnStatistics(
                estimator._column_weight_sum, estimator.mean_, estimator._column_squares
            )
        return cls(
            coef=estimator.coef_,
            intercept=estimator.intercept_,
            coef_state=estimator._coef_state,
            intercept_state=estimator._intercept_state,
            update=estimator._update,
            weight_sum=estimator._weight_sum,
            n_rows=estimator._n_rows,
            statistics=statistics,
            # Files of 0.1.0's first days have neither.
            class_total=getattr(estimator, "_class_total", None),
            history=getattr(estimator, "history_", None) or columns_of(estimator.loss_curve_),
            n_halvings=estimator._n_halvings,
            learning_rate=getattr(estimator, "learning_rate_", None),
        )

    @classmethod
    def of_parameters(cls, estimator):
        """Only where the parameters stand, for ``warm_start``."""
        _check_dense(estimator)
        return cls(coef=estimator.coef_, intercept=estimator.intercept_)

    def astype(self, dtype):
        """The same in the dtype to compute in; never an array that is written to later."""
        names = ("coef", "intercept", "coef_state", "intercept_state")
        arrays = {name: getattr(self, name) for name in names}
        return replace(
            self,
            **{name: None if a is None else a.astype(dtype) for name, a in arrays.items()},
        )

    def state(self, units, update):
        """Parameters in ``units``, and the optimiser's state where it is that of ``update``."""
        coef, intercept = units.from_original(self.coef, self.intercept)
        if update != self.update:
            return State.at(coef, intercept)
        return State(coef, intercept, self.coef_state.copy(), self.intercept_state.copy())

    def write_to(self, estimator):
        """Set the estimator's attributes; those go that a fit without them would leave behind."""
        for name in ("validation_scores_", "best_iter_", *OUTCOME):
            vars(estimator).pop(name, None)
        estimator.coef_, estimator.intercept_ = self.coef, self.intercept
        estimator._coef_state, estimator._intercept_state = self.coef_state, self.intercept_state
        estimator._update = self.update
        estimator._weight_sum, estimator._n_rows = self.weight_sum, self.n_rows
        estimator._class_total = self.class_total
        estimator.history_ = self.history
        estimator.loss_curve_ = self.history["objective"]
        estimator.n_iter_ = len(estimator.loss_curve_)
        estimator._n_halvings = self.n_halvings
        estimator.learning_rate_ = self.learning_rate
        if self.statistics is not None:
            estimator.mean_ = self.statistics.mean
            estimator._column_squares = self.statistics.squares
            estimator._column_weight_sum = self.statistics.weight_sum
        else:
            for name in ("mean_", "scale_", "_column_squares", "_column_weight_sum"):
                vars(estimator).pop(name, None)


def fitted_copy(estimator, classes, coef, intercept):
    """An estimator of the same parameters that predicts by these weights, and remembers no more."""
    copy = type(estimator)(**estimator.get_params(deep=False))
    for name in ("n_features_in_", "feature_names_in_"):
        if hasattr(estimator, name):
            setattr(copy, name, getattr(estimator, name))
    copy.classes_, copy.coef_, copy.intercept_ = classes, coef, intercept
    return copy


def take_over(estimator, within, names):
    """Give an estimator these fitted attributes of the one within it; those go that it lacks."""
    for name in names:
        vars(estimator).pop(name, None)
        if hasattr(within, name):
            setattr(estimator, name, getattr(within, name))

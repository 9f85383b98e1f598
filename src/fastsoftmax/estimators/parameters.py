"""What the estimator's parameters may be: each alone, then those that contradict one another.

The form is scikit-learn's own, so that its messages name the parameter, what was given and what is
allowed. Nothing about data. Called by the estimators.
"""

from numbers import Integral, Real

import numpy as np
from sklearn.metrics import check_scoring
from sklearn.utils._param_validation import Interval, Options, RealNotInt, StrOptions

from ..optimization.schedules import SCHEDULES, WITH_AN_END

__all__ = [
    "PARAMETER_CONSTRAINTS",
    "check_each_parameter",
    "check_parameters",
    "check_parameters_of_partial_fit",
]

PARAMETER_CONSTRAINTS = {
    "solver": [StrOptions({"auto", "dual", "lbfgs", "sgd", "adagrad"})],
    "multi_class": [StrOptions({"softmax", "ovr"})],
    "alpha": [Interval(Real, 0, None, closed="left")],
    "label_smoothing": [Interval(Real, 0, 1, closed="left")],
    "learning_rate": [Interval(Real, 0, None, closed="neither"), StrOptions({"auto"})],
    "schedule": [StrOptions({*SCHEDULES, "adaptive", "auto"})],
    "decay": [Interval(Real, 0, None, closed="left")],
    "momentum": [Interval(Real, 0, 1, closed="left")],
    "nesterov": ["boolean"],
    "batch_size": [Interval(Integral, 1, None, closed="left")],
    "max_iter": [Interval(Integral, 1, None, closed="left"), None],
    "tol": [Interval(Real, 0, None, closed="left"), None],
    "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
    "early_stopping": ["boolean"],
    "validation_fraction": [
        Interval(RealNotInt, 0, 1, closed="neither"),
        Interval(Integral, 1, None, closed="left"),
    ],
    "scoring": [str, callable, None],
    "standardize": ["boolean", StrOptions({"population", "sample"})],
    "weight_init": [StrOptions({"zeros", "normal"})],
    "init_scale": [Interval(Real, 0, None, closed="left")],
    "fit_intercept": ["boolean"],
    "class_weight": [dict, StrOptions({"balanced"}), None],
    "shuffle": ["boolean"],
    "random_state": ["random_state"],
    "n_jobs": [
        Interval(Integral, 1, None, closed="left"),
        Interval(Integral, None, -1, closed="right"),
        None,
    ],
    "dtype": [
        StrOptions({"float32", "float64"}),
        Options(type, {np.float32, np.float64}),
        Options(np.dtype, {np.dtype(np.float32), np.dtype(np.float64)}),
        None,
    ],
    "warm_start": ["boolean"],
    "callbacks": [list, tuple, None],
    "verbose": ["verbose"],
}


#: Types of values that are the same parameter wherever they are equal.
PLAIN_TYPES = frozenset({bool, int, float, str, type(None), np.int64, np.float64})

#: Classes with values of all their parameters that have passed, as a small fit takes less time than
#: to look at them again; and how many are kept at most.
_passed: set[tuple] = set()
MOST_PASSED = 1000


def check_each_parameter(estimator):
    """Each parameter alone, by scikit-learn's checks; once where the same values come again."""
    names, given = estimator._parameter_constraints, vars(estimator)
    values = [given.get(name) for name in names]
    types = tuple(map(type, values))
    if not PLAIN_TYPES.issuperset(types):
        estimator._validate_params()
        return
    key = (type(estimator), types, *values)
    if key in _passed:
        return
    estimator._validate_params()
    if len(_passed) >= MOST_PASSED:
        _passed.clear()
    _passed.add(key)


def check_parameters(estimator):
    """Each parameter alone, then those that contradict one another."""
    check_each_parameter(estimator)
    if estimator.nesterov and estimator.solver not in ("sgd", "auto"):
        raise ValueError(f"nesterov=True needs solver='sgd'; got solver={estimator.solver!r}")
    if estimator.nesterov and estimator.momentum == 0:
        raise ValueError("nesterov=True needs momentum in (0, 1); got momentum=0")
    if estimator.early_stopping and estimator.solver in ("lbfgs", "dual"):
        raise ValueError(
            "early_stopping=True needs epochs of minibatches; use solver='auto' or 'sgd' in place "
            f"of {estimator.solver!r}"
        )
    if estimator.solver == "dual" and estimator.alpha == 0:
        raise ValueError("solver='dual' needs a penalty; got alpha=0, for which use solver='auto'")
    for position, callback in enumerate(estimator.callbacks or ()):
        if not callable(callback):
            raise ValueError(
                "callbacks must hold callables that take one EpochInfo; got "
                f"{callback!r} at position {position}"
            )
    if isinstance(estimator.scoring, str) and estimator.scoring != "loss":
        check_scoring(estimator, scoring=estimator.scoring)


def check_parameters_of_partial_fit(estimator):
    """What partial_fit can't do, since it never has all the rows."""
    if estimator.solver in ("lbfgs", "dual"):
        raise ValueError(
            f"solver={estimator.solver!r} needs all rows at once, which partial_fit has not; use "
            "fit, or solver='auto' or 'sgd'"
        )
    if estimator.schedule == "adaptive":
        raise ValueError(
            "schedule='adaptive' needs epochs over the same rows, which partial_fit has not; use "
            "fit, or 'constant', 'inverse_time' or 'exponential'"
        )
    if estimator.schedule in WITH_AN_END:
        raise ValueError(
            f"schedule={estimator.schedule!r} needs a known end, which partial_fit has not; "
            "use fit, or 'constant', 'inverse_time' or 'exponential'"
        )
    if estimator.early_stopping:
        raise ValueError(
            "early_stopping=True needs epochs over the same rows, which partial_fit has not; use "
            "fit, or score rows of your own between the calls"
        )

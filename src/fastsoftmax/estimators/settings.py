"""SoftmaxClassifier's parameters in the words of training: which objective, which way to it.

What a parameter may be is parameters.py's. Nothing about data but how many rows there are. Called
by classifier.py and cross_validation.py.
"""

from functools import partial

import numpy as np

from ..callbacks import observed
from ..optimization.fitting import Settings
from ..optimization.sgd import Plan
from ..optimization.solver import needs_units
from ..optimization.tolerance import Tolerance
from ..problem.held_out import Scoring
from ..problem.posing import Formulation
from .memory import fitted_copy

__all__ = ["most_iterations", "settings_of"]

#: Iterations to the optimum, where ``max_iter`` is None.
MOST_ITERATIONS = 1000

#: Steps of minibatch descent that its epochs make, in no fewer and no more epochs than these, where
#: ``max_iter`` is None: with them MNIST ends above an accuracy of 0.92.
ENOUGH_STEPS = 2800
FEWEST_EPOCHS = 6
MOST_EPOCHS = 100


def most_iterations(estimator, y):
    """What ``max_iter`` comes to for these labels, or anything else with a value a row."""
    if estimator.max_iter is not None:
        return int(estimator.max_iter)
    if goes_to_optimum(estimator):
        return MOST_ITERATIONS
    n_samples = max(1, len(y)) if hasattr(y, "__len__") else 1  # what has none is refused soon
    n_epochs = -(-ENOUGH_STEPS * estimator.batch_size // n_samples)
    return int(np.clip(n_epochs, FEWEST_EPOCHS, MOST_EPOCHS))


def goes_to_optimum(estimator):
    """Whether ``fit`` goes on to the optimum, by passes over all rows."""
    return estimator.solver in ("lbfgs", "dual") or (
        estimator.solver == "auto" and not estimator.early_stopping
    )


def settings_of(estimator, n_epochs, task=None, is_batch=False):
    """What the parameters ask of a fit.

    Parameters
    ----------
    estimator : SoftmaxClassifier
    n_epochs : int ≥ 1
        At most so many iterations.
    task : callbacks.FitTask or None
        Who is told beside the estimator's own callbacks.
    is_batch : bool
        Whether it is for one call of ``partial_fit``.

    Returns
    -------
    settings : fitting.Settings
    """
    to_optimum = goes_to_optimum(estimator)
    alpha = float(estimator.alpha)
    has_own_rate = estimator.learning_rate == "auto"
    tolerance = Tolerance(estimator.tol)
    by_dual = {"auto": None, "dual": True}.get(estimator.solver, False)
    needs = partial(needs_units, tolerance=tolerance, by_dual=by_dual)
    return Settings(
        formulation=Formulation(
            strength=lambda weight_sum: alpha,
            multi_class=estimator.multi_class,
            label_smoothing=float(estimator.label_smoothing),
            standardize=estimator.standardize,
            fit_intercept=bool(estimator.fit_intercept),
            class_weight=estimator.class_weight,
            # Where the path is the program's choice, and the solver doesn't choose by itself.
            chooses_units=needs if to_optimum else lambda problem, n_rows: has_own_rate,
        ),
        plan=_plan(estimator, n_epochs, is_batch),
        to_optimum=to_optimum,
        stochastic=estimator.solver == "auto",
        by_dual=by_dual,
        tolerance=tolerance,
        random_state=estimator.random_state,
        observed=partial(observed, estimator, task),
        fitted=partial(fitted_copy, estimator),
        scoring=Scoring.of(estimator, estimator.scoring),
        init_scale=float(estimator.init_scale) if estimator.weight_init == "normal" else 0.0,
        early_stopping=bool(estimator.early_stopping),
    )


def _plan(estimator, n_epochs, is_batch):
    """The optimiser's settings, under the names of sgd.py and of the kernels."""
    rate, schedule = estimator.learning_rate, estimator.schedule
    lower = schedule == "adaptive" or (schedule == "auto" and not estimator.early_stopping)
    if schedule == "auto" and rate == "auto" and not is_batch:
        schedule = "linear"
    elif schedule in ("auto", "adaptive"):
        schedule = "constant"
    update = "adagrad" if estimator.solver == "adagrad" else "sgd"
    if update == "sgd" and estimator.momentum > 0:
        update = "nesterov" if estimator.nesterov else "momentum"
    return Plan(
        update=update,
        learning_rate=None if rate == "auto" else float(rate),
        schedule=schedule,
        decay=float(estimator.decay),
        momentum=float(estimator.momentum),
        batch_size=int(estimator.batch_size),
        n_epochs=int(n_epochs),
        tol=estimator.tol,
        n_iter_no_change=int(estimator.n_iter_no_change),
        shuffle=bool(estimator.shuffle),
        lower_on_plateau=lower,
    )

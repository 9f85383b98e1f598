"""The solvers that know when they are done: a little SGD, then preconditioned L-BFGS on all rows.

Glue between sgd.py (the stochastic phase), curvature.py, preconditioning.py, lbfgs.py and
certificate.py; no arithmetic over rows is here. Called by fitting.py.
"""

from dataclasses import dataclass, replace
from time import perf_counter

import numpy as np

from ..problem.rows import SparseRows
from .blas import one_blas_thread
from .certificate import GapEstimate, profiled_bound
from .curvature import Subsample, learning_rate_for, square_gradient
from .history import Epoch, History
from .lbfgs import minimize
from .preconditioning import FullHessian, preconditioner_for
from .sgd import train

__all__ = ["Descent", "Outcome", "descend", "form_and_rows", "solve"]

#: Epochs of the stochastic phase. From 1 to 5 of them, these left the fewest passes in all on the
#: benchmark sets: 14 to be within 1e-4 on MNIST, where one left 25 and two 24.
STOCHASTIC_EPOCHS = 4

#: Times the learning rate that suits a long run: the noise that it leaves is L-BFGS's to remove.
SHORT_RUN = 2.0

#: Passes after which the model of the Hessian is formed anew, where that takes a stochastic phase's
#: place: with 4 to 12, no more passes in all than after four epochs on iris, wine, breast cancer,
#: digits and drawn sets, and a quarter of them on wine.
FIRST_PASSES = 8

#: Rows from which a learning rate is chosen.
LEARNING_RATE_ROWS = 2000

#: Relative rounding error of an objective, in units of the last place.
ROUNDING_ERRORS = 8


@dataclass(frozen=True)
class Outcome:
    """How a solve ended.

    Parameters
    ----------
    objective : float
    suboptimality : float ≥ 0
        Estimate of how far the objective is above its minimum.
    suboptimality_bound : float ≥ 0
        What it is above it at most: never more than the objective, as the loss is not negative.
    converged : bool
        Whether the estimate, or the bound, came to ``tol``.
    reason : {"stopped", "max_iter", "rounding"}
        "rounding": the objective falls no more in the precision that is computed in.
    n_passes : int
        Evaluations of the objective over all rows by L-BFGS.
    """

    objective: float
    suboptimality: float
    suboptimality_bound: float
    converged: bool
    reason: str
    n_passes: int


def descend(
    problem, state, plan, random_state, n_epochs_done=0, on_epoch=None, validation=None, revise=True
):
    """:func:`sgd.train`, with a learning rate from the data where the plan has none.

    After the first epoch it is known how far the probabilities are from the labels, and with that
    the noise of the gradients: the rate is chosen again then.

    Parameters
    ----------
    problem, state, plan, random_state, n_epochs_done, on_epoch, validation
        As in :func:`sgd.train`; a learning rate of None is chosen here.
    revise : bool
        False keeps to the first choice.

    Returns
    -------
    history : history.History
    plan : sgd.Plan
        With the learning rate of the first epoch.
    """
    if plan.learning_rate is not None:
        history = train(problem, state, plan, random_state, n_epochs_done, on_epoch, validation)
        return history, plan
    subsample = Subsample.of(problem, LEARNING_RATE_ROWS, problem.dtype, random_state)
    rates = _Rates(problem, subsample, plan)
    plan = replace(plan, learning_rate=rates.first())
    revised = rates.revised if revise and plan.update != "adagrad" else None
    history = train(
        problem, state, plan, random_state, n_epochs_done, on_epoch, validation, revised
    )
    return history, plan


class _Rates:
    """Learning rates for a plan, before the first epoch and after it, times a factor."""

    def __init__(self, problem, subsample, plan, factor=1.0):
        self._problem = problem
        self._subsample = subsample
        self._plan = plan
        self._factor = factor

    def first(self):
        return self._chosen(None)

    def revised(self, state):
        square = square_gradient(self._problem, self._subsample, state.coef, state.intercept)
        return self._chosen(square)

    def _chosen(self, square):
        problem, plan = self._problem, self._plan
        momentum = plan.momentum if plan.update in ("momentum", "nesterov") else 0.0
        return self._factor * learning_rate_for(
            self._subsample,
            problem.loss,
            problem.alpha,
            momentum,
            plan.batch_size,
            plan.update,
            square,
        )


@one_blas_thread()
def solve(
    problem,
    state,
    plan,
    random_state,
    tol,
    max_iter,
    stochastic=True,
    on_epoch=None,
    validation=None,
    reforms=False,
):
    """Minimise the objective over all rows, updating ``state`` in place.

    Ctrl-C ends it as it ends :func:`sgd.train`, with the last iterate.

    Parameters
    ----------
    problem : objective.Problem
    state : objective.State
    plan : sgd.Plan
        Of the stochastic phase, whose length and schedule are set here; a learning rate of None is
        chosen from the data.
    random_state : numpy.random.RandomState
    tol : float ≥ 0, callable or None
        Stop where the estimate of the suboptimality is no more, in units of mean cross-entropy. A
        callable gives that number for the penalty at an iterate.
    max_iter : int ≥ 0
        Iterations, the stochastic epochs included. 0 only looks at where the state is.
    stochastic : bool
        False leaves the stochastic phase out, as a ``max_iter`` does that it would use up.
    on_epoch, validation
        As in :func:`sgd.train`; an iteration of L-BFGS counts as an epoch of learning rate 1.
    reforms : bool
        Whether the model of the Hessian is formed anew after the first passes.

    Returns
    -------
    history : history.History
    outcome : Outcome or None
        None where the stochastic phase was ended from outside.
    plan : sgd.Plan
        With the learning rate of the stochastic phase.
    """
    history = History()
    if max_iter == 0:
        return history, _outcome_at(problem, state, tol), plan
    form, subsample = form_and_rows(problem, len(state.coef), random_state)
    if stochastic and max_iter > STOCHASTIC_EPOCHS:
        rates = _Rates(problem, subsample, plan, SHORT_RUN) if plan.learning_rate is None else None
        plan = replace(plan, schedule="linear", n_epochs=STOCHASTIC_EPOCHS, tol=None)
        if rates is not None:
            plan = replace(plan, learning_rate=rates.first())
        revised = None if rates is None else rates.revised
        ended = _Ended(on_epoch)
        history = train(problem, state, plan, random_state, 0, ended, validation, revised)
        if ended.by_user or history.interrupted:
            return history, None, plan

    descent = Descent(problem, state, history, tol, max_iter, on_epoch, validation)
    try:
        model = form(subsample, problem, state.coef, state.intercept)
        start = np.hstack([state.coef, state.intercept[:, None]]).astype(np.float64)
        iterate, reason, _ = descent.run(start, model, most=FIRST_PASSES if reforms else None)
        n_passes = iterate.n_evaluations
        if reason == "max_iter" and len(history.epochs) < max_iter:
            parameters = iterate.parameters
            model = form(subsample, problem, parameters[:, :-1], parameters[:, -1])
            iterate, reason, _ = descent.run(parameters, model)
            n_passes += iterate.n_evaluations
        coef, intercept = iterate.parameters[:, :-1], iterate.parameters[:, -1]
        known = iterate.value, iterate.gradient[:, :-1], iterate.gradient[:, -1]
        intercept, objective, bound = profiled_bound(problem, coef, intercept, known)
        state.coef[:], state.intercept[:] = coef, intercept
    except KeyboardInterrupt:
        if not history.epochs:
            raise
        descent.return_to_noted()
        history.interrupted = True
        return history, None, plan
    gained = max(0.0, iterate.value - objective)
    # The loss is not negative: the objective itself is a bound, and the only one where squares of
    # the gradient overflow.
    bound = min(bound, objective) if np.isfinite(objective) else np.inf
    least = least_gap(problem, objective)
    bound = max(bound, least)
    suboptimality = float(np.clip(descent.estimate.value - gained, least, bound))
    if np.isnan(suboptimality):
        suboptimality = bound
    allowed = _allowed(tol, problem, coef)
    converged = allowed is not None and suboptimality <= allowed
    if not converged and reason == "stopped" and not descent.by_user:
        reason = "max_iter" if len(history.epochs) == max_iter else "rounding"
    outcome = Outcome(
        objective=objective,
        suboptimality=suboptimality,
        suboptimality_bound=bound,
        converged=converged,
        reason=reason,
        n_passes=n_passes,
    )
    return history, outcome, plan


def _outcome_at(problem, state, tol):
    """Of a solve that does nothing; the bound is the only estimate there is."""
    coef, intercept = (array.astype(np.float64) for array in (state.coef, state.intercept))
    known = problem.loss_gradient(coef, intercept)
    _, best, bound = profiled_bound(problem, coef, intercept, known)
    bound = max(bound + known[0] - best, least_gap(problem, known[0]))
    allowed = _allowed(tol, problem, coef)
    return Outcome(
        objective=known[0],
        suboptimality=bound,
        suboptimality_bound=bound,
        converged=allowed is not None and bound <= allowed,
        reason="max_iter",
        n_passes=1,
    )


def form_and_rows(problem, n_rows, random_state):
    """What form the model of the Hessian is to have for coef of n_rows, and its Subsample."""
    form, n_drawn = preconditioner_for(
        n_rows, problem.X.shape[1], len(problem.rows), isinstance(problem.X, SparseRows)
    )
    by_norm = form is FullHessian
    return form, Subsample.of(problem, n_drawn, problem.dtype, random_state, by_norm)


def least_gap(problem, objective):
    """A suboptimality that drowns in the rounding errors of the objective."""
    return 0.1 * float(np.finfo(problem.dtype).eps) * abs(objective)


def _allowed(tol, problem, coef):
    """The suboptimality that ``tol`` allows at these coefficients, or None."""
    return tol(problem.penalty(coef)) if callable(tol) else tol


class _Ended:
    """Asks ``on_epoch`` and remembers whether it ended the stochastic phase."""

    def __init__(self, on_epoch):
        self._on_epoch = on_epoch
        self.by_user = False

    def __call__(self, history, state, is_last):
        if self._on_epoch is not None:
            self.by_user = bool(self._on_epoch(history, state, False))
        return is_last or self.by_user


class Descent:
    """L-BFGS seen from the problem: its function, and what is noted at each iterate."""

    def __init__(self, problem, state, history, tol, max_iter, on_epoch, validation):
        self._problem = problem
        self._state = state
        self._history = history
        self._tol = tol
        self._max_iter = max_iter
        self._on_epoch = on_epoch
        self._validation = validation
        self._time = perf_counter()
        self._noted = None
        self.by_user = False
        self.estimate = GapEstimate()

    def run(self, start, model, pairs=(), most=None):
        """Minimise from these parameters with this model; see :func:`lbfgs.minimize`.

        At most so many iterations where ``most`` says so; "max_iter" is then the reason too.
        """
        dtype = self._problem.dtype
        left = self._max_iter - len(self._history.epochs)
        iterate, reason, pairs = minimize(
            self.function,
            start,
            model.apply,
            ROUNDING_ERRORS * np.finfo(dtype).eps,
            left if most is None else min(left, most),
            self.on_iterate,
            pairs,
            dtype,
        )
        if not self._history.epochs:  # the start was the end
            self.note(iterate, is_last=True)
        return iterate, reason, pairs

    def function(self, parameters):
        """Objective and gradient of coef with the intercept as their last column."""
        value, coef, intercept = self._problem.loss_gradient(parameters[:, :-1], parameters[:, -1])
        return value, np.hstack([coef, intercept[:, None]])

    def on_iterate(self, iterate):
        """Note an iterate; True where it is good enough, or the user has had enough."""
        self.estimate.update(iterate.value, iterate.decrement)
        allowed = self.allowed(iterate)
        stop = allowed is not None and self.estimate.highest <= allowed
        if iterate.n_evaluations == 1:
            return stop  # no step of this phase yet
        return self.note(iterate, stop)

    def allowed(self, iterate):
        """The suboptimality to stop at here, or None."""
        allowed = _allowed(self._tol, self._problem, iterate.parameters[:, :-1])
        if allowed is None or callable(self._tol):
            return allowed
        # Nothing below the rounding errors of the objective can be said of it. Coefficients still
        # get better there.
        return max(allowed, least_gap(self._problem, iterate.value))

    def note(self, iterate, is_last):
        """Write the iterate to the state and the history; True to stop."""
        self._noted = iterate
        self._write(iterate)
        self._history.epochs.append(self._epoch(iterate))
        is_last = is_last or len(self._history.epochs) == self._max_iter
        if self._on_epoch is not None:
            asked = bool(self._on_epoch(self._history, self._state, is_last))
            self.by_user, is_last = asked and not is_last, asked
        self._time = perf_counter()
        return is_last

    def return_to_noted(self):
        """Where Ctrl-C came between two assignments: the state is the last one noted again."""
        if self._noted is not None:
            self._write(self._noted)

    def _write(self, iterate):
        coef, intercept = self._state.coef, self._state.intercept
        coef[:], intercept[:] = iterate.parameters[:, :-1], iterate.parameters[:, -1]

    def _epoch(self, iterate):
        seconds = perf_counter() - self._time
        score = np.nan if self._validation is None else self._validation.score(self._state)
        return Epoch(
            objective=iterate.value,
            loss=iterate.value - self._problem.penalty(iterate.parameters[:, :-1]),
            learning_rate=1.0,
            seconds=seconds,
            gradient_norm=float(np.linalg.norm(iterate.gradient)),
            validation_score=score,
        )

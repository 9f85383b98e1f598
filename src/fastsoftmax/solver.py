"""The solvers that know when they are done: a little SGD, then preconditioned L-BFGS on all rows.

Glue between training.py (the stochastic phase), curvature.py, preconditioning.py, lbfgs.py and
certificate.py; no arithmetic over rows is here. Called by estimator.py.
"""

from dataclasses import dataclass, replace

import numpy as np
from threadpoolctl import threadpool_limits

from .certificate import GapEstimate, profiled_bound
from .curvature import Subsample, learning_rate_for
from .lbfgs import minimize
from .preconditioning import FullHessian, preconditioner_for
from .sparse import SparseRows
from .training import Plan, train

__all__ = ["Outcome", "solve", "stochastic_plan"]

#: Epochs of the stochastic phase. One or two bring the probabilities, on which the Hessian rests,
#: near enough; each further one costs as much as the pass of L-BFGS that it saves.
STOCHASTIC_EPOCHS = 2


@dataclass
class Outcome:
    """How a solve ended.

    Parameters
    ----------
    objective : float
    suboptimality : float ≥ 0
        Estimate of how far the objective is above its minimum.
    suboptimality_bound : float
        What it is above it at most; infinite where nothing can be promised.
    converged : bool
        Whether the estimate came to ``tol``.
    reason : {"stopped", "max_iter", "rounding"}
    n_iter : int
        Iterations of L-BFGS.
    n_passes : int
        Evaluations of the objective over all rows.
    n_halvings : int
        Of the learning rate, in the stochastic phase.
    loss_curve : list of float
        The objective at each iterate.
    """

    objective: float
    suboptimality: float
    suboptimality_bound: float
    converged: bool
    reason: str
    n_iter: int
    n_passes: int
    n_halvings: int
    loss_curve: list


def stochastic_plan(learning_rate=None, momentum=0.9, batch_size=128):
    """The plan of the stochastic phase; the rate is set by :func:`solve` where it is None."""
    return Plan(
        learning_rate=learning_rate,
        schedule="linear",
        momentum=momentum,
        batch_size=batch_size,
        n_epochs=STOCHASTIC_EPOCHS,
        tol=None,
    )


# BLAS keeps to one thread: its pool spins on the cores that the kernels' threads need, and on a
# busy machine its eigenvalue routines take ten times as long with two threads as with one.
@threadpool_limits.wrap(limits=1, user_api="blas")
def solve(problem, state, random_state, tol, max_iter, plan=None, on_epoch=None):
    """Minimise the objective over all rows, updating ``state`` in place.

    Parameters
    ----------
    problem : training.Problem
    state : training.State
    random_state : numpy.random.RandomState
    tol : float ≥ 0
        Stop where the estimate of the suboptimality is no more, in units of mean cross-entropy.
    max_iter : int ≥ 1
        Iterations of L-BFGS.
    plan : training.Plan or None
        Of the stochastic phase, with a learning rate of None for one from the data; None leaves
        that phase out.
    on_epoch : callable or None
        As in :func:`training.train`; an iteration counts as an epoch, of learning rate 1.

    Returns
    -------
    outcome : Outcome
    """
    dtype = state.coef.dtype
    form, n_drawn = preconditioner_for(
        *state.coef.shape, len(problem.rows), isinstance(problem.X, SparseRows)
    )
    subsample = Subsample.of(problem, n_drawn, dtype, random_state, by_norm=form is FullHessian)
    n_epochs = n_halvings = 0
    if plan is not None:
        if plan.learning_rate is None:
            rate = learning_rate_for(
                subsample, problem.loss, problem.alpha, plan.momentum, plan.batch_size
            )
            plan = replace(plan, learning_rate=rate)
        history = train(problem, state, plan, random_state, 0, on_epoch)
        n_epochs, n_halvings = len(history.loss_curve), history.n_halvings
    model = form(subsample, problem, state.coef, state.intercept)

    def function(parameters):
        value, coef, intercept = problem.loss_gradient(parameters[:, :-1], parameters[:, -1])
        return value, np.hstack([coef, intercept[:, None]])

    estimate, curve = GapEstimate(), []

    def on_iterate(iterate):
        before = estimate.value
        curve.append(iterate.value)
        now = estimate.update(iterate.value, iterate.decrement)
        if on_epoch is not None:
            on_epoch(n_epochs + len(curve), iterate.value, 1.0)
        return max(before, now) <= tol  # twice running: one estimate may be low by chance

    start = np.hstack([state.coef, state.intercept[:, None]]).astype(np.float64)
    iterate, reason = minimize(
        function, start, model.apply, 8 * np.finfo(dtype).eps, max_iter, on_iterate
    )
    coef, intercept = iterate.parameters[:, :-1], iterate.parameters[:, -1]
    intercept, objective, bound = profiled_bound(problem, coef, intercept)
    state.coef[:], state.intercept[:] = coef, intercept
    suboptimality = max(0.0, estimate.value - (iterate.value - objective))
    return Outcome(
        objective=objective,
        suboptimality=min(suboptimality, bound),
        suboptimality_bound=bound,
        converged=bool(reason == "stopped" or min(suboptimality, bound) <= tol),
        reason=reason,
        n_iter=len(curve) - 1,
        n_passes=iterate.n_evaluations,
        n_halvings=n_halvings,
        loss_curve=curve,
    )

"""The regularisation path: one problem's minima for one strength of the penalty after another.

Each minimum starts where the last one is. The factor of the curvature over features, which costs as
much as several passes over the rows, is made once and serves all; and L-BFGS goes on with the steps
that it remembers. Called by folds.py.
"""

from dataclasses import dataclass, replace

import numpy as np

from ..problem.objective import State
from .blas import one_blas_thread
from .history import History
from .preconditioning import FullHessian
from .solver import Descent, form_and_rows

__all__ = ["Minimum", "Path"]

#: Evaluations of one minimum above which a whole Hessian is formed anew for the next: it knows the
#: curvature of where it was formed alone, and costs a few passes.
MOST_WITH_ONE_HESSIAN = 10


@dataclass(frozen=True)
class Minimum:
    """Where one strength of the penalty led.

    Parameters
    ----------
    state : objective.State
    n_iter : int
        Evaluations of the objective over all rows.
    suboptimality : float
        An estimate.
    converged : bool
        Whether it came to ``tol``, or as near as rounding errors allow.
    """

    state: State
    n_iter: int
    suboptimality: float
    converged: bool


class Path:
    """Goes from minimum to minimum, best from strong penalties to weak ones.

    Parameters
    ----------
    problem : objective.Problem
        Its alpha is of no account.
    n_rows : int
        Of coef.
    random_state : numpy.random.RandomState
    tol : float ≥ 0, callable or None
        As in :func:`solver.solve`.
    max_iter : int ≥ 1
        Evaluations for each minimum.
    intercept : float64 ndarray of shape (n_rows,) or None
        Where the intercept starts; None for 0.

    Attributes
    ----------
    tol : float ≥ 0, callable or None
        That of the minima to come.
    n_factors : int
        Factors of the curvature made so far.
    """

    def __init__(self, problem, n_rows, random_state, tol, max_iter, intercept=None):
        self._problem = problem
        self.tol = tol
        self._max_iter = max_iter
        self._form, self._subsample = form_and_rows(problem, n_rows, random_state)
        self._parameters = np.zeros((n_rows, problem.X.shape[1] + 1))
        if intercept is not None:
            self._parameters[:, -1] = intercept
        self._model = None
        self._pairs = []
        self._n_iter = 0
        self.n_factors = 0

    @one_blas_thread()
    def minimum(self, alpha):
        """Go on to the minimum for this strength of the penalty.

        Parameters
        ----------
        alpha : float ≥ 0

        Returns
        -------
        minimum : Minimum
        """
        more = alpha - self._problem.alpha
        self._problem = problem = replace(self._problem, alpha=alpha)
        coef, intercept = self._parameters[:, :-1], self._parameters[:, -1]
        self._make_model(coef, intercept)
        state = State.drawn(coef.shape, problem.dtype, 0, None)
        descent = Descent(problem, state, History(), self.tol, self._max_iter, None, None)
        pairs = [_under(step, change, more) for step, change in self._pairs]
        iterate, reason, self._pairs = descent.run(self._parameters, self._model, pairs)
        self._parameters = iterate.parameters
        self._n_iter = iterate.n_evaluations
        suboptimality = descent.estimate.value
        allowed = descent.allowed(iterate)
        converged = reason == "rounding" or allowed is None or suboptimality <= allowed
        return Minimum(state, iterate.n_evaluations, suboptimality, converged)

    def _make_model(self, coef, intercept):
        stale = self._form is FullHessian and self._n_iter > MOST_WITH_ONE_HESSIAN
        if self._model is None or stale:
            self._model = self._form(self._subsample, self._problem, coef, intercept)
            self.n_factors += 1
        else:
            self._model.move(self._problem, coef, intercept)


def _under(step, change, more):
    """A step and its change of gradient, for a penalty that is stronger by ``more``."""
    change = change.copy()
    change[:, :-1] += more * step[:, :-1]
    return step, change

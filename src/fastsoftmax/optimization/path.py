"""The regularisation path: one problem's minima for one strength of the penalty after another.

Each minimum starts where the last one is. The factor of the curvature over features, which costs as
much as several passes over the rows, is made once and serves all; and L-BFGS goes on with the steps
that it remembers. Sparse rows go by dual coordinate ascent as long as the penalty is strong enough.
Called by folds.py.
"""

from dataclasses import dataclass

import numpy as np

from ..problem.objective import State
from .blas import one_blas_thread
from .dual import DualAscent, ascend, least_alpha
from .history import History
from .newton import SmallProblem, is_small
from .preconditioning import FullHessian
from .restricted import Restricted
from .solver import Descent, Notes, form_and_rows
from .span import Span, is_wide
from .tolerance import least_gap

__all__ = ["Minimum", "Path"]

#: Entries of a Hessian times rows from which its step takes longer than what is around it.
LONG_PRODUCTS = 10_000_000

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
    problem : objective.Problem or streamed.OfBlocks
        Its alpha is of no account.
    n_rows : int
        Of coef.
    random_state : numpy.random.RandomState
    tolerance : tolerance.Tolerance
        As in :func:`solver.solve`.
    max_iter : int ≥ 1
        Evaluations for each minimum.
    intercept : float64 ndarray of shape (n_rows,) or None
        Where the intercept starts; None for 0.

    Attributes
    ----------
    tolerance : tolerance.Tolerance
        That of the minima to come.
    n_factors : int
        Factors of the curvature made so far.
    """

    def __init__(self, problem, n_rows, random_state, tolerance, max_iter, intercept=None):
        n_samples, n_features = problem.n_used, problem.n_features
        self._shape, self._dtype = (n_rows, n_features), problem.dtype
        self._problem = problem
        self.tolerance = tolerance
        self._max_iter = max_iter
        self._random_state = random_state
        self._parameters = np.zeros((n_rows, n_features + 1))
        if intercept is not None:
            self._parameters[:, -1] = intercept
        self._span = self._small = self._dual = self._model = None
        is_sparse = problem.is_held and problem.is_sparse
        self._may_go_by_dual = is_sparse and not is_small(
            n_samples, n_features, n_rows, problem.loss
        )
        if self._may_go_by_dual:
            self._least_for_dual = least_alpha(problem)
        else:
            self._prepare()
        self._pairs = []
        self._n_iter = 0
        self.n_factors = 0

    @property
    def has_long_calls(self):
        """Whether nearly all of its time goes to calls of a kernel that runs on one thread."""
        return self._small is not None and self._small.n_products >= LONG_PRODUCTS

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
        if self._may_go_by_dual:
            if alpha >= self._least_for_dual and not self.tolerance.is_none:
                minimum = self._dual_minimum(alpha)
                if minimum is not None:
                    return minimum
            self._leave_dual()
        if self._small is not None:
            return self._small_minimum(alpha)
        more = alpha - self._problem.alpha
        self._problem = problem = self._problem.under(alpha)
        coef, intercept = self._parameters[:, :-1], self._parameters[:, -1]
        self._make_model(coef, intercept)
        notes = Notes(None, History(), self.tolerance, self._max_iter)
        restricted = Restricted.of(problem, len(coef), self._subsample)
        descent = Descent(problem, notes, self._random_state, restricted)
        pairs = [_under(step, change, more) for step, change in self._pairs]
        iterate, reason, self._pairs = descent.run(
            self._parameters, self._model, self._max_iter, pairs
        )
        self._parameters = iterate.parameters
        self._n_iter = iterate.n_evaluations
        suboptimality, is_known = descent.suboptimality(iterate)
        allowed = descent.allowed(iterate)
        is_near = allowed is None or (is_known and suboptimality <= allowed)
        converged = reason == "rounding" or is_near
        return Minimum(self._state(), iterate.n_evaluations, suboptimality, converged)

    def _dual_minimum(self, alpha):
        """By dual coordinate ascent; None where another method is to go on."""
        self._problem = problem = self._problem.under(alpha)
        if self._dual is None:
            parameters = self._parameters.astype(self._dtype)
            self._dual = DualAscent(problem, len(parameters), self._random_state)
            self._dual.begin(np.ascontiguousarray(parameters[:, :-1]), parameters[:, -1])
        else:
            self._dual.under(alpha)
        notes = Notes(None, History(), self.tolerance, self._max_iter)
        proof, _ = ascend(self._dual, notes)
        if proof is None:
            return None
        state = State.drawn(self._shape, self._dtype, 0, None)
        self._dual.write_proved(state)
        allowed = self.tolerance.allowed(proof.objective, proof.penalty, self._dtype)
        return Minimum(state, notes.n_done, proof.gap, proof.gap <= allowed)

    def _leave_dual(self):
        """Go on from where the dual has come to, by other methods, whatever is to come."""
        self._may_go_by_dual = False
        if self._dual is not None:
            state = State.drawn(self._shape, self._dtype, 0, None)
            self._dual.write(state)
            if state.is_finite():
                self._parameters[:, :-1], self._parameters[:, -1] = state.coef, state.intercept
            self._dual = None
        self._prepare()

    def _prepare(self):
        """What the other methods need."""
        problem, n_rows = self._problem, len(self._parameters)
        # Those of the path's weakest penalties may need what the rows' inner products leave out.
        if problem.is_held and is_wide(problem.n_used, problem.n_features):
            self._span = Span(problem, by_gram=False)
            coef, intercept = self._parameters[:, :-1], self._parameters[:, -1]
            inner = self._span.state_of(State.at(coef, intercept))
            self._parameters = np.hstack([inner.coef, inner.intercept[:, None]])
            self._problem = problem = self._span.problem
        self._small = SmallProblem.of(problem, n_rows) if problem.is_held else None
        if self._small is None:
            self._form, self._subsample = form_and_rows(problem, n_rows, self._random_state)

    def _small_minimum(self, alpha):
        small, parameters = self._small, self._parameters
        start = small.start(parameters[:, :-1], parameters[:, -1])
        stand, reason, n_steps = small.minimize(
            start, alpha, self.tolerance, self._max_iter, lambda stand, is_last: False
        )
        parameters[:, :-1], parameters[:, -1] = small.parameters(stand.theta)
        suboptimality = max(0.5 * stand.decrement, least_gap(np.float64, stand.value))
        allowed = self.tolerance.allowed(stand.value, stand.penalty, np.float64)
        converged = reason != "max_iter" or allowed is None or suboptimality <= allowed
        return Minimum(self._state(), n_steps, suboptimality, converged)

    def _state(self):
        """The parameters as those of the problem that was given."""
        state = State.drawn(self._shape, self._dtype, 0, None)
        coef, intercept = self._parameters[:, :-1], self._parameters[:, -1]
        if self._span is not None:
            self._span.write(State.at(np.ascontiguousarray(coef), intercept), state)
        else:
            state.coef[:], state.intercept[:] = coef, intercept
        return state

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

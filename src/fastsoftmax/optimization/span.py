"""Fewer rows than features: the same problem in at most as many unknowns a class as there are rows.

The minimiser lies in the span of the rows, as any part of coef outside it costs penalty and changes
no prediction. In an orthonormal basis Q of the span, rows are C Q, coef is V Qᵀ and ‖V‖ = ‖coef‖:
the problem in V is of the same form, with the same minimum. Called by solver.py and path.py.
"""

from dataclasses import replace

import numpy as np
from scipy.linalg import qr, solve_triangular
from scipy.linalg.blas import dsyrk
from scipy.linalg.lapack import dpstrf

from ..problem.objective import State
from .curvature import probabilities, shares
from .newton import targets_of, values_of

__all__ = ["Span", "is_wide"]

#: Rows and values up to which the span is found: the latter are a copy of X in float64.
MOST_ROWS = 2000
MOST_VALUES = 20_000_000

EPSILON = float(np.finfo(np.float64).eps)


def is_wide(n_samples, n_features):
    """Whether a problem has so many features beside its rows that it is solved in their span."""
    return (
        n_samples < n_features and n_samples <= MOST_ROWS and n_samples * n_features <= MOST_VALUES
    )


class Span:
    """An orthonormal basis of a problem's rows, about their mean where there is an intercept.

    Parameters
    ----------
    problem : objective.Problem
    by_gram : bool
        Whether the basis is of a pivoted Cholesky factor of the rows' inner products, which costs a
        quarter of an orthogonal factor of the rows, and leaves out what is below 1e-7 of the rest:
        see :meth:`proved`. There has to be a penalty.
    is_free : bool
        Whether there is none, so that features may be brought to one size.

    Attributes
    ----------
    problem : objective.Problem
        In the basis; float64.
    """

    def __init__(self, problem, by_gram, is_free=False):
        values = values_of(problem)
        weight = problem.sample_weight
        weight = None if weight is None else weight[problem.rows].astype(np.float64)
        self._shift = np.zeros(values.shape[1])
        if problem.fit_intercept:
            self._shift = np.average(values, axis=0, weights=weight)
            values = values - self._shift
        self._values = values
        self._norms = np.sqrt(np.einsum("ij,ij->i", values, values))
        self._gram = self._factor = self._size = None
        reduced = self._by_gram() if by_gram else self._by_rows(is_free)
        self.problem = replace(
            problem,
            X=reduced,
            rows=np.arange(len(reduced)),
            y_true=problem.y_true[problem.rows],
            sample_weight=weight,
            shift=None,
            inverse_scale=None,
            dtype=np.dtype(np.float64),
        )

    def _by_gram(self):
        upper = dsyrk(1.0, self._values.T, trans=1)
        self._gram = upper + np.triu(upper, 1).T
        factor, pivot, rank, _ = dpstrf(upper)
        rank, pivot = max(rank, 1), pivot - 1  # of equal rows one column is left, of zeros
        factor = np.triu(factor)[:rank].T
        self._basis = self._values[pivot[:rank]]  # times the factor's inverse
        self._factor = factor[:rank] if factor[0, 0] > 0 else np.ones((1, 1))
        reduced = np.empty((len(self._values), rank))
        reduced[pivot] = factor
        return reduced

    def _by_rows(self, is_free):
        """An orthogonal factor, each feature to its own rounding: the largest come first.

        Without a penalty all are brought to one size before. What is left out is the rounding.
        """
        values, size = self._values, np.abs(self._values).max(axis=0)
        order = np.argsort(-size, kind="stable")
        if is_free:
            self._size = np.where(size > 0, size, 1.0)
            values = values / self._size
        basis, factor, pivot = qr(
            values[:, order].T, mode="economic", pivoting=True, overwrite_a=True, check_finite=False
        )
        diagonal = np.abs(np.diagonal(factor))
        rank = max(1, np.count_nonzero(diagonal > max(values.shape) * EPSILON * diagonal[0]))
        self._basis = np.empty((rank, values.shape[1]))
        self._basis[:, order] = basis[:, :rank].T
        reduced = np.empty((len(values), rank))
        reduced[pivot] = factor[:rank].T
        return reduced

    def proved(self, state):
        """What a State that was written says of the minimum, beyond what it says in the basis.

        Returns
        -------
        objective : float
            Of ``state``: rounding has made it another than in the basis.
        left_out : float ≥ 0
            What the minimum may lie below that within the basis, at most. The lower bound that
            probabilities give on the minimum (newton.SmallProblem.bound) has the rows' inner
            products for penalty; those in the basis are smaller, or off by their rounding.
        """
        problem, coef = self.problem, state.coef.astype(np.float64)
        intercept = state.intercept + coef @ self._shift
        whole = replace(problem, X=self._values)
        there = whole.objective(State.at(coef, intercept), whole.rows)
        if problem.alpha == 0:
            return there, 0.0
        weight = shares(problem, problem.rows)[:, None]
        miss = probabilities(whole, self._values, coef, intercept)
        miss = weight * (miss - targets_of(problem, len(coef)).T)
        error = len(miss) * EPSILON * (np.abs(miss) * self._norms[:, None]).sum(axis=0)
        within = np.square(problem.X.T @ miss).sum(axis=0)
        more = 2 * error * np.sqrt(within) + np.square(error)
        if self._gram is not None:
            more = np.maximum((miss * (self._gram @ miss)).sum(axis=0) - within, 0)
            more += error * (np.abs(miss) * self._norms[:, None]).sum(axis=0)
        return there, float(more.sum()) / (2 * problem.alpha)

    # --- Parameters -------------------------------------------------------------------------------

    def state_of(self, state):
        """The State of ``problem`` that predicts as a State of the problem that it is made of."""
        coef = state.coef.astype(np.float64)
        inner = State.drawn((len(coef), self.problem.X.shape[1]), np.dtype(np.float64), 0, None)
        inner.intercept[:] = state.intercept + coef @ self._shift
        if coef.any():
            within = (coef if self._size is None else coef * self._size) @ self._basis.T
            if self._factor is not None:
                within = solve_triangular(self._factor, within.T, lower=True).T
            inner.coef[:, : within.shape[1]] = within
        return inner

    def write(self, inner, state):
        """The way back, into ``state``."""
        within = inner.coef
        if self._factor is not None:
            within = within[:, : len(self._factor)]
            within = solve_triangular(self._factor, within.T, lower=True, trans="T").T
        coef = within @ self._basis
        if self._size is not None:
            coef /= self._size
        state.coef[:] = coef
        state.intercept[:] = inner.intercept - coef @ self._shift

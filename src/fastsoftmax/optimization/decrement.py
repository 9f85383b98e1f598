"""How far the minimum is, asked of the Hessian itself: conjugate gradients on a sample of the rows.

½ gᵀ H⁻¹ g is what the objective can still fall, near its minimum. g is of all rows. H is that of a
sample in which every class is well represented; it is only ever multiplied with, and so holds
nothing that a model of it has left out or frozen. A model serves as a preconditioner, but doesn't
say when to stop: that is what the residual may still add, no curvature being below alpha. Called by
solver.py.
"""

from dataclasses import dataclass

import numpy as np
from scipy.sparse import issparse

from .. import kernels
from ..problem.statistics import squares
from .curvature import drawn, probabilities, shares, staged

__all__ = ["Decrement", "Sample"]

#: Rows of a sample, at least, and as a share of all.
FEWEST_ROWS = 2000
SHARE_OF_ROWS = 0.05


#: Times as many rows in a larger one.
GROWTH = 4

#: Multiply-adds of a pass up to which all rows are in it.
FEWEST_PRODUCTS = 3_000_000

#: Rows squared at once.
BLOCK_ROWS = 1024

#: Values staged, at most.
MOST_VALUES = 20_000_000

#: Products with the Hessian: as many as multiply so many numbers in all, but within these limits.
MOST_PRODUCTS = 200_000_000
FEWEST_STEPS = 60
MOST_STEPS = 600

#: It ends where the residual could add no more than this share of what was found.
RESIDUAL = 0.2

#: Where that is not proved, what the second half of the steps has found of it at most. Three drawn
#: fits whose answer was a tenth of the truth or less had found a fifth to two fifths of it there.
SETTLED = 0.05


@dataclass(frozen=True)
class Decrement:
    """What conjugate gradients found.

    Parameters
    ----------
    gap : float ≥ 0
        What the objective can still fall: half of gᵀ H⁻¹ g, and of what the residual may add.
    is_known : bool
        Whether the residual is small enough for that to be an answer.
    is_settled : bool
        Whether more steps would hardly have found more.
    direction : float64 ndarray of shape (n_rows, n_features + 1)
        H⁻¹ g, to be subtracted.
    slope : float
        gᵀ · direction.
    n_steps : int
    """

    gap: float
    is_known: bool
    is_settled: bool
    direction: np.ndarray
    slope: float
    n_steps: int


class Sample:
    """Rows that the Hessian is multiplied by.

    Parameters
    ----------
    problem : objective.Problem
    random_state : numpy.random.RandomState
    times : int
        As many rows as that times the fewest.

    Attributes
    ----------
    is_whole : bool
        Whether none was left out.
    is_largest : bool
        Whether :meth:`larger` would be no larger.
    """

    def __init__(self, problem, random_state, times=1):
        self._whole, self._random_state, self._times = problem, random_state, times
        n_drawn = times * max(FEWEST_ROWS, int(SHARE_OF_ROWS * problem.n_used))
        self._problem = problem = problem.sampled
        rows, weight = problem.rows, None
        n_classes = int(problem.y_true.max()) + 1
        if len(rows) * problem.n_features * n_classes <= FEWEST_PRODUCTS:
            n_drawn = len(rows)
        most = max(1, MOST_VALUES // max(1, problem.n_features))
        self.is_largest = n_drawn >= min(most, len(rows))
        n_drawn = min(most, n_drawn)
        self.is_whole = n_drawn >= len(rows) and self._whole.is_held
        if n_drawn < len(rows):
            codes = problem.y_true[rows]
            count = np.bincount(codes)
            chance = 0.5 / len(rows) + 0.5 / (np.count_nonzero(count) * count[codes])
            rows, weight = drawn(rows, n_drawn * chance, random_state)
        self._rows = rows
        self._weight = shares(problem, rows, weight).astype(problem.dtype)[:, None]
        self._values = None

    def larger(self):
        """Another, of several times as many rows."""
        return Sample(self._whole, self._random_state, GROWTH * self._times)

    def decrement(self, parameters, gradient, precondition):
        """What is left to fall at these parameters.

        Parameters
        ----------
        parameters, gradient : float64 ndarrays of shape (n_rows, n_features + 1)
            The intercept is the last column.
        precondition : callable
            An approximate inverse of the Hessian, times a matrix.

        Returns
        -------
        decrement : Decrement
        """
        problem = self._problem
        if self._values is None:
            self._values = staged(problem, self._rows, problem.dtype)
        self._probability = probabilities(
            problem, self._values, parameters[:, :-1], parameters[:, -1]
        )
        self._by_class = None  # for the kernel; once, not in each product
        if not issparse(self._values):
            self._by_class = np.ascontiguousarray(self._probability.T)
        curvature = self._diagonal()
        with np.errstate(all="ignore"):
            return self._solve(gradient, precondition, curvature)

    def _solve(self, gradient, precondition, curvature):
        residual, direction = self._without_common(gradient.copy()), np.zeros_like(gradient)
        search = self._without_common(precondition(residual))
        product = float(np.vdot(residual, search))
        left, slope, slopes, is_known = 0.0, 0.0, [0.0], product == 0
        more = MOST_PRODUCTS // (len(gradient) * self._values.size + 1)
        most = max(FEWEST_STEPS, min(more, MOST_STEPS))
        while len(slopes) <= most and product > 0:
            changed = self._product(search)
            bend = float(np.vdot(search, changed))
            if not bend > 0:
                break
            length = product / bend
            direction += length * search
            residual -= length * changed
            slope += length * product
            slopes.append(slope)
            scaled = self._without_common(precondition(residual))
            before, product = product, float(np.vdot(residual, scaled))
            left = self._most_left(residual, curvature)
            is_known = left <= RESIDUAL * slope
            if is_known:
                break
            search = scaled + (product / before) * search
        is_settled = is_known or slope - slopes[len(slopes) // 2] <= SETTLED * slope
        if not is_known:  # nothing is proved; do the model and each coefficient's curvature agree?
            left = max(product, float((np.square(residual) / curvature).sum()))
            is_known = is_settled and left <= RESIDUAL * slope
        gap = 0.5 * (slope + left)
        if not np.isfinite(gap):
            gap, is_known = np.inf, False
        return Decrement(gap, bool(is_known), is_settled, direction, slope, len(slopes) - 1)

    def _without_common(self, vector):
        """Without what all classes have in common: no softmax sees it, it is rounding errors."""
        return vector - vector.mean(axis=0) if self._problem.loss == "softmax" else vector

    def _most_left(self, residual, curvature):
        """What a residual r can add to gᵀ H⁻¹ g at most: rᵀ H⁻¹ r, no curvature being below alpha.

        The intercept, which is hardly off, counts by its own curvature.
        """
        if self._problem.alpha == 0:
            return np.inf
        left = float(np.square(residual[:, :-1]).sum()) / self._problem.alpha
        return left + float((np.square(residual[:, -1]) / curvature[:, -1]).sum())

    def _product(self, vector):
        """The Hessian times a matrix of the parameters' shape."""
        narrow, result = vector.astype(self._values.dtype), np.empty_like(vector)
        by_rows = self._by_scipy if issparse(self._values) else self._by_kernel
        result[:, :-1], result[:, -1] = by_rows(narrow[:, :-1], narrow[:, -1])
        result[:, :-1] += self._problem.alpha * vector[:, :-1]
        return result

    def _by_kernel(self, coef, intercept):
        """That of the loss of dense rows."""
        problem, values = self._problem, self._values
        products = np.empty(coef.shape, coef.dtype), np.empty(intercept.shape, coef.dtype)
        kernels.implementation.hessian_product(
            values,
            rows=np.arange(len(values)),
            sample_weight=self._weight[:, 0],
            shift=None,
            inverse_scale=None,
            probability=self._by_class,
            coef=np.ascontiguousarray(coef),
            intercept=np.ascontiguousarray(intercept),
            coef_out=products[0],
            intercept_out=products[1],
            loss=problem.loss,
            fit_intercept=problem.fit_intercept,
            n_threads=problem.n_threads,
        )
        return products

    def _by_scipy(self, coef, intercept):
        """That of the loss of sparse rows."""
        problem, values, probability = self._problem, self._values, self._probability
        change = np.asarray(values @ coef.T) + intercept
        if problem.loss == "softmax":
            change -= (probability * change).sum(axis=1, keepdims=True)
            change *= probability
        else:
            change *= probability * (1 - probability)
        change *= self._weight
        of_intercept = change.sum(axis=0, dtype=np.float64) if problem.fit_intercept else 0
        return (values.T @ change).T, of_intercept

    def _diagonal(self):
        """Each coefficient's own curvature, positive."""
        problem, values = self._problem, self._values
        spread = self._weight * self._probability * (1 - self._probability)
        spread = spread.astype(np.float64)
        diagonal = np.full((spread.shape[1], values.shape[1] + 1), problem.alpha)
        for start in range(0, len(spread), BLOCK_ROWS):
            block = slice(start, start + BLOCK_ROWS)
            diagonal[:, :-1] += (squares(values[block]).T @ spread[block]).T
        diagonal[:, -1] = spread.sum(axis=0)
        return np.maximum(diagonal, np.finfo(np.float64).tiny)

"""How far an objective is above its minimum: an estimate to stop by, and a bound that holds.

Neither changes coefficients; the bound improves the intercept on the way. Called by solver.py.
"""

from collections import deque

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from .curvature import probabilities, staged

__all__ = ["GapEstimate", "profiled_bound"]

#: A ratio of successive decreases above this says nothing of where they end.
HIGHEST_RATIO = 0.97

#: A descent of fewer iterates than this whose decrement has not fallen to this share of its highest
#: has shown nothing of its pace. So it begins where it goes on from a minimum of another penalty.
ENOUGH_ITERATES = 10
FALLEN = 0.1

#: Rows whose probabilities are formed at once.
BLOCK_ROWS = 1024

#: Newton steps on the intercept, with one Hessian: the error is small to begin with.
INTERCEPT_STEPS = 4


class GapEstimate:
    """An estimate of the suboptimality from the decreases so far.

    Quasi-Newton descent on a smooth convex function goes down by a nearly constant factor an
    iteration over any longer stretch. Two successive stretches of w iterations with decreases of D
    and r·D leave r²·D/(1 − r) to come (Aitken's extrapolation). Single stretches are noisy, so the
    geometric mean over all w from 2 to half the iterations is taken, each at least half the Newton
    decrement in the metric of L-BFGS, which is too low where it hasn't seen the flat directions;
    and then that over the last three iterates.

    Attributes
    ----------
    value : float
        The estimate at the last iterate; infinite before the third, and before a pace has shown.
    highest : float
        The highest of the three that it is the mean of: what to stop by, since at the end of a fast
        stretch one or two may be low by chance.

    References
    ----------
    Aitken, "On Bernoulli's numerical solution of algebraic equations", Proceedings of the Royal
    Society of Edinburgh 46, 1926.
    """

    def __init__(self):
        self._curve = []
        self._highest_decrement = 0.0
        self._recent = deque([np.inf] * 3, maxlen=3)

    @property
    def value(self):
        return float(np.exp(np.log(self._recent).mean()))

    @property
    def highest(self):
        return max(self._recent)

    def update(self, value, decrement):
        """Take in the objective and decrement of the next iterate."""
        self._recent.append(self._at(value, decrement))

    def _at(self, value, decrement):
        self._curve.append(value)
        self._highest_decrement = max(self._highest_decrement, decrement)
        if decrement > FALLEN * self._highest_decrement and len(self._curve) < ENOUGH_ITERATES:
            return np.inf
        floor = max(0.5 * decrement, np.finfo(np.float64).tiny)
        gaps = self._extrapolations()
        if len(gaps):
            return float(np.exp(np.log(np.maximum(gaps, floor)).mean()))
        # Too few iterates for a rate. The first steps promise too little, hence the drop.
        drop = self._curve[-2] - value if len(self._curve) > 1 else np.inf
        return float(max(floor, drop))

    def _extrapolations(self):
        curve = np.asarray(self._curve)
        last = len(curve) - 1
        width = np.arange(2, last // 2 + 1)
        earlier = curve[last - 2 * width] - curve[last - width]
        later = curve[last - width] - curve[last]
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.minimum(later / earlier, HIGHEST_RATIO)
            gaps = later * ratio / (1 - ratio)
        return gaps[(earlier > 0) & (later > 0) & np.isfinite(gaps)]


def profiled_bound(problem, coef, intercept, known=None):
    """The intercept that is best for these coef, and what the objective is above its minimum.

    F(W) = min_b L(W, b) is alpha-strongly convex, so that F(W) − min F ≤ ‖∇F(W)‖² / (2 alpha), and
    ∇F(W) is the gradient of L in W at the best b. This is also the duality gap at the dual point
    that the probabilities make. The intercept itself isn't penalised and has no such bound: it is
    brought to its minimum by Newton steps with the exact Hessian of the intercept.

    Parameters
    ----------
    problem : objective.Problem
    coef, intercept : float64 ndarrays of shapes (n_rows, n_features) and (n_rows,)
    known : tuple or None
        What ``problem.loss_gradient`` gives there, if that is known.

    Returns
    -------
    intercept : float64 ndarray of shape (n_rows,)
    objective : float
    bound : float
        Up to rounding errors; infinite for alpha = 0.
    """
    objective, coef_gradient, intercept_gradient = known or problem.loss_gradient(coef, intercept)
    below = 0.0
    if problem.fit_intercept:
        rounding = np.finfo(problem.dtype).eps
        newton_step = _newton_steps(problem, coef, intercept)  # it hardly changes on the way
        for _ in range(INTERCEPT_STEPS):
            step = newton_step(intercept_gradient)
            below = float(intercept_gradient @ step)
            if below <= rounding * abs(objective):
                break
            moved = intercept - step
            value, gradient, slope = problem.loss_gradient(coef, moved)
            if not value <= objective + rounding * abs(objective):
                break
            intercept, objective = moved, value
            coef_gradient, intercept_gradient = gradient, slope
    if problem.alpha == 0:
        return intercept, objective, np.inf
    with np.errstate(over="ignore"):
        bound = float(np.square(coef_gradient).sum()) / (2 * problem.alpha)
    # What is left in the intercept: twice its Newton decrement is more than it can still fall.
    return intercept, objective, bound + 2 * below


def _newton_steps(problem, coef, intercept):
    """What gives the step for a gradient in the intercept, by a Hessian of float32 probabilities.

    Adding one number to all intercepts changes no softmax: any curvature will do there. A class
    that no row is in doubt of has none at all, and gets a step of its gradient's size.
    """
    hessian = _intercept_hessian(problem, coef, intercept)
    diagonal = np.diagonal(hessian)
    least = len(hessian) * np.finfo(np.float32).eps * diagonal.max()
    if problem.loss == "softmax":
        hessian += diagonal.mean() / len(hessian)
    hessian[np.diag_indices_from(hessian)] += np.maximum(least, np.finfo(np.float64).tiny)
    factor = cho_factor(hessian, lower=True, overwrite_a=True, check_finite=False)
    return lambda gradient: cho_solve(factor, gradient, check_finite=False)


def _intercept_hessian(problem, coef, intercept):
    """Mean of diag(p) − p pᵀ, or of p (1 − p) for logistic losses, over all rows."""
    n_rows = len(coef)
    hessian = np.zeros((n_rows, n_rows))
    for start in range(0, len(problem.rows), BLOCK_ROWS):
        rows = problem.rows[start : start + BLOCK_ROWS]
        weight = np.ones(len(rows))
        if problem.sample_weight is not None:
            weight = problem.sample_weight[rows].astype(np.float64)
        probability = probabilities(
            problem, staged(problem, rows, problem.dtype), coef, intercept
        ).astype(np.float64)
        if problem.loss == "softmax":
            hessian -= (probability.T * weight) @ probability
            diagonal = weight @ probability
        else:
            diagonal = weight @ (probability * (1 - probability))
        hessian[np.diag_indices_from(hessian)] += diagonal
    return hessian / problem.weight_sum

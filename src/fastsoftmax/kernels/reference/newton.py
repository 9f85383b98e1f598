"""The NumPy twin of Newton's method on small problems: what the compiled one means."""

import numpy as np

from . import checks
from .checks import array, checked
from .dense import LOSSES

__all__ = ["newton"]

EPSILON = float(np.finfo(np.float64).eps)

#: Relative rounding error of the objective.
ROUNDING = 8 * EPSILON

#: Share of the slope's promise that a step has to keep (Nocedal, Wright 2006, eq. 3.6a).
DECREASE = 1e-4

#: Shortenings of one step: the first ones from far away may need many.
MOST_SHORTENINGS = 60

#: Steps in a row that neither lower the objective nor halve the decrement: nothing will.
MOST_STANDSTILLS = 3


#: Steps in a row that don't halve the decrement: float64 has no better ones.
MOST_SLOW = 25


@checked(
    design=array("n_columns", "n_samples", of=("float64",)),
    targets=array("n_rows", "n_samples", of=("float64",)),
    weight=array("n_samples", of=("float64",)),
    penalty=array("n_columns", of=("float64",)),
    loss=checks.word(*LOSSES),
    values_out=array("n_values", lambda known: 4, of=("float64",), out=True),
    thetas_inplace=array("n_values", "n_rows", "n_columns", of=("float64",), out=True),
    probability_out=array("n_rows", "n_samples", of=("float64",), out=True),
)
def newton(
    design,
    targets,
    weight,
    penalty,
    loss,
    fit_intercept,
    tol,
    tol_of_penalty,
    least_of_value,
    thetas_inplace,
    values_out,
    probability_out,
):
    """Minimise Σ s_i loss_i + ½ Σ_kj penalty_j θ_kj² by Newton's method with the whole Hessian.

    Parameters
    ----------
    design : float64 ndarray of shape (n_columns, n_samples)
        Features, and last the ones that the intercept is multiplied by, or zeros; one row each.
    targets : float64 ndarray of shape (n_rows, n_samples)
        The wanted probabilities; of the classes of a softmax they sum to 1.
    weight : float64 ndarray of shape (n_samples,)
    penalty : float64 ndarray of shape (n_columns,)
    loss : {"softmax", "logistic"}
    fit_intercept : bool
        If False, the last column of θ stays as it is.
    tol, tol_of_penalty, least_of_value : float
        It ends where half the decrement gᵀ H⁻¹ g, what the quadratic model can still fall, is no
        more than the largest of ``tol``, ``tol_of_penalty`` times the penalty's part of the
        objective, and ``least_of_value`` times the objective. NaN for ``tol``: it never does.
    thetas_inplace : float64 ndarray of shape (n_values, n_rows, n_columns)
        The first is where to begin, its rows summing to 0 for a softmax; each iterate is written.
    values_out : float64 ndarray of shape (n_values, 4)
        Of each iterate, the first included: objective, the penalty's part, decrement, and norm of
        the gradient.
    probability_out : float64 ndarray of shape (n_rows, n_samples)
        Of the last iterate.

    Returns
    -------
    n_steps : int
        At most n_values − 1.
    reason : {"converged", "max_iter", "rounding"}
        "rounding": nothing falls any more.

    Raises
    ------
    ValueError
        If there are no columns, no samples, no rows of targets or none of values.
    """
    if design.size == 0:
        raise ValueError(f"design must not be empty; got shape {design.shape}")
    if len(values_out) == 0:
        raise ValueError("values_out must have at least 1 row; got none")
    if len(targets) == 0:
        raise ValueError(f"targets must have at least 1 row; got shape {targets.shape}")
    problem = _Problem(design.T, targets.T, weight, penalty, loss == "softmax", fit_intercept)
    theta, n_steps, n_standstills = thetas_inplace[0], 0, 0
    before, least, n_slow = (np.inf, np.inf), np.inf, 0
    value, penalised, gradient, probability = problem.at(theta)
    while True:
        direction = problem.direction(probability, gradient)
        decrement = float((gradient * direction).sum())
        if n_steps > 0:
            gains = value < before[0] - ROUNDING * abs(before[0])
            n_standstills = 0 if gains or decrement < 0.5 * before[1] else n_standstills + 1
            n_slow = 0 if decrement < 0.5 * least else n_slow + 1
            least = decrement if n_slow == 0 else least
        before = value, decrement
        values_out[n_steps] = value, penalised, decrement, np.linalg.norm(gradient)
        probability_out[:] = probability.T
        allowed = max(tol, tol_of_penalty * penalised, least_of_value * abs(value))
        if 0.5 * decrement <= allowed and not np.isnan(tol):
            return n_steps, "converged"
        if n_standstills == MOST_STANDSTILLS or n_slow == MOST_SLOW:
            return n_steps, "rounding"
        if n_steps == len(values_out) - 1:
            return n_steps, "max_iter"
        found = _step(problem, theta, value, direction, decrement)
        if found is None:
            return n_steps, "rounding"
        n_steps += 1
        thetas_inplace[n_steps], (value, penalised, gradient, probability) = found
        theta = thetas_inplace[n_steps]


def _step(problem, theta, value, direction, decrement):
    """Where shorter and shorter steps first make the objective fall as promised, or None."""
    if not 0 < decrement < np.inf:
        return None
    length, error = 1.0, ROUNDING * abs(value)
    for _ in range(MOST_SHORTENINGS):
        there = theta - length * direction
        at = problem.at(there)
        if at[0] <= value - DECREASE * length * decrement:
            return there, at
        if decrement <= error and at[0] <= value + error:  # the promise drowns in rounding errors
            return there, at
        excess = at[0] - value + length * decrement
        wanted = 0.5 * length * decrement / excess if excess > 0 else 0.5
        length *= min(0.5, max(0.1, wanted))
    return None


class _Problem:
    """The objective, its gradient and its Hessian; samples are rows here."""

    def __init__(self, design, targets, weight, penalty, is_softmax, fit_intercept):
        self._design, self._targets, self._weight = design, targets, weight[:, None]
        self._penalty, self._is_softmax, self._moves = penalty, is_softmax, fit_intercept

    def at(self, theta):
        """Objective, the penalty's part, gradient and probabilities."""
        with np.errstate(all="ignore"):
            raw = self._design @ theta.T
            if self._is_softmax:
                raw -= raw.max(axis=1, keepdims=True)
                probability = np.exp(raw)
                total = probability.sum(axis=1, keepdims=True)
                probability /= total
                loss = np.log(total) - (self._targets * raw).sum(axis=1, keepdims=True)
            else:
                decay = np.exp(-np.abs(raw))
                probability = np.where(raw >= 0, 1.0, decay) / (1 + decay)
                loss = np.log1p(decay) + (np.maximum(raw, 0) - self._targets * raw)
            penalty = 0.5 * float((self._penalty * theta * theta).sum())
            miss = self._weight * (probability - self._targets)
            gradient = miss.T @ self._design + self._penalty * theta
        if not self._moves:
            gradient[:, -1] = 0
        return float((self._weight * loss).sum()) + penalty, penalty, gradient, probability

    def direction(self, probability, gradient):
        """H⁻¹ g."""
        n_rows, n_columns = gradient.shape
        with np.errstate(all="ignore"):
            if not self._is_softmax:
                curvature = self._weight * probability * (1 - probability)
                own = np.einsum("ik,ij,il->kjl", curvature, self._design, self._design)
                own += np.diag(self._penalty)
                return np.array([_solved(*pair) for pair in zip(own, gradient, strict=True)])
            blocks = -np.einsum("ik,im->ikm", probability, probability * self._weight)
            spread = self._weight * probability * (1 - probability)
            blocks[:, np.arange(n_rows), np.arange(n_rows)] = spread
            hessian = np.einsum("ikm,ij,il->kjml", blocks, self._design, self._design)
            entries = np.einsum("kjmj->kmj", hessian)
            np.einsum("kkj->kj", entries)[:] += self._penalty
            # One row added to all rows of θ changes no probability, and neither θ nor the gradient
            # has such a part: any curvature will do there, and 0 would not.
            mean = np.einsum("kkj->kj", entries).mean(axis=0)
            entries += _positive(mean) / n_rows
            hessian = hessian.reshape(n_rows * n_columns, -1)
            return _solved(hessian, gradient.ravel()).reshape(gradient.shape)


def _positive(diagonal):
    """The same with 1 in place of what can't be divided by."""
    return np.where((diagonal > 0) & np.isfinite(diagonal), diagonal, 1.0)


def _solved(hessian, gradient):
    """hessian⁻¹ · gradient, or that of the nearest multiple of the identity above it.

    It is scaled to a diagonal of ones first.
    """
    scale = 1 / np.sqrt(_positive(np.diagonal(hessian)))
    scaled = hessian * scale[:, None] * scale
    added = len(hessian) * EPSILON
    while added < 100:
        scaled[np.diag_indices_from(scaled)] = 1 + added
        try:
            factor = np.linalg.cholesky(scaled)
        except np.linalg.LinAlgError:
            added *= 100
            continue
        return scale * np.linalg.solve(factor.T, np.linalg.solve(factor, scale * gradient))
    return np.full_like(gradient, np.nan)

"""L-BFGS with a preconditioner, for smooth convex functions whose value is known to some rounding.

It knows neither data nor classes: a function of a matrix, its gradient, and an approximate inverse
of the Hessian as the matrix to start from. Steps of 1 are taken as they come, so an iteration is
one evaluation almost always. Called by solver.py.
"""

from collections import deque
from dataclasses import dataclass

import numpy as np
from scipy.linalg import get_blas_funcs

__all__ = ["Iterate", "minimize"]

#: Pairs of steps and gradient changes that are remembered; from 5 to 40 no pass less on any
#: benchmark set.
MEMORY_SIZE = 10

#: Least share of the decrease that the slope promises (Nocedal, Wright 2006, eq. 3.6a).
DECREASE = 1e-4

#: Iterations without a lower value or decrement before rounding errors are all that is left;
#: where progress was still made, 6 such in a row were the most seen.
MOST_STANDSTILLS = 15

#: Shortenings of one step before the function is as low as its rounding errors let it be.
MOST_SHORTENINGS = 20


@dataclass
class Iterate:
    """Where the minimisation is.

    Parameters
    ----------
    parameters, gradient : float64 ndarrays of one shape
    value : float
    direction : float64 ndarray or None
        What is to be subtracted next: H⁻¹ g with the inverse Hessian of L-BFGS. Who is told of the
        iterate may put another here, with its decrement.
    decrement : float
        gᵀ · direction: twice the decrease that the model promises.
    n_evaluations : int
    """

    parameters: np.ndarray
    value: float
    gradient: np.ndarray
    direction: np.ndarray | None
    decrement: float
    n_evaluations: int


class _Stall:
    """Notices that rounding errors are all that is left of the descent.

    The decrement goes on falling long after the value can't, and coefficients with it get better:
    where both have stood still for a while, nothing does.
    """

    def __init__(self, rounding):
        self._rounding = rounding
        self._value = np.inf
        self._decrement = np.inf
        self._n_without = 0

    def is_over(self, iterate):
        """Take in an iterate; True where it is the last of too many that got nowhere."""
        lower = iterate.value < self._value - self._rounding * abs(iterate.value)
        self._n_without = 0 if lower or iterate.decrement < self._decrement else self._n_without + 1
        if lower:
            self._value = iterate.value
        self._decrement = min(self._decrement, iterate.decrement)
        return self._n_without >= MOST_STANDSTILLS


class _Memory:
    """The last steps, and the product of the inverse Hessian they make with a vector.

    Kept in the dtype of the function's own computation: with many parameters these vectors are
    most of what an iteration reads.
    """

    def __init__(self, precondition, dtype, pairs):
        self._precondition = precondition
        self._dtype = dtype
        self._axpy, self._dot = get_blas_funcs(("axpy", "dot"), dtype=dtype)
        self._pairs = deque(maxlen=MEMORY_SIZE)
        self._size = 1.0
        for step, change in pairs:
            self.add(step, change)

    def pairs(self):
        """Steps and gradient changes that are remembered, the oldest first."""
        return [(step, change) for step, change, _ in self._pairs]

    def add(self, step, change):
        """Take a pair in, unless it has no curvature that rounding errors couldn't have made."""
        curvature = _curvature(step, change)
        if curvature is None:
            return
        step, change = step.astype(self._dtype), change.astype(self._dtype)
        self._pairs.append((step, change, curvature))
        self._take_size(curvature, change, self._precondition(change))

    def _take_size(self, curvature, change, image):
        """What the preconditioner is to be multiplied by to be right along the last step."""
        whole = float(np.vdot(change, image))  # 0 where it underflows
        size = curvature / whole if whole else np.inf
        self._size = size if np.isfinite(size) and size > 0 else 1.0

    def direction(self, gradient):
        """H⁻¹ g by the two loops (Nocedal, Wright 2006, algorithm 7.4)."""
        vector = gradient.astype(self._dtype)
        shares = []
        for step, change, curvature in reversed(self._pairs):
            share = self._dot(step.ravel(), vector.ravel()) / curvature
            self._axpy(change.ravel(), vector.ravel(), a=-share)  # in place
            shares.append(share)
        vector = np.multiply(self._size, self._precondition(vector), dtype=self._dtype)
        for (step, change, curvature), share in zip(self._pairs, reversed(shares), strict=True):
            share -= self._dot(change.ravel(), vector.ravel()) / curvature
            self._axpy(step.ravel(), vector.ravel(), a=share)
        return vector


class _Images(_Memory):
    """The same, with what the preconditioner makes of each change of the gradient.

    It is linear: what it makes of the gradient itself follows, so that it is applied once an
    iteration. For functions that cost no more than it does.
    """

    def __init__(self, precondition, dtype, pairs):
        self._of_gradient = None
        super().__init__(precondition, dtype, ())
        for step, change, image in pairs:
            self._keep(step, change, image)

    def pairs(self):
        """As there, each with its image."""
        return [(step, change, image) for step, change, _, image in self._pairs]

    def add(self, step, change):
        """Take a pair in, as there."""
        change = change.astype(self._dtype)
        image = self._precondition(change).astype(self._dtype, copy=False)
        if self._of_gradient is not None:
            self._of_gradient += image
        self._keep(step.astype(self._dtype), change, image)

    def _keep(self, step, change, image):
        curvature = _curvature(step, change)
        if curvature is not None:
            self._pairs.append((step, change, curvature, image))
            self._take_size(curvature, change, image)

    def direction(self, gradient):
        """H⁻¹ g; each gradient is the one before and the change added since."""
        vector = gradient.astype(self._dtype)
        if self._of_gradient is None:
            self._of_gradient = np.array(self._precondition(vector), self._dtype)
        result, shares = self._of_gradient.copy(), []
        for step, change, curvature, image in reversed(self._pairs):
            share = self._dot(step.ravel(), vector.ravel()) / curvature
            self._axpy(change.ravel(), vector.ravel(), a=-share)
            self._axpy(image.ravel(), result.ravel(), a=-share)
            shares.append(share)
        result *= self._size
        for (step, change, curvature, _), share in zip(self._pairs, reversed(shares), strict=True):
            share -= self._dot(change.ravel(), result.ravel()) / curvature
            self._axpy(step.ravel(), result.ravel(), a=share)
        return result


def _curvature(step, change):
    """The curvature step · change, or None where rounding errors could have made it."""
    curvature = float(np.vdot(step, change))
    least = 1e-14 * np.linalg.norm(step) * np.linalg.norm(change)
    return curvature if curvature > least else None


def minimize(
    function,
    start,
    precondition,
    rounding,
    max_iter,
    on_iterate,
    pairs=(),
    dtype=np.float64,
    keep_images=False,
):
    """Go downhill until told to stop, or as far as the rounding errors of the function allow.

    Parameters
    ----------
    function : callable
        ``value, gradient = function(parameters)``; the value may be infinite or NaN.
    start : float64 ndarray
    precondition : callable
        An approximate inverse Hessian times a matrix; linear, symmetric, positive definite.
    rounding : float > 0
        Relative rounding error of the function's values.
    max_iter : int ≥ 1
    on_iterate : callable
        Called with every :class:`Iterate`, the start included; True stops.
    pairs : sequence of (step, change)
        Steps, and how the gradient changes over each, of a function that is much the same.
    dtype : {float32, float64}, default=float64
        What directions are computed in.
    keep_images : bool, default=False
        Apply ``precondition`` once an iteration, and keep what it makes of each change, as a third
        of each pair; ``pairs`` are then of the same preconditioner.

    Returns
    -------
    iterate : Iterate
        The last, whose value is the lowest met but for rounding errors.
    reason : {"stopped", "max_iter", "rounding"}
    pairs : list of (step, change)
        The last of them, of this function.
    """
    value, gradient = function(start)
    memory = (_Images if keep_images else _Memory)(precondition, np.dtype(dtype), pairs)
    direction = memory.direction(gradient)
    iterate = Iterate(start, value, gradient, direction, float(np.vdot(gradient, direction)), 1)
    stall = _Stall(rounding)
    length = 1.0
    for _ in range(max_iter):
        if on_iterate(iterate):
            return iterate, "stopped", memory.pairs()
        if stall.is_over(iterate):
            return iterate, "rounding", memory.pairs()
        is_own = iterate.direction is direction
        found, length = _search(function, iterate, rounding, length if is_own else 1.0)
        if found is None:
            return iterate, "rounding", memory.pairs()
        step = found.parameters - iterate.parameters
        memory.add(step, found.gradient - iterate.gradient)
        direction = memory.direction(found.gradient)
        found.direction, found.decrement = direction, float(np.vdot(found.gradient, direction))
        iterate = found
    return iterate, "stopped" if on_iterate(iterate) else "max_iter", memory.pairs()


def _search(function, iterate, rounding, length):
    """Shorten the step until the function falls as the slope promises.

    Where the promise drowns in rounding errors the slope at the end of the step decides instead
    (the approximate Wolfe condition of Hager, Zhang, "A new conjugate gradient method with
    guaranteed descent and an efficient line search", SIAM Journal on Optimization 16, 2005).

    Parameters
    ----------
    function, rounding
        As in :func:`minimize`.
    iterate : Iterate
    length : float in (0, 1]
        To try first.

    Returns
    -------
    iterate : Iterate or None
        None where the function never falls.
    length : float in (0, 1]
        To try first the next time: where a step had to be shortened, the next had to be too nearly
        always.
    """
    direction, slope = iterate.direction, -iterate.decrement
    if not (np.isfinite(slope) and slope < 0):
        return None, length
    error = rounding * abs(iterate.value)
    for n_evaluations in range(1, MOST_SHORTENINGS + 1):
        parameters = iterate.parameters - length * direction
        value, gradient = function(parameters)
        total = iterate.n_evaluations + n_evaluations
        if np.isfinite(value) and np.isfinite(gradient).all():
            enough = value <= iterate.value + DECREASE * length * slope
            slope_there = -np.vdot(gradient, direction)
            flat = value <= iterate.value + error and (
                abs(slope_there) < 0.9 * abs(slope) and slope_there <= 0.8 * abs(slope)
            )
            if enough or flat:
                later = length if n_evaluations > 1 else min(1.0, 2 * length)
                return Iterate(parameters, value, gradient, None, np.nan, total), later
            excess = value - iterate.value - length * slope
            wanted = -0.5 * length * slope / excess if excess > 0 else 0.5
            length *= min(0.5, max(0.1, wanted))
        else:
            length *= 0.1
    return None, length

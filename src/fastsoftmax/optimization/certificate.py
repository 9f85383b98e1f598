"""How far an objective is above its minimum at most.

It changes no coefficients, and improves the intercept on the way. Called by solver.py.
"""

import numpy as np
from scipy.linalg import LinAlgError, cho_solve
from scipy.sparse import csr_array
from scipy.sparse.linalg import LinearOperator, cg

from .cholesky import raised_factor
from .curvature import probabilities, staged

__all__ = ["newton_steps", "profiled_bound"]

#: Rows whose probabilities are formed at once.
BLOCK_ROWS = 1024

#: Newton steps on the intercept, with one Hessian: the error is small to begin with.
INTERCEPT_STEPS = 4

#: What the steps that are left may change the gradient by, as a share of it: with many classes,
#: whose Hessian is not exact, there would be one or two more, each a pass.
SETTLED = 0.01

#: Residual, relative, and products of conjugate gradients for such a step.
SOLVED = 1e-3
MOST_PRODUCTS = 100


def profiled_bound(problem, coef, intercept, known=None, likeliest=None):
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
    likeliest : objective.Likeliest or None
        The likeliest classes of rows there, if they are known: the Hessian of the intercept is then
        made of them.

    Returns
    -------
    intercept : float64 ndarray of shape (n_rows,)
    objective : float
    bound : float
        Up to rounding errors; infinite for alpha = 0.
    """
    objective, coef_gradient, intercept_gradient = known or problem.loss_gradient(coef, intercept)
    below, slack = 0.0, 0.0
    if problem.fit_intercept:
        rounding = np.finfo(problem.dtype).eps
        newton_step = newton_steps(problem, coef, intercept, likeliest)
        spread = problem.mean_spread(intercept_gradient)
        before, change = np.inf, np.inf
        for _ in range(INTERCEPT_STEPS):
            # The Hessian hardly changes, but for classes whose probability does: as one without a
            # row, which loses a factor e a step, and most of its curvature in four.
            size = np.sqrt(_ratio(spread, problem.mean_spread(intercept_gradient)))
            step = size * newton_step(size * intercept_gradient)
            below = float(intercept_gradient @ step)
            if below <= rounding * abs(objective):
                break
            if likeliest is not None and 4 * below < before < np.inf:
                # Each step changes the gradient by a share of what the one before has.
                share = np.sqrt(below / before)
                slack = change * share / (1 - share)
                if slack <= SETTLED * np.linalg.norm(coef_gradient):
                    break
            moved = intercept - step
            value, gradient, slope = problem.loss_gradient(coef, moved)
            if not value <= objective + rounding * abs(objective):
                break
            before, change = below, np.linalg.norm(gradient - coef_gradient)
            intercept, objective = moved, value
            coef_gradient, intercept_gradient, slack = gradient, slope, 0.0
    # What is left in the intercept: twice its Newton decrement is more than it can still fall.
    return intercept, objective, _bound(problem, coef_gradient, slack) + 2 * below


def _bound(problem, coef_gradient, slack):
    """‖g‖² / (2 alpha) of a gradient that may be longer by ``slack``; infinite for alpha = 0."""
    if problem.alpha == 0:
        return np.inf
    with np.errstate(over="ignore"):
        square = float(np.square(coef_gradient).sum())
        if slack > 0:
            square = (np.sqrt(square) + slack) ** 2
        return square / (2 * problem.alpha)


def _ratio(before, now):
    """Of what is not negative; 1 where either has vanished."""
    seen = (before > 0) & (now > 0)
    return np.divide(before, now, out=np.ones_like(now), where=seen)


def newton_steps(problem, coef, intercept, likeliest=None):
    """What gives the step for a gradient in the intercept, by a Hessian of float32 probabilities.

    Adding one number to all intercepts changes no softmax: any curvature will do there. A class
    that no row is in doubt of has none at all, and gets a step of its gradient's size.
    """
    if likeliest is not None:
        return _steps_of_likeliest(problem, likeliest, len(coef))
    hessian = _intercept_hessian(problem, coef, intercept)
    diagonal = np.diagonal(hessian)
    least = len(hessian) * np.finfo(np.float32).eps * diagonal.max()
    if problem.loss == "softmax":
        hessian += diagonal.mean() / len(hessian)
    try:
        factor = raised_factor(hessian, max(least, float(np.finfo(np.float64).tiny)))
    except LinAlgError:
        return np.zeros_like
    return lambda gradient: cho_solve(factor, gradient, check_finite=False)


def _steps_of_likeliest(problem, likeliest, n_rows):
    """The same by a Hessian in which, of p pᵀ, each row's likeliest classes alone count.

    The others are many and have little each: their products with each other and with these are
    left out. It has as many numbers as the rows keep classes, so that conjugate gradients take less
    time than its factor.
    """
    kept = likeliest.probability.astype(np.float64)
    mean = problem.class_means(likeliest.codes, kept, n_rows) + likeliest.rest
    if problem.sample_weight is not None:
        kept *= np.sqrt(problem.sample_weight[problem.rows, None].astype(np.float64))
    starts = np.arange(0, kept.size + 1, kept.shape[1])
    codes = likeliest.codes.ravel()
    of_rows = csr_array((kept.ravel(), codes, starts), shape=(len(kept), n_rows))
    of_classes = of_rows.T.tocsr()
    own = mean - of_classes.power(2).sum(axis=1) / problem.weight_sum
    own = np.maximum(own, n_rows * np.finfo(np.float32).eps * max(own.max(), 1e-300))

    def product(vector):
        return mean * vector - of_classes @ (of_rows @ vector) / problem.weight_sum

    shape = n_rows, n_rows
    hessian = LinearOperator(shape, product, dtype=np.float64)
    inverse = LinearOperator(shape, lambda vector: vector.ravel() / own, dtype=np.float64)

    def newton_step(gradient):
        step, _ = cg(
            hessian, gradient - gradient.mean(), rtol=SOLVED, maxiter=MOST_PRODUCTS, M=inverse
        )
        return step - step.mean()

    return newton_step


def _intercept_hessian(problem, coef, intercept):
    """Mean of diag(p) − p pᵀ, or of p (1 − p) for logistic losses, over all rows."""
    return problem.summed(_hessian_sum, coef, intercept) / problem.weight_sum


def _hessian_sum(problem, coef, intercept):
    """The same, as a sum over the rows of a problem that are in memory."""
    n_rows = len(coef)
    hessian = np.zeros((n_rows, n_rows))
    for start in range(0, problem.n_used, BLOCK_ROWS):
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
    return hessian

"""Steps for many classes: descent on a softmax over each row's likeliest ones.

A pass over the rows costs as much as there are classes, and nearly all of them have next to no
probability in any one row. Between two passes the others stand still, but for a share of the
curvature, and the gradient of all classes is kept to first order. The minimum of that is a step to
be tried: it is for the caller to see whether the objective falls. Called by solver.py and path.py.
"""

from collections import deque

import numpy as np

from ..problem.objective import Likeliest
from .certificate import newton_steps
from .lbfgs import minimize

__all__ = ["MANY_CLASSES", "Restricted", "has_many_classes"]

#: Classes from which it is worth while; and from how many on where a pass is so long, rows times
#: classes times features and what an exponential costs, that its steps are short beside it.
MANY_CLASSES = 300
FEWEST_CLASSES = 100
LONG_PASS = 200_000_000
EXPONENTIAL = 16

#: Features from which it is: in fewer, rows are in doubt among neighbours alone, and a model that
#: knows how the classes depend on each other takes half of the passes that its steps do.
FEWEST_FEATURES = 8

#: Steps of L-BFGS on it, at most, and the share of the decrement at which they end.
MOST_STEPS = 8
NEAR_ENOUGH = 0.02

#: Steps, and the changes of the gradient of all classes over them, that correct what the few say;
#: those from far away, over which the classes that rows keep have changed, are left out.
MEMORY_SIZE = 5
FIRST_REMEMBERED = 3

#: Mean probability of the classes that rows keep from which they stand for all.
LEAST_KEPT = 0.5


#: Penalty, times classes, from which it is: the bound proves nothing with less, nor do conjugate
#: gradients, and then all hangs on the model of the Hessian, which is a coarse one here.
LEAST_PENALTY = 1e-6


def has_many_classes(problem, n_rows):
    """Whether steps of a few classes are sooner at a minimum of coef with n_rows rows."""
    n_features = problem.n_features
    if problem.loss != "softmax" or problem.is_sparse or not problem.is_held:
        return False
    pass_work = problem.n_used * n_rows * (n_features + EXPONENTIAL)
    is_worth_it = n_rows >= MANY_CLASSES or (n_rows >= FEWEST_CLASSES and pass_work >= LONG_PASS)
    is_proved = problem.alpha * n_rows >= LEAST_PENALTY
    return n_features >= FEWEST_FEATURES and is_worth_it and is_proved


class Restricted:
    """A softmax over few classes of each row, and its steps.

    Parameters
    ----------
    problem : objective.Problem
        Dense, its loss that of softmax.
    n_rows : int
        Of coef.
    moments : ndarray of shape (n_features,)
        Mean squares of the features.

    Attributes
    ----------
    likeliest : objective.Likeliest
        Where a pass over the rows is to write those classes.
    n_steps : int
        Evaluations so far.
    """

    def __init__(self, problem, n_rows, moments):
        self._problem = problem
        self._moments = np.append(moments, 1.0)
        self._pairs, self._of_model = (), None
        self._before, self._n_before = None, 0
        self._memory = deque(maxlen=MEMORY_SIZE)
        self.likeliest = Likeliest.empty(problem.n_used, n_rows, problem.dtype)
        self.n_steps = 0

    @classmethod
    def of(cls, problem, n_rows, subsample):
        """The same, or None where there are few classes."""
        if not has_many_classes(problem, n_rows):
            return None
        return cls(problem, n_rows, subsample.second_moments())

    def step(self, parameters, gradient, model, rounding, enough):
        """Where the minimum is by the few classes, and by what the last steps said of all.

        It is L-BFGS on the objective, with the way to the minimum of the few classes where others
        have a matrix to start from.

        Parameters
        ----------
        parameters, gradient : float64 ndarrays of shape (n_rows, n_features + 1)
            Those that ``likeliest`` is of, and the objective's gradient; the intercept is the last
            column.
        model : preconditioning's
            Of the Hessian.
        rounding : float > 0
            Relative rounding error of its values.
        enough : float
            A decrement that ends it at once, with the direction that is known by then.

        Returns
        -------
        direction : float64 ndarray or None
            To be subtracted; None where the kept classes don't stand for all, or it has no lower
            place.
        decrement : float
            gradient · direction, positive.
        """
        self._remember(parameters, gradient)
        if not self._mean_kept() >= LEAST_KEPT:
            return None, np.nan
        rest, shares = gradient.copy(), []
        for step, change, curvature in reversed(self._memory):
            shares.append(np.vdot(step, rest) / curvature)
            rest -= shares[-1] * change
        direction = self._minimum(rest, model, rounding, enough)
        for (step, change, curvature), share in zip(self._memory, reversed(shares), strict=True):
            direction += (share - np.vdot(change, direction) / curvature) * step
        decrement = float(np.vdot(gradient, direction))
        return (direction, decrement) if 0 < decrement < np.inf else (None, np.nan)

    def _remember(self, parameters, gradient):
        """The step that was taken, and its change of the gradient."""
        if self._n_before >= FIRST_REMEMBERED:
            step, change = parameters - self._before[0], gradient - self._before[1]
            curvature = float(np.vdot(step, change))
            if curvature > 0:
                self._memory.append((step, change, curvature))
        self._before, self._n_before = (parameters, gradient), self._n_before + 1

    def _minimum(self, gradient, model, rounding, enough):
        """Where the few classes have their minimum if this is the gradient, as a direction."""
        if self._of_model is not model:
            self._pairs, self._of_model = (), model
        first = []

        def is_near(iterate):
            if not first:
                first.append(iterate)
                return iterate.decrement <= enough
            return iterate.decrement <= NEAR_ENOUGH * first[0].decrement

        iterate, _, self._pairs = minimize(
            self._function(gradient),
            np.zeros_like(gradient),
            model.apply,
            rounding,
            MOST_STEPS,
            is_near,
            self._pairs,
            self._problem.dtype,
            keep_images=True,
        )
        self.n_steps += iterate.n_evaluations
        if iterate is first[0]:
            return iterate.direction.astype(np.float64)
        return -iterate.parameters

    def bound(self, parameters, gradient, allowed):
        """What the objective is above its minimum, at most, once the intercept is at its best.

        ‖∇F‖²/(2 alpha), as in :func:`certificate.profiled_bound`. It is only worked out where the
        gradient is so short that it may be ``allowed``; else that of the intercept as it is.
        """
        problem, likeliest = self._problem, self.likeliest
        if problem.alpha == 0:
            return np.inf
        of_coef = gradient[:, :-1] - gradient[:, :-1].mean(axis=0)  # the mean is penalty alone
        bound = float(np.square(of_coef).sum()) / (2 * problem.alpha)
        if not problem.fit_intercept or allowed is None or bound > allowed:
            return bound
        newton_step = newton_steps(problem, parameters[:, :-1], parameters[:, -1], likeliest)
        step = newton_step(gradient[:, -1])
        below = float(gradient[:, -1] @ step)  # twice what the intercept can fall by
        _, more, _ = problem.restricted_loss_gradient(likeliest, np.zeros_like(of_coef), -step)
        of_coef += more - more.mean(axis=0)
        return float(np.square(of_coef).sum()) / (2 * problem.alpha) + below

    def _mean_kept(self):
        """Mean probability of the classes kept."""
        return 1 - self.likeliest.rest.sum()

    def _function(self, gradient):
        """What is minimised: value and gradient of a change of the parameters.

        To first order it is the objective. Beyond, it is the loss of the classes kept, the penalty,
        and for the others a diagonal: mean probability times mean square.
        """
        problem, likeliest = self._problem, self.likeliest
        diagonal = np.outer(likeliest.rest, self._moments)
        diagonal[:, :-1] += problem.alpha

        def function(change):
            loss, *parts = problem.restricted_loss_gradient(
                likeliest, change[:, :-1], change[:, -1]
            )
            slope = np.hstack([parts[0], parts[1][:, None]])
            if not problem.fit_intercept:
                slope[:, -1] = 0
            bent = diagonal * change
            value = loss + np.vdot(gradient, change) + 0.5 * np.vdot(bent, change)
            slope += gradient
            slope += bent
            return float(value), slope

        return function

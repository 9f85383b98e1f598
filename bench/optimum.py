"""The optimum that suboptimality is measured from: Newton's method in float64, proved by its end.

Slow and exact on purpose, and shares no code with fastsoftmax or any peer. The objective is
alpha-strongly convex in coef, so that with the intercept at its best ‖gradient‖²/(2 alpha) bounds
what is left; the intercept's gradient is counted as if its curvature were alpha as well, which is
far less than it is. The result is refused where that is above 1e-8.
Called by bench_time_to_optimum.py; ``python -m bench.optimum NAME...`` computes and prints.
"""

import sys

import numpy as np

from bench.fit_data import PROBLEMS, RESULTS, prepared

BOUND = 1e-12  # of the suboptimality, aimed at
REFUSED = 1e-8  # the largest bound that is let pass: a ten-thousandth of what is timed
BLOCK = 4096  # rows


class _Objective:
    """Value, gradient and Hessian-vector products, parameters (n_classes, n_features + 1).

    Features are centred, which moves the intercept but not the penalty, and makes the Hessian's
    block of the intercept nearly separate from the rest.
    """

    def __init__(self, problem):
        self.y, self.alpha, self.n_classes = problem.y, problem.alpha, problem.n_classes
        self.mean = problem.X.mean(axis=0, dtype=np.float64)
        self.X = np.ones((len(self.y), problem.X.shape[1] + 1))
        np.subtract(problem.X, self.mean, out=self.X[:, :-1])
        # Hessian products only make Newton's direction, for which float32 is enough and twice as
        # fast; what is proved by the gradient is in float64.
        self.X_single = self.X.astype(np.float32)
        self.probability = np.empty((len(self.y), self.n_classes), np.float32)
        covariance = self.X[:, :-1].T @ self.X[:, :-1] / len(self.y)
        self.variances, self.axes = np.linalg.eigh(covariance)

    def value(self, weights, *, gradient):
        """The objective and, if asked for, its gradient; keeps the probabilities in that case."""
        total, slope = 0.0, np.zeros_like(weights)
        for start in range(0, len(self.y), BLOCK):
            rows = slice(start, start + BLOCK)
            block, y_true = self.X[rows], self.y[rows, None]
            raw_prediction = block @ weights.T
            raw_prediction -= raw_prediction.max(axis=1, keepdims=True)
            total -= np.take_along_axis(raw_prediction, y_true, axis=1).sum()
            np.exp(raw_prediction, out=raw_prediction)
            sums = raw_prediction.sum(axis=1, keepdims=True)
            total += np.log(sums).sum()
            if gradient:
                raw_prediction /= sums
                self.probability[rows] = raw_prediction
                raw_prediction[np.arange(len(block)), y_true[:, 0]] -= 1
                slope += raw_prediction.T @ block
        if gradient:
            self.curvature = sum(
                (block * (1 - block)).sum(axis=0, dtype=np.float64)
                for block in np.array_split(self.probability, -(-len(self.y) // BLOCK))
            )[:, None] / len(self.y)
        slope /= len(self.y)
        slope[:, :-1] += self.alpha * weights[:, :-1]
        return total / len(self.y) + self.alpha / 2 * (weights[:, :-1] ** 2).sum(), slope

    def hessian_times(self, direction):
        """The Hessian at the weights of the last gradient, times ``direction``."""
        result, single = np.zeros_like(direction), direction.T.astype(np.float32)
        for start in range(0, len(self.y), BLOCK):
            rows = slice(start, start + BLOCK)
            probability = self.probability[rows]
            change = self.X_single[rows] @ single
            change -= np.einsum("ik,ik->i", probability, change)[:, None]
            change *= probability
            result += change.T @ self.X_single[rows]
        result /= len(self.y)
        result[:, :-1] += self.alpha * direction[:, :-1]
        return result

    def preconditioned(self, slope):
        """``slope`` through an inverse of the Hessian's blocks, the rows taken as independent."""
        curvature = self.curvature
        result = np.empty_like(slope)
        rotated = slope[:, :-1] @ self.axes
        rotated /= curvature * np.maximum(self.variances, 0) + self.alpha
        result[:, :-1] = rotated @ self.axes.T
        result[:, -1:] = slope[:, -1:] / curvature
        return result


def _newton_direction(objective, slope, tolerance, max_steps):
    """Preconditioned conjugate gradients; stop at ``tolerance`` times the first residual."""
    direction, residual = np.zeros_like(slope), -slope
    scaled = objective.preconditioned(residual)
    search, product = scaled.copy(), (residual * scaled).sum()
    first = product
    for _ in range(max_steps):
        curved = objective.hessian_times(search)
        step = product / (search * curved).sum()
        direction += step * search
        residual -= step * curved
        scaled = objective.preconditioned(residual)
        product, previous = (residual * scaled).sum(), product
        if product <= tolerance**2 * first:
            break
        search = scaled + product / previous * search
    return direction


def minimise(problem, report=lambda text: None):
    """Weights at the optimum.

    Parameters
    ----------
    problem : bench.fit_data.FitProblem
    report : callable of str

    Returns
    -------
    value, bound : float
        The objective, and how far above the minimum it is at most.
    coef, intercept : float64 ndarrays of shapes (n_classes, n_features), (n_classes,)

    Raises
    ------
    RuntimeError
        If it ends further than 1e-8 from the minimum.
    """
    objective = _Objective(problem)
    weights = np.zeros((problem.n_classes, problem.X.shape[1] + 1))
    tolerance = 0.1
    for iteration in range(60):
        value, slope = objective.value(weights, gradient=True)
        bound = (slope**2).sum() / (2 * problem.alpha)
        report(f"{problem.name}: {iteration} {value:.13f} bound {bound:.1e}")
        if bound <= BOUND:
            break
        direction = _newton_direction(objective, slope, tolerance, max_steps=200)
        decrease = (slope * direction).sum()
        length = 1.0
        while length > 1e-6:
            trial = objective.value(weights + length * direction, gradient=False)[0]
            if trial <= value + 1e-4 * length * decrease + 1e-15:
                break
            length /= 2
        weights += length * direction
        tolerance = 1e-3 if -decrease < 1e-4 else 0.1
    if bound > REFUSED:
        raise RuntimeError(f"{problem.name}: gradient proves only {bound:.1e} of the optimum")
    coef = weights[:, :-1]
    return value, bound, coef, weights[:, -1] - coef @ objective.mean


def optimum(problem, report=lambda text: None):
    """:func:`minimise`'s result, from bench/results/optima where it was computed before."""
    path = RESULTS / "optima" / f"{problem.name.replace(' ', '_')}.npz"
    if not path.exists():
        value, bound, coef, intercept = minimise(problem, report)
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(path, value=value, bound=bound, coef=coef, intercept=intercept)
    with np.load(path) as file:
        return float(file["value"]), float(file["bound"]), file["coef"], file["intercept"]


def main(names):
    """Print the optima of the problems named, or of all."""
    for name in names or PROBLEMS:
        problem = prepared(name)
        value, bound, coef, intercept = optimum(problem, print)
        accuracy = problem.test_accuracy(coef, intercept)
        print(f"{problem.title}: {value:.12f} + at most {bound:.0e}, test accuracy {accuracy:.4f}")


if __name__ == "__main__":
    main(sys.argv[1:])

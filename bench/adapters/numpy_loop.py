"""The fastest plain NumPy loop we could write: one dtype throughout, every array allocated once.

Equal work: the same rows in the same minibatches, the same momentum (the velocity carries the
learning rate, as ours does) and penalty. It is not fastsoftmax's reference, which sums in float64
to be a specification; this is what a careful user of NumPy would run. BLAS does both products;
the benchmark limits its threads. Called by bench/test_epoch.py.
"""

import numpy as np


class NumpyLoop:
    """Minibatch SGD with momentum in NumPy."""

    def __init__(self, problem):
        self.problem = problem
        dtype, n_features, n_classes = problem.X.dtype, problem.X.shape[1], problem.n_classes
        # Feature-major: OpenBLAS does both products a quarter faster than with the transpose.
        self._coef, self._velocity, self._gradient, self._penalty = (
            np.empty((n_features, n_classes), dtype) for _ in range(4)
        )
        self._intercept, self._intercept_velocity = (
            np.empty((n_classes, 1), dtype) for _ in range(2)
        )
        self._tile = np.empty((problem.batch_size, n_features), dtype)
        self._samples = np.arange(problem.batch_size)
        self.reset()

    def reset(self):
        """Put the parameters and their velocity back to zero."""
        for array in (self._coef, self._velocity, self._intercept, self._intercept_velocity):
            array[...] = 0

    def epoch(self):
        """Train once over the rows; give the mean loss."""
        problem = self.problem
        loss_sum = 0.0
        for start in range(0, len(problem.rows), problem.batch_size):
            loss_sum += self._step(problem.rows[start : start + problem.batch_size])
        return loss_sum / len(problem.rows)

    def _step(self, batch):
        """One minibatch: forward, loss, gradient in place, momentum; give the summed loss."""
        problem, size = self.problem, len(batch)
        tile, samples = self._tile[:size], self._samples[:size]
        # "clip" writes into `out` directly; the default mode fills a buffer first.
        problem.X.take(batch, axis=0, out=tile, mode="clip")
        y_true = problem.y_true[batch]

        # Class-major from here: reductions over ten neighbouring numbers are slow in NumPy.
        raw = np.ascontiguousarray((tile @ self._coef).T)
        raw += self._intercept
        raw -= raw.max(axis=0)
        raw_true = raw[y_true, samples]
        np.exp(raw, out=raw)
        total = raw.sum(axis=0)
        loss_sum = float((np.log(total) - raw_true).sum())
        raw /= total * size
        raw[y_true, samples] -= 1 / size

        np.matmul(tile.T, raw.T, out=self._gradient)
        np.multiply(self._coef, problem.alpha, out=self._penalty)
        self._gradient += self._penalty
        self._gradient *= problem.learning_rate
        self._velocity *= problem.momentum
        self._velocity += self._gradient
        self._coef -= self._velocity
        self._intercept_velocity *= problem.momentum
        self._intercept_velocity += problem.learning_rate * raw.sum(axis=1, keepdims=True)
        self._intercept -= self._intercept_velocity
        return loss_sum

    def coef(self):
        """The coefficients, (n_classes, n_features)."""
        return self._coef.T.copy()

"""fastsoftmax's own epoch kernel, in any of its builds, the NumPy reference among them.

Equal work by definition: :class:`bench.data.Problem` is stated in the kernels' own terms. The
kernel is called as the estimator calls it, but without the estimator, whose checks and scaling
the peers' loops do not have either. Called by bench/test_epoch.py.
"""

import numpy as np

from fastsoftmax import kernels


class Kernels:
    """One build: "baseline", "avx2", "avx512" or "reference"."""

    def __init__(self, problem, isa):
        self.problem = problem
        with kernels.use(isa) as implementation:
            self._epoch = implementation.epoch
        shape = (problem.n_classes, problem.X.shape[1])
        dtype = problem.dtype
        self._parameters = [np.empty(s, dtype) for s in (shape, shape[0], shape, shape[0])]
        self._learning_rates = np.full(problem.n_steps, problem.learning_rate)
        self.reset()

    def reset(self):
        """Put the parameters and their velocity back to zero."""
        for array in self._parameters:
            array[...] = 0

    def epoch(self):
        """Train once over the rows; give the mean loss."""
        problem = self.problem
        loss_sum = self._epoch(
            problem.X,
            problem.rows,
            problem.y_true,
            None,  # sample_weight
            None,  # shift
            None,  # inverse_scale
            *self._parameters,
            self._learning_rates,
            problem.batch_size,
            "softmax",
            "momentum",
            problem.momentum,
            problem.alpha,
            True,  # fit_intercept
            problem.n_threads,
        )
        return loss_sum / len(problem.rows)

    def coef(self):
        """The coefficients, (n_classes, n_features)."""
        return self._parameters[0].copy()

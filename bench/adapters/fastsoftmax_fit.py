"""fastsoftmax's own estimator, as it comes.

Equal work: the objective is defined as ours. Where a problem has raw rows, it is given those and
standardises inside the clock, and its weights, which are in the units of the raw rows, are turned
into those of the z-scores to be judged. Called by bench/run_peer.py.
"""

import warnings

from sklearn.exceptions import ConvergenceWarning

from fastsoftmax import SoftmaxClassifier


class FastsoftmaxFit:
    """The effort e is a ``tol`` of 10^(−e/2), the suboptimality that ends a fit."""

    def __init__(self, problem):
        self.problem = problem
        self._X = problem.X if problem.raw is None else problem.raw

    def fit(self, effort):
        """As it comes, or to another ``tol``."""
        given = {} if effort is None else {"tol": 10 ** (-effort / 2)}
        self._model = SoftmaxClassifier(
            alpha=self.problem.alpha,
            standardize=self.problem.raw is not None,
            random_state=0,
            **given,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            self._model.fit(self._X, self.problem.y)

    def parameters(self):
        """Of the last fit, for the rows that the peers are given."""
        coef, intercept = self._model.coef_.astype("f8"), self._model.intercept_
        if self.problem.raw is not None:
            intercept = intercept + coef @ self._model.mean_
            coef = coef * self._model.scale_
        return coef, intercept

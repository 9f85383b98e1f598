"""Cyanure (Mairal, arXiv 1912.08165): variance-reduced SGD with quasi-Newton acceleration.

Equal work: it minimises (1/n) Σ loss + (lambda_1/2) ‖W‖² with penalty "l2", so lambda_1 = alpha,
and loss "multiclass-logistic" is softmax; the intercept is not penalised. Its own ``tol`` is a
duality gap relative to the objective, 1e-3 as it comes. Solver "auto", as it comes, chooses between
its methods by the data. Classifier.fit also encodes labels, which is a user's call as well.
Called by bench/run_peer.py.
"""

import logging
import warnings

from cyanure.estimators import Classifier
from sklearn.exceptions import ConvergenceWarning


class CyanureFit:
    """The effort is ``max_iter``, passes over the rows."""

    def __init__(self, problem):
        self.problem = problem
        logging.getLogger("cyanure").setLevel(logging.WARNING)

    def fit(self, effort):
        """As it comes, or to ``max_iter``."""
        given = {} if effort is None else {"max_iter": effort, "tol": 1e-10}
        self._model = Classifier(
            loss="multiclass-logistic",
            penalty="l2",
            lambda_1=self.problem.alpha,
            fit_intercept=True,
            n_threads=2,
            verbose=False,
            **given,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            self._model.fit(self.problem.X, self.problem.y)

    def parameters(self):
        """Of the last fit; its weights are (n_features, n_classes)."""
        coef, intercept = self._model.get_weights()
        return coef.T, intercept

"""scikit-learn-intelex (oneDAL): LogisticRegression by L-BFGS, its loss and gradient compiled.

Equal work: scikit-learn's parameters and objective, so C = 1 / (alpha · n_samples) as there; it
computes in float32 on float32 rows. oneDAL takes the threads that the process may use, which
bench_time_to_optimum.py limits by affinity. Called by bench/run_peer.py.
"""

import warnings

from sklearn.exceptions import ConvergenceWarning
from sklearnex.linear_model import LogisticRegression


class ScikitLearnIntelexFit:
    """The effort is ``max_iter``."""

    def __init__(self, problem):
        self.problem = problem

    def fit(self, effort):
        """As it comes, or to ``max_iter``."""
        problem = self.problem
        given = {} if effort is None else {"max_iter": effort, "tol": 1e-10}
        self._model = LogisticRegression(C=1 / (problem.alpha * len(problem.y)), n_jobs=2, **given)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            self._model.fit(problem.X, problem.y)

    def parameters(self):
        """Of the last fit."""
        return self._model.coef_, self._model.intercept_

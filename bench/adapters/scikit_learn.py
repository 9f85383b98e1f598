"""scikit-learn's LogisticRegression, which fits the same objective to its optimum.

Equal work: C = 1 / (alpha · n_samples) makes its penalty ours, for any number of classes; its
intercept is not penalised by "lbfgs", "newton-cg", "newton-cholesky" and "saga". It has no epochs,
so it is compared as a whole fit. "saga" needs C in the dtype of X or it computes in float64; the
others keep float32 features and float64 weights, as they come.

SGDClassifier is left out: its log_loss is one-vs-rest, whose minimum is another objective's.
Called by bench/test_fit.py and bench/run_peer.py.
"""

import warnings

from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression


def logistic_regression(alpha, n_samples, max_iter=100, **parameters):
    """An unfitted LogisticRegression whose objective is ours with this ``alpha``."""
    return LogisticRegression(C=1 / (alpha * n_samples), max_iter=max_iter, **parameters)


class ScikitLearnFit:
    """A solver of LogisticRegression; the effort is ``max_iter``."""

    def __init__(self, problem, solver="lbfgs"):
        self.problem, self.solver = problem, solver

    def fit(self, effort):
        """As it comes, or to ``max_iter`` with a ``tol`` that is never met before the target."""
        problem = self.problem
        given = {} if effort is None else {"max_iter": effort, "tol": 1e-10}
        self._model = logistic_regression(
            problem.alpha, len(problem.y), solver=self.solver, random_state=0, **given
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            self._model.fit(problem.X, problem.y)

    def parameters(self):
        """Of the last fit."""
        return self._model.coef_, self._model.intercept_

"""Snap ML's LogisticRegression: dual coordinate descent, threads by blocks of rows.

NOT equal work, so its time is never set beside ours: with more than two classes it trains one
logistic loss a class against the rest, and its intercept is a feature of ones, which is penalised.
What it reaches in our objective is shown instead, to say how far that is. Its own regularizer
multiplies ½‖w‖² beside a sum over rows: alpha · n_samples is the same strength. Its licence is
proprietary: it is not in the ``bench`` extra, install it by hand. Called by bench/run_peer.py.
"""

from snapml import LogisticRegression


class SnapMLFit:
    """The effort is ``max_iter``, passes over the rows."""

    def __init__(self, problem):
        self.problem = problem

    def fit(self, effort):
        """As it comes, or to ``max_iter``."""
        problem = self.problem
        given = {} if effort is None else {"max_iter": effort, "tol": 1e-10}
        self._model = LogisticRegression(
            regularizer=problem.alpha * len(problem.y),
            fit_intercept=True,
            n_jobs=2,
            random_state=0,
            **given,
        )
        self._model.fit(problem.X, problem.y)

    def parameters(self):
        """Of the last fit."""
        return self._model.coef_, self._model.intercept_

"""Where pickles of 0.1.0 look for LogisticRegression; nothing else."""

from .estimators.logistic_regression import LogisticRegression

__all__ = ["LogisticRegression"]

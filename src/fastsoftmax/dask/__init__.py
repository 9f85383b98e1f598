"""Rows on the workers of a Dask cluster: blocks stay where they are, and sums over them travel.

In the manner of ``xgboost.dask`` and ``lightgbm.dask``; needs the extra ``dask``. The minimum is
that of the same rows in memory, and so is what is proved of it.
"""

from .cluster import ClusterError
from .estimators import LogisticRegression, SoftmaxClassifier

__all__ = ["ClusterError", "LogisticRegression", "SoftmaxClassifier"]

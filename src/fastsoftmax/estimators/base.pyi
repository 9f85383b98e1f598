# Types of what the package's classifiers share, for users' type checkers. tests/test_typing.py
# holds the signatures to those of the files that they come from.

from os import PathLike
from typing import Any, Self, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin

from ..interchange.portable import Portable
from .coefficients import SparseCoefficients
from .prediction import LinearPrediction

# Arrays, DataFrames, lists, sources and whatever else scikit-learn's checks take have no type in
# common.
MatrixLike: TypeAlias = Any

class LinearClassifier(
    Portable, LinearPrediction, SparseCoefficients, ClassifierMixin, BaseEstimator
):
    coef_: NDArray[Any]
    intercept_: NDArray[Any]
    classes_: NDArray[Any]
    loss_curve_: NDArray[np.float64]
    history_: dict[str, NDArray[Any]]
    suboptimality_: float
    suboptimality_bound_: float
    converged_: bool
    n_features_in_: int
    feature_names_in_: NDArray[np.object_]

    def decision_function(self, X: MatrixLike) -> NDArray[Any]: ...
    def predict(self, X: MatrixLike) -> NDArray[Any]: ...
    def predict_proba(self, X: MatrixLike) -> NDArray[Any]: ...
    def predict_log_proba(self, X: MatrixLike) -> NDArray[Any]: ...
    def score(
        self, X: MatrixLike, y: ArrayLike | None = None, sample_weight: ArrayLike | None = None
    ) -> float: ...
    def sparsify(self) -> Self: ...
    def densify(self) -> Self: ...
    def save(self, path: str | PathLike[str]) -> None: ...
    def to_sklearn(self) -> Any: ...

def centred(coef: NDArray[Any], intercept: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]: ...
def inverse_strength(alpha: float, weight_sum: float) -> float: ...
def raise_if_interrupted(fitted: Any) -> None: ...

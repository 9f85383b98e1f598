# Types of SoftmaxClassifierCV for users' type checkers. tests/test_typing.py holds the signatures
# to those of cross_validation.py.

from collections.abc import Mapping
from typing import Any, Literal, Self, TypeAlias

import numpy as np
from numpy.random import RandomState
from numpy.typing import ArrayLike, NDArray

from .base import LinearClassifier, MatrixLike
from .classifier import ComputingType, Scoring

# A number of folds, a splitter of scikit-learn's, or pairs of row numbers.
Folds: TypeAlias = Any

class SoftmaxClassifierCV(LinearClassifier):
    alphas: int | ArrayLike
    cv: Folds
    n_alphas_without_gain: int | None
    scoring: Scoring
    multi_class: Literal["softmax", "ovr"]
    label_smoothing: float
    max_iter: int | None
    tol: float | None
    standardize: bool | Literal["population", "sample"]
    fit_intercept: bool
    class_weight: Mapping[Any, float] | Literal["balanced"] | None
    random_state: int | RandomState | None
    n_jobs: int | None
    dtype: ComputingType | None
    verbose: int | bool

    alpha_: float
    alphas_: NDArray[np.float64]
    scores_: NDArray[np.float64]
    n_iter_: NDArray[np.int64]
    mean_: NDArray[np.float64]
    scale_: NDArray[np.float64]

    def __init__(
        self,
        *,
        alphas: int | ArrayLike = 10,
        cv: Folds = 5,
        n_alphas_without_gain: int | None = 5,
        scoring: Scoring = None,
        multi_class: Literal["softmax", "ovr"] = "softmax",
        label_smoothing: float = 0.0,
        max_iter: int | None = None,
        tol: float | None = 1e-5,
        standardize: bool | Literal["population", "sample"] = False,
        fit_intercept: bool = True,
        class_weight: Mapping[Any, float] | Literal["balanced"] | None = None,
        random_state: int | RandomState | None = None,
        n_jobs: int | None = None,
        dtype: ComputingType | None = None,
        verbose: int | bool = 0,
    ) -> None: ...
    def fit(
        self,
        X: MatrixLike,
        y: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        groups: ArrayLike | None = None,
        *,
        X_val: MatrixLike | None = None,
        y_val: ArrayLike | None = None,
        sample_weight_val: ArrayLike | None = None,
    ) -> Self: ...

# Types of LogisticRegressionCV for users' type checkers. tests/test_typing.py holds the signatures
# to those of logistic_regression_cv.py.

from collections.abc import Mapping
from typing import Any, Literal, Self

import numpy as np
from numpy.random import RandomState
from numpy.typing import ArrayLike, NDArray
from sklearn.linear_model._base import LinearClassifierMixin

from .base import LinearClassifier, MatrixLike
from .classifier import Scoring
from .cross_validation import Folds

class LogisticRegressionCV(LinearClassifier, LinearClassifierMixin):
    Cs: int | ArrayLike
    l1_ratios: ArrayLike | Literal["warn"] | None
    fit_intercept: bool
    cv: Folds
    dual: bool
    penalty: Literal["deprecated", "l2"]
    scoring: Scoring
    solver: Literal["lbfgs", "newton-cg", "newton-cholesky", "sag", "saga"]
    tol: float
    max_iter: int
    class_weight: Mapping[Any, float] | Literal["balanced"] | None
    n_jobs: int | None
    verbose: int | bool
    refit: bool
    intercept_scaling: float
    random_state: int | RandomState | None
    use_legacy_attributes: bool | Literal["warn"]

    C_: float | NDArray[np.float64]
    Cs_: NDArray[np.float64]
    l1_ratio_: float | NDArray[Any]
    l1_ratios_: NDArray[Any]
    scores_: NDArray[np.float64] | dict[Any, NDArray[np.float64]]
    coefs_paths_: NDArray[np.float64] | dict[Any, NDArray[np.float64]]
    n_iter_: NDArray[np.int32]

    def __init__(
        self,
        *,
        Cs: int | ArrayLike = 10,
        l1_ratios: ArrayLike | Literal["warn"] | None = "warn",
        fit_intercept: bool = True,
        cv: Folds = None,
        dual: bool = False,
        penalty: Literal["deprecated", "l2"] = "deprecated",
        scoring: Scoring = "warn",
        solver: Literal["lbfgs", "newton-cg", "newton-cholesky", "sag", "saga"] = "lbfgs",
        tol: float = 1e-4,
        max_iter: int = 100,
        class_weight: Mapping[Any, float] | Literal["balanced"] | None = None,
        n_jobs: int | None = None,
        verbose: int | bool = 0,
        refit: bool = True,
        intercept_scaling: float = 1.0,
        random_state: int | RandomState | None = None,
        use_legacy_attributes: bool | Literal["warn"] = "warn",
    ) -> None: ...
    def fit(
        self,
        X: MatrixLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        **params: Any,
    ) -> Self: ...
    def score(
        self,
        X: MatrixLike,
        y: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        **score_params: Any,
    ) -> float: ...
    def get_metadata_routing(self) -> Any: ...

# Types of LogisticRegression for users' type checkers. tests/test_typing.py holds the signatures to
# those of logistic_regression.py.

from collections.abc import Mapping
from typing import Any, Literal, Self

import numpy as np
from numpy.random import RandomState
from numpy.typing import ArrayLike, NDArray
from sklearn.linear_model._base import LinearClassifierMixin

from ..callbacks import CallbackSupportMixin
from .base import LinearClassifier, MatrixLike

class LogisticRegression(CallbackSupportMixin, LinearClassifier, LinearClassifierMixin):
    penalty: Literal["deprecated", "l2"] | None
    C: float
    l1_ratio: float | None
    dual: bool
    tol: float
    fit_intercept: bool
    intercept_scaling: float
    class_weight: Mapping[Any, float] | Literal["balanced"] | None
    random_state: int | RandomState | None
    solver: Literal["lbfgs", "newton-cg", "newton-cholesky", "sag", "saga"]
    max_iter: int
    verbose: int | bool
    warm_start: bool
    n_jobs: int | None

    n_iter_: NDArray[np.int32]

    def __init__(
        self,
        penalty: Literal["deprecated", "l2"] | None = "deprecated",
        *,
        C: float = 1.0,
        l1_ratio: float | None = 0.0,
        dual: bool = False,
        tol: float = 1e-4,
        fit_intercept: bool = True,
        intercept_scaling: float = 1,
        class_weight: Mapping[Any, float] | Literal["balanced"] | None = None,
        random_state: int | RandomState | None = None,
        solver: Literal["lbfgs", "newton-cg", "newton-cholesky", "sag", "saga"] = "lbfgs",
        max_iter: int = 100,
        verbose: int | bool = 0,
        warm_start: bool = False,
        n_jobs: int | None = None,
    ) -> None: ...
    def fit(
        self, X: MatrixLike, y: ArrayLike | None = None, sample_weight: ArrayLike | None = None
    ) -> Self: ...

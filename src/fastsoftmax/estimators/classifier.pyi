# Types of SoftmaxClassifier for users' type checkers. tests/test_typing.py holds the signatures to
# those of classifier.py.

from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from typing import Any, Literal, Self, TypeAlias

import numpy as np
from numpy.random import RandomState
from numpy.typing import ArrayLike, NDArray
from sklearn.linear_model._base import LinearClassifierMixin

from ..callbacks import CallbackSupportMixin, EpochInfo
from .base import LinearClassifier, MatrixLike

Schedule: TypeAlias = Literal[
    "auto", "constant", "adaptive", "inverse_time", "exponential", "linear", "cosine"
]
# A scorer's name, or a scorer: (estimator, X, y) and maybe sample_weight.
Scoring: TypeAlias = str | Callable[..., float] | None
ComputingType: TypeAlias = (
    Literal["float32", "float64"]
    | type[np.float32 | np.float64]
    | np.dtype[np.float32]
    | np.dtype[np.float64]
)

class SoftmaxClassifier(CallbackSupportMixin, LinearClassifier, LinearClassifierMixin):
    solver: Literal["auto", "dual", "lbfgs", "sgd", "adagrad"]
    multi_class: Literal["softmax", "ovr"]
    alpha: float
    label_smoothing: float
    learning_rate: float | Literal["auto"]
    schedule: Schedule
    decay: float
    momentum: float
    nesterov: bool
    batch_size: int
    max_iter: int | None
    tol: float | None
    n_iter_no_change: int
    early_stopping: bool
    validation_fraction: float | int
    scoring: Scoring
    standardize: bool | Literal["population", "sample"]
    weight_init: Literal["zeros", "normal"]
    init_scale: float
    fit_intercept: bool
    class_weight: Mapping[Any, float] | Literal["balanced"] | None
    shuffle: bool
    random_state: int | RandomState | None
    n_jobs: int | None
    dtype: ComputingType | None
    warm_start: bool
    callbacks: Sequence[Callable[[EpochInfo], object]] | None
    verbose: int | bool

    n_iter_: int
    validation_scores_: NDArray[np.float64]
    best_iter_: int
    learning_rate_: float
    mean_: NDArray[np.float64]
    scale_: NDArray[np.float64]

    def __init__(
        self,
        *,
        solver: Literal["auto", "dual", "lbfgs", "sgd", "adagrad"] = "auto",
        multi_class: Literal["softmax", "ovr"] = "softmax",
        alpha: float = 1e-4,
        label_smoothing: float = 0.0,
        learning_rate: float | Literal["auto"] = "auto",
        schedule: Schedule = "auto",
        decay: float = 0.1,
        momentum: float = 0.9,
        nesterov: bool = False,
        batch_size: int = 128,
        max_iter: int | None = None,
        tol: float | None = 1e-5,
        n_iter_no_change: int = 5,
        early_stopping: bool = False,
        validation_fraction: float | int = 0.1,
        scoring: Scoring = "loss",
        standardize: bool | Literal["population", "sample"] = False,
        weight_init: Literal["zeros", "normal"] = "zeros",
        init_scale: float = 0.01,
        fit_intercept: bool = True,
        class_weight: Mapping[Any, float] | Literal["balanced"] | None = None,
        shuffle: bool = True,
        random_state: int | RandomState | None = None,
        n_jobs: int | None = None,
        dtype: ComputingType | None = None,
        warm_start: bool = False,
        callbacks: Sequence[Callable[[EpochInfo], object]] | None = None,
        verbose: int | bool = 0,
    ) -> None: ...
    def fit(
        self,
        X: MatrixLike,
        y: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        *,
        X_val: MatrixLike | None = None,
        y_val: ArrayLike | None = None,
        sample_weight_val: ArrayLike | None = None,
        checkpoint: str | PathLike[str] | None = None,
        resume: bool = False,
    ) -> Self: ...
    def partial_fit(
        self,
        X: MatrixLike,
        y: ArrayLike,
        classes: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> Self: ...

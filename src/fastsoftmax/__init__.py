"""Softmax regression on big matrices, trained by compiled kernels behind a scikit-learn estimator.

The public names. The estimators and ``load`` are imported when first asked for, so that ``import
fastsoftmax.functional`` needs NumPy alone.
"""

from typing import TYPE_CHECKING

from .functional import (
    adagrad_update,
    cross_entropy,
    cross_entropy_gradient,
    log_softmax,
    logsumexp,
    momentum_update,
    one_hot,
    softmax,
    zscore,
)

if TYPE_CHECKING:  # what __getattr__ gives
    from .estimators import (
        LogisticRegression,
        LogisticRegressionCV,
        SoftmaxClassifier,
        SoftmaxClassifierCV,
        load,
    )

__version__ = "0.1.0"

__all__ = [
    "LogisticRegression",
    "LogisticRegressionCV",
    "SoftmaxClassifier",
    "SoftmaxClassifierCV",
    "adagrad_update",
    "cross_entropy",
    "cross_entropy_gradient",
    "load",
    "log_softmax",
    "logsumexp",
    "momentum_update",
    "one_hot",
    "softmax",
    "zscore",
]


#: Names that need scikit-learn.
_LAZY = (
    "LogisticRegression",
    "LogisticRegressionCV",
    "SoftmaxClassifier",
    "SoftmaxClassifierCV",
    "load",
)


def __getattr__(name):
    if name in _LAZY:
        from importlib import import_module

        return getattr(import_module(".estimators", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted({*globals(), *__all__})

"""The faces that users see: classifiers in scikit-learn's form, and what they share.

Parameters and attributes are theirs; what is minimised is problem/'s, how is optimization/'s. With
the classes comes ``load``, which makes one of them again.
"""

from ..interchange.files import load
from .classifier import SoftmaxClassifier
from .cross_validation import SoftmaxClassifierCV
from .logistic_regression import LogisticRegression
from .logistic_regression_cv import LogisticRegressionCV

__all__ = [
    "LogisticRegression",
    "LogisticRegressionCV",
    "SoftmaxClassifier",
    "SoftmaxClassifierCV",
    "load",
]

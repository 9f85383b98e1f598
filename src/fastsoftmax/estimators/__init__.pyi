from os import PathLike

from .base import LinearClassifier
from .classifier import SoftmaxClassifier as SoftmaxClassifier
from .cross_validation import SoftmaxClassifierCV as SoftmaxClassifierCV
from .logistic_regression import LogisticRegression as LogisticRegression
from .logistic_regression_cv import LogisticRegressionCV as LogisticRegressionCV

def load(path: str | PathLike[str]) -> LinearClassifier: ...

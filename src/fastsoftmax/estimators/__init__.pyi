from os import PathLike

from .base import LinearClassifier
from .classifier import SoftmaxClassifier as SoftmaxClassifier
from .cross_validation import SoftmaxClassifierCV as SoftmaxClassifierCV
from .logistic_regression import LogisticRegression as LogisticRegression

def load(path: str | PathLike[str]) -> LinearClassifier: ...

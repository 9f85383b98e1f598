"""Where pickles of 0.1.0 look for SoftmaxClassifier; nothing else."""

from .estimators.classifier import SoftmaxClassifier

__all__ = ["SoftmaxClassifier"]

"""Where pickles of 0.1.0 look for SoftmaxClassifierCV; nothing else."""

from .estimators.cross_validation import SoftmaxClassifierCV

__all__ = ["SoftmaxClassifierCV"]

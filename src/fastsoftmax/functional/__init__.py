"""Softmax, cross-entropy, z-score and optimiser steps as functions of the caller's arrays.

Nothing here trains or keeps state. It needs NumPy alone, so that importing it is quick. Arguments
are checked and shaped by ``_arrays.py``, the arithmetic is that of the compiled kernels, looked up
at each call. Called by users, by these names, and by those of the package.

Everywhere, ``raw_prediction`` has any number of dimensions from 1 and its classes on the last
axis. float32 and float64 are computed as they are, float16 in float32 and rounded once; each
gives its own dtype. Integers, booleans and lists of Python numbers give float64. Any memory layout,
alignment and byte order is taken, read-only too; results are in native byte order. NaN propagates.

``n_jobs`` is the number of threads: None and −1 are all cores this process may use, and −2 all but
one. A call of fewer than 2¹⁸ values runs on one thread whatever it says, as waking another would
cost more than it helps; larger ones share their rows. The result is the same bit for bit.

Errors are given in ULP, the distance of neighbouring numbers at the exact result; a subnormal
result's is the smallest number. The bounds are held over the whole range of float32 and float64, on
every build, by tests/test_accuracy.py. √n_classes stands for the roundings of the sum.
"""

from .losses import cross_entropy, cross_entropy_gradient
from .preprocessing import one_hot, zscore
from .probabilities import log_softmax, logsumexp, softmax
from .updates import adagrad_update, momentum_update

__all__ = [
    "adagrad_update",
    "cross_entropy",
    "cross_entropy_gradient",
    "log_softmax",
    "logsumexp",
    "momentum_update",
    "one_hot",
    "softmax",
    "zscore",
]

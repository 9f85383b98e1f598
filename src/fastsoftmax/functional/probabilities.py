"""softmax, its logarithm, and the logarithm of its denominator, over the last axis.

What holds of all of them is said in the package. Called by users through it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .. import kernels
from . import _arrays

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["log_softmax", "logsumexp", "softmax"]


def softmax(
    raw_prediction: ArrayLike, *, out: NDArray | None = None, n_jobs: int | None = None
) -> NDArray:
    """Probabilities exp(raw_k) / Σ exp(raw), over the last axis.

    The row's maximum is taken off first, so that no input overflows.

    Parameters
    ----------
    raw_prediction : array_like of shape (..., n_classes)
        −inf gives probability 0. +inf, NaN, or −inf alone make the row NaN.
    out : ndarray, optional
        Where to write: the shape and dtype of the result. May be ``raw_prediction`` itself, or
        overlap it.
    n_jobs : int, optional
        Threads: None or −1 for all cores, else a number other than 0; see
        :mod:`fastsoftmax.functional`.

    Returns
    -------
    probability : ndarray of the shape of raw_prediction
        In [0, 1], with sum 1 over the last axis to rounding; ``out`` if it was given. Off by at
        most 4 + √n_classes ULP, subnormal results included.

    Raises
    ------
    TypeError
        If ``raw_prediction`` or ``out`` has a dtype that is not allowed.
    ValueError
        If ``raw_prediction`` is a scalar, or ``out`` has another shape or is read-only.

    References
    ----------
    Bridle, "Probabilistic interpretation of feedforward classification network outputs", 1990.
    Blanchard, Higham, Higham, "Accurately computing the log-sum-exp and softmax functions", 2021.

    Examples
    --------
    >>> softmax([2.0, 1.0, 0.1]).round(1)
    array([0.7, 0.2, 0.1])
    """
    return _row_function(kernels.implementation.softmax, raw_prediction, out, n_jobs)


def log_softmax(
    raw_prediction: ArrayLike, *, out: NDArray | None = None, n_jobs: int | None = None
) -> NDArray:
    """Logarithms of the probabilities, raw_k − log Σ exp(raw), over the last axis.

    Not the logarithm of :func:`softmax`: a probability that would round to 0 keeps its digits.

    Parameters
    ----------
    raw_prediction : array_like of shape (..., n_classes)
        −inf stays −inf. +inf, NaN, or −inf alone make the row NaN.
    out : ndarray, optional
    n_jobs : int, optional
        Both as for :func:`softmax`.

    Returns
    -------
    log_probability : ndarray of the shape of raw_prediction
        In [−inf, 0]; ``out`` if it was given. Off by at most 4 + √n_classes ULP.

    Raises
    ------
    TypeError, ValueError
        As :func:`softmax`.

    References
    ----------
    Blanchard, Higham, Higham, "Accurately computing the log-sum-exp and softmax functions", 2021.

    Examples
    --------
    >>> from fastsoftmax import log_softmax
    >>> log_softmax([1000.0, 0.0])  # softmax gives 1 and 0
    array([    0., -1000.])
    """
    return _row_function(kernels.implementation.log_softmax, raw_prediction, out, n_jobs)


def logsumexp(
    raw_prediction: ArrayLike, *, out: NDArray | None = None, n_jobs: int | None = None
) -> NDArray | np.floating:
    """Logarithm of Σ exp(raw), over the last axis.

    Parameters
    ----------
    raw_prediction : array_like of shape (..., n_classes)
    out : ndarray of shape (...), optional
        Where to write, of the dtype of the result. May overlap ``raw_prediction``.
    n_jobs : int, optional
        As for :func:`softmax`.

    Returns
    -------
    log_sum : ndarray of shape (...), or a scalar where raw_prediction is 1-D
        −inf where all values are −inf or there are none, +inf where one is +inf;
        ``out`` if it was given. Off by at most 4 + √n_classes ULP of the largest of the result,
        the row's maximum and log Σ exp(raw − maximum), of which the last two may cancel.

    Raises
    ------
    TypeError, ValueError
        As :func:`softmax`.

    References
    ----------
    Blanchard, Higham, Higham, "Accurately computing the log-sum-exp and softmax functions", 2021.

    Examples
    --------
    >>> import numpy as np
    >>> from fastsoftmax import logsumexp
    >>> logsumexp(np.log([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])) - np.log([6.0, 15.0])
    array([0., 0.])
    """
    if _arrays.is_plain(raw_prediction):
        shape = raw_prediction.shape[:1]
        log_sum = np.empty(shape, raw_prediction.dtype) if out is None else out
        if out is None or _arrays.is_plain_out(out, raw_prediction, shape):
            n_threads = _arrays.threads_for(n_jobs, raw_prediction.size)
            kernels.implementation.logsumexp(raw_prediction, log_sum, n_threads)
            return log_sum
    raw, result, compute = _arrays.as_rows(raw_prediction)
    n_threads = _arrays.threads_for(n_jobs, raw.size)
    if out is not None:
        _arrays.check_out(out, raw.shape[:-1], result)
    rows = _arrays.ready_rows(raw, compute)
    log_sum = np.empty(len(rows), compute)
    kernels.implementation.logsumexp(rows, log_sum, n_threads)
    log_sum = log_sum.reshape(raw.shape[:-1])
    if out is not None:
        _arrays.round_into(out, log_sum)
        return out
    return _arrays.rounded(log_sum, result)[()]


def _row_function(kernel, raw_prediction, out, n_jobs):
    """Run a kernel that gives a row for a row: at once in the plain case, else after checks."""
    if _arrays.is_plain(raw_prediction):
        if out is None:
            out = np.empty(raw_prediction.shape, raw_prediction.dtype)
            kernel(raw_prediction, out, _arrays.threads_for(n_jobs, raw_prediction.size))
            return out
        if _arrays.is_plain_out(out, raw_prediction, raw_prediction.shape):
            kernel(raw_prediction, out, _arrays.threads_for(n_jobs, raw_prediction.size))
            return out
    raw, result, compute = _arrays.as_rows(raw_prediction)
    n_threads = _arrays.threads_for(n_jobs, raw.size)
    if out is None:
        out = np.empty(raw.shape, result)
    else:
        _arrays.check_out(out, raw.shape, result)
    _arrays.map_rows(lambda rows, rows_out: kernel(rows, rows_out, n_threads), raw, out, compute)
    return out

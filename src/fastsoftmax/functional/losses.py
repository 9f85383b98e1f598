"""Cross-entropy of raw predictions, and its gradient, for class codes and for probabilities.

What holds of all functions is said in the package. Called by users through it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .. import kernels
from . import _arrays

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["cross_entropy", "cross_entropy_gradient"]


def cross_entropy(
    raw_prediction: ArrayLike,
    y_true: ArrayLike,
    sample_weight: ArrayLike | None = None,
    *,
    n_jobs: int | None = None,
) -> float:
    """Weighted mean of D(S(raw), L) = −Σ_k L_k log S_k over all samples.

    With class codes this is the mean of log Σ exp(raw) − raw_y; the maximum is taken off both
    terms before the subtraction, which keeps the digits of a small loss.

    Parameters
    ----------
    raw_prediction : array_like of shape (..., n_classes)
    y_true : array_like of shape (...) or (..., n_classes)
        Class codes, integers in [0, n_classes); or probabilities (one-hot rows, say), at least 0
        and with sum 1 over the last axis to within √ε of their dtype.
    sample_weight : array_like of shape (...), optional
        Finite, at least 0, not all 0. A sample of weight 0 counts as absent, whatever it holds.
    n_jobs : int, optional
        As for :func:`softmax`.

    Returns
    -------
    loss : float
        In [0, inf]; each loss is off by at most 4 + √n_classes ULP of the dtype computed in, also
        where it is near 0, and the mean is taken in float64. +inf where a class that did occur has
        raw prediction −inf. Of no samples: NaN with NumPy's RuntimeWarning, as ``np.mean``.

    Raises
    ------
    TypeError
        If an argument has a dtype that is not allowed.
    ValueError
        If shapes do not agree, a code is out of range, a row of probabilities is not one, or the
        weights are not allowed.

    References
    ----------
    Bishop, "Pattern Recognition and Machine Learning", 2006, eq. 4.108.

    Examples
    --------
    >>> from fastsoftmax import cross_entropy
    >>> scores = [[2.0, 1.0, 0.1]]
    >>> round(cross_entropy(scores, [0]), 3)  # the first class is right
    0.417
    >>> round(cross_entropy(scores, [[0.0, 0.0, 1.0]]), 3)  # the last one is, as probabilities
    2.317
    """
    if (
        sample_weight is None
        and _arrays.is_plain(raw_prediction)
        and raw_prediction.size > 0
        and _arrays.is_plain_codes(y_true, len(raw_prediction))
    ):
        losses = np.empty(len(raw_prediction), raw_prediction.dtype)
        n_threads = _arrays.threads_for(n_jobs, raw_prediction.size)
        kernel = kernels.implementation.cross_entropy
        return kernel(raw_prediction, y_true, losses, n_threads) / len(raw_prediction)
    raw, _, compute = _arrays.as_rows(raw_prediction)
    n_threads = _arrays.threads_for(n_jobs, raw.size)
    codes, targets = _arrays.check_y_true(y_true, raw.shape)
    weight = _arrays.check_sample_weight(sample_weight, raw.shape[:-1])
    if codes is not None:
        rows = _arrays.ready_rows(raw, compute)
        losses = np.empty(len(rows), compute)
        kernels.implementation.cross_entropy(rows, codes, losses, n_threads)
    else:
        losses = _target_losses(raw, targets, compute, n_threads)
    if weight is None or not weight.size:
        return float(losses.mean(dtype=np.float64))
    present = weight > 0
    return float(losses[present].astype(np.float64) @ weight[present])


def _target_losses(raw, targets, compute, n_threads):
    """−Σ_k L_k log S_k of each sample in float64, where 0 · log 0 is 0."""
    product = np.empty(raw.shape, compute)
    kernel = kernels.implementation.log_softmax
    _arrays.map_rows(lambda rows, out: kernel(rows, out, n_threads), raw, product, compute)
    product = _arrays.as_2d(product)
    # A NaN log-probability makes the loss NaN even where its target is 0.
    ignored = (targets == 0) & np.isneginf(product)
    np.multiply(product, targets, out=product, where=~ignored, casting="same_kind")
    product[ignored] = 0
    return 0 - product.sum(axis=1, dtype=np.float64)


def cross_entropy_gradient(
    raw_prediction: ArrayLike,
    y_true: ArrayLike,
    sample_weight: ArrayLike | None = None,
    *,
    out: NDArray | None = None,
    n_jobs: int | None = None,
) -> NDArray:
    """Gradient of :func:`cross_entropy` with respect to ``raw_prediction``.

    It is (S(raw) − L) · s / Σs for each sample of weight s and one-hot label or probabilities L.

    Parameters
    ----------
    raw_prediction : array_like of shape (..., n_classes)
    y_true, sample_weight : as in :func:`cross_entropy`
    out : ndarray, optional
        Where to write: the shape and dtype of the result. May be ``raw_prediction`` itself, or
        overlap any argument.
    n_jobs : int, optional
        As for :func:`softmax`.

    Returns
    -------
    gradient : ndarray of the shape of raw_prediction
        In [−1, 1], 0 for a sample of weight 0; ``out`` if it was given. Empty for no samples. Off
        by as many ULP as :func:`softmax`; where a target is taken off, which may cancel, of s / Σs.

    Raises
    ------
    TypeError, ValueError
        As :func:`cross_entropy`, and as :func:`softmax` for ``out``.

    References
    ----------
    Bishop, "Pattern Recognition and Machine Learning", 2006, eq. 4.109.

    Examples
    --------
    >>> from fastsoftmax import cross_entropy_gradient
    >>> cross_entropy_gradient([[2.0, 1.0, 0.1]], [0]).round(2)
    array([[-0.34,  0.24,  0.1 ]])
    """
    if (
        sample_weight is None
        and _arrays.is_plain(raw_prediction)
        and raw_prediction.size > 0
        and _arrays.is_plain_codes(y_true, len(raw_prediction))
        and (out is None or _arrays.is_plain_out(out, raw_prediction, raw_prediction.shape))
        and (out is None or not np.may_share_memory(out, y_true))
    ):
        if out is None:
            out = np.empty(raw_prediction.shape, raw_prediction.dtype)
        n_threads = _arrays.threads_for(n_jobs, raw_prediction.size)
        kernel = kernels.implementation.cross_entropy_gradient
        kernel(raw_prediction, y_true, weight=None, out=out, n_threads=n_threads)
        return out
    raw, result, compute = _arrays.as_rows(raw_prediction)
    n_threads = _arrays.threads_for(n_jobs, raw.size)
    codes, targets = _arrays.check_y_true(y_true, raw.shape)
    weight = _arrays.check_sample_weight(sample_weight, raw.shape[:-1])
    if out is None:
        out = np.empty(raw.shape, result)
    else:
        _arrays.check_out(out, raw.shape, result)
        # check_y_true may have given views of the caller's memory, which out may overlap.
        codes, targets = (
            a.copy() if a is not None and np.may_share_memory(a, out) else a
            for a in (codes, targets)
        )
    n_samples = raw.size // max(raw.shape[-1], 1)
    absent = None if weight is None else np.flatnonzero(weight == 0)
    weight = (np.full(n_samples, 1 / max(n_samples, 1)) if weight is None else weight).astype(
        compute
    )

    def gradient_of_rows(rows, rows_out):
        if codes is not None:
            kernels.implementation.cross_entropy_gradient(
                rows, codes, weight=weight, out=rows_out, n_threads=n_threads
            )
        else:
            kernels.implementation.softmax(rows, rows_out, n_threads)
            np.subtract(rows_out, targets, out=rows_out, casting="same_kind")
            rows_out *= weight[:, None]
        if absent is not None:
            rows_out[absent] = 0

    _arrays.map_rows(gradient_of_rows, raw, out, compute)
    return out

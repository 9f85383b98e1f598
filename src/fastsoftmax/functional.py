"""Softmax, cross-entropy, z-score and optimiser steps as functions of the caller's arrays.

Thin: arguments are checked and shaped here (with _arrays.py), the arithmetic is in the compiled
kernels, looked up at each call. Nothing here trains or keeps state. Needs NumPy alone, so that
importing it is quick. Called by users and re-exported by the package.

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

from __future__ import annotations

import operator
from typing import TYPE_CHECKING

import numpy as np

from . import _arrays, kernels
from .kernels.threads import effective_n_threads

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, DTypeLike, NDArray

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
        Threads: None or −1 for all cores, else a number other than 0; see the module.

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
    """
    return _row_function(kernels.implementation.log_softmax, raw_prediction, out, n_jobs)


#: Values below which a call runs on one thread (VALUES_PER_THREAD in _functions.pxi).
_WORTH_THREADS = 1 << 18


def _n_threads(n_jobs, size):
    """Threads for a call on so many values; the common answer, 1, costs next to nothing."""
    if n_jobs is not None:
        _arrays.check_n_jobs(n_jobs)
    return 1 if size < _WORTH_THREADS or n_jobs == 1 else effective_n_threads(n_jobs)


def _row_function(kernel, raw_prediction, out, n_jobs):
    """Run a kernel that gives a row for a row: at once in the plain case, else after checks."""
    if _arrays.is_plain(raw_prediction):
        if out is None:
            out = np.empty(raw_prediction.shape, raw_prediction.dtype)
            kernel(raw_prediction, out, _n_threads(n_jobs, raw_prediction.size))
            return out
        if _arrays.is_plain_out(out, raw_prediction, raw_prediction.shape):
            kernel(raw_prediction, out, _n_threads(n_jobs, raw_prediction.size))
            return out
    raw, result, compute = _arrays.as_rows(raw_prediction)
    n_threads = _n_threads(n_jobs, raw.size)
    if out is None:
        out = np.empty(raw.shape, result)
    else:
        _arrays.check_out(out, raw.shape, result)
    _arrays.map_rows(lambda rows, rows_out: kernel(rows, rows_out, n_threads), raw, out, compute)
    return out


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
    """
    if _arrays.is_plain(raw_prediction):
        shape = raw_prediction.shape[:1]
        log_sum = np.empty(shape, raw_prediction.dtype) if out is None else out
        if out is None or _arrays.is_plain_out(out, raw_prediction, shape):
            n_threads = _n_threads(n_jobs, raw_prediction.size)
            kernels.implementation.logsumexp(raw_prediction, log_sum, n_threads)
            return log_sum
    raw, result, compute = _arrays.as_rows(raw_prediction)
    n_threads = _n_threads(n_jobs, raw.size)
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


def one_hot(
    y_true: ArrayLike, n_classes: int | None = None, dtype: DTypeLike = np.float64
) -> NDArray:
    """Class codes as rows of zeros with a one at the class.

    Parameters
    ----------
    y_true : array_like of integers, any shape
        Class codes in [0, n_classes).
    n_classes : int, optional
        At least 0; by default the largest code plus 1 (0 where there are no codes).
    dtype : dtype, default=float64
        Of the result.

    Returns
    -------
    targets : ndarray of shape (*y_true.shape, n_classes)

    Raises
    ------
    TypeError
        If ``y_true`` does not hold integers, or ``n_classes`` isn't one.
    ValueError
        If a code is out of range, or ``n_classes`` is negative.
    """
    array = np.asarray(y_true)
    if n_classes is None:
        largest = int(array.max()) if array.size and array.dtype.kind in "biu" else -1
        n_classes = max(largest + 1, 0)
    try:
        n_classes = operator.index(n_classes)
    except TypeError:
        raise TypeError(f"n_classes must be an integer or None; got {n_classes!r}") from None
    if n_classes < 0:
        raise ValueError(f"n_classes must be at least 0; got {n_classes}")
    codes = _arrays.check_codes(array, n_classes)
    targets = np.zeros((len(codes), n_classes), dtype)
    targets[np.arange(len(codes)), codes] = 1
    return targets.reshape(*array.shape, n_classes)


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
    """
    if (
        sample_weight is None
        and _arrays.is_plain(raw_prediction)
        and raw_prediction.size > 0
        and _arrays.is_plain_codes(y_true, len(raw_prediction))
    ):
        losses = np.empty(len(raw_prediction), raw_prediction.dtype)
        n_threads = _n_threads(n_jobs, raw_prediction.size)
        kernel = kernels.implementation.cross_entropy
        return kernel(raw_prediction, y_true, losses, n_threads) / len(raw_prediction)
    raw, _, compute = _arrays.as_rows(raw_prediction)
    n_threads = _n_threads(n_jobs, raw.size)
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
        n_threads = _n_threads(n_jobs, raw_prediction.size)
        kernel = kernels.implementation.cross_entropy_gradient
        kernel(raw_prediction, y_true, None, out, n_threads)
        return out
    raw, result, compute = _arrays.as_rows(raw_prediction)
    n_threads = _n_threads(n_jobs, raw.size)
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
            kernels.implementation.cross_entropy_gradient(rows, codes, weight, rows_out, n_threads)
        else:
            kernels.implementation.softmax(rows, rows_out, n_threads)
            np.subtract(rows_out, targets, out=rows_out, casting="same_kind")
            rows_out *= weight[:, None]
        if absent is not None:
            rows_out[absent] = 0

    _arrays.map_rows(gradient_of_rows, raw, out, compute)
    return out


def zscore(X: ArrayLike, ddof: int = 0) -> NDArray:
    """Columns of X less their mean, divided by their standard deviation.

    Means and deviations are taken in float64. A constant column gives 0, not NaN.

    Parameters
    ----------
    X : array_like of shape (n_samples,) or (n_samples, n_features)
    ddof : int, default=0
        The deviation is √(Σ (x − mean)² / (n_samples − ddof)): 0 for the population form, 1 for
        the sample form. At least 0 and below n_samples.

    Returns
    -------
    scores : ndarray of the shape of X
        A column that holds NaN or ±inf is NaN throughout. The squares of the differences from
        the mean must stay within the range of float64, as for ``np.std``.

    Raises
    ------
    TypeError
        If ``X`` has a dtype that is not allowed, or ``ddof`` isn't an integer.
    ValueError
        If ``X`` has another number of dimensions, or ``ddof`` is out of range.

    References
    ----------
    Chan, Golub, LeVeque, "Updating formulae and a pairwise algorithm for computing sample
    variances", 1979.
    """
    array, result, compute = _arrays.as_real(X, "X")
    if array.ndim not in (1, 2):
        raise ValueError(f"X must have 1 or 2 dimensions; got {array.ndim}")
    try:
        ddof = operator.index(ddof)
    except TypeError:
        raise TypeError(f"ddof must be an integer; got {ddof!r}") from None
    n_samples = len(array)
    if ddof < 0 or 0 < n_samples <= ddof:
        raise ValueError(f"ddof must be in [0, n_samples={n_samples}); got {ddof}")
    columns = array.reshape(n_samples, 1) if array.ndim == 1 else array
    if n_samples == 0 or columns.shape[1] == 0:
        return np.empty(array.shape, result)
    if columns.dtype != compute or not columns.flags.aligned:
        columns = columns.astype(compute)
    scores = np.empty(columns.shape, compute)
    with np.errstate(invalid="ignore"):  # inf − inf is the NaN that is promised
        mean, deviation = _mean_and_deviation(columns, ddof)
        # Each float64 step is rounded into scores as it is taken: no float64 copy of X, and the
        # digits that a large offset hides are kept.
        np.subtract(columns, mean, out=scores, casting="same_kind")
    np.divide(scores, deviation, out=scores, casting="same_kind")
    return _arrays.rounded(scores.reshape(array.shape), result)


def _mean_and_deviation(columns, ddof):
    """Mean and deviation of each column in float64; of a constant column, its value and 1."""
    n_samples, n_features = columns.shape
    mean, squares = np.empty(n_features), np.empty(n_features)
    kernels.implementation.column_statistics(columns, None, mean, squares, 1)
    deviation = np.sqrt(squares / (n_samples - ddof))
    # The rounded mean of a constant can differ from it by a few ulp, and then the scores would be
    # rounding noise divided by itself: a tiny deviation asks for a look at the values.
    doubtful = np.flatnonzero(deviation <= 1e-7 * np.abs(mean))
    values = columns[:, doubtful]
    constant = doubtful[values.min(axis=0) == values.max(axis=0)]
    mean[constant] = columns[0, constant]
    deviation[constant] = 1
    return mean, deviation


def momentum_update(
    params: NDArray,
    velocity: NDArray,
    gradient: NDArray,
    learning_rate: float,
    momentum: float = 0.9,
    nesterov: bool = False,
) -> None:
    """Take one step of gradient descent with momentum, in place.

    v ← γ v + η g; θ ← θ − v, or with ``nesterov`` θ ← θ − (γ v + η g). From v = 0 the velocity is
    η g_t + γ η g_{t−1} + γ² η g_{t−2} + …

    Parameters
    ----------
    params, velocity : writeable float32 or float64 ndarrays of one shape and dtype
        θ and v, both overwritten. They must not share memory. Not C-contiguous: works on a copy.
    gradient : ndarray of the same shape and dtype
    learning_rate : float
        η, in [0, inf).
    momentum : float, default=0.9
        γ, in [0, 1).
    nesterov : bool, default=False

    Raises
    ------
    TypeError
        If an array is not an ndarray of the dtype asked for, or a parameter is not a number.
    ValueError
        If shapes differ, an array to be overwritten is read-only, the two share memory, or a
        parameter is out of range.

    References
    ----------
    Sutskever et al., "On the importance of initialization and momentum in deep learning", 2013.
    """
    learning_rate = _arrays.check_number(learning_rate, "learning_rate", 0, np.inf, "[)")
    momentum = _arrays.check_number(momentum, "momentum", 0, 1, "[)")
    _arrays.check_parameters("velocity", params, velocity, gradient)
    _step_in_place(
        kernels.implementation.momentum_update,
        (params, velocity, gradient),
        (learning_rate, momentum, bool(nesterov)),
    )


def adagrad_update(
    params: NDArray,
    accumulator: NDArray,
    gradient: NDArray,
    learning_rate: float,
    epsilon: float = 1e-10,
) -> None:
    """Take one step of AdaGrad, in place.

    a ← a + g²; θ ← θ − η g / (√a + ε).

    Parameters
    ----------
    params, accumulator : writeable float32 or float64 ndarrays of one shape and dtype
        θ and a, both overwritten; a is at least 0. They must not share memory. Not C-contiguous:
        works on a copy.
    gradient : ndarray of the same shape and dtype
    learning_rate : float
        η, in [0, inf).
    epsilon : float, default=1e-10
        ε, in (0, inf).

    Raises
    ------
    TypeError, ValueError
        As :func:`momentum_update`.

    References
    ----------
    Duchi, Hazan, Singer, "Adaptive subgradient methods for online learning and stochastic
    optimization", 2011.
    """
    learning_rate = _arrays.check_number(learning_rate, "learning_rate", 0, np.inf, "[)")
    epsilon = _arrays.check_number(epsilon, "epsilon", 0, np.inf, "()")
    _arrays.check_parameters("accumulator", params, accumulator, gradient)
    _step_in_place(
        kernels.implementation.adagrad_update,
        (params, accumulator, gradient),
        (learning_rate, epsilon),
    )


def _step_in_place(kernel, arrays, numbers):
    """Run an optimiser kernel on the arrays' memory, or on copies that are then written back."""
    params, state, gradient = arrays
    if np.may_share_memory(gradient, params) or np.may_share_memory(gradient, state):
        gradient = gradient.copy()
    dtype = params.dtype.newbyteorder("=")
    flat_params, flat_state = _arrays.flat(params, dtype), _arrays.flat(state, dtype)
    kernel(flat_params, flat_state, _arrays.flat(gradient, dtype), *numbers)
    for array, values in ((params, flat_params), (state, flat_state)):
        if not np.may_share_memory(array, values):
            array[...] = values.reshape(array.shape)

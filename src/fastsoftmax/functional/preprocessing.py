"""What is made of data before a model sees it: one-hot rows of class codes, z-scores of columns.

What holds of all functions is said in the package. Called by users through it.
"""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING

import numpy as np

from .. import kernels
from . import _arrays

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, DTypeLike, NDArray

__all__ = ["one_hot", "zscore"]


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
    targets : ndarray of shape (..., n_classes)
        ``...`` is the shape of ``y_true``.

    Raises
    ------
    TypeError
        If ``y_true`` does not hold integers, or ``n_classes`` isn't one.
    ValueError
        If a code is out of range, or ``n_classes`` is negative or too large for memory.

    Examples
    --------
    >>> from fastsoftmax import one_hot
    >>> one_hot([2, 0], n_classes=3)
    array([[0., 0., 1.],
           [1., 0., 0.]])
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
    try:
        targets = np.zeros((len(codes), n_classes), dtype)
    except (ValueError, MemoryError) as error:
        raise ValueError(
            f"y_true of {len(codes)} codes and n_classes={n_classes} ask for too large an array: "
            f"{error}"
        ) from error
    targets[np.arange(len(codes)), codes] = 1
    return targets.reshape(*array.shape, n_classes)


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

    Examples
    --------
    >>> from fastsoftmax import zscore
    >>> hours = [10.0, 9.0, 3.0, 2.0, 11.0]
    >>> zscore(hours).round(2)
    array([ 0.8 ,  0.53, -1.07, -1.34,  1.07])
    >>> zscore(hours, ddof=1).round(2)
    array([ 0.72,  0.48, -0.96, -1.2 ,  0.96])
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
    kernels.implementation.column_statistics(
        columns, sample_weight=None, mean_out=mean, squares_out=squares, n_threads=1
    )
    deviation = np.sqrt(squares / (n_samples - ddof))
    # The rounded mean of a constant can differ from it by a few ulp, and then the scores would be
    # rounding noise divided by itself: a tiny deviation asks for a look at the values.
    doubtful = np.flatnonzero(deviation <= 1e-7 * np.abs(mean))
    values = columns[:, doubtful]
    constant = doubtful[values.min(axis=0) == values.max(axis=0)]
    mean[constant] = columns[0, constant]
    deviation[constant] = 1
    return mean, deviation

"""The NumPy twins of the kernels over sparse rows: the specification of each, beside dense.py.

X comes as the three arrays of a CSR matrix. A twin makes a dense tile of a block of rows and hands
it to the dense twin, which is what a kernel must never do: its work is that of the values held.
Sums are taken in float64. No threads, no scipy.

All arguments named alike mean the same:

data : contiguous float32 or float64 ndarray of shape (n_values,)
indices : contiguous int32 or int64 ndarray of shape (n_values,)
    Feature of each value, in [0, n_features), in any order within a row; repeats are added up, as
    in scipy. That they are in range is for the caller to check, with :func:`check_csr`: a kernel
    that meets another number gives a result of no use, but neither reads nor writes beyond an
    array.
indptr : contiguous int32 or int64 ndarray of shape (n_samples + 1,)
    Row i holds the values indptr[i] to indptr[i + 1] - 1; from 0 to n_values at most, never
    falling.
inverse_scale : ndarray of shape (n_features,) and coef's dtype, or None
    Values are multiplied by that of their feature.
shift : the same, or None; never without inverse_scale
    Rows then stand for (x − shift) · inverse_scale, which is dense: it is folded into the
    intercept, and into the gradient as a product of two vectors.
"""

import numpy as np

from . import checks, dense
from .checks import array, checked
from .functions import as_float64

__all__ = [
    "check_csr",
    "csr_repeats",
    "sparse_column_statistics",
    "sparse_decision_function",
    "sparse_epoch",
    "sparse_feature_counts",
    "sparse_loss_gradient",
    "sparse_loss_sum",
    "sparse_predict",
    "sparse_predict_proba",
]

_BLOCK = 512  # rows made dense at once

_SCALING = {
    "shift": array("n_features", optional=True),
    "inverse_scale": array("n_features", optional="shift"),
}
_ROWS = {"data": checks.csr, "indices": checks.csr, "indptr": checks.csr}


@checked(n_values=checks.whole_number, n_features=checks.whole_number)
def check_csr(indices, indptr, n_values, n_features):
    """Whether these are a CSR matrix's, and whether each row's features are strictly ascending.

    Parameters
    ----------
    indices : contiguous int32 or int64 ndarray
    indptr : contiguous int32 or int64 ndarray
    n_values : int
        How many values there are to be pointed at, at most the number of indices.
    n_features : int

    Returns
    -------
    is_sound : bool
        indptr goes from 0 to n_values at most and never falls; and what it points at of indices is
        in [0, n_features). Numbers are compared and never subtracted, as that may overflow.
    is_ascending : bool
        It is sound, and a feature is above the one before it in its row: none is repeated.
    """
    for name, value in (("indices", indices), ("indptr", indptr)):
        checks.csr_part(name, value)
    if n_values > len(indices):
        raise ValueError(
            f"n_values must be at most the number of indices, {len(indices)}; got {n_values}"
        )
    if not checks.is_sound_indptr(indptr, n_values):
        return False, False
    held = indices[: indptr[-1]]
    if not ((held >= 0) & (held < n_features)).all():
        return False, False
    row = np.repeat(np.arange(len(indptr) - 1), np.diff(indptr))
    return True, bool(((held[1:] > held[:-1]) | (row[1:] > row[:-1])).all())


@checked(n_features=checks.whole_number)
def csr_repeats(indices, indptr, n_features):
    """Whether some row of a CSR matrix, which is sound, holds a feature more than once."""
    for name, value in (("indices", indices), ("indptr", indptr)):
        checks.csr_part(name, value)
    if not checks.is_sound_indptr(indptr, len(indices)):
        raise ValueError(f"indptr must go from 0 up to {len(indices)} and never fall; got {indptr}")
    row = np.repeat(np.arange(len(indptr) - 1), np.diff(indptr))
    place = row * n_features + indices[: len(row)]
    return len(np.unique(place)) < len(place)


@checked(count_out=array("n_features", of=(np.dtype(np.intp).name,), out=True), **_ROWS)
def sparse_feature_counts(data, indices, indptr, count_out):
    """How many values each feature has, in an intp ndarray of shape (n_features,)."""
    count_out[:] = np.bincount(indices[: indptr[-1]], minlength=len(count_out))


def _dense(data, indices, indptr, rows, n_features, dtype, inverse_scale=None, shift=None):
    """Rows as a dense (len(rows), n_features) array."""
    tile = np.zeros((len(rows), n_features), dtype)
    for i, row in enumerate(rows):
        held = slice(indptr[row], indptr[row + 1])
        np.add.at(tile[i], indices[held], data[held].astype(dtype))
    if shift is not None:
        tile -= shift
    return tile if inverse_scale is None else tile * inverse_scale


def _blocks(n_samples):
    return (slice(at, min(at + _BLOCK, n_samples)) for at in range(0, n_samples, _BLOCK))


@checked(
    **dense.PARAMETERS,
    **_ROWS,
    inverse_scale=_SCALING["inverse_scale"],
    **dense.TARGETS,
    **dense.STEPS,
)
def sparse_epoch(
    data,
    indices,
    indptr,
    rows,
    y_true,
    sample_weight,
    inverse_scale,
    coef_inplace,
    intercept_inplace,
    coef_state_inplace,
    intercept_state_inplace,
    learning_rates,
    batch_size,
    loss,
    update,
    momentum,
    alpha,
    fit_intercept,
    n_threads,
    label_smoothing=0.0,
):
    """Train on the rows in the order given: :func:`dense.epoch` of the dense matrix.

    The penalty and the velocity move the weights of features that a minibatch doesn't hold, too.
    A kernel leaves such a feature alone until it is met again or the epoch ends, and takes the
    steps in between at once, as powers of a linear map; AdaGrad's with ``alpha`` above 0 are not
    linear, and taken one by one, for features whose weights aren't 0.

    Parameters and result as there.
    """
    total = 0.0
    for step, start in enumerate(range(0, len(rows), batch_size)):
        batch = rows[start : start + batch_size]
        total += dense.epoch(
            _dense(
                data,
                indices,
                indptr,
                batch,
                coef_inplace.shape[1],
                coef_inplace.dtype,
                inverse_scale,
            ),
            rows=np.arange(len(batch)),
            y_true=y_true[batch],
            sample_weight=None if sample_weight is None else sample_weight[batch],
            shift=None,
            inverse_scale=None,
            coef_inplace=coef_inplace,
            intercept_inplace=intercept_inplace,
            coef_state_inplace=coef_state_inplace,
            intercept_state_inplace=intercept_state_inplace,
            learning_rates=learning_rates[step : step + 1],
            batch_size=batch_size,
            loss=loss,
            update=update,
            momentum=momentum,
            alpha=alpha,
            fit_intercept=fit_intercept,
            n_threads=n_threads,
            label_smoothing=label_smoothing,
        )
        if not np.isfinite(total):
            break
    return total


@checked(
    **dense.MODEL,
    **_ROWS,
    **_SCALING,
    **{name: check for name, check in dense.TARGETS.items() if name != "rows"},
    coef_gradient_out=array("n_rows", "n_features", out=True),
    intercept_gradient_out=array("n_rows", out=True),
    n_threads=checks.threads,
)
def sparse_loss_gradient(
    data,
    indices,
    indptr,
    y_true,
    sample_weight,
    shift,
    inverse_scale,
    coef,
    intercept,
    coef_gradient_out,
    intercept_gradient_out,
    loss,
    n_threads,
    label_smoothing=0.0,
):
    """Mean loss over all rows, without penalty, and its gradient.

    Parameters
    ----------
    y_true : int32 ndarray of shape (n_samples,)
    sample_weight : ndarray of shape (n_samples,) and coef's dtype, or None for ones
        Of a sum above 0.
    coef, coef_gradient_out : C-contiguous ndarrays of shape (n_rows, n_features)
        float32 or float64. The gradient is Σ_i s_i ∂loss_i/∂coef / Σ s.
    intercept, intercept_gradient_out : ndarrays of shape (n_rows,) and coef's dtype
    loss : {"softmax", "logistic"}
    n_threads : int
        The result is the same bit for bit whatever its value.
    label_smoothing : float in [0, 1), default=0
        As in :func:`dense.softmax_gradient`.

    Returns
    -------
    loss : float
        Σ_i s_i · loss_i / Σ s.
    """
    coef_gradient, intercept_gradient = np.zeros(coef.shape), np.zeros(len(coef))
    total = 0.0
    for block in _blocks(len(indptr) - 1):
        rows = np.arange(block.start, block.stop)
        tile = _dense(data, indices, indptr, rows, coef.shape[1], np.float64, inverse_scale, shift)
        raw, losses = np.empty((len(coef), len(rows))), np.empty(len(rows))
        weight = np.ones(len(rows)) if sample_weight is None else as_float64(sample_weight[block])
        dense.forward(tile, as_float64(coef), as_float64(intercept), raw)
        dense.gradient_step(loss)(raw, y_true[block], weight, losses, label_smoothing)
        total += losses.sum()
        coef_gradient += raw @ tile
        intercept_gradient += raw.sum(axis=1)
    weight_sum = len(y_true) if sample_weight is None else sample_weight.sum(dtype=np.float64)
    coef_gradient_out[:] = coef_gradient / weight_sum
    intercept_gradient_out[:] = intercept_gradient / weight_sum
    return float(total / weight_sum)


@checked(**dense.MODEL, **_ROWS, **_SCALING, **dense.TARGETS, n_threads=checks.threads)
def sparse_loss_sum(
    data,
    indices,
    indptr,
    rows,
    y_true,
    sample_weight,
    shift,
    inverse_scale,
    coef,
    intercept,
    loss,
    n_threads,
    label_smoothing=0.0,
):
    """Σ over the rows of sample_weight · loss at fixed parameters: :func:`dense.loss_sum`."""
    total = 0.0
    for block in _blocks(len(rows)):
        chosen = rows[block]
        total += dense.loss_sum(
            _dense(data, indices, indptr, chosen, coef.shape[1], coef.dtype, inverse_scale, shift),
            rows=np.arange(len(chosen)),
            y_true=y_true[chosen],
            sample_weight=None if sample_weight is None else sample_weight[chosen],
            shift=None,
            inverse_scale=None,
            coef=coef,
            intercept=intercept,
            loss=loss,
            n_threads=n_threads,
            label_smoothing=label_smoothing,
        )
    return total


@checked(
    mean_out=array("n_features", of=("float64",), out=True),
    squares_out=array("n_features", of=("float64",), out=True),
    **_ROWS,
    sample_weight=array("n_samples", of=("float64",), optional=True),
    n_threads=checks.threads,
)
def sparse_column_statistics(
    data, indices, indptr, sample_weight, mean_out, squares_out, n_threads
):
    """Weighted mean of each column, zeros counted, and the weighted squares about it.

    Parameters and result as in :func:`dense.column_statistics`. By two passes over the values,
    those that a row repeats a feature with added up first: the mean, then the squares about it, to
    which the zeros add (Σ s − Σ s held) · mean².
    """
    n_samples, n_features = len(indptr) - 1, len(mean_out)
    weight = np.ones(n_samples) if sample_weight is None else sample_weight
    mean_out[:] = squares_out[:] = 0.0
    total = weight.cumsum()[-1] if n_samples else 0.0  # in the order of rows, as bincount adds
    if total == 0:
        return 0.0
    row = np.repeat(np.arange(n_samples), np.diff(indptr))
    place, which = np.unique(row * n_features + indices[: len(row)], return_inverse=True)
    values = np.bincount(which, data[: len(row)])
    weight, features = weight[place // n_features], place % n_features
    held = np.bincount(features, weight, n_features)
    mean_out[:] = np.bincount(features, weight * values, n_features) / total
    squares = weight * (values - mean_out[features]) ** 2
    squares_out[:] = np.bincount(features, squares, n_features)
    squares_out += np.maximum(total - held, 0) * mean_out**2
    return float(total)


# --- Prediction -----------------------------------------------------------------------------------


def _predict_blocks(kernel, data, indices, indptr, coef, intercept, out, **more):
    finite = True
    for block in _blocks(len(indptr) - 1):
        rows = np.arange(block.start, block.stop)
        with np.errstate(over="ignore"):  # what is beyond coef's dtype is an infinity
            tile = _dense(data, indices, indptr, rows, coef.shape[1], coef.dtype)
        with np.errstate(invalid="ignore"):
            finite &= kernel(tile, coef, intercept, out[block], **more)
    return finite


def _predicts(**out):
    return checked(
        **dense.MODEL,
        **_ROWS,
        loss=checks.word(*dense.LOSSES),
        **out,
        n_threads=checks.threads,
    )


@_predicts(raw_prediction_out=dense.RAW_OUT)
def sparse_decision_function(data, indices, indptr, coef, intercept, raw_prediction_out, n_threads):
    """Parameters and result as in :func:`dense.decision_function`."""
    return _predict_blocks(
        dense.decision_function,
        data,
        indices,
        indptr,
        coef=coef,
        intercept=intercept,
        out=raw_prediction_out,
        n_threads=n_threads,
    )


@_predicts(probability_out=dense.PROBABILITY_OUT)
def sparse_predict_proba(data, indices, indptr, coef, intercept, probability_out, loss, n_threads):
    """Parameters and result as in :func:`dense.predict_proba`."""
    return _predict_blocks(
        dense.predict_proba,
        data,
        indices,
        indptr,
        coef=coef,
        intercept=intercept,
        out=probability_out,
        loss=loss,
        n_threads=n_threads,
    )


@_predicts(code_out=dense.CODE_OUT)
def sparse_predict(data, indices, indptr, coef, intercept, code_out, n_threads):
    """Parameters and result as in :func:`dense.predict`."""
    return _predict_blocks(
        dense.predict,
        data,
        indices,
        indptr,
        coef=coef,
        intercept=intercept,
        out=code_out,
        n_threads=n_threads,
    )

"""The NumPy twins of the kernels over dense rows: the same names, arguments and errors.

A few lines each, and the specification of each. Sums are taken in float64 and rounded once to the
dtype of the array written to, so a kernel may differ by the rounding of its own sums and no more.
It is deliberately not fast and starts no threads: ``n_threads`` is accepted and has no effect.
Tests run it beside every compiled build; ``fastsoftmax.kernels.use("reference")`` trains with it.

Layout. Inside a minibatch, ``raw_prediction`` and its gradient are *class-major*, shape
``(n_rows, batch)``, where ``n_rows`` is the number of rows of ``coef``: neighbouring samples lie
side by side, so that one vector register holds one class of many samples. Arrays of the caller
(``X``, ``raw_prediction`` of :func:`softmax`, what :func:`predict_proba` writes) are sample-major.

Losses. ``"softmax"`` is the cross-entropy of softmax over the rows of ``coef``. ``"logistic"`` is
one logistic loss a row, summed over the rows: with one row the positive class is code 1 (two
classes), with K rows row k separates class k from the rest (one-vs-rest).
"""

import numpy as np

from . import checks
from .checks import array, checked
from .functions import as_float64, softmax, updated

__all__ = [
    "LOSSES",
    "UPDATES",
    "all_finite",
    "backward_update",
    "column_statistics",
    "decision_function",
    "epoch",
    "forward",
    "logistic_gradient",
    "loss_sum",
    "predict",
    "predict_proba",
    "softmax_gradient",
    "stage",
]

LOSSES = ("softmax", "logistic")
UPDATES = ("sgd", "momentum", "nesterov", "adagrad")

#: Checks of arguments that several twins share.
SCALING = {
    "shift": array("n_features", optional="inverse_scale"),
    "inverse_scale": array("n_features", optional="shift"),
}
PARAMETERS = {
    "coef_inplace": array("n_rows", "n_features", out=True),
    "intercept_inplace": array("n_rows", out=True),
    "coef_state_inplace": array("n_rows", "n_features", out=True),
    "intercept_state_inplace": array("n_rows", out=True),
}
MODEL = {"coef": array("n_rows", "n_features"), "intercept": array("n_rows")}
TARGETS = {
    "loss": checks.word(*LOSSES),
    "rows": checks.row_numbers,
    "y_true": checks.codes("n_samples"),
    "sample_weight": array("n_samples", optional=True),
}
STEPS = {
    "batch_size": checks.batch_size,
    "learning_rates": array("n_batches", of=("float64",)),
    "update": checks.word(*UPDATES),
    "n_threads": checks.threads,
}
RAW_OUT = array("n_samples", "n_rows", out=True)
PROBABILITY_OUT = array("n_samples", lambda known: max(2, known["n_rows"]), out=True)
CODE_OUT = array("n_samples", of=(np.dtype(np.intp).name,), out=True)

_BLOCK = 4096  # rows of X looked at at once where a float64 copy of all of X would be too much


def _one_hot(y_true, n_rows, loss):
    """Targets (n_rows, n_samples) of 0 and 1: which samples each row of ``coef`` should fire on."""
    first_code = 1 if (loss == "logistic" and n_rows == 1) else 0
    return (np.arange(first_code, first_code + n_rows)[:, None] == y_true).astype(np.float64)


# --- The four steps of a minibatch ----------------------------------------------------------------


@checked(
    X=checks.items,
    rows=checks.row_numbers,
    tile_out=array("n_chosen", "n_features", out=True),
    **SCALING,
)
def stage(X, rows, shift, inverse_scale, tile_out):
    """tile_out[i, j] = (X[rows[i], j] - shift[j]) * inverse_scale[j].

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        uint8, int8, int16, float16, bfloat16 (of ``ml_dtypes``), float32 or float64; aligned, in
        native byte order; any strides; may be read-only.
    rows : intp ndarray of shape (batch,)
        Which rows, in which order; repeats allowed.
    shift, inverse_scale : ndarrays of shape (n_features,) and tile_out's dtype, or both None
        None leaves the values as they are.
    tile_out : C-contiguous float32 or float64 ndarray of shape (batch, n_features)
    """
    gathered = X[rows].astype(tile_out.dtype)
    if shift is not None:
        gathered = (gathered - shift) * inverse_scale
    tile_out[:] = gathered


@checked(
    tile=array("batch", "n_features"),
    **MODEL,
    raw_prediction_out=array("n_rows", "batch", out=True),
)
def forward(tile, coef, intercept, raw_prediction_out):
    """raw_prediction_out[k, i] = Σ_j coef[k, j] · tile[i, j] + intercept[k].

    Parameters
    ----------
    tile : C-contiguous ndarray of shape (batch, n_features)
    coef : C-contiguous ndarray of shape (n_rows, n_features)
    intercept : ndarray of shape (n_rows,)
    raw_prediction_out : C-contiguous ndarray of shape (n_rows, batch)
    """
    raw_prediction_out[:] = as_float64(coef) @ as_float64(tile).T + as_float64(intercept)[:, None]


def _gradient_checks(loss):
    return checked(
        raw_prediction_inplace=array("n_rows", "batch", out=True),
        y_true=checks.codes("batch", loss=loss),
        weight=array("batch"),
        loss_out=array("batch", out=True),
    )


@_gradient_checks("softmax")
def softmax_gradient(raw_prediction_inplace, y_true, weight, loss_out, label_smoothing=0.0):
    """Turn raw predictions into weight · (softmax − target), in place, and give each loss.

    The target is (1 − ε) · one-hot + ε / n_classes, and
    ``loss_out[i] = weight[i] · (log Σ_k exp(raw_k − max) − Σ_k target_k · (raw_k − max))``. The
    order of the subtractions keeps the digits: the maximum cancels before the logarithm is added.

    Parameters
    ----------
    raw_prediction_inplace : C-contiguous ndarray of shape (n_classes, batch)
    y_true : int32 ndarray of shape (batch,)
        Class codes in [0, n_classes).
    weight : ndarray of shape (batch,)
    loss_out : ndarray of shape (batch,)
    label_smoothing : float in [0, 1), default=0
        The ε of Szegedy et al., "Rethinking the Inception architecture for computer vision", CVPR
        2016, section 7.
    """
    raw = as_float64(raw_prediction_inplace)
    shifted = raw - raw.max(axis=0)
    exponential = np.exp(shifted)
    total = exponential.sum(axis=0)
    one_hot = _one_hot(y_true, raw.shape[0], "softmax")
    target = (1 - label_smoothing) * one_hot + label_smoothing / len(raw)
    loss_out[:] = weight * (np.log(total) - (target * shifted).sum(axis=0))
    raw_prediction_inplace[:] = weight * (exponential / total - target)


@_gradient_checks("logistic")
def logistic_gradient(raw_prediction_inplace, y_true, weight, loss_out, label_smoothing=0.0):
    """Turn raw predictions into weight · (sigmoid − target), in place, and give each loss.

    ``loss_out[i] = weight[i] · Σ_k (log(1 + exp(−|raw_k|)) + max(raw_k, 0) − target_k · raw_k)``.
    With one row, the target is 1 where ``y_true == 1``; with several, row k's is 1 where
    ``y_true == k``; smoothed, it is (1 − ε) · that + ε / 2. Shapes as in :func:`softmax_gradient`,
    with n_rows for n_classes.
    """
    raw = as_float64(raw_prediction_inplace)
    one_hot = _one_hot(y_true, raw.shape[0], "logistic")
    target = (1 - label_smoothing) * one_hot + label_smoothing / 2
    decay = np.exp(-np.abs(raw))
    loss = np.log1p(decay) + np.maximum(raw, 0) - target * raw
    loss_out[:] = weight * loss.sum(axis=0)
    raw_prediction_inplace[:] = weight * (np.where(raw >= 0, 1, decay) / (1 + decay) - target)


@checked(
    tile=array("batch", "n_features"),
    coef_inplace=PARAMETERS["coef_inplace"],
    gradient=array("n_rows", "batch"),
    coef_state_inplace=PARAMETERS["coef_state_inplace"],
    intercept_inplace=array("n_rows", out=True, optional="intercept_state_inplace"),
    intercept_state_inplace=array("n_rows", out=True, optional="intercept_inplace"),
    update=checks.word(*UPDATES),
)
def backward_update(
    tile,
    gradient,
    coef_inplace,
    intercept_inplace,
    coef_state_inplace,
    intercept_state_inplace,
    learning_rate,
    momentum,
    alpha,
    update,
):
    """Sum the minibatch's gradient and step the parameters with it, at once.

    With G = ``gradient`` @ ``tile`` + alpha · coef (and, for the intercept, the row sums of
    ``gradient``, without alpha)::

        "sgd"        θ ← θ − η G
        "momentum"   v ← γ v + η G;   θ ← θ − v
        "nesterov"   v ← γ v + η G;   θ ← θ − (γ v + η G)
        "adagrad"    a ← a + G²;      θ ← θ − η G / (√a + 1e-10)

    Parameters
    ----------
    tile : C-contiguous ndarray of shape (batch, n_features)
    gradient : C-contiguous ndarray of shape (n_rows, batch)
        Of the loss with respect to raw_prediction, already weighted and divided by the batch.
    coef_inplace, coef_state_inplace : C-contiguous ndarrays of shape (n_rows, n_features)
    intercept_inplace, intercept_state_inplace : ndarrays of shape (n_rows,), or both None
        None: the intercept stays as it is. The states hold v or a; "sgd" leaves them alone.
    learning_rate, momentum, alpha : float
    update : {"sgd", "momentum", "nesterov", "adagrad"}

    References
    ----------
    Sutskever et al., "On the importance of initialization and momentum in deep learning", 2013.
    Duchi, Hazan, Singer, "Adaptive subgradient methods", 2011.
    """
    coef = as_float64(coef_inplace)
    total = as_float64(gradient) @ as_float64(tile) + alpha * coef
    coef_inplace[:], coef_state_inplace[:] = updated(
        coef, as_float64(coef_state_inplace), total, learning_rate, momentum, update
    )
    if intercept_inplace is not None:
        intercept_inplace[:], intercept_state_inplace[:] = updated(
            as_float64(intercept_inplace),
            as_float64(intercept_state_inplace),
            as_float64(gradient).sum(axis=1),
            learning_rate,
            momentum,
            update,
        )


# --- Passes over the data -------------------------------------------------------------------------


def gradient_step(loss):
    """The twin that turns raw predictions into this loss's gradient."""
    return softmax_gradient if loss == "softmax" else logistic_gradient


@checked(X=checks.items, **PARAMETERS, **SCALING, **TARGETS, **STEPS)
def epoch(
    X,
    rows,
    y_true,
    sample_weight,
    shift,
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
    """Train on the rows in the order given, one minibatch after the other.

    Minibatch b is ``rows[b · batch_size : (b + 1) · batch_size]`` (the last may be shorter); its
    samples weigh ``sample_weight[row] / size of the minibatch`` and it is taken with
    ``learning_rates[b]``. A minibatch whose loss is not finite ends the pass; the parameters are
    then of no use.

    Parameters
    ----------
    X, rows, shift, inverse_scale : as in :func:`stage`
    y_true : int32 ndarray of shape (n_samples,)
        Class codes in [0, n_classes) of the rows used; those of other rows may be refused too.
    sample_weight : ndarray of shape (n_samples,), or None for ones
        Of mean 1 over the rows used, so that the minibatch's gradient is unbiased.
    coef_inplace, intercept_inplace, coef_state_inplace, intercept_state_inplace : ndarrays
        As in :func:`backward_update`, all of one dtype, float32 or float64, which is the dtype
        of the computation; always arrays here.
    learning_rates : float64 ndarray of shape (number of minibatches,)
    batch_size : int ≥ 1
    loss : {"softmax", "logistic"}
    update, momentum, alpha : as in :func:`backward_update`
    fit_intercept : bool
    n_threads : int
        At least 1; the result is the same bit for bit whatever its value, and however many of them
        the system grants.
    label_smoothing : float in [0, 1), default=0
        As in :func:`softmax_gradient`.

    Returns
    -------
    loss_sum : float
        Σ over the rows of sample_weight · loss, each loss as it was before its own update and
        without the penalty; not finite if the pass was ended by such a loss.
    """
    batch_size = min(batch_size, max(len(rows), 1))  # of which tile and raw_prediction are made
    dtype = coef_inplace.dtype
    tile = np.empty((batch_size, X.shape[1]), dtype)
    raw_prediction = np.empty((coef_inplace.shape[0], batch_size), dtype)
    loss_sum = 0.0
    for step, start in enumerate(range(0, len(rows), batch_size)):
        batch = rows[start : start + batch_size]
        size = len(batch)
        if size != len(tile):
            tile, raw_prediction = tile[:size], np.empty((len(raw_prediction), size), dtype)
        weight = np.full(size, 1 / size, dtype)
        if sample_weight is not None:
            weight *= sample_weight[batch]
        losses = np.empty(size, dtype)

        stage(X, batch, shift=shift, inverse_scale=inverse_scale, tile_out=tile)
        forward(tile, coef_inplace, intercept_inplace, raw_prediction)
        gradient_step(loss)(raw_prediction, y_true[batch], weight, losses, label_smoothing)
        loss_sum += size * losses.sum(dtype=np.float64)
        backward_update(
            tile,
            gradient=raw_prediction,
            coef_inplace=coef_inplace,
            intercept_inplace=intercept_inplace if fit_intercept else None,
            coef_state_inplace=coef_state_inplace,
            intercept_state_inplace=intercept_state_inplace if fit_intercept else None,
            learning_rate=learning_rates[step],
            momentum=momentum,
            alpha=alpha,
            update=update,
        )
        if not np.isfinite(loss_sum):
            break
    return float(loss_sum)


@checked(X=checks.items, **MODEL, **SCALING, **TARGETS, n_threads=checks.threads)
def loss_sum(
    X,
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
    """Σ over the rows of sample_weight · loss at fixed parameters; nothing is updated.

    Parameters as in :func:`epoch`.

    Returns
    -------
    loss_sum : float
    """
    total = 0.0
    for start in range(0, len(rows), _BLOCK):
        block = rows[start : start + _BLOCK]
        tile = np.empty((len(block), X.shape[1]), coef.dtype)
        raw_prediction = np.empty((len(coef), len(block)), coef.dtype)
        losses = np.empty(len(block), coef.dtype)
        weight = np.ones(len(block), coef.dtype) if sample_weight is None else sample_weight[block]
        stage(X, block, shift=shift, inverse_scale=inverse_scale, tile_out=tile)
        forward(tile, coef, intercept, raw_prediction)
        gradient_step(loss)(raw_prediction, y_true[block], weight, losses, label_smoothing)
        total += losses.sum(dtype=np.float64)
    return float(total)


@checked(
    X=checks.items,
    sample_weight=array("n_samples", of=("float64",), optional=True),
    mean_out=array("n_features", of=("float64",), out=True),
    squares_out=array("n_features", of=("float64",), out=True),
    n_threads=checks.threads,
)
def column_statistics(X, sample_weight, mean_out, squares_out, n_threads):
    """Weighted mean of each column, and the weighted sum of squares about it.

    ``mean_out[j] = Σ_i s_i X[i, j] / Σ s`` and ``squares_out[j] = Σ_i s_i (X[i, j] − mean_j)²``,
    in float64 by blocks of rows merged pairwise, so that a large offset costs no digits.

    Parameters
    ----------
    X : as in :func:`stage`
    sample_weight : float64 ndarray of shape (n_samples,), or None for ones
    mean_out, squares_out : float64 ndarrays of shape (n_features,)
    n_threads : int

    Returns
    -------
    weight_sum : float
        Σ s; where it is 0, ``mean_out`` and ``squares_out`` are 0.

    References
    ----------
    Chan, Golub, LeVeque, "Updating formulae and a pairwise algorithm for computing sample
    variances", 1979.
    """
    mean_out[:] = squares_out[:] = 0.0
    weight_sum = 0.0
    for start in range(0, len(X), _BLOCK):
        block = as_float64(X[start : start + _BLOCK])
        weight = (
            np.ones(len(block)) if sample_weight is None else sample_weight[start : start + _BLOCK]
        )
        block_weight = weight.sum()
        if block_weight == 0:
            continue
        mean = weight @ block / block_weight
        squares = weight @ (block - mean) ** 2
        weight_sum += block_weight
        delta = mean - mean_out
        mean_out += delta * (block_weight / weight_sum)
        squares_out += squares + delta**2 * (block_weight * (1 - block_weight / weight_sum))
    return float(weight_sum)


@checked(X=checks.items, dtype=checks.dtype_of_computation, n_threads=checks.threads)
def all_finite(X, dtype, n_threads):
    """Whether every value of X is finite once it is converted to ``dtype``.

    Parameters
    ----------
    X : as in :func:`stage`
    dtype : numpy.dtype, float32 or float64
        Of the computation. A float64 beyond float32's range is infinite there.
    n_threads : int

    Returns
    -------
    finite : bool
    """
    with np.errstate(over="ignore"):
        return all(
            bool(np.isfinite(X[start : start + _BLOCK].astype(dtype)).all())
            for start in range(0, len(X), _BLOCK)
        )


# --- Prediction -----------------------------------------------------------------------------------


def _raw_prediction(X, coef, intercept):
    """Yield (slice of the rows, float64 raw predictions, sample-major) over blocks of X."""
    for start in range(0, len(X), _BLOCK):
        block = slice(start, min(start + _BLOCK, len(X)))
        # What is beyond coef's dtype, or its product beyond float64, isn't finite; callers ask.
        with np.errstate(over="ignore", invalid="ignore"):
            tile = as_float64(X[block].astype(coef.dtype))
            raw = tile @ as_float64(coef).T + as_float64(intercept)
        yield block, raw


def _is_finite(raw_prediction, dtype):
    with np.errstate(over="ignore"):
        return bool(np.isfinite(raw_prediction.astype(dtype)).all())


def _predicts(**out):
    return checked(
        X=checks.items,
        **MODEL,
        loss=checks.word(*LOSSES),
        **out,
        n_threads=checks.threads,
    )


@_predicts(raw_prediction_out=RAW_OUT)
def decision_function(X, coef, intercept, raw_prediction_out, n_threads):
    """raw_prediction_out[i, k] = Σ_j X[i, j] · coef[k, j] + intercept[k].

    Parameters
    ----------
    X : as in :func:`stage`
    coef : C-contiguous float32 or float64 ndarray of shape (n_rows, n_features)
    intercept : ndarray of shape (n_rows,) and coef's dtype
    raw_prediction_out : C-contiguous ndarray of shape (n_samples, n_rows) and coef's dtype
    n_threads : int

    Returns
    -------
    finite : bool
        False if a raw prediction is infinite or NaN for any sample and any row of coef: there, and
        not in others, a sum may be beyond the largest float. Each value of X goes into all of a
        sample's, so that True says that X is finite too, for nothing.
    """
    finite = True
    for block, raw in _raw_prediction(X, coef, intercept):
        with np.errstate(over="ignore"):
            raw_prediction_out[block] = raw
        finite = finite and _is_finite(raw, coef.dtype)
    return finite


@_predicts(probability_out=PROBABILITY_OUT)
def predict_proba(X, coef, intercept, probability_out, loss, n_threads):
    """Class probabilities of every row of X.

    ``"softmax"``: softmax of the raw predictions. ``"logistic"`` with one row: the sigmoid of
    the raw prediction and its complement; with K rows: the K sigmoids divided by their sum, and
    1/K each where all of them round to 0.

    Parameters and what is returned as in :func:`decision_function`, but probability_out has one
    column a class: shape (n_samples, 2) where coef has one row, else (n_samples, n_rows).
    """
    finite = True
    for block, raw in _raw_prediction(X, coef, intercept):
        finite = finite and _is_finite(raw, coef.dtype)
        if loss == "softmax":
            softmax(raw, raw, 1)
            probability_out[block] = raw
            continue
        decay = np.exp(-np.abs(raw))
        positive = np.where(raw >= 0, 1, decay) / (1 + decay)
        if len(coef) == 1:
            negative = np.where(raw >= 0, decay, 1) / (1 + decay)
            probability_out[block] = np.hstack([negative, positive])
        else:
            total = positive.sum(axis=1, keepdims=True)
            with np.errstate(invalid="ignore"):
                probability = positive / total
            probability[total[:, 0] == 0] = 1 / len(coef)
            probability_out[block] = probability
    return finite


@_predicts(code_out=CODE_OUT)
def predict(X, coef, intercept, code_out, n_threads):
    """Class code of every row of X: the first largest raw prediction, or, with one row, its sign.

    Parameters and what is returned as in :func:`decision_function`, but code_out is an intp
    ndarray (n_samples,). With one row of coef, code 1 where the raw prediction is above 0, else 0.
    """
    finite = True
    for block, raw in _raw_prediction(X, coef, intercept):
        finite = finite and _is_finite(raw, coef.dtype)
        code_out[block] = raw[:, 0] > 0 if len(coef) == 1 else raw.argmax(axis=1)
    return finite

"""The NumPy twins of the functions of the caller's arrays, row by row: softmax and its kin.

The specification of each kernel behind fastsoftmax.functional, and of the arithmetic under test
(exp, log1p). Sums are taken in float64 and rounded once; ``n_threads`` has no effect.
"""

import numpy as np

from . import checks
from .checks import array, checked

__all__ = [
    "adagrad_update",
    "cross_entropy",
    "cross_entropy_gradient",
    "exp",
    "log1p",
    "log_softmax",
    "logsumexp",
    "momentum_update",
    "softmax",
]

#: Added to the root of AdaGrad's sum of squares, so that an untouched weight divides 0 by this.
ADAGRAD_EPSILON = 1e-10


def as_float64(array):
    """The values in float64, for sums."""
    return np.asarray(array, dtype=np.float64)


def updated(parameter, state, gradient, learning_rate, momentum, update):
    """One optimiser step on float64 copies; gives the new parameter and state."""
    if update == "sgd":
        return parameter - learning_rate * gradient, state
    if update == "adagrad":
        state = state + gradient * gradient
        return parameter - learning_rate * gradient / (np.sqrt(state) + ADAGRAD_EPSILON), state
    state = momentum * state + learning_rate * gradient
    if update == "momentum":
        return parameter - state, state
    return parameter - (momentum * state + learning_rate * gradient), state


# --- Functions of the caller's arrays, row by row -------------------------------------------------


@checked(values=array("n"), out=array("n", out=True))
def exp(values, out):
    """out[i] = exp(values[i]); both are contiguous, of one shape, float32 or float64."""
    with np.errstate(over="ignore", under="ignore"):
        out[:] = np.exp(as_float64(values))


@checked(values=array("n"), out=array("n", out=True))
def log1p(values, out):
    """out[i] = log(1 + values[i]) for finite values at least 0, or NaN; arrays as for exp."""
    out[:] = np.log1p(as_float64(values))


def _exponentials(raw_prediction):
    """The maximum, raw − max, its exponential and the sum of these but the maximum's own.

    That sum is what log1p wants: log Σ exp(raw − max) = log1p(others), without losing others to
    the 1 of the maximum where one class is far ahead. Shapes (n, 1), (n, K), (n, K), (n, 1).
    """
    raw = as_float64(raw_prediction)
    maximum = raw.max(axis=1, keepdims=True, initial=-np.inf)
    with np.errstate(invalid="ignore", over="ignore"):
        shifted = raw - maximum
        exponential = np.exp(shifted)
    is_largest = np.zeros(raw.shape, dtype=bool)
    if raw.shape[1] > 0:
        np.put_along_axis(is_largest, raw.argmax(axis=1)[:, None], True, axis=1)
    others = exponential.sum(axis=1, keepdims=True, where=~is_largest)
    return maximum, shifted, exponential, others


_RAW = {"raw_prediction": checks.rows("n_samples", "n_classes"), "n_threads": checks.threads}
_ROWS_OUT = checks.rows("n_samples", "n_classes", out=True)
_CODES = checks.codes("n_samples", of=("int32", "int64"))


@checked(**_RAW, out=_ROWS_OUT)
def softmax(raw_prediction, out, n_threads):
    """out[i] = exp(raw[i] − max) / Σ exp(raw[i] − max), row by row.

    Parameters
    ----------
    raw_prediction : float32 or float64 ndarray of shape (n_samples, n_classes)
        The last axis contiguous. −inf gives probability 0; +inf, NaN or −inf alone make the row
        NaN.
    out : ndarray of the same shape and dtype, last axis contiguous; may be raw_prediction itself
    n_threads : int
    """
    exponential = _exponentials(raw_prediction)[2]
    out[:] = exponential / exponential.sum(axis=1, keepdims=True)


@checked(**_RAW, out=array("n_samples", out=True))
def logsumexp(raw_prediction, out, n_threads):
    """out[i] = max + log Σ_k exp(raw[i, k] − max); −inf for a row of −inf alone or of no classes.

    Parameters
    ----------
    raw_prediction : as in :func:`softmax`
    out : ndarray of shape (n_samples,), of the same dtype
        +inf where a value is +inf and none is NaN.
    n_threads : int
    """
    maximum, _, _, others = _exponentials(raw_prediction)
    infinite = np.isinf(maximum)  # then the sum is NaN, but it would add nothing to the maximum
    out[:] = (maximum + np.where(infinite, 0, np.log1p(others)))[:, 0]


@checked(**_RAW, out=_ROWS_OUT)
def log_softmax(raw_prediction, out, n_threads):
    """out[i, k] = (raw[i, k] − max) − log Σ exp(raw[i] − max); never the logarithm of softmax.

    Parameters as in :func:`softmax`; −inf stays −inf, and rows that have no softmax are NaN.
    """
    maximum, shifted, _, others = _exponentials(raw_prediction)
    with np.errstate(over="ignore"):  # a difference beyond the dtype is an infinity
        out[:] = np.where(np.isinf(maximum), np.nan, shifted - np.log1p(others))


@checked(**_RAW, y_true=_CODES, loss_out=array("n_samples", out=True))
def cross_entropy(raw_prediction, y_true, loss_out, n_threads):
    """loss_out[i] = log Σ_k exp(raw[i, k] − max) − (raw[i, y_i] − max).

    Parameters
    ----------
    raw_prediction : as in :func:`softmax`
    y_true : contiguous int32 or int64 ndarray of shape (n_samples,)
    loss_out : ndarray of shape (n_samples,), of the same dtype as raw_prediction
        +inf where the true class's raw prediction is −inf; NaN where there is no softmax.
    n_threads : int

    Returns
    -------
    total : float
        Σ_i loss_out[i], in float64.

    Raises
    ------
    ValueError
        If a code is not in [0, n_classes); nothing is written then.
    """
    maximum, shifted, _, others = _exponentials(raw_prediction)
    loss = np.log1p(others)[:, 0] - shifted[np.arange(len(shifted)), y_true]
    with np.errstate(over="ignore"):
        loss_out[:] = np.where(np.isinf(maximum[:, 0]), np.nan, loss)
    return float(loss_out.sum(dtype=np.float64))


@checked(**_RAW, y_true=_CODES, weight=array("n_samples", optional=True), out=_ROWS_OUT)
def cross_entropy_gradient(raw_prediction, y_true, weight, out, n_threads):
    """out[i] = weight[i] · (softmax(raw[i]) − one-hot(y_i)).

    Parameters
    ----------
    raw_prediction, out : as in :func:`softmax`; out may be raw_prediction itself
    y_true : as in :func:`cross_entropy`, and checked alike
    weight : ndarray of shape (n_samples,) of the same dtype, or None for 1 / n_samples
    n_threads : int
    """
    exponential = _exponentials(raw_prediction)[2]
    probability = exponential / exponential.sum(axis=1, keepdims=True)
    probability[np.arange(len(probability)), y_true] -= 1
    if weight is None:
        weight = np.full(len(probability), 1 / max(len(probability), 1), out.dtype)
    out[:] = weight[:, None] * probability


@checked(
    params_inplace=array("n", out=True),
    velocity_inplace=array("n", out=True),
    gradient=array("n"),
)
def momentum_update(params_inplace, velocity_inplace, gradient, learning_rate, momentum, nesterov):
    """Take v ← γ v + η g; θ ← θ − v, or with ``nesterov`` θ ← θ − (γ v + η g), on flat arrays.

    Parameters
    ----------
    params_inplace, velocity_inplace, gradient : 1-D contiguous ndarrays of one size and dtype
    learning_rate, momentum : float
    nesterov : bool
    """
    params_inplace[:], velocity_inplace[:] = updated(
        as_float64(params_inplace),
        as_float64(velocity_inplace),
        as_float64(gradient),
        learning_rate,
        momentum,
        "nesterov" if nesterov else "momentum",
    )


@checked(
    params_inplace=array("n", out=True),
    accumulator_inplace=array("n", out=True),
    gradient=array("n"),
)
def adagrad_update(params_inplace, accumulator_inplace, gradient, learning_rate, epsilon):
    """Take a ← a + g²; θ ← θ − η g / (√a + ε), on flat arrays (:func:`momentum_update`)."""
    gradient = as_float64(gradient)
    accumulator = as_float64(accumulator_inplace) + gradient * gradient
    params_inplace[:] = as_float64(params_inplace) - learning_rate * gradient / (
        np.sqrt(accumulator) + epsilon
    )
    accumulator_inplace[:] = accumulator

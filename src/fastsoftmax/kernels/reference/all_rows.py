"""The NumPy twins of the sums over all dense rows: the gradient, and the Hessian times a step."""

import numpy as np

from . import checks
from .checks import array, checked
from .dense import MODEL, SCALING, TARGETS, forward, gradient_step, stage
from .functions import as_float64
from .likeliest import KEPT_OUT, keep_likeliest

__all__ = ["hessian_product", "loss_gradient"]


@checked(
    X=checks.items,
    **MODEL,
    **SCALING,
    **TARGETS,
    coef_gradient_out=array("n_rows", "n_features", out=True),
    intercept_gradient_out=array("n_rows", out=True),
    n_threads=checks.threads,
    **KEPT_OUT,
)
def loss_gradient(
    X,
    rows,
    y_true,
    sample_weight,
    shift,
    inverse_scale,
    coef,
    intercept,
    coef_gradient_out,
    intercept_gradient_out,
    loss,
    fit_intercept,
    n_threads,
    label_smoothing=0.0,
    kept_out=None,
    probability_out=None,
):
    """Write the gradient of the mean loss, Σ sample_weight · loss / Σ sample_weight over the rows.

    Parameters
    ----------
    X, rows, y_true, sample_weight, shift, inverse_scale, loss, label_smoothing
        As in :func:`dense.epoch`; the weights may have any mean.
    coef, intercept : ndarrays of shapes (n_rows, n_features) and (n_rows,)
        Of one dtype, float32 or float64, which is that of the computation.
    coef_gradient_out, intercept_gradient_out : ndarrays of the same shapes
        The latter is 0 without ``fit_intercept``.
    fit_intercept : bool
    n_threads : int
        At least 1; the result is the same bit for bit whatever its value.
    kept_out, probability_out : ndarrays of shape (len(rows), N_KEPT), or both None
        Where the likeliest classes of each row go, and their probabilities; int32, and the dtype of
        the computation. For softmax alone. See :func:`likeliest.keep_likeliest`.

    Returns
    -------
    loss : float
        The mean loss.
    """
    if kept_out is not None and loss != "softmax":
        raise ValueError(f"kept_out is for loss='softmax'; got loss={loss!r}")
    n_used, dtype = len(rows), coef.dtype
    tile, raw = np.empty((n_used, X.shape[1]), dtype), np.empty((len(coef), n_used), dtype)
    weight = np.ones(n_used, dtype) if sample_weight is None else sample_weight[rows]
    losses = np.empty(n_used, dtype)
    stage(X, rows, shift=shift, inverse_scale=inverse_scale, tile_out=tile)
    forward(tile, coef, intercept, raw)
    gradient_step(loss)(raw, y_true[rows], weight, losses, label_smoothing)
    if kept_out is not None:
        keep_likeliest(raw, y_true[rows], weight, label_smoothing, kept_out, probability_out)
    weight_sum = as_float64(weight).sum()
    coef_gradient_out[:] = as_float64(raw) @ as_float64(tile) / weight_sum
    intercept_gradient_out[:] = as_float64(raw).sum(axis=1) / weight_sum if fit_intercept else 0
    return float(losses.sum(dtype=np.float64) / weight_sum)


@checked(
    X=checks.items,
    **MODEL,
    **SCALING,
    rows=checks.row_numbers,
    sample_weight=TARGETS["sample_weight"],
    loss=TARGETS["loss"],
    probability=array("n_rows", "n_chosen"),
    coef_out=array("n_rows", "n_features", out=True),
    intercept_out=array("n_rows", out=True),
    n_threads=checks.threads,
)
def hessian_product(
    X,
    rows,
    sample_weight,
    shift,
    inverse_scale,
    probability,
    coef,
    intercept,
    coef_out,
    intercept_out,
    loss,
    fit_intercept,
    n_threads,
):
    """Write the Hessian of Σ sample_weight · loss over the rows, times a step.

    Where the raw predictions r of a row change by δ, the gradient by them changes by
    (diag(p) − p pᵀ) δ for softmax, and by p (1 − p) δ for each logistic loss.

    Parameters
    ----------
    X, rows, shift, inverse_scale, sample_weight, loss, fit_intercept, n_threads
        As in :func:`loss_gradient`.
    probability : ndarray of shape (n_rows, number of rows)
        Softmax, or each row of coef's own sigmoid, where the Hessian is wanted.
    coef, intercept : ndarrays of shape (n_rows, n_features) and (n_rows,)
        The step.
    coef_out, intercept_out : ndarrays of the same shapes
        The latter is 0 without ``fit_intercept``.
    """
    tile = np.empty((len(rows), X.shape[1]), coef.dtype)
    stage(X, rows, shift=shift, inverse_scale=inverse_scale, tile_out=tile)
    change = as_float64(coef) @ as_float64(tile).T + as_float64(intercept)[:, None]
    p = as_float64(probability)
    change = p * (change - (p * change).sum(axis=0) if loss == "softmax" else (1 - p) * change)
    if sample_weight is not None:
        change *= sample_weight[rows]
    coef_out[:] = change @ as_float64(tile)
    intercept_out[:] = change.sum(axis=1) if fit_intercept else 0

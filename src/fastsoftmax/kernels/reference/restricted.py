"""The NumPy twin of softmax over the likeliest classes of each row: what the compiled one means."""

import numpy as np

from . import checks
from .checks import array, checked
from .dense import MODEL, SCALING, stage
from .functions import as_float64
from .likeliest import N_KEPT

__all__ = ["N_KEPT", "restricted_loss_gradient"]

_BLOCK = 1024  # rows of X looked at at once


def _kept(name, value, known):
    """Check the classes that rows keep."""
    array("n_chosen", lambda known: N_KEPT, of=("int32",))(name, value, known)
    n_rows = known["n_rows"]
    wrong = (value < 0) | (value >= n_rows)
    if wrong.any():
        raise ValueError(f"{name} must hold class codes in [0, {n_rows}); got {value[wrong][0]}")


@checked(
    X=checks.items,
    rows=checks.row_numbers,
    **MODEL,
    **SCALING,
    kept=_kept,
    probability=array("n_chosen", lambda known: N_KEPT),
    sample_weight=array("n_samples", optional=True),
    coef_gradient_out=array("n_rows", "n_features", out=True),
    intercept_gradient_out=array("n_rows", out=True),
    n_threads=checks.threads,
)
def restricted_loss_gradient(
    X,
    rows,
    sample_weight,
    shift,
    inverse_scale,
    kept,
    probability,
    coef,
    intercept,
    coef_gradient_out,
    intercept_gradient_out,
    n_threads,
):
    """How the loss of the likeliest classes bends where the parameters change.

    With p_c the probability of class c of a row before the change and z_c what the change does to
    its raw prediction, for the classes that the row keeps, those it doesn't standing still::

        loss = log(1 + Σ_c p_c (e^z_c − 1)) − Σ_c p_c z_c

    That is what the loss becomes, less what it becomes to first order: 0 at no change, with a
    gradient of 0, q_c − p_c with the new probabilities q_c. Targets are of no account.

    Parameters
    ----------
    X, rows, shift, inverse_scale : as in :func:`stage`
    sample_weight : ndarray of shape (n_samples,), or None for ones
    kept : int32 ndarray of shape (n_chosen, N_KEPT)
        Codes of the classes that each row keeps, a class once; a slot of probability 0 ends them.
    probability : ndarray of shape (n_chosen, N_KEPT)
        Of these classes, before the change; their sum is 1 at most.
    coef, intercept : ndarrays of shapes (n_rows, n_features) and (n_rows,)
        What is added to the parameters.
    coef_gradient_out, intercept_gradient_out : ndarrays of their shapes
        Σ over the rows of sample_weight · the gradient of that loss in ``coef`` and ``intercept``.
    n_threads : int
        At least 1; the result is the same bit for bit whatever its value.

    Returns
    -------
    loss_sum : float
        Σ over the rows of sample_weight · that loss.
    """
    wide, total = as_float64(coef), 0.0
    gradient, of_intercept = np.zeros_like(wide), np.zeros(len(wide))
    for start in range(0, len(rows), _BLOCK):
        block = slice(start, start + _BLOCK)
        tile = np.empty((len(rows[block]), X.shape[1]), coef.dtype)
        stage(X, rows[block], shift=shift, inverse_scale=inverse_scale, tile_out=tile)
        tile, codes = as_float64(tile), kept[block]
        share = as_float64(probability[block])
        share = np.where(np.logical_and.accumulate(share != 0, axis=1), share, 0.0)
        weight = np.ones(len(tile)) if sample_weight is None else sample_weight[rows[block]]
        with np.errstate(over="ignore", invalid="ignore"):
            change = np.einsum("icj,ij->ic", wide[codes], tile) + intercept[codes]
            change[share == 0] = 0
            more = (share * np.expm1(change)).sum(axis=1)
            loss = np.log1p(more) - (share * change).sum(axis=1)
            excess = share * np.exp(change) / (1 + more)[:, None] - share
        excess *= as_float64(weight)[:, None]
        total += float((weight * loss).sum())
        np.add.at(of_intercept, codes, excess)
        for slot in range(N_KEPT):
            np.add.at(gradient, codes[:, slot], excess[:, slot, None] * tile)
    coef_gradient_out[:], intercept_gradient_out[:] = gradient, of_intercept
    return total

"""Which classes a row keeps where softmax is restricted to its likeliest, for the twins."""

import numpy as np

from .checks import array
from .functions import as_float64

__all__ = ["KEPT_OUT", "N_KEPT", "keep_likeliest"]

#: Classes that a row keeps, its own included.
N_KEPT = 16

#: What a row's threshold may be, from 1 down, a third of an octave each.
RUNGS = np.exp2(-np.arange(32) / 3)

#: Checks of where they are written to.
KEPT_OUT = {
    "kept_out": array(
        "n_chosen", lambda known: N_KEPT, of=("int32",), out=True, optional="probability_out"
    ),
    "probability_out": array("n_chosen", lambda known: N_KEPT, out=True, optional="kept_out"),
}


def keep_likeliest(gradient, y_true, weight, label_smoothing, kept_out, probability_out):
    """Write the likeliest classes of each sample, its own first, and their probabilities.

    The others are those above a threshold, in ascending order. It is the lowest of RUNGS above
    which there are no more than there is room for. A slot of probability 0 ends them.

    Parameters
    ----------
    gradient : ndarray of shape (n_rows, batch)
        As :func:`softmax_gradient` leaves it: weight · (probability − target).
    y_true, weight : ndarrays of shape (batch,)
        As there; a sample of weight 0 keeps no class.
    label_smoothing : float in [0, 1)
    kept_out : int32 ndarray of shape (batch, N_KEPT)
        Codes; 0 from the slot that ends them on.
    probability_out : ndarray of shape (batch, N_KEPT)
        Of these classes; that of the sample's own is the lowest rung at least, so that it may grow.
    """
    kept_out[:] = probability_out[:] = 0
    kept_out[:, 0] = y_true
    even = label_smoothing / len(gradient)
    for i in np.flatnonzero(np.asarray(weight) > 0):
        own = y_true[i]
        chance = as_float64(gradient[:, i]) / as_float64(weight[i]) + even
        probability_out[i, 0] = max(chance[own] + 1 - label_smoothing, RUNGS[-1])
        chance[own] = -1
        n_above = (chance > RUNGS[:, None]).sum(axis=1)
        threshold = RUNGS[n_above < N_KEPT][-1]
        others = np.flatnonzero(chance > threshold)
        kept_out[i, 1 : len(others) + 1] = others
        probability_out[i, 1 : len(others) + 1] = chance[others]

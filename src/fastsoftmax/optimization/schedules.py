"""Learning-rate schedules: small pure functions of the time t, in epochs done so far.

t is fractional inside an epoch (minibatches done / minibatches an epoch), so that a schedule means
the same at any batch size. Each gives the factor by which the initial learning rate is multiplied.
Nothing here knows about data, losses or divergence. Called by sgd.py, once an epoch.
"""

import numpy as np

__all__ = ["SCHEDULES", "WITH_AN_END", "constant", "cosine", "exponential", "inverse_time"]
__all__ += ["learning_rates", "linear"]


def constant(t, decay, n_epochs):
    """1."""
    return np.ones_like(t)


def inverse_time(t, decay, n_epochs):
    """1 / (1 + decay · t), the classic rate of Robbins and Monro."""
    return 1 / (1 + decay * t)


def exponential(t, decay, n_epochs):
    """exp(−decay · t)."""
    return np.exp(-decay * t)


def linear(t, decay, n_epochs):
    """1 − t / T, and 0 from T = ``n_epochs`` on."""
    return 1 - np.minimum(t / n_epochs, 1)


def cosine(t, decay, n_epochs):
    """½ (1 + cos(π t / T)), half a wave down to 0 at T = ``n_epochs``."""
    return 0.5 * (1 + np.cos(np.pi * np.minimum(t / n_epochs, 1)))


SCHEDULES = {
    function.__name__: function
    for function in (constant, inverse_time, exponential, linear, cosine)
}

#: Those that fall to 0 at a known end, which ``partial_fit`` has not.
WITH_AN_END = ("linear", "cosine")


def learning_rates(schedule, initial, n_epochs_done, n_steps, decay=0.0, n_epochs=1):
    """The learning rate of each minibatch of one epoch.

    Parameters
    ----------
    schedule : {"constant", "inverse_time", "exponential", "linear", "cosine"}
    initial : float > 0
        The learning rate at t = 0.
    n_epochs_done : int ≥ 0
        Whole epochs before this one: step b is at t = n_epochs_done + b / n_steps.
    n_steps : int ≥ 1
        Minibatches in this epoch.
    decay : float ≥ 0, default=0
        Of "inverse_time" and "exponential", per epoch; the others don't look at it.
    n_epochs : int ≥ 1, default=1
        The end T of "linear" and "cosine"; the others don't look at it.

    Returns
    -------
    rates : float64 ndarray of shape (n_steps,)

    References
    ----------
    Robbins, Monro, "A stochastic approximation method", 1951 (inverse time).
    Loshchilov, Hutter, "SGDR: stochastic gradient descent with warm restarts", 2017, eq. 5
    (cosine).
    """
    t = n_epochs_done + np.arange(n_steps, dtype=np.float64) / n_steps
    return initial * SCHEDULES[schedule](t, decay, n_epochs)

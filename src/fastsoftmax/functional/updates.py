"""Steps of optimisers on the caller's parameters, in place: momentum, Nesterov's, AdaGrad.

What holds of all functions is said in the package. Called by users through it; training's own steps
are fused into the kernels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .. import kernels
from . import _arrays

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["adagrad_update", "momentum_update"]


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

    Examples
    --------
    >>> import numpy as np
    >>> from fastsoftmax import momentum_update
    >>> params, velocity = np.zeros(1), np.zeros(1)
    >>> for gradient in (1.0, 2.0, 4.0):
    ...     momentum_update(params, velocity, np.array([gradient]), 0.1, momentum=0.5)
    >>> velocity  # 0.1 · (4 + 0.5 · 2 + 0.25 · 1)
    array([0.525])
    """
    learning_rate = _arrays.check_number(learning_rate, "learning_rate", 0, np.inf, "[)")
    momentum = _arrays.check_number(momentum, "momentum", 0, 1, "[)")
    _arrays.check_parameters("velocity", params, velocity, gradient)
    _step_in_place(
        kernels.implementation.momentum_update,
        params,
        velocity,
        gradient,
        learning_rate=learning_rate,
        momentum=momentum,
        nesterov=bool(nesterov),
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

    Examples
    --------
    >>> import numpy as np
    >>> from fastsoftmax import adagrad_update
    >>> params, accumulator = np.zeros(2), np.zeros(2)
    >>> adagrad_update(params, accumulator, np.array([3.0, 0.1]), learning_rate=0.5)
    >>> params.round(3), accumulator  # a first step is as long as the rate, whatever the gradient
    (array([-0.5, -0.5]), array([9.  , 0.01]))
    """
    learning_rate = _arrays.check_number(learning_rate, "learning_rate", 0, np.inf, "[)")
    epsilon = _arrays.check_number(epsilon, "epsilon", 0, np.inf, "()")
    _arrays.check_parameters("accumulator", params, accumulator, gradient)
    _step_in_place(
        kernels.implementation.adagrad_update,
        params,
        accumulator,
        gradient,
        learning_rate=learning_rate,
        epsilon=epsilon,
    )


def _step_in_place(kernel, params, state, gradient, **numbers):
    """Run an optimiser kernel on the arrays' memory, or on copies that are then written back."""
    if np.may_share_memory(gradient, params) or np.may_share_memory(gradient, state):
        gradient = gradient.copy()
    dtype = params.dtype.newbyteorder("=")
    flat_params, flat_state = _arrays.flat(params, dtype), _arrays.flat(state, dtype)
    kernel(flat_params, flat_state, _arrays.flat(gradient, dtype), **numbers)
    for array, values in ((params, flat_params), (state, flat_state)):
        if not np.may_share_memory(array, values):
            array[...] = values.reshape(array.shape)

"""Cholesky factors of matrices that rounding errors may have made indefinite.

LAPACK's, by SciPy. Called by preconditioning.py and certificate.py.
"""

import numpy as np
from scipy.linalg import LinAlgError, cho_factor

__all__ = ["raised_factor"]


def raised_factor(matrix, added):
    """What ``scipy.linalg.cho_solve`` takes, of a symmetric matrix and a multiple of the identity.

    Parameters
    ----------
    matrix : float64 ndarray of shape (n, n)
    added : float > 0
        The multiple; a hundred times as much again and again, where it takes more.

    Raises
    ------
    LinAlgError
        If a value isn't finite.
    """
    diagonal = np.diagonal(matrix).copy()
    most = 100 * np.abs(matrix).sum()
    while True:
        np.fill_diagonal(matrix, diagonal + added)
        try:
            return cho_factor(matrix, lower=True, check_finite=False)
        except LinAlgError:
            if not added <= most:
                raise
            added *= 100

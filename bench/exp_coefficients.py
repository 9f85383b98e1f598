"""Derives the polynomial of the kernels' exp: run it to see the constants in src/.../vector.h.

exp(r) = 1 + r + r² q(r) on |r| ≤ ln 2 / 2. q is the Chebyshev interpolant computed with 60 digits
(mpmath) and rounded to the dtype. Prints each coefficient, highest power first, and the largest
relative error of the rounded polynomial, in units of the last place, evaluated exactly.
"""

import mpmath
import numpy as np

mpmath.mp.dps = 60


def quotient(r):
    """(exp(r) − 1 − r) / r², by its series near 0."""
    if abs(r) < mpmath.mpf(10) ** -8:
        return mpmath.mpf(1) / 2 + r / 6 + r * r / 24
    return (mpmath.exp(r) - 1 - r) / r**2


def coefficients(dtype, degree):
    """Coefficients of q, highest power first, as mpmath numbers exactly representable in dtype."""
    half_width = mpmath.log(2) / 2 * mpmath.mpf("1.0001")
    fit = mpmath.chebyfit(quotient, [-half_width, half_width], degree + 1)
    return [mpmath.mpf(float(dtype(float(value)))) for value in fit]


def main():
    """Print the table for float32 and float64."""
    for dtype, degree in ((np.float32, 4), (np.float64, 9)):
        q = coefficients(dtype, degree)
        grid = [mpmath.log(2) / 2 * i / 2000 for i in range(-2000, 2001)]
        error = max(abs((1 + r + r * r * mpmath.polyval(q, r)) / mpmath.exp(r) - 1) for r in grid)
        print(f"{dtype.__name__}: error {float(error / float(np.finfo(dtype).eps)):.4f} ULP")
        for value in q:
            print("   ", float(value).hex())


if __name__ == "__main__":
    main()

"""The digits and the comparison of two fits that several test files share. Holds no test."""

import numpy as np
from sklearn.datasets import load_digits

DIGITS = load_digits(return_X_y=True)


def small_digits(n_rows=300, dtype=np.float64, n_classes=10):
    """The first rows of the first classes, scaled to [0, 1]: sixteenths, exact in any float."""
    X, y = DIGITS
    kept = np.flatnonzero(y < n_classes)[:n_rows]
    return (X[kept] / 16).astype(dtype), y[kept]


def parameters_of(classifier):
    """coef_ and intercept_ in one array."""
    return np.column_stack([classifier.coef_, classifier.intercept_])


def assert_same_fit(one, other, rtol=0.0):
    """Same parameters bit for bit, or to ``rtol`` of the largest."""
    expected = parameters_of(other)
    atol = rtol * np.abs(expected).max()
    np.testing.assert_allclose(parameters_of(one), expected, rtol=0, atol=atol)

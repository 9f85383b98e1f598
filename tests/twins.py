"""A kernel beside its NumPy twin: what the tests of the kernels share. Holds no test.

Tolerances are counted in ULP of the largest magnitude in the sum: a sum of n products, however it
is ordered, is off by at most n roundings of a running total (Higham 2002, section 3.1).
"""

import numpy as np

from fastsoftmax.kernels import reference

DTYPES = [np.float32, np.float64]
ITEM_DTYPES = [np.uint8, np.int8, np.int16, np.float16, np.float32, np.float64]


def assert_close(actual, expected, scale, n_roundings):
    """|actual − expected| ≤ n_roundings ULP of `scale`, elementwise."""
    assert actual.dtype == expected.dtype
    tolerance = n_roundings * np.finfo(actual.dtype).eps * scale
    error = np.abs(actual.astype(np.float64) - expected)
    assert np.all(error <= tolerance), f"off by {np.max(error / tolerance)} of the tolerance"


def twice(function, arguments, outputs):
    """Run the kernel and its twin on copies of the output arrays; give both sets back."""
    module, name = function
    results = []
    for implementation in (module, reference):
        copies = [None if array is None else array.copy() for array in outputs]
        getattr(implementation, name)(*arguments(copies))
        results.append(copies)
    return results


def matrix(dtype, n_samples=23, n_features=17, seed=0):
    """Values that every dtype of X can hold, its extremes among them."""
    rng = np.random.default_rng(seed)
    if np.issubdtype(dtype, np.integer):
        limits = np.iinfo(dtype)
        X = rng.integers(limits.min, limits.max, (n_samples, n_features), endpoint=True)
        X[0, 0], X[0, -1] = limits.min, limits.max
        return X.astype(dtype)
    X = rng.normal(size=(n_samples, n_features)) * 100
    X[0, 0], X[0, -1] = np.finfo(dtype).smallest_subnormal, np.finfo(dtype).smallest_normal
    return X.astype(dtype)


def problem(dtype, n_rows, loss, n_samples=300, n_features=21, seed=2):
    """Arguments of epoch: (X, rows, codes, weights, None, None), and zero parameters."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_samples, n_features)).astype(dtype)
    codes = rng.integers(0, max(n_rows, 2), n_samples).astype(np.int32)
    rows = rng.permutation(n_samples)[: n_samples - 7]
    parameters = [
        np.zeros((n_rows, n_features), dtype),
        np.zeros(n_rows, dtype),
        np.zeros((n_rows, n_features), dtype),
        np.zeros(n_rows, dtype),
    ]
    weight = rng.uniform(0.5, 1.5, n_samples).astype(dtype)
    return (X, rows, codes, weight, None, None), parameters

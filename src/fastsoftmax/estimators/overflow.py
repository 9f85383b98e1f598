"""Predictions for rows so large that a raw prediction is beyond the largest float.

The kernels' arithmetic gives inf − inf for them. Here the factors are divided by powers of two
first, which is exact, and the common exponent comes in again where only differences matter. A row
is done by itself, slowly: such rows are rare. Called by prediction.py.
"""

import numpy as np

from ..problem.rows import SparseRows

__all__ = ["predict_overflown"]

#: Rows looked at at once.
BLOCK_ROWS = 1024


def predict_overflown(kernel, X, coef, intercept, out, loss="softmax"):
    """Write what the kernel would for those rows whose raw predictions overflow.

    Parameters
    ----------
    kernel : {"decision_function", "predict", "predict_proba"}
    X : ndarray or SparseRows of shape (n_samples, n_features)
        Finite.
    coef, intercept : ndarrays of shapes (n_rows, n_features) and (n_rows,)
        As :func:`coefficients.kernel_model` gives them.
    out : ndarray of shape (n_samples, n_rows), (n_samples,) or (n_samples, n_classes)
        Of the kernel. A raw prediction beyond the largest float becomes that.
    loss : {"softmax", "logistic"}
        Of the probabilities.
    """
    for start in range(0, len(X), BLOCK_ROWS):
        rows = np.arange(start, min(start + BLOCK_ROWS, len(X)))
        values = X.rows(rows).toarray() if isinstance(X, SparseRows) else X[rows]
        values = values.astype(coef.dtype).astype(np.float64)
        # In some order of the sum, some partial sum may overflow.
        with np.errstate(over="ignore"):
            largest = np.abs(values) @ np.abs(coef).T.astype(np.float64) + np.abs(intercept)
        overflown = ~(largest < np.finfo(coef.dtype).max).all(axis=1)
        if overflown.any():
            scaled, exponent = _scaled_raw(values[overflown], coef, intercept)
            out[rows[overflown]] = _finished(kernel, scaled, exponent, loss, coef.dtype)


def _scaled_raw(values, coef, intercept):
    """Raw predictions over a power of two that belongs to the row: (n, n_rows), (n, 1)."""
    _, of_rows = np.frexp(np.abs(values).max(axis=1, keepdims=True))
    _, of_coef = np.frexp(np.abs(coef).max())
    exponent = of_rows + int(of_coef)
    scaled = np.ldexp(values, -of_rows) @ np.ldexp(coef.astype(np.float64), -int(of_coef)).T
    return scaled + np.ldexp(np.broadcast_to(intercept, scaled.shape), -exponent), exponent


def _finished(kernel, scaled, exponent, loss, dtype):
    """What the kernel gives for these raw predictions."""
    limits = np.finfo(dtype)
    with np.errstate(over="ignore", under="ignore"):
        if kernel == "decision_function":
            return np.clip(np.ldexp(scaled, exponent), limits.min, limits.max)
        if kernel == "predict":
            return scaled[:, 0] > 0 if scaled.shape[1] == 1 else scaled.argmax(axis=1)
        if loss == "softmax":
            above = scaled - scaled.max(axis=1, keepdims=True)
            probability = np.exp(np.ldexp(above, exponent))
        else:
            raw = np.ldexp(scaled, exponent)
            raw = np.hstack([-raw, raw]) if raw.shape[1] == 1 else raw
            probability = np.exp(-np.logaddexp(0, -raw))
            probability += (probability.sum(axis=1, keepdims=True) == 0) / raw.shape[1]
    return probability / probability.sum(axis=1, keepdims=True)

"""Weights of rows and of classes: what a user may give, and what training makes of the two.

Errors name the argument, what was given and what is allowed. Called by checks.py and posing.py.
"""

from numbers import Real

import numpy as np
from sklearn.utils import check_array
from sklearn.utils.class_weight import compute_class_weight

__all__ = ["check_class_weight", "check_sample_weight", "mean_one", "row_weights"]


def check_sample_weight(sample_weight, X, name="sample_weight", all_zero=False):
    """Float64 weights, one a row, finite and not negative, with a finite sum; or None.

    Not all of them 0, unless ``all_zero`` allows it.
    """
    if sample_weight is None:
        return None
    if isinstance(sample_weight, Real):
        sample_weight = np.full(len(X), sample_weight)
    weight = check_array(sample_weight, ensure_2d=False, dtype=np.float64, input_name=name)
    if weight.shape != (len(X),):
        raise ValueError(
            f"{name} must have one value for each row of X, shape ({len(X)},); "
            f"got shape {weight.shape}"
        )
    if weight.min() < 0:
        row = int(np.argmin(weight))
        raise ValueError(f"{name} must not be negative; got {weight[row]:g} for row {row}")
    with np.errstate(over="ignore"):
        weight_sum = weight.sum()
    if not np.isfinite(weight_sum):
        raise ValueError(f"{name} must have a finite sum; its sum overflows float64")
    if not (all_zero or weight.any()):
        raise ValueError(f"{name} must be above 0 for at least one row; got zeros alone")
    return weight


def check_class_weight(class_weight, classes, class_total):
    """Weight of each class, float64 of shape (n_classes,), or None for ones.

    "balanced" is Σs / (number of classes present · Σs of the class), with ``class_total`` the
    Σs of each class; a class without weight gets 0.
    """
    if class_weight is None:
        return None
    if isinstance(class_weight, str):  # "balanced"; scikit-learn's divides by 0 for such a class
        present = class_total > 0
        balanced = np.zeros(len(classes))
        balanced[present] = class_total.sum() / (present.sum() * class_total[present])
        return balanced
    weight = compute_class_weight(class_weight, classes=classes, y=classes).astype(np.float64)
    for label, value in zip(classes.tolist(), weight, strict=True):
        if not (np.isfinite(value) and value >= 0):
            raise ValueError(
                f"class_weight must be finite and not negative; got {value:g} for class {label!r}"
            )
    return weight


def row_weights(codes, sample_weight, class_weight, all_zero=False):
    """Rows of weight above 0, the weight of every row, and the sum of the weights.

    Parameters
    ----------
    codes : int32 ndarray of shape (n_samples,)
    sample_weight : float64 ndarray of shape (n_samples,) or None
    class_weight : float64 ndarray of shape (n_classes,) or None
    all_zero : bool, default=False
        Whether there may be no row of weight above 0.

    Returns
    -------
    rows : intp ndarray of shape (n_used,)
    weight : float64 ndarray of shape (n_samples,), or None for ones
    weight_sum : float
    """
    if sample_weight is None and class_weight is None:
        return np.arange(len(codes)), None, float(len(codes))
    weight = np.ones(len(codes)) if sample_weight is None else sample_weight
    if class_weight is not None:
        weight = weight * class_weight[codes]
    rows = np.flatnonzero(weight)
    if len(rows) == 0 and not all_zero:
        raise ValueError(
            "sample_weight times class_weight must be above 0 for at least one row; got zeros alone"
        )
    # Summed over the rows used: zeros in between would change the order of rounding.
    return rows, weight, float(weight[rows].sum())


def mean_one(weight, mean, n_samples, dtype):
    """Weights divided by their mean, in ``dtype``; None where they are all exactly 1."""
    if weight is None:
        return None if mean == 1 else np.full(n_samples, 1 / mean, dtype)
    return (weight / mean).astype(dtype)

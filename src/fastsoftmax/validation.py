"""Checks of what the caller hands over, beyond what scikit-learn checks: X, labels and weights.

Every error names the argument, what was given and what is allowed. Nothing here knows how training
works. Called by estimator.py and prediction.py.
"""

from contextlib import contextmanager
from numbers import Real

import numpy as np
from scipy.sparse import issparse
from sklearn import get_config
from sklearn.utils import check_array, column_or_1d
from sklearn.utils.class_weight import compute_class_weight

from . import kernels
from .sparse import SPARSE_DTYPES, SparseRows

__all__ = [
    "READ_IN_PLACE",
    "check_class_weight",
    "check_classes",
    "check_finite",
    "check_known_classes",
    "check_sample_weight",
    "check_validation_data",
    "check_warm_start",
    "computing_dtype",
    "dtypes_read",
    "encode_labels",
    "mean_one",
    "row_weights",
    "unchanged_on_failure",
    "well_behaved",
]

#: What the kernels read where it lies; and bfloat16, which NumPy knows only by ``ml_dtypes``.
READ_IN_PLACE = frozenset(
    np.dtype(name) for name in ("uint8", "int8", "int16", "float16", "float32", "float64")
)


@contextmanager
def unchanged_on_failure(estimator):
    """Leave the estimator's attributes as they were if the block raises, Ctrl-C included.

    Enough as long as the block replaces arrays and never writes into them.
    """
    before = vars(estimator).copy()
    try:
        yield
    except BaseException:
        estimator.__dict__ = before
        raise


def well_behaved(X):
    """X itself, or an aligned copy in this machine's byte order where it is an array that isn't."""
    if isinstance(X, np.ndarray) and not (X.dtype.isnative and X.flags.aligned):
        return X.astype(X.dtype.newbyteorder("="))
    return X


def dtypes_read(X, otherwise):
    """The dtypes that X may keep, for scikit-learn's checks; others become the first of them."""
    if issparse(X):
        return [np.dtype(otherwise), *SPARSE_DTYPES]
    dtype = getattr(X, "dtype", None)
    others = [dtype] if getattr(dtype, "name", None) == "bfloat16" else []
    return [np.dtype(otherwise), *READ_IN_PLACE, *others]


def computing_dtype(dtype, X):
    """What to compute in: ``dtype``, or where that is None float64 for float64, else float32."""
    if dtype is None:
        return X.dtype if X.dtype == np.float64 else np.dtype(np.float32)
    return np.dtype(dtype)


def check_finite(X, dtype, n_threads):
    """An error that says where X is infinite or NaN, or beyond the range of ``dtype``."""
    values = X.values if isinstance(X, SparseRows) else X
    if get_config()["assume_finite"] or kernels.implementation.all_finite(values, dtype, n_threads):
        return
    row, feature = _first_not_finite(values, dtype)
    value = float(values[row, feature])
    if isinstance(X, SparseRows):
        row, feature = X.position(feature)
    where = f"in row {row}, feature {feature}"
    if np.isfinite(value):
        raise ValueError(
            f"X contains {value:g} {where}, a value too large for {dtype}; divide it by a power of "
            "10, or compute with dtype='float64'"
        )
    held = "NaN" if np.isnan(value) else "infinity"
    raise ValueError(f"X contains {held} {where}; it must be finite")


def _first_not_finite(X, dtype, block=1024):
    """Row and column of the first value that is not finite in ``dtype``, which there is."""
    for start in range(0, len(X), block):
        with np.errstate(over="ignore"):
            bad = np.argwhere(~np.isfinite(X[start : start + block].astype(dtype)))
        if len(bad):
            return start + int(bad[0, 0]), int(bad[0, 1])
    raise RuntimeError("X was changed by another thread while it was being checked")


def encode_labels(y, classes, name="y"):
    """Class codes, int32, of the labels y; an error lists labels that aren't in ``classes``."""
    labels, positions = np.unique(y, return_inverse=True)
    code_of = {label: code for code, label in enumerate(classes.tolist())}
    unseen = [label for label in labels.tolist() if label not in code_of]
    if unseen:
        raise ValueError(
            f"{name} holds labels that are not among the classes: {_some(unseen)}; "
            f"the classes are {_some(classes.tolist())}"
        )
    codes = np.array([code_of[label] for label in labels.tolist()], dtype=np.int32)
    return codes[positions.ravel()]


def check_classes(labels, source):
    """Sorted distinct labels; an error names the only one where there are fewer than two."""
    classes = np.unique(labels)
    if len(classes) < 2:
        held = f"only 1 class, {classes.tolist()[0]!r}" if len(classes) else "no label"
        raise ValueError(f"a classifier needs at least 2 classes; {source} holds {held}")
    return classes


def check_known_classes(classes, known):
    """The classes that partial_fit is to use: those known from an earlier call, or those given."""
    if classes is None:
        if known is None:
            raise ValueError("classes must be given in the first call of partial_fit; got None")
        return known
    classes = check_classes(column_or_1d(classes), "classes")
    if known is not None and not np.array_equal(classes, known):
        raise ValueError(
            "classes must be None or those of the first call of partial_fit or fit, "
            f"{_some(known.tolist())}; got {_some(classes.tolist())}"
        )
    return classes


def check_warm_start(X, classes, coef, known_classes):
    """An error where a warm start meets other classes or another number of features."""
    if not np.array_equal(classes, known_classes):
        raise ValueError(
            f"warm_start=True needs the classes of the last fit, {_some(known_classes.tolist())}; "
            f"y holds {_some(classes.tolist())}"
        )
    if X.shape[1] != coef.shape[1]:
        raise ValueError(
            f"warm_start=True needs the {coef.shape[1]} features of the last fit; X has "
            f"{X.shape[1]}"
        )


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


def check_validation_data(X_val, y_val, sample_weight_val):
    """Whether there are rows to validate on; an error where only a part of them is given."""
    if (X_val is None) != (y_val is None):
        given, missing = ("y_val", "X_val") if X_val is None else ("X_val", "y_val")
        raise ValueError(f"X_val and y_val must be given together; got {given} without {missing}")
    if X_val is None and sample_weight_val is not None:
        raise ValueError("sample_weight_val needs X_val and y_val; got neither")
    return X_val is not None


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


def _some(labels):
    """Up to ten labels as text."""
    text = ", ".join(repr(label) for label in labels[:10])
    return f"{text} and {len(labels) - 10} more" if len(labels) > 10 else text

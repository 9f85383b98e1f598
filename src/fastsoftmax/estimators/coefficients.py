"""What ``coef_`` and ``intercept_`` may hold, and what the kernels take of it.

They are a user's to set: an array of any order, byte order or dtype, a list, a sparse matrix, one
number for all intercepts, two rows for two classes. :func:`kernel_model` makes of each what the
kernels read, or says what is wrong. No arithmetic. Called by prediction.py, memory.py and onnx.py.
"""

import numpy as np
from scipy.sparse import csr_matrix, issparse
from sklearn.utils.validation import check_is_fitted

__all__ = ["SparseCoefficients", "dense_coef", "kernel_model"]

#: In this machine's byte order.
KERNEL_DTYPES = (np.dtype(np.float32), np.dtype(np.float64))


def kernel_model(estimator):
    """Coefficients and intercepts of a fitted estimator as the kernels take them.

    Parameters
    ----------
    estimator : fitted estimator
        With ``coef_``, ``intercept_`` and ``classes_``.

    Returns
    -------
    coef : C-contiguous ndarray of shape (n_rows, n_features)
        float32 where ``coef_`` is, else float64; ``coef_`` itself wherever it is that already.
        One row for two classes; or two, whose sigmoids scikit-learn divides by their sum.
    intercept : ndarray of shape (n_rows,), of the same dtype

    Raises
    ------
    ValueError
        If the attributes aren't numbers, or of shapes that don't fit each other.
    """
    coef, intercept, n_classes = estimator.coef_, estimator.intercept_, len(estimator.classes_)
    if not _is_ready(coef, 2):
        coef = _as_kernel_array(coef, "coef_", None)
    if not (_is_ready(intercept, 1) and intercept.dtype == coef.dtype):
        intercept = _as_kernel_array(intercept, "intercept_", coef.dtype)
    if coef.ndim != 2 or not (len(coef) == n_classes or len(coef) + 1 == n_classes == 2):
        rows = "1 or 2 rows" if n_classes == 2 else f"{n_classes} rows"
        raise ValueError(
            f"coef_ must be a matrix of {rows} for {n_classes} classes; got shape {coef.shape}"
        )
    if intercept.shape != (len(coef),):
        if intercept.size != 1:
            raise ValueError(
                f"intercept_ must have one value for each of the {len(coef)} rows of coef_, or be "
                f"one number; got shape {intercept.shape}"
            )
        intercept = np.full(len(coef), intercept.item(), coef.dtype)
    return coef, intercept


def _is_ready(array, n_dimensions):
    return (
        type(array) is np.ndarray
        and array.ndim == n_dimensions
        and array.dtype in KERNEL_DTYPES
        and array.flags.c_contiguous
        and array.flags.aligned
    )


def _as_kernel_array(values, name, dtype):
    """A contiguous array in this machine's byte order: float32 where it was, else float64."""
    array = np.asarray(values.toarray() if issparse(values) else values)
    if array.dtype.kind not in "biuf":
        raise ValueError(f"{name} must hold numbers; got dtype {array.dtype}")
    if dtype is None:
        narrow = array.dtype.kind == "f" and array.dtype.itemsize <= 4
        dtype = np.dtype(np.float32 if narrow else np.float64)
    return np.array(array, dtype, order="C")


def dense_coef(coef):
    """``coef_`` as an ndarray."""
    return np.ascontiguousarray(coef.toarray()) if issparse(coef) else coef


class SparseCoefficients:
    """``sparsify`` and ``densify``, as scikit-learn's linear models have them."""

    def sparsify(self):
        """Keep ``coef_`` as a scipy CSR matrix, which takes less memory where most of it is 0.

        Predictions make it dense for the length of a call. Before it is trained further by
        ``partial_fit`` or ``warm_start``, it has to be dense again: see :meth:`densify`.

        Returns
        -------
        self : estimator
        """
        check_is_fitted(self)
        self.coef_ = csr_matrix(self.coef_)
        return self

    def densify(self):
        """Make ``coef_`` an ndarray again.

        Returns
        -------
        self : estimator
        """
        check_is_fitted(self)
        self.coef_ = dense_coef(self.coef_)
        return self

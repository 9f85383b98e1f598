"""Sparse X between scipy and the kernels, and coefficients that are kept sparse.

:class:`SparseRows` stands for a CSR matrix wherever the package passes X on; :func:`kernel_for`
picks the kernel that reads it. No arithmetic, no training, and nothing is made dense but
``coef_`` where the user had it sparse. Called by the estimator's files.
"""

from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy.sparse import csr_matrix, issparse
from sklearn.utils.validation import check_is_fitted

from . import kernels

__all__ = ["SparseCoefficients", "SparseRows", "dense_coef", "kernel_for", "rows_of"]

#: What a sparse X may hold without being converted.
SPARSE_DTYPES = (np.dtype(np.float32), np.dtype(np.float64))


@dataclass(frozen=True)
class SparseRows:
    """The arrays of a CSR matrix, as the kernels take them; the matrix's own, never copies.

    Parameters
    ----------
    data : float32 or float64 ndarray of shape (n_values,)
    indices, indptr : int32 or int64 ndarrays of shapes (n_values,) and (n_samples + 1,)
    shape : (n_samples, n_features)
    """

    data: np.ndarray
    indices: np.ndarray
    indptr: np.ndarray
    shape: tuple

    @classmethod
    def of(cls, X):
        """The rows of a scipy CSR matrix or array whose numbers of rows and features are sound."""
        indptr, n_features = X.indptr, X.shape[1]
        held = X.indices[: indptr[-1]]
        if (
            indptr[0] != 0
            or indptr[-1] > min(len(X.data), len(X.indices))
            or (np.diff(indptr) < 0).any()
            or (len(held) > 0 and not (held.min() >= 0 and held.max() < n_features))
        ):
            raise ValueError(
                "X is a damaged CSR matrix: indptr must rise from 0 to at most the number of "
                f"values, and indices must be in [0, {n_features})"
            )
        arrays = (np.ascontiguousarray(array) for array in (X.data, X.indices, indptr))
        return cls(*arrays, X.shape)

    def __len__(self):
        return self.shape[0]

    @property
    def dtype(self):
        return self.data.dtype

    @property
    def values(self):
        """The values held, as a matrix of one row: what has to be finite."""
        return self.data[None, : self.indptr[-1]]

    def position(self, value):
        """Row and feature of a value, from its number in ``values``."""
        row = int(np.searchsorted(self.indptr, value, side="right")) - 1
        return row, int(self.indices[value])

    def call(self, name, *arguments):
        """Run the sparse kernel; rows are scaled and never shifted (standardization.measure)."""
        if name in ("epoch", "loss_sum"):
            rows, y_true, sample_weight, _, *rest = arguments
            shift = (None,) if name == "loss_sum" else ()
            arguments = (rows, y_true, sample_weight, *shift, *rest)
        function = getattr(kernels.implementation, f"sparse_{name}")
        return function(self.data, self.indices, self.indptr, *arguments)


def rows_of(X):
    """X itself, or its rows where it is a CSR matrix or array."""
    return SparseRows.of(X) if issparse(X) else X


def kernel_for(name, X):
    """The kernel of this name for X, to be called with the arguments that follow X."""
    if isinstance(X, SparseRows):
        return partial(X.call, name)
    return partial(getattr(kernels.implementation, name), X)


def dense_coef(coef):
    """Coefficients as the kernels take them."""
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

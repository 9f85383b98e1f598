"""X as the kernels take it: dense rows where they lie, or the arrays of a CSR matrix.

:class:`SparseRows` stands for a CSR matrix wherever the package passes X on; :func:`kernel_for`
picks the kernel that reads it. What dtypes are read in place, and whether all values are finite, is
said here too. No arithmetic, and nothing is made dense.
"""

from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from scipy.sparse import csr_array, issparse
from sklearn import get_config

from .. import kernels

__all__ = [
    "READ_IN_PLACE",
    "SparseRows",
    "check_finite",
    "computing_dtype",
    "dtypes_read",
    "is_plain",
    "kernel_for",
    "order_read",
    "rows_of",
    "well_behaved",
]

#: What the kernels read where it lies; and bfloat16, which NumPy knows only by ``ml_dtypes``.
READ_IN_PLACE = frozenset(
    np.dtype(name) for name in ("uint8", "int8", "int16", "float16", "float32", "float64")
)

#: What a sparse X may hold without being converted.
SPARSE_DTYPES = (np.dtype(np.float32), np.dtype(np.float64))
INDEX_DTYPES = (np.dtype(np.int32), np.dtype(np.int64))


@dataclass(frozen=True)
class SparseRows:
    """The arrays of a CSR matrix, as the kernels take them; the matrix's own wherever they can be.

    Parameters
    ----------
    data : float32 or float64 ndarray of shape (n_values,)
    indices, indptr : int32 or int64 ndarrays of shapes (n_values,) and (n_samples + 1,)
        indptr is a copy, so that no other thread can change where rows lie.
    shape : (n_samples, n_features)
    may_repeat : bool, default=False
        Whether a row may hold several values of a feature; scipy means their sum by that. What is
        linear in X needs not care.
    """

    data: np.ndarray
    indices: np.ndarray
    indptr: np.ndarray
    shape: tuple
    may_repeat: bool = False

    @classmethod
    def of(cls, X):
        """The rows of a scipy CSR matrix or array, or an error where it isn't sound."""
        data = _kernel_array(X.data, SPARSE_DTYPES, np.float64)
        indices = _kernel_array(X.indices, INDEX_DTYPES, np.int64)
        indptr, (n_samples, n_features) = X.indptr, X.shape
        indptr = np.array(indptr, indptr.dtype if indptr.dtype in INDEX_DTYPES else np.int64)
        is_sound, is_ascending = kernels.implementation.check_csr(
            indices, indptr, n_values=min(len(data), len(indices)), n_features=n_features
        )
        if not is_sound or len(indptr) != n_samples + 1:
            raise ValueError(
                "X is a damaged CSR matrix: indptr must rise from 0 to at most the number of "
                f"values, and indices must be in [0, {n_features})"
            )
        return cls(data, indices, indptr, X.shape, may_repeat=not is_ascending)

    def summed(self):
        """The same matrix, every feature at most once a row; in a copy only where one is repeated.

        Squares, counts and comparisons of the values held are those of the matrix only then.
        """
        if not self.may_repeat:
            return self
        if not self._has_repeats():  # the order was all: it changes nothing
            return replace(self, may_repeat=False)
        held = slice(0, self.indptr[-1])
        copy = csr_array(
            (self.data[held].copy(), self.indices[held].copy(), self.indptr.copy()), self.shape
        )
        copy.sum_duplicates()
        return SparseRows(copy.data, copy.indices, copy.indptr, self.shape)

    def _has_repeats(self):
        """Whether some row holds a feature twice."""
        return kernels.implementation.csr_repeats(self.indices, self.indptr, self.shape[1])

    def __len__(self):
        return self.shape[0]

    @property
    def dtype(self):
        return self.data.dtype

    @property
    def values(self):
        """The values held, as a matrix of one row: what has to be finite."""
        # A row added by None would have a stride of 0, and its values would be read as rows of one.
        return self.data[: self.indptr[-1]].reshape(1, -1)

    def rows(self, rows):
        """A CSR array of copies of these rows."""
        copies = csr_array((self.data, self.indices, self.indptr), shape=self.shape)[rows]
        is_sound, _ = kernels.implementation.check_csr(
            copies.indices, copies.indptr, n_values=copies.nnz, n_features=self.shape[1]
        )
        if not is_sound:  # it was when X was checked; scipy would write beyond its arrays
            raise RuntimeError("X was changed by another thread while it was being read")
        return copies

    def position(self, value):
        """Row and feature of a value, from its number in ``values``."""
        row = int(np.searchsorted(self.indptr, value, side="right")) - 1
        return row, int(self.indices[value])

    def call(self, name, **arguments):
        """Run the sparse kernel; rows are scaled and never shifted (standardization.measure)."""
        if "shift" in arguments:
            arguments["shift"] = None
        if name == "epoch":  # which can't shift at all
            del arguments["shift"]
        function = getattr(kernels.implementation, f"sparse_{name}")
        return function(self.data, self.indices, self.indptr, **arguments)


def rows_of(X, summed=False):
    """X itself, or its rows where it is a CSR matrix or array; ``summed`` for what isn't linear."""
    if not issparse(X):
        return X
    rows = SparseRows.of(X)
    return rows.summed() if summed else rows


def _kernel_array(array, dtypes, otherwise):
    """The array itself where a kernel can read it, else a copy of another dtype or alignment."""
    if array.dtype not in dtypes:
        array = array.astype(otherwise)
    return array if array.flags.c_contiguous and array.flags.aligned else array.copy()


def kernel_for(name, X):
    """The kernel of this name for X, to be called with the other arguments, by their names."""
    if isinstance(X, SparseRows):
        return partial(X.call, name)
    return partial(getattr(kernels.implementation, name), X)


def is_plain(X):
    """Whether X is an array that scikit-learn's checks, but for NaN, would let pass as it is."""
    return (
        type(X) is np.ndarray
        and X.ndim == 2
        and X.dtype in READ_IN_PLACE
        and X.flags.aligned
        and X.size > 0
    )


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


def order_read(X):
    """The memory order that X is to be converted to; None where it is read as it lies.

    A frame holds its columns one by one. Rows in a shuffled order are then read a value at a time,
    which takes an epoch several times as long as turning all of X does.
    """
    return None if isinstance(X, np.ndarray) or issparse(X) else "C"


def computing_dtype(dtype, X):
    """What to compute in: ``dtype``, or where that is None float64 for float64, else float32."""
    if dtype is None:
        return X.dtype if X.dtype == np.float64 else np.dtype(np.float32)
    return np.dtype(dtype)


def check_finite(X, dtype, n_threads):
    """An error that says where X is infinite or NaN, or beyond the range of ``dtype``."""
    if get_config()["assume_finite"]:
        return
    if isinstance(X, SparseRows):
        X = X.summed()  # a sum of finite values may be infinite
    values = X.values if isinstance(X, SparseRows) else X
    if kernels.implementation.all_finite(values, dtype, n_threads):
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

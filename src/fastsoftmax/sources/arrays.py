"""Rows of anything that is sliced like an array: memory maps, HDF5 and Zarr arrays, CSR matrices.

Nothing of the libraries behind them is imported.
"""

import numpy as np
from scipy.sparse import issparse

from .base import Block, Source, rows_of_blocks

__all__ = ["ArraySource"]


class ArraySource(Source):
    """Rows of arrays that are sliced from wherever they are.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        With ``shape``, ``dtype`` and slices ``X[start:stop]``: a NumPy memory map, a dataset of
        h5py's, a Zarr array, a CSR matrix.
    y : array-like of shape (n_samples,) or None
        Labels, sliced likewise; None for predictions.
    sample_weight : array-like of shape (n_samples,) or None
    max_memory : int, default=256 MiB
        As in :class:`Source`.

    Raises
    ------
    ValueError
        If the arrays are of different lengths.

    Examples
    --------
    >>> from scipy.sparse import csr_matrix
    >>> from sklearn.datasets import load_digits
    >>> from fastsoftmax import SoftmaxClassifier
    >>> from fastsoftmax.sources import ArraySource
    >>> X, y = load_digits(n_class=4, return_X_y=True)
    >>> source = ArraySource(csr_matrix(X), y, max_memory=1 << 20)
    >>> source.n_blocks
    5
    >>> SoftmaxClassifier(random_state=0).fit(source).converged_
    True
    """

    def __init__(self, X, y=None, sample_weight=None, *, max_memory=256 << 20):
        super().__init__(max_memory)
        if not (hasattr(X, "shape") and hasattr(X, "dtype") and len(X.shape) == 2):
            raise ValueError(
                f"X must have a shape of two dimensions and a dtype; got {type(X).__name__}"
            )
        self._X = X.tocsr() if issparse(X) and X.format != "csr" else X
        n_samples = X.shape[0]
        self._y = _of_rows(y, n_samples, "y")
        self._sample_weight = _of_rows(sample_weight, n_samples, "sample_weight")
        bytes_of_row = X.shape[1] * np.dtype(X.dtype).itemsize
        if issparse(X):
            bytes_of_row = -(-X.nnz * 12 // max(1, n_samples))
        self._starts = rows_of_blocks(n_samples, bytes_of_row, self.block_bytes)
        self.n_blocks = len(self._starts) - 1

    @property
    def name(self):
        """What errors call it."""
        return f"{type(self._X).__name__} of shape {self._X.shape}"

    def read(self, number):
        """One :class:`Block`."""
        rows = slice(self._starts[number], self._starts[number + 1])
        X = self._X[rows]
        X = X if issparse(X) else np.asarray(X)
        return Block(number, X, _sliced(self._y, rows), _sliced(self._sample_weight, rows))


def _of_rows(values, n_samples, name):
    """What has a value for each row, or None."""
    if values is None:
        return None
    values = values if hasattr(values, "shape") else np.asarray(values)
    if tuple(values.shape) != (n_samples,):
        raise ValueError(
            f"{name} must have one value for each row of X, shape ({n_samples},); got shape "
            f"{tuple(values.shape)}"
        )
    return values


def _sliced(values, rows):
    return None if values is None else np.asarray(values[rows])

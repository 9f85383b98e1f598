"""Sparse rows of text in the svmlight or LIBSVM format, parsed by scikit-learn, part by part."""

import os

import numpy as np
from sklearn.datasets import load_svmlight_file

from .base import Block, Source

__all__ = ["SvmlightSource"]


class SvmlightSource(Source):
    """Rows of a text file, ``label index:value index:value ...`` each.

    Text is parsed again in each pass, which takes many times as long as the pass: what is fitted
    often, or is large, is better kept in binary form.

    Parameters
    ----------
    path : path
    n_features : int
        There may be no larger index.
    zero_based : bool, default=False
        Whether the first feature has index 0; 1 is the format's own.
    dtype : {float32, float64}, default=float64
        Of the values.
    max_memory : int, default=256 MiB
        As in :class:`Source`.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    """

    def __init__(
        self, path, n_features, *, zero_based=False, dtype=np.float64, max_memory=256 << 20
    ):
        super().__init__(max_memory)
        self._path, self._size = os.fspath(path), os.stat(path).st_size
        if not (isinstance(n_features, int | np.integer) and n_features >= 1):
            raise ValueError(f"n_features must be an int, at least 1; got {n_features!r}")
        self._n_features, self._zero_based, self._dtype = int(n_features), zero_based, dtype
        # scikit-learn takes the lines that begin within so many bytes.
        self._starts = [*range(0, self._size, self.block_bytes), self._size]
        self.n_blocks = len(self._starts) - 1

    @property
    def name(self):
        """What errors call it."""
        return self._path

    def read(self, number):
        """One :class:`Block`."""
        start, stop = self._starts[number], self._starts[number + 1]
        X, y = load_svmlight_file(
            self._path,
            n_features=self._n_features,
            dtype=self._dtype,
            zero_based=self._zero_based,
            offset=start,
            length=stop - start,
        )
        return Block(number, X, y)

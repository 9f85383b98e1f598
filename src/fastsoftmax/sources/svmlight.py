"""Sparse rows of text in the svmlight or LIBSVM format, parsed by scikit-learn, part by part."""

import itertools
import os

import numpy as np
from sklearn.datasets import load_svmlight_file

from .base import Block
from .files import FileSource, paths_of

__all__ = ["SvmlightSource"]


class SvmlightSource(FileSource):
    """Rows of text files, ``label index:value index:value ...`` each.

    Text is parsed again in each pass, which takes many times as long as the pass: what is fitted
    often, or is large, is better kept in binary form.

    Parameters
    ----------
    paths : path, or a pattern with ``*`` in it, or a list of paths
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

    Examples
    --------
    >>> import tempfile
    >>> from sklearn.datasets import dump_svmlight_file, load_digits
    >>> from fastsoftmax import SoftmaxClassifier
    >>> from fastsoftmax.sources import SvmlightSource
    >>> path = f"{tempfile.mkdtemp()}/digits.svm"
    >>> X, y = load_digits(n_class=4, return_X_y=True)
    >>> dump_svmlight_file(X, y, path, zero_based=False)
    >>> source = SvmlightSource(path, n_features=64)
    >>> SoftmaxClassifier(random_state=0).fit(source).converged_
    True
    """

    def __init__(
        self, paths, n_features, *, zero_based=False, dtype=np.float64, max_memory=256 << 20
    ):
        super().__init__(max_memory)
        self._paths = paths_of(paths)
        sizes = [os.stat(path).st_size for path in self._paths]
        if not (isinstance(n_features, int | np.integer) and n_features >= 1):
            raise ValueError(f"n_features must be an int, at least 1; got {n_features!r}")
        self._n_features, self._zero_based, self._dtype = int(n_features), zero_based, dtype
        # scikit-learn takes the lines that begin within so many bytes.
        self._parts = [
            (path, start, stop)
            for path, size in zip(self._paths, sizes, strict=True)
            for start, stop in itertools.pairwise([*range(0, size, self.block_bytes), size])
        ]
        self.n_blocks = len(self._parts)

    def read(self, number):
        """One :class:`Block`."""
        path, start, stop = self._parts[number]
        try:
            X, y = load_svmlight_file(
                path,
                n_features=self._n_features,
                dtype=self._dtype,
                zero_based=self._zero_based,
                offset=start,
                length=stop - start,
            )
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error
        return Block(number, X, y)

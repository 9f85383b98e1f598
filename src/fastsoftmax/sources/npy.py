"""Rows of ``.npy`` files, one or many, mapped block by block: nothing is copied.

What is mapped is a block, not a file, so that neither the address space nor the resident memory
grows with the files.
"""

import errno
import itertools
import mmap
import os
import sys
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from .base import Block, rows_of_blocks
from .files import FileSource, paths_of

__all__ = ["NpySource", "read_header"]

#: Of ``max_memory``, what a block has at most: two are resident at once, no more, as the next is
#: in the system's cache alone until its turn.
SHARE_OF_BLOCK = 8

#: Bytes that the system is asked to read ahead at once: of more it may leave out the rest, as Linux
#: does from where the disk's own read-ahead ends (``force_page_cache_ra``).
ASKED_AT_ONCE = 1 << 20

#: ``MADV_POPULATE_READ``, which Python doesn't name: pages are put in the table in one call, where
#: the kernels would stop at every sixteenth. Linux 5.14 and newer; others answer EINVAL.
POPULATE_READ = 22


class NpySource(FileSource):
    """Rows of ``.npy`` files.

    Parameters
    ----------
    X : path, or a pattern with ``*`` in it, or a list of paths
        Files of arrays of shape (n_rows, n_features), rows one after the other, of one dtype. The
        files of a pattern are taken in the order of their names.
    y : the same or None
        Files of the labels, one for each of ``X``; None for predictions.
    sample_weight : the same or None
    max_memory : int, default=256 MiB
        As in :class:`Source`.

    Raises
    ------
    ValueError
        If files don't belong together, or hold anything but such arrays; it names the file.
    FileNotFoundError
        If there are none.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from sklearn.datasets import load_digits
    >>> from fastsoftmax import SoftmaxClassifier
    >>> from fastsoftmax.sources import NpySource
    >>> X, y = load_digits(return_X_y=True)
    >>> folder = tempfile.mkdtemp()
    >>> for part in (0, 1):
    ...     np.save(f"{folder}/X_{part}.npy", X[part::2])
    ...     np.save(f"{folder}/y_{part}.npy", y[part::2])
    >>> source = NpySource(f"{folder}/X_*.npy", f"{folder}/y_*.npy", max_memory=1 << 20)
    >>> SoftmaxClassifier(random_state=0).fit(source).converged_
    True
    """

    def __init__(self, X, y=None, sample_weight=None, *, max_memory=256 << 20):
        super().__init__(max_memory)
        self._paths = paths_of(X, "X")
        files = [_Array.of(path, 2) for path in self._paths]
        beside = (
            None if paths is None else [_Array.of(path, 1) for path in paths_of(paths, name)]
            for paths, name in ((y, "y"), (sample_weight, "sample_weight"))
        )
        self._lay_out(files, *beside)

    @classmethod
    def of_members(cls, X, y=None, *, max_memory=256 << 20):
        """Rows of arrays that lie in archives: those that ``npz.members_of`` gives."""
        source = cls.__new__(cls)
        super().__init__(source, max_memory)
        source._paths = [member.path for member in X]
        files, labels = (
            None if members is None else [_Array.of(m.path, n, m.start) for m in members]
            for members, n in ((X, 2), (y, 1))
        )
        source._lay_out(files, labels, None)
        return source

    def _lay_out(self, files, y, sample_weight):
        """Check that the arrays belong together, and cut them into blocks."""
        self._files = files
        self._y = self._beside(y, "y")
        self._sample_weight = self._beside(sample_weight, "sample_weight")
        first = self._files[0]
        for file in self._files:
            if (file.shape[1], file.dtype) != (first.shape[1], first.dtype):
                raise ValueError(
                    f"{file.path} holds {file.shape[1]} features of {file.dtype}, and {first.path} "
                    f"{first.shape[1]} of {first.dtype}; they must be alike"
                )
        self._blocks = []
        for number, file in enumerate(self._files):
            starts = rows_of_blocks(file.shape[0], file.bytes_of_row, self.block_bytes)
            self._blocks += [(number, *rows) for rows in itertools.pairwise(starts)]
        self.n_blocks = len(self._blocks)

    @property
    def block_bytes(self):
        """How many bytes of X a block has, at most."""
        return max(1, self.max_memory // SHARE_OF_BLOCK)

    def read(self, number):
        """One :class:`Block`, of a view of its file."""
        return self._read(number)[0]

    def _read(self, number):
        """The same, and the map behind it."""
        file, start, stop = self._blocks[number]
        X, mapped = self._files[file].view(start, stop)
        beside = (
            None if files is None else files[file].values(start, stop)
            for files in (self._y, self._sample_weight)
        )
        return Block(number, X, *beside), mapped

    def _read_all(self, numbers):
        """As there, by no thread: the system reads what is mapped, one block ahead."""
        ready = None
        for number in numbers:
            now, ready = ready, self._read(number)
            if now is not None:
                yield _populated(*now)
        if ready is not None:
            yield _populated(*ready)

    def _beside(self, files, name):
        """The arrays of what each row has one of, or None; an error where there are others."""
        if files is None:
            return None
        if len(files) != len(self._files):
            raise ValueError(
                f"{name} must have a file for each of the {len(self._files)} of X; got {len(files)}"
            )
        for file, of_rows in zip(files, self._files, strict=True):
            if file.shape[0] != of_rows.shape[0]:
                raise ValueError(
                    f"{file.path} holds {file.shape[0]} values for the {of_rows.shape[0]} rows of "
                    f"{of_rows.path}"
                )
        return files


def read_header(file):
    """Shape, whether columns come one after the other, dtype; the file is then at the values."""
    version = np.lib.format.read_magic(file)
    if version[0] == 1:
        return np.lib.format.read_array_header_1_0(file)
    return np.lib.format.read_array_header_2_0(file)


@dataclass(frozen=True)
class _Array:
    """Where the array of a file lies in it."""

    path: str
    shape: tuple
    dtype: np.dtype
    offset: int

    @classmethod
    def of(cls, path, n_dimensions, start=0):
        """That of a file, which begins there, or an error where it holds no such array."""
        with open(path, "rb") as file:
            file.seek(start)
            try:
                shape, is_fortran, dtype = read_header(file)
            except ValueError as error:
                raise ValueError(f"{path} is no .npy file: {error}") from error
            offset = file.tell()
        if len(shape) != n_dimensions or (is_fortran and n_dimensions > 1) or dtype.hasobject:
            order = ", columns one after the other," if is_fortran else ""
            raise ValueError(
                f"{path} must hold an array of {n_dimensions} dimensions, rows one after the other "
                f"and no Python objects; it holds one of shape {shape}{order} and dtype {dtype}"
            )
        return cls(os.fspath(path), shape, dtype, offset)

    @property
    def bytes_of_row(self):
        return self.dtype.itemsize * int(np.prod(self.shape[1:], dtype=np.int64))

    def view(self, start, stop):
        """A view of some rows and the map behind it, which the system is told to read at once."""
        shape, (first, size) = (stop - start, *self.shape[1:]), self._extent(start, stop)
        if size == 0:
            return np.empty(shape, self.dtype), None
        with self._opened(first + size, stop) as file:
            before = first % mmap.ALLOCATIONGRANULARITY
            mapped = mmap.mmap(
                file.fileno(), size + before, access=mmap.ACCESS_READ, offset=first - before
            )
        if hasattr(mmap, "MADV_WILLNEED"):
            for place in range(0, len(mapped), ASKED_AT_ONCE):
                length = min(ASKED_AT_ONCE, len(mapped) - place)
                mapped.madvise(mmap.MADV_WILLNEED, place, length)
        values = np.frombuffer(mapped, self.dtype, size // self.dtype.itemsize, before)
        return values.reshape(shape), mapped

    def values(self, start, stop):
        """A copy of some values of an array of one dimension."""
        first, size = self._extent(start, stop)
        if size == 0:
            return np.empty(stop - start, self.dtype)
        with self._opened(first + size, stop) as file:
            return np.fromfile(file, self.dtype, stop - start, offset=first)

    def _extent(self, start, stop):
        """Where some rows begin in the file, and their bytes."""
        return self.offset + start * self.bytes_of_row, (stop - start) * self.bytes_of_row

    @contextmanager
    def _opened(self, n_bytes, stop):
        """The file; an error where it has fewer bytes than that, and so ends before that row."""
        with open(self.path, "rb", buffering=0) as file:
            # Memory that is mapped beyond the end of a file ends the process where it is read.
            if os.fstat(file.fileno()).st_size < n_bytes:
                raise ValueError(f"{self.path} ends before row {stop}, which it had")
            yield file


def _populated(block, mapped):
    """The block, its pages in the process's table: read, if the system is not done with it."""
    if mapped is not None and sys.platform == "linux":
        try:
            mapped.madvise(POPULATE_READ)
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
    return block

"""Where arrays lie in ``.npz`` archives: what isn't compressed is read like ``.npy`` files."""

import struct
from dataclasses import dataclass
from zipfile import ZIP_STORED, BadZipFile, ZipFile

import numpy as np

from .npy import read_header

__all__ = ["Member", "members_of"]

#: Ends a file's header in an archive, 26 bytes after its begin: lengths of its name and of more.
LENGTHS = struct.Struct("<26xHH")


@dataclass(frozen=True)
class Member:
    """An array of an archive.

    Parameters
    ----------
    path, name : str
    shape : tuple
    dtype : dtype
    start : int or None
        Where its ``.npy`` file begins in the archive; None where it can't be read in place, as it
        is compressed or has its columns one after the other.
    """

    path: str
    name: str
    shape: tuple
    dtype: np.dtype
    start: int | None

    @property
    def n_bytes(self):
        """Of its values."""
        return self.dtype.itemsize * int(np.prod(self.shape, dtype=np.int64))

    def read(self):
        """All of it."""
        with np.load(self.path) as archive:
            return archive[self.name]


def members_of(path):
    """The arrays of an archive by their names, or an error where it holds anything else."""
    members = {}
    try:
        with open(path, "rb") as file, ZipFile(file) as archive:
            for info in archive.infolist():
                with archive.open(info) as array:
                    shape, is_fortran, dtype = read_header(array)
                if dtype.hasobject:
                    raise ValueError(f"{info.filename} holds Python objects")
                name, start = info.filename.removesuffix(".npy"), None
                if info.compress_type == ZIP_STORED and not (is_fortran and len(shape) > 1):
                    file.seek(info.header_offset)
                    start = info.header_offset + LENGTHS.size
                    start += sum(LENGTHS.unpack(file.read(LENGTHS.size)))
                members[name] = Member(path, name, shape, dtype, start)
    except (ValueError, BadZipFile) as error:
        raise ValueError(f"{path} is no .npz file of plain arrays: {error}") from error
    return members

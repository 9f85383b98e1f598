"""What sources of files have in common: which files, and what errors call them."""

import os
from glob import glob

from .base import Source

__all__ = ["FileSource", "paths_of"]


def paths_of(given, name="paths"):
    """The files of a path, a pattern or a list, or an error where there are none."""
    if isinstance(given, str | os.PathLike):
        given = os.fspath(given)
        paths = sorted(glob(given)) if "*" in given else [given]
    else:
        paths = [os.fspath(path) for path in given]
    if not paths:
        raise FileNotFoundError(f"{name}: no file is named {given}")
    return paths


class FileSource(Source):
    """A source of the files ``self._paths``."""

    @property
    def name(self):
        """What errors call it."""
        more = f" and {len(self._paths) - 1} more" if len(self._paths) > 1 else ""
        return f"{self._paths[0]}{more}"

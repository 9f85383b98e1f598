"""Matrices that are larger than memory, read block by block as often as the solver asks.

A :class:`Source` takes the place of X and y in ``fit``, and of X in ``predict`` and ``score``. The
minimum is that of the same rows in memory, and so is what is proved of it.
"""

from .arrays import ArraySource
from .base import Block, Source
from .csv import CsvSource
from .iterables import IterableSource
from .npy import NpySource
from .parquet import ParquetSource
from .svmlight import SvmlightSource

__all__ = [
    "ArraySource",
    "Block",
    "CsvSource",
    "IterableSource",
    "NpySource",
    "ParquetSource",
    "Source",
    "SvmlightSource",
]

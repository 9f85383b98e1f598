"""Rows of Parquet files: columns of numbers, or one column of embeddings, and one of labels.

Read by pyarrow, row group by row group.
"""

import os
from glob import glob

import numpy as np

from .base import Block, Source

__all__ = ["ParquetSource"]


class ParquetSource(Source):
    """Rows of Parquet files; needs pyarrow, the extra ``arrow``.

    Parameters
    ----------
    paths : path, or a pattern with ``*`` in it, or a list of paths
    label : str or None
        Column of the labels; None for predictions.
    features : str, list of str or None, default=None
        Columns of numbers, or one of lists of a fixed size, as embeddings are kept; None for all
        columns that are neither the labels nor the weights.
    sample_weight : str or None, default=None
        Column of the weights.
    max_memory : int, default=256 MiB
        As in :class:`Source`. A block is a row group, whatever its size, and so a few of them are
        held at once.

    Raises
    ------
    ImportError
        If pyarrow is missing.
    ValueError
        If a column is missing, or holds what is no number; it names the column and the file.
    """

    def __init__(
        self, paths, label=None, features=None, sample_weight=None, *, max_memory=256 << 20
    ):
        super().__init__(max_memory)
        from pyarrow.parquet import ParquetFile

        if isinstance(paths, str | os.PathLike):
            paths = os.fspath(paths)
            paths = sorted(glob(paths)) if "*" in paths else [paths]
        self._paths = [os.fspath(path) for path in paths]
        if not self._paths:
            raise FileNotFoundError("paths: there is no such file")
        self._label, self._sample_weight, self._features = label, sample_weight, features
        beside = [name for name in (label, sample_weight) if name is not None]
        self._groups = []
        for path in self._paths:
            with ParquetFile(path) as file:
                names = file.schema_arrow.names
                if self._features is None:
                    self._features = [name for name in names if name not in beside]
                elif isinstance(self._features, str):
                    self._features = [self._features]
                missing = [name for name in (*self._features, *beside) if name not in names]
                if missing:
                    raise ValueError(f"{path} has no column {missing[0]!r}; it has {names}")
                self._groups += [(path, group) for group in range(file.num_row_groups)]
        self.n_blocks = len(self._groups)

    @property
    def name(self):
        """What errors call it."""
        more = f" and {len(self._paths) - 1} more" if len(self._paths) > 1 else ""
        return f"{self._paths[0]}{more}"

    @property
    def feature_names(self):
        """Columns of features."""
        return list(self._features)

    def read(self, number):
        """One :class:`Block`."""
        from pyarrow.parquet import ParquetFile

        path, group = self._groups[number]
        beside = [name for name in (self._label, self._sample_weight) if name is not None]
        with ParquetFile(path) as file:
            table = file.read_row_group(group, columns=[*self._features, *beside])
        X = [_numbers(table.column(name), name, path) for name in self._features]
        X = X[0] if len(X) == 1 and X[0].ndim == 2 else np.column_stack(X)
        y, weight = (
            None if name is None else table.column(name).to_numpy(zero_copy_only=False)
            for name in (self._label, self._sample_weight)
        )
        return Block(number, X, y, weight)


def _numbers(column, name, path):
    """The numbers of a column, or the matrix of one of lists of a fixed size."""
    from pyarrow import types

    kind = column.type
    if types.is_fixed_size_list(kind):
        lists = column.combine_chunks()
        if column.null_count:
            raise ValueError(f"column {name!r} of {path} has rows without a list")
        values = lists.flatten().to_numpy(zero_copy_only=False)
        return values.reshape(-1, kind.list_size)
    if not (types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind)):
        raise ValueError(f"column {name!r} of {path} holds {kind}, and features must be numbers")
    return column.to_numpy(zero_copy_only=False)

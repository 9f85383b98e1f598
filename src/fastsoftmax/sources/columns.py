"""Named columns of a table as features, labels and weights; what Parquet and CSV have in common.

The tables are pyarrow's, which is imported where it is needed only.
"""

from collections import Counter

import numpy as np

from .files import FileSource

__all__ = ["Columns", "TableSource", "require_arrow"]


def require_arrow():
    """An error that names the extra, where pyarrow is missing."""
    try:
        import pyarrow  # noqa: F401
    except ImportError as error:
        raise ImportError(
            'Parquet and CSV need pyarrow: pip install "fastsoftmax[arrow]"'
        ) from error


class Columns:
    """Which columns of a table are what.

    Parameters
    ----------
    label, sample_weight : str or None
    features : str, list of str or None
        None for all columns that are neither of these, of the first table that is met.
    """

    def __init__(self, label, sample_weight, features):
        self.label, self.sample_weight = label, sample_weight
        self.features = [features] if isinstance(features, str) else features

    @property
    def beside(self):
        """Those that are no features."""
        return [name for name in (self.label, self.sample_weight) if name is not None]

    @property
    def all(self):
        """All that are read; none twice."""
        return list(dict.fromkeys([*self.features, *self.beside]))

    def check(self, names, path):
        """An error where a table with these columns lacks one."""
        if self.features is None:
            self.features = [name for name in names if name not in self.beside]
        present = set(names)
        missing = [name for name in self.all if name not in present]
        if missing:
            raise ValueError(f"{path} has no column {missing[0]!r}; it has {_some(names)}")
        counts = Counter(names)
        twice = [name for name in self.all if counts[name] > 1]
        if twice:
            raise ValueError(f"{path} has {counts[twice[0]]} columns {twice[0]!r}")

    def of(self, table, path):
        """X, labels and weights of a table."""
        X = self._features_of(table, path)
        y, weight = (
            None if name is None else _values(table.column(name), name, path)
            for name in (self.label, self.sample_weight)
        )
        return X, y, weight

    def _features_of(self, table, path):
        X = [_numbers(table.column(name), name, path) for name in self.features]
        return X[0] if len(X) == 1 and X[0].ndim == 2 else np.column_stack(X)


class TableSource(FileSource):
    """A source of tables, of which ``self._columns`` says what is what."""

    _columns_class = Columns

    @property
    def feature_names(self):
        """Columns of features."""
        return list(self._columns.features)


def _some(names):
    """Up to ten names as text."""
    more = f" and {len(names) - 10} more" if len(names) > 10 else ""
    return f"{list(names[:10])}{more}"


def _values(column, name, path):
    """Labels or weights, of which every row has one."""
    if column.null_count:
        raise ValueError(f"column {name!r} of {path} has rows without a value")
    return column.to_numpy()


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
    return column.to_numpy()

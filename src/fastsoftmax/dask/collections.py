"""Dask's arrays and dataframes as blocks of rows with their labels and weights.

Says what may be given, and which blocks belong together; computes nothing. Called by estimators.py.
"""

import dask.array as da
import numpy as np
from dask import delayed
from scipy.sparse import issparse

from ..problem.rows import READ_IN_PLACE
from ..sources.base import Source
from .cluster import Cluster

__all__ = ["ClusterSource", "is_dask", "rows_of_collection"]


class ClusterSource(Source):
    """Rows on a cluster, in the place of a source that would be read here.

    Parameters
    ----------
    X : dask.array.Array or dask.dataframe.DataFrame
    y : dask.array.Array or dask.dataframe.Series
    sample_weight : the same as y, or None
    client : distributed.Client or None
    max_memory : int
        As in :class:`sources.Source`; of it a quarter is for the sample, the one thing held here.
    n_threads : int ≥ 1
        Of each task.

    Raises
    ------
    TypeError, ValueError
        Name the argument.
    """

    def __init__(self, X, y, sample_weight, client, max_memory, n_threads=1):
        super().__init__(max_memory)
        self.n_threads = n_threads
        self.cluster = Cluster(client)
        #: Of the rows, where that is known.
        self.dtype = X.dtype if isinstance(X, da.Array) else None
        self.column_names = names_of(X)
        self._shape = tuple(int(size) if size == size else "?" for size in _shape(X))
        self._kind = type(X).__name__
        X = rows_of_collection(X)
        self._parts = [_parts(X)]
        for name, given in (("y", y), ("sample_weight", sample_weight)):
            self._parts.append(self._beside(X, name, given))
        self.n_blocks = len(self._parts[0])

    def _beside(self, X, name, given):
        """The blocks of what has a value for each row."""
        if given is None and name == "sample_weight":
            return [None] * X.numblocks[0]
        if not is_dask(given):
            raise TypeError(
                f"{name} must be a Dask array or series, as X is on the cluster; got "
                f"{type(given).__name__}"
            )
        rows = X.chunks[0]
        if isinstance(given, da.Array):
            if given.ndim == 2 and given.shape[1] == 1:
                given = given[:, 0]
            known = not (np.isnan(rows).any() or np.isnan(given.shape[0]))
            if given.ndim != 1 or (known and given.shape[0] != sum(rows)):
                raise ValueError(
                    f"{name} must have one value for each row of X, shape ({sum(rows)},); got "
                    f"shape {given.shape}"
                )
            if known and given.chunks[0] != rows:
                given = given.rechunk((rows,))
        parts = _parts(given)
        if len(parts) != len(rows):
            raise ValueError(
                f"{name} must be in the blocks that X is in, {len(rows)} of them; got "
                f"{len(parts)}: use rechunk or repartition"
            )
        return parts

    @property
    def name(self):
        """What errors call it."""
        return f"Dask {self._kind} of shape ({', '.join(map(str, self._shape))})"

    def started(self):
        """Futures of X, labels and weights of each block, which keep them on the cluster."""
        given = [part for parts in self._parts for part in parts if part is not None]
        futures = iter(self.cluster.started(given))
        blocks = [[None if part is None else next(futures) for part in p] for p in self._parts]
        return list(zip(*blocks, strict=True))


def is_dask(X):
    """Whether it is a collection of Dask's."""
    return hasattr(X, "__dask_graph__") and hasattr(X, "to_delayed")


def _parts(X):
    """Delayed blocks of rows."""
    parts = X.to_delayed()
    return parts.ravel().tolist() if isinstance(parts, np.ndarray) else list(parts)


def is_frame(X):
    return hasattr(X, "columns")


def _shape(X):
    return (np.nan, len(X.columns)) if is_frame(X) else X.shape


def names_of(X):
    """Names of the columns where each is a feature, an ndarray of str, or None."""
    if not is_frame(X) or not all(isinstance(name, str) for name in X.columns):
        return None
    kinds = X.dtypes
    if not all(_is_number(kind) for kind in kinds):
        return None
    return np.array(list(X.columns), dtype=object)


def _is_number(dtype):
    return getattr(dtype, "kind", "O") in "biuf" and "list" not in str(dtype)


def rows_of_collection(X):
    """A Dask array of the rows, each block with all features, in what the kernels read.

    Parameters
    ----------
    X : dask.array.Array or dask.dataframe.DataFrame

    Returns
    -------
    X : dask.array.Array
        Of an unknown number of features where a dataframe has columns of lists.
    """
    if is_frame(X):
        has_names = all(map(_is_number, X.dtypes))
        n_features = len(X.columns) if has_names else np.nan
        parts = [delayed(rows_of_frame)(part) for part in X.to_delayed()]
        meta = np.empty((0, 0))
        return da.concatenate(
            [da.from_delayed(part, (np.nan, n_features), meta=meta) for part in parts],
            allow_unknown_chunksizes=True,
        )
    if not isinstance(X, da.Array):
        raise TypeError(
            f"X must be a Dask array or dataframe; got {type(X).__module__}.{type(X).__name__}"
        )
    if X.ndim != 2:
        raise ValueError(f"X must have two dimensions; got shape {X.shape}")
    if X.numblocks[1] > 1:
        X = X.rechunk({1: -1})
    if not issparse(X._meta) and X.dtype not in READ_IN_PLACE and X.dtype.kind in "biuf":
        X = X.astype(np.float64)
    return X


def rows_of_frame(frame):
    """The numbers of a pandas frame, a column of lists being as many features as they are long."""
    columns = []
    for name in frame.columns:
        column = frame[name]
        if _is_number(column.dtype):
            columns.append(column.to_numpy())
            continue
        try:
            kind = getattr(getattr(column.dtype, "pyarrow_dtype", None), "value_type", None)
            kind = None if kind is None else kind.to_pandas_dtype()
            lists = [np.asarray(value, kind) for value in column.to_list()]
            values = np.stack(lists) if lists else np.empty((0, 0))
        except ValueError as error:
            raise ValueError(
                f"column {name!r} must hold numbers, or lists of them of one length: {error}"
            ) from error
        if values.ndim != 2 or values.dtype.kind not in "biuf":
            raise ValueError(
                f"column {name!r} must hold numbers, or lists of them of one length; got "
                f"{values.dtype} of shape {values.shape}"
            )
        columns.append(values)
    if len(columns) == 1 and columns[0].ndim == 2:
        return columns[0]
    X = np.column_stack(columns)
    return X if X.dtype in READ_IN_PLACE else X.astype(np.float64)

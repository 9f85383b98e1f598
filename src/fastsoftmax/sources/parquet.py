"""Rows of Parquet files: columns of numbers, or one column of embeddings, and one of labels.

Read by pyarrow, row group by row group.
"""

from .base import Block
from .columns import TableSource, require_arrow
from .files import paths_of

__all__ = ["ParquetSource"]


class ParquetSource(TableSource):
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

    Examples
    --------
    >>> import tempfile
    >>> from sklearn.datasets import load_iris
    >>> from fastsoftmax import SoftmaxClassifier
    >>> from fastsoftmax.sources import ParquetSource
    >>> path = f"{tempfile.mkdtemp()}/iris.parquet"
    >>> load_iris(as_frame=True).frame.to_parquet(path, index=False)
    >>> classifier = SoftmaxClassifier(random_state=0).fit(ParquetSource(path, label="target"))
    >>> classifier.classes_.tolist(), classifier.n_features_in_
    ([0, 1, 2], 4)
    """

    def __init__(
        self, paths, label=None, features=None, sample_weight=None, *, max_memory=256 << 20
    ):
        super().__init__(max_memory)
        require_arrow()
        self._paths, self._groups = paths_of(paths), []
        self._columns = self._columns_class(label, sample_weight, features)
        for path in self._paths:
            with _opened(path) as file:
                self._columns.check(file.schema_arrow.names, path)
                self._groups += [(path, group) for group in range(file.num_row_groups)]
        self.n_blocks = len(self._groups)

    def read(self, number):
        """One :class:`Block`."""
        path, group = self._groups[number]
        with _opened(path) as file:
            table = file.read_row_group(group, columns=self._columns.all)
        return Block(number, *self._columns.of(table, path))


def _opened(path):
    """The file, or an error that names it."""
    from pyarrow import ArrowInvalid
    from pyarrow.parquet import ParquetFile

    try:
        return ParquetFile(path)
    except ArrowInvalid as error:
        raise ValueError(f"{path} is no Parquet file: {error}") from error

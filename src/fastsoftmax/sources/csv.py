"""Rows of CSV text, parsed by pyarrow, part by part."""

from .base import Block
from .columns import TableSource, require_arrow
from .files import paths_of
from .reading import ahead

__all__ = ["CsvSource"]

#: Bytes of text in a block, at least: a block must hold the longest line.
LEAST_BYTES = 1 << 16


class CsvSource(TableSource):
    """Rows of CSV files with a line of names at the top; needs pyarrow, the extra ``arrow``.

    Text is parsed again in each pass, which takes longer than the pass: what is fitted often, or is
    large, is better kept as Parquet. Blocks come in the order of the files, in epochs too. A file
    whose name says that it is compressed (``.gz``, ``.bz2``) is decompressed as it is read.

    Parameters
    ----------
    paths : path, or a pattern with ``*`` in it, or a list of paths
    label : str or None
        Column of the labels; None for predictions. Their type is that of the first block.
    features : str, list of str or None, default=None
        Columns of numbers, read as float64, or of ``true`` and ``false``. None for all columns that
        are neither the labels nor the weights.
    sample_weight : str or None, default=None
        Column of the weights.
    delimiter : str, default=","
    max_memory : int, default=256 MiB
        As in :class:`Source`. A block is at least 64 KiB of text.

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
    >>> from fastsoftmax.sources import CsvSource
    >>> path = f"{tempfile.mkdtemp()}/iris.csv"
    >>> load_iris(as_frame=True).frame.to_csv(path, index=False)
    >>> classifier = SoftmaxClassifier(random_state=0).fit(CsvSource(path, label="target"))
    >>> classifier.classes_.tolist(), classifier.n_features_in_
    ([0, 1, 2], 4)
    """

    def __init__(
        self,
        paths,
        label=None,
        features=None,
        sample_weight=None,
        *,
        delimiter=",",
        max_memory=256 << 20,
    ):
        super().__init__(max_memory)
        require_arrow()
        self._paths, self._delimiter = paths_of(paths), delimiter
        self._columns = self._columns_class(label, sample_weight, features)
        self._types = {}
        for path in self._paths:
            with self._opened(path) as reader:
                schema = reader.schema
            self._columns.check(schema.names, path)
            for name in self._columns.all:
                kind = schema.field(name).type
                if name == label:
                    # A label of whole numbers here and of fractions there would be two kinds.
                    self._types.setdefault(name, kind)
                else:
                    self._types.setdefault(name, self._type_of(name, kind, path))

    def _type_of(self, name, kind, path):
        """What a column of features or weights is read as, where it begins with this kind."""
        from pyarrow import bool_, float64, types

        if types.is_integer(kind) or types.is_floating(kind) or types.is_null(kind):
            return float64()
        if types.is_boolean(kind):
            return bool_()
        what = "weights" if name == self._columns.sample_weight else "features"
        raise ValueError(f"column {name!r} of {path} holds {kind}, and {what} must be numbers")

    def blocks(self, seed=None):
        """All blocks, in the order that they have, whatever the seed."""
        yield from ahead(
            Block(number, *self._columns.of(table, path))
            for number, (path, table) in enumerate(self._tables())
        )

    def _tables(self):
        from pyarrow import ArrowInvalid, Table

        for path in self._paths:
            with self._opened(path, self._types) as reader:
                try:
                    for batch in reader:
                        yield path, Table.from_batches([batch])
                except ArrowInvalid as error:
                    raise ValueError(f"{path}: {error}") from error

    def _opened(self, path, types=None):
        """A reader of all columns, or of those of these types."""
        from pyarrow import ArrowInvalid, csv

        try:
            return csv.open_csv(
                path,
                read_options=csv.ReadOptions(block_size=max(self.block_bytes, LEAST_BYTES)),
                parse_options=csv.ParseOptions(delimiter=self._delimiter),
                convert_options=csv.ConvertOptions(
                    column_types=types, include_columns=None if types is None else list(types)
                ),
            )
        except ArrowInvalid as error:
            raise ValueError(f"{path}: {error}") from error

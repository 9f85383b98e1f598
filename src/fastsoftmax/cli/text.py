"""Columns of text as sparse rows: hashed words and pairs of words, by tf-idf.

Splitting and hashing are scikit-learn's, whose HashingVectorizer needs no vocabulary; what is
learned is which hashes there are and in how many rows. Called by formats.py and reading.py.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy.sparse import csr_matrix, hstack
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.preprocessing import normalize

from ..sources import CsvSource, ParquetSource, Source
from ..sources.columns import Columns

__all__ = ["HashedSource", "Hashing", "TextCsvSource", "TextParquetSource"]

#: Hashes of a column, as many as Vowpal Wabbit's own: a class takes 1 MB of coefficients at most,
#: which L-BFGS keeps twenty times; HashingVectorizer's 2^20 would be four times that.
N_HASHES = 2**18

#: Of a source's ``max_memory``, what its text may take: rows of hashes take about three times that.
SHARE_OF_TEXT = 4


@dataclass(frozen=True)
class Hashing:
    """What makes rows of texts.

    Parameters
    ----------
    columns : list of str
        That are read, each with hashes of its own.
    hashes : int ndarray of shape (n_features,)
        Those that are features, ascending: the others were in no row that was learned from.
    idf : float32 ndarray of shape (n_features,)
        ln((1 + n) / (1 + n_j)) + 1, for n_j rows of n with hash j: TfidfTransformer's.
    """

    columns: list
    hashes: np.ndarray
    idf: np.ndarray

    @classmethod
    def learned(cls, columns, source):
        """Learn from all rows of a source of texts, in one pass."""
        n_rows, count = 0, np.zeros(len(columns) * N_HASHES, np.int64)
        for block in source.blocks():
            n_rows += len(block.X)
            count += np.bincount(_hashed(block.X).indices, minlength=len(count))
        hashes = np.flatnonzero(count)
        if len(hashes) == 0:
            raise ValueError(f"{source.name} has no words in {' and '.join(map(repr, columns))}")
        idf = np.log((1 + n_rows) / (1 + count[hashes])) + 1
        return cls(list(columns), hashes, idf.astype(np.float32))

    @classmethod
    def of(cls, model):
        """That of a model, or None where it has none; an error where it isn't one."""
        kept = [vars(model).get(f"_text_{name}") for name in ("columns", "hashes", "idf")]
        if all(value is None for value in kept):
            return None
        columns, hashes, idf = kept
        shape = (model.n_features_in_,)
        is_sound = (
            isinstance(columns, list)
            and all(isinstance(name, str) for name in columns)
            and all(isinstance(a, np.ndarray) and a.shape == shape for a in (hashes, idf))
            and hashes.dtype.kind == "i"
            and hashes[0] >= 0
            and hashes[-1] < len(columns) * N_HASHES
            and (np.diff(hashes) > 0).all()
        )
        if not is_sound:
            raise ValueError("it has columns of text that don't fit its features")
        return cls(columns, hashes, idf)

    def keep(self, model):
        """Write it to a model."""
        model._text_columns, model._text_hashes, model._text_idf = (
            self.columns,
            self.hashes,
            self.idf,
        )

    def rows(self, texts):
        """Rows of length 1, or of zeros where no word is known.

        Parameters
        ----------
        texts : object ndarray of shape (n_rows, n_columns)

        Returns
        -------
        X : float32 CSR matrix of shape (n_rows, n_features)
        """
        X = _hashed(texts)[:, self.hashes]
        X.data *= self.idf[X.indices]
        return normalize(X, copy=False)


def _hashed(texts):
    """How often each row has each hash, those of one column after those of the other."""
    vectorizer = HashingVectorizer(
        n_features=N_HASHES, ngram_range=(1, 2), alternate_sign=False, norm=None, dtype=np.float32
    )
    return csr_matrix(hstack([vectorizer.transform(column) for column in texts.T], format="csr"))


class HashedSource(Source):
    """A source of texts as one of sparse rows.

    Parameters
    ----------
    source : Source
        Whose X are texts.
    hashing : Hashing
    max_memory : int
    """

    def __init__(self, source, hashing, max_memory):
        super().__init__(max_memory)
        self._source, self._hashing, self.n_blocks = source, hashing, source.n_blocks

    @property
    def name(self):
        return self._source.name

    def read(self, number):
        return self._made(self._source.read(number))

    def blocks(self, seed=None):
        yield from map(self._made, self._source.blocks(seed))

    def _made(self, block):
        return replace(block, X=self._hashing.rows(block.X))


class _Texts(Columns):
    """Columns whose features are texts: X is an object array of shape (n_rows, n_columns)."""

    def _features_of(self, table, path):
        return np.column_stack([_text(table.column(name), name, path) for name in self.features])


def _text(column, name, path):
    from pyarrow import string, types

    kind = column.type
    item = kind.value_type if types.is_dictionary(kind) else kind
    if not (types.is_string(item) or types.is_large_string(item)):
        raise ValueError(f"column {name!r} of {path} holds {kind}, and --text is of text")
    if column.null_count:
        raise ValueError(f"column {name!r} of {path} has rows without a text")
    column = column.cast(string()) if item is not kind else column
    return np.array(column.to_pylist(), dtype=object)


class TextCsvSource(CsvSource):
    """Columns of text of CSV, whatever they look like."""

    _columns_class = _Texts

    def _type_of(self, name, kind, path):
        from pyarrow import string

        return string() if name in self._columns.features else super()._type_of(name, kind, path)


class TextParquetSource(ParquetSource):
    """Columns of text of Parquet."""

    _columns_class = _Texts

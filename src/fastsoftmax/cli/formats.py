"""What each format of files means: which source reads it, with which columns or arrays.

What the bytes mean is known to fastsoftmax.sources, NumPy, pyarrow and scikit-learn; nothing is
parsed here. Called by reading.py.
"""

import errno
import os
import re
from dataclasses import dataclass
from glob import glob, has_magic

import numpy as np

from ..sources import ArraySource, CsvSource, NpySource, ParquetSource, Source, SvmlightSource
from ..sources.columns import require_arrow
from ..sources.npz import members_of
from .reporting import UsageError
from .text import SHARE_OF_TEXT, Hashing, TextCsvSource, TextParquetSource

__all__ = ["OPENERS", "Asked", "Opened", "format_of", "paths_of"]

#: Format by the end of a name.
ENDINGS = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".npy": "npy",
    ".npz": "npz",
    ".svm": "svmlight",
    ".svmlight": "svmlight",
    ".libsvm": "svmlight",
}

#: What text may be compressed with, by the end of a name; the readers of text see to it themselves.
COMPRESSED = (".gz", ".bz2")

#: Features of svmlight text while it isn't known how many there are.
MOST_FEATURES = 2**31 - 1

#: Columns that pandas has put into Parquet as rows' numbers.
INDEX_OF_PANDAS = re.compile(r"__index_level_\d+__")


@dataclass(frozen=True)
class Opened:
    """Rows to be read.

    Parameters
    ----------
    source : Source
    feature_names : list of str or None
        None where features have no names.
    left_out : tuple of str
        Columns that are no features, as they hold no numbers, or as others were named.
    n_features : int or None
        Of svmlight text, which doesn't say itself.
    hashing : text.Hashing or None
        What has made the rows of text.
    """

    source: Source
    feature_names: list | None = None
    left_out: tuple = ()
    n_features: int | None = None
    hashing: Hashing | None = None


@dataclass(frozen=True)
class Asked:
    """What is wanted of files; see :func:`reading.open_rows`."""

    files: list
    label: str | None
    is_label_given: bool
    labels: list | None
    weight: str | None
    features: list | None
    n_features: int | None
    is_labelled: bool
    zero_based: bool
    max_memory: int
    text: list | None = None

    @property
    def max_of_source(self):
        """What a table may take in memory."""
        return max(1, self.max_memory // SHARE_OF_TEXT) if self.text else self.max_memory

    def require_label(self, how):
        if self.is_labelled and not self.label:
            raise UsageError(f"--label is missing: {how}")


def paths_of(patterns):
    """The files of names and patterns, or an error where there are none."""
    paths = []
    for pattern in patterns:
        if os.path.isdir(pattern):
            raise IsADirectoryError(
                errno.EISDIR, "is a folder; name its files, as in 'folder/*.parquet'", pattern
            )
        if os.path.exists(pattern):
            paths.append(pattern)
        elif not has_magic(pattern):
            raise FileNotFoundError(errno.ENOENT, "there is no such file", pattern)
        elif found := sorted(glob(pattern)):
            paths += found
        else:
            raise FileNotFoundError(errno.ENOENT, "no file is named like this", pattern)
    return paths


def format_of(paths):
    """The format of files, by their names."""
    kinds = {}
    for path in paths:
        stem, ending = os.path.splitext(path.lower())
        if ending in COMPRESSED:
            ending = os.path.splitext(stem)[1]
        if ending not in ENDINGS:
            raise UsageError(f"{path}: the name doesn't say what it holds; say so by --format")
        kinds.setdefault(ENDINGS[ending], path)
    if len(kinds) > 1:
        raise UsageError(f"files must be of one format; got {' and '.join(kinds.values())}")
    return next(iter(kinds))


def _open_csv(asked, delimiter=","):
    require_arrow()
    from pyarrow import csv

    def schema_of(path):
        parse_options = csv.ParseOptions(delimiter=delimiter)
        with csv.open_csv(path, parse_options=parse_options) as reader:
            return reader.schema

    def source_of(**columns):
        kind = TextCsvSource if asked.text else CsvSource
        return kind(asked.files, delimiter=delimiter, max_memory=asked.max_of_source, **columns)

    return _open_table(asked, schema_of, source_of)


def _open_tsv(asked):
    return _open_csv(asked, "\t")


def _open_parquet(asked):
    require_arrow()
    from pyarrow.parquet import read_schema

    def source_of(**columns):
        kind = TextParquetSource if asked.text else ParquetSource
        return kind(asked.files, max_memory=asked.max_of_source, **columns)

    return _open_table(asked, read_schema, source_of)


def _open_table(asked, schema_of, source_of):
    """Named columns: those of numbers, those of text, or those of the names that are wanted."""
    from pyarrow import ArrowInvalid

    asked.require_label("name the column of the labels")
    path = asked.files[0]
    try:
        schema = schema_of(path)
    except ArrowInvalid as error:
        raise ValueError(f"{path}: {error}") from error
    # A label that isn't wanted is no feature either.
    beside = [name for name in (asked.label, asked.weight) if name is not None]
    if asked.text:
        columns, used = asked.text, {*asked.text, *beside}
        left_out = [
            f"{column.name} ({column.type})" for column in schema if column.name not in used
        ]
    elif asked.features is None:
        columns, left_out = _columns_of_numbers(schema, beside)
        if not columns:
            raise ValueError(
                f"{path} has no column of numbers to learn from; it has {schema.names}"
            )
    else:
        columns, left_out = _columns_named(asked.features, schema.names), []
    source = source_of(
        label=asked.label if asked.is_labelled else None,
        features=columns,
        sample_weight=asked.weight,
    )
    names = None if asked.text else _feature_names(schema, columns)
    return Opened(source, names, tuple(left_out))


def _columns_of_numbers(schema, beside):
    """Names of the columns that can be features, and what the others are and hold."""
    from pyarrow import types

    columns, left_out = [], []
    for column in schema:
        name, kind = column.name, column.type
        item = kind.value_type if types.is_fixed_size_list(kind) else kind
        if name in beside:
            continue
        if INDEX_OF_PANDAS.fullmatch(name):
            left_out.append(f"{name} (row numbers)")
        elif types.is_integer(item) or types.is_floating(item) or types.is_boolean(item):
            columns.append(name)
        else:
            left_out.append(f"{name} ({kind})")
    return columns, left_out


def _feature_names(schema, columns):
    """A name for each feature: those of a column of lists are column[0], column[1], ..."""
    from pyarrow import types

    names = []
    for column in columns:
        kind = schema.field(column).type if column in schema.names else None
        if kind is not None and types.is_fixed_size_list(kind):
            names += [f"{column}[{i}]" for i in range(kind.list_size)]
        else:
            names.append(column)
    return names


def _columns_named(names, present):
    """The columns that features of these names are in."""
    present, columns = set(present), {}
    for name in names:
        whole = re.sub(r"\[\d+\]$", "", name)
        columns[whole if name not in present and whole in present else name] = None
    return list(columns)


def _open_npy(asked):
    if asked.is_labelled and not asked.labels:
        raise UsageError("--labels is missing: .npy files hold no labels; name the files that do")
    labels = paths_of(asked.labels) if asked.is_labelled else None
    return Opened(NpySource(asked.files, labels, max_memory=asked.max_memory))


def _open_npz(asked):
    """Arrays of archives, in place; compressed ones are read whole."""
    X, y = zip(*(_of_archive(path, asked) for path in asked.files), strict=True)
    y = y if asked.is_labelled else None
    members = [*X, *(y or ())]
    if all(member.start is not None for member in members):
        return Opened(NpySource.of_members(X, y, max_memory=asked.max_memory))
    size = sum(member.n_bytes for member in members)
    if 2 * size > asked.max_memory:
        raise ValueError(
            f"{X[0].path} is compressed, or has columns one after the other, and is read whole, "
            f"which takes {2 * size / 1e6:.4g}MB, more than --max-memory; raise that, or save rows "
            "by numpy.savez, which doesn't compress them"
        )
    X, y = (
        None if members is None else np.concatenate([member.read() for member in members])
        for members in (X, y)
    )
    return Opened(ArraySource(X, y, max_memory=asked.max_memory))


def _of_archive(path, asked):
    """X and y, or None, of an archive: "X", or its only matrix, and "y" or what the label is."""
    arrays = members_of(path)
    label = asked.label or "y"
    if not asked.is_label_given and label not in arrays:  # the model's, which had other files
        label = "y"
    matrices = [name for name, array in arrays.items() if len(array.shape) == 2 and name != label]
    if "X" not in matrices and len(matrices) != 1:
        raise ValueError(f"{path} must hold a matrix X; it holds {sorted(arrays)}")
    if asked.is_labelled and label not in arrays:
        raise ValueError(f"{path} has no array {label!r}; it has {sorted(arrays)}")
    return arrays["X" if "X" in matrices else matrices[0]], arrays.get(label)


def _open_svmlight(asked):
    def source(n_features):
        return SvmlightSource(
            asked.files, n_features, zero_based=asked.zero_based, max_memory=asked.max_memory
        )

    n_features = asked.n_features
    if n_features is None:
        indices = (block.X.indices for block in source(MOST_FEATURES).blocks())
        n_features = max((int(i.max()) + 1 for i in indices if len(i)), default=0)
        if n_features == 0:
            raise ValueError(f"{asked.files[0]} holds no features")
    return Opened(source(n_features), n_features=n_features)


OPENERS = {
    "csv": _open_csv,
    "tsv": _open_tsv,
    "parquet": _open_parquet,
    "npy": _open_npy,
    "npz": _open_npz,
    "svmlight": _open_svmlight,
}

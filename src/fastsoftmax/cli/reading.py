"""Files into sources: which format, which columns, how many features; and models from files.

What a format means is known to fastsoftmax.sources, NumPy, pyarrow and scikit-learn; nothing is
parsed here. Called by the commands.
"""

import errno
import os
import re
from dataclasses import dataclass, replace
from glob import glob, has_magic
from zipfile import BadZipFile

import numpy as np
from scipy.sparse import issparse, vstack

from ..estimators import load
from ..sources import ArraySource, CsvSource, NpySource, ParquetSource, Source, SvmlightSource
from ..sources.columns import require_arrow
from .reporting import UsageError

__all__ = ["Opened", "held", "named_blocks", "open_model", "open_rows", "paths_of"]

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
        Columns that are no features, as they hold no numbers.
    n_features : int or None
        Of svmlight text, which doesn't say itself.
    """

    source: Source
    feature_names: list | None = None
    left_out: tuple = ()
    n_features: int | None = None


def open_model(path):
    """The estimator of a file, fitted; its names of features are no longer its own but told.

    Returns
    -------
    model : estimator
    names : list of str or None
    label : str or None
        Column that it was trained on.
    """
    model = load(path)
    if not hasattr(model, "coef_"):
        raise ValueError(f"{path} holds a {type(model).__name__} that isn't fitted")
    # Rows are in the order of the names once they are read: scikit-learn would miss the names.
    names = vars(model).pop("feature_names_in_", None)
    label = vars(model).get("_label_column")
    return model, None if names is None else [str(name) for name in names], label


def open_rows(
    options,
    progress,
    *,
    files=None,
    labels=None,
    features=None,
    n_features=None,
    label=None,
    is_labelled=True,
):
    """The rows of files.

    Parameters
    ----------
    options : argparse.Namespace
        Of a command that takes files.
    progress : Progress
        Told of the rows as they are read.
    files, labels : list of str or None
        In the place of ``options.files`` and ``options.labels``.
    features : list of str or None
        Names that the rows must have; None for all numbers.
    n_features : int or None
        That the rows must have; None for as many as there are.
    label : str or None
        Column of the labels where the options name none.
    is_labelled : bool
        Whether labels are wanted.

    Returns
    -------
    opened : Opened

    Raises
    ------
    UsageError
        If options don't fit the files.
    """
    files = paths_of(options.files if files is None else files)
    kind = options.format or _format_of(files)
    asked = _Asked(
        files=files,
        label=getattr(options, "label", None) or label,
        labels=getattr(options, "labels", None) if labels is None else labels,
        weight=getattr(options, "weight", None),
        features=features,
        n_features=n_features,
        is_labelled=is_labelled,
        zero_based=options.zero_based,
        max_memory=options.max_memory,
    )
    if asked.labels and kind != "npy":
        raise UsageError(f"--labels goes with .npy files; these are {kind}")
    if getattr(options, "label", None) and kind in ("npy", "svmlight"):
        own = "by --labels FILE" if kind == "npy" else "in the text itself"
        raise UsageError(f"--label names a column, and {kind} has none; its labels are {own}")
    if asked.weight and kind not in ("csv", "tsv", "parquet"):
        raise UsageError(f"--weight names a column of csv or Parquet; these are {kind}")
    if asked.zero_based and kind != "svmlight":
        raise UsageError(f"--zero-based goes with svmlight text; these are {kind}")
    opened = OPENERS[kind](asked)
    return replace(opened, source=_Watched(opened.source, progress, files))


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


def _format_of(paths):
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


# --- Formats --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Asked:
    """What is wanted of files; see :func:`open_rows`."""

    files: list
    label: str | None
    labels: list | None
    weight: str | None
    features: list | None
    n_features: int | None
    is_labelled: bool
    zero_based: bool
    max_memory: int

    def require_label(self, how):
        if self.is_labelled and not self.label:
            raise UsageError(f"--label is missing: {how}")


def _open_csv(asked, delimiter=","):
    require_arrow()
    from pyarrow import csv

    def schema_of(path):
        parse_options = csv.ParseOptions(delimiter=delimiter)
        with csv.open_csv(path, parse_options=parse_options) as reader:
            return reader.schema

    def source_of(**columns):
        return CsvSource(asked.files, delimiter=delimiter, max_memory=asked.max_memory, **columns)

    return _open_table(asked, schema_of, source_of)


def _open_tsv(asked):
    return _open_csv(asked, "\t")


def _open_parquet(asked):
    require_arrow()
    from pyarrow.parquet import read_schema

    def source_of(**columns):
        return ParquetSource(asked.files, max_memory=asked.max_memory, **columns)

    return _open_table(asked, read_schema, source_of)


def _open_table(asked, schema_of, source_of):
    """Named columns: those of numbers, or those of the names that are wanted."""
    from pyarrow import ArrowInvalid

    asked.require_label("name the column of the labels")
    path = asked.files[0]
    try:
        schema = schema_of(path)
    except ArrowInvalid as error:
        raise ValueError(f"{path}: {error}") from error
    # A label that isn't wanted is no feature either.
    beside = [name for name in (asked.label, asked.weight) if name is not None]
    if asked.features is None:
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
    return Opened(source, _feature_names(schema, columns), tuple(left_out))


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
    """Arrays of archives, which are read whole."""
    parts = [_of_archive(path, asked) for path in asked.files]
    X, y = ([part[k] for part in parts] for k in range(2))
    y = np.concatenate(y) if asked.is_labelled else None
    return Opened(ArraySource(np.concatenate(X), y, max_memory=asked.max_memory))


def _of_archive(path, asked):
    """X and y, or None, of an archive: "X", or its only matrix, and "y" or what the label is."""
    try:
        with open(path, "rb") as file, np.lib.npyio.NpzFile(file) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except (ValueError, BadZipFile) as error:
        raise ValueError(f"{path} is no .npz file of plain arrays: {error}") from error
    label = asked.label or "y"
    matrices = [name for name, array in arrays.items() if array.ndim == 2 and name != label]
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


# --- Rows -----------------------------------------------------------------------------------------


class _Watched(Source):
    """A source whose rows are counted as they are read; ``n_rows`` once they were all."""

    n_rows = None

    def __init__(self, source, progress, files):
        super().__init__(source.max_memory)
        self._source, self._progress, self.n_blocks = source, progress, source.n_blocks
        more = f" and {len(files) - 1} more" if len(files) > 1 else ""
        self._name = f"{files[0]}{more}"

    @property
    def name(self):
        return self._name

    def read(self, number):
        return self._source.read(number)

    def blocks(self, seed=None):
        self._progress.begin(self.n_rows)
        n_rows = 0
        for block in self._source.blocks(seed):
            n_rows += block.X.shape[0]
            self._progress.add(block.X.shape[0])
            yield block
        self.n_rows = n_rows
        self._progress.end()


def named_blocks(source, use):
    """Each block that has rows, and what a function makes of it; its errors name the block."""
    for block in source.blocks():
        if block.X.shape[0] == 0:
            continue
        try:
            made = use(block)
        except ValueError as error:
            raise ValueError(f"block {block.number} of {source.name}: {error}") from error
        yield block, made


def held(source, option):
    """All rows of a source in memory: X, labels and weights or None.

    Raises
    ------
    ValueError
        If they take more than half of its ``max_memory``, as for a while they are there twice; it
        names the option that needs them.
    """
    parts, size = [], 0
    for block in source.blocks():
        size += sum(map(_n_bytes, (block.X, block.y, block.sample_weight)))
        if 2 * size > source.max_memory:
            raise ValueError(
                f"{option} needs all rows of {source.name} in memory, and they take more than half "
                f"of --max-memory, {source.max_memory / 1e6:.4g}MB; raise it, or leave {option} out"
            )
        parts.append(block)
    if not parts:
        raise ValueError(f"{source.name} holds no rows")
    X = [block.X for block in parts]
    X = vstack(X, format="csr") if issparse(X[0]) else np.concatenate(X)
    y, weight = (
        None if getattr(parts[0], name) is None else _joined([getattr(b, name) for b in parts])
        for name in ("y", "sample_weight")
    )
    return X, y, weight


def _joined(parts):
    """Labels or weights as one array; objects become text or what else they are."""
    values = np.concatenate(parts)
    return np.array(values.tolist()) if values.dtype.hasobject else values


def _n_bytes(array):
    if array is None:
        return 0
    if issparse(array):
        return array.data.nbytes + array.indices.nbytes + array.indptr.nbytes
    return array.nbytes

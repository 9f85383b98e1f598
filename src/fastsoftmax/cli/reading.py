"""Files into rows, counted as they are read and named in errors; and models from files.

Called by the commands. What a format means is in formats.py.
"""

from dataclasses import replace

import numpy as np
from scipy.sparse import issparse, vstack

from ..estimators import load
from ..sources import Source
from .formats import OPENERS, Asked, format_of, paths_of
from .reporting import UsageError
from .text import HashedSource, Hashing

__all__ = ["held", "named_blocks", "open_model", "open_rows"]


def open_model(path):
    """The estimator of a file, fitted; its names of features are no longer its own but told.

    Returns
    -------
    model : estimator
    names : list of str or None
    label : str or None
        Column that it was trained on.
    hashing : text.Hashing or None
        What makes its rows, if they are of text.
    """
    model = load(path)
    if not hasattr(model, "coef_"):
        raise ValueError(f"{path} holds a {type(model).__name__} that isn't fitted")
    # Rows are in the order of the names once they are read: scikit-learn would miss the names.
    names = vars(model).pop("feature_names_in_", None)
    label = vars(model).get("_label_column")
    try:
        hashing = Hashing.of(model)
    except ValueError as error:
        raise ValueError(f"{path} can't be used: {error}") from error
    return model, None if names is None else [str(name) for name in names], label, hashing


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
    hashing=None,
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
    hashing : text.Hashing or None
        What makes the rows; None for one that is learned here where the options name columns of
        text.

    Returns
    -------
    opened : Opened

    Raises
    ------
    UsageError
        If options don't fit the files.
    """
    files = paths_of(options.files if files is None else files)
    kind = options.format or format_of(files)
    given = getattr(options, "label", None)
    asked = Asked(
        files=files,
        label=given or label,
        is_label_given=given is not None,
        labels=getattr(options, "labels", None) if labels is None else labels,
        weight=getattr(options, "weight", None),
        features=features,
        n_features=n_features,
        is_labelled=is_labelled,
        zero_based=options.zero_based,
        max_memory=options.max_memory,
        text=getattr(options, "text", None) if hashing is None else hashing.columns,
    )
    if asked.text:
        _check_text(asked, kind, hashing)
    if asked.labels and kind != "npy":
        raise UsageError(f"--labels goes with .npy files; these are {kind}")
    if given and kind in ("npy", "svmlight"):
        own = "by --labels FILE" if kind == "npy" else "in the text itself"
        raise UsageError(f"--label names a column, and {kind} has none; its labels are {own}")
    if asked.weight and kind not in ("csv", "tsv", "parquet"):
        raise UsageError(f"--weight names a column of csv or Parquet; these are {kind}")
    if asked.zero_based and kind != "svmlight":
        raise UsageError(f"--zero-based goes with svmlight text; these are {kind}")
    opened = OPENERS[kind](asked)
    if asked.text:
        if hashing is None:
            hashing = Hashing.learned(asked.text, _Watched(opened.source, progress, files))
        source = HashedSource(opened.source, hashing, options.max_memory)
        opened = replace(opened, source=source, hashing=hashing)
    return replace(opened, source=_Watched(opened.source, progress, files))


def _check_text(asked, kind, hashing):
    """An error where columns of text don't go with the files or with other columns."""
    columns = " and ".join(map(repr, asked.text))
    if kind not in ("csv", "tsv", "parquet"):
        named = f"--text names {columns}" if hashing is None else f"the model reads text, {columns}"
        raise UsageError(f"{named}, of csv or Parquet; these are {kind}")
    if len(set(asked.text)) < len(asked.text):
        raise UsageError(f"--text must name each column once; got {columns}")
    for option, name in (("--label", asked.label), ("--weight", asked.weight)):
        if name in asked.text:
            raise UsageError(f"--text and {option} name the same column, {name!r}")


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


def held(source):
    """All rows of a source in memory: X, labels and weights or None.

    None where they take more than half of its ``max_memory``, as for a while they are there twice.
    """
    parts, size = [], 0
    for block in source.blocks():
        size += sum(map(_n_bytes, (block.X, block.y, block.sample_weight)))
        if 2 * size > source.max_memory:
            return None
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

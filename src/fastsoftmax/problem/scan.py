"""The first pass over a source: what it holds, whether it can be trained on, and a sample of it.

The sample is drawn without replacement, every row with the same chance, and of each class a few
beyond that, so that rare ones are in it. A row's draw depends on its place and the seed alone.
Called by checks.py. Rows that are elsewhere have a first pass of their own, of the same parts:
see fastsoftmax.dask.
"""

import itertools
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import singledispatch
from zlib import crc32

import numpy as np
from scipy.sparse import csr_array, issparse, vstack
from sklearn.utils import column_or_1d
from sklearn.utils.multiclass import check_classification_targets

from .labels import are_plain, encode_labels
from .rows import (
    READ_IN_PLACE,
    SparseRows,
    check_finite,
    computing_dtype,
    order_read,
    rows_of,
    well_behaved,
)
from .statistics import ColumnStatistics
from .streamed import StreamedProblem, StreamedRows
from .weights import check_sample_weight

__all__ = [
    "SHARE_OF_SAMPLE",
    "Rows",
    "Scan",
    "Seen",
    "SourceChanged",
    "Totals",
    "check_kind",
    "draws",
    "in_block",
    "most_of_a_class",
    "scan",
    "settled",
]

#: Of ``max_memory``, what the sample has.
SHARE_OF_SAMPLE = 4

#: Of ``max_memory``, what the codes of labels have: those of the blocks that it has no more room
#: for are looked up anew in each pass, which takes a sort of each block's labels.
SHARE_OF_CODES = 16

#: Rows of a class in it beyond those that come by chance, at most, and how much of it all classes
#: may have of such.
MOST_OF_A_CLASS = 200
SHARE_OF_CLASSES = 2

#: Rows that are kept beyond those of the sample before the last ones are thrown away, as a share.
SLACK = 0.5


class SourceChanged(ValueError):
    """A source gave other rows than in the pass before."""


@dataclass(frozen=True)
class Rows:
    """The rows of a block as the kernels take them.

    Parameters
    ----------
    number : int
    X : ndarray or SparseRows of shape (n_rows, n_features)
    y : ndarray of shape (n_rows,)
    sample_weight : float64 ndarray of shape (n_rows,) or None for ones
    """

    number: int
    X: np.ndarray | SparseRows
    y: np.ndarray
    sample_weight: np.ndarray | None

    @classmethod
    def of(cls, block, source):
        """Those of a block, or an error that names it."""
        with in_block(block.number, source.name):
            return cls.checked(block)

    @classmethod
    def checked(cls, block):
        """The same, with errors that don't name it."""
        X = well_behaved(block.X)
        if issparse(X):
            X = X.tocsr()
        elif not (isinstance(X, np.ndarray) and (X.dtype in READ_IN_PLACE or _is_bfloat16(X))):
            X = np.asarray(X, order=order_read(X))
            kind = X.dtype.kind
            if X.dtype not in READ_IN_PLACE and kind in "biuf":
                X = X.astype(np.float64)
            elif X.dtype not in READ_IN_PLACE:
                raise ValueError(f"X must hold numbers; got dtype {X.dtype}")
        if X.ndim != 2:
            raise ValueError(f"X must have two dimensions; got shape {X.shape}")
        X = rows_of(X, summed=True)
        if block.y is None:
            raise ValueError("y must be labels to fit; got None")
        y = block.y if are_plain(block.y, len(X)) else column_or_1d(block.y)
        if len(y) != len(X):
            raise ValueError(f"y must have a label for each of {len(X)} rows; got {len(y)}")
        weight = None
        if len(X):
            weight = check_sample_weight(block.sample_weight, X, all_zero=True)
        return cls(block.number, X, y, weight)

    @property
    def mark(self):
        """A number that other labels or weights would hardly have."""
        mark = crc32(_bytes_of(self.y))
        return mark if self.sample_weight is None else crc32(self.sample_weight, mark)

    @property
    def kind(self):
        """What all blocks have in common: features, and what they are of."""
        return self.X.shape[1], isinstance(self.X, SparseRows), self.X.dtype

    @property
    def bytes_of_row(self):
        if isinstance(self.X, SparseRows):
            return 12 * self.X.values.shape[1] // max(1, len(self.X)) + 1
        return self.X.shape[1] * self.X.dtype.itemsize


def _is_bfloat16(X):
    return getattr(X.dtype, "name", None) == "bfloat16"


def _bytes_of(labels):
    if labels.dtype.hasobject:
        return "\x00".join(map(repr, labels.tolist())).encode()
    return np.ascontiguousarray(labels).view(np.uint8)


@contextmanager
def in_block(number, name):
    """Errors within say in which block of the source of that name they came up."""
    try:
        yield
    except (ValueError, TypeError) as error:
        kind = ValueError if isinstance(error, ValueError) else TypeError
        raise kind(f"block {number} of {name}: {error}") from error


@dataclass(frozen=True)
class Seen:
    """What is remembered of a block, to be found again in the next pass.

    ``n_used`` rows have a weight above 0.
    """

    n_rows: int
    mark: int
    n_used: int

    @classmethod
    def of(cls, rows):
        """That of the Rows of a block."""
        weight = rows.sample_weight
        n_used = len(rows.X) if weight is None else int(np.count_nonzero(weight))
        return cls(len(rows.X), rows.mark, n_used)


@dataclass(frozen=True)
class Scan:
    """What the first pass has found.

    Parameters
    ----------
    source : sources.Source
    classes : ndarray of shape (n_classes,)
        Sorted.
    class_total : float64 ndarray of shape (n_classes,)
        Σ sample weight of each.
    class_count : int64 ndarray of shape (n_classes,)
        Rows of each whose weight is above 0.
    n_samples, n_features : int
    dtype : {float32, float64}
        To compute in.
    statistics : ColumnStatistics or None
        Of the columns, weighted by sample weight; of sparse X or where they were asked for.
    seen : list of Seen
        Of each block.
    X : ndarray or CSR array
    codes : int32 ndarray
    sample_weight : float64 ndarray or None for ones
        Of the sample, in the order of the source.
    stands_for : float64 ndarray
        How many rows each row of the sample stands for; 1 of each where it is all of them.
    kept_codes : dict of ndarrays
        By the number of a block, the place of each row's label among those met, of as many blocks
        as there is memory for.
    codes_of : int32 ndarray of shape (n_classes,)
        The code of each of these places.
    feature_names : ndarray of str of shape (n_features,) or None, default=None
    """

    source: object
    classes: np.ndarray
    class_total: np.ndarray
    class_count: np.ndarray
    n_samples: int
    n_features: int
    dtype: np.dtype
    statistics: ColumnStatistics | None
    seen: list
    X: object
    codes: np.ndarray
    sample_weight: np.ndarray | None
    stands_for: np.ndarray
    kept_codes: dict = field(default_factory=dict)
    codes_of: np.ndarray | None = None
    feature_names: np.ndarray | None = None

    @property
    def is_whole(self):
        """Whether the sample is all rows, those of weight 0 included."""
        return len(self.codes) == self.n_samples

    def problem(self, class_weight, mean_weight, **of_all):
        """What is minimised over all rows.

        Parameters
        ----------
        class_weight : float64 ndarray of shape (n_classes,) or None for ones
        mean_weight : float
            Of sample weight times class weight over the rows used.
        **of_all
            ``sampled``, ``n_used`` and ``class_share`` of :class:`streamed.OfBlocks`.
        """
        return StreamedProblem(rows=StreamedRows(self, class_weight, mean_weight), **of_all)

    def codes_of_block(self, number):
        """Class codes, int32, of the rows of a block, or None where they weren't kept."""
        kept = self.kept_codes.get(number)
        return None if kept is None else self.codes_of[kept]

    def blocks(self, seed=None):
        """The Rows of each block, once more; an error where they are others than they were."""
        n_met = 0
        for block in self.source.blocks(seed):
            rows, n_met = Rows.of(block, self.source), n_met + 1
            known = self.seen[rows.number] if rows.number < len(self.seen) else None
            if known != Seen.of(rows) or rows.X.shape[1] != self.n_features:
                raise SourceChanged(
                    f"block {rows.number} of {self.source.name} has other rows, labels or weights "
                    "than in the first pass; a source must give the same in each"
                )
            yield rows
        if n_met != len(self.seen):
            raise SourceChanged(
                f"{self.source.name} ended after block {n_met - 1}; the first pass had "
                f"{len(self.seen)} blocks"
            )


@singledispatch
def scan(source, dtype, n_threads, with_statistics, seed, classes=None):
    """Go through a source once.

    Parameters
    ----------
    source : sources.Source
    dtype : {"float32", "float64"} or the like, or None
        To compute in; None leaves it to X.
    n_threads : int
    with_statistics : bool
        Whether those of the columns are wanted; of sparse rows they always are.
    seed : int
        Of the sample.
    classes : ndarray or None
        All that there are, of which the source may lack some; None for those that it has.

    Returns
    -------
    scan : Scan

    Raises
    ------
    ValueError, TypeError
        Names the block and what was wrong.
    """
    sample, totals, seen = None, Totals(), []
    statistics, first = None, None
    kept_codes, n_left = {}, source.max_memory // SHARE_OF_CODES
    for block in source.blocks():
        rows = Rows.of(block, source)
        seen.append(Seen.of(rows))
        if first is None:
            first = rows
            dtype = computing_dtype(dtype, rows.X)
            sample = _Sample(source.max_memory // SHARE_OF_SAMPLE // max(1, rows.bytes_of_row))
            with_statistics = with_statistics or isinstance(rows.X, SparseRows)
        with in_block(rows.number, source.name):
            check_kind(rows.kind, first.kind, first.number)
            if len(rows.X) == 0:
                continue
            check_finite(rows.X, dtype, n_threads)
            of_block, positions = Totals.of(rows.y, rows.sample_weight)
            codes = totals.add(of_block)[positions]
            sample.add(rows, codes, draws(rows, seed), len(totals.labels))
            kept = codes.astype(np.min_scalar_type(len(totals.labels) - 1))
            n_left -= kept.nbytes
            if n_left >= 0:
                kept_codes[rows.number] = kept
        if with_statistics:
            of_block = ColumnStatistics.of(rows.X, rows.sample_weight, n_threads)
            statistics = of_block if statistics is None else statistics.merged(of_block)
    classes, class_total, class_count, codes_of = settled(totals, source.name, classes)
    X, codes, weight, stands_for = sample.drawn()
    return Scan(
        source=source,
        classes=classes,
        class_total=class_total,
        class_count=class_count,
        n_samples=sum(block.n_rows for block in seen),
        n_features=first.X.shape[1],
        dtype=dtype,
        statistics=statistics,
        seen=seen,
        X=X,
        codes=codes_of[codes],
        sample_weight=weight,
        stands_for=stands_for,
        kept_codes=kept_codes,
        codes_of=codes_of,
    )


def settled(totals, name, known=None):
    """What all labels come to, those of the rows of a source of that name; or an error.

    The classes are those that are known, or those met.

    Returns
    -------
    classes, class_total, class_count : ndarrays of shape (n_classes,)
        As in :class:`Scan`.
    codes_of : int32 ndarray of shape (n_classes,)
        The code of each label in the order in which they came.
    """
    if not totals.labels:
        raise ValueError(f"{name} holds no rows")
    classes, position = totals.sorted()
    if known is not None:
        return _among(known, classes, position, totals)
    if len(classes) < 2:
        raise ValueError(
            f"a classifier needs at least 2 classes; {name} holds only 1 class, "
            f"{classes.tolist()[0]!r}"
        )
    class_total = np.array(totals.weight)[position]
    if not class_total.any():
        raise ValueError("sample_weight must be above 0 for at least one row; got zeros alone")
    codes_of = np.argsort(position).astype(np.int32)
    return classes, class_total, np.array(totals.count)[position], codes_of


def _among(known, met, position, totals):
    """What :func:`settled` gives, of labels that are some of the known classes."""
    codes = encode_labels(met, known)
    class_total, class_count = np.zeros(len(known)), np.zeros(len(known), np.int64)
    class_total[codes] = np.array(totals.weight)[position]
    class_count[codes] = np.array(totals.count)[position]
    return known, class_total, class_count, codes[np.argsort(position)]


def draws(rows, seed):
    """What each row of a block has drawn, in [0, 1); the lowest are in the sample."""
    return np.random.default_rng([seed, rows.number]).random(len(rows.X))


def most_of_a_class(n_rows, n_classes):
    """Rows of each class that a sample of n_rows has at least, where there are so many."""
    return min(max(n_rows // (SHARE_OF_CLASSES * n_classes), 1), MOST_OF_A_CLASS)


def check_kind(kind, first, number):
    """An error where a block is of another ``Rows.kind`` than the first one, of that number."""
    if kind[0] != first[0]:
        raise ValueError(f"X has {kind[0]} features, and block {number} has {first[0]}")
    if kind != first:
        raise ValueError(
            f"X is {_in_words(kind)}, and block {number} is {_in_words(first)}; all must be alike"
        )


def _in_words(kind):
    _, is_sparse, dtype = kind
    return f"{'sparse' if is_sparse else 'dense'} {dtype}"


class Totals:
    """Counts of the labels met so far, in the order in which they came."""

    def __init__(self):
        self.labels, self.weight, self.count = [], [], []
        self._place = {}

    @classmethod
    def of(cls, y, sample_weight):
        """Those of a block, and the place of each row's label among them."""
        labels, positions = np.unique(y, return_inverse=True)
        # Each twice, as it would warn of many classes in few rows, which all together may not have.
        check_classification_targets(np.repeat(labels, 2))
        weight = np.ones(len(y)) if sample_weight is None else sample_weight
        totals = cls()
        totals.labels = list(labels)
        totals.weight = np.bincount(positions, weight, len(labels)).tolist()
        totals.count = np.bincount(positions[weight > 0], None, len(labels)).tolist()
        totals._place = {label: place for place, label in enumerate(labels.tolist())}
        return totals, positions

    def add(self, other):
        """Count those of the rows that follow; gives the place of each of their labels here."""
        places = np.empty(len(other.labels), np.intp)
        for k, label in enumerate(other.labels):
            key = label.item() if isinstance(label, np.generic) else label
            places[k] = place = self._place.setdefault(key, len(self.labels))
            if place == len(self.labels):
                self.labels.append(label)
                self.weight.append(0.0)
                self.count.append(0)
            self.weight[place] += other.weight[k]
            self.count[place] += other.count[k]
        return places

    def sorted(self):
        """The labels in ascending order, and where each was among those met."""
        try:
            labels = np.array(self.labels)
            if labels.dtype.kind in "US" and not isinstance(self.labels[0], str | bytes):
                raise TypeError("text and numbers")
            position = np.argsort(labels, kind="stable")
        except TypeError as error:
            raise TypeError(f"y must hold labels of one type; it holds {error}") from error
        return labels[position], position


class _Sample:
    """The rows of the lowest draws, of all and of each class."""

    def __init__(self, n_rows):
        self._n_rows = max(1, n_rows)
        self._pieces, self._n_held = [], 0
        self._n_classes = 0
        self._limit, self._limits = 1.0, np.ones(0)

    def add(self, rows, codes, draw, n_classes):
        """Take in those of a block that may be among them."""
        if n_classes > len(self._limits):
            self._limits = np.append(self._limits, np.ones(n_classes - len(self._limits)))
        self._n_classes = n_classes
        chosen = np.flatnonzero(draw < np.maximum(self._limit, self._limits[codes]))
        if len(chosen) == 0:
            return
        X = rows.X.rows(chosen) if isinstance(rows.X, SparseRows) else rows.X[chosen]
        weight = None if rows.sample_weight is None else rows.sample_weight[chosen]
        weight = np.ones(len(chosen)) if weight is None else weight
        self._pieces.append((X, codes[chosen], weight, draw[chosen]))
        self._n_held += len(chosen)
        if self._n_held > (1 + SLACK) * self._n_rows:
            self._prune()

    def _prune(self):
        """Keep what is among the lowest draws."""
        codes, draw = (np.concatenate([piece[k] for piece in self._pieces]) for k in (1, 3))
        # Never above what was let pass before: of the rows beyond that, some are gone.
        self._limit = min(self._limit, _lowest(draw, self._n_rows))
        most = most_of_a_class(self._n_rows, self._n_classes)
        order = np.argsort(codes, kind="stable")
        starts = np.searchsorted(codes[order], np.arange(self._n_classes + 1))
        for k, (start, stop) in enumerate(itertools.pairwise(starts)):
            self._limits[k] = min(self._limits[k], _lowest(draw[order[start:stop]], most))
        self._n_held = 0
        for number, piece in enumerate(self._pieces):  # one by one, as all are much of the memory
            kept = piece[3] < np.maximum(self._limit, self._limits[piece[1]])
            self._pieces[number] = tuple(array[kept] for array in piece)
            self._n_held += np.count_nonzero(kept)

    def drawn(self):
        """X, places of the labels, weights or None, and how many rows each stands for."""
        if self._n_held > self._n_rows:
            self._prune()
        X, codes, weight, _ = zip(*self._pieces, strict=True)
        X = csr_array(vstack(X, format="csr")) if issparse(X[0]) else np.concatenate(X)
        codes, weight = np.concatenate(codes), np.concatenate(weight)
        chance = np.maximum(self._limit, self._limits[codes])
        return X, codes, None if (weight == 1).all() else weight, 1 / chance


def _lowest(draw, most):
    """What so many draws are below, no more: the next draw, or 1 where there are no more."""
    return float(np.partition(draw, most)[most]) if len(draw) > most else 1.0

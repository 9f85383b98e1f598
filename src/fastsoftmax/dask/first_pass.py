"""The first pass over rows on a cluster: scan.py's, of which each worker does its blocks' part.

Two rounds: what each block holds, merged in their order; then the sample, for which each row's draw
is compared with the chance that the counts of all rows leave it. The draws are those of scan.py,
and where the sample is all rows they are gathered, and fitted in memory. Called by checks.py.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import csr_array, vstack

from ..problem.rows import SparseRows, check_finite, computing_dtype
from ..problem.scan import (
    SHARE_OF_SAMPLE,
    Rows,
    Scan,
    Seen,
    Totals,
    check_kind,
    draws,
    in_block,
    most_of_a_class,
    settled,
)
from ..problem.statistics import ColumnStatistics
from ..problem.streamed import coded
from ..sources.base import Block
from .problem import ClusterProblem

__all__ = ["scan_cluster"]


@dataclass(frozen=True)
class Description:
    """What is found in a block, or in several that follow each other.

    Parameters
    ----------
    seen : list of Seen
        Of each block.
    n_used : list of int
        Rows of a weight above 0 of each.
    first : tuple or None
        Number, kind and bytes of a row of the first block that has rows.
    totals : Totals
    statistics : ColumnStatistics or None
    error : ValueError, TypeError or None
        What is wrong with the first block that something is wrong with.
    """

    seen: list
    n_used: list
    first: tuple | None
    totals: Totals
    statistics: ColumnStatistics | None
    error: Exception | None = None

    @classmethod
    def of(cls, number, X, y, sample_weight, name, dtype, with_statistics, n_threads):
        """That of one block; errors are given, not raised, so that the first block's counts."""
        try:
            with in_block(number, name):
                rows = Rows.checked(Block(number, X, y, sample_weight))
                seen = Seen.of(rows)
                if seen.n_rows == 0:
                    return cls([seen], [0], None, Totals(), None)
                check_finite(rows.X, computing_dtype(dtype, rows.X), n_threads)
                totals, _ = Totals.of(rows.y, rows.sample_weight)
        except (ValueError, TypeError) as error:
            return cls.of_error(error)
        statistics = None
        if with_statistics or isinstance(rows.X, SparseRows):
            statistics = ColumnStatistics.of(rows.X, rows.sample_weight, n_threads)
        first = number, rows.kind, rows.bytes_of_row
        return cls([seen], [sum(totals.count)], first, totals, statistics)

    @classmethod
    def of_error(cls, error):
        """That of a block that can't be trained on."""
        return cls([], [], None, Totals(), None, error.with_traceback(None))

    def with_next(self, other, name):
        """That of the blocks of both, the other's coming after these."""
        error = self.error or other.error
        if error is None and self.first and other.first:
            try:
                with in_block(other.first[0], name):
                    check_kind(other.first[1], self.first[1], self.first[0])
            except ValueError as unlike:
                error = unlike
        if error is not None:
            return Description.of_error(error)
        totals = Totals()
        totals.add(self.totals)
        totals.add(other.totals)
        statistics = self.statistics
        if statistics is None:
            statistics = other.statistics
        elif other.statistics is not None:
            statistics = statistics.merged(other.statistics)
        seen, n_used = self.seen + other.seen, self.n_used + other.n_used
        return Description(seen, n_used, self.first or other.first, totals, statistics)

    def copy(self):
        """Itself: it is never written to."""
        return self


def _described(*arguments):
    return Description.of(*arguments)


class _WithNext:
    """Adds descriptions up."""

    def __init__(self, name):
        self._name = name

    def __call__(self, total, other):
        return total.with_next(other, self._name)


@dataclass(frozen=True)
class ClusterScan(Scan):
    """What the first pass has found; rows stay on the cluster.

    Parameters
    ----------
    blocks_held : list of tuples
        Futures of X, labels and weights of each block with a row to use.
    """

    blocks_held: Any = ()

    def problem(self, class_weight, mean_weight, **of_all):
        """As :meth:`Scan.problem`, of rows on the cluster."""
        labels = self.source.cluster.for_each(
            _labels, self.blocks_held, self.classes, class_weight, mean_weight
        )
        blocks = [(X, label) for (_, X, *_), label in zip(self.blocks_held, labels, strict=True)]
        return ClusterProblem.of(self, blocks, **of_all)


def scan_cluster(source, dtype, n_threads, with_statistics, seed):
    """As :func:`scan.scan`, of rows on a cluster."""
    cluster = source.cluster
    blocks = [(number, *parts) for number, parts in enumerate(source.started())]
    found = cluster.total(
        _described,
        _WithNext(source.name),
        blocks,
        source.name,
        dtype,
        with_statistics,
        source.n_threads,
    )
    if found.error is not None:
        raise found.error
    classes, class_total, class_count, _ = settled(found.totals, source.name)
    n_samples = sum(block.n_rows for block in found.seen)
    _, (n_features, is_sparse, dtype_of_rows), bytes_of_row = found.first
    n_rows = max(1, source.max_memory // SHARE_OF_SAMPLE // max(1, bytes_of_row))
    chance = min(1.0, n_rows / n_samples)
    most = most_of_a_class(n_rows, len(classes))
    of_class = np.minimum(1.0, np.maximum(chance, most / np.maximum(1, class_count)))
    with_rows = [block for block, seen in zip(blocks, found.seen, strict=True) if seen.n_rows]
    drawn = cluster.for_each(_drawn, with_rows, classes, chance, of_class, seed)
    parts = [part for part in cluster.results(drawn) if part[0].shape[0]]
    if not parts:  # where a draw of very few rows has met none
        drawn = cluster.for_each(_drawn, with_rows[:1], classes, 1.0, of_class**0, seed)
        parts = cluster.results(drawn)
    X, codes, weight, stands_for = map(list, zip(*parts, strict=True))
    weight = np.concatenate(weight)
    return ClusterScan(
        source=source,
        classes=classes,
        class_total=class_total,
        class_count=class_count,
        n_samples=n_samples,
        n_features=n_features,
        dtype=_dtype(dtype, dtype_of_rows),
        statistics=found.statistics,
        seen=found.seen,
        X=csr_array(vstack(X, format="csr")) if is_sparse else np.concatenate(X),
        codes=np.concatenate(codes),
        sample_weight=None if (weight == 1).all() else weight,
        stands_for=np.concatenate(stands_for),
        feature_names=source.column_names,
        blocks_held=[b for b, n_used in zip(blocks, found.n_used, strict=True) if n_used],
    )


def _dtype(dtype, dtype_of_rows):
    return computing_dtype(dtype, np.empty(0, dtype_of_rows))


def _drawn(number, X, y, sample_weight, classes, chance, of_class, seed):
    """X, codes, weights of the rows of a block that are in the sample, and what they stand for."""
    rows = Rows.checked(Block(number, X, y, sample_weight))
    codes, weight = coded(rows, classes, None, 1.0)
    weight = np.ones(len(codes)) if weight is None else weight
    chance = np.where(weight > 0, of_class[codes], chance)
    chosen = np.flatnonzero(draws(rows, seed) < chance)
    X = rows.X.rows(chosen) if isinstance(rows.X, SparseRows) else rows.X[chosen]
    return X, codes[chosen], weight[chosen], 1 / chance[chosen]


def _labels(number, X, y, sample_weight, classes, class_weight, mean_weight):
    """Codes and weights of training of a block."""
    rows = Rows.checked(Block(number, X, y, sample_weight))
    return coded(rows, classes, class_weight, mean_weight)

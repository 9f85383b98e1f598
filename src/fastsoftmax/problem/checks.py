"""From what the caller of a fit gave to one value that everything downstream takes.

X, y, weights and validation rows are looked at here once; errors name the argument, what was given
and what is allowed. What each of them may be is said in rows.py, labels.py, weights.py and
held_out.py. Nothing here knows how training works. Called by the estimators.
"""

from dataclasses import dataclass, replace
from typing import Any
from zlib import crc32

import numpy as np
from scipy.sparse import issparse
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import validate_data

from ..kernels.threads import effective_n_threads
from ..sources.base import Source
from .checksum import checksum
from .held_out import HeldOut, given_rows, rows_set_aside
from .labels import (
    are_plain,
    check_known_classes,
    classes_and_codes,
    encode_labels,
    some,
)
from .rows import (
    SparseRows,
    check_finite,
    computing_dtype,
    dtypes_read,
    is_plain,
    order_read,
    rows_of,
    well_behaved,
)
from .scan import Scan, scan
from .statistics import ColumnStatistics
from .validation_source import SourceHeldOut, check_belongs_to_source, rows_of_source
from .weights import check_sample_weight

__all__ = [
    "CheckedData",
    "StreamedData",
    "check_batch",
    "check_data",
    "check_source",
    "check_warm_start",
    "part_of_source",
]

#: Of the sample of a source: a fit doesn't depend on ``random_state`` where nothing else is drawn.
SEED = 0


@dataclass(frozen=True)
class CheckedData:
    """The data of one fit, as the kernels take it.

    Parameters
    ----------
    X : ndarray or SparseRows of shape (n_samples, n_features)
        Finite in ``dtype``; the caller's own memory wherever that can be read.
    codes : int32 ndarray of shape (n_samples,)
        Positions of the labels in ``classes``.
    classes : ndarray of shape (n_classes,)
        Sorted, at least two.
    sample_weight : float64 ndarray of shape (n_samples,) or None for ones
        Not negative. Rows of weight 0 are left out of everything.
    dtype : {float32, float64}
        Of the computation.
    n_threads : int ≥ 1
    is_batch : bool, default=False
        Whether it is one call of ``partial_fit``, others coming before or after: there may then be
        no row of weight above 0.
    held_out : HeldOut, SourceHeldOut or None, default=None
        Rows to validate on.
    seen : list of scan.Seen, default=()
        Of each block of a source that they come from.
    """

    X: np.ndarray | SparseRows
    codes: np.ndarray
    classes: np.ndarray
    sample_weight: np.ndarray | None
    dtype: np.dtype
    n_threads: int
    is_batch: bool = False
    held_out: HeldOut | SourceHeldOut | None = None
    seen: Any = ()

    #: Whether all rows are in memory.
    is_held = True

    def __len__(self):
        return len(self.codes)

    @property
    def weight_sum(self):
        """Σ sample weight."""
        return float(len(self) if self.sample_weight is None else self.sample_weight.sum())

    @property
    def column_statistics(self):
        """Of the columns of X, by sample weight."""
        return ColumnStatistics.of(self.X, self.sample_weight, self.n_threads)

    @property
    def is_sparse(self):
        return isinstance(self.X, SparseRows)

    @property
    def mark(self):
        """A number that other rows, labels or weights would hardly have."""
        parts = [self.codes, self.sample_weight]
        if self.is_sparse:
            parts += [self.X.values, self.X.indices[: self.X.indptr[-1]], self.X.indptr]
        else:
            parts.append(self.X)
        return checksum(*parts)

    @property
    def coef_shape(self):
        """(n_rows, n_features): two classes need one row of coef."""
        return 1 if len(self.classes) == 2 else len(self.classes), self.X.shape[1]


@dataclass(frozen=True)
class StreamedData:
    """The data of one fit, of which a sample is in memory.

    Parameters
    ----------
    scan : scan.Scan
    n_threads : int ≥ 1
    held_out : HeldOut, SourceHeldOut or None, default=None
    """

    scan: Scan
    n_threads: int
    held_out: HeldOut | SourceHeldOut | None = None

    #: Not all rows are in memory, and it is no call of ``partial_fit``.
    is_held = is_batch = False

    def __len__(self):
        return self.scan.n_samples

    @property
    def seen(self):
        """As in :class:`CheckedData`."""
        return self.scan.seen

    @property
    def weight_sum(self):
        """Σ sample weight."""
        return float(self.scan.class_total.sum())

    @property
    def column_statistics(self):
        """Of the columns of X, by sample weight, where they were asked for."""
        return self.scan.statistics

    @property
    def is_sparse(self):
        return issparse(self.scan.X)

    @property
    def mark(self):
        """A number that other labels or weights, or another sample, would hardly have."""
        mark = checksum(self.scan.X.data if self.is_sparse else self.scan.X)
        for block in self.scan.seen:
            mark = crc32(repr(block).encode(), mark)
        return mark

    @property
    def classes(self):
        return self.scan.classes

    @property
    def dtype(self):
        return self.scan.dtype

    @property
    def coef_shape(self):
        """As :attr:`CheckedData.coef_shape`."""
        return 1 if len(self.classes) == 2 else len(self.classes), self.scan.n_features


def check_data(
    estimator,
    X,
    y,
    sample_weight=None,
    X_val=None,
    y_val=None,
    sample_weight_val=None,
    *,
    dtype=None,
    n_jobs=None,
    set_aside=None,
    shows_rows=False,
):
    """Check the arguments of a fit that begins anew.

    Parameters
    ----------
    estimator : BaseEstimator
        Which learns the number and names of the features from X.
    X, y, sample_weight, X_val, y_val, sample_weight_val
        As ``fit`` was given them.
    dtype : {"float32", "float64"} or the like, or None
        To compute in; None leaves it to X.
    n_jobs : int or None
    set_aside : held_out.SetAside or None
        Which rows of X to validate on where there is no ``X_val``; None for none.
    shows_rows : bool
        Whether what scores the rows held out wants to see them as they were given.

    Returns
    -------
    data : CheckedData

    Raises
    ------
    ValueError, TypeError
        Name the argument.
    """
    if isinstance(X, Source):
        raise TypeError(
            f"{type(estimator).__name__} needs X in memory; got {type(X).__name__}, which "
            "SoftmaxClassifier, SoftmaxClassifierCV and LogisticRegression take"
        )
    validates = _check_validation_data(X_val, y_val, sample_weight_val)
    given = (X, y) if shows_rows else None
    if is_plain(X) and are_plain(y, len(X)):
        # scikit-learn's checks would let them pass, and take longer than a small fit.
        estimator.n_features_in_ = X.shape[1]
        vars(estimator).pop("feature_names_in_", None)
    else:
        X, y = _rows_and_labels(estimator, X, y, dtype, first=True)
        check_classification_targets(y)
    data = _checked(X, *classes_and_codes(y, "y"), sample_weight, dtype, n_jobs)
    if validates:
        return _with_held_out(
            estimator, data, X_val, y_val, sample_weight_val, dtype, shows_rows=shows_rows
        )
    if set_aside is None:
        return data
    held_out, train_weight = rows_set_aside(data, set_aside, given)
    return replace(data, held_out=held_out, sample_weight=train_weight)


def check_source(
    estimator,
    source,
    y=None,
    sample_weight=None,
    X_val=None,
    y_val=None,
    sample_weight_val=None,
    *,
    dtype=None,
    n_jobs=None,
    standardize=False,
    shows_rows=False,
):
    """Check the arguments of a fit to a source, which is gone through once.

    Parameters
    ----------
    estimator, X_val, y_val, sample_weight_val, dtype, n_jobs, shows_rows
        As in :func:`check_data`.
    source : sources.Source
    y, sample_weight
        As ``fit`` was given them: they are the source's.
    standardize : bool or {"population", "sample"}
        Whether statistics of the columns are wanted.

    Returns
    -------
    data : CheckedData or StreamedData
        The former where all rows take little of the source's ``max_memory``: they are in memory.
    """
    check_belongs_to_source("X", y=y, sample_weight=sample_weight)
    validates = _check_validation_data(X_val, y_val, sample_weight_val)
    n_threads = effective_n_threads(n_jobs)
    scanned = scan(source, dtype, n_threads, bool(standardize), SEED)
    estimator.n_features_in_ = scanned.n_features
    vars(estimator).pop("feature_names_in_", None)
    if scanned.feature_names is not None:
        estimator.feature_names_in_ = scanned.feature_names
    data = _of_scan(scanned, n_threads)
    if not validates:
        return data
    return _with_held_out(
        estimator, data, X_val, y_val, sample_weight_val, dtype, shows_rows=shows_rows
    )


def part_of_source(data, source, with_statistics):
    """The data of a part of a source, which is gone through once.

    Parameters
    ----------
    data : StreamedData
        Of all of it.
    source : sources.parts.PartOfSource
    with_statistics : bool
        Whether those of the columns are wanted.

    Returns
    -------
    part : CheckedData or StreamedData
        Of the same classes.
    """
    scanned = scan(source, data.dtype, data.n_threads, with_statistics, SEED, data.classes)
    return _of_scan(scanned, data.n_threads)


def _of_scan(scanned, n_threads):
    """CheckedData where the sample is all rows, else StreamedData."""
    if not scanned.is_whole:
        return StreamedData(scanned, n_threads)
    return CheckedData(
        X=rows_of(scanned.X, summed=True),
        codes=scanned.codes,
        classes=scanned.classes,
        sample_weight=scanned.sample_weight,
        dtype=scanned.dtype,
        n_threads=n_threads,
        seen=scanned.seen,
    )


def _with_held_out(estimator, data, X_val, *of_validation, shows_rows):
    """The data with the rows to validate on."""
    if isinstance(X_val, Source):
        held_out = rows_of_source(data, X_val, *of_validation[:2], shows_rows)
    else:
        held_out = given_rows(estimator, data, X_val, *of_validation, shows_rows=shows_rows)
    return replace(data, held_out=held_out)


def check_batch(estimator, X, y, classes, known_classes, sample_weight, *, dtype, n_jobs, first):
    """Check the arguments of one call of ``partial_fit``.

    Parameters
    ----------
    estimator, X, y, sample_weight, n_jobs
        As in :func:`check_data`.
    classes : array-like or None
        As the call was given them.
    known_classes : ndarray or None
        Those of an earlier call.
    dtype : dtype or None
        That earlier calls have computed in, or as in :func:`check_data`.
    first : bool
        Whether nothing was learned before.

    Returns
    -------
    data : CheckedData
    """
    X, y = _rows_and_labels(estimator, X, y, dtype, first)
    classes = check_known_classes(classes, known_classes)
    codes = encode_labels(y, classes)
    return _checked(X, classes, codes, sample_weight, dtype, n_jobs, is_batch=True)


def check_warm_start(data, coef, known_classes):
    """An error where a warm start meets other classes or another number of features."""
    if not np.array_equal(data.classes, known_classes):
        raise ValueError(
            f"warm_start=True needs the classes of the last fit, {some(known_classes.tolist())}; "
            f"y holds {some(data.classes.tolist())}"
        )
    n_features = data.coef_shape[1]
    if n_features != coef.shape[1]:
        raise ValueError(
            f"warm_start=True needs the {coef.shape[1]} features of the last fit; X has "
            f"{n_features}"
        )


def _rows_and_labels(estimator, X, y, dtype, first):
    """X as the kernels take it, maybe not finite, and y as scikit-learn's checks leave it."""
    # scikit-learn's own search for NaN would make arrays of X's size: check_finite comes later.
    X = well_behaved(X)
    X, y = validate_data(
        estimator,
        X,
        y,
        reset=first,
        accept_sparse="csr",
        dtype=dtypes_read(X, dtype or np.float64),
        order=order_read(X),
        ensure_all_finite=False,
    )
    return rows_of(X, summed=True), y


def _checked(X, classes, codes, sample_weight, dtype, n_jobs, is_batch=False):
    """CheckedData of rows and labels that scikit-learn let pass."""
    data = CheckedData(
        X=X,
        codes=codes,
        classes=classes,
        sample_weight=check_sample_weight(sample_weight, X, all_zero=is_batch),
        dtype=computing_dtype(dtype, X),
        n_threads=effective_n_threads(n_jobs),
        is_batch=is_batch,
    )
    check_finite(X, data.dtype, data.n_threads)
    return data


def _check_validation_data(X_val, y_val, sample_weight_val):
    """Whether there are rows to validate on; an error where only a part of them is given."""
    if isinstance(X_val, Source):
        return True
    if (X_val is None) != (y_val is None):
        given, missing = ("y_val", "X_val") if X_val is None else ("X_val", "y_val")
        raise ValueError(f"X_val and y_val must be given together; got {given} without {missing}")
    if X_val is None and sample_weight_val is not None:
        raise ValueError("sample_weight_val needs X_val and y_val; got neither")
    return X_val is not None

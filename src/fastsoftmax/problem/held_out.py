"""Rows that are not trained on, and the score of weights on them at the end of each epoch.

Which rows: given by the user, or a part of X set aside, class by class. The loss is computed by the
kernels where the rows lie; any other score by scikit-learn's scorers on a fitted copy of the
estimator. When to stop and what to restore is training.py's. Called by estimator.py.
"""

from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from sklearn.metrics import check_scoring
from sklearn.model_selection import train_test_split
from sklearn.utils import (
    _safe_indexing,
    check_consistent_length,
    check_random_state,
    column_or_1d,
    indexable,
)
from sklearn.utils.validation import validate_data

from .labels import encode_labels
from .rows import (
    SparseRows,
    check_finite,
    computing_dtype,
    dtypes_read,
    rows_of,
    well_behaved,
)
from .weights import check_sample_weight

__all__ = ["HeldOut", "Validation", "given_rows", "rows_of_given", "rows_set_aside"]


@dataclass(frozen=True)
class HeldOut:
    """Rows to validate on.

    Parameters
    ----------
    X : ndarray or SparseRows of shape (n_samples, n_features)
        As the kernels take it.
    rows : intp ndarray
        Those of X that are held out, all of a weight above 0.
    codes : int32 ndarray of shape (n_samples,)
    sample_weight : float64 ndarray of shape (n_samples,) or None
    shown : tuple or None
        X and y of just these rows, of the types that the user gave: what a scorer is shown.
        None where there is none.
    """

    X: np.ndarray | SparseRows
    rows: np.ndarray
    codes: np.ndarray
    sample_weight: np.ndarray | None
    shown: Any


def given_rows(estimator, X, classes, X_val, y_val, sample_weight_val):
    """HeldOut of the rows that the user gave to ``fit``.

    Parameters
    ----------
    estimator : SoftmaxClassifier
        Which has seen X, and refuses an X_val of other features.
    X : ndarray
        The rows to train on.
    classes : ndarray of shape (n_classes,)
    X_val, y_val, sample_weight_val : as given; X_val and y_val not None
    """
    with _named("X_val"):
        data = validate_data(
            estimator,
            well_behaved(X_val),
            reset=False,
            accept_sparse="csr",
            dtype=dtypes_read(X_val, estimator.dtype or np.float64),
            ensure_all_finite=False,
        )
        data = rows_of(data)
        check_finite(data, computing_dtype(estimator.dtype, X), 1)
    with _named("y_val"):
        labels = column_or_1d(y_val, warn=True)
        check_consistent_length(data, labels)
    codes = encode_labels(labels, classes, "y_val")
    weight = check_sample_weight(sample_weight_val, data, "sample_weight_val")
    if weight is None:
        return HeldOut(data, np.arange(len(data)), codes, None, (X_val, y_val))
    rows = np.flatnonzero(weight)
    return HeldOut(data, rows, codes, weight, rows_of_given(X_val, y_val, rows))


def rows_set_aside(estimator, X, codes, sample_weight, given):
    """Set ``validation_fraction`` of the rows of weight above 0 aside, of each class alike.

    Returns
    -------
    held_out : HeldOut
    sample_weight : float64 ndarray of shape (n_samples,)
        To train with: 0 for the rows set aside, which leaves them out of everything.
    """
    used = np.arange(len(X)) if sample_weight is None else np.flatnonzero(sample_weight)
    random_state = check_random_state(estimator.random_state)
    try:
        _, rows = train_test_split(
            used,
            test_size=estimator.validation_fraction,
            stratify=codes[used],
            random_state=random_state,
        )
    except ValueError as error:
        raise ValueError(
            f"validation_fraction={estimator.validation_fraction!r} of {len(used)} rows can't be "
            f"set aside so that each class is in both parts; give X_val and y_val, or another "
            f"validation_fraction ({error})"
        ) from error
    rows = np.sort(rows)  # memory is read in order
    shown = rows_of_given(*given, rows)
    held_out = HeldOut(X, rows, codes, sample_weight, shown)
    train_weight = np.ones(len(X)) if sample_weight is None else sample_weight.copy()
    train_weight[rows] = 0
    return held_out, train_weight


class Validation:
    """Scores a State on the rows held out.

    Parameters
    ----------
    held_out : HeldOut
    problem : objective.Problem
        The one that is trained on, for its units and its loss.
    estimator : SoftmaxClassifier
    fitted : callable
        Gives a fitted copy of the estimator for a State.
    """

    def __init__(self, held_out, problem, estimator, fitted):
        self.early_stopping = bool(estimator.early_stopping)
        self._scoring = estimator.scoring
        self._fitted = fitted
        self._held_out = held_out
        weight = held_out.sample_weight
        if self._scoring == "loss":
            self._problem = replace(
                problem,
                X=held_out.X,
                rows=held_out.rows,
                y_true=held_out.codes,
                sample_weight=None if weight is None else weight.astype(problem.dtype),
                alpha=0.0,
                label_smoothing=0.0,
            )
        else:
            self._scorer = check_scoring(estimator, scoring=self._scoring)

    def score(self, state):
        """The score of these weights; the higher the better, and never NaN."""
        held_out = self._held_out
        if self._scoring == "loss":
            return -self._problem.objective(state, held_out.rows)
        weight = {}
        if held_out.sample_weight is not None:
            weight = {"sample_weight": held_out.sample_weight[held_out.rows]}
        score = float(self._scorer(self._fitted(state), *held_out.shown, **weight))
        if np.isnan(score):
            raise ValueError(
                f"scoring={self._scoring!r} must give a number; it gave NaN for the "
                f"{len(held_out.rows)} rows held out"
            )
        return score


def rows_of_given(X, y, rows):
    """These rows of X and y as the user gave them, whatever they are."""
    X, y = indexable(X, y)
    return _safe_indexing(X, rows), _safe_indexing(y, rows)


@contextmanager
def _named(argument):
    """Errors of scikit-learn's about X and y name the argument that they are about."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{argument}: {error}") from error

"""Rows that are not trained on, and the score of weights on them at the end of each epoch.

Which rows: given by the user, or a part of X set aside, class by class. The loss is computed by the
kernels where the rows lie; any other score by scikit-learn's scorers on a fitted copy of the
estimator. When to stop and what to restore is sgd.py's. Rows are chosen for checks.py, and scored
for fitting.py and cross_validation.py.
"""

from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass, replace
from inspect import signature
from typing import Any

import numpy as np
from sklearn import get_config
from sklearn.metrics import check_scoring
from sklearn.model_selection import train_test_split
from sklearn.utils import (
    _safe_indexing,
    check_consistent_length,
    check_random_state,
    column_or_1d,
    indexable,
)
from sklearn.utils.metadata_routing import get_routing_for_object
from sklearn.utils.validation import validate_data

from .labels import encode_labels
from .rows import (
    SparseRows,
    check_finite,
    dtypes_read,
    order_read,
    rows_of,
    well_behaved,
)
from .weights import check_sample_weight

__all__ = [
    "HeldOut",
    "Scoring",
    "SetAside",
    "Validation",
    "given_rows",
    "rows_of_given",
    "rows_set_aside",
    "takes_weight",
]


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
    parameters : dict or None, default=None
        What a scorer is given beside; None is ``sample_weight`` where there is one.
    """

    X: np.ndarray | SparseRows
    rows: np.ndarray
    codes: np.ndarray
    sample_weight: np.ndarray | None
    shown: Any
    parameters: dict | None = None


def given_rows(estimator, data, X_val, y_val, sample_weight_val, dtype, shows_rows):
    """HeldOut of the rows that the user gave to ``fit``.

    Parameters
    ----------
    estimator : BaseEstimator
        Which has seen X, and refuses an X_val of other features.
    data : checks.CheckedData
        The rows to train on.
    X_val, y_val, sample_weight_val : as given; X_val and y_val not None
    dtype : as in :func:`checks.check_data`
    shows_rows : bool
        Whether the rows are to be kept as they were given.
    """
    with _named("X_val"):
        X = validate_data(
            estimator,
            well_behaved(X_val),
            reset=False,
            accept_sparse="csr",
            dtype=dtypes_read(X_val, dtype or np.float64),
            order=order_read(X_val),
            ensure_all_finite=False,
        )
        X = rows_of(X, summed=True)
        check_finite(X, data.dtype, 1)
    with _named("y_val"):
        labels = column_or_1d(y_val, warn=True)
        check_consistent_length(X, labels)
    codes = encode_labels(labels, data.classes, "y_val")
    weight = check_sample_weight(sample_weight_val, X, "sample_weight_val")
    if weight is None:
        return HeldOut(X, np.arange(len(X)), codes, None, (X_val, y_val))
    rows = np.flatnonzero(weight)
    shown = rows_of_given(X_val, y_val, rows) if shows_rows else None
    return HeldOut(X, rows, codes, weight, shown)


@dataclass(frozen=True)
class SetAside:
    """Which share of the rows to set aside, or how many, and what draws them.

    Parameters
    ----------
    fraction : float in (0, 1) or int ≥ 1
    random_state : int, RandomState instance or None
    """

    fraction: float
    random_state: Any


def rows_set_aside(data, set_aside, given):
    """Set a part of the rows of weight above 0 aside, of each class alike.

    Parameters
    ----------
    data : checks.CheckedData
    set_aside : SetAside
    given : (X, y) or None
        As the user gave them, where the rows are to be kept like that.

    Returns
    -------
    held_out : HeldOut
    sample_weight : float64 ndarray of shape (n_samples,)
        To train with: 0 for the rows set aside, which leaves them out of everything.
    """
    n_samples, sample_weight = len(data.X), data.sample_weight
    used = np.arange(n_samples) if sample_weight is None else np.flatnonzero(sample_weight)
    try:
        _, rows = train_test_split(
            used,
            test_size=set_aside.fraction,
            stratify=data.codes[used],
            random_state=check_random_state(set_aside.random_state),
        )
    except ValueError as error:
        raise ValueError(
            f"validation_fraction={set_aside.fraction!r} of {len(used)} rows can't be set aside "
            "so that each class is in both parts; give X_val and y_val, or another "
            f"validation_fraction ({error})"
        ) from error
    rows = np.sort(rows)  # memory is read in order
    shown = None if given is None else rows_of_given(*given, rows)
    held_out = HeldOut(data.X, rows, data.codes, sample_weight, shown)
    train_weight = np.ones(n_samples) if sample_weight is None else sample_weight.copy()
    train_weight[rows] = 0
    return held_out, train_weight


@dataclass(frozen=True)
class Scoring:
    """How rows held out are scored.

    Parameters
    ----------
    name : str, callable or None
        As the user gave it.
    scorer : callable or None
        scikit-learn's ``scorer(estimator, X, y)``; None for the loss that is minimised, with its
        sign turned, which needs no estimator.
    """

    name: Any
    scorer: Any

    @classmethod
    def of(cls, estimator, scoring):
        """What a ``scoring`` parameter asks for, of an estimator of this kind."""
        is_loss = isinstance(scoring, str) and scoring == "loss"
        return cls(scoring, None if is_loss else check_scoring(estimator, scoring=scoring))

    def score(self, estimator, X, y, parameters):
        """The scorer's number for these rows, with what it takes of the parameters; never NaN."""
        scorer = _told_of_classes(self.scorer, estimator.classes_)
        if not (self.name is None or takes_weight(self.scorer)):
            parameters = {name: v for name, v in parameters.items() if name != "sample_weight"}
        try:
            score = float(scorer(estimator, X, y, **parameters))
        except ValueError as error:
            raise ValueError(
                f"scoring={self.name!r} can't score the {len(y)} rows held out, of "
                f"{self._remedy(estimator, y)}: {error}"
            ) from error
        if np.isnan(score):
            raise ValueError(
                f"scoring={self.name!r} must give a number; it gave NaN for the {len(y)} rows held "
                f"out, of {self._remedy(estimator, y)}"
            )
        return score

    @staticmethod
    def _remedy(estimator, y):
        n_held, n_classes = len(np.unique(y)), len(estimator.classes_)
        return (
            f"{n_held} of the {n_classes} classes; where it needs them all, use another scoring, "
            "hold out rows of each class, or join rare classes"
        )


def _told_of_classes(scorer, classes):
    """The scorer; where its metric takes ``labels``, with all of them, as rows may lack some.

    It is what scikit-learn's LogisticRegressionCV does. What the user's scorer says itself stays.
    """
    metric = getattr(scorer, "_score_func", None)
    known = {} if metric is None else signature(metric).parameters
    if "labels" not in known:
        return scorer
    told = {"labels": classes}
    if len(classes) == 2 and "pos_label" in known:
        told["pos_label"] = classes[-1]
    scorer = copy(scorer)
    scorer._kwargs = {**told, **scorer._kwargs}
    return scorer


def takes_weight(scorer):
    """Whether scikit-learn would give this scorer ``sample_weight``."""
    if get_config()["enable_metadata_routing"] and hasattr(scorer, "set_score_request"):
        # One that says nothing is given the weights, as there is no one else to ask.
        requests = get_routing_for_object(scorer).score.requests
        return requests.get("sample_weight") is not False
    if hasattr(scorer, "_accept_sample_weight"):
        return scorer._accept_sample_weight()
    try:
        return "sample_weight" in signature(scorer).parameters
    except (TypeError, ValueError):  # a callable of C has no signature
        return False


class Validation:
    """Scores a State on the rows held out.

    Parameters
    ----------
    held_out : HeldOut
    problem : objective.Problem
        The one that is trained on, for its units and its loss.
    scoring : Scoring
    fitted : callable
        Gives a fitted estimator for a State, for scorers.
    early_stopping : bool
        Whether the scores decide when to stop, and which weights to keep.
    unlearned : int ndarray
        Codes of classes whose probability is 0, whatever the state. Their loss is infinite; it
        counts as that of the least probability that the dtype tells from 0 beside 1, as it does in
        scikit-learn's ``log_loss``.
    """

    def __init__(self, held_out, problem, scoring, fitted, early_stopping=False, unlearned=()):
        self.early_stopping = early_stopping
        self._scoring = scoring
        self._fitted = fitted
        self._held_out = held_out
        weight = held_out.sample_weight
        self._problem = replace(
            problem.sampled,
            X=held_out.X,
            rows=held_out.rows,
            y_true=held_out.codes,
            sample_weight=None if weight is None else weight.astype(problem.dtype),
            alpha=0.0,
            label_smoothing=0.0,
        )
        is_learned = ~np.isin(held_out.codes[held_out.rows], unlearned)
        self._learned_rows = held_out.rows[is_learned]
        given = np.ones(len(is_learned)) if weight is None else weight[held_out.rows]
        self._learned_share = 1.0 if is_learned.all() else given[is_learned].sum() / given.sum()

    def score(self, state):
        """The score of these weights; the higher the better, and never NaN."""
        held_out = self._held_out
        if self._scoring.scorer is None:
            return -self._loss(state)
        parameters = held_out.parameters
        if parameters is None:
            weight = held_out.sample_weight
            parameters = {} if weight is None else {"sample_weight": weight[held_out.rows]}
        return self._scoring.score(self._fitted(state), *held_out.shown, parameters)

    def _loss(self, state):
        """Mean loss, each row of an unlearned class at the greatest that there is."""
        share = self._learned_share
        loss = 0.0 if share == 1 else -(1 - share) * np.log(np.finfo(self._problem.dtype).eps)
        if len(self._learned_rows):
            loss += share * self._problem.objective(state, self._learned_rows)
        return float(loss)


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

"""Folds that lack a class, and scorers of every documented form, weighted or not.

The truth for a fold is a fit of its rows alone, of the classes that they have, whose probabilities
of the others are 0. How folds are chosen from is tested in test_selection.py.
"""

import warnings
from concurrent.futures import ThreadPoolExecutor
from threading import get_ident

import numpy as np
import pytest
from digits import small_digits
from sklearn import config_context
from sklearn.metrics import accuracy_score, brier_score_loss, log_loss, make_scorer

from fastsoftmax import LogisticRegressionCV, SoftmaxClassifier, SoftmaxClassifierCV
from fastsoftmax.estimators import folds

ALPHAS = [1e-1, 1e-2]

#: Fits that end within 1e-11 of their minimum, in float64, and as near as float32 allows.
FINE = {"tol": 1e-11, "random_state": 0}
FINEST = {"float64": 1e-11, "float32": 1e-7}

#: Scores by what they are of y and of probabilities of all classes.
SCORES = {
    "accuracy": lambda y, p, labels: accuracy_score(y, labels[p.argmax(axis=1)]),
    "neg_log_loss": lambda y, p, labels: -log_loss(y, p, labels=labels),
    "neg_brier_score": lambda y, p, labels: -brier_score_loss(y, p, labels=labels),
}

# --- Classes that a fold lacks --------------------------------------------------------------------


def _fold_without(lacking, n_classes):
    """Rows, labels, and the one fold whose training rows have none of the classes."""
    X, y = small_digits(200, n_classes=n_classes)
    numbers = np.arange(len(y))
    is_held_out = (numbers % 4 == 0) | np.isin(y, lacking)
    return X, y, (numbers[~is_held_out], numbers[is_held_out])


def _probabilities(X, y, fold, alpha, **parameters):
    """Of the rows held out, by a fit of the classes that the others have."""
    train, test = fold
    labels, learned = np.unique(y), np.unique(y[train])
    # Its dtype says what log_loss takes a probability of 0 for.
    probability = np.zeros((len(test), len(labels)), parameters.get("dtype", np.float64))
    if len(learned) == 1:
        probability[:, labels == learned[0]] = 1
        return probability
    if len(learned) == 2 and len(labels) > 2 and "multi_class" not in parameters:
        alpha /= 2  # (alpha/2)(‖w₁‖² + ‖w₂‖²) with w₂ = −w₁ is (alpha/4)‖w₂ − w₁‖²
    fit = SoftmaxClassifier(solver="lbfgs", alpha=alpha, random_state=0, **parameters)
    fit.fit(X[train], y[train])
    probability[:, np.isin(labels, learned)] = fit.predict_proba(X[test])
    return probability


@pytest.mark.parametrize("scoring", SCORES)
@pytest.mark.parametrize(
    ("n_classes", "lacking", "parameters"),
    [
        (4, [2], {}),
        (6, [0, 3, 5], {"standardize": True}),
        (3, [1], {}),  # two are left, in two rows of coef
        (5, [4], {"multi_class": "ovr"}),
        (2, [0], {}),
        (2, [1], {}),
        (4, [1], {"class_weight": "balanced"}),
        (4, [2], {"dtype": "float32"}),
    ],
    ids=str,
)
def test_scores_are_those_of_the_classes_that_the_fold_has(n_classes, lacking, parameters, scoring):
    X, y, fold = _fold_without(lacking, n_classes)
    parameters = {"tol": FINEST[parameters.get("dtype", "float64")], **parameters}
    ours = SoftmaxClassifierCV(
        alphas=ALPHAS, cv=[fold], scoring=scoring, random_state=0, **parameters
    ).fit(X, y)
    expected = [
        SCORES[scoring](y[fold[1]], _probabilities(X, y, fold, alpha, **parameters), np.unique(y))
        for alpha in ALPHAS
    ]
    np.testing.assert_allclose(ours.scores_[0], expected, rtol=1e-4, atol=1e-5)
    assert ours.coef_.shape[0] == (1 if n_classes == 2 else n_classes)
    assert np.isfinite(ours.coef_).all()
    assert np.isin(lacking, ours.predict(X)).all()  # the last fit has learned them


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("n_classes", "lacking"), [(4, [2]), (2, [1])])
def test_loss_is_the_log_loss_there_too(n_classes, lacking, dtype):
    X, y, fold = _fold_without(lacking, n_classes)
    weight = np.random.default_rng(0).uniform(0.5, 2, len(y))
    settings = {"alphas": ALPHAS, "cv": [fold], "dtype": dtype, "tol": FINEST[dtype]}
    loss = SoftmaxClassifierCV(scoring="loss", **settings).fit(X, y, weight)
    log = SoftmaxClassifierCV(scoring="neg_log_loss", **settings).fit(X, y, weight)
    np.testing.assert_allclose(loss.scores_, log.scores_, rtol=1e-5)


@pytest.mark.parametrize("scoring", ["loss", "neg_log_loss", "accuracy"])
def test_rows_that_no_fold_can_learn_change_no_choice(scoring):
    X, y = small_digits(200, n_classes=4)
    alphas = np.logspace(0, -5, 11)
    folds = [(np.flatnonzero(np.arange(200) % 4 != k), np.arange(k, 200, 4)) for k in range(4)]
    settings = {"alphas": alphas, "scoring": scoring, **FINE}
    without = SoftmaxClassifierCV(cv=folds, **settings).fit(X, y)
    # One row of a class of its own, held out each time.
    X, y = np.vstack([X, X[:1] + 1]), np.append(y, 9)
    folds = [(train, np.append(test, 200)) for train, test in folds]
    ours = SoftmaxClassifierCV(cv=folds, **settings).fit(X, y)
    assert ours.alpha_ == without.alpha_
    # A share of a constant, and the rest of what the other scores are.
    share = 1 / 51
    apart = ours.scores_ - (1 - share) * without.scores_
    worst = 0 if scoring == "accuracy" else np.log(2.0**-52)
    np.testing.assert_allclose(apart, share * worst, rtol=1e-4, atol=1e-9)


def test_a_class_whose_weights_are_0_in_a_fold():
    X, y, (_, test) = _fold_without([2], 4)
    everything = np.setdiff1d(np.arange(len(y)), test[::2])
    weight = np.ones(len(y))
    weight[(y == 2) & np.isin(np.arange(len(y)), everything)] = 0
    settings = {"alphas": ALPHAS, "scoring": "neg_log_loss", **FINE}
    kept = np.flatnonzero(weight)
    weighted = SoftmaxClassifierCV(cv=[(everything, test[::2])], **settings).fit(X, y, weight)
    place = np.searchsorted(kept, np.intersect1d(everything, kept))
    held_out = np.searchsorted(kept, test[::2])
    left_out = SoftmaxClassifierCV(cv=[(place, held_out)], **settings).fit(X[kept], y[kept])
    np.testing.assert_allclose(weighted.scores_, left_out.scores_, rtol=1e-6)


@pytest.mark.parametrize("scoring", ["neg_log_loss", "loss", None, "f1_macro", "roc_auc_ovr"])
@pytest.mark.parametrize("multi_class", ["softmax", "ovr"])
def test_a_class_of_one_row(scoring, multi_class):
    X, y = np.zeros((10, 1)), [1] * 5 + [2] * 4 + [3]
    ours = SoftmaxClassifierCV(cv=5, scoring=scoring, multi_class=multi_class)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # fewer rows of a class than folds
        if scoring == "roc_auc_ovr":  # is not defined for such folds, whatever is done
            with pytest.raises(ValueError, match=r"scoring='roc_auc_ovr' .* 2 of the 3 classes"):
                ours.fit(X, y)
            return
        ours.fit(X, y)
    assert np.isfinite(ours.scores_).all()
    assert np.ptp(ours.scores_, axis=1).max() < 1e-4  # X tells nothing, whatever the penalty


def test_without_intercept_or_with_smoothing_there_is_a_minimum():
    X, y, fold = _fold_without([2], 4)
    for parameters in ({"fit_intercept": False}, {"label_smoothing": 0.1}):
        scores = [
            SoftmaxClassifierCV(alphas=ALPHAS, cv=[fold], scoring=scoring, **FINE, **parameters)
            .fit(X, y)
            .scores_
            for scoring in ("loss", "neg_log_loss")
        ]
        np.testing.assert_allclose(*scores, rtol=1e-5)
        assert scores[0].min() > -6  # a probability far from 0


# --- Scorers --------------------------------------------------------------------------------------


def _documented(estimator, X, y):
    return float(np.mean(estimator.predict(X) == y))


class _Weighted:
    """A scorer that takes weights, and remembers them."""

    def __init__(self):
        self.seen = []

    def __call__(self, estimator, X, y, sample_weight=None):
        self.seen.append(sample_weight)
        return float(np.average(estimator.predict(X) == y, weights=sample_weight))


def _cross_validated(scoring, X, y, weight):
    SoftmaxClassifierCV(alphas=ALPHAS, cv=3, scoring=scoring).fit(X, y, weight)


def _set_aside(scoring, X, y, weight):
    SoftmaxClassifier(early_stopping=True, scoring=scoring, max_iter=2).fit(X, y, weight)


def _given(scoring, X, y, weight):
    classifier = SoftmaxClassifier(solver="sgd", scoring=scoring, max_iter=2)
    classifier.fit(X, y, X_val=X, y_val=y, sample_weight_val=weight)


SCORED = pytest.mark.parametrize("scored", [_cross_validated, _set_aside, _given])


@SCORED
@pytest.mark.parametrize("is_weighted", [False, True])
def test_a_scorer_of_the_documented_form(scored, is_weighted):
    X, y = small_digits(120, n_classes=3)
    scored(_documented, X, y, np.arange(1.0, 121) if is_weighted else None)


@SCORED
def test_a_scorer_that_takes_weights_gets_them(scored):
    X, y = small_digits(120, n_classes=3)
    weight = np.arange(1.0, 121)
    scorer = _Weighted()
    scored(scorer, X, y, weight)
    assert scorer.seen
    assert all(np.isin(seen, weight).all() for seen in scorer.seen)
    scorer = _Weighted()
    scored(scorer, X, y, None)
    assert scorer.seen == [None] * len(scorer.seen)


@SCORED
def test_a_metric_without_weights(scored):
    X, y = small_digits(120, n_classes=3)
    scored(make_scorer(lambda y_true, y_pred: np.mean(y_true == y_pred)), X, y, np.ones(120))


def test_a_scorer_that_asks_for_no_weights():
    X, y = small_digits(120, n_classes=3)
    weight = np.arange(1.0, 121)
    with config_context(enable_metadata_routing=True):
        scores = []
        for asks in (True, False):
            scorer = make_scorer(accuracy_score).set_score_request(sample_weight=asks)
            ours = SoftmaxClassifierCV(alphas=[1e-1, 1.0], cv=3, scoring=scorer, **FINE)
            scores.append(ours.fit(X, y, weight).scores_)
    plain = SoftmaxClassifierCV(alphas=[1e-1, 1.0], cv=3, scoring=_documented, **FINE)
    np.testing.assert_array_equal(scores[1], plain.fit(X, y, weight).scores_)
    assert (scores[0] != scores[1]).any()


def test_rows_given_that_lack_a_class():
    X, y = small_digits(120, n_classes=3)
    some = y < 2
    ours = SoftmaxClassifier(solver="sgd", scoring="neg_log_loss", max_iter=2, random_state=0)
    ours.fit(X, y, X_val=X[some], y_val=y[some])
    expected = -log_loss(y[some], ours.predict_proba(X[some]), labels=[0, 1, 2])
    assert ours.validation_scores_[-1] == pytest.approx(expected)


@pytest.mark.parametrize("labels", [["no", "yes"], [-1, 1]])
def test_the_second_of_two_classes_is_what_is_looked_for(labels):
    X, codes = small_digits(120, n_classes=2)
    ours = SoftmaxClassifierCV(alphas=[1e-1, 1.0], cv=3, scoring="neg_brier_score", **FINE)
    ours.fit(X, np.array(labels)[codes])
    same = SoftmaxClassifierCV(alphas=[1e-1, 1.0], cv=3, scoring="neg_brier_score", **FINE)
    np.testing.assert_array_equal(ours.scores_, same.fit(X, codes).scores_)


def test_errors_name_the_scoring_and_what_can_be_done():
    X, y = small_digits(60, n_classes=3)

    def broken(estimator, X, y):
        raise ValueError("no score today")

    with pytest.raises(ValueError, match=r"scoring=<function .* held out.*no score today"):
        SoftmaxClassifierCV(alphas=ALPHAS, cv=3, scoring=broken).fit(X, y)


# --- Beside each other ----------------------------------------------------------------------------


def _long_calls():
    rng = np.random.default_rng(3)
    X = rng.normal(size=(500, 24))
    return X, (X @ rng.normal(size=(24, 8)) + 3 * rng.gumbel(size=(500, 8))).argmax(axis=1)


@pytest.mark.parametrize("estimator", [SoftmaxClassifierCV, LogisticRegressionCV])
def test_folds_run_beside_each_other_where_their_calls_are_long(estimator, monkeypatch):
    met = []

    class Pool(ThreadPoolExecutor):
        def map(self, function, *iterables):
            return super().map(lambda one: (met.append(get_ident()), function(one))[1], *iterables)

    monkeypatch.setattr(folds, "ThreadPoolExecutor", Pool)
    X, y = _long_calls()
    cv_ = {"cv": 3}
    if estimator is LogisticRegressionCV:
        cv_ |= {"use_legacy_attributes": False}
    alone = estimator(n_jobs=1, **cv_).fit(X, y)
    assert not met
    together = estimator(n_jobs=2, **cv_).fit(X, y)
    assert len(met) >= 3
    assert get_ident() not in met
    np.testing.assert_array_equal(alone.coef_, together.coef_)
    np.testing.assert_array_equal(alone.scores_, together.scores_)
    met.clear()
    estimator(n_jobs=2, scoring=lambda model, X, y: model.score(X, y), **cv_).fit(X, y)
    estimator(n_jobs=2, **cv_).fit(X[:, :2], y)  # short calls
    assert not met


def test_an_error_in_a_fold_on_a_thread_is_raised(monkeypatch):
    X, y = _long_calls()

    def fails(fold, alpha):
        raise MemoryError("no room")

    monkeypatch.setattr(folds.Fold, "minimum", fails)
    classifier = SoftmaxClassifierCV(n_jobs=2)
    with pytest.raises(MemoryError, match="no room"):
        classifier.fit(X, y)
    assert not hasattr(classifier, "coef_")

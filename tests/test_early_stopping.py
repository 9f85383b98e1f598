"""Validation: which rows are held out, their scores, when training stops and what it gives."""

import numpy as np
import pytest
from digits import DIGITS, assert_same_fit, small_digits
from sgd import sgd_classifier
from sklearn.base import clone
from sklearn.metrics import balanced_accuracy_score, log_loss, make_scorer
from sklearn.model_selection import GridSearchCV, train_test_split

X, Y = small_digits(n_rows=600)
X_TRAIN, X_VAL, Y_TRAIN, Y_VAL = train_test_split(X, Y, stratify=Y, random_state=0)

#: Overfits soon: no penalty, steps that are too long for the end.
OVERFITTING = {"alpha": 0, "learning_rate": 1.0, "max_iter": 60, "random_state": 0}


def _scores_of(values):
    """A scorer that gives these values, whatever the model."""
    left = iter(values)
    return lambda estimator, X, y: next(left)


# --- Scores ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("multi_class", ["softmax", "ovr"])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_loss_is_that_of_the_weights_at_each_epochs_end(
    build, weighted, multi_class, n_classes
):
    X, y = small_digits(n_classes=n_classes)
    weight = np.random.default_rng(0).exponential(size=100) if weighted else None
    setting = {"multi_class": multi_class, "random_state": 0, "tol": None, "standardize": True}
    classifier = sgd_classifier(max_iter=3, **setting)
    classifier.fit(X[100:], y[100:], X_val=X[:100], y_val=y[:100], sample_weight_val=weight)
    for n_epochs, score in enumerate(classifier.validation_scores_, start=1):
        model = sgd_classifier(max_iter=n_epochs, **setting).fit(X[100:], y[100:])
        if multi_class == "softmax" or n_classes == 2:
            loss = log_loss(y[:100], model.predict_proba(X[:100]), sample_weight=weight)
        else:
            raw = model.decision_function(X[:100])
            target = y[:100, None] == np.arange(n_classes)
            losses = np.logaddexp(0, np.where(target, -raw, raw)).sum(axis=1)
            loss = np.average(losses, weights=weight)
        np.testing.assert_allclose(score, -loss, rtol=1e-9)


SCORINGS = {
    "accuracy": "accuracy",
    None: "accuracy",
    "neg_log_loss": "neg_log_loss",
    "roc_auc_ovr": "roc_auc_ovr",
    make_scorer(balanced_accuracy_score): "balanced_accuracy",
}


@pytest.mark.parametrize("scoring", SCORINGS, ids=str)
def test_any_scorer(scoring):
    from sklearn.metrics import get_scorer

    classifier = sgd_classifier(max_iter=3, random_state=0, scoring=scoring)
    classifier.fit(X_TRAIN, Y_TRAIN, X_val=X_VAL, y_val=Y_VAL)
    for n_epochs, score in enumerate(classifier.validation_scores_, start=1):
        model = sgd_classifier(max_iter=n_epochs, random_state=0).fit(X_TRAIN, Y_TRAIN)
        assert score == get_scorer(SCORINGS[scoring])(model, X_VAL, Y_VAL)


def test_scorers_are_given_the_weights():
    weight = np.random.default_rng(0).integers(0, 3, size=len(X_VAL))
    classifier = sgd_classifier(max_iter=2, random_state=0, scoring="accuracy")
    classifier.fit(X_TRAIN, Y_TRAIN, X_val=X_VAL, y_val=Y_VAL, sample_weight_val=weight)
    assert classifier.validation_scores_[-1] == classifier.score(X_VAL, Y_VAL, weight)


def test_a_score_that_is_no_number():
    classifier = sgd_classifier(scoring=lambda estimator, X, y: np.nan)
    with pytest.raises(ValueError, match="must give a number; it gave NaN for the 150 rows held"):
        classifier.fit(X_TRAIN, Y_TRAIN, X_val=X_VAL, y_val=Y_VAL)
    assert not hasattr(classifier, "coef_")


# --- Stopping and restoring -----------------------------------------------------------------------


def test_without_early_stopping_rows_are_only_scored(build):
    classifier = sgd_classifier(**OVERFITTING).fit(X_TRAIN, Y_TRAIN, X_val=X_VAL, y_val=Y_VAL)
    expected = sgd_classifier(**OVERFITTING).fit(X_TRAIN, Y_TRAIN)
    assert_same_fit(classifier, expected)
    assert classifier.n_iter_ == expected.n_iter_ == len(classifier.validation_scores_)
    assert classifier.best_iter_ == classifier.validation_scores_.argmax() + 1
    np.testing.assert_array_equal(
        classifier.history_["validation_score"], classifier.validation_scores_
    )
    classifier.fit(X_TRAIN, Y_TRAIN)
    assert not hasattr(classifier, "validation_scores_")
    assert not hasattr(classifier, "best_iter_")


def test_stops_and_gives_the_best_weights(build):
    classifier = sgd_classifier(early_stopping=True, tol=0, n_iter_no_change=3, **OVERFITTING)
    classifier.fit(X_TRAIN, Y_TRAIN, X_val=X_VAL, y_val=Y_VAL)
    scores, best = classifier.validation_scores_, classifier.best_iter_
    assert 1 <= best < classifier.n_iter_ == len(scores) < 60
    assert classifier.n_iter_ == best + 3
    assert scores[best - 1] == scores.max()
    expected = sgd_classifier(**OVERFITTING | {"max_iter": best}).fit(X_TRAIN, Y_TRAIN)
    assert_same_fit(classifier, expected)
    np.testing.assert_allclose(
        scores[best - 1], -log_loss(Y_VAL, classifier.predict_proba(X_VAL)), rtol=1e-9
    )
    # What goes on from there goes on from the best epoch's optimiser too.
    coef = classifier.set_params(early_stopping=False).partial_fit(X_TRAIN, Y_TRAIN).coef_
    np.testing.assert_array_equal(coef, expected.partial_fit(X_TRAIN, Y_TRAIN).coef_)
    assert not hasattr(classifier, "best_iter_")


@pytest.mark.parametrize(
    ("scores", "tol", "best", "n_iter"),
    [
        ([1, 2, 3, 4], 0.1, 4, 4),  # the end of max_iter
        ([4, 3, 2, 1], 0.1, 1, 3),
        ([1, 3, 3, 3], 0.1, 2, 4),  # the first of equals
        ([1, 1.05, 1.09, 9], 0.1, 3, 3),  # better, but by less than tol
        ([3, 2, 1, 9], None, 4, 4),
        ([3, 2, 1, 0], None, 1, 4),
    ],
)
def test_rule_of_stopping(scores, tol, best, n_iter):
    classifier = sgd_classifier(
        early_stopping=True, tol=tol, n_iter_no_change=2, max_iter=4, random_state=0
    )
    classifier.set_params(scoring=_scores_of(scores)).fit(X_TRAIN, Y_TRAIN, X_val=X, y_val=Y)
    assert (classifier.best_iter_, classifier.n_iter_) == (best, n_iter)
    expected = sgd_classifier(max_iter=best, tol=None, random_state=0).fit(X_TRAIN, Y_TRAIN)
    assert_same_fit(classifier, expected)


# --- Rows set aside -------------------------------------------------------------------------------


@pytest.mark.parametrize(("fraction", "number"), [(0.1, 60), (0.25, 150), (100, 100)])
def test_rows_set_aside_are_of_each_class_and_not_trained_on(fraction, number):
    seen = []

    def scorer(estimator, X, y):
        seen.append((X, y))
        return 0.0

    setting = {"max_iter": 2, "random_state": 3, "standardize": True, "class_weight": "balanced"}
    classifier = sgd_classifier(
        early_stopping=True, validation_fraction=fraction, scoring=scorer, tol=None, **setting
    ).fit(X, Y)
    X_held, y_held = seen[0]
    assert len(X_held) == len(y_held) == number
    counts, expected = np.bincount(y_held), np.bincount(Y) * number / len(Y)
    assert np.abs(counts - expected).max() < 1
    held = {row.tobytes() for row in X_held}
    left = np.array([row.tobytes() not in held for row in X])
    assert left.sum() == len(X) - number
    # best_iter_ is 1: all scores are equal.
    setting["max_iter"] = 1
    expected = sgd_classifier(**setting).fit(X[left], Y[left])
    assert_same_fit(classifier, expected, rtol=1e-12)  # statistics of columns in other blocks


def test_rows_set_aside_are_a_matter_of_random_state():
    classifier = sgd_classifier(early_stopping=True, max_iter=3, random_state=0).fit(X, Y)
    same = clone(classifier).fit(X, Y)
    assert_same_fit(classifier, same)
    other = clone(classifier).set_params(random_state=1).fit(X, Y)
    assert (other.validation_scores_ != classifier.validation_scores_).all()


def test_rows_of_weight_zero_are_not_set_aside(build):
    weight = np.random.default_rng(0).integers(0, 3, size=len(X)).astype(float)
    kept = weight > 0
    classifier = sgd_classifier(early_stopping=True, random_state=0)
    classifier.fit(X, Y, sample_weight=weight)
    without = clone(classifier).fit(X[kept], Y[kept], sample_weight=weight[kept])
    assert_same_fit(classifier, without)
    np.testing.assert_allclose(
        classifier.validation_scores_, without.validation_scores_, rtol=1e-13
    )


def test_scorers_see_the_columns_names():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X, columns=[f"pixel {number}" for number in range(64)])
    seen = []

    def scorer(estimator, X, y):
        seen.append((X, y))
        return estimator.score(X, y)  # warns where names are missing

    classifier = sgd_classifier(early_stopping=True, scoring=scorer, max_iter=2)
    classifier.fit(frame, pandas.Series(Y, index=frame.index[::-1]))
    assert isinstance(seen[0][0], pandas.DataFrame)
    assert isinstance(seen[0][1], pandas.Series)
    classifier.set_params(early_stopping=False).fit(frame, Y, X_val=frame, y_val=Y)
    assert seen[-1][0] is frame


@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64"])
def test_other_dtypes_and_labels(build, dtype):
    labels = np.array([f"digit {digit}" for digit in Y])
    data = (16 * X).astype(dtype)
    classifier = sgd_classifier(
        early_stopping=True, standardize=True, random_state=0, max_iter=30
    ).fit(data, labels)
    assert classifier.score(data, labels) > 0.9
    other = (16 * X_VAL).astype("int16")
    classifier.fit(data, labels, X_val=other, y_val=labels[: len(other)])


def test_in_a_search():
    search = GridSearchCV(
        sgd_classifier(early_stopping=True, random_state=0), {"alpha": [1e-4, 1e-2]}, cv=2
    ).fit(*DIGITS)
    assert search.best_estimator_.best_iter_ >= 1


# --- Bad input ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"X_val": X_VAL}, "given together; got X_val without y_val"),
        ({"y_val": Y_VAL}, "given together; got y_val without X_val"),
        ({"sample_weight_val": 1.0}, "sample_weight_val needs X_val and y_val"),
        ({"X_val": X_VAL[:, :5], "y_val": Y_VAL}, "X_val: X has 5 features, but .* expecting 64"),
        ({"X_val": X_VAL[0], "y_val": Y_VAL}, "X_val: Expected 2D array"),
        ({"X_val": X_VAL * np.nan, "y_val": Y_VAL}, "X_val: X contains NaN"),
        ({"X_val": X_VAL, "y_val": Y_VAL[1:]}, "y_val: Found input variables with inconsistent"),
        ({"X_val": X_VAL, "y_val": Y_VAL + 1}, "y_val holds labels .* among the classes: 10;"),
        (
            {"X_val": X_VAL, "y_val": Y_VAL, "sample_weight_val": np.zeros(150)},
            "sample_weight_val must be above 0 for at least one row",
        ),
        (
            {"X_val": X_VAL, "y_val": Y_VAL, "sample_weight_val": np.ones(3)},
            r"sample_weight_val must have one value .*\(150,\); got shape \(3,\)",
        ),
    ],
)
def test_bad_validation_data_changes_nothing(arguments, message):
    classifier = sgd_classifier(random_state=0).fit(X, Y)
    before = vars(classifier).copy()
    with pytest.raises(ValueError, match=message):
        classifier.fit(X_TRAIN, Y_TRAIN, **arguments)
    assert vars(classifier) == before


@pytest.mark.parametrize("fraction", [5, 0.001, 598, 10**6])
def test_a_fraction_that_leaves_classes_out(fraction):
    classifier = sgd_classifier(early_stopping=True, validation_fraction=fraction)
    with pytest.raises(
        ValueError, match=f"validation_fraction={fraction} of 600 rows can't be set"
    ):
        classifier.fit(X, Y)

"""SoftmaxClassifier as its user meets it: names, copies, predictions, accuracy.

scikit-learn's checks and tools are in test_conformance.py. The arithmetic is tested in
test_training.py, data and weights in test_estimator_data.py, calls that follow one another and
divergence in test_partial_fit.py, bad input in test_bad_input.py.
"""

import os
import pickle
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import sklearn
from digits import DIGITS, assert_same_fit, small_digits
from sgd import sgd_classifier
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.fixes import parse_version

import fastsoftmax

# --- Names and copies -----------------------------------------------------------------------------


def test_public_names():
    assert set(fastsoftmax.__all__) <= set(dir(fastsoftmax))
    for name in fastsoftmax.__all__:
        assert getattr(fastsoftmax, name).__name__ == name
    with pytest.raises(AttributeError, match="nothing_here"):
        fastsoftmax.nothing_here  # noqa: B018


def test_clone_and_pickle(build):
    X, y = small_digits()
    classifier = sgd_classifier(standardize=True, alpha=0.01, random_state=0).fit(X, y)
    assert clone(classifier).get_params() == classifier.get_params()
    again = pickle.loads(pickle.dumps(classifier))
    np.testing.assert_array_equal(again.predict_proba(X), classifier.predict_proba(X))
    again.partial_fit(X, y)
    assert_same_fit(again, classifier.partial_fit(X, y))


def test_fitted_attributes_are_arrays_and_scalars():
    X, y = small_digits()
    classifier = sgd_classifier(standardize=True).fit(X, y).partial_fit(X, y)
    parameters = classifier.get_params()
    for name, value in vars(classifier).items():
        if name == "history_":
            assert all(type(column) is np.ndarray for column in value.values())
        elif name not in parameters:
            assert isinstance(value, np.ndarray | int | float | str), name


# --- Predictions ----------------------------------------------------------------------------------


@pytest.mark.parametrize("n_classes", [2, 4])
@pytest.mark.parametrize("multi_class", ["softmax", "ovr"])
def test_predictions_agree(build, multi_class, n_classes):
    X, y = small_digits(n_classes=n_classes)
    classifier = sgd_classifier(multi_class=multi_class, random_state=0).fit(X, y)
    raw = classifier.decision_function(X)
    np.testing.assert_allclose(
        raw.reshape(len(X), -1), X @ classifier.coef_.T + classifier.intercept_, rtol=1e-12
    )
    probability = classifier.predict_proba(X)
    if n_classes == 2:
        positive = 1 / (1 + np.exp(-raw))
        expected = np.column_stack([1 - positive, positive])
    elif multi_class == "softmax":
        expected = np.exp(raw) / np.exp(raw).sum(axis=1, keepdims=True)
    else:
        sigmoid = 1 / (1 + np.exp(-raw))
        expected = sigmoid / sigmoid.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(probability, expected, rtol=1e-11)
    np.testing.assert_allclose(classifier.predict_log_proba(X), np.log(expected), rtol=1e-10)
    labels = classifier.classes_[probability.argmax(axis=1)]
    np.testing.assert_array_equal(classifier.predict(X), labels)


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("multi_class", ["softmax", "ovr"])
def test_log_probability_of_what_rounds_to_zero(build, multi_class, n_classes):
    X, y = small_digits(n_classes=n_classes)
    classifier = sgd_classifier(multi_class=multi_class, random_state=0).fit(X, y)
    classifier.coef_ = classifier.coef_ * 1e5
    raw = classifier.decision_function(X).reshape(len(X), -1)
    log_probability = classifier.predict_log_proba(X)
    assert log_probability.min() < -1000
    if n_classes == 2:  # log σ(r) is r for very negative r
        expected = np.hstack([np.minimum(-raw, 0), np.minimum(raw, 0)])
    else:
        log_score = raw if multi_class == "softmax" else np.minimum(raw, 0)
        expected = log_score - log_score.max(axis=1, keepdims=True)
    # What is left out are terms of at most log n_classes.
    np.testing.assert_allclose(log_probability, expected, rtol=1e-12, atol=np.log(n_classes) + 1e-9)


# --- Shown to the user ----------------------------------------------------------------------------


def test_verbose_shows_each_epoch(capfd, monkeypatch):
    X, y = small_digits()
    sgd_classifier(verbose=1, max_iter=3).fit(X, y)
    assert "3/3" in capfd.readouterr().err
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    sgd_classifier(verbose=1, max_iter=3).fit(X, y)
    output = capfd.readouterr()
    assert output.out == ""
    lines = output.err.splitlines()
    assert [line.split()[1] for line in lines] == ["1/3", "2/3", "3/3"]
    sgd_classifier(max_iter=3).fit(X, y)
    assert capfd.readouterr() == ("", "")


# --- Accuracy -------------------------------------------------------------------------------------


@cache
def _peer(alpha, binary):
    """scikit-learn's optimum, the same for every build."""
    X, y = small_digits(n_rows=500)
    peer = LogisticRegression(C=1 / (alpha * len(X)), tol=1e-10, max_iter=10_000)
    return peer.fit(X, y > 4 if binary else y)


def test_reaches_the_optimum_of_logistic_regression(build):
    X, y = small_digits(n_rows=500)
    alpha = 0.01
    peer = _peer(alpha, binary=False)
    classifier = sgd_classifier(
        alpha=alpha,
        learning_rate=0.2,
        schedule="cosine",
        batch_size=50,
        max_iter=400,
        tol=None,
        random_state=0,
    ).fit(X, y)

    def objective(model):
        loss = -model.predict_log_proba(X)[np.arange(len(X)), y].mean()
        return loss + alpha / 2 * (model.coef_**2).sum()

    # The objective is flat to second order at its optimum: 1e-5 above it is 3e-3 in the weights.
    assert 0 <= objective(classifier) - objective(peer) + 1e-9 < 1e-5
    np.testing.assert_allclose(classifier.coef_, peer.coef_, rtol=0, atol=0.005)


def test_binary_alpha_means_the_same(build):
    X, y = small_digits(n_rows=500)
    alpha = 0.01
    peer = _peer(alpha, binary=True)
    setting = {"learning_rate": 0.5, "batch_size": 500, "max_iter": 1000, "tol": None}
    for multi_class in ("softmax", "ovr"):
        classifier = sgd_classifier(alpha=alpha, multi_class=multi_class, **setting)
        classifier.fit(X, y > 4)
        np.testing.assert_allclose(classifier.coef_, peer.coef_, rtol=0, atol=1e-4)
        np.testing.assert_allclose(classifier.intercept_, peer.intercept_, rtol=0, atol=1e-4)


@cache
def _split_digits_and_the_peers_accuracy(alpha):
    X, X_test, y, y_test = train_test_split(
        *DIGITS, test_size=0.3, stratify=DIGITS[1], random_state=0
    )
    peer = LogisticRegression(C=1 / (alpha * len(X)), max_iter=1000)
    expected = make_pipeline(StandardScaler(), peer).fit(X, y).score(X_test, y_test)
    return X, X_test, y, y_test, expected


def test_digits_within_a_point_of_logistic_regression(build):
    alpha = 1e-3
    X, X_test, y, y_test, expected = _split_digits_and_the_peers_accuracy(alpha)
    for solver in ("sgd", "adagrad"):
        classifier = sgd_classifier(
            alpha=alpha,
            standardize=True,
            max_iter=50,
            solver=solver,
            learning_rate=0.02 if solver == "sgd" else 0.1,
            random_state=0,
        ).fit(X, y)
        assert classifier.score(X_test, y_test) > expected - 0.01


@pytest.mark.skipif("FASTSOFTMAX_DATA" not in os.environ, reason="FASTSOFTMAX_DATA is not set")
def test_mnist():
    data = np.load(Path(os.environ["FASTSOFTMAX_DATA"]) / "mnist.npz")
    X, X_test = (
        data[name].reshape(len(data[name]), -1).astype(np.float32) / 255 for name in ("X", "X_test")
    )
    for standardize in (False, True):
        classifier = sgd_classifier(max_iter=10, standardize=standardize, random_state=0)
        assert classifier.fit(X, data["y"]).score(X_test, data["y_test"]) >= 0.92


def test_score_is_scikit_learn_s_accuracy():
    X, y = small_digits(150)
    for labels in (y, y.astype(np.uint8), y.astype(str), y % 2 == 1, y.astype(float), y.tolist()):
        classifier = fastsoftmax.SoftmaxClassifier(max_iter=5, tol=None).fit(X, labels)
        wrong = np.roll(labels, 40)
        for given in (labels, wrong, wrong.tolist()):
            accuracy = accuracy_score(given, classifier.predict(X))
            assert classifier.score(X, given) == accuracy
            assert type(classifier.score(X, given)) is float
        weight = np.arange(150.0)
        accuracy = accuracy_score(wrong, classifier.predict(X), sample_weight=weight)
        assert classifier.score(X, wrong, sample_weight=weight) == accuracy
    numbers = fastsoftmax.SoftmaxClassifier(max_iter=5, tol=None).fit(X, y)
    assert numbers.score(X, y % 2 == 1) == accuracy_score(y % 2 == 1, numbers.predict(X))
    if parse_version(sklearn.__version__) < parse_version("1.9"):  # no text equals a number
        assert numbers.score(X, y.astype(str)) == 0
    else:
        with pytest.raises(ValueError, match="Mix of label input types"):
            numbers.score(X, y.astype(str))
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        numbers.score(X, y[:-1])
    with pytest.raises(ValueError, match="can't handle a mix"):
        numbers.score(X, np.eye(10, dtype=int)[y])

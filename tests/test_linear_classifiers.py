"""What users of LogisticRegression and SGDClassifier rely on, one behaviour a test.

Written from what scikit-learn's own tests of these two check, as far as it applies: no L1, no
one-class SVM. docs/scikit-learn.md lists the features and names the tests, here and elsewhere.
"""

import re
from pathlib import Path

import numpy as np
import pytest
import sklearn
from digits import assert_same_fit, parameters_of, small_digits
from sgd import sgd_classifier
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV, calibration_curve
from sklearn.datasets import load_iris, make_blobs, make_classification
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss, log_loss
from sklearn.model_selection import KFold
from sklearn.preprocessing import StandardScaler
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.fixes import parse_version

from fastsoftmax import SoftmaxClassifier

IRIS, SPECIES = load_iris(return_X_y=True)

#: Two points a class, on a line through the origin.
LINE = np.array([[-1.0, 0], [0, 1], [1, 1]])

#: An objective that is flat to second order: 1e-14 above it is about 1e-6 in the weights.
TO_THE_OPTIMUM = {"tol": 1e-14}

# --- Tiny problems --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("y", "labels"),
    [
        ([0, 1, 1], [0, 1]),
        (["b", "a", "a"], ["a", "b"]),
        ([-1, 1, 1], [-1, 1]),
        ([0, 1, 2], [0, 1, 2]),
        ([-2, 7, 7], [-2, 7]),
        ([True, False, False], [False, True]),
    ],
)
def test_three_points(build, y, labels):
    model = SoftmaxClassifier().fit(LINE, y)
    assert model.classes_.tolist() == labels
    assert model.predict(LINE).tolist() == list(y)
    probability = model.predict_proba(LINE)
    assert probability.shape == (3, len(labels))
    np.testing.assert_allclose(probability.sum(axis=1), 1, rtol=1e-12)
    assert model.classes_[probability.argmax(axis=1)].tolist() == list(y)
    n_rows = 1 if len(labels) == 2 else 3
    assert model.coef_.shape == (n_rows, 2)
    assert model.intercept_.shape == (n_rows,)
    assert model.decision_function(LINE).shape == ((3,) if n_rows == 1 else (3, 3))


def test_one_feature_and_one_row_to_predict(build):
    x = np.linspace(-1, 1, 20)[:, None]
    model = SoftmaxClassifier().fit(x, x[:, 0] > 0)
    assert model.coef_.shape == (1, 1)
    assert model.predict(x[-1:]).tolist() == [True]
    assert model.predict_proba(x[:1]).shape == (1, 2)


@pytest.mark.parametrize("solver", ["auto", "lbfgs", "sgd", "adagrad"])
@pytest.mark.parametrize("multi_class", ["softmax", "ovr"])
def test_iris(build, multi_class, solver):
    names = load_iris().target_names[SPECIES]
    setting = {"multi_class": multi_class, "standardize": True, "random_state": 0}
    if solver in ("sgd", "adagrad"):
        setting |= {"batch_size": 32, "max_iter": 200, "tol": None}
        setting |= {"learning_rate": 0.1 if solver == "sgd" else 0.5}
    model = SoftmaxClassifier(solver=solver, **setting).fit(IRIS, names)
    assert model.score(IRIS, names) > 0.95
    probability = model.predict_proba(IRIS)
    np.testing.assert_allclose(probability.sum(axis=1), 1, rtol=1e-12)
    np.testing.assert_array_equal(model.classes_[probability.argmax(axis=1)], model.predict(IRIS))


def test_coefficients_may_be_written_to(build):
    model = SoftmaxClassifier().fit(IRIS, SPECIES)
    model.coef_[:] = 0
    model.intercept_[:] = [0, 2, 1]
    np.testing.assert_array_equal(model.decision_function(IRIS), np.tile([0, 2, 1], (150, 1)))
    assert set(model.predict(IRIS)) == {1}


def test_raw_predictions_of_a_thousand_and_more(build):
    model = SoftmaxClassifier().fit(IRIS, SPECIES)
    model.coef_ *= 1e6
    probability, log_probability = model.predict_proba(IRIS), model.predict_log_proba(IRIS)
    assert np.isfinite(probability).all()
    assert np.isfinite(log_probability).all()
    np.testing.assert_allclose(probability.sum(axis=1), 1, rtol=1e-12)


# --- The optimum ----------------------------------------------------------------------------------


def _peer(alpha, n_rows, **setting):
    return LogisticRegression(C=1 / (alpha * n_rows), tol=1e-12, max_iter=10_000, **setting)


@pytest.fixture(scope="module")
def pair():
    """Data with noise in the labels, and both libraries' models at the same optimum."""
    X, y = make_classification(
        1000, 10, n_informative=6, n_classes=3, flip_y=0.1, class_sep=0.7, random_state=0
    )
    X = StandardScaler().fit_transform(X)
    pairs = {}
    for n_classes in (2, 3):
        labels = y if n_classes == 3 else (y > 0).astype(int)
        ours = SoftmaxClassifier(alpha=0.01, **TO_THE_OPTIMUM).fit(X, labels)
        pairs[n_classes] = X, labels, ours, _peer(0.01, 1000).fit(X, labels)
    return pairs


@pytest.mark.parametrize("n_classes", [2, 3])
def test_same_probabilities_as_logistic_regression(pair, n_classes):
    X, _, ours, peer = pair[n_classes]
    np.testing.assert_allclose(ours.coef_, peer.coef_, rtol=0, atol=1e-5)
    np.testing.assert_allclose(ours.predict_proba(X), peer.predict_proba(X), atol=1e-5)
    np.testing.assert_allclose(ours.predict_log_proba(X), peer.predict_log_proba(X), atol=1e-4)
    np.testing.assert_array_equal(ours.predict(X), peer.predict(X))


@pytest.mark.parametrize("n_classes", [2, 3])
def test_same_log_loss_as_logistic_regression(pair, n_classes):
    X, y, ours, peer = pair[n_classes]
    loss = log_loss(y, ours.predict_proba(X))
    np.testing.assert_allclose(loss, log_loss(y, peer.predict_proba(X)), rtol=1e-6)
    np.testing.assert_allclose(loss, ours.history_["loss"][-1], rtol=1e-6)


@pytest.mark.parametrize("strategy", ["uniform", "quantile"])
def test_same_calibration_curve_as_logistic_regression(pair, strategy):
    X, y, ours, peer = pair[2]
    curves = [
        calibration_curve(y, model.predict_proba(X)[:, 1], n_bins=8, strategy=strategy)
        for model in (ours, peer)
    ]
    for mine, theirs in zip(*curves, strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-5)
    # At the optimum the mean probability is the share of the class: the intercept sees to that.
    np.testing.assert_allclose(ours.predict_proba(X)[:, 1].mean(), y.mean(), rtol=1e-8)
    brier = [brier_score_loss(y, model.predict_proba(X)[:, 1]) for model in (ours, peer)]
    np.testing.assert_allclose(*brier, rtol=1e-5)


CALIBRATIONS = ["sigmoid", "isotonic"]
if parse_version(sklearn.__version__) >= parse_version("1.8"):
    CALIBRATIONS.append("temperature")


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("method", CALIBRATIONS)
def test_calibrated_as_logistic_regression(pair, method, n_classes):
    X, y, ours, peer = pair[n_classes]
    peer = clone(peer).set_params(C=1 / (0.01 * 666))  # of rows in two folds of three
    probability = [
        CalibratedClassifierCV(model, method=method, cv=KFold(3)).fit(X[:999], y[:999])
        for model in (clone(ours), peer)
    ]
    probability = [model.predict_proba(X) for model in probability]
    np.testing.assert_allclose(*probability, rtol=0, atol=2e-5)
    losses = [log_loss(y, p.clip(1e-9, 1)) for p in probability]
    np.testing.assert_allclose(*losses, rtol=1e-6)


def test_class_rows_sum_to_zero(pair):
    # The penalty leaves one solution of the many that softmax has.
    _, _, ours, _ = pair[3]
    np.testing.assert_allclose(ours.coef_.sum(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(ours.intercept_.sum(), 0, atol=1e-9)  # no penalty holds it


def test_softmax_has_a_lower_log_loss_than_one_vs_rest(pair):
    X, y, ours, _ = pair[3]
    ovr = clone(ours).set_params(multi_class="ovr").fit(X, y)
    assert log_loss(y, ours.predict_proba(X)) < log_loss(y, ovr.predict_proba(X))


@pytest.mark.parametrize("class_weight", [{0: 1, 1: 4, 2: 0.5}, "balanced"], ids=str)
def test_weighted_optimum_is_that_of_logistic_regression(class_weight):
    kept = np.r_[0:20, 50:150]
    X, y = StandardScaler().fit_transform(IRIS)[kept], SPECIES[kept]
    weight = np.random.default_rng(0).integers(0, 4, size=len(y)).astype(float)
    if class_weight == "balanced":  # the peer's counts rows, ours their weights
        by_class = weight.sum() / (3 * np.bincount(y, weights=weight))
        peer_weight = dict(enumerate(by_class))
    else:
        peer_weight = class_weight
    total = (weight * np.array([peer_weight[label] for label in range(3)])[y]).sum()
    peer = _peer(0.05, total, class_weight=peer_weight).fit(X, y, sample_weight=weight)
    ours = SoftmaxClassifier(alpha=0.05, class_weight=class_weight, **TO_THE_OPTIMUM)
    ours.fit(X, y, sample_weight=weight)
    np.testing.assert_allclose(parameters_of(ours), parameters_of(peer), rtol=0, atol=1e-5)


def test_without_intercept_as_logistic_regression():
    X, y = IRIS - IRIS.mean(axis=0), SPECIES
    ours = SoftmaxClassifier(alpha=0.05, fit_intercept=False, **TO_THE_OPTIMUM).fit(X, y)
    peer = _peer(0.05, 150, fit_intercept=False).fit(X, y)
    np.testing.assert_allclose(ours.coef_, peer.coef_, rtol=0, atol=1e-5)
    np.testing.assert_array_equal(ours.intercept_, 0)


def test_a_stronger_penalty_shrinks():
    norms = [
        np.linalg.norm(SoftmaxClassifier(alpha=alpha).fit(IRIS, SPECIES).coef_)
        for alpha in (1e-4, 1e-2, 1, 10)
    ]
    assert norms == sorted(norms, reverse=True)
    assert norms[-1] < 0.1 * norms[0]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_very_strong_penalty_leaves_nothing():
    X, y = StandardScaler().fit_transform(IRIS), SPECIES
    model = SoftmaxClassifier(alpha=1e5, max_iter=100, random_state=0).fit(X, y)
    np.testing.assert_allclose(model.coef_, 0, atol=1e-4)


# --- Weights of rows and classes ------------------------------------------------------------------


def test_class_weight_is_a_weight_of_its_rows(build):
    by_class = {0: 3.0, 1: 0.5, 2: 1.0}
    one = SoftmaxClassifier(class_weight=by_class, random_state=0).fit(IRIS, SPECIES)
    weight = np.array([3.0, 0.5, 1.0])[SPECIES]
    other = SoftmaxClassifier(random_state=0).fit(IRIS, SPECIES, sample_weight=weight)
    assert_same_fit(one, other)


def test_balanced_is_scikit_learns_balanced():
    X, y = IRIS[20:], SPECIES[20:]
    by_class = compute_class_weight("balanced", classes=np.unique(y), y=y)
    one = SoftmaxClassifier(class_weight="balanced", random_state=0).fit(X, y)
    other = SoftmaxClassifier(class_weight=dict(enumerate(by_class)), random_state=0).fit(X, y)
    assert_same_fit(one, other, rtol=1e-9)


def test_equal_class_weights_change_nothing(build):
    plain = SoftmaxClassifier(random_state=0).fit(IRIS, SPECIES)
    equal = SoftmaxClassifier(class_weight=dict.fromkeys(range(3), 0.5), random_state=0)
    assert_same_fit(equal.fit(IRIS, SPECIES), plain)


def test_balancing_helps_the_rare_class():
    X, y = make_blobs([900, 30], 2, centers=[[0, 0], [1.5, 1.5]], random_state=0)
    recall = {}
    for how in (None, "balanced"):
        model = SoftmaxClassifier(class_weight=how, random_state=0).fit(X, y)
        recall[how] = (model.predict(X) == 1)[y == 1].mean()
    assert recall["balanced"] >= 0.8 > recall[None]


def test_weights_move_the_boundary():
    X = np.array([[-1.0, -1], [-1, 0], [-0.8, -1], [1, 1], [1, 0]])
    y = [1, 1, 1, -1, -1]
    point = [[0.2, -1.0]]
    setting = {"alpha": 0.1}
    light = SoftmaxClassifier(**setting).fit(X, y)
    heavy = SoftmaxClassifier(**setting).fit(X, y, sample_weight=[0.001] * 3 + [1] * 2)
    assert light.predict(point).tolist() == [1]
    assert heavy.predict(point).tolist() == [-1]


def test_string_labels_in_class_weight():
    y = np.array(["a", "b", "c"])[SPECIES]
    one = SoftmaxClassifier(class_weight={"a": 1, "b": 2, "c": 3}, random_state=0).fit(IRIS, y)
    other = SoftmaxClassifier(class_weight={0: 1, 1: 2, 2: 3}, random_state=0).fit(IRIS, SPECIES)
    assert_same_fit(one, other)


# --- Epochs ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_epochs", [1, 2, 7])
def test_max_iter_is_kept_to(n_epochs):
    model = sgd_classifier(max_iter=n_epochs, tol=None).fit(IRIS, SPECIES)
    assert model.n_iter_ == n_epochs


def test_a_larger_tol_stops_sooner():
    n_iter = [
        sgd_classifier(tol=tol, max_iter=500, random_state=0).fit(IRIS, SPECIES).n_iter_
        for tol in (1e-6, 1e-3, 1e-1)
    ]
    assert n_iter == sorted(n_iter, reverse=True)
    assert n_iter[0] > n_iter[2]


def test_more_patience_stops_later():
    n_iter = [
        sgd_classifier(tol=1e-2, n_iter_no_change=n, max_iter=500, random_state=0)
        .fit(IRIS, SPECIES)
        .n_iter_
        for n in (1, 5, 20)
    ]
    assert n_iter == sorted(n_iter)
    assert n_iter[0] < n_iter[2]


def test_a_warm_start_begins_where_the_last_fit_ended():
    cold = sgd_classifier(max_iter=30, tol=None, random_state=0).fit(IRIS, SPECIES)
    warm = clone(cold).set_params(warm_start=True, max_iter=1)
    warm.fit(IRIS, SPECIES)
    first = warm.loss_curve_[0]
    for _ in range(10):
        warm.fit(IRIS, SPECIES)
    assert warm.loss_curve_[0] < first
    with pytest.raises(ValueError, match="warm_start=True needs the classes"):
        warm.fit(IRIS[:100], SPECIES[:100])


def test_partial_fit_in_one_piece_is_an_epoch_of_fit(build):
    X, y = small_digits()
    fit = sgd_classifier(max_iter=1, random_state=0).fit(X, y)
    partial = sgd_classifier(random_state=0).partial_fit(X, y, np.unique(y))
    assert_same_fit(partial, fit)


def test_classes_that_come_late():
    X, y = small_digits(n_classes=3)
    model = sgd_classifier(random_state=0).partial_fit(X[y < 2], y[y < 2], classes=[0, 1, 2])
    assert model.predict_proba(X).shape == (len(X), 3)
    for _ in range(20):
        model.partial_fit(X, y)
    assert set(model.predict(X)) == {0, 1, 2}


def test_large_values_do_not_overflow():
    # SGDClassifier raises here; LogisticRegression warns.
    X, y = 1e8 * IRIS, SPECIES
    with pytest.warns(UserWarning, match="the learning rate was halved"):
        model = sgd_classifier(random_state=0).fit(X, y)
    assert np.isfinite(parameters_of(model)).all()
    assert model.score(X, y) > 0.6


def test_float32_is_near_float64():
    X, y = small_digits()
    wide = sgd_classifier(random_state=0).fit(X, y)
    narrow = sgd_classifier(random_state=0).fit(X.astype(np.float32), y)
    assert narrow.coef_.dtype == np.float32
    np.testing.assert_allclose(narrow.coef_, wide.coef_, rtol=0, atol=1e-5)


# --- The table ------------------------------------------------------------------------------------


def test_each_row_of_the_table_has_its_tests():
    root = Path(__file__).parent.parent
    text = (root / "docs" / "scikit-learn.md").read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert len(rows) > 30
    for row in rows:
        links = re.findall(r"\[`(\w+)`\]\(\.\./tests/(\w+\.py)\)", row)
        assert links or row.startswith("| feature"), row
        for name, file in links:
            source = (root / "tests" / file).read_text(encoding="utf-8")
            assert f"def {name}(" in source, (name, file)

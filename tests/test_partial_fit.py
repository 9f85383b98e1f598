"""Calls that go on from earlier ones (partial_fit, warm_start), starting points, divergence.

The order of events in a rollback is tested in test_training.py.
"""

import warnings
from itertools import cycle, product

import numpy as np
import pytest
from digits import DIGITS, assert_same_fit, parameters_of, small_digits
from pairs import BUILDS
from sgd import sgd_classifier
from sklearn.exceptions import ConvergenceWarning

# --- Going on -------------------------------------------------------------------------------------


@pytest.mark.parametrize("solver", ["sgd", "adagrad"])
@pytest.mark.parametrize("standardize", [False, True])
def test_partial_fit_goes_on_where_it_was(build, standardize, solver):
    X, y = small_digits()
    weight = np.random.default_rng(0).exponential(size=len(X))
    setting = {"standardize": standardize, "solver": solver, "shuffle": False, "tol": None}
    setting |= {"schedule": "inverse_time"}
    whole = sgd_classifier(max_iter=4, **setting).fit(X, y, weight)
    parts = sgd_classifier(**setting).partial_fit(X, y, np.unique(y), weight)
    for _ in range(3):
        parts.partial_fit(X, y, sample_weight=weight)
    # The same but for the change of units at each call.
    assert_same_fit(parts, whole, rtol=1e-12)
    np.testing.assert_allclose(parts.loss_curve_, whole.loss_curve_, rtol=1e-12)
    assert parts.n_iter_ == 4


def test_partial_fit_over_chunks(build):
    X, y = DIGITS
    X = X + np.arange(64)
    weight = np.random.default_rng(0).exponential(size=len(X))
    chunks = np.array_split(np.arange(len(X)), 9)
    for weights in (None, weight):
        classifier = sgd_classifier(standardize="sample", random_state=0)
        for _ in range(8):
            for chunk in chunks:
                part = None if weights is None else weights[chunk]
                classifier.partial_fit(X[chunk], y[chunk], range(10), part)
        whole = sgd_classifier(standardize="sample", max_iter=8, random_state=0)
        whole.fit(X, y, sample_weight=weights)
        np.testing.assert_allclose(classifier.mean_, whole.mean_, rtol=1e-12)
        assert abs(classifier.score(X, y) - whole.score(X, y)) < 0.01
        # Eight times each row, so that only the divisor Σs − 1 differs: 1 in 1797 at most.
        np.testing.assert_allclose(classifier.scale_, whole.scale_, rtol=1e-3)


def test_partial_fit_keeps_the_function_when_the_statistics_move():
    # A learning rate of next to nothing: whatever changes came from the change of units.
    X, y = small_digits()
    classifier = sgd_classifier(standardize=True, momentum=0, alpha=0, random_state=0).fit(X, y)
    before = classifier.decision_function(X)
    classifier.set_params(learning_rate=1e-300).partial_fit(5 * X + 3, y)
    assert np.abs(classifier.mean_ - X.mean(axis=0)).max() > 1
    np.testing.assert_allclose(classifier.decision_function(X), before, rtol=1e-12, atol=1e-12)


def test_partial_fit_divides_by_the_mean_weight_so_far(build):
    X, y = small_digits(n_rows=100)
    setting = {"shuffle": False, "batch_size": 100, "momentum": 0, "alpha": 0}
    classifier = sgd_classifier(**setting).partial_fit(X, y, range(10), sample_weight=2.0)
    before = classifier.coef_
    classifier.partial_fit(X, y, sample_weight=4.0)  # mean so far 3: a step 4/3 as long
    heavy = classifier.coef_ - before
    plain = sgd_classifier(**setting).partial_fit(X, y, range(10))
    np.testing.assert_array_equal(plain.coef_, before)
    plain.partial_fit(X, y)
    step = plain.coef_ - before
    np.testing.assert_allclose(heavy, 4 / 3 * step, rtol=1e-9, atol=1e-15)
    light = sgd_classifier(**setting).partial_fit(X, y, range(10), sample_weight=3.0)
    light.partial_fit(X, y)  # no weights are weights of 1, and the mean so far is 2
    np.testing.assert_allclose(light.coef_ - before, step / 2, rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize("weighted", [False, True])
def test_partial_fit_balances_by_the_counts_so_far(build, weighted):
    X, y = small_digits(n_classes=3)
    kept = np.flatnonzero((y > 0) | (np.arange(len(y)) % 4 == 0))
    X, y = X[kept], y[kept]
    weight = np.random.default_rng(0).exponential(size=len(X)) if weighted else np.ones(len(X))
    setting = {"momentum": 0, "alpha": 0, "batch_size": 10**6, "learning_rate": 0.1}
    classifier = sgd_classifier(class_weight="balanced", **setting)
    coef, probability, seen = np.zeros((3, 64)), np.full((len(X), 3), 1 / 3), []
    for chunk in np.array_split(np.arange(len(X)), 4):
        classifier.partial_fit(X[chunk], y[chunk], range(3), sample_weight=weight[chunk])
        seen = np.append(seen, chunk).astype(int)
        total = np.bincount(y[seen], weights=weight[seen])
        by_class = total.sum() / (3 * total)
        # One step by hand, with weights of mean 1 over all rows so far.
        scaled = weight * by_class[y] / (total.sum() / len(seen))
        gradient = (probability - np.eye(3)[y])[chunk].T @ (scaled[:, None] * X)[chunk] / len(chunk)
        coef -= 0.1 * gradient
        np.testing.assert_allclose(classifier.coef_, coef, rtol=0, atol=1e-13)
        probability = classifier.predict_proba(X)


def test_partial_fit_balances_a_class_once_it_comes():
    X, y = small_digits(n_classes=3)
    classifier = sgd_classifier(class_weight="balanced", random_state=0)
    for digit in (0, 1, 2, 1, 0):
        classifier.partial_fit(X[y == digit], y[y == digit], range(3))
        assert np.isfinite(parameters_of(classifier)).all()
    for _ in range(10):
        classifier.partial_fit(X, y)
    assert classifier.score(X, y) > 0.9


def test_a_class_that_has_not_come_weighs_on_no_other():
    # Two classes as frequent as each other are balanced as they are, whatever is to come.
    X, y = small_digits(n_classes=2)
    kept = np.sort(np.concatenate([np.flatnonzero(y == digit)[:100] for digit in (0, 1)]))
    balanced, plain = (
        sgd_classifier(class_weight=weight, random_state=0).partial_fit(X[kept], y[kept], range(3))
        for weight in ("balanced", None)
    )
    assert_same_fit(balanced, plain)


def test_class_weight_may_become_balanced():
    # The counts are kept whatever class_weight is, so that it may change between two calls.
    X, y = small_digits(n_classes=3)
    setting = {"momentum": 0, "random_state": 0}
    switched = sgd_classifier(**setting).partial_fit(X[:50], y[:50], range(3))
    switched.set_params(class_weight="balanced").partial_fit(X[50:], y[50:])
    always = sgd_classifier(class_weight="balanced", **setting)
    always.partial_fit(X[:50], y[:50], range(3)).partial_fit(X[50:], y[50:])
    np.testing.assert_array_equal(switched._class_total, always._class_total)
    np.testing.assert_array_equal(switched._class_total, np.bincount(y))


@pytest.mark.parametrize("setting", [{}, {"standardize": True}, {"standardize": "sample"}], ids=str)
@pytest.mark.parametrize("class_weight", [None, "balanced", {0: 2, 1: 1, 2: 1}], ids=str)
def test_batches_without_weight_are_harmless(build, class_weight, setting):
    X, y = small_digits(n_classes=3)
    zeros = np.zeros(len(X))
    setting = {"class_weight": class_weight, "random_state": 0, **setting}
    setting |= {"schedule": "inverse_time"}
    classifier = sgd_classifier(**setting)
    classifier.partial_fit(1e3 * X, y, range(3), sample_weight=zeros)
    assert classifier.n_iter_ == 0
    np.testing.assert_array_equal(parameters_of(classifier), 0)
    np.testing.assert_allclose(classifier.predict_proba(X), 1 / 3, rtol=1e-12)
    classifier.partial_fit(X, y).partial_fit(-X, y, sample_weight=0.0).partial_fit(X, y)
    expected = sgd_classifier(**setting).partial_fit(X, y, range(3)).partial_fit(X, y)
    assert_same_fit(classifier, expected)
    np.testing.assert_array_equal(classifier.loss_curve_, expected.loss_curve_)


def test_rows_of_a_class_without_weight_are_harmless():
    X, y = small_digits(n_classes=3)
    classifier = sgd_classifier(class_weight={0: 0, 1: 1, 2: 1}, random_state=0)
    classifier.partial_fit(X, y, range(3))
    before = parameters_of(classifier)
    classifier.partial_fit(X[y == 0], y[y == 0])
    np.testing.assert_array_equal(parameters_of(classifier), before)


def test_partial_fit_of_another_dtype(build):
    X, y = small_digits()
    classifier = sgd_classifier(random_state=0).partial_fit(X.astype("f4"), y, range(10))
    classifier.partial_fit(X, y)
    expected = sgd_classifier(random_state=0).partial_fit(X.astype("f4"), y, range(10))
    expected.partial_fit(X.astype("f4"), y)
    assert classifier.coef_.dtype == np.float32
    assert_same_fit(classifier, expected)  # sixteenths are exact in float32


def test_partial_fit_with_another_optimiser_starts_its_state_anew(build):
    X, y = small_digits()
    classifier = sgd_classifier(random_state=0).fit(X, y)
    classifier.set_params(solver="adagrad").partial_fit(X, y)
    assert (classifier._coef_state >= 0).all()
    assert classifier.score(X, y) > 0.9


@pytest.mark.parametrize("standardize", [False, True])
def test_warm_start(build, standardize):
    X, y = small_digits()
    setting = {"standardize": standardize, "momentum": 0, "shuffle": False, "tol": None}
    cold = sgd_classifier(max_iter=6, **setting).fit(X, y)
    warm = sgd_classifier(max_iter=3, warm_start=True, **setting).fit(X, y).fit(X, y)
    assert_same_fit(warm, cold, rtol=1e-12)  # plain descent remembers nothing but the weights
    assert warm.n_iter_ == 3
    np.testing.assert_allclose(warm.loss_curve_, cold.loss_curve_[3:], rtol=1e-12)


def test_random_state_and_shuffle(build):
    X, y = small_digits()
    one, same, other = (sgd_classifier(random_state=seed).fit(X, y) for seed in (0, 0, 1))
    assert_same_fit(one, same)
    assert np.abs(parameters_of(one) - parameters_of(other)).max() > 0
    ordered = [sgd_classifier(random_state=seed, shuffle=False).fit(X, y) for seed in (0, 1)]
    assert_same_fit(*ordered)


def test_weight_init(build):
    X, y = small_digits(n_rows=1000)
    setting = {"learning_rate": 1e-300, "momentum": 0, "alpha": 0, "max_iter": 1, "random_state": 0}
    normal = sgd_classifier(weight_init="normal", init_scale=0.5, **setting).fit(X, y)
    # 640 draws: the standard deviation of their standard deviation is 0.5 / √1280 = 0.014.
    assert 0.45 < normal.coef_.std() < 0.55
    assert abs(normal.coef_.mean()) < 0.1
    np.testing.assert_allclose(normal.intercept_, 0, atol=1e-200)
    zeros = sgd_classifier(weight_init="zeros", **setting).fit(X, y)
    np.testing.assert_allclose(zeros.coef_, 0, atol=1e-200)


# --- Divergence -----------------------------------------------------------------------------------

WILD = [
    {"learning_rate": 1e6},
    {"learning_rate": 1e3},
    {"learning_rate": 1e3, "nesterov": True},
    {"learning_rate": 1e3, "momentum": 0},
    {"learning_rate": 1e3, "batch_size": 10**6},
    {"learning_rate": 1e3, "batch_size": 10**6, "momentum": 0, "max_iter": 1},
    {"learning_rate": 1e3, "solver": "adagrad"},
    {"learning_rate": 1e3, "multi_class": "ovr"},
    {"learning_rate": 1e3, "schedule": "cosine"},
    {"learning_rate": 10, "alpha": 10.0},
]
#: Builds and dtypes that take turns at them.
WHERE = list(product(BUILDS, ["float32", "float64"]))


@pytest.mark.parametrize(
    ("build", "dtype", "setting"),
    # What a fit does when a loss is lost is Python's; what a build has to do is to lose it.
    [(*which, setting) for which, setting in zip(cycle(WHERE), 2 * WILD, strict=False)],
    indirect=["build"],
    ids=str,
)
def test_divergence_ends_in_good_weights_and_one_warning(build, setting, dtype):
    X, y = DIGITS
    X = (100 * X).astype(dtype)
    classifier = sgd_classifier(random_state=0, **setting)
    with pytest.warns(ConvergenceWarning, match="halved [0-9]+ times, from") as caught:
        classifier.fit(X, y)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert np.isfinite(parameters_of(classifier)).all()
    assert np.isfinite(classifier.loss_curve_).all()
    assert len(classifier.loss_curve_) == classifier.n_iter_ > 0
    zero = 10 * np.log(2) if "multi_class" in setting else np.log(10)
    assert classifier.loss_curve_.max() <= 3 * zero
    if "alpha" not in setting:
        assert classifier.score(X, y) > (0.6 if classifier.n_iter_ == 1 else 0.8)


def test_divergence_at_once_is_a_fit_at_the_lower_rate(build):
    X, y = DIGITS
    with pytest.warns(ConvergenceWarning):
        wild = sgd_classifier(learning_rate=1000, max_iter=1, random_state=0).fit(X, y)
    tame = sgd_classifier(
        learning_rate=1000 * 0.5**wild._n_halvings, max_iter=1, random_state=0
    ).fit(X, y)
    assert wild._n_halvings > 0
    assert_same_fit(wild, tame)


def test_partial_fit_keeps_the_lower_rate(build):
    X, y = DIGITS
    classifier = sgd_classifier(learning_rate=1000, random_state=0)
    with pytest.warns(ConvergenceWarning, match="from 1e[+]03 to"):
        classifier.partial_fit(X, y, classes=range(10))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(5):
            classifier.partial_fit(X, y)
    assert not any("from 1e+03" in str(warning.message) for warning in caught)
    assert classifier.score(X, y) > 0.85


def test_divergence_warning_as_an_error_comes_after_the_attributes(build):
    X, y = DIGITS
    classifier = sgd_classifier(learning_rate=1e6, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ConvergenceWarning):
            classifier.fit(X, y)
    assert classifier.score(X, y) > 0.8


def test_data_that_no_learning_rate_fits():
    # Gradients of 1e36 and squares of them beyond float32: the weights stay where they were.
    X, y = small_digits(dtype=np.float32)
    classifier = sgd_classifier(solver="adagrad", random_state=0)
    with pytest.warns(ConvergenceWarning, match="given up"):
        classifier.fit(X * np.float32(1e37), y)
    np.testing.assert_array_equal(classifier.coef_, 0)
    assert classifier.n_iter_ == 0

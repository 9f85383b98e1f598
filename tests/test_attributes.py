"""What a user makes of a fitted classifier: attributes set, parameters changed between calls.

A prediction from attributes in any form is that of plain ones; a fit after set_params is that of an
estimator that never had the other parameters.
"""

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression as Peer

from fastsoftmax import LogisticRegression, SoftmaxClassifier, SoftmaxClassifierCV

X, Y = load_iris(return_X_y=True)
METHODS = ("decision_function", "predict", "predict_proba", "predict_log_proba")


def fitted(n_classes=3, **parameters):
    kept = n_classes > Y
    return SoftmaxClassifier(alpha=1e-2, random_state=0, **parameters).fit(X[kept], Y[kept])


def assert_predicts_alike(one, other, rtol=0.0):
    for method in METHODS:
        expected = getattr(other, method)(X)
        np.testing.assert_allclose(getattr(one, method)(X), expected, rtol=rtol, atol=rtol)


# --- Attributes -----------------------------------------------------------------------------------


def unaligned(array):
    memory = np.zeros(array.nbytes + 1, np.uint8)[1:]
    memory[:] = np.frombuffer(array.tobytes(), np.uint8)
    return memory.view(array.dtype).reshape(array.shape)


FORMS = {
    "a list": lambda array: array.tolist(),
    "Fortran order": np.asfortranarray,
    "every second item": lambda array: np.repeat(array, 2, axis=-1)[..., ::2],
    "backwards": lambda array: array[::-1].copy()[::-1],
    "the other byte order": lambda array: array.astype(">f8"),
    "unaligned": unaligned,
    "read-only": lambda array: np.frombuffer(array.tobytes()).reshape(array.shape),
    "long double": lambda array: array.astype(np.longdouble),
    "a subclass of ndarray": lambda array: array.view(np.recarray),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("multi_class", ["softmax", "ovr"])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_attributes_of_any_form(form, multi_class, n_classes):
    expected = fitted(n_classes, multi_class=multi_class)
    for names in (("coef_",), ("intercept_",), ("coef_", "intercept_")):
        classifier = fitted(n_classes, multi_class=multi_class)
        for name in names:
            setattr(classifier, name, FORMS[form](getattr(expected, name)))
        assert_predicts_alike(classifier, expected)
        # Training goes on from them too.
        classifier.set_params(warm_start=True).fit(X[n_classes > Y], Y[n_classes > Y])
        again = clone(expected).set_params(warm_start=True)
        vars(again).update({k: v for k, v in vars(expected).items() if k.endswith("_")})
        again.fit(X[n_classes > Y], Y[n_classes > Y])
        np.testing.assert_array_equal(classifier.coef_, again.coef_)


@pytest.mark.parametrize("dtype", ["float16", "float32", "int64", "bool"])
def test_attributes_of_other_dtypes(dtype):
    classifier, plain = fitted(), fitted()
    classifier.coef_ = (10 * classifier.coef_).astype(dtype)
    plain.coef_ = classifier.coef_.astype("float32" if "float" in dtype else "float64")
    plain.intercept_ = plain.intercept_.astype(plain.coef_.dtype)
    assert_predicts_alike(classifier, plain)
    assert classifier.predict_proba(X).dtype == plain.coef_.dtype


def test_one_number_for_all_intercepts():
    classifier, plain = fitted(), fitted()
    plain.intercept_ = np.zeros(3)
    for zero in (0.0, 0, np.float32(0), np.zeros(1), [0]):
        classifier.intercept_ = zero
        assert_predicts_alike(classifier, plain)


def test_two_rows_for_two_classes_as_scikit_learn_takes_them():
    rng = np.random.default_rng(0)
    classifier = fitted(2)
    classifier.coef_, classifier.intercept_ = rng.normal(size=(2, 4)), rng.normal(size=2)
    peer = Peer().fit(X[Y < 2], Y[Y < 2])
    peer.coef_, peer.intercept_ = classifier.coef_, classifier.intercept_
    assert_predicts_alike(classifier, peer, rtol=1e-12)
    # As a point to begin from they are the difference.
    classifier.set_params(warm_start=True, max_iter=1, tol=None, solver="lbfgs")
    classifier.fit(X[Y < 2], Y[Y < 2])
    assert classifier.coef_.shape == (1, 4)
    one = fitted(2).set_params(**classifier.get_params())
    one.coef_, one.intercept_ = np.diff(peer.coef_, axis=0), np.diff(peer.intercept_)
    np.testing.assert_array_equal(one.fit(X[Y < 2], Y[Y < 2]).coef_, classifier.coef_)


def test_coefficients_of_another_model():
    one, other = fitted(), LogisticRegression().fit(X, Y)
    one.coef_, one.intercept_ = other.coef_, other.intercept_
    assert_predicts_alike(one, other)
    one.coef_ = sparse.csr_array(other.coef_)
    assert_predicts_alike(one, other)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("coef_", np.zeros((2, 4)), r"coef_ must be a matrix of 3 rows for 3 classes; got .*2, 4"),
        ("coef_", np.zeros(4), "coef_ must be a matrix"),
        ("coef_", np.zeros((3, 5)), "coef_ has 5 features and X has 4"),
        ("coef_", [["a"] * 4] * 3, "coef_ must hold numbers"),
        ("coef_", np.zeros((3, 4), complex), "coef_ must hold numbers"),
        ("coef_", None, "coef_ must hold numbers"),
        ("intercept_", np.zeros(2), r"intercept_ must have one value .* 3 rows .*got shape \(2,\)"),
        ("intercept_", np.zeros((3, 1)), "intercept_ must have one value"),
        ("intercept_", "zero", "intercept_ must hold numbers"),
    ],
)
def test_attributes_that_fit_nothing(name, value, message):
    classifier = fitted()
    setattr(classifier, name, value)
    for method in METHODS:
        with pytest.raises(ValueError, match=message):
            getattr(classifier, method)(X)


# --- Parameters changed between calls -------------------------------------------------------------

#: What each change makes of a fit that goes on: the minimum of an estimator that never had the
#: other value. Parameters of the path alone are in the second table.
OF_THE_MINIMUM = [
    ("fit_intercept", True, False),
    ("fit_intercept", False, True),
    ("standardize", False, True),
    ("standardize", True, "sample"),
    ("standardize", True, False),
    ("alpha", 1e-2, 1e-1),
    ("label_smoothing", 0.0, 0.1),
    ("multi_class", "softmax", "ovr"),
    ("multi_class", "ovr", "softmax"),
    ("class_weight", None, {0: 5.0}),
    ("class_weight", "balanced", None),
    ("dtype", "float64", "float32"),
    ("dtype", "float32", "float64"),
]


@pytest.mark.parametrize(("name", "before", "after"), OF_THE_MINIMUM)
@pytest.mark.parametrize("warmed_by", ["fit", "partial_fit"])
def test_a_warm_start_ends_where_a_fresh_fit_does(name, before, after, warmed_by):
    rest = {"alpha": 1e-2, "random_state": 0, "warm_start": True, "tol": 1e-6, **{name: before}}
    classifier = SoftmaxClassifier(**rest)
    if warmed_by == "fit":
        classifier.fit(X, Y)
    else:
        classifier.set_params(solver="sgd").partial_fit(X, Y, classes=[0, 1, 2])
        classifier.set_params(solver="auto")
    classifier.set_params(**{name: after}).fit(X, Y)
    fresh = SoftmaxClassifier(**rest | {name: after, "warm_start": False}).fit(X, Y)
    assert classifier.coef_.dtype == fresh.coef_.dtype
    assert hasattr(classifier, "mean_") == hasattr(fresh, "mean_")
    if name == "fit_intercept" and not after:
        assert not classifier.intercept_.any()
    # Both are within tol of one minimum.
    assert abs(classifier.loss_curve_[-1] - fresh.loss_curve_[-1]) < 4e-6
    # Strongly convex in units in which coef is penalised; both ends may be tol away.
    spread = np.sqrt(2 * 2 * 1e-6 / classifier.alpha)
    scale = getattr(fresh, "scale_", 1.0)
    assert np.linalg.norm((classifier.coef_ - fresh.coef_) * scale) < 2 * spread


def test_the_intercept_goes_when_it_is_not_fitted():
    for estimator in (
        LogisticRegression(warm_start=True),
        SoftmaxClassifier(warm_start=True, random_state=0),
        SoftmaxClassifier(warm_start=True, random_state=0, solver="sgd"),
    ):
        estimator.fit(X, Y)
        assert estimator.intercept_.any()
        assert not estimator.set_params(fit_intercept=False).fit(X, Y).intercept_.any()
        if hasattr(estimator, "partial_fit"):
            estimator.set_params(fit_intercept=True, solver="sgd").partial_fit(X, Y)
            assert estimator.intercept_.any()
            estimator.set_params(fit_intercept=False).partial_fit(X, Y)
            assert not estimator.intercept_.any()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"learning_rate": 1e6}, {"learning_rate": 0.01}),
        ({"learning_rate": 1e6}, {"learning_rate": "auto"}),
        ({"learning_rate": 1e-9}, {"learning_rate": "auto"}),
        ({"batch_size": 1}, {"batch_size": 150}),
        ({"momentum": 0.99}, {"momentum": 0.0}),
        ({"solver": "adagrad"}, {"solver": "sgd"}),
        ({"solver": "sgd"}, {"solver": "adagrad"}),
    ],
)
@pytest.mark.filterwarnings("ignore:training diverged")
def test_a_learning_rate_is_of_the_parameters_that_it_was_chosen_for(before, after):
    classifier = SoftmaxClassifier(**{"solver": "sgd", "random_state": 0, **before})
    for _ in range(3):
        classifier.partial_fit(X, Y, classes=[0, 1, 2])
    parameters = classifier.coef_.copy(), classifier.intercept_.copy()
    classifier.set_params(**after).partial_fit(X, Y)
    fresh = SoftmaxClassifier(**{"solver": "sgd", "random_state": 0, **before, **after})
    fresh.partial_fit(X[:3], Y[[0, 50, 100]], classes=[0, 1, 2])
    fresh.coef_, fresh.intercept_ = parameters
    fresh.set_params(**after).partial_fit(X, Y)
    # The same choice from the same data, whatever was chosen or halved before.
    first = SoftmaxClassifier(**fresh.get_params()).partial_fit(X, Y, classes=[0, 1, 2])
    assert classifier.learning_rate_ == pytest.approx(first.learning_rate_, rel=1e-6)


def test_unchanged_parameters_keep_the_learning_rate_and_its_halvings():
    classifier = SoftmaxClassifier(solver="sgd", learning_rate=1e6, random_state=0)
    with pytest.warns(match="training diverged"):
        classifier.partial_fit(X, Y, classes=[0, 1, 2])
    halvings = classifier._n_halvings
    assert halvings > 0
    classifier.partial_fit(X, Y)  # and diverges no more
    assert classifier._n_halvings == halvings
    with pytest.warns(match="training diverged"):  # another rate has not been halved yet
        classifier.set_params(learning_rate=2e6).partial_fit(X, Y)


# --- Beyond the largest float ---------------------------------------------------------------------

ESTIMATORS = [
    SoftmaxClassifier(),
    SoftmaxClassifier(dtype="float32"),
    SoftmaxClassifier(multi_class="ovr"),
    LogisticRegression(),
    SoftmaxClassifierCV(alphas=[1e-2, 1e-3], cv=2),
]


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=str)
@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("is_sparse", [False, True])
def test_predictions_of_rows_near_the_largest_float(estimator, n_classes, is_sparse):
    kept = n_classes > Y
    classifier = clone(estimator).fit(5 * X[kept], Y[kept])
    large = float(np.finfo(classifier.coef_.dtype).max)
    with np.errstate(over="ignore"):
        rows = np.vstack([X[:2], large * np.sign(np.random.default_rng(0).normal(size=(40, 4)))])
        rows = np.vstack([rows, 0.3 * rows[2:], [[large, 0, 0, 0]], [[0, 0, 0, -large]]])
    given = sparse.csr_array(rows) if is_sparse else rows
    raw = classifier.decision_function(given)
    probability, labels = classifier.predict_proba(given), classifier.predict(given)
    log_probability = classifier.predict_log_proba(given)
    assert np.isfinite(raw).all()
    np.testing.assert_allclose(probability.sum(axis=1), 1, rtol=1e-6)
    assert not np.isnan(log_probability).any()
    # The same in a type that holds them.
    wide = rows.astype(np.longdouble) @ classifier.coef_.astype(np.longdouble).T
    wide += classifier.intercept_
    expected = (wide[:, 0] > 0).astype(int) if wide.shape[1] == 1 else wide.argmax(axis=1)
    np.testing.assert_array_equal(labels, expected)
    if n_classes == 3 and getattr(estimator, "multi_class", "softmax") == "softmax":
        above = np.maximum(wide - wide.max(axis=1, keepdims=True), -800)
        share = np.exp(above.astype(float))
        np.testing.assert_allclose(
            probability, share / share.sum(axis=1, keepdims=True), rtol=1e-4, atol=1e-6
        )
    np.testing.assert_array_equal(probability[:2], classifier.predict_proba(given[:2]))


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_what_is_not_finite_is_still_an_error():
    classifier = fitted()
    for value in (np.nan, np.inf, -np.inf):
        rows = np.vstack([X[:3], [[1e308] * 4], [[0, value, 0, 0]]])
        for method in METHODS:
            with pytest.raises(ValueError, match="X contains"):
                getattr(classifier, method)(rows)

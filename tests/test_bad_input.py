"""Bad input of the estimator: which error, what it says, and that nothing was changed by it."""

import numpy as np
import pytest
import scipy.sparse
from sgd import sgd_classifier
from sklearn.exceptions import NotFittedError

from fastsoftmax import SoftmaxClassifier, kernels
from fastsoftmax.problem import objective

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 4))
Y = np.arange(60) % 3


def _snapshot(estimator):
    """Every attribute, arrays as copies."""
    return {
        name: value.copy() if isinstance(value, np.ndarray) else value
        for name, value in vars(estimator).items()
    }


def _assert_unchanged(estimator, before):
    assert list(vars(estimator)) == list(before)
    for name, value in vars(estimator).items():
        if isinstance(value, np.ndarray):
            assert value.dtype == before[name].dtype
            np.testing.assert_array_equal(value, before[name], err_msg=name)
        else:
            assert value is before[name] or value == before[name], name


def _with(array, index, value):
    array = np.array(array)
    array[index] = value
    return array


# --- Parameters -----------------------------------------------------------------------------------

PARAMETERS = [
    ("solver", "liblinear", "'sgd'"),
    ("multi_class", "multinomial", "'softmax'"),
    ("alpha", -1e-9, r"\[0.0, inf\)"),
    ("alpha", np.nan, r"\[0.0, inf\)"),
    ("alpha", np.inf, r"\[0.0, inf\)"),
    ("label_smoothing", 1.0, r"\[0.0, 1.0\)"),
    ("label_smoothing", -0.1, r"\[0.0, 1.0\)"),
    ("learning_rate", 0, r"\(0.0, inf\)"),
    ("learning_rate", "optimal", r"\(0.0, inf\)"),
    ("schedule", "optimal", "'cosine'"),
    ("decay", -0.1, r"\[0.0, inf\)"),
    ("momentum", 1, r"\[0.0, 1.0\)"),
    ("momentum", -0.1, r"\[0.0, 1.0\)"),
    ("nesterov", 2, "bool"),
    ("batch_size", 0, r"\[1, inf\)"),
    ("batch_size", 1.5, "int"),
    ("max_iter", 0, r"\[1, inf\)"),
    ("tol", -1e-3, r"\[0.0, inf\) or None"),
    ("n_iter_no_change", 0, r"\[1, inf\)"),
    ("early_stopping", "auto", "bool"),
    ("validation_fraction", 0.0, r"\(0.0, 1.0\) or an int in the range \[1, inf\)"),
    ("validation_fraction", 1.0, r"\(0.0, 1.0\)"),
    ("validation_fraction", 0, r"\[1, inf\)"),
    ("scoring", 3, "str"),
    ("scoring", "precise", "'accuracy'"),
    ("standardize", "zscore", "'population', 'sample'|'sample', 'population'"),
    ("weight_init", "ones", "'normal', 'zeros'|'zeros', 'normal'"),
    ("init_scale", -1, r"\[0.0, inf\)"),
    ("fit_intercept", "yes", "bool"),
    ("class_weight", "equal", "'balanced'"),
    ("shuffle", None, "bool"),
    ("random_state", "zero", "RandomState' or None"),
    ("n_jobs", 0, r"\[1, inf\), an int in the range \(-inf, -1\]"),
    ("dtype", "float16", "'float32', 'float64'|'float64', 'float32'"),
    ("warm_start", 3, "bool"),
    ("callbacks", print, "'list', an instance of 'tuple' or None"),
    ("verbose", -1, r"\[0, inf\)"),
]


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize(("name", "value", "allowed"), PARAMETERS)
def test_parameter_out_of_range(name, value, allowed, method):
    classifier = sgd_classifier().fit(X, Y)
    classifier.set_params(**{name: value})
    before = _snapshot(classifier)
    with pytest.raises(ValueError, match=f"'{name}' parameter .*({allowed})") as caught:
        getattr(classifier, method)(X, Y)
    assert repr(value) in str(caught.value)
    assert vars(classifier).keys() == before.keys()
    np.testing.assert_array_equal(classifier.coef_, before["coef_"])


def test_every_parameter_is_checked():
    assert {name for name, _, _ in PARAMETERS} == set(sgd_classifier().get_params())


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"nesterov": True, "momentum": 0}, r"nesterov=True needs momentum in \(0, 1\); got"),
        ({"nesterov": True, "solver": "adagrad"}, "nesterov=True needs solver='sgd'; got.*adagrad"),
        ({"nesterov": True, "solver": "lbfgs"}, "nesterov=True needs solver='sgd'; got.*lbfgs"),
        ({"callbacks": [print, 3]}, "callbacks must hold callables .*; got 3 at position 1"),
    ],
)
def test_parameters_that_contradict(setting, message):
    with pytest.raises(ValueError, match=message):
        sgd_classifier(**setting).fit(X, Y)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"schedule": "linear"}, "schedule='linear' needs a known end"),
        ({"schedule": "cosine"}, "schedule='cosine' needs a known end"),
        ({"early_stopping": True}, "early_stopping=True needs epochs over the same rows"),
    ],
)
def test_what_partial_fit_cannot_do(setting, message):
    classifier = sgd_classifier(**setting)
    before = _snapshot(classifier)
    with pytest.raises(ValueError, match=message):
        classifier.partial_fit(X, Y, classes=[0, 1, 2])
    _assert_unchanged(classifier, before)


# --- Data -----------------------------------------------------------------------------------------

#: X, y, sample_weight, further parameters, exception, message: bad in fit and in partial_fit.
DATA = {
    "1-D X": (X[:, 0], Y, None, {}, ValueError, "Expected 2D array"),
    "3-D X": (X[None], Y, None, {}, ValueError, "dim 3"),
    "no rows": (X[:0], Y[:0], None, {}, ValueError, "minimum of 1 is required"),
    "no features": (X[:, :0], Y, None, {}, ValueError, r"0 feature\(s\)"),
    "lengths": (X, Y[:-1], None, {}, ValueError, "inconsistent numbers of samples"),
    "2-D y": (X, np.eye(3)[Y], None, {}, ValueError, "y should be a 1d array"),
    "NaN in X": (_with(X, (3, 2), np.nan), Y, None, {}, ValueError, "X contains NaN"),
    "inf in X": (_with(X, (3, 2), -np.inf), Y, None, {}, ValueError, "X contains infinity"),
    "NaN in y": (X, _with(Y, 0, 0) * np.nan, None, {}, ValueError, "y contains NaN"),
    "strings in X": (np.full((60, 4), "a"), Y, None, {}, ValueError, "could not convert string"),
    "complex X": (X * 1j, Y, None, {}, ValueError, "Complex data not supported"),
    "sparse X with NaN": (
        scipy.sparse.csr_array(_with(X, (0, 2), np.nan)),
        Y,
        None,
        {},
        ValueError,
        "X contains NaN in row 0, feature 2",
    ),
    "regression": (X, X[:, 0], None, {}, ValueError, "Unknown label type: continuous|not among"),
    "weights too few": (X, Y, np.ones(59), {}, ValueError, r"sample_weight .*\(60,\).*\(59,\)"),
    "weights 2-D": (X, Y, np.ones((60, 1)), {}, ValueError, r"sample_weight .*\(60,\).*\(60, 1\)"),
    "weight < 0": (X, Y, _with(np.ones(60), 7, -0.5), {}, ValueError, "negative.*-0.5 for row 7"),
    "weight NaN": (X, Y, _with(np.ones(60), 7, np.nan), {}, ValueError, "sample_weight .*NaN"),
    "weight inf": (X, Y, _with(np.ones(60), 7, np.inf), {}, ValueError, "sample_weight .*infinity"),
    "weights all 0": (X, Y, np.zeros(60), {}, ValueError, "sample_weight .*above 0.*zeros"),
    "weight 0": (X, Y, 0.0, {}, ValueError, "sample_weight .*above 0.*zeros"),
    "weights overflow": (X, Y, np.full(60, 1e308), {}, ValueError, "sample_weight .*finite sum"),
    "class weight < 0": (
        X,
        Y,
        None,
        {"class_weight": {0: 1, 1: -2, 2: 1}},
        ValueError,
        "class_weight .*got -2 for class 1",
    ),
    "class weight NaN": (
        X,
        Y,
        None,
        {"class_weight": {0: 1, 1: 1, 2: np.nan}},
        ValueError,
        "class_weight .*got nan for class 2",
    ),
    "class weight of others": (
        X,
        Y,
        None,
        {"class_weight": {0: 1, 7: 1}},
        ValueError,
        "not in class_weight",
    ),
    "weights cancel": (
        X,
        Y,
        (Y == 0).astype(float),
        {"class_weight": {0: 0, 1: 1, 2: 1}},
        ValueError,
        "sample_weight times class_weight",
    ),
    "variance overflows": (
        _with(X, (0, 2), 1e300),
        Y,
        None,
        {"standardize": True},
        ValueError,
        "feature 2 of X overflows",
    ),
}


#: Nothing to learn from, which a stream may well bring.
HARMLESS_TO_PARTIAL_FIT = ("weights all 0", "weight 0", "weights cancel")


@pytest.mark.parametrize("fitted", [False, True], ids=["unfitted", "fitted"])
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize("case", DATA)
def test_bad_data_changes_nothing(build, case, method, fitted):
    bad_X, bad_y, weight, setting, error, message = DATA[case]
    classifier = sgd_classifier(random_state=0, **setting)
    if fitted:
        classifier.set_params(class_weight=None).fit(X[:30], Y[:30])
        classifier.set_params(class_weight=setting.get("class_weight"))
    before = _snapshot(classifier)
    classes = {"classes": [0, 1, 2]} if method == "partial_fit" else {}
    if method == "partial_fit" and case in HARMLESS_TO_PARTIAL_FIT:
        getattr(classifier, method)(bad_X, bad_y, sample_weight=weight, **classes)
        assert classifier.n_iter_ == (before["n_iter_"] if fitted else 0)
        return
    with pytest.raises(error, match=message):
        getattr(classifier, method)(bad_X, bad_y, sample_weight=weight, **classes)
    _assert_unchanged(classifier, before)


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_sample_variance_of_less_than_one_row(method):
    classifier = sgd_classifier(standardize="sample")
    before = _snapshot(classifier)
    classes = {"classes": [0, 1, 2]} if method == "partial_fit" else {}
    with pytest.raises(ValueError, match=r"standardize='sample' .*must be above 1; got 0\.98"):
        getattr(classifier, method)(X, Y, sample_weight=1 / 61, **classes)
    _assert_unchanged(classifier, before)


def test_one_class_is_named():
    classifier = sgd_classifier()
    with pytest.raises(ValueError, match="at least 2 classes; y holds only 1 class, 'cat'"):
        classifier.fit(X, np.full(60, "cat"))
    with pytest.raises(ValueError, match="at least 2 classes; classes holds only 1 class, 5"):
        classifier.partial_fit(X, np.full(60, 5), classes=[5])
    with pytest.raises(ValueError, match="at least 2 classes; classes holds no label"):
        classifier.partial_fit(X, Y, classes=[])
    assert not hasattr(classifier, "n_features_in_")


def test_classes_of_partial_fit():
    classifier = sgd_classifier()
    with pytest.raises(ValueError, match="classes must be given in the first call"):
        classifier.partial_fit(X, Y)
    with pytest.raises(ValueError, match=r"not among the classes: 2; the classes are 0, 1$"):
        classifier.partial_fit(X, Y, classes=[0, 1])
    assert not hasattr(classifier, "n_features_in_")
    classifier.partial_fit(X, Y, classes=[2, 1, 0])
    before = _snapshot(classifier)
    with pytest.raises(ValueError, match=r"classes must be None or .* 0, 1, 2; got 0, 1, 2, 3"):
        classifier.partial_fit(X, Y, classes=range(4))
    with pytest.raises(ValueError, match="not among the classes: 8, 9, 10; the classes are 0, 1"):
        classifier.partial_fit(X, Y + 8)
    with pytest.raises(ValueError, match="not among the classes: '0', '1', '2'; the classes are 0"):
        classifier.partial_fit(X, Y.astype(str))
    many = np.arange(60)
    with pytest.raises(ValueError, match=r"5, .* 12 and 47 more; the classes"):
        classifier.partial_fit(X, many)
    _assert_unchanged(classifier, before)


@pytest.mark.parametrize(
    "method", ["partial_fit", "predict", "predict_proba", "predict_log_proba", "decision_function"]
)
def test_another_number_of_features(build, method):
    classifier = sgd_classifier().fit(X, Y)
    before = _snapshot(classifier)
    arguments = (X[:, :3], Y) if method == "partial_fit" else (X[:, :3],)
    with pytest.raises(ValueError, match="X has 3 features, but SoftmaxClassifier is expecting 4"):
        getattr(classifier, method)(*arguments)
    _assert_unchanged(classifier, before)


@pytest.mark.parametrize(
    "method", ["predict", "predict_proba", "predict_log_proba", "decision_function"]
)
def test_bad_data_to_predict(build, method):
    with pytest.raises(NotFittedError):
        getattr(sgd_classifier(), method)(X)
    predict = getattr(sgd_classifier().fit(X, Y), method)
    with pytest.raises(ValueError, match="X contains NaN"):
        predict(_with(X, (0, 0), np.nan))
    with pytest.raises(ValueError, match="Expected 2D array"):
        predict(X[0])
    with pytest.raises(ValueError, match="X contains NaN in row 1, feature 0"):
        predict(scipy.sparse.csr_array(_with(X, (1, 0), np.nan)))
    with pytest.raises(ValueError, match="minimum of 1 is required"):
        predict(X[:0])


def test_warm_start_needs_the_same_problem():
    classifier = sgd_classifier(warm_start=True).fit(X, Y)
    before = _snapshot(classifier)
    with pytest.raises(ValueError, match=r"classes of the last fit, 0, 1, 2; y holds 0, 1$"):
        classifier.fit(X, Y % 2)
    with pytest.raises(ValueError, match="the 4 features of the last fit; X has 3"):
        classifier.fit(X[:, :3], Y)
    _assert_unchanged(classifier, before)


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, MemoryError])
def test_interrupted_training_changes_nothing(monkeypatch, method, interrupt):
    # Ctrl-C during the first epoch: after it, a fit keeps what it has (test_history.py).
    classifier = sgd_classifier(standardize=True, random_state=0).fit(X, Y)
    before = _snapshot(classifier)
    real, calls = objective.Problem.run_epoch, []

    def run_epoch(self, *arguments):
        objective = real(self, *arguments)
        calls.append(self)
        if interrupt is KeyboardInterrupt or method == "partial_fit" or len(calls) == 3:
            raise interrupt
        return objective

    with monkeypatch.context() as patch:
        patch.setattr(objective.Problem, "run_epoch", run_epoch)
        wide = 5 * X[:, :3] if method == "fit" else 5 * X
        with pytest.raises(interrupt):
            getattr(classifier, method)(wide, Y)
    _assert_unchanged(classifier, before)
    expected = sgd_classifier(standardize=True, random_state=0).fit(X, Y).partial_fit(X, Y)
    np.testing.assert_array_equal(classifier.partial_fit(X, Y).coef_, expected.coef_)


def test_input_is_never_written_to(build):
    data, labels, weight = X.copy(), Y.copy(), np.linspace(0, 1, 60)
    classifier = sgd_classifier(standardize=True, class_weight="balanced")
    classifier.fit(data, labels, sample_weight=weight)
    classifier.predict_log_proba(data)
    np.testing.assert_array_equal(data, X)
    np.testing.assert_array_equal(labels, Y)
    np.testing.assert_array_equal(weight, np.linspace(0, 1, 60))


def test_features_too_narrow_for_float32(build):
    # Their z-scores divide by 1e-37, and so must the coefficients: beyond float32.
    tiny = (X * 3e-38).astype(np.float32)
    classifier = sgd_classifier(standardize=True, learning_rate=10, max_iter=50)
    before = _snapshot(classifier)
    with pytest.raises(ValueError, match="overflow float32"):
        classifier.fit(tiny, (X[:, 0] > 0))
    _assert_unchanged(classifier, before)


def test_unknown_build():
    with pytest.raises(ValueError, match=r"name must be one of .*got 'sse'"), kernels.use("sse"):
        pass


def test_parameters_that_passed_once_are_looked_at_where_they_change():
    X, y = np.random.default_rng(0).normal(size=(20, 3)), np.arange(20) % 2
    classifier = SoftmaxClassifier(max_iter=5, tol=None, solver="sgd").fit(X, y).fit(X, y)
    # Values that are equal to what has passed, but of another type.
    for name, wrong in (("batch_size", 128.0), ("nesterov", 0.0), ("max_iter", 5.0)):
        passed = getattr(classifier, name)
        assert passed == wrong
        with pytest.raises(ValueError, match=name):
            classifier.set_params(**{name: wrong}).fit(X, y)
        classifier.set_params(**{name: passed}).fit(X, y)


def test_plain_arrays_are_checked_as_others_are():
    X, y = np.random.default_rng(0).normal(size=(20, 3)), np.arange(20) % 2
    for bad_X, bad_y, message in (
        (X[:0], y[:0], "minimum of 1 is required"),
        (X[:, :0], y, "minimum of 1 is required"),
        (X[0], y, "Expected 2D array"),
        (X, y[:-1], "inconsistent numbers of samples"),
        (X, y[:, None] @ np.ones((1, 2), int), "y should be a 1d array"),
        (X, y + 0.5, "Unknown label type"),
        (np.where(X > 2, np.nan, X) * np.nan, y, "NaN"),
        (X, y * 0, "only 1 class"),
    ):
        with pytest.raises(ValueError, match=message):
            SoftmaxClassifier().fit(bad_X, bad_y)
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X, columns=["a", "b", "c"])
    classifier = SoftmaxClassifier().fit(frame, y)
    assert list(classifier.feature_names_in_) == ["a", "b", "c"]
    classifier.fit(X, y)
    assert not hasattr(classifier, "feature_names_in_")
    assert classifier.n_features_in_ == 3
    for labels in (
        y.tolist(),
        y.astype(str),
        y.astype(bool),
        y.astype(str).astype(object),
        y.astype(float),
    ):
        same = SoftmaxClassifier().fit(X, labels)
        np.testing.assert_array_equal(same.coef_, classifier.coef_)

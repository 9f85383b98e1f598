"""LogisticRegression is scikit-learn's: parameters, coefficients, attributes, checks and errors.

The peer's coefficients are those of its Newton solver, brought as far as float64 goes. How the
fit gets there is tested in test_solver.py.
"""

import inspect
import pickle
import warnings

import numpy as np
import pytest
import sklearn
from digits import DIGITS
from scipy.sparse import csc_matrix, csr_array
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_iris, load_wine
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.linear_model import LogisticRegression as ScikitLearns
from sklearn.linear_model._base import LinearClassifierMixin
from sklearn.model_selection import GridSearchCV
from sklearn.utils.estimator_checks import estimator_checks_generator
from sklearn.utils.fixes import parse_version

from fastsoftmax import LogisticRegression, LogisticRegressionCV, SoftmaxClassifier
from fastsoftmax.optimization import lbfgs, solver


def _drawn(n_classes, n_rows=400, n_features=7):
    """Rows of overlapping classes, so that there is a minimum without penalty too."""
    random = np.random.default_rng(n_classes)
    X = random.normal(size=(n_rows, n_features))
    raw = X @ random.normal(size=(n_features, n_classes)) + random.gumbel(size=(n_rows, n_classes))
    return X, raw.argmax(axis=1)


def _peer(X, y, sample_weight=None, **parameters):
    """scikit-learn's, at its minimum; its newton-cholesky was new in its version 1.2."""
    peer = ScikitLearns(solver="newton-cholesky", tol=1e-12, max_iter=1000, **parameters)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of 1.8: about C=inf
        return peer.fit(X, y, sample_weight)


def _assert_equal(ours, peer, relative):
    """The error of all coefficients, intercepts included, over the size of all."""
    expected = np.hstack([peer.coef_, peer.intercept_[:, None]])
    got = np.hstack([ours.coef_, ours.intercept_[:, None]])
    assert ours.coef_.shape == peer.coef_.shape
    assert ours.intercept_.shape == peer.intercept_.shape
    assert np.linalg.norm(ours.coef_ - peer.coef_) < relative * np.linalg.norm(peer.coef_)
    assert np.linalg.norm(got - expected) < relative * np.linalg.norm(expected)


#: Error that is allowed at the default tol, and at the finest.
TOLERANCES = {1e-4: 1e-3, 1e-12: 1e-6}

# --- Coefficients ---------------------------------------------------------------------------------


@pytest.mark.parametrize("tol", TOLERANCES)
@pytest.mark.parametrize("C", [1e-3, 0.1, 1.0, 100.0, 1e4, 1e6, np.inf])
@pytest.mark.parametrize("n_classes", [2, 4])
def test_any_strength(n_classes, C, tol):
    X, y = _drawn(n_classes)
    ours = LogisticRegression(C=C, tol=tol).fit(X, y)
    _assert_equal(ours, _peer(X, y, C=C), TOLERANCES[tol])


@pytest.mark.parametrize("C", [1e-3, 1.0, 100.0])
@pytest.mark.parametrize("n_classes", [2, 10])
def test_digits(n_classes, C):
    X, y = DIGITS[0][::3], DIGITS[1][::3]  # the peer's steps cost seconds with all rows
    X, y = X[y < n_classes] / 16, y[y < n_classes]
    peer = _peer(X, y, C=C)
    for tol, allowed in TOLERANCES.items():
        ours = LogisticRegression(C=C, tol=tol, max_iter=1000).fit(X, y)
        _assert_equal(ours, peer, allowed)


@pytest.mark.parametrize("tol", TOLERANCES)
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("class_weight", [None, "balanced", {0: 3.0, 1: 0.1}])
@pytest.mark.parametrize("n_classes", [2, 4])
def test_weights_and_intercept(n_classes, class_weight, fit_intercept, tol):
    X, y = _drawn(n_classes)
    weight = np.random.default_rng(0).exponential(size=len(X))
    weight[::7] = 0
    parameters = {"class_weight": class_weight, "fit_intercept": fit_intercept}
    if class_weight == "balanced" and parse_version(sklearn.__version__) < parse_version("1.9"):
        weight = None  # scikit-learn then counted rows where it now sums their weights
    ours = LogisticRegression(tol=tol, **parameters).fit(X, y, weight)
    _assert_equal(ours, _peer(X, y, weight, **parameters), TOLERANCES[tol])
    if not fit_intercept:
        assert not ours.intercept_.any()


@pytest.mark.parametrize("tol", TOLERANCES)
@pytest.mark.parametrize("n_classes", [2, 4])
def test_weight_sum_is_no_mean(n_classes, tol):
    X, y = _drawn(n_classes)
    ours = LogisticRegression(tol=tol).fit(X, y, 100.0)
    _assert_equal(ours, _peer(X, y, C=100.0), TOLERANCES[tol])


@pytest.mark.parametrize("make", [csr_array, csc_matrix])
@pytest.mark.parametrize("n_classes", [2, 4])
def test_sparse(make, n_classes):
    X, y = _drawn(n_classes)
    X[np.abs(X) < 1] = 0
    ours = LogisticRegression(tol=1e-12).fit(make(X), y)
    _assert_equal(ours, _peer(X, y), 1e-6)
    np.testing.assert_array_equal(ours.predict(make(X)), ours.predict(X))


@pytest.mark.parametrize("tol", TOLERANCES)
@pytest.mark.parametrize("n_classes", [2, 4])
def test_features_of_sixteen_orders_of_scale(n_classes, tol):
    X, y = _drawn(n_classes)
    scale = np.logspace(-8, 8, X.shape[1])
    # Of scikit-learn's solvers none gets there: the minimum is that of each feature's own share.
    ours = LogisticRegression(tol=tol).fit(X * scale, y)
    assert ours.converged_
    raw = (X * scale) @ ours.coef_.T + ours.intercept_
    raw = np.hstack([-raw, np.zeros_like(raw)]) if n_classes == 2 else raw
    probability = np.exp(raw - raw.max(axis=1, keepdims=True))
    probability /= probability.sum(axis=1, keepdims=True)
    residual = (probability - np.eye(n_classes)[y])[:, -len(ours.coef_) :]
    # Stationary: W = −C Σ r x, in each feature's own unit.
    off = ours.coef_ + residual.T @ (X * scale)
    size = np.abs(residual).T @ np.abs(X * scale) + np.abs(ours.coef_)
    assert (np.abs(off) / size).max() < 1e-3


def test_float32_rows_are_computed_with_in_float64():
    X, y = _drawn(4)
    X = X.astype(np.float32)
    ours = LogisticRegression(tol=1e-12).fit(X, y)
    assert ours.coef_.dtype == ours.intercept_.dtype == np.float32
    assert ours.predict_proba(X).dtype == np.float32
    _assert_equal(ours, _peer(X.astype(np.float64), y), 1e-6)


@pytest.mark.parametrize("rows", [np.float16, np.float32, np.float64, np.int8, np.int64, list])
@pytest.mark.parametrize("fitted", [np.float32, np.float64])
@pytest.mark.parametrize("n_classes", [2, 4])
def test_predictions_are_of_scikit_learns_dtype(n_classes, fitted, rows):
    X, y = _drawn(n_classes)
    X = np.round(X)
    ours, peer = (cls().fit(X.astype(fitted), y) for cls in (LogisticRegression, ScikitLearns))
    assert ours.coef_.dtype == peer.coef_.dtype == fitted
    given = X.tolist() if rows is list else X.astype(rows)
    for method in ("decision_function", "predict_proba", "predict_log_proba"):
        got, expected = getattr(ours, method)(given), getattr(peer, method)(given)
        assert got.dtype == expected.dtype
    sparse = csr_array(X.astype(rows if rows in (np.float32, np.float64) else np.float64))
    assert ours.predict_proba(sparse).dtype == peer.predict_proba(sparse).dtype


def test_float32_coefficients_meet_float64_rows_in_float64():
    X, y = _drawn(4)
    ours = LogisticRegression().fit(X.astype(np.float32), y)
    raw = X @ ours.coef_.T.astype(np.float64) + ours.intercept_
    np.testing.assert_allclose(ours.decision_function(X), raw, rtol=1e-12)
    X[0, 0] = 1e300  # no float32
    assert np.isfinite(ours.predict_proba(X)).all()
    np.testing.assert_array_equal(ours.predict(X[1:]), ours.classes_[raw[1:].argmax(axis=1)])


@pytest.mark.parametrize("max_iter", [3, 100])
@pytest.mark.parametrize("make", [np.asarray, csr_array])
@pytest.mark.parametrize("n_classes", [2, 4])
def test_weights_are_repetitions(n_classes, make, max_iter):
    X, y = _drawn(n_classes)
    random = np.random.default_rng(0)
    weight = random.integers(0, 4, len(y))
    again = random.permutation(np.repeat(np.arange(len(y)), weight))
    ours = LogisticRegression(max_iter=max_iter)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore" if max_iter == 3 else "error", ConvergenceWarning)
        weighted = clone(ours).fit(make(X), y, weight)
        repeated = clone(ours).fit(make(X[again]), y[again])
    assert weighted.n_iter_ == repeated.n_iter_
    # tol alone would allow 1e-4.
    np.testing.assert_allclose(weighted.coef_, repeated.coef_, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(weighted.intercept_, repeated.intercept_, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("C", [1.0, np.inf])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_classes_sum_to_0(fit_intercept, C):
    X, y = _drawn(4)
    ours = LogisticRegression(C=C, fit_intercept=fit_intercept).fit(X, y)
    np.testing.assert_allclose(ours.coef_.sum(axis=0), 0, atol=1e-13)
    assert abs(ours.intercept_.sum()) < 1e-13


def test_a_second_model_of_the_curvature_saves_passes(monkeypatch, no_newton):
    passes = []
    for first in (8, 10**6):
        monkeypatch.setattr(solver, "FIRST_PASSES", first)
        counts = [
            LogisticRegression(max_iter=1000).fit(*load(return_X_y=True)).n_iter_[0]
            for load in (load_iris, load_wine, load_breast_cancer)
        ]
        passes.append(counts)
    assert (np.array(passes[0]) < np.array(passes[1])).all()
    assert sum(passes[0]) < 0.6 * sum(passes[1])


@pytest.mark.parametrize("solver", ["lbfgs", "newton-cg", "newton-cholesky", "sag", "saga"])
def test_no_solver_nor_thread_makes_a_difference(solver):
    X, y = _drawn(4)
    ours = LogisticRegression(solver=solver, n_jobs=2).fit(X, y)
    np.testing.assert_array_equal(ours.coef_, LogisticRegression(n_jobs=1).fit(X, y).coef_)


# --- Its face -------------------------------------------------------------------------------------


@pytest.mark.skipif(
    parse_version(sklearn.__version__) < parse_version("1.9"), reason="parameters came and went"
)
def test_parameters_are_scikit_learns():
    def defaults(cls):
        parameters = inspect.signature(cls).parameters.values()
        return [(p.name, p.default, p.kind) for p in parameters]

    assert sorted(defaults(LogisticRegression)) == sorted(defaults(ScikitLearns))


@pytest.mark.parametrize("labels", [["no", "yes"], ["blue", "green", "red", "violet"]])
def test_labels_and_predictions(labels):
    X, codes = _drawn(len(labels))
    y = np.array(labels)[codes]
    ours, peer = LogisticRegression(tol=1e-10).fit(X, y), _peer(X, y)
    np.testing.assert_array_equal(ours.classes_, peer.classes_)
    np.testing.assert_array_equal(ours.predict(X), peer.predict(X))
    for method in ("decision_function", "predict_proba", "predict_log_proba"):
        np.testing.assert_allclose(
            getattr(ours, method)(X), getattr(peer, method)(X), rtol=1e-5, atol=1e-6
        )
    assert ours.score(X, y) == peer.score(X, y)


@pytest.mark.parametrize("n_classes", [2, 4])
def test_iterations_have_scikit_learns_form(n_classes):
    X, y = _drawn(n_classes)
    ours, peer = LogisticRegression().fit(X, y), ScikitLearns().fit(X, y)
    assert ours.n_iter_.shape == peer.n_iter_.shape
    assert ours.n_iter_.dtype == peer.n_iter_.dtype
    assert ours.n_iter_[0] > 0


def test_warm_start_goes_on():
    X, y = _drawn(4)
    ours = LogisticRegression(warm_start=True, tol=1e-8).fit(X, y)
    cold = ours.n_iter_[0]
    ours.set_params(C=1.2).fit(X, y)
    assert ours.n_iter_[0] < cold
    _assert_equal(ours, _peer(X, y, C=1.2), 1e-6)
    with pytest.raises(ValueError, match="warm_start=True needs the classes of the last fit"):
        ours.fit(X, y + 1)


def test_fit_without_warm_start_forgets():
    X, y = _drawn(4)
    ours = LogisticRegression().fit(X, y)
    first = ours.coef_
    np.testing.assert_array_equal(ours.fit(X, y).coef_, first)


def test_penalty_none_is_an_infinite_C():
    X, y = _drawn(4)
    ours = LogisticRegression(penalty=None).fit(X, y)
    np.testing.assert_array_equal(ours.coef_, LogisticRegression(C=np.inf).fit(X, y).coef_)


def test_a_grid_over_penalty_and_C_has_scores():
    X, y = _drawn(4)
    grid = {"penalty": [None, "l2"], "C": [1.0, 4.0]}
    search = GridSearchCV(LogisticRegression(), grid, cv=2)
    with pytest.warns(UserWarning, match="Setting penalty=None will ignore the C") as record:
        search.fit(X, y)
    assert len(record) == 2  # two folds of one candidate
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"penalty": None, "C": 4.0}, "Setting penalty=None will ignore the C that is given, 4"),
        ({"penalty": None, "C": np.inf}, "Setting penalty=None will ignore the C"),
        ({"penalty": None, "l1_ratio": 0.5}, "Inconsistent values: penalty=None with l1_ratio=0.5"),
        ({"penalty": "l2", "l1_ratio": 1}, "Inconsistent values: penalty=l2 with l1_ratio=1"),
    ],
    ids=str,
)
def test_penalty_overrules(parameters, message):
    X, y = _drawn(4)
    with pytest.warns(UserWarning, match=message) as record:
        ours = LogisticRegression(**parameters).fit(X, y)
    assert len(record) == 1
    assert record[0].filename == __file__
    plain = LogisticRegression(C=np.inf if parameters["penalty"] is None else 1.0).fit(X, y)
    np.testing.assert_array_equal(ours.coef_, plain.coef_)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # penalty is deprecated there
        with pytest.warns(UserWarning, match="l1_ratio|penalty"):
            ScikitLearns(**parameters).fit(X, y)


@pytest.mark.parametrize("n_classes", [2, 4])
def test_no_iteration_is_the_starting_point(n_classes):
    X, y = _drawn(n_classes)
    with pytest.warns(ConvergenceWarning, match="after max_iter=0 iterations"):
        ours = LogisticRegression(max_iter=0).fit(X, y)
    assert not ours.coef_.any()
    assert not ours.intercept_.any()
    np.testing.assert_array_equal(ours.n_iter_, [0])
    np.testing.assert_allclose(ours.predict_proba(X), 1 / n_classes)
    assert not ours.converged_
    assert len(ours.loss_curve_) == len(ours.history_["objective"]) == 0
    minimum = LogisticRegression(tol=1e-12).fit(X, y)
    alpha = 1 / len(X)
    above = np.log(n_classes) - (minimum.loss_curve_[-1])
    assert above <= ours.suboptimality_bound_ < 100 * above / alpha
    # With warm_start it is where the last fit ended, to the bit.
    again = LogisticRegression(warm_start=True, tol=1e-2).fit(X, y)
    coef, intercept = again.coef_, again.intercept_
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        again.set_params(max_iter=0, tol=1e-12).fit(X, y)
    np.testing.assert_array_equal(again.coef_, coef)
    np.testing.assert_array_equal(again.intercept_, intercept)


@pytest.mark.skipif(
    parse_version(sklearn.__version__) < parse_version("1.9"), reason="callbacks are new in 1.9"
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("max_iter", [0, 1, 3, 100])
def test_callbacks_are_told_of_each_iteration(max_iter):
    told = []

    class Callback:
        def setup(self, estimator, context):
            told.append("setup")

        def teardown(self, estimator, context):
            told.append("teardown")

        def on_fit_task_begin(self, estimator, context):
            told.append(f"begin {context.task_name}")

        def on_fit_task_end(self, estimator, context):
            told.append(f"end {context.task_name}")

    X, y = _drawn(4)
    ours = LogisticRegression(max_iter=max_iter).set_callbacks(Callback()).fit(X, y)
    epochs = ["begin epoch", "end epoch"] * int(ours.n_iter_[0])
    assert told == ["setup", "begin fit", *epochs, "end fit", "teardown"]


def test_a_penalty_that_float64_does_not_see_is_none():
    X, y = _drawn(2)
    y = (X[:, 0] > 0).astype(int)  # a minimum far out, if any
    ours = LogisticRegression(C=1e30).fit(X, y)  # and no warning
    assert ours.converged_
    assert ours.score(X, y) == 1


def test_is_scikit_learns_linear_classifier():
    ours = LogisticRegression()
    for estimator in (ours, SoftmaxClassifier(), LogisticRegressionCV()):
        assert isinstance(estimator, LinearClassifierMixin)
        for name in ("decision_function", "predict", "predict_proba"):
            assert getattr(type(estimator), name).__module__.startswith("fastsoftmax.")
    assert not hasattr(ours, "multi_class")
    assert "multi_class" not in ours.get_params()


def test_clone_pickle_and_search():
    X, y = _drawn(4)
    ours = LogisticRegression(C=0.3).fit(X, y)
    assert clone(ours).get_params() == ours.get_params()
    again = pickle.loads(pickle.dumps(ours))
    np.testing.assert_array_equal(again.predict_proba(X), ours.predict_proba(X))
    grid = {"C": [1e-6, 1e-2, 1.0]}
    search = GridSearchCV(LogisticRegression(), grid, cv=3).fit(X, y)
    peer = GridSearchCV(ScikitLearns(tol=1e-8, max_iter=1000), grid, cv=3).fit(X, y)
    assert search.best_params_ == peer.best_params_
    np.testing.assert_allclose(
        search.cv_results_["mean_test_score"], peer.cv_results_["mean_test_score"]
    )


# Not parametrize_with_checks: see test_conformance.py.
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
@pytest.mark.parametrize(
    ("estimator", "check"),
    [
        pytest.param(estimator, check, id=f"{index}-{check.func.__name__}")
        for index, parameters in enumerate([{}, {"C": 0.1, "class_weight": "balanced"}])
        for estimator, check in estimator_checks_generator(LogisticRegression(**parameters))
    ],
)
def test_check(estimator, check):
    check(estimator)


# --- Errors and warnings --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"l1_ratio": 0.5}, "l1_ratio must be 0 or None, as only the L2 penalty is there; got 0.5"),
        ({"penalty": "l1"}, "penalty must be 'l2' or None, .* got 'l1'"),
        ({"penalty": "elasticnet"}, "penalty must be 'l2' or None, .* got 'elasticnet'"),
        ({"solver": "liblinear"}, "solver='liblinear' penalises the intercept"),
        ({"solver": "saga!"}, "The 'solver' parameter of LogisticRegression must be"),
        ({"dual": True}, "dual must be False"),
        ({"C": 0.0}, "The 'C' parameter of LogisticRegression must be"),
        ({"tol": -1.0}, "The 'tol' parameter of LogisticRegression must be"),
        ({"max_iter": -1}, "The 'max_iter' parameter of LogisticRegression must be"),
        ({"n_jobs": 0}, "The 'n_jobs' parameter of LogisticRegression must be"),
    ],
)
def test_what_is_not_there(parameters, message):
    X, y = _drawn(2)
    ours = LogisticRegression(**parameters)
    with pytest.raises(ValueError, match=message):
        ours.fit(X, y)
    with pytest.raises(NotFittedError):
        ours.predict(X)


def test_a_failed_fit_leaves_the_last_one():
    X, y = _drawn(4)
    ours = LogisticRegression().fit(X, y)
    before = vars(ours).copy()
    with pytest.raises(ValueError, match="X contains NaN in row 0, feature 0"):
        ours.fit(np.where(X[0, 0] == X, np.nan, X), y)
    assert vars(ours) == before


def test_errors_name_this_estimator():
    with pytest.raises(ValueError, match="required by LogisticRegression"):
        LogisticRegression().fit(np.empty((3, 0)), [0, 1, 0])


@pytest.mark.parametrize("tol", [1e-8, 1e-12, 0.0])
@pytest.mark.parametrize("load", [load_iris, load_breast_cancer])
def test_as_near_as_rounding_allows_is_converged(load, tol):
    X, y = load(return_X_y=True)
    ours = LogisticRegression(tol=tol, max_iter=2000).fit(X, y)  # and no warning
    assert ours.converged_
    # Where it ends is the minimum: the gradient there is rounding errors.
    raw = ours.decision_function(X)
    if raw.ndim == 1:
        residual = (1 / (1 + np.exp(-raw)) - y)[:, None]
    else:
        residual = ours.predict_proba(X) - np.eye(3)[y]
    off = np.abs(residual.T @ X + ours.coef_)
    assert (off < 1e-6 * (np.abs(residual).T @ np.abs(X))).all()


def test_rounding_far_from_the_minimum_is_said(monkeypatch, no_newton):
    monkeypatch.setattr(lbfgs, "MOST_SHORTENINGS", 0)  # no step is ever good enough
    X, y = _drawn(4)
    with pytest.warns(ConvergenceWarning, match="where rounding errors end the descent") as record:
        ours = LogisticRegression().fit(X, y)
    assert not ours.converged_
    assert len(record) == 1


def test_warns_of_too_few_iterations():
    X, y = _drawn(4)
    with pytest.warns(ConvergenceWarning, match=r"tol=1e-08 after max_iter=3 iterations") as record:
        ours = LogisticRegression(tol=1e-8, max_iter=3).fit(X, y)
    assert record[0].filename == __file__
    assert not ours.converged_
    assert ours.n_iter_[0] == 3

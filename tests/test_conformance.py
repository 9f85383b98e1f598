"""scikit-learn's own checks of an estimator, and the tools that users put one into.

Every check of ``parametrize_with_checks``, none of them expected to fail; then each search,
meta-estimator, plot and container that users reach for. What is computed is tested elsewhere.
"""

import numpy as np
import pytest
import sklearn
from digits import DIGITS, assert_same_fit, small_digits
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import BaggingClassifier, StackingClassifier, VotingClassifier
from sklearn.feature_selection import RFE, RFECV, SelectFromModel, SequentialFeatureSelector
from sklearn.inspection import DecisionBoundaryDisplay, permutation_importance
from sklearn.metrics import log_loss
from sklearn.model_selection import (
    GridSearchCV,
    RandomizedSearchCV,
    cross_val_predict,
    cross_val_score,
    cross_validate,
    learning_curve,
)
from sklearn.multiclass import OneVsOneClassifier, OneVsRestClassifier, OutputCodeClassifier
from sklearn.multioutput import ClassifierChain, MultiOutputClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import estimator_checks_generator
from sklearn.utils.fixes import parse_version

from fastsoftmax import SoftmaxClassifier

#: Short, and the same at each call.
SETTING = {"standardize": True, "max_iter": 8, "random_state": 0}

# --- scikit-learn's checks ------------------------------------------------------------------------


# Not parametrize_with_checks: that of scikit-learn 1.6 hands pytest a generator, which pytest 9
# warns of. The checks are the same.
CHECKS = [
    pytest.param(estimator, check, id=f"{index}-{check.func.__name__}")
    for index, parameters in enumerate(
        [
            {},
            {"standardize": True},
            {"solver": "adagrad", "multi_class": "ovr", "learning_rate": 0.1},
        ]
    )
    for estimator, check in estimator_checks_generator(SoftmaxClassifier(**parameters))
]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")  # rows around 100
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
@pytest.mark.parametrize(("estimator", "check"), CHECKS)
def test_check(estimator, check):
    check(estimator)


def test_tags():
    tags = get_tags(SoftmaxClassifier())
    assert tags.estimator_type == "classifier"
    assert tags.classifier_tags.multi_class
    assert not tags.classifier_tags.multi_label
    assert not tags.classifier_tags.poor_score
    assert not tags.input_tags.allow_nan
    assert tags.target_tags.required
    assert not tags.non_deterministic
    assert not tags.no_validation


# --- Containers of data ---------------------------------------------------------------------------


def _pandas(X, names):
    return pytest.importorskip("pandas").DataFrame(X, columns=names)


def _polars(X, names):
    return pytest.importorskip("polars").DataFrame(X, schema=names, orient="row")


FRAMES = {"pandas": _pandas, "polars": _polars}


@pytest.mark.parametrize("kind", FRAMES)
def test_data_frames(kind):
    X, y = small_digits()
    names = [f"pixel {number}" for number in range(64)]
    frame = FRAMES[kind](X, names)
    expected = SoftmaxClassifier(**SETTING).fit(X, y)
    classifier = SoftmaxClassifier(**SETTING).fit(frame, y)
    assert_same_fit(classifier, expected)
    np.testing.assert_array_equal(classifier.feature_names_in_, names)
    for method in ("predict", "predict_proba", "predict_log_proba", "decision_function"):
        np.testing.assert_array_equal(
            getattr(classifier, method)(frame), getattr(expected, method)(X)
        )
    with pytest.raises(ValueError, match="feature names should match"):
        classifier.predict(FRAMES[kind](X, names[::-1]))
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        classifier.predict(X)


@pytest.mark.parametrize("kind", FRAMES)
def test_series_of_labels_and_weights(kind):
    X, codes = small_digits(n_classes=3)
    y = np.array(["zero", "one", "two"])[codes]
    weight = np.random.default_rng(0).exponential(size=len(X))
    library = pytest.importorskip(kind)
    classifier = SoftmaxClassifier(**SETTING).fit(X, library.Series(y), library.Series(weight))
    assert_same_fit(classifier, SoftmaxClassifier(**SETTING).fit(X, y, weight))
    assert (
        classifier.predict(X).tolist()
        == SoftmaxClassifier(**SETTING).fit(X, y, weight).predict(X).tolist()
    )


def test_pandas_categories_of_labels():
    pandas = pytest.importorskip("pandas")
    X, codes = small_digits(n_classes=3)
    y = pandas.Series(np.array(["zero", "one", "two"])[codes]).astype("category")
    classifier = SoftmaxClassifier(**SETTING).fit(X, y)
    np.testing.assert_array_equal(classifier.classes_, ["one", "two", "zero"])


@pytest.mark.parametrize("kind", FRAMES)
def test_set_output_goes_past_a_classifier(kind):
    X, y = small_digits()
    frame = FRAMES[kind](X, [f"pixel {number}" for number in range(64)])
    pipeline = make_pipeline(StandardScaler(), SoftmaxClassifier(**SETTING))
    pipeline.set_output(transform=kind).fit(frame, y)
    assert list(pipeline[-1].feature_names_in_) == list(frame.columns)
    assert isinstance(pipeline.predict_proba(frame), np.ndarray)


# --- Searches and pipelines -----------------------------------------------------------------------


def test_grid_search():
    X, y = small_digits()
    grid = {"alpha": [1e-4, 10.0], "momentum": [0.0, 0.9]}
    search = GridSearchCV(SoftmaxClassifier(**SETTING), grid, cv=3).fit(X, y)
    assert search.best_params_["alpha"] == 1e-4
    assert search.score(X, y) > 0.9


def test_grid_search_in_worker_processes():
    X, y = small_digits(n_rows=100)
    grid = {"alpha": [1e-4, 1e-2]}
    searches = [
        GridSearchCV(SoftmaxClassifier(**SETTING), grid, cv=3, n_jobs=n_jobs).fit(X, y)
        for n_jobs in (1, 2)
    ]
    for key in ("mean_test_score", "split0_test_score"):
        np.testing.assert_array_equal(*(search.cv_results_[key] for search in searches))


def test_search_over_a_pipeline():
    X, y = small_digits()
    pipeline = make_pipeline(StandardScaler(), SoftmaxClassifier(max_iter=5, random_state=0))
    spread = {"softmaxclassifier__alpha": np.logspace(-6, 0, 20)}
    search = RandomizedSearchCV(pipeline, spread, n_iter=3, cv=2, random_state=0).fit(X, y)
    assert search.score(X, y) > 0.9
    assert search.best_estimator_[-1].alpha == search.best_params_["softmaxclassifier__alpha"]


def test_cross_validation():
    X, y = small_digits()
    assert cross_val_score(SoftmaxClassifier(**SETTING), X, y).mean() > 0.85
    scoring = ["accuracy", "neg_log_loss", "roc_auc_ovr", "f1_macro"]
    scores = cross_validate(SoftmaxClassifier(**SETTING), X, y, scoring=scoring, cv=3)
    assert scores["test_roc_auc_ovr"].min() > 0.95
    _, train, test = learning_curve(SoftmaxClassifier(**SETTING), X, y, cv=3, train_sizes=[0.5, 1])
    assert (train.mean(axis=1) >= test.mean(axis=1)).all()


@pytest.mark.parametrize("method", ["predict", "predict_proba", "decision_function"])
def test_cross_val_predict(method):
    X, y = small_digits()
    out = cross_val_predict(SoftmaxClassifier(**SETTING), X, y, method=method, cv=3)
    if method != "predict":
        out = out.argmax(axis=1)
    assert (out == y).mean() > 0.8


# --- Meta-estimators ------------------------------------------------------------------------------

CALIBRATIONS = ["sigmoid", "isotonic"]
if parse_version(sklearn.__version__) >= parse_version("1.8"):
    CALIBRATIONS.append("temperature")


@pytest.mark.parametrize("n_classes", [2, 10])
@pytest.mark.parametrize("ensemble", [True, False])
@pytest.mark.parametrize("method", CALIBRATIONS)
def test_calibrated(method, ensemble, n_classes):
    X, y = DIGITS[0][:900], DIGITS[1][:900] % n_classes
    inner = SoftmaxClassifier(**SETTING)
    model = CalibratedClassifierCV(inner, method=method, cv=3, ensemble=ensemble).fit(X, y)
    probability = model.predict_proba(X)
    np.testing.assert_allclose(probability.sum(axis=1), 1, rtol=1e-6)
    assert model.score(X, y) > (0.85 if n_classes == 2 else 0.9)
    # The probabilities that it corrects are those of overfitted weights.
    assert log_loss(y, probability) < 0.6


META = {
    "one-vs-rest": lambda model: OneVsRestClassifier(model),
    "one-vs-one": lambda model: OneVsOneClassifier(model),
    "output code": lambda model: OutputCodeClassifier(model, code_size=3, random_state=0),
    "stacking": lambda model: StackingClassifier(
        [("softmax", model), ("ovr", SoftmaxClassifier(multi_class="ovr", **SETTING))],
        final_estimator=SoftmaxClassifier(**SETTING),
        cv=3,
    ),
    "voting": lambda model: VotingClassifier(
        [("softmax", model), ("ovr", SoftmaxClassifier(multi_class="ovr", **SETTING))],
        voting="soft",
    ),
    "bagging": lambda model: BaggingClassifier(model, n_estimators=3, random_state=0),
    "calibration of a pipeline": lambda model: CalibratedClassifierCV(
        make_pipeline(FunctionTransformer(), model), cv=2
    ),
}


@pytest.mark.parametrize("name", META)
def test_meta_estimator(name):
    X, y = small_digits()
    model = META[name](SoftmaxClassifier(**SETTING)).fit(X, y)
    assert model.score(X, y) > 0.9
    assert set(model.predict(X)) <= set(y)


def test_one_vs_rest_equals_our_own():
    X, y = small_digits()
    setting = {"batch_size": 10**6, "learning_rate": 0.5, "max_iter": 50, "tol": None}
    outside = OneVsRestClassifier(SoftmaxClassifier(**setting)).fit(X, y)
    inside = SoftmaxClassifier(multi_class="ovr", **setting).fit(X, y)
    # K separate minimisations, or one of their sum.
    coef = np.vstack([estimator.coef_ for estimator in outside.estimators_])
    np.testing.assert_allclose(coef, inside.coef_, rtol=0, atol=1e-12)
    np.testing.assert_allclose(outside.predict_proba(X), inside.predict_proba(X), atol=1e-12)


def test_several_outputs():
    X, y = small_digits()
    both = np.column_stack([y, y % 2])
    for meta in (MultiOutputClassifier, ClassifierChain):
        model = meta(SoftmaxClassifier(**SETTING)).fit(X, both)
        assert (model.predict(X) == both).mean() > 0.9


# --- Features and displays ------------------------------------------------------------------------


def test_permutation_importance():
    X, y = small_digits()
    X = np.column_stack([X, np.random.default_rng(0).normal(size=(len(X), 1))])
    model = SoftmaxClassifier(**SETTING).fit(X, y)
    importance = permutation_importance(model, X, y, n_repeats=2, random_state=0).importances_mean
    assert importance.max() > 0.02 > abs(importance[0])  # pixel 0 is always empty


SELECTORS = {
    "RFE": lambda model: RFE(model, n_features_to_select=20, step=16),
    "RFECV": lambda model: RFECV(model, min_features_to_select=20, step=16, cv=3),
    "SelectFromModel": lambda model: SelectFromModel(model, threshold="median"),
}


@pytest.mark.parametrize("name", SELECTORS)
def test_feature_selection(name):
    # By the size of coef_, so that the columns must be of one scale themselves.
    X, y = small_digits()
    X = StandardScaler().fit_transform(X)
    model = SoftmaxClassifier(max_iter=8, random_state=0)
    chosen = SELECTORS[name](model).fit(X, y).transform(X)
    assert 20 <= chosen.shape[1] < 64 or name == "RFECV"
    assert model.fit(chosen, y).score(chosen, y) > 0.9


def test_sequential_feature_selection():
    X, y = small_digits(n_rows=100, n_classes=3)
    model = SoftmaxClassifier(standardize=True, max_iter=3, random_state=0)
    chosen = SequentialFeatureSelector(model, n_features_to_select=2, cv=2).fit_transform(X, y)
    assert chosen.shape == (len(X), 2)


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("method", ["predict", "predict_proba", "decision_function"])
def test_decision_boundary_display(method, n_classes):
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    X, y = small_digits(n_classes=n_classes)
    model = SoftmaxClassifier(**SETTING).fit(X[:, [20, 43]], y)
    shown = {} if n_classes == 2 or method == "predict" else {"class_of_interest": 1}
    display = DecisionBoundaryDisplay.from_estimator(
        model, X[:, [20, 43]], response_method=method, grid_resolution=20, **shown
    )
    assert display.response.shape[:2] == (20, 20)
    matplotlib.pyplot.close("all")


# --- Metadata routing -----------------------------------------------------------------------------


@pytest.fixture
def routing():
    with sklearn.config_context(enable_metadata_routing=True):
        yield


@pytest.mark.usefixtures("routing")
def test_weights_are_routed_through_a_search_and_a_pipeline():
    X, y = small_digits()
    weight = np.random.default_rng(0).integers(1, 4, size=len(X)).astype(float)
    inner = SoftmaxClassifier(**SETTING).set_fit_request(sample_weight=True)
    inner.set_score_request(sample_weight=True)
    search = GridSearchCV(inner, {"alpha": [1e-3]}, cv=2).fit(X, y, sample_weight=weight)
    expected = SoftmaxClassifier(**SETTING, alpha=1e-3).fit(X, y, weight)
    assert_same_fit(search.best_estimator_, expected)
    pipeline = make_pipeline(FunctionTransformer(), inner).fit(X, y, sample_weight=weight)
    assert_same_fit(pipeline[-1], SoftmaxClassifier(**SETTING).fit(X, y, weight))


@pytest.mark.usefixtures("routing")
def test_routing_asks_where_nothing_was_said():
    X, y = small_digits()
    search = GridSearchCV(SoftmaxClassifier(**SETTING), {"alpha": [1e-3]}, cv=2)
    with pytest.raises(ValueError, match=r"sample_weight.* are passed but are not explicitly set"):
        search.fit(X, y, sample_weight=np.ones(len(X)))
    refusing = SoftmaxClassifier(**SETTING).set_fit_request(sample_weight=False)
    refusing.set_score_request(sample_weight=False)
    with pytest.raises(TypeError, match="unexpected argument"):
        GridSearchCV(refusing, {"alpha": [1e-3]}, cv=2).fit(X, y, sample_weight=np.ones(len(X)))


@pytest.mark.usefixtures("routing")
def test_requests_of_every_method():
    model = SoftmaxClassifier()
    model.set_fit_request(sample_weight=True)
    model.set_partial_fit_request(classes=True, sample_weight="weight")
    requests = model.get_metadata_routing()
    assert requests.fit.requests["sample_weight"] is True
    assert requests.partial_fit.requests == {"classes": True, "sample_weight": "weight"}

"""What each of the classifiers has by the same code: files, pickles, scikit-learn's classes, ONNX.

What is particular to SoftmaxClassifier is in test_saving.py, test_conversion.py and test_onnx.py.
"""

import importlib
import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import fastsoftmax
from fastsoftmax import (
    LogisticRegression,
    LogisticRegressionCV,
    SoftmaxClassifier,
    SoftmaxClassifierCV,
)

X, Y = load_iris(return_X_y=True)
NAMES = np.array(["setosa", "versicolor", "virginica"])[Y]

MAKE = {
    "SoftmaxClassifier": lambda: SoftmaxClassifier(alpha=1e-2, random_state=0),
    "LogisticRegression": lambda: LogisticRegression(C=0.5),
    "LogisticRegression, no penalty": lambda: LogisticRegression(C=np.inf, tol=1e-2, max_iter=500),
    "LogisticRegressionCV": lambda: LogisticRegressionCV(Cs=[0.1, 1.0], cv=3, scoring="accuracy"),
    "LogisticRegressionCV, new attributes": lambda: LogisticRegressionCV(
        Cs=2, cv=3, l1_ratios=(0,), use_legacy_attributes=False, max_iter=500
    ),
    "LogisticRegressionCV, no refit": lambda: LogisticRegressionCV(
        Cs=[0.1, 1.0], cv=3, refit=False
    ),
    "SoftmaxClassifierCV": lambda: SoftmaxClassifierCV(alphas=[1e-1, 1e-2], cv=3, random_state=0),
    "SoftmaxClassifierCV, ovr": lambda: SoftmaxClassifierCV(
        alphas=np.array([1e-1, 1e-2]), cv=3, multi_class="ovr", random_state=0
    ),
}


@pytest.fixture(params=MAKE)
def classifier(request):
    return MAKE[request.param]().fit(X, NAMES, sample_weight=np.linspace(0.5, 1.5, len(X)))


def assert_equal_attributes(one, other):
    assert type(one) is type(other)
    assert set(vars(one)) == set(vars(other))
    for name, value in vars(one).items():
        if isinstance(value, dict):
            np.testing.assert_equal(vars(other)[name], value)
        else:
            np.testing.assert_array_equal(vars(other)[name], value)


def test_files(classifier, tmp_path):
    pytest.importorskip("safetensors")
    path = tmp_path / "model.safetensors"
    classifier.save(path)
    loaded = fastsoftmax.load(path)
    assert_equal_attributes(loaded, classifier)
    np.testing.assert_array_equal(loaded.predict_proba(X), classifier.predict_proba(X))
    again = clone(loaded).fit(X, NAMES, sample_weight=np.linspace(0.5, 1.5, len(X)))
    np.testing.assert_array_equal(again.coef_, classifier.coef_)


def test_subclasses_are_refused(classifier, tmp_path):
    pytest.importorskip("safetensors")

    class Mine(type(classifier)):
        pass

    with pytest.raises(TypeError, match=r"what can be saved is one of .*; got a .*Mine"):
        Mine().save(tmp_path / "model.safetensors")
    Mine.__name__ = type(classifier).__name__  # the name alone is not enough
    with pytest.raises(TypeError, match="can be saved"):
        Mine().save(tmp_path / "model.safetensors")


def test_pickles(classifier):
    loaded = pickle.loads(pickle.dumps(classifier))
    assert_equal_attributes(loaded, classifier)


def test_to_sklearn(classifier):
    model = classifier.to_sklearn()
    np.testing.assert_allclose(model.predict_proba(X), classifier.predict_proba(X), rtol=1e-12)
    np.testing.assert_array_equal(model.predict(X), classifier.predict(X))
    with pytest.raises(NotFittedError):
        clone(classifier).to_sklearn()


def test_to_sklearn_has_the_penalty():
    weight = np.linspace(0.5, 1.5, len(X))
    for make in ("LogisticRegression", "SoftmaxClassifierCV"):
        classifier = MAKE[make]().set_params(tol=1e-10).fit(X, Y, sample_weight=weight)
        model = clone(classifier.to_sklearn()).set_params(tol=1e-8, max_iter=10000)
        model.fit(X, Y, sample_weight=weight)
        np.testing.assert_allclose(model.coef_, classifier.coef_, atol=1e-4)


def test_onnx(classifier):
    runtime = pytest.importorskip("onnxruntime")
    skl2onnx = pytest.importorskip("skl2onnx")
    import fastsoftmax.onnx

    fastsoftmax.onnx.register()
    pipeline = make_pipeline(StandardScaler(), clone(classifier)).fit(X, NAMES)
    for model in (classifier, pipeline):
        graph = skl2onnx.to_onnx(model, X[:1], options={"zipmap": False})
        session = runtime.InferenceSession(graph.SerializeToString())
        labels, probability = session.run(None, {"X": X})
        np.testing.assert_array_equal(labels, model.predict(X))
        np.testing.assert_allclose(probability, model.predict_proba(X), rtol=1e-9, atol=1e-12)


def test_history(classifier):
    assert len(classifier.history_["objective"]) == len(classifier.loss_curve_)
    if not getattr(classifier, "refit", True):
        return  # a mean of fits has none
    assert len(classifier.loss_curve_) > 0
    np.testing.assert_array_equal(classifier.history_["objective"], classifier.loss_curve_)
    assert classifier.loss_curve_[-1] <= classifier.loss_curve_[0]
    assert np.isfinite(classifier.history_["gradient_norm"][-1])


@pytest.mark.parametrize("make", MAKE)
def test_a_fit_that_fails_changes_nothing(make):
    classifier = MAKE[make]().fit(X, Y)
    before = vars(classifier).copy()
    with pytest.raises(ValueError, match="NaN"):
        classifier.fit(np.full((150, 3), np.nan), Y)
    assert vars(classifier).keys() == before.keys()
    assert all(vars(classifier)[name] is before[name] for name in before)


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("estimator", "SoftmaxClassifier"),
        ("logistic", "LogisticRegression"),
        ("selection", "SoftmaxClassifierCV"),
    ],
)
def test_pickles_find_classes_where_they_were(module, name):
    here = getattr(importlib.import_module(f"fastsoftmax.{module}"), name)
    assert here is getattr(fastsoftmax, name)

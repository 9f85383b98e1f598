"""The ONNX graph, run by onnxruntime, against the estimator that it was made of."""

import sys

import numpy as np
import pytest
from digits import small_digits
from scipy import sparse
from sgd import sgd_classifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

onnxruntime = pytest.importorskip("onnxruntime")
skl2onnx = pytest.importorskip("skl2onnx")

from fastsoftmax import onnx  # noqa: E402  (after what it needs)

LABELS = {
    "int64": np.arange(10) * 10**12 - 5,
    "int32": np.arange(10, dtype=np.int32),
    "str": np.array([f"ß{i}" for i in range(10)]),
    "object": np.array([f"class {i}" for i in range(10)], dtype=object),
    "bool": np.arange(10) > 0,
    "float": np.arange(10.0),
}


@pytest.fixture(autouse=True)
def registered():
    onnx.register()


def run(model, X, **options):
    """Outputs of the graph, and the names of its outputs."""
    graph = skl2onnx.to_onnx(model, X[:1], options={id(model): options} if options else None)
    session = onnxruntime.InferenceSession(
        graph.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    names = [output.name for output in session.get_outputs()]
    return session.run(None, {session.get_inputs()[0].name: X}), names


def assert_same(model, X, labels, probability, atol):
    np.testing.assert_array_equal(labels, model.predict(X))
    assert probability.dtype == (np.float64 if X.dtype == np.float64 else np.float32)
    np.testing.assert_allclose(probability, model.predict_proba(X), atol=atol)


@pytest.mark.parametrize("n_classes", [2, 10])
@pytest.mark.parametrize("multi_class", ["softmax", "ovr"])
@pytest.mark.parametrize("standardize", [False, True])
@pytest.mark.parametrize("labels", ["int64", "str"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_labels_and_probabilities(n_classes, multi_class, standardize, labels, dtype):
    X, y = small_digits(n_classes=n_classes, dtype=dtype)
    model = sgd_classifier(multi_class=multi_class, standardize=standardize, random_state=0)
    model.fit(X, LABELS[labels][y])
    outputs, _ = run(model, X, zipmap=False)
    assert_same(model, X, *outputs, atol=1e-5 if dtype == "float32" else 1e-12)


@pytest.mark.parametrize("labels", LABELS)
def test_every_type_of_label(labels):
    X, y = small_digits(n_classes=2 if labels == "bool" else 10, dtype=np.float32)
    model = sgd_classifier(random_state=0).fit(X, LABELS[labels][y])
    outputs, _ = run(model, X, zipmap=False)
    assert_same(model, X, *outputs, atol=1e-5)


@pytest.mark.parametrize("labels", ["int64", "str"])
@pytest.mark.parametrize("n_classes", [2, 10])
def test_zipmap(labels, n_classes):
    X, y = small_digits(n_classes=n_classes, dtype=np.float32)
    model = sgd_classifier(random_state=0).fit(X, LABELS[labels][y])
    (predicted, rows), _ = run(model, X)
    np.testing.assert_array_equal(predicted, model.predict(X))
    assert list(rows[0]) == sorted(rows[0]) == model.classes_.tolist()
    probability = np.array([list(row.values()) for row in rows])
    np.testing.assert_allclose(probability, model.predict_proba(X), atol=1e-5)

    outputs, names = run(model, X, zipmap="columns")
    assert len(names) == 1 + n_classes
    np.testing.assert_allclose(np.column_stack(outputs[1:]), model.predict_proba(X), atol=1e-5)


@pytest.mark.parametrize("n_classes", [2, 10])
@pytest.mark.parametrize("multi_class", ["softmax", "ovr"])
def test_raw_scores(n_classes, multi_class):
    X, y = small_digits(n_classes=n_classes)
    model = sgd_classifier(multi_class=multi_class, random_state=0).fit(X, y)
    (labels, raw), _ = run(model, X, zipmap=False, raw_scores=True)
    expected = model.decision_function(X)
    expected = np.column_stack([-expected, expected]) if n_classes == 2 else expected
    np.testing.assert_allclose(raw, expected, atol=1e-12)
    np.testing.assert_array_equal(labels, model.predict(X))


def test_other_options():
    X, y = small_digits(dtype=np.float32)
    model = sgd_classifier(random_state=0).fit(X, LABELS["str"][y])
    (_, _, classes), _ = run(model, X, zipmap=False, output_class_labels=True)
    np.testing.assert_array_equal(classes, model.classes_)
    (codes, _), _ = run(model, X, zipmap=False, nocl=True)
    np.testing.assert_array_equal(model.classes_[codes], model.predict(X))


@pytest.mark.parametrize("multi_class", ["softmax", "ovr"])
@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "uint8"])
def test_pipeline(multi_class, dtype):
    X, y = small_digits()
    X = np.round(16 * X).astype(dtype)
    classifier = sgd_classifier(multi_class=multi_class, standardize=True, random_state=0)
    alone = classifier.fit(X, y)
    outputs, _ = run(alone, X, zipmap=False)
    assert_same(alone, X, *outputs, atol=1e-5)
    if dtype == "uint8":
        return  # skl2onnx's own StandardScaler takes none
    pipeline = make_pipeline(StandardScaler(), sgd_classifier(multi_class=multi_class))
    pipeline.fit(X, LABELS["str"][y])
    graph = skl2onnx.to_onnx(pipeline, X[:1], options={"zipmap": False})
    session = onnxruntime.InferenceSession(graph.SerializeToString())
    labels, probability = session.run(None, {"X": X})
    np.testing.assert_array_equal(labels, pipeline.predict(X))
    np.testing.assert_allclose(probability, pipeline.predict_proba(X), atol=1e-5)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_one_vs_rest_where_every_sigmoid_vanishes(dtype):
    X, y = small_digits(dtype=dtype)
    model = sgd_classifier(multi_class="ovr", random_state=0).fit(X, y)
    model.intercept_ = model.intercept_ - 2000
    (_, probability), _ = run(model, X, zipmap=False)
    np.testing.assert_allclose(probability.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(probability, np.exp(model.predict_log_proba(X)), atol=1e-3)


def test_sparse_coef():
    X, y = small_digits()
    model = sgd_classifier(random_state=0).fit(X, y)
    expected = model.predict_proba(X)
    model.coef_ = sparse.csr_array(model.coef_)
    (_, probability), _ = run(model, X, zipmap=False)
    np.testing.assert_allclose(probability, expected, atol=1e-12)


def test_labels_that_onnx_has_not():
    X, y = small_digits()
    model = sgd_classifier(random_state=0).fit(X, y)
    model.classes_ = model.classes_ + 0.5
    with pytest.raises(ValueError, match=r"labels must be integers, booleans or strings.*0\.5"):
        run(model, X, zipmap=False)


def test_without_skl2onnx(monkeypatch):
    monkeypatch.setitem(sys.modules, "skl2onnx", None)
    with pytest.raises(ImportError, match=r'pip install "fastsoftmax\[onnx\]"'):
        onnx.register()

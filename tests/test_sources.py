"""Rows that are not in memory: the minimum is that of the same rows in memory."""

import os
import subprocess
import sys
import threading
import tracemalloc

import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn.datasets import dump_svmlight_file
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import KFold, StratifiedKFold

from fastsoftmax import (
    LogisticRegression,
    LogisticRegressionCV,
    SoftmaxClassifier,
    SoftmaxClassifierCV,
)
from fastsoftmax.problem.scan import scan
from fastsoftmax.sources import (
    ArraySource,
    Block,
    CsvSource,
    IterableSource,
    NpySource,
    Source,
    SvmlightSource,
)
from fastsoftmax.sources.reading import ahead

#: So little memory that the sets below are streamed, of several blocks each.
LITTLE = 1 << 16


def _noisy(n_samples=6000, n_features=8, n_classes=4, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_samples, n_features))
    raw = X @ rng.normal(size=(n_features, n_classes)) + 2 * rng.gumbel(size=(n_samples, n_classes))
    return X, raw.argmax(axis=1)


def _blocks(*arrays, n_rows=500):
    return [
        tuple(array[start : start + n_rows] for array in arrays)
        for start in range(0, arrays[0].shape[0], n_rows)
    ]


def _objective(model, X, y, weight=None):
    """What is minimised, at the model's coefficients, by the definition."""
    classes, codes = np.unique(y, return_inverse=True)
    weight = np.ones(len(y)) if weight is None else np.asarray(weight, np.float64)
    if model.class_weight == "balanced":
        weight = weight * (weight.sum() / len(classes) / np.bincount(codes, weight))[codes]
    coef, intercept = model.coef_.astype(np.float64), model.intercept_.astype(np.float64)
    X = X.toarray() if hasattr(X, "toarray") else X
    raw = X.astype(np.float64) @ coef.T + intercept
    smoothing, K = model.label_smoothing, len(classes)
    if model.multi_class == "ovr" or K == 2:
        onehot = codes[:, None] == (np.arange(K) if K > 2 else [1])
        target = (1 - smoothing) * onehot + smoothing / 2
        loss = (np.logaddexp(0, raw) - target * raw).sum(axis=1)
    else:
        target = (1 - smoothing) * (codes[:, None] == np.arange(K)) + smoothing / K
        loss = np.logaddexp.reduce(raw, axis=1) - (target * raw).sum(axis=1)
    size = coef * model.scale_ if model.standardize else coef
    return float(weight @ loss / weight.sum() + model.alpha / 2 * np.square(size).sum())


class Threads:
    """Notices threads that outlive their block."""

    def __enter__(self):
        self._before = set(threading.enumerate())

    def __exit__(self, *error):
        assert set(threading.enumerate()) <= self._before


# --- The minimum ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"standardize": True},
        {"standardize": "sample"},
        {"class_weight": "balanced"},
        {"class_weight": {0: 3.0, 1: 0.5, 2: 1.0, 3: 1.0}},
        {"multi_class": "ovr"},
        {"label_smoothing": 0.2},
        {"fit_intercept": False},
        {"solver": "lbfgs"},
        {"alpha": 0.1},
    ],
    ids=str,
)
@pytest.mark.parametrize("form", ["dense", "sparse"])
def test_minimum_is_that_of_the_rows_in_memory(form, parameters):
    X, y = _noisy()
    if form == "sparse":
        X[np.abs(X) < 1] = 0
        X = csr_array(X)
    source = ArraySource(X, y, max_memory=LITTLE)
    assert source.n_blocks > 3
    model = SoftmaxClassifier(tol=1e-8, random_state=0, **parameters)
    with Threads():
        streamed = model.fit(source)
    held = SoftmaxClassifier(tol=1e-10, random_state=0, **parameters).fit(X, y)
    assert streamed.converged_
    np.testing.assert_array_equal(streamed.classes_, held.classes_)
    np.testing.assert_allclose(streamed.coef_, held.coef_, atol=2e-3 * np.abs(held.coef_).max())
    if parameters.get("class_weight") in (None, "balanced"):
        above = _objective(streamed, X, y) - _objective(held, X, y)
        assert abs(above) < 5e-8
        assert streamed.suboptimality_bound_ >= above


@pytest.mark.parametrize(
    "dtype", ["uint8", "int8", "int16", "float16", "float32", "float64", "int64"]
)
@pytest.mark.parametrize("n_classes", [2, 4])
def test_every_dtype(dtype, n_classes):
    X, y = _noisy(n_classes=n_classes)
    X = np.clip(8 * X + 20, 0, 100).astype(dtype)
    held = SoftmaxClassifier(tol=1e-7, dtype="float64", random_state=0).fit(X, y)
    model = SoftmaxClassifier(tol=1e-7, dtype="float64", random_state=0)
    streamed = model.fit(ArraySource(X, y, max_memory=LITTLE))
    assert streamed.converged_
    assert abs(_objective(streamed, X, y) - _objective(held, X, y)) < 5e-7
    assert streamed.predict(X[:5]).tolist() == streamed.predict(ArraySource(X[:5])).tolist()


@pytest.mark.parametrize("zeros", [False, True])
def test_weights_count_as_in_memory(zeros):
    X, y = _noisy()
    rng = np.random.default_rng(1)
    weight = rng.uniform(0.1, 5, len(y))
    if zeros:
        weight[rng.random(len(y)) < 0.5] = 0
        weight[500:1500] = 0
    source = IterableSource(_blocks(X, y, weight), max_memory=LITTLE)
    for parameters in ({}, {"class_weight": "balanced"}, {"standardize": True}):
        streamed = SoftmaxClassifier(tol=1e-8, random_state=0, **parameters).fit(source)
        held = SoftmaxClassifier(tol=1e-10, random_state=0, **parameters).fit(X, y, weight)
        above = _objective(streamed, X, y, weight) - _objective(held, X, y, weight)
        assert streamed.converged_
        assert abs(above) < 5e-8
        if "standardize" in parameters:
            np.testing.assert_allclose(streamed.mean_, held.mean_, rtol=1e-9, atol=1e-12)
            np.testing.assert_allclose(streamed.scale_, held.scale_, rtol=1e-9)


def test_classes_one_after_the_other_and_rare_ones():
    X, y = _noisy(8000, n_classes=3)
    y[[10, 7000]] = 3
    order = np.argsort(y, kind="stable")
    X, labels = X[order], np.array(["a", "b", "c", "rare"])[y[order]]
    source = IterableSource(_blocks(X, labels), max_memory=LITTLE)
    streamed = SoftmaxClassifier(tol=1e-7, random_state=0).fit(source)
    held = SoftmaxClassifier(tol=1e-9, random_state=0).fit(X, labels)
    assert streamed.classes_.tolist() == ["a", "b", "c", "rare"]
    assert streamed.converged_
    assert abs(_objective(streamed, X, labels) - _objective(held, X, labels)) < 1e-6


def test_what_memory_holds_is_fitted_there():
    X, y = _noisy()
    model = SoftmaxClassifier(random_state=0)
    streamed = model.fit(IterableSource(_blocks(X, y))).coef_
    np.testing.assert_array_equal(streamed, model.fit(X, y).coef_)


def test_the_same_bits_each_time_and_at_any_number_of_threads():
    X, y = _noisy()
    source = ArraySource(X, y, max_memory=LITTLE)
    coef = [
        SoftmaxClassifier(random_state=0, n_jobs=n_jobs).fit(source).coef_
        for n_jobs in (1, 1, 2, 3)
    ]
    for other in coef[1:]:
        np.testing.assert_array_equal(coef[0], other)


def test_logistic_regression():
    X, y = _noisy()
    streamed = LogisticRegression().fit(ArraySource(X, y, max_memory=LITTLE))
    held = LogisticRegression().fit(X, y)
    assert streamed.converged_
    np.testing.assert_allclose(streamed.coef_, held.coef_, atol=2e-4 * np.abs(held.coef_).max())


@pytest.mark.parametrize("solver", ["sgd", "adagrad"])
def test_epochs_alone(solver):
    X, y = _noisy()
    model = SoftmaxClassifier(solver=solver, random_state=0)
    streamed = model.fit(ArraySource(X, y, max_memory=LITTLE)).score(X, y)
    assert model.n_iter_ > 3
    assert streamed > model.fit(X, y).score(X, y) - 0.01


def test_validation_rows_and_early_stopping():
    X, y = _noisy()
    model = SoftmaxClassifier(early_stopping=True, random_state=0, max_iter=5)
    model.fit(ArraySource(X[1000:], y[1000:], max_memory=LITTLE), X_val=X[:1000], y_val=y[:1000])
    assert len(model.validation_scores_) == model.n_iter_
    with pytest.raises(ValueError, match=r"early_stopping=True needs X_val and y_val"):
        model.fit(ArraySource(X, y, max_memory=LITTLE))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("is_streamed", [False, True])
def test_validation_rows_of_a_source(is_streamed, weighted):
    X, y = _noisy()
    weight = np.linspace(0, 2, 1000) if weighted else None
    held_out = (X[:1000], y[:1000])
    source = ArraySource(*held_out, weight, max_memory=LITTLE)
    rows = (X[1000:], y[1000:])
    data = (ArraySource(*rows, max_memory=LITTLE),) if is_streamed else rows
    model = SoftmaxClassifier(early_stopping=True, random_state=0, max_iter=5)
    scores = model.fit(*data, X_val=source).validation_scores_
    given = {"X_val": held_out[0], "y_val": held_out[1], "sample_weight_val": weight}
    in_memory = model.fit(*data, **given).validation_scores_
    np.testing.assert_allclose(scores, in_memory, rtol=1e-6)


@pytest.mark.parametrize(
    ("source", "more", "error"),
    [
        (ArraySource(np.ones((3, 8)), np.array([0, 1, 7])), {}, "y_val holds labels that are not"),
        (ArraySource(np.ones((3, 7)), np.arange(3)), {}, "X_val has 7 features, and X has 8"),
        (ArraySource(np.full((3, 8), np.nan), np.arange(3)), {}, "X contains NaN"),
        (ArraySource(np.ones((3, 8)), np.arange(3)), {"y_val": [0]}, "y_val comes from the source"),
        (ArraySource(np.ones((3, 8)), np.arange(3), np.zeros(3)), {}, "holds no rows of a weight"),
        (IterableSource([]), {}, "X_val, list, holds no rows of a weight above 0"),
    ],
)
def test_validation_rows_of_a_source_that_will_not_do(source, more, error):
    model = SoftmaxClassifier()
    with pytest.raises(ValueError, match=error):
        model.fit(*_noisy(500), X_val=source, **more)
    with pytest.raises(ValueError, match="scoring must be 'loss' where X_val is a source"):
        SoftmaxClassifier(scoring="accuracy").fit(*_noisy(500), X_val=source)


def test_warm_start_goes_on():
    X, y = _noisy()
    source = ArraySource(X, y, max_memory=LITTLE)
    model = SoftmaxClassifier(warm_start=True, random_state=0).fit(source)
    n_iter = model.n_iter_
    assert model.fit(source).n_iter_ < n_iter
    with pytest.raises(ValueError, match="needs the 8 features of the last fit; X has 7"):
        model.fit(ArraySource(X[:, :7].copy(), y, max_memory=LITTLE))


def test_callbacks_hear_of_each_pass():
    X, y = _noisy()
    heard = []
    model = SoftmaxClassifier(random_state=0, callbacks=[heard.append])
    model.fit(ArraySource(X, y, max_memory=LITTLE))
    assert len(heard) == model.n_iter_


def test_ctrl_c_leaves_what_was_learned():
    X, y = _noisy()

    class Interrupted(Source):
        name = "interrupted"
        n_reads = 0

        def blocks(self, seed=None):
            for number, (x, labels) in enumerate(_blocks(X, y)):
                self.n_reads += 1
                if self.n_reads > 90:
                    raise KeyboardInterrupt
                yield Block(number, x, labels)

    model = SoftmaxClassifier(random_state=0, tol=1e-12)
    with pytest.raises(KeyboardInterrupt):
        model.fit(Interrupted(max_memory=LITTLE))
    assert model.n_iter_ > 2
    assert model.score(X, y) > 0.5


# --- Kinds of sources -----------------------------------------------------------------------------


def _of_source(source):
    """All rows of a source, in order, and in another order."""
    blocks = list(source.blocks())
    shuffled = {block.number: block for block in source.blocks(seed=3)}
    assert sorted(shuffled) == [block.number for block in blocks]
    for block in blocks:
        np.testing.assert_array_equal(_dense(block.X), _dense(shuffled[block.number].X))
    X = np.concatenate([_dense(block.X) for block in blocks])
    return X, np.concatenate([block.y for block in blocks])


def _dense(X):
    return X.toarray() if hasattr(X, "toarray") else X


def test_files_of_arrays(tmp_path):
    X, y = _noisy(1000)
    for number, part in enumerate((slice(0, 300), slice(300, 301), slice(301, 1000))):
        np.save(tmp_path / f"X_{number}.npy", X[part])
        np.save(tmp_path / f"y_{number}.npy", y[part])
    (tmp_path / "sub").mkdir()
    source = NpySource(f"{tmp_path}/X_*.npy", f"{tmp_path}/y_*.npy", max_memory=LITTLE)
    assert source.n_blocks > 5
    read = _of_source(source)
    np.testing.assert_array_equal(read[0], X)
    np.testing.assert_array_equal(read[1], y)
    block = source.read(0)
    assert block.X.base is not None
    assert not block.X.flags.writeable
    paths = [tmp_path / f"{name}_{number}.npy" for name in "Xy" for number in range(3)]
    np.testing.assert_array_equal(_of_source(NpySource(paths[:3], paths[3:]))[0], X)


@pytest.mark.parametrize(
    ("arrays", "error"),
    [
        ({"X": np.zeros((5, 2)), "y": np.zeros(4)}, "y.npy holds 4 values for the 5 rows of"),
        ({"X": np.zeros(5), "y": np.zeros(5)}, "must hold an array of 2 dimensions"),
        ({"X": np.asfortranarray(np.zeros((5, 2))), "y": np.zeros(5)}, "columns one after the"),
        ({"X": np.zeros((5, 2)), "y": np.array([None] * 5)}, "no Python objects"),
    ],
    ids=["lengths", "dimensions", "order", "objects"],
)
def test_files_that_are_not_what_they_should_be(arrays, error, tmp_path):
    for name, array in arrays.items():
        np.save(tmp_path / f"{name}.npy", array)
    with pytest.raises(ValueError, match=error):
        NpySource(tmp_path / "X.npy", tmp_path / "y.npy")


def test_files_that_are_missing_or_no_arrays(tmp_path):
    with pytest.raises(FileNotFoundError):
        NpySource(tmp_path / "X.npy")
    with pytest.raises(FileNotFoundError, match=r"X: no file is named .*X_\*"):
        NpySource(f"{tmp_path}/X_*.npy")
    (tmp_path / "X.npy").write_text("text")
    with pytest.raises(ValueError, match=r"X.npy is no .npy file"):
        NpySource(tmp_path / "X.npy")


def test_a_file_that_is_cut_off_meanwhile(tmp_path):
    X, y = _noisy()
    np.save(tmp_path / "X.npy", X)
    np.save(tmp_path / "y.npy", y)
    source = NpySource(tmp_path / "X.npy", tmp_path / "y.npy", max_memory=LITTLE)
    with open(tmp_path / "X.npy", "r+b") as file:
        file.truncate(200_000)
    with pytest.raises(ValueError, match=r"X.npy ends before row \d+, which it had"), Threads():
        SoftmaxClassifier().fit(source)


def test_svmlight(tmp_path):
    X, y = _noisy(700)
    X[np.abs(X) < 1] = 0
    dump_svmlight_file(X, y, str(tmp_path / "rows.txt"), zero_based=False)
    source = SvmlightSource(tmp_path / "rows.txt", 8, max_memory=LITTLE)
    assert source.n_blocks > 3
    read = _of_source(source)
    np.testing.assert_allclose(read[0], X, rtol=1e-12)
    np.testing.assert_array_equal(read[1], y)
    for number, rows in enumerate((slice(0, 300), slice(300, 700))):
        dump_svmlight_file(X[rows], y[rows], str(tmp_path / f"part-{number}.txt"), zero_based=False)
    of_parts = _of_source(SvmlightSource(f"{tmp_path}/part-*", 8, max_memory=LITTLE))
    np.testing.assert_array_equal(of_parts[0], read[0])
    (tmp_path / "text.txt").write_text("1 1:2\na,b\n")
    with pytest.raises(ValueError, match=r"text\.txt: could not convert string to float"):
        SvmlightSource(tmp_path / "text.txt", 8).read(0)
    with pytest.raises(ValueError, match="n_features must be an int, at least 1; got 0"):
        SvmlightSource(tmp_path / "rows.txt", 0)


def test_hdf5(tmp_path):
    h5py = pytest.importorskip("h5py")
    X, y = _noisy()
    with h5py.File(tmp_path / "rows.h5", "w") as file:
        file["X"], file["y"] = X, y
    with h5py.File(tmp_path / "rows.h5") as file:
        source = ArraySource(file["X"], file["y"], max_memory=LITTLE)
        read = _of_source(source)
        model = SoftmaxClassifier(random_state=0).fit(source)
    np.testing.assert_array_equal(read[0], X)
    assert model.converged_


@pytest.mark.parametrize("embedding", [False, True])
def test_parquet(embedding, tmp_path):
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    from fastsoftmax.sources import ParquetSource

    X, y = _noisy()
    X = X.astype(np.float32)
    labels = np.array(["p", "q", "r", "s"])[y]
    weight = np.linspace(1, 2, len(y))
    columns = {f"x{j}": X[:, j] for j in range(8)}
    if embedding:
        columns = {"vector": pa.FixedSizeListArray.from_arrays(X.ravel(), 8)}
    table = pa.table({**columns, "label": labels, "weight": weight})
    for number, start in enumerate((0, 4000)):
        path = tmp_path / f"part-{number}.parquet"
        parquet.write_table(table.slice(start, 4000 - 2000 * number), path, row_group_size=700)
    source = ParquetSource(
        f"{tmp_path}/*.parquet", "label", sample_weight="weight", max_memory=LITTLE
    )
    assert source.n_blocks == 9
    assert source.feature_names == list(columns)
    read = _of_source(source)
    np.testing.assert_array_equal(read[0], X)
    assert read[1].tolist() == labels.tolist()
    streamed = SoftmaxClassifier(random_state=0, dtype="float64", tol=1e-7).fit(source)
    held = SoftmaxClassifier(random_state=0, dtype="float64", tol=1e-9).fit(X, labels, weight)
    assert abs(_objective(streamed, X, labels, weight) - _objective(held, X, labels, weight)) < 5e-7
    with pytest.raises(ValueError, match=r"part-0.parquet has no column 'class'; it has \["):
        ParquetSource(f"{tmp_path}/*.parquet", "class")
    text = ParquetSource(f"{tmp_path}/*.parquet", "weight")
    with pytest.raises(ValueError, match=r"column 'label' of .* holds string, and features must"):
        text.read(0)


@pytest.fixture
def csv_files(tmp_path):
    """Two files of text, and what is in them."""
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    X, y = _noisy()
    X[:, 0] = np.round(X[:, 0])
    X[:, 1] = X[:, 1] > 0
    frame = pandas.DataFrame(X, columns=[f"x{j}" for j in range(8)])
    frame["x0"], frame["x1"] = frame["x0"].astype(int), frame["x1"].astype(bool)
    frame["label"], frame["weight"] = np.array(["p", "q", "r", "s"])[y], np.linspace(1, 2, len(y))
    frame[:4000].to_csv(tmp_path / "part-0.csv", index=False)
    frame[frame.columns[::-1]][4000:].to_csv(tmp_path / "part-1.csv.gz", index=False)
    return tmp_path, X, frame


def test_csv(csv_files):
    folder, X, frame = csv_files
    paths = f"{folder}/part-*"
    source = CsvSource(paths, "label", sample_weight="weight", max_memory=LITTLE)
    assert source.feature_names == [f"x{j}" for j in range(8)]
    assert source.name == f"{folder}/part-0.csv and 1 more"
    with Threads():
        read = _of_source(source)
    np.testing.assert_array_equal(read[0], X)
    assert read[1].tolist() == frame["label"].tolist()
    assert len(list(source.blocks())) > 6
    labels, weight = frame["label"].to_numpy(), frame["weight"].to_numpy()
    streamed = SoftmaxClassifier(random_state=0, tol=1e-7).fit(source)
    held = SoftmaxClassifier(random_state=0, tol=1e-9).fit(X, labels, weight)
    assert abs(_objective(streamed, X, labels, weight) - _objective(held, X, labels, weight)) < 5e-7
    np.testing.assert_array_equal(
        held.predict(CsvSource(paths, features=source.feature_names)), held.predict(X)
    )


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("a,y\n1,p\n", r"rows.csv has no column 'b'; it has \['a', 'y'\]"),
        ("a,b,y\n1,two,p\n", "column 'b' of .*rows.csv holds string, and features must be numbers"),
        ("a,b,y\n1,2,p\n1,2\n", "rows.csv: CSV parse error: .*Expected 3 columns, got 2"),
        ("", "rows.csv: Empty CSV file"),
        ("a,b,y\n1,2,\n1,2,\n", "column 'y' of .*rows.csv has rows without a value"),
    ],
    ids=["missing", "text", "short line", "empty", "no label"],
)
def test_csv_that_is_not_what_it_should_be(text, error, tmp_path):
    pytest.importorskip("pyarrow")
    (tmp_path / "rows.csv").write_text(text)
    with pytest.raises(ValueError, match=error):
        list(CsvSource(tmp_path / "rows.csv", "y", ["a", "b"]).blocks())


def test_csv_whose_numbers_end(tmp_path):
    pytest.importorskip("pyarrow")
    lines = ["a;y", *(f"{i};{i % 2}" for i in range(20_000)), "none;1"]
    (tmp_path / "rows.csv").write_text("\n".join(lines))
    source = CsvSource(tmp_path / "rows.csv", "y", delimiter=";", max_memory=LITTLE)
    with pytest.raises(ValueError, match=r"rows.csv: In CSV column #0: .* invalid value 'none'"):
        SoftmaxClassifier().fit(source)


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_tables_without_pyarrow(kind, tmp_path, monkeypatch):
    from fastsoftmax.sources import ParquetSource

    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ImportError, match=r'pip install "fastsoftmax\[arrow\]"'):
        {"csv": CsvSource, "parquet": ParquetSource}[kind](tmp_path / "rows")


def test_files_that_are_no_parquet(tmp_path):
    pytest.importorskip("pyarrow")
    from fastsoftmax.sources import ParquetSource

    (tmp_path / "rows.parquet").write_text("text")
    with pytest.raises(ValueError, match=r"rows.parquet is no Parquet file"):
        ParquetSource(tmp_path / "rows.parquet")


def test_iterables():
    X, y = _noisy()

    class DataIter:
        """In the manner of XGBoost's."""

        def __init__(self):
            self._left = None

        def reset(self):
            self._left = iter(_blocks(X, y))

        def next(self, input_data):
            for x, labels in self._left:
                input_data(data=x, label=labels)
                return 1
            return 0

    expected = SoftmaxClassifier(random_state=0).fit(
        IterableSource(_blocks(X, y), max_memory=LITTLE)
    )
    for blocks in (DataIter(), lambda: iter(_blocks(X, y)), tuple(_blocks(X, y))):
        model = SoftmaxClassifier(random_state=0).fit(IterableSource(blocks, max_memory=LITTLE))
        np.testing.assert_array_equal(model.coef_, expected.coef_)
    with pytest.raises(TypeError, match="each pass begins anew; got generator"):
        IterableSource(block for block in _blocks(X, y))
    with pytest.raises(TypeError, match=r"block 0 must be a tuple .* got ndarray"):
        SoftmaxClassifier().fit(IterableSource([X]))


def test_predictions_are_those_of_the_rows():
    X, y = _noisy()
    model = SoftmaxClassifier(random_state=0).fit(X, y)
    source = ArraySource(X, y, max_memory=LITTLE)
    for method in ("predict", "predict_proba", "predict_log_proba", "decision_function"):
        expected = getattr(model, method)(X)
        np.testing.assert_array_equal(getattr(model, method)(source), expected)
    assert model.score(source) == model.score(X, y)
    weight = np.linspace(0, 1, len(y))
    weighted = ArraySource(X, y, weight, max_memory=LITTLE)
    assert model.score(weighted) == pytest.approx(model.score(X, y, weight), rel=1e-12)
    with pytest.raises(NotFittedError):
        SoftmaxClassifier().predict(source)


# --- Folds of blocks ------------------------------------------------------------------------------


#: So little that 4000 rows of 8 features are streamed, of 16 blocks.
SOME = 1 << 18


def _rows_of_folds(source, n_folds):
    """What a number of folds of blocks is of rows."""
    of_row = np.repeat(np.arange(source.n_blocks), [len(block.y) for block in source.blocks()])
    every = np.arange(len(of_row))
    return [(every[of_row % n_folds != k], every[of_row % n_folds == k]) for k in range(n_folds)]


@pytest.mark.parametrize(
    ("parameters", "form"),
    [
        ({"scoring": "loss"}, "dense"),
        ({"class_weight": "balanced", "scoring": "accuracy"}, "dense"),
        ({"standardize": True, "scoring": "loss"}, "sparse"),
        ({"alphas": [1e-3, 1e-1], "label_smoothing": 0.1}, "weighted"),
    ],
    ids=["loss", "balanced", "sparse", "weighted"],
)
@pytest.mark.parametrize("max_memory", [SOME, 1 << 24], ids=["streamed", "held"])
def test_folds_of_blocks_are_those_of_their_rows(max_memory, parameters, form):
    X, y = _noisy(4000)
    weight = np.linspace(0, 2, len(y)) if form == "weighted" else None
    if form == "sparse":
        X[np.abs(X) < 1] = 0
        X = csr_array(X)
    source = ArraySource(X, y, weight, max_memory=SOME)
    folds = _rows_of_folds(source, 3)
    if max_memory > SOME:
        blocks = [(block.X, block.y, block.sample_weight) for block in source.blocks()]
        source = IterableSource(blocks, max_memory=max_memory)
    model = SoftmaxClassifierCV(
        **{"alphas": 4, "cv": 3, "tol": 1e-8, "random_state": 0, **parameters}
    )
    with Threads():
        scores = model.fit(source).scores_
    alphas, coef, alpha = model.alphas_, model.coef_, model.alpha_
    held = model.set_params(cv=folds).fit(X, y, weight)
    np.testing.assert_allclose(alphas, held.alphas_, rtol=1e-6)
    np.testing.assert_allclose(scores, held.scores_, rtol=2e-3 if scores.max() > 0 else 1e-4)
    assert alpha == pytest.approx(held.alpha_)
    np.testing.assert_allclose(coef, held.coef_, atol=2e-3 * np.abs(held.coef_).max())


def test_folds_of_what_can_only_be_read_from_its_beginning():
    X, y = _noisy(4000)
    model = SoftmaxClassifierCV(alphas=3, cv=2, random_state=0, scoring="loss", tol=1e-7)
    of_array = model.fit(ArraySource(X, y, max_memory=SOME)).scores_
    blocks = [(b.X, b.y) for b in ArraySource(X, y, max_memory=SOME).blocks()]
    np.testing.assert_array_equal(
        model.fit(IterableSource(blocks, max_memory=SOME)).scores_, of_array
    )


def test_a_fold_without_a_class():
    """Its rows count as misses, or as the greatest loss, as they do in memory."""
    X, y = _noisy(4000, n_classes=3)
    y[:64] = 3
    source = ArraySource(X, y, max_memory=SOME)
    assert source.read(0).X.shape[0] >= 64
    for scoring in ("loss", "accuracy"):
        model = SoftmaxClassifierCV(
            alphas=[0.01, 0.1], cv=3, scoring=scoring, tol=1e-8, random_state=0
        )
        scores = model.fit(source).scores_
        held = model.set_params(cv=_rows_of_folds(source, 3)).fit(X, y).scores_
        np.testing.assert_allclose(scores, held, rtol=2e-3 if scoring == "accuracy" else 1e-4)


@pytest.mark.parametrize(
    ("parameters", "given", "error"),
    [
        ({"cv": 100}, {}, "cv=100 needs at least 2 folds and as many blocks; ndarray of .* has 16"),
        ({"cv": StratifiedKFold(3, shuffle=True)}, {}, "a source is split by blocks: use a number"),
        ({"cv": [(np.arange(3000), np.arange(3000, 4000))]}, {}, "split by blocks, not by rows"),
        ({"cv": [([0, 1], [])]}, {}, "fold 0 of cv holds out no row of weight above 0"),
        ({"scoring": "neg_log_loss"}, {}, "scoring must be None, 'accuracy' or 'loss' with a sou"),
        ({}, {"groups": np.zeros(4000)}, "groups must be None with a source"),
        ({}, {"y": np.zeros(4000)}, "y comes from the source that is given as X"),
    ],
    ids=["number", "labels", "rows", "nothing", "scoring", "groups", "y"],
)
def test_folds_that_blocks_can_not_have(parameters, given, error):
    source = ArraySource(*_noisy(4000), max_memory=SOME)
    model = SoftmaxClassifierCV(**parameters)
    with pytest.raises(ValueError, match=error):
        model.fit(source, **given)
    assert not hasattr(model, "n_features_in_")


def test_splitters_of_blocks_and_rows_to_score_on():
    X, y = _noisy(4000)
    source = ArraySource(X[1000:], y[1000:], max_memory=SOME)
    parameters = {"alphas": [0.1, 1.0], "random_state": 0}
    model = SoftmaxClassifierCV(cv=KFold(3, shuffle=True, random_state=0), **parameters)
    assert model.fit(source).scores_.shape == (3, 2)
    for scoring in (None, "loss"):
        model.set_params(scoring=scoring)
        scores = model.fit(source, X_val=ArraySource(X[:1000], y[:1000])).scores_
        in_memory = model.fit(source, X_val=X[:1000], y_val=y[:1000]).scores_
        np.testing.assert_allclose(scores, in_memory, rtol=1e-6)


# --- What is refused ------------------------------------------------------------------------------


def _broken(change, at=3):
    """Blocks of which one was changed."""
    X, y = _noisy()
    blocks = _blocks(X, y)
    blocks[at] = change(*(array.copy() for array in blocks[at]))
    return IterableSource(blocks, max_memory=LITTLE)


def _with_nan(x, labels):
    x[7, 2] = np.nan
    return x, labels


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (_with_nan, "block 3 of list: X contains NaN in row 7, feature 2"),
        (lambda x, y: (x[:, :5], y), "block 3 of list: X has 5 features, and block 0 has 8"),
        (
            lambda x, y: (x.astype(np.float32), y),
            "block 3 of list: X is dense float32, and block 0",
        ),
        (lambda x, y: (csr_array(x), y), "block 3 of list: X is sparse float64, and block 0 is"),
        (lambda x, y: (x, y[:-1]), "block 3 of list: y must have a label for each of 500 rows"),
        (lambda x, y: (x, y, -np.ones(500)), "block 3 of list: sample_weight must not be negative"),
        (lambda x, y: (x.astype(str), y), "block 3 of list: X must hold numbers"),
        (lambda x, y: (x[0], y), "block 3 of list: X must have two dimensions"),
        (lambda x, y: (x,), "block 3 of list: y must be labels to fit; got None"),
    ],
    ids=["NaN", "width", "dtype", "form", "labels", "weights", "text", "dimensions", "no labels"],
)
def test_a_block_that_is_not_like_the_others(change, error):
    model = SoftmaxClassifier()
    with pytest.raises(ValueError, match=error), Threads():
        model.fit(_broken(change))
    assert not hasattr(model, "n_features_in_")


class _Changing(Source):
    """Other rows from the second pass on."""

    name = "changing"

    def __init__(self, change):
        super().__init__(LITTLE)
        self._change, self._n_passes = change, 0

    def blocks(self, seed=None):
        self._n_passes += 1
        blocks = _blocks(*_noisy())
        if self._n_passes > 2:
            self._change(blocks)
        for number, block in enumerate(blocks):
            yield Block(number, *block)


def _other_labels(blocks):
    blocks[5][1][0] ^= 1


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (_other_labels, "block 5 of changing has other rows, labels or weights"),
        (lambda blocks: blocks.pop(), "changing ended after block 10; the first pass had 12"),
        (lambda blocks: blocks.append(blocks[0]), "block 12 of changing has other rows"),
    ],
    ids=["labels", "fewer", "more"],
)
def test_a_source_that_changes(change, error):
    """What an earlier fit has learned is not lost."""
    X, y = _noisy()
    model = SoftmaxClassifier(random_state=0).fit(X, y)
    coef = model.coef_
    with pytest.raises(ValueError, match=error), Threads():
        model.fit(_Changing(change))
    assert model.coef_ is coef


def test_what_a_source_has_is_not_given_beside_it():
    X, y = _noisy(100)
    source = ArraySource(X, y)
    model = SoftmaxClassifier().fit(X, y)
    for call in (model.fit, model.score):
        with pytest.raises(ValueError, match="y comes from the source that is given as X"):
            call(source, y)
        with pytest.raises(ValueError, match="sample_weight comes from the source"):
            call(source, sample_weight=np.ones(100))


def test_blocks_of_few_rows_and_many_classes():
    """scikit-learn would warn of each that it might be a regression."""
    X, y = _noisy(2000, n_classes=25)
    model = SoftmaxClassifier(random_state=0)
    model.fit(IterableSource(_blocks(X, y, n_rows=30), max_memory=LITTLE))
    assert model.converged_
    with pytest.raises(ValueError, match="block 0 of list: Unknown label type: continuous"):
        model.fit(IterableSource(_blocks(X, y + 0.5, n_rows=30)))


@pytest.mark.parametrize(
    ("blocks", "error"),
    [
        ([], "list holds no rows"),
        ([(np.zeros((0, 3)), np.zeros(0, int))], "list holds no rows"),
        ([(np.ones((4, 3)), np.ones(4, int))], "at least 2 classes; list holds only 1 class, 1"),
        (
            [(np.ones((4, 3)), np.arange(4), np.zeros(4))],
            "sample_weight must be above 0 for at least one row",
        ),
    ],
    ids=["no block", "no row", "one class", "no weight"],
)
def test_nothing_to_learn_from(blocks, error):
    with pytest.raises(ValueError, match=error):
        SoftmaxClassifier().fit(IterableSource(blocks))


def test_searches_score_a_source_by_accuracy():
    X, y = _noisy(300)
    source = ArraySource(X, y, max_memory=LITTLE)
    model = LogisticRegressionCV(Cs=2, cv=2).fit(X, y)
    assert model.score(source) == model.score(X, y)
    model.scoring = "neg_log_loss"
    with pytest.raises(ValueError, match="a source is scored by the accuracy alone; got scoring="):
        model.score(source)


def test_solvers_and_estimators_that_need_the_rows():
    X, y = _noisy()
    source = ArraySource(csr_array(X), y, max_memory=LITTLE)
    with pytest.raises(ValueError, match="solver='dual' needs all rows in memory"):
        SoftmaxClassifier(solver="dual").fit(source)
    with pytest.raises(TypeError, match="LogisticRegressionCV needs X in memory; got ArraySource"):
        LogisticRegressionCV().fit(source, None)


@pytest.mark.parametrize("max_memory", [0, -1, 1.5, "256MB", True, None])
def test_memory_is_a_number_of_bytes(max_memory):
    with pytest.raises(ValueError, match=r"max_memory must be a number of bytes"):
        ArraySource(np.zeros((2, 2)), max_memory=max_memory)


def test_arrays_that_do_not_belong_together():
    with pytest.raises(ValueError, match=r"y must have one value for each row of X, shape \(5,\)"):
        ArraySource(np.zeros((5, 2)), np.zeros(4))
    with pytest.raises(ValueError, match="X must have a shape of two dimensions and a dtype"):
        ArraySource([[1, 2]])


# --- The sample -----------------------------------------------------------------------------------


def test_sample_stands_for_all_rows():
    """By what its rows stand for, counts and sums are those of all, and rare rows are in it."""
    rng = np.random.default_rng(0)
    n = 40_000
    y = rng.choice(4, n, p=[0.9, 0.08, 0.0195, 0.0005])
    X = rng.normal(size=(n, 2)) + y[:, None]
    source = ArraySource(X, y, max_memory=64 * 2000)
    counts, means = [], []
    for seed in range(20):
        found = scan(source, None, 1, False, seed)
        assert 2000 <= len(found.codes) < 3000
        assert np.bincount(found.codes)[3] == np.count_nonzero(y == 3)
        assert len(np.unique(found.X[:, 0])) == len(found.X), "rows were drawn twice"
        counts.append(np.bincount(found.codes, found.stands_for))
        means.append(found.stands_for @ found.X / n)
    np.testing.assert_allclose(np.mean(counts, axis=0), np.bincount(y), rtol=0.02)
    np.testing.assert_allclose(np.mean(means, axis=0), X.mean(axis=0), atol=0.01)
    np.testing.assert_array_equal(found.class_count, np.bincount(y))


# --- Memory and threads ---------------------------------------------------------------------------


def test_memory_does_not_grow_with_the_rows():
    peaks = []
    X, y = _noisy(2000, n_features=50)
    for times in (4, 16):
        source = IterableSource(lambda times=times: iter([(X, y)] * times), max_memory=1 << 20)
        tracemalloc.start()
        SoftmaxClassifier(random_state=0).fit(source)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.1 * peaks[0]
    assert peaks[1] < 16 * X.nbytes / 2


RESIDENT = """
import sys
import numpy as np
from fastsoftmax import SoftmaxClassifier
from fastsoftmax.sources import NpySource

def status(name):
    with open("/proc/self/status") as file:
        (line,) = (line for line in file if line.startswith(name))
    return int(line.split()[1]) << 10

folder, max_memory = sys.argv[1], int(sys.argv[2])
before = None
for pattern in ("0", "0", "*"):  # the first fit brings in what any fit needs
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")  # begin anew with the largest resident memory
    before = before or status("VmRSS")
    source = NpySource(*(f"{folder}/{name}_{pattern}.npy" for name in "Xy"), max_memory=max_memory)
    SoftmaxClassifier(random_state=0, n_jobs=1, max_iter=7).fit(source)
    print(status("VmHWM") - before)
"""


@pytest.mark.alone
@pytest.mark.skipif(not os.access("/proc/self/clear_refs", os.W_OK), reason="it has no /proc")
def test_resident_memory_does_not_grow_with_the_files(tmp_path):
    """What is mapped of the files counts as well, and so does the model of the curvature."""
    max_memory, n_files = 4 << 20, 4
    for number in range(n_files):
        X, y = _noisy(20_000, n_features=100, n_classes=3, seed=number)
        np.save(tmp_path / f"X_{number}.npy", X.astype(np.float32))
        np.save(tmp_path / f"y_{number}.npy", y)
    command = [sys.executable, "-W", "ignore", "-c", RESIDENT, os.fspath(tmp_path)]
    run = subprocess.run([*command, str(max_memory)], check=True, capture_output=True, text=True)
    _, of_one, of_all = map(int, run.stdout.split())
    assert of_all < of_one + max_memory
    assert of_all < n_files * X.nbytes / 2


def test_codes_are_kept_while_there_is_memory_for_them():
    X, y = _noisy(8000)
    for max_memory, n_kept in ((1 << 17, 8000), (1 << 16, 4096)):
        found = scan(ArraySource(X, y, max_memory=max_memory), None, 1, False, 0)
        kept = [found.codes_of_block(number) for number in range(len(found.seen))]
        assert not found.is_whole
        lengths = [0 if codes is None else len(codes) for codes in kept]
        assert n_kept - found.seen[0].n_rows < sum(lengths) <= n_kept
        codes = np.concatenate([codes for codes in kept if codes is not None])
        np.testing.assert_array_equal(codes, y[: len(codes)])


def test_reading_ahead():
    """In order, one block ahead and no more, and no thread is left behind."""
    given = []

    def blocks():
        for number in range(10):
            given.append(number)
            yield number

    with Threads():
        assert list(ahead(blocks())) == list(range(10))
    given.clear()
    with Threads():
        reader = ahead(blocks())
        assert next(reader) == 0
        reader.close()
    assert len(given) <= 4

    def failing():
        yield 0
        raise OSError("the disk is gone")

    with Threads():
        reader = ahead(failing())
        assert next(reader) == 0
        with pytest.raises(OSError, match="the disk is gone"):
            next(reader)

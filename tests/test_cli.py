"""The commands train, predict, evaluate and show: what they read, write, print and refuse.

That an estimator does what it should is for other files; here it is held against what the commands
make of it. ``demo`` is in test_demo.py, and the commands of docs/command-line.md run in
test_command_line_page.py.
"""

import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from scipy.sparse import csr_matrix, hstack
from sklearn.datasets import dump_svmlight_file
from sklearn.feature_extraction.text import HashingVectorizer, TfidfTransformer
from sklearn.metrics import (
    accuracy_score,
    confusion_matrix,
    log_loss,
    precision_recall_fscore_support,
)

import fastsoftmax
from fastsoftmax import SoftmaxClassifier, SoftmaxClassifierCV
from fastsoftmax.__main__ import main
from fastsoftmax.cli import formats
from fastsoftmax.cli.measures import Measures
from fastsoftmax.cli.reporting import Progress, as_json
from fastsoftmax.sources import NpySource, Source

pytest.importorskip("safetensors")
pa = pytest.importorskip("pyarrow")
pd = pytest.importorskip("pandas")

N_FEATURES, LABELS = 5, np.array(["ape", "bee", "cat"])
NAMES = [f"x{j}" for j in range(N_FEATURES)]
N_TRAIN, N_TEST = 700, 200

#: So little memory that the files below are streamed.
LITTLE = ["--max-memory", "16KB"]


def _noisy():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(N_TRAIN + N_TEST, N_FEATURES))
    raw = X @ rng.normal(size=(N_FEATURES, 3)) + rng.gumbel(size=(len(X), 3))
    X[np.abs(X) < 0.2] = 0
    return np.round(X, 4), raw.argmax(axis=1)


X, CODES = _noisy()
WEIGHT = np.linspace(1, 2, len(X))
PARTS = {"train": slice(0, N_TRAIN), "test": slice(N_TRAIN, None)}


def _write(folder, name, rows):
    """The rows in every format."""
    frame = pd.DataFrame(X[rows], columns=NAMES)
    frame["animal"], frame["weight"] = LABELS[CODES[rows]], WEIGHT[rows]
    frame["comment"] = "none"
    frame.to_csv(folder / f"{name}.csv", index=False)
    frame.to_csv(folder / f"{name}.tsv.gz", index=False, sep="\t")
    frame.iloc[::-1].iloc[::-1].to_parquet(folder / f"{name}.parquet", row_group_size=100)
    lists = pa.FixedSizeListArray.from_arrays(X[rows].ravel(), N_FEATURES)
    table = pa.table({"vector": lists, "animal": LABELS[CODES[rows]]})
    pa.parquet.write_table(table, folder / f"{name}-lists.parquet", row_group_size=100)
    np.save(folder / f"{name}-X.npy", X[rows])
    np.save(folder / f"{name}-y.npy", CODES[rows])
    np.savez(folder / f"{name}.npz", X=X[rows], y=CODES[rows])
    dump_svmlight_file(X[rows], CODES[rows], str(folder / f"{name}.svm"), zero_based=False)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    import pyarrow.parquet  # noqa: F401

    folder = tmp_path_factory.mktemp("rows")
    for name, rows in PARTS.items():
        _write(folder, name, rows)
    return folder


@pytest.fixture
def at(files, tmp_path, monkeypatch):
    """The folder of the files, linked into an empty one that commands run in."""
    for path in files.iterdir():
        if sys.platform == "win32":  # where few may make links
            shutil.copy(path, tmp_path)
        else:
            (tmp_path / path.name).symlink_to(path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run(at, capsys):
    """Runs a command line; gives status, stdout and stderr."""

    def run(text, *more):
        status = main([*text.split(), *more])
        printed = capsys.readouterr()
        return status, printed.out, printed.err

    return run


@pytest.fixture
def model(run):
    """A model of the CSV."""
    assert run("train train.csv --label animal --weight weight -o model.safetensors")[0] == 0
    return fastsoftmax.load("model.safetensors")


#: Arguments that name the rows of each format, with {} for the part, and the labels in it.
FORMATS = {
    "csv": ("{}.csv", "--label animal --weight weight", LABELS),
    "tsv": ("{}.tsv.gz", "--label animal --weight weight", LABELS),
    "parquet": ("{}.parquet", "--label animal --weight weight", LABELS),
    "lists": ("{}-lists.parquet", "--label animal", LABELS),
    "npy": ("{}-X.npy", "--labels {}-y.npy", np.arange(3)),
    "npz": ("{}.npz", "", np.arange(3)),
    "svmlight": ("{}.svm", "", np.arange(3.0)),
}


def _fitted(kind, **parameters):
    """The estimator's own fit to the rows in memory."""
    _, options, labels = FORMATS[kind]
    rows = PARTS["train"]
    weight = WEIGHT[rows] if "weight" in options else None
    model = SoftmaxClassifier(random_state=0, **parameters)
    return model.fit(_form(kind, rows), labels[CODES[rows]], weight)


def _form(kind, rows):
    return csr_matrix(X[rows]) if kind == "svmlight" else X[rows]


# --- From training to numbers ---------------------------------------------------------------------


@pytest.mark.parametrize("kind", FORMATS)
def test_round_trip(kind, run, at):
    file, options, labels = FORMATS[kind]
    status, out, err = run(f"train {file} {options} -o m.safetensors".format("train", "train"))
    assert status == 0
    assert out.startswith("700 rows, 5 features, 3 classes; ")
    assert out.endswith("saved: m.safetensors\n")
    held_out = "comment (" if kind in ("csv", "tsv", "parquet") else ""
    assert (held_out in err) == bool(err or not held_out)
    model, own = fastsoftmax.load("m.safetensors"), _fitted(kind)
    np.testing.assert_array_equal(model.coef_, own.coef_)
    assert model.callbacks is None

    test = file.format("test")
    y = labels[CODES[PARTS["test"]]]
    rows = _form(kind, PARTS["test"])
    status, out, err = run(f"predict m.safetensors {test} --proba -o out.parquet")
    assert (status, err) == (0, "")
    assert out.startswith("200 rows predicted")
    frame = pd.read_parquet("out.parquet")
    assert frame["prediction"].tolist() == own.predict(rows).tolist()
    assert frame.columns[1:].tolist() == [f"proba_{label}" for label in labels.tolist()]
    np.testing.assert_array_equal(frame.iloc[:, 1:].to_numpy(), own.predict_proba(rows))

    status, out, err = run(f"evaluate m.safetensors {test} {options} --json".format("test"))
    assert (status, err) == (0, "")
    weight = WEIGHT[PARTS["test"]] if "weight" in options else None
    document = json.loads(out)
    assert document["accuracy"] == pytest.approx(own.score(rows, y, weight), rel=1e-12)
    assert document["rows"] == 200

    status, out, err = run("show m.safetensors")
    assert (status, err) == (0, "")
    assert "estimator      SoftmaxClassifier(random_state=0)\n" in out
    assert "features       5" in out
    assert ("label          animal\n" in out) == ("--label " in options)
    shown = json.loads(run("show m.safetensors --json")[1])
    assert shown["classes"] == labels.tolist()
    assert shown["converged"] is True
    assert shown["suboptimality_bound"] == own.suboptimality_bound_
    names = {"lists": [f"vector[{j}]" for j in range(N_FEATURES)]}
    has_names = kind in ("csv", "tsv", "parquet", "lists")
    assert shown["feature_names"] == (names.get(kind, NAMES) if has_names else None)


@pytest.mark.parametrize("kind", FORMATS)
def test_what_is_streamed_gives_the_model_of_the_rows_in_memory(kind, run):
    file, options, _ = FORMATS[kind]
    command = f"train {file} {options} -o m.safetensors --tol 1e-8 --alpha 0.01 --dtype float64"
    status, _, _ = run(command.format("train", "train"), *LITTLE)
    assert status == 0
    streamed = fastsoftmax.load("m.safetensors")
    held = _fitted(kind, tol=1e-10, alpha=0.01)
    assert streamed.converged_
    assert streamed.classes_.tolist() == held.classes_.tolist()
    np.testing.assert_allclose(streamed.coef_, held.coef_, atol=2e-3 * np.abs(held.coef_).max())
    assert not np.array_equal(streamed.coef_, held.coef_)  # it was another way


def test_parameters_are_the_estimator_s(run):
    text = "train train.csv --label animal -o m.safetensors --standardize --class-weight balanced"
    assert run(f"{text} --alpha 0.3 --solver lbfgs --max-iter 50 --jobs 1 --seed 3")[0] == 0
    model = fastsoftmax.load("m.safetensors")
    own = SoftmaxClassifier(
        standardize=True,
        class_weight="balanced",
        alpha=0.3,
        solver="lbfgs",
        max_iter=50,
        random_state=3,
        n_jobs=1,
    )
    assert model.get_params() == own.get_params()
    # The weights are a feature here, as no one said what they are.
    rows = np.column_stack([X, WEIGHT])[PARTS["train"]]
    np.testing.assert_array_equal(model.coef_, own.fit(rows, LABELS[CODES[:N_TRAIN]]).coef_)
    assert "solver='lbfgs'" in run("show m.safetensors")[1]


def test_files_one_after_the_other(run, at):
    frame = pd.read_csv("train.csv")
    frame[:300].to_csv("part-1.csv", index=False)
    frame[frame.columns[::-1]][300:].to_csv("part-2.csv", index=False)
    (at / "more").mkdir()
    assert run("train part-*.csv --label animal --weight weight -o m.safetensors")[0] == 0
    coef = fastsoftmax.load("m.safetensors").coef_
    np.testing.assert_array_equal(coef, _fitted("csv").coef_)
    for kind, ending in (("svmlight", "svm"), ("npz", "npz")):
        X_train, y = X[:N_TRAIN], CODES[:N_TRAIN]
        for number, rows in enumerate((slice(0, 300), slice(300, None))):
            if kind == "npz":
                np.savez(f"part-{number}.npz", rows=X_train[rows], kind=y[rows])
            else:
                dump_svmlight_file(X_train[rows], y[rows], f"part-{number}.svm", zero_based=True)
        label = "--label kind" if kind == "npz" else "--zero-based"
        assert run(f"train part-*.{ending} {label} -o m.safetensors")[0] == 0
        coef = fastsoftmax.load("m.safetensors").coef_
        np.testing.assert_array_equal(coef, _fitted(kind).coef_)


def test_a_model_reads_other_formats(model, run, at):
    """Their features are taken by place, and their labels are where their format has them."""
    own, rows = _fitted("csv"), PARTS["test"]
    np.savez("names.npz", X=X[rows], y=LABELS[CODES[rows]])
    np.savez("animals.npz", X=X[rows], animal=LABELS[CODES[rows]], y=np.zeros(N_TEST))
    np.save("names.npy", LABELS[CODES[rows]])
    for files in ("names.npz", "animals.npz", "test-X.npy --labels names.npy"):
        status, out, err = run(f"evaluate model.safetensors {files} --json")
        assert (status, err) == (0, "")
        assert json.loads(out)["accuracy"] == own.score(X[rows], LABELS[CODES[rows]])
    status, _, err = run("evaluate model.safetensors names.npz --label animal")
    assert (status, "names.npz has no array 'animal'" in err) == (1, True)
    assert run("predict model.safetensors test.svm -o out.npy")[0] == 0
    assert np.load("out.npy").tolist() == own.predict(X[rows]).tolist()


def test_features_are_found_by_name(model, run):
    frame = pd.read_csv("test.csv")
    frame[["comment", *NAMES[::-1]]].assign(x9=7).to_csv("other.csv", index=False)
    assert run("predict model.safetensors other.csv -o out.csv")[0] == 0
    expected = _fitted("csv").predict(X[PARTS["test"]])
    assert pd.read_csv("out.csv")["prediction"].tolist() == expected.tolist()
    assert model.feature_names_in_.tolist() == NAMES
    frame.drop(columns="x3").to_csv("other.csv", index=False)
    status, _, err = run("predict model.safetensors other.csv -o out.csv")
    assert status == 1
    assert err.startswith("fastsoftmax predict: error: other.csv has no column 'x3'; it has [")


def test_row_numbers_of_pandas_are_no_feature(run):
    frame = pd.read_parquet("train.parquet")[[*NAMES, "animal"]]
    frame[frame["x0"] > -1].to_parquet("some.parquet")
    assert "__index_level_0__" in pa.parquet.read_schema("some.parquet").names
    _, _, err = run("train some.parquet --label animal -o m.safetensors")
    assert "__index_level_0__ (row numbers)" in err
    assert fastsoftmax.load("m.safetensors").feature_names_in_.tolist() == NAMES


@pytest.mark.parametrize("ending", ["csv", "parquet", "npy"])
@pytest.mark.parametrize("proba", [False, True])
def test_predictions_are_written_as_asked(ending, proba, model, run):
    rows = X[PARTS["test"]]
    command = f"predict model.safetensors test.parquet test.parquet -o out.{ending} --json"
    status, out, _ = run(command, *(["--proba"] if proba else []), *LITTLE)
    assert status == 0
    document = json.loads(out)
    assert document["rows"] == 400
    own = _fitted("csv")
    probability = np.tile(own.predict_proba(rows), (2, 1))
    if ending == "npy":
        written = np.load("out.npy")
        expected = probability if proba else np.tile(own.predict(rows), 2)
        assert written.dtype == expected.dtype
        np.testing.assert_array_equal(written, expected)
        return
    frame = {"csv": pd.read_csv, "parquet": pd.read_parquet}[ending](f"out.{ending}")
    assert document["columns"] == frame.columns.tolist()
    assert frame["prediction"].tolist() == [*own.predict(rows), *own.predict(rows)]
    if proba:
        np.testing.assert_array_equal(frame.iloc[:, 1:].to_numpy(), probability)


@pytest.mark.parametrize("ending", ["csv", "parquet", "npy"])
def test_predictions_of_no_rows(ending, model, run):
    pd.read_parquet("test.parquet")[:0].to_parquet("none.parquet")
    for proba in ([], ["--proba"]):
        assert run(f"predict model.safetensors none.parquet -o out.{ending}", *proba)[0] == 0
        read = {"csv": pd.read_csv, "parquet": pd.read_parquet, "npy": np.load}[ending]
        assert len(read(f"out.{ending}")) == 0


# --- Validation, folds, weights -------------------------------------------------------------------


@pytest.mark.parametrize("kind", FORMATS)
def test_validation_rows_are_scored(kind, run):
    file, options, labels = FORMATS[kind]
    more = f"--validation {file} -o m.safetensors --json".format("test")
    if kind == "npy":
        more += " --validation-labels test-y.npy"
    status, out, _ = run(f"train {file} {options} {more}".format("train", "train"))
    assert status == 0
    scores = json.loads(out)["validation"]
    own, rows = _fitted(kind), PARTS["test"]
    weight = WEIGHT[rows] if "weight" in options else None
    y = labels[CODES[rows]]
    assert scores["rows"] == N_TEST
    accuracy = own.score(_form(kind, rows), y, weight)
    assert scores["accuracy"] == pytest.approx(accuracy, rel=1e-12)
    loss = log_loss(y, own.predict_proba(_form(kind, rows)), sample_weight=weight)
    assert scores["log_loss"] == pytest.approx(loss, rel=1e-6)


def test_early_stopping(run):
    text = "train train.npz --validation test.npz -o m.safetensors --early-stopping --max-iter 30"
    status, out, _ = run(text)
    assert status == 0
    model = fastsoftmax.load("m.safetensors")
    own = SoftmaxClassifier(early_stopping=True, max_iter=30, random_state=0)
    test = PARTS["test"]
    own.fit(X[:N_TRAIN], CODES[:N_TRAIN], X_val=X[test], y_val=CODES[test])
    assert model.best_iter_ == own.best_iter_
    assert out.startswith("700 rows, 5 features")
    np.testing.assert_array_equal(model.coef_, own.coef_)


@pytest.mark.parametrize("kind", ["csv", "svmlight"])
def test_alpha_by_folds(kind, run):
    file, options, labels = FORMATS[kind]
    command = f"train {file} {options} --cv 3 -o m.safetensors".format("train")
    status, out, _ = run(f"{command} --json")
    assert status == 0
    model = fastsoftmax.load("m.safetensors")
    own = SoftmaxClassifierCV(cv=3, random_state=0)
    weight = WEIGHT[:N_TRAIN] if "weight" in options else None
    own.fit(_form(kind, PARTS["train"]), labels[CODES[:N_TRAIN]], weight)
    assert model.verbose == 0
    np.testing.assert_array_equal(model.coef_, own.coef_)
    document = json.loads(out)
    assert document["alpha"] == own.alpha_
    assert document["cv"]["alphas"] == own.alphas_.tolist()
    assert f"alpha          {own.alpha_:.4g}\n" in run("show m.safetensors")[1]
    status, out, _ = run(command)
    assert f"alpha {own.alpha_:.4g} chosen by cross-validation\n" in out


def test_folds_and_early_stopping_of_what_is_larger_than_memory(run):
    options = " ".join(LITTLE)
    assert run(f"train train.npz --cv 3 {options} -o m.safetensors")[0] == 0
    source = NpySource("train-X.npy", "train-y.npy", max_memory=16_000)
    assert source.n_blocks > 9
    own = SoftmaxClassifierCV(cv=3, random_state=0).fit(source)
    model = fastsoftmax.load("m.safetensors")
    np.testing.assert_array_equal(model.scores_, own.scores_)
    np.testing.assert_array_equal(model.coef_, own.coef_)
    stopping = f"--validation test.npz --early-stopping --max-iter 9 {options}"
    assert run(f"train train.npz {stopping} -o m.safetensors")[0] == 0
    own = SoftmaxClassifier(early_stopping=True, max_iter=9, random_state=0)
    own.fit(source, X_val=NpySource("test-X.npy", "test-y.npy"))
    scores = fastsoftmax.load("m.safetensors").validation_scores_
    np.testing.assert_allclose(scores, own.validation_scores_, rtol=1e-6)


def test_compressed_archives_are_read_whole(run):
    train = PARTS["train"]
    np.savez_compressed("less.npz", X=np.asfortranarray(X[train]), y=CODES[train])
    coef = []
    for file in ("train.npz", "less.npz"):
        assert run(f"train {file} -o m.safetensors")[0] == 0
        coef.append(fastsoftmax.load("m.safetensors").coef_)
    np.testing.assert_array_equal(*coef)


# --- Measures -------------------------------------------------------------------------------------


@pytest.mark.parametrize("weighted", [False, True])
def test_measures_are_scikit_learn_s(weighted):
    rng = np.random.default_rng(0)
    classes = np.array(["a", "b", "c", "never"])
    y = classes[rng.integers(0, 3, 500)]
    probability = rng.dirichlet([1, 1, 1, 0.01], 500) * 0.999 + 0.00025
    weight = rng.uniform(0, 2, 500) if weighted else None
    measures = Measures(classes)
    for rows in (slice(0, 100), slice(100, 101), slice(101, None)):
        of_rows = None if weight is None else weight[rows]
        measures.add(y[rows], np.log(probability[rows]), of_rows)
    predicted = classes[probability.argmax(axis=1)]
    assert measures.n_rows == 500
    expected = accuracy_score(y, predicted, sample_weight=weight)
    assert measures.accuracy == pytest.approx(expected, rel=1e-12)
    expected = log_loss(y, probability, sample_weight=weight, labels=classes)
    assert measures.log_loss == pytest.approx(expected, rel=1e-9)
    np.testing.assert_allclose(
        measures.confusion, confusion_matrix(y, predicted, labels=classes, sample_weight=weight)
    )
    parts = precision_recall_fscore_support(
        y, predicted, labels=classes, sample_weight=weight, zero_division=np.nan
    )
    for name, values in zip(("precision", "recall", "f1", "support"), parts, strict=True):
        np.testing.assert_allclose(measures.of_classes[name], values, rtol=1e-12)
    sure = probability.max(axis=1)
    weight = np.ones(500) if weight is None else weight
    error = 0.0
    for k in range(10):
        of_bin = (sure >= k / 10) & (sure < (k + 1) / 10)
        error += abs(weight[of_bin] @ ((y == predicted)[of_bin] - sure[of_bin]))
    assert measures.calibration_error == pytest.approx(error / weight.sum(), rel=1e-9)


def test_measures_of_many_classes():
    classes = np.arange(1500)
    measures = Measures(classes)
    raw = np.full((3, 1500), np.log(1e-4))
    raw[[0, 1, 2], [7, 8, 9]] = np.log(0.85)
    measures.add(np.array([7, 8, 0]), raw)
    assert measures.confusion is None
    assert measures.accuracy == pytest.approx(2 / 3)
    assert json.loads(as_json(measures.document))["confusion"] is None


def test_evaluation_is_printed_in_tables(model, run):
    status, out, err = run("evaluate model.safetensors test.csv")
    assert (status, err) == (0, "")
    parts = out.strip().split("\n\n")
    own, rows = _fitted("csv"), PARTS["test"]
    accuracy = own.score(X[rows], LABELS[CODES[rows]])
    assert parts[0].startswith(f"200 rows: accuracy {accuracy:.4f}, log-loss ")
    assert parts[1].splitlines()[0].split() == ["class", "precision", "recall", "F1", "rows"]
    counts = confusion_matrix(LABELS[CODES[rows]], own.predict(X[rows]))
    lines = [line.split() for line in parts[2].splitlines()]
    assert lines[0] == ["true", "\\", "predicted", *LABELS]
    assert lines[1:] == [[label, *map(str, row)] for label, row in zip(LABELS, counts, strict=True)]
    assert re.match(r"calibration: 0\.\d{4} off on average\nprobability +mean", parts[3])


def test_evaluation_of_many_classes_shows_the_worst(run):
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(45), 8)
    centres = rng.normal(size=(45, 6))
    np.savez("many.npz", X=centres[y] + 0.7 * rng.normal(size=(len(y), 6)), y=y)
    assert run("train many.npz -o m.safetensors")[0] == 0
    out = run("evaluate m.safetensors many.npz")[1]
    parts = out.strip().split("\n\n")
    assert parts[1].startswith("the 40 of 45 classes of the lowest F1; --json has all\n")
    f1 = [float(line.split()[3]) for line in parts[1].splitlines()[2:]]
    assert len(f1) == 40
    assert f1 == sorted(f1)
    assert parts[2].startswith("most often taken for each other\ntrue  predicted  rows\n")
    assert len(json.loads(run("evaluate m.safetensors many.npz --json")[1])["classes"]) == 45
    assert "features       6" in run("show m.safetensors")[1]
    assert ", … 44\n" in run("show m.safetensors")[1]


@pytest.mark.parametrize("kind", ["csv", "npz"])
def test_pictures(kind, run, at):
    pytest.importorskip("matplotlib")
    file, options, _ = FORMATS[kind]
    assert run(f"train {file} {options} -o m.safetensors".format("train"))[0] == 0
    command = f"evaluate m.safetensors {file} {options} --plot new/folder --json".format("test")
    status, out, err = run(command)
    assert (status, err) == (0, "")
    names = ["calibration", "coefficients", "confusion", "loss_curve"]
    assert json.loads(out)["pictures"] == [f"new/folder/{name}.png" for name in names]
    for name in names:
        assert (at / "new" / "folder" / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    assert sorted(os.listdir("new/folder")) == [f"{name}.png" for name in names]


# --- Text -----------------------------------------------------------------------------------------

WORDS = {"ape": "banana tree climb", "bee": "honey flower sting", "cat": "milk mouse purr"}


@pytest.fixture
def texts(at):
    """Rows of two columns of text, and a number that is left out; the same as CSV and Parquet."""
    rng = np.random.default_rng(0)
    common = ["the", "a", "of", "in", "and", "was", "seen", "today"]
    frame = pd.DataFrame({"animal": LABELS[CODES], "age": np.arange(len(X))})
    drawn = [
        [rng.choice([*common, *WORDS[name].split()], size=rng.integers(1, 9)) for _ in range(2)]
        for name in frame["animal"]
    ]
    frame["title"], frame["body"] = (
        [" ".join(words[part]) for words in drawn] for part in range(2)
    )
    frame.loc[3, "title"] = ""
    for name, rows in PARTS.items():
        frame[rows].to_csv(at / f"{name}-text.csv", index=False)
        frame[rows].astype({"body": "category"}).to_parquet(
            at / f"{name}-text.parquet", row_group_size=100
        )
    return frame


def _tf_idf(frame, columns):
    """scikit-learn's own features of train and test, without the hashes that train hasn't."""
    vectorizer = HashingVectorizer(
        n_features=2**18, ngram_range=(1, 2), alternate_sign=False, norm=None
    )
    counts = hstack([vectorizer.transform(frame[name]) for name in columns], format="csr")
    train, test = (counts[rows] for rows in PARTS.values())
    seen = np.flatnonzero(train.getnnz(axis=0))
    transformer = TfidfTransformer().fit(train[:, seen])
    return [transformer.transform(part[:, seen]).astype(np.float32) for part in (train, test)]


@pytest.mark.parametrize("kind", ["csv", "parquet"])
@pytest.mark.parametrize("columns", [["body"], ["title", "body"]])
def test_text_is_scikit_learn_s_tf_idf(kind, columns, run, texts):
    options = " ".join(f"--text {name}" for name in columns)
    command = f"train train-text.{kind} --label animal {options} --alpha 0.01 -o m.safetensors"
    status, out, err = run(command, "--json")
    left_out = [name for name in ("age", "title") if name not in columns]
    assert status == 0
    assert err.startswith("fastsoftmax train: left out, as --text names others: age (int64)")
    assert [name.split()[0] for name in json.loads(out)["left_out"]] == left_out
    train, test = _tf_idf(texts, columns)
    own = SoftmaxClassifier(alpha=0.01, random_state=0)
    own.fit(train, texts["animal"][PARTS["train"]].to_numpy())
    model = fastsoftmax.load("m.safetensors")
    assert model.coef_.shape == own.coef_.shape
    assert model.coef_.dtype == np.float32
    np.testing.assert_allclose(model.coef_, own.coef_, atol=1e-4 * np.abs(own.coef_).max())
    # Neither what is text nor which columns it is in has to be told again, nor the label.
    assert run(f"predict m.safetensors test-text.{kind} --proba -o out.parquet")[0] == 0
    written = pd.read_parquet("out.parquet")
    expected = model.predict_proba(test)
    np.testing.assert_allclose(written.iloc[:, 1:], expected, atol=1e-5)
    assert written["prediction"].tolist() == model.predict(test).tolist()
    _, out, _ = run(f"evaluate m.safetensors test-text.{kind} --json")
    accuracy = accuracy_score(texts["animal"][PARTS["test"]], written["prediction"])
    assert json.loads(out)["accuracy"] == pytest.approx(accuracy, rel=1e-12)
    assert accuracy > 0.7


def test_text_that_is_streamed_and_other_ways_to_train(run, texts, at):
    command = "train train-text.parquet --label animal --text body --alpha 0.01"
    for name, more in {"held": "", "streamed": "--max-memory 64KB"}.items():
        assert run(f"{command} -o {name}.safetensors --tol 1e-8 {more}")[0] == 0
    held, streamed = (fastsoftmax.load(f"{name}.safetensors") for name in ("held", "streamed"))
    assert streamed.loss_curve_[-1] == pytest.approx(held.loss_curve_[-1], abs=1e-6)
    np.testing.assert_array_equal(streamed._text_hashes, held._text_hashes)
    command = "train train-text.csv --label animal --text body --validation test-text.csv"
    status, out, _ = run(f"{command} --cv 2 -o cv.safetensors --json")
    assert status == 0
    assert json.loads(out)["validation"]["accuracy"] > 0.7
    assert run(f"{command} --early-stopping -o stopped.safetensors")[0] == 0
    status, out, _ = run("show cv.safetensors")
    n_features = fastsoftmax.load("cv.safetensors").n_features_in_
    assert f"features       {n_features}: words and pairs of words of body\n" in out
    assert run("evaluate cv.safetensors test-text.csv --plot pictures")[0] == 0


def test_text_like_numbers_and_without_known_words(run, texts, at):
    """What CSV takes for numbers is text where text is wanted."""
    command = "train train-text.csv --label animal --text body -o m.safetensors"
    assert run(command)[0] == 0
    (at / "odd.csv").write_text('body\n1234\n""\nhoney\n')
    assert run("predict m.safetensors odd.csv --proba -o odd.npy")[0] == 0
    probability = np.load("odd.npy")
    np.testing.assert_array_equal(probability[0], probability[1])  # the intercept's alone
    assert probability[2].argmax() == 1


#: As REFUSED below, for text.
REFUSED_TEXT = {
    "no column": (
        "train train-text.csv --label animal --text z -o m",
        1,
        "train-text.csv has no column 'z'; it has ['animal', 'age', 'title', 'body']",
    ),
    "no column to predict": (
        "predict t.safetensors test.csv -o out.csv",
        1,
        "test.csv has no column 'body'; it has ['x0'",
    ),
    "numbers": (
        "train train-text.parquet --label animal --text age -o m",
        1,
        "column 'age' of train-text.parquet holds int64, and --text is of text",
    ),
    "nulls": (
        "train null.parquet --label animal --text body -o m",
        1,
        "column 'body' of null.parquet has rows without a text",
    ),
    "no words": (
        "train empty-text.csv --label animal --text body -o m",
        1,
        "empty-text.csv has no words in 'body'",
    ),
    "label": (
        "train train-text.csv --label animal --text animal -o m",
        2,
        "--text and --label name the same column, 'animal'",
    ),
    "weight": (
        "train train-text.csv --label animal --weight body --text body -o m",
        2,
        "--text and --weight name the same column, 'body'",
    ),
    "twice": (
        "train train-text.csv --label animal --text body --text body -o m",
        2,
        "--text must name each column once; got 'body' and 'body'",
    ),
    "npz": ("train train.npz --text body -o m", 2, "--text names 'body', of csv or Parquet; these"),
    "npz to predict": (
        "predict t.safetensors test.npz -o out.csv",
        2,
        "the model reads text, 'body', of csv or Parquet; these are npz",
    ),
    "forged": (
        "predict forged.safetensors test-text.csv -o out.csv",
        1,
        "forged.safetensors can't be used: it has columns of text that don't fit its features",
    ),
}


@pytest.mark.parametrize("name", REFUSED_TEXT)
def test_text_refused_in_one_line(name, run, texts, at):
    assert run("train test-text.csv --label animal --text body -o t.safetensors --tol 1")[0] == 0
    model = fastsoftmax.load("t.safetensors")
    model._text_hashes = model._text_hashes[:-1]
    model.save("forged.safetensors")
    null = texts.assign(body=[None, *texts["body"][1:]])
    null.to_parquet("null.parquet")
    (at / "empty-text.csv").write_text("animal,body\nape,.\nbee,!\n")
    before = set(os.listdir())
    command, status, said = REFUSED_TEXT[name]
    given, out, err = run(command)
    assert said in err
    assert (given, out) == (status, "")
    assert err.count("\n") == 1 + ("left out" in err)
    assert set(os.listdir()) == before


# --- What is refused ------------------------------------------------------------------------------


def _spoil(at):
    """Files that are not what they should be."""
    (at / "text.csv").write_text("a,animal\nx,ape\ny,bee\n")
    (at / "text.svm").write_text("hello, world\n")
    (at / "text.parquet").write_text("hello")
    (at / "text.npy").write_text("hello")
    (at / "empty.csv").write_text("")
    (at / "header.csv").write_text("x0,animal\n")
    (at / "twice.csv").write_text("x0,x0,animal\n1,2,ape\n2,3,bee\n")
    (at / "nan.csv").write_text("x0,animal\n1,ape\n,bee\n")
    (at / "one.csv").write_text("x0,animal\n1,ape\n2,ape\n")
    (at / "nameless.dat").write_text("x0,animal\n1,ape\n")
    (at / "none.svm").write_text("1\n2\n")
    (at / "folder").mkdir()
    (at / "wide.csv").write_text("x0,animal\n1,dog\n")
    np.savez("two.npz", A=X, B=X)
    np.savez("no-labels.npz", X=X)
    np.savez("objects.npz", X=X, y=np.array([None] * len(X)))
    np.savez_compressed("compressed.npz", X=X, y=CODES)
    np.save("X-only.npz.npy", X)
    os.rename("X-only.npz.npy", "wrong.npz")
    np.save("short-y.npy", CODES[:10])
    SoftmaxClassifier().save("unfitted.safetensors")


#: Command, status, and what is said.
REFUSED = {
    "no file": ("train none.csv --label animal -o m", 1, "none.csv: there is no such file"),
    "no match": ("train no*.csv --label animal -o m", 1, "no*.csv: no file is named like this"),
    "folder": ("train folder --label animal -o m", 1, "folder: is a folder; name its files, as in"),
    "no model": ("predict none.safetensors test.csv -o a.csv", 1, "none.safetensors: No such file"),
    "no safetensors": ("show train.csv", 1, "'train.csv' is damaged, cut short or no safetensors"),
    "unfitted": ("show unfitted.safetensors", 1, "holds a SoftmaxClassifier that isn't fitted"),
    "no label": ("train train.csv -o m", 2, "--label is missing: name the column of the labels"),
    "no column": ("train train.csv --label z -o m", 1, "train.csv has no column 'z'; it has ['x0'"),
    "no weight": (
        "train train.csv --label animal --weight z -o m",
        1,
        "train.csv has no column 'z'; it has ['x0'",
    ),
    "text": ("train text.csv --label animal -o m", 1, "text.csv has no column of numbers to learn"),
    "empty": ("train empty.csv --label animal -o m", 1, "empty.csv: Empty CSV file"),
    "no rows": ("train header.csv --label animal -o m", 1, "header.csv has no column of numbers"),
    "twice": ("train twice.csv --label animal -o m", 1, "twice.csv has 2 columns 'x0'"),
    "NaN": ("train nan.csv --label animal -o m", 1, "block 0 of nan.csv: X contains NaN in row 1"),
    "one class": ("train one.csv --label animal -o m", 1, "one.csv holds only 1 class, 'ape'"),
    "svmlight": ("train text.svm -o m", 1, "text.svm: could not convert string to float"),
    "no features": ("train none.svm -o m", 1, "none.svm holds no features"),
    "parquet": ("train text.parquet --label y -o m", 1, "text.parquet: Parquet file size is 5"),
    "npy": ("train text.npy --labels train-y.npy -o m", 1, "text.npy is no .npy file"),
    "npz": (
        "train wrong.npz -o m",
        1,
        "wrong.npz is no .npz file of plain arrays: File is not a zip file",
    ),
    "two matrices": ("train two.npz -o m", 1, "two.npz must hold a matrix X; it holds ['A', 'B']"),
    "npz labels": ("train no-labels.npz -o m", 1, "no-labels.npz has no array 'y'; it has ['X']"),
    "lengths": (
        "train train-X.npy --labels short-y.npy -o m",
        1,
        "short-y.npy holds 10 values for the 700 rows of train-X.npy",
    ),
    "no labels": ("train train-X.npy -o m", 2, "--labels is missing: .npy files hold no labels"),
    "labels": ("train train.csv --labels train-y.npy -o m", 2, "--labels goes with .npy files"),
    "label of npy": (
        "train train-X.npy --label y -o m",
        2,
        "--label names a column, and npy has none; its labels are by --labels FILE",
    ),
    "label of svmlight": (
        "train train.svm --label y -o m",
        2,
        "--label names a column, and svmlight has none; its labels are in the text itself",
    ),
    "weight of npz": ("train train.npz --weight w -o m", 2, "--weight names a column of csv or"),
    "zero-based": ("train train.npz --zero-based -o m", 2, "--zero-based goes with svmlight text"),
    "index 0": ("train zero.svm -o m", 1, "zero.svm: Invalid index 0"),
    "two formats": (
        "train train.csv train.npz --label y -o m",
        2,
        "files must be of one format; got train.csv and train.npz",
    ),
    "no format": (
        "train nameless.dat --label animal -o m",
        2,
        "nameless.dat: the name doesn't say what it holds; say so by --format",
    ),
    "cv and solver": (
        "train train.npz --cv 3 --solver sgd -o m",
        2,
        "--solver doesn't go with --cv",
    ),
    "cv and stopping": (
        "train train.npz --cv 3 --early-stopping --validation test.npz -o m",
        2,
        "--early-stopping doesn't go with --cv",
    ),
    "cv and checkpoint": (
        "train train.npz --cv 3 --checkpoint c -o m",
        2,
        "--checkpoint doesn't go with --cv",
    ),
    "resume alone": ("train train.npz --resume -o m", 2, "--resume needs --checkpoint FILE"),
    "checkpoint is input": (
        "train train.npz --checkpoint train.npz -o m",
        2,
        "--checkpoint train.npz is a file that has another use here",
    ),
    "checkpoint is output": (
        "train train.npz --checkpoint model.npy -o model.safetensors",
        2,
        "--checkpoint model.npy is a file that has another use here",
    ),
    "checkpoint will be output": (
        "train train.npz --checkpoint ./m -o m",
        2,
        "--checkpoint ./m is a file that has another use here",
    ),
    "checkpoint nowhere": (
        "train train.npz --checkpoint none/c -o m",
        1,
        "--checkpoint none/c: there is no folder",
    ),
    "no checkpoint": (
        "train train.npz --checkpoint test.svm --resume -o m",
        1,
        "test.svm",
    ),
    "stopping alone": (
        "train train.npz --early-stopping -o m",
        2,
        "--early-stopping needs --validation FILE",
    ),
    "labels of nothing": (
        "train train-X.npy --labels train-y.npy --validation-labels test-y.npy -o m",
        2,
        "--validation-labels needs --validation FILE",
    ),
    "validation labels": (
        "train train-X.npy --labels train-y.npy --validation test-X.npy -o m",
        2,
        "--labels is missing: .npy files hold no labels",
    ),
    "weights of text": (
        "train train.csv --label animal --weight comment -o m",
        1,
        "column 'comment' of train.csv holds string, and weights must be numbers",
    ),
    "output is labels": (
        "train train-X.npy --labels train-y.npy -o train-y.npy",
        2,
        "--output train-y.npy is a file that has another use here",
    ),
    "output is of a pattern": ("train trai*.npz -o train.npz", 2, "train.npz is a file that has"),
    "much that is compressed": (
        "train compressed.npz --max-memory 16KB -o m",
        1,
        "compressed.npz is compressed, or has columns one after the other, and is read whole, "
        "which takes 0.0864MB, more than --max-memory; raise that, or save rows by numpy.savez",
    ),
    "objects in npz": ("train objects.npz -o m", 1, "of plain arrays: y.npy holds Python objects"),
    "cv of few blocks": (
        "train train.csv --label animal --cv 3 --max-memory 16KB -o m",
        1,
        "cv=3 needs at least 2 folds and as many blocks; train.csv has 1, and a source is split",
    ),
    "dual": ("train train.npz --solver dual -o m", 1, "solver='dual' needs X to be sparse"),
    "no folder": ("train train.npz -o none/m", 1, "--output none/m: there is no folder"),
    "output is a folder": ("train train.npz -o folder", 1, "--output folder is a folder"),
    "no name": ("train train.npz -o folder/", 2, "--output must name a file; got folder/"),
    "output is input": ("train train.npz -o train.npz", 2, "--output train.npz is a file that"),
    "output is validation": (
        "train train.npz --validation test.npz -o test.npz",
        2,
        "--output test.npz is a file that has another use here",
    ),
    "ending": (
        "predict model.safetensors test.csv -o out.txt",
        2,
        "--output must end with .parquet, .csv or .npy; got out.txt",
    ),
    "output is model": (
        "predict model.npy test.csv -o model.npy",
        2,
        "--output model.npy is a file that has another use here",
    ),
    "features": (
        "predict model.safetensors two.npz -o out.csv",
        1,
        "two.npz must hold a matrix X",
    ),
    "more features": (
        "predict model.safetensors wide.npz -o out.csv",
        1,
        "X has 8 features, but SoftmaxClassifier is expecting 5 features as input",
    ),
    "other labels": (
        "evaluate model.safetensors other.csv",
        1,
        "block 0 of other.csv: y holds labels that are not among the classes: 'dog'; the classes",
    ),
    "no rows to measure": ("evaluate model.safetensors none.parquet", 1, "none.parquet holds no"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_in_one_line(name, model, run, at):
    _spoil(at)
    np.savez("wide.npz", X=np.zeros((3, 8)))
    os.link("model.safetensors", "model.npy")
    dump_svmlight_file(X, CODES, "zero.svm", zero_based=True)
    pd.read_csv("test.csv").assign(animal="dog").to_csv("other.csv", index=False)
    pd.read_parquet("test.parquet")[:0].to_parquet("none.parquet")
    before = set(os.listdir())
    command, status, said = REFUSED[name]
    given, out, err = run(command)
    assert said in err
    assert given == status
    assert err.startswith(f"fastsoftmax {command.split()[0]}: ")
    assert err.count("\n") == 1 + ("left out" in err)
    assert out == ""
    assert set(os.listdir()) == before


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("train train.csv", "the following arguments are required: --output/-o"),
        ("train -o m", "the following arguments are required: FILE"),
        ("predict m test.csv", "the following arguments are required: --output/-o"),
        ("show", "the following arguments are required: MODEL"),
        ("train a -o m --alpha 1 --cv 3", "--cv: not allowed with argument --alpha"),
        ("train a -o m --alpha -1", "--alpha: must be a number from 0 on; got -1"),
        ("train a -o m --alpha inf", "--alpha: must be a number from 0 on; got inf"),
        ("train a -o m --cv 1", "--cv: must be a whole number from 2 on; got 1"),
        ("train a -o m --cv x", "--cv: invalid whole number value: 'x'"),
        ("train a -o m --solver newton", "--solver: invalid choice: 'newton'"),
        ("train a -o m --max-memory lots", "--max-memory: must be bytes, as in 256MB or 2GiB"),
        ("train a -o m --max-memory 1..2MB", "--max-memory: must be bytes, as in 256MB or 2GiB"),
        ("train a -o m --max-memory 0", "--max-memory: must be bytes, as in 256MB or 2GiB"),
        ("train a -o m --max-memory 3XB", "--max-memory: must be bytes, as in 256MB or 2GiB"),
        ("train a -o m --max-iter 0", "--max-iter: must be a whole number from 1 on; got 0"),
    ],
)
def test_wrong_usage(arguments, said, capsys):
    with pytest.raises(SystemExit, match=r"^2$"):
        main(arguments.split())
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "size"),
    [("1000", 1000), ("16KB", 16000), ("1.5mb", 1_500_000), ("2GiB", 2 << 30), ("1 TB", 10**12)],
)
def test_bytes(text, size, run, monkeypatch):
    seen = []
    monkeypatch.setattr(formats, "NpySource", lambda *_, max_memory: seen.append(max_memory))
    run("train train-X.npy --labels train-y.npy -o m", "--max-memory", text)
    assert seen == [size]


@pytest.mark.parametrize(
    ("module", "command", "extra"),
    [
        ("pyarrow", "train train.csv --label animal -o m", "arrow"),
        ("pyarrow", "train train.parquet --label animal -o m", "arrow"),
        ("pyarrow", "predict model.safetensors test.npz -o out.csv", "arrow"),
        ("safetensors", "train train.npz -o m", "save"),
        ("safetensors", "show model.safetensors", "save"),
        ("matplotlib.figure", "evaluate model.safetensors test.csv --plot p", "plot"),
    ],
)
def test_what_is_missing_is_named(module, command, extra, model, run, monkeypatch):
    before = set(os.listdir())
    monkeypatch.delitem(sys.modules, "fastsoftmax.cli.pictures", raising=False)
    monkeypatch.delattr("fastsoftmax.cli.pictures", raising=False)
    monkeypatch.setitem(sys.modules, module, None)
    if module == "safetensors":
        monkeypatch.setitem(sys.modules, "safetensors.numpy", None)
    status, _, err = run(command)
    assert status == 1
    assert f'pip install "fastsoftmax[{extra}]"' in err
    assert set(os.listdir()) == before


def test_what_went_wrong_unexpectedly(run, monkeypatch):
    def fail(*_, **__):
        raise KeyError("of a programmer")

    monkeypatch.setattr(formats, "NpySource", fail)
    command = "train train-X.npy --labels train-y.npy -o m"
    status, _, err = run(command)
    assert (status, err) == (1, "fastsoftmax train: error: KeyError: 'of a programmer'\n")
    status, _, err = run(f"{command} --traceback")
    assert err.startswith("Traceback (most recent call last)")

    def too_large(*_, **__):
        raise MemoryError

    monkeypatch.setattr(formats, "NpySource", too_large)
    assert "there is not enough memory; a lower --max-memory needs less" in run(command)[2]


def test_a_minimum_that_was_missed_is_warned_of(run):
    status, out, err = run("train train.npz -o m.safetensors --solver lbfgs --max-iter 1 --json")
    assert status == 0
    assert err.startswith("fastsoftmax train: warning: after 1 iterations the objective is an")
    document = json.loads(out)
    assert document["converged"] is False
    assert len(document["warnings"]) == 1
    assert "not converged" in run("show m.safetensors")[1]


def test_a_failure_leaves_what_was_there(model, run, at):
    (at / "out.csv").write_text("old")
    frame = pd.read_csv("test.csv")
    frame.loc[150, "x2"] = np.nan
    frame.to_csv("broken.csv", index=False)
    before = set(os.listdir())
    status, _, err = run("predict model.safetensors test.csv broken.csv -o out.csv")
    assert status == 1
    assert "block 1 of test.csv and 1 more: X contains NaN in row 150, feature 2" in err
    assert (at / "out.csv").read_text() == "old"
    assert set(os.listdir()) == before
    (at / "m.safetensors").write_text("old")
    before = set(os.listdir())
    assert run("train broken.csv --label animal -o m.safetensors")[0] == 1
    assert (at / "m.safetensors").read_text() == "old"
    assert set(os.listdir()) == before


def test_a_model_that_could_not_be_scored_is_saved(run):
    np.savez("other.npz", X=X, y=np.full(len(X), 7))
    status, out, err = run("train train.npz --validation other.npz -o m.safetensors")
    assert (status, out) == (1, "")
    assert err.splitlines() == [
        "fastsoftmax train: m.safetensors is saved, and was not scored",
        "fastsoftmax train: error: block 0 of other.npz: y holds labels that are "
        "not among the classes: 7; the classes are 0, 1, 2",
    ]
    assert fastsoftmax.load("m.safetensors").n_features_in_ == N_FEATURES


@pytest.mark.parametrize("kind", ["LogisticRegression", "LogisticRegressionCV"])
def test_models_that_were_saved_otherwise(kind, run):
    frame = pd.read_csv("train.csv")
    own = getattr(fastsoftmax, kind)().fit(frame[NAMES], frame["animal"])
    own.save("m.safetensors")
    assert run("predict m.safetensors test.csv -o out.csv")[0] == 0
    test = pd.read_csv("test.csv")
    assert pd.read_csv("out.csv")["prediction"].tolist() == own.predict(test[NAMES]).tolist()
    status, _, err = run("evaluate m.safetensors test.csv")
    assert (status, "--label is missing" in err) == (2, True)
    status, out, _ = run("evaluate m.safetensors test.csv --label animal --json")
    score = own.score(test[NAMES], test["animal"])
    assert json.loads(out)["accuracy"] == pytest.approx(score, rel=1e-12)
    status, out, err = run("show m.safetensors")
    assert (status, err) == (0, "")
    assert out.startswith(f"estimator      {kind}(")


# --- Ctrl-C, pipes, terminals ---------------------------------------------------------------------


def _interrupting(monkeypatch, after):
    """Ctrl-C after so many blocks."""
    of_all, n_blocks = Source.blocks, 0

    def blocks(self, seed=None):
        nonlocal n_blocks
        for block in of_all(self, seed):
            n_blocks += 1
            if n_blocks > after:
                raise KeyboardInterrupt
            yield block

    monkeypatch.setattr(Source, "blocks", blocks)


def test_ctrl_c_keeps_the_passes_done(run, monkeypatch):
    _interrupting(monkeypatch, after=300)
    status, out, err = run("train train.npz -o m.safetensors --tol 0 --json", *LITTLE)
    assert status == 130
    model = fastsoftmax.load("m.safetensors")
    said = f"m.safetensors holds what {model.n_iter_} passes have learned"
    assert err == f"fastsoftmax train: interrupted; {said}\n"
    document = json.loads(out)
    assert document["interrupted"] is True
    assert document["passes"] == model.n_iter_ > 1
    assert model.score(X, CODES) > 0.5


def test_training_goes_on_from_a_checkpoint(run, monkeypatch):
    command = "train train.npz --checkpoint kept --resume --tol 1e-7 --dtype float64 -o"
    with monkeypatch.context() as context:
        _interrupting(context, after=100)
        status, _, err = run(f"{command} m.safetensors", *LITTLE)
    assert status == 130
    assert err.endswith("passes have learned; --resume goes on from there\n")
    some = fastsoftmax.load("m.safetensors")
    _, out, _ = run(f"{command} m.safetensors --json", *LITTLE)
    assert json.loads(out)["converged"] is True
    assert json.loads(out)["passes"] > some.n_iter_
    assert run(f"{command.replace('kept', 'other')} undisturbed.safetensors", *LITTLE)[0] == 0
    coef = [fastsoftmax.load(f"{name}.safetensors").coef_ for name in ("m", "undisturbed")]
    np.testing.assert_array_equal(*coef)


@pytest.mark.parametrize("folds", [[], ["--cv", "3"]])
def test_ctrl_c_before_anything_is_learned(folds, run, monkeypatch):
    before = set(os.listdir())
    if folds:

        def interrupted(*_):
            raise KeyboardInterrupt

        monkeypatch.setattr(SoftmaxClassifierCV, "_paths", interrupted)
        said = "nothing was learned yet, and m was not written"
        status, out, err = run("train train.npz -o m", *folds)
    else:
        _interrupting(monkeypatch, after=2)
        said = "nothing was learned yet, and m was not written"
        status, out, err = run("train train.npz -o m", *LITTLE)
    assert (status, out, err) == (130, "", f"fastsoftmax train: interrupted; {said}\n")
    assert set(os.listdir()) == before


def test_ctrl_c_while_predictions_are_written(model, run, at, monkeypatch):
    (at / "out.npy").write_text("old")
    before = set(os.listdir())
    _interrupting(monkeypatch, after=1)
    status, out, err = run("predict model.safetensors test.parquet -o out.npy", *LITTLE)
    assert (status, out) == (130, "")
    assert err == "fastsoftmax predict: interrupted; out.npy was not written\n"
    assert (at / "out.npy").read_text() == "old"
    assert set(os.listdir()) == before


@pytest.mark.usefixtures("ctrl_c")  # ignored here, it would be in what is started
def test_ctrl_c_at_a_terminal(at):
    """With progress on the terminal, and the model saved in the end."""
    pty = pytest.importorskip("pty")
    command = "train train.npz -o m.safetensors --tol 0 --dtype float64 --max-iter 1000000"
    command += " --solver sgd --max-memory 16KB"
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "fastsoftmax", *command.split()],
        stdout=subprocess.PIPE,
        stderr=theirs,
        text=True,
    )
    os.close(theirs)
    seen, end = "", time.monotonic() + 60
    while "pass 5" not in seen and time.monotonic() < end:
        seen += os.read(ours, 4096).decode()
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    try:
        while True:
            more = os.read(ours, 4096).decode()
            if not more:
                break
            seen += more
    except OSError:  # Linux's end of a terminal
        pass
    os.close(ours)
    assert process.returncode == 130
    assert re.search(r"\r[\d.]+ [kMG]? ?rows/s  pass \d+  objective \d\.\d{5}", seen)
    assert re.search(r"interrupted; m.safetensors holds what \d+ passes have learned", seen)
    assert out.endswith("saved: m.safetensors\n")
    assert fastsoftmax.load("m.safetensors").n_iter_ >= 5


def test_a_reader_that_has_seen_enough(model):
    with subprocess.Popen(
        [sys.executable, "-m", "fastsoftmax", "show", "model.safetensors"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 1


def test_as_a_user_starts_it(at):
    script = [sys.executable, "-m", "fastsoftmax"]
    command = [*script, "train", "train.npz", "-o", "m.safetensors", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert done.stderr == ""
    assert json.loads(done.stdout)["converged"] is True
    command = [*script, "show", "none.safetensors"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == ("fastsoftmax show: error: none.safetensors: No such file or directory\n")


@pytest.mark.parametrize("encoding", ["cp1252", "ascii"])
def test_letters_that_stdout_lacks(at, encoding, monkeypatch):
    """As Windows has it where stdout is a file or a pipe."""
    labels = np.array(["é", "αβγ", "δ"])
    fastsoftmax.LogisticRegression().fit(np.eye(3), labels).save("greek.safetensors")
    for more in ([], ["--json"]):
        stdout = io.TextIOWrapper(io.BytesIO(), encoding)
        monkeypatch.setattr(sys, "stdout", stdout)
        assert main(["show", "greek.safetensors", *more]) == 0
        printed = stdout.buffer.getvalue()
        if more:
            assert json.loads(printed)["classes"] == labels.tolist()
        else:
            assert rb"\u03b1\u03b2\u03b3" in printed
            assert "é".encode(encoding, "backslashreplace") in printed


def test_help_waits_for_no_library():
    program = (
        "import sys\n"
        "from fastsoftmax.__main__ import main\n"
        "try:\n    main(['train', '--help'])\n"
        "except SystemExit as end:\n    assert end.code == 0\n"
        "heavy = {'sklearn', 'scipy', 'pyarrow', 'pandas', 'matplotlib'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    for option in ("--label", "--validation", "--cv", "--max-memory", "Exit status: 0 done"):
        assert option in done.stdout


def test_progress_of_folds_and_predictions(model, run, monkeypatch):
    monkeypatch.setattr("fastsoftmax.cli.reporting.PATIENCE", 0)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    _, out, err = run("predict model.safetensors test.parquet -o out.npy", *LITTLE)
    assert re.search(r"\r100 rows  [\d.]+ [kMG]? ?rows/s", err)
    assert err.endswith("\r")  # the line is left empty
    assert "\r" not in out
    _, _, err = run("train train.npz --cv 2 -o m.safetensors")
    assert "fold 2/2  alpha" in err
    _, _, err = run("train train.npz --validation test.npz --early-stopping -o m.safetensors")
    assert re.search(r"\r[\d.]+ [kMG]? ?rows/s  pass \d+  objective [\d.]+  validation -", err)
    _, _, err = run("train train.svm --solver dual -o m.safetensors --alpha 0.1")
    assert re.search(r"pass 2  objective [\d.]+  about \d\.\de-\d\d above its minimum", err)
    assert re.search(r"  at most \d\.\de-\d\d above its minimum *\r *\r$", err)  # its last
    assert run("train train.npz -o m.safetensors --quiet")[2] == ""


def test_progress_tells_what_is_proved_from_what_is_estimated(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    progress, told = Progress(True), []

    def shown(info):
        progress.epoch(info)
        told.append((info, capsys.readouterr().err))

    # More unknowns than Newton's method takes, so that L-BFGS has the intercept's passes to save.
    rng = np.random.default_rng(0)
    many = np.hstack([X[:N_TRAIN], rng.normal(size=(N_TRAIN, 200))])
    for has_intercept in (True, False):
        model = SoftmaxClassifier(
            alpha=0.1, random_state=0, fit_intercept=has_intercept, callbacks=[shown]
        )
        model.fit(many, CODES[:N_TRAIN])
        for name in ("suboptimality", "suboptimality_bound"):
            np.testing.assert_array_equal(
                model.history_[name], [getattr(info, name) for info, _ in told]
            )
        for info, line in told:
            if np.isfinite(info.suboptimality_bound):
                assert line.rstrip().endswith(
                    f"at most {info.suboptimality_bound:.1e} above its minimum"
                )
            elif np.isfinite(info.suboptimality):
                assert line.rstrip().endswith(f"about {info.suboptimality:.1e} above its minimum")
            else:
                assert "minimum" not in line
        is_proved = np.isfinite(model.history_["suboptimality_bound"])
        assert is_proved[-1] == (not has_intercept)
        assert np.isfinite(model.history_["suboptimality"][-1])
        told.clear()


def test_progress_is_for_terminals(at):
    """A pipe in stderr's place gets warnings and errors alone."""
    command = "train train.npz -o m.safetensors --max-memory 16KB"
    command = [sys.executable, "-m", "fastsoftmax", *command.split()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert done.stderr == ""
    assert "\r" not in done.stdout


def test_progress_is_no_part_of_the_result(run, monkeypatch):
    assert run("train train.npz -o quiet.safetensors", *LITTLE)[0] == 0
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert run("train train.npz -o shown.safetensors", *LITTLE)[0] == 0
    coef = [fastsoftmax.load(f"{name}.safetensors").coef_ for name in ("quiet", "shown")]
    np.testing.assert_array_equal(*coef)


@pytest.mark.parametrize(
    ("n_rows", "shown"), [(12, "12 "), (1234, "1.23 k "), (5 * 10**6, "5 M "), (2 * 10**9, "2 G ")]
)
def test_rates_have_three_digits(n_rows, shown, monkeypatch, capsys):
    monkeypatch.setattr("fastsoftmax.cli.reporting.PATIENCE", 0)
    times = iter((0.0, 1.0, 1.0, 1.0))
    monkeypatch.setattr(time, "perf_counter", lambda: next(times))
    progress = Progress(True)
    progress.begin(2 * n_rows)
    progress.add(n_rows)
    assert capsys.readouterr().err == f"\r 50%  {shown}rows/s"


def test_a_line_of_progress_fits_the_terminal(monkeypatch, capsys):
    monkeypatch.setattr("fastsoftmax.cli.reporting.PATIENCE", 0)
    monkeypatch.setenv("COLUMNS", "12")
    progress = Progress(True)
    progress.begin(None)
    progress.add(123456)
    assert len(capsys.readouterr().err) == 12
    progress.close()
    assert capsys.readouterr().err == f"\r{' ' * 11}\r"

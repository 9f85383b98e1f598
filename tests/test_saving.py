"""Files of ``save``: what comes back is what was there, and what is no such file is refused.

Pickles are tested in test_pickle.py.
"""

import json
import os
import stat
import sys

import numpy as np
import pandas as pd
import pytest
from digits import small_digits
from scipy import sparse
from sgd import sgd_classifier
from sklearn import config_context

import fastsoftmax
from fastsoftmax import SoftmaxClassifier
from fastsoftmax.interchange import files

safetensors_numpy = pytest.importorskip("safetensors.numpy")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.safetensors"


def small_classifier():
    return sgd_classifier(random_state=0, max_iter=2).fit(*small_digits())


@pytest.fixture
def saved(path):
    """The path of a fitted estimator's file."""
    small_classifier().save(path)
    return path


def assert_same_value(one, other):
    assert type(one) is type(other)
    if isinstance(one, np.ndarray):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)
    elif isinstance(one, dict):
        assert list(one) == list(other)
        for key in one.keys() - {"seconds"}:  # of history_: two fits never take the same
            assert_same_value(one[key], other[key])
    else:
        assert one == other


def assert_same_estimator(one, other):
    """Every parameter and attribute, private ones too, of the same type and bits."""
    assert vars(one).keys() == vars(other).keys()
    for name, value in vars(one).items():
        assert_same_value(value, vars(other)[name])


SETTINGS = [
    {},
    {"standardize": True, "solver": "adagrad"},
    {"standardize": "sample", "nesterov": True, "schedule": "inverse_time"},
    {"multi_class": "ovr", "momentum": 0, "dtype": np.float32},
    {"dtype": np.dtype(np.float64), "alpha": np.float32(0.1), "batch_size": np.int64(32)},
    {"class_weight": {0: 2.0, np.int64(1): np.float64(0.3)}, "tol": None},
]


def test_history_and_validation_scores(path):
    X, y = small_digits()
    original = SoftmaxClassifier(early_stopping=True, random_state=0).fit(X, y)
    original.save(path)
    loaded = fastsoftmax.load(path)
    assert_same_estimator(loaded, original)
    np.testing.assert_array_equal(loaded.history_["seconds"], original.history_["seconds"])


def test_callbacks_are_refused(path):
    classifier = SoftmaxClassifier(callbacks=[print])
    with pytest.raises(TypeError, match=r"callbacks\[0\] can't be saved"):
        classifier.save(path)


@pytest.mark.parametrize("setting", SETTINGS, ids=str)
def test_training_goes_on_bit_for_bit(build, setting, path):
    X, y = small_digits()
    original = sgd_classifier(random_state=0, **setting)
    for _ in range(3):
        original.partial_fit(X, y, range(10))
    original.save(path)
    loaded = fastsoftmax.load(path)
    assert_same_estimator(loaded, original)
    np.testing.assert_array_equal(loaded.predict_proba(X), original.predict_proba(X))
    assert_same_estimator(loaded.partial_fit(X, y), original.partial_fit(X, y))


@pytest.mark.parametrize(
    "classes",
    [
        np.array(["no", "yes", "ü 漢\0字"]),
        np.array(["no", "yes", "perhaps"], dtype=object),
        np.array([-1, 0, 2**62]),
        np.array([-1.0, 2.0, 3.0]),
        np.array([False, True]),
        np.array([7, 8, 9], dtype=np.uint8),
    ],
    ids=lambda classes: f"{classes.dtype}-{len(classes)}",
)
def test_labels(classes, path):
    X, y = small_digits(n_classes=len(classes))
    original = sgd_classifier(random_state=0).fit(X, classes[y])
    original.save(path)
    loaded = fastsoftmax.load(str(path))
    assert_same_estimator(loaded, original)
    assert_same_value(loaded.predict(X), original.predict(X))


def test_feature_names(path):
    X, y = small_digits()
    X = pd.DataFrame(X, columns=[f"pixel {i}" for i in range(64)])
    original = sgd_classifier(random_state=0).fit(X, y)
    original.save(path)
    loaded = fastsoftmax.load(path)
    assert_same_estimator(loaded, original)
    loaded.predict(X)  # no warning of missing names


def test_unfitted(path):
    original = sgd_classifier(alpha=0.1, class_weight={"a": float("inf")})
    original.save(path)
    assert_same_estimator(fastsoftmax.load(path), original)


def test_metadata_requests(path):
    original = sgd_classifier()
    with config_context(enable_metadata_routing=True):
        original.set_fit_request(sample_weight=True).set_score_request(sample_weight="weight")
    original.save(path)
    loaded = fastsoftmax.load(path).get_metadata_routing()
    assert loaded.fit.requests["sample_weight"] is True
    assert loaded.score.requests["sample_weight"] == "weight"
    assert loaded.partial_fit.requests["sample_weight"] is None


def test_sparse_coef(path):
    X, y = small_digits()
    for matrix in (sparse.csr_array, sparse.csr_matrix):
        original = sgd_classifier(random_state=0, max_iter=2).fit(X, y)
        original.coef_ = matrix(original.coef_ * (np.abs(original.coef_) > 0.1))
        original.save(path)
        loaded = fastsoftmax.load(path)
        assert type(loaded.coef_) is matrix
        assert (loaded.coef_ != original.coef_).nnz == 0


def test_attributes_to_come(path):
    original = sgd_classifier()
    original.history_ = {"epoch": np.arange(3), "loss": [0.5, float("nan")], "best": None}
    original._counts = (np.int32(4), 1e-310, -(2**70), {3: "three"})
    original._strided = np.arange(12.0).reshape(3, 4)[:, ::2].T
    original._swapped = np.arange(3, dtype=">f4")
    original.best_ = np.array(7.5)
    original.save(path)
    loaded = fastsoftmax.load(path)
    np.testing.assert_array_equal(loaded.history_["epoch"], [0, 1, 2])
    assert loaded.history_["loss"][0] == 0.5
    assert np.isnan(loaded.history_["loss"][1])
    assert loaded.history_["best"] is None
    assert_same_value(loaded._counts, original._counts)
    assert type(loaded._counts[0]) is np.int32
    np.testing.assert_array_equal(loaded._strided, original._strided)
    np.testing.assert_array_equal(loaded._swapped, [0, 1, 2])
    assert_same_value(loaded.best_, original.best_)
    assert loaded._strided.flags.writeable


# --- What can't be saved --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"random_state": np.random.RandomState(0)}, "parameter random_state can't be saved: "),
        ({"class_weight": {0: print}}, r"parameter class_weight\[0\] can't be saved: .*print"),
        ({"class_weight": {(print,): 1}}, "key .* of parameter class_weight.* can't be saved"),
        ({"dtype": np.int8}, "parameter dtype can't be saved"),
        ({"tol": 1j}, "parameter tol can't be saved: 1j of type complex"),
    ],
    ids=lambda value: str(value).split(" at 0x")[0],  # the same in every process
)
def test_parameters_that_are_not_data(path, setting, message):
    with pytest.raises(TypeError, match=message):
        sgd_classifier(**setting).save(path)
    assert not path.exists()


def test_attributes_that_are_not_data(saved):
    before = saved.read_bytes()
    classifier = fastsoftmax.load(saved)
    for value in (object(), {1, 2}, np.array([None, [object()]], dtype=object), 1 + 1j):
        classifier.odd_ = value
        with pytest.raises(TypeError, match=r"^(odd_|odd_.*) can't be saved"):
            classifier.save(saved)
    classifier.odd_ = np.zeros(3, dtype="datetime64[s]")
    with pytest.raises(TypeError, match="odd_ can't be saved: it is an array of datetime64"):
        classifier.save(saved)
    del classifier.odd_
    classifier.note = "mine"
    with pytest.raises(TypeError, match="'note' can't be saved: fitted attributes begin or end"):
        classifier.save(saved)
    assert saved.read_bytes() == before


def test_subclasses(path):
    class Mine(SoftmaxClassifier):
        pass

    with pytest.raises(TypeError, match=r"one of SoftmaxClassifier.*; got a .*Mine"):
        Mine().save(path)


def test_without_safetensors(monkeypatch, saved):
    for name in ("safetensors", "safetensors.numpy"):
        monkeypatch.setitem(sys.modules, name, None)
    for call in (fastsoftmax.load, sgd_classifier().save):
        with pytest.raises(ImportError, match=r'pip install "fastsoftmax\[save\]"'):
            call(saved)


# --- Files ----------------------------------------------------------------------------------------


def test_every_damaged_byte_is_noticed(saved, tmp_path):
    content = saved.read_bytes()
    damaged = tmp_path / "damaged"
    header = 8 + int.from_bytes(content[:8], "little")
    rng = np.random.default_rng(0)
    places = {*range(12), *rng.integers(len(content), size=150), *rng.integers(header, size=150)}
    for place in map(int, places):
        changed = bytearray(content)
        changed[place] ^= 1 << int(rng.integers(8))
        damaged.write_bytes(changed)
        with pytest.raises(ValueError, match="damaged' "):
            fastsoftmax.load(damaged)


def test_cut_short_or_longer(saved, tmp_path):
    content = saved.read_bytes()
    damaged = tmp_path / "damaged"
    for length in (0, 1, 7, 8, 9, 100, len(content) // 2, len(content) - 1):
        damaged.write_bytes(content[:length])
        with pytest.raises(ValueError, match="damaged' is damaged, cut short or no safetensors"):
            fastsoftmax.load(damaged)
    damaged.write_bytes(content + b"\0")
    with pytest.raises(ValueError, match="damaged' is damaged, cut short or no safetensors"):
        fastsoftmax.load(damaged)


def test_foreign_files(path):
    safetensors_numpy.save_file({"weight": np.zeros(3)}, path)
    with pytest.raises(ValueError, match=r"model.safetensors' is .* but not one of fastsoftmax"):
        fastsoftmax.load(path)
    path.write_text("epoch,loss\n")
    with pytest.raises(ValueError, match=r"model.safetensors' is damaged, cut short or no safe"):
        fastsoftmax.load(path)
    with pytest.raises(FileNotFoundError):
        fastsoftmax.load(path.with_name("none"))
    with pytest.raises(IsADirectoryError):
        fastsoftmax.load(path.parent)


def forge(path, change):
    """Rewrite a file with a changed document and arrays, under a checksum that is right."""
    metadata, arrays = files._read_file(path)
    document = json.loads(metadata["fastsoftmax"])
    change(document, arrays)
    text = document if isinstance(document, str) else json.dumps(document)
    metadata = {"fastsoftmax": text, "sha256": files._checksum(text, arrays)}
    path.write_bytes(safetensors_numpy.save(arrays, metadata))


def test_a_newer_version(saved):
    forge(saved, lambda document, _: document.update(format_version=2, package_version="9.1"))
    with pytest.raises(ValueError, match=r"safetensors' was written by fastsoftmax 9\.1 in format"):
        fastsoftmax.load(saved)


FORGERIES = {
    "no attributes": lambda d, a: d.pop("attributes"),
    "another class": lambda d, a: d.update({"class": "os.system"}),
    "an unknown parameter": lambda d, a: d["parameters"].update(penalty="l1"),
    "a parameter as attribute": lambda d, a: d["attributes"].update(alpha=1),
    "a method's name": lambda d, a: d["attributes"].update(_fit=1),
    "Python's own name": lambda d, a: d["attributes"].update(__class__=1),
    "a request": lambda d, a: d["requests"].update(params={}),
    "an unknown request": lambda d, a: d["requests"].update(fit={"nothing": True}),
    "an unknown kind": lambda d, a: d["attributes"].update(x_={"call": "os.system"}),
    "an unknown type": lambda d, a: d["parameters"].update(dtype={"type": "eval"}),
    "two kinds": lambda d, a: d["attributes"].update(x_={"float": "inf", "tuple": []}),
    "a missing array": lambda d, a: d["attributes"].update(x_={"array": "none"}),
    "a coef_ too small": lambda d, a: a.update(coef_=a["coef_"][:, :9].copy()),
    "a coef_ of integers": lambda d, a: a.update(coef_=a["coef_"].astype(int)),
    "a coef_ of one dimension": lambda d, a: a.update(coef_=a["coef_"].ravel()),
    "an intercept_ too small": lambda d, a: a.update(intercept_=a["intercept_"][:3].copy()),
    "an intercept_ of another dtype": lambda d, a: a.update(
        intercept_=a["intercept_"].astype("f4")
    ),
    "no intercept_": lambda d, a: d["attributes"].pop("intercept_"),
    "a state too small": lambda d, a: a.update(_coef_state=a["_coef_state"][:9].copy()),
    "a mean_ too small": lambda d, a: d["attributes"].update(mean_={"array": "intercept_"}),
    "too many features": lambda d, a: d["attributes"].update(n_features_in_=65),
    "too few classes": lambda d, a: a.update(classes_=a["classes_"][:9].copy()),
    "a csr that leads outside": lambda d, a: d["attributes"].update(
        coef_={
            "csr": {
                "shape": [10, 64],
                "is_array": True,
                "data": {"array": "intercept_"},
                "indices": {"array": "outside"},
                "indptr": {"array": "rows"},
            }
        }
    ),
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_forged_files(saved, forgery):
    def change(document, arrays):
        arrays.update(outside=np.full(10, 99), rows=np.arange(11))
        FORGERIES[forgery](document, arrays)

    forge(saved, lambda document, arrays: arrays.update(extra=np.zeros(1)))
    fastsoftmax.load(saved)  # what the forger does besides is no reason to refuse
    forge(saved, change)
    with pytest.raises(ValueError, match=r"safetensors', written by fastsoftmax .* no use for"):
        fastsoftmax.load(saved)


def test_a_failed_write_leaves_the_old_file_alone(saved, monkeypatch):
    before = saved.read_bytes()
    classifier = fastsoftmax.load(saved)

    def fail(*arguments):
        raise OSError("disk full")

    for function in ("fsync", "replace"):
        with monkeypatch.context() as context:
            context.setattr(os, function, fail)
            with pytest.raises(OSError, match="disk full"):
                classifier.set_params(alpha=1.0).save(saved)
        assert saved.read_bytes() == before
        assert os.listdir(saved.parent) == [saved.name]
    with pytest.raises(FileNotFoundError):
        classifier.save(saved.parent / "none" / "model.safetensors")


def test_a_failed_write_over_a_file_that_may_only_be_read(saved, monkeypatch):
    """Whose mode the new file has by then. Windows removes no such file, others do."""
    unlink = os.unlink

    def unlink_as_windows(path):
        if not os.stat(path).st_mode & stat.S_IWUSR:
            raise PermissionError(path)
        unlink(path)

    def fail(*arguments):
        raise OSError("disk full")

    classifier = fastsoftmax.load(saved)
    saved.chmod(0o444)
    with monkeypatch.context() as context:
        context.setattr(os, "unlink", unlink_as_windows)
        context.setattr(os, "replace", fail)
        with pytest.raises(OSError, match=r"disk full|[Pp]ermission|denied"):
            classifier.save(saved)
    assert os.listdir(saved.parent) == [saved.name]
    saved.chmod(0o644)


@pytest.mark.skipif(sys.platform == "win32", reason="has other permissions, and links for few")
def test_replacing_keeps_links_and_permissions(saved, tmp_path):
    saved.chmod(0o640)
    link = tmp_path / "link"
    link.symlink_to(saved)
    sgd_classifier(alpha=0.5).save(link)
    assert link.is_symlink()
    assert fastsoftmax.load(saved).alpha == 0.5
    assert stat.S_IMODE(saved.stat().st_mode) == 0o640


@pytest.mark.skipif(sys.platform == "win32", reason="has other permissions")
def test_a_new_file_has_usual_permissions(path):
    before = os.umask(0o022)
    try:
        sgd_classifier().save(path)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


def test_any_reader_of_safetensors_finds_the_coefficients(saved):
    tensors = safetensors_numpy.load_file(saved)
    np.testing.assert_array_equal(tensors["coef_"], fastsoftmax.load(saved).coef_)


# --- What is no file, and what no document holds --------------------------------------------------


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names here")
def test_what_is_no_regular_file(tmp_path):
    classifier = small_classifier()
    pipe, folder = tmp_path / "pipe", tmp_path / "folder"
    os.mkfifo(pipe)
    folder.mkdir()
    link = tmp_path / "link"
    link.symlink_to(pipe)
    for path in (pipe, link, folder):
        with pytest.raises(OSError, match="no regular file"):
            classifier.save(path)
    assert stat.S_ISFIFO(os.stat(pipe).st_mode)
    assert sorted(os.listdir(tmp_path)) == ["folder", "link", "pipe"]
    for path in (pipe, link):
        with pytest.raises(ValueError, match="no regular file"):
            fastsoftmax.load(path)
    with pytest.raises(IsADirectoryError):
        fastsoftmax.load(folder)
    with pytest.raises(FileNotFoundError):
        fastsoftmax.load(tmp_path / "nothing")
    if os.path.exists("/dev/null"):
        with pytest.raises(OSError, match="no regular file"):
            classifier.save("/dev/null")
        with pytest.raises(ValueError, match="no regular file"):
            fastsoftmax.load("/dev/null")


def test_paths_of_bytes(tmp_path):
    path = os.fsencode(tmp_path / "model.safetensors")
    classifier = small_classifier()
    classifier.save(path)
    np.testing.assert_array_equal(fastsoftmax.load(path).coef_, classifier.coef_)


DOCUMENTS = {
    "nested too deeply": '{"format_version": ' + "[" * 100000 + "]" * 100000 + "}",
    "infinity": '{"format_version": 1, "package_version": "0.1.0", "x": Infinity}',
    "no number": '{"format_version": NaN, "package_version": "0.1.0"}',
    "a version beyond float": '{"format_version": 1e999, "package_version": "0.1.0"}',
    "a number of many digits": '{"format_version": ' + "1" * 5000 + ', "package_version": "0.1.0"}',
    "a list": "[1, 2]",
    "a number": "7",
}


@pytest.mark.parametrize("document", DOCUMENTS)
def test_documents_that_are_not_ours(saved, document):
    path = saved
    metadata, arrays = files._read_file(path)
    text = DOCUMENTS[document]
    metadata = {"fastsoftmax": text, "sha256": files._checksum(text, arrays)}
    path.write_bytes(safetensors_numpy.save(arrays, metadata))
    with pytest.raises(ValueError, match="model"):
        fastsoftmax.load(path)


CONTENTS = {
    "text of a width for nobody": lambda d, a: d["attributes"].update(
        x_={"text": {"values": ["a"], "width": 2**27}}
    ),
    "text wider than its width": lambda d, a: d["attributes"].update(
        x_={"text": {"values": ["abc"], "width": 2}}
    ),
    "coefficients that are no numbers": lambda d, a: a["coef_"].fill(np.nan),
    "an infinite intercept": lambda d, a: a["intercept_"].fill(np.inf),
    "a row that jumps": lambda d, a: (
        a.update(
            {
                "p": np.array([0, 2**31 - 1, -(2**31), 0], np.int32),
                "i": np.zeros(0, np.int32),
                "v": np.zeros(0),
            }
        ),
        d["attributes"].update(
            x_={
                "csr": {
                    "shape": [3, 4],
                    "is_array": True,
                    "data": {"array": "v"},
                    "indices": {"array": "i"},
                    "indptr": {"array": "p"},
                }
            }
        ),
    ),
}


@pytest.mark.parametrize("content", CONTENTS)
def test_contents_that_no_estimator_has(saved, content):
    path = saved
    forge(path, CONTENTS[content])
    with pytest.raises(ValueError, match="model"):
        fastsoftmax.load(path)


@pytest.mark.parametrize(
    ("name", "value"),
    [("coef_", [[1.0]]), ("coef_", np.full((10, 64), np.nan)), ("intercept_", np.zeros(3))],
)
def test_attributes_that_could_not_be_loaded_are_not_saved(path, name, value):
    classifier = small_classifier()
    setattr(classifier, name, value)
    with pytest.raises(ValueError, match=f"can't be saved: it has {name}"):
        classifier.save(path)
    assert not path.exists()

"""Pickles and joblib files, those of older versions included.

The files in tests/data/ were written by version 0.1.0, before any later one existed: iris with
column names, standardize=True, learning_rate=0.05, random_state=0, a weight of 2 for versicolor.
Beside them, what that version predicted for each tenth row, and its coefficients after one more
``partial_fit`` of all rows.
"""

import copy
import pickle
import warnings
from pathlib import Path

import joblib
import numpy as np
import pytest
from digits import assert_same_fit, small_digits
from sgd import sgd_classifier
from sklearn.base import clone
from sklearn.datasets import load_iris

from fastsoftmax import SoftmaxClassifier, __version__

DATA = Path(__file__).parent / "data"


@pytest.mark.parametrize("ending", ["pickle", "joblib"])
def test_an_old_file_predicts_and_learns_as_it_did(build, ending):
    classifier = joblib.load(DATA / f"iris-0.1.0.{ending}")
    expected = np.load(DATA / "iris-0.1.0-expected.npz")
    iris = load_iris(as_frame=True)
    y = iris.target_names[iris.target]
    probability = classifier.predict_proba(iris.data[::10])
    np.testing.assert_allclose(probability, expected["probability"], rtol=1e-9)
    assert classifier.classes_.tolist() == ["setosa", "versicolor", "virginica"]
    assert set(classifier.get_params()) == set(sgd_classifier().get_params())
    assert "SoftmaxClassifier(" in repr(classifier)
    classifier.partial_fit(iris.data, y)
    np.testing.assert_allclose(classifier.coef_, expected["coef_after_partial_fit"], rtol=1e-9)
    assert type(clone(classifier)) is SoftmaxClassifier


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_pickle_goes_on_bit_for_bit(protocol):
    X, y = small_digits()
    original = sgd_classifier(standardize=True, random_state=0).fit(X, y)
    loaded = pickle.loads(pickle.dumps(original, protocol))
    assert vars(loaded).keys() == vars(original).keys()
    assert_same_fit(loaded.partial_fit(X, y), original.partial_fit(X, y))


def test_a_memory_mapped_joblib_file_predicts_and_learns(tmp_path):
    X, y = small_digits()
    original = sgd_classifier(random_state=0).fit(X, y)
    joblib.dump(original, tmp_path / "model")
    loaded = joblib.load(tmp_path / "model", mmap_mode="r")
    assert not loaded.coef_.flags.writeable
    np.testing.assert_array_equal(loaded.predict_proba(X), original.predict_proba(X))
    assert_same_fit(loaded.partial_fit(X, y), original.partial_fit(X, y))


def test_parameters_that_an_old_pickle_lacks_get_their_defaults():
    state = sgd_classifier(alpha=0.5).__getstate__()
    del state["warm_start"], state["_fastsoftmax_version"]
    classifier = SoftmaxClassifier.__new__(SoftmaxClassifier)
    classifier.__setstate__(state)
    assert classifier.get_params() == sgd_classifier(alpha=0.5).get_params()


@pytest.mark.parametrize("version", ["99.0", "0.1.1", "0.10.0rc1"])
def test_a_newer_pickle_is_warned_of(version, monkeypatch):
    monkeypatch.setattr("fastsoftmax.interchange.portable.__version__", "0.1.0")
    state = sgd_classifier().__getstate__() | {"_fastsoftmax_version": version}
    with pytest.warns(UserWarning, match=f"pickled by fastsoftmax {version}, and 0.1.0"):
        sgd_classifier().__setstate__(state)


def test_a_pickle_of_this_version_is_not_warned_of():
    assert sgd_classifier().__getstate__()["_fastsoftmax_version"] == __version__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert "_fastsoftmax_version" not in vars(copy.deepcopy(sgd_classifier()))

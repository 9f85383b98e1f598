"""What a fit tells of its epochs: history_, callbacks of both kinds, and what Ctrl-C leaves.

The loop itself is tested in test_training.py, validation scores in test_early_stopping.py.
"""

import pickle
import signal
import sys
import threading
import time

import numpy as np
import pytest
import sklearn
from digits import assert_same_fit, small_digits
from sgd import sgd_classifier
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.fixes import parse_version

from fastsoftmax.callbacks import EpochInfo

COLUMNS = [
    "epoch",
    "objective",
    "loss",
    "learning_rate",
    "seconds",
    "gradient_norm",
    "validation_score",
    "gap",
    "suboptimality",
    "suboptimality_bound",
    "n_halvings",
    "plateau",
]

# --- history_ -------------------------------------------------------------------------------------


def test_history(build):
    X, y = small_digits()
    before = time.perf_counter()
    classifier = sgd_classifier(alpha=0.1, schedule="linear", max_iter=5, tol=None).fit(X, y)
    elapsed = time.perf_counter() - before
    history = classifier.history_
    assert list(history) == COLUMNS
    assert {len(column) for column in history.values()} == {5}
    np.testing.assert_array_equal(history["epoch"], [1, 2, 3, 4, 5])
    np.testing.assert_array_equal(history["objective"], classifier.loss_curve_)
    penalty = 0.05 * (classifier.coef_**2).sum()
    np.testing.assert_allclose(history["objective"][-1] - history["loss"][-1], penalty, rtol=1e-9)
    # Three minibatches an epoch: the last of epoch e is at t = e − 1/3.
    np.testing.assert_allclose(
        history["learning_rate"], 0.01 * (1 - (np.arange(1, 6) - 1 / 3) / 5), rtol=1e-12
    )
    assert 0 < history["seconds"].sum() < elapsed
    assert np.isnan(history["gradient_norm"]).all()
    assert np.isnan(history["validation_score"]).all()
    for name in ("gap", "suboptimality", "suboptimality_bound"):
        assert np.isnan(history[name]).all()


def test_history_is_a_data_frame():
    pandas = pytest.importorskip("pandas")
    X, y = small_digits()
    frame = pandas.DataFrame(sgd_classifier(max_iter=3).fit(X, y).history_)
    assert list(frame.columns) == COLUMNS
    assert len(frame) == 3


def test_history_of_calls_that_follow_one_another():
    X, y = small_digits()
    classifier = sgd_classifier(max_iter=2).fit(X, y).partial_fit(X, y)
    np.testing.assert_array_equal(classifier.history_["epoch"], [1, 2, 3])
    assert len(classifier.fit(X, y).history_["epoch"]) == 2


def test_history_leaves_repeated_epochs_out():
    X, y = small_digits()
    with pytest.warns(sklearn.exceptions.ConvergenceWarning):
        classifier = sgd_classifier(learning_rate=1e5, max_iter=3).fit(X, y)
    np.testing.assert_array_equal(classifier.history_["epoch"], [1, 2, 3])
    halved = classifier.history_["learning_rate"][0] / 1e5
    assert halved < 1
    assert np.log2(halved) == int(np.log2(halved))


# --- callbacks=[f] --------------------------------------------------------------------------------


@pytest.mark.parametrize("standardize", [False, True])
def test_callbacks_are_told_of_each_epoch(build, standardize):
    X, y = small_digits()
    told, fitted = [], []

    def keep(info):
        told.append(info)
        fitted.append(info.fitted_estimator)

    setting = {"standardize": standardize, "random_state": 0, "tol": None}
    classifier = sgd_classifier(max_iter=3, callbacks=[keep], **setting).fit(X, y)
    assert all(isinstance(info, EpochInfo) for info in told)
    assert [info.n_epochs for info in told] == [3, 3, 3]
    for name in COLUMNS:
        np.testing.assert_array_equal(
            [getattr(info, name) for info in told], classifier.history_[name]
        )
    for n_epochs, copy in enumerate(fitted, start=1):
        expected = sgd_classifier(max_iter=n_epochs, **setting).fit(X, y)
        assert_same_fit(copy, expected)
        assert copy.n_iter_ == n_epochs
        np.testing.assert_array_equal(copy.predict_proba(X), expected.predict_proba(X))


def test_a_kept_copy_can_be_trained_on():
    X, y = small_digits()
    kept = []
    setting = {"random_state": 0, "max_iter": 2, "momentum": 0}
    sgd_classifier(callbacks=[lambda info: kept.append(info.fitted_estimator)], **setting).fit(X, y)
    copy = kept[0].set_params(callbacks=None)
    before = copy.score(X, y)
    assert copy.partial_fit(X, y).score(X, y) >= before
    assert clone(copy).get_params() == copy.get_params()


def test_any_callback_ends_training():
    X, y = small_digits()
    told = []
    callbacks = [lambda info: info.epoch == 2, told.append]
    classifier = sgd_classifier(callbacks=callbacks, random_state=0).fit(X, y)
    assert classifier.n_iter_ == len(told) == 2
    assert_same_fit(classifier, sgd_classifier(max_iter=2, random_state=0).fit(X, y))


def test_callbacks_of_partial_fit_go_on_counting():
    X, y = small_digits()
    told = []
    classifier = sgd_classifier(callbacks=[told.append])
    for _ in range(3):
        classifier.partial_fit(X, y, range(10))
    assert [(info.epoch, info.n_epochs) for info in told] == [(1, 1), (2, 2), (3, 3)]


def test_an_error_in_a_callback_leaves_the_estimator_as_it_was():
    X, y = small_digits()
    classifier = sgd_classifier(random_state=0).fit(X, y)
    before = classifier.coef_

    def fail(info):
        raise RuntimeError("no room on disk")

    with pytest.raises(RuntimeError, match="no room on disk"):
        classifier.set_params(callbacks=[fail]).fit(2 * X, y)
    assert classifier.coef_ is before


# --- verbose --------------------------------------------------------------------------------------


@pytest.mark.parametrize("tqdm", [True, False])
def test_verbose_shows_the_validation_score(capfd, monkeypatch, tqdm):
    if not tqdm:
        monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    X, y = small_digits()
    sgd_classifier(verbose=1, max_iter=3).fit(X, y, X_val=X, y_val=y)
    shown = capfd.readouterr().err
    assert "validation" in shown
    assert "rate" in shown


# --- Ctrl-C ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("standardize", [False, True])
@pytest.mark.usefixtures("ctrl_c")
def test_interrupted_fit_keeps_the_epochs_done(build, standardize):
    X, y = small_digits()

    def press(info):
        if info.epoch == 3:
            signal.raise_signal(signal.SIGINT)

    setting = {"standardize": standardize, "random_state": 0}
    classifier = sgd_classifier(callbacks=[press], **setting)
    with pytest.raises(KeyboardInterrupt, match="of the 3 epochs done"):
        classifier.fit(X, y)
    expected = sgd_classifier(max_iter=3, **setting).fit(X, y)
    assert_same_fit(classifier, expected)
    assert classifier.n_iter_ == 3
    again = pickle.loads(pickle.dumps(classifier.set_params(callbacks=None)))
    assert_same_fit(again.partial_fit(X, y), expected.partial_fit(X, y))


@pytest.mark.usefixtures("ctrl_c")
def test_interrupted_fit_with_early_stopping_keeps_the_best_epoch():
    X, y = small_digits()

    def press(info):
        if info.epoch == 5:
            signal.raise_signal(signal.SIGINT)

    scores = iter([0.1, 0.5, 0.9, 0.2, 0.3])
    classifier = sgd_classifier(
        early_stopping=True, scoring=lambda *_: next(scores), callbacks=[press], random_state=0
    )
    with pytest.raises(KeyboardInterrupt):
        classifier.fit(X, y)
    assert (classifier.best_iter_, classifier.n_iter_) == (3, 5)
    scores = iter([0.1, 0.5, 0.9])
    expected = clone(classifier).set_params(
        max_iter=3, callbacks=None, scoring=lambda *_: next(scores)
    )
    assert_same_fit(classifier, expected.fit(X, y))


@pytest.mark.alone
def test_ctrl_c_comes_through_within_an_epoch(ctrl_c):
    # From outside, while the kernels work: what a terminal or a notebook does.
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(20_000, 50)).astype(np.float32), rng.integers(10, size=20_000)
    started = []

    def press_soon(info):
        if info.epoch == 2:
            started.append(time.perf_counter())
            threading.Timer(0.2, ctrl_c).start()

    classifier = sgd_classifier(max_iter=10**6, tol=None, callbacks=[press_soon])
    with pytest.raises(KeyboardInterrupt):
        classifier.fit(X, y)
    assert 2 <= classifier.n_iter_ < 10**6
    assert len(classifier.loss_curve_) == len(classifier.history_["epoch"]) == classifier.n_iter_
    assert np.isfinite(classifier.predict_proba(X)).all()


# --- scikit-learn's callbacks ---------------------------------------------------------------------

needs_protocol = pytest.mark.skipif(
    parse_version(sklearn.__version__) < parse_version("1.9"),
    reason="scikit-learn has callbacks from 1.9 on",
)


class Recorder:
    """Keeps the names of the hooks called, and asks to stop after some epochs."""

    def __init__(self, stop_after=None):
        self.calls = []
        self.stop_after = stop_after

    def setup(self, estimator, context):
        self.calls.append(("setup", context.task_name))

    def on_fit_task_begin(self, estimator, context, *, X=None, y=None, metadata=None):
        self.calls.append(("begin", context.task_name))
        self.given = X, y, metadata

    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
        self.calls.append(("end", context.task_name))
        self.fitted = fitted_estimator
        return context.task_name == "epoch" and context.task_id + 1 == self.stop_after

    def teardown(self, estimator, context):
        self.calls.append(("teardown", context.task_name))


EPOCH = [("begin", "epoch"), ("end", "epoch")]
WHOLE = [("setup", "fit"), ("begin", "fit")], [("end", "fit"), ("teardown", "fit")]


@needs_protocol
@pytest.mark.parametrize("stop_after", [None, 2])
def test_protocol_sees_fit_and_its_epochs(stop_after):
    X, y = small_digits()
    weight = np.ones(len(X))
    recorder = Recorder(stop_after)
    classifier = sgd_classifier(max_iter=4, random_state=0, standardize=True)
    assert classifier.set_callbacks(recorder) is classifier
    names = set(vars(classifier))
    classifier.fit(X, y, sample_weight=weight)
    n_epochs = stop_after or 4
    assert recorder.calls == [*WHOLE[0], *(n_epochs * EPOCH), *WHOLE[1]]
    assert classifier.n_iter_ == n_epochs
    assert recorder.given[0] is X
    assert recorder.given[2] == {"sample_weight": weight}
    assert_same_fit(recorder.fitted, classifier)
    added = set(vars(classifier)) - names
    assert not any("callback" in name for name in added)


@needs_protocol
def test_protocol_where_training_stops_early():
    X, y = small_digits()
    recorder = Recorder()
    classifier = sgd_classifier(tol=10, n_iter_no_change=2).set_callbacks(recorder).fit(X, y)
    assert classifier.n_iter_ == 3
    assert recorder.calls == [*WHOLE[0], *(3 * EPOCH), *WHOLE[1]]


@needs_protocol
@pytest.mark.parametrize("fault", ["data", "callback"])
def test_protocol_is_torn_down_after_a_failure(fault):
    X, y = small_digits()
    recorder = Recorder()
    classifier = sgd_classifier().set_callbacks(recorder)
    if fault == "callback":
        classifier.set_params(callbacks=[lambda info: 1 / 0])
    with pytest.raises((ZeroDivisionError, ValueError)):
        classifier.fit(X * np.nan if fault == "data" else X, y)
    assert recorder.calls[-1] == ("teardown", "fit")
    assert not any("ctx" in name or "teardown" in name for name in vars(classifier))
    assert not hasattr(classifier, "coef_")


@needs_protocol
@pytest.mark.usefixtures("ctrl_c")
def test_protocol_and_an_interrupt():
    X, y = small_digits()
    recorder = Recorder()
    classifier = sgd_classifier(
        callbacks=[lambda info: info.epoch == 2 and signal.raise_signal(signal.SIGINT)]
    ).set_callbacks(recorder)
    with pytest.raises(KeyboardInterrupt):
        classifier.fit(X, y)
    assert recorder.calls[-2:] == WHOLE[1]
    assert_same_fit(recorder.fitted, classifier)


@needs_protocol
def test_scoring_monitor():
    from sklearn.callback import ScoringMonitor

    X, y = small_digits()
    monitor = ScoringMonitor(scoring="accuracy")
    classifier = sgd_classifier(max_iter=3, random_state=0).set_callbacks(monitor).fit(X, y)
    log = [row for row in monitor.get_logs().data if row["task_name"] == "epoch"]
    assert [row["task_id"] for row in log] == [0, 1, 2]
    scores = [
        sgd_classifier(max_iter=n_epochs, random_state=0).fit(X, y).score(X, y)
        for n_epochs in (1, 2, 3)
    ]
    assert [row["accuracy"] for row in log] == scores
    assert scores[-1] == classifier.score(X, y)


@needs_protocol
def test_progress_bar(capsys):
    pytest.importorskip("rich")
    from sklearn.callback import ProgressBar

    X, y = small_digits()
    sgd_classifier(max_iter=3).set_callbacks(ProgressBar()).fit(X, y)
    assert "SoftmaxClassifier" in capsys.readouterr().out


@needs_protocol
def test_callbacks_of_a_pipeline_and_a_search_reach_the_epochs():
    from sklearn.callback import ScoringMonitor

    X, y = small_digits()
    monitor = ScoringMonitor(scoring="accuracy")
    model = make_pipeline(StandardScaler(), sgd_classifier(max_iter=3, random_state=0))
    model[-1].set_callbacks(monitor)
    model.fit(X, y)
    assert sum(row["task_name"] == "epoch" for row in monitor.get_logs().data) == 3
    monitor = ScoringMonitor(scoring="accuracy")
    inner = sgd_classifier(max_iter=3, random_state=0).set_callbacks(monitor)
    GridSearchCV(inner, {"alpha": [1e-3, 1e-2]}, cv=2).fit(X, y)
    rows = [row for row in monitor.get_logs().data if row["task_name"] == "epoch"]
    assert len(rows) == 3 * (2 * 2 + 1)

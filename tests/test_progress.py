"""What the default solver tells while it works: history_, callbacks, a progress bar, Ctrl-C.

An epoch of minibatches is told of in the same way, which test_history.py tests; where the solver
ends is test_solver.py's.
"""

import signal
import sys
import threading
import time
from contextlib import nullcontext

import numpy as np
import pytest
import sklearn
from digits import assert_same_fit, small_digits
from scipy.sparse import csr_array
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.fixes import parse_version

from fastsoftmax import SoftmaxClassifier
from fastsoftmax.optimization.solver import STOCHASTIC_EPOCHS, Notes

SOLVERS = ["auto", "lbfgs"]
FORMS = {"dense": np.asarray, "sparse": csr_array}

#: Sparse rows go another way by "auto" (tests/test_dual.py).
WAYS = [("auto", "dense"), ("lbfgs", "dense"), ("lbfgs", "sparse")]

#: Iterations of minibatch descent that "auto" begins with.
FIRST = {"auto": STOCHASTIC_EPOCHS, "lbfgs": 0}


@pytest.mark.parametrize(("solver", "form"), WAYS)
def test_history(build, solver, form):
    X, y = small_digits()
    told = []
    setting = {"solver": solver, "alpha": 0.01, "random_state": 0}
    before = time.perf_counter()
    model = SoftmaxClassifier(callbacks=[told.append], **setting).fit(FORMS[form](X), y)
    elapsed = time.perf_counter() - before
    history, first = model.history_, FIRST[solver]
    assert model.n_iter_ == len(told) > first + 2
    for name, column in history.items():
        assert len(column) == model.n_iter_
        np.testing.assert_array_equal([getattr(info, name) for info in told], column)
    np.testing.assert_array_equal(history["epoch"], np.arange(1, model.n_iter_ + 1))
    np.testing.assert_array_equal(history["learning_rate"][first:], 1)
    assert (history["seconds"] > 0).all()
    assert history["seconds"].sum() < elapsed
    assert history["gradient_norm"][-1] < 0.1 * history["gradient_norm"][first]


@pytest.mark.parametrize(("solver", "form"), WAYS)
def test_numbers_are_those_of_the_weights_at_the_iterations_end(build, solver, form):
    X, y = small_digits()
    fits = []

    def keep(info):
        fits.append((info, info.fitted_estimator))

    setting = {"solver": solver, "alpha": 0.01, "random_state": 0, "callbacks": [keep]}
    SoftmaxClassifier(**setting).fit(FORMS[form](X), y)
    for info, model in fits[FIRST[solver] :]:
        log_probability = model.predict_log_proba(X)
        loss = -log_probability[np.arange(len(X)), y].mean()
        np.testing.assert_allclose(info.loss, loss, rtol=1e-9)
        np.testing.assert_allclose(
            info.objective, loss + 0.005 * np.square(model.coef_).sum(), rtol=1e-9
        )
        miss = (np.exp(log_probability) - np.eye(10)[y]) / len(X)
        gradient = np.column_stack([miss.T @ X + 0.01 * model.coef_, miss.sum(axis=0)])
        if form == "sparse":  # dense rows are centred, and their gradient is that about the mean
            np.testing.assert_allclose(info.gradient_norm, np.linalg.norm(gradient), rtol=1e-6)


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("shape", ["small", "tall", "wide"])
def test_what_each_pass_says_of_its_distance(shape, fit_intercept):
    """Bounds hold, to the end of each way; estimates come near where the Hessian was asked."""
    X, y = small_digits()
    settings = {"alpha": 0.01, "random_state": 0, "fit_intercept": fit_intercept}
    if shape == "small":  # Newton's method
        X = X[:, 20:30]
    elif shape == "wide":  # in the rows' span
        X, y = X[:40], y[:40]
    model = SoftmaxClassifier(tol=1e-6, **settings).fit(X, y)
    least = SoftmaxClassifier(tol=1e-12, dtype="float64", **settings).fit(X, y)
    above = model.loss_curve_ - least.loss_curve_[-1] + 1e-12
    bound, estimate = (model.history_[f"suboptimality{end}"] for end in ("_bound", ""))
    is_proved = np.isfinite(bound)
    assert (bound[is_proved] >= above[is_proved] - 1e-11).all()
    if shape == "small":
        np.testing.assert_array_equal(np.flatnonzero(is_proved), [model.n_iter_ - 1])
    elif shape == "wide" or fit_intercept:
        assert not is_proved.any()
    else:
        np.testing.assert_array_equal(np.isfinite(estimate), is_proved)
        assert is_proved.sum() >= 3
        assert bound[-1] == pytest.approx(model.suboptimality_bound_, rel=1e-3)
    n_first = FIRST["auto"] if shape == "tall" else 0
    assert np.isnan(estimate[:n_first]).all()
    assert np.isfinite(estimate[n_first:]).all()
    assert estimate[-1] <= 1e-6
    far = above[n_first:] > 1e-10
    assert (estimate[n_first:][far] >= above[n_first:][far] / 100).all()


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("epoch", [1, 2, 3, 6])
def test_a_callback_ends_it_at_any_iteration(solver, epoch):
    X, y = small_digits()
    told = []
    callbacks = [lambda info: info.epoch == epoch, told.append]
    model = SoftmaxClassifier(solver=solver, callbacks=callbacks, random_state=0)
    warning = pytest.warns(ConvergenceWarning, match="a callback stopped it")
    with warning if epoch > FIRST[solver] else nullcontext():
        model.fit(X, y)
    assert model.n_iter_ == len(told) == epoch
    assert model.score(X, y) > 0.5


@pytest.mark.parametrize("tqdm", [True, False])
@pytest.mark.parametrize("solver", SOLVERS)
def test_verbose_shows_each_iteration(capfd, monkeypatch, solver, tqdm):
    if tqdm:
        pytest.importorskip("tqdm")
    else:
        monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    X, y = small_digits()
    model = SoftmaxClassifier(solver=solver, alpha=0.01, random_state=0, verbose=1).fit(X, y)
    shown = capfd.readouterr().err
    assert f"loss={model.loss_curve_[-1]:.5f}" in shown or f"{model.loss_curve_[-1]:.5f}" in shown
    if tqdm:  # no end is known, so that none is shown
        assert f"{model.n_iter_}epoch" in shown
        assert "/1000" not in shown
    else:
        assert len(shown.splitlines()) == model.n_iter_


def test_bar_of_partial_fit_is_that_of_the_call(capfd):
    pytest.importorskip("tqdm")
    X, y = small_digits(60, n_classes=2)
    model = SoftmaxClassifier(random_state=0, verbose=1)
    for _ in range(3):
        model.partial_fit(X, y, classes=[0, 1])
    shown = capfd.readouterr().err
    assert shown.count("1/1") == 3
    assert "1/3" not in shown


@pytest.mark.parametrize("epoch", [1, 2, 3, 6])
@pytest.mark.usefixtures("ctrl_c")
def test_ctrl_c_leaves_the_last_iterate(epoch):
    X, y = small_digits()
    kept = []

    def press(info):
        if info.epoch == epoch:
            kept.append(info.fitted_estimator)
            signal.raise_signal(signal.SIGINT)

    model = SoftmaxClassifier(random_state=0, callbacks=[press])
    with pytest.raises(KeyboardInterrupt, match=f"of the {epoch} epochs? done"):
        model.fit(X, y)
    assert model.n_iter_ == epoch
    assert len(model.history_["seconds"]) == epoch
    assert_same_fit(model, kept[0])
    assert not hasattr(model, "converged_")
    assert np.isfinite(model.predict_proba(X)).all()


@pytest.mark.alone
def test_ctrl_c_from_outside_comes_through_within_an_iteration(ctrl_c):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(20_000, 50)).astype(np.float32), rng.integers(10, size=20_000)

    def press_soon(info):
        if info.epoch == 3:
            threading.Timer(0.05, ctrl_c).start()
        if info.epoch > 3:
            time.sleep(0.01)

    model = SoftmaxClassifier(tol=None, random_state=0, callbacks=[press_soon])
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, y)
    assert model.n_iter_ >= 3
    assert len(model.loss_curve_) == model.n_iter_
    assert np.isfinite(model.predict_proba(X)).all()


def test_ctrl_c_between_two_assignments(monkeypatch):
    X, y = small_digits()
    X -= X.mean(axis=0)  # trained on in its own units
    write, seen, wholes = Notes.write, [], []

    def half(self, coef=None, intercept=None):
        seen.append(self._noted)
        if len(seen) == 3:
            whole = self.state.copy()
            self._noted(whole)
            self.state.coef[:] = whole.coef
            wholes.append(whole)
            raise KeyboardInterrupt
        write(self, coef, intercept)

    monkeypatch.setattr(Notes, "write", half)
    model = SoftmaxClassifier(solver="lbfgs", random_state=0, callbacks=[lambda info: False])
    with pytest.raises(KeyboardInterrupt, match="of the 3 epochs done"):
        model.fit(X, y)
    np.testing.assert_array_equal(model.coef_, wholes[0].coef)
    np.testing.assert_array_equal(model.intercept_, wholes[0].intercept)


needs_protocol = pytest.mark.skipif(
    parse_version(sklearn.__version__) < parse_version("1.9"),
    reason="scikit-learn has callbacks from 1.9 on",
)


@needs_protocol
@pytest.mark.parametrize("solver", SOLVERS)
def test_scoring_monitor_sees_each_iteration(solver):
    from sklearn.callback import ScoringMonitor

    X, y = small_digits()
    monitor = ScoringMonitor(scoring="neg_log_loss")
    model = SoftmaxClassifier(solver=solver, alpha=0.01, random_state=0).set_callbacks(monitor)
    model.fit(X, y)
    log = [row for row in monitor.get_logs().data if row["task_name"] == "epoch"]
    assert [row["task_id"] for row in log] == list(range(model.n_iter_))
    scores = -np.array([row["neg_log_loss"] for row in log])
    first = FIRST[solver]
    np.testing.assert_allclose(scores[first:], model.history_["loss"][first:], rtol=1e-6)


@needs_protocol
def test_progress_bar_of_scikit_learn(capsys):
    pytest.importorskip("rich")
    from sklearn.callback import ProgressBar

    X, y = small_digits()
    SoftmaxClassifier(alpha=0.01).set_callbacks(ProgressBar()).fit(X, y)
    assert "SoftmaxClassifier" in capsys.readouterr().out

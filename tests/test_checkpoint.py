"""Fits that go on after their process has ended: at the very bits that they would have ended at."""

import os
import subprocess
import sys
from contextlib import nullcontext

import numpy as np
import pytest
from scipy.sparse import csr_array

from fastsoftmax import SoftmaxClassifier
from fastsoftmax.optimization import journal as journals
from fastsoftmax.optimization.journal import Journal, JournalError
from fastsoftmax.problem.objective import Problem
from fastsoftmax.sources import ArraySource


def _noisy(n_samples=3000, n_features=30, n_classes=20, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_samples, n_features))
    raw = X @ rng.normal(size=(n_features, n_classes)) + 2 * rng.gumbel(size=(n_samples, n_classes))
    return X.astype(np.float32), raw.argmax(axis=1)


def _sparse():
    X, y = _noisy()
    X[np.abs(X) < 1] = 0
    return csr_array(X), y


def _source():
    return (ArraySource(*_noisy(), max_memory=1 << 18),)


FITS = {
    "auto": ({}, _noisy),
    "lbfgs": ({"solver": "lbfgs"}, _noisy),
    "sgd": ({"solver": "sgd", "max_iter": 8}, _noisy),
    "adagrad": ({"solver": "adagrad", "max_iter": 8}, _noisy),
    "diverging": ({"solver": "sgd", "max_iter": 4, "learning_rate": 50.0}, _noisy),
    "dual": ({"solver": "dual", "alpha": 1e-2}, _sparse),
    "source": ({}, _source),
    "classes": ({}, lambda: _noisy(1000, 9, 310)),
    "small": ({}, lambda: _noisy(300, 4, 3)),
}


@pytest.fixture(params=FITS)
def fit(request, tmp_path):
    """Data, and a function that fits them with a checkpoint, and the checkpoint's path."""
    parameters, made = FITS[request.param]
    data, path = made(), tmp_path / "fit.checkpoint"

    def fitted(resume=True, **changed):
        model = SoftmaxClassifier(**{"random_state": 0, **parameters, **changed})
        return model.fit(*data, checkpoint=path, resume=resume)

    with pytest.warns() if request.param == "diverging" else nullcontext():
        yield fitted, data, path


def _same(model, other):
    for name in ("coef_", "intercept_", "loss_curve_"):
        np.testing.assert_array_equal(getattr(model, name), getattr(other, name))
    assert model.n_iter_ == other.n_iter_


def test_cut_off_anywhere_it_ends_at_the_same_bits(fit):
    """The file is what is left of a process that was killed: a part of it, at any byte."""
    fitted, _, path = fit
    whole = fitted(resume=False)
    content = path.read_bytes()
    rng = np.random.default_rng(0)
    for size in {0, 5, len(content) - 1, len(content), *rng.integers(len(content), size=6)}:
        path.write_bytes(content[:size])
        _same(fitted(), whole)
        assert path.read_bytes() == content


def test_a_checkpoint_changes_nothing(fit):
    fitted, data, _ = fit
    model = fitted(resume=False)
    parameters = model.get_params()
    _same(model, SoftmaxClassifier(**parameters).fit(*data))


@pytest.mark.parametrize("solver", ["auto", "lbfgs", "sgd"])
def test_passes_that_were_kept_are_not_repeated(solver, tmp_path, monkeypatch):
    counts = {"loss_gradient": 0, "run_epoch": 0}

    def counted(name):
        method = getattr(Problem, name)

        def call(self, *arguments):
            counts[name] += 1
            return method(self, *arguments)

        monkeypatch.setattr(Problem, name, call)

    for name in counts:
        counted(name)
    X, y = _noisy()
    path = tmp_path / "fit.checkpoint"
    model = SoftmaxClassifier(solver=solver, random_state=0)
    whole = model.fit(X, y, checkpoint=path).coef_
    in_all = dict(counts)
    counts.update(loss_gradient=0, run_epoch=0)
    np.testing.assert_array_equal(model.fit(X, y, checkpoint=path, resume=True).coef_, whole)
    assert counts["run_epoch"] == 0
    # The intercept's last steps are made once more.
    assert counts["loss_gradient"] <= min(5, in_all["loss_gradient"] // 2)


def test_after_ctrl_c(tmp_path):
    X, y = _noisy()
    path = tmp_path / "fit.checkpoint"
    model = SoftmaxClassifier(random_state=0)
    whole = model.fit(X, y).coef_

    def interrupt(info):
        if info.epoch == 7:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        model.set_params(callbacks=[interrupt]).fit(X, y, checkpoint=path)
    model.set_params(callbacks=None).fit(X, y, checkpoint=path, resume=True)
    np.testing.assert_array_equal(model.coef_, whole)


#: Fits in forked processes, of which each is killed after a while: importing takes longer.
PROGRAM = """
import os, signal, sys, time
import numpy as np
from fastsoftmax import SoftmaxClassifier

X, y = np.load(sys.argv[1]), np.load(sys.argv[2])
model = SoftmaxClassifier(random_state=0, n_jobs=1, tol=1e-7)
n_killed = 0
for limit in np.random.default_rng(0).uniform(0.02, 0.4, 4):
    child = os.fork()
    if child == 0:
        model.fit(X, y, checkpoint=sys.argv[3], resume=True)
        os._exit(0)
    time.sleep(limit)
    os.kill(child, signal.SIGKILL)
    n_killed += os.WIFSIGNALED(os.waitpid(child, 0)[1])
print(n_killed)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_killed(tmp_path):
    """By a signal that no process can hold off, again and again."""
    X, y = _noisy(20_000, 60, 20)
    np.save(tmp_path / "X.npy", X)
    np.save(tmp_path / "y.npy", y)
    paths = [os.fspath(tmp_path / name) for name in ("X.npy", "y.npy", "checkpoint")]
    command = [sys.executable, "-c", PROGRAM, *paths]
    process = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert int(process.stdout) >= 2
    model = SoftmaxClassifier(random_state=0, n_jobs=1, tol=1e-7)
    whole = model.fit(X, y).coef_
    np.testing.assert_array_equal(model.fit(X, y, checkpoint=paths[-1], resume=True).coef_, whole)


# --- What is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"alpha": 1e-3}, "alpha was '0.0001', and is '0.001' now"),
        ({"random_state": 1}, "random_state was '0', and is '1' now"),
        ({"data": _noisy(seed=1)}, "checksum of the rows was"),
        ({"data": _noisy(2999)}, "number of rows was 3000, and is 2999 now"),
    ],
    ids=["alpha", "random_state", "rows", "length"],
)
def test_another_fit_is_not_gone_on_with(changed, error, tmp_path):
    """And what is there stays."""
    path = tmp_path / "fit.checkpoint"
    model = SoftmaxClassifier(random_state=0).fit(*_noisy(), checkpoint=path)
    content, coef = path.read_bytes(), model.coef_
    data = changed.pop("data", _noisy())
    with pytest.raises(JournalError, match=f"is of another fit: {error}"):
        model.set_params(**changed).fit(*data, checkpoint=path, resume=True)
    assert model.coef_ is coef
    assert path.read_bytes() == content
    model.fit(*data, checkpoint=path)
    assert path.read_bytes() != content


@pytest.mark.parametrize("resume", [False, True])
def test_a_file_that_is_no_checkpoint_is_left_alone(resume, tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("to be kept")
    with pytest.raises(JournalError, match=r"notes.txt is no checkpoint; it is left as it is"):
        SoftmaxClassifier(random_state=0).fit(*_noisy(), checkpoint=path, resume=resume)
    assert path.read_text() == "to be kept"


def test_a_record_that_was_changed_is_not_believed(tmp_path):
    path = tmp_path / "fit.checkpoint"
    model = SoftmaxClassifier(random_state=0).fit(*_noisy(), checkpoint=path)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    coef = model.coef_
    np.testing.assert_array_equal(model.fit(*_noisy(), checkpoint=path, resume=True).coef_, coef)


def test_other_arithmetic_is_found_out(tmp_path, monkeypatch):
    path = tmp_path / "fit.checkpoint"
    model = SoftmaxClassifier(random_state=0).fit(*_noisy(), checkpoint=path)
    monkeypatch.setattr(journals, "checksum", lambda *arrays: 1)
    with pytest.raises(JournalError, match="doesn't lead where this fit goes"):
        model.fit(*_noisy(), checkpoint=path, resume=True)


@pytest.mark.parametrize(
    ("parameters", "arguments", "kind", "error"),
    [
        ({}, {"resume": True}, ValueError, "resume=True needs the checkpoint to go on from"),
        ({}, {"checkpoint": 3}, TypeError, "checkpoint must be a path; got 3"),
        ({}, {"checkpoint": "x", "resume": "yes"}, TypeError, "resume must be True or False"),
        (
            {"random_state": None},
            {"checkpoint": "x"},
            ValueError,
            "a checkpoint needs random_state to be an int",
        ),
        ({"warm_start": True}, {"checkpoint": "x"}, ValueError, "got warm_start=True"),
    ],
)
def test_arguments(parameters, arguments, kind, error, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(kind, match=error):
        SoftmaxClassifier(**{"random_state": 0, **parameters}).fit(*_noisy(), **arguments)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_not_there(tmp_path):
    model, data = SoftmaxClassifier(random_state=0), _noisy()
    with pytest.raises(FileNotFoundError):
        model.fit(*data, checkpoint=tmp_path / "nowhere" / "fit.checkpoint")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="it has no /dev/full")
def test_a_full_disk(tmp_path):
    """The error says so, and what was written before is still there to go on from."""
    path = tmp_path / "fit.checkpoint"
    model = SoftmaxClassifier(random_state=0)
    whole = model.fit(*_noisy(), checkpoint=path).coef_
    n_bytes = path.stat().st_size

    class Full:
        """A file on a disk that is full after so many bytes."""

        def __init__(self, file, n_left):
            self._file, self._n_left = file, n_left

        def write(self, data):
            if len(data) > self._n_left:
                self._file.write(data[: self._n_left])
                raise OSError(28, "No space left on device")
            self._n_left -= len(data)
            return self._file.write(data)

        def __getattr__(self, name):
            return getattr(self._file, name)

    begin = Journal._begin

    def begun(self, key):
        begin(self, key)
        self._file = Full(self._file, n_bytes // 2)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Journal, "_begin", begun)
        with pytest.raises(OSError, match=r"No space left on device.*what was written before"):
            model.fit(*_noisy(), checkpoint=path)
    assert n_bytes / 4 < path.stat().st_size < n_bytes
    np.testing.assert_array_equal(model.fit(*_noisy(), checkpoint=path, resume=True).coef_, whole)

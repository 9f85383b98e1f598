"""What a fit or a prediction does to its process, and what the process does to it.

Thread settings that stay as they are, fits at the same time, forks and joblib's workers. What
forks runs in a child process: a test that hangs would hang them all.
"""

import multiprocessing
import os
import shutil
import subprocess
import sys
import threading

import numpy as np
import pytest
from pairs import BUILDS, pairs
from preloaded import Preloaded
from sgd import sgd_classifier
from threadpoolctl import threadpool_info, threadpool_limits

from fastsoftmax import kernels
from fastsoftmax.kernels import threads
from fastsoftmax.kernels.threads import effective_n_threads
from fastsoftmax.problem import objective

needs_fork = pytest.mark.skipif(
    "fork" not in multiprocessing.get_all_start_methods(), reason="no fork here"
)

RNG = np.random.default_rng(0)
X = RNG.normal(size=(3000, 300)).astype(np.float32)  # enough work for threads to share
Y = RNG.integers(7, size=3000)
METHODS = ("predict", "predict_proba", "predict_log_proba", "decision_function")


def fitted(X=X, y=Y, **setting):
    """A short fit that always gives the same."""
    return sgd_classifier(**{"max_iter": 2, "random_state": 0, **setting}).fit(X, y)


def assert_same(one, other):
    """Bit for bit the same coefficients and history."""
    for name in ("coef_", "intercept_", "loss_curve_"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)


# --- Threads --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("build_name", "dtype", "order"),
    pairs(kernels.available, ["uint8", "int16", "float16", "float64"], ["C", "F"]),
)
@pytest.mark.alone
def test_same_bits_at_any_number_of_threads(build_name, dtype, order):
    data = np.asarray(np.abs(10 * X[:1000]), dtype=dtype, order=order)
    with kernels.use(build_name):
        results = []
        for n_jobs in (1, 2, 3, 7):
            model = fitted(data, Y[:1000], n_jobs=n_jobs, standardize=True)
            model.partial_fit(data, Y[:1000])
            arrays = [model.coef_, model.intercept_, model.loss_curve_, model.mean_, model.scale_]
            results.append([*arrays, *(getattr(model, name)(data) for name in METHODS)])
    for other in results[1:]:
        for array, expected in zip(other, results[0], strict=True):
            np.testing.assert_array_equal(array, expected)


def _settings():
    """Threads of every pool in the process, and what a call here would get."""
    return [(pool["filepath"], pool["num_threads"]) for pool in threadpool_info()], (
        effective_n_threads()
    )


@pytest.mark.parametrize(
    ("build", "n_jobs", "limit"),
    pairs(BUILDS, [None, 1, 2, 5], [None, 1, 3]),
    indirect=["build"],
)
@pytest.mark.alone
def test_thread_settings_stay_as_they_are(build, n_jobs, limit):
    effective_n_threads()  # from here on threadpoolctl knows the pool
    with threadpool_limits(limit):
        before = _settings()
        assert len(before[0]) > 0
        model = fitted(n_jobs=n_jobs)
        assert _settings() == before
        model.partial_fit(X, Y)
        assert _settings() == before
        for name in METHODS:
            getattr(model, name)(X)
            assert _settings() == before, name


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
@pytest.mark.alone
def test_thread_settings_stay_as_they_are_when_it_fails(build, monkeypatch, error):
    effective_n_threads()
    before = _settings()
    real = objective.Problem.run_epoch

    def run_epoch(self, *arguments):
        real(self, *arguments)
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(objective.Problem, "run_epoch", run_epoch)
        with pytest.raises(error):
            fitted(n_jobs=2)
    assert _settings() == before
    model = fitted(n_jobs=2)
    bad = X.copy()
    bad[5, 5] = np.nan
    for call in (model.predict, lambda X: model.fit(X, Y)):
        with np.errstate(invalid="ignore"), pytest.raises(ValueError, match="NaN"):
            call(bad)
        assert _settings() == before


@pytest.mark.alone
def test_changed_limits_count_at_once(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(64)), raising=False)
    monkeypatch.setattr(threads, "_quota_of_late", lambda: float("inf"))
    for count in (2, 5, 2):
        monkeypatch.setenv("LOKY_MAX_CPU_COUNT", str(count))
        assert effective_n_threads() == count
        assert effective_n_threads(-2) == count - 1


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity here")
@pytest.mark.alone
def test_affinity_counts_at_once():
    cores = os.sched_getaffinity(0)
    effective_n_threads()
    try:
        os.sched_setaffinity(0, {min(cores)})
        assert effective_n_threads() == 1
    finally:
        os.sched_setaffinity(0, cores)


# --- Fits at the same time ------------------------------------------------------------------------


#: A fit A in a thread of its own and a fit B in the main one; who comes and goes first.
OVERLAP = """
import sys, threading, warnings
import numpy as np
from threadpoolctl import threadpool_info
from fastsoftmax import LogisticRegression, SoftmaxClassifier, SoftmaxClassifierCV

def blas():
    return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]

warnings.simplefilter("ignore")
X, y = np.random.default_rng(0).normal(size=(60, 5)), np.arange(60) % 3
inside, go_on = threading.Event(), threading.Event()
before, seen = blas(), []

def stay(info):
    inside.set()
    seen.append(blas())
    return not go_on.wait(60)

def wait_for_the_other(info):
    seen.append(blas())
    go_on.set()
    worker.join(60)
    seen.append(blas())
    return True

worker = threading.Thread(target=SoftmaxClassifier(callbacks=[stay], max_iter=6).fit, args=(X, y))
if sys.argv[1] == "A comes first, B goes last":
    worker.start()
    assert inside.wait(60)
    for estimator in (LogisticRegression(), SoftmaxClassifierCV(cv=2, alphas=2)):
        estimator.fit(X, y)  # comes after A and goes before it
        seen.append(blas())
    SoftmaxClassifier(callbacks=[wait_for_the_other]).fit(X, y)
else:
    def let_the_other_in(info):
        if not inside.is_set():
            worker.start()
            assert inside.wait(60)
            seen.append(blas())
        return True

    SoftmaxClassifier(callbacks=[let_the_other_in]).fit(X, y)
    seen.append(blas())
    go_on.set()
    worker.join(60)
assert len(seen) > 2 and all(set(threads) <= {1} for threads in seen), seen
assert blas() == before, (before, blas())
"""


@pytest.mark.parametrize("order", ["A comes first, B goes last", "B comes first, A goes last"])
def test_overlapping_fits_leave_blas_as_it_was(order):
    if not any(pool["user_api"] == "blas" for pool in threadpool_info()):
        pytest.skip("threadpoolctl knows no BLAS here")
    threads = dict.fromkeys(("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS"), "2")
    run = subprocess.run(
        [sys.executable, "-c", OVERLAP, order],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, **threads},
    )
    assert run.returncode == 0, run.stderr


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_fits_in_several_python_threads(build, n_jobs):
    settings = [
        {"standardize": True},
        {"multi_class": "ovr"},
        {"dtype": "float64", "solver": "adagrad"},
        {"batch_size": 300},
    ]
    expected = [fitted(n_jobs=n_jobs, **setting) for setting in settings]
    expected_labels = [model.predict(X) for model in expected]
    found = [[] for _ in settings]
    start = threading.Barrier(len(settings))

    def work(number):
        start.wait()
        for _ in range(3):
            model = fitted(n_jobs=n_jobs, **settings[number])
            found[number].append((model, model.predict(X)))

    workers = [threading.Thread(target=work, args=(number,)) for number in range(len(settings))]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    for number, results in enumerate(found):
        assert len(results) == 3
        for model, labels in results:
            assert_same(model, expected[number])
            np.testing.assert_array_equal(labels, expected_labels[number])


def test_predictions_of_one_model_in_several_python_threads(build):
    model = fitted()
    expected = model.predict_proba(X)
    found = []
    workers = [
        threading.Thread(target=lambda: found.append(model.predict_proba(X))) for _ in range(4)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(found) == 4
    for probability in found:
        np.testing.assert_array_equal(probability, expected)


# --- Other processes ------------------------------------------------------------------------------

#: What every script below starts with: the same fit, and its coefficients in the parent.
PARENT = """
import multiprocessing, os, sys
import numpy as np
from joblib import Parallel, delayed
from fastsoftmax import SoftmaxClassifier
from fastsoftmax.kernels import _pool
from fastsoftmax.kernels.threads import effective_n_threads

_pool.set_patience(1e9)  # a busy machine breaks up no team

def fit(n_jobs, seed=0):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(3000, 300)), rng.integers(5, size=3000)
    model = SoftmaxClassifier(
        solver="sgd", learning_rate=0.01, n_jobs=n_jobs, max_iter=2, random_state=seed
    ).fit(X, y)
    return np.vstack([model.coef_, model.coef_ * 0 + model.predict(X).sum()])

def equal(found, seeds):
    return all(np.array_equal(f, fit(1, seed)) for f, seed in zip(found, seeds, strict=True))
"""

SCRIPTS = {
    "os.fork": """
expected = fit(2)
child = os.fork()
if child == 0:
    assert _pool.counts()["workers"] == 0
    same = np.array_equal(fit(2), expected)
    os._exit(0 if same and effective_n_threads(2) == 2 and _pool.counts()["workers"] == 1 else 1)
_, status = os.waitpid(child, 0)
assert os.waitstatus_to_exitcode(status) == 0
assert np.array_equal(fit(2), expected)  # and the parent still has its threads
assert _pool.counts()["workers"] == 1
""",
    "os.fork twice": """
expected = fit(2)
child = os.fork()
if child == 0:
    grandchild = os.fork()
    if grandchild == 0:
        os._exit(0 if np.array_equal(fit(2), expected) else 1)
    _, status = os.waitpid(grandchild, 0)
    os._exit(os.waitstatus_to_exitcode(status))
_, status = os.waitpid(child, 0)
assert os.waitstatus_to_exitcode(status) == 0
""",
    "os.fork while another thread fits": """
import threading, warnings
expected = fit(2)
end = threading.Event()

def fit_on():
    while not end.is_set():
        fit(2)

worker = threading.Thread(target=fit_on)
worker.start()
statuses = []
for _ in range(5):
    child = os.fork()
    if child == 0:
        os._exit(0 if np.array_equal(fit(2), expected) else 1)
    statuses.append(os.waitpid(child, 0)[1])
end.set()
worker.join()
assert statuses == [0] * 5
""",
    "exit while another thread fits": """
import threading

def fit_on():
    while True:
        fit(2)

threading.Thread(target=fit_on, daemon=True).start()
while _pool.counts()["came"] < 20:
    pass
""",
    "os.fork after another library's OpenMP": """
import ctypes, subprocess, tempfile
source = os.path.join(tempfile.mkdtemp(), "team")
lines = ["int team(void) { int n = 0;", "#pragma omp parallel num_threads(2) reduction(+ : n)"]
with open(source + ".c", "w") as file:
    print(*lines, "n += 1;", "return n; }", sep=chr(10), file=file)
command = ["cc", "-shared", "-fPIC", "-fopenmp", "-o", source + ".so", source + ".c"]
subprocess.run(command, check=True)
ctypes.CDLL(source + ".so").team()
child = os.fork()
if child == 0:
    os._exit(0 if len(fit(None)) else 1)
_, status = os.waitpid(child, 0)
assert os.waitstatus_to_exitcode(status) == 0
""",
    "multiprocessing": """
expected = fit(2)
with multiprocessing.get_context("fork").Pool(2) as pool:
    found = pool.map(fit, [2, 1, None])
assert all(np.array_equal(f, expected) for f in found)
""",
    "loky": """
fit(2)
assert equal(Parallel(n_jobs=2, backend="loky")(delayed(fit)(2, s) for s in range(4)), range(4))
""",
    "threading": """
fit(2)
assert equal(
    Parallel(n_jobs=2, backend="threading")(delayed(fit)(2, s) for s in range(4)), range(4)
)
""",
    "joblib multiprocessing": """
multiprocessing.set_start_method("fork")  # which Python 3.14 no longer does by itself
fit(2)
assert equal(
    Parallel(n_jobs=2, backend="multiprocessing")(delayed(fit)(2, s) for s in range(4)), range(4)
)
""",
}


@pytest.fixture(scope="module")
def preloaded():
    """A process that has imported what the scripts do, and has no threads of ours."""
    process = Preloaded(["-W", "ignore"], ["joblib", "fastsoftmax.estimators.classifier"])
    yield process
    process.close()


@needs_fork
@pytest.mark.parametrize("name", SCRIPTS)
def test_fit_in_another_process(name, preloaded, tmp_path):
    if "another library" in name and shutil.which("cc") is None:
        pytest.skip("no C compiler here")
    script = tmp_path / "script.py"
    script.write_text(PARENT + SCRIPTS[name])
    status, _, errors = preloaded.run(script, [], tmp_path)
    assert status == 0, errors

"""Threads: the same bits at any number of them, and how many there are.

Forked children are in test_process.py.
"""

import os
import subprocess
import sys
import time

import numpy as np
import pytest
from pairs import pairs
from sgd import sgd_classifier
from sklearn.datasets import load_digits
from threadpoolctl import threadpool_info, threadpool_limits

from fastsoftmax import kernels, softmax
from fastsoftmax.kernels import _pool, threads
from fastsoftmax.kernels.threads import MOST_A_CORE, effective_n_threads

pytestmark = pytest.mark.alone

#: Samples, features, classes, batch: the digits' size, then sizes that no tile divides, then work
#: enough for every thread, then fewer columns and rows than threads.
SIZES = [
    (1797, 64, 10, 128),
    (1009, 53, 7, 129),
    (4000, 515, 12, 250),
    (9000, 515, 5, 100),
    (500, 3, 2, 5),
]


@pytest.mark.parametrize(
    ("build_name", "size", "multi_class", "dtype"),  # the reference starts no threads
    pairs(kernels.available, SIZES, ["softmax", "ovr"], ["float32", "float64"]),
    ids=str,
)
def test_same_bits_at_any_number_of_threads(build_name, size, multi_class, dtype):
    with kernels.use(build_name):
        _check_same_bits(size, multi_class, dtype)


def _check_same_bits(size, multi_class, dtype):
    n_samples, n_features, n_classes, batch_size = size
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n_samples, n_features)).astype(dtype)
    y = rng.integers(n_classes, size=n_samples)
    weight = rng.exponential(size=n_samples)
    results = []
    for n_jobs in (1, 2, 3, 7):
        classifier = sgd_classifier(
            multi_class=multi_class,
            batch_size=batch_size,
            max_iter=2,
            standardize=True,
            random_state=0,
            n_jobs=n_jobs,
        ).fit(X, y, sample_weight=weight)
        results.append(
            [
                classifier.coef_,
                classifier.intercept_,
                classifier.loss_curve_,
                classifier.mean_,
                classifier.scale_,
                classifier.decision_function(X),
                classifier.predict_proba(X),
                classifier.predict(X),
            ]
        )
    for other in results[1:]:
        for array, expected in zip(other, results[0], strict=True):
            np.testing.assert_array_equal(array, expected)


def test_at_least_one_and_at_most_the_cores():
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    assert 1 <= effective_n_threads() <= cores
    assert effective_n_threads(-1) == effective_n_threads(None)
    assert effective_n_threads(-1000) == 1
    assert effective_n_threads(-2) == max(1, effective_n_threads() - 1)


def test_a_number_is_taken_as_it_is():
    assert [effective_n_threads(n_jobs) for n_jobs in (1, 3, 8)] == [1, 3, 8]


def test_a_number_beyond_reason_is_capped():
    most = MOST_A_CORE * os.cpu_count()
    assert [effective_n_threads(n) for n in (most, most + 1, 10000, 2**31, 2**70)] == [most] * 5
    assert effective_n_threads(-(2**70)) == 1
    X, y = np.random.default_rng(0).normal(size=(3000, 40)), np.arange(3000) % 3
    one, many = (sgd_classifier(n_jobs=n, max_iter=2, random_state=0).fit(X, y) for n in (1, 2**31))
    np.testing.assert_array_equal(many.coef_, one.coef_)
    assert softmax(X, n_jobs=2**40).shape == X.shape


def test_threadpoolctl_limits_the_default():
    before = effective_n_threads()
    with threadpool_limits(1):
        assert effective_n_threads() == 1
        assert effective_n_threads(3) == 3
        with threadpool_limits(64):
            assert effective_n_threads() == before
        assert effective_n_threads() == 1
    with threadpool_limits(1, user_api="blas"):
        assert effective_n_threads() == before
    with threadpool_limits(1, user_api="fastsoftmax"):
        assert effective_n_threads() == 1
    assert effective_n_threads() == before


def test_threadpoolctl_knows_the_pool():
    effective_n_threads()
    (pool,) = [info for info in threadpool_info() if info["user_api"] == "fastsoftmax"]
    assert pool["num_threads"] == effective_n_threads()
    assert pool["filepath"] == _pool.__file__


def _run(script, **environment):
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout.strip()


@pytest.mark.parametrize("variable", ["OMP_NUM_THREADS", "LOKY_MAX_CPU_COUNT"])
def test_a_variable_limits_the_default_at_once(monkeypatch, variable):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(64)), raising=False)
    monkeypatch.setattr(threads, "_quota_known", (time.monotonic() + 60, 64))
    for value, count in [("1", 1), ("3,2", 3), (" 5 ", 5), ("", 64), ("0", 64), ("many", 64)]:
        monkeypatch.setenv(variable, value)
        assert effective_n_threads() == effective_n_threads(-1) == count
        assert effective_n_threads(4) == 4


def test_the_control_group_is_asked_again(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(64)), raising=False)
    monkeypatch.setattr(threads, "_quota_known", (float("-inf"), 1))
    monkeypatch.setattr(threads, "_quota", lambda: 3)
    assert effective_n_threads() == 3
    monkeypatch.setattr(threads, "_quota", lambda: 2)
    assert effective_n_threads() == 3  # for a second
    monkeypatch.setattr(threads, "_quota_known", (time.monotonic() - 2, 3))
    assert effective_n_threads() == 2


def test_importing_the_functions_does_not_import_scikit_learn():
    script = (
        "import sys, fastsoftmax.functional\n"
        "print([name for name in ('sklearn', 'scipy', 'joblib') if name in sys.modules])"
    )
    assert _run(script) == "[]"


def test_more_threads_than_rows(build):
    X, y = load_digits(return_X_y=True)
    X, y = X[:10] / 16, y[:10]
    one, many = (sgd_classifier(random_state=0, n_jobs=n).fit(X, y) for n in (1, 7))
    np.testing.assert_array_equal(one.coef_, many.coef_)


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="only Linux has affinity")
def test_threads_may_run_where_they_could_before():
    """Threads that meet on one core move apart during a call, and not for longer."""
    X, y = np.ones((40_000, 600), np.float32), np.arange(40_000) % 3

    def affinities():
        return {task: os.sched_getaffinity(int(task)) for task in os.listdir("/proc/self/task")}

    sgd_classifier(n_jobs=2, max_iter=1).fit(X, y)  # the team exists from here on
    before = affinities()
    for _ in range(5):
        time.sleep(0.05)  # idle threads are woken on any core
        sgd_classifier(n_jobs=2, max_iter=1).fit(X, y).predict(X)
    after = affinities()
    assert {task: after[task] for task in before if task in after} == {
        task: before[task] for task in before if task in after
    }

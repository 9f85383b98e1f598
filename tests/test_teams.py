"""Teams of threads: smaller than asked for, growing, broken up, and several at once; the same bits.

Everything runs in a process of its own, whose pool nobody else has used. How many threads may be
asked for is tested in test_threads.py, and the pool without kernels in test_pool.py.
"""

import os
import subprocess
import sys

import pytest

from fastsoftmax import kernels

if sys.platform != "win32":
    import resource

#: `results(n_threads)`: what every kernel that has threads gives, of work that is enough for them.
RESULTS = """
import sys
import numpy as np
from fastsoftmax import kernels
from fastsoftmax.kernels import _pool

_pool.set_patience(1e9)  # a busy machine breaks up no team
rng = np.random.default_rng(0)


def training(n_samples, n_features, n_rows):
    parameters = [(rng.normal(size=shape) / 10).astype(np.float32)
                  for shape in ((n_rows, n_features), n_rows) * 2]
    codes = rng.integers(n_rows, size=n_samples).astype(np.int32)
    return rng.permutation(n_samples), codes, parameters


def epoch(name, X, work, n_threads, batch_size=128, update="momentum", **more):
    rows, codes, parameters = work
    parameters = [array.copy() for array in parameters]
    total = getattr(kernel, name)(
        *X, rows=rows, y_true=codes, sample_weight=None, inverse_scale=None,
        **dict(zip(("coef_inplace", "intercept_inplace", "coef_state_inplace",
                    "intercept_state_inplace"), parameters)),
        learning_rates=np.full(-(-len(rows) // batch_size), 0.1), batch_size=batch_size,
        loss="softmax", update=update, momentum=0.9, alpha=1e-3, fit_intercept=True,
        n_threads=n_threads, **more)
    return [np.array(total), *parameters]


def passes(prefix, X, work, n_threads):
    rows, codes, (coef, intercept, *_) = work
    n = len(codes)
    raw, probability = np.empty((2, n, len(coef)), np.float32)
    code, mean, squares = np.empty(n, np.intp), *np.empty((2, coef.shape[1]))
    run = lambda name: getattr(kernel, prefix + name)
    run("decision_function")(*X, coef, intercept, raw, n_threads)
    run("predict_proba")(*X, coef, intercept, probability, "softmax", n_threads)
    run("predict")(*X, coef, intercept, code, n_threads)
    total = run("loss_sum")(
        *X, rows, codes, None, None, None, coef, intercept, "softmax", n_threads)
    run("column_statistics")(*X, None, mean, squares, n_threads)
    return [raw, probability, code, np.array(total), mean, squares]


# Up to 8 KiB of coefficients are narrow (_narrow.pxi): 3 × 800 of float32 are more.
wide_work, narrow_work, sparse_work = (
    training(*shape) for shape in ((7000, 800, 3), (12000, 54, 7), (8000, 900, 40)))
many_work = training(7000, 800, 40)
wide, narrow = (rng.normal(size=shape).astype(np.float32) for shape in ((7000, 800), (12000, 54)))
sparse = (rng.normal(size=160_000).astype(np.float32),
          np.argsort(rng.uniform(size=(8000, 900)), axis=1)[:, :20].ravel().astype(np.int32),
          np.arange(0, 160_001, 20))
table, table_codes = rng.normal(size=(91_759, 10)), rng.integers(10, size=91_759)


def results(n_threads):
    out = np.empty((3, *table.shape))
    losses, log_sums = np.empty((2, len(table)))
    _, _, (coef, intercept, *_) = sparse_work
    gradients = np.empty_like(coef), np.empty_like(intercept)
    kernel.softmax(table, out[0], n_threads)
    kernel.log_softmax(table, out[1], n_threads)
    kernel.cross_entropy_gradient(table, table_codes, None, out[2], n_threads)
    kernel.cross_entropy(table, table_codes, losses, n_threads)
    kernel.logsumexp(table, log_sums, n_threads)
    loss = kernel.sparse_loss_gradient(
        *sparse, sparse_work[1], None, None, None, coef, intercept, *gradients, "softmax",
        n_threads)
    spoilt = wide.copy()
    spoilt[-1, -1] = np.nan
    finite = [kernel.all_finite(X, np.dtype(np.float32), n_threads) for X in (wide, spoilt)]
    assert finite == [True, False]
    return [
        out, losses, log_sums, np.array(loss), *gradients,
        *epoch("epoch", (wide,), wide_work, n_threads, shift=None),
        *epoch("epoch", (narrow,), narrow_work, n_threads, 640, shift=None),
        *epoch("sparse_epoch", sparse, sparse_work, n_threads),
        *epoch("sparse_epoch", sparse, sparse_work, n_threads, 8000),  # never tried by one thread
        *all_rows(wide, wide_work, n_threads),
        *all_rows(narrow, narrow_work, n_threads),
        *restricted(wide, many_work, n_threads),
        *passes("", (wide,), wide_work, n_threads),
        *passes("sparse_", sparse, sparse_work, n_threads),
    ]


def all_rows(X, work, n_threads):
    rows, codes, (coef, intercept, *_) = work
    gradients, products = [[np.empty_like(coef), np.empty_like(intercept)] for _ in range(2)]
    loss = kernel.loss_gradient(
        X, rows, codes, None, None, None, coef, intercept, *gradients, "softmax", True, n_threads)
    share = np.full((len(coef), len(rows)), 1 / len(coef), np.float32)
    kernel.hessian_product(
        X, rows, None, None, None, share, coef, intercept, *products, "softmax", True, n_threads)
    return [np.array(loss), *gradients, *products]


def restricted(X, work, n_threads):
    rows, codes, (coef, intercept, *_) = work
    kept = (codes[rows, None] + np.arange(16, dtype=np.int32)) % np.int32(len(coef))
    gradients = np.empty_like(coef), np.empty_like(intercept)
    total = kernel.restricted_loss_gradient(
        X, rows, None, None, None, kept, np.full(kept.shape, 0.05, np.float32), coef, intercept,
        *gradients, n_threads)
    return [np.array(total), *gradients]


def differ(some, others):
    return [i for i, (a, b) in enumerate(zip(some, others)) if a.tobytes() != b.tobytes()]


with kernels.use(sys.argv[1]) as kernel:
    expected = results(1)
"""

TEAMS = """
    found = [differ(results(n), expected) for n in (2, 3, 7)]
    assert _pool.counts()["workers"] == int(sys.argv[2]), _pool.counts()
    if int(sys.argv[2]):
        assert _pool.counts()["came"] > 100, _pool.counts()
    print(*found)
"""

#: Meanwhile another thread takes patience away and gives it back: teams are broken up in mid-epoch.
IMPATIENT = """
    import threading, time
    end = threading.Event()

    def disturb():
        while not end.is_set():
            for seconds in (1e9, -1e-4, 1e-6):
                _pool.set_patience(seconds)
                time.sleep(0.0003)

    disturber = threading.Thread(target=disturb)
    disturber.start()
    found = [differ(results(n), expected) for n in (2, 3, 2, 3)]
    end.set()
    disturber.join()
    counts = _pool.counts()
    assert counts["impatient"] > 10 and counts["came"] > 10, counts
    print(*found)
"""

#: Three Python threads call every kernel at once.
AT_ONCE = """
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(lambda n: differ(results(n), expected), (2, 3, 2, 3)))
    assert _pool.counts()["workers"] <= 2
    print(*found)
"""

#: In a process where no thread may be had.
NO_THREADS = dict.fromkeys(("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS"), "1")


def grant_no_threads():
    """Programs started from now on give every thread a stack larger than there are addresses."""
    _, hard = resource.getrlimit(resource.RLIMIT_STACK)
    resource.setrlimit(resource.RLIMIT_STACK, (2**50, hard))


def run(script, *arguments, **options):
    finished = subprocess.run(
        [sys.executable, "-c", RESULTS + script, *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        **options,
    )
    assert finished.returncode == 0, finished.stderr
    return finished.stdout.strip()


@pytest.mark.parametrize("build_name", kernels.available)
def test_teams_change_no_bit(build_name):
    assert run(TEAMS, build_name, "6") == "[] [] []"


@pytest.mark.skipif(sys.platform != "linux", reason="limits of the stack as Linux has them")
def test_threads_that_cannot_be_had_change_no_bit():
    _, hard = resource.getrlimit(resource.RLIMIT_STACK)
    if hard != resource.RLIM_INFINITY:
        pytest.skip("the stack's limit can't be raised")
    environment = {**os.environ, **NO_THREADS}
    build_name = kernels.available[-1]  # the pool is the same for all
    found = run(TEAMS, build_name, "0", env=environment, preexec_fn=grant_no_threads)
    assert found == "[] [] []"


@pytest.mark.parametrize("build_name", kernels.available)
def test_teams_broken_up_in_mid_epoch_change_no_bit(build_name):
    assert run(IMPATIENT, build_name) == "[] [] [] []"


def test_teams_at_once_change_no_bit():
    assert run(AT_ONCE, kernels.available[-1]) == "[] [] [] []"

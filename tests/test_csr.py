"""What is looked at of a CSR matrix's arrays: check_csr on every build, and what rests on it.

Features that a row repeats are in test_repeats.py; what kernels refuse, in test_refusals.py.
"""

import subprocess
import sys

import numpy as np
import pytest
from scipy import sparse

from fastsoftmax import SoftmaxClassifier, kernels
from fastsoftmax.problem.rows import SparseRows

WIDTHS = [(np.int32, np.int32), (np.int64, np.int64), (np.int32, np.int64), (np.int64, np.int32)]


def check(indices, indptr, n_features, n_values=None, widths=(np.int32, np.int32)):
    indices, indptr = np.array(indices, widths[0]), np.array(indptr, widths[1])
    n_values = len(indices) if n_values is None else n_values
    return kernels.implementation.check_csr(indices, indptr, n_values, n_features)


@pytest.mark.parametrize(
    ("indices", "indptr", "n_features", "expected"),
    [
        ([0, 2, 1], [0, 2, 3], 3, (True, True)),
        ([], [0], 0, (True, True)),
        ([], [0, 0, 0], 0, (True, True)),
        ([5, 4, 3], [0, 1, 1, 2, 3], 6, (True, True)),  # falls between rows, some of them empty
        ([5, 4, 3], [0, 0, 1, 1, 1, 2, 3, 3], 6, (True, True)),
        ([2, 0], [0, 2], 3, (True, False)),
        ([1, 1], [0, 2], 3, (True, False)),
        ([1, 1], [0, 1, 2], 3, (True, True)),
        ([0, 1, 1, 0], [0, 3, 4], 3, (True, False)),
        ([0, 1, 2, 2], [0, 1, 1, 4], 3, (True, False)),
        ([0, 2, 7, -7], [0, 2], 3, (True, True)),  # what no row holds is of no interest
        ([0, 2, 1], [0, 2, 4], 3, (False, False)),
        ([0, 2, 1], [1, 2, 3], 3, (False, False)),
        ([0, 2, 1], [-1, 2, 3], 3, (False, False)),
        ([0, 2, 1], [0, 3, 2], 3, (False, False)),
        ([0, 2, 1], [0, 2**31 - 1, -(2**31), -1, 0, 3], 3, (False, False)),  # differences overflow
        ([0, 2, 1], [0, -1, 3], 3, (False, False)),
        ([0, 2, 1], [0, 4, 3], 3, (False, False)),
        ([0, 3, 1], [0, 2, 3], 3, (False, False)),
        ([0, -1, 1], [0, 2, 3], 3, (False, False)),
        ([0, 2**31 - 1], [0, 2], 3, (False, False)),
        ([0, -(2**31)], [0, 2], 3, (False, False)),
        ([0], [0, 1], 0, (False, False)),
        ([-1], [0, 1], 0, (False, False)),
        ([0, 2**31 - 1], [0, 2], 2**31 - 1, (False, False)),
        ([0, 2**31 - 1], [0, 2], 2**31, (True, True)),
        ([0, 2**31 - 1], [0, 2], 2**62, (True, True)),
        ([0, 2**31 - 1], [0, 2], 2**80, (True, True)),
        ([0, 1], [], 3, (False, False)),
    ],
)
def test_small_cases(build, indices, indptr, n_features, expected):
    for widths in WIDTHS:
        assert check(indices, indptr, n_features, widths=widths) == expected, widths


def test_numbers_beyond_32_bits(build):
    wide = (np.int64, np.int64)
    for wrong in (2**32, 2**32 + 1, 2**63 - 1, -(2**63), -(2**32) + 1):
        assert check([0, wrong], [0, 2], 3, widths=wide) == (False, False)
        assert check([0, 1], [0, wrong, 2], 3, widths=wide) == (False, False)
    assert check([0, 2**40], [0, 2], 2**40 + 1, widths=wide) == (True, True)
    assert check([2**40, 0], [0, 2], 2**40 + 1, widths=wide) == (True, False)


def test_fewer_values_than_indices(build):
    assert check([0, 1, 2], [0, 3], 3, n_values=3) == (True, True)
    assert check([0, 1, 2], [0, 3], 3, n_values=2) == (False, False)
    with pytest.raises(ValueError, match="n_values must be at most the number of indices, 3"):
        check([0, 1, 2], [0, 3], 3, n_values=4)


@pytest.mark.parametrize("widths", WIDTHS)
@pytest.mark.parametrize("longest", [2, 40, 9000])  # rows shorter than a vector, and longer
def test_one_wrong_number_is_found_wherever_it_stands(build, widths, longest):
    rng = np.random.default_rng(longest)
    counts = rng.integers(0, longest + 1, 150 if longest < 100 else 5)
    counts[[0, 3, -1]] = 0
    indptr = np.concatenate([[0], np.cumsum(counts)])
    indices = np.concatenate([np.sort(rng.permutation(10_000)[:count]) for count in counts])
    assert check(indices, indptr, 10_000, widths=widths) == (True, True)
    for at in rng.integers(len(indices), size=25):
        for wrong in (10_000, -1):
            spoilt = indices.copy()
            spoilt[at] = wrong
            assert check(spoilt, indptr, 10_000, widths=widths) == (False, False)
    rows = np.flatnonzero(counts > 1)
    for row in rng.choice(rows, 25):
        at = indptr[row] + rng.integers(1, counts[row])  # no row's first
        spoilt = indices.copy()
        spoilt[at] = spoilt[at - 1]
        assert check(spoilt, indptr, 10_000, widths=widths) == (True, False)
        spoilt[[at - 1, at]] = indices[[at, at - 1]]
        assert check(spoilt, indptr, 10_000, widths=widths) == (True, False)
    for at in rng.integers(1, len(indptr) - 1, 25):
        spoilt = indptr.copy()
        spoilt[at] = spoilt[at - 1] - 1
        assert check(indices, spoilt, 10_000, widths=widths) == (False, False)


def test_indptr_of_another_length_is_refused():
    X = sparse.csr_array(np.eye(4))
    X.indptr = X.indptr[:-1]
    with pytest.raises(ValueError, match="damaged CSR matrix"):
        SparseRows.of(X)


def test_indptr_is_a_copy_and_the_values_are_not():
    X = sparse.csr_array(np.eye(4))
    rows = SparseRows.of(X)
    assert np.shares_memory(rows.data, X.data)
    assert np.shares_memory(rows.indices, X.indices)
    assert not np.shares_memory(rows.indptr, X.indptr)


# --- X changed while it is read -------------------------------------------------------------------

#: Numbers that no check has seen go wherever they may go: the child would not live to print.
UNCHECKED = """
import sys, tracemalloc
sys.path.insert(0, "tests")
import numpy as np
from test_refusals import N, SPARSE, calls
from fastsoftmax import kernels

for build in kernels.available:
    with kernels.use(build) as kernel:
        for name in SPARSE:
            for dtype in (np.int32, np.int64):
                for wrong in (5, -1, 2**31 - 1, -(2**31), 10**9):
                    arguments = calls(np.float32)[name]
                    arguments["indices"] = arguments["indices"].astype(dtype)
                    arguments["indices"][1::3] = wrong
                    getattr(kernel, name)(**arguments)
print("alive")
"""


def test_features_that_no_check_has_seen_lead_nowhere():
    command = [sys.executable, "-W", "ignore", "-c", UNCHECKED]
    finished = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert finished.stdout.strip() == "alive", (finished.returncode, finished.stderr[-500:])


#: Fits and predictions while another thread writes what it likes over X; the process is to live.
CHANGING = """
import itertools, sys, threading, time
import numpy as np
from scipy import sparse
from fastsoftmax import LogisticRegression, SoftmaxClassifier, kernels

rng = np.random.default_rng(0)
sound = sparse.random_array((4000, 3000), density=0.02, format="csr", dtype=np.float32, rng=rng)
y = rng.integers(12, size=4000)
wrong = [sound.indices[rng.permutation(sound.nnz)],
         rng.integers(-(2**31), 2**31, sound.nnz).astype(np.int32),
         np.full(sound.nnz, 2**31 - 1, np.int32), np.full(sound.nnz, -(2**31), np.int32)]
values = [np.full(sound.nnz, value, np.float32) for value in (0.5, -3e38, np.inf, np.nan)]
stop, outcomes = threading.Event(), []
sys.setswitchinterval(1e-4)  # or X would stay spoilt until a fit has been refused many times


def spoil(X):
    for indices, data in itertools.cycle(itertools.product(wrong, values)):
        X.indices[:], X.data[:] = indices, data
        time.sleep(0.0005)
        X.indices[:], X.data[:] = sound.indices, sound.data  # for a fit to begin with
        time.sleep(rng.uniform(0.002, 0.02))
        if stop.is_set():
            return


def survive(call):
    try:
        call()
        outcomes.append("done")
    except (ArithmeticError, RuntimeError, ValueError) as error:
        outcomes.append(str(error))


X = sound.copy()
thread = threading.Thread(target=spoil, args=(X,))
thread.start()
for build in kernels.available:
    outcomes.clear()
    with kernels.use(build):
        model = SoftmaxClassifier(solver="sgd", max_iter=1).fit(sound, y)
        end = time.monotonic() + 1.5
        # Some of each, and then as many as there is time for.
        for n, (n_jobs, standardize) in enumerate(itertools.cycle([(2, True), (1, False)])):
            if n > 1 and time.monotonic() > end:
                break
            setting = dict(n_jobs=n_jobs, max_iter=3)
            for solver in ("sgd", "auto"):
                other = SoftmaxClassifier(solver=solver, standardize=standardize, **setting)
                survive(lambda: other.fit(X, y))
            survive(lambda: LogisticRegression(**setting).fit(X, y))
            survive(lambda: model.set_params(n_jobs=n_jobs).predict_proba(X))
    assert "done" in outcomes, (build, outcomes)
    print(build, flush=True)
stop.set()
thread.join()
print("alive")
"""


@pytest.mark.alone
def test_x_may_change_at_any_time_and_nothing_crashes():
    command = [sys.executable, "-W", "ignore", "-c", CHANGING]
    finished = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)
    told = finished.stdout, finished.returncode, finished.stderr[-500:]
    assert finished.stdout.split() == [*kernels.available, "alive"], told


@pytest.mark.parametrize("wrong", [2**31 - 1, -(2**31)])
def test_unused_numbers_after_the_last_row_are_not_looked_at(kernel, wrong):
    # As scipy allows; features are dealt out to threads by a sample of these numbers.
    rng = np.random.default_rng(0)
    X = sparse.random_array((9000, 500), density=0.1, format="csr", rng=rng)
    y = rng.integers(0, 12, 9000)
    plain = SoftmaxClassifier(solver="sgd", max_iter=1, random_state=0, n_jobs=3).fit(X, y)
    n = X.nnz
    X.data, X.indices = np.resize(X.data, 4 * n), np.resize(X.indices, 4 * n)
    X.indices[n:] = wrong
    X.data[n:] = np.nan
    other = SoftmaxClassifier(solver="sgd", max_iter=1, random_state=0, n_jobs=3).fit(X, y)
    np.testing.assert_array_equal(other.coef_, plain.coef_)


def test_rows_that_were_changed_since_the_check_are_not_handed_on():
    X = sparse.csr_array(np.eye(4))
    rows = SparseRows.of(X)
    assert rows.rows([1, 2]).nnz == 2
    X.indices[1] = 10**6
    with pytest.raises(RuntimeError, match="X was changed by another thread"):
        rows.rows([1, 2])


# --- Repeats --------------------------------------------------------------------------------------


@pytest.mark.parametrize("index", [np.int32, np.int64])
def test_repeats_are_found(build, index):
    """In unsorted rows, and not from one row to the next."""
    repeats = kernels.implementation.csr_repeats
    indptr = np.array([0, 3, 3, 5], index)
    assert not repeats(np.array([4, 0, 2, 2, 4], index), indptr, 5)
    assert repeats(np.array([4, 0, 4, 2, 1], index), indptr, 5)
    assert repeats(np.array([4, 0, 2, 3, 3], index), indptr, 5)
    assert not repeats(np.array([], index), np.array([0, 0], index), 0)
    with pytest.raises(ValueError, match="indptr must go from 0"):
        repeats(np.array([1], index), np.array([0, 2], index), 5)

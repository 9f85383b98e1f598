"""n_jobs of fastsoftmax.functional: the same bits, what is refused, and what the process keeps.

Sizes are large enough that seven threads are really used (VALUES_PER_THREAD in _functions.pxi).
"""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from pairs import pairs
from threadpoolctl import threadpool_info

from fastsoftmax import functional as F
from fastsoftmax import kernels
from fastsoftmax.kernels.threads import effective_n_threads

pytestmark = pytest.mark.alone

#: Rows and classes, 2¹⁷ values for each of seven threads: short rows, long ones, few.
SIZES = [(91_759, 10), (9_177, 101), (917, 1003), (10, 100_001)]


def everything(raw, y_true, weight, n_jobs):
    """The result of each function that takes n_jobs."""
    targets = np.full(raw.shape, 1 / raw.shape[1])
    return [
        F.softmax(raw, n_jobs=n_jobs),
        F.log_softmax(raw, n_jobs=n_jobs),
        F.logsumexp(raw, n_jobs=n_jobs),
        F.cross_entropy(raw, y_true, n_jobs=n_jobs),
        F.cross_entropy(raw, y_true, weight, n_jobs=n_jobs),
        F.cross_entropy(raw, targets, n_jobs=n_jobs),
        F.cross_entropy_gradient(raw, y_true, n_jobs=n_jobs),
        F.cross_entropy_gradient(raw, y_true, weight, n_jobs=n_jobs),
    ]


@pytest.mark.parametrize(
    ("isa", "size", "dtype"), pairs(kernels.available, SIZES, [np.float32, np.float64]), ids=str
)
def test_same_bits_at_any_number_of_threads(isa, size, dtype):
    rng = np.random.default_rng(0)
    raw = (4 * rng.normal(size=size)).astype(dtype)
    y_true, weight = rng.integers(size[1], size=size[0]), rng.exponential(size=size[0])
    with kernels.use(isa):
        expected = everything(raw, y_true, weight, 1)
        for n_jobs in (2, 3, 7):
            for result, wanted in zip(
                everything(raw, y_true, weight, n_jobs), expected, strict=True
            ):
                np.testing.assert_array_equal(result, wanted)


@pytest.mark.parametrize("isa", kernels.available)
@pytest.mark.parametrize("n_classes", [3, 10, 33, 100])
def test_a_row_does_not_depend_on_its_neighbours(isa, n_classes):
    raw = np.random.default_rng(0).normal(size=(41, n_classes)).astype(np.float32)
    with kernels.use(isa):
        for function in (F.softmax, F.log_softmax, F.logsumexp):
            together = function(raw)
            for i in range(41):
                np.testing.assert_array_equal(function(raw[i : i + 1])[0], together[i])


@pytest.mark.parametrize(
    "function",
    [
        F.softmax,
        F.log_softmax,
        F.logsumexp,
        lambda raw, n_jobs: F.cross_entropy(raw, [0], n_jobs=n_jobs),
        lambda raw, n_jobs: F.cross_entropy_gradient(raw, [0], n_jobs=n_jobs),
    ],
)
def test_n_jobs_refused(function):
    raw = np.zeros((1, 2))
    with pytest.raises(ValueError, match="n_jobs must be None, at least 1 or at most -1; got 0"):
        function(raw, n_jobs=0)
    for wrong in (1.5, "2", True):
        with pytest.raises(TypeError, match=f"n_jobs must be an integer or None; got {wrong!r}"):
            function(raw, n_jobs=wrong)
    for n_jobs in (None, 1, -1, np.int64(2), -100):
        function(raw, n_jobs=n_jobs)


def test_the_process_keeps_its_settings():
    def settings():
        return [(info["prefix"], info["num_threads"]) for info in threadpool_info()]

    raw, before, threads = np.zeros(SIZES[0]), settings(), effective_n_threads()
    F.softmax(raw, n_jobs=3)
    with pytest.raises(ValueError, match="class codes"):
        F.cross_entropy(raw, np.full(len(raw), 10), n_jobs=3)
    assert (settings(), effective_n_threads()) == (before, threads)


def test_python_threads_at_once():
    raw = np.random.default_rng(0).normal(size=SIZES[0])
    expected = F.softmax(raw, n_jobs=1)
    with ThreadPoolExecutor(4) as pool:
        for result in pool.map(lambda n_jobs: F.softmax(raw, n_jobs=n_jobs), [2, 3, 1, 2, 7, 2]):
            np.testing.assert_array_equal(result, expected)


FORK = """
import os
import numpy as np
from fastsoftmax import functional as F

raw = np.random.default_rng(0).normal(size=(91_759, 10))
expected = F.softmax(raw, n_jobs=2)
child = os.fork()
if child == 0:
    os._exit(0 if np.array_equal(F.softmax(raw, n_jobs=2), expected) else 1)
_, status = os.waitpid(child, 0)
print(os.waitstatus_to_exitcode(status))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_does_not_hang():
    command = [sys.executable, "-W", "ignore", "-c", FORK]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert result.stdout.strip() == "0"


#: Another thread writes over class codes while kernels go by them; the process is to live.
CHANGING = """
import sys, threading, time
import numpy as np
from fastsoftmax import functional as F, kernels

sys.setswitchinterval(1e-4)
rng = np.random.default_rng(0)
raw, outcomes, stop = rng.normal(size=(100_000, 10)), [], threading.Event()
sound = rng.integers(10, size=len(raw))


def spoil(y_true):
    while not stop.is_set():
        for wrong in (2**40, -(2**40), 2**31 - 1):
            y_true[:] = wrong
            time.sleep(0.0005)
            y_true[:] = sound
            time.sleep(rng.uniform(0.001, 0.005))


y_true = sound.astype(sys.argv[1])
thread = threading.Thread(target=spoil, args=(y_true,))
thread.start()
for build in kernels.available:
    outcomes.clear()
    with kernels.use(build):
        end = time.monotonic() + 0.5
        while time.monotonic() < end:
            for function in (F.cross_entropy, F.cross_entropy_gradient):
                for n_jobs in (1, 2):
                    try:
                        function(raw, y_true, n_jobs=n_jobs)
                        outcomes.append("done")
                    except ValueError as error:
                        outcomes.append(str(error))
    assert "done" in outcomes, (build, outcomes)
    print(build, flush=True)
stop.set()
thread.join()
print("alive")
"""


@pytest.mark.parametrize("dtype", ["int32", "int64"])
def test_class_codes_may_change_at_any_time_and_nothing_crashes(dtype):
    # 2**40 doesn't fit into int32, where NumPy refuses it.
    script = CHANGING.replace("2**40", "2**30") if dtype == "int32" else CHANGING
    command = [sys.executable, "-W", "ignore", "-c", script, dtype]
    finished = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    told = finished.stdout, finished.returncode, finished.stderr[-500:]
    assert finished.stdout.split() == [*kernels.available, "alive"], told

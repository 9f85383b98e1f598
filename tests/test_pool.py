"""The pool of threads: by itself under stress, what it does for kernels, and beside other pools.

The stress test is a program in C (pool_stress.c); `make sanitize` runs it for longer, under
ThreadSanitizer. That teams change no bit is tested in test_teams.py.
"""

import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import numpy as np
import pytest

from fastsoftmax import functional, kernels
from fastsoftmax.kernels import _pool

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ROOT / "src" / "fastsoftmax" / "kernels"

needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="looks at threads in /proc")


def compiled_stress(folder, *flags):
    """Path of the stress test, compiled with pool.c by the compiler that setup.py would take."""
    compiler = (os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc").split()
    program = Path(folder) / "pool_stress"
    files = [ROOT / "tests" / "pool_stress.c", SOURCES / "pool.c"]
    command = [*compiler, "-Wall", "-Wextra", "-Werror", *flags, "-pthread", f"-I{SOURCES}"]
    subprocess.run([*command, *map(str, files), "-lm", "-o", str(program)], check=True)
    return str(program)


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.alone
def test_stress(tmp_path, seed):
    compiler = (os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc").split()[0]
    if shutil.which(compiler) is None or not (SOURCES / "pool.c").exists():
        pytest.skip("no C compiler, or no sources here")
    command = [compiled_stress(tmp_path, "-O2"), "50000", str(seed)]
    finished = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert finished.returncode == 0, finished.stderr


@pytest.fixture
def patient():
    """Within a test, no team is broken up."""
    _pool.set_patience(1e9)
    yield
    _pool.set_patience(3e-3)


def grown(before):
    return {name: count - before[name] for name, count in _pool.counts().items()}


@pytest.mark.parametrize("isa", kernels.available)
@pytest.mark.alone
def test_two_threads_work_where_two_are_asked_for(isa, patient):
    raw, before = np.zeros((200_000, 10), np.float32), _pool.counts()
    with kernels.use(isa):
        for _ in range(20):  # a call may be over before a worker has come
            functional.softmax(raw, n_jobs=2)
    counts = grown(before)
    assert counts["calls"] == 20
    assert counts["came"] > 0
    assert counts["impatient"] == 0


@pytest.mark.alone
def test_nobody_is_sent_for_where_one_is_asked_for(patient):
    before = _pool.counts()
    functional.softmax(np.zeros((200_000, 10), np.float32), n_jobs=1)
    assert grown(before)["calls"] == 0


@pytest.mark.alone
def test_without_patience_a_call_is_made_alone_and_earns_some():
    raw, before = np.zeros((200_000, 10), np.float32), _pool.counts()
    try:
        _pool.set_patience(-1e-4)
        functional.softmax(raw, n_jobs=2)
        assert grown(before)["impatient"] == 1
        assert grown(before)["calls"] == 0
        for _ in range(1000):
            functional.softmax(raw, n_jobs=2)
            if grown(before)["calls"]:
                break
        assert grown(before)["calls"] == 1
    finally:
        _pool.set_patience(3e-3)


@needs_linux
@pytest.mark.alone
def test_workers_have_names_and_take_no_signals(patient):
    functional.softmax(np.zeros((200_000, 10)), n_jobs=2)
    blocked = {}
    for task in Path("/proc/self/task").iterdir():
        status = dict(line.split(":\t", 1) for line in (task / "status").read_text().splitlines())
        blocked[status["Name"]] = int(status["SigBlk"], 16)
    assert "fastsoftmax-1" in blocked
    assert blocked["fastsoftmax-1"] >> 1 & 1  # SIGINT is the second


@needs_linux
@pytest.mark.alone
def test_idle_workers_sleep(patient):
    script = (
        "import os, time, numpy as np\n"
        "from fastsoftmax import functional\n"
        "functional.softmax(np.zeros((200_000, 10)), n_jobs=2)\n"
        "time.sleep(0.1)\n"
        "before = time.process_time()\n"
        "time.sleep(0.3)\n"
        "print(time.process_time() - before < 0.05)"
    )
    assert _run(script) == "True"


@pytest.mark.skipif(sys.platform != "linux", reason="reads ELF files")
def test_no_module_needs_openmp():
    if shutil.which("readelf") is None:
        pytest.skip("no readelf here")
    for path in SOURCES.glob("*.so"):
        command = ["readelf", "--dynamic", str(path)]
        needed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        assert "omp" not in needed, needed


# --- Beside other pools ---------------------------------------------------------------------------
# In processes of their own, with patience: another program makes them slow, and changes nothing.

#: What each library does on threads of its own.
OTHERS = {
    "sklearn": """
from sklearn.ensemble import HistGradientBoostingClassifier
HistGradientBoostingClassifier(max_iter=2).fit(X, y)
""",
    "scipy": """
import scipy.linalg
scipy.linalg.eigh(X.T @ X)
""",
    "torch": """
import torch
torch.set_num_threads(2)
torch.nn.functional.softmax(torch.zeros(100_000, 20), dim=1) @ torch.zeros(20, 500)
""",
    "lightgbm": """
import lightgbm
lightgbm.LGBMClassifier(n_estimators=2, num_threads=2, verbose=-1).fit(X, y)
""",
}

OURS = """
from fastsoftmax import SoftmaxClassifier
from fastsoftmax.kernels import _pool
_pool.set_patience(1e9)
model = SoftmaxClassifier(solver="sgd", learning_rate=0.01, n_jobs=2, max_iter=1, random_state=0)
coef = model.fit(X, y).coef_
assert "coef_before" not in globals() or np.array_equal(coef, coef_before)
coef_before = coef
"""

FORK = """
import os
child = os.fork()
if child == 0:
    os._exit(0 if np.array_equal(model.fit(X, y).coef_, coef) else 1)
assert os.waitpid(child, 0)[1] == 0
"""

START = """
import numpy as np
rng = np.random.default_rng(0)
X, y = rng.normal(size=(4000, 300)), rng.integers(5, size=4000)
"""


def _run(script, **environment):
    finished = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script],
        env={**os.environ, "OMP_NUM_THREADS": "2", **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    return finished.stdout.strip()


@pytest.mark.parametrize("order", ["ours first", "ours last"])
@pytest.mark.parametrize("name", OTHERS)
def test_beside_another_library(name, order):
    if importlib.util.find_spec(name) is None:
        pytest.skip(f"no {name} here")
    fork = FORK if hasattr(os, "fork") else ""
    parts = {
        "ours first": [OURS, OTHERS[name], fork, OURS, fork],
        "ours last": [OTHERS[name], OURS, fork],
    }[order]
    _run("".join([START, *parts, "print(model.predict(X).sum())"]))


@pytest.mark.parametrize("backend", ["loky", "threading", "multiprocessing"])
def test_cross_validation_under_joblib(backend):
    script = """
import joblib
from sklearn.model_selection import cross_val_score

if __name__ == "__main__":
    scores = cross_val_score(model, X, y, cv=4)
    with joblib.parallel_config(backend=BACKEND):
        assert np.array_equal(cross_val_score(model, X, y, cv=4, n_jobs=2), scores)
"""
    _run(START + OURS + script.replace("BACKEND", repr(backend)))

"""Fixtures of all tests, the build of the kernels to compute with, and who may run beside whom.

`make test` has two processes share the tests (pytest-xdist). Each keeps to one thread where a test
doesn't ask for several: two processes of two spinning threads each are slower on two cores than one
process. A test that needs the machine to itself is marked ``@pytest.mark.alone``, or its file says
``pytestmark = pytest.mark.alone``: it measures, it looks at cores, threads or signals of its
process, or its team of threads would be broken up, and the test with it, if another program took a
core. Those come before the rest, one at a time and with the threads that users get, while the other
process waits. Without xdist, as in ``pytest tests/test_solver.py``, tests run in order, with all
cores, and the mark does nothing.

No data, no helpers.
"""

import os
import signal
import sys
import tempfile
import threading
from _thread import interrupt_main
from functools import partial
from pathlib import Path

import pytest
from threadpoolctl import threadpool_limits

from fastsoftmax import kernels

if sys.platform != "win32":
    import fcntl


@pytest.fixture(params=(*kernels.available, "reference"))
def build(request):
    """Compute with this build for the length of a test; gives its name."""
    with kernels.use(request.param):
        yield request.param


@pytest.fixture(params=kernels.available)
def kernel(request):
    """The module of one compiled build."""
    with kernels.use(request.param) as module:
        assert module.__name__ == f"fastsoftmax.kernels._{request.param}"
        yield module


@pytest.fixture
def ctrl_c():
    """SIGINT is KeyboardInterrupt, which a shell takes from what it starts in the background.

    Gives a function that has the main thread get one, called by whichever thread.
    """
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    if hasattr(signal, "pthread_kill"):
        yield partial(signal.pthread_kill, threading.main_thread().ident, signal.SIGINT)
    else:  # Windows
        yield interrupt_main
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def no_newton(monkeypatch):
    """No problem is small enough for Newton's method, so that L-BFGS can be tried on small ones."""
    monkeypatch.setattr("fastsoftmax.optimization.newton.MOST_UNKNOWNS", 0)
    monkeypatch.setattr("fastsoftmax.optimization.newton.MOST_UNKNOWNS_AT_LAST", 0)


# --- Two processes --------------------------------------------------------------------------------


def pytest_configure(config):
    """In a process that xdist started, have its tests wait for those that run alone."""
    if hasattr(config, "workerinput"):
        if sys.platform == "win32":
            raise pytest.UsageError("Windows lacks the locks of several processes: run in one")
        config.pluginmanager.register(_Turns(config.workerinput["testrunuid"]))


def _is_alone(item):
    return item is not None and item.get_closest_marker("alone") is not None


class _Turns:
    """Tests that run alone lock the others out, in whichever processes those are.

    The locks are of two bytes of one file, and the system's: a process that dies lets go of them.
    """

    QUEUE, TURN = 0, 1

    def __init__(self, run):
        self._path = Path(tempfile.gettempdir()) / f"fastsoftmax-tests-{run}"
        self._file = self._path.open("w+")
        self._has_turn = False
        self._limits = None

    def pytest_sessionfinish(self):
        self._path.unlink(missing_ok=True)

    def pytest_collection_modifyitems(self, items):
        # First, and so in one process, as xdist gives out long runs of tests in the beginning.
        items.sort(key=_is_alone, reverse=True)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item, nextitem):
        alone = _is_alone(item)
        # Who waits for its turn waits first in line: else a process whose short tests follow each
        # other closely would never let one in that waits for all of them to pause.
        if not self._has_turn:
            self._lock(self.QUEUE, fcntl.LOCK_EX)
            self._lock(self.TURN, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
            self._lock(self.QUEUE, fcntl.LOCK_UN)
        self._limit_threads(not alone)
        try:
            return (yield)
        finally:
            self._has_turn = alone and _is_alone(nextitem)
            if not self._has_turn:
                self._lock(self.TURN, fcntl.LOCK_UN)

    def _lock(self, byte, how):
        fcntl.lockf(self._file, how, 1, byte)

    def _limit_threads(self, limited):
        """One thread for BLAS and for n_jobs=None, children included, or as many as there were."""
        if limited and self._limits is None:
            self._limits = threadpool_limits(1)
            self._environment = os.environ.get("OMP_NUM_THREADS")
            os.environ["OMP_NUM_THREADS"] = "1"
        elif not limited and self._limits is not None:
            self._limits.restore_original_limits()
            self._limits = None
            del os.environ["OMP_NUM_THREADS"]
            if self._environment is not None:
                os.environ["OMP_NUM_THREADS"] = self._environment

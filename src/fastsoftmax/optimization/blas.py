"""BLAS on one thread while a solver runs, for all solvers that run at the same time.

The number of BLAS's threads is mostly the whole process's. A solver that saved and restored it by
itself would, where two overlap, restore what the other had set. So they are counted: the first to
come in sets it, the last to go puts it back. Called by solver.py and path.py.
"""

import os
from contextlib import contextmanager
from functools import cached_property
from threading import Lock

from threadpoolctl import ThreadpoolController

from ..kernels.threads import register_with_threadpoolctl

__all__ = ["one_blas_thread"]


class _Solvers:
    """How many solvers run, and what to put back after the last of them."""

    def __init__(self):
        self._lock = Lock()
        self._count = 0
        self._before = []

    @cached_property
    def _libraries(self):
        """NumPy's and SciPy's BLAS: both are loaded when the package is, and stay."""
        return ThreadpoolController().select(user_api="blas").lib_controllers

    def enter(self):
        """One more; gives what :meth:`leave` has to be given."""
        with self._lock:
            now = [library.get_num_threads() for library in self._libraries]
            if self._count == 0:
                self._before = now
            self._count += 1
            for library in self._libraries:
                library.set_num_threads(1)
        return now

    def leave(self, seen):
        """One fewer."""
        with self._lock:
            self._count -= 1
            for library, ours, first in zip(self._libraries, seen, self._before, strict=True):
                if _is_each_threads_own(library):
                    library.set_num_threads(ours)
                elif self._count == 0:
                    library.set_num_threads(first)
                # From 3.7 on threadpoolctl heeds one Python thread at a time: let others be it.
                release = getattr(library, "clear_controlling_thread", None)
                if release is not None:
                    release()

    def forget(self):
        """In a forked child no solver runs, whichever ran in the parent's other threads."""
        self._lock = Lock()
        if self._count > 0:
            self._count = 1
            self.leave(self._before)


def _is_each_threads_own(library):
    """Whether what a Python thread sets holds for that thread alone."""
    return getattr(library, "threading_layer", None) == "openmp"


register_with_threadpoolctl()
_solvers = _Solvers()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_solvers.forget)


@contextmanager
def one_blas_thread():
    """Keep BLAS to one thread within a ``with`` block, or a function that this decorates.

    Its pool spins on the cores that the kernels' threads need, and on a busy machine its eigenvalue
    routines take ten times as long with two threads as with one.
    """
    seen = _solvers.enter()
    try:
        yield
    finally:
        _solvers.leave(seen)

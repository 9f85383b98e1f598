"""How many threads a call may use. Decides nothing about how work is split, starts no thread."""

import os
from functools import cache

from . import _cpu

_threads_were_used = False
_forked_after_threads = False


def _after_fork():
    # libgomp's thread pool does not survive a fork, and waiting for it hangs the child.
    global _forked_after_threads
    _forked_after_threads = _threads_were_used


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def _usable_cores():
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None
    return _cores_by_joblib(affinity, os.environ.get("LOKY_MAX_CPU_COUNT"))


@cache
def _cores_by_joblib(affinity, loky_max_cpu_count):
    # joblib reads files of the control group, which takes longer than to predict a row. So it is
    # asked once, and again when the quickly read things that it also looks at have changed.
    from joblib import cpu_count  # late: joblib takes longer to import than functional.py

    return cpu_count()


def effective_n_threads(n_jobs=None):
    """Resolve ``n_jobs`` into a number of threads, at least 1.

    Parameters
    ----------
    n_jobs : int or None
        None and -1: every core this process may use, which is what its affinity mask and its
        control group leave it, and no more than OMP_NUM_THREADS or threadpoolctl allow. A
        positive number is taken as it is. Below -1: all but ``-n_jobs - 1`` of the cores. The
        control group's limit is read once; changes of all others count at once.

    Returns
    -------
    n_threads : int
        Always 1 in a forked child of a process that ran threads, and without OpenMP.
    """
    global _threads_were_used
    if _forked_after_threads or not _cpu.has_openmp():
        return 1
    if n_jobs is not None and n_jobs > 0:
        n_threads = n_jobs
    else:
        cores = max(1, min(_usable_cores(), _cpu.openmp_max_threads()))
        n_threads = cores if n_jobs is None else max(1, cores + 1 + n_jobs)
    _threads_were_used |= n_threads > 1
    return n_threads

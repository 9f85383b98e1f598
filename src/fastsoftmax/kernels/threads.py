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


@cache
def _quota():
    """Cores that the control group of a container leaves this process; inf where it sets none."""
    try:
        with open("/sys/fs/cgroup/cpu.max") as file:  # version 2: "200000 100000" or "max 100000"
            quota, period = file.read().split()
    except (OSError, ValueError):
        try:
            with open("/sys/fs/cgroup/cpu/cpu.cfs_quota_us") as file:  # version 1: -1 for none
                quota = file.read()
            with open("/sys/fs/cgroup/cpu/cpu.cfs_period_us") as file:
                period = file.read()
        except OSError:
            return float("inf")
    try:
        cores = -(-int(quota) // int(period))
    except (ValueError, ZeroDivisionError):
        return float("inf")
    return cores if cores > 0 else float("inf")


def _cores():
    """Cores this process may use. Not joblib's count: joblib takes longer to import than NumPy.

    LOKY_MAX_CPU_COUNT, which joblib's users know, counts here too.
    """
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    limit = os.environ.get("LOKY_MAX_CPU_COUNT", "")
    return min(cores, _quota(), int(limit) if limit.isdigit() else cores)


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
        cores = max(1, min(_cores(), _cpu.openmp_max_threads()))
        n_threads = cores if n_jobs is None else max(1, cores + 1 + n_jobs)
    _threads_were_used |= n_threads > 1
    return n_threads

"""How many threads a call may use. Decides nothing about how work is split, starts no thread."""

import operator
import os
from functools import cache

from . import _cpu

#: Times the machine's cores that a call may ask for: more only wait for each other.
MOST_A_CORE = 8

_threads_before_fork = 1
_unsafe_since_fork = False


def _threads_now():
    """Threads of this process, whoever started them; 2, as if there were others, where unknown."""
    try:
        return len(os.listdir("/proc/self/task"))
    except OSError:
        return 2


def _before_fork():
    global _threads_before_fork
    _threads_before_fork = _threads_now()


def _after_fork():
    # An OpenMP pool does not survive a fork, and waiting for it hangs the child: this library's or
    # any other's that has run a parallel region with the same runtime. Whether one did can't be
    # asked, but its threads stay: a process that had one thread alone had no pool.
    global _unsafe_since_fork
    _unsafe_since_fork = _unsafe_since_fork or _threads_before_fork > 1


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_child=_after_fork)


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


def _most_threads():
    return MOST_A_CORE * (os.cpu_count() or 1)


def check_n_threads(n_threads):
    """The number itself, as an int, or an error where a kernel can't be told it.

    More threads than the system grants would end the process, and none can be asked for.
    """
    try:
        number = operator.index(n_threads)
    except TypeError:
        raise TypeError(f"n_threads must be an integer; got {n_threads!r}") from None
    if not 1 <= number <= _most_threads():
        raise ValueError(f"n_threads must be in [1, {_most_threads()}]; got {number}")
    return number


def effective_n_threads(n_jobs=None):
    """Resolve ``n_jobs`` into a number of threads, at least 1.

    Parameters
    ----------
    n_jobs : int or None
        None and -1: every core this process may use, which is what its affinity mask and its
        control group leave it, and no more than OMP_NUM_THREADS or threadpoolctl allow. A
        positive number is taken as it is, up to eight times the machine's cores. Below -1: all but
        ``-n_jobs - 1`` of the cores. The control group's limit is read once; changes of all others
        count at once.

    Returns
    -------
    n_threads : int
        Always 1 without OpenMP, and in a child forked off a process that had threads of any kind,
        since a pool of OpenMP's may be among them.
    """
    if _unsafe_since_fork or not _cpu.has_openmp():
        return 1
    if n_jobs is not None and n_jobs > 0:
        return min(n_jobs, _most_threads())
    cores = max(1, min(_cores(), _cpu.openmp_max_threads()))
    return cores if n_jobs is None else max(1, cores + 1 + n_jobs)

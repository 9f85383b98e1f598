"""How many threads a call may use. Decides nothing about how work is split, starts no thread."""

import operator
import os
import sys
import time

from . import _pool

#: Times the machine's cores that a call may ask for: more only wait for each other.
MOST_A_CORE = 8

#: Seconds after which the control group is asked again.
QUOTA_SECONDS = 1.0

_quota_known = (float("-inf"), float("inf"))  # when it was asked, and what it said


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


def _quota_of_late():
    """The same, asked once a second at most: a file takes longer to read than a few rows."""
    global _quota_known
    now = time.monotonic()
    if now - _quota_known[0] > QUOTA_SECONDS:
        _quota_known = (now, _quota())
    return _quota_known[1]


def _number_in(variable):
    """The first number of an environment variable, as "4" or "4,2"; inf where it holds none."""
    first = os.environ.get(variable, "").split(",")[0].strip()
    return int(first) if first.isdigit() and int(first) > 0 else float("inf")


def _cores():
    """Cores this process may use. Not joblib's count: joblib takes longer to import than NumPy.

    OMP_NUM_THREADS and LOKY_MAX_CPU_COUNT, which users of OpenMP and of joblib know, count too.
    """
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    limits = _number_in("OMP_NUM_THREADS"), _number_in("LOKY_MAX_CPU_COUNT")
    return max(1, min(cores, _quota_of_late(), *limits))


def _most_threads():
    return MOST_A_CORE * (os.cpu_count() or 1)


def check_n_threads(n_threads):
    """The number itself, as an int, or an error where a kernel can't be told it.

    More threads than are of any use can't be asked for.
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
        control group leave it, and no more than OMP_NUM_THREADS, LOKY_MAX_CPU_COUNT or
        threadpoolctl allow. A positive number is taken as it is, up to eight times the machine's
        cores. Below -1: all but ``-n_jobs - 1`` of the cores. Changes count at once, those of the
        control group within a second.

    Returns
    -------
    n_threads : int
    """
    register_with_threadpoolctl()
    if n_jobs is not None and n_jobs > 0:
        return min(n_jobs, _most_threads())
    cores = min(_cores(), _pool.limit() or float("inf"))
    return cores if n_jobs is None else max(1, cores + 1 + n_jobs)


# --- threadpoolctl --------------------------------------------------------------------------------

_is_registered = False


def register_with_threadpoolctl():
    """Have threadpoolctl know the pool, once it is loaded; it isn't loaded for that."""
    global _is_registered
    threadpoolctl = sys.modules.get("threadpoolctl")
    # Before 3.2 threadpoolctl knew no libraries but its own.
    if _is_registered or not hasattr(threadpoolctl, "register"):
        return
    _is_registered = True

    class Pool(threadpoolctl.LibController):
        """The pool as one of the libraries that ``threadpool_limits`` and ``_info`` know."""

        user_api = internal_api = "fastsoftmax"
        filename_prefixes = ("_pool",)
        check_symbols = ("fs_pool_limit", "fs_pool_set_limit")  # others may call a file _pool too

        def get_num_threads(self):
            return effective_n_threads()

        def set_num_threads(self, num_threads):
            # As many as there are, which is also what comes back where limits end, is no limit.
            _pool.set_limit(0 if num_threads >= _cores() else num_threads)

        def get_version(self):
            return None

    threadpoolctl.register(Pool)

# The pool of threads, in the one module that every build of the kernels calls (pool.h, _pool.pxd).
# Computes nothing, and no Python object is in it. What Python asks of it is for kernels/threads.py
# and for tests.

cdef extern from "pool.h" nogil:
    ctypedef struct fs_pool_counts:
        long workers, calls, came, impatient

    void fs_run(int n_threads, Work work, void *context, const void *type) noexcept
    void fs_lead(int n_threads, Work work, void *context, const void *type) noexcept
    void fs_share_out(
        int n_threads, ptrdiff_t n_shares, ShareWork work, void *context, const void *type,
    ) noexcept
    bint fs_is_patient() noexcept
    void fs_add_patience(double seconds) noexcept
    void fs_worked_alone(double seconds) noexcept
    void fs_set_patience(double seconds) noexcept
    void fs_team_open(fs_team *team) noexcept
    int fs_team_join(fs_team *team, int *n_threads) noexcept
    void fs_team_plan(fs_team *team, int n_threads, int turn) noexcept
    int fs_team_planned(const fs_team *team, int turn) noexcept
    int fs_team_at_hand(const fs_team *team) noexcept
    void fs_team_meet(fs_team *team, int n_threads) noexcept
    void fs_team_let_in(fs_team *team, int n_threads) noexcept
    void fs_team_close(fs_team *team) noexcept
    int fs_pool_limit() noexcept
    void fs_pool_set_limit(int limit) noexcept
    fs_pool_counts fs_pool_count() noexcept


cdef void run(int n_threads, Work work, void *context, const void *type) noexcept nogil:
    fs_run(n_threads, work, context, type)


cdef void lead(int n_threads, Work work, void *context, const void *type) noexcept nogil:
    fs_lead(n_threads, work, context, type)


cdef void share_out(
    int n_threads, ptrdiff_t n_shares, ShareWork work, void *context, const void *type
) noexcept nogil:
    fs_share_out(n_threads, n_shares, work, context, type)


cdef bint is_patient() noexcept nogil:
    return fs_is_patient()


cdef void add_patience(double seconds) noexcept nogil:
    fs_add_patience(seconds)


cdef void worked_alone(double seconds) noexcept nogil:
    fs_worked_alone(seconds)


cdef void team_open(fs_team *team) noexcept nogil:
    fs_team_open(team)


cdef int team_join(fs_team *team, int *n_threads) noexcept nogil:
    return fs_team_join(team, n_threads)


cdef void team_plan(fs_team *team, int n_threads, int turn) noexcept nogil:
    fs_team_plan(team, n_threads, turn)


cdef int team_planned(const fs_team *team, int turn) noexcept nogil:
    return fs_team_planned(team, turn)


cdef int team_at_hand(const fs_team *team) noexcept nogil:
    return fs_team_at_hand(team)


cdef void team_meet(fs_team *team, int n_threads) noexcept nogil:
    fs_team_meet(team, n_threads)


cdef void team_let_in(fs_team *team, int n_threads) noexcept nogil:
    fs_team_let_in(team, n_threads)


cdef void team_close(fs_team *team) noexcept nogil:
    fs_team_close(team)


def limit():
    """Threads that a call gets by default at most; 0 where nobody has set a limit."""
    return fs_pool_limit()


def set_limit(int most):
    """Set it for the whole process; 0: none."""
    fs_pool_set_limit(most)


def counts():
    """What has happened so far: threads in the pool, calls that sent for some, threads that came,
    and calls that were made alone for want of patience."""
    return fs_pool_count()


def set_patience(double seconds):
    """Set the seconds that teams may still lose by waiting; for tests."""
    fs_set_patience(seconds)

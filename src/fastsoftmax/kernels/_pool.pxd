# pool.h for the kernels: they call what is compiled into _pool, so that all builds share one pool.

from libc.stddef cimport ptrdiff_t

cdef extern from "pool.h" nogil:
    ctypedef struct fs_team:
        pass

ctypedef void (*Work)(void *context, const void *type, int thread) noexcept nogil
ctypedef void (*ShareWork)(
    void *context, const void *type, ptrdiff_t share, int thread) noexcept nogil

cdef void run(int n_threads, Work work, void *context, const void *type) noexcept nogil
cdef void lead(int n_threads, Work work, void *context, const void *type) noexcept nogil
cdef void share_out(
    int n_threads, ptrdiff_t n_shares, ShareWork work, void *context, const void *type,
) noexcept nogil

cdef bint is_patient() noexcept nogil
cdef void add_patience(double seconds) noexcept nogil
cdef void worked_alone(double seconds) noexcept nogil

cdef void team_open(fs_team *team) noexcept nogil
cdef int team_join(fs_team *team, int *n_threads) noexcept nogil
cdef void team_plan(fs_team *team, int n_threads, int turn) noexcept nogil
cdef int team_planned(const fs_team *team, int turn) noexcept nogil
cdef int team_at_hand(const fs_team *team) noexcept nogil
cdef void team_meet(fs_team *team, int n_threads) noexcept nogil
cdef void team_let_in(fs_team *team, int n_threads) noexcept nogil
cdef void team_close(fs_team *team) noexcept nogil

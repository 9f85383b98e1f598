# team.h: threads that wait for each other, and what OpenMP says of them.

from libc.stddef cimport ptrdiff_t

cdef extern from "team.h" nogil:
    ctypedef struct fs_barrier:
        pass

    ctypedef struct fs_cores:
        pass

    void fs_barrier_init(fs_barrier *barrier) noexcept
    void fs_barrier_wait(fs_barrier *barrier, int n_threads) noexcept
    void fs_spread(fs_cores *cores, fs_barrier *barrier, int thread, int n_threads) noexcept
    int fs_thread_number() noexcept
    int fs_team_size() noexcept
    ptrdiff_t fs_take(ptrdiff_t *counter, ptrdiff_t n) noexcept
    double fs_seconds() noexcept
    void fs_raise_flag(int *flag) noexcept

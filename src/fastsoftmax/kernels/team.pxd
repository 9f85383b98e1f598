# team.h: a counter and a flag that threads share; clock.h comes with it.

from libc.stddef cimport ptrdiff_t

cdef extern from "team.h" nogil:
    ptrdiff_t fs_take(ptrdiff_t *counter, ptrdiff_t n) noexcept
    double fs_seconds() noexcept
    void fs_raise_flag(int *flag) noexcept
    int fs_is_raised(const int *flag) noexcept

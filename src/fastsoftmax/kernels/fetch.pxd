# fetch.h: rows that are needed next. It can't be included without simd.h.

from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int32_t, intptr_t

cdef extern from "simd.h" nogil:
    ctypedef struct fs_fetcher:
        const char *data
        const intptr_t *rows
        const int32_t *y_true
        ptrdiff_t n_rows
        ptrdiff_t row_stride
        ptrdiff_t row_size

    void fs_fetch_start(
        fs_fetcher *fetcher, ptrdiff_t steps, ptrdiff_t later_steps) noexcept
    void fs_fetch_nothing(fs_fetcher *fetcher) noexcept

cdef extern from * nogil:  # the compiler's own
    void fs_prefetch "__builtin_prefetch" (const void *address) noexcept
    # 0 and 2 for reading it, into the second cache.
    void fs_prefetch_second "__builtin_prefetch" (
        const void *address, int writes, int locality) noexcept

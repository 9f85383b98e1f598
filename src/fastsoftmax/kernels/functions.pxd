# functions.h: what is computed of the caller's rows, for float and for double. It can't be included
# without simd.h.

from libc.stddef cimport ptrdiff_t

from .table cimport fs_table

cdef extern from "simd.h" nogil:
    void fs_softmax_f32(const fs_table *table, ptrdiff_t first, ptrdiff_t last) noexcept
    void fs_softmax_f64(const fs_table *table, ptrdiff_t first, ptrdiff_t last) noexcept
    void fs_log_softmax_f32(const fs_table *table, ptrdiff_t first, ptrdiff_t last) noexcept
    void fs_log_softmax_f64(const fs_table *table, ptrdiff_t first, ptrdiff_t last) noexcept
    void fs_losses_f32(const fs_table *table, ptrdiff_t first, ptrdiff_t last) noexcept
    void fs_losses_f64(const fs_table *table, ptrdiff_t first, ptrdiff_t last) noexcept

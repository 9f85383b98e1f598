# table.h: the caller's rows. It can't be included without simd.h.

from libc.stddef cimport ptrdiff_t

cdef extern from "simd.h" nogil:
    ctypedef struct fs_table:
        const char *source
        ptrdiff_t source_stride
        ptrdiff_t n_rows
        ptrdiff_t n_classes
        char *target
        ptrdiff_t target_stride
        const void *y_true
        ptrdiff_t code_bytes
        const void *weight
        ptrdiff_t weight_step

    ptrdiff_t fs_wrong_code(const fs_table *table) noexcept

# checks.h: whole numbers in range, or in ascending order.

from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int32_t, int64_t, uint32_t

cdef extern from "checks.h" nogil:
    bint fs_in_range_i32(const int32_t *values, ptrdiff_t n, int32_t last) noexcept
    bint fs_in_range_i64(const int64_t *values, ptrdiff_t n, int64_t last) noexcept
    ptrdiff_t fs_descents_i32(const int32_t *values, ptrdiff_t n) noexcept
    ptrdiff_t fs_descents_i64(const int64_t *values, ptrdiff_t n) noexcept
    int32_t fs_bounded_i32(const int32_t *value, uint32_t last) noexcept
    int32_t fs_bounded_i64(const int64_t *value, uint32_t last) noexcept
    void fs_bounded_some_i32(
        const int32_t *values, ptrdiff_t n, uint32_t last, int32_t *copy) noexcept
    void fs_bounded_some_i64(
        const int64_t *values, ptrdiff_t n, uint32_t last, int32_t *copy) noexcept

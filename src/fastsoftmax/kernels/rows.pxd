# rows.h: what it does with values one by one, for float and for double; the rest of it is for
# functions.h. It can't be included without simd.h.

from libc.stddef cimport ptrdiff_t

cdef extern from "simd.h" nogil:
    double fs_sum_of_f32(const float *values, ptrdiff_t n) noexcept
    double fs_sum_of_f64(const double *values, ptrdiff_t n) noexcept
    void fs_exp_array_f32(const float *values, float *out, ptrdiff_t n) noexcept
    void fs_exp_array_f64(const double *values, double *out, ptrdiff_t n) noexcept
    void fs_log1p_array_f32(const float *values, float *out, ptrdiff_t n) noexcept
    void fs_log1p_array_f64(const double *values, double *out, ptrdiff_t n) noexcept

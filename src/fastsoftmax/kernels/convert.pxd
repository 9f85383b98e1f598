# convert.h: what X may hold, made into float or double.

from libc.stddef cimport ptrdiff_t

cdef extern from "convert.h" nogil:
    ctypedef struct fs_half:
        pass

    ctypedef struct fs_bfloat16:
        pass

    float fs_half_to_float(fs_half half) noexcept
    float fs_bfloat16_to_float(fs_bfloat16 item) noexcept
    void fs_halves_to_floats(const fs_half *source, ptrdiff_t n, float *target) noexcept
    int fs_all_finite_f32(const float *values, ptrdiff_t n) noexcept
    int fs_all_finite_f64(const double *values, ptrdiff_t n) noexcept

# forward.h: raw predictions, for float and for double. It can't be included without simd.h.

from libc.stddef cimport ptrdiff_t

from .fetch cimport fs_fetcher

cdef extern from "simd.h" nogil:
    void fs_forward_f32(
        const float **samples, const float *coef, ptrdiff_t stride, ptrdiff_t n_features,
        const float *intercept, float *raw, ptrdiff_t raw_stride, ptrdiff_t n_samples,
        fs_fetcher *fetcher, ptrdiff_t n_classes) noexcept
    void fs_forward_f64(
        const double **samples, const double *coef, ptrdiff_t stride, ptrdiff_t n_features,
        const double *intercept, double *raw, ptrdiff_t raw_stride, ptrdiff_t n_samples,
        fs_fetcher *fetcher, ptrdiff_t n_classes) noexcept
    ptrdiff_t fs_forward_steps_f32(
        ptrdiff_t n_samples, ptrdiff_t n_features, ptrdiff_t n_classes) noexcept
    ptrdiff_t fs_forward_steps_f64(
        ptrdiff_t n_samples, ptrdiff_t n_features, ptrdiff_t n_classes) noexcept

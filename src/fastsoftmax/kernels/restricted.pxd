# restricted.h: softmax over a few classes of each row. It can't be included without simd.h.

from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int32_t

cdef extern from "simd.h" nogil:
    enum:
        FS_KEPT
        FS_RUNGS
        FS_SCATTER_VECTORS

    void fs_keep_likeliest_f32(
        const float *gradient, ptrdiff_t stride, ptrdiff_t n_classes, const int32_t *codes,
        const float *weight, double smoothing, const double *rungs, ptrdiff_t n,
        float *column, int32_t *kept_out, float *probability_out) noexcept
    void fs_keep_likeliest_f64(
        const double *gradient, ptrdiff_t stride, ptrdiff_t n_classes, const int32_t *codes,
        const double *weight, double smoothing, const double *rungs, ptrdiff_t n,
        double *column, int32_t *kept_out, double *probability_out) noexcept

    void fs_add_raw_f32(
        const float **samples, ptrdiff_t n_samples, const float *coef, ptrdiff_t stride,
        ptrdiff_t first, ptrdiff_t last, const float *probability, const int32_t *kept,
        float *raw) noexcept
    void fs_add_raw_f64(
        const double **samples, ptrdiff_t n_samples, const double *coef, ptrdiff_t stride,
        ptrdiff_t first, ptrdiff_t last, const double *probability, const int32_t *kept,
        double *raw) noexcept

    double fs_restricted_row_f32(
        float *raw, const float *probability, float weight) noexcept
    double fs_restricted_row_f64(
        double *raw, const double *probability, double weight) noexcept

    void fs_scatter_f32(
        const float **samples, ptrdiff_t n_samples, const float *excess,
        const float *probability, const int32_t *kept, float *gradient, ptrdiff_t stride,
        ptrdiff_t n_vectors) noexcept
    void fs_scatter_f64(
        const double **samples, ptrdiff_t n_samples, const double *excess,
        const double *probability, const int32_t *kept, double *gradient, ptrdiff_t stride,
        ptrdiff_t n_vectors) noexcept

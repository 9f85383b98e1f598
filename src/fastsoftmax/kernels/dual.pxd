# dual.h and dual_point.h: dual coordinate ascent, one row at a time. They can't be included without
# simd.h.

from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int32_t

cdef extern from "simd.h" nogil:
    const double FS_DUAL_LOWEST
    const int FS_DUAL_SHARES

    ptrdiff_t fs_dual_slots_f32(
        const int32_t *slots, int32_t *numbers, float *values, ptrdiff_t n) noexcept
    ptrdiff_t fs_dual_slots_f64(
        const int32_t *slots, int32_t *numbers, double *values, ptrdiff_t n) noexcept
    double fs_dual_square_norm_f32(const float *values, ptrdiff_t n) noexcept
    double fs_dual_square_norm_f64(const double *values, ptrdiff_t n) noexcept

    double fs_dual_softmax_f32(
        float *raw, float *dual, ptrdiff_t n, float c, float *change, float *room) noexcept
    double fs_dual_softmax_f64(
        double *raw, double *dual, ptrdiff_t n, double c, double *change, double *room) noexcept
    double fs_dual_logistic_f32(
        float *raw, float *dual, ptrdiff_t n, float c, float *change) noexcept
    double fs_dual_logistic_f64(
        double *raw, double *dual, ptrdiff_t n, double c, double *change) noexcept

    double fs_dual_merge_f32(
        float *coef, ptrdiff_t size, ptrdiff_t n_shares, float factor, ptrdiff_t first,
        ptrdiff_t last) noexcept
    double fs_dual_merge_f64(
        double *coef, ptrdiff_t size, ptrdiff_t n_shares, double factor, ptrdiff_t first,
        ptrdiff_t last) noexcept
    void fs_dual_unpack_f32(
        const float *packed, ptrdiff_t stride, const int32_t *slots, float *values,
        ptrdiff_t n_rows, ptrdiff_t n_features, ptrdiff_t first, ptrdiff_t last) noexcept
    void fs_dual_unpack_f64(
        const double *packed, ptrdiff_t stride, const int32_t *slots, double *values,
        ptrdiff_t n_rows, ptrdiff_t n_features, ptrdiff_t first, ptrdiff_t last) noexcept

    void fs_dual_shares(double *dual, ptrdiff_t n, int is_softmax) noexcept
    void fs_dual_repair(
        double *q, const double *keep, const double *give, ptrdiff_t n, int is_softmax) noexcept
    double fs_dual_divergence(
        const double *q, double *raw, double *soft, ptrdiff_t n, int is_softmax) noexcept
    double fs_dual_moved(
        double *p, const double *factor, ptrdiff_t n, int is_softmax) noexcept
    void fs_dual_outer(
        double *sums, const double *rows, const double *weight, ptrdiff_t n_some,
        ptrdiff_t n_rows, ptrdiff_t n) noexcept
    double fs_dual_between(
        const double *q, double *other, const double *p, ptrdiff_t n, int is_softmax,
        double weight, double *sums) noexcept

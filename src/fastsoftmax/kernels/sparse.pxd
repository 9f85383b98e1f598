# sparse.h: what rows of few values do with the weights of their features, for float and for double.
# It can't be included without simd.h.

from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int32_t

from .decay cimport fs_decay

cdef extern from "simd.h" nogil:
    void fs_sparse_gather_f32(
        const float *coef, ptrdiff_t stride, const int32_t *features, const float *values,
        ptrdiff_t n, float *raw) noexcept
    void fs_sparse_gather_f64(
        const double *coef, ptrdiff_t stride, const int32_t *features, const double *values,
        ptrdiff_t n, double *raw) noexcept

    void fs_sparse_scatter_f32(
        float *sums, ptrdiff_t stride, const int32_t *slots, const float *values, ptrdiff_t n,
        const float *gradient) noexcept
    void fs_sparse_scatter_f64(
        double *sums, ptrdiff_t stride, const int32_t *slots, const double *values, ptrdiff_t n,
        const double *gradient) noexcept

    void fs_sparse_add_up_f32(
        float *const *sums, ptrdiff_t n_arrays, ptrdiff_t stride, float *values, ptrdiff_t n_rows,
        ptrdiff_t n_features, ptrdiff_t first, ptrdiff_t last) noexcept
    void fs_sparse_add_up_f64(
        double *const *sums, ptrdiff_t n_arrays, ptrdiff_t stride, double *values,
        ptrdiff_t n_rows, ptrdiff_t n_features, ptrdiff_t first, ptrdiff_t last) noexcept

    void fs_sparse_catch_up_f32(
        const fs_decay *decay, const int32_t *features, ptrdiff_t n, int32_t *steps, int extra,
        float *coef, float *state, ptrdiff_t stride) noexcept
    void fs_sparse_catch_up_f64(
        const fs_decay *decay, const int32_t *features, ptrdiff_t n, int32_t *steps, int extra,
        double *coef, double *state, ptrdiff_t stride) noexcept

    void fs_sparse_update_f32(
        const int32_t *features, ptrdiff_t n, float *sums, float *coef, float *state,
        ptrdiff_t stride, float learning_rate, float momentum, float alpha, int update) noexcept
    void fs_sparse_update_f64(
        const int32_t *features, ptrdiff_t n, double *sums, double *coef, double *state,
        ptrdiff_t stride, double learning_rate, double momentum, double alpha,
        int update) noexcept

    void fs_sparse_pack_f32(
        const float *values, ptrdiff_t n_rows, ptrdiff_t n_features, float *packed,
        ptrdiff_t stride, ptrdiff_t first, ptrdiff_t last) noexcept
    void fs_sparse_pack_f64(
        const double *values, ptrdiff_t n_rows, ptrdiff_t n_features, double *packed,
        ptrdiff_t stride, ptrdiff_t first, ptrdiff_t last) noexcept
    void fs_sparse_unpack_f32(
        const float *packed, ptrdiff_t stride, float *values, ptrdiff_t n_rows,
        ptrdiff_t n_features, ptrdiff_t first, ptrdiff_t last) noexcept
    void fs_sparse_unpack_f64(
        const double *packed, ptrdiff_t stride, double *values, ptrdiff_t n_rows,
        ptrdiff_t n_features, ptrdiff_t first, ptrdiff_t last) noexcept

# vector.h: what is done to vectors, for float and for double. It can't be included without simd.h.

from libc.stddef cimport ptrdiff_t

cdef extern from "simd.h" nogil:
    void fs_softmax_lanes_f32(
        float *raw, ptrdiff_t raw_stride, ptrdiff_t n_classes, const float *scale,
        float *log_sum_out, float *maximum_out) noexcept
    void fs_softmax_lanes_f64(
        double *raw, ptrdiff_t raw_stride, ptrdiff_t n_classes, const double *scale,
        double *log_sum_out, double *maximum_out) noexcept

    void fs_sigmoid_lanes_f32(float *raw, float *log_out) noexcept
    void fs_sigmoid_lanes_f64(double *raw, double *log_out) noexcept

    void fs_curvature_lanes_f32(
        float *raw, ptrdiff_t raw_stride, ptrdiff_t n_classes, const float *probability,
        ptrdiff_t probability_stride, const float *weight, int is_softmax, ptrdiff_t n) noexcept
    void fs_curvature_lanes_f64(
        double *raw, ptrdiff_t raw_stride, ptrdiff_t n_classes, const double *probability,
        ptrdiff_t probability_stride, const double *weight, int is_softmax, ptrdiff_t n) noexcept

    void fs_step_array_f32(
        const float *gradient, float *parameter, float *state, ptrdiff_t n, float learning_rate,
        float momentum, float alpha, int update) noexcept
    void fs_step_array_f64(
        const double *gradient, double *parameter, double *state, ptrdiff_t n,
        double learning_rate, double momentum, double alpha, int update) noexcept

    void fs_add_lanes_f32(float *lanes, const float *values, ptrdiff_t n) noexcept
    void fs_add_lanes_f64(double *lanes, const double *values, ptrdiff_t n) noexcept

    void fs_add_shares_f32(
        float *total, const float *shares, ptrdiff_t size, ptrdiff_t n_shares) noexcept
    void fs_add_shares_f64(
        double *total, const double *shares, ptrdiff_t size, ptrdiff_t n_shares) noexcept

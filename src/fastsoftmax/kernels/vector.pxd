# vector.h: the tiles and the steps, for float and for double. It can't be included without simd.h.

from libc.stddef cimport ptrdiff_t

from .fetch cimport fs_fetcher

cdef extern from "simd.h" nogil:
    void fs_forward_f32(
        const float **samples, const float *coef, ptrdiff_t stride, ptrdiff_t n_features,
        const float *intercept, float *raw, ptrdiff_t raw_stride, ptrdiff_t n_samples,
        fs_fetcher *fetcher, int n_classes) noexcept
    void fs_forward_f64(
        const double **samples, const double *coef, ptrdiff_t stride, ptrdiff_t n_features,
        const double *intercept, double *raw, ptrdiff_t raw_stride, ptrdiff_t n_samples,
        fs_fetcher *fetcher, int n_classes) noexcept

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

    void fs_backward_f32(
        const float **samples, ptrdiff_t stride, const float *gradient, ptrdiff_t gradient_stride,
        ptrdiff_t n_samples, float *coef, float *state, float *partial, int is_first, int is_last,
        float learning_rate, float momentum, float alpha, int update, fs_fetcher *fetcher,
        ptrdiff_t first, ptrdiff_t last, int n_classes) noexcept
    void fs_backward_f64(
        const double **samples, ptrdiff_t stride, const double *gradient,
        ptrdiff_t gradient_stride, ptrdiff_t n_samples, double *coef, double *state,
        double *partial, int is_first, int is_last, double learning_rate, double momentum,
        double alpha, int update, fs_fetcher *fetcher, ptrdiff_t first, ptrdiff_t last,
        int n_classes) noexcept

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

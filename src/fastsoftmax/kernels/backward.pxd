# backward.h: the gradient and the step, for float and double. It can't be included without simd.h.

from libc.stddef cimport ptrdiff_t

from .fetch cimport fs_fetcher

cdef extern from "simd.h" nogil:
    ptrdiff_t fs_backward_steps_f32(
        ptrdiff_t n_samples, ptrdiff_t n_vectors, ptrdiff_t n_features,
        ptrdiff_t n_classes) noexcept
    ptrdiff_t fs_backward_room_f32(ptrdiff_t n_classes, ptrdiff_t n_samples) noexcept
    void fs_backward_f32(
        const float **samples, ptrdiff_t stride, const float *gradient, ptrdiff_t gradient_stride,
        ptrdiff_t n_samples, float *coef, float *state, float *partial, int is_first, int is_last,
        float learning_rate, float momentum, float alpha, int update, fs_fetcher *fetcher,
        ptrdiff_t first, ptrdiff_t last, ptrdiff_t n_features, ptrdiff_t n_classes,
        float *room) noexcept
    ptrdiff_t fs_backward_steps_f64(
        ptrdiff_t n_samples, ptrdiff_t n_vectors, ptrdiff_t n_features,
        ptrdiff_t n_classes) noexcept
    ptrdiff_t fs_backward_room_f64(ptrdiff_t n_classes, ptrdiff_t n_samples) noexcept
    void fs_backward_f64(
        const double **samples, ptrdiff_t stride, const double *gradient,
        ptrdiff_t gradient_stride, ptrdiff_t n_samples, double *coef, double *state,
        double *partial, int is_first, int is_last, double learning_rate, double momentum,
        double alpha, int update, fs_fetcher *fetcher,
        ptrdiff_t first, ptrdiff_t last, ptrdiff_t n_features, ptrdiff_t n_classes,
        double *room) noexcept

# newton.h: Newton's method on a small problem. It can't be included without simd.h.

from libc.stddef cimport ptrdiff_t

cdef extern from "simd.h" nogil:
    enum:
        FS_NEWTON_ROWS
        FS_NEWTON_SAMPLES

    ctypedef struct fs_newton:
        ptrdiff_t n_samples
        ptrdiff_t stride
        ptrdiff_t n_rows
        ptrdiff_t n_columns
        ptrdiff_t n_padded
        int is_softmax
        int has_intercept
        const double *design
        const double *targets
        const double *weight
        const double *penalty
        double tol
        double tol_of_penalty
        double least_of_value
        double *miss
        double *scaled
        double *block
        double *hessian
        double *scale
        double *other

    ptrdiff_t fs_newton_run(
        const fs_newton *q, double *thetas, double *values, ptrdiff_t max_iter,
        double *probability, double *spare, double *gradient, double *direction,
        int *reason) noexcept

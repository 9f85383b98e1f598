# decay.h: steps without a gradient, many at once. It can't be included without simd.h.

from libc.stddef cimport ptrdiff_t

cdef extern from "simd.h" nogil:
    const int FS_DECAY_BLOCK

    ctypedef struct fs_matrix:
        pass

    ctypedef struct fs_decay:
        fs_matrix *since
        fs_matrix *after
        const double *rates
        double momentum
        double alpha
        ptrdiff_t now
        int update
        int is_idle

    void fs_decay_start(fs_decay *decay) noexcept
    void fs_decay_step(fs_decay *decay) noexcept

# What simd.h fixes for a build, and the names of the steps.

cdef extern from "simd.h" nogil:
    const int FS_VECTOR_BYTES
    const int FS_DIRECT_CLASSES
    const int FS_SGD
    const int FS_MOMENTUM
    const int FS_NESTEROV
    const int FS_ADAGRAD

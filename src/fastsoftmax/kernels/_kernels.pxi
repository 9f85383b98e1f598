# The kernels: one source, compiled once for each instruction set by the stubs that include it.
#
# Each `def` has the name, signature and meaning of its NumPy twin in reference/, whose docstring is
# its documentation; it checks the dtype, order and size of what it is given (values are checked by
# the callers, the estimators and functional.py), lets the GIL go and calls the `cdef`s above it.
# How vectors and register tiles work is in simd.h; no Python object is touched without the GIL.
# The rooms, in the order in which they are included below: memory, rows of X, the steps of a
# minibatch, an epoch, an epoch of narrow rows, passes that change nothing, the search for NaN,
# functions of the caller's arrays, rows of sparse X and an epoch over them.


cimport numpy as cnp
from cython.parallel cimport parallel
from libc.math cimport INFINITY, isfinite, sqrt, sqrtf
from libc.stddef cimport ptrdiff_t
from libc.stdlib cimport labs
from libc.stdint cimport int8_t, int16_t, int32_t, int64_t, intptr_t, uint8_t, uintptr_t
from libc.string cimport memcpy

import numpy as np

cnp.import_array()

ctypedef fused real:  # what is computed in
    float
    double

cdef extern from "Python.h" nogil:
    const Py_ssize_t PY_SSIZE_T_MAX

cdef extern from "simd.h" nogil:
    const int FS_VECTOR_BYTES
    const int FS_FORWARD_SAMPLES
    const int FS_FORWARD_CLASSES
    const int FS_BACKWARD_CLASSES
    const int FS_SGD
    const int FS_MOMENTUM
    const int FS_NESTEROV
    const int FS_ADAGRAD
    ctypedef struct fs_fetcher:
        const char *data
        const intptr_t *rows
        const int32_t *y_true
        ptrdiff_t n_rows
        ptrdiff_t row_stride
        ptrdiff_t row_size
        ptrdiff_t lines_per_step
        ptrdiff_t lines_between
    void fs_fetch_row(fs_fetcher *)
    void fs_fetch_between(fs_fetcher *)
    void fs_forward_f32(const float **, const float *, ptrdiff_t, ptrdiff_t, const float *, float *,
                        ptrdiff_t, ptrdiff_t, fs_fetcher *, int)
    void fs_forward_f64(const double **, const double *, ptrdiff_t, ptrdiff_t, const double *,
                        double *, ptrdiff_t, ptrdiff_t, fs_fetcher *, int)
    void fs_softmax_lanes_f32(float *, ptrdiff_t, ptrdiff_t, const float *, float *, float *)
    void fs_softmax_lanes_f64(double *, ptrdiff_t, ptrdiff_t, const double *, double *, double *)
    void fs_sigmoid_lanes_f32(float *, float *)
    void fs_sigmoid_lanes_f64(double *, double *)
    void fs_backward_f32(const float **, ptrdiff_t, const float *, ptrdiff_t, ptrdiff_t, float *,
                         float *, float *, int, int, float, float, float, int, fs_fetcher *,
                         ptrdiff_t, ptrdiff_t, int)
    void fs_backward_f64(const double **, ptrdiff_t, const double *, ptrdiff_t, ptrdiff_t, double *,
                         double *, double *, int, int, double, double, double, int,
                         fs_fetcher *, ptrdiff_t, ptrdiff_t, int)
    void fs_add_lanes_f32(float *, const float *, ptrdiff_t)
    void fs_add_lanes_f64(double *, const double *, ptrdiff_t)
    void fs_add_shares_f32(float *, const float *, ptrdiff_t, ptrdiff_t)
    void fs_add_shares_f64(double *, const double *, ptrdiff_t, ptrdiff_t)
    ctypedef struct fs_table:
        const char *source
        ptrdiff_t source_stride
        ptrdiff_t n_rows
        ptrdiff_t n_classes
        char *target
        ptrdiff_t target_stride
        const void *y_true
        ptrdiff_t code_bytes
        const void *weight
        ptrdiff_t weight_step
    ptrdiff_t fs_wrong_code(const fs_table *)
    void fs_softmax_f32(const fs_table *, ptrdiff_t, ptrdiff_t)
    void fs_softmax_f64(const fs_table *, ptrdiff_t, ptrdiff_t)
    void fs_log_softmax_f32(const fs_table *, ptrdiff_t, ptrdiff_t)
    void fs_log_softmax_f64(const fs_table *, ptrdiff_t, ptrdiff_t)
    void fs_losses_f32(const fs_table *, ptrdiff_t, ptrdiff_t)
    void fs_losses_f64(const fs_table *, ptrdiff_t, ptrdiff_t)
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
    const int FS_DECAY_BLOCK
    void fs_decay_start(fs_decay *)
    void fs_decay_step(fs_decay *)
    void fs_sparse_gather_f32(const float *, ptrdiff_t, const int32_t *, const float *, ptrdiff_t,
                              float *)
    void fs_sparse_gather_f64(const double *, ptrdiff_t, const int32_t *, const double *,
                              ptrdiff_t, double *)
    void fs_sparse_scatter_f32(float *, ptrdiff_t, const int32_t *, const float *, ptrdiff_t,
                               const float *)
    void fs_sparse_scatter_f64(double *, ptrdiff_t, const int32_t *, const double *, ptrdiff_t,
                               const double *)
    void fs_sparse_catch_up_f32(const fs_decay *, const int32_t *, ptrdiff_t, int32_t *, int,
                                float *, float *, ptrdiff_t)
    void fs_sparse_catch_up_f64(const fs_decay *, const int32_t *, ptrdiff_t, int32_t *, int,
                                double *, double *, ptrdiff_t)
    void fs_sparse_update_f32(const int32_t *, ptrdiff_t, float *, float *, float *, ptrdiff_t,
                              float, float, float, int)
    void fs_sparse_update_f64(const int32_t *, ptrdiff_t, double *, double *, double *, ptrdiff_t,
                              double, double, double, int)
    void fs_sparse_pack_f32(const float *, ptrdiff_t, ptrdiff_t, float *, ptrdiff_t, ptrdiff_t,
                            ptrdiff_t)
    void fs_sparse_pack_f64(const double *, ptrdiff_t, ptrdiff_t, double *, ptrdiff_t, ptrdiff_t,
                            ptrdiff_t)
    void fs_sparse_unpack_f32(const float *, ptrdiff_t, float *, ptrdiff_t, ptrdiff_t, ptrdiff_t,
                              ptrdiff_t)
    void fs_sparse_unpack_f64(const double *, ptrdiff_t, double *, ptrdiff_t, ptrdiff_t, ptrdiff_t,
                              ptrdiff_t)
    double fs_sum_of_f32(const float *, ptrdiff_t)
    double fs_sum_of_f64(const double *, ptrdiff_t)
    void fs_exp_array_f32(const float *, float *, ptrdiff_t)
    void fs_exp_array_f64(const double *, double *, ptrdiff_t)
    void fs_log1p_array_f32(const float *, float *, ptrdiff_t)
    void fs_log1p_array_f64(const double *, double *, ptrdiff_t)
    void fs_step_array_f32(const float *, float *, float *, ptrdiff_t, float, float, float, int)
    void fs_step_array_f64(const double *, double *, double *, ptrdiff_t, double, double, double,
                           int)

cdef extern from "team.h" nogil:
    ctypedef struct fs_barrier:
        pass
    void fs_barrier_init(fs_barrier *)
    void fs_barrier_wait(fs_barrier *, int n_threads)
    ctypedef struct fs_cores:
        pass
    void fs_spread(fs_cores *, fs_barrier *, int thread, int n_threads)
    double fs_seconds()
    ptrdiff_t fs_take(ptrdiff_t *, ptrdiff_t)
    int fs_thread_number()
    int fs_team_size()
    void fs_raise_flag(int *)

cdef int SOFTMAX = 0, LOGISTIC = 1
cdef dict _LOSS = {"softmax": SOFTMAX, "logistic": LOGISTIC}
cdef dict _UPDATE = {
    "sgd": FS_SGD, "momentum": FS_MOMENTUM, "nesterov": FS_NESTEROV, "adagrad": FS_ADAGRAD
}


cdef enum:
    GROUP = 16  # samples that a thread takes at once: whole cache lines of raw_prediction
    # A minibatch is taken in parts of this size a thread, which with the part after it fits a
    # 512 KiB cache, and of this many rows at most. Parts change no bit of the result.
    PART_BYTES = 229376
    MOST_PART_ROWS = 256
    TRIAL_PARTS = 6  # taken by one thread, to know what a team must be faster than
    NARROW_BYTES = 8192  # of coefficients: so few that each thread keeps its own (_narrow.pxi)
    SHARE_ROWS = 64  # of a minibatch, whose gradient is summed by one thread there
    MOST_SHARES = 64
    PREDICTION_ROWS = 64  # rows that prediction stages at once; it touches each tile only once
    BLOCKS_AT_ONCE = 4  # of these rows, taken by one thread
    LINE = 64  # bytes of a cache line

include "_memory.pxi"
include "_rows.pxi"
include "_minibatch.pxi"
include "_smoothing.pxi"
include "_steps.pxi"
include "_epoch.pxi"
include "_narrow.pxi"
include "_passes.pxi"
include "_finite.pxi"
include "_functions.pxi"
include "_sparse.pxi"
include "_sparse_epoch.pxi"

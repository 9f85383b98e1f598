# The kernels: one source, compiled once for each instruction set by the stubs that include it.
#
# Each `def` has the name, signature and meaning of its NumPy twin in reference/, whose docstring is
# its documentation; it refuses what would make it read or write beyond an array (_memory.pxi;
# values are checked by the callers, the estimators and functional/), lets the GIL go and calls the
# `cdef`s above it. None is refused wherever a type is declared, by a directive in setup.py.
# How vectors and register tiles work is in simd.h; what is called of a header is declared in the
# .pxd file beside it. No Python object is touched without the GIL.
# The rooms, in the order in which they are included below: memory, rows of X, the steps of a
# minibatch, an epoch, an epoch of narrow rows, the likeliest classes of rows, sums over all rows,
# passes that change nothing, the search for NaN, functions of the caller's arrays, rows of sparse
# X, their features, an epoch over them, the gradient of all, their dual and what proves it, and
# Newton's method on small problems.

cimport numpy as cnp
from cpython.pyport cimport PY_SSIZE_T_MAX
from libc.math cimport INFINITY, isfinite, sqrt, sqrtf
from libc.stddef cimport ptrdiff_t
from libc.stdlib cimport llabs as labs  # of ptrdiff_t, which on Windows is longer than long
from libc.stdint cimport (
    int8_t, int16_t, int32_t, int64_t, intptr_t, uint8_t, uint32_t, uintptr_t,
)
from libc.string cimport memcpy, memset

import operator

import numpy as np

from .simd cimport FS_ADAGRAD, FS_MOMENTUM, FS_NESTEROV, FS_SGD

cnp.import_array()

ctypedef fused real:  # what is computed in
    float
    double

cdef int SOFTMAX = 0, LOGISTIC = 1
cdef Py_ssize_t MOST_ROWS = PY_SSIZE_T_MAX // 64  # of a minibatch: multiples of it are taken
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
    TRIAL_PARTS = 5  # taken by one thread, to know what a team must be faster than
    NARROW_BYTES = 8192  # of coefficients: so few that each thread keeps its own (_narrow.pxi)
    SHARE_ROWS = 64  # of a minibatch, whose gradient is summed by one thread there
    MOST_SHARES = 64
    PREDICTION_ROWS = 64  # rows that prediction stages at once; it touches each tile only once
    BLOCKS_AT_ONCE = 4  # of these rows, taken by one thread
    LINE = 64  # bytes of a cache line
    CACHED_BYTES = 262144  # of weights that stay in a cache near the core without being asked for
    FEW_ROWS = 8  # rows that are fewer than an eighth of X are looked up in y_true one by one

include "_memory.pxi"
include "_rows.pxi"
include "_minibatch.pxi"
include "_smoothing.pxi"
include "_steps.pxi"
include "_epoch.pxi"
include "_narrow.pxi"
include "_restricted.pxi"
include "_all_rows.pxi"
include "_passes.pxi"
include "_finite.pxi"
include "_functions.pxi"
include "_sparse.pxi"
include "_sparse_features.pxi"
include "_sparse_epoch.pxi"
include "_sparse_gradient.pxi"
include "_dual.pxi"
include "_dual_proof.pxi"
include "_newton.pxi"

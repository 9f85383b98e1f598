# Whether a matrix is finite, without the arrays of X's size that NumPy would need to tell.
#
# Where and what the bad value is, problem/rows.py finds out. Included by _kernels.pxi.

from ._pool cimport ShareWork, share_out
from .team cimport fs_is_raised, fs_raise_flag

cdef enum:
    RUN = 2048  # items converted at once: they stay in the nearest cache
    RUNS_AT_ONCE = 64  # of these, taken by one thread


cdef struct Runs:  # X as lines of neighbouring items, whichever axis they run along
    Rows X
    Py_ssize_t n_parts  # of RUN items or fewer, a line
    int not_finite


cdef bint _part_is_finite(const Runs *runs, const real *unused, Py_ssize_t number) noexcept nogil:
    cdef real[RUN] values
    cdef Rows part = runs.X
    cdef Py_ssize_t start = number % runs.n_parts * RUN
    part.data += number // runs.n_parts * part.row_stride + start * part.item_stride
    part.n_features = min(part.n_features - start, <Py_ssize_t> RUN)
    _stage(&part, NULL, 0, 1, &values[0], RUN)
    if real is float:
        return fs_all_finite_f32(&values[0], part.n_features)
    else:
        return fs_all_finite_f64(&values[0], part.n_features)


cdef void _look_at_runs(
    Runs *runs, const real *unused, ptrdiff_t share, int thread
) noexcept nogil:
    cdef Py_ssize_t total = runs.X.n_samples * runs.n_parts, number
    if fs_is_raised(&runs.not_finite):
        return
    for number in range(share * RUNS_AT_ONCE, min((share + 1) * RUNS_AT_ONCE, total)):
        if not _part_is_finite(runs, unused, number):
            fs_raise_flag(&runs.not_finite)
            return


cdef void _look_at_all(Runs *runs, const real *unused, int n_threads) noexcept nogil:
    cdef Py_ssize_t total = runs.X.n_samples * runs.n_parts
    share_out(n_threads, (total + RUNS_AT_ONCE - 1) // RUNS_AT_ONCE,
              <ShareWork> _look_at_runs[real], runs, unused)


def all_finite(cnp.ndarray X, cnp.dtype dtype, n_threads):
    """See reference/dense.py."""
    cdef Runs runs
    cdef Rows *rows = &runs.X
    cdef int threads = _threads(n_threads)
    cdef bint narrow = dtype.num == cnp.NPY_FLOAT32
    if not narrow and dtype.num != cnp.NPY_FLOAT64:
        raise TypeError(f"dtype must be float32 or float64; got {dtype}")
    _describe(rows, X, None, None, dtype.num)
    if rows.dtype in (cnp.NPY_UINT8, cnp.NPY_INT8, cnp.NPY_INT16):
        return True
    if labs(rows.item_stride) > labs(rows.row_stride):
        rows.row_stride, rows.item_stride = rows.item_stride, rows.row_stride
        rows.n_samples, rows.n_features = rows.n_features, rows.n_samples
    if rows.row_stride == rows.n_features * rows.item_stride:  # short rows: slow one by one
        rows.n_features *= rows.n_samples
        rows.n_samples = 1
    runs.n_parts = (rows.n_features + RUN - 1) // RUN
    runs.not_finite = False
    # A value costs about what a multiply-add does.
    threads = _useful_threads(threads, INFINITY, <double> rows.n_samples * rows.n_features)
    with nogil:
        if narrow:
            _look_at_all(&runs, <const float *> NULL, threads)
        else:
            _look_at_all(&runs, <const double *> NULL, threads)
    return not runs.not_finite

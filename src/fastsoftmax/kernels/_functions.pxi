# softmax, log-sum-exp, cross-entropy and the update rules on the caller's own arrays.
#
# What is done with a row is in functions.h; here arguments are checked and rows are dealt out to
# threads. Included by _kernels.pxi; called by functional/.

from ._pool cimport share_out
from .functions cimport (
    fs_log_softmax_f32, fs_log_softmax_f64, fs_losses_f32, fs_losses_f64, fs_softmax_f32,
    fs_softmax_f64,
)
from .rows cimport (
    fs_exp_array_f32, fs_exp_array_f64, fs_log1p_array_f32, fs_log1p_array_f64, fs_sum_of_f32,
    fs_sum_of_f64,
)
from .table cimport fs_table, fs_wrong_code

ctypedef void (*RowFunction)(const fs_table *, ptrdiff_t, ptrdiff_t) noexcept nogil

cdef struct RowWork:
    RowFunction function
    const fs_table *table
    Py_ssize_t rows_at_once

cdef enum:
    # Values that are worth a thread of their own: some 40 µs, several times what it costs to wake.
    VALUES_PER_THREAD = 1 << 17
    VALUES_AT_ONCE = 1 << 14  # taken by one of several


cdef int _read_rows(fs_table *table, cnp.ndarray array) except -1:
    """The input: 2-D, its last axis contiguous."""
    _check_rows(array, "raw_prediction")
    table.source = <const char *> cnp.PyArray_DATA(array)
    table.source_stride = cnp.PyArray_STRIDE(array, 0)
    table.n_rows = cnp.PyArray_DIM(array, 0)
    table.n_classes = cnp.PyArray_DIM(array, 1)
    table.y_true = NULL
    table.weight = NULL
    table.weight_step = 0
    return 0


cdef int _check_rows(cnp.ndarray array, str name) except -1:
    _dtype(array, name)
    if cnp.PyArray_NDIM(array) != 2 or not cnp.PyArray_ISBEHAVED_RO(array) or (
        cnp.PyArray_STRIDE(array, 1) != cnp.PyArray_ITEMSIZE(array)
        and cnp.PyArray_DIM(array, 1) > 1
        and cnp.PyArray_DIM(array, 0) > 0  # strides of an empty array mean nothing
    ):
        raise TypeError(f"{name} must be 2-D, in native byte order, its last axis contiguous")
    return 0


cdef int _write_rows(fs_table *table, cnp.ndarray raw_prediction, cnp.ndarray out) except -1:
    """An output of the input's shape and dtype; its memory may be the input's."""
    _check_rows(out, "out")
    _check_writeable(out, "out")
    if cnp.PyArray_TYPE(out) != cnp.PyArray_TYPE(raw_prediction):
        raise TypeError(f"out must be {raw_prediction.dtype}; got {out.dtype}")
    if (
        cnp.PyArray_DIM(out, 0) != table.n_rows or cnp.PyArray_DIM(out, 1) != table.n_classes
    ):
        raise ValueError(
            f"out must have the shape of raw_prediction, {(table.n_rows, table.n_classes)}; "
            f"got {(cnp.PyArray_DIM(out, 0), cnp.PyArray_DIM(out, 1))}"
        )
    table.target = <char *> cnp.PyArray_DATA(out)
    table.target_stride = cnp.PyArray_STRIDE(out, 0)
    return 0


cdef int _read_codes(fs_table *table, cnp.ndarray y_true) except -1:
    """Class codes, every one in [0, n_classes)."""
    cdef int dtype = cnp.PyArray_TYPE(y_true)
    cdef Py_ssize_t wrong
    table.code_bytes = cnp.PyArray_ITEMSIZE(y_true)
    if not cnp.PyTypeNum_ISSIGNED(dtype) or not cnp.PyTypeNum_ISINTEGER(dtype) or (
        table.code_bytes != 4 and table.code_bytes != 8
    ) or not cnp.PyArray_ISBEHAVED_RO(y_true) or not cnp.PyArray_IS_C_CONTIGUOUS(y_true):
        raise TypeError(f"y_true must be a contiguous int32 or int64 array; got {y_true.dtype}")
    if cnp.PyArray_NDIM(y_true) != 1 or cnp.PyArray_DIM(y_true, 0) != table.n_rows:
        raise ValueError(
            f"y_true must have shape {(table.n_rows,)}; got {(<object> y_true).shape}")
    table.y_true = cnp.PyArray_DATA(y_true)
    with nogil:
        wrong = fs_wrong_code(table)
    if wrong >= 0:
        raise ValueError(
            f"y_true must hold class codes in [0, {table.n_classes}); got {y_true[wrong]}")
    return 0


cdef void _take_rows(
    void *context, const void *unused, ptrdiff_t share, int thread
) noexcept nogil:
    cdef const RowWork *work = <const RowWork *> context
    cdef Py_ssize_t first = share * work.rows_at_once
    work.function(work.table, first, min(first + work.rows_at_once, work.table.n_rows))


cdef void _run_rows(RowFunction function, const fs_table *table, int n_threads) noexcept nogil:
    """All rows, dealt out in GROUPs, unless these are too long.

    Rows of no classes have nothing to be read or written, and no length to group them by.
    """
    cdef Py_ssize_t n = table.n_rows, rows
    cdef double shares = <double> n * table.n_classes / VALUES_PER_THREAD
    cdef RowWork work
    if n == 0 or table.n_classes == 0:
        return
    if shares < n_threads:
        n_threads = <int> shares
    if n_threads <= 1:
        function(table, 0, n)
        return
    rows = VALUES_AT_ONCE // table.n_classes
    rows = rows // GROUP * GROUP if rows >= GROUP else max(<Py_ssize_t> 1, rows)
    work.function, work.table, work.rows_at_once = function, table, rows
    share_out(n_threads, (n + rows - 1) // rows, _take_rows, &work, NULL)


def softmax(cnp.ndarray raw_prediction, cnp.ndarray out, n_threads):
    """See reference/functions.py."""
    cdef fs_table table
    cdef int threads = _threads(n_threads)
    _read_rows(&table, raw_prediction)
    _write_rows(&table, raw_prediction, out)
    cdef bint is_single = cnp.PyArray_TYPE(raw_prediction) == cnp.NPY_FLOAT32
    with nogil:
        _run_rows(fs_softmax_f32 if is_single else fs_softmax_f64, &table, threads)


def cross_entropy_gradient(
    cnp.ndarray raw_prediction, cnp.ndarray y_true, weight, cnp.ndarray out, n_threads
):
    """See reference/functions.py."""
    cdef fs_table table
    cdef int threads = _threads(n_threads)
    _read_rows(&table, raw_prediction)
    _write_rows(&table, raw_prediction, out)
    _read_codes(&table, y_true)
    cdef bint is_single = cnp.PyArray_TYPE(raw_prediction) == cnp.NPY_FLOAT32
    cdef double share = 1.0 / max(table.n_rows, <Py_ssize_t> 1)
    cdef float share_single = <float> share
    if weight is None:
        table.weight = <const void *> &share_single if is_single else <const void *> &share
        table.weight_step = 0
    else:
        table.weight = _data(
            weight, "weight", cnp.PyArray_TYPE(raw_prediction), (table.n_rows,))
        table.weight_step = 1
    with nogil:
        _run_rows(fs_softmax_f32 if is_single else fs_softmax_f64, &table, threads)


def log_softmax(cnp.ndarray raw_prediction, cnp.ndarray out, n_threads):
    """See reference/functions.py."""
    cdef fs_table table
    cdef int threads = _threads(n_threads)
    _read_rows(&table, raw_prediction)
    _write_rows(&table, raw_prediction, out)
    cdef bint is_single = cnp.PyArray_TYPE(raw_prediction) == cnp.NPY_FLOAT32
    with nogil:
        _run_rows(fs_log_softmax_f32 if is_single else fs_log_softmax_f64, &table, threads)


cdef int _write_values(
    fs_table *table, cnp.ndarray raw_prediction, cnp.ndarray out, str name
) except -1:
    """An output of one value a row."""
    table.target = <char *> _out(
        out, name, cnp.PyArray_TYPE(raw_prediction), (table.n_rows,))
    table.target_stride = cnp.PyArray_ITEMSIZE(raw_prediction)
    return 0


def logsumexp(cnp.ndarray raw_prediction, cnp.ndarray out, n_threads):
    """See reference/functions.py."""
    cdef fs_table table
    cdef int threads = _threads(n_threads)
    _read_rows(&table, raw_prediction)
    _write_values(&table, raw_prediction, out, "out")
    cdef bint is_single = cnp.PyArray_TYPE(raw_prediction) == cnp.NPY_FLOAT32
    if table.n_classes == 0:
        out[:] = -np.inf
    with nogil:
        _run_rows(fs_losses_f32 if is_single else fs_losses_f64, &table, threads)


def cross_entropy(
    cnp.ndarray raw_prediction, cnp.ndarray y_true, cnp.ndarray loss_out, n_threads
):
    """See reference/functions.py."""
    cdef fs_table table
    cdef double total
    cdef int threads = _threads(n_threads)
    _read_rows(&table, raw_prediction)
    _write_values(&table, raw_prediction, loss_out, "loss_out")
    _read_codes(&table, y_true)
    cdef bint is_single = cnp.PyArray_TYPE(raw_prediction) == cnp.NPY_FLOAT32
    with nogil:
        if is_single:
            _run_rows(fs_losses_f32, &table, threads)
            total = fs_sum_of_f32(<const float *> table.target, table.n_rows)
        else:
            _run_rows(fs_losses_f64, &table, threads)
            total = fs_sum_of_f64(<const double *> table.target, table.n_rows)
    return total


def exp(cnp.ndarray values, cnp.ndarray out):
    """See reference/functions.py."""
    cdef int dtype = _dtype(values, "values")
    cdef void *v = _data(values, "values", dtype, (values.size,))
    cdef void *o = _out(out, "out", dtype, (values.size,))
    if dtype == cnp.NPY_FLOAT32:
        fs_exp_array_f32(<const float *> v, <float *> o, values.size)
    else:
        fs_exp_array_f64(<const double *> v, <double *> o, values.size)


def log1p(cnp.ndarray values, cnp.ndarray out):
    """See reference/functions.py."""
    cdef int dtype = _dtype(values, "values")
    cdef void *v = _data(values, "values", dtype, (values.size,))
    cdef void *o = _out(out, "out", dtype, (values.size,))
    if dtype == cnp.NPY_FLOAT32:
        fs_log1p_array_f32(<const float *> v, <float *> o, values.size)
    else:
        fs_log1p_array_f64(<const double *> v, <double *> o, values.size)


cdef void _momentum_update(
    real *params, real *velocity, const real *gradient, Py_ssize_t n, real learning_rate,
    real momentum, bint nesterov,
) noexcept nogil:
    cdef Py_ssize_t i
    if nesterov:
        for i in range(n):
            velocity[i] = momentum * velocity[i] + learning_rate * gradient[i]
            params[i] -= momentum * velocity[i] + learning_rate * gradient[i]
    else:
        for i in range(n):
            velocity[i] = momentum * velocity[i] + learning_rate * gradient[i]
            params[i] -= velocity[i]


def momentum_update(
    cnp.ndarray params_inplace, cnp.ndarray velocity_inplace, cnp.ndarray gradient,
    double learning_rate, double momentum, bint nesterov,
):
    """See reference/functions.py."""
    cdef int dtype = _dtype(params_inplace, "params_inplace")
    cdef Py_ssize_t n = params_inplace.size
    cdef void *p = _out(params_inplace, "params_inplace", dtype, (n,))
    cdef void *v = _out(velocity_inplace, "velocity_inplace", dtype, (n,))
    cdef void *g = _data(gradient, "gradient", dtype, (n,))
    with nogil:
        if dtype == cnp.NPY_FLOAT32:
            _momentum_update(<float *> p, <float *> v, <const float *> g, n,
                             <float> learning_rate, <float> momentum, nesterov)
        else:
            _momentum_update(<double *> p, <double *> v, <const double *> g, n,
                             learning_rate, momentum, nesterov)


cdef void _adagrad_update(
    real *params, real *accumulator, const real *gradient, Py_ssize_t n, real learning_rate,
    real epsilon,
) noexcept nogil:
    cdef Py_ssize_t i
    cdef real root
    for i in range(n):
        accumulator[i] += gradient[i] * gradient[i]
        root = sqrtf(accumulator[i]) if real is float else sqrt(accumulator[i])
        params[i] -= learning_rate * gradient[i] / (root + epsilon)


def adagrad_update(
    cnp.ndarray params_inplace, cnp.ndarray accumulator_inplace, cnp.ndarray gradient,
    double learning_rate, double epsilon,
):
    """See reference/functions.py."""
    cdef int dtype = _dtype(params_inplace, "params_inplace")
    cdef Py_ssize_t n = params_inplace.size
    cdef void *p = _out(params_inplace, "params_inplace", dtype, (n,))
    cdef void *a = _out(accumulator_inplace, "accumulator_inplace", dtype, (n,))
    cdef void *g = _data(gradient, "gradient", dtype, (n,))
    with nogil:
        if dtype == cnp.NPY_FLOAT32:
            _adagrad_update(<float *> p, <float *> a, <const float *> g, n,
                            <float> learning_rate, <float> epsilon)
        else:
            _adagrad_update(<double *> p, <double *> a, <const double *> g, n, learning_rate,
                            epsilon)

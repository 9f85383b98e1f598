# softmax, log-sum-exp, cross-entropy and the update rules on the caller's own arrays.
#
# Each row is read once for its maximum and once for its exponentials. Included by _kernels.pxi;
# called by functional.py.

cdef inline real _row_max(const real *row, Py_ssize_t n) noexcept nogil:
    if real is float:
        return fs_row_max_f32(row, n)
    else:
        return fs_row_max_f64(row, n)


cdef inline real _row_exp(const real *row, Py_ssize_t n, real top, real *out) noexcept nogil:
    if real is float:
        return fs_row_exp_f32(row, n, top, out)
    else:
        return fs_row_exp_f64(row, n, top, out)


cdef inline void _row_scale(real *row, Py_ssize_t n, real factor) noexcept nogil:
    if real is float:
        fs_row_scale_f32(row, n, factor)
    else:
        fs_row_scale_f64(row, n, factor)


cdef inline real _log1p(real x) noexcept nogil:
    if real is float:
        return fs_log1p_scalar_f32(x)
    else:
        return fs_log1p_scalar_f64(x)


cdef struct Table:  # a 2-D array whose rows are contiguous
    char *data
    ptrdiff_t row_stride  # bytes
    Py_ssize_t n
    Py_ssize_t n_classes
    int dtype


cdef int _table(Table *table, cnp.ndarray array, str name, int dtype) except -1:
    table.dtype = _dtype(array, name)
    if dtype != 0 and dtype != table.dtype:
        raise TypeError(f"{name} must be {cnp.PyArray_DescrFromType(dtype)}; got {array.dtype}")
    if array.ndim != 2 or not cnp.PyArray_ISBEHAVED_RO(array) or (
        cnp.PyArray_STRIDE(array, 1) != cnp.PyArray_ITEMSIZE(array)
        and cnp.PyArray_DIM(array, 1) > 1
        and cnp.PyArray_DIM(array, 0) > 0  # strides of an empty array mean nothing
    ):
        raise TypeError(f"{name} must be 2-D, in native byte order, its last axis contiguous")
    table.data = <char *> cnp.PyArray_DATA(array)
    table.row_stride = cnp.PyArray_STRIDE(array, 0)
    table.n = cnp.PyArray_DIM(array, 0)
    table.n_classes = cnp.PyArray_DIM(array, 1)
    return 0


cdef int _two_tables(
    Table *source, cnp.ndarray raw_prediction, Table *target, cnp.ndarray out
) except -1:
    """An input and an output of one shape and dtype; the output's memory may be the input's."""
    _table(source, raw_prediction, "raw_prediction", 0)
    _table(target, out, "out", source.dtype)
    if target.n != source.n or target.n_classes != source.n_classes:
        raise ValueError(
            f"out must have the shape of raw_prediction, {(source.n, source.n_classes)}; "
            f"got {(target.n, target.n_classes)}"
        )
    return 0


cdef void _softmax_rows(
    const Table *source, const Table *target, const int32_t *y_true, const real *weight
) noexcept nogil:
    """softmax, or with y_true weight · (softmax − one-hot)."""
    cdef Py_ssize_t i, K = source.n_classes
    cdef const real *row
    cdef real *out
    cdef real top, total
    for i in range(source.n):
        row = <const real *> (source.data + i * source.row_stride)
        out = <real *> (target.data + i * target.row_stride)
        top = _row_max(row, K)
        total = 1 + _row_exp(row, K, top, out)
        if y_true == NULL:
            _row_scale(out, K, 1 / total)
        else:
            _row_scale(out, K, weight[i] / total)
            out[y_true[i]] -= weight[i]


def softmax(cnp.ndarray raw_prediction, cnp.ndarray out):
    """See reference.softmax."""
    cdef Table source, target
    _two_tables(&source, raw_prediction, &target, out)
    with nogil:
        if source.dtype == cnp.NPY_FLOAT32:
            _softmax_rows(&source, &target, NULL, <const float *> NULL)
        else:
            _softmax_rows(&source, &target, NULL, <const double *> NULL)


def cross_entropy_gradient(
    cnp.ndarray raw_prediction, cnp.ndarray y_true, cnp.ndarray weight, cnp.ndarray out
):
    """See reference.cross_entropy_gradient."""
    cdef Table source, target
    _two_tables(&source, raw_prediction, &target, out)
    cdef const int32_t *y = <const int32_t *> _data(
        y_true, "y_true", cnp.NPY_INT32, (source.n,))
    cdef const void *s = _data(weight, "weight", source.dtype, (source.n,))
    with nogil:
        if source.dtype == cnp.NPY_FLOAT32:
            _softmax_rows(&source, &target, y, <const float *> s)
        else:
            _softmax_rows(&source, &target, y, <const double *> s)


cdef void _log_softmax_rows(
    const Table *source, const Table *target, const real *unused
) noexcept nogil:
    cdef Py_ssize_t i, k
    cdef const real *row
    cdef real *out
    cdef real top, log_sum
    for i in range(source.n):
        row = <const real *> (source.data + i * source.row_stride)
        out = <real *> (target.data + i * target.row_stride)
        top = _row_max(row, source.n_classes)
        log_sum = _log1p(_row_exp(row, source.n_classes, top, <real *> NULL)) + (top - top)
        for k in range(source.n_classes):
            out[k] = (row[k] - top) - log_sum


def log_softmax(cnp.ndarray raw_prediction, cnp.ndarray out):
    """See reference.log_softmax."""
    cdef Table source, target
    _two_tables(&source, raw_prediction, &target, out)
    with nogil:
        if source.dtype == cnp.NPY_FLOAT32:
            _log_softmax_rows(&source, &target, <const float *> NULL)
        else:
            _log_softmax_rows(&source, &target, <const double *> NULL)


cdef void _row_losses(const Table *source, const int32_t *y_true, real *out) noexcept nogil:
    """logsumexp, or with y_true the cross-entropy; (top − top) is NaN where top is infinite."""
    cdef Py_ssize_t i
    cdef const real *row
    cdef real top, log_sum
    for i in range(source.n):
        row = <const real *> (source.data + i * source.row_stride)
        top = _row_max(row, source.n_classes)
        log_sum = _log1p(_row_exp(row, source.n_classes, top, <real *> NULL))
        out[i] = top + log_sum if y_true == NULL else log_sum + (top - top) - (row[y_true[i]] - top)


def logsumexp(cnp.ndarray raw_prediction, cnp.ndarray out):
    """See reference.logsumexp."""
    cdef Table source
    _table(&source, raw_prediction, "raw_prediction", 0)
    cdef void *values = _data(out, "out", source.dtype, (source.n,))
    with nogil:
        if source.dtype == cnp.NPY_FLOAT32:
            _row_losses(&source, NULL, <float *> values)
        else:
            _row_losses(&source, NULL, <double *> values)


def cross_entropy(cnp.ndarray raw_prediction, cnp.ndarray y_true, cnp.ndarray loss_out):
    """See reference.cross_entropy."""
    cdef Table source
    _table(&source, raw_prediction, "raw_prediction", 0)
    cdef const int32_t *y = <const int32_t *> _data(y_true, "y_true", cnp.NPY_INT32, (source.n,))
    cdef void *values = _data(loss_out, "loss_out", source.dtype, (source.n,))
    with nogil:
        if source.dtype == cnp.NPY_FLOAT32:
            _row_losses(&source, y, <float *> values)
        else:
            _row_losses(&source, y, <double *> values)


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
    """See reference.momentum_update."""
    cdef int dtype = _dtype(params_inplace, "params")
    cdef Py_ssize_t n = params_inplace.size
    cdef void *p = _data(params_inplace, "params", dtype, (n,))
    cdef void *v = _data(velocity_inplace, "velocity", dtype, (n,))
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
    """See reference.adagrad_update."""
    cdef int dtype = _dtype(params_inplace, "params")
    cdef Py_ssize_t n = params_inplace.size
    cdef void *p = _data(params_inplace, "params", dtype, (n,))
    cdef void *a = _data(accumulator_inplace, "accumulator", dtype, (n,))
    cdef void *g = _data(gradient, "gradient", dtype, (n,))
    with nogil:
        if dtype == cnp.NPY_FLOAT32:
            _adagrad_update(<float *> p, <float *> a, <const float *> g, n,
                            <float> learning_rate, <float> epsilon)
        else:
            _adagrad_update(<double *> p, <double *> a, <const double *> g, n, learning_rate,
                            epsilon)

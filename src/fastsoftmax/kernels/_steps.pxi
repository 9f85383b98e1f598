# The four steps as functions of plain arrays, for tests and for reading; training calls `epoch`.
#
# They copy into padded tiles and back and are not fast. Included by _kernels.pxi.

from .fetch cimport fs_fetch_nothing, fs_fetcher


def stage(cnp.ndarray X, cnp.ndarray rows, shift, inverse_scale, cnp.ndarray tile_out):
    """See reference/dense.py."""
    cdef Rows source
    cdef int dtype = _dtype(tile_out, "tile_out")
    _describe(&source, X, shift, inverse_scale, dtype)
    cdef const intptr_t *numbers = _row_numbers(rows, source.n_samples)
    cdef Py_ssize_t n = rows.size
    cdef void *tile = _out(tile_out, "tile_out", dtype, (n, source.n_features))
    with nogil:
        if dtype == cnp.NPY_FLOAT32:
            _stage(&source, numbers, 0, n, <float *> tile, source.n_features)
        else:
            _stage(&source, numbers, 0, n, <double *> tile, source.n_features)


cdef real *_padded_tile(list keep, const real *tile, Py_ssize_t n, Py_ssize_t d) except NULL:
    """A caller's tile in the form that the kernels use: padded rows, a whole number of groups."""
    cdef real *rows = <real *> _aligned(keep, _round_up(n, GROUP) * _stride(d, tile) * sizeof(real))
    cdef real *copy = _packed(keep, tile, n, d)
    cdef Py_ssize_t i
    for i in range(n * _stride(d, tile)):
        rows[i] = copy[i]
    return rows


cdef const real **_sample_rows(
    list keep, const real *tile, Py_ssize_t n, Py_ssize_t stride
) except NULL:
    """Pointers to the rows of a padded tile."""
    cdef const real **samples = <const real **> _aligned(keep, n * sizeof(void *))
    cdef Py_ssize_t i
    for i in range(n):
        samples[i] = tile + i * stride
    return samples


cdef int _forward_arrays(
    real *unused, cnp.ndarray tile, cnp.ndarray coef, cnp.ndarray intercept, cnp.ndarray raw_out
) except -1:
    cdef list keep = []
    cdef int dtype = cnp.PyArray_TYPE(tile)
    cdef Py_ssize_t n = tile.shape[0], d = tile.shape[1], n_rows = coef.shape[0], i, k
    cdef Py_ssize_t size = _round_up(n, GROUP)
    cdef real *x = _padded_tile(keep, <const real *> _data(tile, "tile", dtype, (n, d)), n, d)
    cdef real *w = _packed(keep, <const real *> _data(coef, "coef", dtype, (n_rows, d)), n_rows, d)
    cdef const real *b = <const real *> _data(intercept, "intercept", dtype, (n_rows,))
    cdef const real **samples = _sample_rows(keep, x, size, _stride(d, x))
    cdef real *raw = <real *> _aligned(keep, n_rows * size * sizeof(real))
    cdef real *out = <real *> _out(raw_out, "raw_prediction_out", dtype, (n_rows, n))
    cdef fs_fetcher nothing
    fs_fetch_nothing(&nothing)
    with nogil:
        _forward(samples, w, _stride(d, x), d, b, n_rows, raw, size, size, &nothing)
        for k in range(n_rows):
            for i in range(n):
                out[k * n + i] = raw[k * size + i]
    return 0


def forward(
    cnp.ndarray tile, cnp.ndarray coef, cnp.ndarray intercept, cnp.ndarray raw_prediction_out
):
    """See reference/dense.py."""
    _check_2d(tile, "tile")
    _check_coef(coef, "coef")
    if _dtype(tile, "tile") == cnp.NPY_FLOAT32:
        _forward_arrays(<float *> NULL, tile, coef, intercept, raw_prediction_out)
    else:
        _forward_arrays(<double *> NULL, tile, coef, intercept, raw_prediction_out)


cdef int _gradient_arrays(
    real *unused, int loss_kind, cnp.ndarray raw_inplace, cnp.ndarray y_true, cnp.ndarray weight,
    cnp.ndarray loss_out, double label_smoothing,
) except -1:
    cdef list keep = []
    cdef int dtype = cnp.PyArray_TYPE(raw_inplace)
    cdef Py_ssize_t n_rows = raw_inplace.shape[0], n = raw_inplace.shape[1], i, k
    cdef Py_ssize_t size = _round_up(n, GROUP)
    cdef real *values = <real *> _out(raw_inplace, "raw_prediction_inplace", dtype, (n_rows, n))
    cdef const int32_t *y = <const int32_t *> _data(y_true, "y_true", cnp.NPY_INT32, (n,))
    _check_codes(y_true, NULL, n, _n_classes(loss_kind, n_rows))
    cdef const real *s = <const real *> _data(weight, "weight", dtype, (n,))
    cdef real *loss = <real *> _out(loss_out, "loss_out", dtype, (n,))
    cdef real *raw = <real *> _aligned(keep, n_rows * size * sizeof(real))
    cdef real *padded_weight = <real *> _aligned(keep, size * sizeof(real))
    cdef real *padded_loss = <real *> _aligned(keep, size * sizeof(real))
    cdef int32_t *codes = <int32_t *> _aligned(keep, size * sizeof(int32_t))
    with nogil:
        for i in range(n):
            padded_weight[i] = s[i]
            codes[i] = y[i]
            for k in range(n_rows):
                raw[k * size + i] = values[k * n + i]
        _smoothed_gradient(loss_kind, label_smoothing, raw, size, n_rows, codes, padded_weight,
                           padded_loss, size)
        for i in range(n):
            loss[i] = padded_loss[i]
            for k in range(n_rows):
                values[k * n + i] = raw[k * size + i]
    return 0


def softmax_gradient(
    cnp.ndarray raw_prediction_inplace, cnp.ndarray y_true, cnp.ndarray weight,
    cnp.ndarray loss_out, double label_smoothing=0.0,
):
    """See reference/dense.py."""
    _check_coef(raw_prediction_inplace, "raw_prediction_inplace")
    if _dtype(raw_prediction_inplace, "raw_prediction_inplace") == cnp.NPY_FLOAT32:
        _gradient_arrays(<float *> NULL, SOFTMAX, raw_prediction_inplace, y_true, weight,
                         loss_out, label_smoothing)
    else:
        _gradient_arrays(<double *> NULL, SOFTMAX, raw_prediction_inplace, y_true, weight,
                         loss_out, label_smoothing)


def logistic_gradient(
    cnp.ndarray raw_prediction_inplace, cnp.ndarray y_true, cnp.ndarray weight,
    cnp.ndarray loss_out, double label_smoothing=0.0,
):
    """See reference/dense.py."""
    _check_coef(raw_prediction_inplace, "raw_prediction_inplace")
    if _dtype(raw_prediction_inplace, "raw_prediction_inplace") == cnp.NPY_FLOAT32:
        _gradient_arrays(<float *> NULL, LOGISTIC, raw_prediction_inplace, y_true, weight,
                         loss_out, label_smoothing)
    else:
        _gradient_arrays(<double *> NULL, LOGISTIC, raw_prediction_inplace, y_true, weight,
                         loss_out, label_smoothing)


cdef int _backward_arrays(
    real *unused, cnp.ndarray tile, cnp.ndarray gradient, cnp.ndarray coef, cnp.ndarray coef_state,
    const Step *step,
) except -1:
    cdef list keep = []
    cdef int dtype = cnp.PyArray_TYPE(tile)
    cdef Py_ssize_t n = tile.shape[0], d = tile.shape[1], n_rows = coef.shape[0]
    cdef real *x = _padded_tile(keep, <const real *> _data(tile, "tile", dtype, (n, d)), n, d)
    cdef const real **samples = _sample_rows(keep, x, n, _stride(d, x))
    cdef const real *g = <const real *> _data(gradient, "gradient", dtype, (n_rows, n))
    cdef real *w = <real *> _out(coef, "coef_inplace", dtype, (n_rows, d))
    cdef real *v = <real *> _out(coef_state, "coef_state_inplace", dtype, (n_rows, d))
    cdef real *packed_w = _packed(keep, <const real *> w, n_rows, d)
    cdef real *packed_v = _packed(keep, <const real *> v, n_rows, d)
    cdef real *partial = <real *> _aligned(keep, n_rows * _stride(d, x) * sizeof(real))
    cdef void *room = _aligned(keep, _room(n_rows, n, x))
    cdef fs_fetcher nothing
    fs_fetch_nothing(&nothing)
    with nogil:
        _backward_update(samples, _stride(d, x), g, n, n, packed_w, packed_v, partial, n_rows,
                         step, &nothing, 0, _round_up(d, _lanes(x)), d, room)
        _unpack(<const real *> packed_w, w, n_rows, d)
        _unpack(<const real *> packed_v, v, n_rows, d)
    return 0


cdef int _intercept_arrays(
    real *unused, cnp.ndarray gradient, intercept, intercept_state, const Step *step
) except -1:
    cdef list keep = []
    cdef int dtype = cnp.PyArray_TYPE(gradient)
    cdef Py_ssize_t n_rows = gradient.shape[0], n = gradient.shape[1], k
    cdef Py_ssize_t n_bytes = _round_up(n_rows, _lanes(unused)) * <Py_ssize_t> sizeof(real)
    cdef real *g = _packed(
        keep, <const real *> _data(gradient, "gradient", dtype, (n_rows, n)), n_rows, n)
    cdef real *b = <real *> _out(intercept, "intercept_inplace", dtype, (n_rows,))
    cdef real *v = <real *> _out(intercept_state, "intercept_state_inplace", dtype, (n_rows,))
    cdef real *padded_b = <real *> _aligned(keep, n_bytes)
    cdef real *padded_v = <real *> _aligned(keep, n_bytes)
    cdef real *partial = <real *> _aligned(keep, n_bytes * _lanes(unused))
    with nogil:
        for k in range(n_rows):
            padded_b[k] = b[k]
            padded_v[k] = v[k]
        _intercept_update(<const real *> g, _stride(n, g), n, padded_b, padded_v, partial, n_rows,
                          step)
        for k in range(n_rows):
            b[k] = padded_b[k]
            v[k] = padded_v[k]
    return 0


def backward_update(
    cnp.ndarray tile, cnp.ndarray gradient, cnp.ndarray coef_inplace, intercept_inplace,
    cnp.ndarray coef_state_inplace, intercept_state_inplace, double learning_rate,
    double momentum, double alpha, str update,
):
    """See reference/dense.py."""
    cdef Step step
    cdef int dtype = _dtype(tile, "tile")
    step.learning_rate = learning_rate
    step.momentum = momentum
    step.alpha = alpha
    step.update = _choice(_UPDATE, "update", update)
    step.is_first = step.is_last = True
    _check_2d(tile, "tile")
    _check_coef(coef_inplace, "coef_inplace")
    # Looked at before coef is stepped.
    if intercept_inplace is not None or intercept_state_inplace is not None:
        shape = (coef_inplace.shape[0],)
        _out(intercept_inplace, "intercept_inplace", dtype, shape)
        _out(intercept_state_inplace, "intercept_state_inplace", dtype, shape)
    if dtype == cnp.NPY_FLOAT32:
        _backward_arrays(<float *> NULL, tile, gradient, coef_inplace, coef_state_inplace, &step)
        if intercept_inplace is not None:
            _intercept_arrays(<float *> NULL, gradient, intercept_inplace,
                              intercept_state_inplace, &step)
    else:
        _backward_arrays(<double *> NULL, tile, gradient, coef_inplace, coef_state_inplace, &step)
        if intercept_inplace is not None:
            _intercept_arrays(<double *> NULL, gradient, intercept_inplace,
                              intercept_state_inplace, &step)

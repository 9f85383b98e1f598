# Rows of X: step one of a minibatch, and the only place that knows dtypes, strides and z-scores.
#
# X is never copied as a whole: rows are gathered into a tile as they are needed, or pointed at
# where they lie if they are just what the next steps read. Included by
# _kernels.pxi; called by the epoch and by every pass over the data.

cdef struct Rows:  # X as it lies in memory, and how it is z-scored on the way
    const char *data
    ptrdiff_t row_stride  # bytes
    ptrdiff_t item_stride  # bytes
    ptrdiff_t item_size  # bytes
    int dtype
    Py_ssize_t n_samples
    Py_ssize_t n_features
    const void *shift  # NULL: values are taken as they are
    const void *inverse_scale


cdef int _describe(Rows *rows, cnp.ndarray X, shift, inverse_scale, int dtype) except -1:
    """Fill `rows` from the caller's arrays."""
    if X.ndim != 2 or not cnp.PyArray_ISBEHAVED_RO(X):
        raise TypeError("X must be 2-D, aligned and in native byte order")
    rows.dtype = cnp.PyArray_TYPE(X)
    if rows.dtype not in (cnp.NPY_UINT8, cnp.NPY_INT8, cnp.NPY_INT16, cnp.NPY_FLOAT16,
                          cnp.NPY_FLOAT32, cnp.NPY_FLOAT64):
        raise TypeError(
            f"X must be uint8, int8, int16, float16, float32 or float64; got {X.dtype}"
        )
    rows.data = <const char *> cnp.PyArray_DATA(X)
    rows.row_stride = cnp.PyArray_STRIDE(X, 0)
    rows.item_stride = cnp.PyArray_STRIDE(X, 1)
    rows.item_size = cnp.PyArray_ITEMSIZE(X)
    rows.n_samples = cnp.PyArray_DIM(X, 0)
    rows.n_features = cnp.PyArray_DIM(X, 1)
    rows.shift = rows.inverse_scale = NULL
    if shift is not None:
        rows.shift = _data(shift, "shift", dtype, (rows.n_features,))
        rows.inverse_scale = _data(inverse_scale, "inverse_scale", dtype, (rows.n_features,))
    return 0


cdef inline const char *_row(
    const Rows *X, const intptr_t *numbers, Py_ssize_t first
) noexcept nogil:
    """Where row numbers[first] starts, or row `first` itself where there are no numbers."""
    return X.data + (numbers[first] if numbers != NULL else first) * X.row_stride


cdef void _stage_items(
    const item *unused, const Rows *X, const intptr_t *numbers, Py_ssize_t first, Py_ssize_t n,
    real *tile, Py_ssize_t stride,
) noexcept nogil:
    cdef Py_ssize_t i, j
    cdef ptrdiff_t step = X.item_stride
    cdef const char *source
    cdef real *target
    for i in range(n):
        source = _row(X, numbers, first + i)
        target = tile + i * stride
        if step == sizeof(item):
            for j in range(X.n_features):
                target[j] = <real> (<const item *> source)[j]
        else:
            for j in range(X.n_features):
                target[j] = <real> (<const item *> (source + j * step))[0]


cdef void _stage_halves(
    const Rows *X, const intptr_t *numbers, Py_ssize_t first, Py_ssize_t n, real *tile,
    Py_ssize_t stride,
) noexcept nogil:
    cdef Py_ssize_t i, j
    cdef const char *source
    for i in range(n):
        source = _row(X, numbers, first + i)
        for j in range(X.n_features):
            tile[i * stride + j] = fs_half_to_float(
                (<const uint16_t *> (source + j * X.item_stride))[0]
            )


cdef void _stage(
    const Rows *X, const intptr_t *numbers, Py_ssize_t first, Py_ssize_t n, real *tile,
    Py_ssize_t stride,
) noexcept nogil:
    """Gather n rows into a tile, converted and z-scored; the only place that knows X's dtype."""
    cdef const real *shift = <const real *> X.shift
    cdef const real *inverse_scale = <const real *> X.inverse_scale
    cdef Py_ssize_t i, j
    if X.dtype == cnp.NPY_FLOAT32:
        _stage_items(<const float *> NULL, X, numbers, first, n, tile, stride)
    elif X.dtype == cnp.NPY_FLOAT64:
        _stage_items(<const double *> NULL, X, numbers, first, n, tile, stride)
    elif X.dtype == cnp.NPY_UINT8:
        _stage_items(<const uint8_t *> NULL, X, numbers, first, n, tile, stride)
    elif X.dtype == cnp.NPY_INT8:
        _stage_items(<const int8_t *> NULL, X, numbers, first, n, tile, stride)
    elif X.dtype == cnp.NPY_INT16:
        _stage_items(<const int16_t *> NULL, X, numbers, first, n, tile, stride)
    else:
        _stage_halves(X, numbers, first, n, tile, stride)
    if shift != NULL:
        for i in range(n):
            for j in range(X.n_features):
                tile[i * stride + j] = (tile[i * stride + j] - shift[j]) * inverse_scale[j]


cdef bint _is_direct(const Rows *X, const real *unused) noexcept nogil:
    """Whether rows of X are whole vectors of `real` already, so that nothing is to be staged."""
    cdef int dtype = cnp.NPY_FLOAT64
    if real is float:
        dtype = cnp.NPY_FLOAT32
    return (
        X.dtype == dtype and X.item_stride == sizeof(real) and X.shift == NULL
        and X.n_features % _lanes(unused) == 0
    )


cdef void _point(
    const Rows *X, const intptr_t *numbers, Py_ssize_t first, Py_ssize_t n, Py_ssize_t padded,
    real *tile, Py_ssize_t stride, const real **samples,
) noexcept nogil:
    """samples[i] is row first + i as the next steps read it, in X or staged in the tile.

    From n to padded they point at the first row, which is as good as any: their weight is 0.
    """
    cdef Py_ssize_t i
    cdef bint is_direct = _is_direct(X, tile)
    if not is_direct:
        _stage(X, numbers, first, n, tile, stride)
    for i in range(padded):
        if i >= n:
            samples[i] = samples[0]
        elif is_direct:
            samples[i] = <const real *> _row(X, numbers, first + i)
        else:
            samples[i] = tile + i * stride

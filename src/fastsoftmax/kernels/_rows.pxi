# Rows of X: step one of a minibatch, and the only place that knows dtypes, strides and z-scores.
#
# X is never copied as a whole: rows are gathered into a tile as they are needed, or pointed at
# where they lie if they are just what the next steps read. Included by
# _kernels.pxi; called by the epoch and by every pass over the data.

from .convert cimport (
    fs_bfloat16, fs_bfloat16_to_float, fs_half, fs_half_to_float, fs_halves_to_floats,
)
from .fetch cimport fs_prefetch
from .simd cimport FS_DIRECT_CLASSES

ctypedef fused item:  # what X may hold
    uint8_t
    int8_t
    int16_t
    fs_half
    fs_bfloat16
    float
    double

cdef enum:
    COLUMN_ITEMS = 128  # of a column-major X: how many items ahead the cache is asked for one

cdef int BFLOAT16 = -1  # NumPy gives it whatever number is free when ml_dtypes is imported


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


cdef int _item_dtype(cnp.ndarray X) except -2:
    """NumPy's number of X's dtype, BFLOAT16, or an error."""
    cdef int dtype = cnp.PyArray_TYPE(X)
    if dtype in (cnp.NPY_UINT8, cnp.NPY_INT8, cnp.NPY_INT16, cnp.NPY_FLOAT16, cnp.NPY_FLOAT32,
                 cnp.NPY_FLOAT64):
        return dtype
    if X.dtype.name == "bfloat16" and X.dtype.itemsize == 2:
        return BFLOAT16
    raise TypeError(
        "X must be uint8, int8, int16, float16, bfloat16, float32 or float64; "
        f"got {X.dtype}"
    )


cdef int _describe(Rows *rows, cnp.ndarray X, shift, inverse_scale, int dtype) except -1:
    """Fill `rows` from the caller's arrays."""
    if X.ndim != 2 or not cnp.PyArray_ISBEHAVED_RO(X):
        raise TypeError("X must be 2-D, aligned and in native byte order")
    rows.dtype = _item_dtype(X)
    rows.data = <const char *> cnp.PyArray_DATA(X)
    rows.row_stride = cnp.PyArray_STRIDE(X, 0)
    rows.item_stride = cnp.PyArray_STRIDE(X, 1)
    rows.item_size = cnp.PyArray_ITEMSIZE(X)
    rows.n_samples = cnp.PyArray_DIM(X, 0)
    rows.n_features = cnp.PyArray_DIM(X, 1)
    rows.shift = rows.inverse_scale = NULL
    if shift is not None or inverse_scale is not None:
        rows.shift = _data(shift, "shift", dtype, (rows.n_features,))
        rows.inverse_scale = _data(inverse_scale, "inverse_scale", dtype, (rows.n_features,))
    return 0


cdef inline const char *_row(
    const Rows *X, const intptr_t *numbers, Py_ssize_t first
) noexcept nogil:
    """Where row numbers[first] starts, or row `first` itself where there are no numbers."""
    return X.data + (numbers[first] if numbers != NULL else first) * X.row_stride


cdef inline real _number(const item *at, const real *unused) noexcept nogil:
    """One item of X in the type that is computed in."""
    if item is fs_half:
        return fs_half_to_float(at[0])
    elif item is fs_bfloat16:
        return fs_bfloat16_to_float(at[0])
    else:
        return <real> at[0]


cdef void _stage_rows(
    const item *unused, const Rows *X, const intptr_t *numbers, Py_ssize_t first, Py_ssize_t n,
    real *tile, Py_ssize_t stride,
) noexcept nogil:
    """Row by row, as fits a row whose items lie close together."""
    cdef const real *shift = <const real *> X.shift
    cdef const real *inverse_scale = <const real *> X.inverse_scale
    cdef ptrdiff_t step = X.item_stride
    cdef Py_ssize_t i, j, d = X.n_features
    cdef const char *source
    cdef const item *items
    cdef real *target
    for i in range(n):
        source = _row(X, numbers, first + i)
        items = <const item *> source
        target = tile + i * stride
        if step != sizeof(item):
            for j in range(d):
                target[j] = _number(<const item *> (source + j * step), tile)
        elif item is fs_half and real is float:
            fs_halves_to_floats(items, d, target)
        elif shift == NULL and (item is float and real is float
                                or item is double and real is double):
            memcpy(target, items, d * sizeof(real))
        elif shift != NULL:
            for j in range(d):
                target[j] = (_number(items + j, tile) - shift[j]) * inverse_scale[j]
            continue
        else:
            for j in range(d):
                target[j] = _number(items + j, tile)
        if shift != NULL:
            for j in range(d):
                target[j] = (target[j] - shift[j]) * inverse_scale[j]


cdef void _stage_columns(
    const item *unused, const Rows *X, const intptr_t *numbers, Py_ssize_t first, Py_ssize_t n,
    real *tile, Py_ssize_t stride,
) noexcept nogil:
    """Column by column, as fits a matrix whose columns lie close together (Fortran order).

    In a shuffled order each item is a cache line of its own, so they are asked for ahead of use.
    """
    cdef const real *shift = <const real *> X.shift
    cdef const real *inverse_scale = <const real *> X.inverse_scale
    cdef Py_ssize_t i, j, ahead = max(<Py_ssize_t> 1, COLUMN_ITEMS // n)
    cdef const char *source
    cdef real value
    for j in range(X.n_features):
        if j + ahead >= X.n_features:
            ahead = 0
        for i in range(n):
            source = _row(X, numbers, first + i) + j * X.item_stride
            fs_prefetch(source + ahead * X.item_stride)
            value = _number(<const item *> source, tile)
            if shift != NULL:
                value = (value - shift[j]) * inverse_scale[j]
            tile[i * stride + j] = value


cdef void _stage_items(
    const item *unused, const Rows *X, const intptr_t *numbers, Py_ssize_t first, Py_ssize_t n,
    real *tile, Py_ssize_t stride, bint by_column,
) noexcept nogil:
    if by_column:
        _stage_columns(unused, X, numbers, first, n, tile, stride)
    else:
        _stage_rows(unused, X, numbers, first, n, tile, stride)


cdef void _stage(
    const Rows *X, const intptr_t *numbers, Py_ssize_t first, Py_ssize_t n, real *tile,
    Py_ssize_t stride,
) noexcept nogil:
    """Gather n rows into a tile, converted and z-scored; the only place that knows X's dtype."""
    cdef bint by_column = n > 1 and labs(X.item_stride) > labs(X.row_stride)
    if X.dtype == cnp.NPY_FLOAT32:
        _stage_items(<const float *> NULL, X, numbers, first, n, tile, stride, by_column)
    elif X.dtype == cnp.NPY_FLOAT64:
        _stage_items(<const double *> NULL, X, numbers, first, n, tile, stride, by_column)
    elif X.dtype == cnp.NPY_UINT8:
        _stage_items(<const uint8_t *> NULL, X, numbers, first, n, tile, stride, by_column)
    elif X.dtype == cnp.NPY_INT8:
        _stage_items(<const int8_t *> NULL, X, numbers, first, n, tile, stride, by_column)
    elif X.dtype == cnp.NPY_INT16:
        _stage_items(<const int16_t *> NULL, X, numbers, first, n, tile, stride, by_column)
    elif X.dtype == cnp.NPY_FLOAT16:
        _stage_items(<const fs_half *> NULL, X, numbers, first, n, tile, stride, by_column)
    else:
        _stage_items(<const fs_bfloat16 *> NULL, X, numbers, first, n, tile, stride, by_column)


cdef bint _is_direct(const Rows *X, Py_ssize_t n_classes, const real *unused) noexcept nogil:
    """Whether rows of X are read where they lie: they are whole vectors of `real` already.

    For more than a few classes, each value is read so often that a copy on the cache's own lines,
    rows of which fall into different sets of it, is worth its time.
    """
    cdef int dtype = cnp.NPY_FLOAT64
    if real is float:
        dtype = cnp.NPY_FLOAT32
    return (
        X.dtype == dtype and X.item_stride == sizeof(real) and X.shift == NULL
        and X.n_features % _lanes(unused) == 0 and n_classes <= FS_DIRECT_CLASSES
    )


cdef void _point(
    const Rows *X, const intptr_t *numbers, Py_ssize_t first, Py_ssize_t n, Py_ssize_t padded,
    real *tile, Py_ssize_t stride, const real **samples, Py_ssize_t n_classes,
) noexcept nogil:
    """samples[i] is row first + i as the next steps of so many classes read it, in X or staged.

    From n to padded they point at the first row, which is as good as any: their weight is 0.
    """
    cdef Py_ssize_t i
    cdef bint is_direct = _is_direct(X, n_classes, tile)
    if not is_direct:
        _stage(X, numbers, first, n, tile, stride)
    for i in range(padded):
        if i >= n:
            samples[i] = samples[0]
        elif is_direct:
            samples[i] = <const real *> _row(X, numbers, first + i)
        else:
            samples[i] = tile + i * stride

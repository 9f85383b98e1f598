# Checks of what a kernel is given, and the aligned, padded memory that it works in.
#
# Values are not looked at here: the callers in Python do that. Included by _kernels.pxi.

from .simd cimport FS_VECTOR_BYTES

cdef void *_data(cnp.ndarray array, str name, int dtype, tuple shape) except NULL:
    """Pointer to a C-contiguous array of this dtype and shape, or an error that names it."""
    if cnp.PyArray_TYPE(array) != dtype or not cnp.PyArray_IS_C_CONTIGUOUS(array):
        raise TypeError(
            f"{name} must be C-contiguous and of dtype {cnp.PyArray_DescrFromType(dtype)}; "
            f"got {array.dtype} with strides {(<object> array).strides}"
        )
    if (<object> array).shape != shape:
        raise ValueError(f"{name} must have shape {shape}; got {(<object> array).shape}")
    return cnp.PyArray_DATA(array)


cdef void *_aligned(list keep, Py_ssize_t n_bytes) except NULL:
    """Zeros on a cache line's boundary, alive as long as the list `keep`."""
    buffer = np.zeros(n_bytes + LINE, np.uint8)
    keep.append(buffer)
    cdef uintptr_t address = <uintptr_t> cnp.PyArray_DATA(buffer)
    return <void *> ((address + LINE - 1) // LINE * LINE)


cdef inline Py_ssize_t _round_up(Py_ssize_t n, Py_ssize_t unit) noexcept nogil:
    return (n + unit - 1) // unit * unit


cdef inline Py_ssize_t _lanes(const real *unused) noexcept nogil:
    return FS_VECTOR_BYTES // <Py_ssize_t> sizeof(real)


cdef inline Py_ssize_t _stride(Py_ssize_t n_features, const real *unused) noexcept nogil:
    """Items from one row of a tile to the next: an odd number of cache lines.

    With an even number, rows of 1024 features would all fall into the same few sets of the cache.
    """
    cdef Py_ssize_t line_items = LINE // <Py_ssize_t> sizeof(real)
    return ((n_features + line_items - 1) // line_items | 1) * line_items


cdef real *_packed(
    list keep, const real *values, Py_ssize_t n_rows, Py_ssize_t n_features
) except NULL:
    """A copy of a (n_rows, n_features) array with rows of _stride items, padded with zeros."""
    cdef Py_ssize_t stride = _stride(n_features, values), k, j
    cdef real *copy = <real *> _aligned(keep, n_rows * stride * sizeof(real))
    for k in range(n_rows):
        for j in range(n_features):
            copy[k * stride + j] = values[k * n_features + j]
    return copy


cdef void _unpack(
    const real *packed, real *values, Py_ssize_t n_rows, Py_ssize_t n_features
) noexcept nogil:
    """The way back from _packed."""
    cdef Py_ssize_t stride = _stride(n_features, values), k, j
    for k in range(n_rows):
        for j in range(n_features):
            values[k * n_features + j] = packed[k * stride + j]

# Checks of what a kernel is given, and the aligned, padded memory that it works in.
#
# What is looked at: dtypes, order, shapes, whole numbers that lead to memory. Values of floats are
# not: the callers in Python do that. Included by _kernels.pxi.

from .checks cimport fs_in_range_i32, fs_in_range_i64
from .guard cimport FS_GUARD_BYTES, fs_forbid
from .simd cimport FS_VECTOR_BYTES

from .threads import MOST_A_CORE, check_n_threads

cdef int FEW_THREADS = MOST_A_CORE  # as many as any machine allows


cdef void *_data(array, str name, int dtype, tuple shape) except? NULL:
    """Pointer to a C-contiguous array of this dtype and shape, or an error that names it."""
    if not isinstance(array, np.ndarray):
        raise TypeError(f"{name} must be an ndarray; got {type(array).__name__}")
    cdef cnp.ndarray values = <cnp.ndarray> array
    if cnp.PyArray_TYPE(values) != dtype or not cnp.PyArray_ISCARRAY_RO(values):
        raise TypeError(
            f"{name} must be C-contiguous and of dtype {cnp.PyArray_DescrFromType(dtype)}, aligned "
            f"and in native byte order; got {array.dtype} with strides {array.strides}"
        )
    if array.shape != shape:
        raise ValueError(f"{name} must have shape {shape}; got {array.shape}")
    return cnp.PyArray_DATA(values)


cdef void *_out(array, str name, int dtype, tuple shape) except? NULL:
    """The same of an array that is written to."""
    cdef void *data = _data(array, name, dtype, shape)
    _check_writeable(<cnp.ndarray> array, name)
    return data


cdef int _check_writeable(cnp.ndarray array, str name) except -1:
    if not cnp.PyArray_ISWRITEABLE(array):
        raise ValueError(f"{name} must be writeable; got a read-only array")
    return 0


cdef int _check_2d(cnp.ndarray array, str name) except -1:
    """An error unless there are two axes: before their lengths are asked for."""
    if cnp.PyArray_NDIM(array) != 2:
        raise ValueError(f"{name} must have 2 dimensions; got shape {(<object> array).shape}")
    return 0


cdef int _check_coef(cnp.ndarray coef, str name) except -1:
    """The same of coefficients or of raw predictions by class; there is at least one row."""
    _check_2d(coef, name)
    if cnp.PyArray_DIM(coef, 0) == 0:
        raise ValueError(f"{name} must have at least 1 row; got shape {(<object> coef).shape}")
    return 0


cdef int _dtype(cnp.ndarray array, str name) except -1:
    """NumPy's type number of float32 or float64, or an error."""
    cdef int dtype = cnp.PyArray_TYPE(array)
    if dtype != cnp.NPY_FLOAT32 and dtype != cnp.NPY_FLOAT64:
        raise TypeError(f"{name} must be float32 or float64; got {array.dtype}")
    return dtype


cdef int _choice(dict choices, str name, str value) except -1:
    """What a word stands for."""
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(choices)}; got {value!r}")
    return choices[value]


cdef int _threads(n_threads) except -1:
    """How many threads; more than few are looked at in Python, where cores are counted."""
    if type(n_threads) is int and 1 <= n_threads <= FEW_THREADS:
        return n_threads
    return check_n_threads(n_threads)


cdef Py_ssize_t _rows_a_batch(batch_size) except -1:
    """Rows of a minibatch, at least 1; of no effect beyond what memory can hold."""
    cdef Py_ssize_t size = _count(batch_size, "batch_size")
    if size == 0:
        raise ValueError("batch_size must be at least 1; got 0")
    return min(size, MOST_ROWS)


cdef Py_ssize_t _count(number, str name) except -1:
    """A whole number at least 0; beyond what memory can hold it is of no effect."""
    try:
        count = operator.index(number)
    except TypeError:
        raise TypeError(f"{name} must be an integer; got {number!r}") from None
    if count < 0:
        raise ValueError(f"{name} must be at least 0; got {count}")
    return min(count, PY_SSIZE_T_MAX)


cdef const intptr_t *_row_numbers(cnp.ndarray rows, Py_ssize_t n_samples) except? NULL:
    """Numbers of rows of X, each in [0, n_samples)."""
    cdef const intptr_t *numbers = <const intptr_t *> _data(
        rows, "rows", cnp.NPY_INTP, (cnp.PyArray_SIZE(rows),))
    cdef Py_ssize_t n = cnp.PyArray_SIZE(rows)
    cdef bint is_sound
    with nogil:
        if sizeof(intptr_t) == 8:
            is_sound = fs_in_range_i64(<const int64_t *> numbers, n, n_samples - 1)
        else:
            is_sound = fs_in_range_i32(<const int32_t *> numbers, n, <int32_t> (n_samples - 1))
    if not is_sound:
        wrong = rows[(rows < 0) | (rows >= n_samples)][0]
        raise ValueError(f"rows must hold numbers in [0, {n_samples}); got {wrong}")
    return numbers


cdef inline Py_ssize_t _n_classes(int loss_kind, Py_ssize_t n_rows) noexcept nogil:
    """Classes that rows of coef stand for: one row of a logistic loss for two."""
    return 2 if loss_kind == LOGISTIC and n_rows == 1 else n_rows


cdef int _check_codes(
    cnp.ndarray y_true, const intptr_t *numbers, Py_ssize_t n, Py_ssize_t n_classes
) except -1:
    """An error unless the class codes of n rows are in [0, n_classes), those of `numbers` or all.

    Where the rows are many all codes are looked at, in the order in which they lie.
    """
    cdef const int32_t *codes = <const int32_t *> cnp.PyArray_DATA(y_true)
    cdef Py_ssize_t n_samples = cnp.PyArray_SIZE(y_true), i
    cdef int32_t last = <int32_t> min(n_classes, <Py_ssize_t> 0x7fffffff) - 1, code
    cdef bint is_sound = True
    with nogil:
        if numbers == NULL or n > n_samples // FEW_ROWS:
            is_sound = fs_in_range_i32(codes, n_samples, last)
        else:
            for i in range(n):
                code = codes[numbers[i]]
                is_sound &= code >= 0 and code <= last
    if not is_sound:
        wrong = y_true[(y_true < 0) | (y_true >= n_classes)][0]
        raise ValueError(f"y_true must hold class codes in [0, {n_classes}); got {wrong}")
    return 0


cdef void *_aligned(list keep, Py_ssize_t n_bytes) except NULL:
    """Zeros on a cache line's boundary, alive as long as the list `keep`."""
    buffer = np.zeros(n_bytes + LINE + FS_GUARD_BYTES, np.uint8)
    keep.append(buffer)
    cdef char *data = <char *> cnp.PyArray_DATA(buffer)
    cdef uintptr_t address = <uintptr_t> data
    cdef Py_ssize_t start = (address + LINE - 1) // LINE * LINE - address
    fs_forbid(data, start)
    fs_forbid(data + start + n_bytes, LINE + FS_GUARD_BYTES - start)
    return data + start


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

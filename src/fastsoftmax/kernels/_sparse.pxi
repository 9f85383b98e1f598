# Rows of a CSR matrix: what is read of them, predictions from them, statistics of their columns.
#
# X comes as its three arrays and is never densified; only indptr, as short as y, is copied. What
# knows their dtypes is here. indptr is checked in its copy, and features' numbers are bounded
# wherever they lead to memory, so that nothing beyond an array is read or written even where
# another thread changes X meanwhile; what comes out then is of no use. check_csr tells whether X is
# sound.
# Coefficients are feature-major inside (sparse.h), so that a value of X meets the weights of its
# feature side by side. Included by _kernels.pxi; _sparse_epoch.pxi trains with it.

from ._pool cimport ShareWork, share_out
from .checks cimport (
    fs_bounded_i32, fs_bounded_i64, fs_bounded_some_i32, fs_bounded_some_i64, fs_descents_i32,
    fs_descents_i64, fs_in_range_i32, fs_in_range_i64,
)
from .sparse cimport (
    fs_sparse_gather_f32, fs_sparse_gather_f64, fs_sparse_pack_f32, fs_sparse_pack_f64,
    fs_sparse_scatter_f32, fs_sparse_scatter_f64,
)
from .fetch cimport fs_prefetch_second

ctypedef fused entry:  # what X may hold
    float
    double

ctypedef fused index:  # numbers of features
    int32_t
    int64_t

ctypedef fused position:  # of values
    int32_t
    int64_t

cdef enum:
    ENTRIES = 128  # of a row, converted at once
    FEATURES_AT_ONCE = 1024  # turned feature-major, or added up, by one thread
    CHECKED_ROWS = 64  # looked at together, so that their features are still in the cache
    DAMAGED, SOUND, ASCENDING  # what is found of a CSR matrix


cdef struct SparseRows:  # X as it lies in memory, and how it is scaled on the way
    const void *data
    const void *indices
    const intptr_t *indptr
    bint is_double
    bint is_wide  # indices are int64
    Py_ssize_t n_samples
    Py_ssize_t n_features
    const void *inverse_scale  # NULL: values are taken as they are


cdef cnp.ndarray _one_dimensional(cnp.ndarray array, str name, tuple dtypes):
    """The array itself, or an error that names it; the dtypes are NumPy's numbers."""
    if (
        array.ndim != 1 or not cnp.PyArray_ISCARRAY_RO(array)
        or array.dtype not in [cnp.PyArray_DescrFromType(dtype) for dtype in dtypes]
    ):
        names = " or ".join(str(cnp.PyArray_DescrFromType(dtype)) for dtype in dtypes)
        raise TypeError(
            f"{name} must be 1-D, contiguous and of dtype {names}; got {array.dtype} of shape "
            f"{(<object> array).shape} with strides {(<object> array).strides}"
        )
    return array


cdef bint _copy_positions(
    const position *indptr, Py_ssize_t n, Py_ssize_t n_values, intptr_t *copy
) noexcept nogil:
    """Copy indptr, of n ≥ 1 numbers; whether they go from 0 to n_values at most and never fall."""
    cdef bint is_sound = True
    cdef Py_ssize_t i
    for i in range(n):
        copy[i] = indptr[i]
    is_sound = copy[0] == 0 and copy[n - 1] <= n_values
    for i in range(n - 1):
        is_sound &= copy[i] <= copy[i + 1]
    return is_sound


cdef int _describe_sparse(
    list keep, SparseRows *X, cnp.ndarray data, cnp.ndarray indices, cnp.ndarray indptr,
    Py_ssize_t n_features, inverse_scale, int dtype,
) except -1:
    """Fill X from the caller's arrays and a copy of indptr."""
    _one_dimensional(data, "data", (cnp.NPY_FLOAT32, cnp.NPY_FLOAT64))
    _one_dimensional(indices, "indices", (cnp.NPY_INT32, cnp.NPY_INT64))
    _one_dimensional(indptr, "indptr", (cnp.NPY_INT32, cnp.NPY_INT64))
    if n_features >= 2147483647:
        raise ValueError(f"sparse X must have fewer than 2**31 - 1 features; got {n_features}")
    cdef Py_ssize_t n = indptr.size, n_values = min(data.size, indices.size)
    positions = np.empty(n, np.intp)
    keep.append(positions)
    cdef intptr_t *copy = <intptr_t *> cnp.PyArray_DATA(<cnp.ndarray> positions)
    cdef const void *given = cnp.PyArray_DATA(indptr)
    cdef bint is_sound = n > 0
    if n > 0 and cnp.PyArray_ITEMSIZE(indptr) == sizeof(int32_t):
        is_sound = _copy_positions(<const int32_t *> given, n, n_values, copy)
    elif n > 0:
        is_sound = _copy_positions(<const int64_t *> given, n, n_values, copy)
    if not is_sound:
        ends = f"{indptr[0]} to {indptr[n - 1]}" if n > 0 else "nothing"
        raise ValueError(
            f"indptr must go from 0 up to the number of values and never fall; got {ends} with "
            f"{data.size} values and {indices.size} indices"
        )
    if n_features == 0 and copy[n - 1] > 0:
        raise ValueError(f"X must hold no values where it has no features; got {copy[n - 1]}")
    X.data = cnp.PyArray_DATA(data)
    X.indices = cnp.PyArray_DATA(indices)
    X.indptr = copy
    X.is_double = data.dtype == np.float64
    X.is_wide = indices.dtype == np.int64
    X.n_samples = indptr.size - 1
    X.n_features = n_features
    X.inverse_scale = NULL
    if inverse_scale is not None:
        X.inverse_scale = _data(inverse_scale, "inverse_scale", dtype, (n_features,))
    return 0


cdef inline Py_ssize_t _sparse_stride(Py_ssize_t n_rows, const real *unused) noexcept nogil:
    """Items from the weights of one feature to those of the next, a width that sparse.h knows."""
    cdef Py_ssize_t width = 1
    while width < n_rows and width < _lanes(unused):
        width *= 2
    return _round_up(n_rows, width)


cdef inline int32_t _bounded(const index *feature, uint32_t last) noexcept nogil:
    """A feature's number, at most `last`."""
    if index is int32_t:
        return fs_bounded_i32(feature, last)
    else:
        return fs_bounded_i64(feature, last)


cdef inline void _bounded_some(
    const index *features, Py_ssize_t n, uint32_t last, int32_t *copy
) noexcept nogil:
    if index is int32_t:
        fs_bounded_some_i32(features, n, last, copy)
    else:
        fs_bounded_some_i64(features, n, last, copy)


cdef inline void _gather(
    const real *coef, Py_ssize_t stride, const int32_t *features, const real *values,
    Py_ssize_t n, real *sums,
) noexcept nogil:
    if real is float:
        fs_sparse_gather_f32(coef, stride, features, values, n, sums)
    else:
        fs_sparse_gather_f64(coef, stride, features, values, n, sums)


cdef inline void _scatter(
    real *sums, Py_ssize_t stride, const int32_t *slots, const real *values, Py_ssize_t n,
    const real *change,
) noexcept nogil:
    """sums[slot] += value · change for each of the n."""
    if real is float:
        fs_sparse_scatter_f32(sums, stride, slots, values, n, change)
    else:
        fs_sparse_scatter_f64(sums, stride, slots, values, n, change)


cdef inline void _pack_features(
    const real *values, Py_ssize_t n_rows, Py_ssize_t n_features, real *packed, Py_ssize_t stride,
    Py_ssize_t first, Py_ssize_t last,
) noexcept nogil:
    if real is float:
        fs_sparse_pack_f32(values, n_rows, n_features, packed, stride, first, last)
    else:
        fs_sparse_pack_f64(values, n_rows, n_features, packed, stride, first, last)


cdef inline void _convert(
    const entry *data, const index *indices, Py_ssize_t n, const SparseRows *X,
    const real *inverse_scale, int32_t *features, real *values,
) noexcept nogil:
    """n of a row's values, scaled, and their features, in the types of the kernels."""
    cdef Py_ssize_t e
    _bounded_some(indices, n, <uint32_t> (X.n_features - 1), features)
    for e in range(n):
        values[e] = <real> data[e]
    if inverse_scale != NULL:
        for e in range(n):
            values[e] *= inverse_scale[features[e]]


cdef void _add_row(
    const entry *unused, const index *unused_index, const SparseRows *X, Py_ssize_t row,
    const real *coef, Py_ssize_t stride, real *sums,
) noexcept nogil:
    cdef const entry *data = <const entry *> X.data
    cdef const index *indices = <const index *> X.indices
    cdef const real *inverse_scale = <const real *> X.inverse_scale
    cdef int32_t[ENTRIES] features
    cdef real[ENTRIES] values
    cdef Py_ssize_t first = X.indptr[row], last = X.indptr[row + 1], n
    while first < last:
        n = min(last - first, <Py_ssize_t> ENTRIES)
        _convert(data + first, indices + first, n, X, inverse_scale, &features[0], &values[0])
        _gather(coef, stride, &features[0], &values[0], n, sums)
        first += n


cdef void _add_predictions(
    const SparseRows *X, Py_ssize_t row, const real *coef, Py_ssize_t stride, real *sums
) noexcept nogil:
    """sums[k] += the sum over the row's entries of value · weight of its feature in class k."""
    if X.is_double:
        if X.is_wide:
            _add_row(<const double *> NULL, <const int64_t *> NULL, X, row, coef, stride, sums)
        else:
            _add_row(<const double *> NULL, <const int32_t *> NULL, X, row, coef, stride, sums)
    elif X.is_wide:
        _add_row(<const float *> NULL, <const int64_t *> NULL, X, row, coef, stride, sums)
    else:
        _add_row(<const float *> NULL, <const int32_t *> NULL, X, row, coef, stride, sums)


cdef void _convert_entries(
    const entry *unused, const index *unused_index, const SparseRows *X, Py_ssize_t row,
    int32_t *features, real *values,
) noexcept nogil:
    cdef Py_ssize_t first = X.indptr[row]
    _convert(<const entry *> X.data + first, <const index *> X.indices + first,
             X.indptr[row + 1] - first, X, <const real *> X.inverse_scale, features, values)


cdef void _convert_row(
    const SparseRows *X, Py_ssize_t row, int32_t *features, real *values
) noexcept nogil:
    """All of a row's values, scaled, and their features, in the types of the kernels."""
    if X.is_double:
        if X.is_wide:
            _convert_entries(<const double *> NULL, <const int64_t *> NULL, X, row, features,
                             values)
        else:
            _convert_entries(<const double *> NULL, <const int32_t *> NULL, X, row, features,
                             values)
    elif X.is_wide:
        _convert_entries(<const float *> NULL, <const int64_t *> NULL, X, row, features, values)
    else:
        _convert_entries(<const float *> NULL, <const int32_t *> NULL, X, row, features, values)


cdef void _fetch_row(const SparseRows *X, Py_ssize_t row) noexcept nogil:
    """Ask for a row's entries: in a shuffled order the CPU does not foresee it."""
    cdef Py_ssize_t first = X.indptr[row], last = X.indptr[row + 1]
    cdef Py_ssize_t item = 8 if X.is_double else 4, index_item = 8 if X.is_wide else 4
    cdef Py_ssize_t at = first * item
    while at < last * item:
        fs_prefetch_second(<const char *> X.data + at, 0, 2)
        at += LINE
    at = first * index_item
    while at < last * index_item:
        fs_prefetch_second(<const char *> X.indices + at, 0, 2)
        at += LINE


cdef inline void _fetch_weights(
    const int32_t *features, Py_ssize_t n, const void *coef, Py_ssize_t n_bytes
) noexcept nogil:
    """Ask for the weights of a row's features: two rows' may overflow the first cache."""
    cdef Py_ssize_t e, at
    for e in range(n):
        at = 0
        while at < n_bytes:
            fs_prefetch_second(<const char *> coef + features[e] * n_bytes + at, 0, 2)
            at += LINE


# --- Passes that change nothing -------------------------------------------------------------------

cdef struct SparsePass:
    Pass *of
    const SparseRows *X


cdef void _sparse_pass_block(
    const Pass *p, const SparseRows *X, const real *unused, Py_ssize_t block, char *buffer
) noexcept nogil:
    """Predict a block of rows, and leave behind what this pass is for."""
    cdef real *sums = <real *> buffer
    cdef real *raw = sums + p.stride
    cdef const real *intercept = <const real *> p.intercept
    cdef const Training *t = &p.samples
    cdef Py_ssize_t start = block * PREDICTION_ROWS, i, k
    cdef Py_ssize_t n = min(<Py_ssize_t> PREDICTION_ROWS, t.n_numbers - start)
    for i in range(_round_up(n, GROUP)):
        for k in range(p.n_rows):
            sums[k] = intercept[k]
        if i < n:
            _add_predictions(X, t.numbers[start + i] if t.numbers != NULL else start + i,
                             <const real *> p.coef, p.stride, sums)
        for k in range(p.n_rows):
            raw[k * PREDICTION_ROWS + i] = sums[k]
    _finish_block(p, block, raw)


cdef void _sparse_pass_blocks(
    const SparsePass *sparse, const real *unused, ptrdiff_t share, int thread
) noexcept nogil:
    cdef Pass *p = sparse.of
    cdef Py_ssize_t first = share * BLOCKS_AT_ONCE, block
    for block in range(first, min(first + BLOCKS_AT_ONCE, p.n_blocks)):
        _sparse_pass_block(p, sparse.X, unused, block, p.buffers + thread * p.buffer_size)


cdef int _run_sparse_pass(
    const real *unused, Pass *p, const SparseRows *X, cnp.ndarray coef, cnp.ndarray intercept,
    int n_threads,
) except -1:
    """Share the blocks among the threads; each is computed alike whoever takes it."""
    cdef list keep = []
    cdef int dtype = cnp.PyArray_TYPE(coef)
    cdef Py_ssize_t d = X.n_features, n_rows = coef.shape[0]
    cdef double work = <double> X.indptr[X.n_samples] * n_rows
    cdef const real *values = <const real *> _data(coef, "coef", dtype, (n_rows, d))
    cdef SparsePass sparse
    sparse.of, sparse.X = p, X
    p.n_rows = n_rows
    p.stride = _sparse_stride(n_rows, unused)
    p.coef = _aligned(keep, d * p.stride * sizeof(real))
    p.intercept = _data(intercept, "intercept", dtype, (n_rows,))
    p.n_blocks = (p.samples.n_numbers + PREDICTION_ROWS - 1) // PREDICTION_ROWS
    n_threads = _useful_threads(
        min(<Py_ssize_t> n_threads, max(<Py_ssize_t> 1, p.n_blocks)), INFINITY, work)
    p.buffer_size = _round_up(
        (p.stride + (n_rows + 3) * PREDICTION_ROWS) * <Py_ssize_t> sizeof(real), LINE)
    p.buffers = <char *> _aligned(keep, n_threads * p.buffer_size)
    with nogil:
        _pack_features(values, n_rows, d, <real *> p.coef, p.stride, 0, d)
        share_out(n_threads, (p.n_blocks + BLOCKS_AT_ONCE - 1) // BLOCKS_AT_ONCE,
                  <ShareWork> _sparse_pass_blocks[real], &sparse, unused)
    return 0


cdef bint _run_sparse_prediction(
    int kind, cnp.ndarray data, cnp.ndarray indices, cnp.ndarray indptr, cnp.ndarray coef,
    cnp.ndarray intercept, out, str name, str loss, n_threads,
) except -1:
    """Fill `out`; True if the raw predictions are all finite."""
    cdef Pass p
    cdef SparseRows X
    cdef list keep = []
    cdef int dtype = _dtype(coef, "coef"), threads = _threads(n_threads), not_finite = False
    _check_coef(coef, "coef")
    _describe_sparse(keep, &X, data, indices, indptr, coef.shape[1], None, dtype)
    p.samples.numbers = NULL
    p.samples.n_numbers = X.n_samples
    p.samples.loss_kind = _choice(_LOSS, "loss", loss)
    p.kind = kind
    p.out = _prediction_out(kind, out, name, X.n_samples, coef.shape[0], dtype)
    p.not_finite = &not_finite
    if dtype == cnp.NPY_FLOAT32:
        _run_sparse_pass(<const float *> NULL, &p, &X, coef, intercept, threads)
    else:
        _run_sparse_pass(<const double *> NULL, &p, &X, coef, intercept, threads)
    return not not_finite


def sparse_decision_function(
    cnp.ndarray data, cnp.ndarray indices, cnp.ndarray indptr, cnp.ndarray coef,
    cnp.ndarray intercept, cnp.ndarray raw_prediction_out, n_threads,
):
    """See reference/sparse.py."""
    return _run_sparse_prediction(RAW, data, indices, indptr, coef, intercept, raw_prediction_out,
                                  "raw_prediction_out", "softmax", n_threads)


def sparse_predict_proba(
    cnp.ndarray data, cnp.ndarray indices, cnp.ndarray indptr, cnp.ndarray coef,
    cnp.ndarray intercept, cnp.ndarray probability_out, str loss, n_threads,
):
    """See reference/sparse.py."""
    return _run_sparse_prediction(PROBABILITY, data, indices, indptr, coef, intercept,
                                  probability_out, "probability_out", loss, n_threads)


def sparse_predict(
    cnp.ndarray data, cnp.ndarray indices, cnp.ndarray indptr, cnp.ndarray coef,
    cnp.ndarray intercept, cnp.ndarray code_out, n_threads,
):
    """See reference/sparse.py."""
    return _run_sparse_prediction(CODE, data, indices, indptr, coef, intercept, code_out,
                                  "code_out", "softmax", n_threads)


cdef tuple _folded(cnp.ndarray coef, intercept, shift, inverse_scale):
    """What centring adds to the intercept: x̃ = (x − shift) · inverse_scale without a dense x̃.

    With the errors that arrays of this name get elsewhere.
    """
    cdef int dtype = cnp.PyArray_TYPE(coef)
    _data(intercept, "intercept", dtype, (coef.shape[0],))
    if shift is None:
        return intercept, None
    _data(shift, "shift", dtype, (coef.shape[1],))
    _data(inverse_scale, "inverse_scale", dtype, (coef.shape[1],))
    centre = shift.astype(np.float64) * inverse_scale
    return (intercept - coef @ centre).astype(coef.dtype), centre


def sparse_loss_sum(
    cnp.ndarray data, cnp.ndarray indices, cnp.ndarray indptr, cnp.ndarray rows,
    cnp.ndarray y_true, sample_weight, shift, inverse_scale, cnp.ndarray coef,
    cnp.ndarray intercept, str loss, n_threads, double label_smoothing=0.0,
):
    """See reference/sparse.py."""
    cdef Pass p
    cdef SparseRows X
    cdef list keep = []
    cdef int dtype = _dtype(coef, "coef"), threads = _threads(n_threads)
    _check_coef(coef, "coef")
    _describe_sparse(keep, &X, data, indices, indptr, coef.shape[1], inverse_scale, dtype)
    p.samples.X.n_samples = X.n_samples
    _describe_targets(&p.samples, rows, y_true, sample_weight, loss, coef.shape[0], dtype)
    p.samples.label_smoothing = label_smoothing
    cdef double[::1] sums = np.zeros((rows.size + PREDICTION_ROWS - 1) // PREDICTION_ROWS + 1)
    p.kind = LOSS
    p.not_finite = NULL
    p.out = &sums[0]
    _data(coef, "coef", dtype, (coef.shape[0], coef.shape[1]))
    intercept, _ = _folded(coef, intercept, shift, inverse_scale)
    if dtype == cnp.NPY_FLOAT32:
        _run_sparse_pass(<const float *> NULL, &p, &X, coef, intercept, threads)
    else:
        _run_sparse_pass(<const double *> NULL, &p, &X, coef, intercept, threads)
    return float(sum(sums))


# --- Statistics of the columns --------------------------------------------------------------------

cdef struct Held:  # what a row holds, each feature once
    Py_ssize_t n
    int32_t *features  # n_features of each at most
    double *values
    int32_t *places  # of each feature among these, or -1; all -1 between rows


cdef void _take_row(
    const entry *unused, const index *unused_index, const SparseRows *X, Py_ssize_t row, Held *held
) noexcept nogil:
    """The features of a row in the order in which they are met, values of the same one added up."""
    cdef const entry *data = <const entry *> X.data + X.indptr[row]
    cdef const index *indices = <const index *> X.indices + X.indptr[row]
    cdef uint32_t most = <uint32_t> (X.n_features - 1)
    cdef Py_ssize_t size = X.indptr[row + 1] - X.indptr[row], e, n = 0
    cdef int32_t feature
    cdef bint is_ascending = size <= X.n_features
    if is_ascending:
        _bounded_some(indices, size, most, held.features)
        for e in range(size):
            held.values[e] = data[e]
        for e in range(size - 1):
            is_ascending &= held.features[e] < held.features[e + 1]
    if is_ascending:  # none is repeated
        held.n = size
        return
    for e in range(size):
        feature = _bounded(indices + e, most)
        if held.places[feature] < 0:
            held.places[feature] = <int32_t> n
            held.features[n] = feature
            held.values[n] = data[e]
            n += 1
        else:
            held.values[held.places[feature]] += data[e]
    for e in range(n):
        held.places[held.features[e]] = -1
    held.n = n


cdef double _add_statistics(
    const entry *unused, const index *unused_index, const SparseRows *X, const double *weight,
    double *mean, double *squares, double *held_weight, Held *held,
) noexcept nogil:
    """Two passes over the values that are held, the zeros in between accounted for at once."""
    cdef Py_ssize_t i, j, e
    cdef double s = 1, total = 0, delta
    for i in range(X.n_samples):
        s = 1 if weight == NULL else weight[i]
        total += s
        _take_row(unused, unused_index, X, i, held)
        for e in range(held.n):
            mean[held.features[e]] += s * held.values[e]
            held_weight[held.features[e]] += s
    if total == 0:
        return total
    for j in range(X.n_features):
        mean[j] /= total
    for i in range(X.n_samples):
        s = 1 if weight == NULL else weight[i]
        _take_row(unused, unused_index, X, i, held)
        for e in range(held.n):
            delta = held.values[e] - mean[held.features[e]]
            squares[held.features[e]] += s * delta * delta
    for j in range(X.n_features):  # exactly 0 for a full column, whose weights add up likewise
        squares[j] += max(total - held_weight[j], 0.0) * mean[j] * mean[j]
    return total


def sparse_column_statistics(
    cnp.ndarray data, cnp.ndarray indices, cnp.ndarray indptr, sample_weight,
    cnp.ndarray mean_out, cnp.ndarray squares_out, n_threads,
):
    """See reference/sparse.py."""
    cdef SparseRows X
    cdef Held held
    cdef list keep = []
    cdef Py_ssize_t d = mean_out.size
    cdef const double *weight = NULL
    cdef double total
    _threads(n_threads)
    _describe_sparse(keep, &X, data, indices, indptr, d, None, cnp.NPY_FLOAT64)
    cdef double *mean = <double *> _out(mean_out, "mean_out", cnp.NPY_FLOAT64, (d,))
    cdef double *squares = <double *> _out(squares_out, "squares_out", cnp.NPY_FLOAT64, (d,))
    cdef double *held_weight = <double *> _aligned(keep, d * sizeof(double))
    places = np.full(d, -1, np.int32)
    held.places = <int32_t *> cnp.PyArray_DATA(<cnp.ndarray> places)
    held.features = <int32_t *> _aligned(keep, d * sizeof(int32_t))
    held.values = <double *> _aligned(keep, d * sizeof(double))
    if sample_weight is not None:
        weight = <const double *> _data(
            sample_weight, "sample_weight", cnp.NPY_FLOAT64, (X.n_samples,))
    mean_out[:] = 0
    squares_out[:] = 0
    with nogil:
        if X.is_double:
            if X.is_wide:
                total = _add_statistics(<const double *> NULL, <const int64_t *> NULL, &X, weight,
                                        mean, squares, held_weight, &held)
            else:
                total = _add_statistics(<const double *> NULL, <const int32_t *> NULL, &X, weight,
                                        mean, squares, held_weight, &held)
        elif X.is_wide:
            total = _add_statistics(<const float *> NULL, <const int64_t *> NULL, &X, weight,
                                    mean, squares, held_weight, &held)
        else:
            total = _add_statistics(<const float *> NULL, <const int32_t *> NULL, &X, weight,
                                    mean, squares, held_weight, &held)
    return total


# --- Whether it is a matrix -----------------------------------------------------------------------

cdef inline bint _in_range(
    const index *indices, Py_ssize_t n, Py_ssize_t n_features
) noexcept nogil:
    if index is int32_t:
        return fs_in_range_i32(
            indices, n, <int32_t> min(n_features - 1, <Py_ssize_t> 0x7fffffff))
    else:
        return fs_in_range_i64(indices, n, n_features - 1)


cdef inline Py_ssize_t _descents(const index *indices, Py_ssize_t n) noexcept nogil:
    if index is int32_t:
        return fs_descents_i32(indices, n)
    else:
        return fs_descents_i64(indices, n)


cdef int _look_at_rows(
    const index *indices, const position *indptr, Py_ssize_t n_samples, int64_t n_values,
    Py_ssize_t n_features,
) noexcept nogil:
    """DAMAGED, or SOUND, or ASCENDING if each row's features are.

    Descents are counted without regard to rows; then those between one row and the next are taken
    off.
    """
    cdef int64_t[CHECKED_ROWS + 1] ends
    cdef Py_ssize_t block, n, i, descents
    cdef bint is_ascending = True
    cdef const index *group
    ends[0] = indptr[0]
    if ends[0] != 0:
        return DAMAGED
    for block in range((n_samples + CHECKED_ROWS - 1) // CHECKED_ROWS):
        n = min(<Py_ssize_t> CHECKED_ROWS, n_samples - block * CHECKED_ROWS)
        for i in range(n):
            ends[i + 1] = indptr[block * CHECKED_ROWS + i + 1]
            if ends[i + 1] < ends[i] or ends[i + 1] > n_values:
                return DAMAGED
        group = indices + ends[0]
        if not _in_range(group, ends[n] - ends[0], n_features):
            return DAMAGED
        if is_ascending:
            descents = _descents(group, ends[n] - ends[0])
            for i in range(1, n):
                if ends[i - 1] < ends[i] < ends[n]:
                    descents -= indices[ends[i] - 1] >= indices[ends[i]]
            is_ascending = descents == 0
        ends[0] = ends[n]
    return ASCENDING if is_ascending else SOUND


def check_csr(cnp.ndarray indices, cnp.ndarray indptr, n_values, n_features):
    """See reference/sparse.py."""
    cdef Py_ssize_t values = _count(n_values, "n_values"), d = _count(n_features, "n_features")
    cdef Py_ssize_t n = indptr.size - 1
    cdef const void *features
    cdef const void *ends
    cdef int found = DAMAGED
    _one_dimensional(indices, "indices", (cnp.NPY_INT32, cnp.NPY_INT64))
    _one_dimensional(indptr, "indptr", (cnp.NPY_INT32, cnp.NPY_INT64))
    if values > indices.size:
        raise ValueError(
            f"n_values must be at most the number of indices, {indices.size}; got {values}")
    features, ends = cnp.PyArray_DATA(indices), cnp.PyArray_DATA(indptr)
    cdef bint is_wide = cnp.PyArray_ITEMSIZE(indices) == 8
    cdef bint has_wide_ends = cnp.PyArray_ITEMSIZE(indptr) == 8
    if n < 0:
        return False, False
    with nogil:
        if is_wide and has_wide_ends:
            found = _look_at_rows(
                <const int64_t *> features, <const int64_t *> ends, n, values, d)
        elif is_wide:
            found = _look_at_rows(
                <const int64_t *> features, <const int32_t *> ends, n, values, d)
        elif has_wide_ends:
            found = _look_at_rows(
                <const int32_t *> features, <const int64_t *> ends, n, values, d)
        else:
            found = _look_at_rows(
                <const int32_t *> features, <const int32_t *> ends, n, values, d)
    return found != DAMAGED, found == ASCENDING


cdef bint _repeats(
    const index *indices, const intptr_t *indptr, Py_ssize_t n_samples, Py_ssize_t n_features,
    intptr_t *last_row,
) noexcept nogil:
    """Whether a feature is met again in the row that it was met in last."""
    cdef Py_ssize_t i, e
    cdef int32_t feature
    for i in range(n_samples):
        for e in range(indptr[i], indptr[i + 1]):
            feature = _bounded(indices + e, <uint32_t> (n_features - 1))
            if last_row[feature] == i + 1:
                return True
            last_row[feature] = i + 1
    return False


def sparse_feature_counts(
    cnp.ndarray data, cnp.ndarray indices, cnp.ndarray indptr, cnp.ndarray count_out
):
    """See reference/sparse.py."""
    cdef SparseRows X
    cdef list keep = []
    cdef Py_ssize_t d = count_out.size
    _describe_sparse(keep, &X, data, indices, indptr, d, None, cnp.NPY_FLOAT64)
    cdef intptr_t *count = <intptr_t *> _out(count_out, "count_out", cnp.NPY_INTP, (d,))
    count_out[:] = 0
    with nogil:
        if X.is_wide:
            _count_features(<const int64_t *> X.indices, X.indptr[X.n_samples], d, count)
        else:
            _count_features(<const int32_t *> X.indices, X.indptr[X.n_samples], d, count)


cdef void _count_features(
    const index *indices, Py_ssize_t n, Py_ssize_t n_features, intptr_t *count
) noexcept nogil:
    cdef Py_ssize_t e
    for e in range(n):
        count[_bounded(indices + e, <uint32_t> (n_features - 1))] += 1


def csr_repeats(cnp.ndarray indices, cnp.ndarray indptr, n_features):
    """See reference/sparse.py."""
    cdef SparseRows X
    cdef list keep = []
    cdef Py_ssize_t d = _count(n_features, "n_features")
    cdef bint found
    _one_dimensional(indices, "indices", (cnp.NPY_INT32, cnp.NPY_INT64))
    unread = indices.view(np.float32 if cnp.PyArray_ITEMSIZE(indices) == 4 else np.float64)
    _describe_sparse(keep, &X, unread, indices, indptr, d, None, cnp.NPY_FLOAT64)
    cdef intptr_t *last_row = <intptr_t *> _aligned(keep, d * sizeof(intptr_t))
    with nogil:
        if X.is_wide:
            found = _repeats(<const int64_t *> X.indices, X.indptr, X.n_samples, d, last_row)
        else:
            found = _repeats(<const int32_t *> X.indices, X.indptr, X.n_samples, d, last_row)
    return found

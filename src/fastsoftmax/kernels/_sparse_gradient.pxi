# The gradient over all CSR rows, at the cost of the values they hold.
#
# A GROUP of rows at a time is predicted, turned into its gradients, and added to the sums of the
# features that it holds, while all that is still in the cache. The rows are dealt out in shards,
# each summed by one thread in an array of its own; how many there are depends on X alone, and they
# are added up in their order, so that the number of threads changes no bit. Threads wait for each
# other twice in all. Included by _kernels.pxi.

from ._pool cimport ShareWork, share_out
from .sparse cimport fs_sparse_add_up_f32, fs_sparse_add_up_f64

cdef enum:
    MOST_SHARDS = 8
    VALUES_A_FEATURE = 32  # of each shard on average, lest most of the time goes to adding them up


cdef struct Shard:  # some of the rows, and what one thread needs for them
    Py_ssize_t first
    Py_ssize_t last
    void *sums  # (n_features, stride)
    double *intercept_sums
    double loss_sum
    void *gradient  # of a GROUP of rows, sample-major: (GROUP, stride)
    void *raw  # the same by class: (n_rows, GROUP)
    void *weight
    void *loss
    int32_t *codes
    int32_t *features  # and values: the entries of a GROUP, one row after the other
    void *values


cdef struct AllRows:  # what the threads share
    Training samples
    SparseRows X
    Py_ssize_t n_rows
    Py_ssize_t stride
    const void *coef_in
    void *coef  # the same, feature-major: (n_features, stride)
    void *intercept
    void *gradient_out
    int n_shards
    Shard[MOST_SHARDS] shards
    void *sums[MOST_SHARDS]


cdef void _take_group(
    const AllRows *a, const real *unused, Shard *shard, Py_ssize_t start, Py_ssize_t n
) noexcept nogil:
    """Add n rows from `start` on, at most a GROUP. Those of weight 0 are not looked at."""
    cdef const Training *t = &a.samples
    cdef const real *intercept = <const real *> a.intercept
    cdef real *weight = <real *> shard.weight
    cdef real *loss = <real *> shard.loss
    cdef real *raw = <real *> shard.raw
    cdef real *values = <real *> shard.values
    cdef real *sums = <real *> shard.sums
    cdef int32_t *features = shard.features
    cdef real *row
    cdef Py_ssize_t[GROUP + 2] ends
    cdef Py_ssize_t i, k, n_bytes = a.stride * <Py_ssize_t> sizeof(real)
    cdef bint fetches = a.X.n_features * n_bytes > CACHED_BYTES
    _gather_targets(t, t.numbers + start, 0, GROUP, n, 1, weight, shard.codes)
    ends[0] = 0
    for i in range(GROUP + 1):
        ends[i + 1] = ends[i]
        if i < GROUP and weight[i] != 0:
            _convert_row(&a.X, start + i, features + ends[i], values + ends[i])
            ends[i + 1] += a.X.indptr[start + i + 1] - a.X.indptr[start + i]
    for i in range(GROUP):
        if fetches:
            _fetch_weights(features + ends[i + 1], ends[i + 2] - ends[i + 1], a.coef, n_bytes)
        row = <real *> shard.gradient + i * a.stride
        for k in range(a.stride):
            row[k] = intercept[k]
        _gather(<const real *> a.coef, a.stride, features + ends[i], values + ends[i],
                ends[i + 1] - ends[i], row)
        for k in range(a.n_rows):
            raw[k * GROUP + i] = row[k]
    _smoothed_gradient(t.loss_kind, t.label_smoothing, raw, GROUP, a.n_rows, shard.codes, weight,
                       loss, GROUP)
    for i in range(n):
        if fetches:
            _fetch_weights(features + ends[i + 1], ends[i + 2] - ends[i + 1], sums, n_bytes)
        if weight[i] == 0:
            continue
        shard.loss_sum += loss[i]
        row = <real *> shard.gradient + i * a.stride
        for k in range(a.n_rows):
            row[k] = raw[k * GROUP + i]
            shard.intercept_sums[k] += row[k]
        _scatter(sums, a.stride, features + ends[i], values + ends[i], ends[i + 1] - ends[i], row)


cdef void _pack_block(
    AllRows *a, const real *unused, ptrdiff_t block, int thread
) noexcept nogil:
    cdef Py_ssize_t d = a.X.n_features, first = block * FEATURES_AT_ONCE
    _pack_features(<const real *> a.coef_in, a.n_rows, d, <real *> a.coef, a.stride, first,
                   min(first + FEATURES_AT_ONCE, d))


cdef void _sum_shard(AllRows *a, const real *unused, ptrdiff_t number, int thread) noexcept nogil:
    cdef Shard *shard = &a.shards[number]
    cdef Py_ssize_t start = shard.first
    while start < shard.last:
        _take_group(a, unused, shard, start, min(<Py_ssize_t> GROUP, shard.last - start))
        start += GROUP


cdef void _add_up_block(
    AllRows *a, const real *unused, ptrdiff_t block, int thread
) noexcept nogil:
    cdef Py_ssize_t d = a.X.n_features, first = block * FEATURES_AT_ONCE
    cdef Py_ssize_t last = min(first + FEATURES_AT_ONCE, d)
    if real is float:
        fs_sparse_add_up_f32(<float *const *> a.sums, a.n_shards, a.stride,
                             <float *> a.gradient_out, a.n_rows, d, first, last)
    else:
        fs_sparse_add_up_f64(<double *const *> a.sums, a.n_shards, a.stride,
                             <double *> a.gradient_out, a.n_rows, d, first, last)


cdef int _n_shards(const SparseRows *X, Py_ssize_t n_rows) noexcept nogil:
    """As many as the work is worth, and as are cheap to add up."""
    cdef Py_ssize_t n_values = X.indptr[X.n_samples]
    if _useful_threads(2, INFINITY, <double> n_values * n_rows) == 1:
        return 1
    return <int> max(<Py_ssize_t> 2, min(
        <Py_ssize_t> MOST_SHARDS, n_values // (VALUES_A_FEATURE * max(<Py_ssize_t> 1, X.n_features))
    ))


cdef Py_ssize_t _most_of_group(
    const SparseRows *X, Py_ssize_t first, Py_ssize_t last
) noexcept nogil:
    """Most entries that a GROUP of these rows holds."""
    cdef Py_ssize_t most = 0
    while first < last:
        most = max(most, X.indptr[min(first + GROUP, last)] - X.indptr[first])
        first += GROUP
    return most


cdef int _describe_shards(list keep, AllRows *a, const real *unused) except -1:
    """Shards of about as many values each, and their memory."""
    cdef const intptr_t *indptr = a.X.indptr
    cdef Py_ssize_t item = sizeof(real), n_samples = a.X.n_samples, row = 0, most
    cdef Shard *shard
    cdef int number
    a.n_shards = _n_shards(&a.X, a.n_rows)
    for number in range(a.n_shards):
        shard = &a.shards[number]
        shard.first = row
        while row < n_samples and (
            number + 1 == a.n_shards
            or indptr[row] < indptr[n_samples] * (number + 1) // a.n_shards
        ):
            row += 1
        shard.last = row
        shard.sums = _aligned(keep, a.X.n_features * a.stride * item)
        a.sums[number] = shard.sums
        shard.intercept_sums = <double *> _aligned(keep, a.n_rows * sizeof(double))
        shard.loss_sum = 0
        shard.gradient = _aligned(keep, GROUP * a.stride * item)
        shard.raw = _aligned(keep, GROUP * a.n_rows * item)
        shard.weight = _aligned(keep, GROUP * item)
        shard.loss = _aligned(keep, GROUP * item)
        shard.codes = <int32_t *> _aligned(keep, GROUP * sizeof(int32_t))
        most = _most_of_group(&a.X, shard.first, shard.last)
        shard.features = <int32_t *> _aligned(keep, most * sizeof(int32_t))
        shard.values = _aligned(keep, most * item)
    return 0


cdef double _sum_gradients(
    const real *unused, AllRows *a, cnp.ndarray intercept, real *intercept_gradient, int n_threads
) except? -1:
    """Allocate, sum, and write the intercept's gradient; gives the sum of the losses."""
    cdef list keep = []
    cdef Py_ssize_t item = sizeof(real), n_rows = a.n_rows, k
    cdef const real *b = <const real *> cnp.PyArray_DATA(intercept)
    cdef double total = 0
    cdef int number
    cdef Py_ssize_t n_blocks = (a.X.n_features + FEATURES_AT_ONCE - 1) // FEATURES_AT_ONCE
    a.stride = _sparse_stride(n_rows, unused)
    a.coef = _aligned(keep, a.X.n_features * a.stride * item)
    a.intercept = _aligned(keep, a.stride * item)
    for k in range(n_rows):
        (<real *> a.intercept)[k] = b[k]
    _describe_shards(keep, a, unused)
    n_threads = min(n_threads, a.n_shards)
    with nogil:
        share_out(n_threads, n_blocks, <ShareWork> _pack_block[real], a, unused)
        share_out(n_threads, a.n_shards, <ShareWork> _sum_shard[real], a, unused)
        share_out(n_threads, n_blocks, <ShareWork> _add_up_block[real], a, unused)
    for k in range(n_rows):
        total = 0
        for number in range(a.n_shards):
            total += a.shards[number].intercept_sums[k]
        intercept_gradient[k] = <real> total
    total = 0
    for number in range(a.n_shards):
        total += a.shards[number].loss_sum
    return total


def sparse_loss_gradient(
    cnp.ndarray data, cnp.ndarray indices, cnp.ndarray indptr, cnp.ndarray y_true, sample_weight,
    shift, inverse_scale, cnp.ndarray coef, cnp.ndarray intercept, cnp.ndarray coef_gradient_out,
    cnp.ndarray intercept_gradient_out, str loss, n_threads, double label_smoothing=0.0,
):
    """See reference/sparse.py."""
    cdef AllRows a
    cdef Training *t = &a.samples
    cdef list keep = []
    cdef int dtype = _dtype(coef, "coef"), threads = _threads(n_threads)
    _check_coef(coef, "coef")
    cdef Py_ssize_t n_rows = coef.shape[0], d = coef.shape[1]
    cdef double loss_sum, weight_sum
    _describe_sparse(keep, &a.X, data, indices, indptr, d, inverse_scale, dtype)
    t.X.n_samples = a.X.n_samples
    rows = np.arange(a.X.n_samples)
    _describe_targets(t, rows, y_true, sample_weight, loss, n_rows, dtype)
    t.label_smoothing = label_smoothing
    a.n_rows = n_rows
    a.coef_in = _data(coef, "coef", dtype, (n_rows, d))
    a.gradient_out = _out(coef_gradient_out, "coef_gradient_out", dtype, (n_rows, d))
    cdef void *b = _out(intercept_gradient_out, "intercept_gradient_out", dtype, (n_rows,))
    folded, centre = _folded(coef, intercept, shift, inverse_scale)
    cdef cnp.ndarray start = folded
    if dtype == cnp.NPY_FLOAT32:
        loss_sum = _sum_gradients(<const float *> NULL, &a, start, <float *> b, threads)
    else:
        loss_sum = _sum_gradients(<const double *> NULL, &a, start, <double *> b, threads)
    weight_sum = a.X.n_samples
    if sample_weight is not None:
        weight_sum = sample_weight.sum(dtype=np.float64)
    if centre is not None:
        coef_gradient_out -= np.multiply.outer(
            intercept_gradient_out, centre.astype(coef.dtype))
    coef_gradient_out /= coef.dtype.type(weight_sum)
    intercept_gradient_out /= coef.dtype.type(weight_sum)
    return loss_sum / weight_sum

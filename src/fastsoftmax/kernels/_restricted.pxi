# Softmax over the likeliest classes of each row: which they are, and what a change of coef does.
#
# A pass in two parts: raw predictions of the few classes of each row, for which each thread takes
# rows; and the gradient, for which each takes features, so that the rows are added up in their
# order at any number of threads. Included by _kernels.pxi; the loops are in
# restricted.h.

from libc.math cimport exp2

from ._pool cimport ShareWork, share_out
from .checks cimport fs_in_range_i32
from .restricted cimport (
    FS_KEPT, FS_RUNGS, FS_SCATTER_VECTORS, fs_add_raw_f32, fs_add_raw_f64, fs_keep_likeliest_f32,
    fs_keep_likeliest_f64, fs_restricted_row_f32, fs_restricted_row_f64, fs_scatter_f32,
    fs_scatter_f64,
)

N_KEPT = FS_KEPT

cdef enum:
    KEPT_ROWS = 256  # taken by one thread at once
    STRIPE_BYTES = 512  # of coef's rows, whose other stripes wait: of a thousand they fit a cache


cdef struct Restricted:  # what the threads of a pass share
    Rows X
    const intptr_t *numbers
    Py_ssize_t n
    const int32_t *kept  # (n, FS_KEPT)
    const void *probability  # (n, FS_KEPT)
    const void *sample_weight  # of X's rows; NULL: ones
    const void *coef  # (n_rows, stride), padded with zeros
    const void *intercept
    Py_ssize_t n_rows
    Py_ssize_t stride
    void *excess  # (n, FS_KEPT): raw predictions, then weight · (probability − what it was)
    void *coef_gradient  # (n_rows, stride)
    double *intercept_gradient
    double *losses  # of each chunk of rows
    Py_ssize_t n_chunks
    Py_ssize_t n_stripes
    char *tiles  # n_threads times KEPT_ROWS rows
    Py_ssize_t tile_size


cdef void _keep_likeliest(
    const Training *t, const real *gradient, Py_ssize_t stride, const int32_t *codes,
    const real *weight, Py_ssize_t first, Py_ssize_t n, real *column,
) noexcept nogil:
    """The likeliest classes of n samples, the first of which is row `first` of those asked for."""
    cdef Py_ssize_t lanes = _lanes(gradient), i, group
    cdef int32_t *kept = t.kept + first * FS_KEPT
    cdef real *probability = <real *> t.kept_probability + first * FS_KEPT
    cdef double[FS_RUNGS] rungs
    for i in range(FS_RUNGS):
        rungs[i] = exp2(-i / 3.0)
    for group in range((n + lanes - 1) // lanes):
        i = group * lanes
        if real is float:
            fs_keep_likeliest_f32(gradient + i, stride, t.model.n_rows, codes + i, weight + i,
                                  t.label_smoothing, rungs, min(lanes, n - i), column,
                                  kept + i * FS_KEPT, probability + i * FS_KEPT)
        else:
            fs_keep_likeliest_f64(gradient + i, stride, t.model.n_rows, codes + i, weight + i,
                                  t.label_smoothing, rungs, min(lanes, n - i), column,
                                  kept + i * FS_KEPT, probability + i * FS_KEPT)


cdef void _restricted_rows(
    Restricted *r, const real *unused, ptrdiff_t chunk, int thread
) noexcept nogil:
    """Raw predictions of a chunk of rows, their losses, and what their probabilities have changed.

    Features are taken in stripes, the same at any number of threads.
    """
    cdef real *tile = <real *> (r.tiles + thread * r.tile_size)
    cdef Py_ssize_t start = chunk * KEPT_ROWS, i, c, j, s
    cdef Py_ssize_t n = min(<Py_ssize_t> KEPT_ROWS, r.n - start)
    cdef Py_ssize_t n_features = _round_up(r.X.n_features, _lanes(unused))
    cdef Py_ssize_t width = STRIPE_BYTES // <Py_ssize_t> sizeof(real), last
    cdef const int32_t *kept = r.kept + start * FS_KEPT
    cdef const real *probability = <const real *> r.probability + start * FS_KEPT
    cdef const real *sample_weight = <const real *> r.sample_weight
    cdef const real *intercept = <const real *> r.intercept
    cdef real *excess = <real *> r.excess + start * FS_KEPT
    cdef (const real *)[KEPT_ROWS] samples
    cdef real weight
    cdef double total = 0
    _point(&r.X, r.numbers, start, n, n, tile, r.stride, &samples[0], 1)
    for i in range(n * FS_KEPT):
        excess[i] = intercept[kept[i]] if probability[i] != 0 else 0
    for s in range((n_features + width - 1) // width):
        j = s * width
        last = min(j + width, n_features)
        if real is float:
            fs_add_raw_f32(&samples[0], n, <const real *> r.coef, r.stride, j, last, probability,
                           kept, excess)
        else:
            fs_add_raw_f64(&samples[0], n, <const real *> r.coef, r.stride, j, last, probability,
                           kept, excess)
    for i in range(n):
        weight = 1 if sample_weight == NULL else sample_weight[r.numbers[start + i]]
        c = i * FS_KEPT
        if real is float:
            total += fs_restricted_row_f32(excess + c, probability + c, weight)
        else:
            total += fs_restricted_row_f64(excess + c, probability + c, weight)
    r.losses[chunk] = total


cdef void _restricted_features(
    Restricted *r, const real *unused, ptrdiff_t stripe, int thread
) noexcept nogil:
    """The gradient of some features, from all rows in order; with the first, the intercept's."""
    cdef real *tile = <real *> (r.tiles + thread * r.tile_size)
    cdef Py_ssize_t lanes = _lanes(unused), width = FS_SCATTER_VECTORS * lanes
    cdef Py_ssize_t first = stripe * width, chunk, start, n, i
    cdef Py_ssize_t n_features = min(width, r.X.n_features - first)
    cdef Py_ssize_t n_vectors = (n_features + lanes - 1) // lanes
    cdef const real *probability = <const real *> r.probability
    cdef const real *excess = <const real *> r.excess
    cdef real *gradient = <real *> r.coef_gradient + first
    cdef (const real *)[KEPT_ROWS] samples
    cdef Rows columns = r.X
    columns.data += first * columns.item_stride
    columns.n_features = n_features
    if columns.shift != NULL:
        columns.shift = <const real *> columns.shift + first
        columns.inverse_scale = <const real *> columns.inverse_scale + first
    for chunk in range(r.n_chunks):
        start = chunk * KEPT_ROWS
        n = min(<Py_ssize_t> KEPT_ROWS, r.n - start)
        _point(&columns, r.numbers, start, n, n, tile, width, &samples[0], 1)
        if real is float:
            fs_scatter_f32(&samples[0], n, excess + start * FS_KEPT, probability + start * FS_KEPT,
                           r.kept + start * FS_KEPT, gradient, r.stride, n_vectors)
        else:
            fs_scatter_f64(&samples[0], n, excess + start * FS_KEPT, probability + start * FS_KEPT,
                           r.kept + start * FS_KEPT, gradient, r.stride, n_vectors)
    if stripe == 0:
        for i in range(r.n * FS_KEPT):
            r.intercept_gradient[r.kept[i]] += excess[i]


cdef double _run_restricted(
    real *unused, Restricted *r, cnp.ndarray coef, cnp.ndarray intercept, cnp.ndarray coef_gradient,
    cnp.ndarray intercept_gradient, int n_threads,
) except? -1:
    cdef list keep = []
    cdef int dtype = cnp.PyArray_TYPE(coef)
    cdef Py_ssize_t n_rows = coef.shape[0], d = r.X.n_features, item = sizeof(real), k
    cdef real *of_coef = <real *> _out(coef_gradient, "coef_gradient_out", dtype, (n_rows, d))
    cdef real *of_intercept = <real *> _out(
        intercept_gradient, "intercept_gradient_out", dtype, (n_rows,))
    cdef double total = 0
    r.n_rows = n_rows
    r.stride = _stride(d, unused)
    r.coef = _packed(keep, <const real *> _data(coef, "coef", dtype, (n_rows, d)), n_rows, d)
    r.intercept = _data(intercept, "intercept", dtype, (n_rows,))
    r.coef_gradient = _aligned(keep, n_rows * r.stride * item)
    r.intercept_gradient = <double *> _aligned(keep, n_rows * sizeof(double))
    r.excess = _aligned(keep, r.n * FS_KEPT * item)
    r.n_chunks = (r.n + KEPT_ROWS - 1) // KEPT_ROWS
    r.losses = <double *> _aligned(keep, r.n_chunks * sizeof(double))
    cdef Py_ssize_t width = FS_SCATTER_VECTORS * _lanes(unused)
    r.n_stripes = (d + width - 1) // width
    n_threads = _useful_threads(n_threads, INFINITY, <double> r.n * FS_KEPT * d)
    r.tile_size = KEPT_ROWS * max(r.stride, width) * item
    r.tiles = <char *> _aligned(keep, n_threads * r.tile_size)
    with nogil:
        share_out(n_threads, r.n_chunks, <ShareWork> _restricted_rows[real], r, unused)
        share_out(n_threads, r.n_stripes, <ShareWork> _restricted_features[real], r, unused)
        for k in range(r.n_chunks):
            total += r.losses[k]
        _unpack(<const real *> r.coef_gradient, of_coef, n_rows, d)
        for k in range(n_rows):
            of_intercept[k] = <real> r.intercept_gradient[k]
    return total


def restricted_loss_gradient(
    cnp.ndarray X, cnp.ndarray rows, sample_weight, shift, inverse_scale, cnp.ndarray kept,
    cnp.ndarray probability, cnp.ndarray coef, cnp.ndarray intercept,
    cnp.ndarray coef_gradient_out, cnp.ndarray intercept_gradient_out, n_threads,
):
    """See reference/restricted.py."""
    cdef Restricted r
    cdef int dtype = _dtype(coef, "coef"), threads = _threads(n_threads)
    _check_coef(coef, "coef")
    _describe(&r.X, X, shift, inverse_scale, dtype)
    r.numbers = _row_numbers(rows, r.X.n_samples)
    r.n = rows.size
    r.kept = <const int32_t *> _data(kept, "kept", cnp.NPY_INT32, (r.n, FS_KEPT))
    if not fs_in_range_i32(r.kept, r.n * FS_KEPT, <int32_t> (coef.shape[0] - 1)):
        wrong = kept[(kept < 0) | (kept >= coef.shape[0])][0]
        raise ValueError(f"kept must hold class codes in [0, {coef.shape[0]}); got {wrong}")
    r.probability = _data(probability, "probability", dtype, (r.n, FS_KEPT))
    r.sample_weight = NULL
    if sample_weight is not None:
        r.sample_weight = _data(sample_weight, "sample_weight", dtype, (r.X.n_samples,))
    if dtype == cnp.NPY_FLOAT32:
        return _run_restricted(<float *> NULL, &r, coef, intercept, coef_gradient_out,
                               intercept_gradient_out, threads)
    return _run_restricted(<double *> NULL, &r, coef, intercept, coef_gradient_out,
                           intercept_gradient_out, threads)

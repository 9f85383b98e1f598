# Sums over all dense rows: the gradient, and the Hessian times a step.
#
# Where a core's cache holds an array of coef's size, rows are dealt out in shares, each summed by
# one thread in an array of its own, as in an epoch of narrow rows: threads wait for each other only
# at the end, and one that another program holds up keeps the others from no more than a share.
# Shares depend on the number of rows alone and are added up in their order, so that the number of
# threads changes no bit. Where coef is larger, it is an epoch of one batch: a step of length 1 from
# a velocity of 0 leaves the sum in the velocity. Included by _kernels.pxi.

from ._pool cimport ShareWork, share_out
from .vector cimport fs_add_shares_f32, fs_add_shares_f64

cdef enum:
    MOST_SUM_BYTES = 524288  # of a share's sums, at most
    FEWEST_SUM_ROWS = 512  # of a share, unless there are fewer
    MOST_SUM_SHARES = 16


cdef void _sum_share(
    Training *t, const real *unused, ptrdiff_t share, int thread
) noexcept nogil:
    cdef Step step = t.step
    cdef Py_ssize_t start = share * t.share_rows
    t.share_losses[share] = _take_share(
        t, &t.workers[thread], <real *> t.shares + share * t.share_size, &step, start,
        min(t.share_rows, t.n_numbers - start), 1, 0, 0)


cdef double _sum_rows(
    const real *unused, Training *t, real *coef_out, real *intercept_out, int n_threads
) except? -1:
    """Write the sums over all rows, in shares; gives that of the losses."""
    cdef list keep = []
    cdef Model *model = &t.model
    cdef Py_ssize_t lanes = _lanes(unused), item = sizeof(real), n_rows = model.n_rows
    cdef Py_ssize_t n = t.n_numbers, d = t.X.n_features, size = n_rows * model.stride, k, lane, rows
    cdef Worker *worker
    cdef int thread
    cdef double total = 0
    cdef real *sums
    cdef real *of_intercept
    t.share_rows = _round_up(
        max(<Py_ssize_t> FEWEST_SUM_ROWS, (n + MOST_SUM_SHARES - 1) // MOST_SUM_SHARES), GROUP)
    t.most_shares = (n + t.share_rows - 1) // t.share_rows
    t.share_size = n_rows * (model.stride + lanes)
    n_threads = min(<Py_ssize_t> _useful_threads(n_threads, INFINITY, <double> n * d * n_rows),
                    max(<Py_ssize_t> 1, t.most_shares))
    rows = t.part_rows = min(t.share_rows, _part_rows(n, model.stride * item, n_rows, 1))
    t.shares = _aligned(keep, max(<Py_ssize_t> 1, t.most_shares) * t.share_size * item)
    t.share_losses = <double *> _aligned(keep, t.most_shares * sizeof(double))
    t.workers = <Worker *> _aligned(keep, n_threads * sizeof(Worker))
    for thread in range(n_threads):
        worker = &t.workers[thread]
        worker.model = model[0]
        _give_room(keep, worker, rows, unused)
        worker.column = _aligned(keep, n_rows * FS_VECTOR_BYTES)
    sums = <real *> _aligned(keep, t.share_size * item)
    with nogil:
        share_out(n_threads, t.most_shares, <ShareWork> _sum_share[real], t, unused)
        if t.most_shares > 0:
            if real is float:
                fs_add_shares_f32(sums, <const float *> t.shares, t.share_size, t.most_shares)
            else:
                fs_add_shares_f64(sums, <const double *> t.shares, t.share_size, t.most_shares)
        _unpack(<const real *> sums, coef_out, n_rows, d)
        of_intercept = sums + size
        for k in range(n_rows):
            intercept_out[k] = 0
            for lane in range(lanes):
                intercept_out[k] += of_intercept[k * lanes + lane]
        for k in range(t.most_shares):
            total += t.share_losses[k]
    return total


cdef double _over_all_rows(
    real *unused, Training *t, cnp.ndarray coef, cnp.ndarray intercept, cnp.ndarray coef_out,
    cnp.ndarray intercept_out, n_threads,
) except? -1:
    """Write the sums over all rows, whichever way; gives that of the losses."""
    cdef list keep = []
    cdef int dtype = cnp.PyArray_TYPE(coef), threads = _threads(n_threads)
    cdef Py_ssize_t n_rows = coef.shape[0], d = t.X.n_features, n = t.n_numbers, k
    cdef const real *w = <const real *> _data(coef, "coef", dtype, (n_rows, d))
    cdef const real *b = <const real *> _data(intercept, "intercept", dtype, (n_rows,))
    cdef Model *model = &t.model
    cdef double rate = 1, total
    cdef cnp.ndarray a_coef, an_intercept
    cdef str name = "coef_gradient_out" if t.probability == NULL else "coef_out"
    cdef real *of_coef = <real *> _out(coef_out, name, dtype, (n_rows, d))
    name = "intercept_gradient_out" if t.probability == NULL else "intercept_out"
    cdef real *of_intercept = <real *> _out(intercept_out, name, dtype, (n_rows,))
    t.step.update = FS_MOMENTUM
    t.step.momentum = t.step.alpha = 0
    t.step.learning_rate = 1
    model.n_rows = n_rows
    model.stride = _stride(d, unused)
    if n_rows * model.stride * <Py_ssize_t> sizeof(real) <= MOST_SUM_BYTES:
        model.coef = _packed(keep, w, n_rows, d)
        model.intercept = _aligned(keep, _round_up(n_rows, _lanes(unused)) * sizeof(real))
        for k in range(n_rows):
            (<real *> model.intercept)[k] = b[k]
        return _sum_rows(<const real *> unused, t, of_coef, of_intercept, threads)
    a_coef, an_intercept = coef.copy(), intercept.copy()
    t.learning_rates = &rate
    t.batch_size = max(n, <Py_ssize_t> 1)
    if t.kept != NULL:
        t.columns = _aligned(keep, threads * n_rows * FS_VECTOR_BYTES)
    coef_out.fill(0)
    intercept_out.fill(0)
    total = _epoch(unused, t, a_coef, an_intercept, coef_out, intercept_out, threads)
    coef_out *= n
    intercept_out *= n
    return total


def loss_gradient(
    cnp.ndarray X, cnp.ndarray rows, cnp.ndarray y_true, sample_weight, shift, inverse_scale,
    cnp.ndarray coef, cnp.ndarray intercept, cnp.ndarray coef_gradient_out,
    cnp.ndarray intercept_gradient_out, str loss, bint fit_intercept, n_threads,
    double label_smoothing=0.0, kept_out=None, probability_out=None,
):
    """See reference/all_rows.py."""
    cdef Training t
    cdef int dtype = _dtype(coef, "coef")
    cdef double loss_sum
    _check_coef(coef, "coef")
    _describe(&t.X, X, shift, inverse_scale, dtype)
    _describe_targets(&t, rows, y_true, sample_weight, loss, coef.shape[0], dtype)
    t.label_smoothing = label_smoothing
    t.fit_intercept = fit_intercept
    if kept_out is not None or probability_out is not None:
        if t.loss_kind != SOFTMAX:
            raise ValueError(f"kept_out is for loss='softmax'; got loss={loss!r}")
        t.kept = <int32_t *> _out(kept_out, "kept_out", cnp.NPY_INT32, (rows.size, FS_KEPT))
        t.kept_probability = _out(
            probability_out, "probability_out", dtype, (rows.size, FS_KEPT))
    if dtype == cnp.NPY_FLOAT32:
        loss_sum = _over_all_rows(<float *> NULL, &t, coef, intercept, coef_gradient_out,
                                  intercept_gradient_out, n_threads)
    else:
        loss_sum = _over_all_rows(<double *> NULL, &t, coef, intercept, coef_gradient_out,
                                  intercept_gradient_out, n_threads)
    cdef double weight_sum = t.n_numbers
    if sample_weight is not None:
        weight_sum = sample_weight[rows].sum(dtype=np.float64)
    coef_gradient_out /= coef.dtype.type(weight_sum)
    intercept_gradient_out /= coef.dtype.type(weight_sum)
    return loss_sum / weight_sum


def hessian_product(
    cnp.ndarray X, cnp.ndarray rows, sample_weight, shift, inverse_scale, cnp.ndarray probability,
    cnp.ndarray coef, cnp.ndarray intercept, cnp.ndarray coef_out, cnp.ndarray intercept_out,
    str loss, bint fit_intercept, n_threads,
):
    """See reference/all_rows.py."""
    cdef Training t
    cdef int dtype = _dtype(coef, "coef")
    _check_coef(coef, "coef")
    _describe(&t.X, X, shift, inverse_scale, dtype)
    _describe_samples(&t, rows, sample_weight, loss, dtype)
    t.probability = _data(probability, "probability", dtype, (coef.shape[0], t.n_numbers))
    t.fit_intercept = fit_intercept
    if dtype == cnp.NPY_FLOAT32:
        _over_all_rows(<float *> NULL, &t, coef, intercept, coef_out, intercept_out, n_threads)
    else:
        _over_all_rows(<double *> NULL, &t, coef, intercept, coef_out, intercept_out, n_threads)

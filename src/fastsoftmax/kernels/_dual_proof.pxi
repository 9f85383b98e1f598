# What a proof asks beyond the gap: the intercept's best, and points nearer to the dual's optimum.
#
# Both start from the probabilities that the gap has left. Rows are dealt into shares that depend on
# their number and that of the classes alone, each summed by one thread and added in order, so that
# the number of threads changes no bit. What a row does is in dual_point.h. Included by _kernels.pxi
# after _dual.pxi.

from .dual cimport FS_DUAL_SHARES, fs_dual_between, fs_dual_moved, fs_dual_outer

cdef enum:
    OUTER_ROWS = 8  # whose products with themselves are added up at once
    SUMMED_SHARES = 8
    WIDE_SHARES = 2  # the same for more classes than these, whose products fill the cache
    WIDE_CLASSES = 256


cdef struct MovedShare:  # sums over a share of the rows
    double rise
    double *mean
    double *outer  # (n_rows, n_lanes) of a softmax, n_lanes of logistic losses
    double *rows  # OUTER_ROWS of them, and their weights
    double *weight


cdef struct Moved:
    Training samples
    Py_ssize_t n_rows
    Py_ssize_t n_lanes
    const void *probability
    const double *factor
    Py_ssize_t every
    Py_ssize_t n_shares
    MovedShare *shares


cdef double *_factors(
    list keep, cnp.ndarray change, Py_ssize_t n_rows, Py_ssize_t n_lanes
) except NULL:
    """exp of what the intercept moves by, padded with ones."""
    _data(change, "change", cnp.NPY_FLOAT64, (n_rows,))
    cdef double *factor = <double *> _aligned(keep, n_lanes * sizeof(double))
    cdef double[::1] factors = np.exp(change)
    cdef Py_ssize_t k
    for k in range(n_lanes):
        factor[k] = factors[k] if k < n_rows else 1.0
    return factor


cdef inline double _load_moved(
    const void *probability, const real *unused, Py_ssize_t row, Py_ssize_t n_rows,
    Py_ssize_t n_lanes, const double *factor, bint is_softmax, double *p,
) noexcept nogil:
    """A row's probabilities where the intercept has moved, and what its loss rises by."""
    cdef const real *source = <const real *> probability + row * n_rows
    cdef Py_ssize_t k
    for k in range(n_rows):
        p[k] = source[k]
    for k in range(n_rows, n_lanes):
        p[k] = 0
    return fs_dual_moved(p, factor, n_lanes, is_softmax)


cdef void _move_share(Moved *m, const real *unused, ptrdiff_t which, int thread) noexcept nogil:
    cdef const Training *t = &m.samples
    cdef MovedShare *share = m.shares + which
    cdef bint is_softmax = t.loss_kind == SOFTMAX
    cdef Py_ssize_t n = m.n_lanes, n_held = 0, i, k
    cdef double weight
    cdef double *p
    for i in range(t.n_numbers * which // m.n_shares, t.n_numbers * (which + 1) // m.n_shares):
        weight = _weight(t, unused, t.numbers[i])
        p = share.rows + n_held * n
        share.rise += weight * _load_moved(
            m.probability, unused, t.numbers[i], m.n_rows, n, m.factor, is_softmax, p)
        for k in range(m.n_rows):
            share.mean[k] += weight * p[k]
        if not is_softmax:
            for k in range(m.n_rows):
                share.outer[k] += weight * p[k] * (1 - p[k])
        elif i % m.every == 0:
            share.weight[n_held] = weight
            n_held += 1
        if n_held == OUTER_ROWS:
            fs_dual_outer(share.outer, share.rows, share.weight, n_held, m.n_rows, n)
            n_held = 0
    fs_dual_outer(share.outer, share.rows, share.weight, n_held, m.n_rows, n)


cdef void _move_shares(Moved *m, const real *unused, int n_threads) noexcept:
    with nogil:
        share_out(n_threads, m.n_shares, <ShareWork> _move_share[real], m, unused)


def dual_intercept(
    cnp.ndarray rows, sample_weight, cnp.ndarray probability, cnp.ndarray change, str loss, every,
    cnp.ndarray mean_out, cnp.ndarray hessian_out, n_threads,
):
    """See reference/dual.py."""
    cdef Moved m
    cdef list keep = []
    cdef int dtype = _dtype(probability, "probability"), threads = _threads(n_threads)
    _check_2d(probability, "probability")
    cdef Py_ssize_t n_rows = probability.shape[1], n, n_outer, which, k, j
    cdef double rise = 0
    if n_rows == 0:
        raise ValueError("probability must have at least 1 column")
    m.samples.X.n_samples = probability.shape[0]
    _describe_samples(&m.samples, rows, sample_weight, loss, dtype)
    m.every = max(<Py_ssize_t> 1, _count(every, "every"))
    m.probability = _data(probability, "probability", dtype, (probability.shape[0], n_rows))
    m.n_rows = n_rows
    m.n_lanes = n = _round_up(n_rows, FS_VECTOR_BYTES // <Py_ssize_t> sizeof(double))
    m.factor = _factors(keep, change, n_rows, n)
    cdef double *mean = <double *> _out(mean_out, "mean_out", cnp.NPY_FLOAT64, (n_rows,))
    cdef double *hessian = <double *> _out(
        hessian_out, "hessian_out", cnp.NPY_FLOAT64, (n_rows, n_rows))
    cdef bint is_softmax = m.samples.loss_kind == SOFTMAX
    n_outer = n_rows if is_softmax else 1
    m.n_shares = SUMMED_SHARES if n_rows <= WIDE_CLASSES else WIDE_SHARES
    m.shares = <MovedShare *> _aligned(keep, m.n_shares * sizeof(MovedShare))
    for which in range(m.n_shares):
        m.shares[which].mean = <double *> _aligned(
            keep, (1 + n_outer + OUTER_ROWS) * n * sizeof(double))
        m.shares[which].outer = m.shares[which].mean + n
        m.shares[which].rows = m.shares[which].outer + n_outer * n
        m.shares[which].weight = <double *> _aligned(keep, OUTER_ROWS * sizeof(double))
    threads = _useful_threads(
        <int> min(<Py_ssize_t> threads, m.n_shares), INFINITY,
        <double> m.samples.n_numbers * n_rows * (8 + n_outer // m.every))
    if dtype == cnp.NPY_FLOAT32:
        _move_shares(&m, <const float *> NULL, threads)
    else:
        _move_shares(&m, <const double *> NULL, threads)
    mean_out[:] = 0
    hessian_out[:] = 0
    for which in range(m.n_shares):
        rise += m.shares[which].rise
        for k in range(n_rows):
            mean[k] += m.shares[which].mean[k]
            if not is_softmax:
                hessian[k * n_rows + k] += m.shares[which].outer[k]
                continue
            for j in range(k, n_rows):
                hessian[k * n_rows + j] -= m.every * m.shares[which].outer[k * n + j]
    if is_softmax:
        for k in range(n_rows):
            for j in range(k + 1, n_rows):
                hessian[j * n_rows + k] = hessian[k * n_rows + j]
            hessian[k * n_rows + k] += mean[k]
    return rise


# --- Points nearer to the optimum -----------------------------------------------------------------

cdef inline void _clear_padding(double *values, Py_ssize_t n_rows, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t k
    for k in range(n_rows, n):
        values[k] = 0


cdef void _near_shard(Dual *s, const real *unused, ptrdiff_t which, int thread) noexcept nogil:
    """What a shard's rows add to the divergences, and to what lies between the weights."""
    cdef const Training *t = &s.samples
    cdef DualWorker *worker = s.workers + thread
    cdef DualShard *shard = s.shards + which
    cdef Py_ssize_t n = s.n_lanes, i, k, row
    cdef Py_ssize_t first = t.n_numbers * which // s.n_shards
    cdef Py_ssize_t last = t.n_numbers * (which + 1) // s.n_shards
    cdef bint is_softmax = t.loss_kind == SOFTMAX
    cdef double *q = worker.wide
    cdef double *other = q + n
    cdef double *p = q + 2 * n
    cdef double *sums = s.sums + which * (FS_DUAL_SHARES + 1)
    cdef real *change = <real *> worker.room
    cdef const StagedRow *staged
    cdef double weight, square
    memset(shard.coef, 0, s.n_slots * s.stride * sizeof(real))
    for i in range(first, last):
        row = t.numbers[i]
        staged = _staged(s, unused, worker, shard.coef, i, first, last)
        weight = _weight(t, unused, row)
        _load_shares(s, unused, row, q)
        _load_moved(s.probability, unused, row, s.n_rows, n, s.factor, is_softmax, p)
        memcpy(other, p, n * sizeof(double))
        if s.repairs:
            fs_dual_repair(q, s.keep, s.give, n, is_softmax)
            fs_dual_repair(other, s.other_keep, s.other_give, n, is_softmax)
        _clear_padding(q, s.n_rows, n)
        _clear_padding(other, s.n_rows, n)
        square = fs_dual_between(q, other, p, n, is_softmax, weight, sums)
        sums[FS_DUAL_SHARES] += weight * sqrt(square * staged.square_norm)
        for k in range(n):
            change[k] = <real> (s.unit * weight * other[k])
        _scatter(<real *> shard.coef, s.stride, staged.slots, <const real *> staged.values,
                 staged.n, <const real *> change)


cdef void _run_near(Dual *s, const real *unused, int n_threads) noexcept:
    with nogil:
        share_out(n_threads, s.n_shards, <ShareWork> _near_shard[real], s, unused)
        _merge(s, unused, 1.0, n_threads)


def sparse_dual_nearer(
    cnp.ndarray data, cnp.ndarray indices, cnp.ndarray indptr, cnp.ndarray rows, sample_weight,
    inverse_scale, cnp.ndarray slots, cnp.ndarray dual, cnp.ndarray probability,
    cnp.ndarray change, cnp.ndarray totals, cnp.ndarray mean, cnp.ndarray coef_out,
    cnp.ndarray divergence_out, str loss, double unit, double weight_sum, bint repairs, n_threads,
):
    """See reference/dual.py."""
    cdef Dual s
    cdef list keep = []
    cdef int threads = _dual_threads(n_threads, indices, dual, coef_out), dtype
    cdef Py_ssize_t which, k
    cdef double spread = 0
    cdef cnp.ndarray intercept = np.zeros(
        dual.shape[1] if cnp.PyArray_NDIM(dual) == 2 else 0, dual.dtype)
    _describe_dual(keep, &s, data, indices, indptr, rows, None, sample_weight, inverse_scale,
                   slots, dual, coef_out, intercept, loss, 0.0, unit, threads)
    dtype = cnp.PyArray_TYPE(dual)
    s.probability = _data(probability, "probability", dtype, (s.X.n_samples, s.n_rows))
    s.factor = _factors(keep, change, s.n_rows, s.n_lanes)
    cdef const double *known = <const double *> _data(
        totals, "totals", cnp.NPY_FLOAT64, (2, s.n_rows))
    cdef const double *moved = <const double *> _data(
        mean, "mean", cnp.NPY_FLOAT64, (s.n_rows,))
    cdef double *out = <double *> _out(
        divergence_out, "divergence_out", cnp.NPY_FLOAT64, (FS_DUAL_SHARES,))
    s.repairs = repairs
    s.keep = <double *> _aligned(keep, 4 * s.n_lanes * sizeof(double))
    s.give = s.keep + s.n_lanes
    s.other_keep = s.keep + 2 * s.n_lanes
    s.other_give = s.keep + 3 * s.n_lanes
    _find_repair(&s, known, known + s.n_rows, weight_sum, s.keep, s.give)
    _find_repair(&s, moved, known + s.n_rows, weight_sum, s.other_keep, s.other_give)
    s.sums = <double *> _aligned(keep, s.n_shards * (FS_DUAL_SHARES + 1) * sizeof(double))
    if dtype == cnp.NPY_FLOAT32:
        _run_near(&s, <const float *> NULL, threads)
    else:
        _run_near(&s, <const double *> NULL, threads)
    for k in range(FS_DUAL_SHARES):
        out[k] = 0
        for which in range(s.n_shards):
            out[k] += s.sums[which * (FS_DUAL_SHARES + 1) + k]
    for which in range(s.n_shards):
        spread += s.sums[which * (FS_DUAL_SHARES + 1) + FS_DUAL_SHARES]
    return _sum_squares(&s), spread

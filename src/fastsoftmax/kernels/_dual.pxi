# Dual coordinate ascent over sparse rows: an epoch of it, the duality gap, and coef from its slots.
#
# Each row has a point q of the dual, kept as logarithms or logits; the weights are a sum over rows
# of what q misses of the targets. Rows are dealt into shards, each with weights of its own, which
# are averaged at the end: threads take whole shards, so that their number changes no bit. A feature
# that occurs has a slot, whose weights lie side by side. What a row does is in dual.h, and in
# dual_point.h for the gap. Included by _kernels.pxi.

from ._pool cimport ShareWork, share_out
from .dual cimport (
    FS_DUAL_LOWEST, fs_dual_divergence, fs_dual_logistic_f32, fs_dual_logistic_f64,
    fs_dual_merge_f32, fs_dual_merge_f64, fs_dual_repair, fs_dual_shares, fs_dual_slots_f32,
    fs_dual_slots_f64, fs_dual_softmax_f32, fs_dual_softmax_f64, fs_dual_square_norm_f32,
    fs_dual_square_norm_f64, fs_dual_unpack_f32, fs_dual_unpack_f64,
)

from .fetch cimport fs_prefetch, fs_prefetch_second

cdef enum:
    MERGED = 256  # features whose weights are averaged, and squared, at once
    ENTRIES_AHEAD = 4  # rows: how far ahead of use their entries are asked for
    GAP_ROWS = 64  # of each sum of the gap
    GAP_SUMS = 8  # taken by one thread
    MERGES = 8  # times MERGED features, by one thread


cdef struct StagedRow:  # slots and values of a row, as many as any row holds
    int32_t *slots
    void *values
    Py_ssize_t n
    double square_norm


cdef struct DualWorker:  # what one thread works in
    StagedRow[2] rows  # this one, and the next, whose weights are on their way
    void *room  # of the computed type: 6 rows of n_lanes items
    double *wide  # 3 such rows in double: what a row of the gap is reckoned in


cdef struct DualShard:  # what becomes of a shard
    void *coef  # (n_slots, stride)
    void *intercept  # n_lanes items
    double *totals  # of q and of the targets, n_rows of each; NULL in an epoch
    double loss
    double divergence


cdef struct Dual:
    Training samples
    SparseRows X
    const int32_t *slots  # NULL where each feature has the slot of its number
    Py_ssize_t n_slots
    Py_ssize_t n_rows
    Py_ssize_t stride
    Py_ssize_t n_lanes  # stride, in whole vectors
    Py_ssize_t n_shards
    void *dual  # (n_samples, n_rows)
    double unit
    double intercept_unit
    double damping
    DualShard *shards
    DualWorker *workers
    double scale  # of a merge
    double *squares  # of the weights of MERGED features each
    double *keep  # the repair of the dual point
    double *give
    bint repairs
    void *probability
    double *sums  # of GAP_ROWS rows each: loss, divergence, spread
    double *factor  # of a proof (_dual_proof.pxi): what the intercept moves by, and another repair
    double *other_keep
    double *other_give


# --- One row --------------------------------------------------------------------------------------

cdef void _stage_row(
    const real *unused, const SparseRows *X, const int32_t *slots, Py_ssize_t row,
    StagedRow *staged,
) noexcept nogil:
    """The row's slots, its scaled values and their squares' sum."""
    cdef real *values = <real *> staged.values
    _convert_row(X, row, staged.slots, values)
    staged.n = X.indptr[row + 1] - X.indptr[row]
    if real is float:
        if slots != NULL:
            staged.n = fs_dual_slots_f32(slots, staged.slots, values, staged.n)
        staged.square_norm = fs_dual_square_norm_f32(values, staged.n)
    else:
        if slots != NULL:
            staged.n = fs_dual_slots_f64(slots, staged.slots, values, staged.n)
        staged.square_norm = fs_dual_square_norm_f64(values, staged.n)


cdef inline double _dual_row(
    int loss_kind, real *raw, real *dual, Py_ssize_t n, double curvature, real *change, real *room
) noexcept nogil:
    if real is float:
        if loss_kind == SOFTMAX:
            return fs_dual_softmax_f32(raw, dual, n, <float> curvature, change, room)
        return fs_dual_logistic_f32(raw, dual, n, <float> curvature, change)
    else:
        if loss_kind == SOFTMAX:
            return fs_dual_softmax_f64(raw, dual, n, curvature, change, room)
        return fs_dual_logistic_f64(raw, dual, n, curvature, change)


cdef inline double _target(const Dual *s, int32_t code, Py_ssize_t k) noexcept nogil:
    """What the row's probability of class k, or of logistic loss k, is to be."""
    cdef double smoothing = s.samples.label_smoothing
    cdef bint is_own = code == (1 if s.samples.loss_kind == LOGISTIC and s.n_rows == 1 else k)
    cdef double even = 1.0 / s.n_rows if s.samples.loss_kind == SOFTMAX else 0.5
    return (1 - smoothing if is_own else 0.0) + smoothing * even


cdef inline double _weight(const Training *t, const real *unused, Py_ssize_t row) noexcept nogil:
    return 1.0 if t.sample_weight == NULL else (<const real *> t.sample_weight)[row]


cdef void _dual_step(
    Dual *s, const real *unused, DualShard *shard, DualWorker *worker, Py_ssize_t row,
    const StagedRow *staged,
) noexcept nogil:
    """One row's step, and what it changes in the weights of its shard."""
    cdef Training *t = &s.samples
    cdef Py_ssize_t n = s.n_lanes, n_rows = s.n_rows, k
    cdef bint is_softmax = t.loss_kind == SOFTMAX
    cdef real *raw = <real *> worker.room
    cdef real *dual = raw + n
    cdef real *change = raw + 2 * n
    cdef real *own = <real *> s.dual + row * n_rows
    cdef real *intercept = <real *> shard.intercept
    cdef double weight = _weight(t, unused, row), loss = 0, curvature, share
    cdef double n_shards = <double> s.n_shards
    for k in range(n_rows):
        raw[k] = intercept[k]
        dual[k] = own[k]
    for k in range(n_rows, n):
        raw[k] = dual[k] = <real> (FS_DUAL_LOWEST if is_softmax else 0.0)
    _gather(<const real *> shard.coef, s.stride, staged.slots, <const real *> staged.values,
            staged.n, raw)
    if not is_softmax:
        for k in range(n_rows):
            loss -= _target(s, t.y_true[row], k) * raw[k]
    curvature = n_shards * weight * (s.unit * staged.square_norm + s.intercept_unit)
    shard.divergence += weight * _dual_row(
        t.loss_kind, raw, dual, n, s.damping * curvature, change, raw + 3 * n)
    if is_softmax:
        loss -= (1 - t.label_smoothing) * raw[t.y_true[row]]
        if t.label_smoothing > 0:
            for k in range(n_rows):
                loss -= t.label_smoothing / n_rows * raw[k]
    else:
        for k in range(n_rows):
            loss += raw[k]
    shard.loss += weight * loss
    share = n_shards * weight
    for k in range(n_rows):
        own[k] = dual[k]
        intercept[k] += <real> (share * s.intercept_unit) * change[k]
    for k in range(n):
        change[k] *= <real> (share * s.unit)
    _scatter(<real *> shard.coef, s.stride, staged.slots, <const real *> staged.values, staged.n,
             <const real *> change)


# --- An epoch -------------------------------------------------------------------------------------

cdef StagedRow *_staged(
    const Dual *s, const real *unused, DualWorker *worker, const void *coef, Py_ssize_t i,
    Py_ssize_t first, Py_ssize_t last,
) noexcept nogil:
    """Row i of [first, last), which are taken in order; the next one is staged ahead of its use."""
    cdef const Training *t = &s.samples
    cdef StagedRow *ahead = &worker.rows[(i + 1) & 1]
    if i == first:
        _stage_row(unused, &s.X, s.slots, t.numbers[i], &worker.rows[i & 1])
    if i + ENTRIES_AHEAD < last:
        _fetch_row(&s.X, t.numbers[i + ENTRIES_AHEAD])
    if i + 1 < last:
        _stage_row(unused, &s.X, s.slots, t.numbers[i + 1], ahead)
        if s.n_slots * s.stride * <Py_ssize_t> sizeof(real) > CACHED_BYTES:
            _fetch_weights(ahead.slots, ahead.n, coef, s.stride * <Py_ssize_t> sizeof(real))
        fs_prefetch(<const char *> ((<const real *> s.dual) + t.numbers[i + 1] * s.n_rows))
    return &worker.rows[i & 1]


cdef void _copy_shard(Dual *s, const real *unused, ptrdiff_t which, int thread) noexcept nogil:
    """The next shard begins where the first does."""
    memcpy(s.shards[which + 1].coef, s.shards[0].coef,
           s.n_slots * s.stride * <Py_ssize_t> sizeof(real))


cdef void _run_dual_shard(
    Dual *s, const real *unused, ptrdiff_t which, int thread
) noexcept nogil:
    """The steps of a shard's rows."""
    cdef DualWorker *worker = s.workers + thread
    cdef const Training *t = &s.samples
    cdef DualShard *shard = s.shards + which
    cdef Py_ssize_t i, first = t.n_numbers * which // s.n_shards
    cdef Py_ssize_t last = t.n_numbers * (which + 1) // s.n_shards
    for i in range(first, last):
        _dual_step(s, unused, shard, worker, t.numbers[i],
                   _staged(s, unused, worker, shard.coef, i, first, last))


cdef inline double _merge_slots(
    real *coef, Py_ssize_t size, Py_ssize_t n_shards, double factor, Py_ssize_t first,
    Py_ssize_t last,
) noexcept nogil:
    if real is float:
        return fs_dual_merge_f32(coef, size, n_shards, <float> factor, first, last)
    else:
        return fs_dual_merge_f64(coef, size, n_shards, factor, first, last)


cdef void _merge_shards(Dual *s, const real *unused, ptrdiff_t share, int thread) noexcept nogil:
    """The first shard's weights become `scale` times the sum of all, a share of them."""
    cdef Py_ssize_t n_blocks = (s.n_slots + MERGED - 1) // MERGED, block
    cdef real *coef = <real *> s.shards[0].coef
    for block in range(share * MERGES, min((share + 1) * MERGES, n_blocks)):
        s.squares[block] = _merge_slots(
            coef, s.n_slots * s.stride, s.n_shards, s.scale, block * MERGED * s.stride,
            min((block + 1) * MERGED, s.n_slots) * s.stride)


cdef void _merge(Dual *s, const real *unused, double scale, int n_threads) noexcept nogil:
    s.scale = scale
    share_out(n_threads, (s.n_slots + MERGED * MERGES - 1) // (MERGED * MERGES),
              <ShareWork> _merge_shards[real], s, unused)


# --- The gap --------------------------------------------------------------------------------------

cdef void _load_shares(
    const Dual *s, const real *unused, Py_ssize_t row, double *q
) noexcept nogil:
    """The row's q, in double."""
    cdef const real *dual = <const real *> s.dual + row * s.n_rows
    cdef bint is_softmax = s.samples.loss_kind == SOFTMAX
    cdef Py_ssize_t k
    for k in range(s.n_rows):
        q[k] = dual[k]
    for k in range(s.n_rows, s.n_lanes):
        q[k] = FS_DUAL_LOWEST if is_softmax else 0.0
    fs_dual_shares(q, s.n_lanes, is_softmax)


cdef void _load_repaired(
    const Dual *s, const real *unused, Py_ssize_t row, double *q, double *miss
) noexcept nogil:
    """The row's repaired q, and what it misses of the targets; those of a softmax sum to 0."""
    cdef int32_t code = s.samples.y_true[row]
    cdef Py_ssize_t k
    cdef double rest = 0
    _load_shares(s, unused, row, q)
    if s.repairs:
        fs_dual_repair(q, s.keep, s.give, s.n_lanes, s.samples.loss_kind == SOFTMAX)
    for k in range(s.n_rows):
        miss[k] = _target(s, code, k) - q[k]
    if s.samples.loss_kind == SOFTMAX:
        for k in range(s.n_rows):
            if k != code:
                rest += miss[k]
        miss[code] = -rest


cdef void _add_totals(
    Dual *s, const real *unused, ptrdiff_t which, int thread
) noexcept nogil:
    """What q and the targets come to over a shard."""
    cdef DualWorker *worker = s.workers + thread
    cdef const Training *t = &s.samples
    cdef double *totals = s.shards[which].totals
    cdef double weight
    cdef Py_ssize_t i, k
    for k in range(2 * s.n_rows):
        totals[k] = 0
    for i in range(t.n_numbers * which // s.n_shards, t.n_numbers * (which + 1) // s.n_shards):
        weight = _weight(t, unused, t.numbers[i])
        _load_shares(s, unused, t.numbers[i], worker.wide)
        for k in range(s.n_rows):
            totals[k] += weight * worker.wide[k]
            totals[s.n_rows + k] += weight * _target(s, t.y_true[t.numbers[i]], k)


cdef void _add_up_totals(Dual *s) noexcept nogil:
    """Those of the first shard become those of all."""
    cdef Py_ssize_t which, k
    for which in range(1, s.n_shards):
        for k in range(2 * s.n_rows):
            s.shards[0].totals[k] += s.shards[which].totals[k]


cdef void _find_repair(
    const Dual *s, const double *totals, const double *targets, double weight_sum, double *keep,
    double *give,
) noexcept nogil:
    """What brings a point of these totals to those of the targets."""
    cdef double lacking = 0
    cdef Py_ssize_t k
    for k in range(s.n_lanes):
        keep[k] = 1
        give[k] = 0
    for k in range(s.n_rows):
        if totals[k] > targets[k]:
            keep[k] = targets[k] / totals[k]
        elif s.samples.loss_kind == LOGISTIC:
            if totals[k] < targets[k]:
                keep[k] = (weight_sum - targets[k]) / (weight_sum - totals[k])
                give[k] = 1 - keep[k]
        else:
            give[k] = targets[k] - totals[k]
            lacking += give[k]
    if lacking > 0:
        for k in range(s.n_rows):
            give[k] /= lacking


cdef void _weigh_shard(
    Dual *s, const real *unused, ptrdiff_t which, int thread
) noexcept nogil:
    """The weights that a shard's repaired rows come to."""
    cdef DualWorker *worker = s.workers + thread
    cdef const Training *t = &s.samples
    cdef DualShard *shard = s.shards + which
    cdef Py_ssize_t i, k, n = s.n_lanes, row
    cdef Py_ssize_t first = t.n_numbers * which // s.n_shards
    cdef Py_ssize_t last = t.n_numbers * (which + 1) // s.n_shards
    cdef const StagedRow *staged
    cdef double *miss = worker.wide + n
    cdef real *change = <real *> worker.room
    cdef double share
    memset(shard.coef, 0, s.n_slots * s.stride * sizeof(real))
    for i in range(first, last):
        row = t.numbers[i]
        staged = _staged(s, unused, worker, shard.coef, i, first, last)
        _load_repaired(s, unused, row, worker.wide, miss)
        share = s.unit * _weight(t, unused, row)
        for k in range(s.n_rows):
            change[k] = <real> (share * miss[k])
        for k in range(s.n_rows, n):
            change[k] = 0
        _scatter(<real *> shard.coef, s.stride, staged.slots, <const real *> staged.values,
                 staged.n, <const real *> change)


cdef void _gap_of_row(
    Dual *s, const real *unused, Py_ssize_t row, const StagedRow *staged, DualWorker *worker,
    double *sums,
) noexcept nogil:
    """Its probabilities, and its parts of loss, divergence and spread."""
    cdef const Training *t = &s.samples
    cdef Py_ssize_t n = s.n_lanes, n_rows = s.n_rows, k
    cdef bint is_softmax = t.loss_kind == SOFTMAX
    cdef const real *intercept = <const real *> s.shards[0].intercept
    cdef real *raw = <real *> worker.room
    cdef double *q = worker.wide
    cdef double *wide = q + n
    cdef double *soft = q + 2 * n
    cdef double weight = _weight(t, unused, row), loss = 0, square = 0
    cdef real *out = <real *> s.probability + row * n_rows
    _load_repaired(s, unused, row, q, wide)
    for k in range(n_rows):
        square += wide[k] * wide[k]
        raw[k] = intercept[k]
    for k in range(n_rows, n):
        raw[k] = 0
    _gather(<const real *> s.shards[0].coef, s.stride, staged.slots,
            <const real *> staged.values, staged.n, raw)
    for k in range(n_rows):
        wide[k] = raw[k]
        loss -= _target(s, t.y_true[row], k) * wide[k]
    for k in range(n_rows, n):
        wide[k] = FS_DUAL_LOWEST if is_softmax else 0.0
    sums[1] += weight * fs_dual_divergence(q, wide, soft, n, is_softmax)
    for k in range(1 if is_softmax else n_rows):
        loss += soft[k]
    for k in range(n_rows):
        out[k] = <real> wide[k]
    sums[0] += weight * loss
    sums[2] += weight * sqrt(square * staged.square_norm)


cdef void _gap_of_rows(Dual *s, const real *unused, ptrdiff_t share, int thread) noexcept nogil:
    cdef const Training *t = &s.samples
    cdef DualWorker *worker = s.workers + thread
    cdef Py_ssize_t first = share * GAP_ROWS * GAP_SUMS, i
    cdef Py_ssize_t last = min(first + GAP_ROWS * GAP_SUMS, t.n_numbers)
    for i in range(first, last):
        _gap_of_row(s, unused, t.numbers[i],
                    _staged(s, unused, worker, s.shards[0].coef, i, first, last), worker,
                    s.sums + 3 * (i // GAP_ROWS))


# --- Memory ---------------------------------------------------------------------------------------

cdef Py_ssize_t _longest_row(const SparseRows *X) noexcept nogil:
    cdef Py_ssize_t i, most = 0
    for i in range(X.n_samples):
        most = max(most, X.indptr[i + 1] - X.indptr[i])
    return most


cdef int _describe_dual(
    list keep, Dual *s, cnp.ndarray data, cnp.ndarray indices, cnp.ndarray indptr,
    cnp.ndarray rows, y_true, sample_weight, inverse_scale, cnp.ndarray slots, cnp.ndarray dual,
    cnp.ndarray coef, cnp.ndarray intercept, str loss, double label_smoothing, double unit,
    Py_ssize_t n_threads,
) except -1:
    """Fill s from the caller's arrays, y_true where there is one, and what shards and threads work
    in."""
    cdef int dtype = _dtype(dual, "dual_inplace")
    cdef Py_ssize_t item = cnp.PyArray_ITEMSIZE(dual), d = slots.size, thread, which, k, most
    _check_2d(dual, "dual_inplace")
    if cnp.PyArray_NDIM(coef) != 3:
        raise ValueError(f"coef must have 3 dimensions; got shape {(<object> coef).shape}")
    s.n_rows, s.n_shards, s.n_slots = dual.shape[1], coef.shape[0], coef.shape[1]
    s.stride = coef.shape[2]
    if s.n_rows == 0 or s.n_shards == 0:
        raise ValueError("dual_inplace must have at least 1 column and coef at least 1 shard")
    if s.stride != sparse_stride(s.n_rows, item):
        raise ValueError(
            f"coef must have {sparse_stride(s.n_rows, item)} items a slot; got shape "
            f"{(<object> coef).shape}")
    s.n_lanes = _round_up(s.n_rows, FS_VECTOR_BYTES // 4)  # whole vectors of either type
    _describe_sparse(keep, &s.X, data, indices, indptr, d, inverse_scale, dtype)
    s.slots = <const int32_t *> _data(slots, "slots", cnp.NPY_INT32, (d,))
    cdef bint is_sound
    with nogil:
        is_sound = _are_slots(s.slots, d, s.n_slots)
    if not is_sound:
        raise ValueError(f"slots must hold numbers in [-1, {s.n_slots})")
    if _is_identity(s.slots, d, s.n_slots):
        s.slots = NULL
    s.samples.X.n_samples = s.X.n_samples
    if y_true is None:
        _describe_samples(&s.samples, rows, sample_weight, loss, dtype)
    else:
        _describe_targets(&s.samples, rows, y_true, sample_weight, loss, s.n_rows, dtype)
    s.samples.label_smoothing = label_smoothing
    s.unit = unit
    s.dual = _data(dual, "dual_inplace", dtype, (s.X.n_samples, s.n_rows))
    cdef char *first = <char *> _out(coef, "coef", dtype, (s.n_shards, s.n_slots, s.stride))
    cdef const void *b = _data(intercept, "intercept", dtype, (s.n_rows,))
    s.shards = <DualShard *> _aligned(keep, s.n_shards * sizeof(DualShard))
    for which in range(s.n_shards):
        s.shards[which].coef = first + which * s.n_slots * s.stride * item
        s.shards[which].intercept = _aligned(keep, s.n_lanes * item)
        memcpy(s.shards[which].intercept, b, s.n_rows * item)
        s.shards[which].totals = <double *> _aligned(keep, 2 * s.n_rows * sizeof(double))
    most = _longest_row(&s.X)
    s.workers = <DualWorker *> _aligned(keep, n_threads * sizeof(DualWorker))
    for thread in range(n_threads):
        s.workers[thread].room = _aligned(keep, 6 * s.n_lanes * item)
        s.workers[thread].wide = <double *> _aligned(keep, 3 * s.n_lanes * sizeof(double))
        for k in range(2):
            s.workers[thread].rows[k].slots = <int32_t *> _aligned(
                keep, most * sizeof(int32_t))
            s.workers[thread].rows[k].values = _aligned(keep, _round_up(most, LINE) * item)
    s.squares = <double *> _aligned(
        keep, ((s.n_slots + MERGED - 1) // MERGED + 1) * sizeof(double))
    return 0


cdef bint _are_slots(const int32_t *slots, Py_ssize_t n, Py_ssize_t n_slots) noexcept nogil:
    cdef Py_ssize_t j
    cdef bint is_sound = True
    for j in range(n):
        is_sound &= -1 <= slots[j] < n_slots
    return is_sound


cdef bint _is_identity(const int32_t *slots, Py_ssize_t n, Py_ssize_t n_slots) noexcept nogil:
    cdef Py_ssize_t j
    cdef bint is_same = n == n_slots
    for j in range(n):
        is_same &= slots[j] == j
    return is_same


cdef int _dual_threads(n_threads, cnp.ndarray indices, cnp.ndarray dual, cnp.ndarray coef):
    """As many as have a shard; one where there is little to do."""
    cdef Py_ssize_t n = _threads(n_threads), most = max(<Py_ssize_t> 1, coef.shape[0])
    return _useful_threads(
        <int> min(n, most), INFINITY, 2.0 * indices.size * max(<Py_ssize_t> 1, dual.shape[1]))


cdef double _sum_squares(const Dual *s) noexcept nogil:
    cdef Py_ssize_t block
    cdef double total = 0
    for block in range((s.n_slots + MERGED - 1) // MERGED):
        total += s.squares[block]
    return total


# --- The kernels ----------------------------------------------------------------------------------

def sparse_stride(n_rows, itemsize):
    """See reference/dual.py."""
    cdef Py_ssize_t n = _count(n_rows, "n_rows")
    if itemsize == sizeof(float):
        return _sparse_stride(n, <const float *> NULL)
    return _sparse_stride(n, <const double *> NULL)


def sparse_square_norms(
    cnp.ndarray data, cnp.ndarray indices, cnp.ndarray indptr, cnp.ndarray slots, inverse_scale,
    cnp.ndarray square_norm_out,
):
    """See reference/dual.py."""
    cdef SparseRows X
    cdef StagedRow staged
    cdef list keep = []
    cdef Py_ssize_t d = slots.size, i
    _describe_sparse(keep, &X, data, indices, indptr, d, inverse_scale, cnp.NPY_FLOAT64)
    cdef const int32_t *numbers = <const int32_t *> _data(
        slots, "slots", cnp.NPY_INT32, (d,))
    cdef double *out = <double *> _out(
        square_norm_out, "square_norm_out", cnp.NPY_FLOAT64, (X.n_samples,))
    cdef Py_ssize_t most = _round_up(_longest_row(&X), LINE)
    staged.slots = <int32_t *> _aligned(keep, most * sizeof(int32_t))
    staged.values = _aligned(keep, most * sizeof(double))
    with nogil:
        for i in range(X.n_samples):
            _stage_row(<const double *> NULL, &X, numbers, i, &staged)
            out[i] = staged.square_norm


cdef void _run_dual_epoch(Dual *s, const real *unused, int n_threads, real *intercept) noexcept:
    cdef Py_ssize_t which, k
    cdef real sum
    with nogil:
        share_out(n_threads, s.n_shards - 1, <ShareWork> _copy_shard[real], s, unused)
        share_out(n_threads, s.n_shards, <ShareWork> _run_dual_shard[real], s, unused)
        _merge(s, unused, 1.0 / s.n_shards, n_threads)
    for k in range(s.n_rows):
        sum = 0
        for which in range(s.n_shards):
            sum += (<real *> s.shards[which].intercept)[k]
        intercept[k] = sum / s.n_shards


def sparse_dual_epoch(
    cnp.ndarray data, cnp.ndarray indices, cnp.ndarray indptr, cnp.ndarray rows,
    cnp.ndarray y_true, sample_weight, inverse_scale, cnp.ndarray slots, cnp.ndarray dual_inplace,
    cnp.ndarray coef_inplace, cnp.ndarray intercept_inplace, str loss, double unit,
    double intercept_unit, double damping, n_threads, double label_smoothing=0.0,
):
    """See reference/dual.py."""
    cdef Dual s
    cdef list keep = []
    cdef int threads = _dual_threads(n_threads, indices, dual_inplace, coef_inplace)
    cdef double loss_sum = 0, divergence = 0
    cdef Py_ssize_t which
    _describe_dual(keep, &s, data, indices, indptr, rows, y_true, sample_weight, inverse_scale,
                   slots, dual_inplace, coef_inplace, intercept_inplace, loss, label_smoothing,
                   unit, threads)
    _check_writeable(dual_inplace, "dual_inplace")
    _check_writeable(intercept_inplace, "intercept_inplace")
    s.intercept_unit = intercept_unit
    s.damping = damping
    if cnp.PyArray_TYPE(dual_inplace) == cnp.NPY_FLOAT32:
        _run_dual_epoch(&s, <const float *> NULL, threads,
                        <float *> cnp.PyArray_DATA(intercept_inplace))
    else:
        _run_dual_epoch(&s, <const double *> NULL, threads,
                        <double *> cnp.PyArray_DATA(intercept_inplace))
    for which in range(s.n_shards):
        loss_sum += s.shards[which].loss
        divergence += s.shards[which].divergence
    return loss_sum, divergence, _sum_squares(&s)


cdef void _run_dual_gap(
    Dual *s, const real *unused, double weight_sum, int n_threads
) noexcept:
    cdef Py_ssize_t rows = GAP_ROWS * GAP_SUMS
    with nogil:
        share_out(n_threads, s.n_shards, <ShareWork> _add_totals[real], s, unused)
        _add_up_totals(s)
        _find_repair(s, s.shards[0].totals, s.shards[0].totals + s.n_rows, weight_sum, s.keep,
                     s.give)
        share_out(n_threads, s.n_shards, <ShareWork> _weigh_shard[real], s, unused)
        _merge(s, unused, 1.0, n_threads)
        if s.probability != NULL:
            share_out(n_threads, (s.samples.n_numbers + rows - 1) // rows,
                      <ShareWork> _gap_of_rows[real], s, unused)


def sparse_dual_gap(
    cnp.ndarray data, cnp.ndarray indices, cnp.ndarray indptr, cnp.ndarray rows,
    cnp.ndarray y_true, sample_weight, inverse_scale, cnp.ndarray slots, cnp.ndarray dual,
    cnp.ndarray intercept, cnp.ndarray coef_out, probability_out, cnp.ndarray totals_out, str loss,
    double unit, double weight_sum, bint repairs, n_threads,
    double label_smoothing=0.0,
):
    """See reference/dual.py."""
    cdef Dual s
    cdef list keep = []
    cdef int threads = _dual_threads(n_threads, indices, dual, coef_out), dtype
    cdef double loss_sum = 0, divergence = 0, spread = 0
    cdef Py_ssize_t block, n_blocks
    _describe_dual(keep, &s, data, indices, indptr, rows, y_true, sample_weight, inverse_scale,
                   slots, dual, coef_out, intercept, loss, label_smoothing, unit, threads)
    dtype = cnp.PyArray_TYPE(dual)
    s.probability = NULL
    if probability_out is not None:
        s.probability = _out(
            probability_out, "probability_out", dtype, (s.X.n_samples, s.n_rows))
    cdef double *totals = <double *> _out(
        totals_out, "totals_out", cnp.NPY_FLOAT64, (2, s.n_rows))
    s.repairs = repairs
    s.keep = <double *> _aligned(keep, s.n_lanes * sizeof(double))
    s.give = <double *> _aligned(keep, s.n_lanes * sizeof(double))
    n_blocks = (s.samples.n_numbers + GAP_ROWS - 1) // GAP_ROWS
    s.sums = <double *> _aligned(keep, 3 * (n_blocks + 1) * sizeof(double))
    if dtype == cnp.NPY_FLOAT32:
        _run_dual_gap(&s, <const float *> NULL, weight_sum, threads)
    else:
        _run_dual_gap(&s, <const double *> NULL, weight_sum, threads)
    memcpy(totals, s.shards[0].totals, 2 * s.n_rows * sizeof(double))
    for block in range(n_blocks):
        loss_sum += s.sums[3 * block]
        divergence += s.sums[3 * block + 1]
        spread += s.sums[3 * block + 2]
    return loss_sum, divergence, _sum_squares(&s), spread


def sparse_dual_coef(cnp.ndarray coef, cnp.ndarray slots, cnp.ndarray coef_out):
    """See reference/dual.py."""
    cdef int dtype = _dtype(coef, "coef")
    _check_2d(coef, "coef")
    _check_coef(coef_out, "coef_out")
    cdef Py_ssize_t n_slots = coef.shape[0], stride = coef.shape[1], d = slots.size
    cdef Py_ssize_t n_rows = coef_out.shape[0]
    cdef const void *packed = _data(coef, "coef", dtype, (n_slots, stride))
    cdef const int32_t *numbers = <const int32_t *> _data(slots, "slots", cnp.NPY_INT32, (d,))
    cdef void *out = _out(coef_out, "coef_out", dtype, (n_rows, d))
    if n_rows > stride or not _are_slots(numbers, d, n_slots):
        raise ValueError(
            f"coef must have room for {n_rows} rows, and slots hold numbers in [-1, {n_slots})")
    with nogil:
        if dtype == cnp.NPY_FLOAT32:
            fs_dual_unpack_f32(<const float *> packed, stride, numbers, <float *> out, n_rows, d,
                               0, d)
        else:
            fs_dual_unpack_f64(<const double *> packed, stride, numbers, <double *> out, n_rows,
                               d, 0, d)

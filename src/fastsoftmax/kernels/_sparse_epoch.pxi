# An epoch over CSR rows, at the cost of the values they hold.
#
# The steps are those of _epoch.pxi, but each thread owns features (_sparse_features.pxi), and
# between, it owns samples. Nothing is added up in the order of threads. Beyond the values, only
# coef is gone through once at each end, to turn it feature-major and back. Included by
# _kernels.pxi.

from ._pool cimport (
    ShareWork, Work, is_patient, lead, share_out, team_close, team_join, team_meet, team_open,
    worked_alone,
)
from .decay cimport fs_decay_step
from .simd cimport FS_SGD
from .team cimport fs_seconds

cdef enum:
    PART_ENTRIES = 65536  # values of a part on average, at most, unless that is GROUP rows


# --- The loop -------------------------------------------------------------------------------------

cdef void _predict_part(
    Sparse *s, const real *unused, const intptr_t *numbers, Py_ssize_t n,
    Py_ssize_t minibatch_size, int thread, int n_threads,
) noexcept nogil:
    """Losses and gradient of this thread's samples of a part."""
    cdef Training *t = &s.samples
    cdef real *raw = <real *> t.raw
    cdef real *weight = <real *> t.weight
    cdef const real *intercept = <const real *> t.model.intercept
    cdef real *sums
    cdef Py_ssize_t n_groups = (n + GROUP - 1) // GROUP, n_rows = t.model.n_rows, i, k
    cdef Py_ssize_t first = n_groups * thread // n_threads * GROUP
    cdef Py_ssize_t last = n_groups * (thread + 1) // n_threads * GROUP
    if first >= last:
        return
    _gather_targets(t, numbers, first, last, n, minibatch_size, weight, t.codes)
    for i in range(first, last):
        sums = <real *> s.gradient + i * s.stride
        for k in range(s.stride):
            sums[k] = intercept[k]
        if i < n:
            _add_predictions(&s.X, numbers[i], <const real *> s.coef, s.stride, sums)
        for k in range(n_rows):  # by class, as the losses want them
            raw[k * t.part_rows + i] = sums[k]
    _smoothed_gradient(t.loss_kind, t.label_smoothing, raw + first, t.part_rows, n_rows,
                       t.codes + first, weight + first, <real *> t.loss + first, last - first)
    for i in range(first, min(last, n)):
        sums = <real *> s.gradient + i * s.stride
        for k in range(n_rows):
            sums[k] = raw[k * t.part_rows + i]


cdef void _train_sparse_part(
    Sparse *s, const real *unused, Own *own, int n_own, Py_ssize_t start, Py_ssize_t n,
    Py_ssize_t minibatch_size, const Step *step, int thread, int n_threads,
) noexcept nogil:
    """One thread's share of n rows from `start` on: all or a part of a minibatch."""
    cdef Training *t = &s.samples
    cdef const intptr_t *numbers = t.numbers + start
    cdef int share
    for share in range(n_own):
        _meet_features(s, unused, own + share, numbers, n)
    team_meet(&t.team, n_threads)
    _predict_part(s, unused, numbers, n, minibatch_size, thread, n_threads)
    team_meet(&t.team, n_threads)
    if thread == 0:
        _end_rows(t, <const real *> t.loss, n, minibatch_size, step)
        if t.fit_intercept:
            _intercept_update(
                <const real *> t.raw, t.part_rows, n, <real *> t.model.intercept,
                <real *> t.model.intercept_state, <real *> t.model.intercept_partial,
                t.model.n_rows, step)
        if step.is_last:
            _plan_team(t, minibatch_size, n_threads, 0)
    for share in range(n_own):
        _step_features(s, unused, own + share, n, step)
    team_meet(&t.team, n_threads)


cdef Own *_own_features_of(
    Sparse *s, int thread, int n_threads, Py_ssize_t batch, int *n_own
) noexcept nogil:
    """The shares of the features that a thread of a team has, as they are before a minibatch.

    Features are dealt out for as many threads as were asked for, and fewer may have come. A thread
    alone has the share that is all of them: rows are then gone through once.
    """
    cdef int first = s.n_shares * thread // n_threads, share
    n_own[0] = s.n_shares * (thread + 1) // n_threads - first
    if n_threads == 1 and s.n_shares > 1:
        first, n_own[0] = s.n_shares, 1
    for share in range(first, first + n_own[0]):
        while s.own[share].decay.now < batch:  # steps that others took
            fs_decay_step(&s.own[share].decay)
    return s.own + first


cdef void _run_sparse_batches(
    Sparse *s, const real *unused, Place *place, Py_ssize_t limit, int thread, int n_threads
) noexcept nogil:
    """Take up to `limit` minibatches from `place` on; a team also stops where it is broken up."""
    cdef Training *t = &s.samples
    cdef Step step = t.step
    cdef Py_ssize_t size, n
    cdef int n_own, n_owners = n_threads
    cdef Own *own = _own_features_of(s, thread, n_threads, place.batch, &n_own)
    while limit > 0 and place.start < t.n_numbers and not t.stop:
        size = min(t.batch_size, t.n_numbers - place.start)
        n = min(t.part_rows, size - place.done)
        step.learning_rate = t.learning_rates[place.batch]
        step.is_first = place.done == 0
        step.is_last = place.done + n == size
        _train_sparse_part(s, unused, own, n_own, place.start + place.done, n,
                           size, &step, thread, n_threads)
        place.done += n
        if not step.is_last:
            continue
        place.start += size
        place.done = 0
        place.batch += 1
        limit -= 1
        n_threads = _go_on(t, place, thread, n_threads, 0)
        if n_threads == 0:
            return
        if n_threads != n_owners:
            n_owners = n_threads
            own = _own_features_of(s, thread, n_threads, place.batch, &n_own)


cdef void _try_sparse_alone(Sparse *s, const real *unused) noexcept nogil:
    """Take the first minibatches on this thread, and keep the time that a row usually takes."""
    cdef Training *t = &s.samples
    cdef double[TRIAL_PARTS] seconds
    cdef double before
    cdef Py_ssize_t i, first_row
    _run_sparse_batches(s, unused, &t.place, 1, 0, 1)
    for i in range(TRIAL_PARTS):
        before = fs_seconds()
        first_row = t.place.start
        _run_sparse_batches(s, unused, &t.place, 1, 0, 1)
        seconds[i] = (fs_seconds() - before) / max(<Py_ssize_t> 1, t.place.start - first_row)
    t.row_alone = _median_time(&seconds[0])


cdef void _train_sparse_thread(Sparse *s, const real *unused, int thread) noexcept nogil:
    """One thread's share of what is left of an epoch, as long as there is a team."""
    cdef Training *t = &s.samples
    cdef Place place
    cdef int n_threads
    if thread > 0:
        thread = team_join(&t.team, &n_threads)
        if thread > 0:
            place = t.entry
            _run_sparse_batches(s, unused, &place, PY_SSIZE_T_MAX, thread, n_threads)
        return
    t.is_led = True
    t.part_started = fs_seconds()
    place = t.place
    _run_sparse_batches(s, unused, &place, PY_SSIZE_T_MAX, 0, 1)
    t.place = place
    t.is_led = False
    team_close(&t.team)


cdef void _pack_share(Sparse *s, const real *unused, ptrdiff_t share, int thread) noexcept nogil:
    cdef Py_ssize_t d = s.X.n_features, n_rows = s.samples.model.n_rows
    cdef Py_ssize_t first = share * FEATURES_AT_ONCE, last = min(first + FEATURES_AT_ONCE, d)
    _pack_features(<const real *> s.coef_out, n_rows, d, <real *> s.coef, s.stride, first, last)
    if s.state_out != NULL:
        _pack_features(<const real *> s.state_out, n_rows, d, <real *> s.state, s.stride, first,
                       last)


cdef void _finish_share(Sparse *s, const real *unused, ptrdiff_t share, int thread) noexcept nogil:
    cdef Py_ssize_t first = share * FEATURES_AT_ONCE
    _finish_features(s, unused, s.own + (s.n_shares if s.n_shares > 1 else 0), first,
                     min(first + FEATURES_AT_ONCE, s.X.n_features))


cdef void _train_sparse(Sparse *s, const real *unused, int n_threads) noexcept nogil:
    """The epoch: in teams, and alone while there is no patience for one."""
    cdef Training *t = &s.samples
    cdef Py_ssize_t n_blocks = (s.X.n_features + FEATURES_AT_ONCE - 1) // FEATURES_AT_ONCE
    cdef double before
    cdef int n_own
    t.loss_sum = 0
    t.stop = t.is_led = False
    t.row_alone = INFINITY
    t.place.start = t.place.done = t.place.batch = 0
    team_open(&t.team)
    share_out(n_threads, n_blocks, <ShareWork> _pack_share[real], s, unused)
    if n_threads == 1:
        _run_sparse_batches(s, unused, &t.place, PY_SSIZE_T_MAX, 0, 1)
    elif t.n_numbers >= 4 * TRIAL_PARTS * t.batch_size:
        _try_sparse_alone(s, unused)
    while t.place.start < t.n_numbers and not t.stop:
        if is_patient():
            team_open(&t.team)
            lead(n_threads, <Work> _train_sparse_thread[real], s, unused)
        else:
            before = fs_seconds()
            _run_sparse_batches(s, unused, &t.place, PARTS_ALONE, 0, 1)
            worked_alone(fs_seconds() - before)
    _own_features_of(s, 0, 1, t.place.batch, &n_own)
    share_out(n_threads, n_blocks, <ShareWork> _finish_share[real], s, unused)


# --- Memory ---------------------------------------------------------------------------------------

cdef Py_ssize_t _most_entries(
    const Sparse *s, Py_ssize_t batch_size, Py_ssize_t part_rows
) noexcept nogil:
    """Most values that a part of any minibatch holds."""
    cdef const Training *t = &s.samples
    cdef Py_ssize_t i, count = 0, most = 0
    for i in range(t.n_numbers):
        if i % batch_size % part_rows == 0:
            count = 0
        count += s.X.indptr[t.numbers[i] + 1] - s.X.indptr[t.numbers[i]]
        most = max(most, count)
    return most


cdef double _run_sparse(
    const real *unused, list keep, Sparse *s, cnp.ndarray indices, real *intercept,
    real *intercept_state, int n_threads,
) except? -1:
    """Allocate, train, and write the intercepts back; gives the sum of the losses."""
    cdef Training *t = &s.samples
    cdef Py_ssize_t n_rows = t.model.n_rows, d = s.X.n_features, item = sizeof(real), k, thread
    cdef Py_ssize_t lanes = _lanes(unused), padded = _round_up(n_rows, lanes)
    cdef Py_ssize_t mean = s.X.indptr[s.X.n_samples] // max(<Py_ssize_t> 1, s.X.n_samples) + 1
    cdef Py_ssize_t n_steps = (t.n_numbers + t.batch_size - 1) // t.batch_size
    cdef Py_ssize_t part_entries, batch_entries
    cdef Py_ssize_t[::1] bounds
    t.part_rows = max(<Py_ssize_t> GROUP, min(
        _round_up(min(t.batch_size, <Py_ssize_t> MOST_PART_ROWS), GROUP),
        PART_ENTRIES // mean // GROUP * GROUP))
    part_entries = _most_entries(s, t.batch_size, t.part_rows)
    batch_entries = _most_entries(s, t.batch_size, t.batch_size)
    n_threads = _useful_threads(n_threads, <double> part_entries * n_rows,
                                <double> mean * t.n_numbers * n_rows)
    s.stride = _sparse_stride(n_rows, unused)
    s.coef = _aligned(keep, d * s.stride * item)
    s.state = s.coef if s.state_out == NULL else _aligned(keep, d * s.stride * item)
    t.model.intercept = _aligned(keep, padded * item)
    t.model.intercept_state = _aligned(keep, padded * item)
    t.model.intercept_partial = _aligned(keep, padded * lanes * item)
    for k in range(n_rows):
        (<real *> t.model.intercept)[k] = intercept[k]
        (<real *> t.model.intercept_state)[k] = intercept_state[k]
    s.gradient = _aligned(keep, t.part_rows * s.stride * item)
    t.raw = _aligned(keep, n_rows * t.part_rows * item)
    t.weight = _aligned(keep, t.part_rows * item)
    t.loss = _aligned(keep, t.part_rows * item)
    t.codes = <int32_t *> _aligned(keep, t.part_rows * sizeof(int32_t))
    s.steps = <int32_t *> _aligned(keep, d * sizeof(int32_t))
    s.own = <Own *> _aligned(keep, (n_threads + 1) * sizeof(Own))
    s.n_shares = n_threads
    bounds = _feature_bounds(&s.X, indices, n_threads)
    for thread in range(n_threads):
        _own_features(unused, keep, s, s.own + thread, bounds[thread], bounds[thread + 1],
                      part_entries, batch_entries, n_steps, &t.step)
    if n_threads > 1:
        _own_features(unused, keep, s, s.own + n_threads, 0, d, part_entries, batch_entries,
                      n_steps, &t.step)
    with nogil:
        _train_sparse(s, unused, n_threads)
    for k in range(n_rows):
        intercept[k] = (<real *> t.model.intercept)[k]
        intercept_state[k] = (<real *> t.model.intercept_state)[k]
    return t.loss_sum


# --- The kernels ----------------------------------------------------------------------------------

def sparse_epoch(
    cnp.ndarray data, cnp.ndarray indices, cnp.ndarray indptr, cnp.ndarray rows,
    cnp.ndarray y_true, sample_weight, inverse_scale, cnp.ndarray coef_inplace,
    cnp.ndarray intercept_inplace, cnp.ndarray coef_state_inplace,
    cnp.ndarray intercept_state_inplace, cnp.ndarray learning_rates, batch_size, str loss,
    str update, double momentum, double alpha, bint fit_intercept, n_threads,
    double label_smoothing=0.0,
):
    """See reference/sparse.py."""
    cdef Sparse s
    cdef Training *t = &s.samples
    cdef list keep = []
    cdef int dtype = _dtype(coef_inplace, "coef_inplace"), threads = _threads(n_threads)
    _check_coef(coef_inplace, "coef_inplace")
    cdef Py_ssize_t n_rows = coef_inplace.shape[0], d = coef_inplace.shape[1]
    _describe_sparse(keep, &s.X, data, indices, indptr, d, inverse_scale, dtype)
    t.X.n_samples = s.X.n_samples
    _describe_targets(t, rows, y_true, sample_weight, loss, n_rows, dtype)
    _describe_steps(t, learning_rates, batch_size, update, momentum, alpha)
    t.label_smoothing = label_smoothing
    t.fit_intercept = fit_intercept
    t.model.n_rows = n_rows
    s.coef_out = _out(coef_inplace, "coef_inplace", dtype, (n_rows, d))
    s.state_out = _out(coef_state_inplace, "coef_state_inplace", dtype, (n_rows, d))
    if t.step.update == FS_SGD:
        s.state_out = NULL
    cdef void *b = _out(intercept_inplace, "intercept_inplace", dtype, (n_rows,))
    cdef void *b_state = _out(
        intercept_state_inplace, "intercept_state_inplace", dtype, (n_rows,))
    if dtype == cnp.NPY_FLOAT32:
        return _run_sparse(<const float *> NULL, keep, &s, indices, <float *> b,
                           <float *> b_state, threads)
    return _run_sparse(<const double *> NULL, keep, &s, indices, <double *> b,
                       <double *> b_state, threads)

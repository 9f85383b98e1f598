# An epoch over CSR rows, and the gradient over all of them, at the cost of the values they hold.
#
# The steps are those of _epoch.pxi, but each thread owns features, collects those that a minibatch
# holds, brings them up to date (decay.h) and steps them alone; between, it owns samples. The full
# gradient is an epoch of large minibatches whose sums go to an array of their own. Nothing is added
# up in the order of threads. Beyond the values, only coef is gone through once at each end, to turn
# it feature-major and back. Included by _kernels.pxi.

from .decay cimport FS_DECAY_BLOCK, fs_decay, fs_decay_start, fs_decay_step, fs_matrix
from .fetch cimport fs_prefetch
from .simd cimport FS_SGD
from .sparse cimport (
    fs_sparse_catch_up_f32, fs_sparse_catch_up_f64, fs_sparse_scatter_f32, fs_sparse_scatter_f64,
    fs_sparse_unpack_f32, fs_sparse_unpack_f64, fs_sparse_update_f32, fs_sparse_update_f64,
)
from .team cimport (
    fs_barrier_init, fs_barrier_wait, fs_seconds, fs_spread, fs_team_size, fs_thread_number,
)

cdef enum:
    PART_ENTRIES = 65536  # values of a part on average, at most, unless that is GROUP rows
    GRADIENT_BATCH = 4096  # rows whose gradients are summed before they are added to the others'
    ROWS_AHEAD = 3  # how far ahead of use a row is asked for
    CHUNK = 64  # features that are brought up to date and unpacked while they are in the cache


cdef struct Own:  # a thread's features, and what it keeps of a minibatch
    Py_ssize_t first
    Py_ssize_t last
    Py_ssize_t n_unique
    int32_t *slots  # of each feature, or -1 where the minibatch has not met it; then one that is 0
    int32_t *features  # those in the minibatch, in the order in which they were met
    void *sums  # the gradient of each, stride items; zeros between minibatches
    int32_t *entry_slots  # of a part's values: which of these features
    void *entry_values
    intptr_t *entry_ends  # of each row
    fs_decay decay


cdef struct Sparse:  # what the threads share
    Training samples
    SparseRows X
    Py_ssize_t stride
    void *coef  # that predictions are made with, (n_features, stride)
    void *target  # that steps are taken on: coef itself, or the gradient
    void *state
    void *intercept_target
    void *gradient  # of a part, sample-major: (part_rows, stride)
    int32_t *steps  # that each feature has taken
    const void *coef_in  # the caller's arrays, (n_rows, n_features)
    const void *state_in
    void *coef_out
    void *state_out
    bint is_training  # else minibatches are added up as they are, not averaged
    Own *own  # one a thread, then one for all features where there are several threads


# --- What a thread does with its features ---------------------------------------------------------

cdef inline void _ask_for_row(
    const entry *unused, const index *unused_index, const SparseRows *X, Py_ssize_t row
) noexcept nogil:
    """Prefetch a row: in a shuffled order the CPU does not foresee it."""
    cdef const char *data = <const char *> (<const entry *> X.data + X.indptr[row])
    cdef const char *data_end = <const char *> (<const entry *> X.data + X.indptr[row + 1])
    cdef const char *indices = <const char *> (<const index *> X.indices + X.indptr[row])
    cdef const char *indices_end = <const char *> (<const index *> X.indices + X.indptr[row + 1])
    while data < data_end:
        fs_prefetch(data)
        data += LINE
    while indices < indices_end:
        fs_prefetch(indices)
        indices += LINE


cdef void _collect(
    const entry *unused, const index *unused_index, const Sparse *s, Own *own,
    const intptr_t *numbers, Py_ssize_t n, const real *unused_real,
) noexcept nogil:
    """List the values of n rows that belong to own features, and number the features met anew."""
    cdef const entry *data = <const entry *> s.X.data
    cdef const index *indices = <const index *> s.X.indices
    cdef const real *inverse_scale = <const real *> s.X.inverse_scale
    cdef const intptr_t *indptr = s.X.indptr
    cdef int32_t *slots = own.slots
    cdef int32_t *features = own.features
    cdef int32_t *entry_slots = own.entry_slots
    cdef real *values = <real *> own.entry_values
    cdef int32_t first = <int32_t> own.first, width = <int32_t> (own.last - own.first)
    cdef int32_t feature, at, slot, n_unique = <int32_t> own.n_unique
    cdef Py_ssize_t i, e, count = 0
    cdef bint is_own, is_new
    cdef Py_ssize_t left = s.samples.numbers + s.samples.n_numbers - numbers
    for i in range(n):
        if i + ROWS_AHEAD < left:
            _ask_for_row(unused, unused_index, &s.X, numbers[i + ROWS_AHEAD])
        for e in range(indptr[numbers[i]], indptr[numbers[i] + 1]):
            # Without branches, which the CPU would guess wrong half of the time. Features of others
            # meet the place after the last, where nothing is ever new.
            feature = <int32_t> indices[e]
            is_own = feature >= first and feature < first + width
            at = feature - first if is_own else width
            slot = slots[at]
            is_new = slot < 0
            slot = n_unique if is_new else slot
            slots[at] = slot
            features[n_unique] = feature
            n_unique += is_new
            entry_slots[count] = slot
            values[count] = <real> data[e]
            if inverse_scale != NULL:
                values[count] *= inverse_scale[feature]
            count += is_own
        own.entry_ends[i] = count
    own.n_unique = n_unique


cdef inline void _catch_up(
    Sparse *s, const real *unused, const Own *own, const int32_t *features, Py_ssize_t n,
    int extra,
) noexcept nogil:
    if own.decay.is_idle:
        return
    if real is float:
        fs_sparse_catch_up_f32(&own.decay, features, n, s.steps, extra, <float *> s.target,
                               <float *> s.state, s.stride)
    else:
        fs_sparse_catch_up_f64(&own.decay, features, n, s.steps, extra, <double *> s.target,
                               <double *> s.state, s.stride)


cdef void _meet_features(
    Sparse *s, const real *unused, Own *own, const intptr_t *numbers, Py_ssize_t n
) noexcept nogil:
    """Collect a part's values and bring the features met anew up to date."""
    cdef Py_ssize_t before = own.n_unique
    if s.X.is_double:
        if s.X.is_wide:
            _collect(<const double *> NULL, <const int64_t *> NULL, s, own, numbers, n, unused)
        else:
            _collect(<const double *> NULL, <const int32_t *> NULL, s, own, numbers, n, unused)
    elif s.X.is_wide:
        _collect(<const float *> NULL, <const int64_t *> NULL, s, own, numbers, n, unused)
    else:
        _collect(<const float *> NULL, <const int32_t *> NULL, s, own, numbers, n, unused)
    _catch_up(s, unused, own, own.features + before, own.n_unique - before, 1)


cdef void _step_features(
    Sparse *s, const real *unused, Own *own, Py_ssize_t n, const Step *step
) noexcept nogil:
    """Add a part's gradient to the sums; after the last, step the features and forget them."""
    cdef const real *gradient = <const real *> s.gradient
    cdef real *sums = <real *> own.sums
    cdef const real *values = <const real *> own.entry_values
    cdef Py_ssize_t i, first = 0, end
    for i in range(n):
        end = own.entry_ends[i]
        if real is float:
            fs_sparse_scatter_f32(sums, s.stride, own.entry_slots + first, values + first,
                                  end - first, gradient + i * s.stride)
        else:
            fs_sparse_scatter_f64(sums, s.stride, own.entry_slots + first, values + first,
                                  end - first, gradient + i * s.stride)
        first = end
    if not step.is_last:
        return
    if real is float:
        fs_sparse_update_f32(
            own.features, own.n_unique, sums, <float *> s.target, <float *> s.state, s.stride,
            <float> step.learning_rate, <float> step.momentum, <float> step.alpha, step.update)
    else:
        fs_sparse_update_f64(
            own.features, own.n_unique, sums, <double *> s.target, <double *> s.state, s.stride,
            step.learning_rate, step.momentum, step.alpha, step.update)
    for i in range(own.n_unique):
        own.slots[own.features[i] - own.first] = -1
    own.n_unique = 0
    fs_decay_step(&own.decay)


cdef void _finish_features(Sparse *s, const real *unused, Own *own) noexcept nogil:
    """Bring all own features up to date, and give them back in the caller's layout."""
    cdef Py_ssize_t n_rows = s.samples.model.n_rows, d = s.X.n_features, last, i
    cdef Py_ssize_t j = own.first
    cdef int32_t[CHUNK] features
    cdef real *target = <real *> s.coef_out
    cdef real *state = <real *> s.state_out
    while j < own.last:
        last = min(j + CHUNK, own.last)
        for i in range(last - j):
            features[i] = <int32_t> (j + i)
        _catch_up(s, unused, own, &features[0], last - j, 0)
        if real is float:
            fs_sparse_unpack_f32(<const float *> s.target, s.stride, target, n_rows, d, j, last)
            if state != NULL:
                fs_sparse_unpack_f32(<const float *> s.state, s.stride, state, n_rows, d, j, last)
        else:
            fs_sparse_unpack_f64(<const double *> s.target, s.stride, target, n_rows, d, j, last)
            if state != NULL:
                fs_sparse_unpack_f64(<const double *> s.state, s.stride, state, n_rows, d, j, last)
        j = last


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
    Sparse *s, const real *unused, Own *own, Py_ssize_t start, Py_ssize_t n,
    Py_ssize_t minibatch_size, const Step *step, int thread, int n_threads,
) noexcept nogil:
    """One thread's share of n rows from `start` on: all or a part of a minibatch."""
    cdef Training *t = &s.samples
    cdef const intptr_t *numbers = t.numbers + start
    _meet_features(s, unused, own, numbers, n)
    fs_barrier_wait(&t.barrier, n_threads)
    _predict_part(s, unused, numbers, n, minibatch_size, thread, n_threads)
    fs_barrier_wait(&t.barrier, n_threads)
    if thread == 0:
        _end_rows(t, <const real *> t.loss, n, minibatch_size, step)
        if t.fit_intercept:
            _intercept_update(
                <const real *> t.raw, t.part_rows, n, <real *> s.intercept_target,
                <real *> t.model.intercept_state, <real *> t.model.intercept_partial,
                t.model.n_rows, step)
        if n_threads > 1:
            _judge_team(t, n)
    _step_features(s, unused, own, n, step)
    fs_barrier_wait(&t.barrier, n_threads)


cdef void _run_sparse_batches(
    Sparse *s, const real *unused, Own *own, Place *place, Py_ssize_t limit, int thread,
    int n_threads,
) noexcept nogil:
    """Take up to `limit` minibatches from `place` on; a team also stops where it is broken up."""
    cdef Training *t = &s.samples
    cdef Step step = t.step
    cdef Py_ssize_t size, n
    while own.decay.now < place.batch:  # steps that others took
        fs_decay_step(&own.decay)
    while limit > 0 and place.start < t.n_numbers and not t.stop:
        size = min(t.batch_size, t.n_numbers - place.start)
        n = min(t.part_rows, size - place.done)
        step.learning_rate = t.learning_rates[place.batch]
        step.is_first = place.done == 0
        step.is_last = place.done + n == size
        _train_sparse_part(s, unused, own, place.start + place.done, n,
                           size if s.is_training else 1, &step, thread, n_threads)
        place.done += n
        if step.is_last:
            place.start += size
            place.done = 0
            place.batch += 1
            limit -= 1
            if n_threads > 1 and t.alone:
                return


cdef void _try_sparse_alone(Sparse *s, const real *unused, Own *whole) noexcept nogil:
    """Take the first minibatches on this thread, and keep the time of the fastest."""
    cdef Training *t = &s.samples
    cdef double before, seconds
    cdef Py_ssize_t i, first_row
    for i in range(TRIAL_PARTS):
        before = fs_seconds()
        first_row = t.trial_end.start
        _run_sparse_batches(s, unused, whole, &t.trial_end, 1, 0, 1)
        seconds = (fs_seconds() - before) / max(<Py_ssize_t> 1, t.trial_end.start - first_row)
        if i > 0 and seconds < t.row_alone:
            t.row_alone = seconds


cdef void _train_sparse_thread(
    Sparse *s, const real *unused, int thread, int n_threads
) noexcept nogil:
    """One thread's share of it all. All threads of a team take the same parts together."""
    cdef Training *t = &s.samples
    cdef Own *own = s.own + thread
    cdef Own *whole = s.own + (n_threads if n_threads > 1 else 0)
    cdef Py_ssize_t d = s.X.n_features, n_rows = t.model.n_rows
    cdef Place place = t.trial_end
    if n_threads > 1:
        fs_spread(&t.cores, &t.barrier, thread, n_threads)
    _pack_features(<const real *> s.coef_in, n_rows, d, <real *> s.coef, s.stride, own.first,
                   own.last)
    if s.state_in != NULL:
        _pack_features(<const real *> s.state_in, n_rows, d, <real *> s.state, s.stride,
                       own.first, own.last)
    if n_threads > 1:
        fs_barrier_wait(&t.barrier, n_threads)
        if t.n_numbers >= 4 * TRIAL_PARTS * t.batch_size:
            if thread == 0:
                _try_sparse_alone(s, unused, whole)
            fs_barrier_wait(&t.barrier, n_threads)
            place = t.trial_end
        _run_sparse_batches(s, unused, own, &place, PY_SSIZE_T_MAX, thread, n_threads)
        if not t.alone:
            _finish_features(s, unused, own)
            return
        if thread > 0:
            return
    _run_sparse_batches(s, unused, whole, &place, PY_SSIZE_T_MAX, 0, 1)
    _finish_features(s, unused, whole)


# --- Memory ---------------------------------------------------------------------------------------

cdef cnp.ndarray _feature_bounds(SparseRows *X, cnp.ndarray indices, int n_threads):
    """Where each thread's features begin: about as many values for each. No bit depends on it."""
    sample = np.sort(indices[:: max(1, indices.size // 4096)])
    bounds = np.zeros(n_threads + 1, np.intp)
    for thread in range(1, n_threads):
        bounds[thread] = sample[sample.size * thread // n_threads] if sample.size else 0
    bounds[n_threads] = X.n_features
    return bounds


cdef int _own_features(
    const real *unused, list keep, Sparse *s, Own *own, Py_ssize_t first, Py_ssize_t last,
    Py_ssize_t part_entries, Py_ssize_t batch_entries, Py_ssize_t n_steps, const Step *step,
) except -1:
    """The buffers of one thread. Pages that are never touched cost nothing."""
    cdef Py_ssize_t most = min(last - first, batch_entries)
    slots = np.full(last - first + 1, -1, np.int32)
    slots[last - first] = 0
    keep.append(slots)
    own.slots = <int32_t *> cnp.PyArray_DATA(<cnp.ndarray> slots)
    own.first = first
    own.last = last
    own.n_unique = 0
    own.features = <int32_t *> _aligned(keep, (most + 1) * sizeof(int32_t))
    own.sums = _aligned(keep, most * s.stride * sizeof(real))
    own.entry_slots = <int32_t *> _aligned(keep, (part_entries + 1) * sizeof(int32_t))
    own.entry_values = _aligned(keep, (part_entries + 1) * sizeof(real))
    own.entry_ends = <intptr_t *> _aligned(keep, s.samples.part_rows * sizeof(intptr_t))
    own.decay.since = <fs_matrix *> _aligned(keep, (n_steps + 1) * sizeof(fs_matrix))
    own.decay.after = <fs_matrix *> _aligned(
        keep, (n_steps // FS_DECAY_BLOCK + 1) * sizeof(fs_matrix))
    own.decay.rates = s.samples.learning_rates
    own.decay.momentum = step.momentum
    own.decay.alpha = step.alpha
    own.decay.update = step.update
    fs_decay_start(&own.decay)
    return 0


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
    cdef bint is_training = s.coef_out == s.coef_in
    cdef Py_ssize_t part_entries, batch_entries
    cdef Py_ssize_t[::1] bounds
    cdef real *b
    t.part_rows = max(<Py_ssize_t> GROUP, min(
        _round_up(min(t.batch_size, <Py_ssize_t> MOST_PART_ROWS), GROUP),
        PART_ENTRIES // mean // GROUP * GROUP))
    part_entries = _most_entries(s, t.batch_size, t.part_rows)
    batch_entries = _most_entries(s, t.batch_size, t.batch_size)
    n_threads = _useful_threads(n_threads, <double> part_entries * n_rows,
                                <double> mean * t.n_numbers * n_rows)
    s.is_training = is_training
    s.stride = _sparse_stride(n_rows, unused)
    s.coef = _aligned(keep, d * s.stride * item)
    s.target = s.coef if is_training else _aligned(keep, d * s.stride * item)
    s.state = s.target if s.state_in == NULL else _aligned(keep, d * s.stride * item)
    t.model.intercept = _aligned(keep, padded * item)
    s.intercept_target = t.model.intercept if is_training else _aligned(keep, padded * item)
    t.model.intercept_state = _aligned(keep, padded * item)
    t.model.intercept_partial = _aligned(keep, padded * lanes * item)
    for k in range(n_rows):
        (<real *> t.model.intercept)[k] = intercept[k]
        if is_training:
            (<real *> t.model.intercept_state)[k] = intercept_state[k]
    s.gradient = _aligned(keep, t.part_rows * s.stride * item)
    t.raw = _aligned(keep, n_rows * t.part_rows * item)
    t.weight = _aligned(keep, t.part_rows * item)
    t.loss = _aligned(keep, t.part_rows * item)
    t.codes = <int32_t *> _aligned(keep, t.part_rows * sizeof(int32_t))
    s.steps = <int32_t *> _aligned(keep, d * sizeof(int32_t))
    s.own = <Own *> _aligned(keep, (n_threads + 1) * sizeof(Own))
    bounds = _feature_bounds(&s.X, indices, n_threads)
    for thread in range(n_threads):
        _own_features(unused, keep, s, s.own + thread, bounds[thread], bounds[thread + 1],
                      part_entries, batch_entries, n_steps, &t.step)
    if n_threads > 1:
        _own_features(unused, keep, s, s.own + n_threads, 0, d, part_entries, batch_entries,
                      n_steps, &t.step)
    t.loss_sum = 0
    t.stop = t.alone = False
    t.n_team_rows = 0
    t.row_alone = INFINITY
    t.trial_end.start = t.trial_end.done = t.trial_end.batch = 0
    fs_barrier_init(&t.barrier)
    with nogil:
        if n_threads == 1:
            _train_sparse_thread(s, unused, 0, 1)
        else:
            with parallel(num_threads=n_threads):
                _train_sparse_thread(s, unused, fs_thread_number(), fs_team_size())
    b = <real *> s.intercept_target
    for k in range(n_rows):
        intercept[k] = b[k]
        if is_training:
            intercept_state[k] = (<real *> t.model.intercept_state)[k]
    return t.loss_sum


# --- The kernels ----------------------------------------------------------------------------------

def sparse_epoch(
    cnp.ndarray data, cnp.ndarray indices, cnp.ndarray indptr, cnp.ndarray rows,
    cnp.ndarray y_true, sample_weight, inverse_scale, cnp.ndarray coef_inplace,
    cnp.ndarray intercept_inplace, cnp.ndarray coef_state_inplace,
    cnp.ndarray intercept_state_inplace, cnp.ndarray learning_rates, Py_ssize_t batch_size,
    str loss, str update, double momentum, double alpha, bint fit_intercept, int n_threads,
    double label_smoothing=0.0,
):
    """See reference/sparse.py."""
    cdef Sparse s
    cdef Training *t = &s.samples
    cdef list keep = []
    cdef int dtype = _dtype(coef_inplace, "coef_inplace")
    cdef Py_ssize_t n_rows = coef_inplace.shape[0], d = coef_inplace.shape[1], n_batches
    _describe_sparse(keep, &s.X, data, indices, indptr, d, inverse_scale, dtype)
    t.X.n_samples = s.X.n_samples
    _describe_targets(t, rows, y_true, sample_weight, loss, dtype)
    t.label_smoothing = label_smoothing
    n_batches = (t.n_numbers + batch_size - 1) // batch_size
    t.learning_rates = <const double *> _data(
        learning_rates, "learning_rates", cnp.NPY_FLOAT64, (n_batches,))
    t.batch_size = batch_size
    t.step.update = _UPDATE[update]
    t.step.momentum = momentum
    t.step.alpha = alpha
    t.fit_intercept = fit_intercept
    t.model.n_rows = n_rows
    s.coef_out = _data(coef_inplace, "coef_inplace", dtype, (n_rows, d))
    s.coef_in = s.coef_out
    s.state_out = _data(coef_state_inplace, "coef_state_inplace", dtype, (n_rows, d))
    if t.step.update == FS_SGD:
        s.state_out = NULL
    s.state_in = s.state_out
    cdef void *b = _data(intercept_inplace, "intercept_inplace", dtype, (n_rows,))
    cdef void *b_state = _data(
        intercept_state_inplace, "intercept_state_inplace", dtype, (n_rows,))
    if dtype == cnp.NPY_FLOAT32:
        return _run_sparse(<const float *> NULL, keep, &s, indices, <float *> b,
                           <float *> b_state, n_threads)
    return _run_sparse(<const double *> NULL, keep, &s, indices, <double *> b,
                       <double *> b_state, n_threads)


def sparse_loss_gradient(
    cnp.ndarray data, cnp.ndarray indices, cnp.ndarray indptr, cnp.ndarray y_true, sample_weight,
    shift, inverse_scale, cnp.ndarray coef, cnp.ndarray intercept, cnp.ndarray coef_gradient_out,
    cnp.ndarray intercept_gradient_out, str loss, int n_threads, double label_smoothing=0.0,
):
    """See reference/sparse.py."""
    cdef Sparse s
    cdef Training *t = &s.samples
    cdef list keep = []
    cdef int dtype = _dtype(coef, "coef")
    cdef Py_ssize_t n_rows = coef.shape[0], d = coef.shape[1]
    cdef double loss_sum, weight_sum
    _describe_sparse(keep, &s.X, data, indices, indptr, d, inverse_scale, dtype)
    t.X.n_samples = s.X.n_samples
    rows = np.arange(s.X.n_samples)
    _describe_targets(t, rows, y_true, sample_weight, loss, dtype)
    t.label_smoothing = label_smoothing
    # A plain step of rate -1 from 0 is the sum of the gradients.
    rates = np.full((s.X.n_samples + GRADIENT_BATCH - 1) // GRADIENT_BATCH, -1.0)
    t.learning_rates = <const double *> cnp.PyArray_DATA(<cnp.ndarray> rates)
    t.batch_size = GRADIENT_BATCH
    t.step.update = FS_SGD
    t.step.momentum = t.step.alpha = 0
    t.fit_intercept = True
    t.model.n_rows = n_rows
    s.coef_in = _data(coef, "coef", dtype, (n_rows, d))
    s.coef_out = _data(coef_gradient_out, "coef_gradient_out", dtype, (n_rows, d))
    s.state_in = s.state_out = NULL
    _data(intercept, "intercept", dtype, (n_rows,))
    cdef void *b = _data(intercept_gradient_out, "intercept_gradient_out", dtype, (n_rows,))
    folded, centre = _folded(coef, intercept, shift, inverse_scale)
    intercept_gradient_out[:] = folded  # which is read before the gradient is written
    if dtype == cnp.NPY_FLOAT32:
        loss_sum = _run_sparse(<const float *> NULL, keep, &s, indices, <float *> b, NULL,
                               n_threads)
    else:
        loss_sum = _run_sparse(<const double *> NULL, keep, &s, indices, <double *> b, NULL,
                               n_threads)
    weight_sum = s.X.n_samples
    if sample_weight is not None:
        weight_sum = sample_weight.sum(dtype=np.float64)
    if centre is not None:
        coef_gradient_out -= np.multiply.outer(
            intercept_gradient_out, centre.astype(coef.dtype))
    coef_gradient_out /= coef.dtype.type(weight_sum)
    intercept_gradient_out /= coef.dtype.type(weight_sum)
    return loss_sum / weight_sum

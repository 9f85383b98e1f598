# The features of sparse X that a thread owns: finding them in a minibatch, and stepping them alone.
#
# A thread collects what the rows of a minibatch hold of its features, brings these up to date
# (decay.h), adds up their gradient and steps them; all others are left alone until they are met or
# the epoch ends. No loop over minibatches, no losses and no meeting is here. Included by
# _kernels.pxi; called by _sparse_epoch.pxi.

from .decay cimport FS_DECAY_BLOCK, fs_decay, fs_decay_start, fs_decay_step, fs_matrix
from .sparse cimport (
    fs_sparse_catch_up_f32, fs_sparse_catch_up_f64, fs_sparse_unpack_f32, fs_sparse_unpack_f64,
    fs_sparse_update_f32, fs_sparse_update_f64,
)

cdef enum:
    ROWS_AHEAD = 3  # how far ahead of use a row is asked for
    CHUNK = 64  # features that are brought up to date and unpacked while they are in the cache


cdef struct Own:  # a share of the features, one thread's, and what it keeps of a minibatch
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
    void *coef  # (n_features, stride)
    void *state
    void *gradient  # of a part, sample-major: (part_rows, stride)
    int32_t *steps  # that each feature has taken
    void *coef_out  # the caller's arrays, (n_rows, n_features)
    void *state_out  # NULL where steps need none
    int n_shares  # of the features, one a thread that was asked for
    Own *own  # one a share, then one for all features where there are several shares


# --- A minibatch ----------------------------------------------------------------------------------

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
    cdef uint32_t most = <uint32_t> (s.X.n_features - 1)
    cdef int32_t feature, at, slot, n_unique = <int32_t> own.n_unique
    cdef Py_ssize_t i, e, count = 0
    cdef bint is_own, is_new
    cdef Py_ssize_t left = s.samples.numbers + s.samples.n_numbers - numbers
    for i in range(n):
        if i + ROWS_AHEAD < left:
            _fetch_row(&s.X, numbers[i + ROWS_AHEAD])
        for e in range(indptr[numbers[i]], indptr[numbers[i] + 1]):
            # Without branches, which the CPU would guess wrong half of the time. Features of others
            # meet the place after the last, where nothing is ever new.
            feature = _bounded(indices + e, most)
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
        fs_sparse_catch_up_f32(&own.decay, features, n, s.steps, extra, <float *> s.coef,
                               <float *> s.state, s.stride)
    else:
        fs_sparse_catch_up_f64(&own.decay, features, n, s.steps, extra, <double *> s.coef,
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
        _scatter(sums, s.stride, own.entry_slots + first, values + first, end - first,
                 gradient + i * s.stride)
        first = end
    if not step.is_last:
        return
    if real is float:
        fs_sparse_update_f32(
            own.features, own.n_unique, sums, <float *> s.coef, <float *> s.state, s.stride,
            <float> step.learning_rate, <float> step.momentum, <float> step.alpha, step.update)
    else:
        fs_sparse_update_f64(
            own.features, own.n_unique, sums, <double *> s.coef, <double *> s.state, s.stride,
            step.learning_rate, step.momentum, step.alpha, step.update)
    for i in range(own.n_unique):
        own.slots[own.features[i] - own.first] = -1
    own.n_unique = 0
    fs_decay_step(&own.decay)


cdef void _finish_features(
    Sparse *s, const real *unused, const Own *own, Py_ssize_t j, Py_ssize_t end
) noexcept nogil:
    """Bring the features from j to `end` up to date, and give them back in the caller's layout."""
    cdef Py_ssize_t n_rows = s.samples.model.n_rows, d = s.X.n_features, last, i
    cdef int32_t[CHUNK] features
    cdef real *target = <real *> s.coef_out
    cdef real *state = <real *> s.state_out
    while j < end:
        last = min(j + CHUNK, end)
        for i in range(last - j):
            features[i] = <int32_t> (j + i)
        _catch_up(s, unused, own, &features[0], last - j, 0)
        if real is float:
            fs_sparse_unpack_f32(<const float *> s.coef, s.stride, target, n_rows, d, j, last)
            if state != NULL:
                fs_sparse_unpack_f32(<const float *> s.state, s.stride, state, n_rows, d, j, last)
        else:
            fs_sparse_unpack_f64(<const double *> s.coef, s.stride, target, n_rows, d, j, last)
            if state != NULL:
                fs_sparse_unpack_f64(<const double *> s.state, s.stride, state, n_rows, d, j, last)
        j = last


# --- Memory ---------------------------------------------------------------------------------------

cdef cnp.ndarray _feature_bounds(SparseRows *X, cnp.ndarray indices, int n_threads):
    """Where each share of the features begins: about as many values in each; it changes no bit."""
    held = indices[: X.indptr[X.n_samples]]  # what comes after has been checked by nobody
    sample = np.sort(held[:: max(1, held.size // 4096)])
    bounds = np.zeros(n_threads + 1, np.intp)
    for thread in range(1, n_threads):
        bounds[thread] = sample[sample.size * thread // n_threads] if sample.size else 0
    bounds[n_threads] = X.n_features
    return bounds.clip(0, X.n_features)


cdef int _own_features(
    const real *unused, list keep, Sparse *s, Own *own, Py_ssize_t first, Py_ssize_t last,
    Py_ssize_t part_entries, Py_ssize_t batch_entries, Py_ssize_t n_steps, const Step *step,
) except -1:
    """The buffers of a share. Pages that are never touched cost nothing."""
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

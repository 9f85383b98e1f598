# An epoch: the four steps, minibatch after minibatch, shared among threads.
#
# One parallel region for all of it; each thread owns samples in the first three steps and features
# in the fourth, with a barrier between. Nothing is added up in the order of threads, so the result
# is the same bit for bit at any number of them. Included by _kernels.pxi.

cdef struct Model:  # parameters and optimiser state in the form that the kernels use
    void *coef  # (n_rows, stride), padded with zeros
    void *coef_state
    void *coef_partial
    void *intercept  # a whole number of vectors
    void *intercept_state
    void *intercept_partial
    Py_ssize_t n_rows
    Py_ssize_t stride


cdef struct Training:  # what the threads of an epoch share
    Rows X
    Model model
    const intptr_t *numbers
    Py_ssize_t n_numbers
    const int32_t *y_true
    const void *sample_weight  # NULL: ones
    const double *learning_rates
    Py_ssize_t batch_size
    Step step
    int loss_kind
    bint fit_intercept
    # The minibatch's buffers
    Py_ssize_t raw_stride
    void *tile
    void *raw
    void *weight
    void *loss
    int32_t *codes
    # Results
    double loss_sum
    bint stop
    fs_barrier barrier


cdef void _gather_targets(
    const Training *t, const intptr_t *numbers, Py_ssize_t first, Py_ssize_t last,
    Py_ssize_t n, Py_ssize_t minibatch_size, real *weight,
) noexcept nogil:
    """Codes and weights of a minibatch's samples [first, last); samples from n on are padding."""
    cdef const real *sample_weight = <const real *> t.sample_weight
    cdef real share = <real> (1.0 / minibatch_size)
    cdef Py_ssize_t i
    for i in range(first, last):
        if i >= n:
            t.codes[i] = 0
            weight[i] = 0
            continue
        t.codes[i] = t.y_true[numbers[i]]
        weight[i] = share if sample_weight == NULL else share * sample_weight[numbers[i]]


cdef void _train_part(
    Training *t, const real *unused, Py_ssize_t start, Py_ssize_t n, Py_ssize_t minibatch_size,
    const Step *step, int thread, int n_threads,
) noexcept nogil:
    """One thread's share of n rows from `start` on: all or a part of a minibatch."""
    cdef real *tile = <real *> t.tile
    cdef real *raw = <real *> t.raw
    cdef real *weight = <real *> t.weight
    cdef real *loss = <real *> t.loss
    cdef const intptr_t *numbers = t.numbers + start
    cdef Model *model = &t.model
    cdef Py_ssize_t stride = model.stride, n_features = t.X.n_features, i
    cdef double total = 0

    # Rows: each thread takes whole groups of samples through the first three steps.
    cdef Py_ssize_t n_groups = (n + GROUP - 1) // GROUP
    cdef Py_ssize_t first = n_groups * thread // n_threads * GROUP
    cdef Py_ssize_t last = n_groups * (thread + 1) // n_threads * GROUP
    if first < last:
        _stage(&t.X, numbers, first, min(last, n) - first, tile + first * stride, stride)
        _gather_targets(t, numbers, first, last, n, minibatch_size, weight)
        _forward(tile + first * stride, <const real *> model.coef, stride, n_features,
                 <const real *> model.intercept, model.n_rows, raw + first, t.raw_stride,
                 last - first)
        _gradient(t.loss_kind, raw + first, t.raw_stride, model.n_rows, t.codes + first,
                  weight + first, loss + first, last - first)
    fs_barrier_wait(&t.barrier, n_threads)

    # Features: each thread takes whole stripes of columns through the fourth.
    if thread == 0:
        for i in range(n):  # in the order of the rows, whatever the number of threads
            total += loss[i]
        t.loss_sum += minibatch_size * total
        t.stop = not isfinite(t.loss_sum)
        if t.fit_intercept:
            _intercept_update(raw, t.raw_stride, n, <real *> model.intercept,
                              <real *> model.intercept_state, <real *> model.intercept_partial,
                              model.n_rows, step)
    cdef Py_ssize_t lanes = _lanes(raw)
    cdef Py_ssize_t n_stripes = (n_features + 2 * lanes - 1) // (2 * lanes)
    cdef fs_upcoming upcoming
    upcoming.data = t.X.data
    upcoming.rows = numbers + n
    upcoming.n_rows = min(n, t.n_numbers - start - n)
    upcoming.row_stride = t.X.row_stride
    upcoming.item_size = t.X.item_size
    if t.X.item_stride != t.X.item_size or upcoming.n_rows <= 0:
        upcoming.data = NULL
    _backward_update(
        <const real *> tile, stride, <const real *> raw, t.raw_stride, n, <real *> model.coef,
        <real *> model.coef_state, <real *> model.coef_partial, model.n_rows, step, &upcoming,
        n_stripes * thread // n_threads * 2 * lanes,
        min(n_stripes * (thread + 1) // n_threads * 2 * lanes, _round_up(n_features, lanes)))
    fs_barrier_wait(&t.barrier, n_threads)


cdef void _train_thread(
    Training *t, const real *unused, int thread, int n_threads
) noexcept nogil:
    """One thread's share of an epoch. All threads go through the same minibatches together."""
    cdef Py_ssize_t start = 0, batch = 0, size, part, n_parts
    cdef Step step = t.step
    while start < t.n_numbers and not t.stop:
        size = min(t.batch_size, t.n_numbers - start)
        step.learning_rate = t.learning_rates[batch]
        n_parts = (size + TILE_ROWS - 1) // TILE_ROWS
        for part in range(n_parts):
            step.is_first = part == 0
            step.is_last = part == n_parts - 1
            _train_part(t, unused, start + part * TILE_ROWS,
                        min(<Py_ssize_t> TILE_ROWS, size - part * TILE_ROWS), size, &step, thread,
                        n_threads)
        start += size
        batch += 1


cdef inline int _useful_threads(int n_threads, double work) noexcept nogil:
    """1 where a call's multiply-adds between two barriers are too few to be worth sharing."""
    # A barrier costs 0.2-1 µs; below 2^16 multiply-adds (about 2 µs) two threads are no faster.
    return n_threads if work >= 65536 else 1


cdef double _epoch(
    real *unused, Training *t, cnp.ndarray coef, cnp.ndarray intercept, cnp.ndarray coef_state,
    cnp.ndarray intercept_state, int n_threads,
) except? -1:
    cdef list keep = []
    cdef int dtype = cnp.PyArray_TYPE(coef)
    cdef Py_ssize_t n_rows = coef.shape[0], d = t.X.n_features, lanes = _lanes(unused)
    cdef Py_ssize_t tile_rows = _round_up(min(t.batch_size, <Py_ssize_t> TILE_ROWS), GROUP)
    cdef real *w = <real *> _data(coef, "coef_inplace", dtype, (n_rows, d))
    cdef real *w_state = <real *> _data(coef_state, "coef_state_inplace", dtype, (n_rows, d))
    cdef real *b = <real *> _data(intercept, "intercept_inplace", dtype, (n_rows,))
    cdef real *b_state = <real *> _data(
        intercept_state, "intercept_state_inplace", dtype, (n_rows,))
    cdef Model *model = &t.model
    cdef Py_ssize_t item = sizeof(real), k, intercept_size = _round_up(n_rows, lanes)
    model.n_rows = n_rows
    model.stride = _stride(d, unused)
    model.coef = _packed(keep, w, n_rows, d)
    model.coef_state = _packed(keep, w_state, n_rows, d)
    model.coef_partial = model.coef
    if t.batch_size > TILE_ROWS:
        model.coef_partial = _aligned(keep, n_rows * model.stride * item)
    model.intercept = _aligned(keep, intercept_size * item)
    model.intercept_state = _aligned(keep, intercept_size * item)
    model.intercept_partial = _aligned(keep, intercept_size * item)
    for k in range(n_rows):
        (<real *> model.intercept)[k] = b[k]
        (<real *> model.intercept_state)[k] = b_state[k]
    t.raw_stride = tile_rows
    t.tile = _aligned(keep, tile_rows * model.stride * item)
    t.raw = _aligned(keep, n_rows * tile_rows * item)
    t.weight = _aligned(keep, tile_rows * item)
    t.loss = _aligned(keep, tile_rows * item)
    t.codes = <int32_t *> _aligned(keep, tile_rows * sizeof(int32_t))
    t.loss_sum = 0
    t.stop = False
    fs_barrier_init(&t.barrier)

    n_threads = _useful_threads(n_threads, <double> min(t.batch_size, t.n_numbers) * d * n_rows)
    with nogil:
        if n_threads == 1:
            _train_thread(t, <const real *> unused, 0, 1)
        else:
            with parallel(num_threads=n_threads):
                _train_thread(t, <const real *> unused, fs_thread_number(), fs_team_size())
        _unpack(<const real *> model.coef, w, n_rows, d)
        _unpack(<const real *> model.coef_state, w_state, n_rows, d)
        for k in range(n_rows):
            b[k] = (<real *> model.intercept)[k]
            b_state[k] = (<real *> model.intercept_state)[k]
    return t.loss_sum


cdef int _describe_targets(
    Training *t, cnp.ndarray rows, cnp.ndarray y_true, sample_weight, str loss, int dtype
) except -1:
    """The fields of Training that say which samples, with which classes and weights."""
    t.numbers = _row_numbers(rows)
    t.n_numbers = rows.size
    t.y_true = <const int32_t *> _data(y_true, "y_true", cnp.NPY_INT32, (t.X.n_samples,))
    t.sample_weight = NULL
    if sample_weight is not None:
        t.sample_weight = _data(sample_weight, "sample_weight", dtype, (t.X.n_samples,))
    t.loss_kind = _LOSS[loss]
    return 0


def epoch(
    cnp.ndarray X, cnp.ndarray rows, cnp.ndarray y_true, sample_weight, shift, inverse_scale,
    cnp.ndarray coef_inplace, cnp.ndarray intercept_inplace, cnp.ndarray coef_state_inplace,
    cnp.ndarray intercept_state_inplace, cnp.ndarray learning_rates, Py_ssize_t batch_size,
    str loss, str update, double momentum, double alpha, bint fit_intercept, int n_threads,
):
    """See reference.epoch."""
    cdef Training t
    cdef int dtype = _dtype(coef_inplace, "coef_inplace")
    _describe(&t.X, X, shift, inverse_scale, dtype)
    _describe_targets(&t, rows, y_true, sample_weight, loss, dtype)
    cdef Py_ssize_t n_batches = (t.n_numbers + batch_size - 1) // batch_size
    t.learning_rates = <const double *> _data(
        learning_rates, "learning_rates", cnp.NPY_FLOAT64, (n_batches,))
    t.batch_size = batch_size
    t.step.update = _UPDATE[update]
    t.step.momentum = momentum
    t.step.alpha = alpha
    t.fit_intercept = fit_intercept
    if dtype == cnp.NPY_FLOAT32:
        return _epoch(<float *> NULL, &t, coef_inplace, intercept_inplace, coef_state_inplace,
                      intercept_state_inplace, n_threads)
    return _epoch(<double *> NULL, &t, coef_inplace, intercept_inplace, coef_state_inplace,
                  intercept_state_inplace, n_threads)

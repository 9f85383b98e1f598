# An epoch: the four steps, minibatch after minibatch, shared among threads.
#
# Each thread of a team owns samples in the first three steps and features in the fourth, and they
# meet between. Nothing is added up in the order of threads, so the result is the same bit for bit
# at any number of them, and their number may change after each part. Included by _kernels.pxi.

from ._pool cimport (
    Work, add_patience, fs_team, is_patient, lead, team_at_hand, team_close, team_join, team_let_in,
    team_meet, team_open, team_plan, team_planned, worked_alone,
)
from .fetch cimport fs_fetcher
from .vector cimport fs_curvature_lanes_f32, fs_curvature_lanes_f64
from .team cimport fs_seconds

cdef struct Model:  # parameters and optimiser state in the form that the kernels use
    void *coef  # (n_rows, stride), padded with zeros
    void *coef_state
    void *coef_partial
    void *intercept  # a whole number of vectors
    void *intercept_state
    void *intercept_partial
    Py_ssize_t n_rows
    Py_ssize_t stride


cdef enum:
    PARTS_ALONE = 16  # taken by a thread that has no patience, before it looks again


cdef struct Place:  # how far an epoch has got
    Py_ssize_t start  # first row of the minibatch
    Py_ssize_t done  # rows of it that were taken
    Py_ssize_t batch


cdef struct Worker:  # what a thread has for itself where coefficients are few
    Model model
    void *tile
    void *samples
    void *raw
    void *weight
    void *loss
    int32_t *codes
    void *room  # of the backward step
    void *gradient  # of the minibatch
    void *column  # a vector a class, for the likeliest
    double loss_sum


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
    double label_smoothing
    bint fit_intercept
    # Of passes over all rows (_all_rows.pxi), else NULL:
    const void *probability  # (n_rows, n_numbers) where the Hessian is multiplied by a step
    int32_t *kept  # (n_numbers, FS_KEPT): the likeliest classes of each row, asked for
    void *kept_probability
    void *columns  # of each thread, a vector a class
    # Buffers of a part: a minibatch, or as many of its rows as are taken at once
    Py_ssize_t part_rows  # at most, which is the stride of raw
    Py_ssize_t row_bytes
    void *tile
    void *samples  # pointers to the rows of the minibatch
    void *raw
    void *weight
    void *loss
    int32_t *codes
    void *rooms  # of the threads' backward steps, room_size bytes each
    Py_ssize_t room_size
    # Where each thread keeps its own coefficients (_narrow.pxi)
    bint is_narrow
    Py_ssize_t share_rows
    Py_ssize_t most_shares  # of a minibatch
    Py_ssize_t share_size  # items
    void *shares  # most_shares gradients, twice
    double *share_losses
    Worker *workers
    # Results
    double[GROUP] batch_loss  # of the minibatch so far
    double loss_sum
    bint stop
    # The team
    fs_team team
    Place place  # how far thread 0 has got, between teams
    Place entry  # where who comes in begins; not touched while anyone may read it
    bint is_led  # others may come in; for thread 0 alone
    double row_alone  # seconds that a row takes one thread
    double part_started


cdef void _gather_targets(
    const Training *t, const intptr_t *numbers, Py_ssize_t first, Py_ssize_t last,
    Py_ssize_t n, Py_ssize_t minibatch_size, real *weight, int32_t *codes,
) noexcept nogil:
    """Codes and weights of a minibatch's samples [first, last); samples from n on are padding."""
    cdef const real *sample_weight = <const real *> t.sample_weight
    cdef real share = <real> (1.0 / minibatch_size)
    cdef Py_ssize_t i
    for i in range(first, last):
        if i >= n:
            codes[i] = 0
            weight[i] = 0
            continue
        codes[i] = 0 if t.y_true == NULL else t.y_true[numbers[i]]
        weight[i] = share if sample_weight == NULL else share * sample_weight[numbers[i]]


cdef inline real *_column(const Training *t, const real *unused, int thread) noexcept nogil:
    """A thread's room for the classes of a vector of samples; no memory where none is needed."""
    if t.kept == NULL:
        return NULL
    return <real *> t.columns + thread * t.model.n_rows * _lanes(unused)


cdef void _finish_rows(
    const Training *t, Py_ssize_t at, Py_ssize_t n, real *raw, Py_ssize_t n_rows,
    const int32_t *codes, const real *weight, real *loss, Py_ssize_t n_samples, real *column,
) noexcept nogil:
    """What the backward step adds up of n samples from number `at` on, in place of `raw`.

    That is the gradient; or where raw holds what a step would change, the change of the gradient.
    n_samples is n rounded up to whole groups.
    """
    cdef Py_ssize_t lanes = _lanes(raw), group, i, left
    cdef bint is_softmax = t.loss_kind == SOFTMAX
    cdef const real *probability = <const real *> t.probability
    if probability == NULL:
        _smoothed_gradient(t.loss_kind, t.label_smoothing, raw, t.part_rows, n_rows, codes, weight,
                           loss, n_samples)
        if t.kept != NULL:
            _keep_likeliest(t, raw, t.part_rows, codes, weight, at, n, column)
        return
    for group in range(n_samples // lanes):
        i = group * lanes
        left = max(<Py_ssize_t> 0, min(lanes, n - i))
        if real is float:
            fs_curvature_lanes_f32(raw + i, t.part_rows, n_rows, probability + at + min(i, n),
                                   t.n_numbers, weight + i, is_softmax, left)
        else:
            fs_curvature_lanes_f64(raw + i, t.part_rows, n_rows, probability + at + min(i, n),
                                   t.n_numbers, weight + i, is_softmax, left)


cdef void _train_part(
    Training *t, const real *unused, Py_ssize_t start, Py_ssize_t n, Py_ssize_t minibatch_size,
    const Step *step, int thread, int n_threads,
) noexcept nogil:
    """One thread's share of n rows from `start` on: all or a part of a minibatch."""
    cdef real *tile = <real *> t.tile
    cdef const real **samples = <const real **> t.samples
    cdef real *raw = <real *> t.raw
    cdef real *weight = <real *> t.weight
    cdef real *loss = <real *> t.loss
    cdef const intptr_t *numbers = t.numbers + start
    cdef Model *model = &t.model
    cdef Py_ssize_t stride = model.stride, n_features = t.X.n_features

    # Rows: each thread takes whole groups of samples through the first three steps.
    cdef Py_ssize_t n_groups = (n + GROUP - 1) // GROUP
    cdef Py_ssize_t first = n_groups * thread // n_threads * GROUP
    cdef Py_ssize_t last = n_groups * (thread + 1) // n_threads * GROUP
    cdef Py_ssize_t lanes = _lanes(raw)
    cdef Py_ssize_t n_stripes = _up(n_features, 2 * lanes)
    cdef Py_ssize_t first_stripe = n_stripes * thread // n_threads
    cdef Py_ssize_t last_stripe = n_stripes * (thread + 1) // n_threads
    cdef fs_fetcher fetcher
    _aim(&t.X, t.numbers, model.n_rows, &fetcher, start + n + first,
         min(start + n + last, t.n_numbers), last - first, n, 2 * (last_stripe - first_stripe),
         t.y_true, unused)
    if first < last:
        _point(&t.X, numbers, first, min(last, n) - first, last - first, tile + first * stride,
               stride, samples + first, model.n_rows)
        _gather_targets(t, numbers, first, last, n, minibatch_size, weight, t.codes)
        _forward(samples + first, <const real *> model.coef, stride, n_features,
                 <const real *> model.intercept, model.n_rows, raw + first, t.part_rows,
                 last - first, &fetcher)
        _finish_rows(t, start + first, min(last, n) - first, raw + first, model.n_rows,
                     t.codes + first, weight + first, loss + first, last - first,
                     _column(t, unused, thread))
    team_meet(&t.team, n_threads)

    # Features: each thread takes whole stripes of columns through the fourth.
    if thread == 0:
        _end_rows(t, loss, n, minibatch_size, step)
        if t.fit_intercept:
            _intercept_update(raw, t.part_rows, n, <real *> model.intercept,
                              <real *> model.intercept_state, <real *> model.intercept_partial,
                              model.n_rows, step)
        _plan_team(t, n, n_threads, 0)
    _backward_update(
        samples, stride, <const real *> raw, t.part_rows, n, <real *> model.coef,
        <real *> model.coef_state, <real *> model.coef_partial, model.n_rows, step, &fetcher,
        first_stripe * 2 * lanes, min(last_stripe * 2 * lanes, _round_up(n_features, lanes)),
        n_features, <char *> t.rooms + thread * t.room_size)
    team_meet(&t.team, n_threads)


cdef inline void _end_rows(
    Training *t, const real *loss, Py_ssize_t n, Py_ssize_t minibatch_size, const Step *step
) noexcept nogil:
    """Add up the losses of a part in an order that depends on neither threads nor parts.

    Loss i goes to sum i modulo GROUP: one sum would make each addition wait for the one before.
    """
    cdef double[GROUP] sums
    cdef double total = 0
    cdef Py_ssize_t i, group
    for i in range(GROUP):
        sums[i] = 0 if step.is_first else t.batch_loss[i]
    for group in range((n + GROUP - 1) // GROUP):  # the padding's losses are 0
        for i in range(GROUP):
            sums[i] += loss[group * GROUP + i]
    for i in range(GROUP):
        t.batch_loss[i] = sums[i]
        total += sums[i]
    if step.is_last:
        t.loss_sum += minibatch_size * total
        t.stop = not isfinite(t.loss_sum)


cdef inline Py_ssize_t _part_rows(
    Py_ssize_t batch_size, Py_ssize_t row_bytes, Py_ssize_t n_rows, int n_threads
) noexcept nogil:
    """Rows to take at once: as many as leave each core's cache room for the ones after them.

    With many classes a row is worked on for longer, and keeping partial gradients costs more than
    fetching it again.
    """
    cdef Py_ssize_t n_bytes = PART_BYTES * n_threads * (1 if n_rows <= FS_DIRECT_CLASSES else 2)
    cdef Py_ssize_t fitting = n_bytes // row_bytes // (2 * GROUP) * (2 * GROUP)
    fitting = max(<Py_ssize_t> 2 * GROUP, min(<Py_ssize_t> MOST_PART_ROWS, fitting))
    return min(_round_up(batch_size, GROUP), fitting)


cdef void _run_parts(
    Training *t, const real *unused, Place *place, Py_ssize_t limit, int thread, int n_threads
) noexcept nogil:
    """Take up to `limit` parts from `place` on; a team also stops where it is broken up."""
    cdef Step step = t.step
    cdef Py_ssize_t size, n
    while limit > 0 and place.start < t.n_numbers and not t.stop:
        size = min(t.batch_size, t.n_numbers - place.start)
        n = min(t.part_rows, size - place.done)
        n = min(n, _part_rows(t.batch_size, t.row_bytes, t.model.n_rows, n_threads))
        step.learning_rate = t.learning_rates[place.batch]
        step.is_first = place.done == 0
        step.is_last = place.done + n == size
        _train_part(t, unused, place.start + place.done, n, size, &step, thread, n_threads)
        place.done += n
        if step.is_last:
            place.start += size
            place.done = 0
            place.batch += 1
        limit -= 1
        n_threads = _go_on(t, place, thread, n_threads, 0)
        if n_threads == 0:
            return


cdef inline void _run(
    Training *t, const real *unused, Place *place, Py_ssize_t limit, int thread, int n_threads
) noexcept nogil:
    """Up to `limit` parts, or minibatches where coefficients are few."""
    if t.is_narrow:
        _run_shares(t, unused, place, limit, thread, n_threads)
    else:
        _run_parts(t, unused, place, limit, thread, n_threads)


# --- The team -------------------------------------------------------------------------------------
#
# No bit depends on the number of threads, so it may change in the middle. Thread 0 takes the first
# parts alone, lets in whoever has come, and sees to it that the team keeps what it promises: a
# member that another program has taken the core of holds up all others. What a part loses or gains
# against one thread is patience lost or gained (pool.h), and at its end the team is broken up.
# Thread 0 then goes on alone, until it has patience for another.

cdef double _median_time(double *seconds) noexcept nogil:
    """Of trials, in which another program may have taken the core for once."""
    cdef Py_ssize_t i, j
    for i in range(1, TRIAL_PARTS):
        j = i
        while j > 0 and seconds[j - 1] > seconds[j]:
            seconds[j - 1], seconds[j] = seconds[j], seconds[j - 1]
            j -= 1
    return seconds[TRIAL_PARTS // 2]


cdef void _try_alone(Training *t, const real *unused) noexcept nogil:
    """Take the first parts on this thread, and keep the time that a row usually takes."""
    cdef double[TRIAL_PARTS] seconds
    cdef double before
    cdef Py_ssize_t i, first_row
    _run(t, unused, &t.place, 1, 0, 1)  # which finds no row in the cache
    for i in range(TRIAL_PARTS):
        before = fs_seconds()
        first_row = t.place.start + t.place.done
        _run(t, unused, &t.place, 1, 0, 1)
        seconds[i] = (fs_seconds() - before) / max(
            <Py_ssize_t> 1, t.place.start + t.place.done - first_row)
    t.row_alone = _median_time(&seconds[0])


cdef void _plan_team(Training *t, Py_ssize_t n, int n_threads, int turn) noexcept nogil:
    """By thread 0, before all meet after a part of n rows: how many are to take the next."""
    cdef double now
    if not t.is_led:
        return
    if t.row_alone < INFINITY:
        now = fs_seconds()
        if n_threads > 1:
            add_patience(n * t.row_alone - (now - t.part_started))
        t.part_started = now
    team_plan(&t.team, team_at_hand(&t.team) if is_patient() else 0, turn)


cdef int _go_on(
    Training *t, const Place *place, int thread, int n_threads, int turn
) noexcept nogil:
    """By all, after they have met: how many take the next part; 0 where the team is broken up."""
    cdef int planned
    if thread == 0 and not t.is_led:
        return n_threads
    planned = team_planned(&t.team, turn)
    if planned < n_threads:
        return 0
    if planned > n_threads and thread == 0:
        t.entry = place[0]
        team_let_in(&t.team, planned)
    return planned


cdef void _train_thread(Training *t, const real *unused, int thread) noexcept nogil:
    """One thread's share of what is left of an epoch, as long as there is a team."""
    cdef Place place
    cdef int n_threads
    if thread > 0:
        thread = team_join(&t.team, &n_threads)
        if thread > 0:
            place = t.entry
            if t.is_narrow:
                _copy_parameters(t, unused, thread)
            _run(t, unused, &place, PY_SSIZE_T_MAX, thread, n_threads)
        return
    t.is_led = True
    t.part_started = fs_seconds()
    place = t.place
    _run(t, unused, &place, PY_SSIZE_T_MAX, 0, 1)
    t.place = place
    t.is_led = False
    team_close(&t.team)


cdef bint _is_at_end(const Training *t) noexcept nogil:
    if t.place.start >= t.n_numbers:
        return True
    return not isfinite(t.workers[0].loss_sum) if t.is_narrow else t.stop


cdef void _train(Training *t, const real *unused, int n_threads) noexcept nogil:
    """The epoch: in teams, and alone while there is no patience for one."""
    cdef double before
    t.loss_sum = 0
    t.stop = t.is_led = False
    t.row_alone = INFINITY  # not tried: the team is never judged
    t.place.start = t.place.done = t.place.batch = 0
    team_open(&t.team)
    if n_threads == 1:
        _run(t, unused, &t.place, PY_SSIZE_T_MAX, 0, 1)
    elif t.n_numbers >= 4 * TRIAL_PARTS * (t.batch_size if t.is_narrow else t.part_rows):
        _try_alone(t, unused)
    while not _is_at_end(t):
        if is_patient():
            team_open(&t.team)
            lead(n_threads, <Work> _train_thread[real], t, unused)
        else:
            before = fs_seconds()
            _run(t, unused, &t.place, PARTS_ALONE, 0, 1)
            worked_alone(fs_seconds() - before)
    if t.is_narrow:
        t.loss_sum = t.workers[0].loss_sum


cdef inline int _useful_threads(int n_threads, double part_work, double work) noexcept nogil:
    """1 where there are too few multiply-adds, between two meetings or in all, to be shared."""
    # A meeting costs 0.2-1 µs, and 2^15 multiply-adds take one thread about as long; waking a team,
    # or losing a core to another program for once, costs more than 2^22 are worth.
    return n_threads if part_work >= 32768 and work >= 4194304 else 1


cdef double _epoch(
    real *unused, Training *t, cnp.ndarray coef, cnp.ndarray intercept, cnp.ndarray coef_state,
    cnp.ndarray intercept_state, int n_threads,
) except? -1:
    cdef list keep = []
    cdef int dtype = cnp.PyArray_TYPE(coef)
    cdef Py_ssize_t n_rows = coef.shape[0], d = t.X.n_features, lanes = _lanes(unused)
    cdef real *w = <real *> _out(coef, "coef_inplace", dtype, (n_rows, d))
    cdef real *w_state = <real *> _out(coef_state, "coef_state_inplace", dtype, (n_rows, d))
    cdef real *b = <real *> _out(intercept, "intercept_inplace", dtype, (n_rows,))
    cdef real *b_state = <real *> _out(
        intercept_state, "intercept_state_inplace", dtype, (n_rows,))
    cdef Model *model = &t.model
    cdef Py_ssize_t item = sizeof(real), k, intercept_size = _round_up(n_rows, lanes)
    model.n_rows = n_rows
    model.stride = _stride(d, unused)
    model.coef = _packed(keep, w, n_rows, d)
    model.coef_state = _packed(keep, w_state, n_rows, d)
    model.coef_partial = _aligned(keep, n_rows * model.stride * item)
    n_threads = _useful_threads(
        n_threads, <double> min(t.batch_size, <Py_ssize_t> MOST_PART_ROWS) * d * n_rows,
        <double> t.n_numbers * d * n_rows)
    t.row_bytes = model.stride * item
    t.part_rows = _part_rows(t.batch_size, t.row_bytes, t.model.n_rows, n_threads)
    model.intercept = _aligned(keep, intercept_size * item)
    model.intercept_state = _aligned(keep, intercept_size * item)
    model.intercept_partial = _aligned(keep, intercept_size * lanes * item)
    for k in range(n_rows):
        (<real *> model.intercept)[k] = b[k]
        (<real *> model.intercept_state)[k] = b_state[k]
    t.tile = _aligned(keep, t.part_rows * model.stride * item)
    t.samples = _aligned(keep, t.part_rows * sizeof(void *))
    t.raw = _aligned(keep, n_rows * t.part_rows * item)
    t.weight = _aligned(keep, t.part_rows * item)
    t.loss = _aligned(keep, t.part_rows * item)
    t.codes = <int32_t *> _aligned(keep, t.part_rows * sizeof(int32_t))
    t.room_size = _round_up(_room(n_rows, t.part_rows, unused), LINE)
    t.rooms = _aligned(keep, n_threads * t.room_size)
    if t.kept != NULL:
        t.columns = _aligned(keep, n_threads * n_rows * FS_VECTOR_BYTES)
    t.is_narrow = _is_narrow(model, unused)
    if t.is_narrow:
        n_threads = _prepare_shares(keep, t, unused, n_threads)
    with nogil:
        _train(t, <const real *> unused, n_threads)
        _unpack(<const real *> model.coef, w, n_rows, d)
        _unpack(<const real *> model.coef_state, w_state, n_rows, d)
        for k in range(n_rows):
            b[k] = (<real *> model.intercept)[k]
            b_state[k] = (<real *> model.intercept_state)[k]
    return t.loss_sum


cdef int _describe_samples(
    Training *t, cnp.ndarray rows, sample_weight, str loss, int dtype
) except -1:
    """The fields of Training that say which samples, with which weights, and nothing of classes."""
    t.numbers = _row_numbers(rows, t.X.n_samples)
    t.n_numbers = rows.size
    t.y_true = NULL
    t.sample_weight = NULL
    if sample_weight is not None:
        t.sample_weight = _data(sample_weight, "sample_weight", dtype, (t.X.n_samples,))
    t.loss_kind = _choice(_LOSS, "loss", loss)
    t.label_smoothing = 0
    t.probability = NULL
    t.kept = NULL
    return 0


cdef int _describe_targets(
    Training *t, cnp.ndarray rows, cnp.ndarray y_true, sample_weight, str loss, Py_ssize_t n_rows,
    int dtype,
) except -1:
    """The same, with their classes."""
    _describe_samples(t, rows, sample_weight, loss, dtype)
    t.y_true = <const int32_t *> _data(y_true, "y_true", cnp.NPY_INT32, (t.X.n_samples,))
    _check_codes(y_true, t.numbers, t.n_numbers, _n_classes(t.loss_kind, n_rows))
    return 0


cdef int _describe_steps(
    Training *t, learning_rates, batch_size, str update, double momentum, double alpha
) except -1:
    """Those that say in which steps: how many rows each, at which rate, and by which rule."""
    t.batch_size = _rows_a_batch(batch_size)
    cdef Py_ssize_t n_batches = (t.n_numbers + t.batch_size - 1) // t.batch_size
    t.learning_rates = <const double *> _data(
        learning_rates, "learning_rates", cnp.NPY_FLOAT64, (n_batches,))
    t.step.update = _choice(_UPDATE, "update", update)
    t.step.momentum = momentum
    t.step.alpha = alpha
    return 0


def epoch(
    cnp.ndarray X, cnp.ndarray rows, cnp.ndarray y_true, sample_weight, shift, inverse_scale,
    cnp.ndarray coef_inplace, cnp.ndarray intercept_inplace, cnp.ndarray coef_state_inplace,
    cnp.ndarray intercept_state_inplace, cnp.ndarray learning_rates, batch_size, str loss,
    str update, double momentum, double alpha, bint fit_intercept, n_threads,
    double label_smoothing=0.0,
):
    """See reference/dense.py."""
    cdef Training t
    cdef int dtype = _dtype(coef_inplace, "coef_inplace"), threads = _threads(n_threads)
    _check_coef(coef_inplace, "coef_inplace")
    _describe(&t.X, X, shift, inverse_scale, dtype)
    _describe_targets(&t, rows, y_true, sample_weight, loss, coef_inplace.shape[0], dtype)
    _describe_steps(&t, learning_rates, batch_size, update, momentum, alpha)
    t.label_smoothing = label_smoothing
    t.fit_intercept = fit_intercept
    if dtype == cnp.NPY_FLOAT32:
        return _epoch(<float *> NULL, &t, coef_inplace, intercept_inplace, coef_state_inplace,
                      intercept_state_inplace, threads)
    return _epoch(<double *> NULL, &t, coef_inplace, intercept_inplace, coef_state_inplace,
                  intercept_state_inplace, threads)

# An epoch of narrow rows, whose coefficients are few: each thread keeps a copy of them.
#
# A minibatch is some microseconds of work here, most of which two threads that share columns would
# spend on fetching each other's rows. Instead the minibatch is dealt out in shares of SHARE_ROWS
# rows. The gradient of a share is summed by one thread; after the only meeting each thread adds up
# all of them, in their order, and takes the same step on its own copy. Shares depend on the size of
# a minibatch alone, so the number of threads changes no bit. Included by _kernels.pxi; called by
# _epoch.pxi.

from ._pool cimport team_meet, team_planned
from .fetch cimport fs_fetcher
from .vector cimport fs_add_shares_f32, fs_add_shares_f64, fs_step_array_f32, fs_step_array_f64

cdef inline bint _is_narrow(const Model *model, const real *unused) noexcept nogil:
    return model.n_rows * model.stride * <Py_ssize_t> sizeof(real) <= NARROW_BYTES


cdef int _give_room(
    list keep, Worker *worker, Py_ssize_t rows, const real *unused
) except -1:
    """A thread's buffers for so many rows at once, where its model is known."""
    cdef Py_ssize_t item = sizeof(real), n_rows = worker.model.n_rows
    worker.tile = _aligned(keep, rows * worker.model.stride * item)
    worker.samples = _aligned(keep, rows * sizeof(void *))
    worker.raw = _aligned(keep, n_rows * rows * item)
    worker.weight = _aligned(keep, rows * item)
    worker.loss = _aligned(keep, rows * item)
    worker.codes = <int32_t *> _aligned(keep, rows * sizeof(int32_t))
    worker.room = _aligned(keep, _room(n_rows, rows, unused))
    return 0


cdef int _prepare_shares(list keep, Training *t, const real *unused, int n_threads) except -1:
    """Allocate the shares and every thread's own memory; gives the number of useful threads."""
    cdef Model *model = &t.model
    cdef Py_ssize_t lanes = _lanes(unused), item = sizeof(real), n_rows = model.n_rows
    cdef Py_ssize_t rows, size = n_rows * model.stride * item
    cdef Worker *worker
    cdef int thread
    t.share_rows = SHARE_ROWS * (
        (t.batch_size + SHARE_ROWS * MOST_SHARES - 1) // (SHARE_ROWS * MOST_SHARES))
    t.most_shares = (t.batch_size + t.share_rows - 1) // t.share_rows
    t.share_size = n_rows * (model.stride + lanes)
    t.shares = _aligned(keep, 2 * t.most_shares * t.share_size * item)
    t.share_losses = <double *> _aligned(keep, 2 * t.most_shares * sizeof(double))
    n_threads = min(<Py_ssize_t> n_threads, t.most_shares)
    rows = t.part_rows = min(t.share_rows, <Py_ssize_t> MOST_PART_ROWS)
    t.workers = <Worker *> _aligned(keep, n_threads * sizeof(Worker))
    for thread in range(n_threads):
        worker = &t.workers[thread]
        worker.model = model[0]
        if thread > 0:
            worker.model.coef = _aligned(keep, size)
            worker.model.coef_state = _aligned(keep, size)
            worker.model.intercept = _aligned(keep, _round_up(n_rows, lanes) * item)
            worker.model.intercept_state = _aligned(keep, _round_up(n_rows, lanes) * item)
        _give_room(keep, worker, rows, unused)
        worker.gradient = _aligned(keep, n_rows * (model.stride + lanes) * item)
        worker.loss_sum = 0
    return n_threads


cdef void _copy_parameters(Training *t, const real *unused, int thread) noexcept nogil:
    """Bring a thread's own parameters to where thread 0's are; before all meet next."""
    cdef Model *source = &t.workers[0].model
    cdef Model *target = &t.workers[thread].model
    cdef Py_ssize_t size = source.n_rows * source.stride * <Py_ssize_t> sizeof(real)
    cdef Py_ssize_t intercept_size = source.n_rows * <Py_ssize_t> sizeof(real)
    memcpy(target.coef, source.coef, size)
    memcpy(target.coef_state, source.coef_state, size)
    memcpy(target.intercept, source.intercept, intercept_size)
    memcpy(target.intercept_state, source.intercept_state, intercept_size)
    t.workers[thread].loss_sum = t.workers[0].loss_sum


cdef double _take_share(
    Training *t, Worker *w, real *gradient, Step *step, Py_ssize_t start, Py_ssize_t n,
    Py_ssize_t minibatch_size, Py_ssize_t next_start, Py_ssize_t next_n,
) noexcept nogil:
    """Leave the gradient of n rows from `start` on in `gradient`; gives their loss.

    The rows of the thread's next share are asked for meanwhile.
    """
    cdef real *tile = <real *> w.tile
    cdef const real **samples = <const real **> w.samples
    cdef real *raw = <real *> w.raw
    cdef real *weight = <real *> w.weight
    cdef real *loss = <real *> w.loss
    cdef Model *model = &w.model
    cdef Py_ssize_t lanes = _lanes(gradient), stride = model.stride, d = t.X.n_features
    cdef Py_ssize_t done = 0, size, padded, i, from_row, to_row
    cdef const intptr_t *numbers
    cdef real *intercept_gradient = gradient + model.n_rows * stride
    cdef double total = 0
    cdef fs_fetcher fetcher
    step.is_last = False  # the step is taken once all shares are there
    while done < n:
        size = min(t.part_rows, n - done)
        padded = _round_up(size, GROUP)
        numbers = t.numbers + start + done
        from_row = next_start
        to_row = next_start + min(next_n, t.part_rows)
        if done + size < n:
            from_row = start + done + size
            to_row = min(from_row + t.part_rows, start + n)
        _aim(&t.X, t.numbers, model.n_rows, &fetcher, from_row, to_row, padded, size,
             _up(d, lanes), t.y_true, <const real *> NULL)
        _point(&t.X, numbers, 0, size, padded, tile, stride, samples,
               model.n_rows)
        _gather_targets(t, numbers, 0, padded, size, minibatch_size, weight, w.codes)
        _forward(samples, <const real *> model.coef, stride, d, <const real *> model.intercept,
                 model.n_rows, raw, t.part_rows, padded, &fetcher)
        _finish_rows(t, start + done, size, raw, model.n_rows, w.codes, weight, loss, padded,
                     <real *> w.column)
        step.is_first = done == 0
        if t.fit_intercept:
            _intercept_update(raw, t.part_rows, size, <real *> NULL, <real *> NULL,
                              intercept_gradient, model.n_rows, step)
        # Before the last part coef and its state aren't touched: any pointer will do, but NULL, to
        # which C doesn't let one add.
        _backward_update(
            samples, stride, <const real *> raw, t.part_rows, size, gradient, gradient, gradient,
            model.n_rows, step, &fetcher, 0, _round_up(d, lanes), d, w.room)
        for i in range(size):
            total += loss[i]
        done += size
    return total


cdef void _step_with_shares(
    Training *t, Worker *w, const real *shares, Py_ssize_t n_shares, Step *step
) noexcept nogil:
    """Add up the shares' gradients and step with the sum."""
    cdef Model *model = &w.model
    cdef real *gradient = <real *> w.gradient
    cdef Py_ssize_t size = model.n_rows * model.stride
    step.is_first = False
    step.is_last = True
    if real is float:
        fs_add_shares_f32(gradient, shares, t.share_size, n_shares)
        fs_step_array_f32(gradient, <float *> model.coef, <float *> model.coef_state, size,
                          <float> step.learning_rate, <float> step.momentum,
                          <float> step.alpha, step.update)
    else:
        fs_add_shares_f64(gradient, shares, t.share_size, n_shares)
        fs_step_array_f64(gradient, <double *> model.coef, <double *> model.coef_state, size,
                          step.learning_rate, step.momentum, step.alpha, step.update)
    if t.fit_intercept:
        _intercept_update(gradient, 0, 0, <real *> model.intercept, <real *> model.intercept_state,
                          gradient + size, model.n_rows, step)


cdef void _run_shares(
    Training *t, const real *unused, Place *place, Py_ssize_t limit, int thread, int n_threads
) noexcept nogil:
    """Take up to `limit` minibatches from `place` on; a team also stops where it is broken up.

    Whatever ends the loop is known to all threads alike, as they meet once a minibatch: hence two
    sets of shares, and of plans, in turn. Where a team is broken up, only thread 0 takes the
    minibatch's step, as nobody must still read what it writes next.
    """
    cdef Worker *w = &t.workers[thread]
    cdef Step step = t.step
    cdef Py_ssize_t size, n_shares, share, first, last, start, after, n_after, next_first
    cdef int turn
    cdef double loss
    cdef real *shares
    cdef double *losses
    while limit > 0 and place.start < t.n_numbers and isfinite(w.loss_sum):
        size = min(t.batch_size, t.n_numbers - place.start)
        turn = <int> (place.batch % 2)
        shares = <real *> t.shares + turn * t.most_shares * t.share_size
        losses = t.share_losses + turn * t.most_shares
        step.learning_rate = t.learning_rates[place.batch]
        n_shares = (size + t.share_rows - 1) // t.share_rows
        first = n_shares * thread // n_threads
        last = n_shares * (thread + 1) // n_threads
        # The next minibatch is taken to be as large as this one, which only the last one isn't.
        next_first = place.start + size + first * t.share_rows
        for share in range(first, last):
            start = place.start + share * t.share_rows
            after = start + t.share_rows if share + 1 < last else next_first
            n_after = max(<Py_ssize_t> 0, min(t.share_rows, t.n_numbers - after))
            losses[share] = _take_share(
                t, w, shares + share * t.share_size, &step, start,
                min(t.share_rows, place.start + size - start), size, after, n_after)
        if thread == 0:
            _plan_team(t, size, n_threads, turn)
        team_meet(&t.team, n_threads)
        if thread > 0 and team_planned(&t.team, turn) < n_threads:
            return
        loss = 0
        for share in range(n_shares):
            loss += losses[share]
        w.loss_sum += size * loss
        _step_with_shares(t, w, <const real *> shares, n_shares, &step)
        place.start += size
        place.batch += 1
        limit -= 1
        n_threads = _go_on(t, place, thread, n_threads, turn)
        if n_threads == 0:
            return

# Steps two to four of a minibatch: forward, loss gradient in place, backward with the update.
#
# They work on padded tiles (_memory.pxi), on a range of samples or features that is one thread's
# share, and know nothing of threads. Included by _kernels.pxi; called by _epoch.pxi, _passes.pxi.

from .backward cimport (
    fs_backward_f32, fs_backward_f64, fs_backward_room_f32, fs_backward_room_f64,
    fs_backward_steps_f32, fs_backward_steps_f64,
)
from .fetch cimport fs_fetch_nothing, fs_fetch_start, fs_fetcher
from .forward cimport (
    fs_forward_f32, fs_forward_f64, fs_forward_steps_f32, fs_forward_steps_f64,
)
from .vector cimport (
    fs_add_lanes_f32, fs_add_lanes_f64, fs_sigmoid_lanes_f32, fs_sigmoid_lanes_f64,
    fs_softmax_lanes_f32, fs_softmax_lanes_f64, fs_step_array_f32, fs_step_array_f64,
)

# --- Forward --------------------------------------------------------------------------------------

cdef inline void _forward(
    const real **samples, const real *coef, Py_ssize_t stride, Py_ssize_t n_features,
    const real *intercept, Py_ssize_t n_rows, real *raw, Py_ssize_t raw_stride,
    Py_ssize_t n_samples, fs_fetcher *fetcher,
) noexcept nogil:
    """Raw predictions of a whole number of GROUPs."""
    if real is float:
        fs_forward_f32(samples, coef, stride, n_features, intercept, raw, raw_stride, n_samples,
                       fetcher, n_rows)
    else:
        fs_forward_f64(samples, coef, stride, n_features, intercept, raw, raw_stride, n_samples,
                       fetcher, n_rows)


cdef inline Py_ssize_t _up(Py_ssize_t n, Py_ssize_t size) noexcept nogil:
    """How many of this size hold n."""
    return (n + size - 1) // size


cdef void _aim(
    const Rows *X, const intptr_t *numbers, Py_ssize_t n_rows, fs_fetcher *fetcher,
    Py_ssize_t first, Py_ssize_t last, Py_ssize_t n_forward, Py_ssize_t n_backward,
    Py_ssize_t n_vectors, const int32_t *y_true, const real *unused,
) noexcept nogil:
    """Aim a thread's fetcher at the rows [first, last) that it will stage next.

    Half of them is asked for during the forward step over n_forward samples, and half during the
    backward step over n_vectors vectors of features of n_backward samples, if there is one. Where
    numbers is NULL, the rows are consecutive.
    """
    cdef Py_ssize_t steps, later_steps, n_features = X.n_features
    cdef ptrdiff_t span = (n_features - 1) * X.item_stride  # of either sign
    if first >= last or labs(X.item_stride) > min(<Py_ssize_t> LINE, labs(X.row_stride)):
        fs_fetch_nothing(fetcher)  # the end, or items too far apart for a line to hold several
        return
    fetcher.data = X.data + min(span, <ptrdiff_t> 0)
    fetcher.rows = NULL
    fetcher.y_true = y_true
    if numbers == NULL:
        fetcher.data += first * X.row_stride
    else:
        fetcher.rows = numbers + first
    fetcher.n_rows = last - first
    fetcher.row_stride = X.row_stride
    fetcher.row_size = labs(span) + X.item_size
    if real is float:
        steps = fs_forward_steps_f32(n_forward, n_features, n_rows)
        later_steps = fs_backward_steps_f32(
            n_backward, n_vectors, _round_up(n_features, _lanes(unused)), n_rows)
    else:
        steps = fs_forward_steps_f64(n_forward, n_features, n_rows)
        later_steps = fs_backward_steps_f64(
            n_backward, n_vectors, _round_up(n_features, _lanes(unused)), n_rows)
    fs_fetch_start(fetcher, steps, later_steps if n_vectors > 0 else 0)


# --- Loss and gradient, in place ------------------------------------------------------------------

cdef inline void _softmax_lanes(
    real *raw, Py_ssize_t raw_stride, Py_ssize_t n_rows, const real *scale, real *log_sum,
    real *maximum,
) noexcept nogil:
    if real is float:
        fs_softmax_lanes_f32(raw, raw_stride, n_rows, scale, log_sum, maximum)
    else:
        fs_softmax_lanes_f64(raw, raw_stride, n_rows, scale, log_sum, maximum)


cdef inline void _sigmoid_lanes(real *raw, real *log_out) noexcept nogil:
    if real is float:
        fs_sigmoid_lanes_f32(raw, log_out)
    else:
        fs_sigmoid_lanes_f64(raw, log_out)


cdef void _softmax_gradient(
    real *raw, Py_ssize_t raw_stride, Py_ssize_t n_rows, const int32_t *y_true,
    const real *weight, real *loss, Py_ssize_t n_samples,
) noexcept nogil:
    """weight · (softmax − one-hot) in place of the raw predictions of whole vectors of samples."""
    cdef Py_ssize_t lanes = _lanes(raw), group, s, lane
    cdef real[16] raw_true, log_sum, maximum
    for group in range(n_samples // lanes):
        s = group * lanes
        for lane in range(lanes):
            raw_true[lane] = raw[y_true[s + lane] * raw_stride + s + lane]
        _softmax_lanes(raw + s, raw_stride, n_rows, weight + s, &log_sum[0], &maximum[0])
        for lane in range(lanes):
            loss[s + lane] = weight[s + lane] * (log_sum[lane] - (raw_true[lane] - maximum[lane]))
            raw[y_true[s + lane] * raw_stride + s + lane] -= weight[s + lane]


cdef void _logistic_gradient(
    real *raw, Py_ssize_t raw_stride, Py_ssize_t n_rows, const int32_t *y_true,
    const real *weight, real *loss, Py_ssize_t n_samples,
) noexcept nogil:
    """The same for the logistic losses of the rows, which are added up."""
    cdef Py_ssize_t lanes = _lanes(raw), group, s, lane, k
    cdef int32_t code
    cdef real target, before
    cdef real[16] total, log_sum, raw_before
    cdef real *at
    for group in range(n_samples // lanes):
        s = group * lanes
        for lane in range(lanes):
            total[lane] = 0
        for k in range(n_rows):
            code = 1 if n_rows == 1 else <int32_t> k
            at = raw + k * raw_stride + s
            for lane in range(lanes):
                raw_before[lane] = at[lane]
            _sigmoid_lanes(at, &log_sum[0])
            for lane in range(lanes):
                target = 1 if y_true[s + lane] == code else 0
                before = raw_before[lane]
                # max(raw, 0) − target · raw first: exact, so that a small loss keeps its digits.
                total[lane] += log_sum[lane] + ((before if before > 0 else 0) - target * before)
                at[lane] = weight[s + lane] * (at[lane] - target)
        for lane in range(lanes):
            loss[s + lane] = weight[s + lane] * total[lane]


cdef inline void _gradient(
    int loss_kind, real *raw, Py_ssize_t raw_stride, Py_ssize_t n_rows, const int32_t *y_true,
    const real *weight, real *loss, Py_ssize_t n_samples,
) noexcept nogil:
    if loss_kind == SOFTMAX:
        _softmax_gradient(raw, raw_stride, n_rows, y_true, weight, loss, n_samples)
    else:
        _logistic_gradient(raw, raw_stride, n_rows, y_true, weight, loss, n_samples)


# --- Backward and update, fused -------------------------------------------------------------------

cdef struct Step:  # one optimiser step
    double learning_rate
    double momentum
    double alpha
    int update
    bint is_first  # of the parts of a minibatch that is larger than a tile
    bint is_last


cdef inline Py_ssize_t _room(
    Py_ssize_t n_rows, Py_ssize_t n_samples, const real *unused
) noexcept nogil:
    """Bytes that the backward step over so many samples needs of a thread's own."""
    if real is float:
        return fs_backward_room_f32(n_rows, n_samples) * <Py_ssize_t> sizeof(real)
    else:
        return fs_backward_room_f64(n_rows, n_samples) * <Py_ssize_t> sizeof(real)


cdef inline void _backward_update(
    const real **samples, Py_ssize_t stride, const real *gradient, Py_ssize_t gradient_stride,
    Py_ssize_t n_samples, real *coef, real *state, real *partial, Py_ssize_t n_rows,
    const Step *step, fs_fetcher *fetcher, Py_ssize_t first, Py_ssize_t last,
    Py_ssize_t n_features, void *room,
) noexcept nogil:
    """Sum the gradient of the features [first, last) over the samples and step with it.

    `partial` keeps the sums until a minibatch's last part, and is no array but this one's.
    """
    n_features = _round_up(n_features, _lanes(coef))
    if real is float:
        fs_backward_f32(
            samples, stride, gradient, gradient_stride, n_samples, coef, state, partial,
            step.is_first, step.is_last, <float> step.learning_rate, <float> step.momentum,
            <float> step.alpha, step.update, fetcher, first, last, n_features, n_rows,
            <float *> room)
    else:
        fs_backward_f64(
            samples, stride, gradient, gradient_stride, n_samples, coef, state, partial,
            step.is_first, step.is_last, step.learning_rate, step.momentum, step.alpha,
            step.update, fetcher, first, last, n_features, n_rows, <double *> room)


cdef void _intercept_update(
    const real *gradient, Py_ssize_t gradient_stride, Py_ssize_t n_samples, real *intercept,
    real *state, real *partial, Py_ssize_t n_rows, const Step *step,
) noexcept nogil:
    """The same for the intercept, whose gradient is the row sums; it is not penalised.

    The arrays hold a whole number of vectors, `partial` a vector for each of them. The gradient's
    padding samples are zeros. Lanes are added up only at the end, so that parts change no bit.
    """
    cdef Py_ssize_t lanes = _lanes(gradient), k, lane
    cdef real total
    for k in range(n_rows):
        if step.is_first:
            for lane in range(lanes):
                partial[k * lanes + lane] = 0
        if real is float:
            fs_add_lanes_f32(partial + k * lanes, gradient + k * gradient_stride,
                             _round_up(n_samples, lanes))
        else:
            fs_add_lanes_f64(partial + k * lanes, gradient + k * gradient_stride,
                             _round_up(n_samples, lanes))
    if not step.is_last:
        return
    for k in range(n_rows):  # the sums are gathered at the front; sum k is read before
        total = 0
        for lane in range(lanes):
            total += partial[k * lanes + lane]
        partial[k] = total
    for k in range(n_rows, _round_up(n_rows, lanes)):
        partial[k] = 0
    if real is float:
        fs_step_array_f32(partial, intercept, state, _round_up(n_rows, lanes),
                          <float> step.learning_rate, <float> step.momentum, 0, step.update)
    else:
        fs_step_array_f64(partial, intercept, state, _round_up(n_rows, lanes),
                          step.learning_rate, step.momentum, 0, step.update)

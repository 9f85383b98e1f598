# Passes over X that change nothing: predictions, the loss at fixed parameters, column statistics.
#
# Blocks of rows are staged, predicted and finished one by one, so that no array but the result is
# as long as X. Each block is computed alike whichever thread takes it. Included by _kernels.pxi.

from ._pool cimport ShareWork, Work, run, share_out
from .convert cimport fs_all_finite_f32, fs_all_finite_f64
from .fetch cimport fs_fetcher
from .team cimport fs_raise_flag, fs_take

cdef enum:
    RAW, PROBABILITY, CODE, LOSS  # what a pass leaves behind
    FEWEST_COLUMNS = 16  # whose statistics are a share, where there are enough


cdef struct Pass:  # what the threads of a pass share
    Training samples  # X, and for LOSS the targets
    int kind
    const void *coef  # (n_rows, stride), padded with zeros
    const void *intercept
    Py_ssize_t n_rows
    Py_ssize_t stride
    Py_ssize_t n_blocks
    ptrdiff_t next_block  # not yet taken by any thread
    void *out  # (n_samples, n_rows or classes), intp codes, or a double a block
    char *buffers  # n_threads times buffer_size bytes: tile, raw, ones, two spare
    Py_ssize_t buffer_size
    int *not_finite  # set where a raw prediction is infinite or NaN; not looked at for LOSS


cdef void _write_raw(const real *raw, Py_ssize_t n_rows, real *out, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i, k
    for i in range(n):
        for k in range(n_rows):
            out[i * n_rows + k] = raw[k * PREDICTION_ROWS + i]


cdef void _sigmoids(real *raw, Py_ssize_t n) noexcept nogil:
    """raw becomes sigmoid(raw), for n a whole number of groups."""
    cdef Py_ssize_t lanes = _lanes(raw), group
    cdef real[16] unused
    for group in range(n // lanes):
        _sigmoid_lanes(raw + group * lanes, &unused[0])


cdef void _write_sigmoids(real *raw, Py_ssize_t n_rows, real *out, Py_ssize_t n) noexcept nogil:
    """Logistic probabilities: of both classes of one row, or of K rows divided by their sum."""
    cdef Py_ssize_t i, k
    cdef real total
    if n_rows == 1:  # 1 − sigmoid(x) would lose the digits of the rarer class: sigmoid(−x) does not
        for i in range(PREDICTION_ROWS):
            raw[PREDICTION_ROWS + i] = -raw[i]
        _sigmoids(raw, 2 * PREDICTION_ROWS)
        for i in range(n):
            out[2 * i] = raw[PREDICTION_ROWS + i]
            out[2 * i + 1] = raw[i]
        return
    for k in range(n_rows):
        _sigmoids(raw + k * PREDICTION_ROWS, _round_up(n, GROUP))
    for i in range(n):
        total = 0
        for k in range(n_rows):
            total += raw[k * PREDICTION_ROWS + i]
        for k in range(n_rows):
            out[i * n_rows + k] = (
                raw[k * PREDICTION_ROWS + i] / total if total != 0 else (<real> 1) / n_rows
            )


cdef void _write_codes(
    const real *raw, Py_ssize_t n_rows, intptr_t *out, Py_ssize_t n
) noexcept nogil:
    """The first largest of each column, or the sign of a single one."""
    cdef real[PREDICTION_ROWS] best
    cdef intptr_t[PREDICTION_ROWS] code
    cdef Py_ssize_t i, k
    cdef real value
    for i in range(PREDICTION_ROWS):
        best[i] = raw[i] if n_rows > 1 else 0
        code[i] = 0
    for k in range(1 if n_rows > 1 else 0, n_rows):
        for i in range(PREDICTION_ROWS):
            value = raw[k * PREDICTION_ROWS + i]
            code[i] = (k if n_rows > 1 else 1) if value > best[i] else code[i]
            best[i] = value if value > best[i] else best[i]
    for i in range(n):
        out[i] = code[i]


cdef void _pass_block(
    const Pass *p, const real *unused, Py_ssize_t block, Py_ssize_t next_block, char *buffer
) noexcept nogil:
    """Stage a block of rows, predict it, and leave behind what this pass is for.

    The rows of next_block, which this thread will take next, are asked for meanwhile.
    """
    cdef real *tile = <real *> buffer
    cdef real *raw = tile + PREDICTION_ROWS * p.stride
    cdef const Training *t = &p.samples
    cdef Py_ssize_t start = block * PREDICTION_ROWS
    cdef Py_ssize_t n = min(<Py_ssize_t> PREDICTION_ROWS, t.n_numbers - start)
    cdef Py_ssize_t padded = _round_up(n, GROUP)
    cdef (const real *)[PREDICTION_ROWS] samples
    cdef fs_fetcher fetcher
    _aim(&t.X, t.numbers, p.n_rows, &fetcher, next_block * PREDICTION_ROWS,
         min((next_block + 1) * PREDICTION_ROWS, t.n_numbers), padded, 0, 0, NULL, unused)
    _point(&t.X, t.numbers, start, n, padded, tile, p.stride, &samples[0],
           p.n_rows)
    _forward(&samples[0], <const real *> p.coef, p.stride, t.X.n_features,
             <const real *> p.intercept, p.n_rows, raw, PREDICTION_ROWS, padded, &fetcher)
    _finish_block(p, block, raw)


cdef inline bint _raw_is_finite(const real *raw, Py_ssize_t n_rows, Py_ssize_t n) noexcept nogil:
    """Whether a block's raw predictions of n samples are, of every class.

    A value of X that isn't finite shows in each class, but a raw prediction may be beyond the
    largest float in one class alone.
    """
    cdef Py_ssize_t k, run = n, n_runs = n_rows
    cdef bint finite = True
    if n == PREDICTION_ROWS:  # then nothing lies between one class and the next
        run, n_runs = n * n_rows, 1
    for k in range(n_runs):
        if real is float:
            finite &= fs_all_finite_f32(raw + k * PREDICTION_ROWS, run)
        else:
            finite &= fs_all_finite_f64(raw + k * PREDICTION_ROWS, run)
    return finite


cdef void _finish_block(const Pass *p, Py_ssize_t block, real *raw) noexcept nogil:
    """Leave behind what this pass is for, from raw predictions; three rows of raw are spare."""
    cdef real *weight = raw + (p.n_rows + 1) * PREDICTION_ROWS
    cdef real *loss = weight + PREDICTION_ROWS
    cdef const Training *t = &p.samples
    cdef Py_ssize_t start = block * PREDICTION_ROWS, i, s
    cdef Py_ssize_t n = min(<Py_ssize_t> PREDICTION_ROWS, t.n_numbers - start)
    cdef Py_ssize_t padded = _round_up(n, GROUP), lanes = _lanes(raw)
    cdef const real *sample_weight = <const real *> t.sample_weight
    cdef int32_t[PREDICTION_ROWS] codes
    cdef real[16] unused_log, unused_top
    cdef double total = 0
    if p.kind != LOSS and not _raw_is_finite(raw, p.n_rows, n):
        fs_raise_flag(p.not_finite)
    if p.kind == RAW:
        _write_raw(raw, p.n_rows, <real *> p.out + start * p.n_rows, n)
    elif p.kind == CODE:
        _write_codes(raw, p.n_rows, <intptr_t *> p.out + start, n)
    elif p.kind == PROBABILITY and t.loss_kind == LOGISTIC:
        _write_sigmoids(raw, p.n_rows, <real *> p.out + start * max(p.n_rows, 2), n)
    elif p.kind == PROBABILITY:
        for i in range(padded):
            weight[i] = 1
        for s in range(padded // lanes):
            _softmax_lanes(raw + s * lanes, PREDICTION_ROWS, p.n_rows, weight + s * lanes,
                           &unused_log[0], &unused_top[0])
        _write_raw(raw, p.n_rows, <real *> p.out + start * p.n_rows, n)
    else:
        for i in range(padded):
            codes[i] = t.y_true[t.numbers[start + i]] if i < n else 0
            weight[i] = 0 if i >= n else (
                <real> 1 if sample_weight == NULL else sample_weight[t.numbers[start + i]]
            )
        _smoothed_gradient(t.loss_kind, t.label_smoothing, raw, PREDICTION_ROWS, p.n_rows,
                           &codes[0], weight, loss, padded)
        for i in range(n):
            total += loss[i]
        (<double *> p.out)[block] = total


cdef void _pass_thread(Pass *p, const real *unused, int thread) noexcept nogil:
    """Take blocks as long as there are any: a thread that is held up then holds up no other."""
    cdef Py_ssize_t block, first, last, next_first
    # The blocks after these are taken before these are done, so that the right ones are asked for:
    # what another thread takes would be read from memory twice.
    next_first = fs_take(&p.next_block, BLOCKS_AT_ONCE)
    while next_first < p.n_blocks:
        first = next_first
        last = min(first + BLOCKS_AT_ONCE, p.n_blocks)
        next_first = fs_take(&p.next_block, BLOCKS_AT_ONCE)
        for block in range(first, last):
            _pass_block(p, unused, block, block + 1 if block + 1 < last else next_first,
                        p.buffers + thread * p.buffer_size)


cdef int _run_pass(
    const real *unused, Pass *p, cnp.ndarray coef, cnp.ndarray intercept, int n_threads
) except -1:
    """Share the blocks among the threads; each is computed alike whoever takes it."""
    cdef list keep = []
    cdef int dtype = cnp.PyArray_TYPE(coef)
    cdef Py_ssize_t d = p.samples.X.n_features, n_rows = coef.shape[0]
    p.n_rows = n_rows
    p.stride = _stride(d, unused)
    p.coef = _packed(keep, <const real *> _data(coef, "coef", dtype, (n_rows, d)), n_rows, d)
    p.intercept = _data(intercept, "intercept", dtype, (n_rows,))
    p.n_blocks = (p.samples.n_numbers + PREDICTION_ROWS - 1) // PREDICTION_ROWS
    n_threads = _useful_threads(
        min(<Py_ssize_t> n_threads, max(<Py_ssize_t> 1, p.n_blocks)),
        INFINITY, <double> p.samples.n_numbers * d * n_rows)
    p.next_block = 0
    p.buffer_size = (p.stride + n_rows + 3) * PREDICTION_ROWS * <Py_ssize_t> sizeof(real)
    p.buffers = <char *> _aligned(keep, n_threads * p.buffer_size)
    with nogil:
        run(n_threads, <Work> _pass_thread[real], p, unused)
    return 0


cdef void *_prediction_out(
    int kind, out, str name, Py_ssize_t n_samples, Py_ssize_t n_rows, int dtype
) except? NULL:
    """Where predictions of this kind go."""
    if kind == CODE:
        return _out(out, name, cnp.NPY_INTP, (n_samples,))
    return _out(out, name, dtype, (n_samples, max(n_rows, 2) if kind == PROBABILITY else n_rows))


cdef bint _run_prediction(
    int kind, cnp.ndarray X, cnp.ndarray coef, cnp.ndarray intercept, out, str name, str loss,
    n_threads,
) except -1:
    """Fill `out`; True if the raw predictions are all finite."""
    cdef Pass p
    cdef int dtype = _dtype(coef, "coef"), threads = _threads(n_threads), not_finite = False
    _check_coef(coef, "coef")
    _describe(&p.samples.X, X, None, None, dtype)
    p.samples.numbers = NULL
    p.samples.n_numbers = p.samples.X.n_samples
    p.samples.loss_kind = _choice(_LOSS, "loss", loss)
    p.kind = kind
    p.out = _prediction_out(kind, out, name, p.samples.n_numbers, coef.shape[0], dtype)
    p.not_finite = &not_finite
    if dtype == cnp.NPY_FLOAT32:
        _run_pass(<const float *> NULL, &p, coef, intercept, threads)
    else:
        _run_pass(<const double *> NULL, &p, coef, intercept, threads)
    return not not_finite


def decision_function(
    cnp.ndarray X, cnp.ndarray coef, cnp.ndarray intercept, cnp.ndarray raw_prediction_out,
    n_threads,
):
    """See reference/dense.py."""
    return _run_prediction(RAW, X, coef, intercept, raw_prediction_out, "raw_prediction_out",
                           "softmax", n_threads)


def predict_proba(
    cnp.ndarray X, cnp.ndarray coef, cnp.ndarray intercept, cnp.ndarray probability_out, str loss,
    n_threads,
):
    """See reference/dense.py."""
    return _run_prediction(PROBABILITY, X, coef, intercept, probability_out, "probability_out",
                           loss, n_threads)


def predict(
    cnp.ndarray X, cnp.ndarray coef, cnp.ndarray intercept, cnp.ndarray code_out, n_threads
):
    """See reference/dense.py."""
    return _run_prediction(CODE, X, coef, intercept, code_out, "code_out", "softmax", n_threads)


def loss_sum(
    cnp.ndarray X, cnp.ndarray rows, cnp.ndarray y_true, sample_weight, shift, inverse_scale,
    cnp.ndarray coef, cnp.ndarray intercept, str loss, n_threads, double label_smoothing=0.0,
):
    """See reference/dense.py."""
    cdef Pass p
    cdef int dtype = _dtype(coef, "coef"), threads = _threads(n_threads)
    _check_coef(coef, "coef")
    _describe(&p.samples.X, X, shift, inverse_scale, dtype)
    _describe_targets(&p.samples, rows, y_true, sample_weight, loss, coef.shape[0], dtype)
    p.samples.label_smoothing = label_smoothing
    cdef double[::1] sums = np.zeros((rows.size + PREDICTION_ROWS - 1) // PREDICTION_ROWS + 1)
    p.kind = LOSS
    p.not_finite = NULL
    p.out = &sums[0]
    if dtype == cnp.NPY_FLOAT32:
        _run_pass(<const float *> NULL, &p, coef, intercept, threads)
    else:
        _run_pass(<const double *> NULL, &p, coef, intercept, threads)
    return float(sum(sums))


# --- Statistics of the columns --------------------------------------------------------------------

cdef struct Statistics:
    Rows X
    const double *sample_weight  # NULL: ones
    double *mean
    double *squares
    double total  # of the weights
    double *buffers  # PREDICTION_ROWS + 2 rows of doubles
    Py_ssize_t n_shares  # of the columns


cdef void _merge_columns(
    Statistics *s, const double *unused, ptrdiff_t part, int thread
) noexcept nogil:
    """Mean and squares of a share of the columns, by blocks of rows (Chan et al. 1979)."""
    cdef Py_ssize_t d = s.X.n_features, n = s.X.n_samples, block, start, i, j, size
    cdef Py_ssize_t first = d * part // s.n_shares, last = d * (part + 1) // s.n_shares
    cdef Py_ssize_t width = last - first
    cdef double *tile = s.buffers + (PREDICTION_ROWS + 2) * first
    cdef double *mean = tile + PREDICTION_ROWS * width
    cdef double *squares = mean + width
    cdef double total = 0, block_total, share, delta
    cdef double[PREDICTION_ROWS] weight
    cdef Rows columns = s.X
    columns.data += first * columns.item_stride
    columns.n_features = width
    for block in range((n + PREDICTION_ROWS - 1) // PREDICTION_ROWS):
        start = block * PREDICTION_ROWS
        size = min(<Py_ssize_t> PREDICTION_ROWS, n - start)
        block_total = 0
        for i in range(size):
            weight[i] = 1 if s.sample_weight == NULL else s.sample_weight[start + i]
            block_total += weight[i]
        if block_total == 0:
            continue
        _stage(&columns, NULL, start, size, tile, width)
        for j in range(width):
            mean[j] = squares[j] = 0
        for i in range(size):
            for j in range(width):
                mean[j] += weight[i] * tile[i * width + j]
        for j in range(width):
            mean[j] /= block_total
        for i in range(size):
            for j in range(width):
                delta = tile[i * width + j] - mean[j]
                squares[j] += weight[i] * delta * delta
        total += block_total
        share = block_total / total
        for j in range(width):
            delta = mean[j] - s.mean[first + j]
            s.mean[first + j] += delta * share
            s.squares[first + j] += squares[j] + delta * delta * (block_total * (1 - share))
    if part == 0:
        s.total = total


def column_statistics(
    cnp.ndarray X, sample_weight, cnp.ndarray mean_out, cnp.ndarray squares_out, n_threads
):
    """See reference/dense.py."""
    cdef list keep = []
    cdef Statistics s
    cdef int threads = _threads(n_threads)
    _describe(&s.X, X, None, None, cnp.NPY_FLOAT64)
    cdef Py_ssize_t d = s.X.n_features
    s.mean = <double *> _out(mean_out, "mean_out", cnp.NPY_FLOAT64, (d,))
    s.squares = <double *> _out(squares_out, "squares_out", cnp.NPY_FLOAT64, (d,))
    s.sample_weight = NULL
    if sample_weight is not None:
        s.sample_weight = <const double *> _data(
            sample_weight, "sample_weight", cnp.NPY_FLOAT64, (s.X.n_samples,))
    mean_out[:] = 0
    squares_out[:] = 0
    s.buffers = <double *> _aligned(keep, (PREDICTION_ROWS + 2) * d * sizeof(double))
    threads = _useful_threads(threads, INFINITY, <double> s.X.n_samples * d)
    s.n_shares = 1
    if threads > 1:  # several for each, but of neighbours that share cache lines
        s.n_shares = max(<Py_ssize_t> 1, max(
            min(d, <Py_ssize_t> threads), min(d // FEWEST_COLUMNS, <Py_ssize_t> 4 * threads)))
    s.total = 0
    with nogil:
        share_out(threads, s.n_shares, <ShareWork> _merge_columns, &s, NULL)
    return s.total

# Targets that are smoothed: a part for every class, and the rest for the true one.
#
# Loss and gradient for one-hot targets stay as they are; what smoothing adds is linear in the raw
# predictions and is put on top, so that training without it costs nothing more. Included by
# _kernels.pxi.

cdef void _smoothed_group(
    int loss_kind, double label_smoothing, real *raw, Py_ssize_t raw_stride, Py_ssize_t n_rows,
    const int32_t *y_true, const real *weight, real *loss,
) noexcept nogil:
    """One GROUP of samples: with the one-hot target t_k, loss += ε Σ_k (t_k − 1/K) raw_k."""
    cdef double even = 1.0 / n_rows if loss_kind == SOFTMAX else 0.5  # each logistic loss has K = 2
    cdef double[GROUP] linear
    cdef int32_t code
    cdef Py_ssize_t i, k
    for i in range(GROUP):
        linear[i] = 0
    for k in range(n_rows):
        code = 1 if loss_kind == LOGISTIC and n_rows == 1 else <int32_t> k
        for i in range(GROUP):
            linear[i] += ((1.0 if y_true[i] == code else 0.0) - even) * raw[k * raw_stride + i]
    _gradient(loss_kind, raw, raw_stride, n_rows, y_true, weight, loss, GROUP)
    for i in range(GROUP):
        loss[i] += <real> (weight[i] * label_smoothing * linear[i])
    for k in range(n_rows):
        code = 1 if loss_kind == LOGISTIC and n_rows == 1 else <int32_t> k
        for i in range(GROUP):
            raw[k * raw_stride + i] += <real> (
                weight[i] * label_smoothing * ((1.0 if y_true[i] == code else 0.0) - even)
            )


cdef void _smoothed_gradient(
    int loss_kind, double label_smoothing, real *raw, Py_ssize_t raw_stride, Py_ssize_t n_rows,
    const int32_t *y_true, const real *weight, real *loss, Py_ssize_t n_samples,
) noexcept nogil:
    """_gradient for the targets (1 − ε) · one-hot + ε/K; n_samples is a whole number of GROUPs."""
    cdef Py_ssize_t group, first
    if label_smoothing == 0:
        _gradient(loss_kind, raw, raw_stride, n_rows, y_true, weight, loss, n_samples)
        return
    for group in range(n_samples // GROUP):
        first = group * GROUP
        _smoothed_group(loss_kind, label_smoothing, raw + first, raw_stride, n_rows,
                        y_true + first, weight + first, loss + first)

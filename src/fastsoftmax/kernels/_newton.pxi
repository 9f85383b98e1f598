# Newton's method on a small problem, from its start to its end in one call. Included by
# _kernels.pxi; the work is in newton.h.

from .newton cimport FS_NEWTON_ROWS, FS_NEWTON_SAMPLES, fs_newton, fs_newton_run

cdef tuple _REASONS = ("converged", "max_iter", "rounding")


cdef double *_rows_of_samples(
    list keep, const double *values, Py_ssize_t n_rows, Py_ssize_t n, Py_ssize_t n_padded
) except NULL:
    """A copy of (n_rows, n) values in n_padded rows of _stride items, the rest zeros."""
    cdef Py_ssize_t stride = _stride(n, values), k
    cdef double *copy = <double *> _aligned(keep, n_padded * stride * sizeof(double))
    for k in range(n_rows):
        memcpy(copy + k * stride, values + k * n, n * sizeof(double))
    return copy


def newton(
    cnp.ndarray design, cnp.ndarray targets, cnp.ndarray weight, cnp.ndarray penalty, str loss,
    bint fit_intercept, double tol, double tol_of_penalty, double least_of_value,
    cnp.ndarray thetas_inplace, cnp.ndarray values_out, cnp.ndarray probability_out,
):
    """See reference/newton.py."""
    cdef fs_newton q
    cdef list keep = []
    cdef int dtype = cnp.NPY_FLOAT64, reason = 0
    _check_2d(design, "design")
    _check_coef(targets, "targets")
    _check_2d(values_out, "values_out")
    cdef Py_ssize_t d = design.shape[0], n = design.shape[1], n_rows = targets.shape[0]
    cdef Py_ssize_t n_values = values_out.shape[0], k
    if d == 0 or n == 0:
        raise ValueError(f"design must not be empty; got shape {(<object> design).shape}")
    if n_values == 0:
        raise ValueError("values_out must have at least 1 row; got none")
    if (d + FS_NEWTON_ROWS) * n_rows > 1 << 20:
        raise ValueError(f"targets and design must stand for at most {1 << 20} unknowns")
    cdef double *values = <double *> _out(values_out, "values_out", dtype, (n_values, 4))
    cdef double *thetas = <double *> _out(
        thetas_inplace, "thetas_inplace", dtype, (n_values, n_rows, d))
    cdef double *out = <double *> _out(probability_out, "probability_out", dtype, (n_rows, n))
    q.n_rows = n_rows
    q.n_columns = d
    q.n_padded = _round_up(d, FS_NEWTON_ROWS)
    q.is_softmax = _choice(_LOSS, "loss", loss) == SOFTMAX
    q.has_intercept = fit_intercept
    q.tol, q.tol_of_penalty, q.least_of_value = tol, tol_of_penalty, least_of_value
    q.penalty = <const double *> _data(penalty, "penalty", dtype, (d,))
    q.design = _rows_of_samples(
        keep, <const double *> _data(design, "design", dtype, (d, n)), d, n, q.n_padded)
    q.targets = _rows_of_samples(
        keep, <const double *> _data(targets, "targets", dtype, (n_rows, n)), n_rows, n, n_rows)
    q.weight = _rows_of_samples(
        keep, <const double *> _data(weight, "weight", dtype, (n,)), 1, n, 1)
    q.n_samples = _round_up(n, _lanes(q.weight))
    q.stride = _stride(n, q.weight)
    cdef Py_ssize_t n_unknowns = n_rows * d, n_solved = n_unknowns if q.is_softmax else d
    cdef Py_ssize_t n_shares = n_rows * q.stride
    cdef double *room = <double *> _aligned(
        keep, sizeof(double) * (
            3 * n_shares + FS_NEWTON_ROWS * FS_NEWTON_SAMPLES + q.n_padded * q.n_padded
            + n_solved * n_solved + 4 * n_unknowns))
    cdef double *probability = room
    cdef double *spare = probability + n_shares
    q.miss = spare + n_shares
    q.scaled = q.miss + n_shares
    q.block = q.scaled + FS_NEWTON_ROWS * FS_NEWTON_SAMPLES
    q.hessian = q.block + q.n_padded * q.n_padded
    q.scale = q.hessian + n_solved * n_solved
    q.other = q.scale + n_unknowns
    cdef double *gradient = q.other + n_unknowns
    cdef double *direction = gradient + n_unknowns
    cdef ptrdiff_t n_done
    with nogil:
        n_done = fs_newton_run(&q, thetas, values, n_values - 1, probability, spare, gradient,
                               direction, &reason)
        for k in range(n_rows):
            memcpy(out + k * n, probability + k * q.stride, n * sizeof(double))
    return n_done, _REASONS[reason]

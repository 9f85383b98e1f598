"""The NumPy twins of dual coordinate ascent over sparse rows, one row at a time.

What is maximised over a point q_i of the simplex for each row, with targets y_i and weights s_i ::

    D(q) = (1/S) Σ s_i H(q_i) − (alpha/2)‖W‖²,   W = unit · Σ s_i (y_i − q_i) x_iᵀ

S being Σ s_i, unit 1/(alpha S) and H the entropy. Logistic losses have a q_ik in [0, 1] each, with
the entropy of two classes. With an intercept Σ s_i q_i has to be Σ s_i y_i as well.

All arguments named alike mean the same, those of sparse.py included:

slots : int32 ndarray of shape (n_features,)
    Where a feature's weights are; −1 for one that is left out.
dual : ndarray of shape (n_samples, n_rows), float32 or float64
    log q of a softmax, the logit of q of logistic losses; of the rows used.
coef : C-contiguous ndarray of shape (n_shards, n_slots, stride) and dual's dtype
    Feature-major: ``stride`` is :func:`sparse_stride`, what is beyond n_rows is 0.
sample_weight : ndarray of shape (n_samples,) and dual's dtype, or None for ones
unit : float
n_threads : int
    The result is the same bit for bit whatever its value.

A row holds each feature once at most. The work of a kernel is that of the values held, and in each
call once that of ``coef``.
"""

import numpy as np

from . import checks
from .checks import array, checked
from .dense import LOSSES

__all__ = [
    "dual_intercept",
    "sparse_dual_coef",
    "sparse_dual_epoch",
    "sparse_dual_gap",
    "sparse_dual_nearer",
    "sparse_square_norms",
    "sparse_stride",
]

#: Curvature up to which Newton's method may start from the probabilities.
SMALL = 1.5

#: What the logarithm of a probability may rise by in one step.
MOST_RISE = 2.0

#: Of what exp is taken at most, on the way to a start.
LIMIT = 60.0

#: Units in the last place that a step's gain may be below 0.
GUARD = 64.0

#: Shares of the way from q to the probabilities that are looked at for a smaller gap, and a q of no
#: account beside what rounding makes of it.
SHARES = (0.25, 0.5, 0.75, 1.0)
NOTHING = 1e-35

_ROWS = {"data": checks.csr, "indices": checks.csr, "indptr": checks.csr}
_DUAL = {
    "slots": array("n_features", of=("int32",)),
    **_ROWS,
    "dual_inplace": array("n_samples", "n_rows", out=True),
    "dual": array("n_samples", "n_rows"),
    "loss": checks.word(*LOSSES),
    "rows": checks.row_numbers,
    "y_true": checks.codes("n_samples"),
    "sample_weight": array("n_samples", optional=True),
    "inverse_scale": array("n_features", optional=True),
    "n_threads": checks.threads,
}


def sparse_stride(n_rows, itemsize):
    """Items from the weights of one slot to those of the next; a kernel's are whole vectors."""
    return n_rows


@checked(
    slots=array("n_features", of=("int32",)),
    **_ROWS,
    inverse_scale=array("n_features", of=("float64",), optional=True),
    square_norm_out=array("n_samples", of=("float64",), out=True),
)
def sparse_square_norms(data, indices, indptr, slots, inverse_scale, square_norm_out):
    """‖x‖² of each row, of the features that have a slot."""
    for i in range(len(indptr) - 1):
        _, value = _row(data, indices, indptr, slots, inverse_scale, i)
        square_norm_out[i] = np.square(value).sum()


def _row(data, indices, indptr, slots, inverse_scale, i, dtype=np.float64):
    """Slots and values of a row."""
    held = slice(indptr[i], indptr[i + 1])
    feature, value = indices[held], data[held].astype(dtype)
    if inverse_scale is not None:
        value = value * inverse_scale[feature]
    counts = slots[feature] >= 0
    return slots[feature][counts], value[counts]


def _targets(code, n_rows, loss, label_smoothing):
    """What the probabilities of a row are to be."""
    if loss == "logistic" and n_rows == 1:
        one_hot = np.array([float(code == 1)])
    else:
        one_hot = (np.arange(n_rows) == code).astype(np.float64)
    even = 1 / n_rows if loss == "softmax" else 0.5
    return (1 - label_smoothing) * one_hot + label_smoothing * even


def _sigmoid(x):
    decay = np.exp(-np.abs(x))
    return np.where(x >= 0, 1.0, decay) / (1 + decay)


def _softplus(x):
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


@checked(coef_inplace=array("n_shards", "n_slots", "stride", out=True), **_DUAL)
def sparse_dual_epoch(
    data,
    indices,
    indptr,
    rows,
    y_true,
    sample_weight,
    inverse_scale,
    slots,
    dual_inplace,
    coef_inplace,
    intercept_inplace,
    loss,
    unit,
    intercept_unit,
    damping,
    n_threads,
    label_smoothing=0.0,
):
    """Go through the rows once; each goes to the best q for it, all others as they are.

    Shard p of P is the p-th part of ``rows``, and has weights of its own, P times as far as its
    steps lead; at the end they are averaged, which adds up what the shards have found (Ma et al.
    2015, with σ′ = P).

    Parameters
    ----------
    dual_inplace
        Moved to the new q.
    coef_inplace
        The first shard's are the weights at the start and at the end; the others' are overwritten.
    intercept_inplace : ndarray of shape (n_rows,) and dual's dtype
    intercept_unit : float
        What the intercept moves by for what a row's q changes by, times its weight; 0 leaves it.
    damping : float
        Times the curvature that each step reckons with.

    Returns
    -------
    loss, divergence : float
        Σ s_i · loss_i and Σ s_i KL(q_i ‖ p_i), each at the weights that its row was met with.
    squares : float
        ‖coef‖² at the end.
    """
    n_shards, n_slots, _ = coef_inplace.shape
    n_rows, dtype = dual_inplace.shape[1], dual_inplace.dtype
    coefs, intercepts = [], []
    loss_sum = divergence = 0.0
    for shard in range(n_shards):
        coef = coef_inplace[0, :, :n_rows].astype(np.float64)
        intercept = intercept_inplace.astype(np.float64)
        ends = [len(rows) * end // n_shards for end in (shard, shard + 1)]
        for i in rows[ends[0] : ends[1]]:
            slot, value = _row(data, indices, indptr, slots, inverse_scale, i, dtype)
            value = value.astype(np.float64)
            weight = 1.0 if sample_weight is None else float(sample_weight[i])
            raw = value @ coef[slot] + intercept
            target = _targets(y_true[i], n_rows, loss, label_smoothing)
            curvature = n_shards * weight * (unit * np.square(value).sum() + intercept_unit)
            step = _softmax_step if loss == "softmax" else _logistic_step
            with np.errstate(all="ignore"):
                found = step(raw, dual_inplace[i].astype(np.float64), damping * curvature, dtype)
            dual_inplace[i], change, row_divergence, log_sum = found
            loss_sum += weight * (log_sum - target @ raw)
            divergence += weight * row_divergence
            np.add.at(coef, slot, n_shards * weight * unit * np.outer(value, change))
            intercept += n_shards * weight * intercept_unit * change
        coefs.append(coef)
        intercepts.append(intercept)
    coef_inplace[0, :, :n_rows] = sum(coefs) / n_shards
    intercept_inplace[:] = sum(intercepts) / n_shards
    squares = float(np.square(coef_inplace[0], dtype=np.float64).sum()) if n_slots else 0.0
    return float(loss_sum), float(divergence), squares


def _softmax_step(raw, dual, c, dtype):
    """The new log q, q_old − q, KL(q_old ‖ p) and the logarithm of the sum of exp(raw).

    log q + c q = z + c q_old − ν is solved by Newton's method in log q and ν. Where c is large it
    starts from a part of the way from the old q to the probabilities p: the part that gains most by
    the strong concavity of H (Shalev-Shwartz, Zhang 2013, lemma 1). If its steps gain nothing, that
    is the new q.
    """
    top = raw.max()
    log_sum = top + np.log(np.exp(raw - top).sum())
    log_p = raw - log_sum
    p, old = np.exp(log_p), np.exp(dual)
    divergence, distance = (old * (dual - log_p)).sum(), np.square(p - old).sum()
    wanted = (max(divergence, 0.0) / distance + 0.5) / (1 + c)
    share = wanted if wanted < 1 else 1.0
    start = _normalised(_between(log_p, dual, share))
    log_q = start if c > SMALL and distance > 0 else log_p
    for _ in range(1 if c <= 0.5 else 2 if c <= SMALL else 3):
        q = np.exp(log_q)
        miss = log_p - log_q + c * (old - q)
        weight = q / (1 + c * q)
        shift = (weight * miss).sum() / weight.sum()
        log_q = _normalised(log_q + np.minimum((miss - shift) / (1 + c * q), MOST_RISE))
    q = np.exp(log_q)
    gain = divergence - (q * (log_q - log_p)).sum() - c / 2 * np.square(q - old).sum()
    if not gain >= -GUARD * np.finfo(dtype).eps * (1 + divergence):
        log_q, q = start, np.exp(start)
    return log_q, old - q, divergence, log_sum


def _between(log_p, dual, share):
    """Logarithms of a point a share of the way from the old q to p."""
    above = np.exp(np.minimum(dual - log_p, LIMIT))
    mixed = log_p + (np.log(share) + np.log1p(above * ((1 - share) / share)))
    return np.maximum(mixed, dual + np.log1p(-share))


def _normalised(log_q):
    return log_q - np.log(np.exp(log_q).sum())


def _logistic_step(raw, dual, c, dtype):
    """The same of logistic losses: logits t that solve t + c σ(t) = z + c q_old.

    By symmetry t ≥ 0 is enough, where the left side is concave: Newton's method goes up to the root
    from below.
    """
    old = _sigmoid(dual)
    divergence = (old * (dual - raw) + _softplus(raw) - _softplus(dual)).sum()
    aim = raw + c * (old - 0.5)
    size = np.abs(aim)
    t = np.maximum(size - c / 2, size / (1 + c / 4))
    for _ in range(2 if c <= SMALL else 5):
        s = 1 / (1 + np.exp(-t))
        t = t - (t + c * (s - 0.5) - size) / (1 + c * s * (1 - s))
    t = np.where(aim < 0, -t, t)
    return t, old - _sigmoid(t), divergence, _softplus(raw).sum()


@checked(
    coef_out=array("n_shards", "n_slots", "stride", out=True),
    **_DUAL,
    probability_out=array("n_samples", "n_rows", out=True, optional=True),
    totals_out=array(lambda known: 2, "n_rows", of=("float64",), out=True),
)
def sparse_dual_gap(
    data,
    indices,
    indptr,
    rows,
    y_true,
    sample_weight,
    inverse_scale,
    slots,
    dual,
    intercept,
    coef_out,
    probability_out,
    totals_out,
    loss,
    unit,
    weight_sum,
    repairs,
    n_threads,
    label_smoothing=0.0,
):
    """Make a feasible point of q, its weights, and what the objective is above the dual there.

    Parameters
    ----------
    intercept : ndarray of shape (n_rows,) and dual's dtype
    coef_out
        The first shard's becomes W of the repaired q; the others' are overwritten.
    probability_out : ndarray of shape (n_samples, n_rows) and dual's dtype, or None
        Of the rows used, at these weights and the intercept. None leaves these out, and what is
        returned is 0 but for squares.
    totals_out : float64 ndarray of shape (2, n_rows)
        Σ s_i q_i as it was given, and Σ s_i y_i.
    weight_sum : float
        Σ s_i of the rows used.
    repairs : bool
        Whether to bring the totals of q to those of the targets: in classes with too much, each q
        is multiplied by the same number; what that frees in a row goes to the others, in proportion
        to what they lack. A logistic loss with too little has 1 − q multiplied.

    Returns
    -------
    loss : float
        Σ s_i · loss_i.
    divergence : float
        Σ s_i KL(q_i ‖ p_i), of float64: S times the gap of a feasible q, as W is made of q.
    squares : float
        ‖W‖².
    spread : float
        Σ s_i ‖y_i − q_i‖ ‖x_i‖, by which the rounding of W can be bounded.
    """
    n_rows, dtype, is_softmax = dual.shape[1], dual.dtype, loss == "softmax"
    weight = np.ones(len(rows)) if sample_weight is None else sample_weight[rows].astype(np.float64)
    q = dual[rows].astype(np.float64)
    if is_softmax:
        q = np.exp(q)
        q /= q.sum(axis=1, keepdims=True)
    else:
        q = _sigmoid(q)
    codes = y_true[rows]
    target = np.array([_targets(code, n_rows, loss, label_smoothing) for code in codes])
    target = target.reshape(q.shape)
    totals_out[:] = weight @ q, weight @ target
    if repairs:
        q = _repaired(q, *totals_out, is_softmax, weight_sum)
    miss = target - q
    if is_softmax:
        at = np.arange(len(rows)), codes
        miss[at] = 0
        miss[at] = -miss.sum(axis=1)
    coef = np.zeros((coef_out.shape[1], n_rows))
    held = [_row(data, indices, indptr, slots, inverse_scale, i, dtype) for i in rows]
    for s, (slot, value), m in zip(weight, held, miss, strict=True):
        np.add.at(coef, slot, unit * s * np.outer(value.astype(np.float64), m))
    coef_out[0] = 0
    coef_out[0, :, :n_rows] = coef
    coef = coef_out[0, :, :n_rows].astype(np.float64)
    loss_sum = divergence = spread = 0.0
    if probability_out is None:
        return 0.0, 0.0, float(np.square(coef).sum()), 0.0
    for i, s, (slot, value), m, at, t in zip(rows, weight, held, miss, q, target, strict=True):
        raw = value.astype(np.float64) @ coef[slot] + intercept
        if is_softmax:
            log_sum = raw.max() + np.log(np.exp(raw - raw.max()).sum())
            apart, soft = _apart(at, raw - log_sum), log_sum
            probability_out[i] = np.exp(raw - log_sum)
        else:
            plus = _softplus(raw)
            apart, soft = _apart(at, raw - plus) + _apart(1 - at, -plus), plus.sum()
            probability_out[i] = _sigmoid(raw)
        loss_sum += s * (soft - t @ raw)
        divergence += s * apart
        spread += s * np.sqrt(np.square(m).sum() * np.square(value, dtype=np.float64).sum())
    squares = float(np.square(coef).sum())
    return float(loss_sum), float(divergence), squares, float(spread)


def _repaired(q, total, wanted, is_softmax, weight_sum):
    """The same with totals as wanted, 0 kept from being divided by."""
    tiny = np.finfo(np.float64).tiny
    keep = np.where(total > wanted, wanted / np.maximum(total, tiny), 1.0)
    if not is_softmax:
        lacks = total < wanted
        other = (weight_sum - wanted) / np.maximum(weight_sum - total, tiny)
        return np.where(lacks, 1 - (1 - q) * other, q * keep)
    give = np.maximum(wanted - total, 0)
    if not give.any():
        return q * keep
    freed = (q * (1 - keep)).sum(axis=1, keepdims=True)
    return q * keep + freed * (give / give.sum())


def _apart(q, log_p):
    """Σ q (log q − log_p), 0 where q is."""
    held = q > 0
    return float((q[held] * (np.log(q[held]) - log_p[held])).sum())


@checked(
    probability=array("n_samples", "n_rows"),
    rows=checks.row_numbers,
    sample_weight=array("n_samples", optional=True),
    loss=checks.word(*LOSSES),
    every=checks.whole_number,
    change=array("n_rows", of=("float64",)),
    mean_out=array("n_rows", of=("float64",), out=True),
    hessian_out=array("n_rows", "n_rows", of=("float64",), out=True),
    n_threads=checks.threads,
)
def dual_intercept(
    rows, sample_weight, probability, change, loss, every, mean_out, hessian_out, n_threads
):
    """What losses rise by where the intercept moves, up to what the targets take off, and how fast.

    At an intercept that is higher by δ, a row's loss is higher by log Σ p_k exp δ_k − Σ y_k δ_k, or
    by log(1 + p_k (exp δ_k − 1)) − y_k δ_k for each logistic loss.

    Parameters
    ----------
    probability : ndarray of shape (n_samples, n_rows), float32 or float64
        Before it moves.
    change : float64 ndarray of shape (n_rows,)
        δ.
    every : int ≥ 1
        Of the rows, one in so many is taken for the Hessian's products.
    mean_out : float64 ndarray of shape (n_rows,)
        Σ s_i p_i after it.
    hessian_out : float64 ndarray of shape (n_rows, n_rows)
        diag(Σ s_i p_i) − Σ s_i p_i p_iᵀ; of logistic losses the diagonal Σ s_i p_i (1 − p_i).

    Returns
    -------
    rise : float
        Σ s_i times these logarithms.
    """
    weight = _weights(sample_weight, rows)
    p, rise = _moved(probability[rows].astype(np.float64), change, loss)
    mean_out[:] = weight @ p
    if loss == "logistic":
        hessian_out[:] = np.diag(weight @ (p * (1 - p)))
    else:
        every = max(1, every)
        some = p[::every]
        hessian_out[:] = np.diag(mean_out) - every * (some.T * weight[::every]) @ some
    return float(weight @ rise)


def _weights(sample_weight, rows):
    if sample_weight is None:
        return np.ones(len(rows))
    return sample_weight[rows].astype(np.float64)


def _moved(p, change, loss):
    """Probabilities at a moved intercept, and what each row's loss rises by."""
    factor = np.exp(change)
    if loss == "softmax":
        moved = p * factor
        total = moved.sum(axis=1)
        return moved / total[:, None], np.log(total)
    total = 1 + p * (factor - 1)
    return p * factor / total, np.log(total).sum(axis=1)


@checked(
    coef_out=array("n_shards", "n_slots", "stride", out=True),
    **{name: check for name, check in _DUAL.items() if name != "y_true"},
    probability=array("n_samples", "n_rows"),
    change=array("n_rows", of=("float64",)),
    totals=array(lambda known: 2, "n_rows", of=("float64",)),
    mean=array("n_rows", of=("float64",)),
    divergence_out=array(lambda known: len(SHARES), of=("float64",), out=True),
)
def sparse_dual_nearer(
    data,
    indices,
    indptr,
    rows,
    sample_weight,
    inverse_scale,
    slots,
    dual,
    probability,
    change,
    totals,
    mean,
    coef_out,
    divergence_out,
    loss,
    unit,
    weight_sum,
    repairs,
    n_threads,
):
    """Divergences of points between q and the probabilities, both made feasible, and their weights.

    Parameters
    ----------
    probability, change
        As in :func:`dual_intercept`: p is what they give, which the divergences are from.
    totals : float64 ndarray of shape (2, n_rows)
        As :func:`sparse_dual_gap` leaves them.
    mean : float64 ndarray of shape (n_rows,)
        Σ s_i p_i.
    coef_out
        The first shard's becomes what W is of p less what it is of q; the others' are overwritten.
    divergence_out : float64 ndarray of shape (4,)
        Σ s_i KL(m_i ‖ p_i) for m a quarter, a half, three quarters and all of the way from q to p;
        infinite where a p of 0 has an m.

    Returns
    -------
    squares : float
        ‖coef_out‖² of the first shard.
    spread : float
        Σ s_i ‖p_i − q_i‖ ‖x_i‖, both feasible.
    """
    n_rows, dtype, is_softmax = dual.shape[1], dual.dtype, loss == "softmax"
    weight = _weights(sample_weight, rows)
    q = dual[rows].astype(np.float64)
    if is_softmax:
        q = np.exp(q)
        q /= q.sum(axis=1, keepdims=True)
    else:
        q = _sigmoid(q)
    p, _ = _moved(probability[rows].astype(np.float64), change, loss)
    other = p
    if repairs:
        q = _repaired(q, *totals, is_softmax, weight_sum)
        other = _repaired(p, mean, totals[1], is_softmax, weight_sum)
    coef, spread = np.zeros((coef_out.shape[1], n_rows)), 0.0
    for i, s, back in zip(rows, weight, q - other, strict=True):
        slot, value = _row(data, indices, indptr, slots, inverse_scale, i, dtype)
        np.add.at(coef, slot, unit * s * np.outer(value.astype(np.float64), back))
        spread += s * np.sqrt(np.square(back).sum() * np.square(value, dtype=np.float64).sum())
    coef_out[0] = 0
    coef_out[0, :, :n_rows] = coef
    for at, share in enumerate(SHARES):
        m = q + share * (other - q)
        apart = _apart_from(m, p)
        if not is_softmax:
            apart = apart + _apart_from(1 - m, 1 - p)
        divergence_out[at] = weight @ apart
    return float(np.square(coef).sum()), float(spread)


def _apart_from(q, p):
    """Σ_k q log(q / p) of each row."""
    held = q > NOTHING
    with np.errstate(divide="ignore"):
        apart = np.where(held, q, 0.0) * np.log(np.where(held, q, 1.0) / np.where(held, p, 1.0))
    return apart.sum(axis=1)


@checked(
    coef=array("n_slots", "stride"),
    slots=array("n_features", of=("int32",)),
    coef_out=array("n_rows", "n_features", out=True),
)
def sparse_dual_coef(coef, slots, coef_out):
    """Coefficients by class from those by slot; 0 for a feature without one."""
    held = slots >= 0
    coef_out[:] = 0
    coef_out[:, held] = coef[slots[held], : len(coef_out)].T

"""How curved the objective is: a subsample of the rows, and bounds from its spectrum.

All automatic choices rest on this: the learning rate on a few power iterations, the preconditioners
on the subsample's Gram matrix. Draws and reads rows; fits nothing. Called by solver.py.
"""

from dataclasses import dataclass

import numpy as np

from .. import kernels
from ..problem.rows import SparseRows
from ..problem.statistics import SQUARED_ROWS, largest_eigenvalue, squares, weighted_squares

__all__ = [
    "Subsample",
    "drawn",
    "learning_rate_for",
    "learning_rate_of_many",
    "probabilities",
    "shares",
    "square_gradient",
    "staged",
]

#: Rows that power iterations look at: a mean over so many is within a few per cent as well.
POWER_ROWS = 2000

#: Rows that are staged at once.
BLOCK_ROWS = 1024

#: Times the curvature that a learning rate keeps below: heavy-ball steps are stable up to
#: 2 (1 + momentum).
CURVATURE_SHARE = 1.6

#: First step of AdaGrad, in weights that move a raw prediction by 1.
ADAGRAD_SHARE = 0.1

#: What the noise of one minibatch may add up to in the momentum's memory. Both shares are measured
#: by bench/test_sgd_auto.py.
NOISE_SHARE = 0.21

#: The same for a few epochs with many classes, which begin far away. Of 1 to 64 times the above,
#: the objective after two epochs was lowest at 8, or next to it, on each of seven drawn sets of 100
#: to 1000 classes, features of low rank among them.
NOISE_SHARE_OF_MANY = 1.7

#: ‖p − onehot(y)‖² to reckon with where no probabilities are known yet.
TYPICAL_MISS = 0.35


@dataclass(frozen=True)
class Subsample:
    """Some rows of a problem, staged in the units of training.

    Parameters
    ----------
    rows : intp ndarray of shape (n_drawn,)
        Numbers of the rows among those in memory, ascending.
    values : ndarray or CSR array of shape (n_drawn, n_features), in the dtype of the computation
    weight : float64 ndarray of shape (n_drawn,)
        Sample weights, divided by their sum.
    """

    rows: np.ndarray
    values: np.ndarray
    weight: np.ndarray

    @classmethod
    def of(cls, problem, n_drawn, dtype, random_state, by_norm=False):
        """Draw about ``n_drawn`` of the problem's rows.

        Parameters
        ----------
        problem : objective.Problem
        n_drawn : int ≥ 1
        dtype : {float32, float64}
        random_state : numpy.random.RandomState
        by_norm : bool
            Draw half of them in proportion to ‖x‖², at the price of a pass over X. A feature that
            one row in 10000 has is else missed or met by luck, and its curvature with it.
        """
        problem = problem.sampled
        rows, weight = problem.rows, None
        if n_drawn < len(rows) and not by_norm:
            rows = np.sort(random_state.choice(rows, n_drawn, replace=False))
        elif n_drawn < len(rows):
            norms = _square_norms(problem, dtype)
            chance = 0.5 * n_drawn * (1 / len(rows) + norms / max(norms.sum(), 1e-300))
            rows, weight = drawn(rows, np.where(np.isfinite(chance), chance, 1.0), random_state)
        return cls(rows, staged(problem, rows, dtype), shares(problem, rows, weight))

    def part(self, block):
        """Some of its rows, a slice; the weights are not divided by their sum again."""
        return Subsample(self.rows[block], self.values[block], self.weight[block])

    def mean_square_norm(self):
        """Weighted mean of ‖x‖²."""
        return float(self.second_moments().sum())

    def second_moments(self):
        """Weighted mean of x_j² for each feature."""
        return weighted_squares(self.values, self.weight)

    def fourth_moments(self):
        """Weighted mean of x_j⁴ for each feature."""
        return weighted_squares(self.values, self.weight, power=4)

    def largest_eigenvalue(self):
        """Of Σ s x xᵀ / Σ s."""
        return largest_eigenvalue(self.values[:POWER_ROWS], self.weight[:POWER_ROWS])


def drawn(rows, chance, random_state):
    """Rows drawn each by its own chance, at least one, and how many each then stands for."""
    chance = np.minimum(chance, 1.0)
    kept = random_state.random_sample(len(rows)) < chance
    kept[0] |= not kept.any()
    return rows[kept], 1 / chance[kept]


def shares(problem, rows, weight=None):
    """Sample weights of some rows, times how many each stands for, divided by their sum."""
    weight = np.ones(len(rows)) if weight is None else weight
    if problem.sample_weight is not None:
        weight = weight * problem.sample_weight[rows]
    return weight / weight.sum()


def staged(problem, rows, dtype):
    """Ascending rows in the units of training: a matrix, or a CSR array where X is sparse.

    It may be a view of X, and is not to be written to.
    """
    X, shift, inverse_scale = problem.X, problem.shift, problem.inverse_scale
    if isinstance(X, SparseRows):
        values = X.rows(rows).astype(dtype)
        if inverse_scale is not None:
            values.data *= inverse_scale[values.indices]
        return values
    if shift is None and X.dtype == dtype and _is_range(rows):
        return X[rows[0] : rows[-1] + 1]
    values = np.empty((len(rows), X.shape[1]), dtype)
    kernels.implementation.stage(X, rows, shift=shift, inverse_scale=inverse_scale, tile_out=values)
    return values


def _is_range(rows):
    """Whether these ascending numbers leave none out."""
    return len(rows) > 0 and len(rows) == rows[-1] - rows[0] + 1


def probabilities(problem, values, coef, intercept):
    """Probabilities (n, n_rows) of staged rows: softmax, or each row of coef's own sigmoid."""
    raw = np.ascontiguousarray(values @ coef.astype(values.dtype).T)
    raw += intercept.astype(values.dtype)
    if problem.loss == "softmax":
        kernels.implementation.softmax(raw, raw, problem.n_threads)
        return raw
    with np.errstate(over="ignore"):
        return 1 / (1 + np.exp(-raw))


def _square_norms(problem, dtype):
    """‖x‖² of the problem's rows, in float64."""
    norms = np.empty(len(problem.rows))
    for start in range(0, len(norms), BLOCK_ROWS):
        block = staged(problem, problem.rows[start : start + BLOCK_ROWS], dtype)
        norms[start : start + block.shape[0]] = squares(block).sum(axis=1).ravel()
    return norms


def square_gradient(problem, subsample, coef, intercept):
    """Weighted mean of the squared length of one row's gradient, at these parameters.

    The gradient is (p − onehot(y)) ⊗ (x, 1) for softmax, and so it is row by row of coef for
    logistic losses; with label smoothing its targets take onehot(y)'s place.
    """
    values = subsample.values
    miss = probabilities(problem, values, coef, intercept).astype(np.float64)
    codes, smoothing = problem.sampled.y_true[subsample.rows], problem.label_smoothing
    miss -= smoothing / (len(coef) if problem.loss == "softmax" else 2)
    if len(coef) == 1:
        miss[:, 0] -= (1 - smoothing) * codes
    else:
        miss[np.arange(len(miss)), codes] -= 1 - smoothing
    length = np.square(miss).sum(axis=1)
    squared_norms = np.empty(len(length))
    for start in range(0, len(length), SQUARED_ROWS):
        block = slice(start, start + SQUARED_ROWS)
        squared_norms[block] = squares(values[block]).sum(axis=1).ravel()
    return float(subsample.weight @ (length * (squared_norms + 1)))


def learning_rate_for(subsample, loss, alpha, momentum, batch_size, update, square=None):
    """A learning rate for minibatch descent, from the data alone.

    The lower of two. Curvature: the Hessian is at most ½ (I − 11ᵀ/K) ⊗ Σxxᵀ/n + alpha for softmax
    and ¼ Σxxᵀ/n + alpha for a logistic loss (Böhning 1992). Noise: the steps that momentum
    remembers, η/(1 − momentum), times the squared length of a minibatch's gradient noise, which is
    that of one row's gradient over batch_size, must stay a fraction of the loss.

    Parameters
    ----------
    subsample : Subsample
    loss : {"softmax", "logistic"}
    alpha : float ≥ 0
    momentum : float in [0, 1)
    batch_size : int ≥ 1
    update : {"sgd", "momentum", "nesterov", "adagrad"}
        AdaGrad's steps are in units of weights whatever the gradients: a tenth of the weight that
        moves a raw prediction by 1, where features are of one size.
    square : float or None
        Mean squared length of one row's gradient; None for a typical one.

    Returns
    -------
    learning_rate : float > 0, finite

    References
    ----------
    Böhning, "Multinomial logistic regression algorithm", Annals of the Institute of Statistical
    Mathematics 44, 1992.
    """
    tiny = float(np.finfo(subsample.values.dtype).tiny)
    if update == "adagrad":
        moments = subsample.second_moments()
        size = np.sqrt(moments[moments > 0].mean()) if moments.any() else 1.0
        return float(np.clip(ADAGRAD_SHARE / max(size, tiny), tiny, 1 / tiny))
    factor = 0.5 if loss == "softmax" else 0.25
    # The intercept is a feature of ones.
    curvature = factor * (subsample.largest_eigenvalue() + 1) + alpha
    if square is None:
        square = TYPICAL_MISS * (subsample.mean_square_norm() + 1)
    noise = max(square / batch_size, tiny)
    rate = min(CURVATURE_SHARE / curvature, NOISE_SHARE * (1 - momentum) / noise)
    return float(np.clip(rate, tiny, 1 / tiny))


def learning_rate_of_many(subsample, largest_share, alpha, momentum, batch_size):
    """A learning rate for a few epochs from zero with many classes.

    The curvature of one class is at most the mean of p x xᵀ, and p is on average the class's share
    of the rows, which Böhning's bound takes for a half. The noise may be larger than in a long run,
    as it is what comes after that takes it away.

    Parameters
    ----------
    subsample : Subsample
    largest_share : float in (0, 1]
        Of the weights, by the rows of one class.
    alpha, momentum, batch_size
        As in :func:`learning_rate_for`.

    Returns
    -------
    learning_rate : float > 0, finite
    """
    tiny = float(np.finfo(subsample.values.dtype).tiny)
    size = subsample.mean_square_norm() + 1
    noise = max(TYPICAL_MISS * size / batch_size, tiny)
    curvature = largest_share * size + alpha
    rate = min(CURVATURE_SHARE / curvature, NOISE_SHARE_OF_MANY * (1 - momentum) / noise)
    return float(np.clip(rate, tiny, 1 / tiny))

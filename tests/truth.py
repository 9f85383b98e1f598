"""The objective and its minimum, with a proof of how well the minimum is known. Holds no test.

Shares no code with fastsoftmax, and is written for certainty, not speed: rows are dense, and
Newton's method has the whole Hessian. Each column is centred and scaled by itself, in extended
precision, and its penalty is carried along, so that neither 1e9 deviations of offset nor 1e16
between two columns costs accuracy.

The proof is a point of the dual. For any q_i on the simplex, with θ_i = q_i − t_i for the targets
t_i, the Fenchel-Young inequality gives for all coefficients V and intercepts b ::

    L(V, b) ≥ −Σ s_i Σ_k q_ik log q_ik + Σ_kj (g_kj v_kj + ½ a_j v_kj²) + Σ_k g_k0 b_k

with g = Σ s_i θ_i (u_i, 1)ᵀ, and the right side is least for each coefficient by itself. The q are
the probabilities after Newton's step *linearised*, q = p + (diag p − p pᵀ) Δraw: where the step is
solved exactly, g_kj = −a_j v_kj and g_k0 = 0 hold exactly too, so that q is feasible whatever the
penalty, 0 included. What rounding leaves of g_k0, or of g_kj where a_j is next to nothing, would
multiply coefficients without limit: the lower bound is that of all coefficients in a box, a hundred
times as large as those of the minimum, in units of each column's largest deviation.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve, qr
from scipy.sparse import issparse
from threadpoolctl import threadpool_limits

__all__ = ["Objective", "Truth", "least"]

EPSILON = np.finfo(np.float64).eps

#: Newton's steps, each of which may be halved so often.
MOST_STEPS = 100
MOST_HALVINGS = 50

#: Penalties from 1 down, a tenth of the last each, on the way to a minimum that is far away.
APPROACHES = 18

#: Size of the box that the lower bound is for, in units of the largest coefficient.
BOX = 100.0

#: Steps without a better proof before there is none to come.
PATIENCE = 6

#: An error of the minimum below which nobody asks for less.
ENOUGH = 1e-13


@dataclass(frozen=True)
class Truth:
    """What is known of a minimum: it is in [lower − rounding, value + rounding].

    Attributes
    ----------
    value : float
        The objective of some coefficients: the minimum is no higher.
    lower : float
        No coefficients in the box have less.
    rounding : float
        Of float64, in either.
    box : float
        Largest coefficient, of columns divided by their largest deviation, that ``lower`` holds
        for.
    n_steps : int
    coef, intercept : float64 ndarrays
        Those of ``value``, in units of X. Rounded to them, they may be above it.
    lower_in : callable
        What ``lower`` is for another box.
    """

    value: float
    lower: float
    rounding: float
    box: float
    n_steps: int
    coef: np.ndarray
    intercept: np.ndarray
    lower_in: Callable

    @property
    def error(self):
        """What the minimum can be away from ``value``."""
        return max(0.0, self.value - self.lower) + self.rounding


class Objective:
    """The objective by its definition: (1/Σs) Σ s_i·loss_i + (alpha/2)‖W‖².

    Parameters
    ----------
    X : array or sparse matrix of shape (n_samples, n_features)
    codes : int array of shape (n_samples,)
        Positions in the sorted classes.
    n_classes : int
    alpha : float
    weight : array of shape (n_samples,) or None
        Of rows, those of classes included.
    ovr : bool
        Sum of n_classes logistic losses. Two classes are one logistic loss either way.
    fit_intercept : bool
    standardize : bool
        ‖W‖² is of coefficients of z-scores. Columns are centred, but of sparse X, which matters
        where there is no intercept.
    row_weight : array of shape (n_samples,) or None
        What means and deviations are weighted by: ``weight`` without that of classes.
    label_smoothing : float
    """

    def __init__(
        self,
        X,
        codes,
        n_classes,
        alpha,
        weight=None,
        *,
        ovr=False,
        fit_intercept=True,
        standardize=False,
        label_smoothing=0.0,
        row_weight=None,
    ):
        sparse = issparse(X)
        X = np.asarray(X.toarray() if sparse else X, np.float64)
        weight = np.ones(len(X)) if weight is None else np.asarray(weight, np.float64)
        used = weight > 0
        self.X, self.codes = X[used], np.asarray(codes)[used]
        row_weight = weight if row_weight is None else np.asarray(row_weight, np.float64)
        share, row_share = (
            one / one.sum() for one in (w[used].astype(np.longdouble) for w in (weight, row_weight))
        )
        self.share = share.astype(np.float64)
        self.n_classes, self.alpha, self.smoothing = n_classes, float(alpha), label_smoothing
        self.fit_intercept = fit_intercept
        self.form = "logistic" if ovr or n_classes == 2 else "softmax"
        self.n_rows = 1 if n_classes == 2 else n_classes

        wide = self.X.astype(np.longdouble)
        mean = row_share @ wide
        deviation = wide - mean
        self.sigma = np.ones(X.shape[1])
        if standardize:
            variance = (row_share @ np.square(deviation)).astype(np.float64)
            noise = len(self.X) * EPSILON
            varies = variance > noise * variance + np.square(noise * mean.astype(np.float64))
            self.sigma[varies] = np.sqrt(variance[varies])
        centred = fit_intercept or (standardize and not sparse)
        self.centre = mean if centred else np.zeros_like(mean)
        self.may_be_centred = centred and not sparse  # without a copy of X
        values = deviation if centred else wide
        largest = np.abs(values).max(axis=0)
        self.scale = np.where(largest > 0, largest, 1)  # longdouble: no overflow of its square
        self.U = (values / self.scale).astype(np.float64)
        #: Penalty of coefficients of U.
        self.strength = (self.alpha * np.square(self.sigma / self.scale)).astype(np.float64)

    # --- At given coefficients --------------------------------------------------------------------

    def raw(self, coef, intercept):
        """Raw predictions of coefficients in the units of X.

        Summed about the centre: 1e9 deviations away from 0, even extended precision isn't enough.
        """
        coef, intercept = (np.asarray(array).astype(np.longdouble) for array in (coef, intercept))
        at_centre = intercept + coef @ self.centre
        V = coef * self.scale
        return self.U @ V.T.astype(np.float64) + at_centre.astype(np.float64)

    def __call__(self, coef, intercept):
        """The objective of coefficients in the units of X."""
        raw, penalty = self.raw(coef, intercept), self.penalty(coef)
        mean = sum(float(self.share @ loss.losses(part)) for loss, part in self._losses(raw))
        return mean + penalty

    def penalty(self, coef):
        coef = np.asarray(coef).astype(np.longdouble)
        return float(0.5 * self.alpha * np.square(coef * self.sigma).sum())

    def residuals(self, coef, intercept):
        """Gradient of each row's loss in its raw predictions, and these; (n_used, n_rows) each."""
        raw = self.raw(coef, intercept)
        theta = [one.residuals(one.probabilities(part)) for one, part in self._losses(raw)]
        return np.hstack(theta), raw

    def size(self, coef, intercept):
        """The largest coefficient, of columns divided by their largest deviation, or intercept."""
        coef, intercept = (np.asarray(array).astype(np.longdouble) for array in (coef, intercept))
        V, b = coef * self.scale, intercept + coef @ self.centre
        return float(max(np.abs(V).max(initial=0), np.abs(b).max(initial=0)))

    def _losses(self, raw=None):
        """A loss and the columns of raw predictions that it takes, for each loss of the sum."""
        if self.form == "softmax":
            targets = _targets(self.codes, self.n_classes, self.smoothing)
            yield _Loss(self.codes, targets, self.smoothing, range(self.n_classes)), raw
            return
        for k in range(self.n_rows):
            codes = self.codes if self.n_rows == 1 else (self.codes == k).astype(int)
            loss = _Loss(codes, _targets(codes, 2, self.smoothing), self.smoothing, [1])
            yield loss, None if raw is None else raw[:, k : k + 1]

    def in_units_of_X(self, V, b):
        """Coefficients of U as those of X."""
        coef = V / self.scale
        intercept = b - coef @ self.centre
        return coef.astype(np.float64), intercept.astype(np.float64)


def _targets(codes, n_classes, smoothing):
    targets = np.full((len(codes), n_classes), smoothing / n_classes)
    targets[np.arange(len(codes)), codes] += 1 - smoothing
    return targets


class _Loss:
    """Cross-entropy of each row; raw predictions of classes that aren't ``free`` are 0."""

    def __init__(self, codes, targets, smoothing, free):
        self.codes, self.targets, self.smoothing = codes, targets, smoothing
        self.free, self.rows = list(free), np.arange(len(codes))

    def _whole(self, raw):
        if raw.shape[1] == self.targets.shape[1]:
            return raw
        return np.hstack([np.zeros_like(raw), raw])

    def losses(self, raw):
        raw = self._whole(raw)
        below = raw - raw[self.rows, self.codes][:, None]
        top = np.maximum(below.max(axis=1), 0)
        # Without the label's own 1 where it is the highest: log1p keeps what is next to nothing.
        below_top = np.exp(below - top[:, None])
        own = below_top[self.rows, self.codes].copy()
        below_top[self.rows, self.codes] = 0
        rest = below_top.sum(axis=1)
        loss = np.where(top > 0, top + np.log(own + rest), np.log1p(rest))
        return loss - self.smoothing * below.mean(axis=1) if self.smoothing else loss

    def probabilities(self, raw):
        raw = self._whole(raw)
        p = np.exp(raw - raw.max(axis=1, keepdims=True))
        return p / p.sum(axis=1, keepdims=True)

    def residuals(self, q):
        """What q is above the free classes' targets, accurate where a label's own is next to 1."""
        theta = q - self.targets
        if not self.smoothing:
            rest = q.copy()
            rest[self.rows, self.codes] = 0
            theta[self.rows, self.codes] = -rest.sum(axis=1)
        return theta[:, self.free]

    def linearised(self, p, change):
        """Probabilities after this change of raw predictions, to first order; on the simplex."""
        change = self._whole(change)
        change = change - (p * change).sum(axis=1, keepdims=True)
        q = p * (1 + np.maximum(change, -1))
        total = q.sum(axis=1, keepdims=True)
        is_usable = np.isfinite(total) & (total > 0)
        return np.where(is_usable, q / np.where(is_usable, total, 1), p)

    def curved(self, p, change):
        """Hessian of the loss in raw predictions, times this change of those that are free."""
        change = self._whole(change)
        return (p * (change - (p * change).sum(axis=1, keepdims=True)))[:, self.free]


# --- The minimum ----------------------------------------------------------------------------------


def least(objective, enough=ENOUGH):
    """The :class:`Truth` of the minimum of an :class:`Objective`, to ``enough`` if that can be."""
    basis, features, strength = _in_span(objective.U, objective.strength)
    if objective.fit_intercept:
        features = np.hstack([features, np.ones((len(features), 1))])
        strength = np.append(strength, 0.0)
    with threadpool_limits(1):  # two spinning threads are slower on a busy machine
        found = [
            _Newton(objective, loss, features, strength, basis).run(enough / objective.n_rows)
            for loss, _ in objective._losses()
        ]
    box = max(one.box for one in found)

    def lower_in(box):
        # No loss is negative.
        return sum(max(one.lowest_in(box), 0.0) for one in found)

    coef, intercept = objective.in_units_of_X(
        np.vstack([one.V for one in found]), np.hstack([one.b for one in found])
    )
    return Truth(
        value=sum(one.value for one in found),
        lower=lower_in(box),
        rounding=sum(one.rounding for one in found),
        box=box,
        n_steps=sum(one.n_steps for one in found),
        coef=coef,
        intercept=intercept,
        lower_in=lower_in,
    )


def _in_span(U, strength):
    """Features of as few columns as rows have dimensions, and the way back: V = z · basis.

    The minimum is in the span of the rows in the metric of the penalty, without one in any.
    """
    if len(U) >= 0.9 * U.shape[1]:
        return None, U, strength
    level = float(strength.min())
    root = np.sqrt(level / strength) if level > 0 else np.ones_like(strength)
    # With the largest columns first, rounding is relative to each (Cox, Higham, "Stability of
    # Householder QR factorization for weighted least squares problems", 1998).
    largest_first = np.argsort(-root)
    Q, R, order = qr((U * root).T[largest_first], mode="economic", pivoting=True)
    # What rounding leaves of directions that rows don't have could grow without a penalty.
    floor = len(U) * EPSILON if level < EPSILON else 0.0
    kept = np.abs(np.diag(R)) > floor * abs(R[0, 0])
    kept[0] = True  # of zeros alone, too
    features = np.empty((len(U), np.count_nonzero(kept)))
    features[order] = R[kept].T
    basis = np.empty((features.shape[1], U.shape[1]))
    basis[:, largest_first] = Q[:, kept].T
    return basis * root, features, np.full(features.shape[1], level)


class _Newton:
    """Damped Newton's method for one loss, which proves how low it came.

    Coefficients are of shape (free classes, features), the intercept being the last feature.
    """

    def __init__(self, objective, loss, features, strength, basis):
        self.o, self.loss, self.basis = objective, loss, basis
        self.F, self.strength = features, strength
        self.value, self.lower, self.box, self.n_steps = np.inf, -np.inf, np.inf, 0
        self.V = self.b = None
        self.proof = []

    def run(self, enough):
        z = np.zeros((len(self.loss.free), self.F.shape[1]))
        if not self._descend(z, enough, MOST_STEPS):
            self._descend(self._approached(z), enough, MOST_STEPS)
        return self

    def _descend(self, z, enough, most):
        """Whether the minimum is proved, or as well as rounding lets it be."""
        raw, value = self._at(z)
        best_error, idle = np.inf, 0
        for _ in range(most):
            step, p, gradient = self._step(z, raw)
            self._prove(z, raw, p, self.F @ step.T)
            error = self.value - self.lower
            self.rounding = self._rounding(raw)
            idle = idle + 1 if error > 0.9 * best_error else 0
            best_error = min(error, best_error)
            if error <= max(enough, 0.1 * self.rounding):
                return True
            decrease = -float((gradient * step).sum())
            if decrease < 1e-8 and idle >= PATIENCE:
                return True
            moved = self._searched(z, value, step, decrease)
            if moved is None:
                return False
            z, raw, value = moved
        return False

    def _approached(self, z):
        """Near the minimum, by way of those of stronger penalties.

        From far away Newton's steps are far too long where most rows' losses are flat.
        """
        strength = self.strength
        for floor in 10.0 ** -np.arange(APPROACHES):
            self.strength = strength + floor
            raw, value = self._at(z)
            for _ in range(MOST_STEPS):
                step, _, gradient = self._step(z, raw)
                decrease = -float((gradient * step).sum())
                if decrease < 1e-3 * value:
                    break
                moved = self._searched(z, value, step, decrease)
                if moved is None:
                    break
                z, raw, value = moved
        self.strength = strength
        return z

    def _searched(self, z, value, step, decrease):
        """Where the step leads, halved until that is lower; None where nothing is."""
        length = 1.0
        for _ in range(MOST_HALVINGS):
            moved = z + length * step
            raw, new = self._at(moved)
            if new <= value - 1e-4 * length * decrease + EPSILON * (1 + abs(value)):
                return moved, raw, new
            length /= 2
        return None

    def _at(self, z):
        with np.errstate(over="ignore", invalid="ignore"):
            raw = self.F @ z.T
            value = float(self.o.share @ self.loss.losses(raw))
            value += 0.5 * float((self.strength * z * z).sum())
        return raw, value if np.isfinite(value) else np.inf

    def _rounding(self, raw):
        theta = np.abs(self.loss.residuals(self.loss.probabilities(raw)))
        size = (np.abs(raw) * theta).sum(axis=1)
        return 8 * EPSILON * (abs(self.value) + float(self.o.share @ size))

    def _gradient(self, theta, z):
        return (theta * self.o.share[:, None]).T @ self.F + self.strength * z

    def _step(self, z, raw):
        """Newton's step, refined by residuals that are formed from rows."""
        self.n_steps += 1
        p = self.loss.probabilities(raw)
        gradient = self._gradient(self.loss.residuals(p), z)
        solve = self._factorised(p)
        step = -solve(gradient)
        for _ in range(2):
            curved = self.loss.curved(p, self.F @ step.T)
            left = gradient + self._gradient(curved, step)
            step = step - solve(left)
        return step, p, gradient

    def _factorised(self, p):
        F, share, free = self.F, self.o.share, self.loss.free
        n_free, n_columns = len(free), F.shape[1]
        hessian = np.empty((n_free, n_columns, n_free, n_columns))
        if n_free > 1:
            G = (np.sqrt(share)[:, None] * p[:, free])[:, :, None] * F[:, None, :]
            G = G.reshape(len(F), -1)
            np.negative(G.T @ G, out=hessian.reshape(n_free * n_columns, -1))
        for position, k in enumerate(free):
            others = np.delete(p, k, axis=1).sum(axis=1)  # 1 − p, however near to 0
            block = (F * (share * p[:, k] * others)[:, None]).T @ F
            block[np.diag_indices(n_columns)] += self.strength
            hessian[position, :, position, :] = block
        if n_free > 1:
            # One number added to all classes changes no softmax, and is kept at 0.
            each = np.arange(n_columns)
            mean = np.mean([hessian[k, each, k, each] for k in range(n_free)], axis=0)
            for k in range(n_free):
                hessian[k, each, :, each] += mean[:, None]
        hessian = hessian.reshape(n_free * n_columns, -1)
        diagonal = np.diag(hessian).copy()
        root = 1 / np.sqrt(np.where(diagonal > 0, diagonal, 1))
        hessian *= root
        hessian *= root[:, None]
        ridge = 1e-15
        while True:
            try:
                hessian[np.diag_indices(len(hessian))] = 1 + ridge
                factor = cho_factor(hessian, lower=True, check_finite=False)
                break
            except LinAlgError:
                ridge *= 30

        def solve(right):
            flat = cho_solve(factor, right.ravel() * root, check_finite=False) * root
            return flat.reshape(right.shape)

        return solve

    def _prove(self, z, raw, p, change):
        """Keep the lowest value, and the highest lower bound, of the points around."""
        V, b = self._of_U(z)
        linearised = self.loss.linearised(p, change)
        value = self.o.share @ self.loss.losses(raw) + 0.5 * (self.o.strength * V * V).sum()
        if value < self.value:
            self.value, self.V, self.b = float(value), V, b
        size = max(1.0, np.abs(self.V).max(initial=0), np.abs(self.b).max(initial=0))
        self.box = BOX * size
        # The best so far once more, as the box may have grown.
        tried = [(self._lower(q, self.box), q) for q in (*self.proof, p, linearised)]
        self.lower, best = max(tried, key=lambda one: one[0])
        self.proof = [best]

    def lowest_in(self, box):
        """The lower bound for this box."""
        return self._lower(self.proof[0], box)

    def _lower(self, q, box):
        """The dual objective at q: the least of the right side in the box."""
        theta = self.loss.residuals(q) * self.o.share[:, None]
        entropy = -np.where(q > 0, q * np.log(np.where(q > 0, q, 1)), 0).sum(axis=1)
        g, strength = np.abs(theta.T @ self.o.U), self.o.strength
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            at = np.minimum(np.where(g > 0, g / strength, 0), box)
        least = (-g * at + 0.5 * strength * at * at).sum()
        if self.o.fit_intercept:
            least -= np.abs(theta.sum(axis=0)).sum() * box
        return float(self.o.share @ entropy + least)

    def _of_U(self, z):
        b = z[:, -1] if self.o.fit_intercept else np.zeros(len(z))
        V = z[:, :-1] if self.o.fit_intercept else z
        return (V if self.basis is None else V @ self.basis), b

"""Newton's method with the whole Hessian, for problems so small that it costs next to nothing.

Rows are staged once, in float64, every column about its own mean and in its own unit: whatever the
units of X, offsets and spreads are gone before anything is multiplied. The Hessian is exact and of
all rows, and so is what it says of the distance to the minimum. The iterations are one call of a
kernel. Called by solver.py and path.py.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy.sparse import issparse

from .. import kernels
from .curvature import staged
from .tolerance import Tolerance, least_gap

__all__ = [
    "PATIENCE",
    "SmallProblem",
    "Stand",
    "is_small",
    "passes_of_newton",
    "targets_of",
    "values_of",
]

FLOAT64 = np.dtype(np.float64)

#: Unknowns up to which the Hessian is factored, and its entries times rows up to which it is
#: formed: with more, L-BFGS is sooner.
MOST_UNKNOWNS = 400
MOST_PRODUCTS = 50_000_000

#: The same where L-BFGS has not come near; it is asked every so many passes.
PATIENCE = 60
MOST_UNKNOWNS_AT_LAST = 1300
MOST_PRODUCTS_AT_LAST = 4_000_000_000

#: Steps that it is then to be expected to take, and the multiply-adds in whose time a pass of
#: L-BFGS is prepared.
NEWTON_STEPS = 12
PASS_PRODUCTS = 1_000_000

#: Values staged, at most: they are a copy of X in float64.
MOST_VALUES = 4_000_000

#: Largest distance of a column from its mean below which it has no say under any penalty: the
#: square of its unit would overflow.
SMALLEST = 1e-150

#: Products that one call of the kernel may make, so that Ctrl-C is heeded in between.
PRODUCTS_A_CALL = 4_000_000_000
MOST_ITERATIONS_A_CALL = 40

#: Share of the tolerance that is gone to: the last step squares the error, and so nearly always
#: reaches it. Two fits that begin elsewhere, as with ``warm_start``, then end at the same numbers.
SHARE_OF_TOLERANCE = 1e-3

#: Steps beyond that which are taken for the bound to be within the tolerance too: so many at once,
#: as long as they divide it by so much. Where a cheap column's gradient is rounding, none will do.
STEPS_FOR_PROOF = 2
MOST_FOR_PROOF = 6
GAIN_OF_PROOF = 4.0

#: Rounding error of a mean loss, in units of the last place: at least this, and the root of the
#: number of its terms, as errors of either sign add up.
ROUNDING_ERRORS = 8


def is_small(n_samples, n_features, n_rows, loss, at_last=False):
    """Whether Newton's method is the way to a minimum of this shape, coef having n_rows rows.

    ``at_last``: where another has not led there.
    """
    n_columns = n_features + 1
    most = (MOST_UNKNOWNS, MOST_PRODUCTS)
    if at_last:
        most = (MOST_UNKNOWNS_AT_LAST, MOST_PRODUCTS_AT_LAST)
    return (
        (n_rows if loss == "softmax" else 1) * n_columns <= most[0]
        and _n_products(n_samples, n_columns, n_rows, loss) <= most[1]
        and n_samples * n_columns <= MOST_VALUES
    )


def passes_of_newton(n_samples, n_features, n_rows, loss):
    """As many passes over the rows as Newton's method takes the time of, at least."""
    n_unknowns = (n_features + 1) * (n_rows if loss == "softmax" else 1)
    n_factors = 1 if loss == "softmax" else n_rows
    products = _n_products(n_samples, n_features + 1, n_rows, loss) / 4
    step = products + n_factors * n_unknowns**3 / 6
    return NEWTON_STEPS * step / (2 * n_samples * (n_features + 1) * n_rows + PASS_PRODUCTS)


def _n_products(n_samples, n_columns, n_rows, loss):
    """Of one Hessian."""
    return n_samples * n_columns**2 * (n_rows**2 if loss == "softmax" else n_rows)


@dataclass(frozen=True)
class Stand:
    """Where Newton's method is, in the staged units.

    Parameters
    ----------
    theta : float64 ndarray of shape (n_rows, n_features + 1)
        Parameters, the intercept last.
    value, penalty : float
        The objective and its part (alpha/2)‖coef‖².
    decrement : float
        gᵀ H⁻¹ g: twice what the quadratic model can still fall.
    gradient_norm : float
    """

    theta: np.ndarray
    value: float
    penalty: float
    decrement: float
    gradient_norm: float


class SmallProblem:
    """A problem's rows in float64 and in units of their own, and Newton's method on them.

    With x̃_j = (x_j − m_j) · u_j, parameters are w̃_j = w_j / u_j and b̃ = b + Σ w_j m_j, and the
    penalty of w̃_j is alpha · u_j². u_j is the inverse of the column's largest distance from m_j,
    which is its weighted mean, or 0 without intercept.

    Parameters
    ----------
    problem : objective.Problem
        Its alpha is of no account.
    n_rows : int
        Of coef.

    Attributes
    ----------
    n_products : int
        Entries of the Hessian times rows.
    """

    @classmethod
    def of(cls, problem, n_rows, at_last=False):
        """The same, or None where it is not small, or float64 can't hold it in these units."""
        n_samples, n_features = len(problem.rows), problem.X.shape[1]
        if not is_small(n_samples, n_features, n_rows, problem.loss, at_last):
            return None
        small = cls(problem, n_rows)
        return small if small._is_sound else None

    def __init__(self, problem, n_rows):
        self._loss, self._has_intercept = problem.loss, problem.fit_intercept
        values, rows = values_of(problem), problem.rows
        n_samples, n_features = values.shape
        if problem.sample_weight is None:
            self._weight = np.full(n_samples, 1.0 / n_samples)
        else:
            self._weight = problem.sample_weight[rows].astype(np.float64)
            self._weight /= self._weight.sum()
        self._design = np.empty((n_features + 1, n_samples))
        self._design[-1] = problem.fit_intercept
        features = self._design[:-1]
        with np.errstate(all="ignore"):
            self._mean = np.zeros(n_features)
            if problem.fit_intercept:
                self._mean = self._weight @ values
            np.subtract(values.T, self._mean[:, None], out=features)
            size = np.maximum(features.max(axis=1), -features.min(axis=1))
            self._is_sound = bool(np.isfinite(size).all())
            self._size = np.where(size > SMALLEST, size, np.inf)
            features *= (1 / self._size)[:, None]
            self._square_unit = np.append(1 / np.square(self._size), 0.0)
        self._targets = targets_of(problem, n_rows)
        self._total = self._targets @ self._weight
        self._penalty = self._square_unit
        self._probability = np.empty((n_rows, n_samples))
        self.n_products = _n_products(n_samples, n_features + 1, n_rows, problem.loss)
        self._most_a_call = max(1, min(MOST_ITERATIONS_A_CALL, PRODUCTS_A_CALL // self.n_products))

    # --- Units ------------------------------------------------------------------------------------

    def theta_of(self, coef, intercept):
        """Parameters of the problem in staged units."""
        coef = coef.astype(np.float64)
        theta = np.empty((len(coef), len(self._design)))
        scaled = coef * np.where(np.isinf(self._size), 0.0, self._size)
        theta[:, :-1], theta[:, -1] = scaled, intercept + coef @ self._mean
        return theta

    def start(self, coef, intercept):
        """Where to begin from these parameters: of zeros, the best intercept for them."""
        theta = self.theta_of(coef, intercept)
        if self._has_intercept and not theta.any():
            least = 1e-3 / self._design.shape[1]
            share = np.clip(self._total, least, 1 - least)
            theta[:, -1] = np.log(share if self._loss == "softmax" else share / (1 - share))
            if self._loss == "softmax":
                theta[:, -1] -= theta[:, -1].mean()
        elif self._loss == "softmax":
            theta[:, :-1] -= theta[:, :-1].mean(axis=0)
        return theta

    def parameters(self, theta):
        """Coef and intercept in the units of the problem."""
        coef = theta[:, :-1] / self._size
        return coef, theta[:, -1] - coef @ self._mean

    # --- The method -------------------------------------------------------------------------------

    def minimize(self, theta, alpha, tolerance, max_iter, on_iterate, proves=False):
        """Newton's method from here.

        Parameters
        ----------
        theta : float64 ndarray of shape (n_rows, n_features + 1)
            As :meth:`start` or an earlier call gives it.
        alpha : float ≥ 0
        tolerance : tolerance.Tolerance
        max_iter : int ≥ 1
        on_iterate : callable
            ``on_iterate(stand, is_last)`` is called with each :class:`Stand`, with the first only
            where that is the last; True stops.
        proves : bool, default=False
            Whether to go on until :meth:`bound` too is within the tolerance, where a few steps more
            lead there.

        Returns
        -------
        stand : Stand
            The last.
        reason : {"converged", "stopped", "max_iter", "rounding"}
        n_steps : int
        """
        self._take(alpha)
        last, n_steps = None, 0
        for run in self._runs(theta, tolerance, max_iter, proves and alpha > 0):
            stands, reason = run
            for stand in stands[1:]:
                if last is not None and on_iterate(last, False):
                    return self.look(last.theta, alpha), "stopped", n_steps
                last, n_steps = stand, n_steps + 1
        on_iterate(stands[-1], True)
        return stands[-1], reason, n_steps

    def _runs(self, theta, tolerance, max_iter, proves):
        """The Stands of one call of the kernel after another, and why the last has ended."""
        stands, reason, n_left = [], "max_iter", max_iter
        while reason == "max_iter" and (n_left > 0 or not stands):
            stands, reason = self._run(theta, tolerance, min(n_left, self._most_a_call))
            theta, n_left = stands[-1].theta, n_left - len(stands) + 1
            yield stands, reason
        if not (proves and reason == "converged"):
            return
        bound, n_left = self.bound(stands[-1]), min(n_left, MOST_FOR_PROOF)
        allowed = tolerance.allowed(stands[-1].value, stands[-1].penalty, np.float64)
        while n_left > 0 and bound > allowed:
            before, most = bound, min(n_left, STEPS_FOR_PROOF)
            stands, _ = self._run(stands[-1].theta, Tolerance(0.0), most)
            yield stands, reason
            bound, n_left = self.bound(stands[-1]), n_left - len(stands) + 1
            if len(stands) == 1 or bound > before / GAIN_OF_PROOF:
                return

    def look(self, theta, alpha):
        """The Stand of these parameters."""
        self._take(alpha)
        return self._run(theta, None, 0)[0][0]

    def _take(self, alpha):
        self._penalty = np.where(self._square_unit > 0, alpha * self._square_unit, 0.0)

    def _run(self, theta, tolerance, max_iter):
        """The Stands of one call of the kernel, and why it ended."""
        thetas, values = np.empty((max_iter + 1, *theta.shape)), np.empty((max_iter + 1, 4))
        thetas[0] = theta
        absolute = of_penalty = least = np.nan
        if tolerance is not None and not tolerance.is_none:
            absolute = SHARE_OF_TOLERANCE * (tolerance.absolute or 0.0)
            of_penalty = SHARE_OF_TOLERANCE * (tolerance.of_penalty or 0.0)
            least = 0.0 if tolerance.absolute is None else least_gap(np.float64, 1.0)
        n_steps, reason = kernels.implementation.newton(
            self._design,
            targets=self._targets,
            weight=self._weight,
            penalty=self._penalty,
            loss=self._loss,
            fit_intercept=self._has_intercept,
            tol=absolute,
            tol_of_penalty=of_penalty,
            least_of_value=least,
            thetas_inplace=thetas,
            values_out=values,
            probability_out=self._probability,
        )
        values = values[: n_steps + 1].tolist()
        stands = [Stand(theta, *row) for theta, row in zip(thetas, values, strict=False)]
        return stands, reason

    # --- The bound --------------------------------------------------------------------------------

    def bound(self, stand):
        """What the last Stand is above the minimum at most; infinite where no penalty holds it.

        By duality: any probabilities q whose class totals are those of the targets, where there is
        an intercept, give a lower bound on the minimum,
        mean entropy of q − Σ_j ‖Σ_i s_i (q_i − target_i) x̃_ij‖² / (2 penalty_j).
        Those of the iterate are brought to the totals first: classes with too much are scaled
        down, and what that frees in each row goes to the classes with too little.
        """
        probability = self._probability
        if self._has_intercept:
            repaired = _repaired if self._loss == "softmax" else _repaired_each
            probability = repaired(probability, self._weight, self._total)
        entropy = _entropy(probability)
        if self._loss == "logistic":
            entropy += _entropy(1 - probability)
        miss = (probability - self._targets) * self._weight
        gradient = np.square(self._design[:-1] @ miss.T).sum(axis=1)
        held = gradient > 0
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            least = float((entropy @ self._weight).sum())
            least -= 0.5 * float((gradient[held] / self._penalty[:-1][held]).sum())
            n_errors = max(ROUNDING_ERRORS, np.sqrt(probability.size))
            rounding = n_errors * np.finfo(np.float64).eps * (abs(stand.value) + 1)
            gap = stand.value - least + rounding
        return max(gap, 0.0) if np.isfinite(gap) else np.inf


def values_of(problem):
    """The problem's rows in the units of training, float64; maybe a view of X."""
    wide = {
        name: value.astype(np.float64)
        for name in ("shift", "inverse_scale")
        if (value := getattr(problem, name)) is not None
    }
    with np.errstate(all="ignore"):
        values = staged(replace(problem, **wide) if wide else problem, problem.rows, FLOAT64)
    return values.toarray() if issparse(values) else values


def targets_of(problem, n_rows):
    """The wanted probabilities of the problem's rows, (n_rows, n_samples)."""
    codes, smoothing = problem.y_true[problem.rows], problem.label_smoothing
    first = 1 if n_rows == 1 else 0
    targets = (np.arange(first, first + n_rows)[:, None] == codes).astype(np.float64)
    if smoothing:
        n_classes = n_rows if problem.loss == "softmax" else 2
        targets = targets * (1 - smoothing) + smoothing / n_classes
    return targets


def _repaired(probability, weight, wanted):
    """Softmax probabilities whose class totals are those wanted."""
    total = probability @ weight
    missing = np.maximum(wanted - total, 0.0)
    if not missing.sum() > 0:
        return probability
    kept = np.where(total > wanted, wanted / np.where(total > 0, total, 1.0), 1.0)
    freed = (1 - kept) @ probability
    return probability * kept[:, None] + freed * (missing / missing.sum())[:, None]


def _repaired_each(probability, weight, wanted):
    """The same of one probability a row of coef, by itself."""
    total = probability @ weight
    with np.errstate(divide="ignore", invalid="ignore"):
        lower = probability * (wanted / total)[:, None]
        higher = 1 - (1 - probability) * ((1 - wanted) / (1 - total))[:, None]
    total, wanted = total[:, None], wanted[:, None]
    return np.where(total > wanted, lower, np.where(total < wanted, higher, probability))


def _entropy(share):
    """−share · log share, 0 for 0."""
    return -share * np.log(np.maximum(share, 1e-300))

"""Dual coordinate ascent for sparse rows, and the duality gap that proves where it has come to.

Each row's point q of the simplex is brought to its best in turn (kernels/reference/dual.py has the
problem and the step). W is a sum over rows of what their q miss, and follows each step; the
intercept is the multiplier of the classes' totals. The gap is that of a point which has these
totals exactly, so that it needs no estimate. Called by solver.py and path.py.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy.linalg import LinAlgError, cho_solve

from .. import kernels
from ..problem.rows import SparseRows, kernel_for
from .cholesky import raised_factor
from .tolerance import least_gap

__all__ = ["DualAscent", "Proof", "ascend", "is_suited", "least_alpha"]

#: Curvature of a row, ‖x‖² · weight / (alpha · n), up to which the method is chosen; with more rows
#: than features they are rows over features times as much. Measured on drawn words of 100 to 30000
#: rows, 50 to 100000 features, 2 to 100 classes and curvatures of 0.003 to 1000: within this it was
#: up to thirty times as fast as the other ways, and nowhere slower by half.
MOST_CURVATURE = 100.0

#: Of what is divided by.
LEAST_ALPHA = 1e-300

#: Epochs after which another method goes on; and from how many on their pace says that they won't
#: be enough, taken over so many of them.
MOST_EPOCHS = 30
FIRST_PACE = 6
PACE = 3

#: What the intercept moves by for what a row's q changes by: with 0.02 the totals lag, with 3 each
#: step is short.
INTERCEPT_UNIT = 0.25

#: Times the curvature that the first epoch reckons with, and the later ones, for one shard and for
#: two, which step half as far as it is: the fewest epochs on tf-idf of 20 newsgroups. With 0.8 for
#: 0.6, up to two more on six kinds of rows at curvatures up to 3, and one fewer on one: short
#: documents at alpha 1e-3.
DAMPING = {1: (4.0, 1.0), 2: (1.6, 0.6)}

#: Shares of the way from q to the probabilities that are looked at for a smaller gap.
SHARES = np.array([0.25, 0.5, 0.75, 1.0])

#: Times the estimate of the gap from an epoch's divergences that it is taken for, and the margin
#: once a proof has shown what it was.
CAUTION = 0.7
MARGIN = 1.1

#: Rows, multiply-adds of an epoch and curvature at which they are shared by two threads, whose
#: shards find half of an epoch each and step half as far. At 5 to 10 that would take a fifth to a
#: quarter more epochs of text.
SHARED_ROWS = 2000
SHARED_WORK = 4_000_000
SHARED_CURVATURE = 3.0

#: Newton's steps on the intercept for one proof, and the rows that its Hessian is of, times the
#: square of the classes, at most.
INTERCEPT_STEPS = 8
HESSIAN_PRODUCTS = 400_000_000

#: What pads logarithms and logits of a q that is 0, so that exp gives 0 or next to it.
LOG_ZERO = -1000.0
LOGIT_ZERO = -100.0

#: Step of an intercept whose class has no weight.
MOST_FALL = 30.0


def is_suited(problem):
    """Whether the method is sooner than passes over all rows: sparse rows that are short enough."""
    if not isinstance(problem.X, SparseRows) or problem.alpha <= 0 or len(problem.rows) == 0:
        return False
    return problem.alpha >= least_alpha(problem)


def least_alpha(problem):
    """The weakest penalty under which the method is chosen."""
    share = len(problem.rows) / max(1, problem.X.shape[1])
    return max(longest_row(problem) * max(1.0, share) / MOST_CURVATURE, LEAST_ALPHA)


def longest_row(problem):
    """The largest ‖x‖² · weight / n, which is alpha times the largest curvature of a row."""
    square_norms = problem.square_norms[problem.rows]
    if len(square_norms) == 0:
        return 0.0
    if problem.sample_weight is not None:
        square_norms = square_norms * problem.sample_weight[problem.rows]
    return float(square_norms.max()) / problem.weight_sum


@dataclass(frozen=True)
class Proof:
    """What a feasible point of the dual says of its weights.

    Parameters
    ----------
    objective, penalty : float
        At the weights.
    gap : float ≥ 0
        What the objective is above its minimum at most.
    """

    objective: float
    penalty: float
    gap: float


class DualAscent:
    """The dual of a problem, and where it stands.

    Parameters
    ----------
    problem : objective.Problem
        Of sparse rows, with alpha above 0.
    n_rows : int
        Of coef.
    random_state : numpy.random.RandomState
        Of the order of rows.

    Attributes
    ----------
    problem : objective.Problem
    objective, penalty, divergence : float
        Of the last epoch: mean loss as its rows were met plus the penalty at its end; and the mean
        divergence of each q from the probabilities as it was met, nearly the gap before the epoch.
    """

    def __init__(self, problem, n_rows, random_state):
        self.problem, self._n_rows, self._random_state = problem, n_rows, random_state
        self._dtype, X = problem.dtype, problem.X
        counts = np.empty(X.shape[1], np.intp)
        kernel_for("feature_counts", X)(count_out=counts)
        occurs = counts > 0
        self._slots = np.where(occurs, np.cumsum(occurs) - 1, -1).astype(np.int32)
        self._most_rows = int(counts.max(initial=1))
        work = 2 * X.indptr[-1] * n_rows
        is_shared = len(problem.rows) >= SHARED_ROWS and work >= SHARED_WORK
        is_shared &= longest_row(problem) <= SHARED_CURVATURE * problem.alpha
        self._n_shards = 2 if is_shared else 1
        stride = kernels.implementation.sparse_stride(n_rows, self._dtype.itemsize)
        # Of the epochs, of a proof, and what one works in; each shard more overlaps with the next.
        shape = (self._n_shards + 2, int(occurs.sum()), stride)
        self._coef = _aligned(shape, self._dtype)
        self._dual = self._of_targets()
        self._probability = np.zeros_like(self._dual)
        self._proved_intercept = None
        self._intercept = np.zeros(n_rows, self._dtype)
        self._missing = np.zeros(n_rows)
        self._epochs = 0
        self.objective = self.penalty = self.divergence = np.nan

    # --- Where it begins --------------------------------------------------------------------------

    def begin(self, coef, intercept):
        """Begin at these parameters, or at zero weights and the best intercept for them."""
        self._intercept[:] = intercept
        if coef.any():
            self._begin_at(coef)
        elif self.problem.fit_intercept and not intercept.any():
            self._intercept[:] = self._intercept_of_totals()

    def _begin_at(self, coef):
        """At the probabilities of a warm start, if these are better than the targets."""
        problem = self.problem
        raw = np.empty((len(problem.X), self._n_rows), self._dtype)
        scaled = coef if problem.inverse_scale is None else coef * problem.inverse_scale
        kernel_for("decision_function", problem.X)(
            coef=np.ascontiguousarray(scaled),
            intercept=self._intercept,
            raw_prediction_out=raw,
            n_threads=problem.n_threads,
        )
        if problem.loss == "softmax":
            raw -= raw.max(axis=1, keepdims=True)
            raw -= np.log(np.exp(raw).sum(axis=1, keepdims=True))
        at_targets, worth = self._dual, self._worth()
        self._dual = np.clip(raw, LOG_ZERO, None if problem.loss == "softmax" else -LOGIT_ZERO)
        if self._worth() > worth:
            self._coef[0] = self._coef[1]
        else:
            self._dual = at_targets
            self._missing[:] = 0

    def _worth(self):
        """The dual objective at q, with what the intercept makes of its totals."""
        loss, divergence, squares, _ = self._gap(repairs=False)
        self._missing = self._totals[1] - self._totals[0]
        return loss + 0.5 * self.problem.alpha * squares - divergence

    def under(self, alpha):
        """Go on under another penalty: from the same weights, or from the same q if it is stronger.

        q on the way from the targets by alpha over what it was leaves W where it is.
        """
        share = min(1.0, alpha / self.problem.alpha)
        ratio = share * self.problem.alpha / alpha
        self.problem = replace(self.problem, alpha=alpha)
        if share < 1:
            q = self._probabilities_of(self._dual.astype(np.float64))
            target = self._probabilities_of(self._of_targets().astype(np.float64))
            q = target + share * (q - target)
            with np.errstate(divide="ignore"):
                log = np.log(q) if self.problem.loss == "softmax" else np.log(q) - np.log1p(-q)
            bound = LOG_ZERO if self.problem.loss == "softmax" else LOGIT_ZERO
            self._dual = np.clip(log, bound, -bound).astype(self._dtype)
            self._missing *= share
        self._coef[0] *= ratio
        self._epochs = 0

    def _probabilities_of(self, dual):
        if self.problem.loss == "softmax":
            return np.exp(dual)
        return 1 / (1 + np.exp(-dual))

    def _of_targets(self):
        """The targets as logarithms or logits, of all rows of X."""
        problem, n_rows = self.problem, self._n_rows
        is_softmax, codes = problem.loss == "softmax", problem.y_true
        even = problem.label_smoothing / (n_rows if is_softmax else 2)
        own, other = np.array([1 - problem.label_smoothing + even, even])
        with np.errstate(divide="ignore"):
            if is_softmax:
                values = np.maximum(np.log([other, own]), LOG_ZERO)
            else:
                logit = np.minimum(np.log(own) - np.log(other), -LOGIT_ZERO)
                values = np.array([-logit, logit])
        if n_rows == 1:
            return values.astype(self._dtype)[(codes == 1).astype(np.intp)][:, None]
        dual = np.full((len(codes), n_rows), values[0], self._dtype)
        dual[np.arange(len(codes)), np.clip(codes, 0, n_rows - 1)] = values[1]
        return dual

    def _intercept_of_totals(self):
        """The best intercept for weights of zero."""
        problem = self.problem
        n_classes = max(2, self._n_rows)
        weight = None if problem.sample_weight is None else problem.sample_weight[problem.rows]
        total = np.bincount(problem.y_true[problem.rows], weight, n_classes)
        n_of = n_classes if problem.loss == "softmax" else 2
        share = total / total.sum() * (1 - problem.label_smoothing) + problem.label_smoothing / n_of
        least = 1e-3 / len(problem.rows)
        share = np.clip(share, least, 1 - least)
        if problem.loss == "softmax":
            return np.log(share) - np.log(share).mean()
        return (np.log(share) - np.log1p(-share))[-self._n_rows :]

    # --- The method -------------------------------------------------------------------------------

    def epoch(self):
        """Go through the rows once, in a new order."""
        problem = self.problem
        unit = INTERCEPT_UNIT if problem.fit_intercept else 0.0
        before = self._intercept.astype(np.float64)
        with np.errstate(all="ignore"):
            loss, divergence, squares = kernel_for("dual_epoch", problem.X)(
                rows=self._random_state.permutation(problem.rows),
                y_true=problem.y_true,
                label_smoothing=problem.label_smoothing,
                dual_inplace=self._dual,
                coef_inplace=self._coef[: self._n_shards],
                intercept_inplace=self._intercept,
                intercept_unit=unit,
                damping=DAMPING[self._n_shards][min(self._epochs, 1)],
                **self._arguments,
            )
            if problem.fit_intercept:  # the multipliers of what the totals still miss
                self._missing += (self._intercept - before) / unit
                self._intercept += (unit * self._missing).astype(self._dtype)
            self.penalty = 0.5 * problem.alpha * squares
            self.objective = loss / problem.weight_sum + self.penalty
            self.divergence = divergence / problem.weight_sum
        self._epochs += 1

    def prove(self):
        """The gap at a feasible point near this one; ``write_proved`` gives its weights.

        The weights are those of its q to rounding. What that adds to the gap, ‖alpha W − v‖²/(2
        alpha) with v the sum before it was rounded, is bounded by the sizes of the sum's terms, as
        is what rounding makes of raw predictions.
        """
        problem = self.problem
        with np.errstate(all="ignore"):
            loss, divergence, squares, spread = self._gap(problem.fit_intercept)
            penalty = 0.5 * problem.alpha * squares
            change = np.zeros(self._n_rows)
            move = _Move(0.0, change, change)
            if problem.fit_intercept:
                self._missing = self._totals[1] - self._totals[0]
                change, move = self._intercept_step(divergence)
            self._proved_intercept = self._intercept + change.astype(self._dtype)
            off = self._rounding(spread)
            rounding = off * off / (2 * problem.alpha)
            objective = loss - move.fall + penalty
            gap = max(0.0, divergence - move.fall) + rounding
            gap = min(gap, self._nearer_gap(change, move.mean, off))
        return Proof(float(objective), float(penalty), float(gap))

    def _rounding(self, spread):
        """What rounding makes of alpha W at most, where its terms have this mean size."""
        unit = float(np.finfo(self._dtype).eps) / 2
        return unit * (8 + np.sqrt(self._most_rows)) * spread

    def _nearer_gap(self, change, mean, off):
        """The least gap between the same weights and points between their q and the probabilities.

        With q made feasible, p too, and m = q + λ (p − q), it is Σ ω KL(m ‖ probabilities) +
        (alpha/2) ‖W − W(m)‖²: no term is negative, and each has rounding errors of its own size
        alone. ``off`` is that of alpha W.
        """
        problem, divergences = self.problem, np.empty(len(SHARES))
        squares, spread = kernel_for("dual_nearer", problem.X)(
            rows=problem.rows,
            dual=self._dual,
            probability=self._probability,
            change=change,
            totals=self._totals,
            mean=mean * problem.weight_sum,
            coef_out=self._coef[2:],
            divergence_out=divergences,
            weight_sum=problem.weight_sum,
            repairs=problem.fit_intercept,
            **self._arguments,
        )
        # The squares are summed in the type that is computed in, for the most part.
        distance = 1.0001 * np.sqrt(squares)
        distance += self._rounding(spread / problem.weight_sum) / problem.alpha
        distance = SHARES * distance + off / problem.alpha
        gaps = np.maximum(0, divergences) / problem.weight_sum + 0.5 * problem.alpha * distance**2
        return np.min(gaps[np.isfinite(gaps)], initial=np.inf)

    def write(self, state):
        """Write the parameters that the epochs have come to."""
        kernels.implementation.sparse_dual_coef(self._coef[0], self._slots, state.coef)
        state.intercept[:] = self._intercept

    def write_proved(self, state):
        """Write those of the last proof."""
        kernels.implementation.sparse_dual_coef(self._coef[1], self._slots, state.coef)
        state.intercept[:] = self._proved_intercept

    def _gap(self, repairs):
        """Mean loss, mean divergence, ‖W‖² and mean spread of q, made feasible or as it is."""
        self._totals = np.zeros((2, self._n_rows))
        weight_sum = self.problem.weight_sum
        loss, divergence, squares, spread = kernel_for("dual_gap", self.problem.X)(
            rows=self.problem.rows,
            y_true=self.problem.y_true,
            label_smoothing=self.problem.label_smoothing,
            dual=self._dual,
            intercept=self._intercept,
            coef_out=self._coef[1 : 1 + self._n_shards],
            probability_out=self._probability,
            totals_out=self._totals,
            weight_sum=weight_sum,
            repairs=repairs,
            **self._arguments,
        )
        return loss / weight_sum, divergence / weight_sum, squares, spread / weight_sum

    @property
    def _arguments(self):
        problem = self.problem
        return {
            "sample_weight": problem.sample_weight,
            "inverse_scale": problem.inverse_scale,
            "slots": self._slots,
            "loss": problem.loss,
            "unit": 1 / (problem.alpha * problem.weight_sum),
            "n_threads": problem.n_threads,
        }

    def _intercept_step(self, divergence):
        """What the intercept moves by to its best, and the _Move.

        Newton's method, for which the probabilities at this intercept are enough.
        """
        change = np.zeros(self._n_rows)
        move = self._moved(change)
        for _ in range(INTERCEPT_STEPS):
            moved = (change - self._newton_step(move)).astype(self._dtype).astype(np.float64)
            tried = self._moved(moved)
            gained = tried.fall - move.fall
            if not gained > 0:
                break
            change, move = moved, tried
            if gained <= 1e-2 * abs(divergence - move.fall):
                break
        return change, move

    def _moved(self, change):
        """The _Move by this change, from the probabilities of the last gap."""
        problem, n_rows = self.problem, self._n_rows
        mean, hessian = np.empty(n_rows), np.empty((n_rows, n_rows))
        rise = kernels.implementation.dual_intercept(
            rows=problem.rows,
            sample_weight=problem.sample_weight,
            probability=self._probability,
            change=change,
            loss=problem.loss,
            every=-(-len(problem.rows) * n_rows**2 // HESSIAN_PRODUCTS),
            mean_out=mean,
            hessian_out=hessian,
            n_threads=problem.n_threads,
        )
        fall = (float(self._totals[1] @ change) - rise) / problem.weight_sum
        return _Move(fall, mean / problem.weight_sum, hessian / problem.weight_sum)

    def _newton_step(self, move):
        """To be subtracted; a class without weight goes down by MOST_FALL."""
        wanted = self._totals[1] / self.problem.weight_sum
        gradient = move.mean - wanted
        if self.problem.loss == "softmax":
            # Adding one number to all intercepts changes nothing: any curvature will do there.
            hessian = move.hessian + move.mean.mean() / self._n_rows
            try:
                factor = raised_factor(hessian, 1e-12 * move.mean.max())
                step = cho_solve(factor, gradient, check_finite=False)
            except LinAlgError:
                step = gradient
        else:
            step = gradient / np.maximum(move.hessian.diagonal(), 1e-300)
        step = np.clip(step, -2.0, 2.0)
        step[wanted <= 0] = MOST_FALL
        return step


@dataclass(frozen=True)
class _Move:
    """What the mean loss falls by where the intercept moves; mean probabilities and Hessian there.

    The probabilities' mean is of no use where there is no intercept.
    """

    fall: float
    mean: np.ndarray
    hessian: np.ndarray


def ascend(dual, notes, most=MOST_EPOCHS):
    """Epochs until the gap is proved to be what the tolerance allows, or another method is sooner.

    Parameters
    ----------
    dual : DualAscent
    notes : solver.Notes
    most : int or None
        Epochs after which another method is to go on; None for no end but that of ``max_iter``.

    Returns
    -------
    proof : Proof or None
        Of what ``dual.write_proved`` writes. None where another method is to go on, from what
        ``dual.write`` does.
    reason : {"stopped", "max_iter", "slow", "diverged"}
    """
    divergences, caution = [], CAUTION
    problem = dual.problem
    while notes.n_left > 0:
        dual.epoch()
        divergences.append(dual.divergence)
        if not np.isfinite(dual.objective):
            return None, "diverged"
        allowed = notes.tolerance.allowed(dual.objective, dual.penalty, problem.dtype)
        if allowed is None:
            allowed = least_gap(problem.dtype, dual.objective)
        gap = caution * _gap_to_come(divergences)
        proof, is_proved = None, False
        if gap <= allowed or notes.n_left == 1:
            proof = dual.prove()
            is_proved = proof.gap <= allowed
            caution = MARGIN * caution * proof.gap / gap if 0 < gap < np.inf else caution
            gap = proof.gap
        stop = _noted(dual, notes, proof, gap, is_proved)
        if is_proved:
            return proof, "stopped"
        if stop:
            return proof or dual.prove(), "stopped" if notes.by_user else "max_iter"
        if most is not None and _is_slow(divergences, gap, allowed, most):
            return None, "slow"
    return dual.prove(), "max_iter"


def _noted(dual, notes, proof, gap, is_last):
    """Write an epoch to the history; True to stop."""
    objective = dual.objective if proof is None else proof.objective
    penalty = dual.penalty if proof is None else proof.penalty
    writer = dual.write if proof is None else dual.write_proved
    known = {"gap": gap}
    if gap < np.inf:
        known["suboptimality"] = gap
    if proof is not None:
        known["suboptimality_bound"] = min(gap, objective)
    return notes.note_state(writer, objective, penalty, is_last, **known)


def _gap_to_come(divergences):
    """An estimate of the gap after the last epoch: its divergences are of before."""
    if len(divergences) < 2:
        return np.inf
    before, now = divergences[-2:]
    return now * min(1.0, now / before) if before > 0 else now


def _is_slow(divergences, gap, allowed, most):
    """Whether epochs are at their end, or will not come to what is allowed before it."""
    n_done = len(divergences)
    if n_done >= most:
        return True
    if n_done < FIRST_PACE or not allowed > 0:
        return False
    first, last = divergences[-1 - PACE], divergences[-1]
    pace = np.log(first / last) / PACE if 0 < last < first else 0.0
    return gap > allowed * np.exp(pace * (most - n_done))


def _aligned(shape, dtype):
    """Zeros on a cache line's boundary."""
    n_bytes = int(np.prod(shape)) * dtype.itemsize
    room = np.zeros(n_bytes + 64, np.uint8)
    start = -room.ctypes.data % 64
    return room[start : start + n_bytes].view(dtype).reshape(shape)

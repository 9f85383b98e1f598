"""What a fit says of itself, held against the truth. Holds no test.

The promises: a fit ends without an error of its own making; coefficients and suboptimality are
finite; ``converged_`` is not said of an objective more than 10 · ``tol`` above its minimum;
``suboptimality_bound_`` is no less than the objective is above its minimum, and no more than the
objective; ``suboptimality_`` is no more than the bound. Each up to rounding, see :func:`rounding`.

That a promise is broken needs no proof of the minimum: coefficients that are better have been
found. That it holds does.
"""

import time
import warnings
from dataclasses import dataclass, field

import numpy as np
from hard_problems import HardProblem
from sklearn.exceptions import ConvergenceWarning
from truth import Truth, least

__all__ = ["Verdict", "check", "rounding"]

#: Of ``tol``, what the truth may be above the minimum when converged_ is said.
FACTOR = 10

#: Share of what is promised that it may be exceeded by if the truth is as low as its lower bound.
SHARE = 0.1

#: Share of the objective that float64 can't tell of its minimum.
KNOWN = 1e-12

#: Of LogisticRegression where rounding ends a fit: see the Notes of its docstring.
CLOSE_ENOUGH = 1e-4
LAST_PLACES = 1e3


@dataclass(repr=False)
class Verdict:
    """What became of one problem.

    Attributes
    ----------
    problem : HardProblem
    truth : Truth
    objective : float
        Of the fitted coefficients; NaN where there are none.
    above : float
        What it is above the truth's value: the minimum is at least so far below it.
    at_most : float
        What it is above the truth's lower bound.
    tol : float
        In units of the objective.
    rounding : float
        What the dtype can make of it.
    broken : dict of str: float
        Promises that are not held, and what is true over what was said.
    certain : bool
        Whether the minimum is known well enough to tell: each promise is broken by the truth's
        value, or holds by its lower bound.
    converged : bool or None
    n_iter : int
    seconds : float
    bound, suboptimality : float
    why : str
        Why it didn't converge: "" if it did; "near" if it is within tol and doesn't know; "dtype"
        where rounding is above tol; else, where it could have, "max_iter" or "gave up".
    warned : list of str
        Warnings that users aren't to see.
    """

    problem: HardProblem
    truth: Truth
    objective: float = np.nan
    above: float = np.nan
    at_most: float = np.nan
    tol: float = np.nan
    rounding: float = 0.0
    broken: dict = field(default_factory=dict)
    certain: bool = True
    converged: bool | None = None
    n_iter: int = 0
    seconds: float = 0.0
    bound: float = np.nan
    suboptimality: float = np.nan
    why: str = ""
    warned: list = field(default_factory=list)
    error: str = ""

    @property
    def holds(self):
        return not self.broken

    def __repr__(self):
        if self.error:
            return f"{self.error}\n    {self.problem}"
        broken = ", ".join(f"{name} ({times:.5g} times)" for name, times in self.broken.items())
        lines = [
            f"{'broken: ' + broken if broken else 'holds'}{'' if self.certain else ', uncertain'}",
            f"objective {self.objective:.6g}, {self.above:.2g} above the truth, proved to "
            f"{self.truth.error:.1g}; tol {self.tol:.1g}, rounding {self.rounding:.1g}",
            f"converged_ {self.converged} after {self.n_iter} {self.why}, suboptimality_ "
            f"{self.suboptimality:.2g}, bound {self.bound:.2g}",
            f"{self.problem}",
        ]
        return "\n    ".join(lines)


def rounding(objective, coef, intercept, computed=None):
    """What rounding to the dtype of ``coef`` can make of the objective.

    Two things are rounded.

    The coefficients that are given, each by a relative u, half the ε of their dtype. That moves the
    raw predictions of row i by up to r_ik = u (Σ_j |w_kj x_ij| + |b_k|): much where columns are far
    from 0, but to first order by the gradient alone, which is next to nothing at the minimum:
    u Σ |g_kj w_kj|. To second order it is at most half the variance of ±r_ik under p_i, which is no
    more than Σ_k p_ik r_ik² and 2 Σ_k p_ik (1 − p_ik) r_ik², times exp(2 max r_i) for the third
    order; nor is it more than 2 max r_i, as losses change no faster than raw predictions do.

    And what is computed from a row, in the dtype ``computed``, that of ``coef`` by default. Raw
    predictions are off by c_ik = (√d + 4) ε (1 + Σ_j |w_kj (x_ij − m_j)| + |b_k + w_k m|). m is the
    mean where rows may be centred, which are dense, and the intercept is free or ``standardize``
    centres; 0 else. A sum of d products is off by √d ε of their magnitudes (Higham, Mary, "A new
    approach to probabilistic rounding error analysis", 2019); 4 are for exp and centring itself.
    These differ from row to row, so that the value moves by Σ s_i |θ_ik| c_ik, θ being the gradient
    of the loss; where the minimum seems to be moves by no more than the second order of c. Each
    loss is the logarithm of a sum that may be next to 1, and so off by ε.

    Sums over rows are in float64; eight units in the last place of the objective are for what is
    left in the end.
    """
    u = float(np.finfo(coef.dtype).eps) / 2
    epsilon = float(np.finfo(computed or coef.dtype).eps)
    coef, intercept = coef.astype(np.longdouble), intercept.astype(np.longdouble)
    theta, _ = objective.residuals(coef, intercept)
    share = objective.share
    p = np.abs(theta)  # p or 1 − p, whichever: p (1 − p) is at most that
    wide = np.abs(coef).astype(np.float64)
    size = np.abs(objective.X) @ wide.T + np.abs(intercept).astype(np.float64)
    read = size
    if objective.may_be_centred:
        V = np.abs(coef * objective.scale).astype(np.float64)
        at_centre = np.abs(intercept + coef @ objective.centre).astype(np.float64)
        read = np.abs(objective.U) @ V.T + at_centre
    given, summed = u * size, (np.sqrt(coef.shape[1]) + 4) * epsilon * (1 + read)

    gradient = (theta * share[:, None]).T @ objective.X
    gradient = gradient + (objective.alpha * coef * np.square(objective.sigma)).astype(np.float64)
    slope = np.abs(share @ theta) * np.abs(intercept).astype(np.float64)
    first = u * float((np.abs(gradient) * wide).sum() + slope.sum())
    value = float(share @ (np.abs(theta) * summed).sum(axis=1))
    moved = sum(_second_order(share, p, change) for change in (given, summed))
    n_losses = objective.n_rows if objective.form == "logistic" else 1
    last_places = epsilon * (n_losses + 8 * abs(objective(coef, intercept)))
    return first + value + moved + last_places


def _second_order(share, p, change):
    largest = change.max(axis=1)
    with np.errstate(over="ignore"):
        growth = np.exp(2 * np.minimum(largest, 300))
    curved = (np.minimum(2 * p, 1) * np.square(change)).sum(axis=1) / 2
    return float(share @ np.minimum(curved * growth, 2 * largest))


def _of_bound(objective, fitted):
    """What rounding to the dtype can make of ‖g‖²/(2 alpha), the bound.

    Each g_kj is a sum of products θ_ik x_ij, whose factors are rounded to some places of ε.
    """
    if objective.alpha == 0:
        return np.inf
    theta, _ = objective.residuals(fitted.coef_, fitted.intercept_)
    theta = theta * objective.share[:, None]
    V = (fitted.coef_ * objective.scale).astype(np.float64)
    read = objective.U
    if not objective.may_be_centred:
        read = (objective.X / objective.scale).astype(np.float64)
    off = 4 * float(np.finfo(fitted.coef_.dtype).eps) * np.abs(theta).T @ np.abs(read)
    gradient = np.abs(theta.T @ objective.U + objective.strength * V)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        return float(np.nansum((gradient * off + off * off / 2) / objective.strength))


def check(problem, truth=None):
    """Fit, and hold what the fit says against the truth.

    Parameters
    ----------
    problem : HardProblem
    truth : Truth or None
        Where it is known already.

    Returns
    -------
    verdict : Verdict
    """
    objective = problem.objective()
    truth = truth or least(objective)
    verdict = Verdict(problem, truth)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        start = time.perf_counter()
        try:
            fitted = problem.fitted()
        except Exception as error:
            verdict.error = f"{type(error).__name__}: {error}"
            # float32 has no room for such coefficients; all else must end well.
            if "overflow" not in verdict.error or not isinstance(error, ValueError):
                verdict.broken["error"] = np.inf
            return verdict
        verdict.seconds = time.perf_counter() - start
    verdict.warned = [
        f"{one.category.__name__}: {one.message}"
        for one in caught
        if not issubclass(one.category, ConvergenceWarning)
        and "could represent a regression problem" not in str(one.message)  # scikit-learn's
    ]
    _judge(verdict, objective, fitted)
    if not verdict.certain:
        verdict.truth, verdict.broken, verdict.certain = least(objective, enough=0.0), {}, True
        _judge(verdict, objective, fitted)
    return verdict


def _judge(verdict, objective, fitted):
    truth, broken = verdict.truth, verdict.broken
    verdict.n_iter = int(np.max(fitted.n_iter_))
    verdict.converged = bool(fitted.converged_)
    verdict.bound = float(fitted.suboptimality_bound_)
    verdict.suboptimality = float(fitted.suboptimality_)
    if not (np.isfinite(fitted.coef_).all() and np.isfinite(fitted.intercept_).all()):
        broken["finite coefficients"] = np.inf
        return
    if not np.isfinite(verdict.suboptimality):
        broken["finite suboptimality_"] = np.inf
    value = verdict.objective = objective(fitted.coef_, fitted.intercept_)
    lower = truth.lower_in(max(truth.box, objective.size(fitted.coef_, fitted.intercept_)))
    verdict.above, verdict.at_most = value - truth.value, value - lower + truth.rounding
    computed = np.float64 if verdict.problem.estimator == "logistic" else None
    verdict.rounding = truth.rounding
    verdict.rounding += rounding(objective, fitted.coef_, fitted.intercept_, computed)
    verdict.tol = _tolerance(verdict, objective, fitted)
    limit = FACTOR * verdict.tol + verdict.rounding
    verdict.certain = value >= lower - verdict.rounding - KNOWN * value
    of_gradient = min(_of_bound(objective, fitted), SHARE * verdict.bound)
    promised = {"bound": verdict.bound + verdict.rounding + of_gradient}
    if verdict.converged:
        promised["converged_"] = limit
    for name, most in promised.items():
        if not verdict.above <= most:
            broken[name] = _times(verdict.above, most)
        elif not verdict.at_most <= most * (1 + SHARE) + KNOWN * value:
            verdict.certain = False
    if not verdict.bound <= value + verdict.rounding:
        broken["bound above objective"] = _times(verdict.bound, value + verdict.rounding)
    if not verdict.suboptimality <= verdict.bound * (1 + 1e-12):
        broken["suboptimality_ above bound"] = _times(verdict.suboptimality, verdict.bound)
    if not verdict.converged:
        verdict.why = _why(verdict)


def _times(is_true, said):
    return is_true / said if said > 0 else np.inf


def _tolerance(verdict, objective, fitted):
    """The suboptimality that may be called converged."""
    problem = verdict.problem
    if problem.estimator == "softmax":
        return problem.parameters.get("tol", 1e-5)
    # LogisticRegression's is a relative error of the coefficients.
    tol = problem.parameters.get("tol", 1e-4)
    is_free = problem.parameters.get("C", 1.0) * np.finfo(np.float64).eps > 1
    penalty = 1.0 if is_free else objective.penalty(fitted.coef_)
    last_places = LAST_PLACES * np.finfo(np.float64).eps * verdict.objective
    return max(max(tol, CLOSE_ENOUGH) ** 2 * penalty, last_places)


def _why(verdict):
    if verdict.at_most <= verdict.tol:
        return "near"
    if verdict.rounding > verdict.tol:
        return "dtype"
    most = verdict.problem.parameters.get("max_iter")
    default = 1000 if verdict.problem.estimator == "softmax" else 100
    return "max_iter" if verdict.n_iter >= (most or default) else "gave up"

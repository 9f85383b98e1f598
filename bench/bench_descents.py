"""Ways to the optimum once it is near, on the same kernels and with the same preconditioner.

After the two epochs of SGD that ``solver="auto"`` begins with: our L-BFGS, SciPy's L-BFGS in the
coordinates in which the preconditioner is the identity, and preconditioned SVRG (Frangella,
Rathore, Zhao, Udell, "PROMISE: preconditioned stochastic optimization methods by incorporating
scalable curvature estimates", JMLR 25, 2024), with several step lengths.
For each, the passes over the rows and the seconds until the objective is within 1e-4 and 1e-6 of
the optimum. Asserts nothing. Run by hand: ``python -m bench.bench_descents [NAME...]``
"""

import contextlib
import sys
import time
from dataclasses import replace

import numpy as np
from scipy.optimize import minimize as scipy_minimize
from threadpoolctl import threadpool_limits

from bench.fit_data import prepared
from bench.optimum import optimum
from fastsoftmax.kernels.threads import effective_n_threads
from fastsoftmax.optimization.curvature import Subsample
from fastsoftmax.optimization.lbfgs import minimize
from fastsoftmax.optimization.preconditioning import KroneckerHessian
from fastsoftmax.optimization.sgd import Plan
from fastsoftmax.optimization.solver import STOCHASTIC_EPOCHS, descend
from fastsoftmax.problem.objective import Problem, State
from fastsoftmax.problem.standardization import Units

TARGETS = (1e-4, 1e-6)
STEPS = (0.4, 0.2, 0.1, 0.05)  # of SVRG
BATCH_ROWS = 1024  # of SVRG: fewer cost more in products with the preconditioner than they save
MOST_PASSES = 400


class _Count:
    """The objective of a problem, and when each target was first met."""

    def __init__(self, problem, best):
        self.problem, self._best = problem, best
        self.met, self._n_passes, self._start = {}, 0.0, time.perf_counter()

    def __call__(self, parameters):
        value, coef, intercept = self.problem.loss_gradient(parameters[:, :-1], parameters[:, -1])
        self._n_passes += 1
        for target in TARGETS:
            if value - self._best <= target and target not in self.met:
                self.met[target] = self._n_passes, time.perf_counter() - self._start
        return value, np.hstack([coef, intercept[:, None]])

    def batch_gradient(self, rows, parameters):
        part = replace(self.problem, rows=rows)
        _, coef, intercept = part.loss_gradient(parameters[:, :-1], parameters[:, -1])
        self._n_passes += len(rows) / len(self.problem.rows)
        return np.hstack([coef, intercept[:, None]])

    @property
    def is_done(self):
        return len(self.met) == len(TARGETS) or self._n_passes > MOST_PASSES


def _ours(count, start, model):
    minimize(count, start, model.apply, 1e-6, MOST_PASSES, lambda iterate: count.is_done)


class _Done(Exception):
    pass


def _scipy(count, start, model):
    """In u = S⁻¹ parameters with S Sᵀ the approximate inverse Hessian."""
    root = np.sqrt(model._denominator)

    def to_parameters(u):
        inner = (u.reshape(start.shape) / root) @ model._vectors.T
        return model._class_vectors @ inner * model._scale

    def function(u):
        if count.is_done:
            raise _Done
        value, gradient = count(to_parameters(u))
        inner = model._class_vectors.T @ (gradient * model._scale)
        return value, ((inner @ model._vectors) / root).ravel()

    inner = model._class_vectors.T @ (start / model._scale)
    with contextlib.suppress(_Done):
        scipy_minimize(
            function,
            ((inner @ model._vectors) * root).ravel(),
            jac=True,
            method="L-BFGS-B",
            options={"maxiter": MOST_PASSES, "ftol": 0, "gtol": 0},
        )


def _svrg(count, start, model, step):
    rng = np.random.default_rng(0)
    snapshot = start
    while not count.is_done:
        value, full = count(snapshot)
        if not np.isfinite(value):
            return
        rows = rng.permutation(count.problem.rows)
        at = snapshot
        for batch in np.array_split(rows, -(-len(rows) // BATCH_ROWS)):
            change = count.batch_gradient(batch, at) - count.batch_gradient(batch, snapshot)
            at = at - step * model.apply(change + full)
        snapshot = at


def _problem(name):
    data = prepared(name)
    n_threads = effective_n_threads(None)
    rows = np.arange(len(data.X))
    units, scale = Units.chosen(data.X, rows, None, np.float32, True, data.alpha)
    problem = Problem(
        X=data.X,
        rows=rows,
        y_true=data.y,
        sample_weight=None,
        shift=units.shift,
        inverse_scale=units.inverse_scale,
        loss="softmax",
        alpha=data.alpha / scale**2,
        fit_intercept=True,
        n_threads=n_threads,
        dtype=np.dtype(np.float32),
    )
    return problem, data.n_classes, optimum(data)[0]


def main(names):
    """Print a line a method and problem."""
    print("| data | method | passes, seconds to 1e-4 | to 1e-6 |")
    print("|---|---|---|---|")
    for name in names or ("letters", "newsgroups", "mnist", "covtype"):
        problem, n_classes, best = _problem(name)
        random_state = np.random.RandomState(0)
        zeros = np.zeros((n_classes, problem.X.shape[1]), np.float32)
        state = State.at(zeros, np.zeros(n_classes, np.float32))
        plan = Plan(learning_rate=None, schedule="linear", n_epochs=STOCHASTIC_EPOCHS, tol=None)
        descend(problem, state, plan, random_state)
        start = np.hstack([state.coef, state.intercept[:, None]]).astype(np.float64)
        subsample = Subsample.of(problem, 8000, problem.dtype, random_state)
        model = KroneckerHessian(subsample, problem, state.coef, state.intercept)
        ways = {"ours": (_ours,), "SciPy": (_scipy,)}
        ways |= {f"SVRG, step {step:g}": (_svrg, step) for step in STEPS}
        for title, (method, *given) in ways.items():
            with threadpool_limits(1, user_api="blas"), np.errstate(all="ignore"):
                count = _Count(problem, best)
                method(count, start, model, *given)
            cells = [
                "{:.0f}, {:.2f} s".format(*count.met[target]) if target in count.met else "–"
                for target in TARGETS
            ]
            print(f"| {name} | {title} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])

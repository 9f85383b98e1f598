"""What bench_kernels.py times and counts.py counts: an epoch, a full gradient, a prediction.

On made rows, by one thread. Runs nothing itself.
"""

import numpy as np

from fastsoftmax.optimization.sgd import Plan
from fastsoftmax.problem.objective import Problem, State

BATCH_SIZE = 128


def problem_of(X, n_rows, n_classes, dtype, rng):
    """The Problem of rows, dense or SparseRows, with drawn labels, in a drawn order."""
    return Problem(
        X=X,
        y_true=rng.integers(n_classes, size=n_rows).astype(np.int32),
        rows=rng.permutation(n_rows),
        dtype=np.dtype(dtype),
        sample_weight=None,
        shift=None,
        inverse_scale=None,
        alpha=1e-4,
        loss="softmax",
        fit_intercept=True,
        n_threads=1,
    )


def calls_of(problem, n_classes):
    """The calls, by name."""
    shape = n_classes, problem.n_features
    state = State.drawn(shape, problem.dtype, 0.01, np.random.RandomState(0))
    plan = Plan(learning_rate=1e-3, batch_size=BATCH_SIZE)
    rates = np.full(problem.n_steps(BATCH_SIZE), 1e-3)
    coef, intercept = state.coef.astype(np.float64), state.intercept.astype(np.float64)
    return {
        "epoch": lambda: problem.run_epoch(state.copy(), problem.rows, rates, plan),
        "gradient": lambda: problem.loss_gradient(coef, intercept),
        "prediction": lambda: problem.objective(state),
    }

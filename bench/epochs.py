"""Checks one contender's epoch, then times it, and records what bench/report.py needs to know.

Holds no benchmark: the benchmark files say which work is given to whom. Asserts no time.
"""

from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from bench.adapters.numpy_loop import NumpyLoop
from bench.roofline import Roofline

LONG = 0.1  # seconds of an epoch's limit from which five rounds are enough
ROUNDS = {False: 11, True: 5}


@lru_cache(maxsize=4)
def _truth(make_problem, batch_size):
    """Loss and coefficients after one epoch of the NumPy loop in float64."""
    problem = replace(make_problem().with_items(np.float64), batch_size=batch_size)
    loop = NumpyLoop(problem)
    return loop.epoch(), loop.coef()


def check_epoch(contender, problem, make_problem):
    """Compare a contender's first epoch with the same in float64."""
    true_loss, true_coef = _truth(make_problem, problem.batch_size)
    loss = contender.epoch()
    # Each step rounds a coefficient once, by half an ULP, and its gradient by less; a convex loss
    # at a stable learning rate doesn't amplify that, so at worst the steps add up: of this epoch,
    # and of the float64 one that it is compared with.
    roundings = 2 * problem.n_steps + problem.X.shape[1]
    tolerance = roundings * np.finfo(problem.dtype).eps * np.abs(true_coef).max()
    np.testing.assert_allclose(contender.coef(), true_coef, rtol=0, atol=tolerance)
    assert loss == pytest.approx(true_loss, rel=1e-5)


def time_epoch(benchmark, name, contender, problem, make_problem, **recorded):
    """Check, then time.

    Parameters
    ----------
    benchmark : pytest-benchmark's fixture
    name : str
        The contender's, as bench/report.py knows it.
    contender : an adapter (bench/adapters/)
    problem : Problem
    make_problem : function that gives the work in any float dtype and batch size
    **recorded
        More fields of the result: ``goal``, ``comparisons`` (bench/report.py).
    """
    roof = Roofline.measure(problem.dtype, problem.n_threads)
    limits = roof.epoch(*problem.X.shape, problem.n_classes, problem.X.itemsize)
    with threadpool_limits(problem.n_threads):
        check_epoch(contender, problem, make_problem)
        benchmark.extra_info.update(
            workload=problem.title,
            contender=name,
            n_threads=problem.n_threads,
            **limits,
            **recorded,
        )
        rounds = ROUNDS[limits["limit_seconds"] > LONG]
        benchmark.pedantic(contender.epoch, setup=contender.reset, rounds=rounds, warmup_rounds=1)

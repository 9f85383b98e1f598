"""An epoch of MNIST (60000 × 784, 10 classes, batch 128, float32, momentum) on one thread.

Every build of the kernels, the NumPy reference, a fast NumPy loop and a PyTorch loop are given
the same work. Their coefficients are compared first, and only then are they timed. Asserts no
time: bench/report.py turns the medians into ratios. Run by ``make bench``.
"""

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from bench.adapters.fastsoftmax_kernels import Kernels
from bench.adapters.numpy_loop import NumpyLoop
from fastsoftmax import kernels

ROUNDS = 11


def _pytorch(problem):
    torch = pytest.importorskip("torch")
    torch.set_num_threads(problem.n_threads)
    from bench.adapters.pytorch_loop import PyTorchLoop

    return PyTorchLoop(problem)


CONTENDERS = {
    **{isa: lambda problem, isa=isa: Kernels(problem, isa) for isa in kernels.available},
    "numpy": NumpyLoop,
    "reference": lambda problem: Kernels(problem, "reference"),
    "pytorch": _pytorch,
}


@pytest.fixture(scope="module")
def truth(mnist_problem):
    """Loss and coefficients after one epoch of the fast NumPy loop, in float64."""
    problem = type(mnist_problem)(
        **{**vars(mnist_problem), "X": mnist_problem.X.astype(np.float64)}
    )
    with threadpool_limits(problem.n_threads):
        loop = NumpyLoop(problem)
        return loop.epoch(), loop.coef()


@pytest.mark.parametrize("name", CONTENDERS)
def test_epoch_mnist(benchmark, mnist_problem, roofline, truth, name):
    """One contender: first its coefficients, then its time."""
    problem = mnist_problem
    contender = CONTENDERS[name](problem)
    true_loss, true_coef = truth
    with threadpool_limits(problem.n_threads):
        loss = contender.epoch()
        # Each step rounds a coefficient once, by half an ULP, and its gradient by less; a convex
        # loss at a stable learning rate doesn't amplify that, so at worst the steps add up.
        tolerance = problem.n_steps * np.finfo(problem.X.dtype).eps * np.abs(true_coef).max()
        np.testing.assert_allclose(contender.coef(), true_coef, rtol=0, atol=tolerance)
        assert loss == pytest.approx(true_loss, rel=1e-5)

        benchmark.extra_info.update(
            workload="MNIST epoch, 60000 × 784, 10 classes, batch 128, float32",
            contender=name,
            n_threads=problem.n_threads,
            limit_seconds=roofline.epoch_seconds(*problem.X.shape, problem.n_classes),
        )
        benchmark.pedantic(contender.epoch, setup=contender.reset, rounds=ROUNDS, warmup_rounds=1)

"""softmax and its kin on the caller's arrays: float32 and float64, five shapes, one thread and two.

The limit is a copy of the same array in the same run. Every contender's values are compared with
the reference's before it is timed. Contenders write into memory that exists and has been touched
wherever their interface lets them; what it doesn't let them is in the functions below. Asserts no
time: bench/report.py turns the medians into ratios. Run by ``make bench``; ``-k "logsumexp and
float32"`` and the like select.

The last shape, (32, 10), is about what a call costs: there, compare microseconds.
"""

import time
from functools import cache

import numpy as np
import pytest
import scipy.special
from threadpoolctl import threadpool_limits

from bench.roofline import cores
from fastsoftmax import functional as F
from fastsoftmax import kernels

SHAPES = [(10**6, 10), (10**5, 100), (10**4, 1000), (100, 10**5), (32, 10)]
SMALL = 10**5  # values; below, a call is timed a thousand at once
FUNCTIONS = ["softmax", "log_softmax", "logsumexp", "cross_entropy", "cross_entropy_gradient"]


class Case:
    """The input of a function, and memory for its output.

    Attributes
    ----------
    name : str
        Of the function.
    raw : ndarray of shape (n_samples, n_classes)
    y_true : int64 ndarray of shape (n_samples,)
    out : ndarray, touched
        Of the shape of the function's result; for cross_entropy, which gives a number, None.
    n_threads : int
    """

    def __init__(self, name, shape, dtype, n_threads):
        self.name = name
        self.raw, self.y_true = _data(shape, dtype)
        self.n_threads = n_threads
        self.out = {
            "logsumexp": np.zeros(shape[0], dtype),
            "cross_entropy": None,
        }.get(name, np.zeros(shape, dtype))


@cache
def _data(shape, dtype):
    rng = np.random.default_rng(0)
    return (3 * rng.normal(size=shape)).astype(dtype), rng.integers(shape[1], size=shape[0])


def fastsoftmax(case):
    """The public function, as people call it."""
    function = getattr(F, case.name)
    if case.name == "cross_entropy":
        return lambda: function(case.raw, case.y_true, n_jobs=case.n_threads)
    arguments = (case.raw, case.y_true) if case.name.endswith("gradient") else (case.raw,)
    return lambda: function(*arguments, out=case.out, n_jobs=case.n_threads)


def build(isa):
    """The public function with another build of the kernels."""

    def make(case):
        call = fastsoftmax(case)

        def run():
            with kernels.use(isa):
                return call()

        return run

    return make


def numpy_formula(case):
    """The textbook formula in a few lines, in place where it can be."""
    rows = np.arange(len(case.raw))

    def run():
        shifted = case.raw - case.raw.max(axis=1, keepdims=True)
        if case.name in ("softmax", "cross_entropy_gradient"):
            np.exp(shifted, out=shifted)
            shifted /= shifted.sum(axis=1, keepdims=True)
            if case.name == "cross_entropy_gradient":
                shifted[rows, case.y_true] -= 1
                shifted /= len(shifted)
            return shifted
        log_sum = np.log(np.exp(shifted).sum(axis=1, keepdims=True))
        if case.name == "logsumexp":
            return log_sum[:, 0] + case.raw.max(axis=1)
        if case.name == "log_softmax":
            return np.subtract(shifted, log_sum, out=shifted)
        return (log_sum[:, 0] - shifted[rows, case.y_true]).mean(dtype=np.float64)

    return run


def scipy_special(case):
    """scipy.special, which has no out= and no cross-entropy: the latter from its log_softmax."""
    if not case.name.startswith("cross_entropy"):
        function = getattr(scipy.special, case.name)
        return lambda: function(case.raw, axis=1)
    rows = np.arange(len(case.raw))
    if case.name == "cross_entropy":
        return lambda: (
            -scipy.special.log_softmax(case.raw, axis=1)[rows, case.y_true].mean(dtype=np.float64)
        )

    def gradient():
        probability = scipy.special.softmax(case.raw, axis=1)
        probability[rows, case.y_true] -= 1
        probability /= len(rows)
        return probability

    return gradient


def pytorch(case):
    """Functions of torch; the gradient is autograd's, which needs the forward pass as well."""
    torch = pytest.importorskip("torch")
    torch.set_num_threads(case.n_threads)
    raw, y_true = torch.from_numpy(case.raw), torch.from_numpy(case.y_true)
    if case.name == "cross_entropy":
        return lambda: float(torch.nn.functional.cross_entropy(raw, y_true))
    if case.name == "cross_entropy_gradient":
        raw = raw.clone().requires_grad_()

        def gradient():
            loss = torch.nn.functional.cross_entropy(raw, y_true)
            return torch.autograd.grad(loss, raw)[0].numpy()

        return gradient
    out = torch.from_numpy(case.out)
    function = getattr(torch, case.name)
    return lambda: function(raw, 1, out=out).numpy()


CONTENDERS = {
    "fastsoftmax": fastsoftmax,
    **{isa: build(isa) for isa in kernels.available[:-1]},
    "reference": build("reference"),
    "NumPy": numpy_formula,
    "SciPy": scipy_special,
    "PyTorch": pytorch,
}


def _seconds(function, calls=1):
    """Time of one call, the mean of several."""
    start = time.perf_counter()
    for _ in range(calls):
        function()
    return (time.perf_counter() - start) / calls


@cache
def _copy_seconds(shape, dtype):
    """Median time of a copy of the same array on one thread, into touched memory."""
    raw, _ = _data(shape, dtype)
    out = np.zeros_like(raw)
    calls = 1000 if raw.size < SMALL else 1
    return float(np.median([_seconds(lambda: np.copyto(out, raw), calls) for _ in range(15)]))


@pytest.mark.parametrize("contender", CONTENDERS)
@pytest.mark.parametrize("n_threads", sorted({1, cores()}))
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", SHAPES, ids="{0[0]}x{0[1]}".format)
@pytest.mark.parametrize("function", FUNCTIONS)
def test_function(benchmark, function, shape, dtype, n_threads, contender):
    """One contender on one shape: first its values, then its time."""
    if n_threads > 1 and contender not in ("fastsoftmax", "PyTorch"):
        pytest.skip("it has one thread")
    case = Case(function, shape, dtype, n_threads)
    with threadpool_limits(n_threads):
        run = CONTENDERS[contender](case)
        _check(run(), case)
        benchmark.group = f"{function} {shape} {dtype}, {n_threads} threads"
        benchmark.extra_info.update(
            workload=f"{function}, {shape[0]} × {shape[1]}, {dtype}",
            contender=contender,
            n_threads=n_threads,
            limit_seconds=_copy_seconds(shape, dtype),
        )
        iterations = 1000 if case.raw.size < SMALL else 1
        rounds = 15 if _seconds(run) < 0.05 else 5
        benchmark.pedantic(run, rounds=rounds, iterations=iterations, warmup_rounds=1)


def _check(result, case):
    """Compare with the reference, to the roundings of raw − max and of a sum in any order."""
    with kernels.use("reference"):
        expected = fastsoftmax(Case(case.name, case.raw.shape, case.raw.dtype.name, 1))()
    eps = np.finfo(case.raw.dtype).eps
    tolerance = (30 + case.raw.shape[1] ** 0.5) * eps
    scale = np.abs(expected).max()
    np.testing.assert_allclose(result, expected, rtol=tolerance, atol=tolerance * scale)

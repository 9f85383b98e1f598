"""Errors of every function in ULP, on every build, against mpmath.

An ULP is the distance of neighbouring numbers at the exact result, that of subnormal numbers
included. The bounds asserted here are those that the docstrings of functional/ and vector.h
state. The reference computes in float64 and rounds raw − max there, so that for float64 it is
allowed as many ULP more as that is large; the builds are not.
"""

import itertools
from functools import cache

import mpmath
import numpy as np
import pytest

from fastsoftmax import functional as F
from fastsoftmax import kernels

DTYPES = [np.float32, np.float64]
#: Around a vector (2 to 16 items) and four of them, around the end of blocks (16), and long.
N_CLASSES = [1, 2, 3, 4, 5, 7, 8, 9, 10, 15, 16, 17, 31, 32, 33, 63, 64, 65, 100, 257, 1000]

#: Where e^x is normal, where it is subnormal, and where it is 0.
SMALLEST_NORMAL = {np.float32: -87.33, np.float64: -708.39}
SMALLEST = {np.float32: -103.97, np.float64: -745.13}
LARGEST = {np.float32: 88.72, np.float64: 709.78}


def row_bound(n_classes):
    """ULP that a result of a row may be off: arithmetic, and a sum of n_classes rounded terms."""
    return 4 + np.sqrt(n_classes)


def split(numbers):
    """Numbers of mpmath as float64 and what that leaves, some 106 bits together."""
    high = [float(number) for number in numbers]
    low = [
        float(number - h) if np.isfinite(h) else 0.0
        for number, h in zip(numbers, high, strict=True)
    ]
    return np.array(high), np.array(low)


def ulps(actual, exact, at=0.0):
    """|actual − exact| in ULP of the larger of the exact result and ``at``."""
    high, low = exact
    info = np.finfo(actual.dtype)
    size = np.maximum(np.maximum(np.abs(high), at), info.smallest_normal)
    place = np.ldexp(1.0, np.frexp(size)[1] - info.nmant - 1)
    # A subnormal place of float64 squared out of a difference would be 0: scaled first.
    return np.abs((actual.astype(np.float64) - high) / place - low / place)


# --- exp and log1p --------------------------------------------------------------------------------


@cache
def exp_problem(dtype):
    rng = np.random.default_rng(0)
    values = np.concatenate(
        [
            rng.uniform(SMALLEST_NORMAL[dtype], LARGEST[dtype], 4000),
            rng.uniform(SMALLEST[dtype], SMALLEST_NORMAL[dtype], 2000),
            np.log(2) * (np.arange(-120, 120) + 0.5),  # where the reduced argument is largest
            rng.uniform(-1, 1, 1000),
            rng.normal(size=200) * 10.0 ** rng.uniform(-12, 0, 200),
        ]
    ).astype(dtype)
    with mpmath.workdps(40):
        return values, split([mpmath.exp(mpmath.mpf(x)) for x in values.tolist()])


@pytest.mark.parametrize("dtype", DTYPES)
def test_exp_is_within_1_2_ulp(build, dtype):
    values, exact = exp_problem(dtype)
    out = np.full_like(values, np.nan)
    kernels.implementation.exp(values, out)
    assert ulps(out, exact).max() <= 1.2


@pytest.mark.parametrize("dtype", DTYPES)
def test_exp_at_its_ends(build, dtype):
    beyond = [SMALLEST[dtype] - 0.1, SMALLEST[dtype] - 1, -1e4, -np.inf]
    values = np.array([*beyond, 0, -0.0, LARGEST[dtype] + 0.1, 1e4, np.inf, np.nan], dtype)
    out = np.full_like(values, -1)
    kernels.implementation.exp(values, out)
    expected = [0] * 4 + [1, 1] + [np.inf] * 3 + [np.nan]
    np.testing.assert_array_equal(out, np.array(expected, dtype))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("payload", [0, 1, 3, 0x1234])
def test_exp_of_nan_is_nan_whatever_its_bits(build, payload, dtype):
    bits, quiet = (np.int32, 0x7FC00000) if dtype == np.float32 else (np.int64, 0x7FF8 << 48)
    values = np.array([quiet + payload, quiet + payload + (1 << 20)] * 9, bits).view(dtype)
    out = np.zeros_like(values)
    kernels.implementation.exp(values, out)
    assert np.isnan(out).all()


@cache
def log1p_problem(dtype):
    rng = np.random.default_rng(0)
    values = np.concatenate(
        [
            rng.uniform(0, 1, 2000),  # 0.4 is where 1 + x passes to the next power of two
            rng.uniform(0.3, 0.5, 2000),
            10.0 ** rng.uniform(-37 if dtype == np.float32 else -300, 6, 3000),
            [0, 1, 2.0**-24, 2.0**-53, np.sqrt(2) - 1],
        ]
    ).astype(dtype)
    with mpmath.workdps(40):
        return values, split([mpmath.log1p(mpmath.mpf(x)) for x in values.tolist()])


@pytest.mark.parametrize("dtype", DTYPES)
def test_log1p_is_within_1_ulp(build, dtype):
    values, exact = log1p_problem(dtype)
    out = np.full_like(values, np.nan)
    kernels.implementation.log1p(values, out)
    assert ulps(out, exact).max() <= 1


# --- Rows -----------------------------------------------------------------------------------------

KINDS = [
    "ordinary",
    "spread",
    "naive exp overflows",
    "naive exp underflows",
    "far from 0",
    "equal",
    "one far ahead",
    "one far behind",
    "subnormal results",
]


def rows_of(kind, n_classes, dtype):
    """Two rows of raw predictions of one kind, exactly representable in dtype."""
    rng = np.random.default_rng([n_classes, len(kind)])
    normal = rng.normal(size=(2, n_classes))
    lowest, normal_from = SMALLEST[dtype], SMALLEST_NORMAL[dtype]
    first = np.arange(n_classes) == n_classes // 2
    rows = {
        "ordinary": 3 * normal,
        "spread": rng.uniform(0.3 + normal_from, 0.3, (2, n_classes)) + 100.7,
        "naive exp overflows": rng.uniform(90, 100, (2, n_classes)),
        "naive exp underflows": -1e4 + normal,
        "far from 0": 1e6 + 20 * normal,
        "equal": np.full((2, n_classes), 0.7),
        "one far ahead": normal + 60.3 * first,
        "one far behind": normal - 60.3 * first,
        "subnormal results": np.where(first, 0.4, rng.uniform(lowest, normal_from, (2, n_classes))),
    }[kind]
    return rows.astype(dtype)


@cache
def exact_rows(kind, n_classes, dtype):
    """Softmax, log-softmax and log-sum-exp of each row, each as split numbers."""
    answers = []
    with mpmath.workdps(60):
        for row in rows_of(kind, n_classes, dtype).tolist():
            top = mpmath.mpf(max(row))
            shifted = [mpmath.mpf(raw) - top for raw in row]
            exponentials = [mpmath.exp(x) for x in shifted]
            largest = row.index(max(row))
            others = mpmath.fsum(e for k, e in enumerate(exponentials) if k != largest)
            total, log_total = 1 + others, mpmath.log1p(others)  # 1 + 1e-320 would be 1
            answers.append(
                (
                    split([e / total for e in exponentials]),
                    split([x - log_total for x in shifted]),
                    split([top + log_total]),
                )
            )
    # For each function (high, low), both of shape (row, class).
    return [tuple(np.array([row[f][part] for row in answers]) for part in (0, 1)) for f in range(3)]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n_classes", N_CLASSES)
def test_rows_are_right_to_a_few_ulp(build, n_classes, dtype):
    for kind in KINDS:
        rows = rows_of(kind, n_classes, dtype)
        bound = row_bound(n_classes)
        if build == "reference" and dtype == np.float64:
            bound += np.ptp(rows)
        softmax, log_softmax, logsumexp = exact_rows(kind, n_classes, dtype)
        assert ulps(F.softmax(rows), softmax).max() <= bound, kind
        assert ulps(F.log_softmax(rows), log_softmax).max() <= bound, kind
        # max + log Σ may cancel: what counts is the error against the terms.
        top = rows.max(axis=1, keepdims=True).astype(np.float64)
        terms = np.minimum(np.abs(top), logsumexp[0] - top)
        assert ulps(F.logsumexp(rows)[:, None], logsumexp, terms).max() <= bound, kind
        for k in {0, n_classes // 2, n_classes - 1}:
            for row in range(2):
                loss = F.cross_entropy(rows[row : row + 1], [k])
                exact = [-part[row, k] for part in log_softmax]
                assert ulps(np.array(loss, dtype), exact) <= bound, kind
                gradient = F.cross_entropy_gradient(rows[row : row + 1], [k])[0]
                one_hot = (np.arange(n_classes) == k).astype(np.float64)
                exact = [softmax[0][row] - one_hot, softmax[1][row]]
                assert ulps(gradient, exact, one_hot).max() <= bound, kind


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_long_row_of_equal_values(build, dtype):
    # Each addition rounds alike here. One sum from end to end would be off by hundreds of ULP.
    n_classes = 100_000
    for value in (0.7, -2.3, 3.1):
        softmax = F.softmax(np.full(n_classes, value, dtype))
        share = np.full(n_classes, 1 / n_classes), np.zeros(n_classes)
        assert ulps(softmax, share).max() <= row_bound(n_classes) / 4


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_long_row(build, dtype):
    rows = (3 * np.random.default_rng(0).normal(size=(1, 20_011))).astype(dtype)
    with mpmath.workdps(30):
        total = mpmath.fsum(mpmath.exp(x) for x in rows[0].tolist())
        log_total = mpmath.log(total)
        exact = split([log_total])
        probability = split([mpmath.exp(x) / total for x in rows[0, -100:].tolist()])
        log_probability = split([x - log_total for x in rows[0, -100:].tolist()])
    bound = row_bound(rows.shape[1]) / 4
    assert ulps(F.logsumexp(rows), exact).max() <= bound
    assert ulps(F.softmax(rows)[0, -100:], probability).max() <= bound
    assert ulps(F.log_softmax(rows)[0, -100:], log_probability).max() <= bound


# --- Builds among each other ----------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n_classes", [3, 10, 17, 100, 1003])
def test_instruction_sets_agree_to_twice_the_bound(n_classes, dtype):
    raw = 5 * np.random.default_rng(n_classes).normal(size=(37, n_classes))
    raw = raw.astype(dtype)
    y_true = np.arange(37) % n_classes
    results = {}
    for isa in kernels.available:
        with kernels.use(isa):
            results[isa] = [F.softmax(raw), F.log_softmax(raw), F.logsumexp(raw)]
            results[isa].append(F.cross_entropy_gradient(raw, y_true) * 37)
    for one, other in itertools.combinations(results, 2):
        for position, (a, b) in enumerate(zip(results[one], results[other], strict=True)):
            at = 1.0 if position == 3 else 0.0  # probability − 1 cancels
            off = ulps(a, (b.astype(np.float64), 0.0), at).max()
            assert off <= 2 * row_bound(n_classes), (one, other)

"""Dual coordinate ascent: its kernels against their twins, what fits prove against the truth."""

import itertools

import numpy as np
import pytest
from pairs import pairs, together
from scipy.sparse import csr_array, eye_array, vstack
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import log_loss
from truth import Objective, least
from twins import DTYPES

from fastsoftmax import LogisticRegression, SoftmaxClassifier, SoftmaxClassifierCV, kernels
from fastsoftmax.estimators.settings import settings_of
from fastsoftmax.kernels import reference
from fastsoftmax.optimization import solver as solver_module
from fastsoftmax.optimization.dual import MOST_EPOCHS
from fastsoftmax.optimization.path import Path
from fastsoftmax.optimization.tolerance import Tolerance
from fastsoftmax.problem.checks import check_data
from fastsoftmax.problem.posing import pose

#: n_samples, n_features, n_rows, loss: below and above a vector, odd numbers of vectors, one row.
SHAPES = [
    (40, 30, 2, "softmax"),
    (60, 50, 3, "softmax"),
    (50, 40, 17, "softmax"),
    (40, 200, 20, "softmax"),
    (30, 60, 70, "softmax"),
    (60, 50, 1, "logistic"),
    (60, 50, 5, "logistic"),
    (1, 5, 4, "softmax"),
]


def sparse_rows(rng, n_samples, n_features, share=0.2, dtype=np.float64):
    """Rows of which some are empty, and one feature that none has."""
    X = rng.normal(size=(n_samples, n_features)) * (rng.random((n_samples, n_features)) < share)
    X[rng.random(n_samples) < 0.1] = 0
    X[:, n_features // 2] = 0
    return csr_array(X.astype(dtype))


def arguments(shape, dtype, n_shards=1, seed=0, c=1.0, smoothing=0.0, scaled=False, start="y"):
    """A problem for the kernels by the names of their arguments, those they share."""
    n_samples, n_features, n_rows, loss = shape
    rng = np.random.default_rng(seed)
    X = sparse_rows(rng, n_samples, n_features)
    y = rng.integers(0, max(n_rows, 2), n_samples).astype(np.int32)
    counts = np.bincount(X.indices, minlength=n_features)
    slots = np.where(counts > 0, np.cumsum(counts > 0) - 1, -1).astype(np.int32)
    norm = max(float((X * X).sum(axis=1).max()), 1e-3)
    if start == "y":
        zero = -1000.0 if loss == "softmax" else -100.0
        dual = np.full((n_samples, n_rows), zero)
        if n_rows == 1:
            dual[y == 1] = 100
        else:
            dual[np.arange(n_samples), y] = 0 if loss == "softmax" else 100
    else:
        dual = rng.normal(size=(n_samples, n_rows)) * 3
        if loss == "softmax":
            dual -= np.log(np.exp(dual).sum(axis=1, keepdims=True))
    return (
        {
            "data": X.data,
            "indices": X.indices,
            "indptr": X.indptr,
            "rows": rng.permutation(n_samples)[: max(1, n_samples - 3)],
            "y_true": y,
            "sample_weight": rng.uniform(0.5, 1.5, n_samples).astype(dtype),
            "inverse_scale": rng.uniform(0.5, 2, n_features).astype(dtype) if scaled else None,
            "slots": slots,
            "loss": loss,
            "unit": c / norm,
            "label_smoothing": smoothing,
        },
        dual.astype(dtype),
        int((counts > 0).sum()),
    )


def epoch(module, given, dual, n_slots, n_shards=1, n_threads=1, damping=1.0, coef=None):
    """What an epoch leaves: sums, dual, coef by feature and intercept."""
    stride = module.sparse_stride(dual.shape[1], dual.itemsize)
    shards = np.zeros((n_shards, n_slots, stride), dual.dtype)
    if coef is not None:
        shards[0, :, : dual.shape[1]] = coef
    dual, intercept = dual.copy(), np.linspace(-0.5, 0.5, dual.shape[1]).astype(dual.dtype)
    sums = module.sparse_dual_epoch(
        **given,
        dual_inplace=dual,
        coef_inplace=shards,
        intercept_inplace=intercept,
        intercept_unit=0.25,
        damping=damping,
        n_threads=n_threads,
    )
    return sums, dual, shards[0, :, : dual.shape[1]], intercept


def gap(module, given, dual, n_slots, n_shards=1, n_threads=1, repairs=True):
    """What the gap leaves: sums, coef by feature, probabilities and totals."""
    stride = module.sparse_stride(dual.shape[1], dual.itemsize)
    coef = np.full((n_shards, n_slots, stride), np.nan, dual.dtype)
    probability, totals = np.zeros_like(dual), np.zeros((2, dual.shape[1]))
    weight = given["sample_weight"][given["rows"]].sum(dtype=np.float64)
    sums = module.sparse_dual_gap(
        **given,
        dual=dual,
        intercept=np.linspace(-0.5, 0.5, dual.shape[1]).astype(dual.dtype),
        coef_out=coef,
        probability_out=probability,
        totals_out=totals,
        weight_sum=float(weight),
        repairs=repairs,
        n_threads=n_threads,
    )
    return sums, coef[0, :, : dual.shape[1]], probability, totals


def probabilities(shape, dtype, seed=0):
    """Some, of which one in ten is next to nothing."""
    rng = np.random.default_rng(seed)
    raw = 3 * rng.normal(size=(shape[0], shape[2]))
    raw[rng.random(raw.shape) < 0.1] = -40
    p = np.exp(raw)
    total = p.sum(axis=1, keepdims=True) if shape[3] == "softmax" else 1 + p
    return (p / total).astype(dtype)


def move(module, given, p, every=1, n_threads=1):
    """What a moved intercept leaves: the rise, the mean and the Hessian."""
    n_rows = p.shape[1]
    mean, hessian = np.full(n_rows, np.nan), np.full((n_rows, n_rows), np.nan)
    rise = module.dual_intercept(
        given["rows"],
        given["sample_weight"],
        p,
        np.linspace(-2, 1, n_rows),
        given["loss"],
        every,
        mean,
        hessian,
        n_threads,
    )
    return rise, mean, hessian


def nearer(module, given, dual, n_slots, n_shards=1, n_threads=1, repairs=True):
    """What lies between q and the probabilities: sums, weights by feature, divergences."""
    p = probabilities((len(dual), 0, dual.shape[1], given["loss"]), dual.dtype)
    stride = module.sparse_stride(dual.shape[1], dual.itemsize)
    coef = np.full((n_shards, n_slots, stride), np.nan, dual.dtype)
    divergence = np.full(4, np.nan)
    _, mean, _ = move(module, given, p)
    weight = float(given["sample_weight"][given["rows"]].sum(dtype=np.float64))
    _, _, _, totals = gap(module, given, dual, n_slots, repairs=False)
    given = {k: v for k, v in given.items() if k not in ("y_true", "label_smoothing")}
    sums = module.sparse_dual_nearer(
        **given,
        dual=dual,
        probability=p,
        change=np.linspace(-2, 1, dual.shape[1]),
        totals=totals,
        mean=mean,
        coef_out=coef,
        divergence_out=divergence,
        weight_sum=weight,
        repairs=repairs,
        n_threads=n_threads,
    )
    return sums, coef[0, :, : dual.shape[1]], divergence


def close(actual, expected, dtype, scale=1.0):
    """Within what rounding makes of an epoch: a step is off by its own, and hardly passes it on."""
    atol = scale * (3e-4 if dtype == np.float32 else 1e-10)
    np.testing.assert_allclose(actual, expected, rtol=10 * atol, atol=atol)


# --- The kernels ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kernel", "dtype", "shape", "start", "c"),
    pairs(together(kernels.available, DTYPES), SHAPES, ["y", "random"], [0.1, 1.0, 30.0, 3000.0]),
    indirect=["kernel"],
)
def test_epoch_is_its_twin(kernel, dtype, shape, start, c):
    for n_shards, smoothing, scaled in ((1, 0.0, False), (2, 0.1, True), (3, 0.0, True)):
        given, dual, n_slots = arguments(
            shape, dtype, c=c, smoothing=smoothing, scaled=scaled, start=start
        )
        sums, new, coef, intercept = epoch(kernel, given, dual, n_slots, n_shards)
        twin = epoch(reference, given, dual, n_slots, n_shards)
        size = np.abs(twin[2]).max(initial=1)
        close(np.array(sums[:2]), np.array(twin[0][:2]), dtype, 100 * (1 + abs(twin[0][0])))
        as_q = np.exp if shape[3] == "softmax" else lambda t: 1 / (1 + np.exp(-t.astype(float)))
        rows = given["rows"]
        close(as_q(new[rows]), as_q(twin[1][rows]), dtype, 10)
        close(coef, twin[2], dtype, 10 * size)
        close(intercept, twin[3], dtype, 10)
        close(sums[2], twin[0][2], dtype, 10 * (1 + twin[0][2]))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("loss", ["softmax", "logistic"])
@pytest.mark.parametrize("size", [30.0, 1e3, 1e5])
def test_raw_predictions_may_be_of_any_size(build, dtype, loss, size):
    """Rows that are sure, of the right class and of wrong ones."""
    given, dual, n_slots = arguments((40, 30, 7, loss), dtype, c=0.5)
    coef = size * np.random.default_rng(0).normal(size=(n_slots, 7))
    sums, new, after, _ = epoch(kernels.implementation, given, dual, n_slots, coef=coef)
    twin = epoch(reference, given, dual, n_slots, coef=coef)
    assert np.isfinite(sums).all()
    assert np.isfinite(new).all()
    assert np.isfinite(after).all()
    scale = 1e-2 if dtype == np.float32 else 1e-3
    close(np.array(sums[:2]), np.array(twin[0][:2]), dtype, scale * abs(twin[0][0]))


@pytest.mark.parametrize("c", [1.0, 30.0, 1e4, 5e7])
def test_each_step_gains(build, c):
    """Of rows that have nothing in common, each is at a point of its own, far from its best."""
    module, rng, n, n_rows = kernels.implementation, np.random.default_rng(0), 3000, 21
    raw, dual = rng.normal(size=(n, n_rows)), 3 * rng.normal(size=(n, n_rows))
    dual[rng.random(dual.shape) < 0.4] = -1000
    dual -= np.log(np.exp(dual - dual.max(axis=1, keepdims=True)).sum(axis=1, keepdims=True))
    dual -= dual.max(axis=1, keepdims=True)
    dual -= np.log(np.exp(dual).sum(axis=1, keepdims=True))
    coef = np.zeros((1, n, module.sparse_stride(n_rows, 8)))
    coef[0, :, :n_rows] = raw
    log_p = raw - np.log(np.exp(raw).sum(axis=1, keepdims=True))
    before, old = (np.exp(dual) * (dual - log_p)).sum(axis=1), np.exp(dual)
    X = eye_array(n, format="csr")
    module.sparse_dual_epoch(
        X.data,
        X.indices,
        X.indptr,
        np.arange(n),
        np.zeros(n, np.int32),
        None,
        None,
        np.arange(n, dtype=np.int32),
        dual,
        coef,
        np.zeros(n_rows),
        "softmax",
        c,
        0.0,
        1.0,
        1,
    )
    q = np.exp(dual)
    np.testing.assert_allclose(q.sum(axis=1), 1, rtol=1e-12)
    gain = before - (q * (dual - log_p)).sum(axis=1) - c / 2 * np.square(q - old).sum(axis=1)
    assert (gain >= -1e-10).all()
    np.testing.assert_allclose(coef[0, :, :n_rows], raw + c * (old - q), atol=1e-12 * c)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("c", [2.0, 1e4, 1e8])
def test_rows_that_are_at_their_best_stay(build, dtype, c):
    """Also where the distance to it is too small to be squared."""
    for size in (50.0, 400.0, 2000.0):
        given, dual, n_slots = arguments((8, 6, 3, "softmax"), dtype, c=c)
        given["data"][:] = 1e-3
        coef = np.zeros((n_slots, 3))
        intercept = np.array([size, 0.0, -size], dtype)
        given["y_true"][:] = 0
        dual[:] = -1000
        dual[:, 0] = 0
        shards = np.zeros((1, n_slots, kernels.implementation.sparse_stride(3, dual.itemsize)))
        shards = shards.astype(dtype)
        kernels.implementation.sparse_dual_epoch(
            **given,
            dual_inplace=dual,
            coef_inplace=shards,
            intercept_inplace=intercept,
            intercept_unit=0.25,
            damping=1.0,
            n_threads=1,
        )
        np.testing.assert_allclose(np.exp(dual), np.eye(3)[[0] * 8], atol=1e-6)
        np.testing.assert_allclose(shards[0, :, :3], coef, atol=1e-2)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_gap_is_its_twin(kernel, dtype, shape):
    cases = ((1, 0.0, "y"), (2, 0.1, "random"), (1, 0.0, "random"))
    for (n_shards, smoothing, start), repairs in itertools.product(cases, (True, False)):
        given, dual, n_slots = arguments(shape, dtype, smoothing=smoothing, start=start)
        found = gap(kernel, given, dual, n_slots, n_shards, repairs=repairs)
        twin = gap(reference, given, dual, n_slots, n_shards, repairs=repairs)
        scale = 1e-2 if dtype == np.float32 else 1e-3
        for actual, expected in zip(found, twin, strict=True):
            actual, expected = np.array(actual), np.array(expected)
            close(actual, expected, dtype, scale * (1 + np.abs(expected).max(initial=0)) * 10)


@pytest.mark.parametrize(
    ("kernel", "dtype", "shape", "every"),
    pairs(together(kernels.available, DTYPES), [*SHAPES, (40, 5, 300, "softmax")], [1, 3, 100]),
    indirect=["kernel"],
)
def test_a_moved_intercept_is_its_twin(kernel, dtype, shape, every):
    given, _, _ = arguments(shape, dtype)
    p = probabilities(shape, dtype)
    for weight in (given["sample_weight"], None):
        given["sample_weight"] = weight
        found, twin = (move(module, given, p, every) for module in (kernel, reference))
        for actual, expected in zip(found, twin, strict=True):
            size = np.abs(expected).max()
            np.testing.assert_allclose(actual, expected, rtol=1e-12, atol=1e-13 * size)


@pytest.mark.parametrize("loss", ["softmax", "logistic"])
def test_a_moved_intercept_is_what_it_says(build, loss):
    """The rise by its own definition, and mean and Hessian by its differences."""
    shape, step = (50, 5, 6, loss), 1e-5
    given, _, _ = arguments(shape, np.float64)
    p, rows, weight = probabilities(shape, np.float64), given["rows"], given["sample_weight"]

    def at(change):
        mean, hessian = np.empty(6), np.empty((6, 6))
        call = rows, weight, p, change, loss, 1, mean, hessian, 1
        return kernels.implementation.dual_intercept(*call), mean, hessian

    change = np.linspace(-1, 2, 6)
    rise, mean, hessian = at(change)
    factor = np.exp(change)
    inner = np.log(p @ factor) if loss == "softmax" else np.log(1 - p + p * factor).sum(axis=1)
    assert rise == pytest.approx(weight[rows] @ inner[rows], rel=1e-12)
    for k in range(6):
        unit = step * np.eye(6)[k]
        above, below = at(change + unit), at(change - unit)
        assert (above[0] - below[0]) / (2 * step) == pytest.approx(mean[k], abs=1e-6)
        slope = (above[1] - below[1]) / (2 * step)
        np.testing.assert_allclose(slope, hessian[k], atol=1e-6)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_nearer_points_are_their_twin(kernel, dtype, shape):
    cases = ((1, False, "y"), (2, True, "random"), (1, True, "random"))
    for (n_shards, scaled, start), repairs in itertools.product(cases, (True, False)):
        given, dual, n_slots = arguments(shape, dtype, scaled=scaled, start=start)
        found = nearer(kernel, given, dual, n_slots, n_shards, repairs=repairs)
        twin = nearer(reference, given, dual, n_slots, n_shards, repairs=repairs)
        scale = 1e-3 if dtype == np.float32 else 1e-4
        for actual, expected in zip(found, twin, strict=True):
            actual, expected = np.array(actual), np.array(expected)
            close(actual, expected, dtype, scale * (1 + np.abs(expected).max(initial=0)) * 10)


@pytest.mark.parametrize("loss", ["softmax", "logistic"])
def test_all_of_the_way_leads_to_the_probabilities(build, loss):
    """Where nothing is repaired the last divergence is 0; a p of 0 makes it infinite elsewhere."""
    given, dual, n_slots = arguments((40, 30, 9, loss), np.float64, start="random")
    module = kernels.implementation
    (squares, spread), coef, divergence = nearer(module, given, dual, n_slots, repairs=False)
    assert abs(divergence[-1]) <= 1e-12
    assert (np.diff(divergence) < 0).all()
    assert squares == pytest.approx(np.square(coef).sum(), rel=1e-12)
    assert 0 < np.sqrt(squares) <= given["unit"] * spread
    p = np.zeros((40, 9))
    p[:, 0] = 1
    del given["y_true"], given["label_smoothing"]
    module.sparse_dual_nearer(
        **given,
        dual=dual,
        probability=p,
        change=np.zeros(9),
        totals=np.ones((2, 9)),
        mean=np.ones(9),
        coef_out=np.zeros((1, n_slots, module.sparse_stride(9, 8))),
        divergence_out=divergence,
        weight_sum=1.0,
        repairs=False,
        n_threads=1,
    )
    assert np.isinf(divergence[:3]).all()
    assert divergence[-1] == 0


def test_gap_may_be_left_out(build):
    """The weights are the same then."""
    module = kernels.implementation
    given, dual, n_slots = arguments(SHAPES[3], np.float64, start="random")
    _, coef, _, totals = gap(module, given, dual, n_slots)
    out = np.zeros((1, n_slots, module.sparse_stride(20, 8)))
    other = np.zeros((2, 20))
    sums = module.sparse_dual_gap(
        **given,
        dual=dual,
        intercept=np.zeros(20),
        coef_out=out,
        probability_out=None,
        totals_out=other,
        weight_sum=float(given["sample_weight"][given["rows"]].sum()),
        repairs=True,
        n_threads=1,
    )
    np.testing.assert_array_equal(out[0, :, :20], coef)
    np.testing.assert_array_equal(other, totals)
    np.testing.assert_allclose(sums, (0, 0, np.square(coef).sum(), 0))


@pytest.mark.parametrize(
    ("kernel", "dtype", "shape"),
    pairs(kernels.available, DTYPES, SHAPES[:6]),
    indirect=["kernel"],
)
def test_any_number_of_threads_gives_the_same_bits(kernel, dtype, shape):
    given, dual, n_slots = arguments((400, *shape[1:]), dtype, c=1.0)
    # Numbers beyond indptr's end count as work, which is enough for a team then.
    given["data"], given["indices"] = np.tile(given["data"], 400), np.tile(given["indices"], 400)
    for run in (epoch, gap, nearer):
        one = run(kernel, given, dual, n_slots, n_shards=4)
        for n_threads in (2, 3, 7):
            many = run(kernel, given, dual, n_slots, n_shards=4, n_threads=n_threads)
            for a, b in zip(one, many, strict=True):
                np.testing.assert_array_equal(a, b)
    given, _, _ = arguments((40_000, 5, *shape[2:]), dtype)  # of which a move takes no feature
    p = probabilities((40_000, *shape[1:]), dtype)
    one = move(kernel, given, p)
    for n_threads in (2, 3, 9):
        for a, b in zip(one, move(kernel, given, p, n_threads=n_threads), strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("loss", ["softmax", "logistic"])
@pytest.mark.parametrize("c", [0.3, 3.0, 100.0, 1e5, 3e7])
def test_steps_gain_whatever_the_curvature(build, loss, c):
    """The dual objective never falls from epoch to epoch, by more than rounding."""
    module, shape = kernels.implementation, (30, 25, 6, loss)
    given, dual, n_slots = arguments(shape, np.float64, c=c, start="random")
    before = -np.inf
    weight = given["sample_weight"][given["rows"]].astype(np.float64)
    _, coef, _, _ = gap(module, given, dual, n_slots, repairs=False)
    for _ in range(4):
        loss_sum, divergence, squares, _ = gap(module, given, dual, n_slots, repairs=False)[0]
        value = loss_sum + squares / given["unit"] / 2 - divergence
        assert value >= before - 1e-9 * (1 + abs(value))
        before = value
        stride = module.sparse_stride(6, 8)
        shards = np.zeros((1, n_slots, stride))
        shards[0, :, :6] = coef
        module.sparse_dual_epoch(
            **given,
            dual_inplace=dual,
            coef_inplace=shards,
            intercept_inplace=np.linspace(-0.5, 0.5, 6),
            intercept_unit=0.0,
            damping=1.0,
            n_threads=1,
        )
        coef = shards[0, :, :6]
        np.testing.assert_allclose(
            coef, gap(module, given, dual, n_slots, repairs=False)[1], atol=1e-9 * c
        )
    assert len(weight) > 0


def test_coef_and_norms_are_their_twins(kernel):
    for dtype in DTYPES:
        given, dual, n_slots = arguments(SHAPES[3], dtype, scaled=True)
        scale = given["inverse_scale"].astype(np.float64)
        parts = given["data"], given["indices"], given["indptr"]
        norms = np.zeros((2, len(dual)))
        kernel.sparse_square_norms(*parts, given["slots"], scale, norms[0])
        reference.sparse_square_norms(*parts, given["slots"], scale, norms[1])
        np.testing.assert_allclose(*norms, rtol=1e-14)
        counts = np.zeros((2, len(given["slots"])), np.intp)
        kernel.sparse_feature_counts(*parts, counts[0])
        reference.sparse_feature_counts(*parts, counts[1])
        np.testing.assert_array_equal(*counts)
        packed = np.zeros((n_slots, kernel.sparse_stride(20, dual.itemsize)), dtype)
        packed[:, :20] = np.random.default_rng(0).normal(size=(n_slots, 20))
        coef = np.full((2, 20, len(given["slots"])), np.nan, dtype)
        kernel.sparse_dual_coef(packed, given["slots"], coef[0])
        reference.sparse_dual_coef(packed, given["slots"], coef[1])
        np.testing.assert_array_equal(*coef)


# --- Fits, held against the truth -----------------------------------------------------------------


def drawn_problem(seed):
    """X, y, parameters of SoftmaxClassifier, sample weights: of every kind there is."""
    rng = np.random.default_rng(seed)
    n_samples = int(rng.choice([5, 30, 120, 300]))
    n_features = int(rng.choice([10, 40, 300]))
    n_classes = int(rng.choice([2, 3, 8, 25] if n_features < 300 else [2, 3]))
    X = sparse_rows(rng, n_samples, n_features, rng.choice([0.02, 0.1, 0.5]))
    kind = rng.choice(["unit", "normal", "counts", "long"])
    if kind == "counts":
        X.data = np.floor(np.abs(X.data) * 5) + 1
    elif kind == "long":
        X = csr_array(X * (10 ** rng.uniform(0, 3, (n_samples, 1))))
    elif kind == "unit":
        norms = np.sqrt(np.asarray((X * X).sum(axis=1)).ravel())
        X = csr_array(X / np.where(norms > 0, norms, 1)[:, None])
    y = rng.integers(0, n_classes, n_samples)
    y[: min(n_samples, n_classes)] = np.arange(min(n_samples, n_classes))
    if rng.random() < 0.3:
        X, y = csr_array(vstack([X, X[: n_samples // 2]])), np.append(y, y[: n_samples // 2])
    weight = rng.uniform(0, 2, len(y)) if rng.random() < 0.4 else None
    if weight is not None:
        weight[rng.random(len(y)) < 0.1] = 0
        weight[:n_classes] = 1
    parameters = {
        "alpha": float(10 ** rng.uniform(-5, 0)),
        "multi_class": str(rng.choice(["softmax", "ovr"])),
        "fit_intercept": bool(rng.random() < 0.7),
        "label_smoothing": float(rng.choice([0.0, 0.0, 0.1])),
        "standardize": bool(rng.random() < 0.3),
        "class_weight": "balanced" if rng.random() < 0.2 else None,
        "dtype": str(rng.choice(["float32", "float64"])),
        "tol": float(rng.choice([1e-4, 1e-5])),
    }
    return X, y, parameters, weight


def true_objective(X, y, parameters, weight):
    """What the fit of a problem minimises."""
    classes, codes = np.unique(y, return_inverse=True)
    row_weight = total = np.ones(len(y)) if weight is None else weight
    if parameters["class_weight"] == "balanced":
        of_class = np.bincount(codes, total)
        factor = np.where(of_class > 0, total.sum() / np.maximum(of_class, 1e-300), 0)
        total = total * (factor / np.count_nonzero(of_class))[codes]
    return Objective(
        X,
        codes,
        len(classes),
        parameters["alpha"],
        total,
        ovr=parameters["multi_class"] == "ovr",
        fit_intercept=parameters["fit_intercept"],
        standardize=parameters["standardize"],
        label_smoothing=parameters["label_smoothing"],
        row_weight=row_weight,
    )


@pytest.mark.filterwarnings("ignore:.*could represent a regression problem")
@pytest.mark.parametrize("seed", range(40))
def test_what_a_fit_proves_is_true(seed):
    X, y, parameters, weight = drawn_problem(seed)
    if parameters["standardize"] and not parameters["fit_intercept"]:
        parameters["standardize"] = False  # what centring leaves in the intercept
    model = SoftmaxClassifier(solver="dual", random_state=seed, max_iter=300, **parameters)
    with np.errstate(all="raise", under="ignore"):
        model.fit(X, y, weight)
    objective = true_objective(X, y, parameters, weight)
    truth = least(objective)
    value = objective(model.coef_, model.intercept_)
    eps = np.finfo(model.coef_.dtype).eps
    rounding = 50 * eps * (1 + value)
    assert value - truth.value <= model.suboptimality_bound_ + rounding
    assert model.converged_
    assert value - truth.lower <= parameters["tol"] + rounding


@pytest.mark.parametrize("n_classes", [2, 5, 8])
@pytest.mark.parametrize("alpha", [1e-1, 1e-2, 1e-3])
@pytest.mark.parametrize("multi_class", ["softmax", "ovr"])
def test_the_bound_is_near_the_truth(multi_class, alpha, n_classes):
    X, y = words(600, 80, n_classes)
    model = SoftmaxClassifier(
        alpha=alpha, multi_class=multi_class, random_state=0, tol=1e-4, solver="dual"
    ).fit(X, y)
    objective = true_objective(X, y, model.get_params(), None)
    truth = least(objective)
    above = objective(model.coef_, model.intercept_) - truth.value
    assert np.isfinite(model.history_["gap"][-1])
    assert above <= model.suboptimality_bound_ + 1e-12
    assert model.suboptimality_bound_ <= 3 * above + 1e-12


# --- How fits go ----------------------------------------------------------------------------------


def words(n_samples=400, n_features=300, n_classes=5, seed=0, dtype=np.float64):
    """Rows of length 1, of words of which each class has some of its own."""
    rng = np.random.default_rng(seed)
    y = np.arange(n_samples) % n_classes
    word = (n_features * rng.random((n_samples, 12)) ** 2).astype(int)
    of_class = rng.random(word.shape) < 0.3
    word[of_class] = ((word + 1) * (y[:, None] + 1) * 37 % n_features)[of_class]
    X = np.zeros((n_samples, n_features), dtype)
    np.add.at(X, (np.repeat(np.arange(n_samples), 12), word.ravel()), 1)
    return csr_array(X / np.linalg.norm(X, axis=1, keepdims=True)), y


@pytest.mark.parametrize("dtype", DTYPES)
def test_history_has_a_gap_an_epoch(build, dtype):
    X, y = words(dtype=dtype)
    told = []
    model = SoftmaxClassifier(alpha=1e-3, random_state=0, callbacks=[told.append]).fit(X, y)
    history = model.history_
    assert model.converged_
    assert model.n_iter_ == len(told) == len(history["gap"]) < 20
    assert history["gap"][-1] == pytest.approx(model.suboptimality_bound_)
    assert history["gap"][-1] <= 1e-5
    assert (np.diff(history["gap"][1:]) < 0).all()
    np.testing.assert_array_equal(history["learning_rate"], 1)
    assert (history["seconds"] > 0).all()
    plain = SoftmaxClassifier(alpha=1e-3, random_state=0).fit(X, y)
    np.testing.assert_array_equal(plain.coef_, model.coef_)
    last = told[-1].fitted_estimator
    np.testing.assert_array_equal(last.coef_, model.coef_)
    np.testing.assert_array_equal(last.intercept_, model.intercept_)


def test_the_history_ends_with_the_objective_of_the_coefficients():
    X, y = words()
    model = SoftmaxClassifier(alpha=1e-3, random_state=0).fit(X, y)
    objective = true_objective(X, y, model.get_params(), None)
    value = objective(model.coef_, model.intercept_)
    assert model.loss_curve_[-1] == pytest.approx(value, rel=1e-12)
    truth = least(objective)
    assert value - truth.value <= model.suboptimality_bound_ <= 1e-5
    assert model.suboptimality_ == model.suboptimality_bound_


@pytest.mark.parametrize("epoch", [1, 2, 3])
def test_a_callback_ends_it_at_any_epoch(epoch):
    X, y = words()
    model = SoftmaxClassifier(random_state=0, callbacks=[lambda info: info.epoch == epoch])
    with pytest.warns(ConvergenceWarning, match="a callback stopped it"):
        model.fit(X, y)
    assert model.n_iter_ == epoch
    objective = true_objective(X, y, model.get_params(), None)
    value = objective(model.coef_, model.intercept_)
    assert value - least(objective).value <= model.suboptimality_bound_ + 1e-12


@pytest.mark.parametrize("most", [1, 2, 3])
def test_max_iter_ends_it(most):
    X, y = words()
    model = SoftmaxClassifier(random_state=0, max_iter=most, tol=1e-12)
    with pytest.warns(ConvergenceWarning, match="raise max_iter"):
        model.fit(X, y)
    assert model.n_iter_ == most
    assert not model.converged_


def test_ctrl_c_leaves_the_epochs_done(ctrl_c):
    X, y = words()

    def press(info):
        if info.epoch == 2:
            raise KeyboardInterrupt

    model = SoftmaxClassifier(random_state=0, callbacks=[press])
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, y)
    assert model.n_iter_ == 2
    assert model.score(X, y) > 0.5
    stopped = SoftmaxClassifier(random_state=0, max_iter=2)
    with pytest.warns(ConvergenceWarning):
        stopped.fit(X, y)
    np.testing.assert_array_equal(model.coef_, stopped.coef_)
    np.testing.assert_array_equal(model.intercept_, stopped.intercept_)


@pytest.mark.parametrize("multi_class", ["softmax", "ovr"])
@pytest.mark.parametrize("n_classes", [2, 5])
def test_a_warm_start_takes_fewer_epochs(multi_class, n_classes):
    X, y = words(n_classes=n_classes)
    model = SoftmaxClassifier(
        alpha=1e-3, multi_class=multi_class, random_state=0, warm_start=True
    ).fit(X, y)
    first = model.n_iter_
    model.fit(X, y)
    assert model.n_iter_ < first
    assert model.converged_


def test_rows_to_validate_on_are_scored_each_epoch():
    X, y = words(600)
    model = SoftmaxClassifier(random_state=0)
    model.fit(X[:400], y[:400], X_val=X[400:], y_val=y[400:])
    assert model.validation_scores_.shape == (model.n_iter_,)
    last = -log_loss(y[400:], model.predict_proba(X[400:]))
    assert model.validation_scores_[-1] == pytest.approx(last)
    plain = SoftmaxClassifier(random_state=0).fit(X[:400], y[:400])
    np.testing.assert_array_equal(plain.coef_, model.coef_)


def test_another_method_goes_on_where_epochs_are_not_enough(monkeypatch):
    """From the weights that the epochs have led to."""
    X, y = words()
    X = csr_array(X * 30)  # curvatures of 30² / (1e-3 · 400)
    seen = []
    monkeypatch.setattr(solver_module, "is_suited", lambda problem: True)
    descend_to = solver_module._descend_to

    def watched(problem, notes, *others):
        seen.append((notes.n_done, problem.objective(notes.state, problem.rows)))
        return descend_to(problem, notes, *others)

    monkeypatch.setattr(solver_module, "_descend_to", watched)
    model = SoftmaxClassifier(alpha=1e-3, random_state=0, tol=1e-6).fit(X, y)
    (n_epochs, value), *_ = seen
    assert 6 <= n_epochs <= MOST_EPOCHS
    assert value < np.log(5)
    assert model.converged_
    assert np.isnan(model.history_["gap"][n_epochs:]).all()
    objective = true_objective(X, y, model.get_params(), None)
    assert objective(model.coef_, model.intercept_) - least(objective).lower <= 1e-6


def test_dual_is_chosen_by_the_length_of_rows():
    X, y = words()

    def took(model):
        return bool(np.isfinite(model.fit(X, y).history_["gap"]).any())

    assert took(SoftmaxClassifier(random_state=0))
    assert took(LogisticRegression())
    assert not took(SoftmaxClassifier(random_state=0, solver="lbfgs"))
    assert not took(SoftmaxClassifier(random_state=0, solver="auto", alpha=1e-6))
    assert not took(SoftmaxClassifier(random_state=0, solver="auto", alpha=0))
    assert not took(SoftmaxClassifier(random_state=0, tol=None, max_iter=20))
    assert took(SoftmaxClassifier(random_state=0, solver="dual", alpha=1e-6))


def test_what_it_refuses():
    X, y = words()
    with pytest.raises(ValueError, match="solver='dual' needs X to be sparse"):
        SoftmaxClassifier(solver="dual").fit(X.toarray(), y)
    with pytest.raises(ValueError, match="solver='dual' needs a penalty"):
        SoftmaxClassifier(solver="dual", alpha=0).fit(X, y)
    with pytest.raises(ValueError, match="early_stopping=True needs epochs"):
        SoftmaxClassifier(solver="dual", early_stopping=True).fit(X, y)
    with pytest.raises(ValueError, match="solver='dual' needs all rows"):
        SoftmaxClassifier(solver="dual").partial_fit(X, y, classes=np.unique(y))


@pytest.mark.parametrize("dtype", DTYPES)
def test_fits_are_the_same_at_any_number_of_threads(dtype):
    X, y = words(6000, 3000, 60, dtype=dtype)
    fits = [
        SoftmaxClassifier(alpha=1e-3, random_state=0, n_jobs=n).fit(X, y).coef_ for n in (1, 2, 3)
    ]
    for other in fits[1:]:
        np.testing.assert_array_equal(fits[0], other)


# --- Paths ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("dtype", "multi_class"), [(np.float32, "softmax"), (np.float64, "ovr")])
def test_a_path_goes_by_the_dual_and_then_by_others(dtype, multi_class):
    """Each minimum is as near as it says, whichever way led there; up again too."""
    X, y = words(dtype=dtype)
    parameters = {"multi_class": multi_class, "alpha": 1.0, "dtype": np.dtype(dtype).name}
    settings = settings_of(SoftmaxClassifier(solver="lbfgs", random_state=0, **parameters), 500)
    data = check_data(SoftmaxClassifier(), X, y, dtype=dtype)
    problem = pose(data, settings.formulation).problem
    random_state = np.random.RandomState(0)
    path = Path(problem, 5, random_state, Tolerance(1e-5), 500)
    ways = []
    for alpha in (1.0, 0.1, 0.02, 3e-3, 3e-2, 1e-3, 1e-5, 1e-6):
        minimum = path.minimum(alpha)
        ways.append(path._dual is not None)
        parameters["alpha"] = alpha
        objective = true_objective(X, y, SoftmaxClassifier(**parameters).get_params(), None)
        value = objective(minimum.state.coef, minimum.state.intercept)
        assert minimum.converged
        assert value - least(objective).lower <= 3e-5
    assert ways == sorted(ways, reverse=True)
    assert ways[:6] == [True] * 6
    assert not ways[-1]


def test_the_next_minimum_of_a_path_is_near():
    X, y = words(3000, 2000)
    settings = settings_of(SoftmaxClassifier(solver="lbfgs", random_state=0), 500)
    problem = pose(check_data(SoftmaxClassifier(), X, y), settings.formulation).problem
    path = Path(problem, 5, np.random.RandomState(0), Tolerance(1e-6), 500)
    path.minimum(1e-3)
    following = path.minimum(8e-4).n_iter
    alone = Path(problem, 5, np.random.RandomState(0), Tolerance(1e-6), 500).minimum(8e-4).n_iter
    assert following < alone


def test_cross_validation_of_sparse_rows_scores_as_that_of_dense_ones():
    X, y = words(600)
    settings = {"alphas": [1e-1, 1e-2, 1e-3, 1e-4], "cv": 3, "random_state": 0, "scoring": "loss"}
    sparse = SoftmaxClassifierCV(**settings).fit(X, y)
    dense = SoftmaxClassifierCV(**settings).fit(X.toarray(), y)
    np.testing.assert_allclose(sparse.scores_, dense.scores_, atol=1e-3)
    assert sparse.alpha_ == dense.alpha_
    assert np.isfinite(sparse.history_["gap"]).any()


def test_a_fold_without_rows_of_a_class():
    X, y = words(300)
    order = np.argsort(y == 4, kind="stable")
    X, y = X[order], y[order]
    rows = np.arange(300)
    cv = [(rows[:240], rows[240:]), (rows[60:], rows[:60])]
    settings = {"alphas": [1e-2, 1e-3], "cv": cv, "random_state": 0, "scoring": "loss"}
    sparse = SoftmaxClassifierCV(**settings).fit(X, y)
    dense = SoftmaxClassifierCV(**settings).fit(X.toarray(), y)
    np.testing.assert_allclose(sparse.scores_, dense.scores_, rtol=1e-3)

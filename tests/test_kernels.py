"""Every compiled kernel against its NumPy twin in fastsoftmax.reference, on every build.

Tolerances are counted in ULP of the largest magnitude in the sum: a sum of n products, however it
is ordered, is off by at most n roundings of a running total (Higham 2002, section 3.1). Public
functions of the caller's arrays are tested in test_functional.py, training in test_training.py.
"""

import itertools

import numpy as np
import pytest

from fastsoftmax import kernels, reference

# Around every vector width (4, 8 and 16 items), odd, even and whole tiles.
FEATURES = [1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 64, 65, 100]
ROWS = [1, 2, 3, 4, 5, 6, 7, 11, 12, 13, 24, 25, 26]
SAMPLES = [1, 3, 4, 15, 16, 17, 128]
DTYPES = [np.float32, np.float64]
ITEM_DTYPES = [np.uint8, np.int8, np.int16, np.float16, np.float32, np.float64]


@pytest.fixture(params=kernels.available)
def kernel(request):
    """The module of one compiled build."""
    with kernels.use(request.param) as module:
        assert module.__name__ == f"fastsoftmax.kernels._{request.param}"
        yield module


def assert_close(actual, expected, scale, n_roundings):
    """|actual − expected| ≤ n_roundings ULP of `scale`, elementwise."""
    assert actual.dtype == expected.dtype
    tolerance = n_roundings * np.finfo(actual.dtype).eps * scale
    error = np.abs(actual.astype(np.float64) - expected)
    assert np.all(error <= tolerance), f"off by {np.max(error / tolerance)} of the tolerance"


def twice(function, arguments, outputs):
    """Run the kernel and its twin on copies of the output arrays; give both sets back."""
    module, name = function
    results = []
    for implementation in (module, reference):
        copies = [None if array is None else array.copy() for array in outputs]
        getattr(implementation, name)(*arguments(copies))
        results.append(copies)
    return results


# --- stage ----------------------------------------------------------------------------------------


def matrix(dtype, n_samples=23, n_features=17, seed=0):
    """Values that every dtype of X can hold, its extremes among them."""
    rng = np.random.default_rng(seed)
    if np.issubdtype(dtype, np.integer):
        limits = np.iinfo(dtype)
        X = rng.integers(limits.min, limits.max, (n_samples, n_features), endpoint=True)
        X[0, 0], X[0, -1] = limits.min, limits.max
        return X.astype(dtype)
    X = rng.normal(size=(n_samples, n_features)) * 100
    X[0, 0], X[0, -1] = np.finfo(dtype).smallest_subnormal, np.finfo(dtype).smallest_normal
    return X.astype(dtype)


@pytest.mark.parametrize("dtype", ITEM_DTYPES)
@pytest.mark.parametrize("tile_dtype", DTYPES)
def test_stage_reads_rows_exactly_as_they_are(kernel, dtype, tile_dtype):
    X = matrix(dtype)
    rows = np.array([22, 0, 5, 5, 1], dtype=np.intp)
    tile = np.full((5, 17), np.nan, tile_dtype)
    kernel.stage(X, rows, None, None, tile)
    np.testing.assert_array_equal(tile, X[rows].astype(tile_dtype))


def strided(X):
    """The same values behind other strides, without owning a plain copy."""
    wide = np.zeros((X.shape[0] * 2, X.shape[1] * 3), X.dtype)
    wide[::2, ::3] = X
    padded = np.zeros((X.shape[0], X.shape[1] + 3), X.dtype)
    padded[:, 2:-1] = X
    read_only = X.copy()
    read_only.flags.writeable = False
    return {
        "every second row, every third column": wide[::2, ::3],
        "part of the columns": padded[:, 2:-1],
        "column-major": np.asfortranarray(X),
        "upside down": X[::-1].copy()[::-1],
        "mirrored": X[:, ::-1].copy()[:, ::-1],
        "read-only": read_only,
    }


@pytest.mark.parametrize("layout", strided(matrix(np.float32)))
@pytest.mark.parametrize("dtype", ITEM_DTYPES)
def test_stage_takes_any_strides(kernel, dtype, layout):
    X = matrix(dtype)
    rows = np.array([3, 22, 0], dtype=np.intp)
    tile = np.empty((3, 17), np.float32)
    kernel.stage(strided(X)[layout], rows, None, None, tile)
    np.testing.assert_array_equal(tile, X[rows].astype(np.float32))


def test_stage_knows_every_float16(kernel):
    X = np.arange(2**16, dtype=np.uint16).view(np.float16).reshape(256, 256)
    tile = np.empty(X.shape, np.float32)
    kernel.stage(X, np.arange(256), None, None, tile)
    np.testing.assert_array_equal(tile, X.astype(np.float32))


@pytest.mark.parametrize("dtype", DTYPES)
def test_stage_standardises_on_the_way(kernel, dtype):
    X = matrix(dtype)
    rows = np.array([3, 22, 0], dtype=np.intp)
    shift, inverse_scale = X.mean(axis=0), 1 / X.std(axis=0)
    tiles = twice(
        (kernel, "stage"),
        lambda out: (X, rows, shift, inverse_scale, *out),
        [np.empty((3, 17), dtype)],
    )
    # Subtract and multiply: half a ULP each, of a result of at most (|x| + |shift|) · scale.
    scale = (np.abs(X[rows]) + np.abs(shift)) * inverse_scale
    assert_close(tiles[0][0], tiles[1][0], scale, 1)


# --- forward --------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n_features", FEATURES)
def test_forward(kernel, dtype, n_features):
    rng = np.random.default_rng(n_features)
    for n_rows, n_samples in itertools.product(ROWS, SAMPLES):
        tile = rng.normal(size=(n_samples, n_features)).astype(dtype)
        coef = rng.normal(size=(n_rows, n_features)).astype(dtype)
        intercept = rng.normal(size=n_rows).astype(dtype)
        raw, expected = twice(
            (kernel, "forward"),
            lambda out, t=tile, c=coef, b=intercept: (t, c, b, *out),
            [np.full((n_rows, n_samples), np.nan, dtype)],
        )
        scale = np.abs(coef) @ np.abs(tile).T + np.abs(intercept)[:, None]
        assert_close(raw[0], expected[0], scale, n_features + 1)


# --- loss and gradient ----------------------------------------------------------------------------

RAW_PREDICTIONS = {
    "ordinary": lambda rng, shape: rng.normal(size=shape) * 3,
    "90 to 100": lambda rng, shape: rng.uniform(90, 100, shape),
    "far below": lambda rng, shape: np.full(shape, -1e4),
    "equal": lambda rng, shape: np.full(shape, 7.25),
    "one far ahead": lambda rng, shape: np.where(
        np.arange(shape[0])[:, None] == shape[0] // 2, 1e4, rng.normal(size=shape)
    ),
    "subnormal probabilities": lambda rng, shape: (
        -rng.uniform(87, 104, shape) * (np.arange(shape[0])[:, None] > 0)
    ),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("values", RAW_PREDICTIONS)
@pytest.mark.parametrize("loss", ["softmax", "logistic"])
def test_loss_gradient(kernel, dtype, values, loss):
    rng = np.random.default_rng(3)
    for n_rows, n_samples in itertools.product([1, 2, 3, 5, 10, 17, 100], SAMPLES):
        raw = RAW_PREDICTIONS[values](rng, (n_rows, n_samples)).astype(dtype)
        codes = rng.integers(0, max(n_rows, 1 + (loss == "logistic")), n_samples).astype(np.int32)
        weight = rng.uniform(0, 2, n_samples).astype(dtype)
        weight[0] = 0
        actual, expected = twice(
            (kernel, f"{loss}_gradient"),
            lambda out, y=codes, s=weight: (out[0], y, s, out[1]),
            [raw, np.full(n_samples, np.nan, dtype)],
        )
        # A probability is at most 1 and has a relative error of half a ULP of |raw − max| from the
        # subtraction, at most e^-x · x ≤ 0.4 in all, of a few ULP from exp and the division, and
        # of one a class from the sum.
        assert_close(actual[0], expected[0], weight[None, :], n_rows + 5)
        # The loss adds two numbers of the size of |raw − max|.
        size = np.abs(raw - raw.max(axis=0)).max(axis=0) + (
            np.abs(raw).sum(axis=0) if loss == "logistic" else 0
        )
        assert_close(actual[1], expected[1], weight * (size + np.log(n_rows + 1)), n_rows + 5)


@pytest.mark.parametrize("dtype", DTYPES)
def test_small_probabilities_keep_their_digits(kernel, dtype):
    # Down to subnormal ones, which the bound above wouldn't miss. The other class has all the rest.
    limits = np.finfo(dtype)
    raw = np.linspace(0, np.log(limits.smallest_subnormal), 4096).astype(dtype)
    gradient = np.array([np.zeros_like(raw), raw])
    ones, losses = np.ones(4096, dtype), np.empty(4096, dtype)
    kernel.softmax_gradient(gradient, np.zeros(4096, np.int32), ones, losses)
    expected = np.exp(raw.astype(np.longdouble))
    expected /= 1 + expected
    # 2 ULP of exp and one each of the sum, the division and the product; below, a subnormal's.
    tolerance = 5 * np.maximum(limits.eps * expected, limits.smallest_subnormal)
    assert np.all(np.abs(gradient[1] - expected) <= tolerance)


@pytest.mark.parametrize("loss", ["softmax", "logistic"])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_lost_prediction_shows_in_its_loss(kernel, loss, bad):
    raw = np.zeros((3, 20), np.float32)
    raw[1, 4] = bad
    losses = np.empty(20, np.float32)
    getattr(kernel, f"{loss}_gradient")(
        raw, np.zeros(20, np.int32), np.ones(20, np.float32), losses
    )
    assert not np.isfinite(losses[4])
    assert np.isfinite(np.delete(losses, 4)).all()
    assert np.isfinite(np.delete(raw, 4, axis=1)).all()


# --- backward and update --------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("update", reference.UPDATES)
@pytest.mark.parametrize("with_intercept", [True, False])
def test_backward_update(kernel, dtype, update, with_intercept):
    rng = np.random.default_rng(5)
    for n_rows, n_features, n_samples in itertools.product(ROWS, FEATURES[::2], [1, 17, 128]):
        tile = rng.normal(size=(n_samples, n_features)).astype(dtype)
        gradient = rng.normal(size=(n_rows, n_samples)).astype(dtype) / dtype(n_samples)
        before = [
            rng.normal(size=(n_rows, n_features)).astype(dtype),
            rng.normal(size=n_rows).astype(dtype) if with_intercept else None,
            rng.uniform(1, 2, (n_rows, n_features)).astype(dtype),
            rng.uniform(1, 2, n_rows).astype(dtype) if with_intercept else None,
        ]
        actual, expected = twice(
            (kernel, "backward_update"),
            lambda out, t=tile, g=gradient: (t, g, *out, 0.1, 0.9, 1e-2, update),
            before,
        )
        # The gradient's sum, then a handful of operations on numbers below |θ| + |state| + |g|.
        size = np.abs(gradient) @ np.abs(tile) + 4
        for index, array in enumerate(actual):
            if array is None:
                continue
            scale = size if array.ndim == 2 else np.abs(gradient).sum(axis=1) + 4
            scale = scale * (scale if update == "adagrad" else 1) + np.abs(before[index])
            assert_close(array, expected[index], scale, n_samples + 8)


def test_sgd_leaves_the_state_alone(kernel):
    state = np.full((2, 3), 5.0)
    arrays = np.ones((4, 3)), np.ones((2, 4)), np.zeros((2, 3)), None, state, None
    kernel.backward_update(*arrays, 0.1, 0.9, 0.0, "sgd")
    assert np.all(state == 5)


# --- epoch ----------------------------------------------------------------------------------------


def problem(dtype, n_rows, loss, n_samples=300, n_features=21, seed=2):
    """Arguments of epoch: (X, rows, codes, weights, None, None), and zero parameters."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_samples, n_features)).astype(dtype)
    codes = rng.integers(0, max(n_rows, 2), n_samples).astype(np.int32)
    rows = rng.permutation(n_samples)[: n_samples - 7]
    parameters = [
        np.zeros((n_rows, n_features), dtype),
        np.zeros(n_rows, dtype),
        np.zeros((n_rows, n_features), dtype),
        np.zeros(n_rows, dtype),
    ]
    weight = rng.uniform(0.5, 1.5, n_samples).astype(dtype)
    return (X, rows, codes, weight, None, None), parameters


def run_epoch(module, data, parameters, batch_size, loss, update, n_threads=1, fit_intercept=True):
    parameters = [array.copy() for array in parameters]
    rates = np.linspace(0.1, 0.05, -(-len(data[1]) // batch_size))
    total = module.epoch(
        *data, *parameters, rates, batch_size, loss, update, 0.9, 1e-3, fit_intercept, n_threads
    )
    return total, parameters


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("update", reference.UPDATES)
@pytest.mark.parametrize(("n_rows", "loss"), [(1, "logistic"), (4, "logistic"), (13, "softmax")])
@pytest.mark.parametrize("batch_size", [1, 32, 100, 257, 1000])
def test_epoch(kernel, dtype, update, n_rows, loss, batch_size):
    data, parameters = problem(dtype, n_rows, loss)
    total, actual = run_epoch(kernel, data, parameters, batch_size, loss, update)
    expected_total, expected = run_epoch(reference, data, parameters, batch_size, loss, update)
    # Roundings of up to 293 steps, each a contraction on this convex objective; measured: 1 to 30.
    assert total == pytest.approx(expected_total, rel=100 * float(np.finfo(dtype).eps))
    for array, twin in zip(actual, expected, strict=True):
        assert_close(array, twin, 1 + np.abs(twin).max(), 300)
    assert np.abs(actual[0]).max() > 1e-4  # it did move


@pytest.mark.parametrize("update", reference.UPDATES)
@pytest.mark.parametrize("n_features", [1, 21, 1100])
def test_epoch_goes_on_from_where_it_is(kernel, update, n_features):
    data, parameters = problem(np.float64, 3, "softmax", n_features=n_features)
    rng = np.random.default_rng(4)
    parameters = [rng.uniform(1, 2, array.shape) / n_features for array in parameters]
    total, actual = run_epoch(kernel, data, parameters, 64, "softmax", update)
    expected_total, expected = run_epoch(reference, data, parameters, 64, "softmax", update)
    assert total == pytest.approx(expected_total, rel=1e-12)
    for array, twin in zip(actual, expected, strict=True):
        np.testing.assert_allclose(array, twin, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("n_threads", [2, 3, 7])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("n_rows", "loss"), [(1, "logistic"), (10, "softmax"), (26, "softmax")])
@pytest.mark.parametrize("batch_size", [128, 1000])
def test_threads_change_no_bit(kernel, n_threads, dtype, n_rows, loss, batch_size):
    # Enough work for a team (2^24 multiply-adds), and enough minibatches for it to be judged; seven
    # threads on fewer cores are broken up in the middle of the epoch.
    n_samples = 2**24 // (601 * n_rows) + 3001
    data, parameters = problem(dtype, n_rows, loss, n_samples=n_samples, n_features=601)
    once = run_epoch(kernel, data, parameters, batch_size, loss, "momentum")
    again = run_epoch(kernel, data, parameters, batch_size, loss, "momentum", n_threads)
    assert once[0] == again[0]
    for array, twin in zip(once[1], again[1], strict=True):
        np.testing.assert_array_equal(array, twin)


def test_a_team_takes_every_row_once(kernel):
    # At zero parameters that never move, every row's loss is log 2.
    data, parameters = problem(np.float64, 2, "softmax", n_samples=30_000, n_features=400)
    rates = np.zeros(-(-len(data[1]) // 64))
    total = kernel.epoch(*data, *parameters, rates, 64, "softmax", "sgd", 0, 0, True, 7)
    assert total == pytest.approx(data[3][data[1]].sum() * np.log(2), rel=1e-12)


def test_without_intercept_it_stays(kernel):
    data, parameters = problem(np.float64, 3, "softmax")
    parameters[1][:] = [1.0, 2.0, 3.0]
    _, after = run_epoch(kernel, data, parameters, 50, "softmax", "sgd", fit_intercept=False)
    np.testing.assert_array_equal(after[1], [1.0, 2.0, 3.0])


def test_a_lost_epoch_ends_early_and_says_so(kernel):
    data, parameters = problem(np.float32, 3, "softmax")
    parameters[0][:] = np.float32(3e38)
    total, _ = run_epoch(kernel, data, parameters, 50, "softmax", "sgd")
    assert not np.isfinite(total)


def test_after_a_lost_minibatch_nothing_is_learned(kernel):
    # The first row's loss, log 3 times its weight, is beyond float32, though its gradient is not.
    X, codes, rows = np.full((9, 5), 1e-3, np.float32), np.zeros(9, np.int32), np.arange(9)
    weight = np.array([np.finfo(np.float32).max, *np.ones(8)], np.float32)
    parameters = problem(np.float32, 3, "softmax", n_features=5)[1]
    rates = np.array([0.0, *np.ones(8)])
    data = (X, rows, codes, weight, None, None)
    total = kernel.epoch(*data, *parameters, rates, 1, "softmax", "sgd", 0, 0, True, 1)
    assert total == np.inf
    assert not parameters[0].any()


# --- passes that change nothing -------------------------------------------------------------------


@pytest.mark.parametrize("n_rows", [1, 2, 3, 10, 26])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("item", [np.uint8, np.float16, np.float32, np.float64])
def test_predictions(kernel, n_rows, dtype, item):
    rng = np.random.default_rng(6)
    X = matrix(item, n_samples=150) if item == np.uint8 else rng.normal(size=(150, 17)).astype(item)
    coef = (rng.normal(size=(n_rows, 17)) / 100).astype(dtype)
    intercept = rng.normal(size=n_rows).astype(dtype)
    scale = np.abs(X.astype(np.float64)) @ np.abs(coef).T + np.abs(intercept)
    for n_threads in (1, 2):
        raw, expected = twice(
            (kernel, "decision_function"),
            lambda out, t=n_threads: (X, coef, intercept, *out, t),
            [np.full((150, n_rows), np.nan, dtype)],
        )
        assert_close(raw[0], expected[0], scale, 18)
        for loss in ("softmax", "logistic"):
            if (loss, n_rows) == ("softmax", 1):
                continue
            actual, expected = twice(
                (kernel, "predict_proba"),
                lambda out, t=n_threads, loss=loss: (X, coef, intercept, *out, loss, t),
                [np.full((150, max(2, n_rows)), np.nan, dtype)],
            )
            # An error of the raw prediction is one of the probability, relative.
            bound = scale.max(axis=1, keepdims=True) + 1
            assert_close(actual[0], expected[0], bound, 18 + n_rows)
        codes, expected_codes = twice(
            (kernel, "predict"),
            lambda out, t=n_threads: (X, coef, intercept, *out, t),
            [np.full(150, -1, np.intp)],
        )
        np.testing.assert_array_equal(codes[0], expected_codes[0])


def test_predict_takes_the_first_of_equals(kernel):
    code = np.full(3, -1)
    X, coef = np.zeros((3, 2)), np.zeros((4, 2))
    kernel.predict(X, coef, np.array([1.0, 3.0, 3.0, 2.0]), code, 1)
    assert code.tolist() == [1, 1, 1]


def test_predict_of_one_row_is_its_sign(kernel):
    X, coef = np.array([[1e-6], [0.0], [-1e-6], [np.nan]]), np.ones((1, 1))
    code = np.full(4, -1)
    kernel.predict(X, coef, np.zeros(1), code, 1)
    assert code.tolist() == [1, 0, 0, 0]


@pytest.mark.parametrize("n_threads", [2, 3, 7])
def test_threads_change_no_bit_of_a_pass(kernel, n_threads):
    # Enough for a team: 2^24 multiply-adds, or values where nothing is multiplied.
    rng = np.random.default_rng(8)
    X = rng.integers(0, 256, (17_003, 1000), dtype=np.uint8)
    weight = rng.uniform(0.5, 1.5, len(X))
    coef = (rng.normal(size=(3, 1000)) / 1000).astype(np.float32)
    intercept, codes = np.zeros(3, np.float32), rng.integers(0, 3, len(X)).astype(np.int32)
    rows = rng.permutation(len(X))

    def passes(n_threads):
        raw, probability = (np.empty((len(X), 3), np.float32) for _ in range(2))
        code, mean, squares = np.empty(len(X), np.intp), np.empty(1000), np.empty(1000)
        kernel.decision_function(X, coef, intercept, raw, n_threads)
        kernel.predict_proba(X, coef, intercept, probability, "softmax", n_threads)
        kernel.predict(X, coef, intercept, code, n_threads)
        samples = X, rows, codes, weight.astype(np.float32), None, None
        total = kernel.loss_sum(*samples, coef, intercept, "softmax", n_threads)
        weight_sum = kernel.column_statistics(X, weight, mean, squares, n_threads)
        return raw, probability, code, total, weight_sum, mean, squares

    for one, other in zip(passes(1), passes(n_threads), strict=True):
        np.testing.assert_array_equal(one, other)


def test_sigmoids_that_all_vanish_share_the_probability(kernel):
    probability = np.empty((1, 4), np.float32)
    X, coef = np.zeros((1, 2), np.float32), np.zeros((4, 2), np.float32)
    kernel.predict_proba(X, coef, np.full(4, -1e4, np.float32), probability, "logistic", 1)
    np.testing.assert_array_equal(probability, 0.25)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("n_rows", "loss"), [(1, "logistic"), (5, "logistic"), (10, "softmax")])
def test_loss_sum(kernel, dtype, n_rows, loss):
    data, parameters = problem(dtype, n_rows, loss)
    coef = np.random.default_rng(1).normal(size=parameters[0].shape).astype(dtype)
    expected = reference.loss_sum(*data, coef, parameters[1], loss, 1)
    once = kernel.loss_sum(*data, coef, parameters[1], loss, 1)
    # Each loss is off by the roundings of its 21 products; the float64 sum adds nothing visible.
    assert once == pytest.approx(expected, rel=30 * float(np.finfo(dtype).eps))
    assert kernel.loss_sum(*data, coef, parameters[1], loss, 3) == once


@pytest.mark.parametrize("item", ITEM_DTYPES)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n_threads", [1, 2, 3])
def test_column_statistics(kernel, item, weighted, n_threads):
    X = matrix(item, n_samples=5000, n_features=19)
    weight = np.random.default_rng(0).integers(0, 3, 5000).astype(np.float64) if weighted else None
    exact = X.astype(np.longdouble)
    total = 5000 if weight is None else weight.sum()
    mean = np.average(exact, axis=0, weights=weight)
    squares = ((exact - mean) ** 2 * (1 if weight is None else weight[:, None])).sum(axis=0)
    actual = np.full(19, np.nan), np.full(19, np.nan)
    assert kernel.column_statistics(X, weight, *actual, n_threads) == total
    np.testing.assert_allclose(actual[0], mean.astype(float), rtol=1e-13, atol=1e-13)
    np.testing.assert_allclose(actual[1], squares.astype(float), rtol=1e-13)


def test_column_statistics_survive_a_large_offset(kernel):
    X = 1e9 + np.random.default_rng(0).integers(0, 2, (10_000, 3)).astype(np.float64)
    mean, squares = np.empty(3), np.empty(3)
    kernel.column_statistics(X, None, mean, squares, 1)
    np.testing.assert_allclose(squares, X.var(axis=0) * len(X), rtol=1e-6)


# --- What the kernels refuse ----------------------------------------------------------------------


def test_wrong_arrays_are_refused_by_name(kernel):
    tile = np.zeros((4, 3))
    coef, intercept, raw = np.zeros((2, 3)), np.zeros(2), np.zeros((2, 4))
    with pytest.raises(TypeError, match="intercept must be C-contiguous and of dtype float64"):
        kernel.forward(tile, coef, intercept.astype(np.float32), raw)
    with pytest.raises(ValueError, match=r"raw_prediction_out must have shape \(2, 4\)"):
        kernel.forward(tile, coef, intercept, raw[:, :3].copy())
    with pytest.raises(TypeError, match="coef must be C-contiguous"):
        kernel.forward(tile, np.asfortranarray(coef), intercept, raw)
    with pytest.raises(TypeError, match="X must be uint8"):
        kernel.stage(np.zeros((2, 2), np.complex128), np.arange(2), None, None, np.zeros((2, 2)))
    with pytest.raises(TypeError, match="native byte order"):
        kernel.stage(np.zeros((2, 2), ">f8"), np.arange(2), None, None, np.zeros((2, 2)))

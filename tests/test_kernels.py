"""The steps of a minibatch against their NumPy twins in fastsoftmax.reference, on every build.

Whole epochs are tested in test_kernel_epochs.py, predictions in test_kernel_passes.py, public
functions of the caller's arrays in test_functional.py, training in test_training.py.
"""

import itertools

import numpy as np
import pytest
from pairs import pairs, together
from twins import DTYPES, ITEM_DTYPES, assert_close, matrix, twice

from fastsoftmax import kernels
from fastsoftmax.kernels import reference

# Around every vector width (4, 8 and 16 items), odd, even and whole tiles.
FEATURES = [1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 64, 65, 100]
ROWS = [1, 2, 3, 4, 5, 6, 7, 11, 12, 13, 24, 25, 26]
SAMPLES = [1, 3, 4, 15, 16, 17, 128]
#: Classes and features: each way of the backward step on each build, and more than fits at once.
LONG = [(1, 1601), (3, 801), (5, 400), (10, 785), (16, 769), (17, 500), (40, 401), (211, 416)]


# --- stage ----------------------------------------------------------------------------------------


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
    with np.errstate(invalid="ignore"):  # of signalling NaNs, which NumPy warns of on aarch64
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


def check_forward(kernel, rng, dtype, n_rows, n_features, n_samples):
    tile = rng.normal(size=(n_samples, n_features)).astype(dtype)
    coef = rng.normal(size=(n_rows, n_features)).astype(dtype)
    intercept = rng.normal(size=n_rows).astype(dtype)
    raw, expected = twice(
        (kernel, "forward"),
        lambda out: (tile, coef, intercept, *out),
        [np.full((n_rows, n_samples), np.nan, dtype)],
    )
    scale = np.abs(coef) @ np.abs(tile).T + np.abs(intercept)[:, None]
    assert_close(raw[0], expected[0], scale, n_features + 1)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n_features", FEATURES)
def test_forward(kernel, dtype, n_features):
    rng = np.random.default_rng(n_features)
    for n_rows, n_samples in itertools.product(ROWS, SAMPLES):
        check_forward(kernel, rng, dtype, n_rows, n_features, n_samples)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("n_rows", "n_features"), LONG)
def test_forward_of_long_rows(kernel, dtype, n_rows, n_features):
    rng = np.random.default_rng(n_features)
    for n_samples in (1, 17, 130):
        check_forward(kernel, rng, dtype, n_rows, n_features, n_samples)


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


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n_equal", [1, 2])
def test_a_small_loss_keeps_its_digits(kernel, dtype, n_equal):
    # Far below what can be added to the maximum's own 1; with two classes at the maximum, log 2.
    raw = np.full((n_equal + 2, 17), -40, dtype)
    raw[1 : 1 + n_equal] = 0
    codes, loss = np.ones(17, np.int32), np.empty(17, dtype)
    kernel.softmax_gradient(raw, codes, np.ones(17, dtype), loss)
    exact = np.log1p(n_equal - 1 + 2 * np.exp(-40.0))
    np.testing.assert_allclose(loss, exact, rtol=4 * np.finfo(dtype).eps)


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


def check_backward(kernel, rng, dtype, update, with_intercept, n_rows, n_features, n_samples):
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
        lambda out: (tile, gradient, *out, 0.1, 0.9, 1e-2, update),
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


@pytest.mark.parametrize(
    ("kernel", "dtype", "update", "with_intercept"),
    pairs(together(kernels.available, DTYPES), reference.UPDATES, [True, False]),
    indirect=["kernel"],
)
def test_backward_update(kernel, dtype, update, with_intercept):
    rng = np.random.default_rng(5)
    for shape in itertools.product(ROWS, FEATURES[::2], [1, 17, 128]):
        check_backward(kernel, rng, dtype, update, with_intercept, *shape)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("n_rows", "n_features"), LONG)
def test_backward_update_of_long_rows(kernel, dtype, n_rows, n_features):
    rng = np.random.default_rng(n_features)
    for update, n_samples in itertools.product(reference.UPDATES, (1, 17, 130)):
        check_backward(kernel, rng, dtype, update, True, n_rows, n_features, n_samples)


def test_sgd_leaves_the_state_alone(kernel):
    state = np.full((2, 3), 5.0)
    arrays = np.ones((4, 3)), np.ones((2, 4)), np.zeros((2, 3)), None, state, None
    kernel.backward_update(*arrays, 0.1, 0.9, 0.0, "sgd")
    assert np.all(state == 5)

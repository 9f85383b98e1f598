"""Passes that change nothing against their NumPy twins, on every build: predictions, the loss at
fixed parameters, statistics of the columns. Also what every kernel refuses.
"""

import itertools

import numpy as np
import pytest
from pairs import pairs, together
from twins import DTYPES, ITEM_DTYPES, assert_close, matrix, problem, twice

from fastsoftmax import kernels
from fastsoftmax.kernels import reference


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


PREDICTIONS = ["decision_function", "predict_proba", "predict"]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("prediction", PREDICTIONS)
@pytest.mark.parametrize("n_samples", [1, 17, 64, 200])  # a part of a block, a whole one, several
def test_a_raw_prediction_beyond_the_largest_float_is_told_of(build, prediction, dtype, n_samples):
    rng = np.random.default_rng(n_samples)
    dense = rng.normal(size=(n_samples, 9)).astype(dtype)
    indptr = np.arange(0, 9 * n_samples + 1, 9)
    rows = {
        "": (dense,),
        "sparse_": (dense.ravel(), np.tile(np.arange(9), n_samples), indptr),
    }
    large = np.finfo(dtype).max / 8
    for prefix, k, i in itertools.product(rows, (0, 3, 7), (0, n_samples // 2, n_samples - 1)):
        dense[:, 4] = 0
        coef = rng.normal(size=(8, 9)).astype(dtype)
        coef[k, 4] = large
        out = {
            "decision_function": (np.empty((n_samples, 8), dtype),),
            "predict_proba": (np.empty((n_samples, 8), dtype), "softmax"),
            "predict": (np.empty(n_samples, np.intp),),
        }[prediction]
        run = getattr(kernels.implementation, prefix + prediction)
        arguments = (*rows[prefix], coef, np.zeros(8, dtype), *out, 1)
        assert run(*arguments)
        for value in (10, -10):  # in one sample, and in one class, which need not be the first
            dense[i, 4] = value
            with np.errstate(over="ignore"):
                assert not run(*arguments), (prefix, k, i)


@pytest.mark.parametrize("n_threads", [2, 3, 7])
@pytest.mark.alone
def test_threads_change_no_bit_of_a_pass(kernel, n_threads):
    # Enough for a team: 2^22 multiply-adds, or values where nothing is multiplied.
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


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("loss", ["softmax", "logistic"])
@pytest.mark.parametrize(
    # Coefficients of each thread's own and common ones; batches that are taken in parts, and not.
    ("n_samples", "n_features", "n_rows"),
    [(1, 1, 1), (5, 3, 2), (70, 1, 2), (300, 21, 10), (5000, 16, 26), (333, 400, 40)],
)
def test_hessian_product(kernel, dtype, loss, n_samples, n_features, n_rows):
    rng = np.random.default_rng(n_samples)
    rows = rng.permutation(n_samples)[: n_samples - n_samples // 7]
    X = rng.integers(0, 255, (n_samples, n_features)).astype(np.uint8)
    weight = rng.uniform(0.5, 1.5, n_samples).astype(dtype)
    weight[rows[:1]] = 0 if len(rows) > 1 else 1
    shift, inverse_scale = np.full(n_features, 128, dtype), np.full(n_features, 0.01, dtype)
    probability = rng.dirichlet(np.full(n_rows, 0.3), len(rows)).T.astype(dtype, order="C")
    coef = rng.normal(size=(n_rows, n_features)).astype(dtype)
    intercept = rng.normal(size=n_rows).astype(dtype)
    arguments = (X, rows, weight, shift, inverse_scale, probability, coef, intercept)
    empty = [np.full((n_rows, n_features), np.nan, dtype), np.full(n_rows, np.nan, dtype)]
    for fit_intercept in (True, False):
        results = []
        for n_threads in (1, 2, 3):
            actual, expected = twice(
                (kernel, "hessian_product"),
                lambda out, t=n_threads, b=fit_intercept: (*arguments, *out, loss, b, t),
                empty,
            )
            results.append(actual)
        # A change of a raw prediction is at most 1.3 √d · 3, its error that of d products; what is
        # added over the samples takes as many roundings as there are in a share.
        size = len(rows) * 1.5 * (4 * np.sqrt(n_features) + 4)
        for array, wanted in zip(actual, expected, strict=True):
            assert_close(array, wanted, size, 2 * n_features + 30)
        for others in results[1:]:
            for array, first in zip(others, results[0], strict=True):
                np.testing.assert_array_equal(array, first)


@pytest.mark.parametrize(
    ("kernel", "dtype", "loss", "smoothing", "shape"),
    pairs(
        together(kernels.available, DTYPES),
        ["softmax", "logistic"],
        [0.0, 0.1],
        # One share of the rows and several, whose sums a core's cache holds, and does not.
        [(1, 1, 1), (5, 3, 2), (700, 21, 10), (9000, 7, 3), (600, 5000, 33)],
    ),
    indirect=["kernel"],
)
def test_loss_gradient(kernel, dtype, loss, smoothing, shape):
    n_samples, n_features, n_rows = shape
    rng = np.random.default_rng(n_samples)
    rows = rng.permutation(n_samples)[: n_samples - n_samples // 7].copy()
    X = rng.integers(0, 255, (n_samples, n_features)).astype(np.uint8)
    codes = rng.integers(max(n_rows, 2), size=n_samples).astype(np.int32)
    codes[codes >= (2 if loss == "logistic" and n_rows == 1 else n_rows)] = 0
    weight = rng.uniform(0, 2, n_samples).astype(dtype)
    shift, inverse_scale = np.full(n_features, 128, dtype), np.full(n_features, 0.01, dtype)
    coef = (rng.normal(size=(n_rows, n_features)) / np.sqrt(n_features)).astype(dtype)
    intercept = rng.normal(size=n_rows).astype(dtype)
    empty = [np.full((n_rows, n_features), np.nan, dtype), np.full(n_rows, np.nan, dtype)]
    for weights, fit_intercept in ((weight, True), (None, False)):
        results, losses = [], []
        arguments = (X, rows, codes, weights, shift, inverse_scale, coef, intercept)
        for module, n_threads in ((reference, 1), (kernel, 1), (kernel, 2), (kernel, 5)):
            out = [array.copy() for array in empty]
            more = (loss, fit_intercept, n_threads, smoothing)
            losses.append(module.loss_gradient(*arguments, *out, *more))
            results.append(out)
        assert losses[1] == pytest.approx(losses[0], rel=200 * float(np.finfo(dtype).eps))
        assert losses[2] == losses[3] == losses[1]
        for mine, theirs in zip(results[1], results[0], strict=True):
            # Means of values below 1.3, of at most so many roundings as a share has rows.
            assert_close(mine, theirs, 2.0, 100 + np.sqrt(n_samples))
        for others in results[2:]:
            for array, first in zip(others, results[1], strict=True):
                np.testing.assert_array_equal(array, first)


def test_hessian_product_is_the_gradient_s_change(kernel):
    data, (coef, intercept, *_) = problem(np.float64, 5, "softmax")
    X, rows, _, weight, *_ = data
    rng = np.random.default_rng(4)
    coef, step = rng.normal(size=coef.shape), rng.normal(size=coef.shape)

    def gradient(at):
        raw = X[rows] @ at.T + intercept
        probability = np.exp(raw - raw.max(axis=1, keepdims=True))
        probability /= probability.sum(axis=1, keepdims=True)
        return probability, (weight[rows, None] * probability).T @ X[rows]

    probability = np.ascontiguousarray(gradient(coef)[0].T)
    product, unused = np.empty_like(coef), np.empty(5)
    kernel.hessian_product(
        *(X, rows, weight, None, None, probability, step, np.zeros(5), product, unused),
        *("softmax", True, 1),
    )
    h = 1e-5
    change = (gradient(coef + h * step)[1] - gradient(coef - h * step)[1]) / (2 * h)
    np.testing.assert_allclose(product, change, atol=1e-6)


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

"""The kernels over sparse rows against their dense NumPy twins, on every build.

A kernel leaves features alone until they are met, so the tests have rates that vary from step to
step, features that are met often, once and never, and more steps than a block of decay.h holds.
The estimator on sparse X is tested in test_sparse_estimator.py.
"""

import itertools
from dataclasses import dataclass
from functools import cache

import numpy as np
import pytest
from pairs import pairs, together

from fastsoftmax import kernels
from fastsoftmax.kernels import reference

CLASSES = [1, 2, 3, 5, 20, 100]
DTYPES = [np.float32, np.float64]
UPDATES = ["sgd", "momentum", "nesterov", "adagrad"]
SHAPES = {"few": (61, 40), "wide": (97, 700), "tall": (700, 9)}


@dataclass
class Rows:
    """The three arrays of a CSR matrix, and the matrix."""

    data: np.ndarray
    indices: np.ndarray
    indptr: np.ndarray
    dense: np.ndarray

    @property
    def parts(self):
        return self.data, self.indices, self.indptr


@cache  # a draw without replacement takes 50 µs, and there is one a row
def drawn(n_samples, n_features, seed):
    """How many values each row has, their features, and the values in float64."""
    rng = np.random.default_rng(seed)
    popularity = rng.pareto(1, n_features) + 0.02
    popularity[:: max(7, n_features // 10)] = 0
    if n_features < 8:
        popularity[:] = 1
    counts = rng.integers(0, max(2, min(n_features, 25) // 2), n_samples)
    counts[::11] = 0
    counts = np.minimum(counts, np.count_nonzero(popularity))
    indices = [
        rng.choice(n_features, count, replace=False, p=popularity / popularity.sum())
        for count in counts
    ]
    indices = np.concatenate(indices)
    return counts, indices, rng.normal(size=len(indices))


def sparse_rows(n_samples, n_features, dtype=np.float32, index=np.int32, seed=0):
    """Rows of 0 to 12 values in shuffled order; some rows and columns empty, many rare."""
    counts, indices, values = drawn(n_samples, n_features, seed)
    indptr = np.concatenate([[0], np.cumsum(counts)]).astype(index)
    indices, data = indices.astype(index), values.astype(dtype)
    dense = np.zeros((n_samples, n_features), dtype)
    dense[np.repeat(np.arange(n_samples), counts), indices] = data
    return Rows(data, indices, indptr, dense)


def targets(rng, n_samples, n_rows, loss):
    n_classes = max(n_rows, 2) if loss == "logistic" else n_rows
    return rng.integers(0, n_classes, n_samples).astype(np.int32)


def parameters(rng, n_rows, n_features, dtype, scale=0.3):
    coef = rng.normal(size=(n_rows, n_features)) * scale
    return [
        coef.astype(dtype),
        rng.normal(size=n_rows).astype(dtype),
        np.abs(rng.normal(size=coef.shape) * 0.1).astype(dtype),
        np.abs(rng.normal(size=n_rows) * 0.1).astype(dtype),
    ]


@dataclass
class Work:
    """The arguments of an epoch that are the same for sparse and dense rows."""

    rows: np.ndarray
    y_true: np.ndarray
    sample_weight: np.ndarray | None
    rates: np.ndarray
    batch_size: int
    loss: str = "softmax"
    update: str = "momentum"
    momentum: float = 0.9
    alpha: float = 0.01
    fit_intercept: bool = True

    def run_sparse(self, module, X, state, inverse_scale=None, n_threads=1):
        state = [array.copy() for array in state]
        total = module.sparse_epoch(
            *X.parts, self.rows, self.y_true, self.sample_weight, inverse_scale, *state,
            *self._rest(), n_threads,
        )  # fmt: skip
        return state, total

    def run_dense(self, X, state, inverse_scale=None):
        """In float64, from the same numbers: the truth."""
        state = [array.astype(np.float64) for array in state]
        weight = None if self.sample_weight is None else self.sample_weight.astype(np.float64)
        zeros = None if inverse_scale is None else np.zeros(len(inverse_scale))
        scale = None if inverse_scale is None else inverse_scale.astype(np.float64)
        total = reference.epoch(
            X.dense, self.rows, self.y_true, weight, zeros, scale, *state, *self._rest(), 1
        )
        return state, total

    def _rest(self):
        return (
            self.rates, self.batch_size, self.loss, self.update, self.momentum, self.alpha,
            self.fit_intercept,
        )  # fmt: skip


def work(rng, X, n_rows, dtype, batch_size=4, **more):
    n_samples = len(X.dense)
    n_steps = -(-n_samples // batch_size)
    loss = more.pop("loss", "logistic" if n_rows == 1 else "softmax")
    return Work(
        rows=rng.permutation(n_samples),
        y_true=targets(rng, n_samples, n_rows, loss),
        sample_weight=rng.uniform(0, 2, n_samples).astype(dtype),
        rates=rng.uniform(0.01, 0.3, n_steps),
        batch_size=batch_size,
        loss=loss,
        **more,
    )


def assert_near(actual, expected, n_roundings):
    """Elementwise, to so many ULP of the largest element."""
    size = max(float(np.abs(expected).max(initial=0)), 1e-30)
    tolerance = n_roundings * np.finfo(actual.dtype).eps * size
    assert np.abs(actual - expected).max(initial=0) <= tolerance


# --- An epoch -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kernel", "dtype", "shape", "update", "alpha"),
    pairs(together(kernels.available, DTYPES), [*SHAPES], UPDATES, [0, 0.05]),
    indirect=["kernel"],
)
def test_epoch_is_that_of_the_dense_matrix(kernel, dtype, shape, update, alpha):
    X = sparse_rows(*SHAPES[shape], dtype)
    for n_rows in CLASSES:
        rng = np.random.default_rng(n_rows)
        state = parameters(rng, n_rows, X.dense.shape[1], dtype)
        epoch = work(rng, X, n_rows, dtype, update=update, alpha=alpha)
        actual, loss = epoch.run_sparse(kernel, X, state)
        expected, expected_loss = epoch.run_dense(X, state)
        # A few roundings a step, of terms as large as the largest parameter.
        for mine, theirs in zip(actual, expected, strict=True):
            assert_near(mine, theirs, 8 * len(epoch.rates))
        assert loss == pytest.approx(expected_loss, rel=200 * float(np.finfo(dtype).eps))


@pytest.mark.parametrize("loss", ["softmax", "logistic"])
@pytest.mark.parametrize("batch_size", [1, 7, 16, 300, 5000])
def test_epoch_of_any_batch_size(kernel, batch_size, loss):
    # Batches of one row: more steps than a few blocks of decay.h hold. Of 300: parts.
    X = sparse_rows(701, 150, np.float64)
    for n_rows in (3, 20):
        rng = np.random.default_rng(batch_size)
        state = parameters(rng, n_rows, 150, np.float64)
        epoch = work(rng, X, n_rows, np.float64, min(batch_size, 701), loss=loss)
        actual, total = epoch.run_sparse(kernel, X, state)
        expected, expected_total = epoch.run_dense(X, state)
        for mine, theirs in zip(actual, expected, strict=True):
            np.testing.assert_allclose(mine, theirs, rtol=1e-10, atol=1e-12)
        assert total == pytest.approx(expected_total, rel=1e-12)


@pytest.mark.parametrize("update", UPDATES)
def test_rates_that_leave_nothing_or_turn_the_sign(kernel, update):
    # 1 − ηα is 0 and then negative: quotients of running products would not survive it.
    X = sparse_rows(300, 60, np.float64)
    rng = np.random.default_rng(0)
    state = parameters(rng, 3, 60, np.float64)
    epoch = work(rng, X, 3, np.float64, 2, update=update, alpha=0.5)
    epoch.rates[:] = 0.1
    epoch.rates[40], epoch.rates[41], epoch.rates[90] = 2.0, 3.0, 2.0
    actual, _ = epoch.run_sparse(kernel, X, state)
    expected, _ = epoch.run_dense(X, state)
    for mine, theirs in zip(actual, expected, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("index", [np.int32, np.int64])
@pytest.mark.parametrize("item", DTYPES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_dtype_of_x_and_of_the_computation(kernel, dtype, item, index):
    X = sparse_rows(120, 80, item, index)
    rng = np.random.default_rng(2)
    state = parameters(rng, 4, 80, dtype)
    inverse_scale = rng.uniform(0.5, 3, 80).astype(dtype)
    epoch = work(rng, X, 4, dtype, 8)
    for scale in (None, inverse_scale):
        actual, _ = epoch.run_sparse(kernel, X, state, scale)
        expected, _ = epoch.run_dense(X, state, scale)
        for mine, theirs in zip(actual, expected, strict=True):
            assert_near(mine, theirs, 200)


def test_no_intercept_no_weights_and_few_rows(kernel):
    X = sparse_rows(50, 30)
    rng = np.random.default_rng(3)
    state = parameters(rng, 3, 30, np.float32)
    epoch = work(rng, X, 3, np.float32, 8, fit_intercept=False)
    epoch.sample_weight = None
    epoch.rows, epoch.rates = epoch.rows[:20], epoch.rates[:3]
    actual, _ = epoch.run_sparse(kernel, X, state)
    expected, _ = epoch.run_dense(X, state)
    np.testing.assert_array_equal(actual[1], state[1])
    np.testing.assert_array_equal(actual[3], state[3])
    for mine, theirs in zip(actual, expected, strict=True):
        assert_near(mine, theirs, 100)


def test_repeated_features_are_added_up(kernel):
    indices, indptr = np.array([2, 0, 2, 1], np.int32), np.array([0, 3, 4], np.int32)
    X = Rows(np.array([1, 2, 0.5, 3]), indices, indptr, np.array([[2.0, 0, 1.5], [0, 3, 0]]))
    rng = np.random.default_rng(4)
    state = parameters(rng, 3, 3, np.float64)
    epoch = work(rng, X, 3, np.float64, 1)
    for mine, theirs in zip(
        epoch.run_sparse(kernel, X, state)[0], epoch.run_dense(X, state)[0], strict=True
    ):
        np.testing.assert_allclose(mine, theirs, rtol=1e-12)


def test_a_loss_that_is_not_finite_ends_the_epoch(build):
    X = sparse_rows(100, 20)
    X.data[X.indptr[50]] = np.inf
    rng = np.random.default_rng(5)
    state = parameters(rng, 3, 20, np.float32)
    epoch = work(rng, X, 3, np.float32)
    with np.errstate(all="ignore"):
        assert not np.isfinite(epoch.run_sparse(kernels.implementation, X, state)[1])


@pytest.mark.parametrize(
    ("kernel", "batch_size", "update"),
    pairs(kernels.available, [50, 300, 2000], UPDATES),
    indirect=["kernel"],
)
@pytest.mark.alone
def test_same_bits_at_any_number_of_threads(kernel, batch_size, update):
    # A team is for 2^22 multiply-adds in all, 2^15 of them a part; more than 24 batches have it
    # judged, more than 128 are a block of decay.h, more than 256 rows are parts of a batch.
    X = sparse_rows(8000, 3000, seed=6)
    rng = np.random.default_rng(6)
    state = parameters(rng, 120, 3000, np.float32)
    epoch = work(rng, X, 120, np.float32, batch_size, update=update, alpha=1e-3)
    lengths = np.diff(X.indptr)[epoch.rows]
    assert 120 * lengths.sum() > 2**22
    assert 120 * np.add.reduceat(lengths, np.arange(0, len(lengths), batch_size)).max() > 2**15
    if update == "adagrad":
        state[0][:, 5:] = 0  # else it is as slow as dense rows
    one, total = epoch.run_sparse(kernel, X, state)
    for n_threads in (2, 3, 7):
        other, other_total = epoch.run_sparse(kernel, X, state, n_threads=n_threads)
        assert other_total == total
        for mine, theirs in zip(other, one, strict=True):
            np.testing.assert_array_equal(mine, theirs)


# --- The full gradient ----------------------------------------------------------------------------


def gradient(module, X, y_true, weight, scaling, coef, intercept, loss, n_threads=1):
    out = np.full_like(coef, np.nan), np.full_like(intercept, np.nan)
    value = module.sparse_loss_gradient(
        *X.parts, y_true, weight, *scaling, coef, intercept, *out, loss, n_threads
    )
    return value, *out


def dense_loss(X, y_true, weight, scaling, coef, intercept, loss):
    """Mean loss of the dense matrix, in float64."""
    dense = X.dense.astype(np.float64)
    if scaling[0] is not None:
        dense = (dense - scaling[0]) * scaling[1]
    total = reference.loss_sum(
        dense, np.arange(len(dense)), y_true, weight, None, None, coef, intercept, loss, 1
    )
    return total / (len(dense) if weight is None else weight.sum())


@pytest.mark.parametrize("loss", ["softmax", "logistic"])
def test_gradient_is_that_of_finite_differences(build, loss):
    X = sparse_rows(60, 12, np.float64)
    rng = np.random.default_rng(7)
    for n_rows in (1, 4) if loss == "logistic" else (2, 5):
        coef, intercept, _, _ = parameters(rng, n_rows, 12, np.float64)
        y_true, weight = targets(rng, 60, n_rows, loss), rng.uniform(0, 2, 60)
        for scaling in ((None, None), (rng.normal(size=12), rng.uniform(0.5, 2, 12))):
            rest = (X, y_true, weight, scaling)
            value, of_coef, of_intercept = gradient(
                kernels.implementation, *rest, coef, intercept, loss
            )
            assert value == pytest.approx(dense_loss(*rest, coef, intercept, loss), rel=1e-12)
            direction, along = rng.normal(size=coef.shape), rng.normal(size=n_rows)
            ends = [
                dense_loss(*rest, coef + h * direction, intercept + h * along, loss)
                for h in (1e-5, -1e-5)
            ]
            slope = (of_coef * direction).sum() + of_intercept @ along
            assert slope == pytest.approx((ends[0] - ends[1]) / 2e-5, rel=1e-7, abs=1e-10)


@pytest.mark.parametrize("dtype", DTYPES)
def test_gradient(dtype):
    for n_rows, (n_samples, n_features) in itertools.product(CLASSES, [(700, 90), (9000, 33)]):
        X = sparse_rows(n_samples, n_features, dtype)
        loss = "logistic" if n_rows == 1 else "softmax"
        rng = np.random.default_rng(n_rows)
        coef, intercept, _, _ = parameters(rng, n_rows, n_features, dtype)
        y_true = targets(rng, n_samples, n_rows, loss)
        weight = rng.uniform(0, 2, n_samples).astype(dtype)
        scaling = (
            rng.normal(size=n_features).astype(dtype) / 10,
            rng.uniform(0.5, 2, n_features).astype(dtype),
        )
        for arguments in ((None, (None, None)), (weight, (None, scaling[1])), (weight, scaling)):
            rest = (X, y_true, *arguments, coef, intercept, loss)
            expected, *expected_arrays = gradient(reference, *rest)
            for build in kernels.available:
                with kernels.use(build) as kernel:
                    value, *arrays = gradient(kernel, *rest)
                assert value == pytest.approx(expected, rel=50 * float(np.finfo(dtype).eps)), build
                for mine, theirs in zip(arrays, expected_arrays, strict=True):
                    assert_near(mine, theirs, 200)


@cache
def gradient_of_many(n_features):
    """Arguments of a gradient that a team takes, and what the twin makes of them."""
    X = sparse_rows(8000, n_features, seed=6)
    rng = np.random.default_rng(8)
    coef, intercept, _, _ = parameters(rng, 120, n_features, np.float32)
    weight = rng.integers(0, 3, 8000).astype(np.float32)
    y_true = targets(rng, 8000, 120, "softmax")
    rest = (X, y_true, weight, (None, None), coef, intercept, "softmax")
    return rest, gradient(reference, *rest)


@pytest.mark.alone
@pytest.mark.parametrize("n_features", [3000, 40])  # two shards of the rows, and eight
def test_gradient_has_the_same_bits_at_any_number_of_threads(kernel, n_features):
    rest, expected = gradient_of_many(n_features)
    one = gradient(kernel, *rest)
    for mine, theirs in zip(one, expected, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=1e-6)
    for n_threads in (2, 3, 7):
        for mine, theirs in zip(gradient(kernel, *rest, n_threads), one, strict=True):
            np.testing.assert_array_equal(mine, theirs)


# --- Passes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("index", [np.int32, np.int64])
def test_predictions(kernel, dtype, index):
    for n_rows, n_samples in itertools.product(CLASSES, [1, 63, 200]):
        X = sparse_rows(n_samples, 50, dtype, index, seed=n_rows)
        rng = np.random.default_rng(n_rows)
        coef, intercept, _, _ = parameters(rng, n_rows, 50, dtype)
        outputs = {
            "decision_function": (np.empty((n_samples, n_rows), dtype),),
            "predict_proba": (np.empty((n_samples, max(2, n_rows)), dtype), "softmax"),
            "predict": (np.empty(n_samples, np.intp),),
        }
        losses = ["logistic"] if n_rows == 1 else ["softmax", "logistic"]
        for (name, (out, *_)), loss in itertools.product(outputs.items(), losses):
            more = (loss,) if name == "predict_proba" else ()
            results = []
            for module, n_threads in ((kernel, 1), (kernel, 2), (kernel, 3), (reference, 1)):
                mine = np.zeros_like(out)
                assert getattr(module, f"sparse_{name}")(
                    *X.parts, coef, intercept, mine, *more, n_threads
                )
                results.append(mine)
            np.testing.assert_array_equal(results[0], results[1])
            np.testing.assert_array_equal(results[0], results[2])
            if name == "predict":
                np.testing.assert_array_equal(results[0], results[3])
            else:
                assert_near(results[0], results[3], 50)


def test_predictions_tell_that_x_is_not_finite(build):
    X = sparse_rows(70, 20)
    X.data[-1] = np.nan
    out = np.empty((70, 3), np.float32)
    coef = np.ones((3, 20), np.float32)
    run = kernels.implementation.sparse_decision_function
    assert not run(*X.parts, coef, np.zeros(3, np.float32), out, 1)


@pytest.mark.parametrize("dtype", DTYPES)
def test_loss_sum(kernel, dtype):
    X = sparse_rows(333, 40, dtype)
    rng = np.random.default_rng(9)
    for n_rows, scaled in itertools.product((1, 3, 20), (False, True)):
        loss = "logistic" if n_rows == 1 else "softmax"
        coef, intercept, _, _ = parameters(rng, n_rows, 40, dtype)
        y_true = targets(rng, 333, n_rows, loss)
        weight = rng.uniform(0, 2, 333).astype(dtype)
        scaling = (None, None)
        if scaled:
            scaling = (rng.normal(size=40).astype(dtype), rng.uniform(1, 2, 40).astype(dtype))
        arguments = (
            *X.parts, rng.permutation(333)[:200], y_true, weight, *scaling, coef, intercept, loss
        )  # fmt: skip
        expected = reference.sparse_loss_sum(*arguments, 1)
        for n_threads in (1, 2):
            assert kernel.sparse_loss_sum(*arguments, n_threads) == pytest.approx(
                expected, rel=100 * float(np.finfo(dtype).eps)
            )


def test_column_statistics(build):
    X = sparse_rows(500, 60, np.float64)
    X.data[:] += 3
    dense = np.zeros_like(X.dense)
    dense[np.repeat(np.arange(500), np.diff(X.indptr)), X.indices] = X.data
    rng = np.random.default_rng(10)
    for weight in (None, rng.uniform(0, 3, 500)):
        mean, squares, expected_mean, expected_squares = np.full((4, 60), np.nan)
        total = kernels.implementation.sparse_column_statistics(*X.parts, weight, mean, squares, 2)
        expected_total = reference.column_statistics(
            dense, weight, expected_mean, expected_squares, 1
        )
        assert total == pytest.approx(expected_total, rel=1e-14)
        np.testing.assert_allclose(mean, expected_mean, rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(squares, expected_squares, rtol=1e-10, atol=1e-12)


def test_column_statistics_of_constant_columns(build):
    # Weights that don't add up exactly: the column without a zero must not seem to have one.
    weight = np.random.default_rng(11).uniform(0, 1, 1000)
    data, indices = np.full(1000, 1e6), np.zeros(1000, np.int32)
    mean, squares = np.empty(2), np.empty(2)
    total = kernels.implementation.sparse_column_statistics(
        data, indices, np.arange(1001), weight, mean, squares, 1
    )
    assert squares[0] / total <= (1000 * np.finfo(float).eps * 1e6) ** 2
    assert (mean[1], squares[1]) == (0, 0)


def test_what_is_no_csr_matrix_is_refused(kernel):
    X = sparse_rows(10, 5)
    coef, out = np.ones((3, 5), np.float32), np.empty((10, 3), np.float32)
    intercept = np.zeros(3, np.float32)

    def run(data, indices, indptr):
        kernel.sparse_decision_function(data, indices, indptr, coef, intercept, out, 1)

    with pytest.raises(TypeError, match=r"data must be 1-D.*float32 or float64; got int64"):
        run(X.data.astype(np.int64), X.indices, X.indptr)
    with pytest.raises(TypeError, match=r"indices must be 1-D.*int32 or int64; got int16"):
        run(X.data, X.indices.astype(np.int16), X.indptr)
    with pytest.raises(TypeError, match="indptr must be 1-D"):
        run(X.data, X.indices, np.repeat(X.indptr, 2)[::2])
    with pytest.raises(ValueError, match="indptr must go from 0 up to the number of values"):
        run(X.data[:-1], X.indices, X.indptr)

"""Epochs of the kernels against those of their NumPy twin, on every build and number of threads."""

from functools import cache

import numpy as np
import pytest
from pairs import pairs, together
from twins import DTYPES, assert_close, problem

from fastsoftmax import kernels
from fastsoftmax.kernels import reference

#: Features, rows of coefficients, loss: of which narrow ones have coefficients for each thread.
SHAPES_OF_TEAMS = [
    (1401, 2, "logistic"),
    (801, 4, "softmax"),
    (601, 10, "softmax"),
    (601, 26, "softmax"),
    (601, 40, "softmax"),
    (601, 1, "logistic"),  # from here on narrow
    (54, 7, "softmax"),
    (16, 26, "softmax"),
]


def run_epoch(module, data, parameters, batch_size, loss, update, n_threads=1, fit_intercept=True):
    parameters = [array.copy() for array in parameters]
    rates = np.linspace(0.1, 0.05, -(-len(data[1]) // batch_size))
    total = module.epoch(
        *data, *parameters, rates, batch_size, loss, update, 0.9, 1e-3, fit_intercept, n_threads
    )
    return total, parameters


@pytest.mark.parametrize(
    ("kernel", "update", "dtype", "n_rows", "loss", "batch_size"),
    pairs(
        together(kernels.available, reference.UPDATES),
        DTYPES,
        [*together([1, 4], ["logistic"]), *together([13], ["softmax"])],
        [1, 32, 100, 257, 1000],
    ),
    indirect=["kernel"],
)
def test_epoch(kernel, dtype, update, n_rows, loss, batch_size):
    data, parameters = problem(dtype, n_rows, loss)
    total, actual = run_epoch(kernel, data, parameters, batch_size, loss, update)
    expected_total, expected = run_epoch(reference, data, parameters, batch_size, loss, update)
    # Roundings of up to 293 steps, each a contraction on this convex objective; measured: 1 to 30.
    assert total == pytest.approx(expected_total, rel=100 * float(np.finfo(dtype).eps))
    for array, twin in zip(actual, expected, strict=True):
        assert_close(array, twin, 1 + np.abs(twin).max(), 300)
    assert np.abs(actual[0]).max() > 1e-4  # it did move


@pytest.mark.parametrize(
    ("kernel", "dtype", "update", "n_features"),
    # Two narrow ones, and one wide, whose minibatches are taken in parts; all end within a vector.
    pairs(together(kernels.available, DTYPES), reference.UPDATES, [1, 21, 1101]),
    indirect=["kernel"],
)
def test_epoch_goes_on_from_where_it_is(kernel, update, n_features, dtype):
    data, parameters = problem(dtype, 3, "softmax", n_features=n_features)
    rng = np.random.default_rng(4)
    parameters = [(rng.uniform(1, 2, a.shape) / n_features).astype(dtype) for a in parameters]
    total, actual = run_epoch(kernel, data, parameters, 64, "softmax", update)
    expected_total, expected = run_epoch(reference, data, parameters, 64, "softmax", update)
    assert total == pytest.approx(expected_total, rel=100 * float(np.finfo(dtype).eps))
    for array, twin in zip(actual, expected, strict=True):
        assert_close(array, twin, 1 + np.abs(twin).max(), 30)  # measured: 3 at most


@pytest.mark.parametrize(
    ("kernel", "shape", "dtype", "batch_size"),
    pairs(kernels.available, SHAPES_OF_TEAMS, DTYPES, [128, 1000]),
    indirect=["kernel"],
    ids=str,
)
@pytest.mark.alone
def test_threads_change_no_bit(kernel, shape, dtype, batch_size):
    # Enough work for a team (2^22 multiply-adds), and enough minibatches for it to be judged; seven
    # threads on fewer cores are broken up in the middle of the epoch.
    n_features, n_rows, loss = shape
    n_samples = 2**22 // (n_features * n_rows) + 3001
    data, parameters = problem(dtype, n_rows, loss, n_samples=n_samples, n_features=n_features)
    once = run_epoch(kernel, data, parameters, batch_size, loss, "momentum")
    for n_threads in (2, 3, 7):
        again = run_epoch(kernel, data, parameters, batch_size, loss, "momentum", n_threads)
        assert once[0] == again[0], n_threads
        for array, twin in zip(once[1], again[1], strict=True):
            np.testing.assert_array_equal(array, twin, err_msg=f"{n_threads} threads")


@cache
def many_narrow_rows(update):
    """An epoch's arguments and what its twin makes of them."""
    data, parameters = problem(np.float64, 3, "softmax", n_samples=41_000, n_features=40)
    arguments = data, parameters, 40_000, "softmax", update
    return arguments, run_epoch(reference, *arguments)


@pytest.mark.parametrize("update", reference.UPDATES)
@pytest.mark.alone
def test_minibatches_of_many_narrow_rows(kernel, update):
    # A share of these is taken in three pieces, and the last minibatch has only a share and a bit.
    arguments, (expected_total, expected) = many_narrow_rows(update)
    for n_threads in (1, 2, 7):
        total, actual = run_epoch(kernel, *arguments, n_threads)
        assert total == pytest.approx(expected_total, rel=1e-12), n_threads
        for array, twin in zip(actual, expected, strict=True):
            np.testing.assert_allclose(
                array, twin, rtol=1e-9, atol=1e-12, err_msg=f"{n_threads} threads"
            )


@pytest.mark.parametrize(
    "gaps",
    [np.s_[:, ::-1], np.s_[:, ::2], np.s_[:, 1::-3], np.s_[::-1, ::5], np.s_[:, ::40]],
    ids=str,
)
@pytest.mark.parametrize("n_rows", [3, 70])  # narrow and wide
def test_gaps_between_items_change_no_bit(kernel, gaps, n_rows):
    data, parameters = problem(np.float32, n_rows, "softmax", n_features=400)
    X = data[0][gaps]
    parameters = [
        array[:, : X.shape[1]].copy() if array.ndim == 2 else array for array in parameters
    ]
    one, other = (
        run_epoch(kernel, (rows, *data[1:]), parameters, 32, "softmax", "momentum")
        for rows in (X, np.ascontiguousarray(X))
    )
    assert one[0] == other[0]
    for array, twin in zip(one[1], other[1], strict=True):
        np.testing.assert_array_equal(array, twin)


@pytest.mark.parametrize("n_features", [60, 1500])  # narrow and wide
@pytest.mark.alone
def test_a_team_takes_every_row_once(kernel, n_features):
    # At zero parameters that never move, every row's loss is log 2.
    data, parameters = problem(
        np.float64, 2, "softmax", n_samples=2**23 // n_features, n_features=n_features
    )
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

"""Values of fastsoftmax.functional on every build, against SciPy and worked examples.

How many ULP they are off is in test_accuracy.py, what goes in and out as memory (strides, byte
order, overlap, errors) in test_functional_arrays.py, threads in test_functional_threads.py; speed
is in bench/.
"""

import numpy as np
import pytest
import scipy.special

from fastsoftmax import functional as F

DTYPES = [np.float32, np.float64]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n_classes", [1, 2, 3, 4, 10, 16, 17, 100])
def test_scipy_agrees_at_any_number_of_rows(build, n_classes, dtype):
    for n_samples in [0, 1, 2, 15, 16, 17, 33]:
        check_by_scipy(n_samples, n_classes, dtype)


def check_by_scipy(n_samples, n_classes, dtype):
    raw = (
        np.random.default_rng(n_samples).normal(size=(n_samples, n_classes), scale=2).astype(dtype)
    )
    # Far above what test_accuracy.py allows, and far below what a wrong lane would show.
    tolerance = {"rtol": 20 * np.finfo(dtype).eps, "atol": 20 * np.finfo(dtype).eps}
    wide = raw.astype(np.longdouble)
    for name in ("softmax", "log_softmax"):
        expected = getattr(scipy.special, name)(wide, axis=1) if n_samples else wide
        np.testing.assert_allclose(getattr(F, name)(raw), expected, **tolerance)
    expected = scipy.special.logsumexp(wide, axis=1) if n_samples else wide[:, 0]
    np.testing.assert_allclose(F.logsumexp(raw), expected, **tolerance)

    if n_samples:
        y_true = np.arange(n_samples) % n_classes
        log_probability = scipy.special.log_softmax(wide, axis=1)
        expected = -log_probability[np.arange(n_samples), y_true].mean()
        assert F.cross_entropy(raw, y_true) == pytest.approx(float(expected), rel=1e-6, abs=0) or (
            n_classes == 1 and F.cross_entropy(raw, y_true) == 0
        )
        residual = np.exp(log_probability) - np.eye(n_classes)[y_true]
        gradient = F.cross_entropy_gradient(raw, y_true)
        # softmax − 1 cancels, so that the error is absolute, in places of 1.
        np.testing.assert_allclose(
            gradient, residual / n_samples, rtol=0, atol=4 * np.finfo(dtype).eps / n_samples
        )


INF, NAN = np.inf, np.nan
TINY = 1.3838965267367376e-87  # e^−200, which is 0 in float32


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("row", "softmax", "log_softmax", "logsumexp"),
    [
        ([0, -INF], [1, 0], [0, -INF], 0),
        ([-INF, -1e4], [0, 1], [-INF, 0], -1e4),
        ([-INF, -INF], [NAN, NAN], [NAN, NAN], -INF),
        ([INF, 0], [NAN, NAN], [NAN, NAN], INF),
        ([INF, INF], [NAN, NAN], [NAN, NAN], INF),
        ([INF, -INF], [NAN, NAN], [NAN, NAN], INF),
        ([NAN, 0], [NAN, NAN], [NAN, NAN], NAN),
        ([NAN, -INF], [NAN, NAN], [NAN, NAN], NAN),
        ([NAN, INF], [NAN, NAN], [NAN, NAN], NAN),
        ([INF, NAN], [NAN, NAN], [NAN, NAN], NAN),
        ([0, -200], [1, {"f": 0, "d": TINY}], [{"f": 0, "d": -TINY}, -200], {"f": 0, "d": TINY}),
    ],
)
def test_infinite_and_missing_values(build, row, softmax, log_softmax, logsumexp, dtype):
    for n_classes in (2, 5, 16, 33):
        check_special_values(row, softmax, log_softmax, logsumexp, n_classes, dtype)


def check_special_values(row, softmax, log_softmax, logsumexp, n_classes, dtype):
    def pick(values):
        return [v[np.dtype(dtype).char] if isinstance(v, dict) else v for v in values]

    # The rest of the row is −inf, which changes nothing; the two values stand at either end.
    raw = np.full((3, n_classes), -INF, dtype)
    raw[1, [0, -1]] = row
    raw[[0, 2]] = 1  # an ordinary row on both sides must not notice
    for result, values in (
        (F.softmax(raw), pick(softmax)),
        (F.log_softmax(raw), pick(log_softmax)),
    ):
        expected = np.full(n_classes, NAN if np.isnan(values[0]) else result[1, 1])
        if n_classes > 2 and not np.isnan(values[0]):
            assert result[1, 1] == (-INF if min(values) < 0 else 0)
        expected[[0, -1]] = values
        np.testing.assert_allclose(result[1], expected, rtol=1e-14 if dtype == np.float64 else 1e-6)
        assert np.isfinite(result[[0, 2]]).all()
    np.testing.assert_allclose(F.logsumexp(raw)[1], *pick([logsumexp]), rtol=1e-6)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_distance_beyond_the_range_of_the_dtype(build, dtype):
    largest = np.finfo(dtype).max
    raw = np.array([[largest, -largest, 0]], dtype)
    np.testing.assert_array_equal(F.softmax(raw), [[1, 0, 0]])
    np.testing.assert_array_equal(F.log_softmax(raw), [[0, -INF, -largest]])
    assert F.logsumexp(raw) == largest
    assert F.cross_entropy(raw, [1]) == INF


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("position", [0, 3, 4, 15, 16, 20, 31, 36])
def test_nan_is_seen_in_every_lane(build, position, dtype):
    raw = np.zeros((2, 37), dtype)
    raw[1, position] = NAN
    assert np.isnan(F.softmax(raw)[1]).all()
    assert np.isnan(F.log_softmax(raw)[1]).all()
    assert np.isnan(F.logsumexp(raw)[1])
    assert np.isnan(F.cross_entropy(raw, [5, 5]))
    assert np.isfinite(F.softmax(raw)[0]).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n_classes", [1, 2, 3, 10, 17, 33, 1000])
def test_probabilities_lie_in_0_1_and_sum_to_1_at_any_input(build, n_classes, dtype):
    rng = np.random.default_rng(n_classes)
    magnitude = 10.0 ** rng.uniform(-30, 30, (60, 1))
    probability = F.softmax((rng.normal(size=(60, n_classes)) * magnitude).astype(dtype))
    assert ((probability >= 0) & (probability <= 1)).all()
    # Half a place for each probability, and the error of the sum that was divided by.
    np.testing.assert_allclose(
        probability.sum(axis=1, dtype=np.float64),
        1,
        rtol=0,
        atol=(3 + np.sqrt(n_classes) / 2) * np.finfo(dtype).eps,
    )


# --- Cross-entropy and its gradient ---------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
def test_small_cross_entropy_keeps_its_digits(build, dtype):
    # log(1 + e^−14) is 8.3e-7: taken as log Σ − raw_y at raw_y = 1000 it would be rounding noise.
    # 1000 − 986 is exact, so that the errors of exp and log1p are all there is.
    loss = F.cross_entropy(np.array([[1000, 986]], dtype), [0])
    assert loss == pytest.approx(np.log1p(np.exp(-14)), rel=4 * float(np.finfo(dtype).eps))


@pytest.mark.parametrize("dtype", DTYPES)
def test_one_hot_targets_and_class_codes_give_the_same(build, dtype):
    raw = np.random.default_rng(0).normal(size=(2, 9, 5)).astype(dtype)
    y_true = np.arange(18).reshape(2, 9) % 5
    targets = F.one_hot(y_true, 5)
    weight = np.linspace(0, 1, 18).reshape(2, 9)
    eps = float(np.finfo(dtype).eps)
    for sample_weight in (None, weight):
        by_code = F.cross_entropy(raw, y_true, sample_weight)
        assert F.cross_entropy(raw, targets, sample_weight) == pytest.approx(by_code, rel=4 * eps)
        np.testing.assert_allclose(
            F.cross_entropy_gradient(raw, targets, sample_weight),
            F.cross_entropy_gradient(raw, y_true, sample_weight),
            rtol=0,
            atol=4 * eps,
        )


def test_probability_targets_follow_the_formula(build):
    rng = np.random.default_rng(3)
    raw, targets = rng.normal(size=(6, 4)), rng.dirichlet(np.ones(4), size=6)
    expected = -(targets * scipy.special.log_softmax(raw, axis=1)).sum(axis=1)
    assert F.cross_entropy(raw, targets) == pytest.approx(expected.mean(), rel=1e-14)
    weight = np.arange(6.0)
    assert F.cross_entropy(raw, targets, weight) == pytest.approx(
        np.average(expected, weights=weight), rel=1e-14
    )


@pytest.mark.parametrize("targets_are", ["codes", "probabilities"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n_classes", [2, 3, 10, 17])
def test_gradient_matches_finite_differences(build, n_classes, weighted, targets_are):
    rng = np.random.default_rng(n_classes)
    raw = rng.normal(size=(5, n_classes))
    y_true = rng.integers(n_classes, size=5)
    if targets_are == "probabilities":
        y_true = rng.dirichlet(np.ones(n_classes), size=5)
    weight = rng.uniform(size=5) if weighted else None
    gradient = F.cross_entropy_gradient(raw, y_true, weight)
    step = 1e-5
    for index in np.ndindex(raw.shape):
        up, down = raw.copy(), raw.copy()
        up[index] += step
        down[index] -= step
        difference = F.cross_entropy(up, y_true, weight) - F.cross_entropy(down, y_true, weight)
        # Truncation h² · L''' / 6 ≤ 2e-11 and rounding ε · L / h ≤ 1e-10.
        assert gradient[index] == pytest.approx(difference / (2 * step), abs=1e-9)


def test_infinite_raw_predictions_in_cross_entropy(build):
    raw = np.array([[0.0, -INF], [0.0, 0.0]])
    assert F.cross_entropy(raw[:1], [0]) == 0
    assert F.cross_entropy(raw[:1], [1]) == INF
    assert F.cross_entropy(raw[:1], [[1.0, 0.0]]) == 0
    assert F.cross_entropy(raw[:1], [[0.5, 0.5]]) == INF
    assert F.cross_entropy(raw, [1, 0], sample_weight=[0, 2]) == pytest.approx(np.log(2))
    np.testing.assert_array_equal(F.cross_entropy_gradient(raw[:1], [1]), [[1, -1]])


@pytest.mark.parametrize("y_true", [[0, 1], [[1.0, 0.0], [0.0, 1.0]]])
def test_a_sample_of_weight_0_counts_as_absent(build, y_true):
    raw = np.array([[2.0, 1.0], [NAN, INF]])
    assert F.cross_entropy(raw, y_true, [3, 0]) == F.cross_entropy(raw[:1], y_true[:1])
    gradient = F.cross_entropy_gradient(raw, y_true, [3, 0])
    np.testing.assert_array_equal(gradient[1], [0, 0])
    np.testing.assert_array_equal(gradient[:1], F.cross_entropy_gradient(raw[:1], y_true[:1]))


def test_weights_count_as_repetition_at_any_scale(build):
    raw = np.random.default_rng(1).normal(size=(3, 4))
    repeated = F.cross_entropy(raw[[0, 1, 1, 2, 2, 2]], [3, 1, 1, 0, 0, 0])
    for scale in (1, 1e-320, 5e307):  # of which the last overflows when summed
        weighted = F.cross_entropy(raw, [3, 1, 0], np.array([1, 2, 3]) * scale)
        assert weighted == pytest.approx(repeated, rel=1e-13 if scale != 1e-320 else 1e-3)


# --- The lecture's worked examples ----------------------------------------------------------------


def test_softmax_of_the_lecture(build):
    probability = F.softmax([2.0, 1.0, 0.1])
    assert [f"{p:.1f}" for p in probability] == ["0.7", "0.2", "0.1"]
    np.testing.assert_allclose(probability, [0.659001138, 0.242432971, 0.098565891], atol=5e-10)


def test_distances_of_the_lecture(build):
    # D(S, L) = −Σ L_i log S_i for A = S([2.0, 1.0, 0.1]) and the labels a and b.
    raw, a, b = np.array([[2.0, 1.0, 0.1]]), [[1, 0, 0]], [[0, 1, 0]]
    assert F.cross_entropy(raw, a) == pytest.approx(-np.log(0.65900113889), abs=1e-9)
    assert F.cross_entropy(raw, b) == pytest.approx(-np.log(0.24243297079), abs=1e-9)
    # The wrong label is further away by what its raw prediction is lower.
    assert F.cross_entropy(raw, b) - F.cross_entropy(raw, a) == pytest.approx(1.0, rel=1e-14)


def test_one_hot():
    np.testing.assert_array_equal(F.one_hot([0, 2, 1]), [[1, 0, 0], [0, 0, 1], [0, 1, 0]])
    assert F.one_hot([[0, 1]], 4, dtype=np.float32).shape == (1, 2, 4)
    assert F.one_hot([[0, 1]], 4, dtype=np.float32).dtype == np.float32
    np.testing.assert_array_equal(F.one_hot(1, 2), [0, 1])
    assert F.one_hot([], 3).shape == (0, 3)
    assert F.one_hot([]).shape == (0, 0)


def test_zscore_population_and_sample(build):
    values = np.array([2.0, 4, 4, 4, 5, 5, 7, 9])  # mean 5; Σ (x − 5)² = 32
    np.testing.assert_allclose(F.zscore(values), (values - 5) / 2, rtol=1e-15)
    np.testing.assert_allclose(F.zscore(values, ddof=1), (values - 5) / np.sqrt(32 / 7), rtol=1e-15)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("ddof", [0, 1])
def test_zscore_of_columns(build, ddof, dtype):
    X = np.random.default_rng(0).normal(size=(50, 7), loc=1e4).astype(dtype)
    X[:, 2] = 0.1  # whose rounded mean differs from it
    X[:, 5] = -1e30
    wide = X.astype(np.longdouble)
    deviation = wide.std(axis=0, ddof=ddof)
    deviation[[2, 5]] = 1
    expected = (wide - wide.mean(axis=0)) / deviation
    expected[:, [2, 5]] = 0
    scores = F.zscore(X, ddof)
    assert scores.dtype == dtype
    assert (scores[:, [2, 5]] == 0).all()
    # x − mean is rounded at the size of a score; the float64 mean at 1e4 is off by a place of it.
    atol = 2 * np.finfo(dtype).eps if dtype == np.float32 else 4 * np.spacing(1e4)
    np.testing.assert_allclose(scores, expected, rtol=2 * np.finfo(dtype).eps, atol=atol)


def test_zscore_of_missing_and_infinite_values(build):
    scores = F.zscore([[NAN, INF, 1.0], [1.0, 2.0, 3.0]])
    assert np.isnan(scores[:, :2]).all()
    np.testing.assert_array_equal(scores[:, 2], [-1, 1])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [1, 2, 15, 16, 17, 33, 100])
def test_momentum_is_a_series_of_past_gradients(build, size, dtype):
    # v_t = η g_t + γ η g_{t−1} + γ² η g_{t−2} + … and θ is what is left of all of these.
    gradients = np.random.default_rng(size).normal(size=(8, size)).astype(dtype)
    params, velocity = np.ones(size, dtype), np.zeros(size, dtype)
    moved = np.zeros(size)
    for t, gradient in enumerate(gradients):
        assert F.momentum_update(params, velocity, gradient, 0.1, momentum=0.9) is None
        series = sum(0.9**age * 0.1 * gradients[t - age].astype(float) for age in range(t + 1))
        moved += series
        # At most two roundings a step at the size of the terms, 0.1 · 3.5.
        np.testing.assert_allclose(velocity, series, rtol=0, atol=8 * np.finfo(dtype).eps)
    np.testing.assert_allclose(params, 1 - moved, rtol=0, atol=40 * np.finfo(dtype).eps)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [1, 16, 37])
def test_nesterov_looks_ahead(build, size, dtype):
    rng = np.random.default_rng(size)
    params, velocity, gradient = rng.normal(size=(3, size)).astype(dtype)
    after = 0.5 * velocity.astype(float) + 0.1 * gradient
    expected = params - (0.5 * after + 0.1 * gradient)
    F.momentum_update(params, velocity, gradient, 0.1, momentum=0.5, nesterov=True)
    np.testing.assert_allclose(velocity, after, rtol=0, atol=2 * np.finfo(dtype).eps)
    np.testing.assert_allclose(params, expected, rtol=0, atol=4 * np.finfo(dtype).eps)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [1, 15, 16, 17, 100])
def test_adagrad_divides_by_the_root_of_the_squares(build, size, dtype):
    gradients = np.random.default_rng(size).normal(size=(5, size)).astype(dtype)
    gradients[:, 0] = 0  # an untouched weight divides 0 by epsilon and stays
    params, accumulator = np.ones(size, dtype), np.zeros(size, dtype)
    expected, squares = np.ones(size), np.zeros(size)
    for gradient in gradients.astype(float):
        squares += gradient**2
        expected -= 0.1 * gradient / (np.sqrt(squares) + 1e-10)
        F.adagrad_update(params, accumulator, gradient.astype(dtype), 0.1)
    assert params[0] == 1
    np.testing.assert_allclose(accumulator, squares, rtol=5 * np.finfo(dtype).eps)
    np.testing.assert_allclose(params, expected, rtol=0, atol=10 * np.finfo(dtype).eps)

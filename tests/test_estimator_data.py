"""What the estimator makes of its data: layouts, dtypes, labels, weights, z-scoring.

Bad data are in test_bad_input.py.
"""

import tracemalloc

import numpy as np
import pytest
from digits import DIGITS, assert_same_fit, small_digits
from sgd import sgd_classifier

from fastsoftmax import kernels
from fastsoftmax.kernels import reference

# --- Data as they are -----------------------------------------------------------------------------


@pytest.mark.parametrize("n_classes", [2, 3, 10])
@pytest.mark.parametrize("multi_class", ["softmax", "ovr"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_shapes_and_dtypes(build, n_classes, multi_class, dtype):
    X, y = small_digits(dtype=dtype, n_classes=n_classes)
    classifier = sgd_classifier(multi_class=multi_class, random_state=0).fit(X, y)
    n_rows = 1 if n_classes == 2 else n_classes
    assert classifier.coef_.shape == (n_rows, 64)
    assert classifier.intercept_.shape == (n_rows,)
    assert classifier.coef_.dtype == classifier.intercept_.dtype == dtype
    assert classifier.loss_curve_.shape == (classifier.n_iter_,)
    raw = classifier.decision_function(X)
    assert raw.shape == ((len(X),) if n_classes == 2 else (len(X), n_classes))
    assert raw.dtype == classifier.predict_proba(X).dtype == dtype
    assert classifier.predict_log_proba(X).dtype == dtype
    assert classifier.predict_proba(X).shape == (len(X), n_classes)


def _strided(X):
    wide = np.zeros((2 * len(X), X.shape[1] + 3), X.dtype)
    wide[::2, 1:-2] = X
    return wide[::2, 1:-2]


def _read_only(X):
    X = X.copy()
    X.flags.writeable = False
    return X


LAYOUTS = {
    "strided": _strided,
    "fortran": np.asfortranarray,
    "reversed": lambda X: X[::-1, ::-1].copy()[::-1, ::-1],
    "read-only": _read_only,
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_any_layout_gives_the_same_bits(build, layout, dtype):
    X, y = small_digits(dtype=dtype)
    expected = sgd_classifier(standardize=True, random_state=0).fit(X, y)
    X_other = LAYOUTS[layout](X)
    np.testing.assert_array_equal(X_other, X)
    classifier = sgd_classifier(standardize=True, random_state=0).fit(X_other, y)
    # BLAS, which the reference calls, adds in another order where a block is in Fortran's.
    rtol = 100 * np.finfo(dtype).eps if build == "reference" else 0
    assert_same_fit(classifier, expected, rtol)
    np.testing.assert_allclose(
        classifier.predict_proba(X_other), expected.predict_proba(X), rtol=rtol, atol=rtol
    )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_kernels_get_the_array_itself(monkeypatch, layout, dtype):
    X, y = small_digits(dtype=dtype)
    X = LAYOUTS[layout](X)
    seen = []
    for name in ("epoch", "column_statistics", "predict", "predict_proba", "decision_function"):
        real = getattr(reference, name)

        def spy(given, *arguments, real=real, **named):
            seen.append(given)
            return real(given, *arguments, **named)

        monkeypatch.setattr(reference, name, spy)
    with kernels.use("reference"):
        classifier = sgd_classifier(standardize=True, max_iter=1).fit(X, y)
        classifier.partial_fit(X, y)
        for method in ("predict", "predict_proba", "decision_function"):
            getattr(classifier, method)(X)
    assert len(seen) == 7
    for given in seen:
        assert given.strides == X.strides
        assert np.shares_memory(given, X)


def test_memory_map_is_read_in_place(tmp_path, build):
    X, y = small_digits()
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    classifier = sgd_classifier(random_state=0).fit(mapped, y)
    assert_same_fit(classifier, sgd_classifier(random_state=0).fit(X, y))


@pytest.mark.alone
def test_peak_memory_is_well_below_a_copy(build):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60_000, 100)).astype(np.float32)[::2]  # 12 MB that aren't contiguous
    y = rng.integers(3, size=len(X))
    classifier = sgd_classifier(standardize=True, max_iter=1)
    classifier.fit(X[:200], y[:200])
    tracemalloc.start()
    try:
        classifier.fit(X, y).predict(X)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # The reference widens 4096 rows at a time to float64, several arrays of 3.3 MB at once.
    assert peak < (12.5e6 if build == "reference" else 0.25 * X.nbytes)


@pytest.mark.parametrize("dtype", [">f4", ">f8"])
def test_big_endian_is_converted(build, dtype):
    X, y = small_digits(dtype=np.dtype(dtype).newbyteorder("="))
    classifier = sgd_classifier(random_state=0).fit(X.astype(dtype), y)
    expected = sgd_classifier(random_state=0).fit(X, y)
    assert classifier.coef_.dtype == X.dtype
    assert_same_fit(classifier, expected)
    np.testing.assert_array_equal(classifier.predict(X.astype(dtype)), expected.predict(X))


@pytest.mark.parametrize("dtype", [np.uint16, np.int32, np.int64, np.longdouble, bool])
def test_other_numbers_become_float64(build, dtype):
    X, y = DIGITS
    X = (X[:300] > 8 if dtype is bool else X[:300]).astype(dtype)
    classifier = sgd_classifier(random_state=0, learning_rate=1e-3).fit(X, y[:300])
    expected = sgd_classifier(random_state=0, learning_rate=1e-3).fit(X.astype(float), y[:300])
    assert classifier.coef_.dtype == np.float64
    assert_same_fit(classifier, expected)
    np.testing.assert_allclose(
        classifier.decision_function(X), classifier.decision_function(X.astype(float)), rtol=1e-13
    )


@pytest.mark.parametrize("fit_dtype", ["float32", "float64"])
def test_predicts_in_the_dtype_of_coef(build, fit_dtype):
    X, y = small_digits(dtype=fit_dtype)
    classifier = sgd_classifier(random_state=0).fit(X, y)
    expected = classifier.decision_function(X)
    for dtype in ("float32", "float64"):
        raw = classifier.decision_function(X.astype(dtype))  # sixteenths are exact in both
        assert raw.dtype == fit_dtype
        np.testing.assert_array_equal(raw, expected)


LABELS = {
    "string": lambda y: np.array(["zero", "one", "two"])[y],
    "object": lambda y: np.array(["zero", "one", "two"], dtype=object)[y],
    "list": lambda y: [["zero", "one", "two"][code] for code in y],
    "negative": lambda y: y - 5,
    "float": lambda y: y * 2.0,
    "uint64": lambda y: y.astype(np.uint64) + np.uint64(2**63),
    "column": lambda y: y.astype(np.int8),
}


@pytest.mark.parametrize("kind", LABELS)
def test_label_types(build, kind):
    X, codes = small_digits(n_classes=3)
    y = LABELS[kind](codes)
    classifier = sgd_classifier(random_state=0).fit(X, y)
    np.testing.assert_array_equal(classifier.classes_, np.unique(y))
    assert classifier.classes_.dtype == np.unique(y).dtype
    assert classifier.score(X, y) > 0.95
    partial = sgd_classifier(random_state=0).partial_fit(X, y, classes=np.unique(y))
    np.testing.assert_array_equal(partial.partial_fit(X, y).classes_, classifier.classes_)


def test_bool_labels(build):
    X, y = small_digits(n_classes=2)
    classifier = sgd_classifier().fit(X, y == 1)
    assert classifier.predict(X).dtype == bool
    assert classifier.score(X, y == 1) > 0.95


# --- Weights --------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_classes", [2, 4])
@pytest.mark.parametrize("multi_class", ["softmax", "ovr"])
@pytest.mark.parametrize("standardize", [False, "population", "sample"])
def test_integer_weights_are_repetitions(build, standardize, multi_class, n_classes):
    X, y = small_digits(n_classes=n_classes)
    weight = np.random.default_rng(0).integers(0, 4, size=len(X))
    setting = {"batch_size": 10**6, "max_iter": 30, "tol": None, "learning_rate": 0.1}
    setting |= {"standardize": standardize, "multi_class": multi_class}
    weighted = sgd_classifier(**setting).fit(X, y, sample_weight=weight)
    repeated = sgd_classifier(**setting).fit(np.repeat(X, weight, axis=0), np.repeat(y, weight))
    # All rows in one batch: the same sums in another order, 30 times.
    assert_same_fit(weighted, repeated, rtol=1e-11)
    np.testing.assert_allclose(weighted.loss_curve_, repeated.loss_curve_, rtol=1e-11)
    if standardize:
        np.testing.assert_allclose(weighted.scale_, repeated.scale_, rtol=1e-12)


def test_rows_of_weight_zero_are_as_if_not_there(build):
    X, y = small_digits()
    weight = np.random.default_rng(0).integers(0, 3, size=len(X)).astype(float)
    kept = weight > 0
    for setting in ({}, {"shuffle": False}, {"solver": "adagrad"}):
        with_zeros = sgd_classifier(random_state=0, **setting).fit(X, y, sample_weight=weight)
        without = sgd_classifier(random_state=0, **setting).fit(X[kept], y[kept], weight[kept])
        assert_same_fit(with_zeros, without)
        np.testing.assert_array_equal(with_zeros.loss_curve_, without.loss_curve_)


def test_only_ratios_of_weights_matter(build):
    X, y = small_digits()
    weight = np.random.default_rng(0).exponential(size=len(X))
    one = sgd_classifier(random_state=0).fit(X, y, sample_weight=weight)
    scaled = sgd_classifier(random_state=0).fit(X, y, sample_weight=1024 * weight)
    assert_same_fit(scaled, one)  # a power of 2: exactly
    constant = sgd_classifier(random_state=0).fit(X, y, sample_weight=3.0)
    assert_same_fit(constant, sgd_classifier(random_state=0).fit(X, y))


def test_class_weight_multiplies_sample_weight(build):
    X, y = small_digits(n_classes=3)
    weight = np.random.default_rng(0).exponential(size=len(X))
    by_class = {0: 1.0, 1: 5.0, 2: 0.5}
    classifier = sgd_classifier(class_weight=by_class, random_state=0).fit(X, y, weight)
    product = weight * np.array([1.0, 5.0, 0.5])[y]
    assert_same_fit(classifier, sgd_classifier(random_state=0).fit(X, y, product))


def test_balanced_classes_weigh_the_same(build):
    X, y = small_digits(n_classes=3)
    kept = np.flatnonzero((y > 0) | (np.arange(len(y)) % 4 == 0))
    X, y = X[kept], y[kept]
    weight = np.random.default_rng(0).exponential(size=len(X))
    counts = np.bincount(y, weights=weight)
    by_class = dict(enumerate(weight.sum() / (3 * counts)))
    balanced = sgd_classifier(class_weight="balanced", random_state=0).fit(X, y, weight)
    expected = sgd_classifier(class_weight=by_class, random_state=0).fit(X, y, weight)
    assert_same_fit(balanced, expected, rtol=1e-12)


def test_a_class_without_weight_is_never_predicted(build):
    X, y = small_digits(n_classes=3)
    weight = (y != 1).astype(float)
    for class_weight in (None, "balanced"):
        classifier = sgd_classifier(class_weight=class_weight).fit(X, y, sample_weight=weight)
        np.testing.assert_array_equal(classifier.classes_, [0, 1, 2])
        assert not (classifier.predict(X) == 1).any()


# --- Standardising --------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n_classes", [2, 5])
@pytest.mark.parametrize("form", ["population", "sample"])
def test_standardize_is_training_on_z_scores(build, form, n_classes, dtype):
    X, y = small_digits(n_classes=n_classes)
    X = X * np.linspace(0.1, 50, 64) + np.linspace(-10, 10, 64)
    mean, scale = X.mean(axis=0), X.std(axis=0, ddof=form == "sample")
    scale[np.ptp(X, axis=0) == 0] = 1
    assert (np.ptp(X, axis=0) == 0).any()
    classifier = sgd_classifier(standardize=form, random_state=0).fit(X.astype(dtype), y)
    on_scores = sgd_classifier(random_state=0).fit((X - mean) / scale, y)
    rtol = 1e-12 if dtype == "float64" else 1e-6
    np.testing.assert_allclose(classifier.mean_, mean, rtol=rtol, atol=rtol)
    np.testing.assert_allclose(classifier.scale_, scale, rtol=rtol, atol=rtol)
    raw = on_scores.decision_function((X - mean) / scale)
    atol = (1e-11 if dtype == "float64" else 3e-4) * np.abs(raw).max()
    np.testing.assert_allclose(classifier.decision_function(X), raw, rtol=0, atol=atol)
    np.testing.assert_allclose(
        classifier.coef_ * scale, on_scores.coef_, atol=atol * np.abs(on_scores.coef_).max()
    )


def test_constant_features_that_round(build):
    X, y = small_digits()
    X[:, 0], X[:, 1] = 0.1, 1e8 + 0.1  # their means don't come out exact
    classifier = sgd_classifier(standardize=True, random_state=0).fit(X, y)
    np.testing.assert_array_equal(classifier.scale_[:2], 1)
    assert np.abs(classifier.coef_[:, :2]).max() < 1e-6
    assert classifier.score(X, y) > 0.9
    light = sgd_classifier(standardize=True).fit(X, y, sample_weight=np.full(len(X), 1e-9))
    np.testing.assert_array_equal(light.scale_[:2], 1)


def test_features_that_float32_cannot_divide_by_count_as_constant(build):
    X, y = small_digits(dtype=np.float32)
    X[:, 0] = np.float32(1e-40) * (np.arange(len(X)) % 2)
    classifier = sgd_classifier(standardize=True, random_state=0).fit(X, y)
    assert classifier.scale_[0] == 1
    assert classifier.score(X, y) > 0.9
    wide = sgd_classifier(standardize=True).fit(X.astype(np.float64), y)
    np.testing.assert_allclose(wide.scale_[0], 0.5e-40, rtol=1e-4)


def test_standardize_survives_a_large_offset(build):
    X, y = small_digits()
    moved = sgd_classifier(standardize=True, random_state=0).fit(X + 1e6, y)
    expected = sgd_classifier(standardize=True, random_state=0).fit(X, y)
    # 1e6 leaves sixteenths exact, so that all that differs is the rounding of the means.
    np.testing.assert_allclose(moved.coef_, expected.coef_, rtol=0, atol=1e-6)
    assert moved.score(X + 1e6, y) == expected.score(X, y)


def test_without_intercept(build):
    X, y = small_digits()
    classifier = sgd_classifier(fit_intercept=False, random_state=0).fit(X, y)
    np.testing.assert_array_equal(classifier.intercept_, 0)
    assert classifier.score(X, y) > 0.9
    centred = sgd_classifier(fit_intercept=False, standardize=True, random_state=0).fit(X, y)
    np.testing.assert_allclose(centred.intercept_, -centred.coef_ @ centred.mean_, atol=1e-14)


def test_statistics_go_when_standardize_is_off():
    X, y = small_digits()
    classifier = sgd_classifier(standardize=True).fit(X, y)
    assert hasattr(classifier, "mean_")
    classifier.set_params(standardize=False).fit(X, y)
    assert not hasattr(classifier, "mean_")
    assert not hasattr(classifier, "scale_")

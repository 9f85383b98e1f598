"""Matrices as they are: dtypes that are read in place, ``dtype=``, memory, the search for NaN.

Kernels first, then the estimator. Layouts and other dtypes are in test_estimator_data.py too.
"""

import subprocess
import sys
import warnings

import numpy as np
import pytest
import sklearn
from digits import assert_same_fit, small_digits
from pairs import BUILDS, pairs, together
from sgd import sgd_classifier
from sklearn.exceptions import NotFittedError

from fastsoftmax import kernels
from fastsoftmax.kernels import reference

try:
    from ml_dtypes import bfloat16
except ImportError:
    bfloat16 = None

needs_bfloat16 = pytest.mark.skipif(bfloat16 is None, reason="no ml_dtypes")
BFLOAT16 = pytest.param(bfloat16, marks=needs_bfloat16, id="bfloat16")
FLOATS = ["float16", BFLOAT16, "float32", "float64"]
NARROW = ["uint8", "int8", "int16", "float16", BFLOAT16, "float32"]

#: How X may lie in memory; each gives the same values behind other strides.
LAYOUTS = {
    "C": np.ascontiguousarray,
    "Fortran": np.asfortranarray,
    "part of a wider one": lambda X: np.hstack([X[:, :1], X, X[:, :1]])[:, 1:-1],
    "every second column": lambda X: np.repeat(X, 2, axis=1)[:, ::2],
    "part of a Fortran one": lambda X: np.asfortranarray(np.vstack([X[:1], X, X[:1]]))[1:-1],
    "mirrored Fortran": lambda X: np.asfortranarray(X[::-1, ::-1])[::-1, ::-1],
}


def sixteenths(dtype, n_rows=300):
    """The small digits as numbers that every dtype holds exactly: 0 to 16, or 0 to 1 for floats."""
    X, y = small_digits(n_rows)
    return (X if np.dtype(dtype).name.startswith(("float", "bfloat")) else 16 * X).astype(dtype), y


# --- stage ----------------------------------------------------------------------------------------


@needs_bfloat16
@pytest.mark.parametrize("tile_dtype", [np.float32, np.float64])
def test_stage_knows_every_bfloat16(kernel, tile_dtype):
    X = np.arange(2**16, dtype=np.uint16).view(bfloat16).reshape(256, 256)
    tile = np.empty(X.shape, tile_dtype)
    kernel.stage(X, np.arange(256), None, None, tile)
    with np.errstate(invalid="ignore"):  # of signalling NaN
        np.testing.assert_array_equal(tile, X.astype(tile_dtype))


@pytest.mark.parametrize(
    ("kernel", "tile_dtype", "layout", "dtype"),
    pairs(together(kernels.available, [np.float32, np.float64]), [*LAYOUTS], [*NARROW, "float64"]),
    indirect=["kernel"],
)
def test_stage_of_any_layout_with_and_without_z_scores(kernel, dtype, layout, tile_dtype):
    rng = np.random.default_rng(0)
    for n_rows, n_features in ((1, 5), (3, 1), (37, 131), (150, 33)):
        X = LAYOUTS[layout](rng.integers(0, 100, (n_rows, n_features)).astype(dtype))
        rows = rng.integers(n_rows, size=2 * n_rows)
        shift = rng.integers(0, 100, n_features).astype(tile_dtype)
        inverse_scale = 2.0 ** rng.integers(-3, 3, n_features).astype(tile_dtype)
        expected = np.asarray(X)[rows].astype(tile_dtype)
        tile = np.full(expected.shape, np.nan, tile_dtype)
        kernel.stage(X, rows, None, None, tile)
        np.testing.assert_array_equal(tile, expected)
        kernel.stage(X, rows, shift, inverse_scale, tile)  # exact: small integers, powers of 2
        np.testing.assert_array_equal(tile, (expected - shift) * inverse_scale)


def test_stage_of_no_rows(kernel):
    X = np.zeros((3, 4), order="F")
    kernel.stage(X, np.empty(0, np.intp), None, None, np.empty((0, 4)))


def test_other_dtypes_are_refused(kernel):
    for dtype in (np.int64, np.uint16, np.bool_, np.longdouble, "S2", object):
        with pytest.raises(TypeError, match=r"X must be uint8, .* bfloat16.* got"):
            kernel.stage(np.zeros((2, 2), dtype), np.arange(2), None, None, np.zeros((2, 2)))


# --- The search for NaN ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kernel", "dtype", "layout", "n_threads"),
    pairs(together(kernels.available, FLOATS), [*LAYOUTS], [1, 2, 7]),
    indirect=["kernel"],
)
def test_all_finite_finds_one_value_anywhere(kernel, dtype, layout, n_threads):
    for shape in ((3, 4), (2, 5000), (5000, 3), (40, 2500)):
        X = np.array(np.ones(shape), dtype)
        highest = X[:1] * float(np.finfo(np.float16).max if dtype == "float16" else 3.3e38)
        assert kernel.all_finite(LAYOUTS[layout](X), np.dtype(np.float32), n_threads)
        assert kernel.all_finite(LAYOUTS[layout](highest), np.dtype(np.float32), n_threads)
        for row, column in ((0, 0), (-1, -1), (1, 2), (shape[0] // 2, shape[1] // 2)):
            for value in (np.nan, np.inf, -np.inf):
                bad = X.copy()
                bad[row, column] = value
                bad = LAYOUTS[layout](bad)
                for computing in (np.float32, np.float64):
                    finite = kernel.all_finite(bad, np.dtype(computing), n_threads)
                    assert finite is reference.all_finite(bad, np.dtype(computing), 1) is False


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int16"])
def test_integers_are_finite(kernel, dtype):
    assert kernel.all_finite(np.full((3, 3), -1).astype(dtype), np.dtype(np.float32), 1)


def test_all_finite_asks_for_the_dtype_computed_in(kernel):
    X = np.full((4, 4), 1e39)
    assert not kernel.all_finite(X, np.dtype(np.float32), 1)
    assert kernel.all_finite(X, np.dtype(np.float64), 1)
    assert not reference.all_finite(X, np.dtype(np.float32), 1)
    with pytest.raises(TypeError, match="dtype must be float32 or float64; got float16"):
        kernel.all_finite(X, np.dtype(np.float16), 1)


@pytest.mark.parametrize("n_rows", [1, 3])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_predictions_tell_whether_x_was_finite(build, value, n_rows):
    kernel = kernels.implementation
    coef, intercept = np.zeros((n_rows, 5), np.float32), np.ones(n_rows, np.float32)
    for n_samples in (1, 63, 64, 65, 130):
        X = np.ones((n_samples, 5), np.float32)
        out = np.empty((n_samples, n_rows), np.float32)
        probability = np.empty((n_samples, max(2, n_rows)), np.float32)
        code = np.empty(n_samples, np.intp)
        loss = "logistic" if n_rows == 1 else "softmax"
        for finite in (True, False):
            if not finite:
                X[-1, 3] = value
            with np.errstate(invalid="ignore"):
                assert kernel.decision_function(X, coef, intercept, out, 2) is finite
                assert kernel.predict(X, coef, intercept, code, 2) is finite
                assert kernel.predict_proba(X, coef, intercept, probability, loss, 2) is finite


# --- The estimator: dtypes ------------------------------------------------------------------------


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", [*NARROW, "float64"])
def test_fit_reads_it_in_place(monkeypatch, dtype, layout):
    X, y = sixteenths(dtype)
    X = LAYOUTS[layout](X)
    X.flags.writeable = False
    seen = []
    for name in ("epoch", "loss_sum", "column_statistics", "all_finite", "predict"):
        real = getattr(reference, name)

        def spy(given, *arguments, real=real, **named):
            seen.append(given)
            return real(given, *arguments, **named)

        monkeypatch.setattr(reference, name, spy)
    with kernels.use("reference"):
        sgd_classifier(standardize=True, max_iter=1).fit(X, y).partial_fit(X, y).predict(X)
    assert len(seen) == 9
    for given in seen:
        assert given.strides == X.strides
        assert given.dtype == X.dtype
        assert np.shares_memory(given, X)


@pytest.mark.parametrize("standardize", [False, True])
@pytest.mark.parametrize("dtype", NARROW)
def test_narrow_dtypes_fit_as_their_float32_copy(build, dtype, standardize):
    X, y = sixteenths(dtype)
    setting = {"standardize": standardize, "learning_rate": 1e-3, "random_state": 0}
    classifier = sgd_classifier(**setting).fit(X, y)
    expected = sgd_classifier(**setting).fit(X.astype(np.float32), y)
    assert classifier.coef_.dtype == np.float32
    assert_same_fit(classifier, expected)
    for method in ("decision_function", "predict", "predict_proba", "predict_log_proba"):
        np.testing.assert_array_equal(
            getattr(classifier, method)(X), getattr(expected, method)(X.astype(np.float32))
        )


@pytest.mark.parametrize(
    ("build", "given", "x_dtype"),
    pairs(
        BUILDS,
        ["float32", np.float32, np.dtype("float32")],
        ["float64", "int64", "uint8"],
    ),
    indirect=["build"],
)
def test_dtype_float32(build, x_dtype, given):
    X, y = sixteenths(x_dtype)
    classifier = sgd_classifier(dtype=given, random_state=0).fit(X, y)
    assert classifier.coef_.dtype == classifier.predict_proba(X).dtype == np.float32
    assert_same_fit(classifier, sgd_classifier(random_state=0).fit(X.astype(np.float32), y))
    sklearn.clone(classifier).partial_fit(X, y, classes=np.unique(y))


@pytest.mark.parametrize(
    ("build", "given", "x_dtype"),
    pairs(BUILDS, ["float64", np.float64, np.dtype("float64")], NARROW),
    indirect=["build"],
)
def test_dtype_float64(build, x_dtype, given):
    X, y = sixteenths(x_dtype)
    classifier = sgd_classifier(dtype=given, random_state=0).fit(X, y)
    assert classifier.coef_.dtype == classifier.decision_function(X).dtype == np.float64
    assert_same_fit(classifier, sgd_classifier(random_state=0).fit(X.astype(np.float64), y))


def test_dtype_of_calls_that_go_on(build):
    X, y = sixteenths("float32")
    classifier = sgd_classifier(random_state=0).partial_fit(X, y, classes=np.unique(y))
    classifier.partial_fit(X.astype(np.float64), y)
    assert classifier.coef_.dtype == np.float32
    classifier.set_params(dtype="float64").partial_fit(X, y)
    assert classifier.coef_.dtype == classifier._coef_state.dtype == np.float64
    classifier.set_params(warm_start=True, dtype=None).fit(X, y)
    assert classifier.coef_.dtype == np.float32
    classifier.fit(X.astype(np.float64), y)
    assert classifier.coef_.dtype == np.float64


def test_unaligned_and_big_endian_are_copied(build):
    X, y = sixteenths("float32")
    packed = np.zeros(len(X), dtype=[("flag", "u1"), ("pixels", "f4", 64)])
    packed["pixels"] = X
    assert not packed["pixels"].flags.aligned
    expected = sgd_classifier(random_state=0).fit(X, y)
    assert_same_fit(sgd_classifier(random_state=0).fit(packed["pixels"], y), expected)
    assert_same_fit(sgd_classifier(random_state=0).fit(X.astype(">f2"), y), expected)
    np.testing.assert_array_equal(expected.predict(packed["pixels"]), expected.predict(X))
    np.testing.assert_array_equal(expected.predict(X.astype(">f2")), expected.predict(X))


@pytest.mark.parametrize("dtype", ["uint8", "float16", "float32", "float64", "Int8", "Float32"])
def test_data_frames(build, dtype):
    pandas = pytest.importorskip("pandas")
    X, y = sixteenths("uint8" if dtype.lower().endswith("int8") else "float32")
    frame = pandas.DataFrame(X, columns=[f"pixel {j}" for j in range(64)]).astype(dtype)
    setting = {"learning_rate": 1e-3, "random_state": 0, "dtype": "float32"}
    classifier = sgd_classifier(**setting).fit(frame, y)
    assert list(classifier.feature_names_in_) == list(frame.columns)
    assert_same_fit(classifier, sgd_classifier(**setting).fit(X.astype(np.float32), y))
    with pytest.warns(UserWarning, match="X does not have valid feature names"):
        expected = classifier.predict(X)
    np.testing.assert_array_equal(classifier.predict(frame), expected)
    with pytest.raises(ValueError, match="feature names should match"):
        classifier.predict(frame[frame.columns[::-1]])
    if dtype.startswith(("I", "F", "f")):
        frame.iloc[5, 3] = None if dtype[0] in "IF" else np.nan
        with pytest.raises(ValueError, match="X contains NaN in row 5, feature 3"):
            sgd_classifier().fit(frame, y)


# --- The estimator: what is not finite ------------------------------------------------------------

METHODS = ("predict", "predict_proba", "predict_log_proba", "decision_function")


@pytest.mark.parametrize(
    ("build", "value", "dtype", "layout"),
    pairs(BUILDS, [np.nan, np.inf, -np.inf], FLOATS, ["C", "Fortran"]),
    indirect=["build"],
)
def test_not_finite(build, value, dtype, layout):
    name = "NaN" if np.isnan(value) else "inf"
    X, y = sixteenths(dtype)
    classifier = sgd_classifier(max_iter=1).fit(X, y)
    two_classes = sgd_classifier(max_iter=1).fit(X, y == 3)
    X[70, 5] = value
    X = LAYOUTS[layout](X)
    calls = [getattr(model, m) for model in (classifier, two_classes) for m in METHODS]
    calls += [lambda X: classifier.fit(X, y), lambda X: classifier.partial_fit(X, y)]
    with warnings.catch_warnings(), np.errstate(invalid="ignore"):
        for call in calls:
            with pytest.raises(ValueError, match=f"X contains {name}.* in row 70, feature 5; "):
                call(X)


def test_too_large_for_the_dtype_computed_in(build):
    X, y = sixteenths("float64")
    classifier = sgd_classifier(dtype="float32", max_iter=1).fit(X, y)
    X[2, 1] = -1e39
    for call in (lambda X: classifier.fit(X, y), classifier.predict):
        with pytest.raises(ValueError, match=r"X contains -1e\+39 in row 2, .* float32; .*float64"):
            call(X)
    sgd_classifier(standardize=True, max_iter=1).fit(X, y)


def test_raw_predictions_that_overflow_are_no_error(build):
    X, y = sixteenths("float32")
    classifier = sgd_classifier(max_iter=1).fit(X, y)
    classifier.coef_[:] = 3e38
    with np.errstate(over="ignore", invalid="ignore"):
        raw_prediction = classifier.decision_function(X)
        assert classifier.predict(X).shape == y.shape
    np.testing.assert_array_equal(raw_prediction, np.finfo(np.float32).max)


def test_assume_finite_is_honoured():
    X, y = sixteenths("float32")
    classifier = sgd_classifier(max_iter=1).fit(X, y)
    X[0, 0] = np.nan
    with sklearn.config_context(assume_finite=True):
        assert np.isnan(classifier.decision_function(X)[0]).all()
    with pytest.raises(ValueError, match="X contains NaN"):
        classifier.decision_function(X)


@pytest.mark.parametrize("method", METHODS)
def test_plain_arrays_are_checked_as_others_are(build, method):
    X, y = sixteenths("float32")
    with pytest.raises(NotFittedError):
        getattr(sgd_classifier(), method)(X)
    predict = getattr(sgd_classifier(max_iter=1).fit(X, y), method)
    np.testing.assert_array_equal(predict(X[:3]), predict(X[:3].tolist()))
    with pytest.raises(ValueError, match="X has 63 features, but SoftmaxClassifier is expecting"):
        predict(X[:, 1:])
    with pytest.raises(ValueError, match="Expected 2D array, got 1D array"):
        predict(X[0])
    with pytest.raises(ValueError, match="dim 3"):
        predict(X[None])
    with pytest.raises(ValueError, match="minimum of 1 is required"):
        predict(X[:0])


# --- Memory ---------------------------------------------------------------------------------------

PEAK = """
import os, resource, sys, tracemalloc
import numpy as np
from fastsoftmax import SoftmaxClassifier

def peak():
    unit = 1 if sys.platform == "darwin" else 1024
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

n, d = 50_000, 300
for case in sys.argv[1:]:
    if os.fork():  # a peak is that of a process, and importing takes longer than fitting
        assert os.wait()[1] == 0
        continue
    dtype, order, solver, standardize = case.split()
    if dtype == "bfloat16":
        from ml_dtypes import bfloat16 as dtype
    rng = np.random.default_rng(0)
    small = rng.integers(0, 100, (1000, d)).astype(dtype)
    y = rng.integers(10, size=n)
    X = np.empty((n, d), dtype, order=order)
    for start in range(0, n, 1000):
        X[start : start + 1000] = small
    setting = dict(solver=solver, standardize=standardize == "True", max_iter=2, n_jobs=2)
    SoftmaxClassifier(**setting).fit(small, y[:1000]).predict_proba(small)  # what is loaded late
    before = peak()
    tracemalloc.start()
    model = SoftmaxClassifier(**setting).fit(X, y)
    model.predict(X)
    traced = tracemalloc.get_traced_memory()[1]
    print(traced, peak() - before, flush=True)
    os._exit(0)
"""


#: Dtype and order of X, the solver, and whether it is standardized.
PEAKS = pairs(
    together(["uint8", "float16"], ["C", "F"])
    + together(["int16", "float64"], ["C"])
    + together(["float32"], ["F"])
    + (together(["bfloat16"], ["C"]) if bfloat16 is not None else []),
    ["sgd", "auto"],
    [False, True],
)


def test_fit_and_predict_need_a_few_megabytes():
    pytest.importorskip("resource")
    cases = [case.values for case in PEAKS]
    command = [sys.executable, "-W", "ignore", "-c", PEAK]
    command += [" ".join(map(str, case)) for case in cases]
    peaks = subprocess.check_output(command, timeout=120, text=True).splitlines()
    for (dtype, *order, solver, standardize), peak in zip(cases, peaks, strict=True):
        traced, resident = map(int, peak.split())
        # Labels, codes and orders of rows: about 50 bytes a row, and the 2000 rows of which a
        # learning rate is made. X itself is 15 to 120 MB: fewer rows could hide in what the
        # preconditioner is allowed.
        itemsize = 8 if dtype == "float64" else 4
        allowed = 4e6 + 2000 * 300 * itemsize
        if solver == "auto":  # the rows that the preconditioner is made of, twice, and its matrices
            allowed += 2 * 2000 * 301 * itemsize + 3 * 301**2 * 8
        assert traced < allowed, (dtype, *order, solver, standardize)
        assert resident < allowed + 4e6, (dtype, *order, solver, standardize)

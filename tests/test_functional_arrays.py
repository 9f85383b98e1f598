"""What fastsoftmax.functional takes and gives as memory: dtypes, strides, overlap, sizes, errors.

The values themselves are held to exact answers in test_functional.py; here SciPy's, in float64,
stand for them.
"""

import os
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest
import scipy.special
from pairs import BUILDS, pairs

from fastsoftmax import functional as F
from fastsoftmax import kernels

DTYPES = [np.float32, np.float64]
ROW_FUNCTIONS = ["softmax", "log_softmax", "logsumexp"]


def _raw(shape, dtype=np.float64):
    return np.random.default_rng(0).normal(size=shape).astype(dtype)


def _expected(name, raw):
    return getattr(scipy.special, name)(np.asarray(raw, dtype=np.float64), axis=-1)


def _close(actual, expected, dtype):
    # |raw − max| stays below 6 here: some 10 places of the largest term.
    eps = np.finfo(dtype).eps
    np.testing.assert_allclose(actual, expected, rtol=10 * eps, atol=10 * eps)


def _strided(raw):
    wide = np.full((*raw.shape[:-1], 2 * raw.shape[-1]), np.nan, raw.dtype)
    wide[..., ::2] = raw
    return wide[..., ::2]


def _padded(raw):
    wide = np.full((*raw.shape[:-1], raw.shape[-1] + 3), np.nan, raw.dtype)
    wide[..., 1:-2] = raw
    return wide[..., 1:-2]


def _unaligned(raw):
    memory = np.zeros(raw.nbytes + 1, np.uint8)
    view = memory[1:].view(raw.dtype).reshape(raw.shape)
    view[...] = raw
    return view


def _read_only(raw):
    raw = raw.copy()
    raw.flags.writeable = False
    return raw


LAYOUTS = {
    "C order": lambda raw: raw,
    "Fortran order": np.asfortranarray,
    "strided last axis": _strided,
    "padded rows": _padded,
    "reversed": lambda raw: raw[..., ::-1].copy()[..., ::-1],
    "rows reversed": lambda raw: raw[::-1].copy()[::-1],
    "axes swapped": lambda raw: np.swapaxes(np.swapaxes(raw, 0, -1).copy(), 0, -1),
    "unaligned": _unaligned,
    "read-only": _read_only,
    "big-endian": lambda raw: raw.astype(raw.dtype.newbyteorder(">")),
    "subclass": lambda raw: raw.view(type("Subclass", (np.ndarray,), {})),
}
SHAPES = [(7,), (1,), (5, 7), (5, 1), (1, 5), (2, 3, 7), (2, 3, 1), (2, 1, 3, 2)]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_any_layout_in_and_out(build, layout, dtype):
    for shape in SHAPES:
        raw = LAYOUTS[layout](_raw(shape, dtype))
        before = raw.copy()
        for name in ROW_FUNCTIONS:
            expected = _expected(name, before)
            result = getattr(F, name)(raw)
            assert result.dtype == dtype
            assert result.dtype.isnative
            _close(result, expected, dtype)
            np.testing.assert_array_equal(raw, before)
            if layout != "read-only" and expected.ndim:
                out = LAYOUTS[layout](np.zeros_like(expected, dtype))
                assert getattr(F, name)(raw, out=out) is out
                _close(out, expected, dtype)

        y_true = np.zeros(shape[:-1], int)
        gradient = F.cross_entropy_gradient(raw, y_true)
        one_hot = np.arange(shape[-1]) == 0
        _close(gradient, (_expected("softmax", before) - one_hot) / max(1, y_true.size), dtype)
        assert F.cross_entropy(raw, y_true) == pytest.approx(
            -_expected("log_softmax", before)[..., 0].mean(), abs=10 * float(np.finfo(dtype).eps)
        )


@pytest.mark.parametrize("layout", [name for name in LAYOUTS if name != "read-only"])
def test_out_may_be_the_input(build, layout):
    for shape in SHAPES:
        for name in ("softmax", "log_softmax"):
            raw = LAYOUTS[layout](_raw(shape))
            expected = _expected(name, raw)
            assert getattr(F, name)(raw, out=raw) is raw
            _close(raw, expected, np.float64)
        raw = LAYOUTS[layout](_raw(shape))
        expected = F.cross_entropy_gradient(raw, np.zeros(shape[:-1], int))
        F.cross_entropy_gradient(raw, np.zeros(shape[:-1], int), out=raw)
        np.testing.assert_array_equal(raw, expected)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n_classes", [1, 2, 3, 10, 16, 17, 33, 66, 1001])
def test_in_place_gives_the_same_bits(build, n_classes, dtype):
    raw, y_true = _raw((35, n_classes), dtype), np.arange(35) % n_classes
    for function in (
        F.softmax,
        F.log_softmax,
        lambda a, **to: F.cross_entropy_gradient(a, y_true, **to),
    ):
        work = raw.copy()
        function(work, out=work)
        np.testing.assert_array_equal(work, function(raw))


@pytest.mark.parametrize("shift", [1, 3, 7, 8, 16])
@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_out_may_overlap_the_input(build, name, shift):
    for up in (True, False):
        memory = _raw(6 * 7 + shift)
        first, second = memory[: 6 * 7].reshape(6, 7), memory[shift:].reshape(6, 7)
        raw, out = (first, second) if up else (second, first)
        expected = _expected(name, raw)
        getattr(F, name)(raw, out=out)
        _close(out, expected, np.float64)

    square = _raw((7, 7))
    expected = _expected(name, square)
    getattr(F, name)(square, out=square.T)
    _close(square.T, expected, np.float64)


def test_logsumexp_and_gradient_may_overwrite_what_they_read(build):
    raw = _raw((5, 5))
    expected = _expected("logsumexp", raw)
    F.logsumexp(raw, out=raw[0])
    _close(raw[0], expected, np.float64)

    raw, targets = _raw((4, 3)), F.one_hot([0, 1, 2, 0])
    expected = F.cross_entropy_gradient(raw, targets)
    F.cross_entropy_gradient(raw, targets, out=targets)
    np.testing.assert_array_equal(targets, expected)


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_neighbours_of_out_are_left_alone(build, name):
    for n_classes in (1, 3, 8, 10, 16, 17, 33):
        wide = np.full((9, n_classes + 2), 7.0, np.float32)
        getattr(F, name)(_raw((9, n_classes), np.float32), out=wide[:, 1:-1])
        assert (wide[:, [0, -1]] == 7).all()


GUARDED = """
import ctypes, mmap, sys
import numpy as np
from fastsoftmax import functional as F

# Two pages, of which the second must not be touched, with an array at the very end of the first.
memory = mmap.mmap(-1, 2 * mmap.PAGESIZE)
address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
protect = ctypes.CDLL(None, use_errno=True).mprotect
protect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
assert protect(address + mmap.PAGESIZE, mmap.PAGESIZE, 0) == 0

def at_the_end(array):
    start = mmap.PAGESIZE - array.nbytes
    placed = np.frombuffer(memory, array.dtype, array.size, start).reshape(array.shape)
    placed[:] = array
    return placed

for dtype in (np.float32, np.float64):
    for n_classes in (1, 2, 3, 4, 5, 9, 10, 15, 16, 17, 18, 31, 33):
        for n_samples in (1, 2, 7, 8, 15):
            raw = np.random.default_rng(0).normal(size=(n_samples, n_classes)).astype(dtype)
            y_true = np.zeros(n_samples, int)
            expected = F.softmax(raw), F.logsumexp(raw), F.cross_entropy(raw, y_true)
            placed = at_the_end(raw)
            assert (F.logsumexp(placed) == expected[1]).all()
            assert F.cross_entropy(placed, y_true) == expected[2]
            assert (F.softmax(placed, out=placed) == expected[0]).all()
            repeated = np.broadcast_to(at_the_end(raw[0]), (80, n_classes))
            assert (F.softmax(repeated) == expected[0][0]).all()
print("untouched")
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="protects memory as Linux does")
def test_nothing_is_read_or_written_beyond_an_array(build):
    result = subprocess.run(
        [sys.executable, "-c", GUARDED],
        env={**os.environ, "FASTSOFTMAX_ISA": build},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.stdout.strip() == "untouched", (result.returncode, result.stderr)


@pytest.mark.alone
def test_a_strided_input_is_worked_on_in_out(build):
    if build == "reference":
        pytest.skip("the reference is free to allocate")
    raw = _raw((1000, 200)).T
    out = np.empty(raw.shape)
    tracemalloc.start()
    try:
        F.softmax(raw, out=out)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < out.nbytes / 20


@pytest.mark.parametrize(
    ("given", "result"),
    [
        ([[1, 2], [3, 4]], np.float64),
        ([[1.5, 2], [3, 4]], np.float64),
        (np.array([[1, 2]], np.uint8), np.float64),
        (np.array([[1, 2]], np.int64), np.float64),
        (np.array([[True, False]]), np.float64),
        (np.array([[1, 2]], np.float16), np.float16),
        (np.array([[1, 2]], ">f2"), np.float16),
    ],
)
def test_other_dtypes(build, given, result):
    # float16 is computed in float32, so that only its own rounding is left; the others are held to
    # a few ULP in test_accuracy.py.
    for name in ROW_FUNCTIONS:
        values = getattr(F, name)(given)
        assert values.dtype == result
        np.testing.assert_allclose(values, _expected(name, given), rtol=3 * np.finfo(result).eps)
        out = np.zeros(values.shape, result)
        assert getattr(F, name)(given, out=out) is out
        np.testing.assert_array_equal(out, values)
    y_true = [0] * len(given)
    assert F.cross_entropy_gradient(given, y_true).dtype == result
    assert F.zscore(given).dtype == result
    assert type(F.cross_entropy(given, y_true)) is float


def test_float16_beyond_its_range_becomes_infinite(build):
    raw = np.full((1, 100), 65500, np.float16)  # + log 100 rounds to 65504 or above it
    assert F.logsumexp(raw) >= 65504
    assert F.log_softmax(np.array([[6e4, -6e4]], np.float16))[0, 1] == -np.inf


def test_one_dimension_gives_a_scalar(build):
    raw = _raw(5, np.float32)
    assert type(F.logsumexp(raw)) is np.float32
    assert type(F.logsumexp(raw.astype(np.float16))) is np.float16
    assert F.cross_entropy(raw, 2) == pytest.approx(-_expected("log_softmax", raw)[2], rel=1e-6)
    assert F.cross_entropy_gradient(raw, 2).shape == (5,)
    out = np.zeros((), np.float32)
    assert F.logsumexp(raw, out=out) is out


@pytest.mark.parametrize("dtype", DTYPES)
def test_empty_arrays(build, dtype):
    for shape in [(0, 3), (3, 0), (0, 0), (0,), (2, 0, 3), (0, 3, 2), (2, 3, 0)]:
        raw = np.empty(shape, dtype)
        assert F.softmax(raw).shape == F.log_softmax(raw).shape == shape
        np.testing.assert_array_equal(F.logsumexp(raw), np.full(shape[:-1], -np.inf))
    raw = np.empty((0, 3), dtype)
    assert F.cross_entropy_gradient(raw, []).shape == (0, 3)
    assert F.cross_entropy_gradient(raw, raw, []).shape == (0, 3)
    for y_true, weight in (([], None), (raw, None), ([], [])):
        with pytest.warns(RuntimeWarning, match="Mean of empty slice|invalid value"):
            assert np.isnan(F.cross_entropy(raw, y_true, weight))
    assert F.zscore(raw).shape == (0, 3)
    assert F.zscore(np.empty((3, 0), dtype)).shape == (3, 0)
    nothing = np.empty(0, dtype)
    F.momentum_update(nothing, nothing.copy(), nothing.copy(), 0.1)
    F.adagrad_update(nothing, nothing.copy(), nothing.copy(), 0.1)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_zscore_takes_any_layout(build, layout, dtype):
    for shape in [(9,), (9, 4), (9, 1), (1, 4)]:
        X = _raw(shape, dtype)
        deviation = X.astype(float).std(axis=0)
        expected = (X - X.astype(float).mean(axis=0)) / np.where(deviation == 0, 1, deviation)
        _close(F.zscore(LAYOUTS[layout](X)), expected, dtype)


UPDATES = {
    "momentum_update": lambda params, state, gradient: F.momentum_update(
        params, state, gradient, 0.1, 0.5
    ),
    "adagrad_update": lambda params, state, gradient: F.adagrad_update(
        params, state, gradient, 0.1
    ),
}


def _updated(name, params, state, gradient):
    params, state, gradient = (np.array(a, np.float64) for a in (params, state, gradient))
    if name == "momentum_update":
        state = 0.5 * state + 0.1 * gradient
        return params - state, state
    state = state + gradient**2
    return params - 0.1 * gradient / (np.sqrt(state) + 1e-10), state


@pytest.mark.parametrize("layout", [name for name in LAYOUTS if name != "read-only"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", UPDATES)
def test_updates_take_any_layout(build, name, layout, dtype):
    for shape in [*SHAPES, ()]:
        if not shape and layout != "C order":
            continue
        arrays = np.abs(_raw((3, *shape), dtype))
        expected = _updated(name, *arrays)
        params, state, gradient = (LAYOUTS[layout](np.array(array)) for array in arrays)
        assert UPDATES[name](params, state, gradient) is None
        _close(params, expected[0], dtype)
        _close(state, expected[1], dtype)


@pytest.mark.parametrize("name", UPDATES)
def test_updates_may_share_the_gradient_and_interleave(build, name):
    for shared in (0, 1):
        arrays = list(np.abs(_raw((3, 20))))
        arrays[2] = arrays[shared]
        expected = _updated(name, *arrays)
        UPDATES[name](*arrays)
        _close(arrays[1 - shared], expected[1 - shared], np.float64)
        _close(arrays[shared], expected[shared], np.float64)
    both = np.abs(_raw((20, 2)))
    expected = _updated(name, both[:, 0], both[:, 1], np.ones(20))
    UPDATES[name](both[:, 0], both[:, 1], np.ones(20))
    _close(both, np.transpose(expected), np.float64)


# --- What is refused ------------------------------------------------------------------------------

RAW = np.zeros((4, 3))
READ_ONLY = _read_only(RAW)


@pytest.mark.parametrize("name", [*ROW_FUNCTIONS, "cross_entropy_gradient"])
@pytest.mark.parametrize(
    ("raw", "error", "message"),
    [
        (1.0, ValueError, "raw_prediction must have at least 1 dimension; got a scalar"),
        (RAW.astype(complex), TypeError, "raw_prediction must be float16.*; got complex128"),
        (RAW.astype(np.longdouble), TypeError, "raw_prediction must be float16.*; got"),
        (RAW.astype(object), TypeError, "raw_prediction must be float16.*; got object"),
        (RAW.astype(str), TypeError, "raw_prediction must be float16.*; got <U"),
    ],
)
def test_raw_predictions_refused(name, raw, error, message):
    arguments = (np.zeros(4, int),) if name == "cross_entropy_gradient" else ()
    with pytest.raises(error, match=message):
        getattr(F, name)(raw, *arguments)


@pytest.mark.parametrize("name", [*ROW_FUNCTIONS, "cross_entropy_gradient"])
def test_out_refused(name):
    arguments = (np.zeros(4, int),) if name == "cross_entropy_gradient" else ()
    good = np.zeros(4) if name == "logsumexp" else np.zeros((4, 3))
    read_only = _read_only(good)
    for out, error, message in [
        (good.tolist(), TypeError, "out must be an ndarray; got list"),
        (np.zeros((3, 4)), ValueError, r"out must have shape \(4.*\); got \(3, 4\)"),
        (good.astype("f"), TypeError, "out must have dtype float64; got float32"),
        (good.astype(int), TypeError, "out must have dtype float64; got int64"),
        (read_only, ValueError, "out must be writeable; got a read-only array"),
    ]:
        with pytest.raises(error, match=message):
            getattr(F, name)(RAW, *arguments, out=out)
    with pytest.raises(ValueError, match="out must be writeable"):
        F.softmax(READ_ONLY, out=READ_ONLY)


@pytest.mark.parametrize("function", [F.cross_entropy, F.cross_entropy_gradient])
@pytest.mark.parametrize(
    ("y_true", "error", "message"),
    [
        ([0, 1, 2, 3], ValueError, r"y_true must hold class codes in \[0, 3\); got 3"),
        ([0, -1, 2, 1], ValueError, r"y_true must hold class codes in \[0, 3\); got -1"),
        ([0, 2**32, 2, 1], ValueError, r"codes in \[0, 3\); got 4294967296"),
        ([0.0, 1, 2, 1], TypeError, "y_true must hold integer class codes; got dtype float64"),
        (list("abca"), TypeError, "y_true must hold integer class codes; got dtype <U1"),
        ([0, 1], ValueError, r"y_true must have shape \(4,\).*or \(4, 3\).*; got \(2,\)"),
        (1, ValueError, r"y_true must have shape \(4,\).*; got \(\)"),
        (np.full((4, 3), 0.3), ValueError, "y_true must sum to 1 .*; got 0.9"),
        (np.full((4, 3), np.nan), ValueError, r"probabilities in \[0, 1\]; got nan"),
        (np.tile([-0.5, 0.5, 1], (4, 1)), ValueError, r"probabilities in \[0, 1\]; got -0.5"),
        (np.full((4, 3), "a"), TypeError, "y_true must be float16"),
    ],
)
def test_y_true_refused(function, y_true, error, message):
    with pytest.raises(error, match=message):
        function(RAW, y_true)


@pytest.mark.parametrize("function", [F.cross_entropy, F.cross_entropy_gradient])
@pytest.mark.parametrize(
    ("weight", "error", "message"),
    [
        ([1, 1, -1, 1], ValueError, "sample_weight must be finite and at least 0; got -1.0"),
        ([1, np.nan, 1, 1], ValueError, "sample_weight must be finite .*; got nan"),
        ([1, np.inf, 1, 1], ValueError, "sample_weight must be finite .*; got inf"),
        ([0, 0, 0, 0], ValueError, "sample_weight must have a positive sum; got only zeros"),
        ([1, 1], ValueError, r"sample_weight must have shape \(4,\); got \(2,\)"),
        (1.0, ValueError, r"sample_weight must have shape \(4,\); got \(\)"),
        (list("abcd"), TypeError, "sample_weight must be float16"),
    ],
)
def test_sample_weight_refused(function, weight, error, message):
    with pytest.raises(error, match=message):
        function(RAW, [0, 1, 2, 0], weight)


@pytest.mark.parametrize("dtype", [np.int32, np.int64, np.uint8, np.int16])
@pytest.mark.parametrize("wrong", [3, 5, 127, -1])
def test_codes_out_of_range_leave_out_as_it_was(build, wrong, dtype):
    if wrong < 0 and dtype == np.uint8:
        pytest.skip("it has no negative numbers")
    raw, out = np.zeros((5000, 3)), np.full((5000, 3), 7.0)
    y_true = np.zeros(5000, dtype)
    y_true[4321] = wrong
    message = rf"y_true must hold class codes in \[0, 3\); got {wrong}"
    with pytest.raises(ValueError, match=message):
        F.cross_entropy(raw, y_true)
    with pytest.raises(ValueError, match=message):
        F.cross_entropy_gradient(raw, y_true, out=out)
    assert (out == 7).all()


def test_no_classes_refused():
    with pytest.raises(ValueError, match=r"class codes in \[0, 0\); got 0"):
        F.cross_entropy(np.empty((1, 0)), [0])
    with pytest.raises(ValueError, match="y_true must sum to 1"):
        F.cross_entropy(np.empty((1, 0)), np.empty((1, 0)))


DEGENERATE = [
    *[(0,), (1,), (0, 0), (0, 1), (0, 3), (1, 0), (3, 0), (1, 1), (3, 1)],
    *[(0, 0, 0), (2, 0, 3), (2, 3, 0), (0, 2, 3), (0, 2, 0), (2, 1, 1)],
]
ANY_DTYPE = [np.float16, np.float32, np.float64, np.int64, np.uint8, bool, ">f8"]


@pytest.mark.parametrize(
    ("build", "shape", "dtype"),
    pairs(BUILDS, DEGENERATE, ANY_DTYPE),
    indirect=["build"],
    ids=str,
)
def test_no_rows_no_classes_one_class(build, shape, dtype):
    raw, of_rows = np.zeros(shape, dtype), shape[:-1]
    real = np.dtype(dtype).newbyteorder("=") if np.dtype(dtype).kind == "f" else np.float64
    for name, value in (("softmax", 1), ("log_softmax", 0)):
        result, out = getattr(F, name)(raw), np.empty(shape, real)
        assert getattr(F, name)(raw, out=out) is out
        for array in (result, out):
            assert array.dtype == real
            np.testing.assert_array_equal(array, np.full(shape, value), strict=False)
    log_sum, out = F.logsumexp(raw), np.empty(of_rows, real)
    assert F.logsumexp(raw, out=out) is out
    for array in (log_sum, out):
        np.testing.assert_array_equal(array, np.full(of_rows, 0.0 if shape[-1] else -np.inf))

    codes, weight = np.zeros(of_rows, int), np.ones(of_rows)
    n_samples = codes.size
    arguments = {
        "codes": (codes,),
        "narrow codes": (codes.astype(np.int32),),
        "probabilities": (np.ones(shape),),
        "weights": (codes, weight),
        "probabilities and weights": (np.ones(shape), weight),
    }
    for y_true in arguments.values():
        if n_samples and not shape[-1]:
            for function in (F.cross_entropy, F.cross_entropy_gradient):
                with pytest.raises(ValueError, match=r"class codes in \[0, 0\)|must sum to 1"):
                    function(raw, *y_true)
            continue
        out = np.full(shape, np.nan, real)
        assert F.cross_entropy_gradient(raw, *y_true, out=out) is out
        np.testing.assert_array_equal(out, np.zeros(shape))
        assert F.cross_entropy_gradient(raw, *y_true).shape == shape
        if n_samples:
            assert F.cross_entropy(raw, *y_true) == 0
            continue
        with pytest.warns(RuntimeWarning) as caught:  # as np.mean of nothing
            assert np.isnan(F.cross_entropy(raw, *y_true))
        assert "Mean of empty slice" in str(caught[0].message)


@pytest.mark.parametrize("shape", DEGENERATE, ids=str)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_one_hot_zscore_and_updates_of_next_to_nothing(build, shape, dtype):
    assert F.one_hot(np.zeros(shape, int)).shape == (*shape, 0 if 0 in shape else 1)
    assert F.one_hot(np.zeros(shape, int), 4).sum() == np.prod(shape)
    if len(shape) < 3:
        scores = F.zscore(np.ones(shape, dtype))
        assert scores.dtype == dtype
        np.testing.assert_array_equal(scores, np.zeros(shape))
    params, state, gradient = np.ones((3, *shape), dtype)
    F.momentum_update(params, state, gradient, 0.5)
    np.testing.assert_allclose(params, 1 - (0.9 + 0.5), rtol=1e-6)
    F.adagrad_update(params, state, gradient, 0.0)
    np.testing.assert_allclose(state, 2.4, rtol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (([0, 3], 3), ValueError, r"y_true must hold class codes in \[0, 3\); got 3"),
        (([0, -1],), ValueError, r"y_true must hold class codes in \[0, 1\); got -1"),
        (([0.0, 1.0],), TypeError, "y_true must hold integer class codes; got dtype float64"),
        (([0, 1], -1), ValueError, "n_classes must be at least 0; got -1"),
        (([0, 1], 2.5), TypeError, "n_classes must be an integer or None; got 2.5"),
    ],
)
def test_one_hot_refuses(arguments, error, message):
    with pytest.raises(error, match=message):
        F.one_hot(*arguments)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((RAW, 4), ValueError, r"ddof must be in \[0, n_samples=4\); got 4"),
        ((RAW, -1), ValueError, r"ddof must be in \[0, n_samples=4\); got -1"),
        ((RAW, 0.5), TypeError, "ddof must be an integer; got 0.5"),
        ((1.0,), ValueError, "X must have 1 or 2 dimensions; got 0"),
        ((np.zeros((2, 2, 2)),), ValueError, "X must have 1 or 2 dimensions; got 3"),
        ((np.array([["a"]]),), TypeError, "X must be float16"),
    ],
)
def test_zscore_refuses(arguments, error, message):
    with pytest.raises(error, match=message):
        F.zscore(*arguments)


@pytest.mark.parametrize("function", [F.momentum_update, F.adagrad_update])
def test_updates_refuse(function):
    state = "velocity" if function is F.momentum_update else "accumulator"
    good = [np.zeros((2, 3)) for _ in range(3)]
    for position, name in enumerate(["params", state, "gradient"]):
        for bad, error, message in [
            (good[0].tolist(), TypeError, f"{name} must be an ndarray; got list"),
            (np.zeros((2, 3), int), TypeError, f"{name} must be float32 or float64; got int64"),
            (np.zeros((2, 3), "f2"), TypeError, f"{name} must be float32 or float64; got float16"),
        ]:
            arrays = [bad if i == position else array for i, array in enumerate(good)]
            with pytest.raises(error, match=message):
                function(*arrays, 0.1)
        if position:
            arrays = list(good)
            arrays[position] = np.zeros((3, 2))
            message = rf"{name} must have params' shape \(2, 3\); got \(3, 2\)"
            with pytest.raises(ValueError, match=message):
                function(*arrays, 0.1)
            arrays[position] = np.zeros((2, 3), "f")
            message = f"{name} must have params' dtype float64; got float32"
            with pytest.raises(TypeError, match=message):
                function(*arrays, 0.1)
        if position < 2:
            arrays = list(good)
            arrays[position] = _read_only(good[0])
            with pytest.raises(ValueError, match=f"{name} must be writeable; got a read-only"):
                function(*arrays, 0.1)
    with pytest.raises(ValueError, match=f"{state} must not share memory with params"):
        function(good[0], good[0], good[2], 0.1)
    for rate in (-0.1, np.nan, np.inf):
        with pytest.raises(ValueError, match=rf"learning_rate must be in \[0, inf\); got {rate}"):
            function(*good, rate)
    with pytest.raises(TypeError, match=r"learning_rate must be a real number; got .0\.1."):
        function(*good, "0.1")


def test_parameters_of_the_updates_refused():
    arrays = [np.zeros(2) for _ in range(3)]
    for momentum in (-0.1, 1, np.nan):
        with pytest.raises(ValueError, match=rf"momentum must be in \[0, 1\); got {momentum}"):
            F.momentum_update(*arrays, 0.1, momentum=momentum)
    for epsilon in (0, -1, np.inf):
        with pytest.raises(ValueError, match=rf"epsilon must be in \(0, inf\); got {epsilon}"):
            F.adagrad_update(*arrays, 0.1, epsilon=epsilon)


def test_import_needs_numpy_alone():
    code = (
        "import sys, fastsoftmax.functional as F; F.softmax([1.0, 2.0]);"
        "print([m for m in ('sklearn', 'scipy', 'joblib', 'matplotlib') if m in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"


def test_kernels_are_looked_up_at_each_call(monkeypatch):
    class Spy:
        @staticmethod
        def softmax(raw_prediction, out, n_threads):
            out[:] = 42

    monkeypatch.setattr(kernels, "implementation", Spy)
    assert (F.softmax(RAW) == 42).all()

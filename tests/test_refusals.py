"""What every kernel refuses, called directly: the same on every build and on the reference.

A call that is right is spoilt in one argument. The error must name it, be of the kind that the
reference gives, and come before anything is written. That right calls give right results is tested
elsewhere.
"""

import numpy as np
import pytest
from pairs import BUILDS, pairs

from fastsoftmax import kernels
from fastsoftmax.kernels.reference import N_KEPT

N, D, K = 12, 5, 3


def _parameters(dtype):
    return {
        "coef_inplace": np.full((K, D), 0.1, dtype),
        "intercept_inplace": np.zeros(K, dtype),
        "coef_state_inplace": np.zeros((K, D), dtype),
        "intercept_state_inplace": np.zeros(K, dtype),
    }


def _model(dtype):
    return {"coef": np.full((K, D), 0.1, dtype), "intercept": np.zeros(K, dtype)}


def _scaling(dtype):
    return {"shift": np.full(D, 0.5, dtype), "inverse_scale": np.full(D, 2, dtype)}


def _dense():
    return {"X": np.arange(N * D, dtype=np.float32).reshape(N, D) / (N * D)}


def _sparse():
    X = np.arange(N * 2, dtype=np.float32) / N
    return {
        "data": X,
        "indices": np.tile(np.array([1, 4], np.int32), N),
        "indptr": np.arange(0, 2 * N + 1, 2, dtype=np.int32),
    }


def _targets(dtype):
    return {
        "rows": np.arange(N)[::-1].copy(),
        "y_true": np.arange(N, dtype=np.int32) % K,
        "sample_weight": np.ones(N, dtype),
        "loss": "softmax",
        "n_threads": 1,
    }


def _steps():
    return {
        "learning_rates": np.full(3, 0.1),
        "batch_size": 5,
        "update": "momentum",
        "momentum": 0.9,
        "alpha": 0.1,
        "fit_intercept": True,
    }


def _likeliest(dtype):
    """Each row's own class alone."""
    kept, probability = np.zeros((N, N_KEPT), np.int32), np.zeros((N, N_KEPT), dtype)
    kept[:, 0], probability[:, 0] = np.arange(N) % K, 0.5
    return {"kept": kept, "probability": probability}


def _outputs(dtype):
    return {
        "decision_function": {"raw_prediction_out": np.zeros((N, K), dtype)},
        "predict_proba": {"probability_out": np.zeros((N, K), dtype), "loss": "softmax"},
        "predict": {"code_out": np.zeros(N, np.intp)},
    }


def calls(dtype):
    """Arguments of one right call of each kernel, by its name."""
    raw = {"raw_prediction": np.ones((N, K), dtype), "n_threads": 1}
    codes = {"y_true": np.arange(N) % K}
    by_class = {
        "raw_prediction_inplace": np.ones((K, N), dtype),
        "y_true": np.arange(N, dtype=np.int32) % K,
        "weight": np.ones(N, dtype),
        "loss_out": np.zeros(N, dtype),
    }
    statistics = {
        "sample_weight": np.ones(N),
        "mean_out": np.zeros(D),
        "squares_out": np.zeros(D),
        "n_threads": 1,
    }
    no_rows = {name: value for name, value in _targets(dtype).items() if name != "rows"}
    step = {"params_inplace": np.ones(D, dtype), "gradient": np.ones(D, dtype)}
    found = {
        "stage": {
            **_dense(),
            "rows": np.arange(4),
            **_scaling(dtype),
            "tile_out": np.zeros((4, D), dtype),
        },
        "forward": {
            "tile": np.ones((N, D), dtype),
            **_model(dtype),
            "raw_prediction_out": np.zeros((K, N), dtype),
        },
        "softmax_gradient": by_class,
        "logistic_gradient": by_class,
        "backward_update": {
            "tile": np.ones((N, D), dtype),
            "gradient": np.ones((K, N), dtype),
            **_parameters(dtype),
            "learning_rate": 0.1,
            "momentum": 0.9,
            "alpha": 0.1,
            "update": "momentum",
        },
        "epoch": _dense() | _scaling(dtype) | _targets(dtype) | _parameters(dtype) | _steps(),
        "loss_gradient": {
            **_dense(),
            **_scaling(dtype),
            **_targets(dtype),
            **_model(dtype),
            "coef_gradient_out": np.zeros((K, D), dtype),
            "intercept_gradient_out": np.zeros(K, dtype),
            "fit_intercept": True,
            **{f"{name}_out": value for name, value in _likeliest(dtype).items()},
        },
        "loss_sum": _dense() | _scaling(dtype) | _targets(dtype) | _model(dtype),
        "hessian_product": {
            **_dense(),
            **_scaling(dtype),
            **{name: value for name, value in _targets(dtype).items() if name != "y_true"},
            **_model(dtype),
            "probability": np.full((K, N), 1 / K, dtype),
            "coef_out": np.zeros((K, D), dtype),
            "intercept_out": np.zeros(K, dtype),
            "fit_intercept": True,
        },
        "restricted_loss_gradient": {
            **_dense(),
            **_scaling(dtype),
            "rows": np.arange(N)[::-1].copy(),
            "sample_weight": np.ones(N, dtype),
            **_likeliest(dtype),
            **_model(dtype),
            "coef_gradient_out": np.zeros((K, D), dtype),
            "intercept_gradient_out": np.zeros(K, dtype),
            "n_threads": 1,
        },
        "column_statistics": _dense() | statistics,
        "all_finite": {**_dense(), "dtype": np.dtype(dtype), "n_threads": 1},
        "sparse_epoch": {
            **_sparse(),
            **_targets(dtype),
            "inverse_scale": np.ones(D, dtype),
            **_parameters(dtype),
            **_steps(),
        },
        "sparse_loss_sum": _sparse() | _scaling(dtype) | _targets(dtype) | _model(dtype),
        "sparse_loss_gradient": {
            **_sparse(),
            **_scaling(dtype),
            **no_rows,
            **_model(dtype),
            "coef_gradient_out": np.zeros((K, D), dtype),
            "intercept_gradient_out": np.zeros(K, dtype),
        },
        "sparse_column_statistics": _sparse() | statistics,
        "check_csr": {
            "indices": _sparse()["indices"],
            "indptr": _sparse()["indptr"],
            "n_values": 2 * N,
            "n_features": D,
        },
        "softmax": raw | {"out": np.zeros((N, K), dtype)},
        "log_softmax": raw | {"out": np.zeros((N, K), dtype)},
        "logsumexp": raw | {"out": np.zeros(N, dtype)},
        "cross_entropy": raw | codes | {"loss_out": np.zeros(N, dtype)},
        "cross_entropy_gradient": {
            **raw,
            **codes,
            "weight": np.ones(N, dtype),
            "out": np.zeros((N, K), dtype),
        },
        "exp": {"values": np.ones(D, dtype), "out": np.zeros(D, dtype)},
        "log1p": {"values": np.ones(D, dtype), "out": np.zeros(D, dtype)},
        "momentum_update": {
            **step,
            "velocity_inplace": np.ones(D, dtype),
            "learning_rate": 0.1,
            "momentum": 0.9,
            "nesterov": True,
        },
        "adagrad_update": {
            **step,
            "accumulator_inplace": np.ones(D, dtype),
            "learning_rate": 0.1,
            "epsilon": 1e-10,
        },
    }
    for name, out in _outputs(dtype).items():
        found[name] = _dense() | _model(dtype) | out | {"n_threads": 1}
        found[f"sparse_{name}"] = _sparse() | _model(dtype) | out | {"n_threads": 1}
    return found


KERNELS = list(calls(np.float32))

#: Arrays that may be None, in which kernels.
OPTIONAL = {
    "sample_weight": [True],
    "weight": ["cross_entropy_gradient"],
    "inverse_scale": ["sparse_epoch"],
    "shift": ["sparse_loss_sum", "sparse_loss_gradient"],
}
#: Arrays of which another length is another problem, whose other arrays are then wrong.
ANY_LENGTH = {
    *("X", "raw_prediction", "tile", "values", "data", "indices", "indptr", "rows"),
    *("coef", "coef_inplace", "raw_prediction_inplace", "params_inplace", "mean_out"),
}


def _unaligned(array):
    memory = np.zeros(array.nbytes + 1, np.uint8)
    view = memory[1:].view(array.dtype).reshape(array.shape)
    view[...] = array
    return view


def _strided(array):
    wide = np.repeat(array, 2, axis=-1)
    wide[..., 1::2] = 0
    return wide[..., ::2]


def _read_only(array):
    array = array.copy()
    array.flags.writeable = False
    return array


def spoilt_arrays(kernel, name, array):
    """Ways to spoil an array, each with the error that it is to give."""
    may_be_none = OPTIONAL.get(name, [])
    if True not in may_be_none and kernel not in may_be_none:
        yield "None", None, TypeError
    yield "a list", array.tolist(), TypeError
    yield "a scalar", np.array(array.ravel()[0]), (TypeError, ValueError)
    yield "an axis more", array[None], (TypeError, ValueError)
    yield "complex", array.astype(complex), TypeError
    yield "text", array.astype(str), TypeError
    yield "swapped bytes", array.astype(array.dtype.newbyteorder()), TypeError
    if array.dtype.itemsize > 1:
        yield "unaligned", _unaligned(array), TypeError
    if name != "X":
        yield "gaps", _strided(array), TypeError
    if name not in ANY_LENGTH:
        yield "too short", array[:-1], ValueError
        yield "too long", np.concatenate([array, array[-1:]]), ValueError
    if name.endswith(("out", "inplace")):
        yield "read-only", _read_only(array), ValueError


def spoilt_numbers(name, value):
    """Ways to spoil what is no float."""
    if name in ("n_threads", "batch_size", "n_values", "n_features"):
        yield "None", None, TypeError
        yield "text", "1", TypeError
        yield "a fraction", 1.5, TypeError
        yield "below 0", -1, ValueError
        yield "far below 0", -(2**70), ValueError
    if name in ("n_threads", "batch_size"):
        yield "zero", 0, ValueError
    if name == "n_threads":
        for number in (10**6, 2**31 - 1, 2**32 + 1, 2**70):
            yield f"{number}", number, ValueError
    if name == "n_values":
        yield "more than there are", value + 1, ValueError
        yield "far more", 2**70, ValueError
    if name in ("loss", "update"):
        yield "None", None, TypeError
        yield "another word", "hinge", ValueError


def spoilt(kernel, arguments):
    """(argument, how it is spoilt, its value, the error)."""
    for name, value in arguments.items():
        ways = (
            spoilt_arrays(kernel, name, value)
            if isinstance(value, np.ndarray)
            else spoilt_numbers(name, value)
        )
        for how, bad, error in ways:
            yield name, how, bad, error


def _error_of(kernel, arguments):
    try:
        kernel(**arguments)
    except Exception as error:
        return error
    return None


@pytest.mark.parametrize(
    ("build", "kernel_name", "dtype"),
    pairs(BUILDS, KERNELS, [np.float32, np.float64]),
    indirect=["build"],
)
def test_a_spoilt_argument_is_refused_by_its_name(build, kernel_name, dtype):
    kernel = getattr(kernels.implementation, kernel_name)
    good = calls(dtype)[kernel_name]
    kernel(**good)  # the calls to spoil are right, or they would prove nothing
    good = calls(dtype)[kernel_name]
    before = {k: v.copy() for k, v in good.items() if isinstance(v, np.ndarray)}
    n_ways = 0
    for name, how, bad, error in spoilt(kernel_name, good):
        n_ways += 1
        refusal = _error_of(kernel, good | {name: bad})
        assert isinstance(refusal, error), f"{name}, {how}: {refusal!r}"
        assert name in str(refusal), f"{name}, {how}: {refusal}"
        for written, value in before.items():
            np.testing.assert_array_equal(good[written], value, err_msg=f"{name}, {how}: {written}")
    assert n_ways >= 10


def _refused(kernel_name, message, **bad):
    arguments = calls(np.float32)[kernel_name]
    with pytest.raises(ValueError, match=message):
        getattr(kernels.implementation, kernel_name)(**(arguments | bad))


WITH_ROWS = ["epoch", "loss_sum", "loss_gradient", "sparse_epoch", "sparse_loss_sum"]
WITH_CODES = [*WITH_ROWS, "sparse_loss_gradient", "softmax_gradient", "logistic_gradient"]
FAR = [-1, -(2**31), 2**31 - 1]


ROWS_ALONE = ["stage", "restricted_loss_gradient", "hessian_product"]


@pytest.mark.parametrize("kernel_name", [*WITH_ROWS, *ROWS_ALONE])
def test_numbers_of_rows_out_of_range(build, kernel_name):
    rows = calls(np.float32)[kernel_name]["rows"]
    for wrong in (N, *FAR, 2**62, -(2**63), 2**63 - 1):
        for at in (0, -1):
            bad = rows.copy()
            bad[at] = wrong
            message = rf"rows must hold numbers in \[0, {N}\); got {wrong}"
            _refused(kernel_name, message, rows=bad)


@pytest.mark.parametrize("kernel_name", WITH_CODES)
def test_class_codes_out_of_range(build, kernel_name):
    codes = calls(np.float32)[kernel_name]["y_true"]
    for wrong in (K, *FAR):
        for at in (0, N - 1):
            bad = codes.copy()
            bad[at] = wrong
            message = rf"y_true must hold class codes in \[0, {K}\); got {wrong}"
            _refused(kernel_name, message, y_true=bad)


@pytest.mark.parametrize("kernel_name", ["cross_entropy", "cross_entropy_gradient"])
@pytest.mark.parametrize("dtype", [np.int32, np.int64])
def test_class_codes_of_functions_out_of_range(build, kernel_name, dtype):
    for wrong in (K, *FAR):
        bad = np.zeros(N, dtype)
        bad[-1] = wrong
        _refused(kernel_name, rf"y_true .* \[0, {K}\); got {wrong}", y_true=bad)


@pytest.mark.parametrize("kernel_name", WITH_ROWS)
def test_class_codes_of_few_rows(build, kernel_name):
    # One row of many is looked up by itself, and is found.
    arguments = calls(np.float32)[kernel_name]
    codes = arguments["y_true"].copy()
    codes[7] = K
    one = {"rows": np.array([7]), "y_true": codes}
    if "learning_rates" in arguments:
        one["learning_rates"] = np.ones(1)
    _refused(kernel_name, "y_true must hold class codes", **one)


def test_two_classes_have_codes_0_and_1(build):
    coef, intercept = np.ones((1, D), np.float32), np.zeros(1, np.float32)
    arguments = calls(np.float32)["loss_sum"] | {"coef": coef, "intercept": intercept}
    arguments |= {"loss": "logistic", "y_true": np.arange(N, dtype=np.int32) % 2}
    assert np.isfinite(kernels.implementation.loss_sum(**arguments))
    for wrong in (2, -1):
        arguments["y_true"][3] = wrong
        with pytest.raises(ValueError, match=rf"y_true .* \[0, 2\); got {wrong}"):
            kernels.implementation.loss_sum(**arguments)


def test_no_rows_of_coef(build):
    for name, arguments in calls(np.float32).items():
        for coef in ("coef", "coef_inplace", "raw_prediction_inplace"):
            if coef in arguments:
                _refused(name, f"{coef} must have at least 1 row", **{coef: arguments[coef][:0]})


@pytest.mark.parametrize("kernel_name", ["epoch", "sparse_epoch"])
def test_a_minibatch_of_any_number_of_rows_is_one_of_all(build, kernel_name):
    found = []
    for batch_size in (N, 2**31, 2**63 - 1, 2**70):
        arguments = calls(np.float64)[kernel_name]
        arguments |= {"batch_size": batch_size, "learning_rates": np.full(1, 0.1)}
        getattr(kernels.implementation, kernel_name)(**arguments)
        found.append(arguments["coef_inplace"])
    for coef in found[1:]:
        np.testing.assert_allclose(coef, found[0], rtol=1e-12)


SPARSE = [name for name in KERNELS if name.startswith("sparse_")]


@pytest.mark.parametrize("kernel_name", SPARSE)
@pytest.mark.parametrize("dtype", [np.int32, np.int64])
def test_row_pointers_out_of_range(build, kernel_name, dtype):
    for at, value in (
        *[(0, 1), (0, -1), (-1, 2 * N + 1), (-1, 2**31 - 1), (-1, -1)],
        *[(5, -(2**31)), (5, 2**31 - 1)],
    ):
        indptr = calls(np.float32)[kernel_name]["indptr"].astype(dtype)
        indptr[at] = value
        _refused(kernel_name, "indptr must go from 0 up to the number of values", indptr=indptr)


@pytest.mark.parametrize("kernel_name", SPARSE)
def test_no_row_pointers(build, kernel_name):
    empty = np.zeros(0, np.int32)
    _refused(kernel_name, "indptr must go from 0", indptr=empty)


@pytest.mark.parametrize("kernel_name", ["sparse_predict", "sparse_loss_sum"])
def test_values_without_features(build, kernel_name):
    none = np.zeros((K, 0), np.float32)
    scaling = {}
    if kernel_name == "sparse_loss_sum":
        scaling = {"shift": None, "inverse_scale": None}
    _refused(kernel_name, "X must hold no values where it has no features", coef=none, **scaling)


def test_a_shift_needs_a_scale(build):
    for name, arguments in calls(np.float32).items():
        if "shift" in arguments:
            arguments["inverse_scale"] = None
            with pytest.raises(TypeError, match="inverse_scale must be an ndarray; got NoneType"):
                getattr(kernels.implementation, name)(**arguments)

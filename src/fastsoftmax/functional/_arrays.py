"""Checks and shapes what a function is given, arrays above all, into what a kernel takes, and back.

A row kernel takes 2-D float32 or float64 arrays in native byte order, aligned, each row
contiguous. These helpers decide when the caller's own memory can be handed over and when a copy
is needed. They know nothing of softmax; called by the other modules of the package. NumPy only.
"""

from __future__ import annotations

import math
import numbers
from typing import TYPE_CHECKING, Any, TypeGuard

import numpy as np

from ..kernels.threads import effective_n_threads

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike, DTypeLike, NDArray

FLOAT32 = np.dtype(np.float32)
FLOAT64 = np.dtype(np.float64)
INT32 = np.dtype(np.int32)
INT64 = np.dtype(np.int64)

#: Values below which a call runs on one thread (VALUES_PER_THREAD in _functions.pxi).
WORTH_THREADS = 1 << 18


def is_plain(array: Any) -> TypeGuard[NDArray]:
    """Whether this is the common case, which needs none of the work below (about 0.2 µs)."""
    if type(array) is not np.ndarray or array.ndim != 2:
        return False
    if array.dtype is not FLOAT32 and array.dtype is not FLOAT64:
        return False
    return array.strides[1] == array.itemsize and array.flags.aligned


def is_plain_out(out: Any, source: NDArray, shape: tuple[int, ...]) -> bool:
    """Whether a kernel can write to ``out`` at once, when it reads from a plain ``source``."""
    return (
        type(out) is np.ndarray
        and out.shape == shape
        and out.dtype is source.dtype
        and out.strides[-1] == out.itemsize
        and out.flags.behaved
        and (out is source or not np.may_share_memory(out, source))
    )


def is_plain_codes(y_true: Any, n_samples: int) -> TypeGuard[NDArray]:
    """Whether a kernel can read these class codes at once; it checks their range itself."""
    return (
        type(y_true) is np.ndarray
        and (y_true.dtype is INT64 or y_true.dtype is INT32)
        and y_true.shape == (n_samples,)
        and y_true.flags.c_contiguous
        and y_true.flags.aligned
    )


def as_real(value: ArrayLike, name: str) -> tuple[NDArray, np.dtype, np.dtype]:
    """Give the array, the dtype of the result and the dtype to compute in.

    float16, float32 and float64 keep their dtype, in native byte order; integers and booleans
    give float64, as NumPy's true division does. float16 is computed in float32 and rounded once.
    """
    array = np.asarray(value)
    if array.dtype.kind in "biu":
        return array, FLOAT64, FLOAT64
    if array.dtype.kind != "f" or array.dtype.itemsize > 8:
        raise TypeError(
            f"{name} must be float16, float32, float64, integer or boolean; got {array.dtype}"
        )
    result = array.dtype.newbyteorder("=")
    return array, result, FLOAT32 if result.itemsize == 2 else result


def as_rows(value: ArrayLike, name: str = "raw_prediction") -> tuple[NDArray, np.dtype, np.dtype]:
    """Do as :func:`as_real`, and ask for at least one dimension."""
    array, result, compute = as_real(value, name)
    if array.ndim == 0:
        raise ValueError(f"{name} must have at least 1 dimension; got a scalar")
    return array, result, compute


def check_out(out: NDArray, shape: tuple[int, ...], dtype: np.dtype) -> None:
    """Raise unless ``out`` can take a result of this shape and dtype."""
    if not isinstance(out, np.ndarray):
        raise TypeError(f"out must be an ndarray; got {type(out).__name__}")
    if out.shape != shape:
        raise ValueError(f"out must have shape {shape}; got {out.shape}")
    if out.dtype.newbyteorder("=") != dtype:
        raise TypeError(f"out must have dtype {dtype}; got {out.dtype}")
    if not out.flags.writeable:
        raise ValueError("out must be writeable; got a read-only array")


def is_ready(array: NDArray, dtype: np.dtype) -> bool:
    """Whether a row kernel can work on this memory as it lies."""
    flags = array.flags
    if array.dtype != dtype or not flags.aligned:
        return False
    return flags.c_contiguous or (array.ndim == 2 and array.strides[1] == array.itemsize)


def as_2d(array: NDArray) -> NDArray:
    """View a ready array as (number of rows, length of the last axis)."""
    if array.ndim == 2:
        return array
    return array.reshape(math.prod(array.shape[:-1]), array.shape[-1])


def ready_rows(array: NDArray, dtype: np.dtype) -> NDArray:
    """Give the rows as a 2-D array that a kernel can read, copied only where it must be."""
    if not is_ready(array, dtype):
        array = np.array(array, dtype, order="C")  # ascontiguousarray would leave it unaligned
    return as_2d(array)


def map_rows(
    kernel: Callable[[NDArray, NDArray], None],
    raw_prediction: NDArray,
    out: NDArray,
    compute: np.dtype,
) -> None:
    """Write ``kernel(rows, rows_out)`` to ``out``, whatever the layout and overlap of the two.

    An input that the kernel can't read is copied into ``out`` and worked on there, so that no
    third array is needed; only an ``out`` that it can't write costs a temporary one.
    """
    work = out if is_ready(out, compute) else np.empty(out.shape, compute)
    apart = raw_prediction is work or not np.may_share_memory(raw_prediction, work)
    if apart and is_ready(raw_prediction, compute):
        kernel(as_2d(raw_prediction), as_2d(work))
    else:
        np.copyto(work, raw_prediction)  # NumPy itself minds the overlap here
        kernel(as_2d(work), as_2d(work))
    if work is not out:
        round_into(out, work)


def round_into(out: NDArray, result: NDArray) -> None:
    """Copy a result to ``out``; one beyond the range of float16 becomes inf without a warning."""
    with np.errstate(over="ignore"):
        np.copyto(out, result, casting="same_kind")


def rounded(result: NDArray, dtype: np.dtype) -> NDArray:
    """Give a result in the dtype promised, which differs from its own only for float16."""
    if result.dtype == dtype:
        return result
    out = np.empty(result.shape, dtype)
    round_into(out, result)
    return out


def check_codes(y_true: NDArray, n_classes: int) -> NDArray[np.int32]:
    """Give class codes as the kernels take them: flat, int32, all in [0, n_classes)."""
    if y_true.size == 0:
        return np.empty(0, np.int32)
    if y_true.dtype.kind not in "biu":
        raise TypeError(f"y_true must hold integer class codes; got dtype {y_true.dtype}")
    for code in (y_true.min(), y_true.max()):
        if not 0 <= code < n_classes:
            raise ValueError(f"y_true must hold class codes in [0, {n_classes}); got {int(code)}")
    return flat(y_true, np.int32)


def check_targets(y_true: NDArray) -> NDArray:
    """Give targets as (n_samples, n_classes); each row must be a probability distribution.

    A row may miss the sum of 1 by √ε of its dtype, as in scikit-learn's ``log_loss``.
    """
    array, result, _ = as_real(y_true, "y_true")
    array = array.reshape(math.prod(array.shape[:-1]), array.shape[-1])
    # min() gives NaN where there is one, and no comparison with NaN holds.
    if array.size and not array.min() >= 0:
        raise ValueError(f"y_true must hold probabilities in [0, 1]; got {array.min()}")
    total = array.sum(axis=-1, dtype=np.float64)
    wrong = ~(np.abs(total - 1) <= np.sqrt(np.finfo(result).eps))
    if wrong.any():
        raise ValueError(f"y_true must sum to 1 over its last axis; got {total[wrong][0]:.6g}")
    return array


def check_y_true(
    y_true: ArrayLike, shape: tuple[int, ...]
) -> tuple[NDArray[np.int32] | None, NDArray | None]:
    """Give (codes, None) or (None, targets), told apart by the number of dimensions."""
    array = np.asarray(y_true)
    if array.shape == shape[:-1]:
        return check_codes(array, shape[-1]), None
    if array.shape == shape:
        return None, check_targets(array)
    raise ValueError(
        f"y_true must have shape {shape[:-1]} (class codes) or {shape} (probabilities); "
        f"got {array.shape}"
    )


def check_sample_weight(
    sample_weight: ArrayLike | None, shape: tuple[int, ...]
) -> NDArray[np.float64] | None:
    """Give the weights flat in float64 and divided by their sum, or None for equal ones."""
    if sample_weight is None:
        return None
    array, _, _ = as_real(sample_weight, "sample_weight")
    if array.shape != shape:
        raise ValueError(f"sample_weight must have shape {shape}; got {array.shape}")
    weight = array.astype(np.float64).reshape(-1)
    if weight.size == 0:
        return weight
    wrong = ~((weight >= 0) & np.isfinite(weight))
    if wrong.any():
        raise ValueError(f"sample_weight must be finite and at least 0; got {weight[wrong][0]}")
    largest = weight.max()
    if largest == 0:
        raise ValueError("sample_weight must have a positive sum; got only zeros")
    weight /= largest  # so that the sum neither overflows nor is denormal
    return weight / weight.sum()


def threads_for(n_jobs: int | None, size: int) -> int:
    """Threads for a call on so many values; the common answer, 1, costs next to nothing."""
    if n_jobs is not None:
        check_n_jobs(n_jobs)
    return 1 if size < WORTH_THREADS or n_jobs == 1 else effective_n_threads(n_jobs)


def check_n_jobs(n_jobs: int) -> None:
    """Raise unless ``n_jobs`` is a whole number other than 0."""
    if isinstance(n_jobs, bool) or not isinstance(n_jobs, numbers.Integral):
        raise TypeError(f"n_jobs must be an integer or None; got {n_jobs!r}")
    if n_jobs == 0:
        raise ValueError("n_jobs must be None, at least 1 or at most -1; got 0")


def check_number(value: float, name: str, low: float, high: float, bounds: str) -> float:
    """Give a parameter as a float; ``bounds`` are the brackets of its range, such as "[)"."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(f"{name} must be a real number; got {value!r}")
    above = value >= low if bounds[0] == "[" else value > low
    below = value <= high if bounds[1] == "]" else value < high
    if not (above and below):
        raise ValueError(f"{name} must be in {bounds[0]}{low}, {high}{bounds[1]}; got {value!r}")
    return float(value)


def check_parameters(state_name: str, params: NDArray, state: NDArray, gradient: NDArray) -> None:
    """Raise unless an optimiser can step ``params`` and its state in place."""
    for name, array in (("params", params), (state_name, state), ("gradient", gradient)):
        if not isinstance(array, np.ndarray):
            raise TypeError(f"{name} must be an ndarray; got {type(array).__name__}")
        if array.dtype.newbyteorder("=") not in (FLOAT32, FLOAT64):
            raise TypeError(f"{name} must be float32 or float64; got {array.dtype}")
        if array.dtype != params.dtype:
            raise TypeError(f"{name} must have params' dtype {params.dtype}; got {array.dtype}")
        if array.shape != params.shape:
            raise ValueError(f"{name} must have params' shape {params.shape}; got {array.shape}")
        if array is not gradient and not array.flags.writeable:
            raise ValueError(f"{name} must be writeable; got a read-only array")
    if np.may_share_memory(params, state) and np.shares_memory(params, state):
        raise ValueError(f"{state_name} must not share memory with params")


def flat(array: NDArray, dtype: DTypeLike) -> NDArray:
    """Give a 1-D contiguous array of the values: a view where it can be, else a copy."""
    ready = array.flags.c_contiguous and array.flags.aligned and array.dtype == dtype
    return array.reshape(-1) if ready else np.array(array, dtype, order="C").reshape(-1)

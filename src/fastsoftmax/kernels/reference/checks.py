"""What the twins refuse, and the kernels with them: the same kind of error, before any work.

A twin says of each argument what it may be, by :func:`checked`; shapes are names, and the same name
means the same length in all arguments of a call. TypeError is for what an argument is (an ndarray,
its dtype, order and alignment), ValueError for its shape and for numbers that would lead beyond an
array. Floats are not looked at: the callers of kernels do that. Called by the twins alone.
"""

import inspect
import operator
from functools import wraps

import numpy as np

from ..threads import check_n_threads

__all__ = [
    "array",
    "batch_size",
    "checked",
    "codes",
    "csr",
    "csr_part",
    "dtype_of_computation",
    "is_sound_indptr",
    "items",
    "row_numbers",
    "rows",
    "threads",
    "whole_number",
    "word",
]

REAL = ("float32", "float64")

#: What X may hold; and bfloat16, which NumPy knows only by ``ml_dtypes``.
ITEMS = ("uint8", "int8", "int16", "float16", "bfloat16", "float32", "float64")


def checked(**takes):
    """Decorate a twin: look at these arguments, in this order, before it is run.

    Each check is called with the argument's name, its value, and what is known so far: a dict of
    lengths by name, the arguments that are no arrays by theirs, the dtype that is computed in, and
    all arguments as they were given.
    """

    def decorate(twin):
        names = tuple(inspect.signature(twin).parameters)

        @wraps(twin)
        def run(*args, **kwargs):
            given = dict(zip(names, args, strict=False)) | kwargs
            known = {"given": given}
            for name, check in takes.items():
                if name in given:
                    check(name, given[name], known)
            return twin(*args, **kwargs)

        return run

    return decorate


# --- Arrays ---------------------------------------------------------------------------------------


def array(*shape, of=None, out=False, optional=False):
    """Check a C-contiguous array of this shape.

    Parameters
    ----------
    *shape : str, or callable of what is known
    of : tuple of str or None
        The dtypes allowed; None for that of the computation, which the first such array sets.
    out : bool
        Whether it is written to.
    optional : bool or str
        Whether it may be None; or the argument beside which it may only be None if that is.
    """

    def check(name, value, known):
        if value is None and (
            known["given"].get(optional) is None if isinstance(optional, str) else optional
        ):
            return
        _check_memory(name, value)
        if not value.flags.c_contiguous:
            raise TypeError(f"{name} must be C-contiguous; got strides {value.strides}")
        _check_dtype(name, value, of, known)
        if value.ndim != len(shape):
            raise ValueError(f"{name} must have {len(shape)} dimensions; got shape {value.shape}")
        _check_shape(name, value, shape, known)
        _check_writeable(name, value, out)

    return check


def rows(*shape, out=False):
    """Check a 2-D array whose last axis is contiguous."""

    def check(name, value, known):
        _check_memory(name, value)
        _check_dtype(name, value, None, known)
        if value.ndim != 2 or (
            value.size and value.shape[1] > 1 and value.strides[1] != value.itemsize
        ):
            raise TypeError(f"{name} must be 2-D, its last axis contiguous; got {value.shape}")
        _check_shape(name, value, shape, known)
        _check_writeable(name, value, out)

    return check


def items(name, value, known):
    """Check an X of any strides."""
    _check_memory(name, value)
    if value.ndim != 2 or value.dtype.name not in ITEMS:
        raise TypeError(
            f"{name} must be 2-D, of {', '.join(ITEMS)}; got {value.dtype} of shape {value.shape}"
        )
    known["n_samples"], known["n_features"] = value.shape


def csr_part(name, value):
    """Check what one of the arrays of a CSR matrix is."""
    _check_memory(name, value)
    allowed = REAL if name == "data" else ("int32", "int64")
    if value.ndim != 1 or not value.flags.c_contiguous or value.dtype.name not in allowed:
        raise TypeError(
            f"{name} must be 1-D, contiguous and of dtype {' or '.join(allowed)}; got "
            f"{value.dtype} of shape {value.shape}"
        )


def csr(name, value, known):
    """Check data, indices or, last of them, indptr; n_features is known before."""
    csr_part(name, value)
    if name != "indptr":
        known["n_values"] = min(value.size, known.get("n_values", value.size))
        return
    known["n_samples"] = value.size - 1
    if not is_sound_indptr(value, known["n_values"]):
        raise ValueError(
            "indptr must go from 0 up to the number of values and never fall; got "
            f"{value} with {known['n_values']} values"
        )
    if known["n_features"] >= 2**31 - 1:
        raise ValueError(
            f"sparse X must have fewer than 2**31 - 1 features; got {known['n_features']}"
        )
    if known["n_features"] == 0 and value[-1] > 0:
        raise ValueError(f"X must hold no values where it has no features; got {value[-1]}")


def is_sound_indptr(indptr, n_values):
    """Whether it goes from 0 to n_values at most, and never falls."""
    return bool(
        len(indptr) > 0
        and indptr[0] == 0
        and indptr[-1] <= n_values
        and (indptr[1:] >= indptr[:-1]).all()
    )


def _check_memory(name, value):
    if not isinstance(value, np.ndarray):
        raise TypeError(f"{name} must be an ndarray; got {type(value).__name__}")
    if not (value.flags.aligned and value.dtype.isnative):
        raise TypeError(f"{name} must be aligned and in native byte order; got {value.dtype}")


def _check_dtype(name, value, allowed, known):
    if allowed is None:
        allowed = (known.setdefault("dtype", value.dtype.name),)
        if allowed[0] not in REAL:
            allowed = REAL
    if value.dtype.name not in allowed:
        raise TypeError(f"{name} must be of dtype {' or '.join(allowed)}; got {value.dtype}")


def _check_shape(name, value, shape, known):
    for length, key in zip(value.shape, shape, strict=True):
        wanted = key(known) if callable(key) else known.setdefault(key, length)
        if length != wanted:
            raise ValueError(f"{name} must have {wanted} {key}; got shape {value.shape}")
        if key == "n_rows" and length == 0:
            raise ValueError(f"{name} must have at least 1 row; got shape {value.shape}")


def _check_writeable(name, value, out):
    if out and not value.flags.writeable:
        raise ValueError(f"{name} must be writeable; got a read-only array")


# --- Whole numbers that lead to memory ------------------------------------------------------------


def row_numbers(name, value, known):
    """Check numbers of rows of X."""
    array("n_chosen", of=(np.dtype(np.intp).name,))(name, value, known)
    wrong = (value < 0) | (value >= known["n_samples"])
    if wrong.any():
        raise ValueError(
            f"{name} must hold numbers in [0, {known['n_samples']}); got {value[wrong][0]}"
        )
    known["rows"] = value


def codes(length, of=("int32",), loss=None):
    """Check class codes, those of the rows used; ``loss`` where no argument says which it is."""

    def check(name, value, known):
        array(length, of=of)(name, value, known)
        n_classes = known.get("n_rows", known.get("n_classes"))
        if n_classes == 1 and (loss or known.get("loss")) == "logistic":
            n_classes = 2
        used = value[known["rows"]] if "rows" in known else value
        wrong = (used < 0) | (used >= n_classes)
        if wrong.any():
            raise ValueError(
                f"{name} must hold class codes in [0, {n_classes}); got {used[wrong][0]}"
            )

    return check


def whole_number(name, value, known):
    """Check a number at least 0."""
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be an integer; got {value!r}") from None
    if number < 0:
        raise ValueError(f"{name} must be at least 0; got {number}")
    known[name] = number


def batch_size(name, value, known):
    """Check a number at least 1, and note how many minibatches it makes."""
    whole_number(name, value, known)
    if known[name] == 0:
        raise ValueError(f"{name} must be at least 1; got 0")
    known["n_batches"] = -(-known["n_chosen"] // known[name])


def threads(name, value, known):
    """Check n_threads, which has no effect."""
    check_n_threads(value)


# --- Words ----------------------------------------------------------------------------------------


def word(*allowed):
    """Check that it is one of these."""

    def check(name, value, known):
        if not isinstance(value, str):
            raise TypeError(f"{name} must be a string; got {type(value).__name__}")
        if value not in allowed:
            raise ValueError(f"{name} must be one of {', '.join(allowed)}; got {value!r}")
        known[name] = value

    return check


def dtype_of_computation(name, value, known):
    """Check a dtype, float32 or float64."""
    if not isinstance(value, np.dtype) or value.name not in REAL:
        raise TypeError(f"{name} must be the dtype float32 or float64; got {value!r}")

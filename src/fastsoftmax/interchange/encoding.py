"""Values of parameters and attributes as JSON, with their arrays set aside; and back again.

What JSON has no word for becomes an object of one key that names the kind, {"tuple": [...]}.
Decoding builds nothing but None, numbers, text, lists, tuples, dicts, NumPy's own scalars, dtypes
and arrays, and SciPy's CSR: no name in the input is ever looked up or called. Knows neither files
nor estimators. Called by files.py.
"""

import math

import numpy as np
from scipy import sparse

from ..problem.rows import SparseRows

__all__ = ["decode", "encode"]

#: dtypes of the arrays and NumPy scalars that are written, by name.
NUMBERS = {
    name: np.dtype(name)
    for name in (
        *("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
        *("float16", "float32", "float64"),
    )
}

#: Characters of an array's items, unless one of them is longer.
WIDEST_TEXT = 4096

#: Scalar types that may be a parameter's value themselves, as in ``dtype=np.float32``.
TYPES = {"float32": np.float32, "float64": np.float64}


def encode(value, name, arrays):
    """JSON for a value; numeric arrays within it are put into ``arrays``.

    Parameters
    ----------
    value : object
        None, a bool, int, float or str; a NumPy scalar, dtype or array of numbers, or an array of
        text or of plain objects; a CSR matrix; or a list, tuple or dict of all these.
    name : str
        Of the value, for errors and as the key in ``arrays``.
    arrays : dict of str to ndarray
        Added to; in C order and this machine's byte order.

    Returns
    -------
    document : object that ``json.dumps`` takes with ``allow_nan=False``

    Raises
    ------
    TypeError
        If it is, or holds, anything else; the message names it.
    """
    kind = type(value)
    if value is None or kind in (bool, int, str):
        return value
    if kind is float:
        return value if math.isfinite(value) else {"float": repr(value)}
    if kind is list:
        return [encode(v, f"{name}[{i}]", arrays) for i, v in enumerate(value)]
    if kind is tuple:
        return {"tuple": encode(list(value), name, arrays)}
    if kind is dict:
        items = [
            [encode(k, f"key {k!r} of {name}", arrays), encode(v, f"{name}[{k!r}]", arrays)]
            for k, v in value.items()
        ]
        return {"dict": items}
    if kind in TYPES.values():  # an instance of np.float32, not that type
        return _encode_scalar(value)
    if kind is type and value in TYPES.values():
        return {"type": value.__name__}
    if isinstance(value, np.dtype) and value.name in NUMBERS:
        return {"dtype": value.name}
    if kind is np.str_ or (isinstance(value, np.generic) and value.dtype.name in NUMBERS):
        return _encode_scalar(value)
    if kind in (np.ndarray, np.memmap):
        return _encode_array(value, name, arrays)
    if sparse.issparse(value) and value.format == "csr":
        parts = {part: getattr(value, part) for part in ("data", "indices", "indptr")}
        parts = {part: encode(v, f"{name}.{part}", arrays) for part, v in parts.items()}
        is_array = isinstance(value, sparse.sparray)
        return {"csr": {"shape": [int(n) for n in value.shape], "is_array": is_array, **parts}}
    raise TypeError(f"{name} can't be saved: {_described(value)} is not plain data")


def decode(document, arrays):
    """The value that :func:`encode` was given, of the same types.

    Parameters
    ----------
    document : object
        As ``json.loads`` gives it.
    arrays : dict of str to ndarray

    Returns
    -------
    value : object

    Raises
    ------
    ValueError, TypeError, KeyError
        If the document is none that ``encode`` makes. Nothing has been executed then either.
    """
    if document is None or type(document) in (bool, int, float, str):
        return document
    if type(document) is list:
        return [decode(part, arrays) for part in document]
    ((kind, content),) = document.items()
    if kind == "float":
        return {"inf": math.inf, "-inf": -math.inf, "nan": math.nan}[content]
    if kind == "tuple":
        return tuple(decode(content, arrays))
    if kind == "dict":
        return {decode(k, arrays): decode(v, arrays) for k, v in content}
    if kind == "type":
        return TYPES[content]
    if kind == "dtype":
        return NUMBERS[content]
    if kind == "scalar":
        name, value = content
        return np.str_(value) if name == "str" else NUMBERS[name].type(decode(value, arrays))
    if kind == "array":
        return arrays[content]
    if kind == "text":
        return _decode_text(content["values"], content["width"])
    if kind == "objects":
        array = np.empty(len(content), dtype=object)
        array[:] = [decode(value, arrays) for value in content]
        return array
    if kind == "csr":
        return _decode_csr(content, arrays)
    raise ValueError(f"unknown kind {kind!r}")


def _encode_scalar(value):
    name = "str" if isinstance(value, np.str_) else value.dtype.name
    return {"scalar": [name, encode(value.item(), name, {})]}


def _encode_array(array, name, arrays):
    if array.dtype.name in NUMBERS:
        arrays[name] = np.array(array, dtype=array.dtype.newbyteorder("="), order="C")
        return {"array": name}
    if array.ndim == 1 and array.dtype.kind == "U":
        return {"text": {"values": array.tolist(), "width": array.dtype.itemsize // 4}}
    if array.ndim == 1 and array.dtype.kind == "O":
        return {"objects": [encode(v, f"{name}[{i}]", arrays) for i, v in enumerate(array)]}
    raise TypeError(
        f"{name} can't be saved: it is an array of {array.dtype}, {array.ndim}-dimensional; "
        "arrays of numbers and 1-dimensional ones of text are"
    )


def _decode_text(values, width):
    """An array of text, of the width that it had; one too wide for memory is nobody's."""
    longest = max(map(len, values), default=0)
    if not longest <= width <= max(longest, WIDEST_TEXT):
        raise ValueError(f"text of width {width}")
    return np.array(values, dtype=f"<U{width}").astype("=U")


def _decode_csr(content, arrays):
    """The CSR matrix, once its indices are known to lie within its shape."""
    data, indices, indptr = (decode(content[p], arrays) for p in ("data", "indices", "indptr"))
    make = sparse.csr_array if content["is_array"] else sparse.csr_matrix
    matrix = make((data, indices, indptr), shape=tuple(content["shape"]))
    SparseRows.of(matrix)  # scipy's own check subtracts neighbours, and a difference may overflow
    return matrix


def _described(value):
    """A value by its type, and by itself where that is short."""
    text = repr(value)
    name = f"{type(value).__module__}.{type(value).__qualname__}".removeprefix("builtins.")
    return f"{text} of type {name}" if len(text) <= 60 else f"an object of type {name}"

"""Estimators in files that can't execute code: safetensors, with a JSON document in its header.

The arrays are tensors that any safetensors reader shows; the rest is the document. What a file
says is checked before an estimator is made of it. Not pickle (portable.py). Classes make
themselves known by :func:`savable`. Called by the estimators' ``save`` and, as
``fastsoftmax.load``, by users.
"""

import errno
import hashlib
import json
import os
import stat
from typing import Any

import numpy as np
from scipy import sparse
from sklearn import config_context

from .. import __version__
from .encoding import decode, encode
from .replacing import replacing

__all__ = ["load", "require_safetensors", "savable", "save"]

#: Raised when a file is written that an older fastsoftmax would misread.
FORMAT_VERSION = 1

#: What a file may say that it holds.
CLASSES: dict[str, Any] = {}

#: What a document that ``save`` has not written may lead to.
NOT_OURS = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError)

#: Keys of the header's metadata: the document, and the SHA-256 of it and of the arrays.
DOCUMENT, CHECKSUM = "fastsoftmax", "sha256"

#: Arrays that kernels read without a look at their shape. Who adds one adds it here: forged files
#: must not make a kernel read beyond an array.
LIKE_COEF = ("_coef_state",)
LIKE_INTERCEPT = ("intercept_", "_intercept_state")
ONE_A_FEATURE = ("mean_", "scale_", "_column_squares")


def savable(estimator_class):
    """Decorate a class of estimators that files may hold.

    Parameters
    ----------
    estimator_class : class
        Its instances must hold plain data alone, and its constructor take parameters alone.

    Returns
    -------
    estimator_class : class
        The same.
    """
    CLASSES[estimator_class.__name__] = estimator_class
    return estimator_class


def save(estimator, path):
    """Write an estimator, fitted or not: parameters, attributes and the state of the optimiser.

    Parameters
    ----------
    estimator : estimator of a savable class
    path : str or path-like
        A file there is replaced, all at once and only if all was written: a reader finds the old
        one or the new one. ``.safetensors`` is the usual ending.

    Raises
    ------
    TypeError
        If a parameter or attribute is not plain data, such as a ``RandomState`` or a function, or
        if the estimator is of another class, subclasses included.
    ValueError
        If the arrays that a user has set don't fit each other, or aren't finite.
    ImportError
        If safetensors is missing.
    OSError
        If the file can't be written, or what is there is no regular file.
    """
    safetensors = require_safetensors()
    class_name = type(estimator).__name__
    if CLASSES.get(class_name) is not type(estimator):
        raise TypeError(
            f"what can be saved is one of {', '.join(CLASSES)}; got a "
            f"{type(estimator).__qualname__}, of which load could not make one again"
        )
    path = os.fsdecode(path)
    arrays = {}
    parameters = estimator.get_params(deep=False)
    attributes = {
        name: value
        for name, value in vars(estimator).items()
        if name not in parameters and name != "_metadata_request"
    }
    for name in attributes:
        if not _is_attribute(name, type(estimator)):
            raise TypeError(
                f"attribute {name!r} can't be saved: fitted attributes begin or end with '_'; "
                f"delete it first, del estimator.{name}"
            )
    if "coef_" in attributes:
        try:
            _check_arrays(attributes)
        except (ValueError, KeyError) as error:
            raise ValueError(f"this {class_name} can't be saved: it has {error}") from error
    document = json.dumps(
        {
            "format_version": FORMAT_VERSION,
            "package_version": __version__,
            "class": class_name,
            "parameters": {
                name: encode(value, f"parameter {name}", arrays)
                for name, value in parameters.items()
            },
            "attributes": {name: encode(value, name, arrays) for name, value in attributes.items()},
            "requests": _requests(estimator),
        },
        allow_nan=False,
    )
    metadata = {DOCUMENT: document, CHECKSUM: _checksum(document, arrays)}
    _replace_file(path, safetensors.numpy.save(arrays, metadata))


def load(path: str | os.PathLike[str]) -> Any:
    """Read an estimator that ``save`` wrote, of this version of fastsoftmax or an older one.

    Nothing in the file is executed, and no name in it is looked up: it holds numbers and text.

    Parameters
    ----------
    path : str or path-like

    Returns
    -------
    estimator : SoftmaxClassifier
        It predicts as the one that was saved, and ``partial_fit`` goes on from there, bit for bit.

    Raises
    ------
    ValueError
        If the file is damaged, cut short, of another program, or of a newer fastsoftmax; the
        message names the path.
    ImportError
        If safetensors is missing.
    OSError
        If there is no such file, or it can't be read.

    Examples
    --------
    >>> import os, tempfile
    >>> import fastsoftmax
    >>> from fastsoftmax import SoftmaxClassifier
    >>> from sklearn.datasets import load_digits
    >>> X, y = load_digits(return_X_y=True)
    >>> classifier = SoftmaxClassifier(standardize=True, random_state=0).fit(X, y)
    >>> path = os.path.join(tempfile.mkdtemp(), "digits.safetensors")
    >>> classifier.save(path)
    >>> bool((fastsoftmax.load(path).predict(X) == classifier.predict(X)).all())
    True
    """
    path = os.fsdecode(path)
    metadata, arrays = _read_file(path)
    if DOCUMENT not in metadata:
        raise ValueError(f"{path!r} is a safetensors file, but not one of fastsoftmax")
    try:
        document = json.loads(metadata[DOCUMENT], parse_constant=_no_number)
        format_version = int(document["format_version"])
        package_version = str(document["package_version"])
    except NOT_OURS as error:
        raise ValueError(f"{path!r} is damaged: its header can't be read") from error
    if format_version > FORMAT_VERSION:
        raise ValueError(
            f"{path!r} was written by fastsoftmax {package_version} in format {format_version}; "
            f"this is fastsoftmax {__version__}, which reads formats up to {FORMAT_VERSION}"
        )
    if metadata.get(CHECKSUM) != _checksum(metadata[DOCUMENT], arrays):
        raise ValueError(f"{path!r} is damaged: its checksum is that of other content")
    try:
        return _estimator(document, arrays)
    except NOT_OURS as error:
        raise ValueError(
            f"{path!r}, written by fastsoftmax {package_version}, holds what fastsoftmax "
            f"{__version__} has no use for: {error}"
        ) from error


# --- Files ----------------------------------------------------------------------------------------


def require_safetensors():
    """Import the library that files are written with, or say what it takes.

    Returns
    -------
    safetensors : module

    Raises
    ------
    ImportError
        If it is missing; it names the extra.
    """
    try:
        import safetensors.numpy
    except ImportError as error:
        raise ImportError(
            'saving and loading need safetensors: pip install "fastsoftmax[save]"'
        ) from error
    return safetensors


def _replace_file(path, content):
    """Put the content where the path leads, at once or not at all; a link stays a link."""
    with replacing(path) as temporary, open(temporary, "wb") as file:
        file.write(content)


def _read_file(path):
    """Metadata and arrays of a safetensors file."""
    safetensors = require_safetensors()
    if stat.S_ISDIR(os.stat(path).st_mode):  # the system's own error where there is none
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    if not os.path.isfile(path):  # to read from a pipe may take for ever
        raise ValueError(f"{path!r} is no regular file")
    with open(path, "rb"):  # or may not be read
        pass
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            names = list(file.keys())
            arrays = {name: np.array(file.get_tensor(name)) for name in names}
            return file.metadata() or {}, arrays
    except (safetensors.SafetensorError, ValueError, TypeError, KeyError) as error:
        raise ValueError(
            f"{path!r} is damaged, cut short or no safetensors file: {error}"
        ) from error


def _no_number(name):
    """JSON has no infinity and no NaN, whatever Python's reader takes for them."""
    raise ValueError(f"{name} in the header")


def _checksum(document, arrays):
    """SHA-256 of the document and of each array's name, dtype, shape and values."""
    digest = hashlib.sha256(document.encode())
    for name in sorted(arrays):
        array = arrays[name]
        digest.update(f"\0{name}\0{array.dtype.name}\0{array.shape}\0".encode())
        little = array.astype(array.dtype.newbyteorder("<"), copy=False)
        digest.update(little.tobytes())
    return digest.hexdigest()


# --- Estimators -----------------------------------------------------------------------------------


def _is_attribute(name, estimator_class):
    """Whether it may be an attribute's name: none that hides a method, none of Python's own."""
    return (
        (name.startswith("_") or name.endswith("_"))
        and not name.startswith("__")
        and not callable(getattr(estimator_class, name, None))
    )


def _requests(estimator):
    """What was asked of scikit-learn's metadata routing, {"fit": {"sample_weight": True}}."""
    if "_metadata_request" not in vars(estimator):
        return {}
    routing = estimator.get_metadata_routing()
    return {method: dict(getattr(routing, method).requests) for method in _routed(type(estimator))}


def _routed(estimator_class):
    """Methods that have a ``set_..._request``."""
    setters = (n for n in dir(estimator_class) if n.startswith("set_") and n.endswith("_request"))
    return [name.removeprefix("set_").removesuffix("_request") for name in setters]


def _estimator(document, arrays):
    """The estimator that a document of a known format describes."""
    if document["class"] not in CLASSES:
        raise ValueError(f"class {document['class']!r}")
    estimator_class = CLASSES[document["class"]]
    parameters = {name: decode(value, arrays) for name, value in document["parameters"].items()}
    unknown = sorted(set(parameters) - set(estimator_class().get_params(deep=False)))
    if unknown:
        raise ValueError(f"parameters {', '.join(unknown)}")
    attributes = {name: decode(value, arrays) for name, value in document["attributes"].items()}
    for name in attributes:
        if name in parameters or not _is_attribute(name, estimator_class):
            raise ValueError(f"attribute {name}")
    if "coef_" in attributes:
        _check_arrays(attributes)
    estimator = estimator_class(**parameters)
    vars(estimator).update(attributes)
    with config_context(enable_metadata_routing=True):
        for method, requests in document["requests"].items():
            if method not in _routed(estimator_class):
                raise ValueError(f"requests of {method}")
            getattr(estimator, f"set_{method}_request")(**requests)
    return estimator


def _check_arrays(attributes):
    """An error unless the arrays that kernels read fit each other and are finite."""
    coef, classes = attributes["coef_"], attributes["classes_"]
    if not (isinstance(coef, np.ndarray) or sparse.issparse(coef)) or coef.ndim != 2:
        raise ValueError("coef_ that is no matrix")
    if coef.dtype not in (np.float32, np.float64):
        raise ValueError(f"coef_ of {coef.dtype}")
    n_classes, n_features = coef.shape
    if not isinstance(classes, np.ndarray) or classes.ndim != 1 or len(classes) < 2:
        raise ValueError("classes_ that is no list of at least 2 labels")
    if n_classes != len(classes) and not (n_classes == 1 and len(classes) == 2):
        raise ValueError(f"coef_ of shape {coef.shape} for {len(classes)} classes")
    if attributes["n_features_in_"] != n_features:
        raise ValueError(f"coef_ of shape {coef.shape} for {attributes['n_features_in_']} features")
    expected = dict.fromkeys(LIKE_COEF, (coef.shape, coef.dtype))
    expected |= dict.fromkeys(LIKE_INTERCEPT, ((n_classes,), coef.dtype))
    expected |= dict.fromkeys(ONE_A_FEATURE, ((n_features,), np.dtype(np.float64)))
    attributes["intercept_"]  # a KeyError where it is missing
    for name, (shape, dtype) in expected.items():
        value = attributes.get(name)
        if value is not None and not (
            isinstance(value, np.ndarray) and value.shape == shape and value.dtype == dtype
        ):
            raise ValueError(f"{name} that is no {dtype} array of shape {shape}")
    for name in ("coef_", *expected):
        value = attributes.get(name)
        if value is not None:
            values = value.data if sparse.issparse(value) else value
            if not np.isfinite(values).all():
                raise ValueError(f"{name} that is not finite")

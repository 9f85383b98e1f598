"""Chooses the compiled kernels at import: the best instruction set that this CPU can run.

``available`` names the builds that can run here, slowest first; ``active`` names the one in use;
``implementation`` is the module itself, and every caller looks it up at each call so that
:func:`use` can change it. The environment variable FASTSOFTMAX_ISA overrides the choice.
Nothing here computes anything, and nothing but NumPy is needed.
"""

import os
from contextlib import contextmanager
from importlib import import_module

from . import _cpu

__all__ = ["active", "available", "implementation", "use"]

#: Every build there is, slowest first; "reference" is NumPy, never chosen by itself.
_MODULES = {
    "reference": "fastsoftmax.kernels.reference",
    "baseline": "fastsoftmax.kernels._baseline",
    "avx2": "fastsoftmax.kernels._avx2",
    "avx512": "fastsoftmax.kernels._avx512",
}

# The CPU is asked before a module is imported: its module init already uses its instructions.
available = tuple(_cpu.supported())


def _load(name, source):
    """Give the module of a build, or say why it can't be had."""
    if name not in _MODULES:
        raise ValueError(f"{source} must be one of {', '.join(_MODULES)}; got {name!r}")
    if name != "reference" and name not in available:
        raise ValueError(
            f"{source}={name!r} is not supported by this CPU or build; "
            f"available here: {', '.join(available)}"
        )
    return import_module(_MODULES[name])


active = os.environ.get("FASTSOFTMAX_ISA") or available[-1]
try:
    implementation = _load(active, "FASTSOFTMAX_ISA")
except ValueError as error:
    raise ImportError(str(error)) from None


@contextmanager
def use(name):
    """Within a ``with`` block, compute with the build ``name``, for tests and comparisons.

    Parameters
    ----------
    name : str
        One of ``available``, or ``"reference"`` for the NumPy twin.

    Raises
    ------
    ValueError
        If there is no such build or this CPU can't run it.

    Notes
    -----
    The choice holds for the whole process, other threads included.

    Examples
    --------
    >>> from fastsoftmax import kernels, softmax
    >>> with kernels.use("reference"):
    ...     print(kernels.active, softmax([2.0, 1.0, 0.1]).round(1))
    reference [0.7 0.2 0.1]
    """
    global active, implementation
    before = active, implementation
    implementation = _load(name, "name")
    active = name
    try:
        yield implementation
    finally:
        active, implementation = before

"""The stubs say that a compiled kernel has the signature of its NumPy twin; this holds them to it.

mypy itself runs in ``make lint``.
"""

import inspect
from importlib import import_module
from importlib.resources import files

import pytest

from fastsoftmax import kernels, reference

KERNELS = [
    name
    for name, value in vars(reference).items()
    if inspect.isfunction(value) and not name.startswith("_")
]


@pytest.mark.parametrize("isa", kernels.available)
@pytest.mark.parametrize("name", KERNELS)
def test_signature_is_the_reference_s(isa, name):
    compiled = getattr(import_module(f"fastsoftmax.kernels._{isa}"), name)
    expected = list(inspect.signature(getattr(reference, name)).parameters)
    assert list(inspect.signature(compiled).parameters) == expected


def test_the_package_says_that_it_is_typed():
    assert files("fastsoftmax").joinpath("py.typed").is_file()
    for name in ("_baseline", "_avx2", "_avx512", "_cpu"):
        assert files("fastsoftmax.kernels").joinpath(f"{name}.pyi").is_file()

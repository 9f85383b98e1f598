"""Every example in a docstring runs and gives what it says, and each public name has one."""

import doctest
from importlib import import_module
from pkgutil import walk_packages

import pytest

import fastsoftmax

#: What the examples of a module need beyond the package itself.
NEEDS = {
    "dask": "distributed",
    "displays": "matplotlib",
    "interchange.files": "safetensors",
    "onnx": "skl2onnx",
    "sources.csv": "pyarrow",
    "sources.parquet": "pyarrow",
}

#: Modules of public names, and those of them that are no part of ``__all__``.
PUBLIC = {
    "fastsoftmax": None,
    "fastsoftmax.callbacks": ["EpochInfo"],
    "fastsoftmax.dask": None,
    "fastsoftmax.displays": None,
    "fastsoftmax.kernels": ["use"],
    "fastsoftmax.onnx": None,
    "fastsoftmax.sources": None,
}

MODULES = [
    module.name.removeprefix("fastsoftmax.")
    for module in walk_packages(fastsoftmax.__path__, "fastsoftmax.")
    if "kernels._" not in module.name and not module.name.endswith(("__main__", "_axes"))
]


def _imported(name):
    """The module, or the test is left out where what its examples need is missing."""
    inner = name.removeprefix("fastsoftmax.")
    needed = NEEDS.get(inner, NEEDS.get(inner.partition(".")[0]))
    if needed:
        pytest.importorskip(needed)
    if needed == "matplotlib":
        import matplotlib

        matplotlib.use("Agg")
    return import_module(name)


@pytest.mark.parametrize("name", MODULES)
def test_examples_of(name):
    module = _imported(f"fastsoftmax.{name}")
    failed, _ = doctest.testmod(module)
    assert failed == 0
    if name.startswith("displays"):
        import matplotlib.pyplot as plt

        plt.close("all")


@pytest.mark.parametrize("name", PUBLIC)
def test_each_public_name_has_an_example(name):
    module = _imported(name)
    for public in PUBLIC[name] or module.__all__:
        value = getattr(module, public)
        found = doctest.DocTestFinder(recurse=False).find(value, public, module=False)
        assert sum(len(docstring.examples) for docstring in found) >= 1, public


def test_example_of_a_context_manager():
    """Doctest takes what is decorated by another module for that module's own."""
    (example,) = doctest.DocTestFinder().find(fastsoftmax.kernels.use, "use", module=False)
    assert doctest.DocTestRunner().run(example).failed == 0

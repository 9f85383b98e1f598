"""Every example in a docstring runs and gives what it says."""

import doctest
from importlib import import_module
from pkgutil import walk_packages

import pytest

import fastsoftmax

#: What the examples of a module need beyond the package itself.
NEEDS = {"displays": "matplotlib", "onnx": "skl2onnx", "interchange.files": "safetensors"}

#: Modules that have examples; a test that found none would prove nothing.
WITH_EXAMPLES = (
    "estimators.classifier",
    "functional.probabilities",
    "interchange.files",
    "onnx",
)

MODULES = [
    module.name.removeprefix("fastsoftmax.")
    for module in walk_packages(fastsoftmax.__path__, "fastsoftmax.")
    if "kernels._" not in module.name and not module.name.endswith(("__main__", "_axes"))
]


@pytest.mark.parametrize("name", MODULES)
def test_examples_of(name):
    needed = NEEDS.get(name, NEEDS.get(name.split(".")[0]))
    if needed:
        pytest.importorskip(needed)
    if needed == "matplotlib":
        import matplotlib

        matplotlib.use("Agg")
    failed, tried = doctest.testmod(import_module(f"fastsoftmax.{name}"))
    assert failed == 0
    assert tried > 0 or name not in WITH_EXAMPLES
    if needed == "matplotlib":
        import matplotlib.pyplot as plt

        plt.close("all")

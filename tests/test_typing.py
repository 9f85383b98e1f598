"""The stubs tell the truth: a compiled kernel has the signature of its NumPy twin, and the
estimators' methods take what their stubs say.

mypy and pyright themselves run in ``make lint``, over type_checks/user_program.py.
"""

import ast
import inspect
from importlib import import_module
from importlib.resources import files

import pytest

from fastsoftmax import (
    LogisticRegression,
    LogisticRegressionCV,
    SoftmaxClassifier,
    SoftmaxClassifierCV,
    kernels,
    sources,
)
from fastsoftmax.estimators.base import LinearClassifier
from fastsoftmax.kernels import reference

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
    for name in ("_baseline", "_avx2", "_avx512", "_cpu", "_pool"):
        assert files("fastsoftmax.kernels").joinpath(f"{name}.pyi").is_file()
    assert files("fastsoftmax.sources").joinpath("__init__.pyi").is_file()


ESTIMATORS = {
    "base": LinearClassifier,
    "classifier": SoftmaxClassifier,
    "logistic_regression": LogisticRegression,
    "logistic_regression_cv": LogisticRegressionCV,
    "cross_validation": SoftmaxClassifierCV,
}


def _stub(module):
    """What the stub of this file says of its class."""
    path = files("fastsoftmax.estimators").joinpath(f"{module}.pyi")
    nodes = ast.parse(path.read_text(encoding="utf-8")).body
    (cls,) = (node for node in nodes if isinstance(node, ast.ClassDef))
    return cls.body


METHODS = {
    (module, node.name): node
    for module in ESTIMATORS
    for node in _stub(module)
    if isinstance(node, ast.FunctionDef)
}


@pytest.mark.parametrize(("module", "name"), METHODS)
def test_stub_of_an_estimator(module, name):
    arguments = METHODS[module, name].args
    positional = [argument.arg for argument in arguments.args]
    stub = {**dict.fromkeys(positional), **{a.arg: None for a in arguments.kwonlyargs}}
    if arguments.kwarg is not None:
        stub[arguments.kwarg.arg] = None
    defaults = [*arguments.defaults, *arguments.kw_defaults]
    names = [*positional[len(positional) - len(arguments.defaults) :]]
    names += [argument.arg for argument in arguments.kwonlyargs]
    given = {n: ast.literal_eval(value) for n, value in zip(names, defaults, strict=True)}

    real = inspect.signature(getattr(ESTIMATORS[module], name)).parameters
    assert list(stub) == list(real)
    assert given == {n: p.default for n, p in real.items() if p.default is not p.empty}


def _stub_of_sources():
    """The classes of fastsoftmax.sources that the stub has, and the methods of each."""
    text = files("fastsoftmax.sources").joinpath("__init__.pyi").read_text(encoding="utf-8")
    classes = (node for node in ast.parse(text).body if isinstance(node, ast.ClassDef))
    return {cls.name: cls.body for cls in classes if not cls.name.startswith("_")}


@pytest.mark.parametrize(("name", "body"), _stub_of_sources().items())
def test_stub_of_a_source(name, body):
    assert set(_stub_of_sources()) == set(sources.__all__)
    for method in (node for node in body if isinstance(node, ast.FunctionDef)):
        real = getattr(getattr(sources, name), method.name)
        if isinstance(real, property):
            continue
        parameters = inspect.signature(real).parameters.values()
        stub = [argument.arg for argument in (*method.args.args, *method.args.kwonlyargs)]
        assert stub == [parameter.name for parameter in parameters]
        given = [ast.unparse(value) for value in (*method.args.defaults, *method.args.kw_defaults)]
        defaults = [p.default for p in parameters if p.default is not p.empty]
        for said, value in zip(given, defaults, strict=True):
            assert said in ("...", repr(value))


def test_stub_of_the_cluster():
    dask = pytest.importorskip("fastsoftmax.dask", exc_type=ImportError)
    text = files("fastsoftmax.dask").joinpath("__init__.pyi").read_text(encoding="utf-8")
    classes = {node.name: node for node in ast.parse(text).body if isinstance(node, ast.ClassDef)}
    assert set(classes) == set(dask.__all__)
    for name, cls in classes.items():
        for method in (node for node in cls.body if isinstance(node, ast.FunctionDef)):
            real = list(inspect.signature(getattr(getattr(dask, name), method.name)).parameters)
            stub = [argument.arg for argument in (*method.args.args, *method.args.kwonlyargs)]
            assert stub[: len(real) - 1] == real[: len(real) - 1]


@pytest.mark.parametrize("module", ESTIMATORS)
def test_stub_has_every_public_method_and_parameter(module):
    estimator = ESTIMATORS[module]
    ours = [cls for cls in estimator.__mro__ if cls.__module__.startswith("fastsoftmax.")]
    public = {n for cls in ours for n in vars(cls) if inspect.isfunction(vars(cls)[n])}
    stubbed = {name for m, name in METHODS if m in ("base", module)}
    assert {name for name in public if not name.startswith("_")} <= stubbed
    if module != "base":
        attributes = {node.target.id for node in _stub(module) if isinstance(node, ast.AnnAssign)}
        assert set(estimator().get_params()) <= attributes

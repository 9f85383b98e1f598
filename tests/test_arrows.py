"""Imports inside the package run one way, down from the faces to the kernels, never in a circle.

Read from the source by ast, imports inside functions included, those for type checkers alone left
out. The map that this holds the code to is in docs/design.md.
"""

import ast
from functools import cache
from graphlib import CycleError, TopologicalSorter
from importlib.resources import files
from pathlib import Path

import pytest

ROOT = Path(str(files("fastsoftmax")))

#: Rooms by floor, the lowest first: a room may import from those of lower floors, and from itself.
FLOORS = [
    ["kernels", "progress", "sources"],
    ["functional", "problem", "callbacks"],
    ["optimization", "interchange", "displays"],
    ["estimators"],
    # Old names for what pickles hold, and what stands on all else.
    ["estimator", "logistic", "selection", "onnx", "demo", "cli", "dask"],
    ["__main__"],
]
FLOOR = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}

#: What the face of the package may be asked for by those below it: it needs nothing itself.
OF_THE_FACE = {"__version__"}


def _package_of(path):
    """The package that relative imports in a file start from, as parts below fastsoftmax."""
    return path.relative_to(ROOT).parent.parts


def _at_run_time(tree):
    """The nodes of a module, without what only type checkers read."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        yield node
        yield from _at_run_time(node)


def _targets(path):
    """Modules of the package, as parts below it, that a file imports, and the names taken of it."""
    for node in _at_run_time(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] == "fastsoftmax":
                    yield tuple(alias.name.split(".")[1:]), None
        elif isinstance(node, ast.ImportFrom):
            parts = tuple((node.module or "").split(".")) if node.module else ()
            if node.level:
                package = _package_of(path)
                parts = package[: len(package) - node.level + 1] + parts
            elif parts[:1] == ("fastsoftmax",):
                parts = parts[1:]
            else:
                continue
            for alias in node.names:
                yield parts, alias.name


def _module(parts, name):
    """The file that an import leads to, and None where it leads to the face of the package."""
    for path in ((*parts, name), parts) if name else (parts,):
        folder = ROOT.joinpath(*path)
        for candidate in (folder / "__init__.py", folder.with_suffix(".py")):
            if path and candidate.is_file():
                return candidate
    return None


@cache
def _arrows():
    """(file, other file it imports) for each import, and what is asked of the package's face."""
    arrows, of_the_face = set(), set()
    for path in sorted(ROOT.rglob("*.py")):
        for parts, name in _targets(path):
            target = _module(parts, name)
            if target not in (None, path):
                arrows.add((path, target))
            elif target is None and not parts:
                of_the_face.add((path, name))
    return arrows, of_the_face


def _room(path):
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def _described(arrow):
    return " → ".join(str(path.relative_to(ROOT)) for path in arrow)


def test_every_room_has_a_floor():
    assert {_room(path) for path in ROOT.rglob("*.py")} == {"__init__", *FLOOR}


def test_arrows_between_rooms_run_downwards():
    upward = [
        _described((source, target))
        for source, target in sorted(_arrows()[0])
        if _room(source) not in ("__init__", _room(target))
        and FLOOR[_room(source)] <= FLOOR[_room(target)]
    ]
    assert upward == []


def test_no_arrow_runs_round():
    graph = {}
    for source, target in _arrows()[0]:
        graph.setdefault(source, set()).add(target)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail("imports run in a circle: " + _described(error.args[1]))


def test_the_face_is_asked_for_the_version_alone():
    face = ROOT / "__init__.py"
    asked = {(_described((path, face)), name) for path, name in _arrows()[1] if path != face}
    assert {name for _, name in asked} == OF_THE_FACE


def test_arrows_are_seen():
    # Nothing is proved by a reader that finds no arrow: these are in the code.
    arrows = {_described(arrow) for arrow in _arrows()[0]}
    for known in (
        "estimators/classifier.py → optimization/fitting.py",
        "optimization/solver.py → optimization/lbfgs.py",
        "problem/rows.py → kernels/__init__.py",
        "estimators/base.py → interchange/portable.py",
    ):
        assert known in arrows

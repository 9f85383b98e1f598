"""Runs the Python blocks of the site's pages, so that what they show is what happens.

A page's blocks run from top to bottom in one namespace; each ``# → text`` is a line that a block
prints, in that order. Pages of which each command has a test of its own, such as command-line.md,
and those whose blocks need what isn't here, as a cluster, are not among them. And whether the API's
page has every public name.
"""

import contextlib
import io
import re
from importlib import import_module
from pathlib import Path

import pytest
from test_doctests import NEEDS, PUBLIC

DOCS = Path(__file__).parent.parent / "docs"

#: What the pages need beyond the package itself.
PAGES = {
    "coming-from": None,
    "data": "pandas",
    "distance": None,
    "index": None,
    "install": None,
    "penalty": None,
    "probabilities": None,
    "quick-start": "safetensors",
    "solvers": None,
    "text": None,
}


@pytest.mark.parametrize("name", PAGES)
def test_page_prints_what_it_says(name):
    if PAGES[name]:
        pytest.importorskip(PAGES[name])
    page = (DOCS / f"{name}.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```$", page, flags=re.MULTILINE | re.DOTALL)
    assert blocks
    namespace = {"__name__": "page"}
    for code in blocks:
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(code, f"{name}.md", "exec"), namespace)
        said = re.findall(r"# → (.*)$", code, flags=re.MULTILINE)
        assert printed.getvalue().splitlines() == said, code


def _listed():
    """Names of the API's page, by the module that it says they are of."""
    listed, module, in_list = {}, None, False
    for line in (DOCS / "api.rst").read_text(encoding="utf-8").splitlines():
        of_module = re.match(r"\.\. (?:currentmodule|automodule):: (\S+)", line)
        if of_module:
            module = of_module.group(1)
        if line and not line.startswith(" "):
            in_list = line == ".. autosummary::"
        name = re.fullmatch(r"    (\w+)", line)
        if in_list and name:
            listed.setdefault(module, []).append(name.group(1))
    return listed


def test_api_page_has_every_public_module():
    assert set(_listed()) == set(PUBLIC)


@pytest.mark.parametrize("name", PUBLIC)
def test_api_page_has_every_public_name(name):
    needed = NEEDS.get(name.removeprefix("fastsoftmax."))
    if needed:
        pytest.importorskip(needed)
    assert sorted(_listed()[name]) == sorted(PUBLIC[name] or import_module(name).__all__)

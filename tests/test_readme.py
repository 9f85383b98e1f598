"""Runs every code block of README.md, so that what it shows is what happens.

A Python block runs by itself; each ``# → text`` in it is a line that it prints, in that order. A
line of a bash block is one of the few commands known here, and names what exists. Not a test of
the package itself.
"""

import contextlib
import io
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", README, flags=re.MULTILINE | re.DOTALL)
PYTHON_BLOCKS = [code for language, code in BLOCKS if language == "python"]
COMMANDS = [line for language, code in BLOCKS if language == "bash" for line in code.splitlines()]


def test_blocks_are_found_and_of_known_kinds():
    assert {language for language, _ in BLOCKS} == {"python", "bash"}
    assert len(PYTHON_BLOCKS) >= 2
    assert README.count("```") == 2 * len(BLOCKS)


@pytest.mark.parametrize("code", PYTHON_BLOCKS, ids=lambda code: code.splitlines()[-1][:40])
def test_python_block_prints_what_it_says(code):
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(code, "README.md", "exec"), {"__name__": "readme"})
    assert printed.getvalue().splitlines() == re.findall(r"# → (.*)$", code, flags=re.MULTILINE)


@pytest.mark.parametrize("command", COMMANDS)
def test_command_names_what_exists(command):
    with open(ROOT / "pyproject.toml", "rb") as file:
        project = tomllib.load(file)["project"]
    program, *arguments = command.split()
    if program == "make":
        makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
        assert all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in arguments)
    elif program == "pip":
        assert arguments[0] == "install"
        extras = re.fullmatch(r'"?\.(?:\[([\w,]+)\])?"?', arguments[1]).group(1)
        assert set((extras or "plot").split(",")) <= set(project["optional-dependencies"])
    else:
        assert program in project["scripts"]
        assert arguments == ["demo"]


def test_it_comes_to_its_tables_within_two_screens():
    assert README[: README.index("\n|")].count("\n") <= 90


def test_benchmarks_page_shows_the_times_to_the_optimum():
    page = (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    for option in ("start-after", "end-before"):
        marker = re.search(rf'^:{option}: "(.*)"$', page, re.MULTILINE).group(1)
        assert README.count(marker) == 1


def test_benchmark_markers_are_those_of_the_script_that_fills_them():
    script = (ROOT / "bench" / "update_docs.py").read_text(encoding="utf-8")
    page = (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    for name in ("BEGIN", "END"):
        marker = re.search(rf'^{name} = "(.*)"$', script, re.MULTILINE).group(1)
        assert page.count(marker) == 1

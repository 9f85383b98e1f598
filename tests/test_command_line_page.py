"""Runs docs/command-line.md from top to bottom: its commands print what it shows.

Numbers may be others, as another CPU rounds otherwise; all else is compared. The commands
themselves are tested in test_cli.py.
"""

import re
import shlex
from pathlib import Path

import pytest

from fastsoftmax.__main__ import main

for module in ("matplotlib", "pandas", "pyarrow", "safetensors"):
    pytest.importorskip(module)

PAGE = (Path(__file__).parent.parent / "docs" / "command-line.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)


def _without_numbers(text):
    """Words and lines alone: numbers may be wider on another machine, and so may be columns."""
    text = re.sub(r"\d[\d.]*(e[-+]\d+)?", "#", text.replace("–", "-"))
    return [" ".join(line.split()) for line in text.strip().splitlines()]


def test_the_page(tmp_path, monkeypatch, capsys):
    assert {language for language, _ in BLOCKS} == {"python", "console"}
    monkeypatch.chdir(tmp_path)
    n_commands = 0
    for language, text in BLOCKS:
        if language == "python":
            exec(compile(text, "command-line.md", "exec"), {"__name__": "page"})
            continue
        command, _, shown = text.partition("\n")
        prompt, program, *arguments = shlex.split(command)
        assert (prompt, program) == ("$", "fastsoftmax")
        assert main(arguments) == 0
        printed = capsys.readouterr()
        assert printed.err == ""
        assert _without_numbers(printed.out) == _without_numbers(shown)
        n_commands += 1
    assert n_commands >= 6

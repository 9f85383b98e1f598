"""Writes the benchmark tables into docs/benchmarks.md, between its two marker comments.

Measures nothing and leaves the rest of the file as it is. ``python -m bench.update_docs
[FILE...]`` takes the result files named, or the newest in bench/results/; run it after
``make bench``.
"""

import sys
from pathlib import Path

from bench.report import documented_tables, newest_result

PAGE = Path(__file__).parent.parent / "docs" / "benchmarks.md"
BEGIN = "<!-- benchmarks: begin (written by bench/update_docs.py) -->"
END = "<!-- benchmarks: end -->"


def insert(text, tables):
    """Put ``tables`` in the place of what stands between the markers of ``text``.

    Raises
    ------
    ValueError
        If ``text`` doesn't hold each marker exactly once, in their order.
    """
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(BEGIN) > text.index(END):
        raise ValueError(f"expected the lines {BEGIN!r} and {END!r}, once each and in this order")
    head, rest = text.split(BEGIN)
    _, tail = rest.split(END)
    return f"{head}{BEGIN}\n\n{tables}\n\n{END}{tail}"


def main(arguments):
    """Update docs/benchmarks.md."""
    tables = documented_tables(arguments or [newest_result()])
    PAGE.write_text(insert(PAGE.read_text(encoding="utf-8"), tables), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])

"""Writes the benchmark tables into README.md, between its two marker comments.

Measures nothing and leaves the rest of the file as it is. ``python -m bench.update_readme
[FILE...]`` takes the result files named, or the newest in bench/results/; run it after
``make bench``.
"""

import sys
from pathlib import Path

from bench.report import newest_result, readme_tables

README = Path(__file__).parent.parent / "README.md"
BEGIN = "<!-- benchmarks: begin (written by bench/update_readme.py) -->"
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
    """Update README.md."""
    tables = readme_tables(arguments or [newest_result()])
    README.write_text(insert(README.read_text(encoding="utf-8"), tables), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])

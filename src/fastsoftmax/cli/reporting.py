"""What is printed: results, lines on stderr, and how far it has come where stderr is a terminal.

Nothing is computed here but rates. Called by the commands.
"""

import json
import math
import shutil
import sys
import time
from dataclasses import dataclass, field

__all__ = ["Console", "Result", "UsageError", "as_json", "table"]

#: Seconds between two looks of the line that shows progress.
PATIENCE = 0.1


class UsageError(ValueError):
    """Options that don't go with each other or with the files."""

    status = 2


@dataclass(frozen=True)
class Result:
    """What a command came to.

    Parameters
    ----------
    document : dict
        For ``--json``.
    text : str
        For people.
    status : int
    """

    document: dict
    text: str
    status: int = 0


@dataclass
class Console:
    """Lines on stderr.

    Parameters
    ----------
    command : str
    is_quiet : bool
        Whether progress is not to be shown.
    """

    command: str
    is_quiet: bool = False
    progress: "Progress" = field(init=False)

    def __post_init__(self):
        self.progress = Progress(not self.is_quiet and sys.stderr.isatty())

    def say(self, text):
        """A line of its own."""
        self.progress.close()
        print(f"fastsoftmax {self.command}: {text}", file=sys.stderr)


class Progress:
    """A line that is written again and again: passes, rows a second, what a pass came to.

    How far that is above the minimum is "at most" where it is proved at that pass, and "about"
    where it is an estimate.

    Parameters
    ----------
    is_shown : bool
    """

    def __init__(self, is_shown):
        self.is_shown = is_shown
        self._n_rows, self._n_read, self._start, self._shown = None, 0, 0.0, 0.0
        self._width, self._of_epoch = 0, ""

    def begin(self, n_rows):
        """A pass over so many rows begins; None where that isn't known yet."""
        self._n_rows, self._n_read, self._start = n_rows, 0, time.perf_counter()

    def add(self, n_rows):
        """Rows were read."""
        self._n_read += n_rows
        if self.is_shown and time.perf_counter() - self._shown > PATIENCE:
            done = f"{self._n_read} rows"
            if self._n_rows:
                done = f"{self._n_read / self._n_rows:4.0%}"
            seconds = time.perf_counter() - self._start
            self._show([done, _rate(self._n_read, seconds), self._of_epoch])

    def end(self):
        """The pass has ended."""
        self._n_rows = self._n_read

    def epoch(self, info):
        """For fit's callbacks: a pass has ended, and this is what it came to."""
        numbers = [f"objective {info.objective:.5f}"]
        if not math.isnan(info.validation_score):
            numbers.append(f"validation {info.validation_score:.5f}")
        numbers += _above_minimum(info)
        self._of_epoch = f"pass {info.epoch}  {'  '.join(numbers)}"
        self._show([_rate(self._n_rows or 0, info.seconds), self._of_epoch])

    def close(self):
        """Leave an empty line."""
        if self._width:
            print(f"\r{' ' * self._width}\r", end="", file=sys.stderr, flush=True)
            self._width = 0

    def _show(self, parts):
        text = "  ".join(part for part in parts if part)
        text = text[
            : shutil.get_terminal_size().columns - 1
        ]  # a longer one could not be left again
        print(f"\r{text.ljust(self._width)}", end="", file=sys.stderr, flush=True)
        self._width, self._shown = len(text), time.perf_counter()


def _above_minimum(info):
    """How far the objective is above its minimum: what is proved, else an estimate, if any."""
    if math.isfinite(info.suboptimality_bound):
        return [f"at most {info.suboptimality_bound:.1e} above its minimum"]
    if math.isfinite(info.suboptimality):
        return [f"about {info.suboptimality:.1e} above its minimum"]
    return []


def _rate(n_rows, seconds):
    """Rows a second, in three digits and a unit."""
    rate = n_rows / seconds if seconds > 0 else 0
    for unit, name in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if rate >= unit:
            return f"{rate / unit:.3g} {name} rows/s"
    return f"{rate:.3g} rows/s"


def as_json(document, is_ascii=False):
    """JSON, with null for what is no number, and letters as they are or in ASCII."""
    return json.dumps(_plain(document), indent=2, allow_nan=False, ensure_ascii=is_ascii)


def _plain(value):
    if hasattr(value, "tolist"):  # NumPy's
        value = value.tolist()
    if isinstance(value, dict):
        return {str(name): _plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return str(value)


def table(rows):
    """Lines of aligned columns, the first one to the left; the first row names them."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip()
        for row in rows
    )

"""A number that other arrays would hardly have. Called by checks.py and journal.py."""

from zlib import crc32

import numpy as np

__all__ = ["checksum"]

#: Rows that are looked at at once: those that aren't contiguous are copied.
MARKED_ROWS = 4096


def checksum(*arrays):
    """That of these arrays, one after the other; None is none."""
    mark = 0
    for array in arrays:
        for start in range(0, 0 if array is None else len(array), MARKED_ROWS):
            rows = np.ascontiguousarray(array[start : start + MARKED_ROWS])
            mark = crc32(rows.view(np.uint8).ravel(), mark)
    return mark

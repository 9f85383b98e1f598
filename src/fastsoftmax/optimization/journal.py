"""What each pass over the rows has given, kept in a file as it comes, so that a fit can go on.

A descent is settled by what its passes give: whoever repeats it with the same results takes the
same steps, to the last bit. So they alone are kept, one record after the other, each with a
checksum. A fit that is resumed does all else once more, which is little, without a pass over the
rows, up to where the records end. Called by sgd.py and solver.py; opened by the estimators.
"""

import json
import os
import struct
from contextlib import suppress
from pathlib import Path
from time import monotonic
from zlib import crc32

import numpy as np

from ..problem.checksum import checksum

__all__ = ["NO_JOURNAL", "Journal", "JournalError"]

#: Begins the file, and a record: the length of what comes, and its checksum.
MAGIC = b"fastsoftmax checkpoint 1\n"
HEADER = struct.Struct("<QI")

#: Seconds after which the system is told to put on the disk what it may still hold in memory. What
#: a process has written outlives it in any case; this is for the machine's own end.
SYNCED_EVERY = 60.0


class JournalError(ValueError):
    """A checkpoint that can't be gone on from."""


class _NoJournal:
    """Keeps nothing."""

    @staticmethod
    def loss_gradient(problem, coef, intercept, likeliest=None):
        """As ``problem.loss_gradient``."""
        return problem.loss_gradient(coef, intercept, likeliest)

    @staticmethod
    def run_epoch(problem, state, order, rates, plan):
        """As ``problem.run_epoch``."""
        return problem.run_epoch(state, order, rates, plan)


NO_JOURNAL = _NoJournal()


class Journal:
    """Results of passes, from a file and then to it.

    Parameters
    ----------
    path : path
    key : dict
        What the fit depends on, in values that JSON has: another one has another key.
    resume : bool
        Whether to go on from what the file has, if there is one; else it is begun anew.

    Raises
    ------
    JournalError
        If the file is none of ours, or of another fit; it says in what they differ.
    OSError
        If it can't be read or written.
    """

    def __init__(self, path, key, resume):
        self._path = Path(path)
        self._kept, self._n_replayed = [], 0
        key = json.loads(json.dumps(key))
        records, self._size = self._read()
        if not resume:
            records = []
        if records:
            self._check_key(json.loads(records[0]), key)
            self._kept = records[1:]
            self._file = open(self._path, "r+b")  # noqa: SIM115, closed by __exit__
            self._file.truncate(self._size)  # a record that was cut off
            self._file.seek(self._size)
        else:
            self._begin(key)
        self._synced = monotonic()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._file.close()

    def loss_gradient(self, problem, coef, intercept, likeliest=None):
        """As ``problem.loss_gradient``; where the likeliest classes are wanted it is not kept."""
        if likeliest is not None:
            return problem.loss_gradient(coef, intercept, likeliest)

        def compute():
            value, *gradients = problem.loss_gradient(coef, intercept)
            return [np.float64(value), *gradients]

        value, *gradients = self._result(compute, checksum(coef, intercept))
        return (float(value), *gradients)

    def run_epoch(self, problem, state, order, rates, plan):
        """As ``problem.run_epoch``."""
        arrays = state.coef, state.intercept, state.coef_state, state.intercept_state
        mark = checksum(*arrays, rates)

        def compute():
            loss = problem.run_epoch(state, order, rates, plan)
            return [np.float64(loss), *(array.copy() for array in arrays)]

        loss, *kept = self._result(compute, mark)
        for array, values in zip(arrays, kept, strict=True):
            array[:] = values
        return float(loss)

    def _result(self, compute, mark):
        """The arrays of the next record, or those computed, which are then kept."""
        if self._n_replayed < len(self._kept):
            kept_mark, arrays = _unpacked(self._kept[self._n_replayed])
            if kept_mark != mark:
                raise JournalError(
                    f"checkpoint {self._path} doesn't lead where this fit goes: its pass "
                    f"{self._n_replayed} was at other parameters. Another version of NumPy, of the "
                    "kernels or another processor may round otherwise; begin anew, resume=False"
                )
            self._kept[self._n_replayed] = None
            self._n_replayed += 1
            return arrays
        arrays = compute()
        self._append(_packed(mark, arrays))
        return arrays

    # --- The file ---------------------------------------------------------------------------------

    def _read(self):
        """The whole records of the file, and where they end; none where there is no file."""
        try:
            data = self._path.read_bytes()
        except FileNotFoundError:
            return [], 0
        if not data:
            return [], 0
        if not data.startswith(MAGIC[: len(data)]):
            raise JournalError(f"{self._path} is no checkpoint; it is left as it is")
        records, place = [], len(MAGIC)
        while place + HEADER.size <= len(data):
            length, checksum = HEADER.unpack_from(data, place)
            record = data[place + HEADER.size : place + HEADER.size + length]
            if len(record) < length or crc32(record) != checksum:
                break
            records.append(record)
            place += HEADER.size + length
        return records, place

    def _begin(self, key):
        """A new file in the place of the one there, all at once."""
        beside = self._path.with_name(self._path.name + ".new")
        self._file = open(beside, "wb")  # noqa: SIM115
        self._size = 0
        self._write(MAGIC)
        self._append(json.dumps(key).encode())
        self._file.close()  # Windows renames no file that is open
        os.replace(beside, self._path)
        self._file = open(self._path, "r+b")  # noqa: SIM115
        self._file.seek(self._size)

    def _check_key(self, kept, key):
        """An error where the records are of another fit."""
        names = [name for name in {**kept, **key} if kept.get(name) != key.get(name)]
        if names:
            name = names[0]
            raise JournalError(
                f"checkpoint {self._path} is of another fit: {name} was {kept.get(name)!r}, and is "
                f"{key.get(name)!r} now"
            )

    def _append(self, record):
        self._write(HEADER.pack(len(record), crc32(record)) + record)
        now = monotonic()
        if now - getattr(self, "_synced", now) >= SYNCED_EVERY:
            os.fsync(self._file.fileno())
            self._synced = now

    def _write(self, data):
        """Write all of it, or leave the file as it was."""
        try:
            self._file.write(data)
            self._file.flush()
        except OSError as error:
            with suppress(OSError):  # what is cut off is found out by its checksum
                self._file.truncate(self._size)
            message = f"checkpoint {self._path} can't be written ({error.strerror}); what was "
            raise OSError(error.errno, message + "written before is still there") from error
        self._size += len(data)


def _packed(mark, arrays):
    """Bytes of a mark and arrays."""
    described = [(array.dtype.str, array.shape) for array in map(np.asarray, arrays)]
    head = json.dumps([mark, described]).encode()
    body = b"".join(np.ascontiguousarray(array).tobytes() for array in arrays)
    return struct.pack("<I", len(head)) + head + body


def _unpacked(record):
    """The same, of bytes."""
    (length,) = struct.unpack_from("<I", record)
    mark, described = json.loads(record[4 : 4 + length])
    arrays, place = [], 4 + length
    for dtype, shape in described:
        n_values = int(np.prod(shape, dtype=np.int64))
        values = np.frombuffer(record, dtype, n_values, place).reshape(shape).copy()
        arrays.append(values)
        place += values.nbytes
    return mark, arrays

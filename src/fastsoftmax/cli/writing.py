"""Predictions to files, block by block: Parquet, CSV and .npy, all at once or not at all.

pyarrow and NumPy write; nothing is predicted here. Called by predict.py; train.py asks whether it
may write before it begins.
"""

import os
from contextlib import contextmanager

import numpy as np

from ..interchange.replacing import replacing
from ..sources.columns import require_arrow
from .reporting import UsageError

__all__ = ["check_output", "columns_of", "format_of", "writing"]

#: Format by the end of a name.
ENDINGS = {".parquet": "parquet", ".pq": "parquet", ".csv": "csv", ".npy": "npy"}


def check_output(path, files, option="--output"):
    """An error where a file can't be written to, or is one of those that have another use."""
    folder = os.path.dirname(os.path.abspath(path))
    if not os.path.isdir(folder):
        raise FileNotFoundError(f"{option} {path}: there is no folder {folder}")
    if os.path.isdir(path):
        raise IsADirectoryError(f"{option} {path} is a folder")
    if not os.access(folder, os.W_OK):
        raise PermissionError(f"{option} {path}: nothing may be written to {folder}")
    for file in files:
        is_same = os.path.realpath(path) == os.path.realpath(file)
        if is_same or (all(map(os.path.exists, (path, file))) and os.path.samefile(path, file)):
            raise UsageError(f"{option} {path} is a file that has another use here")


def format_of(path):
    """What to write, by the name."""
    ending = os.path.splitext(path.lower())[1]
    if ending not in ENDINGS:
        raise UsageError(f"--output must end with .parquet, .csv or .npy; got {path}")
    return ENDINGS[ending]


def columns_of(classes):
    """Names of the columns of probabilities."""
    return [f"proba_{label}" for label in classes.tolist()]


@contextmanager
def writing(path, classes, has_probabilities):
    """Give a function that takes labels and probabilities, or None, of one block after another.

    In Parquet and CSV there is a column ``prediction``, and a column of probabilities for each
    class; in .npy there are the labels or, if they are wanted, the probabilities.
    """
    kind = format_of(path)
    write = {"parquet": _tables, "csv": _tables, "npy": _array}[kind]
    with replacing(path) as temporary, write(temporary, kind, classes, has_probabilities) as add:
        yield add


@contextmanager
def _tables(path, kind, classes, has_probabilities):
    require_arrow()
    import pyarrow
    from pyarrow.csv import CSVWriter
    from pyarrow.parquet import ParquetWriter

    names = columns_of(classes) if has_probabilities else []
    writer = None

    def table_of(labels, probability):
        columns = {"prediction": labels}
        columns |= {name: probability[:, k] for k, name in enumerate(names)}
        return pyarrow.table(columns)

    def add(labels, probability):
        nonlocal writer
        table = table_of(labels, probability)
        if writer is None:
            make = ParquetWriter if kind == "parquet" else CSVWriter
            writer = make(path, table.schema)
        writer.write_table(table)

    try:
        yield add
        if writer is None:  # no rows: a file of no rows, with the same columns
            add(classes[:0], np.empty((0, len(classes))))
    finally:
        if writer is not None:
            writer.close()


@contextmanager
def _array(path, kind, classes, has_probabilities):
    """An array whose number of rows is written in the end, into the room that NumPy leaves."""
    if classes.dtype.hasobject and not has_probabilities:
        classes = np.array(classes.tolist())
    n_rows, dtype, start = 0, None if has_probabilities else classes.dtype, 0

    def write_header():
        shape = (n_rows, len(classes)) if has_probabilities else (n_rows,)
        header = {
            "descr": np.lib.format.dtype_to_descr(dtype or np.dtype(np.float64)),
            "fortran_order": False,
            "shape": shape,
        }
        np.lib.format.write_array_header_1_0(file, header)

    with open(path, "wb") as file:

        def add(labels, probability):
            nonlocal n_rows, dtype, start
            rows = probability if has_probabilities else labels
            dtype = rows.dtype if dtype is None else dtype
            if start == 0:
                write_header()
                start = file.tell()
            file.write(np.ascontiguousarray(rows, dtype).tobytes())
            n_rows += len(rows)

        yield add
        file.seek(0)
        write_header()
        if start not in (0, file.tell()):
            raise RuntimeError(f"NumPy left no room for {n_rows} rows in the header of {path}")

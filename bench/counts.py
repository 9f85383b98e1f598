"""Instructions that the kernels take for a multiply-add, counted under valgrind: no clock is asked.

Run from the repository root, where valgrind with its headers and a C compiler are::

    python -m bench.counts [avx2 | baseline]

A machine that is shared can't show a difference of a few per cent in time; a count is the same
anywhere. Callgrind knows AVX2 and not AVX-512. Each call is counted by itself, between two client
requests in one process, by one thread; what Python takes around it is counted too, some tens of
thousands. Prints a Markdown table, that of docs/benchmarks.md, after some minutes. Waiting for
memory isn't counted, which may be more than all else: beside a count, take a time.
"""

import ctypes
import os
import re
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

import numpy as np

#: Rows, features, classes. Few rows, as valgrind is slow.
DENSE = [
    (512, 784, 10),
    (512, 768, 100),
    (256, 768, 1000),
    (512, 617, 26),
    (512, 1024, 3),
    (2048, 54, 7),
]

#: Rows, features, values of a row, classes.
SPARSE = (1024, 20_000, 80, 20)

CALLS = ("epoch", "gradient", "prediction")

#: A library that begins a count, and ends it under a name.
REQUESTS = """
#include <valgrind/callgrind.h>
void begin_count(void) { CALLGRIND_START_INSTRUMENTATION; CALLGRIND_ZERO_STATS; }
void end_count(const char *name)
{
    CALLGRIND_DUMP_STATS_AT(name);
    CALLGRIND_STOP_INSTRUMENTATION;
}
"""


def _problems():
    """Title, classes, multiply-adds of a product of all rows with coef, and the Problem."""
    from scipy.sparse import csr_array

    from bench.kernel_calls import problem_of
    from fastsoftmax.problem.rows import SparseRows

    rng = np.random.default_rng(0)
    for dtype in (np.float32, np.float64):
        name = np.dtype(dtype).name
        for n, d, n_classes in DENSE:
            X = rng.normal(size=(n, d)).astype(dtype)
            yield (
                f"{n} × {d}, {n_classes}, {name}",
                n_classes,
                n * d * n_classes,
                problem_of(X, n, n_classes, dtype, rng),
            )
        n, d, n_values, n_classes = SPARSE
        indices = np.sort(rng.integers(d, size=(n, n_values)), axis=1).ravel()
        values = rng.random(n * n_values).astype(dtype)
        X = csr_array((values, indices, np.arange(0, n * n_values + 1, n_values)), shape=(n, d))
        X.sum_duplicates()
        title = f"{n} × {d}, {n_classes}, {n_values} values a row, {name}"
        problem = problem_of(SparseRows.of(X), n, n_classes, dtype, rng)
        yield title, n_classes, X.nnz * n_classes, problem


def count(library):
    """Make each call once, and then once more between two requests. Runs under valgrind."""
    from bench.kernel_calls import calls_of

    requests = ctypes.CDLL(library)
    for title, n_classes, _, problem in _problems():
        for name, call in calls_of(problem, n_classes).items():
            call()
            requests.begin_count()
            call()
            requests.end_count(f"{title}: {name}".encode())


def counted(isa):
    """Instructions of each call, by its title."""
    with tempfile.TemporaryDirectory() as folder:
        source, library = Path(folder) / "requests.c", Path(folder) / "requests.so"
        source.write_text(REQUESTS)
        compiler = (sysconfig.get_config_var("CC") or "cc").split()[0]
        subprocess.run([compiler, "-shared", "-fPIC", "-o", library, source], check=True)
        command = ["valgrind", "--tool=callgrind", "--instr-atstart=no"]
        command.append(f"--callgrind-out-file={folder}/out")
        code = f"from bench.counts import count; count({os.fspath(library)!r})"
        environment = os.environ | {"FASTSOFTMAX_ISA": isa, "OMP_NUM_THREADS": "1"}
        # Only where BLAS looks what the processor has, which it does differently under valgrind.
        environment |= {"OPENBLAS_CORETYPE": "Haswell"}
        subprocess.run(
            [*command, sys.executable, "-c", code],
            check=True,
            env=environment,
            stderr=subprocess.DEVNULL,
        )
        counts = {}
        for path in Path(folder).glob("out.*"):
            text = path.read_text()
            title = re.search(r"^desc: Trigger: Client Request: (.*)$", text, re.M)
            total = re.search(r"^(?:summary|totals): (\d+)", text, re.M)
            if title and total:
                counts[title[1]] = int(total[1])
        return counts


def main(isa="avx2"):
    """Print the table."""
    counts = counted(isa)
    print(f"| {isa}: rows × features, classes | " + " | ".join(CALLS) + " |")
    print("|---|" + "---:|" * len(CALLS))
    for title, _, n_products, _ in _problems():
        # A prediction multiplies once; an epoch and a gradient multiply back as well.
        cells = [
            counts[f"{title}: {name}"] / (n_products * (1 if name == "prediction" else 2))
            for name in CALLS
        ]
        print(f"| {title} | " + " | ".join(f"{cell:.3f}" for cell in cells) + " |")


if __name__ == "__main__":
    main(*sys.argv[1:])

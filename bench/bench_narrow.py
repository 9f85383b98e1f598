"""A forward step of narrow rows both ways, and which of them the rule of columns.h takes.

Run from the repository root, on a CPU that has the instruction set, with GCC or clang as `cc`::

    python -m bench.bench_narrow [avx2 | avx512]

Compiles the step twice, once without columns and once with nothing else, and times it by one
thread on 64 rows that are in the cache. Prints time by columns ÷ time by tiles, the least of
several hundred turns each, and a star where columns are what is taken. From this the numbers
FS_COLUMN_SHARE and FS_COLUMN_SAVES of simd.h come. Asserts nothing.
"""

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

KERNELS = Path(__file__).resolve().parent.parent / "src" / "fastsoftmax" / "kernels"
FLAGS = ["-O3", "-ffp-contract=fast", "-fno-math-errno", "-fno-trapping-math"]
AVX2 = ["-mavx2", "-mfma", "-mf16c"]
AVX512 = [*AVX2, *(f"-mavx512{part}" for part in ("f", "bw", "dq", "vl"))]
ARCHITECTURES = {"avx2": AVX2, "avx512": [*AVX512, "-mprefer-vector-width=512"]}
CLASSES = (2, 3, 5, 7, 8, 10, 12, 16, 26, 100)
FEATURES = (8, 16, 32, 56, 104, 160, 240, 400)
#: What of simd.h is written anew.
WAYS = {"tiles": ("FS_COLUMN_VECTORS", 0), "columns": ("FS_COLUMN_SAVES", 10**6)}

PROGRAM = """
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "simd.h"

enum { ROWS = 64, TURNS = 400 };

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec + 1e-9 * now.tv_nsec;
}

static real *zeros(size_t n)
{
    real *values = aligned_alloc(64, (n * sizeof(real) + 63) / 64 * 64);
    memset(values, 0, n * sizeof(real));
    return values;
}

int main(int argc, char **argv)
{
    for (int a = 1; a + 1 < argc; a += 2) {
        const ptrdiff_t k = atol(argv[a]), d = atol(argv[a + 1]), stride = (d + 15) / 16 * 16 + 16;
        real *rows = zeros(ROWS * stride), *coef = zeros((k + 16) * stride), *b = zeros(k + 16);
        real *raw = zeros((k + 16) * ROWS);
        const real *samples[ROWS];
        fs_fetcher nothing;
        double best = 1e9;
        fs_fetch_nothing(&nothing);
        for (int i = 0; i < ROWS; i++)
            samples[i] = rows + i * stride;
        for (int turn = 0; turn < TURNS; turn++) {
            const double start = seconds();
            FS(forward)(samples, coef, stride, d, b, raw, ROWS, ROWS, &nothing, k);
            const double time = seconds() - start;
            best = time < best ? time : best;
        }
        printf("%.9g %d\\n", best, FS(column_vectors)(k, d) > 0);
        free(rows), free(coef), free(b), free(raw);
    }
    return 0;
}
"""


def program(folder, isa, suffix, way):
    """Compile for an instruction set, "f32" or "f64" and a way, or None for the rule; its path."""
    name = f"{suffix}-{way}"
    headers = shutil.copytree(KERNELS, folder / f"headers-{name}")
    if way is not None:
        text = (headers / "simd.h").read_text()
        text = re.sub(rf"(#define {WAYS[way][0]}) \d+", rf"\1 {WAYS[way][1]}", text)
        (headers / "simd.h").write_text(text)
    source = folder / f"{name}.c"
    real = {"f32": "float", "f64": "double"}[suffix]
    source.write_text(f"typedef {real} real;\n#define FS(name) fs_##name##_{suffix}\n{PROGRAM}")
    command = ["cc", *FLAGS, *ARCHITECTURES[isa], f"-I{headers}", source, "-o", folder / name]
    subprocess.run([*command, "-lm"], check=True)
    return folder / name


def answers(path, shapes):
    """Seconds and whether columns are taken, of each shape."""
    arguments = [str(number) for shape in shapes for number in shape]
    done = subprocess.run([path, *arguments], check=True, capture_output=True, text=True)
    return [(float(line.split()[0]), line.endswith("1")) for line in done.stdout.splitlines()]


def main(isa="avx2"):
    """Print a table a dtype."""
    shapes = [(k, d) for k in CLASSES for d in FEATURES]
    for suffix in ("f32", "f64"):
        with tempfile.TemporaryDirectory() as folder:
            ways = ("tiles", "columns", None)
            tiles, columns, rule = (
                answers(program(Path(folder), isa, suffix, way), shapes) for way in ways
            )
        print(f"| {isa}, {suffix}: classes | {' | '.join(map(str, FEATURES))} features |")
        print("|---" * (len(FEATURES) + 1) + "|")
        cells = [
            (f"{column / tile:.2f}" if by_columns else "") + "*" * taken
            for (tile, _), (column, by_columns), (_, taken) in zip(
                tiles, columns, rule, strict=True
            )
        ]
        for i, k in enumerate(CLASSES):
            row = cells[i * len(FEATURES) : (i + 1) * len(FEATURES)]
            print(f"| {k} | {' | '.join(row)} |")
        print(flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])

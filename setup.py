"""The extension table and its flags, nothing else; the rest is in pyproject.toml.

One kernel source is compiled once an instruction set. FASTSOFTMAX_SANITIZE=address,undefined or
=thread is for tests/sanitize.py, which says where to.
"""

import os
import platform
from pathlib import Path

import numpy
from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

KERNELS = "src/fastsoftmax/kernels"
INCLUDED = (".pxi", ".pxd", ".h")
# Not -ffast-math: it drops NaN checks and, when linked, flips denormals for the whole process.
COMMON_FLAGS = ["-O3", "-g0", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=fast"]
COMMON_FLAGS += ["-pthread"]
SANITIZERS = os.environ.get("FASTSOFTMAX_SANITIZE", "")
SANITIZER_FLAGS = [f"-fsanitize={SANITIZERS}", "-fno-sanitize-recover=all"]
# Later flags win. Lines are known, and calls stay calls, so that a report tells where it was.
SANITIZED_FLAGS = [*SANITIZER_FLAGS, "-O1", "-g1", "-fno-omit-frame-pointer"]
SANITIZED_FLAGS += ["-Wno-maybe-uninitialized"]  # which instrumented code makes GCC guess
AVX2_FLAGS = ["-mavx2", "-mfma", "-mf16c"]
AVX512_FLAGS = [*AVX2_FLAGS, "-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl"]
AVX512_FLAGS += ["-mprefer-vector-width=512"]

ISA_FLAGS = {"baseline": []}
if SANITIZERS != "thread" and platform.machine().lower() in ("x86_64", "amd64"):
    ISA_FLAGS |= {"avx2": AVX2_FLAGS, "avx512": AVX512_FLAGS}

DIRECTIVES = {
    "language_level": 3,
    "boundscheck": False,
    "wraparound": False,
    "cdivision": True,
    "initializedcheck": False,
    "allow_none_for_extension_args": False,
    "freethreading_compatible": True,
    "embedsignature": True,
}


def extension(name, flags=(), more=()):
    """One compiled module of the kernels package."""
    return Extension(
        f"fastsoftmax.kernels.{name}",
        [f"{KERNELS}/{name}.pyx", *more],
        include_dirs=[KERNELS, numpy.get_include()],
        depends=[str(path) for path in sorted(Path(KERNELS).glob("*")) if path.suffix in INCLUDED],
        extra_compile_args=[*COMMON_FLAGS, *flags],
        extra_link_args=["-pthread"],
        libraries=["m"],
        define_macros=[("NPY_NO_DEPRECATED_API", "NPY_1_7_API_VERSION")],
    )


class BuildExtensions(build_ext):
    """build_ext that compiles in parallel, and for sanitizers where they are asked for."""

    def build_extensions(self):
        """Build every extension alike."""
        self.parallel = self.parallel or os.cpu_count()
        if SANITIZERS:
            for ext in self.extensions:
                ext.extra_compile_args += SANITIZED_FLAGS
                ext.extra_link_args += SANITIZER_FLAGS
        super().build_extensions()


setup(
    ext_modules=cythonize(
        [
            extension("_cpu"),
            extension("_pool", more=[f"{KERNELS}/pool.c"]),
            *(extension(f"_{isa}", flags) for isa, flags in ISA_FLAGS.items()),
        ],
        build_dir="build/cython",
        compiler_directives=DIRECTIVES,
    ),
    cmdclass={"build_ext": BuildExtensions},
)

"""The extension table and its flags, nothing else; the rest is in pyproject.toml.

One kernel source is compiled once an instruction set. FASTSOFTMAX_OPENMP=0 builds without OpenMP;
FASTSOFTMAX_SANITIZE=address,undefined or =thread is for tests/sanitize.py, which says where to.
"""

import os
import platform
import tempfile
from pathlib import Path

import numpy
from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.errors import CompileError, LinkError

KERNELS = "src/fastsoftmax/kernels"
INCLUDED = (".pxi", ".pxd", ".h")
# Not -ffast-math: it drops NaN checks and, when linked, flips denormals for the whole process.
COMMON_FLAGS = ["-O3", "-g0", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=fast"]
SANITIZERS = os.environ.get("FASTSOFTMAX_SANITIZE", "")
SANITIZER_FLAGS = [f"-fsanitize={SANITIZERS}", "-fno-sanitize-recover=all"]
# Later flags win. Lines are known, and calls stay calls, so that a report tells where it was.
SANITIZED_FLAGS = [*SANITIZER_FLAGS, "-O1", "-g1", "-fno-omit-frame-pointer"]
SANITIZED_FLAGS += ["-Wno-maybe-uninitialized"]  # which instrumented code makes GCC guess
# What the kernels need of OpenMP, by threads that ThreadSanitizer sees starting and ending.
PTHREAD_TEAM = "tests/pthread_team.c"
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


def extension(name, flags=()):
    """One compiled module of the kernels package."""
    return Extension(
        f"fastsoftmax.kernels.{name}",
        [f"{KERNELS}/{name}.pyx"],
        include_dirs=[KERNELS, numpy.get_include()],
        depends=[str(path) for path in sorted(Path(KERNELS).glob("*")) if path.suffix in INCLUDED],
        extra_compile_args=[*COMMON_FLAGS, *flags],
        define_macros=[("NPY_NO_DEPRECATED_API", "NPY_1_7_API_VERSION")],
    )


class BuildExtensions(build_ext):
    """build_ext that compiles in parallel and adds OpenMP where the compiler has it."""

    def build_extensions(self):
        """Probe OpenMP once, then build every extension alike."""
        self.parallel = self.parallel or os.cpu_count()
        if os.environ.get("FASTSOFTMAX_OPENMP", "1") != "0" and self.compiler_has_openmp():
            for ext in self.extensions:
                ext.extra_compile_args.append("-fopenmp")
                if SANITIZERS == "thread":
                    ext.sources.append(PTHREAD_TEAM)
                else:
                    ext.extra_link_args.append("-fopenmp")
        if SANITIZERS:
            for ext in self.extensions:
                ext.extra_compile_args += SANITIZED_FLAGS
                ext.extra_link_args += SANITIZER_FLAGS
        super().build_extensions()

    def compiler_has_openmp(self):
        """Compile and link a program that uses OpenMP."""
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder, "probe.c")
            source.write_text("#include <omp.h>\nint main(void) { return !omp_get_max_threads(); }")
            try:
                objects = self.compiler.compile(
                    [str(source)], output_dir=folder, extra_postargs=["-fopenmp"]
                )
                self.compiler.link_executable(
                    objects, str(Path(folder, "probe")), extra_postargs=["-fopenmp"]
                )
            except (CompileError, LinkError):
                return False
        return True


setup(
    ext_modules=cythonize(
        [extension("_cpu"), *(extension(f"_{isa}", flags) for isa, flags in ISA_FLAGS.items())],
        build_dir="build/cython",
        compiler_directives=DIRECTIVES,
    ),
    cmdclass={"build_ext": BuildExtensions},
)

"""The extension table and its flags, nothing else; the rest is in pyproject.toml.

One kernel source is compiled once an instruction set. FASTSOFTMAX_SANITIZE=address,undefined or
=thread is for tests/sanitize.py, which says where to.
"""

import os
import shutil
import sysconfig
from pathlib import Path

import numpy
from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

KERNELS = "src/fastsoftmax/kernels"
INCLUDED = (".pxi", ".pxd", ".h")
# Not -ffast-math: it drops NaN checks and, when linked, flips denormals for the whole process.
COMMON_FLAGS = ["-O3", "-g0", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=fast"]
SANITIZERS = os.environ.get("FASTSOFTMAX_SANITIZE", "")
SANITIZER_FLAGS = [f"-fsanitize={SANITIZERS}", "-fno-sanitize-recover=all"]
# ASan sees what is read beyond an object. To have UBSan look for it too takes GCC a third longer.
SANITIZER_FLAGS += ["-fno-sanitize=object-size"]
# Later flags win. Lines are known, and calls stay calls, so that a report tells where it was.
SANITIZED_FLAGS = [*SANITIZER_FLAGS, "-O1", "-g1", "-fno-omit-frame-pointer"]
SANITIZED_FLAGS += ["-Wno-maybe-uninitialized"]  # which instrumented code makes GCC guess
AVX2_FLAGS = ["-mavx2", "-mfma", "-mf16c"]
AVX512_FLAGS = [*AVX2_FLAGS, "-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl"]
AVX512_FLAGS += ["-mprefer-vector-width=512"]

# What is built for, which a cross compiler's caller says in _PYTHON_HOST_PLATFORM: linux-x86_64,
# macosx-11.0-arm64, win-amd64. Where it is two CPUs at once (universal2), flags of one won't do.
PLATFORM = sysconfig.get_platform()

ISA_FLAGS = {"baseline": []}
if SANITIZERS != "thread" and PLATFORM.endswith(("-x86_64", "-amd64")):
    ISA_FLAGS |= {"avx2": AVX2_FLAGS, "avx512": AVX512_FLAGS}

WINDOWS = PLATFORM.startswith("win")
#: What modules are linked with: mathematics and threads, or Windows' sleep on an address.
LIBRARIES = ["synchronization"] if WINDOWS else ["m", "pthread"]

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


def extension(name, flags=(), more=(), macros=()):
    """One compiled module of the kernels package."""
    return Extension(
        f"fastsoftmax.kernels.{name}",
        [f"{KERNELS}/{name}.pyx", *more],
        include_dirs=[KERNELS, numpy.get_include()],
        depends=[str(path) for path in sorted(Path(KERNELS).glob("*")) if path.suffix in INCLUDED],
        extra_compile_args=[*COMMON_FLAGS, *flags],
        libraries=LIBRARIES,
        define_macros=[("NPY_NO_DEPRECATED_API", "NPY_1_7_API_VERSION"), *macros],
    )


class BuildExtensions(build_ext):
    """build_ext in parallel, by clang on Windows, and for sanitizers where they are asked for."""

    def build_extensions(self):
        """Build every extension alike."""
        self.parallel = self.parallel or os.cpu_count()
        if self.compiler.compiler_type == "msvc":
            self._use_clang_cl()
        if SANITIZERS:
            for ext in self.extensions:
                ext.extra_compile_args += SANITIZED_FLAGS
                ext.extra_link_args += SANITIZER_FLAGS
        super().build_extensions()

    def _use_clang_cl(self):
        """Microsoft's compiler has no vector extensions; LLVM's that takes its flags does."""
        clang = shutil.which("clang-cl")
        if clang is None:
            raise RuntimeError(
                "fastsoftmax is compiled by clang-cl on Windows, of LLVM or of Visual Studio's "
                "component 'C++ Clang tools'; there is none on the path"
            )
        self.compiler.initialize(self.plat_name)
        self.compiler.cc = clang
        target = "aarch64" if PLATFORM == "win-arm64" else "x86_64"
        for ext in self.extensions:
            flags = [f"/clang:{flag}" for flag in ext.extra_compile_args]
            ext.extra_compile_args = [f"--target={target}-pc-windows-msvc", *flags]


setup(
    ext_modules=cythonize(
        [
            extension("_cpu", macros=[("FS_BUILD_AVX2", "1")] if "avx2" in ISA_FLAGS else []),
            extension("_pool", more=[f"{KERNELS}/pool.c"]),
            *(extension(f"_{isa}", flags) for isa, flags in ISA_FLAGS.items()),
        ],
        build_dir="build/cython",
        compiler_directives=DIRECTIVES,
    ),
    cmdclass={"build_ext": BuildExtensions},
)

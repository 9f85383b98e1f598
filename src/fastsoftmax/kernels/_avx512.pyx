# The kernels, built for avx512; the source is _kernels.pxi.
include "_kernels.pxi"

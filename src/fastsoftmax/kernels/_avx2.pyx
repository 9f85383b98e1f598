# The kernels, built for avx2; the source is _kernels.pxi.
include "_kernels.pxi"

# The kernels, built for baseline; the source is _kernels.pxi.
include "_kernels.pxi"

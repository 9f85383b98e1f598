"""Fixtures of all tests: the build of the kernels to compute with. No data, no helpers."""

import pytest

from fastsoftmax import kernels


@pytest.fixture(params=(*kernels.available, "reference"))
def build(request):
    """Compute with this build for the length of a test; gives its name."""
    with kernels.use(request.param):
        yield request.param


@pytest.fixture(params=kernels.available)
def kernel(request):
    """The module of one compiled build."""
    with kernels.use(request.param) as module:
        assert module.__name__ == f"fastsoftmax.kernels._{request.param}"
        yield module

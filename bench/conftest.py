"""Fixtures that the benchmark files share: the data, the limit measured now, quiet BLAS threads.

Holds no benchmark of its own. Read by pytest.
"""

import pytest

from bench.data import mnist
from bench.roofline import Roofline


def pytest_benchmark_update_machine_info(config, machine_info):
    """Leave the machine's name out of the results."""
    machine_info.pop("node", None)


@pytest.fixture(scope="session")
def mnist_problem():
    """One epoch of MNIST on one thread."""
    try:
        return mnist(n_threads=1)
    except OSError as error:
        pytest.skip(f"no MNIST: set FASTSOFTMAX_DATA, or let scikit-learn fetch it ({error})")


@pytest.fixture(scope="session")
def roofline():
    """Rates of this machine, float32, one thread."""
    return Roofline.measure("float32", n_threads=1)

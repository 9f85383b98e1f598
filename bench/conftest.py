"""Settings of all benchmarks. Holds no benchmark of its own. Read by pytest."""


def pytest_benchmark_update_machine_info(config, machine_info):
    """Leave the machine's name out of the results."""
    machine_info.pop("node", None)

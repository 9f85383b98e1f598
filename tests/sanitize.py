"""The kernels under GCC's sanitizers: tests under ASan and UBSan, teams of threads under TSan.

Run by ``make sanitize``. The build for each has a folder of its own below build/, so that the
kernels in src/ stay as they are. The sanitizer's runtime is loaded before Python (LD_PRELOAD), and
its report ends the process that it is about, which is then a failure.

It is also the plugin of pytest that makes sure which kernels are tested.
"""

import os
import platform
import shutil
import subprocess
import sys
import sysconfig
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

#: What calls the kernels directly, or hands them input of all kinds; not those of whole fits.
TESTS = [
    *("kernels", "kernel_epochs", "kernel_passes", "newton", "conversion", "csr", "refusals"),
    "inputs",
    *("sparse", "repeats", "label_smoothing", "functional", "functional_arrays"),
    *("functional_threads", "teams"),
]
#: Tests of memory, which a sanitizer takes much of.
NOT_THESE = "not test_fit_and_predict_need_a_few_megabytes"

#: What the environment says to Python, by the name of the build.
SETTINGS = {
    "address": {
        # Python and NumPy keep what they have until they end, which is no leak of ours. Python's
        # own pools would hide where an object ends.
        "ASAN_OPTIONS": "detect_leaks=0",
        "UBSAN_OPTIONS": "print_stacktrace=1",
        "PYTHONMALLOC": "malloc",
    },
    # The pool's own test starts threads in forked children, which ThreadSanitizer has to be told.
    "thread": {
        "TSAN_OPTIONS": "halt_on_error=1 exitcode=66 die_after_fork=0",
        "FASTSOFTMAX_ISA": "baseline",
    },
}
SANITIZERS = {"address": "address,undefined", "thread": "thread"}
RUNTIMES = {"address": "libasan.so", "thread": "libtsan.so"}

#: Calls of the pool in its own test, a million small ones.
POOL_CALLS = 1_000_000

#: After RESULTS of test_teams.py, in which no team is broken up: every kernel on a team, and then
#: epochs of all updates.
TEAMS = """
    for n_threads in (2, 3):
        assert differ(results(n_threads), expected) == []
        for update in ("sgd", "momentum", "nesterov", "adagrad"):
            for name, X, work, more in [
                ("epoch", (wide,), wide_work, {"shift": None}),
                ("epoch", (narrow,), narrow_work, {"shift": None}),
                ("sparse_epoch", sparse, sparse_work, {}),
            ]:
                one, several = (
                    epoch(name, X, work, n, 1000, update, **more) for n in (1, n_threads))
                assert differ(one, several) == []
print("no race")
"""


def library(name):
    return ROOT / "build" / f"sanitize-{name}" / "lib"


def pytest_configure(config):
    """As a plugin (``-p sanitize``): no test unless the kernels are those of the sanitizer."""
    assert_sanitized("address")


def pytest_collection_modifyitems(config, items):
    """As a plugin: none that compute with NumPy's twins alone, which are not looked at."""
    twins = [item for item in items if "reference" in _parameters(item)]
    config.hook.pytest_deselected(items=twins)
    items[:] = [item for item in items if item not in set(twins)]


def _parameters(item):
    spec = getattr(item, "callspec", None)
    return [value for value in spec.params.values() if isinstance(value, str)] if spec else []


def assert_sanitized(name):
    from fastsoftmax import kernels

    for module in (kernels._cpu, kernels.implementation):
        assert Path(module.__file__).is_relative_to(library(name)), module.__file__


def compiler():
    """The C compiler's command, as setup.py finds it."""
    return (os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc").split()


def runtime(name):
    """Path of a sanitizer's runtime, or None: GCC gives a name back that it knows no path of."""
    command = [*compiler(), f"-print-file-name={RUNTIMES[name]}"]
    try:
        path = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
    return path if Path(path).is_absolute() and Path(path).exists() else None


def transpile():
    """Have Cython write its C, which the builds share and would both write."""
    command = [sys.executable, "setup.py", "--quiet", "--version"]
    environment = {**os.environ, "FASTSOFTMAX_SANITIZE": SANITIZERS["address"]}
    subprocess.run(command, cwd=ROOT, check=True, env=environment, stdout=subprocess.DEVNULL)


def build(name):
    """Build the package, of its kernels what has changed."""
    folder = library(name).parent
    if folder.exists() and folder.stat().st_mtime < (ROOT / "setup.py").stat().st_mtime:
        shutil.rmtree(folder)  # other flags, it may be
    for path in library(name).rglob("*.py*"):
        path.unlink()  # or it would be found where there is none any more
    command = [sys.executable, "setup.py", "--quiet", "build"]
    command += ["--build-base", str(folder), "--build-lib", str(library(name))]
    subprocess.run(
        command, cwd=ROOT, check=True, env={**os.environ, "FASTSOFTMAX_SANITIZE": SANITIZERS[name]}
    )


def environment_of(name):
    return {**os.environ, **SETTINGS[name]}


def run(name, arguments):
    """Run Python with the sanitized package; the process's exit status."""
    paths = [str(library(name)), str(ROOT / "tests")]
    environment = {
        **environment_of(name),
        "LD_PRELOAD": runtime(name),
        "PYTHONPATH": os.pathsep.join(paths),
    }
    return run_fixed(name, [sys.executable, *arguments], environment)


def run_fixed(name, command, environment):
    """Run a command; for ThreadSanitizer at addresses that it expects, which random ones aren't."""
    fixed = ["setarch", platform.machine(), "--addr-no-randomize"]
    if name == "thread" and shutil.which("setarch") and not subprocess.call([*fixed, "true"]):
        command = fixed + command
    return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode


def tests_fail():
    """Whether a test of the kernels does, or is ended by ASan or UBSan."""
    files = [f"tests/test_{name}.py" for name in TESTS]
    # Reports are written by the process to where it writes errors: they must not be captured.
    quiet = ["-p", "no:benchmark", "-p", "no:faulthandler", "-p", "no:cacheprovider", "-q"]
    quiet += ["-p", "sanitize", "--capture=sys", "--numprocesses=2", "-r", "fE"]
    return run("address", ["-m", "pytest", *quiet, "-k", NOT_THESE, *files]) != 0


def threads_fail():
    """Whether ThreadSanitizer sees a race: in the pool's own test, or in a team of the kernels."""
    from test_pool import compiled_stress
    from test_teams import IMPATIENT, RESULTS

    stress = compiled_stress(library("thread").parent, "-fsanitize=thread", "-O1", "-g")
    if run_fixed("thread", [stress, str(POOL_CALLS), "1"], environment_of("thread")) != 0:
        return True
    check = "import sanitize\nsanitize.assert_sanitized('thread')\n"
    return any(
        run("thread", ["-c", check + RESULTS + script, "baseline"]) != 0
        for script in (TEAMS, IMPATIENT)
    )


def main():
    for name, library in RUNTIMES.items():
        if runtime(name) is None:
            return f"needs GCC with its sanitizers: `{' '.join(compiler())}` has no {library}"
    start, failed = time.monotonic(), []
    print(f"Building kernels with -fsanitize={' and '.join(SANITIZERS.values())}", flush=True)
    transpile()
    with ThreadPoolExecutor() as pool:  # three kernels and one, of which each is a file to compile
        list(pool.map(build, SANITIZERS))
    print(f"built in {time.monotonic() - start:.0f} s", flush=True)
    for name, fails in (("address", tests_fail), ("thread", threads_fail)):
        start = time.monotonic()
        if fails():
            failed.append(SANITIZERS[name])
        print(f"{name}: ran for {time.monotonic() - start:.0f} s", flush=True)
    return f"failed under -fsanitize={' and '.join(failed)}" if failed else 0


if __name__ == "__main__":
    sys.exit(main())

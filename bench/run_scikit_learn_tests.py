"""scikit-learn's own tests, run with this package's LogisticRegression in the place of its own.

Not a benchmark: it measures how far the drop-in is one. The tests are those that the installed
scikit-learn brings with it, all that name the class, by themselves or by what they use of their
module. Before they are collected, the class and LogisticRegressionCV are replaced wherever
scikit-learn's modules have them, and the fits of the replacements are counted. What fails is run
once more with scikit-learn's own classes, and what fails there too is left out. The rest must be
what docs/scikit-learn.md gives a reason for: the exit status is 1 where a test fails that has none
there, where one that has no longer fails, or where nothing was replaced.

Run by hand: ``python -m bench.run_scikit_learn_tests [--keyword EXPRESSION] [MODULE...]``, modules
as in ``linear_model/tests/test_logistic.py``; without any, all, in some ten minutes. Each run is a
pytest process, of which this file is also the plugin.
"""

import argparse
import ast
import json
import os
import re
import subprocess
import sys
import tempfile
from collections import Counter
from functools import cache, wraps
from pathlib import Path

import sklearn

ROOT = Path(__file__).parents[1]
SCIKIT_LEARN = Path(sklearn.__file__).parent
REASONS = ROOT / "docs" / "scikit-learn.md"

#: Names that are replaced, and the method that is called once a fit or once a fold.
NAMES = {"LogisticRegression": "_fit", "LogisticRegressionCV": "_minima"}

#: What a test names that uses the classes, the second by default.
USERS = {*NAMES, "StackingClassifier"}

#: Modules whose tests are of all estimators: of these only those whose id names the classes.
OF_ALL_ESTIMATORS = ("tests/test_common.py", "tests/test_docstring_parameters.py")

#: Where the plugin writes what it saw, and whether it is to replace anything.
REPORT, REPLACE = "SCIKIT_LEARN_TESTS_REPORT", "SCIKIT_LEARN_TESTS_REPLACE"


def modules():
    """The test modules that name the class, as paths below scikit-learn's package."""
    pattern = re.compile(rf"\b({'|'.join(NAMES)})\b")
    paths = sorted(SCIKIT_LEARN.rglob("test_*.py"))
    named = [path for path in paths if pattern.search(path.read_text(encoding="utf-8"))]
    return [path.relative_to(SCIKIT_LEARN).as_posix() for path in named]


def reasons():
    """Patterns of tests that docs/scikit-learn.md says fail, from the rows of its table."""
    text = REASONS.read_text(encoding="utf-8")
    patterns, path = [], ""
    for row in re.findall(r"^(`[^|]*::[^|]*`) \| ", text, flags=re.MULTILINE):
        for pattern in re.findall(r"`([^`]+)`", row):
            path = pattern.split("::")[0] or path
            patterns.append(path + pattern[pattern.index("::") :])
    return patterns


def is_named(test, pattern):
    """Whether a pattern, in which * is anything, names the test or the function it is one of."""
    expression = ".*".join(re.escape(part) for part in pattern.split("*"))
    return re.fullmatch(expression + r"(\[.*\])?", test, flags=re.DOTALL) is not None


def run(tests, replace, keyword=None):
    """Outcomes, first words of errors and counts of fits of one pytest process."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        command = [sys.executable, "-m", "pytest", "-q", "-p", "bench.run_scikit_learn_tests"]
        command += ["-c", os.devnull, "--rootdir", str(SCIKIT_LEARN), "-p", "no:cacheprovider"]
        command += ["--tb=no", *(["-k", keyword] if keyword else [])]
        command += [str(SCIKIT_LEARN / test) for test in tests]
        environment = {**os.environ, REPORT: str(report), REPLACE: str(int(replace))}
        subprocess.run(command, cwd=ROOT, env=environment, stdout=sys.stderr, check=False)
        return json.loads(report.read_text(encoding="utf-8"))


def main():
    """Run, run again what failed, compare with the reasons, and print what is to be known."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("modules", nargs="*", help="default: all that name the class")
    parser.add_argument("--keyword", help="pytest's -k")
    arguments = parser.parse_args()
    ours = run(arguments.modules or modules(), True, arguments.keyword)
    failed = sorted(test for test, outcome in ours["outcomes"].items() if outcome == "failed")
    plain = run(failed, False)["outcomes"] if failed else {}
    own = [test for test in failed if plain.get(test) == "failed"]
    different = [test for test in failed if test not in own]

    known = reasons()
    new = [test for test in different if not any(is_named(test, p) for p in known)]
    is_whole = not (arguments.modules or arguments.keyword)
    gone = [p for p in known if is_whole and not any(is_named(test, p) for test in different)]
    for title, tests in (
        ("fail with scikit-learn's own classes too", own),
        ("fail for a reason in docs/scikit-learn.md", [t for t in different if t not in new]),
        ("FAIL WITHOUT A REASON", new),
        ("HAVE A REASON AND DON'T FAIL", gone),
    ):
        print(f"\n{len(tests)} {title}")
        for test in tests:
            print(f"  {test}  {ours['errors'].get(test, '')}")
    counts = Counter(ours["outcomes"].values())
    print(f"\n{counts['passed']} passed, {counts['failed']} failed, {counts['skipped']} skipped")
    print(f"{sum(ours['fits'].values())} fits of the replacements, by module:")
    for module, n_fits in sorted(ours["fits"].items()):
        print(f"  {n_fits:6} {module}")
    return int(bool(new or gone or not ours["fits"]))


# --- The plugin -----------------------------------------------------------------------------------

_seen = {"outcomes": {}, "errors": {}, "fits": Counter()}
_module = ["collection"]


def _counted(method):
    """The method, counted for the module whose test is running."""

    @wraps(method)
    def counted(*arguments, **parameters):
        _seen["fits"][_module[0]] += 1
        return method(*arguments, **parameters)

    return counted


def pytest_configure():
    """Replace the classes in every module of scikit-learn's that has them by now."""
    if not int(os.environ[REPLACE]):
        return
    import sklearn.linear_model

    import fastsoftmax

    for name, method in NAMES.items():
        original, replacement = getattr(sklearn.linear_model, name), getattr(fastsoftmax, name)
        setattr(replacement, method, _counted(getattr(replacement, method)))
        for module_name, module in list(sys.modules.items()):
            if module_name.split(".")[0] != "sklearn":
                continue
            for attribute, value in list(vars(module).items()):
                if value is original:
                    setattr(module, attribute, replacement)


@cache
def _users(path):
    """Names of a module's functions, fixtures and variables that come to use the classes."""
    text = Path(path).read_text(encoding="utf-8")
    sources = {}
    for node in ast.parse(text).body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
            names = [node.name]
        elif isinstance(node, ast.Assign):
            first = node.lineno
            names = [name.id for name in ast.walk(node) if isinstance(name, ast.Name)]
        else:
            continue
        source = "\n".join(text.splitlines()[first - 1 : node.end_lineno])
        words = set(re.findall(r"\w+", source))
        sources.update((name, words | sources.get(name, set())) for name in names)
    users, n_users = set(USERS), 0
    while len(users) > n_users:
        n_users = len(users)
        users |= {name for name, words in sources.items() if words & users}
    return users


def _is_about(item):
    """Whether a test comes to use the classes."""
    if item.nodeid.split("::")[0] in OF_ALL_ESTIMATORS:
        return f"[{'LogisticRegression'}" in item.nodeid
    parts = item.nodeid.split("[")[0].split("::")
    return parts[1] in _users(str(item.path)) or "LogisticRegression" in item.nodeid


def pytest_collection_modifyitems(config, items):
    """Leave the tests out that have nothing to do with the classes."""
    others = [item for item in items if not _is_about(item)]
    config.hook.pytest_deselected(items=others)
    items[:] = [item for item in items if _is_about(item)]


def pytest_runtest_logstart(nodeid):
    """Know whose fits are counted."""
    _module[0] = nodeid.split("::")[0]


def pytest_runtest_logreport(report):
    """Note how a test ended; an error before or after it is a failure."""
    if report.when == "call" or report.outcome != "passed":
        before = _seen["outcomes"].get(report.nodeid)
        _seen["outcomes"][report.nodeid] = "failed" if before == "failed" else report.outcome
    if report.outcome == "failed":
        crash = getattr(report.longrepr, "reprcrash", None)
        _seen["errors"][report.nodeid] = crash.message.splitlines()[0][:150] if crash else ""


def pytest_collectreport(report):
    """A module that can't be collected has failed as a whole."""
    if report.outcome == "failed":
        _seen["outcomes"][report.nodeid] = "failed"


def pytest_sessionfinish():
    """Leave what was seen to the process that started this one."""
    Path(os.environ[REPORT]).write_text(json.dumps(_seen), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())

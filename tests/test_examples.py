"""Every script in examples/ runs as a user would run it, prints its facts and saves its picture.

The numbers themselves are tested in test_functional.py and test_estimator.py.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("matplotlib")

EXAMPLES = Path(__file__).parent.parent / "examples"

#: What each script must have printed, as patterns.
FACTS = {
    "softmax": [r"→ 0\.7, 0\.2, 0\.1   sum 1\.0"],
    "cross_entropy": [
        r"D\(A, a\) = 0\.417   by hand 0\.417",
        r"D\(A, b\) = 1\.417   by hand 1\.417",
        r"D\(A, a\) < D\(A, b\): True",
    ],
    "grades": [
        r"softmax: 100% of the students right",
        r"one-vs-rest classifiers: 100% of the students right",
    ],
    "gradient_check": [r"loss at W = 0, b = 0: 2\.302585", r"finite differences: \d\.\de-1[0-9]"],
    "zscore": [
        r"population: means \[0\. 0\.\], deviations \[1\. 1\.\]",
        r"sample: means \[0\. 0\.\], deviations \[1\. 1\.\]",
    ],
    "momentum_series": [
        r"over 40 steps: (0\.0e\+00|\d\.\de-1[5-9])",
        r"v_39 = 0\.9852, limit .* 1\.0000",
    ],
    "text": [r"\d epochs, proved within \de-0[67]", r"held out: [89]\d\.\d% right"],
    "optimizers_on_digits": [
        r"gradient descent .* 9\d\.\d%",
        r"SGD .* 9\d\.\d%",
        r"SGD with momentum .* 9\d\.\d%",
        r"AdaGrad .* 9\d\.\d%",
    ],
}


def test_every_example_is_listed():
    assert {path.stem for path in EXAMPLES.glob("*.py")} == set(FACTS)


@pytest.mark.parametrize("name", FACTS)
def test_example(name, tmp_path):
    result = subprocess.run(
        [sys.executable, "-W", "error", str(EXAMPLES / f"{name}.py"), str(tmp_path)],
        capture_output=True,
        text=True,
        encoding="utf-8",
        env={**os.environ, "PYTHONUTF8": "1"},
        timeout=120,
    )
    assert result.returncode == 0, result.stderr
    for fact in FACTS[name]:
        assert re.search(fact, result.stdout), f"{fact!r} is not in\n{result.stdout}"
    assert [path.name for path in tmp_path.iterdir()] == [f"{name}.png"]
    picture = (tmp_path / f"{name}.png").read_bytes()
    assert picture.startswith(b"\x89PNG")
    assert len(picture) > 10_000

"""Every script in examples/ runs as a user would run it, prints its facts and saves its picture.

Those of examples/gallery/ print their facts alone: Sphinx shows their pictures. The numbers
themselves are tested in test_functional.py and test_estimator.py.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from preloaded import Preloaded

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


#: The same of those in the gallery.
FACTS_OF_GALLERY = {
    "arithmetic": [
        r"\[0\.7 0\.2 0\.1\]",
        r"softmax A A B B C P\(C \| 11, 1\) = 1\.00",
        r"0\.9852 after 40 steps, of 1\.0000",
    ],
    "choosing_alpha": [r"alpha (\S+); on new rows 9\d\.\d% right(.|\n)*alpha \1 again"],
    "digits_from_bytes": [
        r"X as bytes 31 MB, as float32 it would be 125",
        r"allocated during the fit: [4-6]\d MB at most",
        r"held out: 8\d\.\d% right",
    ],
    "linear_probe": [r"float16 \(1347, 256\)", r"held out: 9\d\.\d% right"],
    "mixed_units": [r"\d+ passes, at most \de-1[3-7] above", r"max_iter=300: \d\S* above"],
    "text_by_tfidf": [r"held out: [89]\d\.\d% right", r"\d epochs, proved within \de-0[67]"],
    "watching_training": [r"\d+ epochs, the best of them number \d+", r"\d+ epochs, 95\.\d% right"],
}


#: What most of them import, which takes longer than what they do.
MODULES = ["matplotlib.pyplot", "sklearn.datasets", "sklearn.linear_model", "fastsoftmax"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Run a script, which must print what matches each of the patterns."""
    options = ["-X", "utf8", "-W", "error"]
    preloaded = Preloaded(options, MODULES) if hasattr(os, "fork") else None

    def run_script(script, facts, *arguments):
        if preloaded:
            folder = tmp_path_factory.mktemp("output")
            status, printed, errors = preloaded.run(script, arguments, folder, MPLBACKEND="Agg")
        else:
            command = [sys.executable, *options, str(script), *arguments]
            more = {"env": {**os.environ, "MPLBACKEND": "Agg"}, "encoding": "utf-8"}
            done = subprocess.run(command, capture_output=True, timeout=240, **more)
            status, printed, errors = done.returncode, done.stdout, done.stderr
        assert status == 0, errors
        for fact in facts:
            assert re.search(fact, printed), f"{fact!r} is not in\n{printed}"

    yield run_script
    if preloaded:
        preloaded.close()


def test_every_example_is_listed():
    assert {path.stem for path in EXAMPLES.glob("*.py")} == set(FACTS)
    assert {path.stem for path in EXAMPLES.glob("gallery/*.py")} == set(FACTS_OF_GALLERY)


@pytest.mark.parametrize("name", FACTS_OF_GALLERY)
def test_example_of_the_gallery(name, run):
    if name in ("mixed_units", "watching_training"):
        pytest.importorskip("pandas")
    run(EXAMPLES / "gallery" / f"{name}.py", FACTS_OF_GALLERY[name])


@pytest.mark.parametrize("name", FACTS)
def test_example(name, run, tmp_path):
    run(EXAMPLES / f"{name}.py", FACTS[name], str(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == [f"{name}.png"]
    picture = (tmp_path / f"{name}.png").read_bytes()
    assert picture.startswith(b"\x89PNG")
    assert len(picture) > 10_000

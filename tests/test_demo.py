"""The demo: what it prints, what it saves, and what it does without extras.

Not a test of training itself (test_estimator.py), nor of any time.
"""

import os
import re
import subprocess
import sys

import numpy as np
import pytest

import fastsoftmax
from fastsoftmax.__main__ import main
from fastsoftmax.demo import check_same_coef, split_digits


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Output folder, stdout and stderr of one run as a user starts it, in the least encoding."""
    folder = tmp_path_factory.mktemp("demo") / "new" / "folder"
    process = subprocess.run(
        [sys.executable, "-m", "fastsoftmax", "demo", "--output", str(folder)],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
        env={**os.environ, "PYTHONIOENCODING": "ascii:strict"},
    )
    return folder, process.stdout, process.stderr


def _table(stdout):
    """Cells of the printed table by the name of their row."""
    lines = stdout.splitlines()
    rule = next(i for i, line in enumerate(lines) if line.startswith("--"))
    end = lines.index("", rule)
    table = lines[rule - 1 : end]
    assert len({len(line) for line in table}) == 1, "columns aligned"
    return {cells[0]: cells[1:] for cells in (re.split(r"\s{2,}", line) for line in table)}


def test_version(capsys):
    with pytest.raises(SystemExit, match=r"^0$"):
        main(["--version"])
    assert capsys.readouterr().out == f"fastsoftmax {fastsoftmax.__version__}\n"


@pytest.mark.parametrize("arguments", [[], ["nothing"], ["demo", "--wrong"]])
def test_wrong_arguments_leave_with_status_2(capsys, arguments):
    with pytest.raises(SystemExit, match=r"^2$"):
        main(arguments)
    assert "usage: fastsoftmax" in capsys.readouterr().err


def test_split_is_complete_disjoint_stratified_and_fixed():
    from sklearn.datasets import load_digits

    X, y = load_digits(return_X_y=True)
    parts = split_digits()
    assert [len(part) for part, _ in parts.values()] == [1078, 359, 360]
    everything = np.concatenate([np.column_stack(part) for part in parts.values()])
    original = np.column_stack([X, y])
    for matrix in (everything, original):
        matrix[:] = matrix[np.lexsort(matrix.T)]
    np.testing.assert_array_equal(everything, original)
    for _, labels in parts.values():
        share = np.bincount(labels) / len(labels) - np.bincount(y) / len(y)
        assert np.abs(share).max() < 1 / len(labels)
    for first, second in zip(parts.values(), split_digits().values(), strict=True):
        np.testing.assert_array_equal(first[0], second[0])


def test_demo_says_which_kernels_and_how_many_threads(finished):
    stdout = finished[1]
    assert re.match(
        rf"fastsoftmax \S+: {fastsoftmax.kernels.active} kernels; everything on 1 thread\n", stdout
    )
    assert "kernels and NumPy reference: coefficients equal" in stdout


def test_demo_prints_an_aligned_table(finished):
    table = _table(finished[1])
    assert table[""] == ["fastsoftmax", "its SGD", "NumPy reference", "LogisticRegression"]
    for part in ("train", "validation", "test"):
        default, ours, reference, peer = map(float, table[f"accuracy, {part}"])
        assert ours == reference
        assert default == pytest.approx(peer, abs=0.003)
        assert ours == pytest.approx(peer, abs=0.01)
        assert ours > 0.95
    assert all(re.fullmatch(r"[\d.]+ ms", cell) for cell in table["time of a fit"])
    assert float(table["time / fastsoftmax's"][0]) == 1
    assert all(float(cell) > 0 for cell in table["time / fastsoftmax's"])
    assert all(float(cell.replace(",", "")) > 0 for cell in table["epochs per second"][1:3])


def test_demo_saves_the_loss_curve_where_it_says(finished):
    folder, stdout, _ = finished
    assert stdout.splitlines()[-1] == f"loss curve: {folder / 'loss_curve.png'}"
    picture = (folder / "loss_curve.png").read_bytes()
    assert picture.startswith(b"\x89PNG")
    assert len(picture) > 10_000


def test_demo_shows_a_progress_bar(finished):
    pytest.importorskip("tqdm")
    assert "50/50" in finished[2]
    assert "epoch" in finished[2]


def test_demo_trains_from_files_larger_than_their_memory(finished):
    pytest.importorskip("safetensors")
    shown = finished[1][finished[1].index("The command line, 552 KB of rows in 256KB") :]
    assert "$ fastsoftmax train X_train.npy --labels y_train.npy --max-memory 256KB" in shown
    accuracy = float(re.search(r"validation on 360 rows: accuracy (\S+),", shown).group(1))
    of_test = _table(finished[1])["accuracy, test"]
    assert accuracy == pytest.approx(float(of_test[0]), abs=0.003)
    assert re.search(r"^above minimum +\d.*at most$", shown, re.MULTILINE)


def test_demo_without_extras_prints_plain_lines_and_names_the_extra(monkeypatch, capsys, tmp_path):
    for name in ("matplotlib", "matplotlib.figure", "matplotlib.backends.backend_agg"):
        monkeypatch.setitem(sys.modules, name, None)
    for name in ("tqdm", "tqdm.auto"):
        monkeypatch.setitem(sys.modules, name, None)
    for name in ("safetensors", "safetensors.numpy"):
        monkeypatch.setitem(sys.modules, name, None)
    assert main(["demo", "--output", str(tmp_path / "none")]) == 0
    printed = capsys.readouterr()
    assert 'pip install "fastsoftmax[plot]"' in printed.out.splitlines()[-1]
    assert not (tmp_path / "none").exists()
    assert 'safetensors is missing: pip install "fastsoftmax[save]"' in printed.out
    assert "epoch 50/50" in printed.err
    assert "accuracy, test" in _table(printed.out)


@pytest.mark.parametrize("wrong", [1e-8, np.nan])
def test_coefficients_that_differ_stop_the_demo(wrong):
    coef = np.linspace(-1, 1, 20).reshape(2, 10)
    assert check_same_coef(coef, coef) == 0
    with pytest.raises(RuntimeError, match="coefficients that differ"):
        check_same_coef(coef + wrong, coef)

"""The demonstration: digits trained with nothing set, by SGD on two kernels, and by scikit-learn.

Then once more from files that are larger than the memory they may take, by the command line.

It is an example of use that also compares, not a benchmark: the data are small, so the times hold
much that isn't arithmetic; speed is measured in bench/. The kernels' coefficients are compared
with the reference's before any time is taken. Called by __main__.py.
"""

import contextlib
import shlex
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from . import __version__, kernels
from .displays import LossCurveDisplay
from .estimators import SoftmaxClassifier

__all__ = ["check_same_coef", "run_demo", "split_digits"]

ALPHA = 1e-2
N_EPOCHS = 50
REPEATS = 5

#: What the command line is run with: half of what the rows take.
MAX_MEMORY = "256KB"

#: Coefficients of kernels and reference may differ by this much of the largest one. Both work in
#: float64; 450 steps of rounding stay below 1e-12, and a wrong term anywhere is far above 1e-9.
COEF_TOLERANCE = 1e-9


def split_digits():
    """The 1797 digits in three parts, each with its share of every class; always the same split.

    Returns
    -------
    parts : dict of str to (X, y)
        "train" (60 %), "validation" (20 %) and "test" (20 %); X is float64 of shape (n, 64) with
        values 0 to 16, y holds 0 to 9.
    """
    X, y = load_digits(return_X_y=True)
    X_train, X_rest, y_train, y_rest = train_test_split(
        X, y, test_size=0.4, stratify=y, random_state=0
    )
    X_validation, X_test, y_validation, y_test = train_test_split(
        X_rest, y_rest, test_size=0.5, stratify=y_rest, random_state=0
    )
    return {
        "train": (X_train, y_train),
        "validation": (X_validation, y_validation),
        "test": (X_test, y_test),
    }


def check_same_coef(coef, reference_coef):
    """Give the largest difference as a share of the largest coefficient.

    Raises
    ------
    RuntimeError
        If it is more than COEF_TOLERANCE, or not a number.
    """
    difference = np.abs(coef - reference_coef).max() / np.abs(reference_coef).max()
    if not difference <= COEF_TOLERANCE:
        raise RuntimeError(
            f"the {kernels.active} kernels and the NumPy reference gave coefficients that differ "
            f"by {difference:.3g} of the largest; at most {COEF_TOLERANCE:g} is rounding"
        )
    return float(difference)


def run_demo(output="demo-output", command_line=None):
    """Train, compare, print a table and save the loss curve.

    Parameters
    ----------
    output : str or path-like, default="demo-output"
        Folder of the picture; made where it doesn't exist.
    command_line : callable or None, default=None
        Runs a list of arguments; None leaves that part out.

    Raises
    ------
    RuntimeError
        If kernels and reference don't compute the same.
    """
    # On data this small threads mostly wait for each other: LogisticRegression was seen to take
    # 30 times as long with two BLAS threads as with one. One for everybody is the fair choice.
    with threadpool_limits(1, user_api="blas"):
        _run_demo(Path(output), command_line)


def _run_demo(folder, command_line):
    parts = split_digits()
    X, y = parts["train"]
    sizes = ", ".join(f"{name} {len(part[0])}" for name, part in parts.items())
    print(f"fastsoftmax {__version__}: {kernels.active} kernels; everything on 1 thread")
    print(f"{sum(len(part[0]) for part in parts.values())} handwritten digits: {sizes}")

    ours = _classifier(verbose=1).fit(X, y)  # the one with a progress bar; the timed ones are quiet
    with kernels.use("reference"):
        reference = _classifier().fit(X, y)
    difference = check_same_coef(ours.coef_, reference.coef_)
    print(f"kernels and NumPy reference: coefficients equal to {difference:.0e} of the largest")

    default = _default().fit(X, y)
    print(
        f"with no parameter set but the penalty's: within {default.suboptimality_:.0e} of the "
        f"optimum after {default.n_iter_} passes, it says"
    )

    # Equal work: the same z-scored pixels and the same penalty, C = 1 / (alpha · n_samples).
    peer = make_pipeline(
        StandardScaler(), LogisticRegression(C=1 / (ALPHA * len(X)), max_iter=1000)
    ).fit(X, y)

    seconds = [_median_seconds(_default(), X, y), _median_seconds(_classifier(), X, y)]
    with kernels.use("reference"):
        seconds.append(_median_seconds(_classifier(), X, y))
    seconds.append(_median_seconds(peer, X, y))

    print()
    print(_table(parts, (default, ours, reference, peer), seconds))
    print()
    if command_line is not None:
        _show_command_line(parts, command_line)
        print()
    print(_save_loss_curve(folder, ours, _objective(peer, X, y)))


def _default():
    return SoftmaxClassifier(alpha=ALPHA, standardize=True, random_state=0, n_jobs=1)


def _classifier(verbose=0):
    """The same number of steps on every run, so that two kernels can be held against each other."""
    return SoftmaxClassifier(
        solver="sgd",
        alpha=ALPHA,
        learning_rate=0.1,
        schedule="cosine",
        standardize=True,
        max_iter=N_EPOCHS,
        tol=None,
        random_state=0,
        n_jobs=1,
        verbose=verbose,
    )


def _median_seconds(model, X, y):
    """Median time of a fit, the first one left out."""
    model.fit(X, y)
    seconds = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        model.fit(X, y)
        seconds.append(time.perf_counter() - start)
    return median(seconds)


def _objective(pipeline, X, y):
    """What training minimises, at the coefficients that scikit-learn found."""
    log_probability = pipeline.predict_log_proba(X)[np.arange(len(y)), y]
    return float(-log_probability.mean() + ALPHA / 2 * np.square(pipeline[-1].coef_).sum())


def _table(parts, models, seconds):
    """The comparison as aligned lines: a column a model, a row a quantity.

    All in ASCII, which every encoding of stdout has: Windows' for files and pipes lacks lines.
    """
    rows = [("", "fastsoftmax", "its SGD", "NumPy reference", "LogisticRegression")]
    for name, part in parts.items():
        rows.append((f"accuracy, {name}", *(f"{model.score(*part):.4f}" for model in models)))
    epochs = [f"{N_EPOCHS / time:,.0f}" for time in seconds[1:3]]
    rows.append(("time of a fit", *(f"{1e3 * time:.2f} ms" for time in seconds)))
    rows.append(("time / fastsoftmax's", *(f"{time / seconds[0]:.2f}" for time in seconds)))
    rows.append(("epochs per second", "-", *epochs, "-"))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in rows
    ]
    lines.insert(1, "-" * len(lines[0]))
    return "\n".join(lines)


def _show_command_line(parts, command_line):
    """Train from files that are larger than the memory they may take, and show the model."""
    try:
        import safetensors  # noqa: F401
    except ImportError:
        print('command line: not shown, safetensors is missing: pip install "fastsoftmax[save]"')
        return
    size = parts["train"][0].nbytes
    print(f"The command line, {size / 1e3:.0f} KB of rows in {MAX_MEMORY} of memory:")
    commands = [
        f"train X_train.npy --labels y_train.npy --max-memory {MAX_MEMORY} --standardize "
        f"--alpha {ALPHA} --validation X_test.npy --validation-labels y_test.npy "
        "--output digits.safetensors",
        "show digits.safetensors",
    ]
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        for name, (X, y) in parts.items():
            np.save(f"X_{name}.npy", X)
            np.save(f"y_{name}.npy", y)
        for command in commands:
            print(f"$ fastsoftmax {command}", flush=True)
            if command_line(shlex.split(command)) != 0:
                raise RuntimeError(f"fastsoftmax {command} failed")


def _save_loss_curve(folder, classifier, optimum):
    """Draw the objective of every epoch; give the line that says where, or why not."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        return 'loss curve: not drawn, matplotlib is missing: pip install "fastsoftmax[plot]"'
    figure = Figure(figsize=(7, 4.2), layout="constrained")
    FigureCanvasAgg(figure)  # draws into memory: no display is needed, no global state touched
    axes = figure.add_subplot()
    LossCurveDisplay.from_estimator(classifier, name="fastsoftmax, momentum SGD", ax=axes)
    axes.axhline(optimum, color="0.4", ls="--", lw=1, label="optimum (LogisticRegression)")
    axes.set(title="Softmax regression on digits", xlim=(1, N_EPOCHS))
    axes.legend()
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "loss_curve.png"
    figure.savefig(path, dpi=150)
    return f"loss curve: {path}"

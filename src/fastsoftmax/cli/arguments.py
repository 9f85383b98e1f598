"""What may be written on the command line, and what it says of itself with ``--help``.

argparse alone: whether options fit the files is for the commands to say. Called by __main__.py.
"""

import argparse
import math
import re

__all__ = ["add_commands"]

#: Bytes of what ``--max-memory`` may end with.
UNITS = {
    "": 1,
    "B": 1,
    **{f"{letter}B": 1000**power for power, letter in enumerate("KMGT", 1)},
    **{f"{letter}IB": 1024**power for power, letter in enumerate("KMGT", 1)},
}

FORMATS = ("csv", "tsv", "parquet", "npy", "npz", "svmlight")

STATUSES = "Exit status: 0 done, 1 failed, 2 wrong usage, 130 ended by Ctrl-C."


def add_commands(commands):
    """Add the four to what ``add_subparsers`` gave."""
    _add_train(commands)
    _add_predict(commands)
    _add_evaluate(commands)
    _add_show(commands)


def _add_train(commands):
    parser = _command(
        commands,
        "train",
        "train a classifier on files",
        "Train softmax regression on files, which may be larger than memory, and save it. All "
        "columns of numbers but the label's and the weights' are features, or with --text words. A "
        "minimum that was not reached is warned of, and is no failure.",
    )
    _add_files(parser)
    _add_labels(parser)
    parser.add_argument(
        "--text",
        action="append",
        metavar="COLUMN",
        help="learn from this column of text in csv and Parquet, and from others so named alone: "
        "words and pairs of words, hashed, by tf-idf",
    )
    parser.add_argument(
        "--output",
        "-o",
        required=True,
        metavar="MODEL",
        help="where to save the classifier, as safetensors; replaced all at once if it is there",
    )
    parser.add_argument(
        "--validation",
        nargs="+",
        metavar="FILE",
        help="files of the same kind, on which the classifier is scored in the end",
    )
    parser.add_argument(
        "--validation-labels",
        nargs="+",
        metavar="FILE",
        help="as --labels, where --validation names .npy files",
    )
    parser.add_argument(
        "--early-stopping",
        action="store_true",
        help="let the loss on the rows of --validation say when to stop; they are held in memory",
    )
    parser.add_argument(
        "--checkpoint",
        metavar="FILE",
        help="where to keep what passes give as they end, so that a killed training can go on",
    )
    parser.add_argument(
        "--resume",
        action="store_true",
        help="go on from what --checkpoint has, if it is there; the end is the same to the bit",
    )
    strength = parser.add_mutually_exclusive_group()
    strength.add_argument(
        "--alpha",
        type=_number(0),
        metavar="A",
        help="strength of the L2 penalty (default: 1e-4)",
    )
    strength.add_argument(
        "--cv",
        type=_whole_number(2),
        metavar="FOLDS",
        help="choose alpha by cross-validation; folds are of blocks beyond half of --max-memory",
    )
    parser.add_argument("--solver", choices=("auto", "dual", "lbfgs", "sgd", "adagrad"))
    parser.add_argument("--standardize", action="store_true", help="train on z-scores")
    parser.add_argument(
        "--class-weight", choices=("balanced",), help="let all classes weigh the same"
    )
    parser.add_argument(
        "--tol",
        type=_number(0),
        metavar="T",
        help="how near the minimum is near enough, in units of the mean loss (default: 1e-5)",
    )
    parser.add_argument("--max-iter", type=_whole_number(1), metavar="N", help="passes at most")
    parser.add_argument(
        "--dtype", choices=("float32", "float64"), help="what is computed in (default: by the data)"
    )
    parser.add_argument(
        "--seed", type=_whole_number(0), default=0, metavar="N", help="of all that is drawn"
    )
    _add_common(parser)


def _add_predict(commands):
    parser = _command(
        commands,
        "predict",
        "predict the labels of rows in files",
        "Write the label that a saved classifier predicts for each row, in the order of the files. "
        "Features are found by their names.",
    )
    parser.add_argument("model", metavar="MODEL", help="what train has saved")
    _add_files(parser)
    parser.add_argument(
        "--output",
        "-o",
        required=True,
        metavar="FILE",
        help="where to write to: .parquet, .csv or .npy; replaced all at once if it is there",
    )
    parser.add_argument(
        "--proba", action="store_true", help="write the probability of each class too"
    )
    _add_common(parser)


def _add_evaluate(commands):
    parser = _command(
        commands,
        "evaluate",
        "measure a classifier on rows with labels",
        "Accuracy, log-loss, precision and recall of each class, the confusion matrix, and whether "
        "probabilities are as often right as they say.",
    )
    parser.add_argument("model", metavar="MODEL", help="what train has saved")
    _add_files(parser)
    _add_labels(parser, "the one that train was told")
    parser.add_argument(
        "--plot",
        metavar="FOLDER",
        help="draw confusion matrix, calibration, coefficients and loss curve there",
    )
    _add_common(parser)


def _add_show(commands):
    parser = _command(
        commands,
        "show",
        "show what a file holds",
        "Show what a saved classifier is and how it was made.",
    )
    parser.add_argument("model", metavar="MODEL", help="what train has saved")
    _add_output_style(parser)


def _command(commands, name, summary, description):
    return commands.add_parser(name, help=summary, description=description, epilog=STATUSES)


def _add_files(parser):
    parser.add_argument(
        "files",
        nargs="+",
        metavar="FILE",
        help=f"{', '.join(FORMATS)}; a pattern with * in quotes is looked up here",
    )
    parser.add_argument(
        "--format", choices=FORMATS, help="of the files (default: by what their names end with)"
    )
    parser.add_argument(
        "--zero-based", action="store_true", help="the first feature of svmlight text is 0, not 1"
    )


def _add_labels(parser, default=None):
    more = f" (default: {default})" if default else ""
    parser.add_argument(
        "--label",
        metavar="COLUMN",
        help=f"column of the labels in csv and Parquet, or array in .npz{more}",
    )
    parser.add_argument(
        "--labels", nargs="+", metavar="FILE", help="files of the labels, one for each .npy file"
    )
    parser.add_argument("--weight", metavar="COLUMN", help="column of sample weights")


def _add_common(parser):
    parser.add_argument(
        "--max-memory",
        type=_bytes,
        default=256 << 20,
        metavar="BYTES",
        help="what rows may take in memory at once, as 512MB or 2GiB (default: 256MiB)",
    )
    parser.add_argument(
        "--jobs", type=_whole_number(1), metavar="N", help="threads (default: all cores)"
    )
    _add_output_style(parser)


def _add_output_style(parser):
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--quiet", action="store_true", help="show no progress")
    parser.add_argument(
        "--traceback", action="store_true", help="show where in the code an error came up"
    )


# --- Values ---------------------------------------------------------------------------------------


def _number(least):
    def number(text):
        value = float(text)
        if not least <= value < math.inf:
            raise argparse.ArgumentTypeError(f"must be a number from {least} on; got {text}")
        return value

    return number


def _whole_number(least):
    def whole_number(text):
        value = int(text)
        if value < least:
            raise argparse.ArgumentTypeError(f"must be a whole number from {least} on; got {text}")
        return value

    whole_number.__name__ = "whole number"  # argparse's own errors call it that
    return whole_number


def _bytes(text):
    match = re.fullmatch(r"([\d.]+) ?([a-z]*)", text, re.IGNORECASE)
    unit = UNITS.get(match[2].upper()) if match else None
    try:
        size = int(float(match[1]) * unit)
    except (TypeError, ValueError, OverflowError):
        size = 0
    if size < 1:
        raise argparse.ArgumentTypeError(f"must be bytes, as in 256MB or 2GiB; got {text}")
    return size

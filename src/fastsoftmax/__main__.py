"""The command line: ``fastsoftmax train``, ``predict``, ``evaluate``, ``show``, ``demo``.

Reads arguments and hands over to cli/ or demo.py, which are imported only when they are asked for.
Called by the installed ``fastsoftmax`` script and by ``python -m fastsoftmax``.
"""

import argparse
import sys

from . import __version__
from .cli.arguments import add_commands

__all__ = ["main"]


def _parser():
    parser = argparse.ArgumentParser(
        prog="fastsoftmax", description="Softmax regression trained by compiled kernels."
    )
    parser.add_argument("--version", action="version", version=f"fastsoftmax {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    add_commands(commands)
    demo = commands.add_parser(
        "demo",
        help="train on 1797 handwritten digits and compare",
        description="Train on the 1797 handwritten digits that scikit-learn ships; compare the "
        "accuracy and the time with the NumPy reference and with scikit-learn's "
        "LogisticRegression; draw the loss curve; train from files that are larger than the memory "
        "they may take. Nothing is downloaded.",
    )
    demo.add_argument(
        "--output",
        default="demo-output",
        metavar="FOLDER",
        help="where to save the loss curve (default: %(default)s)",
    )
    return parser


def main(arguments=None):
    """Run the command line.

    Parameters
    ----------
    arguments : list of str or None, default=None
        Without the program's name; None takes them from ``sys.argv``.

    Returns
    -------
    status : int
        0 done, 1 failed, 2 options that don't fit the files, 130 ended by Ctrl-C; wrong arguments
        leave through ``SystemExit(2)``, as argparse does.
    """
    options = _parser().parse_args(arguments)
    if options.command != "demo":
        from .cli.running import run

        return run(options)
    from .demo import run_demo

    run_demo(options.output, main)
    return 0


if __name__ == "__main__":
    sys.exit(main())

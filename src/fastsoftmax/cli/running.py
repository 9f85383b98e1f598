"""Runs a command: its result to stdout, warnings and errors in a line each to stderr, a status.

Called by __main__.py.
"""

import errno
import os
import sys
import traceback
import warnings
from importlib import import_module

from .reporting import Console, as_json

__all__ = ["run"]

FAILED, WRONG_USAGE, INTERRUPTED = 1, 2, 130

#: Errors whose text says all; of others the kind is told too.
SPEAKING = (OSError, ValueError, ImportError)


def run(options):
    """Run the command that ``options.command`` names.

    Parameters
    ----------
    options : argparse.Namespace

    Returns
    -------
    status : int
        0 done, 1 failed, 2 wrong usage, 130 ended by Ctrl-C.
    """
    console = Console(options.command, options.quiet)
    try:
        result = _result(options, console)
        _show(result, options.json)
        return result.status
    except KeyboardInterrupt as interrupt:
        console.say(str(interrupt) or "interrupted")
        return INTERRUPTED
    except BrokenPipeError:  # who reads has seen enough: what is left is for nobody
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except Exception as error:
        if options.traceback:
            traceback.print_exc()
        console.say(f"error: {_in_one_line(error)}")
        return getattr(error, "status", FAILED)
    finally:
        console.progress.close()


def _result(options, console):
    """What the command came to, with what it was warned of."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        try:
            command = import_module(f".{options.command}", __package__)
            result = getattr(command, options.command)(options, console)
        finally:
            console.progress.close()
            texts = dict.fromkeys(
                str(warning.message)
                for warning in caught
                if issubclass(warning.category, UserWarning)
            )
            for text in texts:
                console.say(f"warning: {text}")
    result.document["warnings"] = list(texts)
    return result


def _show(result, is_json):
    """To stdout, in its encoding: what Windows writes to files and pipes lacks most letters."""
    text = as_json(result.document) if is_json else result.text
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    try:
        text.encode(encoding)
    except UnicodeEncodeError:  # JSON's own way to say a letter, or Python's
        text = (
            as_json(result.document, is_ascii=True)
            if is_json
            else text.encode(encoding, "backslashreplace").decode(encoding)
        )
    try:
        print(text)
        sys.stdout.flush()
    except OSError as error:
        if os.name == "nt" and error.errno == errno.EINVAL:  # its name for a pipe that is closed
            raise BrokenPipeError from error
        raise


def _in_one_line(error):
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        text = f"{os.fsdecode(error.filename)}: {error.strerror}"
    elif isinstance(error, MemoryError):
        text = "there is not enough memory; a lower --max-memory needs less"
    else:
        text = str(error)
        if not isinstance(error, SPEAKING) and not hasattr(error, "status"):
            text = f"{type(error).__name__}: {text}"
    return " ".join(text.split())

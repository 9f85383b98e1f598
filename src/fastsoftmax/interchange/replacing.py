"""Files that are replaced all at once: a reader finds the old one or the new one, never a part.

Knows nothing of what is in them. Called by files.py and by the command line.
"""

import os
import secrets
import shutil
import stat
from contextlib import contextmanager

__all__ = ["replacing"]


@contextmanager
def replacing(path):
    """Give the name of a new, empty file beside the path, which takes its place at the end.

    Parameters
    ----------
    path : str
        A link stays a link, and a file that is replaced hands on its mode.

    Yields
    ------
    temporary : str
        To be written to, and closed. Where an error comes up within, it is removed.

    Raises
    ------
    OSError
        If the folder can't be written to, or what is there is no regular file.
    """
    path = os.path.realpath(path)
    if os.path.exists(path) and not os.path.isfile(path):  # a pipe or a device would be gone
        raise OSError(f"{path!r} is no regular file, and is not replaced by one")
    folder = os.path.dirname(path)
    temporary = os.path.join(folder, f".{secrets.token_hex(8)}.tmp")
    try:
        with open(temporary, "xb"):
            if os.path.exists(path):  # who may not read the old file may not read a part of the new
                os.chmod(temporary, os.stat(path).st_mode & 0o777 | stat.S_IWUSR)
        yield temporary
        if os.path.exists(path):
            shutil.copymode(path, temporary)
        _on_disk(temporary, os.O_RDWR)  # Windows syncs only what may be written to
        os.replace(temporary, path)
    except BaseException:
        if os.path.exists(temporary):
            # Windows removes nothing that may only be read.
            os.chmod(temporary, stat.S_IRUSR | stat.S_IWUSR)
            os.unlink(temporary)
        raise
    # The new name itself is on the disk only once the folder is. Windows opens no folders.
    if os.name != "nt":
        _on_disk(folder, os.O_RDONLY)


def _on_disk(path, how):
    """Wait until a file or folder is where a power cut leaves it."""
    descriptor = os.open(path, how)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

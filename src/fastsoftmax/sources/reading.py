"""Reading ahead: a thread reads the next block while the caller works on this one."""

import queue
from threading import Event, Thread

__all__ = ["ahead"]

#: Blocks that are read and not asked for yet, at most.
MOST_AHEAD = 1

#: Seconds after which a thread that waits looks whether anybody still wants its blocks.
PATIENCE = 0.1


class _End:
    """What comes after the last block, and the error that ended them, if any."""

    def __init__(self, error=None):
        self.error = error


def ahead(blocks):
    """The same blocks in the same order, read by a thread of its own, which ends with this.

    An error of the reader's comes up where its block would have.
    """
    read, is_unwanted = queue.Queue(MOST_AHEAD), Event()

    def put(item):
        while not is_unwanted.is_set():
            try:
                read.put(item, timeout=PATIENCE)
            except queue.Full:
                continue
            return

    def run():
        try:
            for block in blocks:
                put(block)
                if is_unwanted.is_set():
                    return
        except BaseException as error:  # the caller's to deal with, whatever it is
            put(_End(error))
        else:
            put(_End())

    thread = Thread(target=run, name="fastsoftmax-reader", daemon=True)
    thread.start()
    try:
        while not isinstance(block := read.get(), _End):
            yield block
        if block.error is not None:
            raise block.error
    finally:
        is_unwanted.set()
        thread.join()

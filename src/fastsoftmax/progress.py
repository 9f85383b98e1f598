"""Shows epochs as they end: a tqdm bar where tqdm is installed, else a line each on stderr.

Presentation only. Called by estimator.py when ``verbose`` is on.
"""

import sys
from contextlib import contextmanager

__all__ = ["shown_progress"]


@contextmanager
def shown_progress(n_epochs):
    """Give an ``on_epoch(n_done, objective, learning_rate)`` for :func:`training.train`."""
    try:
        from tqdm.auto import tqdm
    except ImportError:
        yield lambda n_done, objective, learning_rate: print(
            f"epoch {n_done}/{n_epochs}  loss {objective:.5f}  learning rate {learning_rate:.3g}",
            file=sys.stderr,
        )
        return
    with tqdm(total=n_epochs, unit="epoch") as bar:

        def on_epoch(n_done, objective, learning_rate):
            bar.set_postfix(loss=f"{objective:.5f}", rate=f"{learning_rate:.3g}", refresh=False)
            bar.update()

        yield on_epoch

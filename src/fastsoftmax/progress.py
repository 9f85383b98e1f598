"""Shows epochs as they end: a tqdm bar where tqdm is installed, else a line each on stderr.

Presentation only. Called by callbacks.py when ``verbose`` is on.
"""

import sys
from contextlib import contextmanager

__all__ = ["shown_progress"]


def _numbers(info):
    """Name and text of what is worth showing of an epoch."""
    shown = {"loss": f"{info.objective:.5f}", "rate": f"{info.learning_rate:.3g}"}
    if info.validation_score == info.validation_score:  # not NaN: there is one
        shown["validation"] = f"{info.validation_score:.5f}"
    return shown


@contextmanager
def shown_progress(n_epochs):
    """Give a function that shows one :class:`callbacks.EpochInfo`.

    Parameters
    ----------
    n_epochs : int or None
        Of this call; None where training ends when it is done.
    """
    try:
        from tqdm.auto import tqdm
    except ImportError:
        yield lambda info: print(
            f"epoch {info.epoch}{'' if n_epochs is None else f'/{info.n_epochs}'}  "
            + "  ".join(f"{name} {text}" for name, text in _numbers(info).items()),
            file=sys.stderr,
        )
        return
    with tqdm(total=n_epochs, unit="epoch") as bar:

        def show(info):
            bar.set_postfix(_numbers(info), refresh=False)
            bar.update()

        yield show

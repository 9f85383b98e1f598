"""Rows of whatever can be gone through again from its beginning."""

from .base import Block, Source
from .reading import ahead

__all__ = ["IterableSource"]


class IterableSource(Source):
    """Blocks of an iterable, from its beginning in each pass.

    Parameters
    ----------
    blocks : iterable or callable
        Of ``(X, y)`` or ``(X, y, sample_weight)``, or for predictions of ``(X,)``. Each pass asks
        for a new iterator, so that a generator won't do, but the function that makes one will.
        What has the methods ``next(input_data)`` and ``reset()`` of XGBoost's ``DataIter`` is taken
        too; ``input_data`` is called with ``data``, ``label`` and maybe ``weight``.
    max_memory : int, default=256 MiB
        As in :class:`Source`. How large blocks are is up to the iterable: a few are held at once.

    Raises
    ------
    TypeError
        If it can be gone through once only.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_digits
    >>> from fastsoftmax import SoftmaxClassifier
    >>> from fastsoftmax.sources import IterableSource
    >>> X, y = load_digits(return_X_y=True)
    >>> def blocks():
    ...     for rows in np.array_split(np.arange(len(X)), 20):
    ...         yield X[rows], y[rows]
    >>> source = IterableSource(blocks, max_memory=1 << 20)
    >>> SoftmaxClassifier(random_state=0).fit(source).converged_
    True
    """

    def __init__(self, blocks, *, max_memory=256 << 20):
        super().__init__(max_memory)
        if hasattr(blocks, "reset") and hasattr(blocks, "next"):
            self._begin = lambda: _told(blocks)
        elif callable(blocks):
            self._begin = blocks
        elif hasattr(blocks, "__iter__") and not hasattr(blocks, "__next__"):
            self._begin = blocks.__iter__
        else:
            raise TypeError(
                "blocks must be an iterable that can be gone through again, or a function that "
                f"gives one: each pass begins anew; got {type(blocks).__name__}"
            )
        self._name = type(blocks).__name__

    @property
    def name(self):
        """What errors call it."""
        return self._name

    def blocks(self, seed=None):
        """All blocks, in the order that they have, whatever the seed."""
        yield from ahead(
            Block(number, *_parts(given, number)) for number, given in enumerate(self._begin())
        )


def _parts(given, number):
    """X, y and sample_weight of what the iterable gave, or an error."""
    if not (isinstance(given, tuple | list) and 1 <= len(given) <= 3):
        raise TypeError(
            f"block {number} must be a tuple (X, y), (X, y, sample_weight) or (X,); got "
            f"{type(given).__name__}"
        )
    return given


def _told(data_iter):
    """What one that calls back has to say, as a generator."""
    data_iter.reset()
    given = []

    def input_data(data, label=None, weight=None, **more):
        if any(value is not None for value in more.values()):
            raise ValueError(f"no use is known for {', '.join(sorted(more))} of a block")
        given.append((data, label, weight))

    while data_iter.next(input_data):
        yield from given
        given.clear()
    yield from given

"""What a source of rows is: blocks of rows with their labels, as often as they are asked for.

No solver and no estimator is known here. Subclass :class:`Source` for a store of your own.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np

from .reading import ahead

__all__ = ["Block", "Source", "check_bytes", "rows_of_blocks"]

#: Of ``max_memory``, what a block has at most: a few are in memory at once, as others are read.
SHARE_OF_BLOCK = 16


@dataclass(frozen=True)
class Block:
    """Some rows that follow each other.

    Parameters
    ----------
    number : int ≥ 0
        Its place among the blocks of its source: the same rows in each pass.
    X : ndarray or CSR matrix or array of shape (n_rows, n_features)
    y : ndarray of shape (n_rows,) or None
        Labels; None where there are none, for predictions.
    sample_weight : ndarray of shape (n_rows,) or None for ones

    Examples
    --------
    >>> import numpy as np
    >>> from fastsoftmax.sources import Block
    >>> block = Block(0, np.ones((3, 2)), np.array(["a", "b", "a"]))
    >>> block.X.shape, block.sample_weight is None
    ((3, 2), True)
    """

    number: int
    X: Any
    y: Any = None
    sample_weight: Any = None


class Source(ABC):
    """Rows that are read block by block, again in each pass.

    A subclass either has ``n_blocks`` and :meth:`read`, and is then read in any order, or overrides
    :meth:`blocks`, where it can only be read from its beginning.

    Parameters
    ----------
    max_memory : int, default=256 MiB
        Bytes that may be held at once beyond the model, its optimiser and what the caller holds: a
        sample of the rows, the rows that an epoch mixes, and blocks. What takes less than a quarter
        of it is read once, and fitted in memory.

    Attributes
    ----------
    n_blocks : int or None
        None where that is known at the end only, and blocks come in one order.

    Examples
    --------
    Rows that are computed when they are asked for:

    >>> import numpy as np
    >>> from fastsoftmax import SoftmaxClassifier
    >>> from fastsoftmax.sources import Block, Source
    >>> class Halves(Source):
    ...     name = "halves of the plane"
    ...     n_blocks = 20
    ...
    ...     def read(self, number):
    ...         X = np.random.default_rng(number).normal(size=(100, 2))
    ...         return Block(number, X, X[:, 0] > X[:, 1])
    >>> classifier = SoftmaxClassifier(random_state=0).fit(Halves())
    >>> classifier.predict([[1.0, 0.0], [0.0, 1.0]])
    array([ True, False])
    """

    n_blocks = None

    def __init__(self, max_memory=256 << 20):
        self.max_memory = check_bytes(max_memory)

    def read(self, number):
        """One :class:`Block`; its arrays are not written to, and may be views of a file."""
        raise NotImplementedError

    def blocks(self, seed=None):
        """All blocks, one after the other.

        Parameters
        ----------
        seed : int, sequence of ints or None
            Of the order, in which blocks are drawn; None for the order that they have.

        Yields
        ------
        block : Block
        """
        numbers = np.arange(self.n_blocks)
        if seed is not None:
            numbers = np.random.default_rng(seed).permutation(numbers)
        yield from self._read_all(numbers.tolist())

    def _read_all(self, numbers):
        """Blocks of these numbers, one after the other."""
        return ahead(self.read(number) for number in numbers)

    @property
    def block_bytes(self):
        """How many bytes of X a block has, at most, where its size is a matter of choice."""
        return max(1, self.max_memory // SHARE_OF_BLOCK)

    @property
    @abstractmethod
    def name(self):
        """What errors call it."""


def check_bytes(max_memory):
    """The number itself, or an error where it is none."""
    is_int = isinstance(max_memory, int | np.integer) and not isinstance(max_memory, bool)
    if not is_int or max_memory < 1:
        raise ValueError(f"max_memory must be a number of bytes, at least 1; got {max_memory!r}")
    return int(max_memory)


def rows_of_blocks(n_samples, bytes_of_row, block_bytes):
    """First rows of blocks of about that size, and the number of rows at the end."""
    n_rows = max(1, block_bytes // max(1, bytes_of_row))
    return [*range(0, n_samples, n_rows), n_samples]

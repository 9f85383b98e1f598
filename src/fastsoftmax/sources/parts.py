"""Some blocks of a source as a source: what a fold of a cross-validation has."""

from dataclasses import replace

from .base import Source

__all__ = ["PartOfSource"]


class PartOfSource(Source):
    """Some blocks of another source, numbered anew.

    Where that can only be read from its beginning, it is read to its end in each pass.

    Parameters
    ----------
    source : Source
    numbers : list of int
        Its blocks; they may repeat.
    max_memory : int
        As in :class:`Source`; blocks are as large as they are in the other.
    """

    def __init__(self, source, numbers, max_memory):
        super().__init__(max_memory)
        self._source, self._numbers = source, numbers
        self.n_blocks = None if source.n_blocks is None else len(numbers)

    @property
    def name(self):
        """What errors call it."""
        return f"{len(self._numbers)} blocks of {self._source.name}"

    def read(self, number):
        """One :class:`Block`."""
        return replace(self._source.read(self._numbers[number]), number=number)

    def blocks(self, seed=None):
        """As :meth:`Source.blocks`."""
        if self.n_blocks is not None:
            yield from super().blocks(seed)
            return
        places = {}
        for place, number in enumerate(self._numbers):
            places.setdefault(number, []).append(place)
        for block in self._source.blocks(seed):
            for place in places.get(block.number, ()):
                yield replace(block, number=place)

    def _read_all(self, numbers):
        blocks = self._source._read_all([self._numbers[number] for number in numbers])
        for number, block in zip(numbers, blocks, strict=True):
            yield replace(block, number=number)

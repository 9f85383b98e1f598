"""Random states that are made where something is drawn. Called by fitting.py and folds.py."""

from functools import cached_property

from sklearn.utils import check_random_state

__all__ = ["Seeded"]


class Seeded:
    """The RandomState of a seed, made where something is drawn: that takes as long as a small fit.

    Parameters
    ----------
    seed : int, RandomState instance or None
    """

    def __init__(self, seed):
        self._seed = seed

    @cached_property
    def _made(self):
        return check_random_state(self._seed)

    def __getattr__(self, name):
        return getattr(self._made, name)

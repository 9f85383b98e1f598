"""Combinations for tests of many parameters: not all of them, but each two values together.

A fault shows in one value or where two meet: a build and a dtype, a dtype and a shape. Every pair
of values of different parameters is in one of the combinations at least, which are many fewer than
their product. Holds no test.
"""

import itertools

import pytest

from fastsoftmax import kernels

#: Values of the fixture ``build`` (conftest.py); those of ``kernel`` are ``kernels.available``.
BUILDS = (*kernels.available, "reference")


class _Together(tuple):
    """Values that pairs() takes for one."""


def together(*parameters):
    """All combinations of these, each for one value of a parameter of pairs()."""
    return [_Together(values) for values in itertools.product(*parameters)]


def pairs(*parameters):
    """Combinations of a value of each parameter, for ``parametrize``; the same at each call.

    Greedily: each is the first of those left with the most pairs that no earlier one has.
    """
    numbers = range(len(parameters))
    met = {
        places: {(i, j, places[i], places[j]) for i, j in itertools.combinations(numbers, 2)}
        for places in itertools.product(*(range(len(values)) for values in parameters))
    }
    missing = set().union(*met.values())
    chosen = []
    while missing:
        places = max(met, key=lambda places: len(met[places] & missing))
        missing -= met.pop(places)
        chosen.append(_case([parameters[i][places[i]] for i in numbers]))
    return chosen


def _case(values):
    """A case for pytest, with the marks of its values."""
    found, marks = [], []
    for value in values:
        for item in value if isinstance(value, _Together) else [value]:
            if isinstance(item, type(pytest.param())):
                found += item.values
                marks += item.marks
            else:
                found.append(item)
    return pytest.param(*found, marks=marks)

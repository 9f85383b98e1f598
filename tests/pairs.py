"""Combinations for tests of many parameters: not all of them, but each two values together.

A fault shows in one value or where two meet: a build and a dtype, a dtype and a shape. Every pair
of values of different parameters is in one of the combinations at least, which are many fewer than
their product. Holds no test.
"""

import itertools

from fastsoftmax import kernels

#: Values of the fixture ``build`` (conftest.py); those of ``kernel`` are ``kernels.available``.
BUILDS = (*kernels.available, "reference")


def pairs(*parameters):
    """Combinations of a value of each parameter, the same at each call.

    Greedily: each is the first of those left with the most pairs that no earlier one has.
    """
    missing = {
        (i, j, a, b)
        for i, j in itertools.combinations(range(len(parameters)), 2)
        for a, b in itertools.product(range(len(parameters[i])), range(len(parameters[j])))
    }
    met = {
        places: {(i, j, places[i], places[j]) for i, j in itertools.combinations(range(n), 2)}
        for n in [len(parameters)]
        for places in itertools.product(*(range(len(values)) for values in parameters))
    }
    chosen = []
    while missing:
        places = max(met, key=lambda places: len(met[places] & missing))
        missing -= met.pop(places)
        chosen.append(tuple(values[k] for values, k in zip(parameters, places, strict=True)))
    return chosen

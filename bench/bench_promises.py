"""What fits to random problems say of themselves, beside the truth: two solvers can be compared.

Problems are those of tests/hard_problems.py, the promises those of tests/promises.py. Prints how
often ``converged_`` was said, which promises were broken and by what, why the others did not
converge, passes and seconds, and quantiles of the estimate and the bound over the truth. Asserts
nothing. Run by hand: ``python -m bench.bench_promises [N [SEED]] [--light] [--worst N]``; 300 take
a minute or two.
"""

import argparse
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from hard_problems import drawn
from promises import FACTOR, check

QUANTILES = (0.0, 0.01, 0.1, 0.5, 0.9, 0.99, 1.0)


def run(n_problems, seed, light):
    """Verdicts of the problems of ``n_problems`` seeds from ``seed`` on."""
    with threadpool_limits(1):
        for one in range(seed, seed + n_problems):
            yield check(drawn(one, light))


def _counts(verdicts):
    yield "problems", len(verdicts)
    yield "converged_ said", sum(bool(one.converged) for one in verdicts)
    yield (
        "of it right, proved",
        sum(
            bool(one.converged) and one.certain and "converged_" not in one.broken
            for one in verdicts
        ),
    )
    yield (
        "of it within tol by suboptimality_bound_ too",
        sum(bool(one.converged) and one.bound <= one.tol for one in verdicts),
    )
    yield "any promise broken", sum(not one.holds for one in verdicts)
    for name, n in Counter(name for one in verdicts for name in one.broken).most_common():
        yield f"  broken: {name}", n
    yield "truth uncertain", sum(not one.certain for one in verdicts)
    yield (
        "rounding above 10 tol, so nothing asked",
        sum(one.rounding > FACTOR * one.tol for one in verdicts),
    )
    yield "errors", sum(bool(one.error) for one in verdicts)
    yield "warnings of other kinds", sum(bool(one.warned) for one in verdicts)
    yield "not converged", sum(one.converged is False for one in verdicts)
    for why, what in {
        "near": "within tol, and doesn't know",
        "dtype": "rounding is above tol",
        "max_iter": "could have, by max_iter",
        "gave up": "could have, gave up before max_iter",
    }.items():
        yield f"  {what}", sum(one.why == why for one in verdicts)
    yield "passes", sum(one.n_iter for one in verdicts)
    yield "passes of those converged", sum(one.n_iter for one in verdicts if one.converged)
    yield "seconds of fits", round(sum(one.seconds for one in verdicts), 2)


def _ratios(verdicts, said):
    """What was said over the truth, where that is known and rounding is no part of it."""
    known = [
        one
        for one in verdicts
        if one.certain and one.above > 10 * max(one.rounding, one.truth.error)
    ]
    return np.array([getattr(one, said) / one.above for one in known])


def main(arguments):
    """Print all of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("n_problems", nargs="?", type=int, default=300)
    parser.add_argument("seed", nargs="?", type=int, default=0)
    parser.add_argument("--light", action="store_true", help="those of make test")
    parser.add_argument("--worst", type=int, default=10, help="broken promises to print of a kind")
    given = parser.parse_args(arguments)
    start = time.perf_counter()
    verdicts = list(run(given.n_problems, given.seed, given.light))
    for name, count in _counts(verdicts):
        print(f"{name:42}{count:>10}")
    print(f"{'seconds, truth included':42}{time.perf_counter() - start:>10.1f}")
    for said in ("suboptimality", "bound"):
        ratios = _ratios(verdicts, said)
        if len(ratios):
            print(f"{said}_ over the truth, {len(ratios)} fits above rounding:")
            for q, value in zip(QUANTILES, np.quantile(ratios, QUANTILES), strict=True):
                print(f"    {q:>4.0%} {value:.3g}")
    for kind in sorted({name for one in verdicts for name in one.broken}):
        worst = sorted(
            (one for one in verdicts if kind in one.broken), key=lambda one: -one.broken[kind]
        )
        print(f"\n{kind}, the worst of {len(worst)}:")
        for one in worst[: given.worst]:
            print(one)
    for title, chosen in {
        "truth uncertain": [one for one in verdicts if not one.certain],
        "warnings of other kinds": [one for one in verdicts if one.warned],
    }.items():
        if chosen:
            print(f"\n{title}:")
            for one in chosen[: given.worst]:
                print("\n    ".join([str(one), *one.warned]))


if __name__ == "__main__":
    main(sys.argv[1:])

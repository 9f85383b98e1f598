"""How long fits of text take to be within 1e-4 of the optimum, and ours to have proved it.

SoftmaxClassifier as it comes with ``tol=1e-4``, on one thread and on two, against three solvers of
scikit-learn's LogisticRegression that know when to stop, and Cyanure's where it is installed: each
with the smallest cap on its iterations that ends near enough, as in bench_shapes.py. LIBLINEAR is
there for orientation: its losses are one class's against the rest and it penalises intercepts, so
it is held to the least of its own objective. They take turns in one process, from call to return,
and the least of their times counts, as other programs only add to it. The optimum is that of our
own gap, 1e-8 and less above the minimum; no peer may be below it. Run by hand:
``python -m bench.bench_sparse [--problems NAME...] [--alphas ALPHA...] [--repeats N] [--process]``
``--process`` times one thread by what it has computed, for machines that others use. Results add up
in bench/results/sparse.json, and caps found once are kept there. ``--ways`` has fits of drawn words
of many shapes go by the dual and by the other ways in its place, which is what the rule that
chooses was set by.
"""

import argparse
import json
import logging
import math
import time
import warnings
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, partial
from importlib.util import find_spec

import numpy as np
import sklearn.linear_model
from sklearn.multiclass import OneVsRestClassifier
from threadpoolctl import threadpool_limits

from bench.bench_shapes import TARGET, smallest_cap, time_limit
from bench.fit_data import RESULTS
from bench.sparse_data import TEXTS, made, words
from fastsoftmax import SoftmaxClassifier

ALPHAS = (1e-3, 1e-4, 1e-5)
SEARCH = 60.0  # seconds that the search for a cap may take, and a fit
BELOW = 1e-8  # how far a peer may be below the optimum, and that above the minimum
FILE = RESULTS / "sparse.json"

#: Rows, features, classes and words a row of drawn ones.
SHAPES = [
    (100, 100_000, 2, 50),
    (100, 100_000, 5, 50),
    (500, 20_000, 5, 50),
    (1500, 20_000, 10, 80),
    (2500, 5000, 20, 60),
    (3000, 800, 8, 30),
    (10_000, 2000, 2, 20),
    (10_000, 20_000, 100, 30),
    (30_000, 500, 10, 15),
    (5000, 100, 5, 10),
]


def ours(problem, n_threads, clock):
    """Our fit, and what it took."""
    model = SoftmaxClassifier(alpha=problem.alpha, tol=TARGET, random_state=0, n_jobs=n_threads)
    start = clock()
    model.fit(problem.X, problem.y)
    return model, clock() - start


# --- Peers ----------------------------------------------------------------------------------------


def scikit_learn(solver, problem, cap):
    """Coefficients and intercept by LogisticRegression."""
    strength = 1 / (problem.alpha * len(problem.y))
    model = sklearn.linear_model.LogisticRegression(
        solver=solver, C=strength, max_iter=cap, tol=1e-12, random_state=0
    )
    model.fit(problem.X, problem.y)
    return model.coef_, model.intercept_


def cyanure(solver, problem, cap):
    """The same by Cyanure, which computes its duality gap at the end alone."""
    from cyanure.estimators import Classifier

    logging.getLogger("cyanure").setLevel(logging.ERROR)
    model = Classifier(
        loss="multiclass-logistic",
        penalty="l2",
        lambda_1=problem.alpha,
        solver=solver,
        fit_intercept=True,
        max_iter=cap,
        duality_gap_interval=cap,
        tol=1e-12,
        n_threads=1,
        verbose=False,
    )
    model.fit(problem.X, problem.y)
    coef, intercept = model.get_weights()
    return coef.T, intercept


def one_vs_rest(problem, cap, tol=1e-12):
    """The same by LIBLINEAR, a class after the other: no softmax."""
    strength = 1 / (problem.alpha * len(problem.y))
    each = sklearn.linear_model.LogisticRegression(
        solver="liblinear", C=strength, max_iter=cap, tol=tol, random_state=0
    )
    model = OneVsRestClassifier(each).fit(problem.X, problem.y)
    return tuple(
        np.concatenate([getattr(one, name) for one in model.estimators_])
        for name in ("coef_", "intercept_")
    )


@dataclass(frozen=True)
class Peer:
    """``fit(problem, cap)`` gives coefficients; the cap to begin with; the package it needs."""

    fit: callable
    cap: int
    package: str = "sklearn"
    is_softmax: bool = True


PEERS = {
    "saga": Peer(partial(scikit_learn, "saga"), 4),
    "lbfgs": Peer(partial(scikit_learn, "lbfgs"), 4),
    "newton-cg": Peer(partial(scikit_learn, "newton-cg"), 1),
    "miso": Peer(partial(cyanure, "miso"), 4, "cyanure"),
    "qning-miso": Peer(partial(cyanure, "qning-miso"), 4, "cyanure"),
    "liblinear, one-vs-rest": Peer(one_vs_rest, 1, is_softmax=False),
}


def theirs(problem, name, cap, clock):
    """Parameters of a peer's fit, stopped after so many iterations, and what it took.

    Raises
    ------
    TimeoutError
    """
    with time_limit(SEARCH):
        start = clock()
        parameters = PEERS[name].fit(problem, cap)
        return parameters, clock() - start


def optimum(problem):
    """The least objective, proved.

    Raises
    ------
    AssertionError
        If the gap doesn't prove what peers are held to.
    """
    model = SoftmaxClassifier(
        solver="dual", alpha=problem.alpha, tol=1e-10, dtype="float64", random_state=0
    )
    model.fit(problem.X, problem.y)
    value = problem.objective(model.coef_, model.intercept_)
    if not model.suboptimality_bound_ <= BELOW:
        raise AssertionError(f"{problem.name}: {model.suboptimality_bound_:.1e} is not proof")
    return value


@cache
def least_one_vs_rest(problem):
    """The least objective of LIBLINEAR, by itself."""
    return problem.one_vs_rest(*one_vs_rest(problem, 1000, 1e-6))


def above(problem, parameters, best, is_softmax=True):
    """How far parameters are above the optimum."""
    if not is_softmax:
        return problem.one_vs_rest(*parameters) - least_one_vs_rest(problem)
    gap = problem.objective(*parameters) - best
    if not gap >= -BELOW:
        raise AssertionError(f"they are {-gap:.1e} below the optimum")
    return gap


def cap_of(problem, name, best, clock):
    """The least number of iterations that ends within the target; None if none does."""

    def fit(cap):
        parameters, seconds = theirs(problem, name, cap, clock)
        gap = above(problem, parameters, best, PEERS[name].is_softmax)
        return cap if gap <= TARGET else None, seconds, False

    return smallest_cap(fit, PEERS[name].cap, SEARCH)


def measured(problem, n_repeats, clock, known):
    """The fits of one problem: a dict for JSON. ``known`` is what it was before, or {}."""
    best = known.get("optimum") or optimum(problem)
    caps = {name: peer["cap"] for name, peer in known.get("peers", {}).items()}
    for name, peer in PEERS.items():
        if name not in caps and find_spec(peer.package):
            caps[name] = cap_of(problem, name, best, clock)
    result = {
        "n_samples": problem.X.shape[0],
        "n_features": problem.X.shape[1],
        "n_classes": int(problem.y.max()) + 1,
        "values_a_row": problem.X.nnz / problem.X.shape[0],
        "optimum": best,
        "ours": {},
        "peers": {name: {"cap": cap, "seconds": math.inf} for name, cap in caps.items()},
    }
    for _ in range(n_repeats):
        for n_threads in (1, 2) if clock is time.perf_counter else (1,):
            model, seconds = ours(problem, n_threads, clock)
            entry = result["ours"].setdefault(str(n_threads), {"seconds": math.inf})
            entry |= {
                "seconds": min(entry["seconds"], seconds),
                "n_iter": model.n_iter_,
                "gap": above(problem, (model.coef_, model.intercept_), best),
                "bound": model.suboptimality_bound_,
            }
        for name, cap in caps.items():
            if cap is None:
                continue
            entry = result["peers"][name]
            with suppress(TimeoutError):  # on a machine that has become busier
                entry["seconds"] = min(entry["seconds"], theirs(problem, name, cap, clock)[1])
    return result


def ways(n_repeats):
    """A line a shape and penalty: process time and epochs by the dual, and by L-BFGS."""
    for shape in SHAPES:
        X, y = words(*shape)
        for alpha in np.logspace(-2, -6, 5):
            size, curvature = " × ".join(map(str, shape)), 1 / alpha / len(y)
            cells = [f"{size}  alpha {alpha:.0e}  c {curvature:.2g}"]
            for solver in ("dual", "lbfgs"):
                least = math.inf
                for _ in range(n_repeats):
                    model = SoftmaxClassifier(
                        solver=solver, alpha=float(alpha), random_state=0, n_jobs=1
                    )
                    start = time.process_time()
                    model.fit(X, y)
                    least = min(least, time.process_time() - start)
                is_handed_over = solver == "dual" and not np.isfinite(model.history_["gap"][-1])
                other = ", then L-BFGS" if is_handed_over else ""
                cells.append(f"{solver} {1e3 * least:.1f} ms, {model.n_iter_} epochs{other}")
            print(" | ".join(cells), flush=True)


def table(results):
    """Markdown: a row a problem; caps in brackets."""
    lines = [
        "| data | shape, classes | alpha | epochs | proved | above the optimum | ours, ms | two "
        f"threads | {' | '.join(PEERS)} | best softmax ÷ ours |",
        f"|---|---|---:|---:|---:|---:|---:|---:|{'---:|' * len(PEERS)}---:|",
    ]
    for key, result in results.items():
        name, alpha = key.rsplit(" @ ", 1)
        shape = f"{result['n_samples']} × {result['n_features']}, {result['n_classes']}"
        one, two = result["ours"]["1"], result["ours"].get("2")
        cells = [name, shape, alpha, str(one["n_iter"]), f"{one['bound']:.1e}"]
        cells += [f"{one['gap']:.1e}", f"{1e3 * one['seconds']:.0f}"]
        cells.append(f"{1e3 * two['seconds']:.0f}" if two else "")
        peers = [result["peers"].get(peer, {"cap": None}) for peer in PEERS]
        cells += [
            f"{1e3 * peer['seconds']:.0f} ({peer['cap']})"
            if math.isfinite(peer.get("seconds", math.inf))
            else "—"
            for peer in peers
        ]
        fastest = min(
            known.get("seconds", math.inf)
            for known, peer in zip(peers, PEERS.values(), strict=True)
            if peer.is_softmax
        )
        cells.append(f"{fastest / one['seconds']:.1f}" if math.isfinite(fastest) else "")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main(arguments=None):
    """Measure what is asked for, add it to the results and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--problems", nargs="*", choices=TEXTS, default=list(TEXTS))
    parser.add_argument("--alphas", nargs="*", type=float, default=ALPHAS)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--process", action="store_true")
    parser.add_argument("--ways", action="store_true")
    options = parser.parse_args(arguments)
    if options.ways:
        with warnings.catch_warnings(), threadpool_limits(1, "blas"):
            warnings.simplefilter("ignore")
            ways(options.repeats)
        return
    results = json.loads(FILE.read_text()) if FILE.exists() else {}
    FILE.parent.mkdir(parents=True, exist_ok=True)
    clock = time.process_time if options.process else time.perf_counter
    for package in {peer.package for peer in PEERS.values() if not find_spec(peer.package)}:
        print(f"{package} is not installed, and left out")
    with warnings.catch_warnings(), threadpool_limits(1, "blas"):
        warnings.simplefilter("ignore")
        for name in options.problems:
            for alpha in options.alphas:
                key = f"{name} @ {alpha:g}"
                results[key] = measured(
                    made(name, alpha), options.repeats, clock, results.get(key, {})
                )
                FILE.write_text(json.dumps(results, indent=1))
                print(table({key: results[key]}).splitlines()[-1], flush=True)
    print(table(results))


if __name__ == "__main__":
    main()

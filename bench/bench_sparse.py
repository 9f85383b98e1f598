"""How long fits of text take to be within 1e-4 of the optimum, and ours to have proved it.

SoftmaxClassifier as it comes with ``tol=1e-4``, on one thread and on two, against three solvers of
scikit-learn's LogisticRegression that know when to stop: each with the smallest cap on its
iterations that ends near enough, as in bench_shapes.py. They take turns in one process, from call
to return, and the least of their times counts, as other programs only add to it. The optimum is
that of our own gap, 1e-8 and less above the minimum; no peer may be below it. Run by hand:
``python -m bench.bench_sparse [--problems NAME...] [--alphas ALPHA...] [--repeats N]``
Results add up in bench/results/sparse.json. ``--ways`` has fits of drawn words of many shapes go by
the dual and by the other ways in its place, which is what the rule that chooses was set by.
"""

import argparse
import json
import math
import time
import warnings

import numpy as np
import sklearn.linear_model
from threadpoolctl import threadpool_limits

from bench.bench_shapes import TARGET, smallest_cap, time_limit
from bench.fit_data import RESULTS
from bench.sparse_data import TEXTS, made, words
from fastsoftmax import SoftmaxClassifier

ALPHAS = (1e-3, 1e-4, 1e-5)
SOLVERS = {"saga": 4, "lbfgs": 4, "newton-cg": 1}  # and the cap to begin with
SEARCH = 60.0  # seconds that the search for a cap may take
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


def ours(problem, n_threads):
    """Our fit, and what it says of itself."""
    model = SoftmaxClassifier(alpha=problem.alpha, tol=TARGET, random_state=0, n_jobs=n_threads)
    start = time.perf_counter()
    model.fit(problem.X, problem.y)
    return model, time.perf_counter() - start


def theirs(problem, solver, cap):
    """Coefficients of scikit-learn's, stopped after so many iterations.

    Raises
    ------
    TimeoutError
    """
    strength = 1 / (problem.alpha * len(problem.y))
    model = sklearn.linear_model.LogisticRegression(
        solver=solver, C=strength, max_iter=cap, tol=1e-12, random_state=0
    )
    with time_limit():
        start = time.perf_counter()
        model.fit(problem.X, problem.y)
        return model, time.perf_counter() - start


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


def above(problem, model, best):
    """How far a fit is above the optimum."""
    gap = problem.objective(model.coef_, model.intercept_) - best
    if not gap >= -BELOW:
        raise AssertionError(f"{model} is {-gap:.1e} below the optimum")
    return gap


def cap_of(problem, solver, best):
    """The least number of iterations that ends within the target; None if none does."""

    def fit(cap):
        model, seconds = theirs(problem, solver, cap)
        return cap if above(problem, model, best) <= TARGET else None, seconds, False

    return smallest_cap(fit, SOLVERS[solver], SEARCH)


def measured(problem, n_repeats):
    """The fits of one problem: a dict for JSON."""
    best = optimum(problem)
    caps = {solver: cap_of(problem, solver, best) for solver in SOLVERS}
    result = {
        "n_samples": problem.X.shape[0],
        "n_features": problem.X.shape[1],
        "n_classes": int(problem.y.max()) + 1,
        "values_a_row": problem.X.nnz / problem.X.shape[0],
        "optimum": best,
        "ours": {},
        "peers": {solver: {"cap": cap, "seconds": math.inf} for solver, cap in caps.items()},
    }
    for _ in range(n_repeats):
        for n_threads in (1, 2):
            model, seconds = ours(problem, n_threads)
            entry = result["ours"].setdefault(str(n_threads), {"seconds": math.inf})
            entry |= {
                "seconds": min(entry["seconds"], seconds),
                "n_iter": model.n_iter_,
                "gap": above(problem, model, best),
                "bound": model.suboptimality_bound_,
            }
            result["ours"][str(n_threads)] = entry
        for solver, cap in caps.items():
            if cap is not None:
                _, seconds = theirs(problem, solver, cap)
                entry = result["peers"][solver]
                entry["seconds"] = min(entry["seconds"], seconds)
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
    """Markdown: a row a problem."""
    lines = [
        "| data | shape, classes | alpha | epochs | proved | above the optimum | ours, ms | two "
        "threads | saga | lbfgs | newton-cg | best ÷ ours |",
        "|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for key, result in results.items():
        name, alpha = key.rsplit(" @ ", 1)
        shape = f"{result['n_samples']} × {result['n_features']}, {result['n_classes']}"
        one, two = result["ours"]["1"], result["ours"]["2"]
        cells = [name, shape, alpha, str(one["n_iter"]), f"{one['bound']:.1e}"]
        cells += [f"{one['gap']:.1e}", f"{1e3 * one['seconds']:.0f}", f"{1e3 * two['seconds']:.0f}"]
        for peer in result["peers"].values():
            said = "—" if peer["cap"] is None else f"{1e3 * peer['seconds']:.0f} ({peer['cap']})"
            cells.append(said)
        fastest = min(peer["seconds"] for peer in result["peers"].values())
        cells.append(f"{fastest / one['seconds']:.1f}" if math.isfinite(fastest) else "")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main(arguments=None):
    """Measure what is asked for, add it to the results and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--problems", nargs="*", choices=TEXTS, default=list(TEXTS))
    parser.add_argument("--alphas", nargs="*", type=float, default=ALPHAS)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--ways", action="store_true")
    options = parser.parse_args(arguments)
    if options.ways:
        with warnings.catch_warnings(), threadpool_limits(1, "blas"):
            warnings.simplefilter("ignore")
            ways(options.repeats)
        return
    results = json.loads(FILE.read_text()) if FILE.exists() else {}
    FILE.parent.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings(), threadpool_limits(1, "blas"):
        warnings.simplefilter("ignore")
        for name in options.problems:
            for alpha in options.alphas:
                key = f"{name} @ {alpha:g}"
                results[key] = measured(made(name, alpha), options.repeats)
                FILE.write_text(json.dumps(results, indent=1))
                print(table({key: results[key]}).splitlines()[-1], flush=True)
    print(table(results))


if __name__ == "__main__":
    main()

"""How long fits of many shapes take to be within 1e-4 of the optimum: a table, and a picture.

LogisticRegression and SoftmaxClassifier as they come, against scikit-learn's LogisticRegression
with three of its solvers, each with one and two threads of BLAS, stopped by the smallest cap on its
iterations that ends near enough, as if its user knew when to stop; and each as it comes. All have
one objective, that of ``C=1``, and take turns in one process; times are medians, from call to
return. Peers that take more than 20 s are left out. The optimum is our own fit's in float64, held
to the definition's gradient, and no peer may be below it. Then 9 penalties × 5 folds of
GridSearchCV. Run by hand, in some ten minutes:
``python -m bench.bench_shapes [--problems NAME...] [--no-grid] [--draw]``
Results add up in bench/results/shapes.json; ``--draw`` measures nothing.
"""

import argparse
import json
import math
import signal
import statistics
import sys
import time
import warnings
from collections import defaultdict
from contextlib import contextmanager, nullcontext
from pathlib import Path

import numpy as np
import sklearn.linear_model
from sklearn.model_selection import GridSearchCV
from threadpoolctl import ThreadpoolController

import fastsoftmax
from bench.fit_data import RESULTS
from bench.shape_data import SHAPES, SHIPPED, made

TARGET = 1e-4  # of the suboptimality, absolute
BELOW = 1e-9  # how far a peer may be below the optimum, and that be above the minimum
LIMIT = 20.0  # seconds: of a fit, and of the search for a cap
NARROW = 1.1  # the ratio of caps at which narrowing ends
N_THREADS = (1, 2)
#: Most arithmetic of a step of newton-cholesky, which nothing can interrupt: some three seconds.
MOST_OPERATIONS = 1e11
SOLVERS = {"lbfgs": 4, "newton-cg": 1, "newton-cholesky": 1}  # and the cap to begin with
#: Ours by name, made for so many rows.
OURS = {
    "LogisticRegression": lambda n_samples: fastsoftmax.LogisticRegression(),
    "SoftmaxClassifier": lambda n_samples: fastsoftmax.SoftmaxClassifier(alpha=1 / n_samples),
}
GRID = {"C": np.logspace(-4, 4, 9)}
N_FOLDS = 5
FILE = RESULTS / "shapes.json"
PICTURE = Path(__file__).parent.parent / "docs" / "shapes.png"


def n_repeats(seconds):
    """How many times a fit is made that once took so long."""
    return 15 if seconds < 0.01 else 5 if seconds < 0.05 else 3 if seconds < 1 else 1


@contextmanager
def time_limit(limit=LIMIT):
    """Ends Python code with a TimeoutError, again each second in case it was swallowed."""

    def interrupt(*_):
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, limit, 1)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


class Contender:
    """A way to fit one problem, and what was seen of its fits.

    Parameters
    ----------
    problem : bench.shape_data.ShapeProblem
    best : float
        The optimum.
    solver : key of SOLVERS or of OURS
    cap : int or None
        ``max_iter``, with a ``tol`` that is not met before the target; None is as it comes.
    n_threads : int or None
        Of BLAS; None is as it comes.
    """

    pools = ThreadpoolController()

    def __init__(self, problem, best, solver, cap=None, n_threads=None):
        self.problem, self.best, self.solver = problem, best, solver
        self.cap, self.n_threads = cap, n_threads
        self.seconds = []

    @property
    def name(self):
        """In words, without the cap."""
        if self.solver in OURS:
            return self.solver
        said = "as it comes" if self.n_threads is None else f"{self.n_threads} threads"
        return f"{self.solver}, {said}".replace("1 threads", "1 thread")

    def run(self):
        """One fit, judged outside the clock.

        Raises
        ------
        TimeoutError
        """
        if self.solver in OURS:
            model = OURS[self.solver](len(self.problem.y))
        else:
            given = {} if self.cap is None else {"max_iter": self.cap, "tol": 1e-10}
            model = sklearn.linear_model.LogisticRegression(solver=self.solver, **given)
        limited = self.pools.limit(limits=self.n_threads) if self.n_threads else nullcontext()
        with limited, time_limit():
            start = time.perf_counter()
            model.fit(self.problem.X, self.problem.y)
            self.seconds.append(time.perf_counter() - start)
        self.n_iter = int(np.max(model.n_iter_))
        self.gap = self.problem.objective(model.coef_, model.intercept_) - self.best
        if not self.gap >= -BELOW:
            raise AssertionError(f"{self.name} is {-self.gap:.1e} below the optimum")
        return self

    def with_cap(self, cap, n_threads):
        """The same with another cap, not run yet."""
        return Contender(self.problem, self.best, self.solver, cap, n_threads)

    def ended_by_itself(self):
        """Whether no more iterations would have been made with a larger cap."""
        return self.cap is not None and self.n_iter < self.cap

    def result(self):
        """What is kept of it."""
        return {
            "name": self.name,
            "solver": self.solver,
            "cap": self.cap,
            "seconds": statistics.median(self.seconds),
            "n_fits": len(self.seconds),
            "n_iter": self.n_iter,
            "gap": self.gap,
        }


def optimum(problem):
    """The least objective, and how far above the minimum it is at most.

    Raises
    ------
    AssertionError
        If the gradient doesn't prove what peers are held to.
    """
    model = fastsoftmax.LogisticRegression(tol=1e-9, max_iter=10_000)
    model.fit(problem.X.astype(np.float64), problem.y)
    value, bound = problem.objective_and_bound(model.coef_, model.intercept_)
    if not bound <= BELOW:
        raise AssertionError(f"{problem.name}: gradient proves only {bound:.1e} of the optimum")
    return value, bound


def is_feasible(problem, solver):
    """Whether newton-cholesky, which forms the Hessian, can be tried."""
    (n_samples, n_features), n_classes = problem.X.shape, problem.n_classes
    unknowns = (n_features + 1) * (1 if n_classes == 2 else n_classes)
    operations = n_samples * unknowns**2 + unknowns**3 / 3
    return solver != "newton-cholesky" or operations <= MOST_OPERATIONS


def smallest_cap(fit, cap, limit):
    """The least number of iterations, to 10 %, that is enough; None if none is.

    The cap is doubled and then halved between, geometrically, as long as the time allows it.

    Parameters
    ----------
    fit : callable
        ``fit(cap)`` gives the iterations made where they were enough, else None; the seconds that
        they took; and whether a larger cap would change nothing. It may raise a TimeoutError.
    cap : int ≥ 1
        To begin with.
    limit : float
        Seconds of the search.
    """
    start = time.perf_counter()
    below, enough = 0, None
    try:
        while enough is None or enough > max(NARROW * below, below + 1):
            n_iter, seconds, is_over = fit(cap)
            if n_iter is not None:
                enough = n_iter
            elif is_over:
                return enough
            else:
                below = cap
            before = cap
            cap = 2 * cap if enough is None else max(below + 1, round(math.sqrt(below * enough)))
            if time.perf_counter() - start + seconds * cap / before > limit:
                break
    except TimeoutError:
        pass
    return enough


def cap_of(contender):
    """That of a peer, with one thread of BLAS: two are far slower where others use the machine."""

    def fit(cap):
        tried = contender.with_cap(cap, 1).run()
        n_iter = (min(cap, tried.n_iter) or cap) if tried.gap <= TARGET else None
        return n_iter, tried.seconds[0], tried.ended_by_itself()

    return smallest_cap(fit, SOLVERS[contender.solver], LIMIT)


def in_turns(contenders):
    """Run them one after the other as often as each is short; those within the limit."""
    counts = {}
    for turn in range(n_repeats(0)):
        for contender in contenders:
            if turn >= counts.get(contender, 1):
                continue
            try:
                contender.run()
            except TimeoutError:
                counts[contender] = 0
                continue
            counts.setdefault(contender, n_repeats(contender.seconds[0]))
    return [contender for contender in contenders if contender.seconds]


def measured(problem):
    """The fits of one problem: a dict for JSON."""
    best, bound = optimum(problem)
    contenders = [Contender(problem, best, name) for name in OURS]
    Contender(problem, best, "LogisticRegression").run()  # loads libraries and starts threads
    for solver in SOLVERS:
        plain = Contender(problem, best, solver)
        if not is_feasible(problem, solver):
            continue
        cap = cap_of(plain)
        if cap is not None:
            contenders += [plain.with_cap(cap, n_threads) for n_threads in N_THREADS]
        contenders.append(plain)
    n_samples, n_features = problem.X.shape
    return {
        "n_samples": n_samples,
        "n_features": n_features,
        "n_classes": problem.n_classes,
        "optimum": best,
        "bound": bound,
        "contenders": [contender.result() for contender in in_turns(contenders)],
    }


def searched(problem):
    """GridSearchCV with ours and scikit-learn's, in turns: a dict for JSON."""
    kinds = {
        "fastsoftmax": fastsoftmax.LogisticRegression,
        "scikit-learn": sklearn.linear_model.LogisticRegression,
    }
    seconds, result = defaultdict(list), {}
    for _ in range(n_repeats(0.5)):
        for name, kind in kinds.items():
            search = GridSearchCV(kind(), GRID, cv=N_FOLDS)
            start = time.perf_counter()
            search.fit(problem.X, problem.y)
            seconds[name].append(time.perf_counter() - start)
            result[name] = {"C": float(search.best_params_["C"]), "score": search.best_score_}
    return {name: result[name] | {"seconds": statistics.median(seconds[name])} for name in kinds}


def summary(result):
    """Both of ours, the fastest peer that is near enough or None, and lbfgs as it comes or None."""
    ours, peers = result["contenders"][: len(OURS)], result["contenders"][len(OURS) :]
    near = [peer for peer in peers if peer["gap"] <= TARGET]
    fastest = min(near, key=lambda peer: peer["seconds"], default=None)
    plain = next((p for p in peers if p["solver"] == "lbfgs" and p["cap"] is None), None)
    return ours, fastest, plain


def milliseconds(contender):
    """Its time in three digits."""
    rounded = float(f"{1e3 * contender['seconds']:.3g}")
    return f"{rounded:g}"


def table(problems):
    """Markdown: a row a problem, and the peers' ratios to ours."""
    head = ("data", "shape, classes", "drop-in, ms", "passes", "above", "classifier, ms", "passes")
    head += ("above", "fastest peer", "ms", "÷ drop-in", "÷ classifier", "lbfgs as it comes, ms")
    lines = [
        f"| {' | '.join(head)} |",
        "|---|---|---:|---:|---:|---:|---:|---:|---|---:|---:|---:|---:|",
    ]
    for name, result in problems.items():
        ours, peer, plain = summary(result)
        cells = [name, f"{result['n_samples']} × {result['n_features']}, {result['n_classes']}"]
        for own in ours:
            cells += [milliseconds(own), str(own["n_iter"]), f"{own['gap']:.0e}"]
        if peer is None:
            cells += ["none in time", "", "", ""]
        else:
            cells += [peer["name"], milliseconds(peer)]
            cells += [f"{peer['seconds'] / own['seconds']:.1f}" for own in ours]
        if plain is None:
            cells.append(f"> {1e3 * LIMIT:.0f}")
        else:
            short = f", {plain['gap']:.0e} above" if plain["gap"] > TARGET else ""
            cells.append(milliseconds(plain) + short)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def grid_table(grids):
    """Markdown: a row a set that a grid was searched on."""
    lines = [
        "| 9 penalties × 5 folds | ours, s | scikit-learn, s | ÷ ours | C, accuracy | theirs |",
        "|---|---:|---:|---:|---|---|",
    ]
    for name, pair in grids.items():
        ours, theirs = pair["fastsoftmax"], pair["scikit-learn"]
        cells = [name, *(f"{one['seconds']:.3g}" for one in (ours, theirs))]
        cells.append(f"{theirs['seconds'] / ours['seconds']:.2f}")
        cells += [f"{one['C']:g}, {one['score']:.4f}" for one in (ours, theirs)]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def draw(problems, path):
    """The fastest peer's time divided by LogisticRegression's, against the size of the problem."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    classes = {"2 classes": 2, "3 to 10": 10, "20 and 26": 99, "500 and 1000": math.inf}
    figure, axes = pyplot.subplots(figsize=(9, 5.5), layout="constrained")
    points = {}
    for name, result in problems.items():
        ours, peer, _ = summary(result)
        if peer is None:
            continue
        n_samples, n_features = result["n_samples"], result["n_features"]
        size = n_samples * n_features * result["n_classes"]
        ratio = peer["seconds"] / ours[0]["seconds"]
        group = next(i for i, most in enumerate(classes.values()) if result["n_classes"] <= most)
        marker = "o" if n_features <= n_samples else "s"
        axes.plot(size, ratio, marker, color=f"C{group}", markersize=8)
        points[name] = size, ratio
    for name, point in points.items():
        _name(axes, name, point, points.values())
    for i, label in enumerate(classes):
        axes.plot([], [], "o", color=f"C{i}", label=label)
    axes.plot([], [], "o", color="0.5", label="no more features than rows")
    axes.plot([], [], "s", color="0.5", label="more features than rows")
    axes.margins(x=0.14)  # names stand to the right of their points
    axes.axhline(1, color="0.4", linestyle="--", linewidth=1)
    axes.set(
        xscale="log",
        yscale="log",
        xlabel="rows × features × classes",
        ylabel="time of scikit-learn's fastest ÷ fastsoftmax's",
        title="How many times as long to within 1e-4 of the optimum",
        yticks=[0.3, 0.5, 1, 2, 3, 4],
    )
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter("")
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, fontsize=8)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def _name(axes, name, point, points):
    """A point's name at its upper right, or at its left where another point is in the way."""
    is_crowded = any(
        0 < math.log10(other[0] / point[0]) < 0.7 and abs(math.log10(other[1] / point[1])) < 0.05
        for other in points
    )
    offset, side = ((-5, 5), "right") if is_crowded else ((5, 5), "left")
    axes.annotate(name, point, offset, textcoords="offset points", fontsize=8, ha=side)


def main(arguments):
    """Measure what is asked for, add it to the results and print the tables; or draw them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--problems", nargs="*", choices=SHAPES, default=list(SHAPES))
    parser.add_argument("--no-grid", action="store_true", help="search no grids")
    parser.add_argument("--draw", action="store_true", help="only draw what was measured")
    options = parser.parse_args(arguments)
    results = {"problems": {}, "grids": {}}
    if FILE.exists():
        results = json.loads(FILE.read_text())
    if not options.draw:
        FILE.parent.mkdir(parents=True, exist_ok=True)
        grids = [] if options.no_grid else [name for name in SHIPPED if name in options.problems]
        parts = [("problems", measured, options.problems), ("grids", searched, grids)]
        with warnings.catch_warnings():  # of caps, line searches and Hessians near singular
            warnings.simplefilter("ignore")
            for part, measure, names in parts:
                for name in names:
                    start = time.perf_counter()
                    results[part][name] = measure(made(name))
                    FILE.write_text(json.dumps(results, indent=1))
                    print(f"{part}: {name}, {time.perf_counter() - start:.0f} s", flush=True)
    ordered = {name: results["problems"][name] for name in SHAPES if name in results["problems"]}
    print(table(ordered), grid_table(results["grids"]), sep="\n\n")
    if options.draw:
        draw(ordered, PICTURE)


if __name__ == "__main__":
    main(sys.argv[1:])

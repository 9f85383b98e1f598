"""Single figures of whole fits that have no table of their own.

sgd: SGD on MNIST's bytes with no parameter set, call to return, and its test accuracy.
estimate: what the estimate and the bound of the suboptimality are over the truth, for five seeds.
tfidf: seconds until the objective on 20 newsgroups as tf-idf is within 1e-4 of its minimum, ours
as it comes and at a tol that just does it, and scikit-learn's saga and lbfgs with growing caps.
sweep: 45 strengths of the penalty on newsgroups embeddings, scored on test rows, beside one fit.
newton: all of Newton's method on iris, as the kernel takes it, on each instruction set.
many: drawn sets of many classes with and without the steps of the likeliest ones, on one thread.

Asserts nothing. Run by hand: ``python -m bench.bench_fits [NAME...]``, all without a name.
"""

import sys
import time
import warnings
from functools import partial

import numpy as np
import sklearn.linear_model
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from bench.fit_data import mnist_bytes, prepared, synthetic
from bench.optimum import optimum
from bench.shape_data import made
from bench.test_sparse import load
from fastsoftmax import LogisticRegression, SoftmaxClassifier, SoftmaxClassifierCV, kernels
from fastsoftmax.optimization import restricted

ALPHA = 1e-4
TARGET = 1e-4
PEER_CAPS = (4, 8, 12, 16, 24, 32, 48, 64, 96)


def timed(fit):
    """Seconds of a call; warnings of caps are expected."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.simplefilter("ignore", FutureWarning)
        start = time.perf_counter()
        fit()
        return time.perf_counter() - start


def sgd():
    """Median of seven, and the accuracies of as many seeds."""
    X, y, X_test, y_test = mnist_bytes()
    models = [SoftmaxClassifier(solver="sgd", random_state=seed) for seed in range(7)]
    seconds = np.median([timed(lambda model=model: model.fit(X, y)) for model in models])
    accuracy = [model.score(X_test, y_test) for model in models]
    print(f"sgd: {models[0].n_iter_} epochs in {seconds:.3f} s, accuracy {min(accuracy):.4f} up")


def estimate():
    """A line a set and tol: of each seed, passes, truth, estimate ÷ truth and bound ÷ truth."""
    for name in ("letters", "newsgroups", "mnist", "covtype"):
        problem = prepared(name)
        least = optimum(problem)[0]
        is_raw = problem.raw is not None
        for tol in (1e-5, 1e-4):
            for seed in range(5):
                model = SoftmaxClassifier(tol=tol, standardize=is_raw, random_state=seed)
                model.fit(problem.raw if is_raw else problem.X, problem.y)
                coef, intercept = model.coef_.astype("f8"), model.intercept_.astype("f8")
                if is_raw:
                    intercept, coef = intercept + coef @ model.mean_, coef * model.scale_
                truth = problem.objective(coef, intercept) - least
                print(
                    f"estimate: {name:10s} tol {tol:g} {model.n_iter_:3d} passes, {truth:.1e} "
                    f"above, estimate {model.suboptimality_ / truth:6.2f} times, "
                    f"bound {model.suboptimality_bound_ / truth:4.0f} times that"
                )


def tfidf():
    """A line a fit."""
    X, y = load()
    fine = SoftmaxClassifier(tol=1e-10, dtype="float64", random_state=0).fit(X, y)

    def above(model):
        raw = X @ model.coef_.T.astype("f8") + model.intercept_
        raw -= raw.max(axis=1, keepdims=True)
        loss = np.log(np.exp(raw).sum(axis=1)) - raw[np.arange(len(y)), y]
        return loss.mean() + 0.5 * ALPHA * np.square(model.coef_, dtype="f8").sum()

    least = above(fine)
    print(f"tfidf: minimum {least:.6f}, known to {fine.suboptimality_bound_:.0e}")
    for tol in (1e-5, 1e-4, 3e-4):
        model = SoftmaxClassifier(tol=tol, random_state=0)
        seconds = np.median([timed(lambda model=model: model.fit(X, y)) for _ in range(3)])
        print(f"tfidf: ours, tol {tol:g} {seconds:.3f} s, {above(model) - least:.1e} above")
    for solver in ("saga", "lbfgs"):
        for cap in PEER_CAPS:
            model = sklearn.linear_model.LogisticRegression(
                C=1 / (ALPHA * len(y)), solver=solver, max_iter=cap, tol=1e-9, random_state=0
            )
            seconds = timed(lambda model=model: model.fit(X, y))
            gap = above(model) - least
            print(f"tfidf: {solver} {cap:3d} {seconds:.3f} s, {gap:.1e} above", flush=True)
            if gap <= TARGET:
                break


def sweep():
    """One line."""
    problem = prepared("newsgroups")
    X, y = problem.X, problem.y
    alphas = np.logspace(-6, 5, 45) / len(y)
    search = SoftmaxClassifierCV(alphas=alphas, random_state=0)
    seconds = timed(lambda: search.fit(X, y, X_val=problem.X_test, y_val=problem.y_test))
    model = SoftmaxClassifier(alpha=search.alpha_, random_state=0)
    alone = np.median([timed(lambda: model.fit(X, y)) for _ in range(5)])
    n_tried = np.count_nonzero(np.isfinite(search.scores_))
    print(
        f"sweep: {n_tried} of {len(alphas)} strengths, {search.n_iter_.sum()} passes in "
        f"{seconds:.2f} s; one fit {model.n_iter_} passes in {alone:.3f} s: {seconds / alone:.1f}"
    )


def newton():
    """A line an instruction set: the least of many calls."""
    X, y = load_iris(return_X_y=True)
    X = StandardScaler().fit_transform(X)
    given = {
        "design": np.ascontiguousarray(np.vstack([X.T, np.ones(len(y))])),
        "targets": (np.arange(3)[:, None] == y).astype(np.float64),
        "weight": np.full(len(y), 1 / len(y)),
        "penalty": np.array([*(4 * [1 / len(y)]), 0.0]),
        "loss": "softmax",
        "fit_intercept": True,
        "tol": 1e-12,
        "tol_of_penalty": 0.0,
        "least_of_value": 0.0,
        "thetas_inplace": np.zeros((40, 3, 5)),
        "values_out": np.empty((40, 4)),
        "probability_out": np.empty((3, len(y))),
    }
    for name in kernels.available:
        with kernels.use(name) as build:
            seconds = min(timed(lambda build=build: build.newton(**given)) for _ in range(300))
            print(f"newton: iris, {name}, {build.newton(**given)[0]} steps, {seconds * 1e6:.0f} us")


def _drawn(name, *shape, n_directions, noise):
    problem = synthetic(name, n_directions, noise, shape, n_test=0)
    return name, problem.X, problem.y, SoftmaxClassifier(random_state=0, n_jobs=1)


def _of_shape(name):
    problem = made(name)
    return name, problem.X, problem.y, LogisticRegression(n_jobs=1)


#: What makes name, X, y and the estimator of a set; the last two with float64 rows and C = 1.
MANY = (
    partial(_drawn, "isotropic", 20_000, 384, 400, n_directions=384, noise=3.5),
    partial(_drawn, "low-rank", 20_000, 384, 400, n_directions=64, noise=1.5),
    partial(_drawn, "isotropic", 30_000, 128, 100, n_directions=128, noise=3.0),
    partial(_drawn, "low-rank", 20_000, 64, 200, n_directions=24, noise=1.0),
    partial(_of_shape, "1000 classes"),
    partial(_of_shape, "500 classes"),
    partial(_drawn, "isotropic", 50_000, 768, 1000, n_directions=768, noise=5.0),
    partial(_drawn, "low-rank", 50_000, 768, 1000, n_directions=96, noise=2.0),
)


def many():
    """A line a set: CPU seconds, which others on the machine hardly change, and passes."""
    for make in MANY:
        name, X, y, model = make()
        found = {True: [], False: []}
        for takes_them in (True, False) * (3 if X.size < 10_000_000 else 1):
            restricted.FEWEST_FEATURES = 8 if takes_them else X.shape[1] + 1
            start = time.process_time()
            model.fit(X, y)
            seconds = time.process_time() - start
            found[takes_them].append((seconds, int(np.max(model.n_iter_)), model.converged_))
        with_them, without = (
            f"{seconds:.3g} s, {n_passes} passes{'' if converged else ', not converged'}"
            for seconds, n_passes, converged in (min(found[key]) for key in (True, False))
        )
        n_classes = len(model.classes_)
        print(
            f"many: {name}, {len(X)} x {X.shape[1]}, {n_classes} classes: {with_them}; "
            f"without {without}",
            flush=True,
        )


MEASURED = {f.__name__: f for f in (sgd, estimate, tfidf, sweep, newton, many)}

if __name__ == "__main__":
    with threadpool_limits(2):
        for asked in sys.argv[1:] or MEASURED:
            MEASURED[asked]()

"""Single figures of whole fits that have no table of their own.

sgd: SGD on MNIST's bytes with no parameter set, call to return, and its test accuracy.
estimate: what the estimate and the bound of the suboptimality are over the truth, for five seeds.
tfidf: seconds until the objective on 20 newsgroups as tf-idf is within 1e-4 of its minimum, ours
as it comes and at a tol that just does it, and scikit-learn's saga and lbfgs with growing caps.

Asserts nothing. Run by hand: ``python -m bench.bench_fits [sgd] [estimate] [tfidf]``
"""

import sys
import time
import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from bench.fit_data import mnist_bytes, prepared
from bench.optimum import optimum
from bench.test_sparse import load
from fastsoftmax import SoftmaxClassifier

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
            model = LogisticRegression(
                C=1 / (ALPHA * len(y)), solver=solver, max_iter=cap, tol=1e-9, random_state=0
            )
            seconds = timed(lambda model=model: model.fit(X, y))
            gap = above(model) - least
            print(f"tfidf: {solver} {cap:3d} {seconds:.3f} s, {gap:.1e} above", flush=True)
            if gap <= TARGET:
                break


if __name__ == "__main__":
    with threadpool_limits(2):
        for asked in sys.argv[1:] or ("sgd", "estimate", "tfidf"):
            {"sgd": sgd, "estimate": estimate, "tfidf": tfidf}[asked]()

"""The regularisation path: SoftmaxClassifierCV beside scikit-learn, and beside no sharing.

On each set: seconds and passes of SoftmaxClassifierCV; of the same search by scikit-learn's
GridSearchCV over SoftmaxClassifier, where each fit starts from zero with a factor of its own; and
of LogisticRegressionCV at its defaults (lbfgs, 100 iterations for each C), whose warnings are
counted. All take the same alphas, folds and score (neg_log_loss). With more than one thread the
peer may be far slower on small sets: try both. Asserts nothing. Run by hand:
``python -m bench.bench_path [--peer] [--threads N] [NAME...]``; the peer takes minutes.
"""

import argparse
import time
import warnings

import numpy as np
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegressionCV
from sklearn.model_selection import GridSearchCV
from threadpoolctl import threadpool_limits

from bench.fit_data import prepared
from fastsoftmax import SoftmaxClassifier, SoftmaxClassifierCV

N_FOLDS = 5
NAMES = ("digits", "letters", "newsgroups", "mnist")


def data(name):
    """X of float32, y."""
    if name == "digits":
        X, y = load_digits(return_X_y=True)
        return (X / 16).astype(np.float32), y
    problem = prepared(name)
    return problem.X, problem.y


def timed(fit):
    """What ``fit`` gives, the seconds it took, and how many ConvergenceWarnings there were."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        before = time.perf_counter()
        fitted = fit()
        seconds = time.perf_counter() - before
    return fitted, seconds, sum(issubclass(w.category, ConvergenceWarning) for w in caught)


class Counted(SoftmaxClassifier):
    """Counts the evaluations of all fits."""

    n_passes = 0

    def fit(self, X, y):
        super().fit(X, y)
        Counted.n_passes += self.n_iter_
        return self


def compare(name, with_peer):
    """Print a row for each way."""
    X, y = data(name)
    settings = {"scoring": "neg_log_loss", "cv": N_FOLDS}
    SoftmaxClassifierCV(alphas=2, **settings).fit(X[:500], y[:500])  # loads what is to be loaded
    ours, seconds, _ = timed(lambda: SoftmaxClassifierCV(random_state=0, **settings).fit(X, y))
    show(name, "SoftmaxClassifierCV", seconds, ours.n_iter_.sum(), ours.scores_.mean(axis=0))
    shared = seconds
    Counted.n_passes = 0
    grid = GridSearchCV(
        Counted(solver="lbfgs", random_state=0), {"alpha": ours.alphas_}, **settings
    )
    grid, seconds, _ = timed(lambda: grid.fit(X, y))
    show(name, "GridSearchCV, ours", seconds, Counted.n_passes, grid.cv_results_["mean_test_score"])
    print(f"  {seconds / shared:.1f} times", flush=True)
    if not with_peer:
        return
    strengths = 1 / (ours.alphas_[::-1] * len(X) * (1 - 1 / N_FOLDS))
    peer = LogisticRegressionCV(
        Cs=strengths, l1_ratios=(0,), use_legacy_attributes=False, **settings
    )
    peer, seconds, n_missed = timed(lambda: peer.fit(X, y))
    scores = peer.scores_.reshape(N_FOLDS, -1).mean(axis=0)[::-1]
    show(name, f"LogisticRegressionCV, {n_missed} warnings", seconds, peer.n_iter_.sum(), scores)
    print(f"  {seconds / shared:.1f} times", flush=True)


def show(name, way, seconds, n_passes, scores):
    """One line: the best mean score tells that all have found the same."""
    print(
        f"{name:11s} {way:38s} {seconds:8.2f} s {n_passes:6d} passes, "
        f"best {scores.max():.5f} at {scores.argmax()}",
        flush=True,
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", default=list(NAMES))
    parser.add_argument("--peer", action="store_true", help="LogisticRegressionCV as well")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    with threadpool_limits(options.threads):
        for name in options.names:
            compare(name, options.peer)

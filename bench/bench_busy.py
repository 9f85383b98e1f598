"""What threads gain on an idle machine, and cost where other programs use it: a table.

So many processes that only count are pinned to the cores, in turn, as in a container or in CI.
Under each load epochs of several shapes, a full gradient, fits to the optimum of dense and of
sparse rows, and a prediction take turns with ``n_jobs=1`` and with the default, in one process.
Times are medians. Beside them, of the calls with the default: how many threads came to help, and
how many times a call, or a stretch of an epoch, was made alone for want of patience. Asserts
nothing. Run by hand: ``python -m bench.bench_busy [--loads N...] [--works NAME...] [--turns N]``;
as root, ``nice -n -20`` before it keeps others away.
"""

import argparse
import multiprocessing
import os
import statistics
import sys
import time
from contextlib import contextmanager

import numpy as np
from sklearn.feature_extraction.text import HashingVectorizer

from fastsoftmax import SoftmaxClassifier, kernels
from fastsoftmax.kernels import _pool
from fastsoftmax.kernels.threads import effective_n_threads


def _count(core):
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {core})
    while True:
        pass


@contextmanager
def busy(n_processes):
    """Within the block, so many processes use the cores, the first core first."""
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [0]
    context = multiprocessing.get_context("spawn")
    others = [
        context.Process(target=_count, args=(cores[i % len(cores)],), daemon=True)
        for i in range(n_processes)
    ]
    for other in others:
        other.start()
    try:
        time.sleep(2 if others else 0)
        yield
    finally:
        for other in others:
            other.kill()
            other.join()


def dense(n_samples=60_000, n_features=784, n_classes=10):
    """Rows in the shape of MNIST, of classes that overlap."""
    rng = np.random.default_rng(0)
    y = rng.integers(n_classes, size=n_samples)
    X = rng.normal(size=(n_classes, n_features)).astype(np.float32)[y] * np.float32(0.1)
    X += rng.normal(size=X.shape).astype(np.float32) / np.float32(np.sqrt(n_features))
    return X, y


def sparse(n_samples=20_000, n_classes=20):
    """Hashed words of documents whose words follow Zipf's law, some of them their class's."""
    rng = np.random.default_rng(0)
    y = rng.integers(n_classes, size=n_samples)
    words = rng.zipf(1.3, (n_samples, 60)).clip(max=50_000)
    words[:, :8] += 50_000 * (1 + y[:, None])
    texts = [" ".join(f"w{word}" for word in row) for row in words]
    return HashingVectorizer(n_features=2**16, alternate_sign=False).transform(texts), y


def works():
    """Name → function of ``n_jobs``."""
    X, y = dense()
    words, topics = sparse()
    coef, intercept = np.zeros((10, X.shape[1]), np.float32), np.zeros(10, np.float32)
    gradients = np.empty_like(coef), np.empty_like(intercept)
    rows, codes = np.arange(len(y)), y.astype(np.int32)
    fitted = SoftmaxClassifier(max_iter=1, solver="sgd", tol=None).fit(X, y)

    def gradient(n_jobs):
        kernels.implementation.loss_gradient(
            *(X, rows, codes, None, None, None, coef, intercept, *gradients),
            *("softmax", True, effective_n_threads(n_jobs)),
        )

    def epoch(X, y):
        return lambda n_jobs: SoftmaxClassifier(
            solver="sgd", max_iter=1, tol=None, learning_rate=0.1, n_jobs=n_jobs
        ).fit(X, y)

    return {
        "epoch": epoch(X, y),
        "epoch, 100 classes": epoch(*dense(20_000, 768, 100)),
        "epoch, 1000 classes": epoch(*dense(4_000, 768, 1000)),
        "epoch, narrow": epoch(*dense(400_000, 54, 7)),
        "epoch, sparse": epoch(words, topics),
        "gradient": gradient,
        "dense fit": lambda n_jobs: SoftmaxClassifier(n_jobs=n_jobs).fit(X, y),
        "sparse fit": lambda n_jobs: SoftmaxClassifier(n_jobs=n_jobs).fit(words, topics),
        "predict": lambda n_jobs: fitted.set_params(n_jobs=n_jobs).predict(X),
    }


def measured(work, n_turns):
    """Medians of the seconds with one thread and with the default, in turns; what the pool did."""
    seconds = {1: [], None: []}
    before = _pool.counts()
    for turn in range(n_turns + 1):
        for n_jobs, taken in seconds.items():
            start = time.perf_counter()
            work(n_jobs)
            if turn:  # the first starts threads
                taken.append(time.perf_counter() - start)
    pool = [_pool.counts()[name] - before[name] for name in ("came", "impatient")]
    return [*(statistics.median(taken) for taken in seconds.values()), *pool]


def main(arguments):
    """Print a row for each work under each load."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--loads", type=int, nargs="*", default=[0, 1, 2])
    parser.add_argument("--works", nargs="*")
    parser.add_argument("--turns", type=int, default=9)
    options = parser.parse_args(arguments)
    todo = works()
    print(
        "| other processes | work | 1 thread, ms | default, ms | default ÷ 1 thread "
        "| threads that came | alone |"
    )
    print("|---:|---|---:|---:|---:|---:|---:|")
    for load in options.loads:
        with busy(load):
            for name in options.works or todo:
                one, default, came, impatient = measured(todo[name], options.turns)
                print(
                    f"| {load} | {name} | {1e3 * one:.1f} | {1e3 * default:.1f} "
                    f"| {default / one:.2f} | {came} | {impatient} |",
                    flush=True,
                )


if __name__ == "__main__":
    main(sys.argv[1:])

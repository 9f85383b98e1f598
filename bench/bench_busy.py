"""Whether two threads cost more than one where other programs use the machine: a table.

So many processes that only count are pinned to the cores, in turn, as in a container or in CI.
Under each load an epoch, a full gradient, a fit to the optimum of dense and of sparse rows, and a
prediction take turns with ``n_jobs=1`` and with the default, in one process. Times are medians.
Asserts nothing. Run by hand: ``python -m bench.bench_busy [--loads N...]``
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
from fastsoftmax.kernels.threads import effective_n_threads

N_TURNS = 9


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

    return {
        "epoch": lambda n_jobs: SoftmaxClassifier(
            solver="sgd", max_iter=1, tol=None, learning_rate=0.1, n_jobs=n_jobs
        ).fit(X, y),
        "gradient": gradient,
        "dense fit": lambda n_jobs: SoftmaxClassifier(n_jobs=n_jobs).fit(X, y),
        "sparse fit": lambda n_jobs: SoftmaxClassifier(n_jobs=n_jobs).fit(words, topics),
        "predict": lambda n_jobs: fitted.set_params(n_jobs=n_jobs).predict(X),
    }


def measured(work):
    """Medians of the seconds with one thread and with the default, in turns."""
    seconds = {1: [], None: []}
    for turn in range(N_TURNS + 1):
        for n_jobs, taken in seconds.items():
            start = time.perf_counter()
            work(n_jobs)
            if turn:  # the first starts threads
                taken.append(time.perf_counter() - start)
    return [statistics.median(taken) for taken in seconds.values()]


def main(arguments):
    """Print a row for each work under each load."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--loads", type=int, nargs="*", default=[0, 1, 2])
    options = parser.parse_args(arguments)
    todo = works()
    print("| other processes | work | 1 thread, ms | default, ms | default ÷ 1 thread |")
    print("|---:|---|---:|---:|---:|")
    for load in options.loads:
        with busy(load):
            for name, work in todo.items():
                one, default = measured(work)
                print(
                    f"| {load} | {name} | {1e3 * one:.1f} | {1e3 * default:.1f} "
                    f"| {default / one:.2f} |",
                    flush=True,
                )


if __name__ == "__main__":
    main(sys.argv[1:])

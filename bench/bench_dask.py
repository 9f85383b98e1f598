"""Fits on a Dask cluster of this machine's processes: time to the optimum, and what a pass costs.

Run from the repository root::

    python -m bench.bench_dask [MEGABYTES] [WORKERS]

Two tables. Seconds until the objective, evaluated outside the clock, is within 1e-4 of the
minimum, of one-vs-rest losses that both minimise: fastsoftmax as it comes, and scikit-learn's
SGDClassifier.partial_fit over one block after another, which is what dask_ml.wrappers.Incremental
makes the cluster do, with the number of epochs that does it first, as if its user knew. Then what a
pass costs beside arithmetic, as blocks grow in number, and as weights grow in size: a pass alone,
without what the solver does between passes.
"""

import sys
import time

import dask.array as da
import numpy as np
from dask import delayed
from distributed import Client, LocalCluster, wait
from sklearn.linear_model import SGDClassifier

import fastsoftmax
from fastsoftmax.dask import SoftmaxClassifier
from fastsoftmax.dask.problem import ClusterProblem

N_FEATURES, N_CLASSES, ALPHA = 256, 10, 1e-4
N_BLOCKS = 16
ENOUGH = 1e-4
MOST_EPOCHS = 30


def drawn(n_samples, n_features=N_FEATURES, n_classes=N_CLASSES, seed=0):
    """Rows and labels that are hard to tell by them."""
    rng = np.random.default_rng(seed)
    coef = rng.normal(size=(n_features, n_classes)).astype(np.float32) / np.sqrt(n_features)
    X = rng.standard_normal((n_samples, n_features), dtype=np.float32)
    raw = 4 * X @ coef + rng.gumbel(size=(n_samples, n_classes))
    return X, raw.argmax(axis=1)


def on_cluster(client, X, y, n_blocks):
    """The same in blocks that workers hold."""
    n_rows = -(-len(X) // n_blocks)
    blocks = da.from_array(X, (n_rows, X.shape[1])), da.from_array(y, n_rows)
    blocks = client.persist(blocks)
    wait(blocks)
    return blocks


def objective(model, X, y):
    """Mean of the sum of one-vs-rest losses, plus penalty, in float64."""
    coef = model.coef_.astype(np.float64)
    raw = X.astype(np.float64) @ coef.T + model.intercept_
    loss = np.logaddexp(0, raw).sum(axis=1) - raw[np.arange(len(y)), y]
    return float(loss.mean() + ALPHA / 2 * np.square(coef).sum())


def incremental(blocks, minimum, X, y):
    """Seconds of partial_fit until near enough, or None, and how far it is then."""
    parts = list(zip(*(array.to_delayed().ravel() for array in blocks), strict=True))
    model = SGDClassifier(loss="log_loss", alpha=ALPHA, random_state=0)
    seconds = 0.0
    for n_epochs in range(1, MOST_EPOCHS + 1):
        start = time.perf_counter()
        chained = delayed(model)
        for part in parts:
            chained = delayed(_partial_fit)(chained, *part, np.arange(N_CLASSES))
        model = chained.compute()
        seconds += time.perf_counter() - start
        above = objective(model, X, y) - minimum
        if above <= ENOUGH:
            return n_epochs, seconds, above
    return None, seconds, above


def _partial_fit(model, X, y, classes):
    return model.partial_fit(X, y, classes)


def to_the_optimum(client, megabytes):
    X, y = drawn(int(megabytes * 1e6 / 4 / N_FEATURES))
    parameters = {"alpha": ALPHA, "multi_class": "ovr", "random_state": 0}
    held = fastsoftmax.SoftmaxClassifier(tol=1e-8, dtype="float64", **parameters).fit(X, y)
    minimum = objective(held, X, y)
    blocks = on_cluster(client, X, y, N_BLOCKS)
    client.run(__import__, "fastsoftmax.dask")  # what a worker's first task would wait for
    print(f"{len(X)} × {N_FEATURES} float32, {N_CLASSES} classes, {N_BLOCKS} blocks")
    start = time.perf_counter()
    model = SoftmaxClassifier(tol=ENOUGH, max_memory=X.nbytes // 4, **parameters).fit(*blocks)
    seconds = time.perf_counter() - start
    above = objective(model, X, y) - minimum
    n_passes = int(np.isfinite(model.history_["gradient_norm"]).sum())
    print(f"  fastsoftmax.dask: {seconds:.2f} s, {n_passes} passes, {above:.1e} above the minimum")
    n_epochs, theirs, above = incremental(blocks, minimum, X, y)
    when = f"{n_epochs} epochs" if n_epochs else f"not within {MOST_EPOCHS} epochs"
    print(
        f"  SGDClassifier.partial_fit, block after block: {theirs:.2f} s, {when}, {above:.1e} "
        f"above; ratio {'' if n_epochs else 'above '}{theirs / seconds:.1f}"
    )


def cost_of_a_pass(client):
    print("seconds a pass of hardly any arithmetic")
    for n_blocks, n_features, n_classes in (
        (4, 16, 3),
        (16, 16, 3),
        (64, 16, 3),
        (256, 16, 3),
        (16, 1000, 100),
        (16, 1000, 1000),
    ):
        X, y = drawn(max(1000, 4 * n_classes, 8 * n_blocks), n_features, n_classes)
        y[:n_classes] = np.arange(n_classes)
        blocks = on_cluster(client, X, y, n_blocks)
        seconds = seconds_of_a_pass(blocks, X)
        size = 12 * n_classes * (n_features + 1) / 1e6
        print(
            f"  {n_blocks} blocks, {n_classes} × {n_features} weights ({size:.3g} MB there and "
            f"back): {seconds:.3f} s, {1e3 * seconds / n_blocks:.1f} ms a block"
        )


def seconds_of_a_pass(blocks, X):
    """The median of those of a short fit, without what the solver does between them."""
    seconds, gradient = [], ClusterProblem.loss_gradient

    def timed(*arguments):
        start = time.perf_counter()
        found = gradient(*arguments)
        seconds.append(time.perf_counter() - start)
        return found

    ClusterProblem.loss_gradient = timed
    try:
        model = SoftmaxClassifier(solver="lbfgs", tol=1e-4, max_iter=5, max_memory=X.nbytes // 2)
        model.fit(*blocks)
    finally:
        ClusterProblem.loss_gradient = gradient
    return float(np.median(seconds))


def main(megabytes=1000.0, n_workers=2):
    options = {"threads_per_worker": 1, "dashboard_address": ":0", "silence_logs": 50}
    with LocalCluster(n_workers=n_workers, **options) as cluster, Client(cluster) as client:
        to_the_optimum(client, megabytes)
        cost_of_a_pass(client)


if __name__ == "__main__":
    main(*(kind(given) for kind, given in zip((float, int), sys.argv[1:], strict=False)))

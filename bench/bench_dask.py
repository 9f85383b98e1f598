"""Fits on a Dask cluster of this machine's processes: time to the optimum, and what a pass costs.

Run from the repository root::

    python -m bench.bench_dask [MEGABYTES] [WORKERS]

Seconds until the objective, evaluated outside the clock, is within 1e-4 of the minimum: fastsoftmax
as it comes, and each peer that is installed with the number of epochs or iterations that does it
first, as if its user knew. The losses are one-vs-rest for scikit-learn's
SGDClassifier, whose partial_fit goes over one block after another, by dask_ml.wrappers.Incremental,
and softmax for Spark's LogisticRegression on as many local threads. dask_ml's own
LogisticRegression knows two classes alone, and has them here: the first against the rest. Then what
a pass costs beside arithmetic, as blocks grow in number, and as weights grow in size: a pass alone,
without what the solver does between passes, by a task for each block, and as it comes, where blocks
of one worker share tasks.
"""

import sys
import tempfile
import time

import dask.array as da
import numpy as np
import pyarrow as pa
from distributed import Client, wait
from pyarrow import parquet
from sklearn.linear_model import SGDClassifier

import fastsoftmax
from bench import cluster_model
from fastsoftmax.dask import SoftmaxClassifier
from fastsoftmax.dask.cluster import Cluster
from fastsoftmax.dask.problem import ClusterProblem

N_FEATURES, N_CLASSES, ALPHA = 256, 10, 1e-4
N_BLOCKS = 16
ENOUGH = 1e-4
MOST_EPOCHS = 30

#: Iterations of a peer that begins anew with each number of them.
ITERATIONS = (5, 10, 20, 40, 80, 160)


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


def objective(coef, intercept, X, y, loss):
    """Mean loss plus penalty, in float64: one-vs-rest, of two classes by one row, or softmax."""
    raw = X.astype(np.float64) @ np.asarray(coef, np.float64).T + intercept
    if loss == "softmax":
        of_rows = np.logaddexp.reduce(raw, axis=1) - raw[np.arange(len(y)), y]
    else:
        onehot = y[:, None] == (np.arange(raw.shape[1]) if raw.shape[1] > 1 else [1])
        of_rows = (np.logaddexp(0, raw) - onehot * raw).sum(axis=1)
    return float(of_rows.mean() + ALPHA / 2 * np.square(coef).sum())


def incremental(blocks, X, y):
    """After each epoch of partial_fit: its number, seconds so far, and parameters."""
    from dask_ml.wrappers import Incremental

    model = Incremental(
        SGDClassifier(loss="log_loss", alpha=ALPHA, random_state=0),
        shuffle_blocks=False,
        scoring="accuracy",
    )
    seconds = 0.0
    for n_epochs in range(1, MOST_EPOCHS + 1):
        start = time.perf_counter()
        model.partial_fit(*blocks, classes=np.arange(N_CLASSES))
        seconds += time.perf_counter() - start
        yield n_epochs, seconds, model.estimator_.coef_, model.estimator_.intercept_


def by_dask_ml(blocks, X, y):
    """The same of fits of more and more iterations, of two classes."""
    from dask_ml.linear_model import LogisticRegression

    for n_iterations in ITERATIONS:
        model = LogisticRegression(
            solver="lbfgs", C=1 / (ALPHA * len(X)), max_iter=n_iterations, tol=1e-12
        )
        start = time.perf_counter()
        model.fit(*blocks)
        seconds = time.perf_counter() - start
        yield n_iterations, seconds, np.atleast_2d(model.coef_), model.intercept_


def by_spark(n_threads, X, y):
    """The same of Spark's, whose rows are cached beforehand."""
    from pyspark.ml.classification import LogisticRegression
    from pyspark.ml.functions import array_to_vector
    from pyspark.sql import SparkSession

    session = SparkSession.builder.master(f"local[{n_threads}]").config("spark.ui.enabled", "false")
    session = session.config("spark.driver.memory", "6g").getOrCreate()
    session.sparkContext.setLogLevel("OFF")
    try:
        with tempfile.TemporaryDirectory() as folder:
            path = f"{folder}/rows.parquet"
            lists = pa.FixedSizeListArray.from_arrays(X.astype(np.float64).ravel(), X.shape[1])
            table = pa.table({"x": lists.cast(pa.list_(pa.float64())), "label": y.astype(float)})
            parquet.write_table(table, path, row_group_size=-(-len(X) // N_BLOCKS))
            rows = session.read.parquet(path).repartition(N_BLOCKS)
            rows = rows.select(array_to_vector("x").alias("features"), "label").cache()
            rows.count()
            for n_iterations in ITERATIONS:
                estimator = LogisticRegression(
                    family="multinomial",
                    regParam=ALPHA,
                    standardization=False,
                    maxIter=n_iterations,
                    tol=1e-12,
                )
                start = time.perf_counter()
                model = estimator.fit(rows)
                seconds = time.perf_counter() - start
                coef, intercept = model.coefficientMatrix, model.interceptVector
                yield n_iterations, seconds, coef.toArray(), intercept.toArray()
    finally:
        session.stop()


def to_the_optimum(n_workers, megabytes, peer, loss, n_classes=N_CLASSES):
    """Ours and a peer, by name, of one loss, each on workers of its own."""
    X, y = drawn(int(megabytes * 1e6 / 4 / N_FEATURES))
    if n_classes == 2:
        y = (y == 0).astype(int)
    kind = {"multi_class": "softmax" if loss == "softmax" else "ovr"}
    parameters = {"alpha": ALPHA, "random_state": 0, **kind}
    held = fastsoftmax.SoftmaxClassifier(tol=1e-8, dtype="float64", **parameters).fit(X, y)
    minimum = objective(held.coef_, held.intercept_, X, y, loss)
    with _started(n_workers) as client:
        blocks = on_cluster(client, X, y, N_BLOCKS)
        client.run(__import__, "fastsoftmax.dask")  # what a worker's first task would wait for
        start = time.perf_counter()
        model = SoftmaxClassifier(tol=ENOUGH, max_memory=X.nbytes // 4, **parameters).fit(*blocks)
        seconds = time.perf_counter() - start
        above = objective(model.coef_, model.intercept_, X, y, loss) - minimum
        n_passes = int(np.isfinite(model.history_["gradient_norm"]).sum())
        print(
            f"{len(X)} × {N_FEATURES} float32, {n_classes} classes, {loss}, {N_BLOCKS} blocks\n"
            f"  fastsoftmax.dask: {seconds:.2f} s, {n_passes} passes, {above:.1e} above the minimum"
        )
        if peer is not by_spark:
            _compare(peer, peer(blocks, X, y), minimum, seconds, X, y, loss)
    if peer is by_spark:
        _compare(peer, peer(n_workers, X, y), minimum, seconds, X, y, loss)


def _compare(peer, fits, minimum, ours, X, y, loss):
    """Tell how long a peer takes to be near enough, or that it isn't installed."""
    try:
        for found in fits:
            number, theirs, *parameters = found
            above = objective(*parameters, X, y, loss) - minimum
            if above <= ENOUGH:
                break
    except ImportError as error:
        print(f"  {peer.__name__}: {error}")
        return
    near = above <= ENOUGH
    when = f"{'with' if near else 'not within'} {number} epochs or iterations"
    print(
        f"  {peer.__name__}: {theirs:.2f} s, {when}, {above:.1e} above; ratio "
        f"{'' if near else 'above '}{theirs / ours:.1f}",
        flush=True,
    )


def cost_of_a_pass(client, n_workers):
    """Measured, and a task each by the model: its seconds a task are those of 256 blocks."""
    print("seconds a pass of hardly any arithmetic")
    measured = {}
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
        seconds, shared = (seconds_of_a_pass(blocks, X, is_shared) for is_shared in (False, True))
        measured[n_blocks, len(X), n_features, n_classes] = seconds
        size = 12 * n_classes * (n_features + 1) / 1e6
        print(
            f"  {n_blocks} blocks, {n_classes} × {n_features} weights ({size:.3g} MB there and "
            f"back): {seconds:.3f} s, {1e3 * seconds / n_blocks:.1f} ms a block; tasks shared: "
            f"{shared:.3f} s",
            flush=True,
        )
    (task,) = (seconds / n for (n, *_), seconds in measured.items() if n == 256)
    for bandwidth in (1e9, cluster_model.Cluster.bandwidth):
        cluster = cluster_model.Cluster(task=task, bandwidth=bandwidth)
        found = [cluster_model.seconds_of_a_pass(cluster, n_workers, *shape) for shape in measured]
        print(
            f"  by the model, {1e3 * task:.1f} ms a task and {bandwidth / 1e9} GB/s: "
            + ", ".join(f"{seconds:.3f}" for seconds in found)
        )


def seconds_of_a_pass(blocks, X, is_shared):
    """The median of those of a short fit, without what the solver does between them."""
    seconds, gradient, places = [], ClusterProblem.loss_gradient, Cluster.places

    def timed(*arguments):
        start = time.perf_counter()
        found = gradient(*arguments)
        seconds.append(time.perf_counter() - start)
        return found

    ClusterProblem.loss_gradient = timed
    if not is_shared:
        Cluster.places = lambda *_: None
    try:
        model = SoftmaxClassifier(solver="lbfgs", tol=1e-4, max_iter=5, max_memory=X.nbytes // 2)
        model.fit(*blocks)
    finally:
        ClusterProblem.loss_gradient, Cluster.places = gradient, places
    return float(np.median(seconds))


def _started(n_workers):
    """A client of so many processes, which ends with them."""
    options = {"threads_per_worker": 1, "dashboard_address": ":0", "silence_logs": 50}
    return Client(n_workers=n_workers, **options)


def main(megabytes=1000.0, n_workers=2):
    for peer, loss, n_classes in (
        (incremental, "one-vs-rest", N_CLASSES),
        (by_dask_ml, "one-vs-rest", 2),
        (by_spark, "softmax", N_CLASSES),
    ):
        to_the_optimum(n_workers, megabytes, peer, loss, n_classes)
    with _started(n_workers) as client:
        cost_of_a_pass(client, n_workers)


if __name__ == "__main__":
    main(*(kind(given) for kind, given in zip((float, int), sys.argv[1:], strict=False)))

"""Rows on a Dask cluster: the minimum in memory, the same bits of any workers, and lost ones."""

import os
import pickle
import signal
import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

import fastsoftmax

pytest.importorskip("distributed")

import dask
import dask.array as da
from distributed import Client, LocalCluster, wait
from distributed.utils import get_mp_context

from fastsoftmax.dask import ClusterError, LogisticRegression, SoftmaxClassifier, cluster

#: So little memory that the sample is a small part of the sets below.
LITTLE = 1 << 15

#: A worker that is killed, and is started again, takes some seconds on a busy machine.
PATIENCE = 60


def _noisy(n_samples=4000, n_features=8, n_classes=4, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_samples, n_features))
    raw = X @ rng.normal(size=(n_features, n_classes)) + 2 * rng.gumbel(size=(n_samples, n_classes))
    return X, raw.argmax(axis=1)


def _held(*arrays, n_rows=800):
    """The same arrays in blocks, as a user has them."""
    return [da.from_array(array, chunks=(n_rows, *array.shape[1:])) for array in arrays]


@pytest.fixture(scope="module")
def started():
    """A client of a cluster of processes, which all tests share."""
    options = {"threads_per_worker": 1, "dashboard_address": ":0", "silence_logs": 50}
    config = {
        "distributed.worker.multiprocessing-method": "forkserver",
        # Longer than the tests take: so long after a worker was lost, its nanny is closed for good
        # if its next worker is away just then, as it is when a later test restarts it.
        "distributed.deploy.lost-worker-timeout": "1 hour",
    }
    with dask.config.set(config):
        # Forked from a process that has all imported, as that takes seconds, for each worker.
        get_mp_context().set_forkserver_preload(["distributed", "fastsoftmax.dask"])
        with LocalCluster(n_workers=2, **options) as cluster, Client(cluster) as client:
            yield client


@pytest.fixture
def client(started):
    _scaled(started, 2)
    return started


def _n_workers(client):
    return len(client.scheduler_info(n_workers=-1)["workers"])


def _scaled(client, n_workers):
    """Wait until there are so many workers."""
    for _ in range(3):
        client.cluster.scale(n_workers)
        end = time.monotonic() + PATIENCE / 3
        while time.monotonic() < end:
            if _n_workers(client) == n_workers:
                return
            time.sleep(0.05)
        client.cluster.scale(0)  # a nanny may be stuck in starting another worker
    raise TimeoutError(f"the cluster has not come to {n_workers} workers")


def _objective(model, X, y, weight=None):
    """What is minimised, at the model's coefficients, by the definition."""
    X = X.toarray() if hasattr(X, "toarray") else X
    classes, codes = np.unique(y, return_inverse=True)
    weight = np.ones(len(y)) if weight is None else weight
    if model.class_weight == "balanced":
        weight = weight * (weight.sum() / len(classes) / np.bincount(codes, weight))[codes]
    raw = X @ model.coef_.T + model.intercept_
    if model.multi_class == "ovr":
        target = codes[:, None] == np.arange(len(classes))
        loss = (np.logaddexp(0, raw) - target * raw).sum(axis=1)
    else:
        loss = np.logaddexp.reduce(raw, axis=1) - raw[np.arange(len(y)), codes]
    size = model.coef_ * model.scale_ if model.standardize else model.coef_
    return float(weight @ loss / weight.sum() + model.alpha / 2 * np.square(size).sum())


# --- The minimum ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("form", "parameters"),
    [
        ("dense", {}),
        ("dense", {"standardize": True, "solver": "lbfgs"}),
        ("dense", {"multi_class": "ovr", "class_weight": "balanced"}),
        ("sparse", {}),
        ("weights", {"class_weight": "balanced"}),
        ("weights", {"standardize": True}),
    ],
    ids=str,
)
def test_minimum_is_that_of_the_rows_in_memory(client, form, parameters):
    X, y = _noisy()
    X += 3
    weight = None
    if form == "weights":
        weight = np.random.default_rng(1).uniform(0.1, 5, len(y))
        weight[np.random.default_rng(2).random(len(y)) < 0.3] = 0
        weight[800:1600] = 0
    if form == "sparse":
        X[X < 3] = 0
    blocks = _held(X, y) if weight is None else _held(X, y, weight)
    if form == "sparse":
        blocks[0] = blocks[0].map_blocks(csr_matrix, meta=csr_matrix((0, 8)))
    model = SoftmaxClassifier(tol=1e-6, random_state=0, max_memory=LITTLE, **parameters)
    model.fit(*blocks)
    held = fastsoftmax.SoftmaxClassifier(tol=1e-10, random_state=0, **parameters)
    held.fit(csr_matrix(X) if form == "sparse" else X, y, weight)
    above = _objective(model, X, y, weight) - _objective(held, X, y, weight)
    assert model.converged_
    assert abs(above) < 1e-6
    assert model.suboptimality_bound_ >= above
    assert vars(model).keys() - {"client", "max_memory"} <= vars(held).keys()
    if "standardize" in parameters:
        np.testing.assert_allclose(model.mean_, held.mean_, rtol=1e-9)
        np.testing.assert_allclose(model.scale_, held.scale_, rtol=1e-9)
    assert model.score(*blocks) == pytest.approx(held.score(X, y, weight), abs=5e-3)


def test_logistic_regression(client):
    X, y = _noisy(n_classes=2)
    model = LogisticRegression(max_memory=LITTLE).fit(*_held(X.astype(np.float32), y))
    held = fastsoftmax.LogisticRegression().fit(X.astype(np.float32), y)
    assert model.converged_
    assert model.coef_.dtype == held.coef_.dtype == np.float32
    np.testing.assert_allclose(model.coef_, held.coef_, atol=2e-4 * np.abs(held.coef_).max())


def test_few_rows_are_fitted_in_memory(client):
    X, y = _noisy()
    model = SoftmaxClassifier(random_state=0).fit(*_held(X, y))
    held = fastsoftmax.SoftmaxClassifier(random_state=0).fit(X, y)
    np.testing.assert_array_equal(model.coef_, held.coef_)


@pytest.mark.parametrize("form", ["numbers", "lists"])
def test_dataframe(client, form):
    pd, dd = pytest.importorskip("pandas"), pytest.importorskip("dask.dataframe")
    X, y = _noisy()
    names = [f"x{j}" for j in range(8)]
    columns = dict(zip(names, X.T, strict=True)) if form == "numbers" else {"vector": list(X)}
    frame = pd.DataFrame({**columns, "label": np.array(list("pqrs"))[y], "weight": 1.0 + y})
    if form == "lists":  # which Dask would turn into text
        pa = pytest.importorskip("pyarrow")
        frame["vector"] = frame["vector"].astype(pd.ArrowDtype(pa.list_(pa.float64())))
    frame = dd.from_pandas(frame, npartitions=7)
    rows = frame[[*columns]]
    model = SoftmaxClassifier(tol=1e-7, random_state=0, max_memory=LITTLE)
    model.fit(rows, frame["label"], frame["weight"])
    held = fastsoftmax.SoftmaxClassifier(tol=1e-10, random_state=0)
    held.fit(X, np.array(list("pqrs"))[y], 1.0 + y)
    assert model.classes_.tolist() == list("pqrs")
    assert abs(_objective(model, X, y, 1.0 + y) - _objective(held, X, y, 1.0 + y)) < 1e-6
    expected = model.to_local()
    vars(expected).pop("feature_names_in_", None)
    np.testing.assert_array_equal(model.predict(rows).compute(), expected.predict(X))
    score = model.score(rows, frame["label"], frame["weight"])
    assert score == pytest.approx(expected.score(X, np.array(list("pqrs"))[y], 1.0 + y))
    assert hasattr(model, "feature_names_in_") == (form == "numbers")
    if form == "numbers":
        assert model.feature_names_in_.tolist() == names
        with pytest.raises(ValueError, match=r"X must have the columns that the fit had, \['x0'"):
            model.predict(rows[names[::-1]])


def test_blocks_without_rows_and_of_unknown_length(client):
    X, y = _noisy()
    rows, labels = _held(X, y)
    kept = y != 9
    kept[:800] = False
    (mask,) = _held(kept)
    model = SoftmaxClassifier(tol=1e-7, random_state=0, max_memory=LITTLE)
    model.fit(rows[mask], labels[mask])
    held = fastsoftmax.SoftmaxClassifier(tol=1e-10, random_state=0).fit(X[800:], y[800:])
    above = _objective(model, X[800:], y[800:]) - _objective(held, X[800:], y[800:])
    assert abs(above) < 1e-6
    predicted = model.predict_proba(rows[mask]).compute()
    np.testing.assert_array_equal(predicted, model.predict_proba(X[800:]))


def test_predictions_are_lazy(client):
    X, y = _noisy()
    (rows,) = _held(X)
    for n_classes, estimator in ((4, SoftmaxClassifier), (2, LogisticRegression)):
        model = estimator(random_state=0).fit(*_held(X, y % n_classes))
        for name in ("predict", "predict_proba", "predict_log_proba", "decision_function"):
            lazy = getattr(model, name)(rows.rechunk((700, 3)))
            expected = getattr(model, name)(X)
            assert isinstance(lazy, da.Array)
            assert (lazy.shape, lazy.dtype) == (expected.shape, expected.dtype)
            np.testing.assert_array_equal(lazy.compute(), expected)
    with pytest.raises(NotFittedError):
        SoftmaxClassifier().predict(rows)


def test_copies_and_files(client, tmp_path):
    X, y = _noisy()
    model = SoftmaxClassifier(alpha=0.01, client=client, max_memory=LITTLE, random_state=0)
    assert clone(model).get_params() == model.get_params()
    model.fit(*_held(X, y))
    local = model.to_local()
    assert type(local) is fastsoftmax.SoftmaxClassifier
    assert local.get_params() == {k: v for k, v in model.get_params().items() if k != "max_memory"}
    copy = pickle.loads(pickle.dumps(model))
    assert copy.client is None
    for other in (local, copy):
        np.testing.assert_array_equal(other.predict_proba(X), model.predict_proba(X))
    pytest.importorskip("safetensors")
    model.save(tmp_path / "model.safetensors")
    loaded = fastsoftmax.load(tmp_path / "model.safetensors")
    np.testing.assert_array_equal(loaded.coef_, model.coef_)


def test_checkpoint(client, tmp_path):
    X, y = _noisy()
    model = SoftmaxClassifier(max_memory=LITTLE, random_state=0)
    expected = model.fit(*_held(X, y)).coef_

    def stop(info):
        if info.epoch == 7:
            raise RuntimeError("stopped")

    path = tmp_path / "fit.checkpoint"
    with pytest.raises(RuntimeError, match="stopped"):
        clone(model).set_params(callbacks=[stop]).fit(*_held(X, y), checkpoint=path)
    resumed = clone(model).fit(*_held(X, y), checkpoint=path, resume=True)
    np.testing.assert_array_equal(resumed.coef_, expected)


# --- The same bits --------------------------------------------------------------------------------


def test_same_bits_at_any_number_of_workers(client):
    X, y = _noisy()
    coef = []
    for n_workers in (2, 1, 4):
        _scaled(client, n_workers)
        model = SoftmaxClassifier(random_state=0, tol=1e-6, max_memory=LITTLE)
        coef.append(model.fit(*_held(X, y, n_rows=400)).coef_)
    for other in coef[1:]:
        np.testing.assert_array_equal(coef[0], other)


@pytest.mark.parametrize("n_rows", [400, 170, 50])  # one group, some, and more levels of the tree
def test_same_bits_whichever_blocks_share_a_task(client, monkeypatch, n_rows):
    """A task each; those of a few that one worker has; and all that a worker has."""
    X, y = _noisy()
    blocks = [array.persist() for array in _held(X, y, n_rows=n_rows)]
    model = SoftmaxClassifier(random_state=0, tol=1e-6, max_memory=LITTLE)
    tasks, totals, coef = [], [], []
    task, total = cluster._task, cluster.Cluster.total
    monkeypatch.setattr(cluster, "_task", lambda *call: tasks.append(call[0]) or task(*call))

    def counting(self, function, *arguments, **more):
        before = len(tasks)
        result = total(self, function, *arguments, **more)
        if function.__name__ == "_on_part":  # of a pass, not of the first one
            totals.append(len(tasks) - before)
        return result

    monkeypatch.setattr(cluster.Cluster, "total", counting)
    n_blocks = len(blocks[0].chunks[0])
    level = [-(-n_blocks // 8)]  # sums of eight each
    while level[-1] > 1:
        level.append(-(-level[-1] // 8))
    for places, little, most in [
        (None, cluster.LITTLE, 1 + n_blocks + sum(level)),  # the weights' task is one
        (cluster.Cluster.places, 3000, 1 + 2 * level[0] + sum(level)),  # each of two workers
        (cluster.Cluster.places, cluster.LITTLE, 2 + 1),
    ]:
        monkeypatch.setattr(cluster.Cluster, "places", places or (lambda *_: None))
        monkeypatch.setattr(cluster, "LITTLE", little)
        totals.clear()
        coef.append(model.fit(*blocks).coef_)
        assert 0 < max(totals) <= most
    for other in coef[1:]:
        np.testing.assert_array_equal(coef[0], other)


def test_a_place_is_a_thread_of_a_worker():
    class Told:
        asynchronous = False

        def who_has(self, futures):
            return {"0": ["b", "a"], "1": ["a"], "2": ["b"], "3": ["a"], "4": []}

        def nthreads(self):
            return {"a": 2, "b": 1}

    places = cluster.Cluster(Told()).places([SimpleNamespace(key=key) for key in "01234"])
    assert places == [("a", 0), ("a", 1), ("b", 0), ("a", 0), (None, 0)]


def test_workers_that_come_and_go_change_no_bit(client):
    X, y = _noisy()
    blocks, counts = _held(X, y, n_rows=200), set()
    model = SoftmaxClassifier(random_state=0, tol=1e-6, max_memory=LITTLE)
    expected = model.fit(*blocks).coef_
    model.callbacks = [lambda info: counts.add(_n_workers(client))]
    _scaled(client, 1)
    eager = {"interval": "50ms", "wait_count": 2, "target_duration": "1ms"}
    adaptive = client.cluster.adapt(minimum=1, maximum=3, **eager)
    try:
        end = time.monotonic() + PATIENCE
        while len(counts) < 2 and time.monotonic() < end:
            np.testing.assert_array_equal(model.fit(*blocks).coef_, expected)
    finally:
        adaptive.stop()
    assert len(counts) >= 2, "the cluster has not been scaled in mid-fit"


def test_two_fits_at_once(client):
    X, y = _noisy()
    models = [SoftmaxClassifier(random_state=0, max_memory=LITTLE, alpha=a) for a in (1e-4, 1e-2)]
    expected = [clone(model).fit(*_held(X, y)).coef_ for model in models]
    for model in models:
        model.client = client
    threads = [threading.Thread(target=model.fit, args=_held(X, y)) for model in models]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    for model, coef in zip(models, expected, strict=True):
        np.testing.assert_array_equal(model.coef_, coef)


# --- What is lost ---------------------------------------------------------------------------------


def _kill_one(client, rng):
    """End a worker's process at once."""
    workers = client.scheduler_info(n_workers=-1)["workers"]
    pids = client.run(os.getpid)
    os.kill(pids[rng.choice(sorted(workers))], signal.SIGKILL)


@pytest.mark.parametrize("seed", range(3))
def test_a_worker_that_is_killed_changes_no_bit(client, seed):
    X, y = _noisy()
    rng = np.random.default_rng(seed)
    blocks = [array.persist() for array in _held(X, y)]
    model = SoftmaxClassifier(random_state=0, tol=1e-6, max_memory=LITTLE)
    expected = clone(model).fit(*blocks).coef_
    killed = threading.Event()

    def kill():
        _kill_one(client, rng)
        killed.set()

    if seed == 0:  # before the first pass has ended, or soon after
        timer = threading.Timer(rng.uniform(0, 0.2), kill)
        timer.start()
        model.fit(*blocks)
        timer.join()
    else:
        epoch = int(rng.integers(4, 10))
        model.callbacks = [lambda info: kill() if info.epoch == epoch else None]
        model.fit(*blocks)
    assert killed.is_set()
    np.testing.assert_array_equal(model.coef_, expected)


def test_what_is_gone_for_good_is_told(client):
    X, y = _noisy()
    rows, labels = _held(X, y)
    model = SoftmaxClassifier(random_state=0, max_memory=LITTLE).fit(rows, labels)
    before = vars(model).copy()
    # Scattered rows are in no graph: who has them is all there is.
    parts = client.scatter([X[k : k + 800] for k in range(0, 4000, 800)])
    scattered = da.concatenate(
        [da.from_delayed(dask.delayed(part), (800, 8), X.dtype) for part in parts]
    )
    wait(parts)
    _kill_one(client, np.random.default_rng(0))
    with pytest.raises(ClusterError, match="the cluster has lost rows or results"):
        model.fit(scattered, labels)
    assert vars(model) == before


def test_restart_in_mid_fit_is_told(client):
    X, y = _noisy()
    rows, labels = _held(X, y)
    model = SoftmaxClassifier(random_state=0, max_memory=LITTLE).fit(rows, labels)
    coef = model.coef_

    def restart(info):
        if info.epoch == 6:
            client.restart(timeout=PATIENCE)

    model.callbacks = [restart]
    with pytest.raises(ClusterError, match="the client was restarted"):
        model.fit(rows, labels)
    assert model.coef_ is coef


def test_no_client(monkeypatch):
    def missing():
        raise ValueError("No global client found and no address provided")

    monkeypatch.setattr("fastsoftmax.dask.cluster.get_client", missing)
    X, y = _noisy()
    with pytest.raises(ClusterError, match="there is no Dask client"):
        SoftmaxClassifier().fit(*_held(X, y))


# --- Errors ---------------------------------------------------------------------------------------


def test_blocks_that_are_not_what_they_should_be(client):
    X, y = _noisy()
    model = SoftmaxClassifier(max_memory=LITTLE)
    bad = X.copy()
    bad[1234, 5], bad[3000, 0] = np.nan, np.inf
    with pytest.raises(ValueError, match=r"block 1 of Dask Array of shape \(4000, 8\): X contains"):
        model.fit(*_held(bad, y))
    weight = np.ones(len(y))
    weight[900] = -1
    with pytest.raises(ValueError, match=r"block 1 of Dask .*sample_weight must not be negative"):
        model.fit(*_held(X, y, weight))
    with pytest.raises(ValueError, match=r"Dask Array .* holds only 1 class, 0"):
        model.fit(*_held(X, 0 * y))
    with pytest.raises(ValueError, match="sample_weight must be above 0 for at least one row"):
        model.fit(*_held(X, y, 0 * weight))
    rows, labels = _held(X, y)
    wide = da.concatenate(
        [rows[:800], rows[800:].map_blocks(lambda block: block[:, :7], meta=X[:0])]
    )
    with pytest.raises(ValueError, match=r"block 1 of .*: X has 7 features, and block 0 has 8"):
        model.fit(wide, labels)
    with pytest.raises(ValueError, match="X contains"):
        SoftmaxClassifier().fit(rows, labels).predict(_held(bad)[0]).compute()
    assert not hasattr(model, "coef_")


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda X, y: (X, y), "X must be a Dask array or dataframe; got ndarray, which"),
        (lambda X, y: (da.from_array(X), y), "y must be a Dask array or series"),
        (lambda X, y: _held(X, y[:-1]), r"y must have one value for each row of X, shape \(4000,"),
        (lambda X, y: _held(X[:, 0], y), "X must have two dimensions"),
    ],
)
def test_arguments_that_are_refused(client, change, error):
    with pytest.raises((TypeError, ValueError), match=error):
        SoftmaxClassifier().fit(*change(*_noisy()))


@pytest.mark.parametrize(
    "parameters", [{"solver": "sgd"}, {"solver": "dual"}, {"early_stopping": True}], ids=str
)
def test_epochs_over_all_rows_are_refused(client, parameters):
    X, y = _held(*_noisy())
    with pytest.raises(ValueError, match="needs epochs over all rows, which stay on their workers"):
        SoftmaxClassifier(**parameters).fit(X, y)
    with pytest.raises(TypeError, match="partial_fit takes rows in memory"):
        SoftmaxClassifier().partial_fit(X, y)
    with pytest.raises(ValueError, match="max_memory must be a number of bytes"):
        SoftmaxClassifier(max_memory=0).fit(X, y)
    with pytest.raises(TypeError, match="X_val must be in memory; got Array"):
        SoftmaxClassifier().fit(X, y, X_val=X, y_val=y)

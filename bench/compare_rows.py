"""What bench.compare times, and the process that it sends the names of rows to.

Each row is what a user waits for, on data made here, by one thread. The process imports fastsoftmax
from where PYTHONPATH says, and takes nothing but the public interface, which the revisions share
that are compared. It reads a name and a number of calls a line, and answers with the seconds of its
own CPU time that the calls took: what other programs do to the machine counts less there than in
time that passes. Run by bench.compare alone.
"""

import sys
import time
import warnings
from pathlib import Path

import numpy as np
from scipy.sparse import random_array


def _dense(n_samples, n_features, n_classes):
    """Rows of classes that overlap."""
    rng = np.random.default_rng(0)
    y = rng.integers(n_classes, size=n_samples)
    X = rng.normal(size=(n_classes, n_features)).astype(np.float32)[y] * np.float32(0.1)
    X += rng.normal(size=X.shape).astype(np.float32) / np.float32(np.sqrt(n_features))
    return X, y


def rows():
    """Name → function without arguments."""
    from fastsoftmax import LogisticRegression, SoftmaxClassifier, functional

    small = _dense(300, 20, 4)
    digits = _dense(1200, 784, 10)
    rng = np.random.default_rng(1)
    text = random_array((1000, 10_000), density=0.005, format="csr", rng=rng, dtype=np.float32)
    topics = np.asarray(text[:, :10].sum(axis=1) > 0).ravel() + 2 * rng.integers(2, size=1000)
    raw = rng.normal(size=(20_000, 100)).astype(np.float32)
    codes = rng.integers(100, size=len(raw))

    def fit(X, y, **settings):
        # Another random state would take another number of steps.
        return lambda: SoftmaxClassifier(**settings, n_jobs=1, random_state=0).fit(X, y)

    def one_epoch(X, y):
        return fit(X, y, solver="sgd", max_iter=1, tol=None, learning_rate=0.1)

    fitted = one_epoch(*digits)()
    return {
        "small fit": fit(*small),
        "small LogisticRegression": lambda: LogisticRegression().fit(*small),
        "dense fit": fit(*digits),
        "sparse fit": fit(text, topics),
        "epoch, 10 classes": one_epoch(*_dense(5000, 784, 10)),
        "epoch, 100 classes": one_epoch(*_dense(1000, 768, 100)),
        "predict": lambda: fitted.predict(digits[0]),
        "predict one row": lambda: fitted.predict(digits[0][:1]),
        "softmax": lambda: functional.softmax(raw, n_jobs=1),
        "cross_entropy_gradient": lambda: functional.cross_entropy_gradient(raw, codes, n_jobs=1),
    }


def serve(injected):
    """Answer requests until there are none; each takes longer than it would by a share of that."""
    todo = rows()
    print(*todo, sep="\t", flush=True)
    for line in sys.stdin:
        name, _, n_calls = line.strip().rpartition("\t")
        start = time.process_time()
        for _ in range(int(n_calls)):
            todo[name]()
        taken = time.process_time() - start
        while time.process_time() - start < taken * (1 + injected):
            pass
        print(time.process_time() - start, flush=True)


def main(tree, injected):
    """Time the build of this tree."""
    import fastsoftmax

    if not Path(fastsoftmax.__file__).is_relative_to(tree):
        raise SystemExit(f"{fastsoftmax.__file__} is not in {tree}")
    warnings.simplefilter("ignore")
    serve(float(injected))


if __name__ == "__main__":
    main(*sys.argv[1:])

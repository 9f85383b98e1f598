"""A user's program, checked by mypy --strict and pyright in ``make lint``; never run.

A line that ends in an ignored error is one that a checker must refuse: both complain of an ignore
without an error.
"""

from pathlib import Path
from typing import Any, assert_type

import numpy as np
from numpy.typing import NDArray

import fastsoftmax
import fastsoftmax.dask
from fastsoftmax import SoftmaxClassifier, cross_entropy, softmax
from fastsoftmax.estimators.base import LinearClassifier

X: NDArray[np.float32] = np.zeros((4, 2), dtype=np.float32)
y = ["a", "b", "a", "b"]

model = SoftmaxClassifier(
    solver="adagrad",
    standardize="sample",
    class_weight={"a": 2.0},
    random_state=np.random.RandomState(0),
    dtype=np.float32,
)
assert_type(model.fit(X, y), SoftmaxClassifier)
assert_type(model.fit(X, y, sample_weight=[1, 2, 3, 4]).partial_fit(X, y), SoftmaxClassifier)
assert_type(model.predict([[1.0, 2.0]]), NDArray[Any])
assert_type(model.predict_proba(X), NDArray[Any])
assert_type(model.score(X, y), float)
assert_type(model.coef_, NDArray[Any])
assert_type(model.loss_curve_, NDArray[np.float64])
assert_type(model.n_iter_, int)
assert_type(model.alpha, float)

search = fastsoftmax.SoftmaxClassifierCV(alphas=[1.0, 0.1], cv=3, scoring="loss").fit(X, y)
assert_type(search, fastsoftmax.SoftmaxClassifierCV)
assert_type(search.alpha_, float)
assert_type(search.scores_, NDArray[np.float64])

chosen = fastsoftmax.LogisticRegressionCV(Cs=[0.1, 1.0], cv=3, scoring="accuracy").fit(X, y)
assert_type(chosen, fastsoftmax.LogisticRegressionCV)
assert_type(chosen.Cs_, NDArray[np.float64])

model.save(Path("model.safetensors"))
assert_type(fastsoftmax.load("model.safetensors"), LinearClassifier)

distributed = fastsoftmax.dask.SoftmaxClassifier(client=None, alpha=1e-3).fit(X, y)
assert_type(distributed, fastsoftmax.dask.SoftmaxClassifier)
assert_type(distributed.to_local(), SoftmaxClassifier)

assert_type(softmax([1.0, 2.0]), NDArray[Any])
assert_type(cross_entropy([[1.0, 2.0]], [0]), float)
assert_type(fastsoftmax.__version__, str)

SoftmaxClassifier(solver="newton-cg")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
SoftmaxClassifier(penalty="l1")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
SoftmaxClassifier("sgd")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
SoftmaxClassifier(alpha="1")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
fastsoftmax.load(3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
fastsoftmax.SoftmaxClassifierCV(cv=3, scoring=1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
fastsoftmax.LogisticRegressionCV(solver="liblinear")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

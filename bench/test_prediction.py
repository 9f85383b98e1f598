"""Prediction by the estimator: many rows at once, and one row at a time as an online service.

250,000 × 784 float32 stand for a million rows: eight tenths of a gigabyte, far more than any cache
holds, and memory enough for most machines. The estimator checks X for NaN, which reads it once
more; the kernel called directly shows what that costs. Predictions are compared first. Asserts
no time. Run by ``make bench``.
"""

import numpy as np
import pytest
from sklearn.utils.validation import validate_data
from threadpoolctl import threadpool_limits

from bench.adapters.scikit_learn import logistic_regression
from bench.roofline import THREADS, Roofline
from fastsoftmax import SoftmaxClassifier, kernels

N_SAMPLES, N_FEATURES, N_CLASSES = 250_000, 784, 10
GOAL = 1.4  # times the limit, at most
ONE_ROW_SECONDS = 15e-6  # at most
METHODS = ("predict", "predict_proba")


@pytest.fixture(scope="module")
def X():
    """Rows to predict."""
    return np.random.default_rng(0).random((N_SAMPLES, N_FEATURES), dtype=np.float32)


@pytest.fixture(scope="module")
def model():
    """Ours, fitted to a few rows: its coefficients are what matters."""
    rng = np.random.default_rng(1)
    X, y = rng.random((2000, N_FEATURES), dtype=np.float32), rng.integers(0, N_CLASSES, 2000)
    return SoftmaxClassifier(n_jobs=1, max_iter=2, tol=None, random_state=0).fit(X, y)


class _Kernel:
    """The estimator's kernels without its checks."""

    def __init__(self, model):
        self._model = model

    def predict(self, X):
        code = np.empty(len(X), np.intp)
        model = self._model
        kernels.implementation.predict(X, model.coef_, model.intercept_, code, model.n_jobs)
        return code

    def predict_proba(self, X):
        probability = np.empty((len(X), N_CLASSES), np.float32)
        model = self._model
        kernels.implementation.predict_proba(
            X, model.coef_, model.intercept_, probability, "softmax", model.n_jobs
        )
        return probability


class _Numpy:
    """What a careful user writes: one product, then in place."""

    def __init__(self, model):
        self._coef, self._intercept = np.ascontiguousarray(model.coef_.T), model.intercept_

    def _raw(self, X):
        raw = X @ self._coef
        raw += self._intercept
        return raw

    def predict(self, X):
        return self._raw(X).argmax(axis=1)

    def predict_proba(self, X):
        raw = self._raw(X)
        raw -= raw.max(axis=1, keepdims=True)
        np.exp(raw, out=raw)
        raw /= raw.sum(axis=1, keepdims=True)
        return raw


def _scikit_learn(model):
    """LogisticRegression with our coefficients."""
    other = logistic_regression(1e-4, N_SAMPLES)
    other.coef_, other.intercept_, other.classes_ = model.coef_, model.intercept_, model.classes_
    other.n_features_in_ = N_FEATURES
    return other


CONTENDERS = {
    "fastsoftmax": lambda model: model,
    "kernel": _Kernel,
    "numpy": _Numpy,
    "scikit-learn": _scikit_learn,
}


def _check(model, contender, method, X):
    """Compare with float64."""
    raw = X.astype(np.float64) @ model.coef_.T + model.intercept_
    actual = getattr(contender, method)(X)
    if method == "predict":
        # Where two classes are nearer than rounding, either may be the largest.
        chosen = np.take_along_axis(raw, actual[:, None], axis=1)[:, 0]
        np.testing.assert_allclose(chosen, raw.max(axis=1), rtol=0, atol=1e-4)
    else:
        exponential = np.exp(raw - raw.max(axis=1, keepdims=True))
        probability = exponential / exponential.sum(axis=1, keepdims=True)
        np.testing.assert_allclose(actual, probability, rtol=0, atol=1e-5)


@pytest.mark.parametrize("n_threads", THREADS)
@pytest.mark.parametrize("contender", CONTENDERS)
@pytest.mark.parametrize("method", METHODS)
def test_many_rows(benchmark, model, X, method, contender, n_threads):
    """All rows in one call."""
    model.n_jobs = n_threads
    implementation = CONTENDERS[contender](model)
    roof = Roofline.measure("float32", n_threads)
    recorded = {"goal": GOAL} if contender in ("fastsoftmax", "kernel") else {}
    with threadpool_limits(n_threads):
        _check(model, implementation, method, X[:1000])
        benchmark.extra_info.update(
            workload=f"{method}, {N_SAMPLES} × {N_FEATURES}, {N_CLASSES} classes, float32",
            contender=contender,
            n_threads=n_threads,
            **roof.prediction(*X.shape, N_CLASSES),
            **recorded,
        )
        function = getattr(implementation, method)
        benchmark.pedantic(function, (X,), rounds=7, warmup_rounds=1)


@pytest.mark.parametrize("contender", [*CONTENDERS, "validation"])
@pytest.mark.parametrize("method", METHODS)
def test_one_row(benchmark, model, X, method, contender):
    """One row a call: what a call costs beside its work."""
    model.n_jobs = 1
    row = X[:1]
    recorded = {"goal_seconds": ONE_ROW_SECONDS} if contender in ("fastsoftmax", "kernel") else {}
    if contender == "validation":

        def function(row):
            return validate_data(model, row, reset=False, dtype=np.float32)
    else:
        implementation = CONTENDERS[contender](model)
        _check(model, implementation, method, row)
        function = getattr(implementation, method)
    benchmark.extra_info.update(
        workload=f"{method} of one row, {N_FEATURES} features, {N_CLASSES} classes, float32",
        contender=contender,
        n_threads=1,
        **recorded,
    )
    with threadpool_limits(1):
        benchmark(function, row)

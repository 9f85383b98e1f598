"""A whole fit of MNIST by the estimator against scikit-learn's LogisticRegression, equal penalty.

The two stop by rules of their own, so each must come within 1 % of the optimum, and its row carries
the objective that it reached and its accuracy on the test part. Our learning rate was chosen by
hand beforehand, which isn't timed. scikit-learn runs once: a fit takes it seconds. Asserts no
time. Run by ``make bench``.
"""

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from bench.adapters.scikit_learn import logistic_regression
from bench.data import load_mnist
from fastsoftmax import SoftmaxClassifier

ALPHA = 1e-4
EPOCHS = 30
OPTIMUM = 0.25925  # of the objective with this ALPHA, by L-BFGS in float64 run to convergence
WORKLOAD = "MNIST fit, 60000 × 784, 10 classes, float32"


@pytest.fixture(scope="module")
def data():
    """MNIST in its two parts."""
    try:
        return load_mnist()
    except OSError as error:
        pytest.skip(f"no MNIST: set FASTSOFTMAX_DATA, or let scikit-learn fetch it ({error})")


def _objective(model, X, y):
    """Mean cross-entropy plus ALPHA/2 · ‖coef‖², in float64."""
    log_probability = model.predict_log_proba(X)[np.arange(len(y)), y]
    return float(-log_probability.mean(dtype=np.float64) + ALPHA / 2 * (model.coef_**2).sum())


def _run(benchmark, model, data, contender, rounds, warmup_rounds):
    X, y, X_test, y_test = data
    with threadpool_limits(1):
        benchmark.pedantic(model.fit, (X, y), rounds=rounds, warmup_rounds=warmup_rounds)
    objective = _objective(model, X, y)
    assert OPTIMUM * 0.9999 < objective < OPTIMUM * 1.01
    benchmark.extra_info.update(
        workload=WORKLOAD,
        contender=contender,
        n_threads=1,
        accuracy=model.score(X_test, y_test),
        objective=objective,
    )


def test_fit_fastsoftmax(benchmark, data):
    """Momentum SGD, the learning rate falling to zero along a cosine."""
    model = SoftmaxClassifier(
        alpha=ALPHA,
        learning_rate=0.1,
        schedule="cosine",
        max_iter=EPOCHS,
        tol=None,
        n_jobs=1,
        random_state=0,
    )
    _run(benchmark, model, data, "fastsoftmax", rounds=5, warmup_rounds=1)


@pytest.mark.filterwarnings("ignore:.*failed to converge")
def test_fit_scikit_learn(benchmark, data):
    """L-BFGS, its default 100 iterations."""
    model = logistic_regression(ALPHA, len(data[0]))
    _run(benchmark, model, data, "scikit-learn", rounds=1, warmup_rounds=0)

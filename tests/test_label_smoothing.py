"""Label smoothing: the targets (1 − ε) · one-hot + ε/K, in the kernels and in the estimator."""

import numpy as np
import pytest
from digits import assert_same_fit, parameters_of, small_digits
from pairs import BUILDS, pairs, together
from scipy.sparse import csr_array
from sgd import sgd_classifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from fastsoftmax import SoftmaxClassifier, kernels
from fastsoftmax.kernels import reference
from fastsoftmax.problem.objective import Problem, State
from fastsoftmax.problem.rows import rows_of

CASES = [
    (name, shape)
    for name in ("softmax_gradient", "logistic_gradient")
    for shape in [(1, 16), (1, 5), (3, 1), (3, 16), (10, 33), (4, 64), (100, 7)]
    if name == "logistic_gradient" or shape[0] > 1
]

# --- Kernels --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("build_name", "dtype", "case", "label_smoothing"),
    pairs(together(kernels.available, ["float32", "float64"]), CASES, [0.0, 0.1, 0.9]),
)
def test_gradient_and_loss_are_the_references(build_name, dtype, case, label_smoothing):
    name, shape = case
    rng = np.random.default_rng(0)
    raw = rng.normal(scale=5, size=shape).astype(dtype)
    y = rng.integers(max(shape[0], 2), size=shape[1]).astype(np.int32)
    weight = rng.exponential(size=shape[1]).astype(dtype)
    results = []
    for implementation in (kernels, reference):
        gradient, loss = raw.copy(), np.empty(shape[1], dtype)
        if implementation is kernels:
            with kernels.use(build_name):
                getattr(kernels.implementation, name)(gradient, y, weight, loss, label_smoothing)
        else:
            getattr(reference, name)(gradient, y, weight, loss, label_smoothing)
        results.append((gradient, loss))
    for one, other in zip(*results, strict=True):
        # A few roundings of sums of terms as large as the largest raw prediction.
        atol = 8 * np.finfo(dtype).eps * max(1, np.abs(other).max())
        np.testing.assert_allclose(one, other, rtol=0, atol=atol)


@pytest.mark.parametrize("name", ["softmax_gradient", "logistic_gradient"])
def test_gradient_is_that_of_finite_differences(build, name):
    rng = np.random.default_rng(0)
    raw, step = rng.normal(size=(4, 16)), 1e-6
    y, weight = rng.integers(4, size=16).astype(np.int32), rng.exponential(size=16)
    kernel = getattr(kernels.implementation, name)

    def losses(raw):
        loss = np.empty(16)
        kernel(raw.copy(), y, weight, loss, 0.3)
        return loss

    gradient = raw.copy()
    kernel(gradient, y, weight, np.empty(16), 0.3)
    for k in range(4):
        shift = np.zeros((4, 1))
        shift[k] = step
        expected = (losses(raw + shift) - losses(raw - shift)) / (2 * step)
        np.testing.assert_allclose(gradient[k], expected, rtol=0, atol=1e-8)


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize(("loss", "n_rows"), [("softmax", 4), ("logistic", 1), ("logistic", 3)])
def test_loss_over_all_rows_is_that_of_the_smoothed_targets(build, loss, n_rows, sparse):
    # Written out in NumPy; that the gradient goes with it is tested in test_descent.py.
    rng = np.random.default_rng(0)
    X = rng.normal(size=(50, 6)) * (rng.random((50, 6)) < 0.5)
    n_classes = max(n_rows, 2)
    y = rng.integers(n_classes, size=50, dtype=np.int32)
    weight = rng.exponential(size=50)
    coef, intercept = rng.normal(size=(n_rows, 6)), rng.normal(size=n_rows)
    problem = Problem(
        X=rows_of(csr_array(X)) if sparse else X,
        rows=np.arange(50),
        y_true=y,
        sample_weight=weight / weight.mean(),
        shift=None,
        inverse_scale=None,
        loss=loss,
        alpha=0.0,
        fit_intercept=True,
        n_threads=1,
        dtype=np.dtype(np.float64),
        label_smoothing=0.3,
    )
    raw = X @ coef.T + intercept
    target = np.eye(n_classes)[y][:, -n_rows:] if n_rows == 1 else np.eye(n_rows)[y]
    target = 0.7 * target + 0.3 / (n_rows if loss == "softmax" else 2)
    if loss == "softmax":
        losses = -(target * (raw - np.logaddexp.reduce(raw, axis=1, keepdims=True))).sum(axis=1)
    else:
        losses = (target * np.logaddexp(0, -raw) + (1 - target) * np.logaddexp(0, raw)).sum(axis=1)
    expected = np.average(losses, weights=weight)
    state = State.at(coef, intercept)
    np.testing.assert_allclose(problem.loss_gradient(coef, intercept)[0], expected, rtol=1e-12)
    np.testing.assert_allclose(problem.objective(state, problem.rows), expected, rtol=1e-12)


# --- The estimator --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("build_name", "multi_class", "n_classes", "dtype"),
    pairs(kernels.available, ["softmax", "ovr"], [2, 10], ["float32", "float64"]),
)
def test_same_fit_as_the_reference(build_name, multi_class, n_classes, dtype):
    X, y = small_digits(dtype=dtype, n_classes=n_classes)
    weight = np.random.default_rng(0).exponential(size=len(X))
    fits = []
    for name in (build_name, "reference"):
        with kernels.use(name):
            model = sgd_classifier(
                label_smoothing=0.2, multi_class=multi_class, batch_size=50, random_state=0
            )
            fits.append(model.fit(X, y, weight))
    assert_same_fit(*fits, rtol=1e-5 if dtype == "float32" else 1e-12)
    np.testing.assert_allclose(fits[0].loss_curve_, fits[1].loss_curve_, rtol=1e-5)


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("multi_class", ["softmax", "ovr"])
def test_is_a_fit_to_each_class_with_its_share_of_the_weight(build, multi_class, n_classes):
    # The loss is linear in the target: each row may as well stand there once a class.
    X, y = small_digits(n_classes=n_classes)
    setting = {"multi_class": multi_class, "batch_size": 10**6, "max_iter": 30, "tol": None}
    epsilon = 0.3
    smoothed = sgd_classifier(label_smoothing=epsilon, **setting).fit(X, y)
    if multi_class == "softmax" or n_classes == 2:
        target = np.full((len(X), n_classes), epsilon / n_classes)
        target[np.arange(len(X)), y] += 1 - epsilon
        rows, labels = np.repeat(X, n_classes, axis=0), np.tile(np.arange(n_classes), len(X))
        expected = sgd_classifier(**setting).fit(rows, labels, sample_weight=target.ravel())
        assert_same_fit(smoothed, expected, rtol=1e-11)
    else:  # each of the K losses is one of two classes
        for k in range(n_classes):
            binary = sgd_classifier(label_smoothing=epsilon, **setting).fit(X, y == k)
            np.testing.assert_allclose(smoothed.coef_[k], binary.coef_[0], rtol=0, atol=1e-12)


def test_same_optimum_as_logistic_regression():
    X, y = small_digits(n_rows=200, n_classes=3)
    epsilon, alpha = 0.1, 0.01
    target = np.full((len(X), 3), epsilon / 3)
    target[np.arange(len(X)), y] += 1 - epsilon
    peer = LogisticRegression(C=1 / (alpha * len(X)), tol=1e-12, max_iter=10_000).fit(
        np.repeat(X, 3, axis=0), np.tile(np.arange(3), len(X)), sample_weight=target.ravel()
    )
    ours = sgd_classifier(
        alpha=alpha,
        label_smoothing=epsilon,
        batch_size=10**6,
        nesterov=True,
        momentum=0.95,
        learning_rate=0.5,
        max_iter=2000,
        tol=None,
    ).fit(X, y)
    np.testing.assert_allclose(parameters_of(ours), parameters_of(peer), rtol=0, atol=1e-4)


def test_keeps_probabilities_away_from_zero_and_one():
    X, y = small_digits(n_classes=3)
    setting = {"alpha": 0, "learning_rate": 1.0, "max_iter": 300, "tol": None, "random_state": 0}
    sure = sgd_classifier(**setting).fit(X, y).predict_proba(X)
    smooth = sgd_classifier(label_smoothing=0.3, **setting).fit(X, y).predict_proba(X)
    assert sure.max(axis=1).mean() > 0.99
    # The target is 0.8 for the true class.
    assert 0.7 < smooth.max(axis=1).mean() < 0.82


def test_history_has_the_smoothed_loss_and_validation_the_plain_one(build):
    X, y = small_digits()
    setting = {"label_smoothing": 0.2, "batch_size": 10**6, "tol": None, "alpha": 0}
    one = sgd_classifier(max_iter=1, **setting).fit(X, y)
    two = sgd_classifier(max_iter=2, **setting).fit(X, y, X_val=X, y_val=y)
    log_probability = one.predict_log_proba(X)
    target = np.full((len(X), 10), 0.02)
    target[np.arange(len(X)), y] += 0.8
    np.testing.assert_allclose(
        two.history_["loss"],
        [np.log(10), -(target * log_probability).sum(axis=1).mean()],
        rtol=1e-9,
    )
    np.testing.assert_allclose(
        two.validation_scores_,
        [-log_loss(y, model.predict_proba(X)) for model in (one, two)],
        rtol=1e-9,
    )


@pytest.mark.alone
def test_same_bits_at_any_number_of_threads():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(3000, 300)).astype(np.float32), rng.integers(7, size=3000)
    one, *others = (
        sgd_classifier(label_smoothing=0.1, n_jobs=n_jobs, random_state=0, max_iter=2).fit(X, y)
        for n_jobs in (1, 2, 3)
    )
    for other in others:
        assert_same_fit(other, one)


# --- Sparse X and the solvers ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("build", "n_classes", "multi_class", "solver"),
    pairs(BUILDS, [2, 3], ["softmax", "ovr"], ["sgd", "lbfgs"]),
    indirect=["build"],
)
def test_sparse_rows_are_as_dense_ones(build, solver, multi_class, n_classes):
    X, y = small_digits(n_classes=n_classes)
    setting = {"label_smoothing": 0.2, "multi_class": multi_class, "random_state": 0}
    setting |= {"solver": solver, "tol": 1e-12, "learning_rate": 0.01, "alpha": 0.01}
    dense = SoftmaxClassifier(**setting).fit(X, y)
    sparse = SoftmaxClassifier(**setting).fit(csr_array(X), y)
    assert_same_fit(sparse, dense, rtol=1e-10 if solver == "sgd" else 1e-4)
    np.testing.assert_allclose(sparse.loss_curve_[-1], dense.loss_curve_[-1], rtol=1e-9)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_the_solvers_know_how_far_they_are_from_the_optimum(n_classes):
    X, y = small_digits(n_rows=200, n_classes=n_classes)
    epsilon, alpha = 0.1, 0.01
    target = np.full((len(X), n_classes), epsilon / n_classes)
    target[np.arange(len(X)), y] += 1 - epsilon
    rows, labels = np.repeat(X, n_classes, axis=0), np.tile(np.arange(n_classes), len(X))
    peer = LogisticRegression(C=1 / (alpha * len(X)), tol=1e-12, max_iter=10_000)
    peer.fit(rows, labels, sample_weight=target.ravel())
    ours = SoftmaxClassifier(label_smoothing=epsilon, alpha=alpha, tol=1e-9).fit(X, y)
    assert ours.converged_

    def objective(model):
        losses = -(target * model.predict_log_proba(X)).sum(axis=1)
        return losses.mean() + alpha / 2 * (model.coef_**2).sum()

    gap = objective(ours) - objective(peer)
    assert -1e-11 < gap <= ours.suboptimality_bound_ + 1e-12

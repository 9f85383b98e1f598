"""The truth that fits are judged by, beside scikit-learn, SciPy, extended precision and itself."""

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.sparse import csr_array
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from truth import Objective, least


def _drawn(n_samples, n_features, n_classes, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_samples, n_features))
    raw = X @ rng.normal(size=(n_features, n_classes)) / np.sqrt(n_features) * 3
    return X, (raw + rng.gumbel(size=raw.shape)).argmax(axis=1)


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("shape", [(300, 8, 2), (300, 8, 4), (60, 150, 3)])
@pytest.mark.parametrize("alpha", [1e-2, 1e-5])
def test_minimum_is_scikit_learns(shape, alpha, fit_intercept):
    X, y = _drawn(*shape)
    weight = np.random.default_rng(1).uniform(0.1, 3, len(X))
    peer = LogisticRegression(
        C=1 / (alpha * weight.sum()),
        solver="newton-cholesky",
        tol=1e-12,
        max_iter=1000,
        fit_intercept=fit_intercept,
    ).fit(X, y, weight)
    objective = Objective(X, y, shape[2], alpha, weight, fit_intercept=fit_intercept)
    truth = least(objective)
    assert truth.error < 1e-12
    assert objective(peer.coef_, peer.intercept_) == pytest.approx(truth.value, abs=1e-11)
    assert objective(truth.coef, truth.intercept) == pytest.approx(truth.value, abs=1e-14)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_minimum_of_ovr_is_scipys(smoothing):
    X, y = _drawn(120, 4, 3)
    objective = Objective(X, y, 3, 1e-2, ovr=True, label_smoothing=smoothing)

    def by_definition(parameters):
        W = parameters.reshape(3, 5)
        raw = X @ W[:, :-1].T + W[:, -1]
        targets = (1 - smoothing) * (y[:, None] == np.arange(3)) + smoothing / 2
        losses = np.logaddexp(0, raw) - targets * raw
        return losses.sum() / len(X) + 0.005 * (W[:, :-1] ** 2).sum()

    found = minimize(by_definition, np.zeros(15), method="BFGS", options={"gtol": 1e-8})
    truth = least(objective)
    assert found.fun == pytest.approx(truth.value, abs=1e-10)
    W = found.x.reshape(3, 5)
    assert objective(W[:, :-1], W[:, -1]) == pytest.approx(found.fun, abs=1e-14)


def test_minimum_with_label_smoothing_is_scipys():
    X, y = _drawn(120, 4, 3)
    objective = Objective(X, y, 3, 1e-2, label_smoothing=0.3)

    def by_definition(parameters):
        W = parameters.reshape(3, 5)
        raw = X @ W[:, :-1].T + W[:, -1]
        targets = 0.7 * (y[:, None] == np.arange(3)) + 0.1
        losses = np.logaddexp.reduce(raw, axis=1) - (targets * raw).sum(axis=1)
        return losses.mean() + 0.005 * (W[:, :-1] ** 2).sum()

    found = minimize(by_definition, np.zeros(15), method="BFGS", options={"gtol": 1e-8})
    assert found.fun == pytest.approx(least(objective).value, abs=1e-10)


@pytest.mark.parametrize("alpha", [1e-2, 1e-8, 0.0])
@pytest.mark.parametrize("shape", [(200, 6, 3), (200, 6, 2)])
def test_gradient_in_extended_precision_is_zero_there(shape, alpha):
    """By central differences of the definition."""
    X, y = _drawn(*shape)
    truth = least(Objective(X, y, shape[2], alpha), enough=0)
    assert truth.error < 1e-12
    X, W, b = (np.asarray(a, np.longdouble) for a in (X, truth.coef, truth.intercept))

    def value(W, b):
        raw = X @ W.T + b
        if len(b) == 1:
            raw = np.hstack([np.zeros_like(raw), raw])
        loss = np.log(np.exp(raw).sum(axis=1)) - raw[np.arange(len(y)), y]
        return loss.mean() + np.longdouble(alpha) / 2 * (W * W).sum()

    rng = np.random.default_rng(0)
    for _ in range(10):
        D, e = rng.normal(size=W.shape), rng.normal(size=b.shape)
        step = np.longdouble(1e-5)
        slope = (value(W + step * D, b + step * e) - value(W - step * D, b - step * e)) / (2 * step)
        assert abs(float(slope)) < 1e-8


def test_columns_of_any_size_and_offset():
    """Of coefficients without a penalty nothing changes; with one, columns keep their own."""
    X, y = _drawn(200, 5, 3)
    exact = np.ldexp(np.round(np.ldexp(X, 20)), -20)  # offsets leave these digits
    near = least(Objective(exact, y, 3, 0.0))
    far = least(Objective((exact + 2.0**30) * 2.0 ** np.arange(-30, 30, 12), y, 3, 0.0))
    assert far.value == pytest.approx(near.value, abs=1e-12)
    assert far.error < 1e-11
    near = least(Objective(exact, y, 3, 1e-3))
    far = least(Objective(exact + 2.0**30, y, 3, 1e-3))
    assert far.value == pytest.approx(near.value, abs=1e-13)
    # 1e-4 of the size with an alpha of 1e-8 is the same.
    small = least(Objective(exact * 1e-4, y, 3, 1e-11))
    assert small.value == pytest.approx(near.value, abs=1e-13)


@pytest.mark.parametrize("alpha", [1e-4, 1e-12])
def test_few_rows_in_their_span(alpha):
    """The same rows with zero columns, and without: one goes through the span, one doesn't."""
    X, y = _drawn(50, 40, 3)
    wide = np.hstack([X, np.zeros((50, 30))])
    whole, spanned = least(Objective(X, y, 3, alpha)), least(Objective(wide, y, 3, alpha))
    assert spanned.value == pytest.approx(whole.value, rel=1e-9, abs=1e-13)
    assert max(whole.error, spanned.error) < 1e-12


def test_standardize_is_z_scores():
    X, y = _drawn(200, 5, 3)
    X = X * np.logspace(-3, 3, 5) + 10
    X = np.hstack([X, np.full((200, 1), 7.0)])
    weight = np.random.default_rng(1).integers(0, 3, 200).astype(float)
    Z = StandardScaler().fit(X, sample_weight=weight).transform(X)
    # An offset of 1e4 deviations leaves z-scores 1e-12 of theirs.
    truth = least(Objective(X, y, 3, 1e-3, weight, standardize=True))
    assert truth.value == pytest.approx(least(Objective(Z, y, 3, 1e-3, weight)).value, abs=1e-12)
    # Sparse columns aren't centred, which matters without an intercept alone.
    plain = least(Objective(Z, y, 3, 1e-3, weight, fit_intercept=False)).value
    keywords = {"standardize": True, "fit_intercept": False}
    centred = least(Objective(X, y, 3, 1e-3, weight, **keywords)).value
    scaled = least(Objective(csr_array(X), y, 3, 1e-3, weight, **keywords)).value
    assert centred == pytest.approx(plain, abs=1e-12)
    assert abs(scaled - plain) > 1e-4


def test_no_minimum_is_proved_by_zero():
    X = np.random.default_rng(0).normal(size=(60, 4))
    y = (X @ np.random.default_rng(1).normal(size=(4, 3))).argmax(axis=1)
    truth = least(Objective(X, y, 3, 0.0))
    assert 0 <= truth.lower <= truth.value < 1e-12


def test_some_directions_without_an_end():
    """A column that separates some rows and says nothing of the others."""
    X, y = _drawn(200, 3, 2)
    sign = np.where(np.arange(200) < 20, np.where(y == 1, 1.0, -1.0), 0.0)
    truth = least(Objective(np.hstack([X, sign[:, None]]), y, 2, 0.0))
    rest = least(Objective(np.hstack([X, np.ones((200, 1))])[20:], y[20:], 2, 0.0))
    assert truth.value == pytest.approx(0.9 * rest.value, abs=1e-12)
    assert truth.error < 1e-10


@pytest.mark.parametrize("alpha", [0.0, 1e-6, 1.0])
def test_lower_bound_is_below_whatever_is_tried(alpha):
    X, y = _drawn(100, 4, 3)
    objective = Objective(X, y, 3, alpha)
    truth = least(objective)
    rng = np.random.default_rng(0)
    for size in 10.0 ** np.arange(-9, 2):
        coef = truth.coef + size * rng.normal(size=truth.coef.shape)
        intercept = truth.intercept + size * rng.normal(size=truth.intercept.shape)
        assert objective(coef, intercept) >= truth.lower - truth.rounding

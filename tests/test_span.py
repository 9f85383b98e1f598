"""Fewer rows than features: the same minimum in the span of the rows."""

import numpy as np
import pytest
from scipy.sparse import csr_array
from test_newton import small_problem

from fastsoftmax import LogisticRegression, SoftmaxClassifier, SoftmaxClassifierCV
from fastsoftmax.optimization import solver, span
from fastsoftmax.optimization.span import Span, is_wide
from fastsoftmax.problem.objective import State


def drawn(n_samples=40, n_features=300, n_classes=3, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_samples, n_features)) + 2
    y = np.arange(n_samples) % n_classes
    X[np.arange(n_samples), y] += 2
    return X, y


@pytest.fixture
def outside(monkeypatch):
    """A fit with all features for unknowns, to compare with."""

    def fit(model, *data):
        with monkeypatch.context() as patch:
            for module in (span, solver):
                patch.setattr(module, "is_wide", lambda *shape: False)
            return model.fit(*data)

    return fit


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("is_sparse", [False, True])
@pytest.mark.parametrize("standardize", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_same_minimum(outside, n_classes, fit_intercept, is_sparse, standardize, weighted):
    X, y = drawn(n_classes=n_classes)
    X[X < 1.5] = 0
    weight = np.random.default_rng(1).uniform(0, 2, len(y)) if weighted else None
    X = csr_array(X) if is_sparse else X
    parameters = {
        "alpha": 1e-2,
        "tol": 1e-11,
        "fit_intercept": fit_intercept,
        "standardize": standardize,
        "random_state": 0,
    }
    ours = SoftmaxClassifier(**parameters).fit(X, y, weight)
    other = outside(SoftmaxClassifier(**parameters), X, y, weight)
    assert ours.converged_
    assert ours.loss_curve_[-1] <= other.loss_curve_[-1] + 2e-11
    np.testing.assert_allclose(ours.decision_function(X), other.decision_function(X), atol=3e-4)
    np.testing.assert_allclose(ours.coef_, other.coef_, atol=1e-4 * np.abs(other.coef_).max())
    assert ours.suboptimality_bound_ < 1e-8


@pytest.mark.parametrize("by_gram", [True, False])
def test_states_lead_there_and_back(by_gram):
    X, y = drawn()
    problem = small_problem(X, y, 3)
    basis = Span(problem, by_gram)
    inner = State.drawn((3, basis.problem.X.shape[1]), np.dtype(float), 1, np.random)
    state = State.drawn((3, 300), np.dtype(float), 0, None)
    inner.coef[:, 38:] = 0  # the last pivot of centred rows is but their rounding
    basis.write(inner, state)
    raw = X @ state.coef.T + state.intercept
    atol = 1e-8
    np.testing.assert_allclose(raw, basis.problem.X @ inner.coef.T + inner.intercept, atol=atol)
    np.testing.assert_allclose((state.coef**2).sum(), (inner.coef**2).sum(), rtol=atol)
    again = basis.state_of(state)
    np.testing.assert_allclose(again.coef[:, :38], inner.coef[:, :38], atol=atol)
    np.testing.assert_allclose(again.intercept, inner.intercept, atol=atol)


def test_what_the_inner_products_leave_out_is_seen():
    """Half of the features are so small that their squares drown, and alone tell classes apart."""
    X, y = drawn(30, 200)
    X[:, 100:] = 1e-7 * np.random.default_rng(2).normal(size=(30, 100))
    X[np.arange(30), 100 + y] += 1e-6
    X[:, :100] = X[:, :1]
    model = SoftmaxClassifier(alpha=1e-16, tol=1e-5, random_state=0).fit(X, y)
    assert model.converged_
    assert model.score(X, y) == 1
    assert model.loss_curve_[-1] < 1e-2


def test_rows_that_are_all_the_same():
    X, y = np.ones((6, 20)), np.array([0, 0, 0, 1, 1, 2])
    for fit_intercept in (True, False):
        model = SoftmaxClassifier(fit_intercept=fit_intercept, random_state=0).fit(X, y)
        assert np.isfinite(model.coef_).all()
        np.testing.assert_allclose(model.predict_proba(X[:1])[0], [1 / 2, 1 / 3, 1 / 6], atol=2e-3)


def test_shapes_of_it():
    assert is_wide(40, 2000)
    assert not is_wide(2000, 40)
    assert is_wide(100, 101)
    assert not is_wide(100, 100)
    assert not is_wide(10**5, 10**7)


def test_path_and_callbacks_see_all_features():
    X, y = drawn(60)
    seen = []
    model = SoftmaxClassifier(
        callbacks=[lambda info: seen.append(info.fitted_estimator.coef_.copy())], random_state=0
    )
    model.fit(X, y)
    assert len(seen) == model.n_iter_
    assert {coef.shape for coef in seen} == {(3, 300)}
    np.testing.assert_array_equal(seen[-1], model.coef_)
    chosen = SoftmaxClassifierCV(alphas=[1.0, 1e-2], cv=3, random_state=0).fit(X, y)
    assert chosen.coef_.shape == (3, 300)
    assert chosen.converged_


def test_no_cliff_at_any_number_of_features():
    """As many numbers in each, so as much to do: 2047, 2048 and 2049 features are alike."""
    passes = [
        LogisticRegression().fit(*drawn(40, n_features)).n_iter_[0]
        for n_features in (2047, 2048, 2049)
    ]
    assert max(passes) <= min(passes) + 1

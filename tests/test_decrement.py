"""What is left to fall, asked of the Hessian: against the truth, and where the model is wrong."""

import numpy as np
import pytest
from test_newton import small_problem

from fastsoftmax import SoftmaxClassifier
from fastsoftmax.optimization import decrement, solver
from fastsoftmax.optimization.decrement import Sample


def near_minimum(n_samples=900, n_features=8, n_classes=4, alpha=1e-3, off=1e-2, loss="softmax"):
    """A problem, parameters near its minimum, their gradient, and what they are above it."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n_samples, n_features))
    raw = X @ rng.normal(size=(n_features, n_classes)) + rng.gumbel(size=(n_samples, n_classes))
    y = raw.argmax(axis=1)
    problem = small_problem(X, y, n_classes, alpha=alpha, loss=loss)
    best = SoftmaxClassifier(
        alpha=alpha, tol=1e-13, multi_class="softmax" if loss == "softmax" else "ovr"
    ).fit(X, y)
    coef = best.coef_ + off * rng.normal(size=best.coef_.shape)
    value, coef_gradient, gradient = problem.loss_gradient(coef, best.intercept_)
    parameters = np.column_stack([coef, best.intercept_])
    return (
        problem,
        parameters,
        np.column_stack([coef_gradient, gradient]),
        value - best.loss_curve_[-1],
    )


@pytest.mark.parametrize("loss", ["softmax", "logistic"])
@pytest.mark.parametrize("scale", [1.0, 1e-3])
def test_is_what_the_objective_can_fall(loss, scale):
    problem, parameters, gradient, above = near_minimum(loss=loss)
    random_state = np.random.RandomState(0)
    found = Sample(problem, random_state).decrement(parameters, gradient, lambda g: scale * g)
    assert found.is_known
    assert found.gap == pytest.approx(above, rel=0.3)
    assert found.slope == pytest.approx(np.vdot(found.direction, gradient))
    stepped = parameters - found.direction
    fallen = problem.loss_gradient(stepped[:, :-1], stepped[:, -1])[0]
    start = problem.loss_gradient(parameters[:, :-1], parameters[:, -1])[0]
    assert start - fallen > 0.9 * above


def test_a_model_that_freezes_features_fools_nobody():
    problem, parameters, gradient, above = near_minimum()
    freezing = np.ones(9)
    freezing[:4] = 1e-9
    found = Sample(problem, np.random.RandomState(0)).decrement(
        parameters, gradient, lambda g: freezing * g
    )
    assert not found.is_known or found.gap > 0.5 * above


def test_few_products_are_no_answer(monkeypatch):
    monkeypatch.setattr(decrement, "FEWEST_STEPS", 1)
    monkeypatch.setattr(decrement, "MOST_STEPS", 1)
    problem, parameters, gradient, _ = near_minimum()
    sample = Sample(problem, np.random.RandomState(0))
    assert not sample.decrement(parameters, gradient, lambda g: g).is_known


def test_steps_that_still_find_are_no_answer(monkeypatch):
    """Though model and curvature agree that little is left."""
    monkeypatch.setattr(decrement, "FEWEST_STEPS", 4)
    monkeypatch.setattr(decrement, "MOST_STEPS", 4)
    monkeypatch.setattr(decrement, "RESIDUAL", 1e9)
    problem, parameters, gradient, _ = near_minimum(alpha=0.0)
    sample = Sample(problem, np.random.RandomState(0))
    found = sample.decrement(parameters, gradient, lambda g: g)
    assert found.is_settled
    assert found.is_known
    found = sample.decrement(parameters, gradient, lambda g: np.logspace(0, -6, 9) * g)
    assert not found.is_settled
    assert not found.is_known


def test_rare_classes_are_in_a_sample(monkeypatch):
    monkeypatch.setattr(decrement, "FEWEST_PRODUCTS", 0)
    rng = np.random.default_rng(0)
    codes = np.zeros(100_000, dtype=np.int32)
    codes[[3, 70_000, 99_999]] = 1
    codes[100:200] = 2
    problem = small_problem(rng.normal(size=(100_000, 2)), codes, 3)
    sample = Sample(problem, np.random.RandomState(0))
    assert not sample.is_whole
    count = np.bincount(codes[sample._rows])
    assert count[1] == 3
    assert count[2] == 100
    assert 3000 < count[0] < 6000
    share = np.bincount(codes[sample._rows], sample._weight[:, 0])
    np.testing.assert_allclose(share, np.bincount(codes) / 100_000, rtol=0.05)
    assert sample.larger().larger().larger().is_whole


def test_converged_is_not_said_by_the_descent_alone(monkeypatch, no_newton):
    """A descent whose next step promises nothing, far above the minimum."""
    monkeypatch.setattr(solver, "NEAR", np.inf)
    rng = np.random.default_rng(0)
    X = rng.normal(size=(800, 12))
    y = (X @ rng.normal(size=(12, 4)) + rng.gumbel(size=(800, 4))).argmax(axis=1)
    model = SoftmaxClassifier(solver="lbfgs", tol=1e-6, random_state=0).fit(X, y)
    least = SoftmaxClassifier(solver="lbfgs", tol=1e-12, random_state=0).fit(X, y)
    assert model.converged_
    assert model.loss_curve_[-1] - least.loss_curve_[-1] < 2e-6
    assert model.n_iter_ > 3

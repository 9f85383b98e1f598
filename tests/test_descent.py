"""The parts of the default solver: full gradients, curvature, preconditioners, L-BFGS, certificate.

What they come to together is tested in test_solver.py.
"""

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import rosen, rosen_der
from scipy.sparse import random_array

from fastsoftmax.optimization.certificate import profiled_bound
from fastsoftmax.optimization.curvature import Subsample, learning_rate_for, square_gradient
from fastsoftmax.optimization.lbfgs import Iterate, _Memory, _search, minimize
from fastsoftmax.optimization.preconditioning import (
    DiagonalHessian,
    FullHessian,
    KroneckerHessian,
    LowRankHessian,
    preconditioner_for,
)
from fastsoftmax.problem.objective import Problem
from fastsoftmax.problem.rows import rows_of

LOSSES = [("softmax", 4), ("logistic", 1), ("logistic", 3)]


def _problem(loss="softmax", n_rows=4, n_samples=300, n_features=7, seed=0, **given):
    rng = np.random.default_rng(seed)
    dtype = np.dtype(given.get("dtype", np.float64))
    X = rng.normal(size=(n_samples, n_features)).astype(dtype)
    weight = rng.uniform(0.5, 2, n_samples)
    settings = {
        "X": X,
        "rows": np.arange(n_samples),
        "y_true": rng.integers(max(n_rows, 2), size=n_samples, dtype=np.int32),
        "sample_weight": (weight / weight.mean()).astype(dtype),
        "shift": None,
        "inverse_scale": None,
        "loss": loss,
        "alpha": 1e-2,
        "fit_intercept": True,
        "n_threads": 1,
        "dtype": dtype,
    }
    return Problem(**settings | given)


def _parameters(problem, n_rows, seed=1):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n_rows, problem.X.shape[1])), rng.normal(size=n_rows)


def _hessian(problem, coef, intercept, step=1e-5):
    """Of the objective by central differences of its gradient, coef with intercept as a column."""
    start = np.hstack([coef, intercept[:, None]])

    def gradient(flat):
        given = flat.reshape(start.shape)
        _, *parts = problem.loss_gradient(given[:, :-1], given[:, -1])
        return np.hstack([parts[0], parts[1][:, None]]).ravel()

    columns = []
    for j in range(start.size):
        moved = np.zeros(start.size)
        moved[j] = step
        columns.append(gradient(start.ravel() + moved) - gradient(start.ravel() - moved))
    hessian = np.array(columns) / (2 * step)
    return (hessian + hessian.T) / 2


# --- Full gradients -------------------------------------------------------------------------------


@pytest.mark.parametrize("label_smoothing", [0.0, 0.3])
@pytest.mark.parametrize("form", ["dense", "z-scored", "sparse"])
@pytest.mark.parametrize(("loss", "n_rows"), LOSSES)
def test_gradient_is_that_of_differences(build, loss, n_rows, form, label_smoothing):
    given = {}
    rng = np.random.default_rng(3)
    if form == "z-scored":
        given = {"shift": rng.normal(size=7), "inverse_scale": rng.uniform(0.5, 2, 7)}
    if form == "sparse":
        given = {"X": rows_of(random_array((300, 7), density=0.4, format="csr", random_state=rng))}
    problem = _problem(loss, n_rows, label_smoothing=label_smoothing, **given)
    coef, intercept = _parameters(problem, n_rows)
    _, coef_gradient, intercept_gradient = problem.loss_gradient(coef, intercept)
    step = 1e-5
    for index in [(0, 0), (n_rows - 1, 6), (0, 3)]:
        moved = np.zeros_like(coef)
        moved[index] = step
        slope = problem.loss_gradient(coef + moved, intercept)[0]
        slope = (slope - problem.loss_gradient(coef - moved, intercept)[0]) / (2 * step)
        # Truncation step², rounding eps / step.
        assert coef_gradient[index] == pytest.approx(slope, abs=1e-9)
    moved = np.zeros(n_rows)
    moved[-1] = step
    slope = problem.loss_gradient(coef, intercept + moved)[0]
    slope = (slope - problem.loss_gradient(coef, intercept - moved)[0]) / (2 * step)
    assert intercept_gradient[-1] == pytest.approx(slope, abs=1e-9)


def test_gradient_leaves_an_intercept_alone_that_is_not_fitted():
    problem = _problem(fit_intercept=False)
    gradient = problem.loss_gradient(*_parameters(problem, 4))[2]
    np.testing.assert_array_equal(gradient, 0)


def test_gradient_is_over_the_rows_of_the_problem_alone():
    problem = _problem()
    part = _problem(rows=np.arange(0, 300, 3))
    alone = _problem(
        X=problem.X[::3].copy(),
        rows=np.arange(100),
        y_true=problem.y_true[::3].copy(),
        sample_weight=problem.sample_weight[::3].copy(),
    )
    coef, intercept = _parameters(problem, 4)
    for ours, expected in zip(
        part.loss_gradient(coef, intercept), alone.loss_gradient(coef, intercept), strict=True
    ):
        np.testing.assert_allclose(ours, expected, rtol=1e-13)


# --- Subsamples and learning rates ----------------------------------------------------------------


def test_subsample_of_all_rows_is_all_of_them():
    problem = _problem()
    subsample = Subsample.of(problem, 300, problem.dtype, np.random.RandomState(0))
    np.testing.assert_array_equal(subsample.rows, problem.rows)
    np.testing.assert_array_equal(subsample.values, problem.X)
    np.testing.assert_allclose(subsample.weight, problem.sample_weight / 300)
    moments = (problem.sample_weight @ problem.X**2) / 300
    np.testing.assert_allclose(subsample.second_moments(), moments)


def test_subsample_by_norm_has_the_rows_that_matter_and_keeps_means():
    problem = _problem(n_samples=20_000, n_features=5, sample_weight=None)
    problem.X[:, 4] = 0
    problem.X[77, 4] = 1000  # one row has all there is of a feature
    uniform, by_norm = (
        Subsample.of(problem, 400, problem.dtype, np.random.RandomState(0), by_norm=way)
        for way in (False, True)
    )
    assert 77 not in uniform.rows
    assert 77 in by_norm.rows
    assert by_norm.weight.sum() == pytest.approx(1)
    # A mean over some 400 rows, those of weight 1 / chance: within four standard errors.
    np.testing.assert_allclose(by_norm.second_moments()[:4], 1, atol=4 * np.sqrt(2 * 2 / 400))
    assert by_norm.second_moments()[4] == pytest.approx(1000**2 / 20_000, rel=0.3)


def test_largest_eigenvalue():
    problem = _problem(n_samples=1500, n_features=20)
    problem.X[:, 0] *= 5
    subsample = Subsample.of(problem, 1500, problem.dtype, np.random.RandomState(0))
    moments = problem.X.T @ (problem.X * problem.sample_weight[:, None]) / 1500
    assert subsample.largest_eigenvalue() == pytest.approx(
        np.linalg.eigvalsh(moments)[-1], rel=1e-3
    )


@pytest.mark.parametrize("label_smoothing", [0.0, 0.3])
@pytest.mark.parametrize(("loss", "n_rows"), LOSSES)
def test_square_gradient_is_that_of_single_rows(loss, n_rows, label_smoothing):
    given = {"alpha": 0.0, "sample_weight": None, "label_smoothing": label_smoothing}
    problem = _problem(loss, n_rows, n_samples=40, **given)
    coef, intercept = _parameters(problem, n_rows)
    lengths = []
    for row in range(40):
        single = _problem(
            loss,
            n_rows,
            X=problem.X[[row]],
            rows=np.arange(1),
            y_true=problem.y_true[[row]],
            **given,
        )
        _, *gradients = single.loss_gradient(coef, intercept)
        lengths.append(sum(np.square(part).sum() for part in gradients))
    subsample = Subsample.of(problem, 40, problem.dtype, np.random.RandomState(0))
    ours = square_gradient(problem, subsample, coef, intercept)
    assert ours == pytest.approx(np.mean(lengths), rel=1e-12)


@pytest.mark.parametrize("update", ["momentum", "adagrad"])
@pytest.mark.parametrize("size", [0.0, 1e-30, 1e30])
def test_learning_rate_is_finite_whatever_the_features(size, update):
    problem = _problem(dtype=np.float32)
    problem.X[:] = size
    subsample = Subsample.of(problem, 300, problem.dtype, np.random.RandomState(0))
    rate = learning_rate_for(subsample, "softmax", 1e-4, 0.9, 128, update)
    assert 0 < rate < np.inf


def test_learning_rate_falls_with_noise_and_with_curvature():
    problem = _problem()
    subsample = Subsample.of(problem, 300, problem.dtype, np.random.RandomState(0))

    def rate(batch_size=128, alpha=1e-4, momentum=0.9, square=None):
        return learning_rate_for(
            subsample, "softmax", alpha, momentum, batch_size, "momentum", square
        )

    assert rate(batch_size=1) < rate(batch_size=8) < rate()
    assert rate(batch_size=8, square=10.0) == pytest.approx(2 * rate(batch_size=8, square=20.0))
    assert rate(batch_size=8, momentum=0.0) > 5 * rate(batch_size=8)
    assert rate(alpha=100.0) < 2 / 100


# --- Preconditioners ------------------------------------------------------------------------------


@pytest.mark.parametrize(("loss", "n_rows"), [("softmax", 4), ("logistic", 1), ("logistic", 3)])
def test_whole_hessian_is_the_hessian(loss, n_rows, monkeypatch):
    monkeypatch.setattr("fastsoftmax.optimization.preconditioning.RIDGE", 1e-9)
    problem = _problem(loss, n_rows)
    coef, intercept = _parameters(problem, n_rows)
    subsample = Subsample.of(problem, 300, problem.dtype, np.random.RandomState(0))
    model = FullHessian(subsample, problem, coef, intercept)
    gradient = np.random.default_rng(0).normal(size=(n_rows, 8))
    if loss == "softmax":
        gradient -= gradient.mean(axis=0)  # one number for all classes' intercepts changes nothing
    step = model.apply(gradient)
    hessian = _hessian(problem, coef, intercept)
    np.testing.assert_allclose(hessian @ step.ravel(), gradient.ravel(), atol=1e-5)


def test_whole_hessian_is_put_together_of_parts(monkeypatch):
    problem = _problem()
    coef, intercept = _parameters(problem, 4)
    subsample = Subsample.of(problem, 300, problem.dtype, np.random.RandomState(0))
    gradient = np.random.default_rng(0).normal(size=(4, 8))
    whole = FullHessian(subsample, problem, coef, intercept).apply(gradient)
    monkeypatch.setattr("fastsoftmax.optimization.preconditioning.BLOCK_ROWS", 7)
    parts = FullHessian(subsample, problem, coef, intercept).apply(gradient)
    np.testing.assert_allclose(parts, whole, rtol=1e-9)


def test_whole_hessian_of_sure_probabilities_in_float32():
    problem = _problem(n_samples=3000, dtype=np.float32, alpha=1e-10)
    coef, intercept = np.zeros((4, 7)), np.array([20.0, 0, 0, 0])
    subsample = Subsample.of(problem, 3000, problem.dtype, np.random.RandomState(0))
    step = FullHessian(subsample, problem, coef, intercept).apply(np.ones((4, 8)))
    assert np.isfinite(step).all()


@pytest.mark.parametrize(("loss", "n_rows"), LOSSES)
def test_kronecker_is_the_hessian_where_it_is_a_product(loss, n_rows, monkeypatch):
    """At coef 0 all rows have the same probabilities, and the Hessian is A ⊗ B + alpha."""
    monkeypatch.setattr("fastsoftmax.optimization.preconditioning.KRONECKER_RIDGE", 1e-9)
    problem = _problem(loss, n_rows)
    coef, intercept = np.zeros((n_rows, 7)), np.linspace(-1, 1, n_rows)
    subsample = Subsample.of(problem, 300, problem.dtype, np.random.RandomState(0))
    model = KroneckerHessian(subsample, problem, coef, intercept)
    gradient = np.random.default_rng(0).normal(size=(n_rows, 8))
    if loss == "softmax":
        gradient -= gradient.mean(axis=0)
    step = model.apply(gradient).ravel()
    back = _hessian(problem, coef, intercept) @ step
    # Equal but for the penalty's parts off its diagonal, which is 1e-2 beside curvatures of 0.2.
    np.testing.assert_allclose(back, gradient.ravel(), atol=0.05 * np.abs(gradient).max())


def test_low_rank_is_kronecker_where_the_rank_is_full(monkeypatch):
    problem = _problem(n_samples=60, n_features=30, sample_weight=None)
    coef, intercept = _parameters(problem, 4)
    subsample = Subsample.of(problem, 60, problem.dtype, np.random.RandomState(0))
    square = KroneckerHessian(subsample, problem, coef, intercept)
    low = LowRankHessian(subsample, problem, coef, intercept)
    gradient = np.random.default_rng(0).normal(size=(4, 31))
    np.testing.assert_allclose(low.apply(gradient), square.apply(gradient), rtol=0.02, atol=1e-3)


@pytest.mark.parametrize("form", [FullHessian, KroneckerHessian, LowRankHessian, DiagonalHessian])
def test_preconditioner_is_linear_symmetric_and_positive(form):
    problem = _problem(n_features=30)
    problem.X[:, 4] = problem.X[:, 5]  # a copy
    problem.X[:, 6] = 0
    coef, intercept = _parameters(problem, 4)
    subsample = Subsample.of(problem, 100, problem.dtype, np.random.RandomState(0))
    model = form(subsample, problem, coef, intercept)
    rng = np.random.default_rng(0)
    one, two = rng.normal(size=(2, 4, 31))
    np.testing.assert_allclose(
        model.apply(one) + 2 * model.apply(two), model.apply(one + 2 * two), rtol=1e-7, atol=1e-9
    )
    assert np.vdot(model.apply(one), two) == pytest.approx(np.vdot(one, model.apply(two)))
    assert all(np.vdot(z, model.apply(z)) > 0 for z in rng.normal(size=(20, 4, 31)))


@pytest.mark.parametrize(
    ("shape", "n_samples", "sparse", "form"),
    [
        ((10, 64), 100_000, False, FullHessian),
        ((10, 64), 1000, False, KroneckerHessian),
        ((3, 10), 1000, False, FullHessian),
        ((1, 1199), 1000, False, FullHessian),
        ((10, 784), 60_000, False, KroneckerHessian),
        ((10, 784), 1000, False, LowRankHessian),
        ((1000, 2047), 1000, False, KroneckerHessian),
        ((3, 2048), 1000, False, LowRankHessian),
        ((20, 42_254), 1000, True, DiagonalHessian),
        ((10, 784), 1000, True, DiagonalHessian),
        ((10, 784), 60_000, True, KroneckerHessian),
    ],
)
def test_form_by_size(shape, n_samples, sparse, form):
    given, n_drawn = preconditioner_for(*shape, n_samples, sparse)
    assert given is form
    assert 0 < n_drawn <= n_samples
    assert preconditioner_for(*shape, 3, sparse)[1] == 3


# --- L-BFGS ---------------------------------------------------------------------------------------


def _identity(vector):
    return vector


def _quadratic(diagonal):
    return lambda x: (float(0.5 * np.vdot(diagonal * x, x)), diagonal * x)


def test_lbfgs_minimises_rosenbrock_s_function():
    """Curved enough that steps must be shortened; the same minimum as everybody's."""
    end, reason, _ = minimize(
        lambda x: (rosen(x), rosen_der(x)),
        np.array([-1.2, 1.0, -1.2, 1.0]),
        _identity,
        1e-16,
        500,
        lambda iterate: np.linalg.norm(iterate.gradient) < 1e-9,
    )
    assert reason == "stopped"
    np.testing.assert_allclose(end.parameters, 1, atol=1e-8)
    assert end.n_evaluations < 100


def test_exact_preconditioner_needs_one_step():
    diagonal = np.logspace(-8, 8, 30)
    end, _, _ = minimize(
        _quadratic(diagonal),
        np.ones(30),
        lambda gradient: gradient / diagonal,
        1e-16,
        50,
        lambda iterate: iterate.value < 1e-20,
    )
    assert end.n_evaluations == 2


def test_preconditioner_is_worth_it():
    diagonal = np.logspace(0, 5, 60)

    def evaluations(precondition):
        end, reason, _ = minimize(
            _quadratic(diagonal),
            np.ones(60),
            precondition,
            1e-16,
            2000,
            lambda iterate: iterate.value < 1e-6,
        )
        return end.n_evaluations if reason == "stopped" else np.inf

    rough = diagonal * np.random.default_rng(0).uniform(0.5, 2, 60)
    assert 4 * evaluations(lambda gradient: gradient / rough) < evaluations(_identity)


def test_lbfgs_takes_a_change_whose_square_underflows():
    memory = _Memory(lambda vector: 1e-200 * vector, np.float64, [])
    memory.add(np.ones((1, 1)), np.full((1, 1), 1e-170))
    assert len(memory.pairs()) == 1
    assert np.isfinite(memory.direction(np.ones((1, 1)))).all()


def test_lbfgs_tries_a_length_that_was_right_before():
    def function(x):
        return float(x**4), 4 * x**3

    def search(x, length):
        value, gradient = function(x)
        iterate = Iterate(x, value, gradient, gradient, float(gradient * gradient), 1)
        return _search(function, iterate, 1e-16, length)

    found, length = search(np.array(1.0), 1.0)
    assert found.n_evaluations > 2
    assert length < 1
    again, longer = search(found.parameters, length)
    assert again.n_evaluations == 2
    assert longer == min(1.0, 2 * length)


def test_lbfgs_steps_back_from_what_is_not_finite():
    def function(x):  # log barrier: infinite or NaN from 0 on
        with np.errstate(all="ignore"):
            return float((x - np.log(x)).sum()), 1 - 1 / x

    end, _, _ = minimize(
        function,
        np.full(3, 1e-3),
        _identity,
        1e-16,
        200,
        lambda iterate: np.linalg.norm(iterate.gradient) < 1e-8,
    )
    np.testing.assert_allclose(end.parameters, 1, atol=1e-7)


def test_lbfgs_ends_where_rounding_lets_it_go_no_further():
    def coarse(x):  # three digits
        value, gradient = _quadratic(np.linspace(1, 50, 20))(x)
        return 0.1 * round(10 * (value + 100)), gradient.astype(np.float32).astype(float)

    end, reason, _ = minimize(coarse, np.ones(20), _identity, 1e-3, 10_000, lambda iterate: False)
    assert reason == "rounding"
    assert end.value == pytest.approx(100)
    assert end.n_evaluations < 500


def test_lbfgs_keeps_to_max_iter():
    seen = []
    _, reason, _ = minimize(
        _quadratic(np.logspace(0, 6, 30)),
        np.ones(30),
        _identity,
        1e-16,
        7,
        lambda iterate: bool(seen.append(iterate.value)),
    )
    assert reason == "max_iter"
    assert len(seen) == 8  # the start, and seven steps
    assert (np.diff(seen) < 0).all()


# --- Penalties that change ------------------------------------------------------------------------


@pytest.mark.parametrize("form", [FullHessian, KroneckerHessian, LowRankHessian, DiagonalHessian])
@pytest.mark.parametrize(("loss", "n_rows"), LOSSES)
def test_a_model_moves_to_another_penalty_and_place(form, loss, n_rows):
    problem = _problem(loss, n_rows, n_features=20)
    subsample = Subsample.of(problem, 300, problem.dtype, np.random.RandomState(0))
    random = np.random.default_rng(1)
    here = np.zeros((n_rows, 20)), np.zeros(n_rows)
    there = random.normal(size=(n_rows, 20)), random.normal(size=n_rows)
    gradient = random.normal(size=(n_rows, 21))
    gradient[:, -1] = 0  # the intercept has no penalty
    model = form(subsample, problem, *here)
    before = model.apply(gradient)
    model.move(replace(problem, alpha=1e4), *there)
    strong = model.apply(gradient)
    fresh = form(subsample, replace(problem, alpha=1e4), *there)
    # Where the penalty rules, the place where B was formed hardly matters; but its eigenvectors mix
    # in the intercept, which has no penalty.
    apart = (strong - fresh.apply(gradient))[:, :-1]
    assert np.linalg.norm(apart) < 0.1 * np.linalg.norm(strong[:, :-1])
    assert np.linalg.norm(strong[:, :-1]) < 0.01 * np.linalg.norm(before[:, :-1])
    model.move(problem, *there)
    if form is not FullHessian:  # the classes' curvature is that of the place
        fresh = form(subsample, problem, *there)
        np.testing.assert_array_equal(model._class_values, fresh._class_values)
        np.testing.assert_array_equal(model._class_vectors, fresh._class_vectors)
    model.move(problem, *here)
    np.testing.assert_allclose(model.apply(gradient), before, rtol=1e-9)


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize(("loss", "n_rows"), LOSSES)
def test_bound_holds_wherever_it_is_taken(loss, n_rows, fit_intercept):
    problem = _problem(loss, n_rows, fit_intercept=fit_intercept)
    coef, intercept = np.zeros((n_rows, 7)), np.zeros(n_rows)
    for _ in range(60):  # Newton's steps to the minimum
        _, *gradient = problem.loss_gradient(coef, intercept)
        flat = np.hstack([gradient[0], gradient[1][:, None]]).ravel()
        step = np.linalg.lstsq(_hessian(problem, coef, intercept), flat, rcond=1e-8)[0]
        step = step.reshape(n_rows, -1)
        coef, intercept = coef - step[:, :-1], intercept - step[:, -1] * fit_intercept
        if np.abs(flat).max() < 1e-12:
            break
    least = problem.loss_gradient(coef, intercept)[0]
    rng = np.random.default_rng(0)
    for size in (1e-3, 0.1, 3.0):
        at = coef + size * rng.normal(size=coef.shape)
        start = intercept + (size * rng.normal(size=n_rows) if fit_intercept else 0)
        moved, objective, bound = profiled_bound(problem, at, start)
        assert objective == pytest.approx(problem.loss_gradient(at, moved)[0], rel=1e-12)
        assert objective <= problem.loss_gradient(at, start)[0] + 1e-14
        assert objective - least <= bound + 1e-13
        if not fit_intercept:
            np.testing.assert_array_equal(moved, start)


def test_no_bound_without_penalty():
    problem = _problem(alpha=0.0)
    assert profiled_bound(problem, *_parameters(problem, 4))[2] == np.inf


def test_intercept_of_rows_that_are_all_sure_has_a_step():
    """Rounding errors of float32 probabilities are all that its Hessian then holds."""
    problem = _problem(n_features=30)
    coef, intercept = _parameters(problem, 4)
    for factor in (1.0, 1e3, 1e6):
        _, objective, bound = profiled_bound(problem, factor * coef, factor * intercept)
        assert np.isfinite(objective)
        assert bound >= 0
    values = np.ones((4, 4)) * 1e-12 - 2e-12 * np.eye(4)  # negative by rounding

    def rounded(*arguments):
        return values.copy()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fastsoftmax.optimization.certificate._intercept_hessian", rounded)
        _, objective, bound = profiled_bound(problem, coef, intercept)
    assert np.isfinite(objective)

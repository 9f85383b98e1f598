"""Newton's method on small problems: the kernel against its twin, and the problem around it."""

import numpy as np
import pytest
from twins import assert_close

from fastsoftmax import LogisticRegression, SoftmaxClassifier, kernels
from fastsoftmax.kernels import reference
from fastsoftmax.optimization import newton
from fastsoftmax.optimization.newton import SmallProblem, is_small
from fastsoftmax.problem.objective import Problem

MOST = 40

#: n_samples, n_columns, n_rows, loss: below and above a vector, a tile of features and a block of
#: samples; classes in fours and not.
SHAPES = [
    (7, 2, 2, "softmax"),
    (1, 1, 3, "softmax"),
    (150, 5, 3, "softmax"),
    (530, 9, 5, "softmax"),
    (1100, 4, 4, "softmax"),
    (90, 13, 8, "softmax"),
    (569, 31, 1, "logistic"),
    (64, 4, 5, "logistic"),
]


def arguments(n_samples, n_columns, n_rows, loss, seed=0, smoothing=0.0, penalty=1e-3):
    """A problem for the kernel, by the names of its arguments, its outputs left out."""
    rng = np.random.default_rng(seed)
    design = rng.normal(size=(n_columns, n_samples))
    design[-1] = 1
    raw = rng.normal(size=(max(n_rows, 2), n_columns)) @ design
    codes = (raw + rng.gumbel(size=raw.shape)).argmax(axis=0)
    targets = (np.arange(n_rows)[:, None] == codes).astype(np.float64)
    targets = targets * (1 - smoothing) + smoothing / max(n_rows, 2)
    weight = rng.uniform(0.5, 1.5, n_samples)
    return {
        "design": design,
        "targets": targets,
        "weight": weight / weight.sum(),
        "penalty": np.append(np.full(n_columns - 1, penalty), 0.0),
        "loss": loss,
        "fit_intercept": True,
        "tol": 1e-12,
        "tol_of_penalty": 0.0,
        "least_of_value": 0.0,
    }


def run(module, given, n_values=MOST, **others):
    """What the kernel returns, its iterates, their values and the last probabilities."""
    given = given | others
    (n_columns, n_samples), n_rows = given["design"].shape, len(given["targets"])
    thetas = np.zeros((n_values, n_rows, n_columns))
    values, probability = np.zeros((n_values, 4)), np.zeros((n_rows, n_samples))
    end = module.newton(
        **given, thetas_inplace=thetas, values_out=values, probability_out=probability
    )
    return end, thetas, values, probability


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_kernel_is_its_twin(kernel, shape, smoothing):
    given = arguments(*shape, smoothing=smoothing)
    end, thetas, values, probability = run(kernel, given)
    twin_end, twin_thetas, twin_values, twin_probability = run(reference, given)
    assert end == twin_end
    assert end[1] == "converged"
    # Each iterate depends on the one before, but its error is squared as it does so.
    size = 1 + np.abs(twin_thetas).max()
    assert_close(thetas, twin_thetas, size, 2000)
    assert_close(values[:, :2], twin_values[:, :2], 1 + np.abs(twin_values[:, :2]), 100)
    assert_close(probability, twin_probability, np.ones_like(probability), 5000)
    # Decrement and gradient are differences of the parts of a gradient of about 1.
    np.testing.assert_allclose(values[:, 2:], twin_values[:, 2:], rtol=1e-6, atol=1e-13)


@pytest.mark.parametrize("loss", ["softmax", "logistic"])
def test_intercept_that_is_not_fitted_stays(build, loss):
    module = kernels.implementation
    given = arguments(80, 4, 3, loss)
    given["design"][-1] = 0
    end, thetas, values, _ = run(module, given, fit_intercept=False)
    assert end[1] == "converged"
    assert not thetas[:, :, -1].any()
    assert values[end[0], 0] < values[0, 0]


def test_ends_where_rounding_lets_it_go_no_further(build):
    module = kernels.implementation
    for tol in (0.0, np.nan):
        (n_steps, reason), _, values, _ = run(module, arguments(150, 5, 3, "softmax"), tol=tol)
        assert reason == "rounding"
        assert n_steps < 20
        assert values[n_steps, 2] < 1e-28


def test_ends_after_as_many_steps_as_there_is_room_for(build):
    given = arguments(150, 5, 3, "softmax")
    (n_steps, reason), _, values, _ = run(kernels.implementation, given, n_values=3)
    assert (n_steps, reason) == (2, "max_iter")
    assert (np.diff(values[:, 0]) < 0).all()
    (n_steps, reason), _, values, _ = run(kernels.implementation, given, n_values=1)
    assert (n_steps, reason) == (0, "max_iter")
    assert values[0, 2] > 0


def test_share_of_the_penalty_and_of_the_value(build):
    given = arguments(150, 5, 3, "softmax")
    for share, name in ((1e-6, "tol_of_penalty"), (1e-4, "least_of_value")):
        (n_steps, reason), _, values, _ = run(
            kernels.implementation, given, tol=0.0, **{name: share}
        )
        allowed = share * values[:, 1 if name == "tol_of_penalty" else 0]
        assert reason == "converged"
        assert 0.5 * values[n_steps, 2] <= allowed[n_steps]
        assert 0.5 * values[n_steps - 1, 2] > allowed[n_steps - 1]


def test_steps_from_far_away_are_shortened(build):
    given = arguments(150, 5, 3, "softmax", penalty=1e-6)
    thetas, values = np.zeros((200, 3, 5)), np.zeros((200, 4))
    thetas[0] = 30 * np.random.default_rng(1).normal(size=(3, 5))
    thetas[0] -= thetas[0].mean(axis=0)
    n_steps, reason = kernels.implementation.newton(
        **given, thetas_inplace=thetas, values_out=values, probability_out=np.zeros((3, 150))
    )
    assert reason == "converged"
    assert (np.diff(values[: n_steps + 1, 0]) <= 1e-12).all()
    usual = run(reference, given)
    np.testing.assert_allclose(values[n_steps, 0], usual[2][usual[0][0], 0], rtol=1e-12)


def test_columns_without_a_say_are_left_alone(build):
    given = arguments(60, 5, 3, "softmax")
    given["design"][1] = 0
    given["design"][2] = given["design"][0]  # no curvature between them without a penalty
    given["penalty"][:] = 0
    (n_steps, reason), thetas, values, _ = run(kernels.implementation, given, tol=1e-10)
    assert reason == "converged"
    assert not thetas[:, :, 1].any()
    assert np.isfinite(thetas).all()
    assert values[n_steps, 0] < values[0, 0]


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("design", np.zeros((3, 5), np.float32), TypeError),
        ("design", np.zeros((5, 3)).T, TypeError),
        ("weight", np.ones(4), ValueError),
        ("penalty", np.ones(4), ValueError),
        ("targets", np.zeros((2, 4)), ValueError),
        ("loss", "hinge", ValueError),
        ("values_out", np.zeros((3, 5)), ValueError),
        ("thetas_inplace", np.zeros((2, 2, 3)), ValueError),
        ("probability_out", np.zeros((2, 4)), ValueError),
    ],
)
def test_refuses_what_it_would_misread(build, name, value, error):
    given = arguments(5, 3, 2, "softmax") | {
        "thetas_inplace": np.zeros((3, 2, 3)),
        "values_out": np.zeros((3, 4)),
        "probability_out": np.zeros((2, 5)),
    }
    with pytest.raises(error, match=f"^{name} must"):
        kernels.implementation.newton(**(given | {name: value}))


def test_refuses_what_has_no_minimum(build):
    given = arguments(5, 3, 2, "softmax")
    with pytest.raises(ValueError, match="values_out must have at least 1 row"):
        run(kernels.implementation, given, n_values=0)
    given |= {"design": np.zeros((3, 0)), "targets": np.zeros((2, 0)), "weight": np.zeros(0)}
    with pytest.raises(ValueError, match="design must not be empty"):
        run(kernels.implementation, given)
    with pytest.raises(ValueError, match="targets must have at least 1 row"):
        run(kernels.implementation, arguments(5, 3, 2, "softmax") | {"targets": np.zeros((0, 5))})


# --- The problem around it ------------------------------------------------------------------------


def small_problem(X, codes, n_rows, **others):
    given = {
        "rows": np.arange(len(X)),
        "y_true": codes.astype(np.int32),
        "sample_weight": None,
        "shift": None,
        "inverse_scale": None,
        "loss": "softmax" if n_rows > 1 else "logistic",
        "alpha": 1e-3,
        "fit_intercept": True,
        "n_threads": 1,
        "dtype": np.dtype(np.float64),
    }
    return Problem(X=X, **(given | others))


def test_units_lead_there_and_back():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(50, 4)) * [1e-8, 1, 1e8, 0] + [0, 1e6, 0, 3]
    small = SmallProblem.of(small_problem(X, rng.integers(0, 3, 50), 3), 3)
    coef, intercept = rng.normal(size=(3, 4)) * [1e8, 1, 1e-8, 0], rng.normal(size=3)
    there, offset = small.parameters(small.theta_of(coef, intercept))
    np.testing.assert_allclose(there, coef, rtol=1e-14)
    np.testing.assert_allclose(offset, intercept, atol=1e-9)


def test_large_problems_are_none_of_it():
    assert is_small(1000, 10, 3, "softmax")
    assert not is_small(10**6, 10, 3, "softmax")
    assert not is_small(1000, 1000, 3, "softmax")
    assert is_small(1000, 100, 10, "softmax", at_last=True)
    assert not is_small(1000, 100, 10, "softmax")


def test_the_kernel_is_what_fits_small_data(monkeypatch):
    calls = []
    real = kernels.implementation.newton
    monkeypatch.setattr(
        kernels.implementation, "newton", lambda *a, **k: calls.append(1) or real(*a, **k)
    )
    X = np.random.default_rng(0).normal(size=(60, 4))
    y = np.arange(60) % 3
    LogisticRegression().fit(X, y)
    assert len(calls) == 1  # all of a fit is one call
    SoftmaxClassifier(dtype="float32").fit(X, y)
    assert len(calls) == 3  # and one to see what rounding the coefficients has cost


def test_calls_are_cut_so_that_ctrl_c_is_heeded(monkeypatch):
    X, y = np.random.default_rng(0).normal(size=(60, 4)), np.arange(60) % 3
    whole = LogisticRegression(tol=1e-10).fit(X, y)
    monkeypatch.setattr(newton, "MOST_ITERATIONS_A_CALL", 2)
    cut = LogisticRegression(tol=1e-10).fit(X, y)
    np.testing.assert_allclose(cut.coef_, whole.coef_, rtol=1e-9)
    np.testing.assert_allclose(cut.loss_curve_, whole.loss_curve_, rtol=1e-12)
    for at in (1, 2):
        model = SoftmaxClassifier(tol=1e-12, callbacks=[lambda info, at=at: info.epoch == at])
        with pytest.warns(UserWarning, match="a callback stopped it"):
            model.fit(X, y)
        assert model.n_iter_ == at


def _weakly_penalised():
    """Where the estimate is within the tolerance long before the bound is."""
    rng = np.random.default_rng(1)
    X = rng.normal(size=(80, 3)) * [1.0, 30.0, 1000.0]
    return X, (X[:, 0] + rng.normal(size=80) > 0).astype(int)


def test_goes_on_until_it_is_proved():
    X, y = _weakly_penalised()
    classifier = SoftmaxClassifier(alpha=1e-6, tol=1e-5).fit(X, y)
    assert classifier.suboptimality_bound_ <= 1e-5
    ended = []
    n_iter = classifier.n_iter_ - 1
    classifier = SoftmaxClassifier(
        alpha=1e-6, tol=1e-5, max_iter=n_iter, callbacks=[lambda info: ended.append(info.epoch)]
    ).fit(X, y)
    assert classifier.converged_
    assert classifier.suboptimality_bound_ > 1e-5  # the last step is what proves it
    assert ended == list(range(1, n_iter + 1))


def test_gives_up_where_it_can_not_be_proved():
    X, y = _weakly_penalised()
    # The squares of a gradient that is rounding errors, over a penalty that is next to nothing.
    classifier = SoftmaxClassifier(alpha=1e-40, tol=1e-5).fit(X, y)
    assert classifier.converged_
    assert classifier.suboptimality_bound_ > 1e-5
    assert classifier.n_iter_ < 30

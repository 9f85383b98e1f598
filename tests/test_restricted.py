"""Softmax over the likeliest classes of each row: the kernels against their twins, and its steps.

What fits by it come to is held to the same truth as all others.
"""

import math
from dataclasses import replace

import numpy as np
import pytest
from pairs import pairs
from scipy.sparse import csr_array
from truth import Objective
from twins import DTYPES, assert_close

from fastsoftmax import LogisticRegression, SoftmaxClassifier, SoftmaxClassifierCV, kernels
from fastsoftmax.kernels import reference
from fastsoftmax.optimization.certificate import profiled_bound
from fastsoftmax.optimization.curvature import Subsample
from fastsoftmax.optimization.preconditioning import KroneckerHessian
from fastsoftmax.optimization.restricted import Restricted, has_many_classes
from fastsoftmax.problem.objective import Problem

N_KEPT = reference.N_KEPT


@pytest.fixture
def small(monkeypatch):
    """A hundred classes are many, however short a pass."""
    monkeypatch.setattr("fastsoftmax.optimization.restricted.MANY_CLASSES", 100)


#: n_samples, n_features, n_rows: below, at and above a vector, a stripe of features of either part,
#: a chunk of rows, a share, and what a share's sums may hold; fewer classes than slots and more.
SHAPES = [(30, 1, 5), (257, 16, 16), (300, 17, 40), (90, 65, 17), (530, 130, 120), (64, 300, 33)]
SHAPES += [(40, 5000, 33)]


def drawn(n_samples, n_features, n_rows, dtype=np.float64, seed=0):
    """A kernel's X, rows, codes and weights, one of them 0, and parameters of some size."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_samples, n_features)).astype(dtype)
    rows = rng.permutation(n_samples)[: n_samples - 3]
    codes = rng.integers(n_rows, size=n_samples).astype(np.int32)
    weight = rng.uniform(0.5, 1.5, n_samples).astype(dtype)
    weight[rows[5]] = 0
    coef = rng.normal(size=(n_rows, n_features)) * 2 / np.sqrt(n_features)
    return X, rows, codes, weight, coef.astype(dtype), rng.normal(size=n_rows).astype(dtype)


def met(module, work, smoothing=0.0, n_threads=1):
    """The loss, gradients and likeliest classes of one pass over the rows; sums over them."""
    X, rows, codes, weight, coef, intercept = work
    kept = np.full((len(rows), N_KEPT), -1, np.int32)
    probability = np.full((len(rows), N_KEPT), np.nan, coef.dtype)
    gradients = np.empty_like(coef), np.empty_like(intercept)
    loss = module.loss_gradient(
        *(X, rows, codes, weight, None, None, coef, intercept, *gradients),
        *("softmax", True, n_threads, smoothing, kept, probability),
    )
    weight_sum = len(rows) if weight is None else weight[rows].sum(dtype=np.float64)
    return loss * weight_sum, *(weight_sum * part for part in gradients), kept, probability


def bent(module, work, likeliest, change, n_threads=1, scaling=(None, None)):
    """The loss and gradients of a change of the parameters."""
    X, rows, _, weight, *_ = work
    gradients = [np.full_like(part, np.nan) for part in change]
    loss = module.restricted_loss_gradient(
        X, rows, weight, *scaling, *likeliest, *change, *gradients, n_threads
    )
    return loss, *gradients


def changes(n_rows, n_features, dtype, seed=1):
    rng = np.random.default_rng(seed)
    coef = rng.normal(size=(n_rows, n_features)) / np.sqrt(n_features)
    return coef.astype(dtype), rng.normal(size=n_rows).astype(dtype)


# --- Kernels --------------------------------------------------------------------------------------


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_likeliest_are_those_of_the_twin(kernel, shape, dtype, smoothing):
    work = drawn(*shape, dtype)
    *_, kept, probability = met(kernel, work, smoothing, 2)
    *_, expected, of_twin = met(reference, work, smoothing)
    np.testing.assert_array_equal(kept, expected)
    assert_close(probability, of_twin, np.ones_like(of_twin), 40 + 2 * shape[1])


def test_likeliest_by_hand(build):
    """Probabilities of 21 classes that are known: the own first, then those above a rung."""
    chance = np.array([0.3, 0.2, 0.1, 0.08, *[0.02] * 16, 0.0])
    chance[-1] = 1 - chance.sum()  # next to nothing
    chance = np.maximum(chance, 1e-9)
    work = (np.ones((2, 1)), np.arange(2), np.array([3, 20], np.int32), None)
    work = (*work, np.log(chance)[:, None] - 0.0, np.zeros(21))
    *_, kept, probability = met(kernels.implementation, work)
    # Sixteen of 0.02 and three or four above are more than there is room for: the rung is above.
    np.testing.assert_array_equal(kept[0], [3, 0, 1, 2] + [0] * 12)
    np.testing.assert_allclose(probability[0, :4], [0.08, 0.3, 0.2, 0.1], rtol=1e-6)
    np.testing.assert_array_equal(probability[0, 4:], 0)
    np.testing.assert_array_equal(kept[1, :5], [20, 0, 1, 2, 3])
    assert probability[1, 0] == pytest.approx(2 ** (-31 / 3))  # raised to the lowest rung
    np.testing.assert_array_equal(probability[1, 5:], 0)


def test_a_row_of_no_weight_keeps_nothing(build):
    work = drawn(40, 3, 20)
    *_, kept, probability = met(kernels.implementation, work)
    np.testing.assert_array_equal(probability[5], 0)
    assert (probability[np.arange(len(kept)) != 5, 0] > 0).all()
    assert kept[5, 0] == work[2][work[1][5]]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_change_of_the_loss_is_that_of_the_twin(kernel, shape, dtype):
    work = drawn(*shape, dtype)
    likeliest = met(reference, work)[3:]
    change = changes(*shape[:0:-1], dtype)
    expected = bent(reference, work, likeliest, change)
    for n_threads in (1, 2, 3):
        loss, *gradients = bent(kernel, work, likeliest, change, n_threads)
        assert loss == pytest.approx(expected[0], rel=float(300 * np.finfo(dtype).eps))
        for actual, wanted in zip(gradients, expected[1:], strict=True):
            # A sum over the rows, of values of 3 at most and raw predictions as well rounded.
            assert_close(actual, wanted, np.full(wanted.shape, 3.0), 20 * np.sqrt(shape[0]))


@pytest.mark.parametrize("item", [np.uint8, np.float32, np.float64])
@pytest.mark.parametrize("order", ["C", "F"])
def test_rows_are_read_as_by_the_other_kernels(kernel, item, order):
    X, *others = drawn(300, 150, 30, np.float32)
    X = np.abs(10 * X) if item == np.uint8 else X
    X = X.astype(item, order=order)
    rng = np.random.default_rng(1)  # each feature has its own, in the second stripe too
    scaling = tuple(rng.uniform(0.1, 0.5, 150).astype(np.float32) for _ in range(2))
    work = (X, *others)
    scaled = ((X.astype(np.float32) - scaling[0]) * scaling[1], *others)
    likeliest = met(reference, scaled)[3:]
    change = changes(30, 150, np.float32)
    expected = bent(reference, scaled, likeliest, change)
    actual = bent(kernel, work, likeliest, change, scaling=scaling)
    assert actual[0] == pytest.approx(expected[0], rel=1e-5)
    np.testing.assert_allclose(actual[1], expected[1], atol=1e-4)
    np.testing.assert_allclose(actual[2], expected[2], atol=1e-4)


@pytest.mark.parametrize(
    ("kernel", "dtype", "n_features"),
    pairs(kernels.available, DTYPES, [16, 512, 519]),
    indirect=["kernel"],
)
def test_the_same_bits_on_any_number_of_threads(kernel, dtype, n_features):
    work = drawn(2000, n_features, 150, dtype)
    likeliest = met(reference, work)[3:]
    change = changes(150, n_features, dtype)
    expected = bent(kernel, work, likeliest, change)
    for n_threads in (2, 3, 5):
        for one, other in zip(
            bent(kernel, work, likeliest, change, n_threads), expected, strict=True
        ):
            np.testing.assert_array_equal(one, other)


def test_with_all_classes_kept_it_is_the_loss_less_its_first_order(build):
    work = drawn(200, 9, 12)
    work[4][:] /= 4
    work[5][:] /= 4
    module = kernels.implementation
    loss, coef_gradient, intercept_gradient, *likeliest = met(module, work)
    assert (np.count_nonzero(likeliest[1], axis=1) == 12).sum() == len(work[1]) - 1
    change = [part / 2 for part in changes(12, 9, np.float64)]
    moved = (*work[:4], work[4] + change[0], work[5] + change[1])
    after, coef_after, intercept_after, *_ = met(module, moved)
    value, of_coef, of_intercept = bent(module, work, likeliest, change)
    first = np.vdot(coef_gradient, change[0]) + intercept_gradient @ change[1]
    assert value == pytest.approx(after - loss - first, rel=1e-9)
    np.testing.assert_allclose(of_coef, coef_after - coef_gradient, atol=1e-9)
    np.testing.assert_allclose(of_intercept, intercept_after - intercept_gradient, atol=1e-9)


def test_a_step_too_far_is_infinite_and_no_error(build):
    work = drawn(50, 4, 20)
    likeliest = met(kernels.implementation, work)[3:]
    with np.errstate(all="ignore"):
        loss, *_ = bent(
            kernels.implementation, work, likeliest, [1e4 * part for part in changes(20, 4, "f8")]
        )
    assert not np.isfinite(loss)


@pytest.mark.parametrize("wrong", [-1, 20, 2**31 - 1, -(2**31)])
def test_codes_out_of_range(build, wrong):
    work = drawn(50, 4, 20)
    kept, probability = met(kernels.implementation, work)[3:]
    kept[-1, -1] = wrong
    with pytest.raises(ValueError, match=rf"kept must hold class codes in \[0, 20\); got {wrong}"):
        bent(kernels.implementation, work, (kept, probability), changes(20, 4, np.float64))


def test_likeliest_classes_are_of_softmax_alone(build):
    X, rows, codes, weight, coef, intercept = drawn(50, 4, 20)
    kept, probability = np.zeros((47, N_KEPT), np.int32), np.zeros((47, N_KEPT))
    arguments = (X, rows, codes, weight, None, None, coef, intercept, coef * 0, intercept * 0)
    with pytest.raises(ValueError, match="kept_out is for loss='softmax'"):
        kernels.implementation.loss_gradient(
            *arguments, "logistic", True, 1, 0.0, kept, probability
        )


# --- When -----


@pytest.mark.parametrize(
    ("n_samples", "n_features", "n_classes", "is_worth_it"),
    [
        (3000, 16, 1000, True),
        (5000, 32, 500, True),
        (900, 8, 300, True),
        (900, 7, 300, False),
        (3000, 32, 299, False),
        (20_000, 64, 200, True),
        (40_000, 64, 99, False),
    ],
)
def test_a_hundred_classes_are_many_where_a_pass_is_long(
    n_samples, n_features, n_classes, is_worth_it
):
    problem = posed(rows=np.zeros(n_samples, np.intp), X=np.zeros((1, n_features)))
    assert has_many_classes(problem, n_classes) == is_worth_it
    assert not has_many_classes(replace(problem, alpha=1e-11), n_classes)
    assert not has_many_classes(replace(problem, loss="logistic"), n_classes)


# --- Steps ----------------------------------------------------------------------------------------


def many(n_samples=900, n_features=16, n_classes=100, noise=1.5, seed=0):
    """Many classes about normal centres, which overlap."""
    rng = np.random.default_rng(seed)
    y = np.arange(n_samples) % n_classes
    X = rng.normal(size=(n_classes, n_features))[y]
    return X + noise * rng.normal(size=X.shape), y


def least(X, y, weight=None, alpha=1e-3, **given):
    """The minimum, by L-BFGS over all classes, proved by the bound; and how well it is known."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fastsoftmax.optimization.restricted.MANY_CLASSES", math.inf)
        model = SoftmaxClassifier(alpha=alpha, tol=1e-10, dtype="float64", random_state=0, **given)
        model.fit(np.asarray(X, np.float64), y, weight)
    objective = Objective(X, y, 100, alpha, weight, **given)
    assert model.suboptimality_bound_ < 1e-7
    return objective, objective(model.coef_, model.intercept_)


def posed(dtype=np.float64, **given):
    X, y = many()
    weight = np.random.default_rng(3).uniform(0.5, 1.5, len(y))
    settings = {
        "X": X.astype(dtype),
        "rows": np.arange(len(y)),
        "y_true": y.astype(np.int32),
        "sample_weight": (weight / weight.mean()).astype(dtype),
        "shift": None,
        "inverse_scale": None,
        "loss": "softmax",
        "alpha": 1e-3,
        "fit_intercept": True,
        "n_threads": 1,
        "dtype": np.dtype(dtype),
    }
    return Problem(**settings | given)


def looked_at(problem, seed=1, size=0.5):
    """Parameters, the objective and its gradient there, a Restricted that knows of it, a model."""
    rng = np.random.default_rng(seed)
    subsample = Subsample.of(problem, len(problem.rows), problem.dtype, rng)
    restricted = Restricted(problem, 100, subsample.second_moments())
    parameters = size * rng.normal(size=(100, problem.X.shape[1] + 1))
    parameters[:, -1] = 0
    # From zero probabilities are alike; a gradient step tells the classes apart.
    for _ in range(30):
        value, *parts = problem.loss_gradient(
            parameters[:, :-1], parameters[:, -1], restricted.likeliest
        )
        gradient = np.hstack([parts[0], parts[1][:, None]])
        parameters -= 5 * gradient
    value, *parts = problem.loss_gradient(
        parameters[:, :-1], parameters[:, -1], restricted.likeliest
    )
    gradient = np.hstack([parts[0], parts[1][:, None]])
    model = KroneckerHessian(subsample, problem, parameters[:, :-1], parameters[:, -1])
    return parameters, value, gradient, restricted, model


@pytest.mark.parametrize("given", [{}, {"fit_intercept": False}, {"label_smoothing": 0.1}])
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_step_goes_most_of_the_way(dtype, given):
    problem = posed(dtype, **given)
    parameters, value, gradient, restricted, model = looked_at(problem)
    rounding = 8 * np.finfo(dtype).eps
    direction, decrement = restricted.step(parameters, gradient, model, rounding, 0.0)
    assert decrement == pytest.approx(np.vdot(gradient, direction))
    assert decrement > 0
    if not problem.fit_intercept:
        assert not direction[:, -1].any()
    moved = parameters - direction
    after = problem.loss_gradient(moved[:, :-1], moved[:, -1])[0]
    step = model.apply(gradient)
    plain = problem.loss_gradient((parameters - step)[:, :-1], (parameters - step)[:, -1])[0]
    assert after < value - 0.35 * decrement
    assert after < plain


def test_rest_is_the_mean_probability_of_the_classes_not_kept(build):
    problem = posed(label_smoothing=0.1)
    parameters, _, _, restricted, _ = looked_at(problem)
    likeliest = restricted.likeliest
    raw = problem.X @ parameters[:, :-1].T + parameters[:, -1]
    probability = np.exp(raw - raw.max(axis=1, keepdims=True))
    probability /= probability.sum(axis=1, keepdims=True)
    for i, (codes, share) in enumerate(zip(likeliest.codes, likeliest.probability, strict=True)):
        kept = share > 0
        np.testing.assert_allclose(
            np.maximum(probability[i, codes[kept]], 2 ** (-31 / 3)), share[kept], rtol=1e-9
        )
        probability[i, codes[kept]] -= share[kept]
    expected = problem.sample_weight @ probability / problem.weight_sum
    np.testing.assert_allclose(likeliest.rest, np.maximum(expected, 0), atol=1e-12)


def test_no_step_where_the_kept_classes_are_not_most_of_it():
    problem = posed()
    parameters, _, gradient, restricted, model = looked_at(problem)
    zeros = np.zeros((100, 16))
    problem.loss_gradient(zeros, np.zeros(100), restricted.likeliest)  # all classes are alike
    assert restricted.step(parameters, gradient, model, 1e-15, 0.0)[0] is None


def test_the_bound_is_one():
    problem = posed()
    _, truth = least(problem.X, problem.y_true, problem.sample_weight)
    parameters, value, gradient, restricted, model = looked_at(problem)
    for _ in range(8):
        exact = profiled_bound(problem, parameters[:, :-1], parameters[:, -1])
        near = profiled_bound(
            problem, parameters[:, :-1], parameters[:, -1], likeliest=restricted.likeliest
        )
        bound = restricted.bound(parameters, gradient, np.inf)
        assert exact[1] - truth <= exact[2] + 1e-12
        assert near[1] - truth <= near[2] + 1e-12
        assert near[2] == pytest.approx(exact[2], rel=0.1)
        assert exact[2] / 4 < bound < 1.3 * exact[2]
        direction, _ = restricted.step(parameters, gradient, model, 1e-15, 0.0)
        parameters = parameters - direction
        value, *parts = problem.loss_gradient(
            parameters[:, :-1], parameters[:, -1], restricted.likeliest
        )
        gradient = np.hstack([parts[0], parts[1][:, None]])
    assert value - truth < 2e-4


# --- Fits -----------------------------------------------------------------------------------------


@pytest.fixture
def steps(monkeypatch, small):
    """How many of its steps fits take: a list that grows."""
    taken, of_class = [], Restricted.step

    def step(self, *arguments):
        direction, decrement = of_class(self, *arguments)
        if direction is not None:
            taken.append(decrement)
        return direction, decrement

    monkeypatch.setattr(Restricted, "step", step)
    return taken


WAYS = {
    "plain": {},
    "no intercept": {"fit_intercept": False},
    "z-scored": {"standardize": True},
    "smoothed": {"label_smoothing": 0.1},
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("way", WAYS)
def test_ends_at_the_minimum(steps, way, weighted, dtype):
    X, y = many()
    X = X.astype(dtype)
    weight = np.random.default_rng(4).integers(0, 4, len(y)) * 1.0 if weighted else None
    model = SoftmaxClassifier(alpha=1e-3, random_state=0, **WAYS[way]).fit(X, y, weight)
    assert len(steps) >= 2
    objective, truth = least(X, y, weight, **WAYS[way])
    above = objective(model.coef_, model.intercept_) - truth
    rounding = 2e-6 if dtype == np.float32 else 1e-12
    assert model.converged_
    assert -rounding < above < 1e-5 + rounding
    assert above <= model.suboptimality_bound_ + rounding
    assert model.suboptimality_ <= min(1e-5, model.suboptimality_bound_)
    assert model.suboptimality_ > above / 3 - rounding


def test_an_intercept_that_is_far_off_is_seen(steps):
    """Rows that say nothing of their classes: all there is to find is how frequent these are."""
    rng = np.random.default_rng(0)
    y = np.append(np.arange(100), rng.geometric(0.05, 2000) % 100)
    X = np.zeros((len(y), 16))
    X[::50] = 1e-3 * rng.normal(size=X[::50].shape)
    for solver in ("auto", "lbfgs"):
        model = SoftmaxClassifier(alpha=1e-3, solver=solver, random_state=0).fit(X, y)
        objective, truth = least(X, y)
        assert model.converged_
        assert objective(model.coef_, model.intercept_) - truth < 2e-5


def test_logistic_regression_ends_there_too(steps):
    X, y = many(n_samples=1500)
    model = LogisticRegression(C=1.0).fit(X, y)
    objective, truth = least(X, y, alpha=1 / len(y))
    above = objective(model.coef_, model.intercept_) - truth
    assert steps
    assert model.converged_
    assert above < 1e-8


def test_a_minimum_far_below_tol(steps):
    X, y = many()
    model = SoftmaxClassifier(alpha=1e-3, tol=1e-12, random_state=0).fit(X, y)
    objective, truth = least(X, y)
    assert model.converged_
    assert objective(model.coef_, model.intercept_) - truth < 1e-11


@pytest.mark.parametrize(
    "spoilt",
    [
        lambda direction: -direction,
        lambda direction: 1e6 * direction,
        lambda direction: np.full_like(direction, np.nan),
        lambda direction: 0 * direction,
    ],
    ids=["uphill", "too far", "NaN", "nowhere"],
)
def test_wrong_steps_change_no_minimum(monkeypatch, small, spoilt):
    """The objective decides; where it doesn't fall, L-BFGS goes on."""
    of_class = Restricted.step

    def step(self, *arguments):
        direction, decrement = of_class(self, *arguments)
        return (None if direction is None else spoilt(direction)), decrement

    monkeypatch.setattr(Restricted, "step", step)
    X, y = many()
    model = SoftmaxClassifier(alpha=1e-3, random_state=0).fit(X, y)
    objective, truth = least(X, y)
    assert model.converged_
    assert objective(model.coef_, model.intercept_) - truth < 1e-5


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(
    ("n_classes", "given", "is_sparse"),
    [
        (99, {}, False),
        (100, {"multi_class": "ovr"}, False),
        (100, {}, True),
        (100, {"solver": "sgd"}, False),
    ],
    ids=["few classes", "one against the others", "sparse", "sgd"],
)
def test_others_go_their_own_way(steps, n_classes, given, is_sparse):
    X, y = many(n_classes=n_classes)
    X = csr_array(X) if is_sparse else X
    SoftmaxClassifier(random_state=0, max_iter=30, **given).fit(X, y)
    assert not steps


def test_threads_change_no_bit(build, small):
    X, y = many(n_samples=600, n_features=24)
    if build == "reference":
        pytest.skip("it has no threads")
    one, two = (SoftmaxClassifier(random_state=0, n_jobs=n_jobs).fit(X, y) for n_jobs in (1, 2))
    np.testing.assert_array_equal(one.coef_, two.coef_)


def test_a_path_takes_them_as_well(steps):
    X, y = many(n_samples=1200)
    search = SoftmaxClassifierCV(alphas=[1e-2, 1e-3], cv=2, random_state=0).fit(X, y)
    assert steps
    assert search.converged_


def test_few_rows_in_their_span(steps):
    X, y = many(n_samples=300, n_features=500, noise=0.7)
    model = SoftmaxClassifier(alpha=1e-3, random_state=0).fit(X, y)
    objective, truth = least(X, y)
    assert steps
    assert model.converged_
    assert objective(model.coef_, model.intercept_) - truth < 1e-5

"""The loop over epochs: its arithmetic on every build, then stopping and divergence.

Divergence is provoked by real learning rates where its result is looked at, and by a stand-in for
``Problem.run_epoch`` where the order of events is.
"""

import numpy as np
import pytest
from pairs import pairs, together
from sgd import sgd_classifier
from sklearn.datasets import load_digits

from fastsoftmax import kernels
from fastsoftmax.optimization.history import Epoch, History
from fastsoftmax.optimization.sgd import MAX_HALVINGS, Plan, train
from fastsoftmax.problem.objective import Problem, State

UPDATES = {
    "sgd": {"momentum": 0, "learning_rate": 0.05},
    "momentum": {"momentum": 0.9},
    "nesterov": {"momentum": 0.9, "nesterov": True},
    "adagrad": {"solver": "adagrad", "learning_rate": 0.05},
}
TASKS = {
    "softmax": {},
    "ovr": {"multi_class": "ovr"},
    "binary": {},
}

#: Of the largest coefficient, after 40 minibatches. Kernels and reference round at the same places
#: and differ in the order of sums of up to 128 terms, some 1e-7 a step in float32 and 2e-16 in
#: float64; a momentum of 0.9 adds ten of them up, and AdaGrad's division by a root near 0 makes
#: more of them where gradients are small.
TOLERANCE = {"float32": 2e-5, "float64": 1e-12}


def _digits(task, dtype):
    X, y = load_digits(return_X_y=True)
    X, y = X[::2], y[::2]
    if task == "binary":
        y = y > 4
    return (X / 16).astype(dtype), y


def _coef_after_5_epochs(build, update, task, dtype, weighted, standardize):
    X, y = _digits(task, dtype)
    weight = np.random.default_rng(0).exponential(size=len(X)) if weighted else None
    with kernels.use(build):
        classifier = sgd_classifier(
            **UPDATES[update], **TASKS[task], standardize=standardize, max_iter=5, random_state=0
        ).fit(X, y, sample_weight=weight)
    assert classifier.n_iter_ == 5
    return np.column_stack([classifier.coef_, classifier.intercept_])


@pytest.mark.parametrize(
    ("update", "task", "dtype", "weighted", "standardize"),
    pairs(together(UPDATES, TASKS), ["float32", "float64"], [False, True], [False, True]),
)
def test_same_coef_as_the_reference(update, task, dtype, weighted, standardize):
    setting = (update, task, dtype, weighted, standardize)
    expected = _coef_after_5_epochs("reference", *setting)
    atol = TOLERANCE[dtype] * np.abs(expected).max()
    for build_name in kernels.available:
        coef = _coef_after_5_epochs(build_name, *setting)
        assert coef.dtype == dtype
        np.testing.assert_allclose(coef, expected, rtol=0, atol=atol, err_msg=build_name)


# --- The formulas ---------------------------------------------------------------------------------


def _mean_loss(X, y, coef, intercept, loss):
    rows = np.arange(len(X))
    total = kernels.implementation.loss_sum(
        X, rows, y, None, None, None, coef, intercept, loss, n_threads=1
    )
    return total / len(X)


def _gradient(X, y, coef, intercept, loss, alpha):
    """By one step of plain descent with learning rate 1, from the kernels of one minibatch."""
    kernel = kernels.implementation
    tile, raw, losses = np.empty_like(X), np.empty((len(coef), len(X))), np.empty(len(X))
    kernel.stage(X, np.arange(len(X)), None, None, tile)
    kernel.forward(tile, coef, intercept, raw)
    step = kernel.softmax_gradient if loss == "softmax" else kernel.logistic_gradient
    step(raw, y, np.full(len(X), 1 / len(X)), losses)
    new_coef, new_intercept = coef.copy(), intercept.copy()
    kernel.backward_update(
        tile,
        raw,
        new_coef,
        new_intercept,
        np.zeros_like(coef),
        np.zeros_like(intercept),
        1.0,
        0.0,
        alpha,
        "sgd",
    )
    return coef - new_coef, intercept - new_intercept


@pytest.mark.parametrize(("loss", "n_rows"), [("softmax", 4), ("logistic", 4), ("logistic", 1)])
def test_gradient_is_that_of_finite_differences(build, loss, n_rows):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 6))
    y = rng.integers(max(n_rows, 2), size=40).astype(np.int32)
    coef, intercept = rng.normal(size=(n_rows, 6)), rng.normal(size=n_rows)
    alpha, step = 0.3, 1e-5

    def objective(parameters):
        W, b = np.ascontiguousarray(parameters[:, :-1]), parameters[:, -1].copy()
        return _mean_loss(X, y, W, b, loss) + alpha / 2 * (W**2).sum()

    parameters = np.column_stack([coef, intercept])
    expected = np.empty_like(parameters)
    for index in np.ndindex(parameters.shape):
        shift = np.zeros_like(parameters)
        shift[index] = step
        expected[index] = (objective(parameters + shift) - objective(parameters - shift)) / 2 / step
    gradient = np.column_stack(_gradient(X, y, coef, intercept, loss, alpha))
    # Central differences: truncation of step² ≈ 1e-10, rounding of 2e-16 / step ≈ 1e-11.
    np.testing.assert_allclose(gradient, expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_velocity_is_the_decaying_sum_of_past_gradients(build, dtype):
    # v_t = η g_t + γ η g_{t−1} + γ² η g_{t−2} + …, and W_t = W_0 − Σ v.
    rng = np.random.default_rng(0)
    eta, gamma, n_steps = 0.1, 0.9, 12
    coef, velocity = np.zeros((3, 5), dtype), np.zeros((3, 5), dtype)
    gradients, velocities = [], []
    for _ in range(n_steps):
        tile = rng.normal(size=(8, 5)).astype(dtype)
        gradient = rng.normal(size=(3, 8)).astype(dtype)
        gradients.append(gradient.astype(np.float64) @ tile.astype(np.float64))
        kernels.implementation.backward_update(
            tile, gradient, coef, None, velocity, None, eta, gamma, 0.0, "momentum"
        )
        velocities.append(velocity.astype(np.float64))
    expected = sum(gamma**age * eta * g for age, g in enumerate(reversed(gradients)))
    # Twelve steps, each rounding a sum of 8 products and the velocity.
    atol = 12 * 8 * np.finfo(dtype).eps
    np.testing.assert_allclose(velocity, expected, rtol=0, atol=atol)
    np.testing.assert_allclose(coef, -sum(velocities), rtol=0, atol=atol)


def test_loss_curve_is_the_objective_as_it_was_met(build):
    # One batch of all rows: the loss of epoch t is that of the weights before it, and the penalty
    # that of the weights after it, worked out here from the definition.
    X, y = _digits("softmax", "float64")
    X, y = X[:200], y[:200]
    alpha = 0.1
    setting = {"alpha": alpha, "batch_size": 200, "momentum": 0, "learning_rate": 0.5, "tol": None}
    two = sgd_classifier(max_iter=2, **setting).fit(X, y)
    one = sgd_classifier(max_iter=1, **setting).fit(X, y)
    raw = X @ one.coef_.T + one.intercept_
    loss = (np.log(np.exp(raw).sum(axis=1)) - raw[np.arange(200), y]).mean()
    expected = [
        np.log(10) + alpha / 2 * (one.coef_**2).sum(),
        loss + alpha / 2 * (two.coef_**2).sum(),
    ]
    np.testing.assert_allclose(two.loss_curve_, expected, rtol=1e-12)


# --- Stopping -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("curve", "tol", "stalled"),
    [
        ([5, 4, 3, 2], 0.1, False),
        ([5, 4, 4, 4], 0.1, True),  # three epochs without progress would be one too few of history
        ([5, 4, 3.95, 3.91], 0.1, True),  # each less than tol below the best before it
        ([5, 6, 7, 8], 0.0, True),
        ([5, 6, 7, 4], 0.1, False),
        ([5, 5], 0.1, False),
        ([5, 5, 5, 5, 5], None, False),
    ],
)
def test_stalls_after_two_epochs_without_improvement(curve, tol, stalled):
    history = History([Epoch(objective, objective, 0.1, 0.1) for objective in curve])
    assert history.has_stalled(tol, n_iter_no_change=2) is stalled
    scores = History([Epoch(0.0, 0.0, 0.1, 0.1, validation_score=-value) for value in curve])
    assert scores.has_stalled(tol, n_iter_no_change=2, by_validation=True) is stalled


def test_stops_before_max_iter(build):
    X, y = _digits("softmax", "float64")
    classifier = sgd_classifier(max_iter=500, tol=0.05, n_iter_no_change=3, random_state=0)
    classifier.fit(X, y)
    assert 3 < classifier.n_iter_ < 500
    last = classifier.loss_curve_[-4:]
    assert last[0] - last[1:].min() <= 3 * 0.05


# --- Divergence -----------------------------------------------------------------------------------


def _problem(n_rows=64):
    rng = np.random.default_rng(0)
    return Problem(
        X=rng.normal(size=(n_rows, 3)),
        rows=np.arange(n_rows),
        y_true=rng.integers(4, size=n_rows).astype(np.int32),
        sample_weight=None,
        shift=None,
        inverse_scale=None,
        loss="softmax",
        alpha=0.0,
        fit_intercept=True,
        n_threads=1,
        dtype=np.dtype(np.float64),
    )


def _train(problem, monkeypatch, run_epoch, **plan):
    """Train with ``run_epoch(call, real, state, rows, rates)`` in place of the method."""
    real, calls = Problem.run_epoch, []

    def stand_in(self, state, rows, rates, plan):
        calls.append((rows.copy(), rates.copy(), state.copy()))

        def really():
            return real(self, state, rows, rates, plan)

        return run_epoch(len(calls), really, state)

    monkeypatch.setattr(Problem, "run_epoch", stand_in)
    state = State.drawn((4, 3), np.float64, 0, None)
    history = train(problem, state, Plan(**plan), np.random.RandomState(0))
    return history, state, calls


@pytest.mark.parametrize("ruin", [np.nan, np.inf, 1e30])
@pytest.mark.parametrize("update", UPDATES)
def test_rolls_back_to_the_last_good_epoch(monkeypatch, update, ruin):
    def run_epoch(call, really, state):
        if call != 3:
            return really()
        for array in (state.coef, state.intercept, state.coef_state, state.intercept_state):
            array.fill(ruin)
        state.coef[0] = 0  # 1e30 in all classes alike would cancel
        return 0.5

    history, _, calls = _train(
        _problem(), monkeypatch, run_epoch, update=update, batch_size=16, n_epochs=4
    )
    assert history.n_halvings == 1
    assert len(history.loss_curve) == 4
    assert len(calls) == 5
    (rows, rates, before), (rows_again, rates_again, again) = calls[2:4]
    np.testing.assert_array_equal(rows_again, rows)
    np.testing.assert_array_equal(rates_again, rates / 2)
    np.testing.assert_array_equal(again.coef, before.coef)
    np.testing.assert_array_equal(again.intercept, before.intercept)
    share = 0.5 if update in ("momentum", "nesterov") else 1  # a velocity is a sum of η g
    np.testing.assert_array_equal(again.coef_state, share * before.coef_state)
    np.testing.assert_array_equal(again.intercept_state, share * before.intercept_state)
    np.testing.assert_array_equal(calls[4][1], rates / 2)  # and the rate stays halved


def test_gives_up_with_the_last_good_weights(monkeypatch):
    kept = []

    def run_epoch(call, really, state):
        if call > 1:
            state.coef.fill(np.nan)
            return np.nan
        objective = really()
        kept.append(state.coef.copy())
        return objective

    history, state, calls = _train(_problem(), monkeypatch, run_epoch)
    assert history.gave_up
    assert history.n_halvings == MAX_HALVINGS
    assert len(calls) == MAX_HALVINGS + 2
    assert len(history.loss_curve) == 1
    np.testing.assert_array_equal(state.coef, kept[0])


@pytest.mark.parametrize("objective", [np.nan, np.inf, 3.01 * np.log(4)])
def test_an_objective_too_high_is_divergence(monkeypatch, objective):
    def run_epoch(call, really, state):
        return objective if call == 1 else really()

    history, _, _ = _train(_problem(), monkeypatch, run_epoch, n_epochs=1)
    assert history.n_halvings == 1


def test_an_objective_high_from_the_start_is_no_divergence(monkeypatch):
    # The start, not zero weights, is the measure where it is worse.
    problem, state = _problem(), State.drawn((4, 3), np.float64, 50, np.random.RandomState(0))
    start = problem.objective(state, problem.rows)
    assert start > 10 * np.log(4)
    history = train(problem, state, Plan(n_epochs=1, learning_rate=1e-6), np.random.RandomState(0))
    assert history.n_halvings == 0
    np.testing.assert_allclose(history.loss_curve[0], start, rtol=1e-3)


def test_only_the_start_of_all_is_the_measure(monkeypatch):
    # The start's objective lies between that of zero weights and 3 times it, and so does that of
    # every epoch's start: an epoch above the ceiling of zero weights has diverged, be it under 3
    # times the objective that it set out from.
    problem, state = _problem(), State.drawn((4, 3), np.float64, 1.5, np.random.RandomState(0))
    ceiling = 3 * np.log(4)
    assert ceiling / 3 < 0.8 * problem.objective(state, problem.rows)
    real, objectives = Problem.run_epoch, []

    def run_epoch(self, *arguments):
        objectives.append(real(self, *arguments))
        return 1.1 * ceiling if len(objectives) == 2 else objectives[-1]

    monkeypatch.setattr(Problem, "run_epoch", run_epoch)
    history = train(problem, state, Plan(n_epochs=2, learning_rate=1e-6), np.random.RandomState(0))
    assert 1.1 * ceiling < 3 * objectives[0] < 3 * ceiling
    assert history.n_halvings == 1


def test_calls_on_epoch_after_each_good_epoch():
    calls = []

    def on_epoch(history, state, is_last):
        calls.append((len(history.epochs), history.epochs[-1], is_last))
        return is_last

    state = State.drawn((4, 3), np.float64, 0, None)
    plan = Plan(n_epochs=3, schedule="linear", batch_size=32, learning_rate=0.3)
    history = train(_problem(), state, plan, np.random.RandomState(0), on_epoch=on_epoch)
    assert [n_done for n_done, _, _ in calls] == [1, 2, 3]
    assert [is_last for _, _, is_last in calls] == [False, False, True]
    assert [epoch for _, epoch, _ in calls] == history.epochs
    np.testing.assert_allclose([epoch.learning_rate for _, epoch, _ in calls], [0.25, 0.15, 0.05])


def test_ends_where_on_epoch_says_so():
    state = State.drawn((4, 3), np.float64, 0, None)
    history = train(
        _problem(),
        state,
        Plan(),
        np.random.RandomState(0),
        on_epoch=lambda *call: call[0].epochs[1:],
    )
    assert len(history.epochs) == 2


# --- Ctrl-C ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("update", UPDATES)
def test_interrupt_gives_the_last_good_epoch(monkeypatch, update):
    # As Ctrl-C would come: when the kernels return, over weights that nobody has looked at yet.
    def run_epoch(call, really, state):
        if call == 4:
            really()
            state.coef.fill(np.nan)
            raise KeyboardInterrupt
        return really()

    plan = {"update": update, "batch_size": 16}
    history, state, _ = _train(_problem(), monkeypatch, run_epoch, n_epochs=9, **plan)
    assert history.interrupted
    assert len(history.epochs) == 3
    monkeypatch.undo()
    expected = State.drawn((4, 3), np.float64, 0, None)
    train(_problem(), expected, Plan(n_epochs=3, **plan), np.random.RandomState(0))
    for name in ("coef", "intercept", "coef_state", "intercept_state"):
        np.testing.assert_array_equal(getattr(state, name), getattr(expected, name))


def test_interrupt_before_the_first_epoch_goes_on(monkeypatch):
    def run_epoch(call, really, state):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        _train(_problem(), monkeypatch, run_epoch)

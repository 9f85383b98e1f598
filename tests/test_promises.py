"""What fits say of themselves, held against a truth that shares nothing with them.

Random problems of fixed seeds, and those by name that solvers have failed on. ``python -m
bench.bench_promises`` takes as many others as it is told to.
"""

import numpy as np
import pytest
from hard_problems import HardProblem, drawn
from promises import check, rounding
from scipy.sparse import csr_array, issparse
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits
from truth import least

from fastsoftmax import SoftmaxClassifier

SEEDS = range(150)

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def _checked(problem):
    with threadpool_limits(1):
        return check(problem)


def _holds(problem):
    """Every promise, and that the minimum was found."""
    verdict = _checked(problem)
    if not (verdict.certain and verdict.holds and verdict.converged) or verdict.warned:
        pytest.fail("\n".join([f"{verdict}", *verdict.warned]))
    return verdict


def _noisy(n_samples, n_features, n_classes, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_samples, n_features))
    raw = X @ rng.normal(size=(n_features, n_classes)) / np.sqrt(n_features) * 3
    return X, (raw + rng.gumbel(size=raw.shape)).argmax(axis=1)


# --- The judge ------------------------------------------------------------------------------------


class _Said:
    """A problem whose fit is what it is told to be."""

    def __init__(self, problem, **said):
        self._problem, self._said = problem, said

    def __getattr__(self, name):
        return getattr(self._problem, name)

    def fitted(self):
        fitted = self._problem.fitted()
        for name, value in self._said.items():
            setattr(fitted, name, value(getattr(fitted, name)))
        return fitted


@pytest.mark.parametrize(
    ("said", "broken"),
    [
        ({}, set()),
        ({"coef_": lambda coef: coef * 1.05}, {"converged_", "bound"}),
        ({"intercept_": lambda intercept: intercept + np.eye(3)[0] / 10}, {"converged_", "bound"}),
        ({"coef_": lambda coef: coef * np.nan}, {"finite coefficients"}),
        (
            {"coef_": lambda coef: coef * 1.05, "suboptimality_bound_": lambda bound: 0.0},
            {"converged_", "bound", "suboptimality_ above bound"},
        ),
        ({"suboptimality_bound_": lambda bound: 9.0}, {"bound above objective"}),
        (
            {"suboptimality_": lambda gap: np.nan},
            {"finite suboptimality_", "suboptimality_ above bound"},
        ),
    ],
    ids=["truth", "coef", "intercept", "NaN", "no bound", "high bound", "no estimate"],
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_lies_are_found(said, broken, dtype):
    X, y = _noisy(300, 5, 3)
    problem = HardProblem(X.astype(dtype), y, {"solver": "lbfgs", "tol": 1e-5})
    verdict = _checked(_Said(problem, **said))
    assert set(verdict.broken) == broken, verdict
    assert verdict.certain


def _by_definition(problem, coef, intercept):
    """The objective, once more, in extended precision."""
    parameters, y = problem.parameters, problem.y
    X = problem.X.toarray() if issparse(problem.X) else problem.X
    X = X.astype(np.longdouble)
    classes, codes = np.unique(y, return_inverse=True)
    s = np.ones(len(y)) if problem.weight is None else problem.weight
    sigma = StandardScaler().fit(X.astype(np.float64), sample_weight=s).scale_
    if parameters.get("class_weight") == "balanced":
        totals = np.bincount(codes, s)
        share = np.divide(1, totals, where=totals > 0, out=np.zeros(len(totals)))
        s = s * (s.sum() / np.count_nonzero(totals) * share)[codes]
    alpha = parameters.get("alpha", 0.0)
    if problem.estimator == "logistic":
        alpha = 1 / (parameters["C"] * s.sum())
    coef, intercept = coef.astype(np.longdouble), intercept.astype(np.longdouble)
    raw = X @ coef.T + intercept
    smoothing = parameters.get("label_smoothing", 0.0)
    onehot = codes[:, None] == np.arange(len(classes))
    if len(coef) == 1 or parameters.get("multi_class") == "ovr":
        targets = (1 - smoothing) * onehot[:, -len(coef) :] + smoothing / 2
        loss = (np.logaddexp(0, raw) - targets * raw).sum(axis=1)
    else:
        targets = (1 - smoothing) * onehot + smoothing / len(coef)
        loss = np.logaddexp.reduce(raw, axis=1) - (targets * raw).sum(axis=1)
    W = coef * sigma if parameters.get("standardize") else coef
    return float(s @ loss / s.sum() + alpha / 2 * np.square(W).sum())


@pytest.mark.parametrize("first", range(0, 60, 20))
def test_what_is_judged_is_what_is_documented(first):
    """At the minimum, and at other coefficients."""
    for seed in range(first, first + 20):
        problem = drawn(seed, light=True)
        objective = problem.objective()
        truth = least(objective)
        rng = np.random.default_rng(seed)
        for times in (1, rng.normal(size=truth.coef.shape)):
            coef, intercept = truth.coef * times, truth.intercept + rng.normal()
            expected = _by_definition(problem, coef, intercept)
            value = objective(coef, intercept)
            assert value == pytest.approx(expected, rel=1e-8, abs=1e-9), problem


def test_rounding_is_what_a_dtype_can_do():
    """Coefficients of the minimum, rounded to float32, are above it by no more than is allowed."""
    rng = np.random.default_rng(0)
    for offset in (0, 1e2, 1e4):
        X, y = _noisy(300, 5, 3)
        X = (X + offset) * 10.0 ** rng.uniform(-3, 3, 5)
        objective = HardProblem(X.astype(np.float32), y, {"alpha": 1e-6}).objective()
        truth = least(objective)
        coef, intercept = truth.coef.astype(np.float32), truth.intercept.astype(np.float32)
        above = objective(coef, intercept) - truth.value
        allowed = rounding(objective, coef, intercept)
        assert above <= allowed, offset
        assert allowed < 1e-5 * (1 + (offset / 10) ** 2), offset


# --- Random problems ------------------------------------------------------------------------------


@pytest.mark.parametrize("first", SEEDS[::10])
def test_promises_hold_of_random_problems(first):
    verdicts = [_checked(drawn(seed, light=True)) for seed in range(first, first + 10)]
    failed = [f"{one}" for one in verdicts if not one.holds or one.warned]
    if failed:
        pytest.fail("\n\n".join(failed))
    assert sum(not verdict.certain for verdict in verdicts) <= 1, "the truth isn't known"


def test_conjugate_gradients_that_have_not_settled_are_no_answer():
    """600 steps found a fortieth of what was left, and the model agreed with them."""
    verdict = _checked(drawn(21149))
    assert verdict.holds, verdict
    assert verdict.converged


def test_classes_without_a_row_are_in_the_bound():
    """Each step takes a factor e off their probability, and as much off their curvature."""
    assert _checked(drawn(95253)).holds


# --- Columns of two sizes -------------------------------------------------------------------------


@pytest.mark.parametrize("solver", ["auto", "lbfgs"])
@pytest.mark.parametrize("multi_class", ["softmax", "ovr"])
@pytest.mark.parametrize("form", ["dense", "sparse"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_half_of_the_columns_ten_thousand_times_as_large(dtype, form, multi_class, solver):
    X, y = _noisy(400, 10, 4)
    if form == "sparse":
        X[np.abs(X) < 0.7] = 0
    X[:, ::2] *= 1e4
    X = X.astype(dtype)
    parameters = {"solver": solver, "multi_class": multi_class, "random_state": 0}
    _holds(HardProblem(csr_array(X) if form == "sparse" else X, y, parameters))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n_samples", [200, 1000, 5000])
def test_money_beside_a_share(n_samples, dtype):
    money = 30000 + 10000 * np.random.default_rng(0).normal(size=n_samples)
    share = np.linspace(0, 1, n_samples)
    X = np.column_stack([money, share]).astype(dtype)
    problem = HardProblem(X, share > 0.5, {"alpha": 1e-4, "random_state": 0})
    verdict = _holds(problem)
    assert verdict.above <= 1e-4


@pytest.mark.parametrize("solver", ["auto", "lbfgs"])
@pytest.mark.parametrize("standardize", [False, True])
def test_a_table_of_money_and_codes(standardize, solver):
    rng = np.random.default_rng(0)
    n = 800
    income = np.exp(rng.normal(10.3, 0.6, n))
    debt = np.where(rng.random(n) < 0.4, 0, np.exp(rng.normal(8, 1.5, n)))
    age, children = rng.integers(18, 90, n), rng.integers(0, 5, n)
    region, owns = rng.integers(1, 9, n), rng.integers(0, 2, n)
    score = np.log(income) - 10.3 - debt / 2e4 + 0.02 * (age - 50) + owns - 0.3 * children
    y = np.digitize(score + rng.logistic(size=n), [-1, 0.5])
    X = np.column_stack([income, debt, age, children, region, owns])
    parameters = {"solver": solver, "standardize": standardize, "random_state": 0}
    _holds(HardProblem(X, y, parameters))


def test_money_and_codes_for_logistic_regression():
    rng = np.random.default_rng(0)
    X = np.column_stack([np.exp(rng.normal(10, 1, 300)), rng.integers(0, 5, 300)])
    y = (np.log(X[:, 0]) - 10 + X[:, 1] - 2 + rng.logistic(size=300) > 0).astype(int)
    _holds(HardProblem(X, y, {"max_iter": 1000}, estimator="logistic"))


# --- Nothing to learn from ------------------------------------------------------------------------


@pytest.mark.parametrize("solver", ["auto", "lbfgs"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_zeros_teach_nothing(dtype, solver):
    X = np.zeros((4, 2048), dtype)
    parameters = {"solver": solver, "fit_intercept": False, "random_state": 0}
    problem = HardProblem(X, np.array([0, 1, 2, 0]), parameters)
    _holds(problem)
    assert not problem.fitted().coef_.any()


@pytest.mark.parametrize("solver", ["auto", "lbfgs"])
@pytest.mark.parametrize("alpha", [1e-60, 1e-100, 1e-300, 0.0])
def test_next_to_no_penalty_beside_a_dead_column(alpha, solver):
    """Of 20 rows of 99 columns any labels are separable: the objective has no end but 0."""
    rng = np.random.default_rng(0)
    X = np.hstack([rng.normal(size=(20, 99)), np.zeros((20, 1))]).astype(np.float32)
    y = np.append(np.arange(15), rng.integers(0, 15, 5))
    parameters = {"alpha": alpha, "solver": solver, "random_state": 0}
    _holds(HardProblem(X, y, parameters))


def test_adagrad_finds_shares_where_there_is_nothing_else():
    X, y = np.zeros((10, 1)), np.repeat([0, 1], [6, 4])
    classifier = SoftmaxClassifier(solver="adagrad", random_state=0).fit(X, y)
    assert np.isfinite(classifier.learning_rate_)
    np.testing.assert_allclose(classifier.predict_proba(X)[:, 0], 0.6, atol=0.02)

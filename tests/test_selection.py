"""SoftmaxClassifierCV: a grid search's scores by a shorter path, with X where it is.

The minima themselves are tested in test_solver.py; here, that a path ends where separate fits end.
"""

import tracemalloc
import warnings

import numpy as np
import pytest
from digits import small_digits
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.linear_model import LogisticRegressionCV
from sklearn.metrics import make_scorer
from sklearn.model_selection import GridSearchCV, GroupKFold, KFold, StratifiedKFold
from sklearn.utils.estimator_checks import estimator_checks_generator

from fastsoftmax import SoftmaxClassifier, SoftmaxClassifierCV
from fastsoftmax.optimization import path, preconditioning

ALPHAS = [1.0, 1e-1, 1e-2, 1e-3, 1e-4]

#: Fits that end within 1e-11 of their minimum, so that scores agree to many digits.
FINE = {"tol": 1e-11, "random_state": 0}

# --- Scores ---------------------------------------------------------------------------------------


def _grid_scores(X, y, scoring, cv, alphas=ALPHAS, sample_weight=None, **parameters):
    """Of scikit-learn's search over single fits, each from zero."""
    search = GridSearchCV(
        SoftmaxClassifier(solver="lbfgs", **FINE, **parameters),
        {"alpha": alphas},
        cv=cv,
        scoring=scoring,
    ).fit(X, y, sample_weight=sample_weight)
    n_folds = search.n_splits_
    scores = [search.cv_results_[f"split{k}_test_score"] for k in range(n_folds)]
    return np.array(scores), search.best_params_["alpha"]


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"standardize": True},
        {"fit_intercept": False, "standardize": "sample"},
        {"class_weight": "balanced"},
        {"label_smoothing": 0.1},
    ],
    ids=str,
)
@pytest.mark.parametrize("n_classes", [2, 4])
def test_scores_are_a_grid_search_s(n_classes, parameters):
    X, y = small_digits(200, n_classes=n_classes)
    expected, best = _grid_scores(X, y, "neg_log_loss", 3, **parameters)
    ours = SoftmaxClassifierCV(alphas=ALPHAS, cv=3, scoring="neg_log_loss", **FINE, **parameters)
    ours.fit(X, y)
    # Coefficients are within √(2 tol / alpha) of the minimum's, by strong convexity.
    apart = np.abs(ours.scores_ - expected).max(axis=0)
    assert (apart < np.sqrt(2 * FINE["tol"] / np.array(ALPHAS))).all()
    assert ours.alpha_ == best
    assert ours.scores_.shape == ours.n_iter_.shape == (3, len(ALPHAS))


def test_loss_is_the_log_loss_of_softmax():
    X, y = small_digits(200)
    loss = SoftmaxClassifierCV(alphas=ALPHAS, cv=3, scoring="loss", **FINE).fit(X, y)
    log = SoftmaxClassifierCV(alphas=ALPHAS, cv=3, scoring="neg_log_loss", **FINE).fit(X, y)
    np.testing.assert_allclose(loss.scores_, log.scores_, rtol=1e-10)
    assert loss.alpha_ == log.alpha_


def test_accuracy_is_the_default_and_one_vs_rest_is_there():
    X, y = small_digits(200, n_classes=5)
    expected, _ = _grid_scores(X, y, None, 3, multi_class="ovr")
    ours = SoftmaxClassifierCV(alphas=ALPHAS, cv=3, multi_class="ovr", **FINE).fit(X, y)
    np.testing.assert_array_equal(ours.scores_, expected)
    assert ours.score(X, y) == np.mean(ours.predict(X) == y)


def test_a_scorer_of_the_user_s_and_weights():
    X, y = small_digits(200, n_classes=3)
    weight = np.random.default_rng(0).integers(0, 4, len(y)).astype(float)
    seen = []

    def weighted_hits(y_true, y_pred, sample_weight):
        seen.append(sample_weight)
        return np.average(y_true == y_pred, weights=sample_weight)

    scorer = make_scorer(weighted_hits)
    ours = SoftmaxClassifierCV(alphas=[1e-2, 1e-4], cv=KFold(4), scoring=scorer, **FINE)
    ours.fit(X, y, weight)
    assert len(seen) == 8
    assert all((w > 0).all() for w in seen)
    for k, (train, test) in enumerate(KFold(4).split(X)):
        alone = SoftmaxClassifier(solver="lbfgs", alpha=1e-2, **FINE)
        alone.fit(X[train], y[train], weight[train])
        hits = np.average(alone.predict(X[test]) == y[test], weights=weight[test])
        assert ours.scores_[k, 0] == pytest.approx(hits, abs=1e-12)


# --- The choice, and the last fit -----------------------------------------------------------------


def test_last_fit_is_that_of_all_rows():
    X, y = small_digits()
    ours = SoftmaxClassifierCV(alphas=ALPHAS, cv=3, standardize=True, **FINE).fit(X, y)
    alone = SoftmaxClassifier(alpha=ours.alpha_, standardize=True, **FINE).fit(X, y)
    size = np.abs(alone.coef_).max()
    np.testing.assert_allclose(ours.coef_, alone.coef_, rtol=0, atol=1e-4 * size)
    np.testing.assert_array_equal(ours.mean_, alone.mean_)
    assert ours.converged_
    assert ours.suboptimality_ <= FINE["tol"]
    np.testing.assert_array_equal(ours.alphas_, ALPHAS)


def test_of_equal_scores_the_strongest_penalty_wins():
    X = np.repeat([[-1.0], [1.0]], 20, axis=0)
    y = np.repeat([0, 1], 20)
    ours = SoftmaxClassifierCV(alphas=[1e-3, 1e-1, 1e-2], cv=2).fit(X, y)
    assert (ours.scores_ == 1).all()
    assert ours.alpha_ == 0.1
    np.testing.assert_array_equal(ours.alphas_, [0.1, 0.01, 0.001])


def test_grid_is_logistic_regression_cv_s_for_z_scores():
    X, y = small_digits(100, n_classes=3)
    ours = SoftmaxClassifierCV(standardize=True, tol=1e-2).fit(X, y)
    peer = LogisticRegressionCV().Cs
    np.testing.assert_allclose(ours.alphas_, 1 / (np.logspace(-4, 4, peer) * len(X)), rtol=1e-12)
    spread = X[:, X.std(axis=0) > 0]
    z = (spread - spread.mean(axis=0)) / spread.std(axis=0)
    same = SoftmaxClassifierCV(tol=1e-2).fit(z, y)
    np.testing.assert_allclose(same.alphas_, ours.alphas_, rtol=1e-12)


@pytest.mark.parametrize("factor", [2.0**-10, 2.0**10])
def test_a_change_of_unit_changes_nothing(factor):
    X, y = small_digits(200)
    one = SoftmaxClassifierCV(scoring="loss", cv=3, random_state=0, alphas=5).fit(X, y)
    other = clone(one).fit(factor * X, y)
    assert other.alpha_ == pytest.approx(one.alpha_ * factor**2, rel=1e-12)
    np.testing.assert_allclose(other.scores_, one.scores_, rtol=0.02)


def test_grid_without_intercept_and_with_weights():
    X, y = small_digits(100, n_classes=3)
    weight = np.arange(len(y)) % 3
    ours = SoftmaxClassifierCV(alphas=2, fit_intercept=False, tol=1e-2).fit(X, y, weight)
    repeated = np.repeat(X, weight, axis=0)
    expected = np.array([1e4, 1e-4]) * np.square(repeated).mean() / len(repeated)
    np.testing.assert_allclose(ours.alphas_, expected, rtol=1e-12)


# --- Sharing --------------------------------------------------------------------------------------


def test_fewer_passes_than_single_fits():
    X, y = small_digits(1000)
    ours = SoftmaxClassifierCV(alphas=10, cv=3, scoring="loss", random_state=0).fit(X, y)
    alone = 0
    for train, _ in StratifiedKFold(3).split(X, y):
        for alpha in ours.alphas_:
            single = SoftmaxClassifier(solver="lbfgs", alpha=alpha, random_state=0)
            alone += single.fit(X[train], y[train]).n_iter_
    assert ours.n_iter_.sum() < 0.6 * alone


def test_one_factor_of_the_features_for_a_fold(monkeypatch):
    made = []
    decompose = preconditioning.KroneckerHessian._decompose

    def counted(design, penalty):
        made.append(design.shape)
        return decompose(design, penalty)

    monkeypatch.setattr(preconditioning.KroneckerHessian, "_decompose", staticmethod(counted))
    X, y = small_digits(300)
    SoftmaxClassifierCV(alphas=6, cv=4, random_state=0).fit(X, y)
    assert len(made) == 4 + 1  # of each fold, and of the last fit


def test_a_whole_hessian_serves_while_it_is_good(monkeypatch, no_newton):
    paths = []

    class Watched(path.Path):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            paths.append(self)

    monkeypatch.setattr("fastsoftmax.estimators.folds.Path", Watched)
    X, y = small_digits(1000, n_classes=2)
    ours = SoftmaxClassifierCV(alphas=10, cv=3, random_state=0).fit(X[:, ::4], y)
    assert [p._form for p in paths] == [preconditioning.FullHessian] * 3
    assert all(1 <= p.n_factors < 10 for p in paths)
    for p, counts in zip(paths, ours.n_iter_, strict=True):
        assert p.n_factors == 1 + (counts[:-1] > path.MOST_WITH_ONE_HESSIAN).sum()


def test_steps_remembered_shorten_the_path(monkeypatch):
    X, y = small_digits(1000)
    ours = SoftmaxClassifierCV(alphas=8, cv=2, scoring="loss", random_state=0).fit(X, y)
    monkeypatch.setattr(path.Path, "minimum", _forgetful(path.Path.minimum))
    other = clone(ours).fit(X, y)
    assert ours.n_iter_.sum() < other.n_iter_.sum()


def test_a_pair_under_another_penalty_is_that_of_its_objective():
    random = np.random.default_rng(0)
    hessian = random.normal(size=(5, 5))
    hessian = hessian @ hessian.T

    def gradient(parameters, alpha):
        return parameters @ hessian + alpha * parameters * [1, 1, 1, 1, 0]  # not of the intercept

    one, two = random.normal(size=(2, 3, 5))
    step, change = path._under(two - one, gradient(two, 3.0) - gradient(one, 3.0), 0.5 - 3.0)
    np.testing.assert_array_equal(step, two - one)
    np.testing.assert_allclose(change, gradient(two, 0.5) - gradient(one, 0.5))


def _forgetful(minimum):
    def without_pairs(self, alpha):
        self._pairs = []
        return minimum(self, alpha)

    return without_pairs


# --- Data -----------------------------------------------------------------------------------------


@pytest.mark.alone
def test_x_is_not_copied():
    random = np.random.default_rng(0)
    X = random.integers(0, 256, (20000, 500), dtype=np.uint8)
    y = (X[:, 0] > 127) + (X[:, 1] > 127)
    ours = SoftmaxClassifierCV(alphas=[1.0, 0.1], cv=2, scoring="loss", tol=1e-2, n_jobs=1)
    ours.fit(X[:2000], y[:2000])
    tracemalloc.start()
    ours.fit(X, y)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # The rows that the curvature is seen from are float32, and 2000 are looked at for the units.
    n_drawn = 6 * 501
    assert peak < 4 * n_drawn * 501 * 4 + 10 * X.shape[1] ** 2 * 8 < 5 * X.nbytes
    assert X.nbytes * 4 > peak


def test_sparse_x():
    X, y = small_digits(200)
    settings = {"alphas": ALPHAS, "cv": 3, "scoring": "neg_log_loss", **FINE}
    dense = SoftmaxClassifierCV(**settings).fit(X, y)
    sparse = SoftmaxClassifierCV(**settings).fit(csr_array(X), y)
    np.testing.assert_allclose(sparse.scores_, dense.scores_, atol=1e-4)
    assert sparse.alpha_ == dense.alpha_


def test_groups_masks_and_repeated_rows():
    X, y = small_digits(120, n_classes=3)
    groups = np.arange(len(y)) % 4
    settings = {"alphas": [1e-2, 1e-3], "scoring": "loss", **FINE}
    ours = SoftmaxClassifierCV(cv=GroupKFold(4), **settings).fit(X, y, groups=groups)
    splits = list(GroupKFold(4).split(X, y, groups))
    given = SoftmaxClassifierCV(cv=splits, **settings).fit(X, y)
    np.testing.assert_array_equal(given.scores_, ours.scores_)
    masks = [(~np.isin(range(len(y)), test), np.isin(range(len(y)), test)) for _, test in splits]
    masked = SoftmaxClassifierCV(cv=masks, **settings).fit(X, y)
    np.testing.assert_array_equal(masked.scores_, ours.scores_)
    train, test = splits[0]
    twice = [(np.concatenate([train, train[:50]]), test)]
    repeated = SoftmaxClassifierCV(cv=twice, **settings).fit(X, y)
    weight = np.ones(len(y))
    weight[train[:50]] = 2
    weighted = SoftmaxClassifierCV(cv=[(train, test)], **settings).fit(X, y, weight)
    np.testing.assert_allclose(repeated.scores_, weighted.scores_, rtol=1e-9)


def test_bits_do_not_depend_on_threads():
    X, y = small_digits(300)
    one = SoftmaxClassifierCV(alphas=5, cv=3, random_state=0, n_jobs=1).fit(X, y)
    two = SoftmaxClassifierCV(alphas=5, cv=3, random_state=0, n_jobs=2).fit(X, y)
    np.testing.assert_array_equal(one.coef_, two.coef_)
    np.testing.assert_array_equal(one.scores_, two.scores_)


def test_a_class_that_a_fold_has_not():
    X, y = small_digits(60, n_classes=3)
    y = np.where(np.arange(len(y)) == 0, 7, y)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # the rarest class has fewer than n_splits
        ours = SoftmaxClassifierCV(alphas=[0.1, 0.01], cv=3).fit(X, y)
    assert np.isfinite(ours.coef_).all()
    assert ours.coef_.shape == (4, 64)


# --- Words ----------------------------------------------------------------------------------------


def test_one_warning_for_all_that_was_missed():
    X, y = small_digits(200)
    with pytest.warns(ConvergenceWarning, match=r"\d+ of 11 fits ended by max_iter") as caught:
        SoftmaxClassifierCV(alphas=ALPHAS, cv=2, max_iter=3).fit(X, y)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        SoftmaxClassifierCV(alphas=ALPHAS, cv=2, max_iter=3, tol=None).fit(X, y)


def test_rounding_that_ends_the_last_fit_is_said(no_newton):
    X, y = small_digits(200, dtype=np.float32)
    with pytest.warns(ConvergenceWarning, match="last fit .* float32 allows no more") as caught:
        ours = SoftmaxClassifierCV(alphas=[1e-9], cv=2, tol=1e-14, random_state=0).fit(X, y)
    assert len(caught) == 1
    assert not ours.converged_


def test_verbose(capsys):
    X, y = small_digits(100, n_classes=3)
    SoftmaxClassifierCV(alphas=[1e-1, 1e-2], cv=2, verbose=1).fit(X, y)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 4
    assert lines[0].startswith("fold 1/2  alpha 0.1  score 0.")


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"alphas": 1}, "'alphas' parameter"),
        ({"alphas": []}, "alphas|minimum of 1"),
        ({"alphas": [[1.0]]}, r"alphas must be one-dimensional; got shape \(1, 1\)"),
        ({"alphas": [1.0, -1.0]}, "alphas must not be negative; got -1"),
        ({"alphas": [1.0, np.nan]}, "alphas contains NaN"),
        ({"cv": 1}, "n_splits"),
        ({"scoring": "no such score"}, "no such score"),
        ({"cv": [([0, 1, 2], [])]}, "fold 0 of cv holds out no row"),
        ({"cv": [([], [1])]}, "fold 0 of cv trains on no row"),
        ({"tol": -1}, "'tol' parameter"),
        ({"scoring": lambda estimator, X, y: np.nan}, "it gave NaN"),
    ],
    ids=lambda value: str(value).split(" at 0x")[0],  # the same in every process
)
def test_errors_name_the_argument_and_change_nothing(parameters, message):
    X, y = small_digits(50, n_classes=2)
    ours = SoftmaxClassifierCV(alphas=[0.1], cv=2).fit(X, y)
    before = dict(vars(ours))
    ours.set_params(**parameters)
    with pytest.raises(ValueError, match=message):
        ours.fit(X, y)
    assert {name: value for name, value in vars(ours).items() if name not in parameters} == {
        name: value for name, value in before.items() if name not in parameters
    }


def test_not_fitted():
    with pytest.raises(NotFittedError):
        SoftmaxClassifierCV().predict([[0.0]])


CHECKS = [
    pytest.param(estimator, check, id=check.func.__name__)
    for estimator, check in estimator_checks_generator(SoftmaxClassifierCV(alphas=3, cv=2))
]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
@pytest.mark.parametrize(("estimator", "check"), CHECKS)
def test_scikit_learn_s_checks(estimator, check):
    check(estimator)


# --- Rows to validate on, and alphas left out -----------------------------------------------------


def _noisy(n_rows=300, n_features=30, seed=0):
    """Rows with too many features for their labels: a weak penalty is worse."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_rows, n_features))
    return X, (X[:, 0] + 2 * rng.normal(size=n_rows) > 0).astype(int)


@pytest.mark.parametrize("scoring", ["loss", None, "neg_log_loss"])
@pytest.mark.parametrize("weighted", [False, True])
def test_rows_to_validate_on_take_the_place_of_folds(scoring, weighted):
    X, y = _noisy()
    train, test = np.arange(150), np.arange(150, 300)
    weight = np.random.default_rng(1).uniform(0.5, 2, 300) if weighted else np.ones(300)
    alphas = [1.0, 1e-1, 1e-2, 1e-3]
    ours = SoftmaxClassifierCV(alphas=alphas, scoring=scoring, random_state=0).fit(
        X[train],
        y[train],
        weight[train],
        X_val=X[test],
        y_val=y[test],
        sample_weight_val=weight[test],
    )
    other = SoftmaxClassifierCV(
        alphas=alphas, scoring=scoring, cv=[(train, test)], random_state=0
    ).fit(X, y, weight)
    np.testing.assert_allclose(ours.scores_, other.scores_, rtol=1e-6)
    assert ours.alpha_ == other.alpha_
    alone = SoftmaxClassifier(alpha=ours.alpha_, random_state=0).fit(
        X[train], y[train], weight[train]
    )
    np.testing.assert_allclose(ours.coef_, alone.coef_, atol=1e-3)
    assert not hasattr(ours, "validation_scores_")


def test_alphas_beyond_a_fall_are_left_out():
    X, y = _noisy()
    given = {"alphas": np.logspace(2, -8, 30), "scoring": "loss", "random_state": 0}
    data = {"X_val": X[150:], "y_val": y[150:]}
    all_of_them = SoftmaxClassifierCV(n_alphas_without_gain=None, **given)
    all_of_them.fit(X[:150], y[:150], **data)
    assert np.isfinite(all_of_them.scores_).all()
    for most in (1, 3):
        some = SoftmaxClassifierCV(n_alphas_without_gain=most, **given)
        some.fit(X[:150], y[:150], **data)
        n_tried = np.isfinite(some.scores_).sum()
        assert n_tried == some.scores_[0][:n_tried].argmax() + 1 + most < 30
        np.testing.assert_allclose(some.scores_[0][:n_tried], all_of_them.scores_[0][:n_tried])
        assert (some.n_iter_[0, n_tried:] == 0).all()
        assert some.alpha_ == all_of_them.alpha_
        assert len(some.alphas_) == 30


def test_rows_to_validate_on_are_checked():
    X, y = _noisy()
    with pytest.raises(ValueError, match="X_val"):
        SoftmaxClassifierCV().fit(X, y, X_val=X[:, :2], y_val=y)
    with pytest.raises(ValueError, match="given together"):
        SoftmaxClassifierCV().fit(X, y, X_val=X)
    with pytest.raises(ValueError, match="groups are of cv"):
        SoftmaxClassifierCV().fit(X, y, groups=y, X_val=X, y_val=y)
    with pytest.raises(ValueError, match="n_alphas_without_gain"):
        SoftmaxClassifierCV(n_alphas_without_gain=0).fit(X, y)

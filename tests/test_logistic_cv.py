"""LogisticRegressionCV is scikit-learn's: the choice, the paths, the shapes and what is refused.

The peer's numbers are those of its Newton solver, brought as far as float64 goes.
"""

import inspect
import warnings
from itertools import product

import numpy as np
import pytest
import sklearn
from digits import small_digits
from scipy.sparse import csr_array
from sklearn import config_context
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegressionCV as ScikitLearns
from sklearn.metrics import accuracy_score, log_loss, make_scorer
from sklearn.model_selection import GroupKFold, KFold
from sklearn.utils.estimator_checks import estimator_checks_generator
from sklearn.utils.fixes import parse_version

from fastsoftmax import LogisticRegression, LogisticRegressionCV

IRIS = load_iris(return_X_y=True)
CS = [1e-2, 1.0, 1e2]

#: As near the minimum as float64 allows.
FINE = {"tol": 1e-12, "max_iter": 2000}

is_new = pytest.mark.skipif(
    parse_version(sklearn.__version__) < parse_version("1.9"),
    reason="attributes, parameters and weights of scores are those of its version 1.9",
)


def _iris(n_classes):
    X, y = IRIS
    return X, (y == 1).astype(int) if n_classes == 2 else y


def _peer(X, y, sample_weight=None, **parameters):
    parameters = {"solver": "newton-cholesky", **FINE, **parameters}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ScikitLearns(**parameters).fit(X, y, sample_weight)


def _assert_equal_attributes(ours, peer, rtol=1e-5):
    """Values as far as they are of a minimum, shapes and types of all."""
    for name in ("coef_", "intercept_", "coefs_paths_", "scores_", "C_", "Cs_", "l1_ratio_"):
        _assert_alike(getattr(ours, name), getattr(peer, name), rtol)
    np.testing.assert_array_equal(ours.l1_ratios_, peer.l1_ratios_)
    np.testing.assert_array_equal(ours.classes_, peer.classes_)
    assert ours.n_iter_.shape == peer.n_iter_.shape
    assert ours.n_iter_.dtype == peer.n_iter_.dtype


def _assert_alike(one, other, rtol):
    if isinstance(other, dict):
        assert isinstance(one, dict)
        assert list(one) == list(other)
        for key, value in other.items():
            _assert_alike(one[key], value, rtol)
        return
    assert np.shape(one) == np.shape(other)
    assert np.asarray(one).dtype == np.asarray(other).dtype
    assert isinstance(one, np.ndarray) == isinstance(other, np.ndarray)
    if np.asarray(other).dtype == object:
        assert np.array_equal(one, other)
        return
    size = np.abs(np.asarray(other), where=np.isfinite(other), out=np.zeros(np.shape(other))).max()
    np.testing.assert_allclose(one, other, rtol=rtol, atol=rtol * size)


# --- Against scikit-learn's -----------------------------------------------------------------------


@is_new
@pytest.mark.parametrize("legacy", [True, False])
@pytest.mark.parametrize("l1_ratios", [None, (0,), (0.0, 0.0)])
@pytest.mark.parametrize("refit", [True, False])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_attributes(n_classes, refit, l1_ratios, legacy):
    X, y = _iris(n_classes)
    parameters = {
        "Cs": CS,
        "cv": 3,
        "scoring": "neg_log_loss",
        "refit": refit,
        "l1_ratios": l1_ratios,
        "use_legacy_attributes": legacy,
    }
    ours = LogisticRegressionCV(**FINE, **parameters).fit(X, y)
    _assert_equal_attributes(ours, _peer(X, y, **parameters))
    np.testing.assert_allclose(ours.score(X, y), -log_loss(y, ours.predict_proba(X)))


@is_new
@pytest.mark.parametrize(
    "parameters",
    [
        {"fit_intercept": False},
        {"class_weight": "balanced"},
        {"class_weight": {0: 3.0}},
        {"Cs": [100.0, 0.01]},
        {"Cs": 2},
        {"Cs": [0.1, np.inf]},
        {"cv": KFold(3, shuffle=True, random_state=0)},
        {"scoring": None},
        {"scoring": "neg_brier_score"},
    ],
    ids=lambda value: str(value).split(" at 0x")[0],  # the same in every process
)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n_classes", [2, 4])
def test_parameters(n_classes, weighted, parameters):
    X, y = small_digits(200, n_classes=n_classes)
    random = np.random.default_rng(0)
    X, y = X[:, 20:36:3] + 0.1 * random.normal(size=(len(y), 6)), random.permutation(y)
    y[::2] = (X[::2, 0] > X[::2, 1]) + (n_classes > 2) * (X[::2, 2] > X[::2, 3])
    weight = random.integers(1, 4, len(y)).astype(float) if weighted else None
    given = {"Cs": CS, "cv": 3, "scoring": "neg_log_loss", "use_legacy_attributes": False}
    given = {**given, "l1_ratios": (0,), **parameters}
    ours = LogisticRegressionCV(**FINE, **given).fit(X, y, weight)
    _assert_equal_attributes(ours, _peer(X, y, weight, **given), rtol=1e-4)


@is_new
def test_sparse_rows_and_labels_of_text():
    X, y = IRIS
    y = np.array(["setosa", "versicolor", "virginica"])[y]
    X = np.where(X > 1, X, 0)
    given = {"Cs": CS, "cv": 3, "scoring": "accuracy"}
    ours = LogisticRegressionCV(**FINE, **given).fit(csr_array(X), y)
    _assert_equal_attributes(ours, _peer(csr_array(X), y, **given))
    assert list(ours.scores_) == ["setosa", "versicolor", "virginica"]


@is_new
@pytest.mark.parametrize("scoring", ["neg_log_loss", "accuracy", "f1_macro"])
def test_folds_that_lack_a_class(scoring):
    X, y = IRIS
    order = np.random.default_rng(0).permutation(150)
    X, y = X[order], y[order]
    numbers = np.arange(150)
    test = np.flatnonzero((numbers % 3 == 0) | (y == 2))
    cv = [(np.setdiff1d(numbers, test), test), (numbers[50:], numbers[:50])]
    given = {"Cs": [0.01, 1.0], "cv": cv, "scoring": scoring, "use_legacy_attributes": False}
    ours = LogisticRegressionCV(**FINE, **given).fit(X, y)
    peer = _peer(X, y, **given)
    if scoring == "neg_log_loss":  # its own number depends on where its solver gives up
        share = np.mean(y[test] == 2)
        lost = -share * np.log(2.0**-52)
        known = ours.scores_[0, 0] + lost
        assert (known < 0).all()
        assert (known > -1.5).all()
        np.testing.assert_allclose(ours.scores_[1], peer.scores_[1], rtol=1e-5)
    else:
        np.testing.assert_allclose(ours.scores_, peer.scores_, rtol=1e-6)
    # The other classes' coefficients are those of the peer, to what it still gives the third.
    path = ours.coefs_paths_[0, 0]
    np.testing.assert_allclose(path[:, :2, :-1], peer.coefs_paths_[0, 0, :, :2, :-1], atol=1e-3)
    assert not path[:, 2, :-1].any()
    np.testing.assert_array_equal(path[:, 2, -1], -1e6)
    assert np.isfinite(ours.coef_).all()


def test_means_are_of_the_folds_that_have_the_class():
    X, y = IRIS
    numbers = np.arange(150)
    cv = [(numbers[y < 2], numbers[y == 2]), (numbers[::2], numbers[1::2])]
    given = {"Cs": [1.0], "cv": cv, "scoring": "accuracy", "use_legacy_attributes": False}
    ours = LogisticRegressionCV(refit=False, **FINE, **given).fit(X, y)
    paths = ours.coefs_paths_[:, 0, 0]
    alone = paths[1, 2] - np.mean(paths[1], axis=0)
    assert ours.intercept_.max() - ours.intercept_.min() < 100
    expected = np.stack([*paths[:, :2].mean(axis=0), alone])
    expected -= expected.mean(axis=0)
    got = np.hstack([ours.coef_, ours.intercept_[:, None]])
    np.testing.assert_allclose(got, expected, atol=1e-6)
    assert np.mean(ours.predict(X) == y) > 0.8


def test_a_class_that_no_fold_has_stays_improbable_in_a_mean():
    X, y = IRIS
    numbers = np.arange(150)
    cv = [(numbers[y < 2][k::2], numbers[y == 2]) for k in range(2)]
    ours = LogisticRegressionCV(Cs=[1.0], cv=cv, refit=False, scoring="accuracy").fit(X, y)
    assert not ours.predict_proba(X)[:, 2].any()
    assert ours.intercept_[2] == -1e6
    refitted = LogisticRegressionCV(Cs=[1.0], cv=cv, scoring="accuracy").fit(X, y)
    assert refitted.score(X, y) > 0.9


# --- Its own --------------------------------------------------------------------------------------


def test_last_fit_is_logistic_regression_s():
    X, y = IRIS
    ours = LogisticRegressionCV(Cs=CS, cv=3, use_legacy_attributes=False, **FINE).fit(X, y)
    alone = LogisticRegression(C=ours.C_, **FINE).fit(X, y)
    np.testing.assert_array_equal(ours.coef_, alone.coef_)
    np.testing.assert_array_equal(ours.intercept_, alone.intercept_)
    assert ours.converged_
    assert ours.suboptimality_ <= ours.suboptimality_bound_
    np.testing.assert_array_equal(ours.loss_curve_, alone.loss_curve_)


def test_weights_are_repetitions():
    X, y = IRIS
    weight = np.random.default_rng(0).integers(0, 4, len(y))
    again = np.repeat(np.arange(len(y)), weight)
    folds = np.arange(len(y)) % 3
    given = {"Cs": CS, "scoring": "neg_log_loss", "use_legacy_attributes": False}
    splits = [(np.flatnonzero(folds != k), np.flatnonzero(folds == k)) for k in range(3)]
    weighted = LogisticRegressionCV(cv=splits, **given).fit(X, y, weight)
    folds = folds[again]
    splits = [(np.flatnonzero(folds != k), np.flatnonzero(folds == k)) for k in range(3)]
    repeated = LogisticRegressionCV(cv=splits, **given).fit(X[again], y[again])
    # Paths, to tol; the last fit, to rounding errors.
    np.testing.assert_allclose(weighted.scores_, repeated.scores_, rtol=1e-4)
    np.testing.assert_allclose(weighted.coef_, repeated.coef_, rtol=1e-9)


@is_new
def test_parameters_are_scikit_learns():
    def defaults(cls):
        parameters = inspect.signature(cls).parameters.values()
        return [(p.name, p.default, p.kind) for p in parameters]

    assert defaults(LogisticRegressionCV) == defaults(ScikitLearns)


def test_defaults_are_the_legacy_form_of_accuracy():
    X, y = IRIS
    ours = LogisticRegressionCV(cv=2).fit(X, y)
    told = LogisticRegressionCV(cv=2, scoring=None, l1_ratios=None, use_legacy_attributes=True)
    _assert_alike(ours.scores_, told.fit(X, y).scores_, 0)
    assert ours.score(X, y) == np.mean(ours.predict(X) == y)


def test_groups_and_weights_by_routing():
    X, y = IRIS
    groups, weight = np.arange(150) % 4, np.arange(1.0, 151)
    given = {"Cs": CS, "use_legacy_attributes": False}
    scores = {}
    with config_context(enable_metadata_routing=True):
        for asks in (True, False):
            scorer = make_scorer(accuracy_score).set_score_request(sample_weight=asks)
            ours = LogisticRegressionCV(cv=GroupKFold(4), scoring=scorer, **given)
            ours.set_fit_request(sample_weight=True)
            ours.fit(X, y, sample_weight=weight, groups=groups)
            scores[asks] = ours.scores_
            assert ours.score(X, y, **({"sample_weight": weight} if asks else {})) > 0.9
    splits = list(GroupKFold(4).split(X, y, groups))
    plain = LogisticRegressionCV(cv=splits, scoring="accuracy", **given)
    np.testing.assert_array_equal(scores[True], plain.fit(X, y, weight).scores_)

    def unweighted(estimator, X, y):
        return accuracy_score(y, estimator.predict(X))

    plain = LogisticRegressionCV(cv=splits, scoring=unweighted, **given).fit(X, y, weight)
    np.testing.assert_array_equal(scores[False], plain.scores_)
    assert (scores[True] != scores[False]).any()
    assert plain.score(X, y, weight) == plain.score(X, y)
    with pytest.raises(ValueError, match="routing"):
        plain.fit(X, y, groups=groups)


def test_a_scorer_sees_the_model_that_it_scores():
    X, y = IRIS
    seen = []

    def scorer(estimator, X, y):
        seen.append((type(estimator), estimator.C, estimator.n_features_in_))
        return float(len(seen))

    LogisticRegressionCV(Cs=[1.0, 0.1], cv=2, scoring=scorer).fit(X, y)
    assert seen == [(LogisticRegression, C, 4) for _, C in product(range(2), (0.1, 1.0))]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"Cs": [1.0, 0.0]}, r"Cs must be one-dimensional and above 0; got \[1.0, 0.0\]"),
        ({"Cs": [np.nan]}, "Cs must be one-dimensional and above 0"),
        ({"Cs": [[1.0]]}, "Cs must be one-dimensional"),
        ({"Cs": 0}, "'Cs' parameter of LogisticRegressionCV"),
        ({"l1_ratios": (0, 0.5)}, r"l1_ratios must hold 0 alone, .* got \(0, 0.5\)"),
        ({"penalty": "l1"}, "penalty must be 'l2' or None"),
        ({"solver": "liblinear"}, "solver='liblinear' penalises the intercept"),
        ({"dual": True}, "dual must be False"),
        ({"scoring": "no such score"}, "'scoring' parameter of LogisticRegressionCV"),
        ({"cv": [([0, 1, 2], [])]}, "fold 0 of cv holds out no row"),
        ({"scoring": lambda estimator, X, y: np.nan}, "it gave NaN"),
        ({"class_weight": {7: 1.0}}, "class_weight"),
    ],
    ids=lambda value: str(value).split(" at 0x")[0],  # the same in every process
)
def test_errors_name_the_argument_and_change_nothing(parameters, message):
    X, y = IRIS
    ours = LogisticRegressionCV(Cs=[1.0], cv=2, scoring="accuracy").fit(X, y)
    before = dict(vars(ours))
    ours.set_params(**parameters)
    with pytest.raises(ValueError, match=message):
        ours.fit(X, y)
    changed = [name for name, value in vars(ours).items() if value is not before[name]]
    assert changed == list(parameters)


def test_one_warning_for_all_that_was_missed(capsys):
    X, y = IRIS
    with pytest.warns(ConvergenceWarning, match="in 5 of 5 fits, .* max_iter=2") as record:
        LogisticRegressionCV(Cs=[1.0, 10.0], cv=2, max_iter=2, verbose=1).fit(X, y)
    assert len(record) == 1
    assert record[0].filename == __file__
    lines = capsys.readouterr().err.splitlines()
    assert [line[:16] for line in lines if line.startswith("fold")] == [
        "fold 1/2  C 1  s",
        "fold 1/2  C 10  ",
        "fold 2/2  C 1  s",
        "fold 2/2  C 10  ",
    ]


def test_clone_of_a_fitted_one():
    X, y = IRIS
    ours = LogisticRegressionCV(Cs=[1.0], cv=2, refit=False).fit(X, y)
    again = clone(ours).fit(X, y)
    np.testing.assert_array_equal(again.coef_, ours.coef_)
    assert len(ours.loss_curve_) == 0
    assert ours.converged_
    assert not hasattr(ours, "suboptimality_")


CHECKS = [
    pytest.param(estimator, check, id=check.func.__name__)
    for estimator, check in estimator_checks_generator(
        LogisticRegressionCV(Cs=3, cv=2, scoring="neg_log_loss", use_legacy_attributes=False)
    )
]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
@pytest.mark.filterwarnings("ignore:The least populated class:UserWarning")
@pytest.mark.parametrize(("estimator", "check"), CHECKS)
def test_scikit_learn_s_checks(estimator, check):
    check(estimator)

"""The default solver: where it ends, what it says of it, and what it makes of hard data.

Its parts are tested in test_descent.py; minibatch descent by itself in test_training.py.
"""

import warnings

import numpy as np
import pytest
from digits import DIGITS
from scipy.sparse import csr_array
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from fastsoftmax import SoftmaxClassifier
from fastsoftmax.optimization.solver import STOCHASTIC_EPOCHS

SHAPES = {  # n_samples, n_features, n_classes: one for each form of preconditioner
    "whole": (600, 12, 4),
    "two classes": (500, 20, 2),
    "Kronecker": (800, 150, 9),
    "low rank": (250, 2100, 3),
}


def _drawn(n_samples, n_features, n_classes, seed=0):
    """Rows of a softmax model whose classes overlap."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_samples, n_features))
    raw = X @ rng.normal(size=(n_features, n_classes)) / np.sqrt(n_features) * 3
    return X, (raw + rng.gumbel(size=raw.shape)).argmax(axis=1)


def _objective(classifier, X, y, alpha, weight=None):
    """The objective by its definition, in float64."""
    raw = X @ classifier.coef_.astype(np.float64).T + classifier.intercept_.astype(np.float64)
    if raw.shape[1] == 1:
        raw = np.hstack([np.zeros_like(raw), raw])
    top = raw.max(axis=1)
    total = top + np.log(np.exp(raw - top[:, None]).sum(axis=1))
    codes = np.searchsorted(classifier.classes_, y)
    loss = np.average(total - raw[np.arange(len(y)), codes], weights=weight)
    return loss + alpha / 2 * np.square(classifier.coef_, dtype=np.float64).sum()


def _least(X, y, alpha=1e-4, **parameters):
    """The objective's minimum, proved by its bound."""
    classifier = SoftmaxClassifier(tol=0, alpha=alpha, random_state=1, **parameters)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        classifier.fit(np.asarray(X, np.float64), y)
    return classifier


# --- Where it ends --------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_ends_at_the_optimum_and_says_how_near(shape, dtype):
    X, y = _drawn(*shape)
    X = X.astype(dtype).astype(np.float64)
    best = _least(X, y)
    assert best.suboptimality_bound_ < 1e-10
    classifier = SoftmaxClassifier(random_state=0).fit(X.astype(dtype), y)
    above = _objective(classifier, X, y, 1e-4) - _objective(best, X, y, 1e-4)
    assert -1e-9 < above < 3e-5
    assert classifier.converged_
    assert classifier.suboptimality_ <= classifier.tol
    rounding = 1e-6 if dtype == np.float32 else 1e-12  # of float32 losses of about 1
    assert above <= classifier.suboptimality_bound_ + rounding
    assert classifier.suboptimality_ <= classifier.suboptimality_bound_


@pytest.mark.parametrize("shape", [*SHAPES.values(), "digits"], ids=[*SHAPES, "digits"])
def test_estimate_is_within_a_factor_of_three(shape):
    X, y = DIGITS if shape == "digits" else _drawn(*shape)
    X = X / np.abs(X).max()
    least = _objective(_least(X, y), X, y, 1e-4)
    for tol in (1e-4, 1e-6, 1e-8):
        classifier = SoftmaxClassifier(tol=tol, random_state=0).fit(X, y)
        above = _objective(classifier, X, y, 1e-4) - least
        # Superlinear convergence goes below what it promised; above, the factor is a promise.
        assert above <= 3 * classifier.suboptimality_ + 1e-13, tol
        assert classifier.suboptimality_ <= tol


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("n_classes", [2, 10])
def test_coefficients_are_scikit_learns(n_classes, fit_intercept):
    X, y = DIGITS[0][::3], DIGITS[1][::3]  # the peer's steps cost seconds with all rows
    X, y = X[y < n_classes] / 16, y[y < n_classes]
    alpha = 1e-3
    peer = LogisticRegression(
        C=1 / (alpha * len(X)), solver="newton-cg", tol=1e-12, fit_intercept=fit_intercept
    ).fit(X, y)  # its lbfgs ends 1e-6 off
    classifier = SoftmaxClassifier(
        alpha=alpha, tol=1e-14, fit_intercept=fit_intercept, random_state=0
    ).fit(X, y)
    scale = np.abs(peer.coef_).max()
    off = np.linalg.norm(classifier.coef_ - peer.coef_)
    assert off < 1e-6 * np.linalg.norm(peer.coef_)
    intercept = classifier.intercept_ - classifier.intercept_.mean() * (n_classes > 2)
    expected = peer.intercept_ - peer.intercept_.mean() * (n_classes > 2)
    np.testing.assert_allclose(intercept, expected, atol=1e-5 * scale)


def test_ovr_ends_at_the_optimum_of_each_class():
    X, y = _drawn(400, 8, 3)
    alpha = 1e-3
    classifier = SoftmaxClassifier(multi_class="ovr", alpha=alpha, tol=1e-13, random_state=0)
    classifier.fit(X, y)
    for k in range(3):
        peer = LogisticRegression(C=1 / (alpha * len(X)), tol=1e-10, max_iter=1000).fit(X, y == k)
        np.testing.assert_allclose(classifier.coef_[k], peer.coef_[0], atol=1e-5)


def test_sparse_rows_end_where_dense_ones_do():
    X, y = _drawn(300, 2100, 3)
    X[np.abs(X) < 1.5] = 0
    dense = _least(X, y)
    sparse = SoftmaxClassifier(random_state=0).fit(csr_array(X), y)
    above = _objective(sparse, X, y, 1e-4) - _objective(dense, X, y, 1e-4)
    assert above + 1e-12 >= 0
    assert above < 3e-5
    assert above <= sparse.suboptimality_bound_


def test_weights_are_repetitions():
    X, y = _drawn(200, 6, 3)
    times = np.random.default_rng(0).integers(0, 4, len(X))
    weighted = _least(X, y, alpha=1e-3)
    weighted = SoftmaxClassifier(tol=1e-13, alpha=1e-3, random_state=0).fit(X, y, times)
    repeated = SoftmaxClassifier(tol=1e-13, alpha=1e-3, random_state=0)
    repeated.fit(np.repeat(X, times, axis=0), np.repeat(y, times))
    np.testing.assert_allclose(weighted.coef_, repeated.coef_, atol=1e-5)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_far_off_features_cost_nothing(scale):
    X, y = _drawn(500, 10, 4)
    X = X * scale
    near = SoftmaxClassifier(random_state=0).fit(X, y)
    far = SoftmaxClassifier(random_state=0).fit(X + 100 * scale, y)
    assert far.n_iter_ <= near.n_iter_ + 3
    np.testing.assert_allclose(far.coef_, near.coef_, atol=0.02 * np.abs(near.coef_).max())


@pytest.mark.parametrize("solver", ["auto", "lbfgs"])
@pytest.mark.alone
def test_same_bits_at_any_number_of_threads(solver):
    X, y = _drawn(20_000, 40, 8)
    fits = [
        SoftmaxClassifier(solver=solver, n_jobs=n_jobs, random_state=0, max_iter=9, tol=None)
        .fit(X.astype(np.float32), y)
        .coef_
        for n_jobs in (1, 2, 3)
    ]
    np.testing.assert_array_equal(fits[0], fits[1])
    np.testing.assert_array_equal(fits[0], fits[2])


# --- Hard data ------------------------------------------------------------------------------------


def _scales(X, y):
    return X * np.logspace(-8, 8, X.shape[1]), y


def _copies(X, y):
    return np.hstack([X, X[:, :3], np.ones((len(X), 2)), np.zeros((len(X), 1))]), y


def _wide(X, y):
    return np.random.default_rng(1).normal(size=(30, 200)), np.arange(30) % 3


def _one_row_a_class(X, y):
    return X[:7], np.arange(7)


def _imbalanced(X, y):
    X = np.random.default_rng(2).normal(size=(34_114, 6))
    X[-6:] += 1
    return X, np.repeat([0, 1, 2], [34_108, 3, 3])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("hard", [_scales, _copies, _wide, _one_row_a_class, _imbalanced])
def test_hard_data(hard, dtype):
    X, y = hard(*_drawn(600, 12, 4))
    X = X.astype(dtype)
    classifier = SoftmaxClassifier(random_state=0).fit(X, y)
    assert np.isfinite(classifier.coef_).all()
    assert np.isfinite(classifier.intercept_).all()
    least = _objective(_least(X, y), X.astype(np.float64), y, 1e-4)
    above = _objective(classifier, X.astype(np.float64), y, 1e-4) - least
    assert above < 1e-4
    assert above <= classifier.suboptimality_bound_ + (1e-6 if dtype == np.float32 else 1e-12)


def test_separable_rows_with_hardly_any_penalty():
    X, _ = _drawn(400, 6, 3)
    y = (X @ np.random.default_rng(3).normal(size=(6, 3))).argmax(axis=1)
    classifier = SoftmaxClassifier(alpha=1e-10, random_state=0).fit(X, y)
    assert np.isfinite(classifier.coef_).all()
    assert classifier.score(X, y) > 0.99
    assert _objective(classifier, X, y, 1e-10) < 1e-3
    assert classifier.suboptimality_bound_ > _objective(classifier, X, y, 1e-10) - 1e-4


def test_weights_spanning_six_orders():
    X, y = _drawn(500, 8, 3)
    weight = 10.0 ** np.random.default_rng(0).uniform(-3, 3, len(X))
    classifier = SoftmaxClassifier(random_state=0).fit(X, y, weight)
    best = SoftmaxClassifier(tol=1e-12, random_state=0).fit(X, y, weight)
    above = _objective(classifier, X, y, 1e-4, weight) - _objective(best, X, y, 1e-4, weight)
    assert above < 3e-5
    assert above <= classifier.suboptimality_bound_


def test_without_penalty_nothing_is_promised():
    X, y = _drawn(600, 5, 3)
    classifier = SoftmaxClassifier(alpha=0, random_state=0).fit(X, y)
    assert classifier.converged_
    assert classifier.suboptimality_bound_ == pytest.approx(classifier.loss_curve_[-1], rel=1e-6)


# --- What it says ---------------------------------------------------------------------------------


def test_warns_of_what_was_missed():
    X, y = _drawn(800, 150, 9)
    with pytest.warns(ConvergenceWarning, match=r"after 5 iterations .* raise max_iter above 5"):
        classifier = SoftmaxClassifier(max_iter=5, random_state=0).fit(X, y)
    assert not classifier.converged_
    assert classifier.suboptimality_ > classifier.tol
    assert classifier.n_iter_ == 5


def test_float32_says_where_it_ends(no_newton):
    X, y = _drawn(800, 150, 9)
    classifier = SoftmaxClassifier(tol=1e-14, alpha=1e-8, random_state=0)
    with pytest.warns(ConvergenceWarning, match="float32 allows no more; use dtype='float64'"):
        classifier.fit(X.astype(np.float32), y)
    assert not classifier.converged_


def test_history_of_both_phases(no_newton):
    X, y = _drawn(600, 12, 4)
    classifier = SoftmaxClassifier(random_state=0).fit(X, y)
    history = classifier.history_
    assert np.isnan(history["gradient_norm"][:STOCHASTIC_EPOCHS]).all()
    assert np.isfinite(history["gradient_norm"][STOCHASTIC_EPOCHS:]).all()
    assert (np.diff(history["objective"][STOCHASTIC_EPOCHS:]) <= 0).all()
    assert classifier.learning_rate_ > 0
    penalty = 1e-4 / 2 * np.square(classifier.coef_).sum()
    assert history["objective"][-1] - history["loss"][-1] == pytest.approx(penalty, rel=1e-3)


def test_attributes_go_with_a_fit_that_has_none():
    X, y = _drawn(300, 5, 3)
    classifier = SoftmaxClassifier(random_state=0).fit(X, y)
    classifier.set_params(solver="sgd").fit(X, y)
    for name in ("converged_", "suboptimality_", "suboptimality_bound_"):
        assert not hasattr(classifier, name)


def test_callback_ends_it():
    X, y = _drawn(800, 150, 9)
    classifier = SoftmaxClassifier(random_state=0, callbacks=[lambda info: info.epoch == 7])
    with pytest.warns(ConvergenceWarning, match="a callback stopped it"):
        classifier.fit(X, y)
    assert classifier.n_iter_ == 7


@pytest.mark.parametrize("at", [1, 4, 7])
def test_interrupt_leaves_the_iterate_of_that_time(at):
    X, y = _drawn(800, 150, 9)
    seen = []

    def interrupt(info):
        if info.epoch == at:
            seen.append(info.fitted_estimator.coef_.copy())
            raise KeyboardInterrupt

    classifier = SoftmaxClassifier(random_state=0, callbacks=[interrupt])
    with pytest.raises(KeyboardInterrupt):
        classifier.fit(X, y)
    assert classifier.n_iter_ == at
    np.testing.assert_allclose(classifier.coef_, seen[0])


def test_validation_scores_of_each_iterate():
    X, y = _drawn(800, 10, 4)
    classifier = SoftmaxClassifier(random_state=0).fit(
        X[:600], y[:600], X_val=X[600:], y_val=y[600:]
    )
    assert len(classifier.validation_scores_) == classifier.n_iter_
    assert np.isfinite(classifier.validation_scores_).all()


def test_early_stopping_is_minibatch_descent():
    X, y = _drawn(800, 10, 4)
    classifier = SoftmaxClassifier(early_stopping=True, random_state=0).fit(X, y)
    assert not hasattr(classifier, "suboptimality_")
    assert classifier.n_iter_ <= 20
    with pytest.raises(ValueError, match="early_stopping=True needs epochs of minibatches"):
        SoftmaxClassifier(early_stopping=True, solver="lbfgs").fit(X, y)


def test_lbfgs_refuses_partial_fit():
    with pytest.raises(ValueError, match="solver='lbfgs' needs all rows at once"):
        SoftmaxClassifier(solver="lbfgs").partial_fit([[0.0], [1.0]], [0, 1], classes=[0, 1])


def test_warm_start_goes_on_from_the_optimum():
    X, y = _drawn(600, 12, 4)
    classifier = SoftmaxClassifier(warm_start=True, random_state=0).fit(X, y)
    first = classifier.coef_
    classifier.fit(X, y)
    assert classifier.n_iter_ <= 4
    np.testing.assert_allclose(classifier.coef_, first, atol=0.02)


# --- The learning rate ----------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [SHAPES["whole"], SHAPES["Kronecker"]], ids=["small", "wide"])
def test_sgd_needs_no_learning_rate(shape):
    X, y = _drawn(4 * shape[0], *shape[1:])
    least = _objective(_least(X, y), X, y, 1e-4)
    for scale in (1e-3, 1.0, 1e3):
        alpha = 1e-4 * scale**2  # the same objective in other units, with the same minimum
        classifier = SoftmaxClassifier(solver="sgd", alpha=alpha, random_state=0)
        classifier.fit(X * scale, y)
        assert _objective(classifier, X * scale, y, alpha) - least < 0.02, scale


@pytest.mark.parametrize(("n_samples", "n_epochs"), [(300, 100), (6400, 28), (57_600, 6)])
def test_sgd_chooses_the_number_of_epochs_too(n_samples, n_epochs):
    X, y = _drawn(n_samples, 3, 3)
    classifier = SoftmaxClassifier(solver="sgd", batch_size=64, tol=None, random_state=0)
    assert classifier.fit(X, y).n_iter_ == n_epochs


def test_learning_rate_is_chosen_again_after_the_first_epoch():
    X, y = _drawn(2000, 12, 4)
    y_easy = X[:, :4].argmax(axis=1)
    ratio = []
    for labels in (y, y_easy):
        classifier = SoftmaxClassifier(
            solver="sgd", schedule="constant", batch_size=8, max_iter=2, random_state=0
        ).fit(X, labels)
        first, second = classifier.history_["learning_rate"]
        assert first == classifier.learning_rate_
        ratio.append(second / first)
    # Where labels are easy to tell apart there is less noise, and longer steps are safe.
    assert 1.2 * ratio[0] < ratio[1]


@pytest.mark.parametrize("scale", [1e-3, 1e3])
def test_learning_rate_is_in_units_of_the_data(scale):
    X, y = _drawn(600, 12, 4)
    rates = [
        SoftmaxClassifier(solver="sgd", alpha=0, max_iter=1, random_state=0)
        .fit(Z, y)
        .learning_rate_
        for Z in (X, X * scale)
    ]
    assert rates[1] * scale**2 == pytest.approx(rates[0], rel=0.3)


def test_learning_rate_stays_between_calls_of_partial_fit():
    X, y = _drawn(600, 12, 4)
    classifier = SoftmaxClassifier(random_state=0).partial_fit(X[:300], y[:300], classes=range(4))
    rate = classifier.learning_rate_
    classifier.partial_fit(10 * X[300:], y[300:])
    assert classifier.learning_rate_ == rate

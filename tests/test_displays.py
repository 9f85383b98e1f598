"""Displays: the numbers drawn are those of the fit, and nothing of a picture is cut off."""

import sys

import numpy as np
import pytest
from digits import small_digits
from sgd import sgd_classifier
from sklearn.datasets import load_wine
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression

from fastsoftmax import SoftmaxClassifier

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")

import matplotlib.pyplot as plt  # noqa: E402

from fastsoftmax.displays import (  # noqa: E402
    CoefficientsDisplay,
    LearningRateDisplay,
    LossCurveDisplay,
)


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    plt.close("all")


@pytest.fixture
def fitted():
    X, y = small_digits()
    return sgd_classifier(standardize=True, random_state=0, max_iter=8).fit(X, y)


def assert_nothing_is_cut(figure):
    """All that is drawn, text above all, lies within the figure, to a hundredth of an inch."""
    figure.canvas.draw()
    drawn, size = figure.get_tightbbox(), figure.get_size_inches()
    assert min(drawn.x0, drawn.y0) >= -0.01, drawn
    assert drawn.x1 <= size[0] + 0.01, drawn
    assert drawn.y1 <= size[1] + 0.01, drawn


def history_of(n_epochs, **more):
    objective = np.geomspace(2, 0.1, n_epochs)
    return {"objective": objective, "learning_rate": np.linspace(0.1, 0.01, n_epochs), **more}


# --- LossCurveDisplay -----------------------------------------------------------------------------


def test_loss_curve_of_one_fit(fitted):
    display = LossCurveDisplay.from_estimator(fitted)
    (line,) = display.lines_["SoftmaxClassifier"]
    np.testing.assert_array_equal(line.get_xdata(), np.arange(1, 9))
    np.testing.assert_array_equal(line.get_ydata(), fitted.loss_curve_)
    assert display.ax_.get_yscale() == "log"
    assert (display.ax_.get_xlabel(), display.ax_.get_ylabel()) == ("epoch", "objective")
    assert display.figure_ is display.ax_.figure
    assert_nothing_is_cut(display.figure_)


def test_loss_curves_of_several_fits(fitted):
    X, y = small_digits()
    short = sgd_classifier(max_iter=3).fit(X, y)
    display = LossCurveDisplay.from_estimator({"long": fitted, "short": short})
    labels = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert labels == ["long", "short"]
    np.testing.assert_array_equal(display.lines_["short"][0].get_ydata(), short.loss_curve_)


def test_history_is_preferred(fitted):
    fitted.history_ = history_of(8, validation_score=np.linspace(0.5, 0.9, 8))
    display = LossCurveDisplay.from_estimator(fitted, name="mine", learning_rate=True)
    objective, score, rate = display.lines_["mine"]
    np.testing.assert_array_equal(objective.get_ydata(), fitted.history_["objective"])
    np.testing.assert_array_equal(score.get_ydata(), fitted.history_["validation_score"])
    np.testing.assert_array_equal(rate.get_ydata(), fitted.history_["learning_rate"])
    assert score.axes is display.validation_ax_
    assert rate.axes is display.learning_rate_ax_
    assert len({display.ax_, score.axes, rate.axes}) == 3
    assert len({line.get_color() for line in (objective, score, rate)}) == 1
    assert_nothing_is_cut(display.figure_)
    labels = display.validation_ax_.yaxis.label.get_window_extent()
    assert labels.x1 < rate.axes.spines["right"].get_window_extent().x0


def test_what_is_not_there_is_not_drawn():
    histories = {"a": history_of(5, validation_score=np.full(5, np.nan)), "b": [3.0, 2.0, 1.0]}
    display = LossCurveDisplay.from_history(histories)
    assert display.validation_ax_ is None
    assert display.learning_rate_ax_ is None
    display.plot(learning_rate=True)
    assert [len(display.lines_[name]) for name in "ab"] == [2, 1]
    shown = LossCurveDisplay.from_history(history_of(5, validation_score=range(5)), name="a")
    assert shown.plot(validation=False).validation_ax_ is None


def test_loss_curve_on_given_axes_and_linear():
    _, ax = plt.subplots()
    display = LossCurveDisplay.from_history([0.5], ax=ax, log=False, color="k", label="dot")
    assert display.ax_ is ax
    assert ax.get_yscale() == "linear"
    (line,) = display.lines_["fit"]
    assert (line.get_color(), line.get_label(), line.get_marker()) == ("k", "dot", "o")
    assert LossCurveDisplay.from_history([]).lines_["fit"][0].get_xdata().size == 0


def test_epochs_may_start_anywhere():
    display = LossCurveDisplay.from_history(history_of(3, epoch=[10, 11, 12]))
    assert display.lines_["fit"][0].get_xdata().tolist() == [10, 11, 12]


def test_wrong_histories(fitted):
    with pytest.raises(ValueError, match="history 'a' must have 'objective'; it has 'loss'"):
        LossCurveDisplay.from_history({"a": {"loss": [1.0]}})
    with pytest.raises(ValueError, match=r"'fit' must have one learning_rate an epoch, 2 in all"):
        LossCurveDisplay.from_history({"objective": [1, 2], "learning_rate": [1]})
    with pytest.raises(ValueError, match="learning_rate=True needs a history with learning rates"):
        LossCurveDisplay.from_history([1.0, 2.0], learning_rate=True)
    with pytest.raises(ValueError, match="name goes with a single estimator"):
        LossCurveDisplay.from_estimator({"a": fitted}, name="b")
    with pytest.raises(NotFittedError):
        LossCurveDisplay.from_estimator(sgd_classifier())


# --- CoefficientsDisplay --------------------------------------------------------------------------


def test_coefficients_as_images(fitted):
    display = CoefficientsDisplay.from_estimator(fitted, image_shape=(8, 8))
    assert len(display.images_) == len(display.axes_) == 10
    for k in range(10):
        expected = (fitted.coef_[k] * fitted.scale_).reshape(8, 8)
        np.testing.assert_array_equal(display.images_[k].get_array(), expected)
        assert display.axes_[k].get_title() == str(k)
    low, high = display.images_[0].get_clim()
    assert -low == high == np.abs(fitted.coef_ * fitted.scale_).max()
    assert_nothing_is_cut(display.figure_)


def test_some_classes_in_the_units_of_x(fitted):
    display = CoefficientsDisplay.from_estimator(
        fitted, image_shape=(4, 16), classes=[7, 2], standardized=False, colorbar=False
    )
    assert [ax.get_title() for ax in display.axes_] == ["7", "2"]
    np.testing.assert_array_equal(display.images_[1].get_array(), fitted.coef_[2].reshape(4, 16))


def test_top_features_by_name():
    wine = load_wine(as_frame=True)
    model = sgd_classifier(standardize=True, random_state=0).fit(wine.data, wine.target)
    display = CoefficientsDisplay.from_estimator(model, n_top=4)
    coef = model.coef_ * model.scale_
    for k, bars in enumerate(display.bars_):
        order = np.argsort(-np.abs(coef[k]))[:4][::-1]
        np.testing.assert_array_equal([bar.get_width() for bar in bars], coef[k][order])
        names = [label.get_text() for label in display.axes_[k].get_yticklabels()]
        assert names == wine.data.columns[order].tolist()
    assert_nothing_is_cut(display.figure_)


def test_two_classes_and_long_names_stay_in_the_picture():
    X, y = small_digits(n_classes=2)
    labels = np.array(["a rather long name of a class", "another one, longer still"])
    model = sgd_classifier(random_state=0).fit(X, labels[y])
    names = [f"a feature with a long name, number {j}" for j in range(64)]
    display = CoefficientsDisplay.from_estimator(model, feature_names=names)
    assert len(display.axes_) == 1
    assert display.axes_[0].get_title().replace("\n", " ") == f"{labels[0]} < 0 < {labels[1]}"
    shown = [label.get_text() for label in display.axes_[0].get_yticklabels()]
    assert all(len(name) == 28 for name in shown)
    assert len(set(shown)) == 10
    assert_nothing_is_cut(display.figure_)
    display = CoefficientsDisplay.from_estimator(model, image_shape=(8, 8))
    assert_nothing_is_cut(display.figure_)


def test_coefficients_within_given_axes(fitted):
    figure, (left, right) = plt.subplots(1, 2, figsize=(12, 5), layout="constrained")
    LossCurveDisplay.from_estimator(fitted, ax=left)
    display = CoefficientsDisplay.from_estimator(fitted, image_shape=(8, 8), ax=right)
    assert display.figure_ is figure
    assert display.ax_ is right
    assert_nothing_is_cut(figure)
    single = CoefficientsDisplay.from_coefficients([[1.0, -2.0]], ["a"], ax=left)
    assert single.axes_[0] is left


def test_other_linear_classifiers():
    X, y = small_digits(n_classes=3)
    model = LogisticRegression().fit(X, y)
    display = CoefficientsDisplay.from_estimator(model, image_shape=(8, 8))
    np.testing.assert_array_equal(display.images_[0].get_array().ravel(), model.coef_[0])


def test_wrong_coefficients(fitted):
    draw = CoefficientsDisplay.from_estimator
    with pytest.raises(ValueError, match=r"image_shape must be .* of 64 features in all; got \(8"):
        draw(fitted, image_shape=(8, 9))
    with pytest.raises(ValueError, match="one name for each of the 64 features; got 2"):
        draw(fitted, feature_names=["a", "b"])
    with pytest.raises(ValueError, match=r"classes must be labels out of .*; got \[11\]"):
        draw(fitted, classes=[1, 11])
    with pytest.raises(ValueError, match="a row for each of the 2 names; got shape"):
        CoefficientsDisplay.from_coefficients([[1.0]], ["a", "b"])
    with pytest.raises(NotFittedError):
        draw(sgd_classifier())


# --- LearningRateDisplay --------------------------------------------------------------------------


def test_range_test():
    X, y = small_digits()
    X = 16 * X
    rates = [1e3, 1e-4, 1e-2]
    model = sgd_classifier(max_iter=2, random_state=0, tol=1e9, n_iter_no_change=1)
    weight = np.arange(1, len(X) + 1)
    display = LearningRateDisplay.from_estimator(
        model, X, y, learning_rates=rates, sample_weight=weight
    )
    assert not hasattr(model, "coef_")
    assert display.learning_rates.tolist() == sorted(rates)
    assert display.diverged.tolist() == [False, False, True]
    for rate, objective in zip(display.learning_rates[:2], display.objectives[:2], strict=True):
        alone = sgd_classifier(max_iter=2, random_state=0, tol=None, learning_rate=rate)
        assert objective == alone.fit(X, y, weight).loss_curve_[-1]
    assert display.best_learning_rate_ == 1e-2
    np.testing.assert_array_equal(display.line_.get_xdata(), [1e-4, 1e-2])
    assert display.ax_.get_xscale() == display.ax_.get_yscale() == "log"
    assert_nothing_is_cut(display.figure_)


def test_other_warnings_of_the_fits_are_passed_on():
    class Warning_(SoftmaxClassifier):
        def fit(self, X, y, sample_weight=None):
            import warnings

            warnings.warn("of its own", UserWarning, stacklevel=1)
            return super().fit(X, y, sample_weight)

    with pytest.warns(UserWarning, match="of its own"):
        LearningRateDisplay.from_estimator(
            Warning_(max_iter=1), *small_digits(), learning_rates=[0.1]
        )


def test_objectives_from_elsewhere():
    display = LearningRateDisplay.from_objectives([1.0, 0.1, 0.01], [np.inf, 0.3, 0.5])
    assert display.best_learning_rate_ == 0.1
    assert display.diverged.tolist() == [False, False, True]
    display = LearningRateDisplay.from_objectives([1.0, 0.1], [9, 8], diverged=[True, True])
    assert np.isnan(display.best_learning_rate_)
    assert_nothing_is_cut(display.figure_)


@pytest.mark.parametrize("rates", [[], [0.0, 1.0], [[0.1]], [np.nan], -1.0])
def test_wrong_learning_rates(rates):
    with pytest.raises(ValueError, match="learning_rates must be a list of finite numbers above 0"):
        LearningRateDisplay.from_estimator(sgd_classifier(), *small_digits(), learning_rates=rates)
    with pytest.raises(ValueError, match=r"objectives must have the shape .*\(2,\); got \(1,\)"):
        LearningRateDisplay.from_objectives([1.0, 2.0], [1.0])


# --- Without matplotlib ---------------------------------------------------------------------------


def test_the_extra_is_named_where_matplotlib_is_missing(monkeypatch, fitted):
    monkeypatch.delitem(sys.modules, "fastsoftmax.displays._axes", raising=False)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r'pip install "fastsoftmax\[plot\]"'):
        LossCurveDisplay.from_estimator(fitted)

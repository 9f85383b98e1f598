"""Draws the pictures of docs/displays.md, from data that scikit-learn ships.

    python docs/draw_displays.py [FOLDER]

Not a benchmark and no test; tests/test_displays.py looks at the numbers behind such pictures.
"""

import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from sklearn.calibration import CalibrationDisplay
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from sklearn.metrics import ConfusionMatrixDisplay
from sklearn.model_selection import train_test_split

from fastsoftmax import SoftmaxClassifier
from fastsoftmax.displays import CoefficientsDisplay, LearningRateDisplay, LossCurveDisplay

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, stratify=y, random_state=0)
DIGITS = SoftmaxClassifier(standardize=True, alpha=1e-2, tol=None, random_state=0)


def loss_curves():
    """Several fits together."""
    fits = {}
    for schedule in ("constant", "inverse_time", "cosine"):
        model = SoftmaxClassifier(schedule=schedule, standardize=True, tol=None, random_state=0)
        fits[schedule] = model.set_params(learning_rate=0.05).fit(X_train, y_train)
    return LossCurveDisplay.from_estimator(fits)


def loss_and_validation():
    """Objective, validation score and learning rate, of a history that partial_fit leaves."""
    histories = {}
    for decay in (0.1, 1.0):
        history = {"objective": [], "validation_score": [], "learning_rate": []}
        model = SoftmaxClassifier(schedule="inverse_time", decay=decay, standardize=True)
        model.set_params(learning_rate=0.02, random_state=0)
        for epoch in range(15):
            model.partial_fit(X_train, y_train, range(10))
            history["objective"].append(model.loss_curve_[-1])
            history["validation_score"].append(model.score(X_test, y_test))
            history["learning_rate"].append(0.02 / (1 + decay * epoch))
        histories[f"decay = {decay:g}"] = history
    return LossCurveDisplay.from_history(histories, learning_rate=True)


def coefficients_as_images():
    """Where features form a grid."""
    return CoefficientsDisplay.from_estimator(DIGITS.fit(X_train, y_train), image_shape=(8, 8))


def coefficients_by_name():
    """The top features of each class."""
    wine = load_wine(as_frame=True)
    labels = np.array(["barolo", "grignolino", "barbera"])[wine.target]
    model = SoftmaxClassifier(standardize=True, random_state=0).fit(wine.data, labels)
    return CoefficientsDisplay.from_estimator(model, n_top=8)


def coefficients_of_two_classes():
    """One row for both."""
    cancer = load_breast_cancer(as_frame=True)
    model = SoftmaxClassifier(standardize=True, random_state=0)
    model.fit(cancer.data, cancer.target_names[cancer.target])
    return CoefficientsDisplay.from_estimator(model)


def learning_rates():
    """The range test."""
    model = SoftmaxClassifier(standardize=True, max_iter=3, random_state=0)
    return LearningRateDisplay.from_estimator(
        model, X_train, y_train, learning_rates=np.geomspace(1e-4, 30, 20)
    )


def scikit_learn_s_own():
    """Displays of scikit-learn's, which take the classifier as they take any."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4.6), layout="constrained")
    model = DIGITS.fit(X_train, y_train)
    ConfusionMatrixDisplay.from_estimator(model, X_test, y_test, ax=left, colorbar=False)
    even = SoftmaxClassifier(standardize=True, random_state=0).fit(X_train, y_train % 2)
    CalibrationDisplay.from_estimator(even, X_test, y_test % 2, ax=right)
    return figure


def main():
    """Draw them all."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent / "images")
    folder.mkdir(parents=True, exist_ok=True)
    for draw in (
        loss_curves,
        loss_and_validation,
        coefficients_as_images,
        coefficients_by_name,
        coefficients_of_two_classes,
        learning_rates,
        scikit_learn_s_own,
    ):
        drawn = draw()
        getattr(drawn, "figure_", drawn).savefig(folder / f"{draw.__name__}.png", dpi=100)
        print(folder / f"{draw.__name__}.png")


if __name__ == "__main__":
    main()

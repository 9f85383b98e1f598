"""Grades from hours and attendance: softmax beside three one-vs-rest classifiers.

Five students: (10, 5, A), (9, 5, A), (3, 2, B), (2, 4, B), (11, 1, C). Both ways separate them;
the picture shows how the plane is divided. Prints the probabilities. Saves grades.png.

    python examples/grades.py [folder for pictures]
"""

import sys
from pathlib import Path

import matplotlib
import numpy as np

from fastsoftmax import SoftmaxClassifier

matplotlib.use("Agg")
import matplotlib.pyplot as plt

X = np.array([[10, 5], [9, 5], [3, 2], [2, 4], [11, 1]], dtype=float)
GRADES = np.array(["A", "A", "B", "B", "C"])
TITLES = {"softmax": "softmax", "ovr": "three one-vs-rest classifiers"}
COLORS = ["tab:blue", "tab:orange", "tab:green"]


def fitted(multi_class):
    """Fit the five students by plain gradient descent: one batch is all rows."""
    return SoftmaxClassifier(
        multi_class=multi_class,
        standardize=True,
        batch_size=len(X),
        learning_rate=0.5,
        max_iter=500,
        tol=None,
        random_state=0,
    ).fit(X, GRADES)


def draw(axes, classifier, title):
    """Colour the plane by predicted grade; show where each class's own score is zero."""
    hours, attendance = np.meshgrid(np.linspace(0, 13, 300), np.linspace(0, 6, 300))
    grid = np.stack([hours.ravel(), attendance.ravel()], axis=1)
    predicted = np.searchsorted(classifier.classes_, classifier.predict(grid))
    axes.contourf(
        hours,
        attendance,
        predicted.reshape(hours.shape),
        levels=[-0.5, 0.5, 1.5, 2.5],
        colors=COLORS,
        alpha=0.25,
    )
    if classifier.multi_class == "ovr":
        scores = classifier.decision_function(grid)
        for k, color in enumerate(COLORS):
            score = scores[:, k].reshape(hours.shape)
            axes.contour(hours, attendance, score, levels=[0], colors=color, linestyles="--")
    for k, grade in enumerate(classifier.classes_):
        chosen = grade == GRADES
        axes.scatter(*X[chosen].T, color=COLORS[k], edgecolor="black", s=80, label=f"grade {grade}")
    axes.set(xlabel="hours of study", title=title)


def main(folder):
    """Fit both ways, print their probabilities side by side and draw them."""
    classifiers = {way: fitted(way) for way in TITLES}
    print("hours attendance grade   P(A), P(B), P(C): softmax      one-vs-rest")
    probabilities = [classifier.predict_proba(X) for classifier in classifiers.values()]
    for (hours, attendance), grade, *rows in zip(X, GRADES, *probabilities, strict=True):
        written = "   ".join("  ".join(f"{p:.3f}" for p in row) for row in rows)
        print(f"{hours:5.0f} {attendance:10.0f} {grade:>5}            {written}")
    for way, classifier in classifiers.items():
        print(f"{TITLES[way]}: {classifier.score(X, GRADES):.0%} of the students right")

    figure, both = plt.subplots(1, 2, figsize=(11, 4.5), sharey=True, layout="constrained")
    for axes, (way, classifier) in zip(both, classifiers.items(), strict=True):
        draw(axes, classifier, TITLES[way])
    both[0].set(ylabel="attendance")
    both[1].plot([], [], "k--", label="a classifier's own boundary")
    figure.legend(*both[1].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    figure.savefig(folder / "grades.png", dpi=120)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "."))

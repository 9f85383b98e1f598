"""Softmax turns scores into probabilities: [2.0, 1.0, 0.1] becomes 0.7, 0.2, 0.1.

Prints the probabilities, and what becomes of them when the scores are multiplied or divided by 10;
draws the three probabilities while the first score moves. Saves softmax.png.

    python examples/softmax.py [folder for pictures]
"""

import sys
from pathlib import Path

import matplotlib
import numpy as np

from fastsoftmax.functional import softmax

matplotlib.use("Agg")
import matplotlib.pyplot as plt

SCORES = np.array([2.0, 1.0, 0.1])


def main(folder):
    """Print the worked example and draw it."""
    for label, scores in (
        ("scores", SCORES),
        ("scores × 10", SCORES * 10),
        ("scores ÷ 10", SCORES / 10),
    ):
        probability = softmax(scores)
        written = ", ".join(f"{p:.1f}" for p in probability)
        print(f"{label:<12} {scores.round(2)!s:<18} → {written}   sum {probability.sum():.1f}")
    print("Larger scores make it sure of itself, smaller ones bring the classes together.")

    first = np.linspace(-4, 6, 200)
    probability = softmax(np.stack([first, np.full(200, 1.0), np.full(200, 0.1)], axis=1))
    figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    axes.plot(
        first, probability, label=["class 0, score x", "class 1, score 1.0", "class 2, score 0.1"]
    )
    axes.axvline(2.0, color="0.6", linestyle=":")
    axes.annotate(
        "x = 2.0: 0.7, 0.2, 0.1", (2.0, 0.66), (2.5, 0.5), arrowprops={"arrowstyle": "->"}
    )
    axes.set(xlabel="score x of class 0", ylabel="probability", title="softmax([x, 1.0, 0.1])")
    axes.legend(loc="center left")
    figure.savefig(folder / "softmax.png", dpi=120)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "."))

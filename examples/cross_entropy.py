"""Cross-entropy D(S, L) = −Σ Lᵢ log Sᵢ: how far a prediction S is from a one-hot label L.

Prints D(A, a) and D(A, b) for one prediction A and two labels, and draws −log x, the price of
giving probability x to what is true. Saves cross_entropy.png.

    python examples/cross_entropy.py [folder for pictures]
"""

import sys
from pathlib import Path

import matplotlib
import numpy as np

from fastsoftmax.functional import cross_entropy, one_hot, softmax

matplotlib.use("Agg")
import matplotlib.pyplot as plt

SCORES = np.array([2.0, 1.0, 0.1])


def main(folder):
    """Print the two distances and draw where they lie on −log x."""
    prediction = softmax(SCORES)
    print(f"A = softmax({SCORES}) = {prediction.round(3)}")
    distances = {}
    for name, code in (("a", 0), ("b", 1)):
        label = one_hot(code, n_classes=3)
        by_hand = -np.sum(label * np.log(prediction))
        distances[name] = cross_entropy(SCORES, label)
        print(f"D(A, {name}) = {distances[name]:.3f}   by hand {by_hand:.3f}   {name} = {label}")
    print("D(A, a) < D(A, b):", distances["a"] < distances["b"])

    x = np.linspace(0.005, 1, 400)
    figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    axes.plot(x, -np.log(x))
    for name, code in (("a", 0), ("b", 1)):
        axes.plot(prediction[code], distances[name], "o", color="C3")
        axes.annotate(
            f"D(A, {name}) = {distances[name]:.3f}",
            (prediction[code], distances[name]),
            (prediction[code] + 0.05, distances[name] + 0.4),
            arrowprops={"arrowstyle": "->"},
        )
    axes.set(xlabel="probability x of the true class", ylabel="−log x", title="The graph of −log x")
    axes.set(xlim=(0, 1.02), ylim=(0, 5.5))
    axes.grid(alpha=0.3)
    figure.savefig(folder / "cross_entropy.png", dpi=120)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "."))

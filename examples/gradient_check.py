"""Average cross-entropy D(S(WX + b), L) over a training set, its gradient checked by differences.

The training set is 300 of scikit-learn's handwritten digits. Prints the loss and the largest gap
between gradient and finite differences; draws the gap against the step. Saves gradient_check.png.

    python examples/gradient_check.py [folder for pictures]
"""

import sys
from pathlib import Path

import matplotlib
import numpy as np
from sklearn.datasets import load_digits

from fastsoftmax.functional import cross_entropy, cross_entropy_gradient

matplotlib.use("Agg")
import matplotlib.pyplot as plt


def loss_and_gradient(X, y_true, coef, intercept):
    """Average cross-entropy, and its gradient with respect to coef and intercept."""
    raw_prediction = X @ coef.T + intercept
    gradient = cross_entropy_gradient(raw_prediction, y_true)
    return cross_entropy(raw_prediction, y_true), gradient.T @ X, gradient.sum(axis=0)


def finite_differences(X, y_true, coef, intercept, step):
    """Central differences of the loss along every weight of coef."""
    differences = np.empty_like(coef)
    for index in np.ndindex(coef.shape):
        ends = []
        for sign in (1, -1):
            moved = coef.copy()
            moved[index] += sign * step
            ends.append(cross_entropy(X @ moved.T + intercept, y_true))
        differences[index] = (ends[0] - ends[1]) / (2 * step)
    return differences


def main(folder):
    """Print the losses and the check, and draw how it depends on the step."""
    X, y_true = load_digits(return_X_y=True)
    X, y_true = X[:300] / 16, y_true[:300]
    n_classes, n_features = 10, X.shape[1]
    zeros = loss_and_gradient(X, y_true, np.zeros((n_classes, n_features)), np.zeros(n_classes))
    print(f"loss at W = 0, b = 0: {zeros[0]:.6f} = log 10 = {np.log(10):.6f}")

    rng = np.random.default_rng(0)
    coef = rng.normal(scale=0.5, size=(n_classes, n_features))
    intercept = rng.normal(size=n_classes)
    loss, gradient, _ = loss_and_gradient(X, y_true, coef, intercept)
    print(f"loss at random W, b:  {loss:.6f}")

    steps = 10.0 ** np.arange(-9, 0)
    gaps = [
        np.abs(gradient - finite_differences(X, y_true, coef, intercept, step)).max()
        for step in steps
    ]
    best = int(np.argmin(gaps))
    print(f"largest gap to finite differences: {gaps[best]:.1e} at step {steps[best]:.0e},")
    print(f"of gradients up to {np.abs(gradient).max():.3f}, over {gradient.size} weights")

    figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    axes.loglog(steps, gaps, "o-", label="largest gap over all weights")
    axes.loglog(steps, gaps[-1] * (steps / steps[-1]) ** 2, ":", label="truncation ~ step²")
    axes.loglog(steps, np.finfo(float).eps * loss / steps, "--", label="rounding ~ ε · loss / step")
    axes.set(xlabel="step", ylabel="|gradient − difference|", title="Gradient check on digits")
    axes.set_ylim(min(gaps) / 30, max(gaps) * 30)
    axes.legend()
    figure.savefig(folder / "gradient_check.png", dpi=120)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "."))

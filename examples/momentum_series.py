"""Momentum is a fading sum of past gradients: v_t = η g_t + γ η g_{t−1} + γ² η g_{t−2} + …

Runs v ← γ v + η g over 40 random gradients beside the series written out, and over a constant
gradient, where v tends to η g / (1 − γ). Prints both; saves momentum_series.png.

    python examples/momentum_series.py [folder for pictures]
"""

import sys
from pathlib import Path

import matplotlib
import numpy as np

from fastsoftmax.functional import momentum_update

matplotlib.use("Agg")
import matplotlib.pyplot as plt

LEARNING_RATE, MOMENTUM = 0.1, 0.9


def velocities(gradients):
    """v_t for every t, by the update."""
    params, velocity = np.zeros(1), np.zeros(1)
    history = []
    for gradient in gradients:
        momentum_update(params, velocity, np.array([gradient]), LEARNING_RATE, MOMENTUM)
        history.append(velocity[0])
    return np.array(history)


def series(gradients):
    """v_t for every t, by the sum."""
    return np.array(
        [
            sum(MOMENTUM**age * LEARNING_RATE * gradients[t - age] for age in range(t + 1))
            for t in range(len(gradients))
        ]
    )


def main(folder):
    """Compare the update with the series and draw both."""
    gradients = np.random.default_rng(0).normal(size=40)
    by_update, by_series = velocities(gradients), series(gradients)
    for t in range(3):
        print(f"v_{t}: update {by_update[t]:+.6f}   series {by_series[t]:+.6f}")
    print(f"largest gap over {len(gradients)} steps: {np.abs(by_update - by_series).max():.1e}")
    constant = velocities(np.ones(40))
    limit = LEARNING_RATE / (1 - MOMENTUM)
    print(f"constant gradient 1: v_39 = {constant[-1]:.4f}, limit η / (1 − γ) = {limit:.4f}")

    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
    left.plot(LEARNING_RATE * gradients, color="0.7", label="η g, plain SGD's step")
    left.plot(by_update, label="v by the update")
    left.plot(by_series, "k.", markersize=4, label="v by the series")
    left.set(xlabel="step t", ylabel="velocity", title="Random gradients, γ = 0.9")
    right.plot(constant, label="v")
    right.axhline(limit, color="0.6", linestyle=":", label="η g / (1 − γ)")
    right.axhline(LEARNING_RATE, color="0.7", linestyle="--", label="η g, plain SGD's step")
    right.set(xlabel="step t", ylabel="velocity", title="Constant gradient 1")
    for axes in (left, right):
        axes.legend()
    figure.savefig(folder / "momentum_series.png", dpi=120)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "."))

"""
The arithmetic of softmax regression
====================================

Softmax, cross-entropy, z-scores, momentum and the five students of a lecture, a few numbers each,
with the functions of :mod:`fastsoftmax`.
"""

import matplotlib.pyplot as plt
import numpy as np

from fastsoftmax import (
    SoftmaxClassifier,
    cross_entropy,
    cross_entropy_gradient,
    momentum_update,
    softmax,
    zscore,
)

# %%
# Softmax
# -------
# It turns scores into probabilities: positive, summing to one, the order kept. Scores that are ten
# times as large make it sure of itself; a thousand is no trouble.

print(softmax([2.0, 1.0, 0.1]).round(1))
print(softmax([20.0, 10.0, 1.0]).round(4))
print(softmax([1000.0, 0.0, -1000.0]))

first = np.linspace(-4, 6, 200)
probability = softmax(np.stack([first, np.full(200, 1.0), np.full(200, 0.1)], axis=1))
figure, axes = plt.subplots(figsize=(7, 3.6), layout="constrained")
axes.plot(first, probability, label=["class 0, score x", "class 1, score 1.0", "class 2, 0.1"])
axes.axvline(2.0, color="0.6", linestyle=":")
axes.set(xlabel="score x of class 0", ylabel="probability", title="softmax([x, 1.0, 0.1])")
axes.legend(loc="center left")

# %%
# Cross-entropy
# -------------
# D(S, L) = −Σ Lᵢ log Sᵢ is small where the right class is likely. It is taken from the raw scores,
# which keeps digits that ``log(softmax(...))`` loses. Its gradient is the probabilities, less 1 at
# the right class.

scores = [[2.0, 1.0, 0.1]]
print(f"{cross_entropy(scores, [0]):.3f} where the first class is right")
print(f"{cross_entropy(scores, [2]):.3f} where the last one is")
print(cross_entropy_gradient(scores, [0]).round(2))

# %%
# z-scores
# --------
# They make features comparable: less their mean, divided by their standard deviation, of the
# population (``ddof=0``) or of the sample (``ddof=1``).

hours = [[10.0], [9.0], [3.0], [2.0], [11.0]]
print(zscore(hours).ravel().round(2))
print(zscore(hours, ddof=1).ravel().round(2))

# %%
# Five students
# -------------
# Hours of study and attendance, and grades: softmax and three one-vs-rest classifiers both separate
# them.

X = np.array([[10, 5], [9, 5], [3, 2], [2, 4], [11, 1]], dtype=float)
grade = np.array(["A", "A", "B", "B", "C"])
for way in ("softmax", "ovr"):
    model = SoftmaxClassifier(multi_class=way, standardize=True, random_state=0).fit(X, grade)
    print(way, *model.predict(X), f"P(C | 11, 1) = {model.predict_proba(X)[4, 2]:.2f}")

# %%
# Momentum
# --------
# v ← γv + ηg, θ ← θ − v is a fading sum of past gradients: ηgₜ + γηgₜ₋₁ + γ²ηgₜ₋₂ + … Where all
# gradients are 1, the velocity goes to η / (1 − γ).

params, velocity = np.zeros(1), np.zeros(1)
velocities = []
for _ in range(40):
    momentum_update(params, velocity, np.ones(1), learning_rate=0.1, momentum=0.9)
    velocities.append(velocity[0])

figure, axes = plt.subplots(figsize=(7, 3.2), layout="constrained")
axes.plot(np.arange(1, 41), velocities, "o-", markersize=3)
axes.axhline(0.1 / (1 - 0.9), color="0.4", linestyle="--")
axes.set(xlabel="step", ylabel="velocity", title="η = 0.1, γ = 0.9, all gradients 1")
print(f"{velocities[-1]:.4f} after 40 steps, of {0.1 / (1 - 0.9):.4f}")

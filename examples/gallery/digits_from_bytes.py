"""
Digits from bytes
=================

Images come as bytes, and are trained on as bytes: one for each pixel, an eighth of float64.
Nothing is copied, which is shown here by what a fit allocates, and nothing is divided by 255 first:
``alpha`` is multiplied by 255² in its place, as the coefficients are smaller by 255.

The digits of scikit-learn are drawn at the size of MNIST's, 28 × 28, each some thirty times at
another place; MNIST itself goes the same way.
"""

import tracemalloc

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from fastsoftmax import SoftmaxClassifier
from fastsoftmax.displays import CoefficientsDisplay

small, labels = load_digits(return_X_y=True)
rng = np.random.default_rng(0)
which = rng.integers(len(small), size=50_000)
large = np.kron(small.reshape(-1, 8, 8), np.ones((3, 3))) * 15.9
X = np.zeros((len(which), 28, 28), dtype=np.uint8)
for image, digit, (top, left) in zip(X, which, rng.integers(5, size=(50_000, 2)), strict=True):
    image[top : top + 24, left : left + 24] = large[digit]
X, y = X.reshape(len(X), 784), labels[which]
train = which % 5 > 0  # no digit is both trained on and held out, wherever it is
X_train, y_train, X_test, y_test = X[train], y[train], X[~train], y[~train]

figure, axes = plt.subplots(2, 6, figsize=(7, 2.6), layout="constrained")
for ax, row in zip(axes.flat, X_train, strict=False):
    ax.imshow(row.reshape(28, 28), cmap="gray_r")
    ax.set_axis_off()

# %%
# Fit
# ---
# What is allocated while it runs, by Python and NumPy, is far less than a copy in float32 would be,
# and doesn't grow with the rows: it is for the curvature, of a sample of them.

tracemalloc.start()
model = SoftmaxClassifier(alpha=1e-3 * 255**2, random_state=0).fit(X_train, y_train)
_, peak = tracemalloc.get_traced_memory()
tracemalloc.stop()

print(f"X as bytes {X_train.nbytes / 1e6:.0f} MB, as float32 it would be {X_train.size * 4e-6:.0f}")
print(f"allocated during the fit: {peak / 1e6:.0f} MB at most")
print(f"held out: {model.score(X_test, y_test):.1%} right, {model.n_iter_} passes")
print(f"an estimated {model.suboptimality_:.0e} above the optimum")

# %%
# What it has learned
# -------------------
# Red speaks for the digit, blue against it.

CoefficientsDisplay.from_estimator(model, image_shape=(28, 28))

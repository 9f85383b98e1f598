"""
A linear probe on embeddings
============================

What a representation knows of the classes is asked by a linear classifier on top of it. That takes
a fit for each representation, so it had better be quick, and it had better be the optimum: else it
is the optimiser that is compared.

Embeddings come from a network as a rule, in float16. So that this runs anywhere, a kernel's
features of handwritten digits, of growing width, take their place.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.kernel_approximation import Nystroem
from sklearn.model_selection import train_test_split

from fastsoftmax import SoftmaxClassifier

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X / 16, y, stratify=y, random_state=0)

# %%
# One probe
# ---------
# float16 is read as it is: no copy in float32 is made, as rows are widened when they are used.

embed = Nystroem(gamma=0.2, n_components=256, random_state=0).fit(X_train)
embeddings, embeddings_test = (
    embed.transform(rows).astype(np.float16) for rows in (X_train, X_test)
)
probe = SoftmaxClassifier(alpha=1e-5, random_state=0).fit(embeddings, y_train)

print(embeddings.dtype, embeddings.shape)
print(f"held out: {probe.score(embeddings_test, y_test):.1%} right")
print(f"{probe.n_iter_} passes, {probe.suboptimality_:.0e} above the optimum by estimate")

# %%
# The same for each representation
# --------------------------------
# The dashed line is a fit to the pixels themselves.

widths = [16, 32, 64, 128, 256]
accuracy, passes = [], []
for width in widths:
    embed = Nystroem(gamma=0.2, n_components=width, random_state=0).fit(X_train)
    probe = SoftmaxClassifier(alpha=1e-5, random_state=0)
    probe.fit(embed.transform(X_train).astype(np.float16), y_train)
    accuracy.append(probe.score(embed.transform(X_test).astype(np.float16), y_test))
    passes.append(probe.n_iter_)
    assert probe.converged_
pixels = SoftmaxClassifier(alpha=1e-3, random_state=0).fit(X_train, y_train)

for width, right, n_iter in zip(widths, accuracy, passes, strict=True):
    print(f"{width:4} features: {right:.1%} right after {n_iter} passes")

figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
axes.semilogx(widths, accuracy, "o-", label="embeddings, float16", base=2)
axes.axhline(pixels.score(X_test, y_test), color="0.4", linestyle="--", label="64 pixels")
axes.set(xlabel="features", ylabel="share of held-out digits that are right")
axes.set(title="What each representation knows")
axes.legend()

# %%
# On real ones
# ------------
# A matrix of 10⁵ to 10⁶ rows goes the same way, from memory, from a memory map
# (``np.load(path, mmap_mode="r")``), or block by block from files that are larger than memory
# (:class:`fastsoftmax.sources.NpySource`, :class:`fastsoftmax.sources.ParquetSource`).

"""
Watching training
=================

What a fit has done is in ``history_``; a callback is told of each epoch as it ends, and may end
training; rows that are not trained on say when it has been enough.
"""

import matplotlib.pyplot as plt
import pandas as pd
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from fastsoftmax import SoftmaxClassifier
from fastsoftmax.displays import LossCurveDisplay

X, y = load_digits(return_X_y=True)
X_train, X_val, y_train, y_val = train_test_split(X, y, stratify=y, random_state=0)

# %%
# To the optimum
# --------------
# A few epochs of minibatches, then iterations over all rows. The objective of a minibatch's epoch
# is that of its rows as they were met, and so lags behind.

model = SoftmaxClassifier(standardize=True, random_state=0).fit(X_train, y_train)
history = pd.DataFrame(model.history_)
print(history[["epoch", "objective", "gradient_norm", "learning_rate"]].round(5).tail(4))

LossCurveDisplay.from_estimator(model)

# %%
# Minibatches, and when to stop
# -----------------------------
# ``early_stopping`` gives the weights of the epoch with the best score on ``X_val``.

stopped = SoftmaxClassifier(
    standardize=True, early_stopping=True, learning_rate=0.05, max_iter=200, random_state=0
)
stopped.fit(X_train[:300], y_train[:300], X_val=X_val, y_val=y_val)
print(f"{stopped.n_iter_} epochs, the best of them number {stopped.best_iter_}")

LossCurveDisplay.from_estimator(stopped, name="300 rows")

# %%
# A callback
# ----------
# It gets an :class:`fastsoftmax.callbacks.EpochInfo`: the numbers of the epoch and, on demand, the
# classifier as it is then. Something true ends training.

accuracies = []


def enough(info):
    """Keep the accuracy on other rows, and stop at 95 %."""
    accuracies.append(info.fitted_estimator.score(X_val, y_val))
    return accuracies[-1] > 0.95


watched = SoftmaxClassifier(
    solver="sgd", standardize=True, learning_rate=0.002, callbacks=[enough], random_state=0
)
watched.fit(X_train, y_train)
print(f"{watched.n_iter_} epochs, {accuracies[-1]:.1%} right")

figure, axes = plt.subplots(figsize=(7, 3.4), layout="constrained")
axes.plot(range(1, len(accuracies) + 1), accuracies, "o-")
axes.axhline(0.95, color="0.4", linestyle="--")
axes.set(xlabel="epoch", ylabel="share of other rows that are right")

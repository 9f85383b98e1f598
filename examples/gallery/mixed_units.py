"""
Tabular data of mixed units
===========================

Cells are measured by lengths, areas and ratios, so that one column is 10⁵ times as large as
another. Descents crawl on such data, which is why a ``StandardScaler`` is put before them. Here it
may be left out: each feature is taken in its own unit, and the fit says that it has come to the
minimum.
"""

import warnings

import matplotlib.pyplot as plt
import numpy as np
import sklearn.linear_model
from sklearn.datasets import load_breast_cancer
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import log_loss

from fastsoftmax import LogisticRegression, SoftmaxClassifier
from fastsoftmax.displays import CoefficientsDisplay

data = load_breast_cancer(as_frame=True)
X, y = data.data, data.target_names[data.target]
spread = X.std()
print(f"deviations from {spread.min():.4f} ({spread.idxmin()}) to {spread.max():.0f}")


def objective(model):
    """What both minimise, with C = 1."""
    penalty = 0.5 * np.square(model.coef_).sum()
    return log_loss(y, model.predict_proba(X), normalize=False) + penalty


# %%
# To the minimum, in the units as they are
# ----------------------------------------

ours = LogisticRegression(tol=1e-8).fit(X, y)
print(f"{ours.n_iter_[0]} passes, at most {ours.suboptimality_bound_:.0e} above the minimum")

caps = [10, 30, 100, 300]
above = []
with warnings.catch_warnings():
    warnings.simplefilter("ignore", ConvergenceWarning)
    for cap in caps:
        theirs = sklearn.linear_model.LogisticRegression(max_iter=cap).fit(X, y)
        above.append(objective(theirs) - objective(ours))
        print(f"scikit-learn's, max_iter={cap}: {above[-1]:.2g} above")

figure, axes = plt.subplots(figsize=(7, 3.8), layout="constrained")
axes.loglog(caps, above, "o-", label="scikit-learn's lbfgs")
axes.axvline(ours.n_iter_[0], color="C1", label=f"fastsoftmax, {ours.n_iter_[0]} passes to 0")
axes.set(xlabel="iterations allowed", ylabel="objective above the minimum")
axes.legend()

# %%
# Which features matter
# ---------------------
# A coefficient of a length can't be compared with that of an area. ``standardize=True`` penalises
# all features alike, by their z-scores, which are taken as rows are read; the display shows
# coefficients for each standard deviation.

model = SoftmaxClassifier(standardize=True, alpha=1e-2, random_state=0).fit(X, y)
CoefficientsDisplay.from_estimator(model, n_top=8)

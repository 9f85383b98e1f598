"""
Choosing alpha with a validation set
====================================

The strength of the penalty is the one parameter that wants a search. Here it is judged by rows that
are set aside once, as one does with many of them; ``cv=5`` would take folds.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from fastsoftmax import SoftmaxClassifierCV

X, y = load_digits(return_X_y=True)
X, X_test, y, y_test = train_test_split(X, y, test_size=400, stratify=y, random_state=0)
X, X_val, y, y_val = train_test_split(X, y, test_size=400, stratify=y, random_state=0)

# %%
# All of the path
# ---------------
# The minima are found from the strongest penalty to the weakest, each from the last. The loss is
# what tells penalties apart: the accuracy of most of them is nearly the same.

search = SoftmaxClassifierCV(
    alphas=np.logspace(1, -7, 33),
    n_alphas_without_gain=None,
    scoring="loss",
    standardize=True,
    random_state=0,
)
search.fit(X, y, X_val=X_val, y_val=y_val)
print(f"alpha {search.alpha_:.2g}; on new rows {search.score(X_test, y_test):.1%} right")
print(f"{search.n_iter_.sum()} passes for {len(search.alphas_)} minima")

# %%
# Less of it
# ----------
# As it comes, the search ends after five strengths in a row that were worse than the best one:
# those beyond are too weak, and their minima are the farthest to go to.

short = SoftmaxClassifierCV(
    alphas=np.logspace(1, -7, 33), scoring="loss", standardize=True, random_state=0
)
short.fit(X, y, X_val=X_val, y_val=y_val)
print(f"alpha {short.alpha_:.2g} again, after {short.n_iter_.sum()} passes")

figure, (upper, lower) = plt.subplots(2, sharex=True, figsize=(7, 5), layout="constrained")
upper.semilogx(search.alphas_, -search.scores_[0], "o-", markersize=4, label="all")
upper.semilogx(short.alphas_, -short.scores_[0], "o", markersize=8, fillstyle="none", label="tried")
upper.axvline(search.alpha_, color="0.4", linestyle="--")
upper.set(ylabel="log-loss of the rows set aside")
upper.legend()
lower.loglog(search.alphas_, search.n_iter_[0], "o-", markersize=4, color="C2")
lower.set(xlabel="alpha", ylabel="passes")

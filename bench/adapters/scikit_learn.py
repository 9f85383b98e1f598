"""scikit-learn's LogisticRegression, which fits the same objective to its optimum by L-BFGS.

Equal work: C = 1 / (alpha · n_samples) makes its penalty ours, for any number of classes. It has
no epochs, so it is compared as a whole fit: the time, the objective reached and the accuracy on
rows that neither has seen. (SGDClassifier is left out: its log_loss is one-vs-rest and its
batches are single rows, which is other work.) Called by bench/test_fit.py.
"""

from sklearn.linear_model import LogisticRegression


def logistic_regression(alpha, n_samples, max_iter=100):
    """An unfitted LogisticRegression whose objective is ours with this ``alpha``."""
    return LogisticRegression(C=1 / (alpha * n_samples), max_iter=max_iter)

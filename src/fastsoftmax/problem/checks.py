"""Checks of what the caller hands over, beyond what scikit-learn checks: X, labels and weights.

Every error names the argument, what was given and what is allowed. Nothing here knows how training
works. Called by the estimators.
"""

from contextlib import contextmanager

import numpy as np

from .labels import some

__all__ = ["check_validation_data", "check_warm_start", "unchanged_on_failure"]


@contextmanager
def unchanged_on_failure(estimator):
    """Leave the estimator's attributes as they were if the block raises, Ctrl-C included.

    Enough as long as the block replaces arrays and never writes into them.
    """
    before = vars(estimator).copy()
    try:
        yield
    except BaseException:
        estimator.__dict__ = before
        raise


def check_warm_start(X, classes, coef, known_classes):
    """An error where a warm start meets other classes or another number of features."""
    if not np.array_equal(classes, known_classes):
        raise ValueError(
            f"warm_start=True needs the classes of the last fit, {some(known_classes.tolist())}; "
            f"y holds {some(classes.tolist())}"
        )
    if X.shape[1] != coef.shape[1]:
        raise ValueError(
            f"warm_start=True needs the {coef.shape[1]} features of the last fit; X has "
            f"{X.shape[1]}"
        )


def check_validation_data(X_val, y_val, sample_weight_val):
    """Whether there are rows to validate on; an error where only a part of them is given."""
    if (X_val is None) != (y_val is None):
        given, missing = ("y_val", "X_val") if X_val is None else ("X_val", "y_val")
        raise ValueError(f"X_val and y_val must be given together; got {given} without {missing}")
    if X_val is None and sample_weight_val is not None:
        raise ValueError("sample_weight_val needs X_val and y_val; got neither")
    return X_val is not None

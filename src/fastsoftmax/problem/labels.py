"""Labels and the codes that stand for them in training: int32 positions in the sorted classes.

Errors name the argument and the labels in question. Called by checks.py and held_out.py.
"""

import numpy as np
from sklearn.utils import column_or_1d

__all__ = ["are_plain", "check_known_classes", "classes_and_codes", "encode_labels", "some"]


def are_plain(y, n_samples):
    """Whether scikit-learn's checks would let so many labels pass, for their type alone."""
    return type(y) is np.ndarray and y.ndim == 1 and y.dtype.kind in "biuU" and len(y) == n_samples


def encode_labels(y, classes, name="y"):
    """Class codes, int32, of the labels y; an error lists labels that aren't in ``classes``."""
    labels, positions = np.unique(y, return_inverse=True)
    code_of = {label: code for code, label in enumerate(classes.tolist())}
    unseen = [label for label in labels.tolist() if label not in code_of]
    if unseen:
        raise ValueError(
            f"{name} holds labels that are not among the classes: {some(unseen)}; "
            f"the classes are {some(classes.tolist())}"
        )
    codes = np.array([code_of[label] for label in labels.tolist()], dtype=np.int32)
    return codes[positions.ravel()]


def classes_and_codes(y, name):
    """Sorted distinct labels, and the position of each of y among them, int32."""
    classes, positions = np.unique(y, return_inverse=True)
    return _at_least_two(classes, name), positions.ravel().astype(np.int32)


def check_known_classes(classes, known):
    """The classes that partial_fit is to use: those known from an earlier call, or those given."""
    if classes is None:
        if known is None:
            raise ValueError("classes must be given in the first call of partial_fit; got None")
        return known
    classes = _at_least_two(np.unique(column_or_1d(classes)), "classes")
    if known is not None and not np.array_equal(classes, known):
        raise ValueError(
            "classes must be None or those of the first call of partial_fit or fit, "
            f"{some(known.tolist())}; got {some(classes.tolist())}"
        )
    return classes


def _at_least_two(classes, source):
    """These classes; an error names the only one where there are fewer than two."""
    if len(classes) < 2:
        held = f"only 1 class, {classes.tolist()[0]!r}" if len(classes) else "no label"
        raise ValueError(f"a classifier needs at least 2 classes; {source} holds {held}")
    return classes


def some(labels):
    """Up to ten labels as text."""
    text = ", ".join(repr(label) for label in labels[:10])
    return f"{text} and {len(labels) - 10} more" if len(labels) > 10 else text

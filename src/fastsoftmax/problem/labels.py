"""Labels and the codes that stand for them in training: int32 positions in the sorted classes.

Errors name the argument and the labels in question. Called by checks.py and held_out.py.
"""

import numpy as np
from sklearn.utils import column_or_1d

__all__ = ["check_classes", "check_known_classes", "encode_labels", "some"]


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


def check_classes(labels, source):
    """Sorted distinct labels; an error names the only one where there are fewer than two."""
    classes = np.unique(labels)
    if len(classes) < 2:
        held = f"only 1 class, {classes.tolist()[0]!r}" if len(classes) else "no label"
        raise ValueError(f"a classifier needs at least 2 classes; {source} holds {held}")
    return classes


def check_known_classes(classes, known):
    """The classes that partial_fit is to use: those known from an earlier call, or those given."""
    if classes is None:
        if known is None:
            raise ValueError("classes must be given in the first call of partial_fit; got None")
        return known
    classes = check_classes(column_or_1d(classes), "classes")
    if known is not None and not np.array_equal(classes, known):
        raise ValueError(
            "classes must be None or those of the first call of partial_fit or fit, "
            f"{some(known.tolist())}; got {some(classes.tolist())}"
        )
    return classes


def some(labels):
    """Up to ten labels as text."""
    text = ", ".join(repr(label) for label in labels[:10])
    return f"{text} and {len(labels) - 10} more" if len(labels) > 10 else text

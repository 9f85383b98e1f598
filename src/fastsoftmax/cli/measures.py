"""How good predictions are, added up block by block.

Counts and sums alone are kept, so that there may be any number of rows. Called by train.py and
evaluate.py.
"""

import numpy as np

from ..problem.labels import encode_labels
from .reading import named_blocks

__all__ = ["Measures", "measure"]

#: Ranges of equal width that the probability of the predicted class is sorted into.
N_BINS = 10

#: Classes of which each pair is counted; of more, what is right and wrong of each class.
MOST_CLASSES_IN_PAIRS = 1000


class Measures:
    """Of rows met so far.

    Parameters
    ----------
    classes : ndarray of shape (n_classes,)

    Attributes
    ----------
    n_rows : int
    confusion : float64 ndarray of shape (n_classes, n_classes) or None
        Weight of the rows of a class, a row each, by the class that is predicted; None of more
        than a thousand classes.
    bin_weight, bin_probability, bin_correct : float64 ndarrays of shape (10,)
        Of rows by the probability of the class that is predicted: weight, and the weighted sums of
        that probability and of what was right.
    """

    def __init__(self, classes):
        self.classes, self.n_rows = classes, 0
        n_classes = len(classes)
        is_paired = n_classes <= MOST_CLASSES_IN_PAIRS
        self.confusion = np.zeros((n_classes, n_classes)) if is_paired else None
        self._true, self._predicted, self._hit = np.zeros((3, n_classes))
        self._loss = 0.0
        self.bin_weight, self.bin_probability, self.bin_correct = np.zeros((3, N_BINS))

    def add(self, y, log_probability, sample_weight=None):
        """Take in rows: labels, ln of the probabilities of shape (n_rows, n_classes), weights."""
        n_classes = len(self.classes)
        codes = encode_labels(np.asarray(y), self.classes)
        weight = np.ones(len(codes)) if sample_weight is None else np.asarray(sample_weight)
        rows = np.arange(len(codes))
        predicted = log_probability.argmax(axis=1)
        correct = predicted == codes
        self.n_rows += len(codes)
        self._loss -= float(weight @ log_probability[rows, codes].astype(np.float64))
        self._true += np.bincount(codes, weight, n_classes)
        self._predicted += np.bincount(predicted, weight, n_classes)
        self._hit += np.bincount(codes, weight * correct, n_classes)
        if self.confusion is not None:
            pairs = np.bincount(codes * n_classes + predicted, weight, n_classes**2)
            self.confusion += pairs.reshape(n_classes, n_classes)
        probability = np.exp(log_probability[rows, predicted].astype(np.float64))
        bins = np.minimum((probability * N_BINS).astype(int), N_BINS - 1)
        self.bin_weight += np.bincount(bins, weight, N_BINS)
        self.bin_probability += np.bincount(bins, weight * probability, N_BINS)
        self.bin_correct += np.bincount(bins, weight * correct, N_BINS)

    @property
    def accuracy(self):
        return float(self._hit.sum() / self._true.sum())

    @property
    def log_loss(self):
        return float(self._loss / self._true.sum())

    @property
    def calibration_error(self):
        """Mean distance of how often a prediction is right from its probability, over the bins."""
        return float(np.abs(self.bin_correct - self.bin_probability).sum() / self.bin_weight.sum())

    @property
    def of_classes(self):
        """Precision, recall, F1 and weight of each class; NaN of what no row speaks for."""
        return {
            "precision": _ratio(self._hit, self._predicted),
            "recall": _ratio(self._hit, self._true),
            "f1": _ratio(2 * self._hit, self._true + self._predicted),
            "support": self._true,
        }

    @property
    def document(self):
        """All of it, for ``--json``."""
        of_classes = self.of_classes
        return {
            "rows": self.n_rows,
            "accuracy": self.accuracy,
            "log_loss": self.log_loss,
            "classes": [
                {"label": label, **{name: values[k] for name, values in of_classes.items()}}
                for k, label in enumerate(self.classes.tolist())
            ],
            "confusion": self.confusion,
            "calibration": {
                "error": self.calibration_error,
                "bins": [
                    {"probability": p, "right": r, "support": w}
                    for p, r, w in zip(
                        _ratio(self.bin_probability, self.bin_weight),
                        _ratio(self.bin_correct, self.bin_weight),
                        self.bin_weight,
                        strict=True,
                    )
                ],
            },
        }


def measure(model, source):
    """Measures of a fitted model on all rows of a source, which has labels."""
    measures = Measures(model.classes_)

    def add(block):
        measures.add(block.y, model.predict_log_proba(block.X), block.sample_weight)

    for _ in named_blocks(source, add):
        pass
    if not measures.bin_weight.sum() > 0:
        raise ValueError(f"{source.name} holds no rows of a weight above 0")
    return measures


def _ratio(part, whole):
    return np.divide(part, whole, out=np.full(len(whole), np.nan), where=whole > 0)

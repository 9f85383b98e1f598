"""Rows of a source to validate on: looked through once, then scored block by block, each epoch.

Their loss or accuracy alone, as scorers want to see all rows at once. Called by checks.py,
fitting.py and folds.py.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .held_out import Validation
from .labels import encode_labels
from .rows import check_finite
from .scan import Rows, in_block
from .streamed import part_of

__all__ = [
    "SourceHeldOut",
    "SourceValidation",
    "check_belongs_to_source",
    "rows_of_source",
    "validation_of",
]


@dataclass(frozen=True)
class SourceHeldOut:
    """Rows to validate on that are not in memory.

    Parameters
    ----------
    source : sources.Source
    classes : ndarray of shape (n_classes,)
        Those that are learned.
    """

    source: Any
    classes: np.ndarray

    def blocks(self):
        """Rows and codes of each block that has any."""
        for block in self.source.blocks():
            rows = Rows.of(block, self.source)
            with in_block(rows.number, self.source.name):
                if len(rows.X):
                    yield rows, encode_labels(rows.y, self.classes, "y_val")


def check_belongs_to_source(argument, **more):
    """An error where labels or weights are given beside the argument that is a source."""
    for name, given in more.items():
        if given is not None:
            raise ValueError(
                f"{name} comes from the source that is given as {argument}; give it there"
            )


def rows_of_source(data, source, y_val, sample_weight_val, scorer):
    """SourceHeldOut of a source, which is gone through once, or an error.

    Parameters
    ----------
    data : checks.CheckedData or checks.StreamedData
        What is trained on.
    source : sources.Source
    y_val, sample_weight_val
        As ``fit`` was given them: they are the source's.
    scorer : bool
        Whether anything but the loss is asked for.
    """
    check_belongs_to_source("X_val", y_val=y_val, sample_weight_val=sample_weight_val)
    if scorer:
        raise ValueError("scoring must be 'loss' where X_val is a source, which no scorer can see")
    held_out, n_features, total = SourceHeldOut(source, data.classes), data.coef_shape[1], 0.0
    for rows, _ in held_out.blocks():
        with in_block(rows.number, source.name):
            if rows.X.shape[1] != n_features:
                raise ValueError(f"X_val has {rows.X.shape[1]} features, and X has {n_features}")
            check_finite(rows.X, data.dtype, data.n_threads)
        weight = rows.sample_weight
        total += len(rows.X) if weight is None else float(weight.sum())
    if not total > 0:
        raise ValueError(f"X_val, {source.name}, holds no rows of a weight above 0")
    return held_out


class SourceValidation:
    """Scores a State on the rows of a source, as held_out.Validation does on those in memory.

    Parameters
    ----------
    held_out : SourceHeldOut
    problem, scoring, fitted, early_stopping, unlearned
        As in :class:`held_out.Validation`; a scorer stands for the accuracy.
    """

    def __init__(self, held_out, problem, scoring, fitted, early_stopping=False, unlearned=()):
        self.early_stopping = early_stopping
        self._held_out, self._scoring, self._fitted = held_out, scoring, fitted
        self._problem = replace(problem.sampled, label_smoothing=0.0)
        self._unlearned = unlearned

    def score(self, state):
        """The accuracy, or the loss with its sign turned."""
        if self._scoring.scorer is not None:
            return self._fitted(state).score(self._held_out.source)
        total = total_weight = 0.0
        for rows, codes in self._held_out.blocks():
            weight = rows.sample_weight
            if len(self._unlearned):
                weight = np.ones(len(codes)) if weight is None else weight
                is_unlearned = np.isin(codes, self._unlearned)
                of_unlearned = float(weight[is_unlearned].sum())
                total -= of_unlearned * np.log(np.finfo(self._problem.dtype).eps)
                total_weight += of_unlearned
                weight = np.where(is_unlearned, 0, weight)
            part = part_of(self._problem, rows.X, codes, weight)
            if part.n_used > 0:
                total += part.objective(state) * part.weight_sum
                total_weight += part.weight_sum
        return -float(total / total_weight)


def validation_of(held_out, *arguments, **more):
    """What scores a State on rows held out, in memory or not, of the same arguments."""
    kind = SourceValidation if isinstance(held_out, SourceHeldOut) else Validation
    return kind(held_out, *arguments, **more)

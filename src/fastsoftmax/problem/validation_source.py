"""Rows of a source to validate on: looked through once, then scored block by block, each epoch.

Their loss alone, as scorers want to see all rows at once. Called by checks.py and fitting.py.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .labels import encode_labels
from .rows import check_finite
from .scan import Rows, in_block
from .streamed import part_of

__all__ = ["SourceHeldOut", "SourceValidation", "check_belongs_to_source", "rows_of_source"]


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
    problem : objective.Problem or streamed.StreamedProblem
        The one that is trained on, for its units and its loss.
    early_stopping : bool
    """

    def __init__(self, held_out, problem, early_stopping):
        self.early_stopping = early_stopping
        self._held_out = held_out
        self._problem = replace(problem.sampled, label_smoothing=0.0)

    def score(self, state):
        """The loss with its sign turned."""
        total = total_weight = 0.0
        for rows, codes in self._held_out.blocks():
            part = part_of(self._problem, rows.X, codes, rows.sample_weight)
            if part.n_used == 0:
                continue
            total += part.objective(state) * part.weight_sum
            total_weight += part.weight_sum
        return -float(total / total_weight)

"""What happened in training, epoch by epoch, and what it says about when to stop.

Numbers only: no weights and no estimator. Written by training.py; memory.py joins the histories of
calls that follow one another and gives them to the user as ``history_``.
"""

from dataclasses import dataclass, field, fields

import numpy as np

__all__ = ["Epoch", "History", "columns_of", "joined_columns"]


@dataclass(frozen=True)
class Epoch:
    """One epoch that was kept; those undone after divergence leave nothing but their time.

    Parameters
    ----------
    objective, loss : float
        As :func:`training.train` measures them: with the penalty and without it.
    learning_rate : float
        Of its last minibatch.
    seconds : float
        That it took, with the repetitions after divergence and without validation and callbacks.
    gradient_norm : float, default=nan
        Of the objective, where the method knows it; minibatches never do.
    validation_score : float, default=nan
        The higher the better.
    """

    objective: float
    loss: float
    learning_rate: float
    seconds: float
    gradient_norm: float = np.nan
    validation_score: float = np.nan


@dataclass
class History:
    """What happened in one call.

    Parameters
    ----------
    epochs : list of Epoch
    n_halvings : int
        How many times an epoch diverged and the learning rate was halved.
    gave_up : bool
        True where no learning rate kept the next epoch from diverging.
    interrupted : bool
        True where Ctrl-C ended training after at least one epoch.
    """

    epochs: list[Epoch] = field(default_factory=list)
    n_halvings: int = 0
    gave_up: bool = False
    interrupted: bool = False

    @property
    def loss_curve(self):
        """The objective of each epoch, a list."""
        return [epoch.objective for epoch in self.epochs]

    @property
    def validation_scores(self):
        """The validation score of each epoch, a list."""
        return [epoch.validation_score for epoch in self.epochs]

    def best_epoch(self):
        """Index of the first epoch of the highest validation score; at least one was kept."""
        return int(np.argmax(self.validation_scores))

    def has_stalled(self, tol, n_iter_no_change, by_validation=False):
        """True where none of the last epochs came more than tol below the best before it.

        Below in the objective, or ``by_validation`` above in the validation score.
        """
        if tol is None or len(self.epochs) <= n_iter_no_change:
            return False
        curve = np.negative(self.validation_scores) if by_validation else self.loss_curve
        best = np.minimum.accumulate(curve)
        improved = np.subtract(best[:-1], curve[1:]) > tol
        return not improved[-n_iter_no_change:].any()


_NAMES = tuple(column.name for column in fields(Epoch))


def columns_of(objectives):
    """The columns of epochs of which only the objective is known."""
    n_epochs = len(objectives)
    unknown = {name: np.full(n_epochs, np.nan) for name in _NAMES}
    return {"epoch": np.arange(1, n_epochs + 1), **unknown, "objective": np.asarray(objectives)}


def joined_columns(earlier, history):
    """A dict of arrays, one value an epoch: those of ``earlier``, then those of a History.

    "epoch" counts from 1; the other keys are the fields of :class:`Epoch`.
    """
    columns = {
        name: np.append(earlier[name], [getattr(epoch, name) for epoch in history.epochs])
        for name in _NAMES
    }
    return {"epoch": np.arange(1, len(columns["objective"]) + 1)} | columns

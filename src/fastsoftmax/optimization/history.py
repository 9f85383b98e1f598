"""What happened in training, epoch by epoch, and what it says about when to stop.

Numbers only: no weights and no estimator. Written by sgd.py and solver.py; memory.py joins the
histories of calls that follow one another and gives them to the user as ``history_``.
"""

from dataclasses import dataclass, field, fields, replace

import numpy as np

__all__ = ["NO_EPOCHS", "Epoch", "History", "columns_of", "joined_columns"]


@dataclass(frozen=True)
class Epoch:
    """One epoch that was kept; those undone after divergence leave nothing but their time.

    Parameters
    ----------
    objective, loss : float
        As :func:`sgd.train` measures them: with the penalty and without it.
    learning_rate : float
        Of its last minibatch.
    seconds : float
        That it took, with the repetitions after divergence and without validation and callbacks.
    gradient_norm : float, default=nan
        Of the objective, where the method knows it; minibatches never do.
    validation_score : float, default=nan
        The higher the better.
    gap : float, default=nan
        Of dual coordinate ascent: what the objective is above its minimum at the epoch's end, at
        most where it was proved, else an estimate.
    suboptimality : float, default=nan
        Estimate of what the objective is above its minimum, where the method has one: half the
        Newton decrement gᵀ H⁻¹ g (Boyd, Vandenberghe, "Convex Optimization", 2004, section 9.5.1),
        by the Hessian if that was asked here, else by the method's own model of it.
    suboptimality_bound : float, default=nan
        What it is above it at most, where that is proved here.
    n_halvings : int, default=0
        Times it diverged and was repeated at half the learning rate.
    plateau : bool, default=False
        Whether the objective had stalled at its end, and the learning rate was lowered for it.
    """

    objective: float
    loss: float
    learning_rate: float
    seconds: float
    gradient_norm: float = np.nan
    validation_score: float = np.nan
    gap: float = np.nan
    suboptimality: float = np.nan
    suboptimality_bound: float = np.nan
    n_halvings: int = 0
    plateau: bool = False


@dataclass
class History:
    """What happened in one call.

    Parameters
    ----------
    epochs : list of Epoch
    n_halvings : int
        How many times an epoch diverged and the learning rate was halved.
    n_lowerings : int
        How many times the learning rate was lowered as the objective had stalled.
    gave_up : bool
        True where no learning rate kept the next epoch from diverging.
    interrupted : bool
        True where Ctrl-C ended training after at least one epoch.
    """

    epochs: list[Epoch] = field(default_factory=list)
    n_halvings: int = 0
    n_lowerings: int = 0
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

    def note_plateau(self):
        """The objective has stalled: from the next epoch on the learning rate is lower."""
        self.n_lowerings += 1
        self.epochs[-1] = replace(self.epochs[-1], plateau=True)

    def has_stalled(self, tol, n_iter_no_change, by_validation=False):
        """True where none of the last epochs came more than tol below the best before it.

        Below in the objective, or ``by_validation`` above in the validation score. A lowering of
        the learning rate is given as many epochs to help.
        """
        last = self.epochs[-n_iter_no_change:]
        if (
            tol is None
            or len(self.epochs) <= n_iter_no_change
            or any(epoch.plateau for epoch in last)
        ):
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


#: The columns of no epoch; never written to.
NO_EPOCHS = columns_of(())


def joined_columns(earlier, history):
    """A dict of arrays, one value an epoch: those of ``earlier``, then those of a History.

    "epoch" counts from 1; the other keys are the fields of :class:`Epoch`.
    """
    values = [[*vars(epoch).values()] for epoch in history.epochs]
    new = np.array(values, dtype=np.float64).reshape(-1, len(_NAMES)).T.copy()
    columns = dict(zip(_NAMES, new, strict=True))
    n_earlier = len(earlier["epoch"])
    if n_earlier:
        unknown = np.full(n_earlier, np.nan)  # columns that older pickles have not
        columns = {
            name: np.append(earlier.get(name, unknown), column) for name, column in columns.items()
        }
    return {"epoch": np.arange(1, n_earlier + len(values) + 1)} | columns

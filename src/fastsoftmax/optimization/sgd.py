"""The loop over epochs: order of rows, schedule, stopping, rollback after divergence and Ctrl-C.

Minibatch descent for a Problem, a State and a :class:`Plan`; no learning rate is chosen here, and
no parameters are validated. Called by solver.py.
"""

from dataclasses import dataclass, replace
from time import perf_counter

import numpy as np

from .history import Epoch, History
from .journal import NO_JOURNAL
from .schedules import learning_rates

__all__ = ["Plan", "train"]

#: An epoch whose objective is this many times that of the start (or of zero weights, if more) has
#: diverged. A healthy first epoch stays below 1; outliers in a small batch stay below 3.
DIVERGENCE_FACTOR = 3.0

#: Rows on which the parameters at an epoch's end are tried. Divergence is a matter of factors, so
#: a mean over a thousand rows is enough; of 60000 rows it costs under 1 % of an epoch.
SAMPLE_SIZE = 1024

#: Halvings before training gives up: a factor of 2^100 ≈ 1e30, after which the data and not the
#: learning rate is to blame. It bounds the number of epochs thrown away.
MAX_HALVINGS = 100

#: What the learning rate is multiplied by where training has stalled, and how many times at most:
#: after the last it is 1/625 of what it was, and steps that small go nowhere.
PLATEAU_FACTOR = 0.2
MOST_LOWERINGS = 4


@dataclass(frozen=True)
class Plan:
    """How to go about it.

    Parameters
    ----------
    update : {"sgd", "momentum", "nesterov", "adagrad"}
        As in ``kernels.backward_update``.
    learning_rate : float > 0
        At the start; ``schedule`` and ``decay`` as in :func:`schedules.learning_rates`.
    momentum : float in [0, 1)
    batch_size : int ≥ 1
        More than the rows used means all of them: gradient descent.
    n_epochs : int ≥ 1
        At most so many epochs, and the end of the schedules that have one.
    tol : float ≥ 0 or None
        Stop once ``n_iter_no_change`` epochs running have not brought the objective more than
        this below its best; None never stops early.
        With early stopping the validation score takes the objective's place.
    n_iter_no_change : int ≥ 1
    shuffle : bool
        A new random order of the rows each epoch.
    lower_on_plateau : bool
        Where training would stop as it has stalled, go on at PLATEAU_FACTOR times the learning
        rate instead, MOST_LOWERINGS times.
    """

    update: str = "momentum"
    learning_rate: float = 0.01
    schedule: str = "constant"
    decay: float = 0.1
    momentum: float = 0.9
    batch_size: int = 128
    n_epochs: int = 20
    tol: float | None = 1e-4
    n_iter_no_change: int = 5
    shuffle: bool = True
    lower_on_plateau: bool = False

    @property
    def rate_settings(self):
        """What a learning rate is chosen for, and what its halvings are of, in a word."""
        rate = "auto" if self.learning_rate is None else repr(self.learning_rate)
        return f"{rate} {self.update} {self.momentum!r} {self.batch_size}"


def train(
    problem,
    state,
    plan,
    random_state,
    n_epochs_done=0,
    on_epoch=None,
    validation=None,
    revised_rate=None,
    journal=NO_JOURNAL,
):
    """Minimise the objective by minibatch descent, updating ``state`` in place.

    An epoch diverges when its objective or a parameter is not finite, or when its objective, or
    that of a sample of the rows at its end, is more than 3 times both that of the start and that
    of zero weights. Then parameters and optimiser are put back to the end of the last good epoch,
    the learning rate is halved (and with it the velocity, which is proportional to it), and the
    epoch is run again over the rows *in the same order*, so that a training that diverges in its
    first epoch ends exactly where one with the halved rate would have. Epochs run again count
    neither as epochs nor in the loss curve.

    Ctrl-C ends training at the end of the last good epoch, if there is one: the kernels hear no
    signal, so that it comes up between epochs. Without a good epoch KeyboardInterrupt goes on.

    Parameters
    ----------
    problem : Problem
    state : State
        Where to start; at return, where training ended, always finite if it was so before. With
        early stopping, that is the epoch of the best validation score.
    plan : Plan
    random_state : numpy.random.RandomState
        Draws one permutation an epoch where ``plan.shuffle``.
    n_epochs_done : int ≥ 0, default=0
        Epochs of earlier calls, for the schedule.
    on_epoch : callable or None, default=None
        Called after each good epoch as ``on_epoch(history, state, is_last)``; training ends where
        what it gives is true.
    validation : early_stopping.Validation or None, default=None
        Gives a score of the state at the end of each epoch, and says whether that decides when to
        stop and which weights to keep.
    revised_rate : callable or None, default=None
        Gives the learning rate to go on with, of the state after the first epoch.
    journal : journal.Journal
        Keeps what each epoch gives.

    Returns
    -------
    history : History
        The objective of an epoch is the mean over its rows of each loss as it was met, before
        that minibatch's update, plus the penalty at the epoch's end. It costs no pass of its own
        and lags the objective at the epoch's end; with one batch of all rows it is that of the
        epoch's start.
    """
    plan = replace(plan, batch_size=min(plan.batch_size, problem.n_used))
    n_steps = problem.n_steps(plan.batch_size)
    watch = _Watch(problem, state)
    history, keeper = History(), _Keeper(state, validation)
    try:
        for epoch in range(n_epochs_done, n_epochs_done + plan.n_epochs):
            order = problem.order(plan.shuffle, random_state)
            rates = learning_rates(
                plan.schedule, plan.learning_rate, epoch, n_steps, plan.decay, plan.n_epochs
            )
            rates *= 0.5**history.n_halvings * PLATEAU_FACTOR**history.n_lowerings
            n_halvings = history.n_halvings
            started = perf_counter()
            result = _good_epoch(
                problem,
                state,
                order,
                rates,
                plan,
                watch,
                keeper.last_good(history),
                history,
                journal,
            )
            if history.gave_up:
                break
            watch.leave_start()
            if revised_rate is not None and not history.epochs:
                plan = replace(plan, learning_rate=revised_rate(state))
            seconds = perf_counter() - started
            n_halvings = history.n_halvings - n_halvings
            record = Epoch(*result, float(rates[-1]), seconds, n_halvings=n_halvings)
            keeper.keep(state, history, record)
            stop = epoch + 1 == n_epochs_done + plan.n_epochs
            if history.has_stalled(plan.tol, plan.n_iter_no_change, keeper.by_validation):
                if plan.lower_on_plateau and history.n_lowerings < MOST_LOWERINGS and not stop:
                    history.note_plateau()
                else:
                    stop = True
            if on_epoch is not None:
                stop = on_epoch(history, state, stop)
            if stop:
                break
    except KeyboardInterrupt:
        if not history.epochs:
            raise
        history.interrupted = True
        state.become(keeper.last_good(history))
    keeper.restore_best(state, history)
    return history


def _good_epoch(problem, state, order, rates, plan, watch, last_good, history, journal):
    """Run an epoch, at half the rates again while it diverges; its objective and its loss."""
    while True:
        loss = journal.run_epoch(problem, state, order, rates, plan)
        with np.errstate(all="ignore"):
            objective = loss + problem.penalty(state.coef)
        if not watch.has_diverged(objective, state, last_good):
            break
        if history.n_halvings == MAX_HALVINGS:
            state.become(last_good)
            history.gave_up = True
            break
        history.n_halvings += 1
        rates *= 0.5
        _halve_velocity(last_good, plan.update)
        state.become(last_good)
    return objective, loss


class _Keeper:
    """Keeps the weights of the last good epoch, and of the best one where that is asked for.

    Ctrl-C may come between any two lines, so two copies take turns: the new weights go to the one
    that is not in use, and the append to the history is what makes them the last good ones.
    """

    def __init__(self, start, validation):
        self.by_validation = validation is not None and validation.early_stopping
        self._validation = validation
        self._copies = (start.copy(), start.copy())
        self._best = start.copy() if self.by_validation else None

    def last_good(self, history):
        return self._copies[len(history.epochs) % 2]

    def keep(self, state, history, epoch):
        """Score the state, keep it, and append the epoch."""
        if self._validation is not None:
            epoch = replace(epoch, validation_score=self._validation.score(state))
        self._copies[(len(history.epochs) + 1) % 2].become(state)
        history.epochs.append(epoch)
        if self._best is not None and history.best_epoch() == len(history.epochs) - 1:
            self._best.become(state)

    def restore_best(self, state, history):
        # Where the last epoch is the best, state is that: the copy may be half written by then.
        epochs = history.epochs
        if self._best is not None and epochs and history.best_epoch() < len(epochs) - 1:
            state.become(self._best)


def _halve_velocity(state, update):
    # A velocity is the learning rate times a sum of gradients. Left as it is, it would carry the
    # parameters as far away as before, however low the new learning rate.
    if update in ("momentum", "nesterov"):
        state.coef_state *= 0.5
        state.intercept_state *= 0.5


class _Watch:
    """Tells whether an epoch has diverged.

    Its objective alone can't tell: with one batch of all rows it is that of the epoch's start, and
    the step that ruins the last minibatches hardly moves the mean. So the parameters at its end are
    tried on a sample of the rows as well.

    The ceiling is DIVERGENCE_FACTOR times the objective of zero weights, which is known without
    looking at X, or of the start, if more. The latter is needed only where the first epoch comes
    out above the former, and only then is a pass over X spent on it.
    """

    def __init__(self, problem, start):
        self._problem = problem
        # Every n-th row: a leading part would be of one class where the rows are sorted.
        rows = problem.sampled.rows
        self._sample = rows[:: -(-len(rows) // SAMPLE_SIZE)].copy()
        self._ceiling = DIVERGENCE_FACTOR * problem.objective_at_zero(len(start.coef))
        self._start_may_be_higher = bool(start.coef.any() or start.intercept.any())

    def has_diverged(self, objective, state, start):
        """Is the objective of this epoch, or that of the state it ended in, too high or no number?

        ``start`` is where the epoch set out from.
        """
        if not (np.isfinite(objective) and state.is_finite()):
            return True
        highest = np.maximum(objective, self._problem.sampled.objective(state, self._sample))
        if highest > self._ceiling and self._start_may_be_higher:
            self.leave_start()
            at_start = self._problem.objective(start)
            self._ceiling = max(self._ceiling, DIVERGENCE_FACTOR * at_start)
        return not highest <= self._ceiling  # a NaN is not below it either

    def leave_start(self):
        """The first epoch is over: what the next one sets out from is not the start any more."""
        self._start_may_be_higher = False

"""One fit, from checked data and settings to parameters: pose the problem, solve it, go back.

Every estimator fits by :func:`fit`. It knows no estimator: what a parameter means is settled in
:class:`Settings`, and what is kept for later is a :class:`Memory`, which estimators/memory.py
writes to attributes. How a problem is posed is posing.py's, how it is solved solver.py's.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ..problem.held_out import Scoring
from ..problem.objective import State
from ..problem.posing import Formulation, Seen, pose
from ..problem.validation_source import validation_of
from .history import NO_EPOCHS, History, joined_columns
from .journal import NO_JOURNAL
from .seeds import Seeded
from .sgd import Plan
from .solver import Outcome, descend, solve
from .tolerance import Tolerance

__all__ = ["Fitted", "Memory", "Settings", "fit"]


@dataclass(frozen=True)
class Settings:
    """What an estimator's parameters ask of a fit.

    Parameters
    ----------
    formulation : posing.Formulation
        Which objective.
    plan : sgd.Plan
        Of minibatch descent, its learning rate in the units of X, or None for one from the data.
        ``n_epochs`` counts iterations of any kind.
    to_optimum : bool
        Whether to go on, by passes over all rows, until ``tolerance`` is reached. Never done with
        a batch of ``partial_fit``.
    stochastic : bool
        Whether the way to the optimum begins with minibatches; not where it begins from parameters.
    reforms : bool
        Whether the model of the curvature is formed anew on the way to the optimum.
    by_dual : bool or None
        Whether the way to the optimum begins with dual coordinate ascent, as in
        :func:`solver.solve`.
    tolerance : tolerance.Tolerance
        As in :func:`solver.solve`.
    init_scale : float ≥ 0
        Standard deviation of the coef to begin with.
    random_state : int, RandomState instance or None
    observed : callable
        ``observed(n_epochs_done, n_epochs, fitted, has_end)`` is a context manager that gives the
        ``on_epoch`` of :func:`sgd.train`.
    fitted : callable
        ``fitted(classes, coef, intercept)`` makes an estimator that predicts, for those who are
        told and for scorers.
    scoring : held_out.Scoring
        Of the rows held out, if there are any.
    early_stopping : bool
        Whether their score decides when to stop.
    journal : journal.Journal
        Keeps what passes give.
    """

    formulation: Formulation
    plan: Plan
    to_optimum: bool
    stochastic: bool
    tolerance: Tolerance
    random_state: Any
    observed: Callable
    fitted: Callable
    scoring: Scoring
    init_scale: float = 0.0
    early_stopping: bool = False
    reforms: bool = False
    by_dual: bool | None = None
    journal: Any = NO_JOURNAL


@dataclass(frozen=True)
class Memory:
    """What a later call goes on from; the defaults are those of a first call.

    Parameters
    ----------
    coef, intercept : ndarrays or None
        Parameters in the units of X.
    coef_state, intercept_state : ndarrays or None
        What the optimiser remembers, in the units that training ran in. Those of the next call
        differ by the drift of the column statistics, which is not worth a conversion.
    update : str or None
        Whose state that is; another optimiser starts anew.
    seen : posing.Seen
    history : dict of ndarrays
        See :func:`history.joined_columns`.
    n_halvings : int
        Of the learning rate, after divergence.
    learning_rate : float or None
        At the start, in the units of X; None before one was chosen.
    rate_settings : str or None
        What it was chosen for; None where an older version chose it.
    """

    coef: np.ndarray | None = None
    intercept: np.ndarray | None = None
    coef_state: np.ndarray | None = None
    intercept_state: np.ndarray | None = None
    update: str | None = None
    seen: Seen = field(default_factory=Seen)
    history: dict = field(default_factory=lambda: NO_EPOCHS)
    n_halvings: int = 0
    learning_rate: float | None = None
    rate_settings: str | None = None

    def astype(self, dtype):
        """The same in the dtype to compute in; never an array that is written to later."""
        names = ("coef", "intercept", "coef_state", "intercept_state")
        arrays = {name: getattr(self, name) for name in names}
        return replace(
            self,
            **{name: None if a is None else a.astype(dtype) for name, a in arrays.items()},
        )

    def under(self, settings):
        """What is still valid under these settings, where the last call had others.

        A learning rate, and the halvings of it, are of the parameters that it was chosen for; the
        optimiser's state is in the units of the last call, which differ by more than a drift where
        one call scaled the features and the other doesn't.
        """
        rate_settings = settings.plan.rate_settings
        memory = replace(self, rate_settings=rate_settings)
        if self.rate_settings not in (None, rate_settings):
            memory = replace(memory, learning_rate=None, n_halvings=0)
        was_scaled, scales = self.seen.statistics is not None, settings.formulation.standardize
        return memory if was_scaled == bool(scales) else replace(memory, update=None)

    def state(self, units, update, fit_intercept):
        """Parameters in ``units``, and the optimiser's state where it is that of ``update``."""
        coef, intercept = units.from_original(self.coef, self.intercept)
        state = State.at(coef, intercept)
        if update == self.update:
            state.coef_state[:], state.intercept_state[:] = self.coef_state, self.intercept_state
        if not fit_intercept:  # in these units there is none, whatever the last call had
            state.intercept[:] = state.intercept_state[:] = 0
        return state


@dataclass(frozen=True)
class Fitted:
    """What came of a fit.

    Parameters
    ----------
    memory : Memory
        Parameters in the units of X, and what a later call goes on from.
    scale : float64 ndarray of shape (n_features,) or None
        What ``standardize`` divided by.
    history : history.History
        Of this call alone.
    outcome : solver.Outcome or None
        Of a solve to the optimum that wasn't ended from outside.
    is_validated : bool
        Whether the history has validation scores.
    """

    memory: Memory
    scale: np.ndarray | None
    history: History
    outcome: Outcome | None
    is_validated: bool


def fit(data, settings, memory):
    """Pose the problem, solve it, and give the parameters in the units of X.

    Parameters
    ----------
    data : checks.CheckedData or checks.StreamedData
    settings : Settings
    memory : Memory
        Of earlier calls, or empty.

    Returns
    -------
    fitted : Fitted
    """
    random_state = Seeded(settings.random_state)
    memory = memory.under(settings)
    posed = pose(data, settings.formulation, memory.seen)
    problem, units = posed.problem, posed.units
    # What a learning rate is multiplied by, from the units of X to those of training.
    rate_unit = posed.unit if settings.plan.update == "adagrad" else posed.unit**2
    plan = _plan_in_units(settings.plan, memory, rate_unit)
    if memory.coef is not None:
        state = memory.state(units, plan.update, problem.fit_intercept)
    else:
        state = State.drawn(data.coef_shape, data.dtype, settings.init_scale, random_state)

    def fitted(state):
        coef, intercept = units.to_original(state.coef, state.intercept)
        return settings.fitted(data.classes, coef, intercept)

    validation = None
    if data.held_out is not None:
        validation = validation_of(
            data.held_out, problem, settings.scoring, fitted, settings.early_stopping
        )
    n_done = len(memory.history["epoch"])
    to_optimum = settings.to_optimum and not data.is_batch
    history, outcome = History(), None
    if problem.n_used > 0:
        with settings.observed(n_done, plan.n_epochs, fitted, not to_optimum) as on_epoch:
            if to_optimum:
                history, outcome, plan = solve(
                    problem,
                    state,
                    plan,
                    random_state,
                    settings.tolerance,
                    plan.n_epochs,
                    settings.stochastic and memory.coef is None,
                    on_epoch,
                    validation,
                    settings.reforms,
                    settings.by_dual,
                    settings.journal,
                )
            else:
                history, plan = descend(
                    problem,
                    state,
                    plan,
                    random_state,
                    n_done,
                    on_epoch,
                    validation,
                    revise=not data.is_batch,
                    journal=settings.journal,
                )
    coef, intercept = units.to_original(state.coef, state.intercept)
    first_rate = plan.learning_rate
    if first_rate is not None:
        first_rate = first_rate / rate_unit / 0.5**memory.n_halvings
    memory = Memory(
        coef=coef,
        intercept=intercept,
        coef_state=state.coef_state,
        intercept_state=state.intercept_state,
        update=plan.update,
        seen=posed.seen,
        history=joined_columns(memory.history, history),
        n_halvings=memory.n_halvings + history.n_halvings,
        learning_rate=first_rate,
        rate_settings=memory.rate_settings,
    )
    return Fitted(memory, posed.scale, history, outcome, validation is not None)


def _plan_in_units(plan, memory, rate_unit):
    """The plan with a learning rate in training's units: the one given, or that of before."""
    rate = memory.learning_rate if plan.learning_rate is None else plan.learning_rate
    if rate is not None:
        rate *= rate_unit * 0.5**memory.n_halvings
    return replace(plan, learning_rate=rate)

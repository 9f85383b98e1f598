"""The solvers that know when they are done: a little SGD, then preconditioned L-BFGS on all rows.

Glue between sgd.py (the stochastic phase), curvature.py, preconditioning.py, lbfgs.py and
certificate.py; no arithmetic over rows is here. Called by fitting.py.
"""

from contextlib import contextmanager
from dataclasses import dataclass, replace
from time import perf_counter

import numpy as np

from .blas import one_blas_thread
from .certificate import profiled_bound
from .curvature import (
    Subsample,
    learning_rate_for,
    learning_rate_of_many,
    square_gradient,
)
from .decrement import Sample
from .dual import DualAscent, ascend, is_suited
from .history import Epoch, History
from .journal import NO_JOURNAL
from .lbfgs import minimize
from .newton import PATIENCE, SmallProblem, is_small, passes_of_newton
from .preconditioning import FullHessian, preconditioner_for
from .restricted import Restricted, has_many_classes
from .sgd import train
from .span import Span, is_wide
from .tolerance import least_gap

__all__ = ["Descent", "Notes", "Outcome", "descend", "form_and_rows", "needs_units", "solve"]

#: Epochs of the stochastic phase. From 1 to 5 of them, these left the fewest passes in all on the
#: benchmark sets: 14 to be within 1e-4 on MNIST, where one left 25 and two 24.
STOCHASTIC_EPOCHS = 4

#: The same for many classes: one leaves a pass or two more, four take longer than the pass that
#: they spare.
STOCHASTIC_EPOCHS_OF_MANY = 2

#: Times the learning rate that suits a long run: the noise that it leaves is L-BFGS's to remove.
SHORT_RUN = 2.0

#: Passes after which the model of the Hessian is formed anew, where that takes a stochastic phase's
#: place: with 4 to 12, no more passes of L-BFGS than after four epochs on digits and drawn sets,
#: nor on iris, wine and breast cancer, which go to Newton's method.
FIRST_PASSES = 8

#: Share of the tolerance that the next step of L-BFGS has to promise at most, before the Hessian is
#: asked: the promise is mostly lower than what is left.
NEAR = 0.67

#: The same where the Hessian is that of all rows and the model is but one of its form: its answer
#: is then the best step there is. Where the model is the whole Hessian of a sample, L-BFGS comes
#: as far in two thirds of the products.
NEAR_WHOLE = 100.0

#: Times that promise above which the answer of a sample is doubted.
DOUBTFUL = 30.0

#: Logarithm of what a pass of a slow descent divides the suboptimality by, and the passes that are
#: let go at most before the Hessian is asked again.
SLOW = 0.5
MOST_TO_WAIT = 6

#: With many classes conjugate gradients cost as much as several passes, each of which divides what
#: the minimum is below at most by about four: where that is so near, passes prove it sooner.
PROVED_SOON = 30.0

#: Iterates that the pace is taken from.
PACE = 25

#: Rows from which a learning rate is chosen.
LEARNING_RATE_ROWS = 2000

#: Relative rounding error of an objective, in units of the last place.
ROUNDING_ERRORS = 8


@dataclass(frozen=True)
class Outcome:
    """How a solve ended.

    Parameters
    ----------
    objective : float
    penalty : float
        (alpha/2)‖coef‖², a part of it.
    suboptimality : float ≥ 0
        Estimate of how far the objective is above its minimum.
    suboptimality_bound : float ≥ 0
        What it is above it at most: never more than the objective, as the loss is not negative.
    converged : bool
        Whether the estimate, or the bound, came to ``tol``.
    reason : {"stopped", "max_iter", "rounding"}
        "rounding": the objective falls no more in the precision that is computed in.
    n_passes : int
        Over all rows, by L-BFGS and Newton's method.
    """

    objective: float
    penalty: float
    suboptimality: float
    suboptimality_bound: float
    converged: bool
    reason: str
    n_passes: int


def needs_units(problem, n_rows, tolerance, by_dual=None):
    """Whether :func:`solve` wants this problem, for coef of n_rows, in units of one size."""
    n_samples, n_features = problem.n_used, problem.n_features
    if not problem.is_held:
        return True
    if is_wide(n_samples, n_features) or is_small(n_samples, n_features, n_rows, problem.loss):
        return False
    return by_dual is False or not goes_by_dual(problem, n_rows, tolerance)


def goes_by_dual(problem, n_rows, tolerance):
    """Whether :func:`solve` chooses dual coordinate ascent, coef having n_rows rows."""
    shape = (problem.n_used, problem.n_features, n_rows, problem.loss)
    return problem.is_held and not (tolerance.is_none or is_small(*shape)) and is_suited(problem)


def descend(
    problem,
    state,
    plan,
    random_state,
    n_epochs_done=0,
    on_epoch=None,
    validation=None,
    revise=True,
    journal=NO_JOURNAL,
):
    """:func:`sgd.train`, with a learning rate from the data where the plan has none.

    After the first epoch it is known how far the probabilities are from the labels, and with that
    the noise of the gradients: the rate is chosen again then.

    Parameters
    ----------
    problem, state, plan, random_state, n_epochs_done, on_epoch, validation, journal
        As in :func:`sgd.train`; a learning rate of None is chosen here.
    revise : bool
        False keeps to the first choice.

    Returns
    -------
    history : history.History
    plan : sgd.Plan
        With the learning rate of the first epoch.
    """
    if plan.learning_rate is not None:
        history = train(
            problem, state, plan, random_state, n_epochs_done, on_epoch, validation, None, journal
        )
        return history, plan
    subsample = Subsample.of(problem, LEARNING_RATE_ROWS, problem.dtype, random_state)
    rates = _Rates(problem, subsample, plan)
    plan = replace(plan, learning_rate=rates.first())
    revised = rates.revised if revise and plan.update != "adagrad" else None
    history = train(
        problem, state, plan, random_state, n_epochs_done, on_epoch, validation, revised, journal
    )
    return history, plan


class _Rates:
    """Learning rates for a plan, before the first epoch and after it, times a factor."""

    def __init__(self, problem, subsample, plan, factor=1.0):
        self._problem = problem
        self._subsample = subsample
        self._plan = plan
        self._factor = factor

    def first(self):
        return self._chosen(None)

    def revised(self, state):
        square = square_gradient(self._problem, self._subsample, state.coef, state.intercept)
        return self._chosen(square)

    def _chosen(self, square):
        problem, plan = self._problem, self._plan
        momentum = plan.momentum if plan.update in ("momentum", "nesterov") else 0.0
        return self._factor * learning_rate_for(
            self._subsample,
            problem.loss,
            problem.alpha,
            momentum,
            plan.batch_size,
            plan.update,
            square,
        )


@one_blas_thread()
def solve(
    problem,
    state,
    plan,
    random_state,
    tolerance,
    max_iter,
    stochastic=True,
    on_epoch=None,
    validation=None,
    reforms=False,
    by_dual=None,
    journal=NO_JOURNAL,
):
    """Minimise the objective over all rows, updating ``state`` in place.

    Ctrl-C ends it as it ends :func:`sgd.train`, with the last iterate.

    Parameters
    ----------
    problem : objective.Problem
    state : objective.State
    plan : sgd.Plan
        Of the stochastic phase, whose length and schedule are set here; a learning rate of None is
        chosen from the data.
    random_state : numpy.random.RandomState
    tolerance : tolerance.Tolerance
        Stop where the estimate of the suboptimality is no more.
    max_iter : int ≥ 0
        Iterations, the stochastic epochs included. 0 only looks at where the state is.
    stochastic : bool
        False leaves the stochastic phase out, as a ``max_iter`` does that it would use up.
    on_epoch, validation
        As in :func:`sgd.train`; an iteration of L-BFGS counts as an epoch of learning rate 1.
    reforms : bool
        Whether the model of the Hessian is formed anew after the first passes.
    by_dual : bool or None
        Whether to begin with dual coordinate ascent, for which there has to be a penalty, and rows
        have to be sparse; None where :func:`goes_by_dual` says so. Where it would take long another
        method goes on from its weights.
    journal : journal.Journal
        Keeps what passes and stochastic epochs give, but for those of rows that are staged or
        dealt with one by one: Newton's method, the dual and steps of the likeliest classes.

    Returns
    -------
    history : history.History
    outcome : Outcome or None
        None where the stochastic phase was ended from outside.
    plan : sgd.Plan
        With the learning rate of the stochastic phase.
    """
    history = History()
    notes = Notes(state, history, tolerance, max_iter, on_epoch, validation)
    if max_iter == 0:
        return history, _outcome_at(problem, state, notes), plan
    n_passes = 0
    try:
        if by_dual is None:
            by_dual = goes_by_dual(problem, len(state.coef), tolerance)
        if by_dual:
            outcome = _solve_dual(problem, notes, random_state)
            if outcome is not None:
                return history, outcome, plan
            n_passes, stochastic = len(history.epochs), False
        if problem.is_held and is_wide(problem.n_used, problem.n_features):
            outcome = _solve_in_span(problem, notes, random_state, reforms)
            return history, _with_passes(outcome, n_passes), plan
        small = SmallProblem.of(problem, len(state.coef)) if problem.is_held else None
        if small is not None:
            return history, _with_passes(_solve_small(small, problem, notes), n_passes), plan
        form, subsample = form_and_rows(problem, len(state.coef), random_state)
        if stochastic and max_iter > STOCHASTIC_EPOCHS:
            plan, revised = _short_run(problem, plan, subsample, len(state.coef))
            ended = _Ended(on_epoch)
            history = train(
                problem, state, plan, random_state, 0, ended, validation, revised, journal
            )
            if ended.by_user or history.interrupted:
                return history, None, plan
            notes = Notes(state, history, tolerance, max_iter, on_epoch, validation)
        outcome = _descend_to(problem, notes, form, subsample, random_state, reforms, journal)
        return history, _with_passes(outcome, n_passes), plan
    except KeyboardInterrupt:
        if not history.epochs:
            raise
        notes.write()
        history.interrupted = True
        return history, None, plan


def _short_run(problem, plan, subsample, n_rows):
    """The plan of the stochastic phase, and what chooses its learning rate again, or None."""
    plan = replace(plan, schedule="linear", n_epochs=STOCHASTIC_EPOCHS, tol=None)
    if plan.learning_rate is not None:
        return plan, None
    rates = _Rates(problem, subsample, plan, SHORT_RUN)
    rate = rates.first()
    if plan.update == "adagrad" or not has_many_classes(problem, n_rows):
        return replace(plan, learning_rate=rate), rates.revised
    share = problem.class_share.max()
    momentum = 0.0 if plan.update == "sgd" else plan.momentum
    of_many = learning_rate_of_many(subsample, share, problem.alpha, momentum, plan.batch_size)
    rate = max(rate, of_many)
    return replace(plan, learning_rate=rate, n_epochs=STOCHASTIC_EPOCHS_OF_MANY), None


def _with_passes(outcome, n_passes):
    """The outcome, with passes that another method made before."""
    return replace(outcome, n_passes=outcome.n_passes + n_passes) if n_passes else outcome


def _solve_dual(problem, notes, random_state):
    """Dual coordinate ascent to the end; None where another method is to go on from the state."""
    state = notes.state
    start = state.coef.copy() if state.coef.any() else 0.0, state.intercept.copy()
    dual = DualAscent(problem, len(state.coef), random_state)
    dual.begin(state.coef, state.intercept)
    try:
        proof, reason = ascend(dual, notes)
    except KeyboardInterrupt:
        if not notes.is_empty:  # as where max_iter ends it
            dual.prove()
            notes.write_by(dual.write_proved)
        raise
    if proof is None:
        # Of rows that are too long for it the weights are farther from the minimum than the start.
        helps = reason == "slow" and is_suited(problem)
        notes.write_by(dual.write if helps else _writer(*start))
        return None
    notes.write_by(dual.write_proved)
    n_passes = notes.n_done
    return _outcome(
        problem, notes, proof.objective, proof.penalty, proof.gap, proof.gap, reason, n_passes
    )


def _solve_in_span(problem, notes, random_state, reforms):
    """In the span of the rows, which are few; without minibatches, which have no use for it."""
    state = notes.state
    is_free = problem.alpha == 0
    for by_gram in (False,) if is_free else (True, False):
        span = Span(problem, by_gram, is_free)
        inner = span.state_of(state)
        with notes.inside(inner, span.write):
            small = SmallProblem.of(span.problem, len(inner.coef))
            if small is not None:
                outcome = _solve_small(small, span.problem, notes)
            else:
                parts = form_and_rows(span.problem, len(inner.coef), random_state)
                outcome = _descend_to(span.problem, notes, *parts, random_state, reforms)
        objective, left_out = span.proved(state)
        more = left_out + max(0.0, objective - outcome.objective)
        allowed = notes.tolerance.allowed(objective, outcome.penalty, problem.dtype)
        is_left = by_gram and notes.n_left and outcome.converged
        if not (is_left and outcome.suboptimality + left_out > allowed):
            break
    return _outcome(
        problem,
        notes,
        objective,
        outcome.penalty,
        outcome.suboptimality + more,
        outcome.suboptimality_bound + more,
        outcome.reason,
        outcome.n_passes,
    )


def _descended(problem, notes, descent, form, subsample, reforms):
    """L-BFGS from where the state is.

    Returns
    -------
    iterate : lbfgs.Iterate
    reason : {"stopped", "max_iter", "rounding", "slow"}
        "slow": Newton's method would be sooner, and there is time for it.
    n_passes : int
    """
    state = notes.state
    shape = (problem.n_used, problem.n_features, len(state.coef), problem.loss)
    has_other = problem.is_held and is_small(*shape, at_last=True)
    most = PATIENCE if has_other else notes.n_left
    descent.has_other = has_other
    model = form(subsample, problem, state.coef, state.intercept)
    start = np.hstack([state.coef, state.intercept[:, None]]).astype(np.float64)
    first = min(FIRST_PASSES, most) if reforms else most
    iterate, reason, pairs = descent.run(start, model, first)
    n_passes, is_first = iterate.n_evaluations, reforms
    while reason == "max_iter" and notes.n_left and not notes.by_user:
        if is_first:
            parameters = iterate.parameters
            model, pairs = form(subsample, problem, parameters[:, :-1], parameters[:, -1]), ()
        elif descent.passes_left(iterate) > min(passes_of_newton(*shape), notes.n_left):
            break
        is_first = False
        iterate, reason, pairs = descent.run(iterate.parameters, model, most, pairs)
        n_passes += iterate.n_evaluations
    is_over = reason == "stopped" and not descent.gave_up
    if has_other and notes.n_left and not notes.by_user and not is_over:
        reason = "slow"
    return iterate, reason, n_passes


def _descend_to(problem, notes, form, subsample, random_state, reforms, journal=NO_JOURNAL):
    """L-BFGS to the end, from where the state is; or Newton's method, where it needs too long."""
    restricted = Restricted.of(problem, len(notes.state.coef), subsample)
    descent = Descent(problem, notes, random_state, restricted, journal)
    iterate, reason, n_passes = _descended(problem, notes, descent, form, subsample, reforms)
    if reason == "slow":
        state = notes.state
        small = SmallProblem.of(problem, len(state.coef), at_last=True)
        if small is not None:
            parameters = iterate.parameters
            state.coef[:], state.intercept[:] = parameters[:, :-1], parameters[:, -1]
            outcome = _solve_small(small, problem, notes)
            return replace(outcome, n_passes=outcome.n_passes + n_passes)
        reason = "rounding"
    coef, intercept = iterate.parameters[:, :-1], iterate.parameters[:, -1]
    known = iterate.value, iterate.gradient[:, :-1], iterate.gradient[:, -1]
    if problem.loss == "softmax":  # what all classes have in common is penalty alone
        common = coef.mean(axis=0)
        coef = coef - common
        value = known[0] - len(coef) * problem.penalty(common)
        known = value, known[1] - problem.alpha * common, known[2]
    intercept, objective, bound = profiled_bound(problem, coef, intercept, known, descent.likeliest)
    notes.write(coef, intercept)
    fallen = max(0.0, iterate.value - objective)
    gap, is_known = descent.suboptimality(iterate, fallen, bound)
    outcome = _outcome(
        problem,
        notes,
        objective,
        problem.penalty(coef),
        gap,
        bound,
        reason,
        n_passes,
    )
    if is_known or outcome.suboptimality_bound == outcome.suboptimality:
        return outcome
    return replace(outcome, converged=False, reason=_unfinished(outcome.reason, notes))


def _solve_small(small, problem, notes):
    """Newton's method to the end, from where the state is."""

    def noted(stand, is_last):
        coef, intercept = small.parameters(stand.theta)
        known = {"gradient_norm": stand.gradient_norm, "suboptimality": 0.5 * stand.decrement}
        if is_last and problem.alpha > 0:  # the probabilities are those of the last alone
            known["suboptimality_bound"] = min(small.bound(stand), stand.value)
        return notes.note(coef, intercept, stand.value, stand.penalty, is_last, **known)

    state = notes.state
    stand, reason, n_passes = small.minimize(
        small.start(state.coef, state.intercept),
        problem.alpha,
        notes.tolerance,
        notes.n_left,
        noted,
        proves=True,
    )
    notes.write()
    if problem.dtype != np.float64:  # what rounding the parameters has cost counts
        stand = small.look(small.theta_of(state.coef, state.intercept), problem.alpha)
    return _outcome(
        problem,
        notes,
        stand.value,
        stand.penalty,
        0.5 * stand.decrement,
        small.bound(stand),
        "stopped" if reason == "converged" else reason,
        n_passes,
    )


def _outcome(problem, notes, objective, penalty, suboptimality, bound, reason, n_passes):
    """How a solve ended, from the estimate and the bound as they were computed."""
    # The loss is not negative: the objective itself is a bound, and the only one where squares of
    # the gradient overflow.
    bound = min(bound, objective) if np.isfinite(objective) else np.inf
    least = least_gap(problem.dtype, objective)
    bound = max(bound, least)
    suboptimality = float(np.clip(suboptimality, least, bound))
    if np.isnan(suboptimality):
        suboptimality = bound
    allowed = notes.tolerance.allowed(objective, penalty, problem.dtype)
    converged = allowed is not None and suboptimality <= allowed
    if not converged:
        reason = _unfinished(reason, notes)
    return Outcome(objective, penalty, suboptimality, bound, converged, reason, n_passes)


def _unfinished(reason, notes):
    """Why a solve that is not near enough has ended."""
    if reason == "stopped" and not notes.by_user:
        return "rounding" if notes.n_left else "max_iter"
    return reason


def _outcome_at(problem, state, notes):
    """Of a solve that does nothing; the bound is the only estimate there is."""
    coef, intercept = (array.astype(np.float64) for array in (state.coef, state.intercept))
    known = problem.loss_gradient(coef, intercept)
    _, best, bound = profiled_bound(problem, coef, intercept, known)
    bound += known[0] - best
    return _outcome(problem, notes, known[0], problem.penalty(coef), bound, bound, "max_iter", 1)


def form_and_rows(problem, n_rows, random_state):
    """What form the model of the Hessian is to have for coef of n_rows, and its Subsample."""
    form, n_drawn = preconditioner_for(
        n_rows, problem.n_features, problem.n_used, problem.is_sparse
    )
    by_norm = form is FullHessian
    return form, Subsample.of(problem, n_drawn, problem.dtype, random_state, by_norm)


class _Ended:
    """Asks ``on_epoch`` and remembers whether it ended the stochastic phase."""

    def __init__(self, on_epoch):
        self._on_epoch = on_epoch
        self.by_user = False

    def __call__(self, history, state, is_last):
        if self._on_epoch is not None:
            self.by_user = bool(self._on_epoch(history, state, False))
        return is_last or self.by_user


class Notes:
    """What is noted at each iterate: the state, the history, and what the user says of it.

    Parameters
    ----------
    state : objective.State
    history : History
        Written to; epochs that it has count as iterations.
    tolerance, max_iter, on_epoch, validation
        As in :func:`solve`.

    Attributes
    ----------
    by_user : bool
        Whether the user ended it.
    """

    def __init__(self, state, history, tolerance, max_iter, on_epoch=None, validation=None):
        self.state = state
        self.tolerance = tolerance
        self.by_user = False
        self._outer = state
        self._to_outer = None
        self._history = history
        self._max_iter = max_iter
        self._on_epoch = on_epoch
        self._validation = validation
        self._time = perf_counter()
        self._noted = None

    @property
    def n_left(self):
        """Iterations that ``max_iter`` leaves."""
        return self._max_iter - self.n_done

    @property
    def n_done(self):
        """Iterations done, those of a phase before included."""
        return len(self._history.epochs)

    @property
    def is_empty(self):
        """Whether nothing was noted, nor a stochastic epoch before."""
        return self.n_done == 0

    @contextmanager
    def inside(self, inner, to_outer):
        """Within a ``with`` block, take the parameters of a problem that stands for this one.

        ``to_outer(inner, outer)`` writes the State that its State stands for.
        """
        self.state, self._to_outer = inner, to_outer
        try:
            yield
        finally:
            self.write()
            self.state, self._to_outer, self._noted = self._outer, None, None

    def note(self, coef, intercept, objective, penalty, is_last, **known):
        """Keep an iterate, and write it to the history; True to stop."""
        return self.note_state(_writer(coef, intercept), objective, penalty, is_last, **known)

    def note_state(self, writer, objective, penalty, is_last, **known):
        """The same, of parameters that are only made where they are wanted.

        Parameters
        ----------
        writer : callable
            ``writer(state)`` writes coef and intercept to a State.
        objective, penalty : float
        is_last : bool
        **known
            More fields of the :class:`history.Epoch`.

        Returns
        -------
        stop : bool
        """
        self._noted = writer
        if self._to_outer is not None:  # what is proved of a problem that stands for another
            known.pop("suboptimality_bound", None)
        now = perf_counter()
        score = np.nan
        if self._validation is not None:
            self.write()
            score = self._validation.score(self._outer)
        self._history.epochs.append(
            Epoch(
                objective=objective,
                loss=objective - penalty,
                learning_rate=1.0,
                seconds=now - self._time,
                validation_score=score,
                **known,
            )
        )
        is_last = is_last or self.n_left == 0
        if self._on_epoch is not None:
            self.write()
            asked = bool(self._on_epoch(self._history, self._outer, is_last))
            self.by_user, is_last = asked and not is_last, asked
        self._time = perf_counter()
        return is_last

    def write(self, coef=None, intercept=None):
        """Write these parameters to the state, or those last noted, if there are any."""
        if coef is not None:
            self._noted = _writer(coef, intercept)
        if self._noted is None:
            return
        self._noted(self.state)
        if self._to_outer is not None:
            self._to_outer(self.state, self._outer)

    def write_by(self, writer):
        """The same of parameters that ``writer(state)`` writes."""
        self._noted = writer
        self.write()


def _writer(coef, intercept):
    """What writes these parameters to a State."""

    def write(state):
        state.coef[:], state.intercept[:] = coef, intercept

    return write


class Descent:
    """L-BFGS seen from the problem: its function, and when it is near enough.

    Parameters
    ----------
    problem : objective.Problem
    notes : Notes
    random_state : numpy.random.RandomState
    restricted : restricted.Restricted or None
        Whose steps are tried before those of L-BFGS.
    journal : journal.Journal
        Keeps what passes give.

    Attributes
    ----------
    has_other : bool
        Whether Newton's method is there to go on, where conjugate gradients don't get to an answer.
    gave_up : bool
        Whether it is to.
    """

    def __init__(self, problem, notes, random_state, restricted=None, journal=NO_JOURNAL):
        self._journal = journal
        self.has_other = self.gave_up = False
        self._problem = problem
        self._notes = notes
        self._restricted = restricted
        self._sample = Sample(problem, random_state)
        self._model = None
        self._asked = None
        self._bound = np.inf
        self._n_to_wait = 0
        self._decrements = []

    def run(self, start, model, most, pairs=()):
        """Minimise from these parameters with this model; see :func:`lbfgs.minimize`.

        At most so many iterations; "max_iter" is then the reason.
        """
        dtype, most = self._problem.dtype, min(most, self._notes.n_left)
        self._model = model
        arguments = model.apply, self._rounding, most, self.on_iterate, pairs, dtype
        iterate, reason, pairs = minimize(self.function, start, *arguments)
        if reason == "rounding" and self._restricted is not None:
            # Few classes lead no lower: all of them may.
            self._restricted, n_before = None, iterate.n_evaluations
            iterate, reason, pairs = minimize(self.function, iterate.parameters, *arguments)
            iterate.n_evaluations += n_before
        if self._notes.is_empty:  # the start was the end
            self._note(iterate, is_last=True)
        return iterate, reason, pairs

    @property
    def _rounding(self):
        """Relative rounding error of an objective."""
        return ROUNDING_ERRORS * np.finfo(self._problem.dtype).eps

    def function(self, parameters):
        """Objective and gradient of coef with the intercept as their last column."""
        value, coef, intercept = self._journal.loss_gradient(
            self._problem, parameters[:, :-1], parameters[:, -1], self.likeliest
        )
        return value, np.hstack([coef, intercept[:, None]])

    def on_iterate(self, iterate):
        """Note an iterate; True where it is good enough, or the user has had enough."""
        allowed = self.allowed(iterate)
        if self._restricted is not None:
            self._take_restricted(iterate, allowed)
        self._decrements.append(iterate.decrement)
        is_near = allowed is not None and self._is_near(iterate, allowed)
        if iterate.n_evaluations == 1:  # no step of this phase yet
            return is_near or self.gave_up
        return self._note(iterate, is_near) or self.gave_up

    def _take_restricted(self, iterate, allowed):
        """Put a step of the likeliest classes in the place of L-BFGS's, and note the bound."""
        self._bound = self._restricted.bound(iterate.parameters, iterate.gradient, allowed)
        enough = 0.0
        if allowed is not None and self._bound <= allowed:
            enough = np.inf  # only to know what it promises
        elif allowed is not None and self._n_to_wait <= 1 and not self._is_proved_soon(allowed):
            enough = 2 * NEAR * allowed
        direction, decrement = self._restricted.step(
            iterate.parameters, iterate.gradient, self._model, self._rounding, enough
        )
        if direction is not None:
            iterate.direction, iterate.decrement = direction, decrement

    def _is_proved_soon(self, allowed):
        return self._restricted is not None and self._bound <= PROVED_SOON * allowed

    def _is_near(self, iterate, allowed):
        """Whether a proof says so, or the Hessian, asked where L-BFGS does as that costs a pass.

        If not, its answer is the next step, and it isn't asked again for as many passes as a slow
        descent would need.
        """
        if self._restricted is not None and self._bound <= allowed:
            return True
        self._n_to_wait -= 1
        promised = 0.5 * iterate.decrement
        is_better = self._sample.is_whole and not isinstance(self._model, FullHessian)
        near = NEAR_WHOLE if is_better else NEAR
        if self._n_to_wait > 0 or self._is_proved_soon(allowed) or not promised <= near * allowed:
            return False
        sample, found = self._sample, self._ask(iterate)
        if found.gap <= allowed and found.is_known:
            return True
        if found.is_settled:
            far = found.gap / max(allowed, np.finfo(np.float64).tiny)
            self._n_to_wait = int(np.clip(np.log(far) / SLOW, 1, MOST_TO_WAIT))
        elif self.has_other and sample.is_whole:
            self.gave_up = True
            return False
        else:  # so many products are not to be spent often
            self._n_to_wait = max(MOST_TO_WAIT, len(self._decrements))
        if found.slope > 0:
            iterate.direction, iterate.decrement = found.direction, found.slope
        if found.gap > DOUBTFUL * promised and not sample.is_largest:
            self._sample = sample.larger()  # it may have missed what few rows have
        return False

    def _ask(self, iterate):
        found = self._sample.decrement(iterate.parameters, iterate.gradient, self._model.apply)
        self._asked = iterate.n_evaluations, iterate.value, found
        return found

    def passes_left(self, iterate):
        """How many more passes are to be expected at the pace of the last ones."""
        allowed, now = self.allowed(iterate), self._decrements[-1]
        before = self._decrements[-PACE:][0]
        if not allowed or not 0 < now < before:
            return np.inf
        return np.log(0.5 * now / allowed) / np.log(before / now) * (PACE - 1)

    @property
    def likeliest(self):
        """The likeliest classes of rows at the last iterate, or None."""
        return None if self._restricted is None else self._restricted.likeliest

    def suboptimality(self, iterate, fallen=0.0, bound=None):
        """What is left above the minimum, by the Hessian, and whether that is known.

        The objective has fallen by so much since this iterate, and then has this bound, if one is
        given. Where the bound proves that it is near enough, what is left is between that and what
        the next step promises.
        """
        allowed, bound = self.allowed(iterate), self._bound if bound is None else bound
        if self._restricted is not None and allowed is not None and bound <= allowed:
            return np.sqrt(bound * min(bound, 0.5 * iterate.decrement)), True
        if self._asked is None or self._asked[:2] != (iterate.n_evaluations, iterate.value):
            self._ask(iterate)
        found = self._asked[-1]
        return found.gap - fallen, found.is_known

    def allowed(self, iterate):
        """The suboptimality to stop at here, or None."""
        penalty = self._problem.penalty(iterate.parameters[:, :-1])
        return self._notes.tolerance.allowed(iterate.value, penalty, self._problem.dtype)

    def _note(self, iterate, is_last):
        coef, intercept = iterate.parameters[:, :-1], iterate.parameters[:, -1]
        penalty = self._problem.penalty(coef)
        known = {
            "gradient_norm": float(np.linalg.norm(iterate.gradient)),
            "suboptimality": self._estimate(iterate),
            "suboptimality_bound": self._proved(iterate),
        }
        return self._notes.note(coef, intercept, iterate.value, penalty, is_last, **known)

    def _estimate(self, iterate):
        """What is left above the minimum, by whatever is known already, or NaN.

        By the Hessian if it was asked here, else by the model that the next step is of.
        """
        estimate = 0.5 * iterate.decrement
        if self._asked is not None and self._asked[:2] == (iterate.n_evaluations, iterate.value):
            estimate = self._asked[-1].gap
        return estimate if 0 <= estimate < np.inf else np.nan

    def _proved(self, iterate):
        """What is proved to be left at most, where the gradient alone says so, else NaN.

        An intercept has no penalty that would hold it, and the proof is then that of its best
        value, which takes passes of its own: :func:`certificate.profiled_bound`, in the end.
        """
        problem = self._problem
        if problem.fit_intercept or problem.alpha == 0:
            return np.nan
        with np.errstate(over="ignore"):
            bound = float(np.square(iterate.gradient).sum()) / (2 * problem.alpha)
        return max(min(bound, iterate.value), least_gap(problem.dtype, iterate.value))

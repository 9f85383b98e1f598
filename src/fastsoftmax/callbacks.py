"""Who is told of each epoch: the progress bar, the user's callbacks, and those of scikit-learn.

``callbacks=[f]`` works with any scikit-learn; ``set_callbacks`` is scikit-learn's own protocol
(``sklearn.callback``), there from its version 1.9 on. Nothing here trains. Called by the
estimators.
"""

from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from .progress import shown_progress

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:  # scikit-learn before 1.9

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Nothing: this scikit-learn has no callbacks."""

    def with_callbacks(method):
        """The method itself."""
        return method


__all__ = ["CallbackSupportMixin", "EpochInfo", "FitTask", "observed", "with_callbacks"]


@dataclass(frozen=True)
class EpochInfo:
    """What a callback is told at the end of an epoch.

    Parameters
    ----------
    epoch : int
        Epochs so far, this one included: what ``n_iter_`` would be. Goes on from call to call in
        ``partial_fit``.
    n_epochs : int
        The epoch at which training ends if nothing ends it before.
    objective, loss, learning_rate, seconds, gradient_norm, validation_score, gap : float
        As in ``history_``.
    suboptimality, suboptimality_bound : float
        As in ``history_``: an estimate, and what is proved.
    n_halvings : int
    plateau : bool
        As in ``history_``.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from fastsoftmax import SoftmaxClassifier
    >>> X, y = load_digits(return_X_y=True)
    >>> def is_good(info):
    ...     return info.fitted_estimator.score(X, y) > 0.9
    >>> classifier = SoftmaxClassifier(solver="sgd", callbacks=[is_good], random_state=0).fit(X, y)
    >>> bool(classifier.score(X, y) > 0.9), classifier.n_iter_ < 10
    (True, True)
    """

    epoch: int
    n_epochs: int
    objective: float
    loss: float
    learning_rate: float
    seconds: float
    gradient_norm: float
    validation_score: float
    gap: float
    suboptimality: float
    suboptimality_bound: float
    n_halvings: int
    plateau: bool
    _fitted: Any = field(repr=False, compare=False)

    @cached_property
    def fitted_estimator(self):
        """A copy of the estimator as if training had ended here, made at the first access.

        It predicts, and may be kept; what a later fit needs to go on from is not in it.
        """
        return self._fitted()


@contextmanager
def observed(estimator, task, n_epochs_done, n_epochs, fitted, has_end=True):
    """Give an ``on_epoch(history, state, is_last)`` for :func:`sgd.train`; None if no one is told.

    Parameters
    ----------
    estimator : estimator
        Whose ``verbose`` and ``callbacks``, if it has any, are asked.
    task : FitTask or None
        The call of fit, for scikit-learn's callbacks.
    n_epochs_done, n_epochs : int
        Epochs of earlier calls, and those of this call at most.
    fitted : callable
        Gives a fitted copy of the estimator for a State.
    has_end : bool
        Whether these epochs are likely to be used up.
    """
    callbacks = list(getattr(estimator, "callbacks", None) or ())
    end = n_epochs_done + n_epochs
    shown = shown_progress(n_epochs if has_end else None) if estimator.verbose else nullcontext()
    with shown as show:

        def on_epoch(history, state, is_last):
            n_done = n_epochs_done + len(history.epochs)

            def fitted_now():
                copy = fitted(state)
                copy.n_iter_ = n_done
                return copy

            info = EpochInfo(n_done, end, _fitted=fitted_now, **vars(history.epochs[-1]))
            if show is not None:
                show(info)
            # A list, not a generator: each callback is told, whatever those before it said.
            wishes = [bool(callback(info)) for callback in callbacks]
            stop = is_last or any(wishes)
            return stop if task is None else task.end_epoch(info, stop)

        if task is not None and n_epochs > 0:
            task.begin_epoch()
        yield on_epoch if callbacks or show is not None or task is not None else None


class FitTask:
    """One call of fit as a task of scikit-learn's callback protocol, its epochs as subtasks.

    Parameters
    ----------
    estimator : estimator
        Its context is initialised here and torn down by ``with_callbacks`` after fit.
    n_epochs : int
    X, y, metadata
        As fit was given them.
    """

    def __init__(self, estimator, n_epochs, X, y, metadata):
        self._estimator = estimator
        self._data = {
            "X": X,
            "y": y,
            "metadata": {name: value for name, value in metadata.items() if value is not None},
        }
        self._epoch = None
        self._context = estimator._init_callback_context(max_subtasks=n_epochs)
        self._context.call_on_fit_task_begin(estimator=estimator, **self._data)

    @classmethod
    def of(cls, estimator, n_epochs, X, y, **metadata):
        """The task, or None where there is no one to be told."""
        told = {"_skl_callbacks", "_parent_callback_ctx"} & vars(estimator).keys()
        return cls(estimator, n_epochs, X, y, metadata) if told else None

    def begin_epoch(self):
        """Tell that an epoch begins."""
        self._epoch = self._context.subcontext(task_name="epoch")
        self._epoch.call_on_fit_task_begin(estimator=self._estimator, **self._data)

    def end_epoch(self, info, stop):
        """Tell that it ended, and that the next begins unless something says stop; give that."""
        context, self._epoch = self._epoch, None

        def attributes():
            fitted = vars(info.fitted_estimator)
            return {name: fitted[name] for name in ("coef_", "intercept_", "classes_", "n_iter_")}

        stop |= context.call_on_fit_task_end(
            estimator=self._estimator, reconstruction_attributes=attributes, **self._data
        )
        if not stop:
            self.begin_epoch()
        return stop

    def end(self):
        """Tell that fit has ended, and the epoch that had begun where it was given up."""
        if self._epoch is not None:
            self._epoch.call_on_fit_task_end(estimator=self._estimator)
        self._context.call_on_fit_task_end(
            estimator=self._estimator, reconstruction_attributes={}, **self._data
        )

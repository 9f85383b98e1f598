"""LossCurveDisplay: how training went, epoch by epoch, of one fit or several together.

Reads what fits have recorded; nothing is trained or computed.
"""

import numpy as np
from sklearn.utils.validation import check_is_fitted

__all__ = ["LossCurveDisplay"]


class LossCurveDisplay:
    """Objective of every epoch, with validation scores and learning rates where there are any.

    Make it with :meth:`from_estimator` or :meth:`from_history`.

    Parameters
    ----------
    histories : dict of str to dict of str to ndarray
        For each fit, by its name: "objective", and where known "epoch" (default: 1, 2, ...),
        "validation_score" and "learning_rate", all of one length.

    Attributes
    ----------
    ax_ : matplotlib Axes
        With the objectives.
    figure_ : matplotlib Figure
    lines_ : dict of str to list of Line2D
        Of each fit: the objective, then validation scores and learning rates if drawn.
    validation_ax_, learning_rate_ax_ : matplotlib Axes or None
        Axes of their own, at the right.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from fastsoftmax import SoftmaxClassifier
    >>> from fastsoftmax.displays import LossCurveDisplay
    >>> classifier = SoftmaxClassifier(standardize=True).fit(*load_digits(return_X_y=True))
    >>> display = LossCurveDisplay.from_estimator(classifier)
    """

    def __init__(self, histories):
        self.histories = histories

    @classmethod
    def from_estimator(cls, estimator, *, name=None, **plot_arguments):
        """Draw what fitted estimators have recorded.

        Parameters
        ----------
        estimator : SoftmaxClassifier, or dict of str to SoftmaxClassifier
            Fitted; a dict for several, by the names in the legend.
        name : str or None, default=None
            Of a single estimator; None is its class's.
        **plot_arguments : dict
            Handed to :meth:`plot`.

        Returns
        -------
        display : LossCurveDisplay

        Raises
        ------
        NotFittedError
            If an estimator isn't fitted.
        """
        if not isinstance(estimator, dict):
            estimator = {name or type(estimator).__name__: estimator}
        elif name is not None:
            raise ValueError(f"name goes with a single estimator, not with a dict; got {name!r}")
        return cls.from_history(
            {name: _recorded(one) for name, one in estimator.items()}, **plot_arguments
        )

    @classmethod
    def from_history(cls, history, *, name="fit", **plot_arguments):
        """Draw histories that were kept elsewhere.

        Parameters
        ----------
        history : dict of str to array-like, array-like, or dict of these
            A ``history_``, or the objectives alone; or several, by the names in the legend.
        name : str, default="fit"
            Of a single history.
        **plot_arguments : dict
            Handed to :meth:`plot`.

        Returns
        -------
        display : LossCurveDisplay

        Raises
        ------
        ValueError
            If a history has no objective, or arrays of different lengths.
        """
        if not isinstance(history, dict) or "objective" in history:
            history = {name: history}
        histories = {name: _checked(one, name) for name, one in history.items()}
        return cls(histories).plot(**plot_arguments)

    def plot(self, ax=None, *, learning_rate=False, validation=True, log=True, **line_arguments):
        """Draw, once more if it was drawn already.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            None makes a new figure.
        learning_rate : bool, default=False
            Draw the learning rates too, dotted, on an axis of their own.
        validation : bool, default=True
            Draw validation scores, dashed and on an axis of their own, of the fits that have any.
        log : bool, default=True
            Objectives on a logarithmic axis.
        **line_arguments : dict
            Handed to matplotlib for the lines of the objective.

        Returns
        -------
        self : LossCurveDisplay

        Raises
        ------
        ValueError
            If learning rates are asked for and no history has them.
        """
        if learning_rate and not any("learning_rate" in h for h in self.histories.values()):
            raise ValueError("learning_rate=True needs a history with learning rates; got none")
        from ._axes import axes_for, plain_log_scale

        self.ax_ = axes_for(ax, (7, 4.4))
        self.figure_ = self.ax_.figure
        self.lines_ = {}
        for name, history in self.histories.items():
            arguments = {"label": name, **line_arguments}
            if len(history["epoch"]) == 1:  # a line of one point can't be seen
                arguments = {"marker": "o", **arguments}
            self.lines_[name] = self.ax_.plot(history["epoch"], history["objective"], **arguments)
        objectives = np.concatenate([h["objective"] for h in self.histories.values()])
        if log and objectives.size and objectives.min() > 0:
            plain_log_scale(self.ax_.yaxis, objectives)
        self.ax_.set(xlabel="epoch", ylabel="objective")
        self.ax_.xaxis.get_major_locator().set_params(integer=True)
        self.ax_.grid(which="both", alpha=0.25)
        self.validation_ax_ = self._second_axis("validation_score", "--", 0) if validation else None
        beside = 0 if self.validation_ax_ is None else 1
        self.learning_rate_ax_ = (
            self._second_axis("learning_rate", ":", beside) if learning_rate else None
        )
        self._draw_legend()
        return self

    def _second_axis(self, key, style, beside):
        """Lines of a quantity on a new axis at the right, in the fits' colours; or None."""
        if not any(key in history for history in self.histories.values()):
            return None
        ax = self.ax_.twinx()
        if beside:
            ax.spines["right"].set_position(("outward", 64))
        for name, history in self.histories.items():
            if key in history:
                self.lines_[name] += ax.plot(
                    history["epoch"],
                    history[key],
                    linestyle=style,
                    color=self.lines_[name][0].get_color(),
                    label="_",
                )
        ax.set_ylabel(f"{key.replace('_', ' ')} ({'dashed' if style == '--' else 'dotted'})")
        return ax

    def _draw_legend(self):
        """One entry a fit, outside where second axes leave no place that is free for sure."""
        above = self.validation_ax_ is not None or self.learning_rate_ax_ is not None
        if above:
            columns = min(3, len(self.histories))
            self.ax_.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=columns, frameon=False)
        else:
            self.ax_.legend()


def _recorded(estimator):
    """What an estimator has recorded: ``history_``, or else ``loss_curve_``."""
    check_is_fitted(estimator)
    if hasattr(estimator, "history_"):
        return estimator.history_
    return {"objective": estimator.loss_curve_}


def _checked(history, name):
    """The arrays to draw, those without any number left out, all of the length of the objective."""
    if not isinstance(history, dict):
        history = {"objective": history}
    if "objective" not in history:
        raise ValueError(
            f"history {name!r} must have 'objective'; it has {', '.join(map(repr, history))}"
        )
    n_epochs = len(history["objective"])
    kept = {"epoch": np.arange(1, n_epochs + 1)}
    for key in ("epoch", "objective", "validation_score", "learning_rate"):
        if history.get(key) is None:
            continue
        values = np.asarray(history[key], dtype=np.float64)
        if values.shape == (0,) or (values.size and np.isnan(values).all()):
            continue
        if values.shape != (n_epochs,):
            raise ValueError(
                f"history {name!r} must have one {key} an epoch, {n_epochs} in all; got shape "
                f"{values.shape}"
            )
        kept[key] = values
    return {"objective": np.empty(0), **kept}

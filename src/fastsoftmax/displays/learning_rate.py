"""LearningRateDisplay: the range test, which learning rates train and which diverge.

Fits clones of an estimator, the only training that a display does.
"""

import warnings

import numpy as np
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

__all__ = ["LearningRateDisplay"]


class LearningRateDisplay:
    """Objective after a few epochs against the learning rate.

    Make it with :meth:`from_estimator` or :meth:`from_objectives`.

    Parameters
    ----------
    learning_rates : ndarray of shape (n_rates,)
        Rising.
    objectives : ndarray of shape (n_rates,)
        What each of them reached; those of rates that diverged don't matter.
    diverged : bool ndarray of shape (n_rates,)

    Attributes
    ----------
    best_learning_rate_ : float
        The one with the lowest objective of those that did not diverge; NaN if all did.
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    line_ : Line2D
        Of the rates that did not diverge.

    References
    ----------
    Smith, "Cyclical learning rates for training neural networks", 2017, section 3.3. Here each
    rate is a fit of its own instead of a stretch of one fit, so that no rate suffers from another.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from fastsoftmax import SoftmaxClassifier
    >>> from fastsoftmax.displays import LearningRateDisplay
    >>> X, y = load_digits(return_X_y=True)
    >>> classifier = SoftmaxClassifier(standardize=True, max_iter=3)
    >>> display = LearningRateDisplay.from_estimator(classifier, X, y)
    """

    def __init__(self, learning_rates, objectives, diverged):
        self.learning_rates = learning_rates
        self.objectives = objectives
        self.diverged = diverged

    @classmethod
    def from_estimator(
        cls, estimator, X, y, *, learning_rates=None, sample_weight=None, **plot_arguments
    ):
        """Fit a clone at every learning rate, and draw.

        Parameters
        ----------
        estimator : SoftmaxClassifier
            Fitted or not; it is left alone. A ``max_iter`` of a few epochs is enough.
        X : array-like of shape (n_samples, n_features)
        y : array-like of shape (n_samples,)
        learning_rates : array-like of shape (n_rates,) or None, default=None
            Above 0. None is 16 rates from 1e-4 to 10, the same factor apart.
        sample_weight : array-like of shape (n_samples,) or None, default=None
        **plot_arguments : dict
            Handed to :meth:`plot`.

        Returns
        -------
        display : LearningRateDisplay

        Raises
        ------
        ValueError
            If the rates are not as said above.
        """
        if learning_rates is None:
            learning_rates = np.geomspace(1e-4, 10, 16)
        learning_rates = np.sort(_checked_rates(learning_rates))
        objectives, diverged = np.empty(len(learning_rates)), np.empty(len(learning_rates), bool)
        for i, rate in enumerate(learning_rates):
            objectives[i], diverged[i] = _try(estimator, float(rate), X, y, sample_weight)
        return cls(learning_rates, objectives, diverged).plot(**plot_arguments)

    @classmethod
    def from_objectives(cls, learning_rates, objectives, *, diverged=None, **plot_arguments):
        """Draw objectives that were found elsewhere.

        Parameters
        ----------
        learning_rates : array-like of shape (n_rates,)
            Above 0, in any order.
        objectives : array-like of shape (n_rates,)
        diverged : array-like of bool of shape (n_rates,) or None, default=None
            None: those whose objective is not finite.
        **plot_arguments : dict
            Handed to :meth:`plot`.

        Returns
        -------
        display : LearningRateDisplay

        Raises
        ------
        ValueError
            If the rates are not above 0, or the shapes differ.
        """
        learning_rates = _checked_rates(learning_rates)
        objectives = np.asarray(objectives, dtype=np.float64)
        diverged = ~np.isfinite(objectives) if diverged is None else np.asarray(diverged, bool)
        for name, values in (("objectives", objectives), ("diverged", diverged)):
            if values.shape != learning_rates.shape:
                raise ValueError(
                    f"{name} must have the shape of learning_rates, {learning_rates.shape}; got "
                    f"{values.shape}"
                )
        order = np.argsort(learning_rates)
        return cls(learning_rates[order], objectives[order], diverged[order]).plot(**plot_arguments)

    @property
    def best_learning_rate_(self):
        """The rate with the lowest objective of those that did not diverge; NaN if all did.

        Returns
        -------
        learning_rate : float
        """
        if self.diverged.all():
            return float("nan")
        return float(
            self.learning_rates[np.argmin(np.where(self.diverged, np.inf, self.objectives))]
        )

    def plot(self, ax=None, **line_arguments):
        """Draw, once more if it was drawn already.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            None makes a new figure.
        **line_arguments : dict
            Handed to matplotlib for the line.

        Returns
        -------
        self : LearningRateDisplay
        """
        from ._axes import axes_for, plain_log_scale

        self.ax_ = axes_for(ax, (7, 4.4))
        self.figure_ = self.ax_.figure
        good = ~self.diverged
        arguments = {"marker": "o", "label": "objective", **line_arguments}
        (self.line_,) = self.ax_.plot(self.learning_rates[good], self.objectives[good], **arguments)
        if good.any():
            plain_log_scale(self.ax_.yaxis, self.objectives[good])
            best = self.best_learning_rate_
            self.ax_.axvline(best, color="0.4", ls="--", lw=1, label=f"lowest: {best:.3g}")
        for i, rate in enumerate(self.learning_rates[self.diverged]):
            label = "diverged" if i == 0 else "_"
            self.ax_.axvline(rate, color="tab:red", alpha=0.5, lw=1.5, label=label)
        plain_log_scale(self.ax_.xaxis, self.learning_rates)
        self.ax_.set(xlabel="learning rate", ylabel="objective of the last epoch")
        self.ax_.grid(which="major", alpha=0.25)
        self.ax_.legend()
        return self


def _checked_rates(learning_rates):
    rates = np.asarray(learning_rates, dtype=np.float64)
    if rates.ndim != 1 or not rates.size or not (np.isfinite(rates).all() and rates.min() > 0):
        raise ValueError(
            f"learning_rates must be a list of finite numbers above 0; got {learning_rates!r}"
        )
    return rates


def _try(estimator, learning_rate, X, y, sample_weight):
    """Objective of the last epoch of a fit at this rate, and whether it diverged on the way."""
    candidate = clone(estimator).set_params(learning_rate=learning_rate, tol=None)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        candidate.fit(X, y, sample_weight=sample_weight)
    diverged = False
    for warning in caught:
        if issubclass(warning.category, ConvergenceWarning):
            diverged = True  # the rate was halved: what was reached is another rate's
        else:
            warnings.warn_explicit(
                warning.message, warning.category, warning.filename, warning.lineno
            )
    return (candidate.loss_curve_[-1] if candidate.n_iter_ else np.nan), diverged

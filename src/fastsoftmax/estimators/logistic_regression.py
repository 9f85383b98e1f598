"""LogisticRegression: scikit-learn's parameters and coefficients, this package's arithmetic.

A change of the import is all that a program of scikit-learn's needs. Parameters are translated to
what fitting.py takes; nothing is computed here. Only what the L2 penalty allows is here: other
penalties are errors. Imported lazily by the package face.
"""

import warnings
from dataclasses import replace
from functools import partial
from numbers import Integral, Real
from typing import ClassVar

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model._base import LinearClassifierMixin
from sklearn.utils._param_validation import Hidden, Interval, StrOptions

from ..callbacks import CallbackSupportMixin, FitTask, observed, with_callbacks
from ..interchange.files import savable
from ..optimization.fitting import Settings, fit
from ..optimization.preconditioning import preconditioner_for
from ..optimization.sgd import Plan
from ..optimization.solver import needs_units
from ..optimization.tolerance import Tolerance
from ..problem.checks import check_data, check_source
from ..problem.held_out import Scoring
from ..problem.posing import Formulation
from ..sources.base import Source
from .base import LinearClassifier, centred, raise_if_interrupted
from .memory import fitted_copy, set_fitted, starting_point, unchanged_on_failure
from .parameters import PARAMETER_CONSTRAINTS, check_each_parameter

__all__ = ["LogisticRegression"]

#: Of scikit-learn's solvers those whose minimum is that of this objective.
SOLVERS = {"lbfgs", "newton-cg", "newton-cholesky", "sag", "saga"}

#: ``max_iter`` up to which there is no stochastic phase: a fit that ends before the minimum then
#: depends on the weights of rows alone, and not on whether they are weights or repetitions.
FEWEST_WITH_EPOCHS = 10

#: Where rounding errors end a fit short of ``tol``: the relative error of coef_ that is no failure,
#: and the suboptimality in units of the objective's last place.
CLOSE_ENOUGH = 1e-4
ROUNDED = 1e3


@savable
class LogisticRegression(CallbackSupportMixin, LinearClassifier, LinearClassifierMixin):
    """Logistic regression with scikit-learn's parameters, and its coefficients.

    Minimises, over coef W and intercept b, for rows of weight sᵢ (sample weight times class
    weight) ::

        C · Σᵢ sᵢ · D(S(W xᵢ + b), onehot(yᵢ)) + ½·‖W‖²

    which is :class:`SoftmaxClassifier` with ``alpha = 1 / (C · Σᵢ sᵢ)``, multinomial for three
    classes and more. Where scikit-learn stops by the gradient, this stops by an estimate of the
    coefficients' own error.

    Parameters
    ----------
    penalty : {"l2", None}, default="deprecated"
        Deprecated in scikit-learn, and tolerated: None is ``C=inf``, whatever C. No other is there.
    C : float in (0, inf], default=1.0
        Inverse of the penalty's strength; inf is no penalty.
    l1_ratio : 0 or None, default=0.0
        No other is there. None is 0. Without effect where ``penalty`` is given.
    dual : False, default=False
        True is of scikit-learn's "liblinear" alone, and an error.
    tol : float in [0, inf), default=1e-4
        Relative error of ``coef_``, ‖ΔW‖ / ‖W‖, at which to stop; see Notes.
    fit_intercept : bool, default=True
    intercept_scaling : float in (0, inf), default=1
        Without effect, as with each solver of scikit-learn but "liblinear".
    class_weight : dict {label: weight}, "balanced" or None, default=None
        "balanced" weighs a class by Σs / (n_classes · Σs of the class), as scikit-learn 1.9.
    random_state : int, RandomState instance or None, default=None
        For the rows that a fit looks at first. None is 0, so that two fits give the same bits.
    solver : {"lbfgs", "newton-cg", "newton-cholesky", "sag", "saga"}, default="lbfgs"
        Without effect: they have one minimum. "liblinear" penalises the intercept, and is an error.
    max_iter : int in [0, inf), default=100
        0 leaves the coefficients where they start: 0, or with ``warm_start`` those of the last fit.
    verbose : int in [0, inf) or bool, default=0
        Above 0: a tqdm bar where it is installed, else a line an iteration on stderr.
    warm_start : bool, default=False
        Start from the ``coef_`` and ``intercept_`` of the last fit, which must have had the same
        classes and number of features.
    n_jobs : int or None, default=None
        Threads, as in :class:`SoftmaxClassifier`; coefficients are the same at any value.

    Attributes
    ----------
    coef_ : ndarray of shape (n_classes, n_features), or (1, n_features) for two classes
        float32 where X is an array or sparse matrix of float32, float64 otherwise. It is computed
        in float64 always, as float32 would end about 1e-3 off. Of three classes and more, the rows
        sum to 0. Predictions are in the dtype of X · coef_ᵀ: float64 for X of float64.
    intercept_ : ndarray of shape (n_classes,), or (1,) for two classes
    classes_ : ndarray of shape (n_classes,)
    n_iter_ : int32 ndarray of shape (1,)
        Passes over the rows, the stochastic ones that a fit begins with included.
    converged_ : bool
        Whether the estimate of the error came to ``tol``, or as near as float64 allows.
    suboptimality_ : float
        How far the mean loss plus penalty is above its minimum: an estimate.
    suboptimality_bound_ : float
        What it is above it at most.
    loss_curve_ : float64 ndarray
        The mean loss plus penalty of each pass, as in :class:`SoftmaxClassifier`.
    history_ : dict of ndarrays
        Of each pass, as in :class:`SoftmaxClassifier`.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Only if X had string column names.

    Warns
    -----
    ConvergenceWarning
        If ``max_iter`` ended the fit, or rounding errors did far from the minimum. That they end it
        near the minimum, as they do with a ``tol`` of 1e-12, is no failure.
    UserWarning
        If ``penalty`` leaves C or ``l1_ratio`` without effect.

    Notes
    -----
    The objective L is alpha-strongly convex in W: ½ alpha ‖ΔW‖² ≤ L − min L. So ``tol`` holds where
    L − min L, of which there is an estimate, is no more than tol² times the penalty ½ alpha ‖W‖².
    Without a penalty there is no such bound, and L − min L is brought below tol² itself; likewise
    with one that float64 knows nothing of beside the loss, C above 4e15.
    Where rounding errors end the descent, it is near the minimum if ``tol`` = 1e-4 holds, or if
    L − min L is within a thousand units in the last place of L.

    Sparse rows that are short beside the penalty, as tf-idf is, go by dual coordinate ascent, as
    with ``solver="dual"`` of :class:`SoftmaxClassifier`: ``n_iter_`` then counts its epochs, and
    the bound, which is the estimate too, is a duality gap.

    A fit of weighted rows is that of repeated ones up to rounding errors where both go the same
    way to the minimum, as those of up to 1000 rows mostly do; else it is within ``tol``.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from fastsoftmax import LogisticRegression
    >>> X, y = load_iris(return_X_y=True)
    >>> LogisticRegression().fit(X, y).predict(X[:2])
    array([0, 0])
    """

    _parameter_constraints: ClassVar = {
        "penalty": [
            StrOptions({"l1", "l2", "elasticnet"}),
            None,
            Hidden(StrOptions({"deprecated"})),
        ],
        "C": [Interval(Real, 0, None, closed="right")],
        "l1_ratio": [Interval(Real, 0, 1, closed="both"), None],
        "dual": ["boolean"],
        "tol": [Interval(Real, 0, None, closed="left")],
        "intercept_scaling": [Interval(Real, 0, None, closed="neither")],
        "solver": [StrOptions({*SOLVERS, "liblinear"})],
        "max_iter": [Interval(Integral, 0, None, closed="left")],
        **{
            name: PARAMETER_CONSTRAINTS[name]
            for name in (
                "fit_intercept",
                "class_weight",
                "random_state",
                "verbose",
                "warm_start",
                "n_jobs",
            )
        },
    }

    #: As with the product of X and coef_ in NumPy.
    _predicts_wide_rows_in_float64 = True

    def __init__(
        self,
        penalty="deprecated",
        *,
        C=1.0,
        l1_ratio=0.0,
        dual=False,
        tol=1e-4,
        fit_intercept=True,
        intercept_scaling=1,
        class_weight=None,
        random_state=None,
        solver="lbfgs",
        max_iter=100,
        verbose=0,
        warm_start=False,
        n_jobs=None,
    ):
        self.penalty = penalty
        self.C = C
        self.l1_ratio = l1_ratio
        self.dual = dual
        self.tol = tol
        self.fit_intercept = fit_intercept
        self.intercept_scaling = intercept_scaling
        self.class_weight = class_weight
        self.random_state = random_state
        self.solver = solver
        self.max_iter = max_iter
        self.verbose = verbose
        self.warm_start = warm_start
        self.n_jobs = n_jobs

    def fit(self, X, y=None, sample_weight=None):
        """Fit to the minimum, or with ``warm_start`` go on there from the last fit.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features), or a sources.Source
            Finite numbers. Read where it lies, as by :class:`SoftmaxClassifier`.
        y : array-like of shape (n_samples,)
            Labels of any type that sorts, of at least two classes; None with a source.
        sample_weight : array-like of shape (n_samples,), float or None, default=None
            Not negative, not all 0.

        Returns
        -------
        self : LogisticRegression

        Raises
        ------
        ValueError
            If a parameter or an argument is out of its range, asks for what isn't there, or if
            ``warm_start`` meets other classes or another number of features. The estimator is then
            as it was.
        KeyboardInterrupt
            On Ctrl-C; after the first pass, the estimator is that of the passes done.
        """
        fitted = self._fit(X, y, sample_weight)
        raise_if_interrupted(fitted)
        for message in self._ignored():
            warnings.warn(message, UserWarning, stacklevel=2)
        outcome = fitted.outcome
        if outcome is not None and not outcome.converged and outcome.reason != "stopped":
            when = f"after max_iter={self.max_iter} iterations; raise max_iter, or"
            if outcome.reason == "rounding":
                when = "where rounding errors end the descent;"
            warnings.warn(
                f"lbfgs failed to converge: coef_ is not yet within a relative error of "
                f"tol={self.tol:g} {when} scale the features. The objective is an estimated "
                f"{outcome.suboptimality:.2g} above its minimum, and at most "
                f"{outcome.suboptimality_bound:.2g}",
                ConvergenceWarning,
                stacklevel=2,
            )
        return self

    @with_callbacks
    def _fit(self, X, y, sample_weight):
        """All of fit but what it has to say at the end, which is said without callbacks around."""
        self._check_parameters()
        task = FitTask.of(self, self.max_iter, X, y, sample_weight=sample_weight)
        is_float32 = getattr(X, "dtype", None) == np.float32
        with unchanged_on_failure(self):
            check = check_source if isinstance(X, Source) else check_data
            data = check(self, X, y, sample_weight, dtype="float64", n_jobs=self.n_jobs)
            settings = self._settings(data, task)
            fitted = self._finished(fit(data, settings, starting_point(self, data)))
            set_fitted(self, data.classes, fitted)
            self.n_iter_ = np.array([self.n_iter_], dtype=np.int32)
            if is_float32:
                self.coef_ = self.coef_.astype(np.float32)
                self.intercept_ = self.intercept_.astype(np.float32)
        if task is not None:
            task.end()
        return fitted

    def _settings(self, data, task):
        """What the parameters ask of a fit of these data."""
        C, is_seen_whole = self._inverse_strength(), _is_seen_whole(data)
        tolerance = self._tolerance(self.tol)
        return Settings(
            formulation=Formulation(
                strength=lambda weight_sum: 1 / (C * weight_sum),
                fit_intercept=bool(self.fit_intercept),
                class_weight=self.class_weight,
                chooses_units=partial(needs_units, tolerance=tolerance),
            ),
            plan=Plan(learning_rate=None, n_epochs=int(self.max_iter)),
            to_optimum=True,
            stochastic=not is_seen_whole and self.max_iter > FEWEST_WITH_EPOCHS,
            reforms=is_seen_whole,
            tolerance=tolerance,
            random_state=0 if self.random_state is None else self.random_state,
            observed=partial(observed, self, task),
            fitted=partial(fitted_copy, self),
            scoring=Scoring.of(self, "loss"),
        )

    def _tolerance(self, tol):
        """What a relative error of coef_ is of the suboptimality; see Notes of the class."""
        # A penalty below the rounding errors of the loss is none that a descent could follow.
        is_free = self._inverse_strength() * np.finfo(np.float64).eps > 1
        return Tolerance(tol**2) if is_free else Tolerance(of_penalty=tol**2)

    def _finished(self, fitted):
        """A fit that knows whether its end is near enough, with coefficients that sum to 0."""
        memory, outcome = fitted.memory, fitted.outcome
        if outcome is not None and not outcome.converged and outcome.reason == "rounding":
            alpha = 1 / (self._inverse_strength() * memory.seen.weight_sum)
            penalty = 0.5 * alpha * np.square(memory.coef).sum() if alpha else 0.0
            tolerance = self._tolerance(max(self.tol, CLOSE_ENOUGH))
            allowed = tolerance.allowed(outcome.objective, penalty, np.float64)
            rounded = ROUNDED * np.finfo(np.float64).eps * abs(outcome.objective)
            is_near = outcome.suboptimality <= max(allowed, rounded)
            fitted = replace(fitted, outcome=replace(outcome, converged=bool(is_near)))
        if len(memory.coef) > 1 and len(fitted.history.epochs):
            coef, intercept = centred(memory.coef, memory.intercept)
            fitted = replace(fitted, memory=replace(memory, coef=coef, intercept=intercept))
        return fitted

    def _inverse_strength(self):
        """The penalty's ``C``, whichever parameter says that there is none."""
        return float("inf") if self.penalty is None else float(self.C)

    def _ignored(self):
        """What is to be said of parameters that ``penalty`` leaves without effect."""
        if self.penalty is None and self.C != 1.0:
            yield f"Setting penalty=None will ignore the C that is given, {self.C}; leave it out"
        given = {"l2": self.l1_ratio != 0, None: self.l1_ratio not in (0, 1, None)}
        if given.get(self.penalty, False):
            yield (
                f"Inconsistent values: penalty={self.penalty} with l1_ratio={self.l1_ratio}, which "
                "is left without effect; leave penalty out"
            )

    def _check_parameters(self):
        """Each parameter alone, then what scikit-learn's has and this has not."""
        check_each_parameter(self)
        if self.penalty in ("l1", "elasticnet"):
            raise ValueError(
                f"penalty must be 'l2' or None, as only the L2 penalty is there; got "
                f"{self.penalty!r}"
            )
        if self.penalty == "deprecated" and self.l1_ratio not in (0, None):
            raise ValueError(
                f"l1_ratio must be 0 or None, as only the L2 penalty is there; got {self.l1_ratio}"
            )
        if self.solver == "liblinear":
            raise ValueError(
                "solver='liblinear' penalises the intercept, which is not done here; solver must "
                f"be one of {', '.join(map(repr, sorted(SOLVERS)))}"
            )
        if self.dual:
            raise ValueError("dual must be False: dual=True is of solver='liblinear' alone")


def _is_seen_whole(data):
    """Whether the model of the curvature is made of all rows.

    A second model at a better place then gains more than a stochastic phase, which depends on the
    order of rows, and on whether they are weighted or repeated.
    """
    if not data.is_held:
        return False
    weight = data.sample_weight
    n_used = len(data.codes) if weight is None else np.count_nonzero(weight)
    _, n_drawn = preconditioner_for(*data.coef_shape, n_used, data.is_sparse)
    return n_drawn >= n_used

"""LogisticRegression: scikit-learn's parameters and coefficients, this package's arithmetic.

A change of the import is all that a program of scikit-learn's needs. Parameters are translated for
a SoftmaxClassifier, which fits, and its attributes taken over; nothing is computed here. Only what
the L2 penalty allows is here: other penalties are errors. Imported lazily by the package face.
"""

import warnings
from numbers import Integral, Real
from typing import ClassVar

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils._param_validation import Hidden, Interval, StrOptions

from .classifier import SoftmaxClassifier
from .coefficients import SparseCoefficients
from .memory import take_over
from .parameters import PARAMETER_CONSTRAINTS
from .prediction import LinearPrediction

__all__ = ["LogisticRegression"]

#: Of scikit-learn's solvers those whose minimum is that of this objective.
SOLVERS = {"lbfgs", "newton-cg", "newton-cholesky", "sag", "saga"}

#: ``max_iter`` up to which there is no stochastic phase: a fit that ends before the minimum then
#: depends on the weights of rows alone, and not on whether they are weights or repetitions.
FEWEST_WITH_EPOCHS = 10

#: Fitted attributes that are those of the SoftmaxClassifier within.
TAKEN = (
    "coef_",
    "intercept_",
    "classes_",
    "n_features_in_",
    "feature_names_in_",
    "converged_",
    "suboptimality_",
    "suboptimality_bound_",
)


class LogisticRegression(LinearPrediction, SparseCoefficients, ClassifierMixin, BaseEstimator):
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
        Deprecated in scikit-learn, and tolerated: None is ``C=inf``. No other is there.
    C : float in (0, inf], default=1.0
        Inverse of the penalty's strength; inf is no penalty.
    l1_ratio : 0 or None, default=0.0
        No other is there. None is 0.
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
    max_iter : int in [1, inf), default=100
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
        in float64 always, as float32 would end about 1e-3 off.
    intercept_ : ndarray of shape (n_classes,), or (1,) for two classes
    classes_ : ndarray of shape (n_classes,)
    n_iter_ : int32 ndarray of shape (1,)
        Passes over the rows, the stochastic ones that a fit begins with included.
    converged_ : bool
        Whether the estimate of the error came to ``tol``.
    suboptimality_, suboptimality_bound_ : float
        How far the mean loss plus penalty is above its minimum: an estimate, and a bound.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Only if X had string column names.

    Warns
    -----
    ConvergenceWarning
        If ``max_iter`` ended the fit. Rounding errors ending it, as a ``tol`` of 1e-12 may ask
        for, are no failure: ``converged_`` tells of them.

    Notes
    -----
    The objective L is alpha-strongly convex in W: ½ alpha ‖ΔW‖² ≤ L − min L. So ``tol`` holds where
    L − min L, of which there is an estimate, is no more than tol² times the penalty ½ alpha ‖W‖².
    Without a penalty there is no such bound, and L − min L is brought below tol² itself.

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
        "max_iter": [Interval(Integral, 1, None, closed="left")],
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

    #: What LinearPrediction asks for.
    multi_class = "softmax"

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

    def fit(self, X, y, sample_weight=None):
        """Fit to the minimum, or with ``warm_start`` go on there from the last fit.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Finite numbers. Read where it lies, as by :class:`SoftmaxClassifier`.
        y : array-like of shape (n_samples,)
            Labels of any type that sorts, of at least two classes.
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
        self._check_parameters()
        within = _Within.of(self)
        history, outcome = within._fit(X, y, sample_weight, None, None, None)
        if getattr(X, "dtype", None) == np.float32:
            within.coef_ = within.coef_.astype(np.float32)
            within.intercept_ = within.intercept_.astype(np.float32)
        take_over(self, within, TAKEN)
        self.n_iter_ = np.array([within.n_iter_], dtype=np.int32)
        within._tell(history, outcome)
        return self

    def _check_parameters(self):
        """Each parameter alone, then what scikit-learn's has and this has not."""
        self._validate_params()
        if self.penalty in ("l1", "elasticnet"):
            raise ValueError(
                f"penalty must be 'l2' or None, as only the L2 penalty is there; got "
                f"{self.penalty!r}"
            )
        if self.l1_ratio not in (0, None):
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
        if self.penalty is None and self.C != 1.0:
            raise ValueError(f"penalty=None leaves C without effect; leave it out; got C={self.C}")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


class _Within(SoftmaxClassifier):
    """The SoftmaxClassifier of a LogisticRegression's parameters, and of its way to measure."""

    @classmethod
    def of(cls, outer):
        """Unfitted, but for what ``warm_start`` goes on from."""
        within = cls(
            solver="auto" if outer.max_iter > FEWEST_WITH_EPOCHS else "lbfgs",
            tol=outer.tol,
            max_iter=outer.max_iter,
            fit_intercept=outer.fit_intercept,
            class_weight=outer.class_weight,
            random_state=0 if outer.random_state is None else outer.random_state,
            n_jobs=outer.n_jobs,
            verbose=outer.verbose,
            dtype="float64",
            warm_start=outer.warm_start,
        )
        within._inverse_strength = np.inf if outer.penalty is None else float(outer.C)
        if outer.warm_start and hasattr(outer, "coef_"):
            within.coef_, within.intercept_ = outer.coef_, outer.intercept_
            within.classes_ = outer.classes_
        return within

    def _strength(self, weight_sum):
        return 1 / (self._inverse_strength * weight_sum)

    def _allowed_gap(self):
        if self._inverse_strength == np.inf:
            return self.tol**2
        return lambda penalty: self.tol**2 * penalty

    def _warn_of_missing(self, outcome):
        if outcome.reason != "max_iter":
            return
        warnings.warn(
            f"coef_ is not yet within a relative error of tol={self.tol:g} after max_iter="
            f"{self.max_iter} iterations; raise max_iter, or scale the features. The objective is "
            f"an estimated {outcome.suboptimality:.2g} above its minimum, and at most "
            f"{outcome.suboptimality_bound:.2g}",
            ConvergenceWarning,
            stacklevel=4,
        )


#: What scikit-learn's errors call the estimator.
_Within.__name__ = LogisticRegression.__name__

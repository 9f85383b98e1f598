"""SoftmaxClassifierCV: the strength of the penalty chosen by cross-validation.

Splits, scores and the choice; each fold's minima are path.py's, the last fit is a
SoftmaxClassifier's. Held-out rows are rows of weight 0: X is not copied for training. Imported
lazily by the package face.
"""

import sys
import warnings
from numbers import Integral
from typing import ClassVar

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import check_scoring
from sklearn.model_selection import check_cv
from sklearn.utils import check_array, check_consistent_length, check_random_state
from sklearn.utils._param_validation import Interval

from ..kernels.threads import effective_n_threads
from ..optimization.path import Path
from ..problem.held_out import HeldOut, Validation, rows_of_given
from ..problem.posing import pose
from ..problem.rows import check_finite, computing_dtype
from ..problem.statistics import ColumnStatistics
from .classifier import SoftmaxClassifier
from .coefficients import SparseCoefficients
from .memory import Memory, fitted_copy, take_over
from .parameters import PARAMETER_CONSTRAINTS
from .prediction import LinearPrediction

__all__ = ["SoftmaxClassifierCV"]

#: Powers of 10 from which to which a grid of alphas goes.
STRONGEST, WEAKEST = 4, -4

#: Parameters that are those of the SoftmaxClassifier within.
SHARED = (
    "multi_class",
    "label_smoothing",
    "max_iter",
    "tol",
    "scoring",
    "standardize",
    "fit_intercept",
    "class_weight",
    "random_state",
    "n_jobs",
    "dtype",
)

#: Fitted attributes that are those of the SoftmaxClassifier fitted last.
TAKEN = (
    "coef_",
    "intercept_",
    "classes_",
    "mean_",
    "scale_",
    "n_features_in_",
    "feature_names_in_",
    "converged_",
    "suboptimality_",
    "suboptimality_bound_",
)


class SoftmaxClassifierCV(LinearPrediction, SparseCoefficients, ClassifierMixin, BaseEstimator):
    """Softmax regression with the strength of its penalty chosen by cross-validation.

    For each fold, the minimum for the strongest ``alpha`` is found first, and each next one from
    the last. Then :class:`SoftmaxClassifier` is fitted to all rows with the ``alpha`` of the
    highest mean score; of several, with the strongest. The scores are those that scikit-learn's
    ``GridSearchCV`` finds for the same alphas and folds, within ``tol``.

    X is read where it lies, as by :class:`SoftmaxClassifier`; scores other than "loss" are taken on
    a copy of a fold's rows.

    Parameters
    ----------
    alphas : int in [2, inf) or array-like of shape (n_alphas,), default=10
        Strengths of the penalty to try, not negative. A number asks for so many from 1e4 to 1e-4
        times the mean variance of the features over the sum of the weights: for z-scores, those
        of the ``Cs`` of scikit-learn's ``LogisticRegressionCV``; and a change of the features'
        unit changes nothing. Without intercept, the mean square is in the variance's place.
    cv : int, splitter, iterable of (train, test) or None, default=5
        Folds. A number or None, which is 5, asks for scikit-learn's ``StratifiedKFold``.
    scoring : str, callable or None, default=None
        The score: "loss", the loss that is minimised, with its sign turned and without penalty and
        ``label_smoothing``; any of scikit-learn's names or a scorer of the form
        ``scorer(estimator, X, y)``; None for the accuracy. The higher the better.
    multi_class : {"softmax", "ovr"}, default="softmax"
    label_smoothing : float in [0, 1), default=0.0
    max_iter : int in [1, inf) or None, default=None
        Iterations for each alpha at most. None: 1000.
    tol : float in [0, inf) or None, default=1e-5
    standardize : bool or {"population", "sample"}, default=False
        Of each fold, by the statistics of the rows it trains on.
    fit_intercept : bool, default=True
    class_weight : dict {label: weight}, "balanced" or None, default=None
    random_state : int, RandomState instance or None, default=None
        For the rows that the curvature is seen from. Folds are shuffled by ``cv`` alone.
    n_jobs : int or None, default=None
        Threads.
    dtype : {"float32", "float64"}, the NumPy type of that name or None, default=None
        For these nine, see :class:`SoftmaxClassifier`.
    verbose : int in [0, inf) or bool, default=0
        Above 0: a line on stderr for each fold and alpha.

    Attributes
    ----------
    alpha_ : float
        The one chosen.
    alphas_ : float64 ndarray of shape (n_alphas,)
        Those tried, the strongest first.
    scores_ : float64 ndarray of shape (n_folds, n_alphas)
        On the rows that a fold holds out, by their ``sample_weight`` if there is one.
    n_iter_ : int64 ndarray of shape (n_folds, n_alphas)
        Evaluations of the objective over a fold's rows.
    coef_, intercept_, classes_, mean_, scale_, n_features_in_, feature_names_in_
        Of the last fit, to all rows; as in :class:`SoftmaxClassifier`.
    converged_, suboptimality_, suboptimality_bound_
        The same.

    Warns
    -----
    ConvergenceWarning
        Once, if ``max_iter`` ended the search for any of the minima: how many, and by how much.

    Notes
    -----
    ``score`` gives the accuracy, whatever ``scoring``. Ctrl-C leaves the estimator as it was.

    The curvature over features, whose eigenvectors cost as much as several passes over the rows, is
    factored once for a fold and serves all alphas; the curvature over classes is taken anew for
    each. L-BFGS keeps the steps that it remembers, with what the other penalty makes of them.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from fastsoftmax import SoftmaxClassifierCV
    >>> X, y = load_iris(return_X_y=True)
    >>> classifier = SoftmaxClassifierCV(standardize=True, random_state=0).fit(X, y)
    >>> classifier.scores_.shape
    (5, 10)
    >>> classifier.predict(X[:2])
    array([0, 0])
    """

    _parameter_constraints: ClassVar = {
        "alphas": [Interval(Integral, 2, None, closed="left"), "array-like"],
        "cv": ["cv_object"],
        **{name: PARAMETER_CONSTRAINTS[name] for name in (*SHARED, "verbose")},
    }

    def __init__(
        self,
        *,
        alphas=10,
        cv=5,
        scoring=None,
        multi_class="softmax",
        label_smoothing=0.0,
        max_iter=None,
        tol=1e-5,
        standardize=False,
        fit_intercept=True,
        class_weight=None,
        random_state=None,
        n_jobs=None,
        dtype=None,
        verbose=0,
    ):
        self.alphas = alphas
        self.cv = cv
        self.scoring = scoring
        self.multi_class = multi_class
        self.label_smoothing = label_smoothing
        self.max_iter = max_iter
        self.tol = tol
        self.standardize = standardize
        self.fit_intercept = fit_intercept
        self.class_weight = class_weight
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.dtype = dtype
        self.verbose = verbose

    def fit(self, X, y, sample_weight=None, groups=None):
        """Choose ``alpha`` by cross-validation, and fit to all rows with it.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Finite numbers.
        y : array-like of shape (n_samples,)
            Labels of any type that sorts, of at least two classes.
        sample_weight : array-like of shape (n_samples,), float or None, default=None
            Not negative, not all 0. For training and for the scores.
        groups : array-like of shape (n_samples,) or None, default=None
            For a ``cv`` that splits by groups.

        Returns
        -------
        self : SoftmaxClassifierCV

        Raises
        ------
        ValueError
            If a parameter or an argument is out of its range, if a fold trains on or holds out no
            row of weight above 0, or if a score is NaN. The estimator is then as it was.
        """
        self._validate_params()
        alphas = _given_alphas(self.alphas)
        within = SoftmaxClassifier(solver="lbfgs", **{name: getattr(self, name) for name in SHARED})
        if isinstance(self.scoring, str) and self.scoring != "loss":
            check_scoring(within, scoring=self.scoring)
        given = X, y
        X, y, classes, codes, sample_weight = within._checked(X, y, sample_weight)
        n_threads = effective_n_threads(self.n_jobs)
        check_finite(X, computing_dtype(self.dtype, X), n_threads)
        if alphas is None:
            alphas = _grid(self, X, sample_weight, n_threads)
        held_out, train_weights = self._split(X, y, codes, sample_weight, groups, given)

        n_folds, n_rows = len(held_out), 1 if len(classes) == 2 else len(classes)
        scores = np.empty((n_folds, len(alphas)))
        n_iter = np.empty(scores.shape, dtype=np.int64)
        coef = np.zeros((len(alphas), n_rows, X.shape[1]))
        intercept = np.zeros((len(alphas), n_rows))
        missed = []
        for k in range(n_folds):
            fold = _Fold(within, X, codes, classes, train_weights[k], held_out[k], n_threads)
            for i, alpha in enumerate(alphas):
                minimum, parameters, scores[k, i] = fold.fitted(alpha)
                n_iter[k, i] = minimum.n_iter
                coef[i] += parameters[0] / n_folds
                intercept[i] += parameters[1] / n_folds
                if not minimum.converged:
                    missed.append(minimum.suboptimality)
                if self.verbose:
                    text = f"fold {k + 1}/{n_folds}  alpha {alpha:.3g}  score {scores[k, i]:.5f}"
                    print(text, file=sys.stderr)

        best = int(np.argmax(scores.mean(axis=0)))
        within.alpha = float(alphas[best])
        # The mean of the folds' coefficients is near the minimum.
        memory = Memory(coef=coef[best], intercept=intercept[best])
        memory = memory.astype(computing_dtype(self.dtype, X))
        max_iter = within._most_iterations(y)
        _, outcome = within._learn(X, codes, classes, sample_weight, memory, max_iter)
        take_over(self, within, TAKEN)
        self.alphas_, self.alpha_ = alphas, within.alpha
        self.scores_, self.n_iter_ = scores, n_iter
        if self.tol is not None:
            if outcome.reason == "max_iter" and not outcome.converged:
                missed.append(outcome.suboptimality)
            self._warn_of(missed, n_folds * len(alphas) + 1)
        return self

    def _split(self, X, y, codes, sample_weight, groups, given):
        """What each fold holds out, and its weights of rows in training."""
        cv = check_cv(5 if self.cv is None else self.cv, y, classifier=True)
        check_consistent_length(y, groups)
        held_out, train_weights = [], []
        for k, fold in enumerate(cv.split(given[0], y, groups)):
            train, test = (_numbers(part, len(X)) for part in fold)
            weight = np.bincount(train, minlength=len(X)).astype(np.float64)  # rows may repeat
            if sample_weight is not None:
                weight *= sample_weight
                test = test[sample_weight[test] > 0]
            if not weight.any() or len(test) == 0:
                part = "trains on" if len(test) else "holds out"
                raise ValueError(f"fold {k} of cv {part} no row of weight above 0")
            shown = None
            if self.scoring != "loss":
                shown = rows_of_given(*given, test)
            held_out.append(HeldOut(X, test, codes, sample_weight, shown))
            train_weights.append(weight)
        return held_out, train_weights

    def _warn_of(self, missed, n_fits):
        """One warning for all the minima that were not reached."""
        if missed:
            warnings.warn(
                f"{len(missed)} of {n_fits} fits ended by max_iter with an objective that is an "
                f"estimated {max(missed):.2g} above its minimum at most, where tol={self.tol:g} "
                "was asked for: raise max_iter, leave out the weakest alphas, or standardize=True",
                ConvergenceWarning,
                stacklevel=3,
            )

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


class _Fold:
    """The minima of one fold, and their scores on the rows that it holds out."""

    def __init__(self, within, X, codes, classes, train_weight, held_out, n_threads):
        dtype = computing_dtype(within.dtype, X)
        posed = pose(within, X, codes, classes, train_weight, Memory(), n_threads, dtype)
        n_rows = 1 if len(classes) == 2 else len(classes)
        max_iter = within._most_iterations(codes)
        random_state = check_random_state(within.random_state)
        self._units, self._unit = posed.units, posed.unit
        self._path = Path(posed.problem, n_rows, random_state, within.tol, max_iter)

        def fitted(state):
            return fitted_copy(within, classes, *self._parameters(state))

        self._validation = Validation(held_out, posed.problem, within, fitted)

    def _parameters(self, state):
        return self._units.to_original(state.coef, state.intercept)

    def fitted(self, alpha):
        """The minimum for this alpha, its coef and intercept in the units of X, and its score."""
        minimum = self._path.minimum(alpha / self._unit**2)
        return minimum, self._parameters(minimum.state), self._validation.score(minimum.state)


def _numbers(part, n_samples):
    """Numbers of rows, from numbers that may be negative or from a mask."""
    part = np.asarray(part)
    return np.arange(n_samples)[part if part.size else part.astype(np.intp)]


def _given_alphas(alphas):
    """The strongest first; None where they are the program's choice."""
    if isinstance(alphas, Integral):
        return None
    alphas = check_array(alphas, ensure_2d=False, dtype=np.float64, input_name="alphas")
    if alphas.ndim != 1:
        raise ValueError(f"alphas must be one-dimensional; got shape {alphas.shape}")
    if alphas.min() < 0:
        raise ValueError(f"alphas must not be negative; got {alphas.min():g}")
    return np.sort(alphas)[::-1]


def _grid(estimator, X, sample_weight, n_threads):
    """As many alphas as asked for, in proportion to the features' mean variance."""
    square, weight_sum = 1.0, float(len(X))
    if sample_weight is not None:
        weight_sum = float(sample_weight.sum())
    if not estimator.standardize:
        statistics = ColumnStatistics.of(X, sample_weight, n_threads)
        moments = statistics.squares / statistics.weight_sum
        if not estimator.fit_intercept:
            moments += np.square(statistics.mean)
        square = float(moments.mean())
    powers = np.logspace(STRONGEST, WEAKEST, estimator.alphas)
    alphas = powers * ((square if square > 0 else 1.0) / weight_sum)
    if not (np.isfinite(alphas).all() and alphas.all()):
        raise ValueError(
            "alphas can't be chosen, as the variance of X is beyond float64; give X in another "
            "unit, or alphas as an array"
        )
    return alphas

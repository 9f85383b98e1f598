"""SoftmaxClassifierCV: the strength of the penalty chosen by cross-validation.

The grid, the choice and what is said of it; folds and their scores are folds.py's, the last fit is
fitting.py's. X is not copied for training. Imported lazily by the package face.
"""

import sys
import warnings
from dataclasses import dataclass, replace
from numbers import Integral
from operator import methodcaller
from typing import ClassVar

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_array, check_consistent_length
from sklearn.utils._param_validation import Interval

from ..interchange.files import savable
from ..optimization.fitting import Memory, fit
from ..problem.checks import check_data, check_source
from ..sources.base import Source
from .base import LinearClassifier, inverse_strength, raise_if_interrupted
from .classifier import SoftmaxClassifier
from .folds import Fold, Mean, beside_each_other, folds_of, folds_of_blocks
from .memory import set_fitted, unchanged_on_failure
from .parameters import PARAMETER_CONSTRAINTS, check_each_parameter
from .settings import most_iterations, settings_of

__all__ = ["SoftmaxClassifierCV"]

#: Powers of 10 from which to which a grid of alphas goes.
STRONGEST, WEAKEST = 4, -4

#: Parameters that are those of the SoftmaxClassifier that is tuned.
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


@savable
class SoftmaxClassifierCV(LinearClassifier):
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
        Folds. A number or None, which is 5, asks for scikit-learn's ``StratifiedKFold``. Without
        effect where ``fit`` is given rows to validate on. Of a source they are of blocks: a number
        k has fold i hold out blocks i, i + k, i + 2k and so on; splitters and pairs are of numbers
        of blocks, so that what splits by labels or groups won't do.
    n_alphas_without_gain : int in [1, inf) or None, default=5
        Leave weaker alphas out once the mean score of so many running has been below the best one:
        most of the time would go to them. None tries all.
    scoring : str, callable or None, default=None
        The score: "loss", the loss that is minimised, with its sign turned and without penalty and
        ``label_smoothing``; any of scikit-learn's names or a scorer of the form
        ``scorer(estimator, X, y)``, with ``sample_weight`` if it takes that; None for the accuracy.
        The higher the better.
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
        Those to try, the strongest first.
    scores_ : float64 ndarray of shape (n_folds, n_alphas)
        On the rows that a fold holds out, by their ``sample_weight`` if there is one; NaN for
        alphas that were left out. One fold where ``fit`` was given rows to validate on.
    n_iter_ : int64 ndarray of shape (n_folds, n_alphas)
        Evaluations of the objective over a fold's rows; 0 for alphas that were left out.
    coef_, intercept_, classes_, mean_, scale_, n_features_in_, feature_names_in_
        Of the last fit, to all rows; as in :class:`SoftmaxClassifier`.
    converged_, suboptimality_, suboptimality_bound_, loss_curve_, history_
        The same.

    Warns
    -----
    ConvergenceWarning
        Once, if ``max_iter`` ended the search for any of the minima: how many, and by how much. And
        if rounding errors ended the last one short of ``tol``.

    Notes
    -----
    ``score`` gives the accuracy, whatever ``scoring``. Ctrl-C leaves the estimator as it was.

    A class that a fold has no row to train on of stays a class there, of probability 0; metrics
    that take ``labels`` are told of it, as by scikit-learn's ``LogisticRegressionCV``. Its rows
    that are held out are misses, and their loss counts as that of the ``eps`` of the dtype, as in
    scikit-learn's ``log_loss``: a constant, which makes no alpha better than another.

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
        "n_alphas_without_gain": [Interval(Integral, 1, None, closed="left"), None],
        **{name: PARAMETER_CONSTRAINTS[name] for name in (*SHARED, "verbose")},
    }

    def __init__(
        self,
        *,
        alphas=10,
        cv=5,
        n_alphas_without_gain=5,
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
        self.n_alphas_without_gain = n_alphas_without_gain
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

    def fit(
        self,
        X,
        y=None,
        sample_weight=None,
        groups=None,
        *,
        X_val=None,
        y_val=None,
        sample_weight_val=None,
    ):
        """Choose ``alpha`` by cross-validation or on other rows, and fit to all of X with it.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features), or a sources.Source
            Finite numbers. A source is read block by block, has its own labels and weights, and is
            split by blocks.
        y : array-like of shape (n_samples,)
            Labels of any type that sorts, of at least two classes; None with a source.
        sample_weight : array-like of shape (n_samples,), float or None, default=None
            Not negative, not all 0. For training and for the scores.
        groups : array-like of shape (n_samples,) or None, default=None
            For a ``cv`` that splits by groups.
        X_val, y_val : array-likes of shapes (n_val, n_features) and (n_val,), or both None
            Rows to score on in the place of folds, with labels that y holds. They are not trained
            on.
        sample_weight_val : array-like of shape (n_val,), float or None, default=None
            Not negative, not all 0.

        Returns
        -------
        self : SoftmaxClassifierCV

        Raises
        ------
        ValueError
            If a parameter or an argument is out of its range, if a fold trains on or holds out no
            row of weight above 0, or if ``scoring`` fails on the rows held out, or gives NaN. The
            estimator is then as it was.
        """
        check_each_parameter(self)
        alphas = _given_alphas(self.alphas)
        model = SoftmaxClassifier(solver="lbfgs", **{name: getattr(self, name) for name in SHARED})
        settings = settings_of(model, most_iterations(model, y))
        given = (X, y)
        with_statistics = bool(self.standardize) or alphas is None
        with unchanged_on_failure(self):
            rows, validation_rows = (X, y, sample_weight), (X_val, y_val, sample_weight_val)
            of_source = isinstance(X, Source)
            if of_source:
                _check_splits_by_blocks(self, groups)
            shows_rows = settings.scoring.scorer is not None
            options = {
                "dtype": self.dtype,
                "n_jobs": self.n_jobs,
                "shows_rows": shows_rows and not (of_source and isinstance(X_val, Source)),
            }
            if of_source:
                options["standardize"] = with_statistics
            check = check_source if of_source else check_data
            data = check(self, *rows, *validation_rows, **options)
            for name in ("n_features_in_", "feature_names_in_"):  # scorers are shown such a model
                if hasattr(self, name):
                    setattr(model, name, getattr(self, name))
            if groups is not None:
                check_consistent_length(data.codes, groups)
            if groups is not None and data.held_out is not None:
                raise ValueError("groups are of cv, which X_val takes the place of; leave one out")
            if alphas is None:
                alphas = _grid(self, data)
            if data.held_out is None and of_source:
                folds = folds_of_blocks(data, X, self.cv, with_statistics)
            elif data.held_out is None:
                folds = folds_of(data, self.cv, given, {"groups": groups}, shows_rows)
            else:
                folds = [data]
                data = replace(data, held_out=None)
            paths = self._paths(folds, alphas, settings)
            best = int(np.nanargmax(paths.scores.mean(axis=0)))
            alpha = model.alpha = float(alphas[best])
            memory = Memory(*paths.means[best].parameters())
            settings = replace(settings_of(model, settings.plan.n_epochs), by_dual=None)
            fitted = fit(data, settings, memory.astype(data.dtype))
            raise_if_interrupted(fitted)
            set_fitted(self, data.classes, fitted)
            self.alphas_, self.alpha_ = alphas, alpha
            self.scores_, self.n_iter_ = paths.scores, paths.n_iter
            self._weight_sum = fitted.memory.seen.weight_sum
        outcome = fitted.outcome
        if not outcome.converged and outcome.reason == "max_iter":
            paths.missed.append(outcome.suboptimality)
        elif not outcome.converged and self.tol is not None:
            warnings.warn(
                f"the last fit ended an estimated {outcome.suboptimality:.2g} above its minimum, "
                f"where tol={self.tol:g} was asked for: {self.coef_.dtype} allows no more; use "
                "dtype='float64', or a higher tol",
                ConvergenceWarning,
                stacklevel=2,
            )
        if paths.missed and self.tol is not None:
            n_fits = np.count_nonzero(~np.isnan(paths.scores)) + 1
            warnings.warn(
                f"{len(paths.missed)} of {n_fits} fits ended by max_iter with an "
                f"objective that is an estimated {max(paths.missed):.2g} above its minimum at "
                f"most, where tol={self.tol:g} was asked for: raise max_iter, leave out the "
                "weakest alphas, or standardize=True",
                ConvergenceWarning,
                stacklevel=2,
            )
        return self

    def _inverse_strength(self):
        """The ``C`` of scikit-learn's that is the penalty chosen."""
        return inverse_strength(self.alpha_, self._weight_sum)

    def _paths(self, folds, alphas, settings):
        """Go from minimum to minimum in all folds, until scores have fallen for long enough."""
        paths = _Paths.of(len(folds), len(alphas), folds[0].coef_shape)
        most = len(alphas) if self.n_alphas_without_gain is None else self.n_alphas_without_gain
        n_threads = folds[0].n_threads
        folds = [Fold(data, settings) for data in folds]
        best, n_without = -np.inf, 0
        with beside_each_other(folds, n_threads) as of_each:
            for i, alpha in enumerate(alphas):
                minima = of_each(methodcaller("minimum", alpha))
                for k, minimum in enumerate(minima):
                    paths.take(k, i, minimum)
                    if self.verbose:
                        text = f"fold {k + 1}/{len(folds)}  alpha {alpha:.3g}"
                        print(f"{text}  score {minimum.score:.5f}", file=sys.stderr)
                score = paths.scores[:, i].mean()
                n_without = n_without + 1 if score < best else 0
                best = max(best, score)
                if n_without == most:
                    break
        return paths


@dataclass(frozen=True)
class _Paths:
    """What the folds came to.

    Parameters
    ----------
    scores : float64 ndarray of shape (n_folds, n_alphas)
    n_iter : int64 ndarray of the same shape
    means : list of Mean
        Of each alpha, in the units of X.
    missed : list of float
        Estimated suboptimality of each minimum that wasn't reached.
    """

    scores: np.ndarray
    n_iter: np.ndarray
    means: list
    missed: list

    @classmethod
    def of(cls, n_folds, n_alphas, coef_shape):
        """Of no minimum yet."""
        return cls(
            scores=np.full((n_folds, n_alphas), np.nan),
            n_iter=np.zeros((n_folds, n_alphas), dtype=np.int64),
            means=[Mean(coef_shape) for _ in range(n_alphas)],
            missed=[],
        )

    def take(self, fold, i, minimum):
        """Take in a fold's minimum for the alpha of number i."""
        self.scores[fold, i], self.n_iter[fold, i] = minimum.score, minimum.n_iter
        self.means[i].add(minimum)
        if not minimum.converged:
            self.missed.append(minimum.suboptimality)


def _check_splits_by_blocks(estimator, groups):
    """An error where a source can't be cross-validated in the way that is asked for."""
    if groups is not None:
        raise ValueError("groups must be None with a source, which is split by blocks")
    scoring = estimator.scoring
    if not (scoring is None or (isinstance(scoring, str) and scoring in ("accuracy", "loss"))):
        raise ValueError(
            "scoring must be None, 'accuracy' or 'loss' with a source, as other scorers want to "
            f"see all rows at once; got {scoring!r}"
        )


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


def _grid(estimator, data):
    """As many alphas as asked for, in proportion to the features' mean variance."""
    square, weight_sum = 1.0, data.weight_sum
    if not estimator.standardize:
        statistics = data.column_statistics
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

"""LogisticRegressionCV: scikit-learn's parameters and attributes, over this package's folds.

Parameters are translated to those of LogisticRegression, what the folds came to is put in the
shapes that scikit-learn gives it; folds and their scores are folds.py's, the last fit is
logistic_regression.py's. Only the L2 penalty is here. Imported lazily by the package face.
"""

import sys
import warnings
from copy import copy
from dataclasses import replace
from numbers import Integral
from typing import ClassVar

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model._base import LinearClassifierMixin
from sklearn.metrics import get_scorer, get_scorer_names
from sklearn.utils import check_array
from sklearn.utils._param_validation import Hidden, Interval, StrOptions
from sklearn.utils.metadata_routing import (
    UNUSED,
    MetadataRouter,
    MethodMapping,
    _raise_for_params,
    _routing_enabled,
    process_routing,
)

from ..interchange.files import savable
from ..optimization.fitting import Memory, fit
from ..optimization.history import columns_of
from ..problem.checks import check_data
from ..problem.held_out import Scoring, takes_weight
from ..problem.weights import check_class_weight
from ..sources.base import Source
from .base import LinearClassifier, centred, raise_if_interrupted
from .folds import Fold, Mean, beside_each_other, folds_of
from .logistic_regression import LogisticRegression
from .memory import set_fitted, unchanged_on_failure
from .parameters import check_each_parameter

__all__ = ["LogisticRegressionCV"]

#: Parameters that are those of the LogisticRegression that is tuned.
SHARED = (
    "dual",
    "tol",
    "fit_intercept",
    "intercept_scaling",
    "random_state",
    "solver",
    "max_iter",
    "n_jobs",
)


@savable
class LogisticRegressionCV(LinearClassifier, LinearClassifierMixin):
    """Logistic regression with its penalty chosen by cross-validation, as scikit-learn's.

    For each fold, the minimum of :class:`LogisticRegression`'s objective for the strongest penalty
    is found first, and each next one from the last. Then :class:`LogisticRegression` is fitted to
    all rows with the C of the highest mean score; of several, with the first of them in ``Cs``.

    Parameters
    ----------
    Cs : int in [1, inf) or array-like of shape (n_cs,), default=10
        Inverses of the penalty's strength to try, in (0, inf]. A number asks for so many from 1e-4
        to 1e4, in equal ratios.
    l1_ratios : array-like of shape (n_l1_ratios,) or None, default="warn"
        0 alone: no other penalty is there. With None, which "warn" stands for, some attributes have
        no axis for it; see below. Without effect where ``penalty`` is given.
    fit_intercept : bool, default=True
    cv : int, splitter, iterable of (train, test) or None, default=None
        Folds. A number or None, which is 5, asks for scikit-learn's ``StratifiedKFold``.
    dual : False, default=False
        True is of scikit-learn's "liblinear" alone, and an error.
    penalty : {"l2"}, default="deprecated"
        Deprecated in scikit-learn, and tolerated.
    scoring : str, callable or None, default="warn"
        Any of scikit-learn's names or a scorer of the form ``scorer(estimator, X, y)``, with
        ``sample_weight`` if it takes that; None, which "warn" stands for, for the accuracy.
    solver : {"lbfgs", "newton-cg", "newton-cholesky", "sag", "saga"}, default="lbfgs"
        Without effect. "liblinear" penalises the intercept, and is an error.
    tol : float in [0, inf), default=1e-4
        Relative error of the coefficients at which to stop, as in :class:`LogisticRegression`.
    max_iter : int in [0, inf), default=100
        Iterations for each fit at most.
    class_weight : dict {label: weight}, "balanced" or None, default=None
        "balanced" is by the weights of all rows, for each fold too.
    n_jobs : int or None, default=None
        Threads, as in :class:`SoftmaxClassifier`; coefficients are the same at any value.
    verbose : int in [0, inf) or bool, default=0
        Above 0: a line on stderr for each fold and C.
    refit : bool, default=True
        False leaves out the fit to all rows. Each fold then has its own best C, and ``coef_``,
        ``intercept_`` and ``C_`` are the means over the folds; of a class that some folds have no
        row of, over the others.
    intercept_scaling : float in (0, inf), default=1.0
        Without effect, as with each solver of scikit-learn but "liblinear".
    random_state : int, RandomState instance or None, default=None
        For the rows that the curvature is seen from; None is 0. Folds are shuffled by ``cv`` alone.
    use_legacy_attributes : bool, default="warn"
        Which of their two forms attributes have, see below. "warn" stands for True.

    Attributes
    ----------
    C_ : float, or ndarray of shape (n_classes,) with legacy attributes
        The one chosen; the legacy array repeats it, and has one value for two classes.
    Cs_ : float64 ndarray of shape (n_cs,)
        Those tried.
    l1_ratio_ : float, or ndarray of the shape of ``C_``
        0, or in the legacy array None for ``l1_ratios`` None.
    l1_ratios_ : ndarray of shape (n_l1_ratios,)
        Those given; None alone for None.
    scores_ : float64 ndarray of shape (n_folds, n_l1_ratios, n_cs)
        On the rows that a fold holds out. Legacy: a dict of arrays (n_folds, n_cs, n_l1_ratios),
        or (n_folds, n_cs) for ``l1_ratios`` None, the same for each class, of two classes for the
        second alone.
    coefs_paths_ : float64 ndarray of shape (n_folds, n_l1_ratios, n_cs, n_rows, n_dof)
        The minima of each fold: n_rows is n_classes, or 1 for two; n_dof is n_features and 1 more
        for the intercept. Legacy: a dict of arrays (n_folds, n_cs, n_l1_ratios, n_dof), or
        (n_folds, n_cs, n_dof), with the keys of ``scores_``.
    n_iter_ : int32 ndarray of shape (n_folds, n_l1_ratios, n_cs)
        Evaluations of the objective over a fold's rows. Legacy: (1, n_folds, n_cs, n_l1_ratios) or
        (1, n_folds, n_cs).
    coef_ : float64 ndarray of shape (n_classes, n_features), or (1, n_features) for two classes
    intercept_ : float64 ndarray of shape (n_classes,), or (1,) for two classes
    classes_ : ndarray of shape (n_classes,)
    converged_ : bool
        Whether the fit to all rows came to ``tol``; without ``refit``, whether those did that
        ``coef_`` is the mean of.
    suboptimality_ : float
        Of the fit to all rows, as in :class:`LogisticRegression`; only with ``refit``.
    suboptimality_bound_ : float
        A bound of it; only with ``refit``.
    loss_curve_ : float64 ndarray
        Of the fit to all rows; empty without ``refit``.
    history_ : dict of ndarrays
        The same.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Only if X had string column names.

    Warns
    -----
    ConvergenceWarning
        Once, if ``max_iter`` ended any of the fits: how many, and by how much.

    Notes
    -----
    A class that a fold has no row to train on of stays a class there, of probability 0: its row of
    ``coefs_paths_`` is 0 with an intercept of -1e6. Metrics that take ``labels`` are told of all
    classes. Ctrl-C leaves the estimator as it was.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from fastsoftmax import LogisticRegressionCV
    >>> X, y = load_iris(return_X_y=True)
    >>> classifier = LogisticRegressionCV(scoring="neg_log_loss", use_legacy_attributes=False)
    >>> classifier.fit(X, y).scores_.shape
    (5, 1, 10)
    """

    # A router says what score takes.
    __metadata_request__score: ClassVar = {"sample_weight": UNUSED}

    _parameter_constraints: ClassVar = {
        "Cs": [Interval(Integral, 1, None, closed="left"), "array-like"],
        "l1_ratios": ["array-like", None, Hidden(StrOptions({"warn"}))],
        "cv": ["cv_object"],
        "penalty": [StrOptions({"l1", "l2", "elasticnet"}), Hidden(StrOptions({"deprecated"}))],
        "scoring": [StrOptions({*get_scorer_names(), "warn"}), callable, None],
        "refit": ["boolean"],
        "use_legacy_attributes": ["boolean", Hidden(StrOptions({"warn"}))],
        **{
            name: LogisticRegression._parameter_constraints[name]
            for name in (*SHARED, "class_weight", "verbose")
        },
    }

    def __init__(
        self,
        *,
        Cs=10,
        l1_ratios="warn",
        fit_intercept=True,
        cv=None,
        dual=False,
        penalty="deprecated",
        scoring="warn",
        solver="lbfgs",
        tol=1e-4,
        max_iter=100,
        class_weight=None,
        n_jobs=None,
        verbose=0,
        refit=True,
        intercept_scaling=1.0,
        random_state=None,
        use_legacy_attributes="warn",
    ):
        self.Cs = Cs
        self.l1_ratios = l1_ratios
        self.fit_intercept = fit_intercept
        self.cv = cv
        self.dual = dual
        self.penalty = penalty
        self.scoring = scoring
        self.solver = solver
        self.tol = tol
        self.max_iter = max_iter
        self.class_weight = class_weight
        self.n_jobs = n_jobs
        self.verbose = verbose
        self.refit = refit
        self.intercept_scaling = intercept_scaling
        self.random_state = random_state
        self.use_legacy_attributes = use_legacy_attributes

    def fit(self, X, y, sample_weight=None, **params):
        """Choose C by cross-validation, and fit to all rows with it.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Finite numbers. Read where it lies, as by :class:`SoftmaxClassifier`.
        y : array-like of shape (n_samples,)
            Labels of any type that sorts, of at least two classes.
        sample_weight : array-like of shape (n_samples,), float or None, default=None
            Not negative, not all 0. For training, and for scorers that take it.
        **params : dict
            What the splitter and the scorer ask for, with metadata routing switched on.

        Returns
        -------
        self : LogisticRegressionCV

        Raises
        ------
        ValueError
            If a parameter or an argument is out of its range or asks for what isn't there, if a
            fold trains on or holds out no row of weight above 0, or if ``scoring`` fails on the
            rows held out, or gives NaN. The estimator is then as it was.
        """
        _raise_for_params(params, self, "fit")
        check_each_parameter(self)
        model = LogisticRegression(
            penalty=self.penalty, **{name: getattr(self, name) for name in SHARED}
        )
        model._check_parameters()
        l1_ratios, Cs = self._l1_ratios(), _given_strengths(self.Cs)
        splits, scored = self._routed(sample_weight, params)
        scoring = Scoring.of(model, None if self.scoring == "warn" else self.scoring)
        with unchanged_on_failure(self):
            data = check_data(self, X, y, sample_weight, dtype="float64", n_jobs=self.n_jobs)
            for name in ("n_features_in_", "feature_names_in_"):  # scorers are shown such a model
                if hasattr(self, name):
                    setattr(model, name, getattr(self, name))
            model.class_weight = _weights_of_classes(self.class_weight, data)
            folds = folds_of(data, self.cv, (X, y), splits, True, scored)
            minima = self._minima_of(folds, model, scoring, Cs)
            scores = np.array([[minimum.score for minimum in fold] for fold in minima])
            missed = [m.suboptimality for fold in minima for m in fold if not m.converged]
            if self.refit:
                best = np.full(len(folds), np.argmax(scores.sum(axis=0)))
                model.C = float(Cs[best[0]])
                missed += self._fit_all(model, data)
            else:
                best = np.argmax(scores, axis=1)
                self._take_means(data, [fold[i] for fold, i in zip(minima, best, strict=True)])
            self._set_attributes(minima, scores, Cs, float(np.mean(Cs[best])), l1_ratios)
        if missed:
            warnings.warn(
                f"lbfgs failed to converge in {len(missed)} of {scores.size + self.refit} fits, "
                f"whose coefficients are not yet within a relative error of tol={self.tol:g} after "
                f"max_iter={self.max_iter} iterations; raise max_iter, leave out the largest Cs, "
                "or scale the features. The objective is an estimated "
                f"{max(missed):.2g} above its minimum at most",
                ConvergenceWarning,
                stacklevel=2,
            )
        return self

    def score(self, X, y=None, sample_weight=None, **score_params):
        """Score by ``scoring``, the accuracy for None.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features), or a sources.Source
            A source is scored by the accuracy alone.
        y : array-like of shape (n_samples,)
            None with a source.
        sample_weight : array-like of shape (n_samples,) or None, default=None
            For scorers that take it.
        **score_params : dict
            What else the scorer asks for, with metadata routing switched on.

        Returns
        -------
        score : float
        """
        if isinstance(X, Source):
            if self.scoring not in (None, "warn", "accuracy"):
                raise ValueError(
                    f"a source is scored by the accuracy alone; got scoring={self.scoring!r}, for "
                    "which use the scorer on rows in memory"
                )
            return super().score(X, y, sample_weight)
        _raise_for_params(score_params, self, "score")
        scorer = self._get_scorer()
        if sample_weight is not None and (_routing_enabled() or takes_weight(scorer)):
            score_params["sample_weight"] = sample_weight
        if _routing_enabled():
            score_params = process_routing(self, "score", **score_params).scorer.score
        return scorer(self, X, y, **score_params)

    def get_metadata_routing(self):
        """What metadata goes to the splitter and to the scorer.

        Returns
        -------
        routing : MetadataRouter
        """
        to_split = MethodMapping().add(caller="fit", callee="split")
        to_score = MethodMapping().add(caller="fit", callee="score")
        to_score.add(caller="score", callee="score")
        router = MetadataRouter(owner=self).add_self_request(self)
        router.add(splitter=self.cv, method_mapping=to_split)
        return router.add(scorer=self._get_scorer(), method_mapping=to_score)

    # --- The fit ----------------------------------------------------------------------------------

    def _get_scorer(self):
        """The scorer of fitted estimators."""
        return get_scorer("accuracy" if self.scoring in (None, "warn") else self.scoring)

    def _routed(self, sample_weight, params):
        """What the splitter is given, and what the scorers; None is ``sample_weight`` alone."""
        if not _routing_enabled():
            return {}, None
        routed = process_routing(self, "fit", sample_weight=sample_weight, **params)
        return routed.splitter.split, routed.scorer.score

    def _l1_ratios(self):
        """Those tried, and None where there is no axis for them."""
        if self.l1_ratios is None or isinstance(self.l1_ratios, str):
            return None
        ratios = check_array(self.l1_ratios, ensure_2d=False, dtype=None, input_name="l1_ratios")
        if self.penalty == "deprecated" and (ratios.ndim != 1 or np.any(ratios != 0)):
            raise ValueError(
                "l1_ratios must hold 0 alone, as only the L2 penalty is there; got "
                f"{self.l1_ratios!r}"
            )
        return ratios

    def _minima_of(self, data, model, scoring, Cs):
        """The FoldMinimum of each fold for each C."""
        models = [copy(model) for _ in data]
        folds = [
            Fold(of_fold, replace(own._settings(of_fold, None), scoring=scoring))
            for of_fold, own in zip(data, models, strict=True)
        ]

        def minima(fold):
            k = folds.index(fold)
            return self._minima(fold, f"fold {k + 1}/{len(folds)}", models[k], Cs)

        with beside_each_other(folds, data[0].n_threads) as of_each:
            return of_each(minima)

    def _minima(self, fold, name, model, Cs):
        """The FoldMinimum for each C, found from the strongest penalty on."""
        minima = [None] * len(Cs)
        for i in np.argsort(Cs, kind="stable"):
            model.C = float(Cs[i])
            alpha = 1 / (model.C * fold.weight_sum)
            minima[i] = fold.minimum(alpha, model._tolerance(self.tol))
            if self.verbose:
                text = f"{name}  C {model.C:.3g}  score {minima[i].score:.5f}"
                print(text, file=sys.stderr)
        return minima

    def _fit_all(self, model, data):
        """Fit to all rows; the suboptimality if the minimum is missed.

        From 0, and not from the mean of the folds: so it is LogisticRegression's fit, to the bit,
        and depends on weights as that does.
        """
        fitted = model._finished(fit(data, model._settings(data, None), Memory()))
        raise_if_interrupted(fitted)
        set_fitted(self, data.classes, fitted)
        outcome = fitted.outcome
        return [] if outcome is None or outcome.converged else [outcome.suboptimality]

    def _take_means(self, data, minima):
        """Be the mean of these minima, one a fold."""
        mean = Mean.of(minima)
        coef, intercept = mean.parameters()
        if len(coef) > 1:
            coef, intercept = centred(coef, intercept)
        intercept[~mean.is_learned] = minima[0].intercept[~mean.is_learned]
        self.classes_, self.coef_, self.intercept_ = data.classes, coef, intercept
        self.history_ = columns_of(())
        self.loss_curve_ = self.history_["objective"]
        self.converged_ = all(minimum.converged for minimum in minima)
        for name in ("suboptimality_", "suboptimality_bound_"):
            vars(self).pop(name, None)

    def _set_attributes(self, minima, scores, Cs, C, l1_ratios):
        """What is known of the choice, in either of the forms that scikit-learn has for it."""
        given = [None] if l1_ratios is None else l1_ratios
        n_l1 = len(given)

        def paths(minimum):
            parameters = [minimum.coef]
            if self.fit_intercept:
                parameters.append(minimum.intercept[:, None])
            return np.hstack(parameters)

        # Of shapes (n_folds, n_l1_ratios, n_cs, ...).
        coefs = np.array([[paths(minimum) for minimum in fold] for fold in minima])
        coefs = np.repeat(coefs[:, None], n_l1, axis=1)
        n_iter = np.array([[m.n_iter for m in fold] for fold in minima], dtype=np.int32)
        n_iter = np.repeat(n_iter[:, None], n_l1, axis=1)
        scores = np.repeat(scores[:, None], n_l1, axis=1)
        self.Cs_, self.l1_ratios_ = Cs, np.asarray(given)
        if not self.use_legacy_attributes:
            self.C_, self.l1_ratio_ = C, 0.0
            self.coefs_paths_, self.scores_, self.n_iter_ = coefs, scores, n_iter
            return
        # (n_rows, n_folds, n_cs, n_l1_ratios, n_dof), and the others likewise.
        coefs = np.moveaxis(coefs, (3, 1), (0, 3))
        scores, n_iter = np.moveaxis(scores, 1, 2), np.moveaxis(n_iter, 1, 2)[None]
        if l1_ratios is None:
            coefs, scores, n_iter = coefs[..., 0, :], scores[..., 0], n_iter[..., 0]
        labels = self.classes_[1:] if len(coefs) == 1 else self.classes_
        ratio = given[0] if self.refit else 0.0
        self.C_, self.l1_ratio_ = np.full(len(coefs), C), np.array([ratio] * len(coefs))
        self.coefs_paths_ = {label: path.copy() for label, path in zip(labels, coefs, strict=True)}
        self.scores_ = {label: scores.copy() for label in labels}
        self.n_iter_ = n_iter

    def _inverse_strength(self):
        """The penalty chosen, as scikit-learn's LogisticRegression takes it."""
        return float(np.ravel(self.C_)[0])


def _given_strengths(Cs):
    """The Cs to try, in the order given."""
    if isinstance(Cs, Integral):
        return np.logspace(-4, 4, Cs)
    Cs = check_array(
        Cs, ensure_2d=False, dtype=np.float64, ensure_all_finite=False, input_name="Cs"
    )
    if Cs.ndim != 1 or not (Cs > 0).all():
        raise ValueError(f"Cs must be one-dimensional and above 0; got {Cs.tolist()}")
    return Cs


def _weights_of_classes(class_weight, data):
    """``class_weight`` with "balanced" replaced by what it is for all rows."""
    if not isinstance(class_weight, str):
        return class_weight
    total = np.bincount(data.codes, data.sample_weight, minlength=len(data.classes))
    weight = check_class_weight(class_weight, data.classes, total)
    return dict(zip(data.classes.tolist(), weight.tolist(), strict=True))

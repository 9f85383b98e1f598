"""The predicting half of the estimator: from X and fitted coefficients to scores and labels.

No training, and no arithmetic but the logarithms that no kernel has. X is checked, never copied
where the kernels read its dtype. A call costs a few microseconds plus the arithmetic where X is
an ndarray that needs none of scikit-learn's checks. Inherited by SoftmaxClassifier.
"""

from functools import wraps

import numpy as np
from sklearn.metrics import accuracy_score
from sklearn.utils.validation import check_is_fitted, validate_data

from .. import kernels
from ..kernels.threads import effective_n_threads
from ..problem.labels import are_plain
from ..problem.rows import (
    check_finite,
    dtypes_read,
    is_plain,
    kernel_for,
    rows_of,
    well_behaved,
)
from ..problem.scan import Rows
from ..problem.validation_source import check_belongs_to_source
from ..sources.base import Source
from .coefficients import kernel_model
from .overflow import predict_overflown

__all__ = ["LinearPrediction"]

#: What each kernel calls the array that it writes to.
RESULTS = {
    "decision_function": "raw_prediction_out",
    "predict": "code_out",
    "predict_proba": "probability_out",
}


def _by_blocks(predict):
    """The same method, which of a source gives what it gives of each block, one after another."""

    @wraps(predict)
    def predict_all(self, X):
        if not isinstance(X, Source):
            return predict(self, X)
        check_is_fitted(self)
        return np.concatenate([predict(self, block.X) for block in X.blocks()])

    return predict_all


class LinearPrediction:
    """decision_function, predict, predict_proba and predict_log_proba from ``coef_``.

    The class that inherits it has ``coef_``, ``intercept_``, ``classes_``, ``n_jobs`` and maybe
    ``multi_class``. The computation is in the dtype of ``coef_`` whatever that of X, unless the
    class says otherwise.

    All four raise ValueError if X holds a value that is not finite in that dtype, or has another
    number of features than the fit had, and NotFittedError before a fit.
    """

    #: Whether rows of float64, and what is converted, are computed with in float64 by a float32
    #: ``coef_`` too.
    _predicts_wide_rows_in_float64 = False

    @_by_blocks
    def decision_function(self, X):
        """Raw predictions, ``X @ coef_.T + intercept_``.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features), or a sources.Source

        Returns
        -------
        raw_prediction : ndarray of shape (n_samples, n_classes), or (n_samples,) for two classes
            With two classes, above 0 means ``classes_[1]``.
        """
        raw_prediction = self._raw_prediction(X)
        return raw_prediction[:, 0] if raw_prediction.shape[1] == 1 else raw_prediction

    @_by_blocks
    def predict(self, X):
        """Label of the largest raw prediction; no matrix of probabilities is formed.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features), or a sources.Source

        Returns
        -------
        labels : ndarray of shape (n_samples,)
        """
        X, coef, intercept = self._checked(X)
        codes = np.empty(len(X), dtype=np.intp)
        self._compute("predict", X, coef, intercept, codes)
        return self.classes_[codes]

    @_by_blocks
    def predict_proba(self, X):
        """Probability of each class.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features), or a sources.Source

        Returns
        -------
        probability : ndarray of shape (n_samples, n_classes)
            In [0, 1], rows summing to 1. Softmax of the raw predictions; with
            ``multi_class="ovr"`` the sigmoids of the raw predictions divided by their sum.
        """
        X, coef, intercept = self._checked(X)
        probability = np.empty((len(X), len(self.classes_)), dtype=coef.dtype)
        self._compute("predict_proba", X, coef, intercept, probability, loss=self._loss())
        return probability

    @_by_blocks
    def predict_log_proba(self, X):
        """Logarithm of the probability of each class, finite where the probability rounds to 0.

        Computed from the raw predictions and not from the probabilities: log σ(r) is
        −log(1 + exp(−r)), and for "ovr" the sum of the sigmoids is taken as a log-sum-exp of those.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features), or a sources.Source

        Returns
        -------
        log_probability : ndarray of shape (n_samples, n_classes)
        """
        raw_prediction = self._raw_prediction(X)
        if raw_prediction.shape[1] == 1:
            return -np.logaddexp(0, np.hstack([raw_prediction, -raw_prediction]))
        if self._loss() == "logistic":
            raw_prediction = -np.logaddexp(0, -raw_prediction)
        n_threads = effective_n_threads(self.n_jobs)
        kernels.implementation.log_softmax(raw_prediction, raw_prediction, n_threads)
        return raw_prediction

    def score(self, X, y=None, sample_weight=None):
        """Share of the rows whose label is predicted.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features), or a sources.Source
        y : array-like of shape (n_samples,)
            None with a source, which has its own, as it has its own weights.
        sample_weight : array-like of shape (n_samples,) or None, default=None

        Returns
        -------
        accuracy : float
        """
        if isinstance(X, Source):
            return self._score_source(X, y, sample_weight)
        labels = self.predict(X)
        if sample_weight is None and are_plain(y, len(labels)) and _are_alike(y, labels):
            return float(np.mean(labels == y))  # in a twentieth of accuracy_score's time
        return accuracy_score(y, labels, sample_weight=sample_weight)

    def _score_source(self, source, y, sample_weight):
        """The same of a source."""
        check_belongs_to_source("X", y=y, sample_weight=sample_weight)
        correct = total = 0.0
        for block in source.blocks():
            rows = Rows.of(block, source)
            weight = np.ones(len(rows.y)) if rows.sample_weight is None else rows.sample_weight
            if weight.any():  # scikit-learn refuses zeros alone
                hit = accuracy_score(
                    rows.y, self.predict(block.X), sample_weight=weight, normalize=False
                )
                correct, total = correct + float(hit), total + float(weight.sum())
        if not total > 0:
            raise ValueError(f"{source.name} holds no rows of a weight above 0")
        return correct / total

    def _raw_prediction(self, X):
        """Raw predictions, one column a row of coef_."""
        X, coef, intercept = self._checked(X)
        raw_prediction = np.empty((len(X), len(coef)), dtype=coef.dtype)
        self._compute("decision_function", X, coef, intercept, raw_prediction)
        return raw_prediction

    def _compute(self, kernel, X, coef, intercept, out, **loss):
        """Run a kernel over checked X; an error where it finds that X isn't finite."""
        n_threads = effective_n_threads(self.n_jobs)
        run, result = kernel_for(kernel, X), {RESULTS[kernel]: out}
        if run(coef=coef, intercept=intercept, n_threads=n_threads, **result, **loss):
            return
        # Either X isn't finite, or finite values overflowed: only now X is searched.
        check_finite(X, coef.dtype, n_threads)
        predict_overflown(kernel, X, coef, intercept, out, **loss)

    def _checked(self, X):
        """X as the kernels take it, maybe not finite, and the parameters likewise."""
        X = self._check_prediction_data(X)
        coef, intercept = kernel_model(self)
        if X.shape[1] != coef.shape[1]:
            raise ValueError(f"coef_ has {coef.shape[1]} features and X has {X.shape[1]}")
        if self._predicts_wide_rows_in_float64 and X.dtype == np.float64 != coef.dtype:
            coef, intercept = coef.astype(np.float64), intercept.astype(np.float64)
        return X, coef, intercept

    def _check_prediction_data(self, X):
        """X as the kernels take it, of the features that the fit had."""
        if self._needs_no_check(X):
            return X
        check_is_fitted(self)
        otherwise = getattr(self.coef_, "dtype", np.float64)
        if self._predicts_wide_rows_in_float64:
            otherwise = np.float64
        return rows_of(
            validate_data(
                self,
                well_behaved(X),
                reset=False,
                accept_sparse="csr",
                dtype=dtypes_read(X, otherwise),
                ensure_all_finite=False,
            )
        )

    def _needs_no_check(self, X):
        """Whether validate_data, which takes longer than to predict a row, would let X pass."""
        fitted = vars(self)
        return (
            is_plain(X)
            and X.shape[1] == fitted.get("n_features_in_")
            and "coef_" in fitted
            and "feature_names_in_" not in fitted  # then it warns
        )

    def _loss(self):
        """The kernels' name of the loss: that of two classes is logistic, whatever multi_class."""
        is_ovr = getattr(self, "multi_class", "softmax") == "ovr"
        return "logistic" if is_ovr or len(self.classes_) == 2 else "softmax"


def _are_alike(y, labels):
    """Whether both are text, or both are numbers."""
    return (y.dtype.kind == "U") == (labels.dtype.kind == "U") and labels.dtype.kind in "biuU"

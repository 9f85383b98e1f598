"""A fitted estimator as one of scikit-learn's own, which predicts the same without this package.

Nothing is trained here. Called by the estimators' ``to_sklearn``.
"""

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils.validation import check_is_fitted

__all__ = ["to_sklearn"]


def to_sklearn(estimator):
    """See ``Portable.to_sklearn``."""
    check_is_fitted(estimator)
    if estimator.coef_.shape[0] > 1 and getattr(estimator, "multi_class", "softmax") == "ovr":
        return _one_vs_rest(estimator)
    return _logistic_regression(
        estimator, estimator.coef_.copy(), estimator.intercept_.copy(), estimator.classes_.copy()
    )


def _logistic_regression(estimator, coef, intercept, classes):
    """A LogisticRegression with these parameters, and settings as near as it has them."""
    model = LogisticRegression(
        C=estimator._inverse_strength(),
        fit_intercept=estimator.fit_intercept,
        class_weight=estimator.class_weight,
        random_state=estimator.random_state,
    )
    model.coef_, model.intercept_, model.classes_ = coef, intercept, classes
    model.n_iter_ = np.array([len(estimator.loss_curve_)], dtype=np.int32)
    return _with_features(model, estimator)


def _one_vs_rest(estimator):
    """One LogisticRegression a class; class weights are left out, as they name no class there."""
    template = _logistic_regression(estimator, None, None, None).set_params(class_weight=None)
    model = OneVsRestClassifier(LogisticRegression(**template.get_params()))
    model.label_binarizer_ = LabelBinarizer(sparse_output=True).fit(estimator.classes_)
    model.classes_ = model.label_binarizer_.classes_
    model.estimators_ = []
    for k in range(len(estimator.classes_)):
        binary = _logistic_regression(
            estimator, estimator.coef_[[k]], estimator.intercept_[[k]], np.array([0, 1])
        )
        model.estimators_.append(binary.set_params(class_weight=None))
    return _with_features(model, estimator)


def _with_features(model, estimator):
    for name in ("n_features_in_", "feature_names_in_"):
        if hasattr(estimator, name):
            setattr(model, name, getattr(estimator, name))
    return model

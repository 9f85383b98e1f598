"""``to_sklearn``: the same predictions, and an objective that means the same."""

import numpy as np
import pandas as pd
import pytest
from digits import small_digits
from sgd import sgd_classifier
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier


@pytest.mark.parametrize("n_classes", [2, 3, 10])
@pytest.mark.parametrize("multi_class", ["softmax", "ovr"])
@pytest.mark.parametrize(
    "setting",
    [{}, {"standardize": True}, {"fit_intercept": False, "alpha": 0.0}, {"class_weight": {0: 2}}],
    ids=str,
)
def test_predictions_are_equal(n_classes, multi_class, setting):
    X, y = small_digits(n_classes=n_classes)
    ours = sgd_classifier(multi_class=multi_class, random_state=0, **setting).fit(X, y)
    theirs = ours.to_sklearn()
    is_one_vs_rest = multi_class == "ovr" and n_classes > 2
    assert type(theirs) is (OneVsRestClassifier if is_one_vs_rest else LogisticRegression)
    np.testing.assert_array_equal(theirs.predict(X), ours.predict(X))
    np.testing.assert_allclose(theirs.predict_proba(X), ours.predict_proba(X), rtol=1e-10)
    np.testing.assert_allclose(theirs.decision_function(X), ours.decision_function(X), atol=1e-10)
    np.testing.assert_array_equal(theirs.classes_, ours.classes_)
    assert theirs.n_features_in_ == 64


@pytest.mark.parametrize(  # OneVsRestClassifier.fit takes no weights without metadata routing
    ("multi_class", "weighted"), [("softmax", False), ("softmax", True), ("ovr", False)]
)
def test_its_optimum_is_ours(multi_class, weighted):
    X, y = small_digits(n_classes=3)
    weight = np.random.default_rng(0).exponential(size=len(X)) if weighted else None
    setting = {"alpha": 0.05, "batch_size": 10**6, "max_iter": 3000, "tol": None}
    ours = sgd_classifier(multi_class=multi_class, learning_rate=0.1, **setting)
    ours.set_params(class_weight={0: 2.0} if multi_class == "softmax" else None)
    theirs = ours.fit(X, y, weight).to_sklearn()
    before = theirs.predict_proba(X)
    keywords = {} if weight is None else {"sample_weight": weight}
    if multi_class == "ovr":
        theirs.set_params(estimator__tol=1e-8)
    else:
        theirs.set_params(tol=1e-8)
    np.testing.assert_allclose(theirs.fit(X, y, **keywords).predict_proba(X), before, atol=1e-5)


def test_names_labels_and_iterations():
    X, y = small_digits()
    X = pd.DataFrame(X, columns=[f"pixel {i}" for i in range(64)])
    for multi_class in ("softmax", "ovr"):
        ours = sgd_classifier(multi_class=multi_class, random_state=0).fit(X, y.astype(str))
        theirs = ours.to_sklearn()
        np.testing.assert_array_equal(theirs.predict(X), ours.predict(X))
        np.testing.assert_array_equal(theirs.feature_names_in_, X.columns)
    assert sgd_classifier(max_iter=3).fit(X, y).to_sklearn().n_iter_.tolist() == [3]


def test_no_array_is_shared():
    X, y = small_digits()
    ours = sgd_classifier(random_state=0).fit(X, y)
    before = ours.predict_proba(X)
    theirs = ours.to_sklearn()
    theirs.coef_[:], theirs.intercept_[:], theirs.classes_[:] = 0, 0, 0
    np.testing.assert_array_equal(ours.predict_proba(X), before)


def test_before_a_fit():
    with pytest.raises(NotFittedError):
        sgd_classifier().to_sklearn()

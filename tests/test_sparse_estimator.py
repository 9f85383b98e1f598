"""SoftmaxClassifier on scipy's sparse matrices: the same as on dense ones, which it never makes.

The kernels' arithmetic is tested in test_sparse.py.
"""

import tracemalloc

import numpy as np
import pytest
from scipy import sparse
from sgd import sgd_classifier
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils.estimator_checks import (
    check_estimator_sparse_array,
    check_estimator_sparse_matrix,
)

FORMATS = {
    "csr_array": sparse.csr_array,
    "csr_matrix": sparse.csr_matrix,
    "csc_array": sparse.csc_array,
    "coo_matrix": sparse.coo_matrix,
}


def problem(dtype=np.float64, n_classes=3, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(300, 40)) * (rng.uniform(size=(300, 40)) < 0.15)
    y = (X[:, :n_classes] + 0.3 * rng.normal(size=(300, n_classes))).argmax(axis=1)
    return X.astype(dtype), np.array(["a", "b", "c", "d"])[y]


def wide_indices(X):
    X.indices, X.indptr = X.indices.astype(np.int64), X.indptr.astype(np.int64)
    return X


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("solver", ["sgd", "adagrad"])
@pytest.mark.parametrize("form", FORMATS)
def test_fit_is_that_of_the_dense_matrix(build, form, solver, n_classes):
    X, y = problem(n_classes=n_classes)
    weight = np.random.default_rng(1).integers(0, 3, 300)
    classifier = sgd_classifier(
        solver=solver, learning_rate=0.1, max_iter=3, batch_size=16, alpha=1e-2, random_state=0
    )
    dense = clone(classifier).fit(X, y, sample_weight=weight)
    held = FORMATS[form](X)
    classifier.fit(held, y, sample_weight=weight)
    np.testing.assert_allclose(classifier.coef_, dense.coef_, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(classifier.intercept_, dense.intercept_, rtol=1e-9)
    np.testing.assert_allclose(classifier.loss_curve_, dense.loss_curve_, rtol=1e-9)
    for name in ("decision_function", "predict_proba", "predict_log_proba"):
        expected = getattr(dense, name)(X)
        np.testing.assert_allclose(getattr(classifier, name)(held), expected, rtol=1e-8, atol=1e-9)
    np.testing.assert_array_equal(classifier.predict(held), dense.predict(X))


@pytest.mark.parametrize("multi_class", ["softmax", "ovr"])
def test_partial_fit_and_wide_indices(build, multi_class):
    X, y = problem(np.float32)
    dense = sgd_classifier(multi_class=multi_class, random_state=0, dtype="float64")
    classifier = clone(dense)
    for _ in range(3):
        dense.partial_fit(X, y, classes=np.unique(y))
        classifier.partial_fit(wide_indices(sparse.csr_array(X)), y, classes=np.unique(y))
    np.testing.assert_allclose(classifier.coef_, dense.coef_, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.alone
def test_x_is_read_where_it_lies(dtype):
    # 100 values a row: what is kept of a row (its label, code and place) is little beside them.
    indices = (np.arange(20000)[:, None] + 50 * np.arange(100)).astype(np.int32) % 5000
    indptr = np.arange(0, 2_000_001, 100, dtype=np.int32)
    X = sparse.csr_array((np.ones(2_000_000, dtype), indices.ravel(), indptr), shape=(20000, 5000))
    y = np.arange(20000) % 2
    for array in (X.data, X.indices, X.indptr):
        array.flags.writeable = False
    classifier = sgd_classifier(max_iter=2, n_jobs=1)
    classifier.fit(X[:100], y[:100])
    tracemalloc.start()
    classifier.fit(X, y).predict(X)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert classifier.coef_.dtype == dtype
    assert peak < X.data.nbytes / 2


def test_standardize_scales_and_reaches_the_same_minimum(build):
    X, y = problem()
    X[:, 3] *= 50
    dense = sgd_classifier(
        standardize=True, alpha=0.05, learning_rate=0.2, batch_size=300, max_iter=400, tol=None
    )
    held = clone(dense).fit(sparse.csr_array(X), y)
    dense.fit(X, y)
    np.testing.assert_allclose(held.scale_, dense.scale_, rtol=1e-12)
    np.testing.assert_allclose(held.mean_, dense.mean_, rtol=1e-10, atol=1e-14)
    np.testing.assert_allclose(held.coef_, dense.coef_, rtol=1e-4, atol=1e-8)
    np.testing.assert_allclose(held.intercept_, dense.intercept_, rtol=1e-4, atol=1e-6)


def test_bad_values_are_found_and_placed():
    X, y = problem()
    for value, message in ((np.nan, "NaN in row 7, feature 5"), (np.inf, "infinity in row 7, f")):
        X_bad = X.copy()
        X_bad[7, 5] = value
        held = sparse.csr_array(X_bad)
        with pytest.raises(ValueError, match=message):
            sgd_classifier().fit(held, y)
        with pytest.raises(ValueError, match=message):
            sgd_classifier().fit(X, y).predict(held)
    X[7, 5] = 1e200
    held = sparse.csr_array(X)
    with pytest.raises(ValueError, match="1e\\+200 in row 7, feature 5, a value too large"):
        sgd_classifier(dtype="float32").fit(held, y)


@pytest.mark.parametrize("part", ["indices", "indptr"])
def test_a_damaged_matrix_is_refused(part):
    X, y = problem()
    held = sparse.csr_array(X)
    getattr(held, part)[3] = 10**6
    with pytest.raises(ValueError, match="X is a damaged CSR matrix"):
        sgd_classifier().fit(held, y)


def test_sparsify_and_densify():
    X, y = problem()
    classifier = sgd_classifier(random_state=0)
    with pytest.raises(NotFittedError):
        classifier.sparsify()
    dense = clone(classifier).fit(X, y)
    assert classifier.fit(X, y).sparsify() is classifier
    assert sparse.issparse(classifier.coef_)
    for name in ("predict", "predict_proba", "predict_log_proba", "decision_function"):
        for held in (X, sparse.csr_array(X)):
            expected = getattr(dense, name)(held)
            np.testing.assert_array_equal(getattr(classifier, name)(held), expected)
    with pytest.raises(ValueError, match="call densify"):
        classifier.partial_fit(X, y)
    assert classifier.densify() is classifier
    np.testing.assert_array_equal(classifier.coef_, dense.coef_)
    classifier.partial_fit(X, y)


@pytest.mark.parametrize("check", [check_estimator_sparse_array, check_estimator_sparse_matrix])
def test_scikit_learn_s_checks_of_sparse_input(check):
    check("SoftmaxClassifier", sgd_classifier())

"""Rows of sparse X that store a feature several times: scipy means the sum by it.

Whatever squares, counts or compares stored values must see that sum: against the dense matrix.
"""

import numpy as np
import pytest
from scipy import sparse

from fastsoftmax import LogisticRegression, SoftmaxClassifier, SoftmaxClassifierCV, kernels
from fastsoftmax.kernels import reference
from fastsoftmax.problem.rows import SparseRows

KINDS = [
    (np.float32, np.int32),
    (np.float64, np.int32),
    (np.float64, np.int64),
]


def repeating(seed, dtype=np.float64, index=np.int32, n_samples=90, n_features=12):
    """A matrix with repeats, zeros, columns in any order, and empty rows; all sums are exact."""
    rng = np.random.default_rng(seed)
    counts = rng.integers(0, 15, n_samples)
    counts[::13] = 0
    X = sparse.csr_array((n_samples, n_features), dtype=dtype)
    X.indptr = np.concatenate([[0], np.cumsum(counts)]).astype(index)
    X.indices = rng.integers(0, n_features, counts.sum()).astype(index)
    X.data = (rng.integers(-8, 9, counts.sum()) / 4).astype(dtype)
    X.data[:4] = [8, -8, 0, 0]
    y = (X.toarray()[:, :3] + rng.normal(size=(n_samples, 3))).argmax(axis=1)
    return X, y


def arrays_of(X):
    return [array.copy() for array in (X.data, X.indices, X.indptr)]


def assert_unchanged(X, before):
    for array, expected in zip((X.data, X.indices, X.indptr), before, strict=True):
        assert array.dtype == expected.dtype
        np.testing.assert_array_equal(array, expected)


ESTIMATORS = [
    SoftmaxClassifier(random_state=0, alpha=0.05),
    SoftmaxClassifier(random_state=0, alpha=0.05, standardize=True),
    SoftmaxClassifier(random_state=0, alpha=0.05, solver="lbfgs", multi_class="ovr"),
    SoftmaxClassifier(random_state=0, solver="sgd", learning_rate=0.01, max_iter=3),
    SoftmaxClassifier(random_state=0, solver="sgd", max_iter=3),  # the rate is from squared norms
    SoftmaxClassifier(random_state=0, solver="adagrad", max_iter=3),
    LogisticRegression(C=0.1),
]


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=str)
@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_a_fit_is_that_of_the_matrix_that_is_meant(estimator, kind):
    for seed in range(3):
        X, y = repeating(seed, *kind)
        before = arrays_of(X)
        meant = X.copy()
        meant.sum_duplicates()
        assert meant.nnz < X.nnz
        expected = estimator.fit(meant, y)
        coef, intercept = expected.coef_.copy(), expected.intercept_.copy()
        estimator.fit(X, y)
        np.testing.assert_array_equal(estimator.coef_, coef)
        np.testing.assert_array_equal(estimator.intercept_, intercept)
        tolerance = 1e-4 if kind[0] == np.float32 else 1e-9
        for method in ("decision_function", "predict_proba"):
            np.testing.assert_allclose(
                getattr(estimator, method)(X),
                getattr(estimator, method)(X.toarray()),
                rtol=tolerance,
                atol=tolerance,
            )
        np.testing.assert_array_equal(estimator.predict(X), estimator.predict(X.toarray()))
        assert_unchanged(X, before)


@pytest.mark.parametrize("solver", ["auto", "sgd", "adagrad"])
def test_the_spread_of_columns_is_that_of_the_dense_matrix(build, solver):
    X, y = repeating(3)
    classifier = SoftmaxClassifier(standardize=True, solver=solver, random_state=0)
    scale = classifier.fit(X, y).scale_
    np.testing.assert_allclose(scale, X.toarray().std(axis=0), rtol=1e-12)


def test_partial_fit():
    X, y = repeating(4)
    before = arrays_of(X)
    one, other = (SoftmaxClassifier(standardize=True, random_state=0) for _ in range(2))
    meant = X.copy()
    meant.sum_duplicates()
    for _ in range(2):
        one.partial_fit(X, y, classes=[0, 1, 2])
        other.partial_fit(meant, y, classes=[0, 1, 2])
    np.testing.assert_array_equal(one.coef_, other.coef_)
    np.testing.assert_allclose(one.scale_, X.toarray().std(axis=0), rtol=1e-12)
    assert_unchanged(X, before)


def test_the_grid_of_penalties_and_what_is_chosen():
    X, y = repeating(5)
    before = arrays_of(X)
    one, other = (
        SoftmaxClassifierCV(alphas=3, cv=3, random_state=0, standardize=True).fit(rows, y)
        for rows in (X, X.toarray())
    )
    np.testing.assert_allclose(one.alphas_, other.alphas_, rtol=1e-6)
    assert one.alpha_ == pytest.approx(other.alpha_, rel=1e-6)
    np.testing.assert_allclose(one.scores_, other.scores_, rtol=1e-3)
    assert_unchanged(X, before)


def test_validation_rows():
    X, y = repeating(6)
    X_val, y_val = repeating(7)
    before = arrays_of(X_val)
    scores = [
        SoftmaxClassifier(random_state=0).fit(X, y, X_val=rows, y_val=y_val).validation_scores_
        for rows in (X_val, X_val.toarray())
    ]
    np.testing.assert_allclose(scores[0], scores[1], rtol=1e-9)
    assert_unchanged(X_val, before)


@pytest.mark.parametrize("index", [np.int32, np.int64])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_column_statistics_of_repeats(build, dtype, index):
    X, _ = repeating(8, dtype, index)
    rng = np.random.default_rng(8)
    for weight in (None, rng.integers(0, 3, X.shape[0]).astype(float)):
        mean, squares, expected_mean, expected_squares = np.full((4, X.shape[1]), np.nan)
        total = kernels.implementation.sparse_column_statistics(
            X.data, X.indices, X.indptr, weight, mean, squares, 1
        )
        assert total == reference.column_statistics(
            X.toarray(), weight, expected_mean, expected_squares, 1
        )
        np.testing.assert_allclose(mean, expected_mean, rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(squares, expected_squares, rtol=1e-12)


def test_values_that_cancel_leave_no_trace():
    # Each alone is beyond float32; what is meant is not.
    X = sparse.csr_array((4, 2))
    X.data = np.array([1e300, -1e300, 1.0, 2.0, -1.0])
    X.indices = np.array([0, 0, 1, 1, 0], np.int32)
    X.indptr = np.array([0, 2, 3, 4, 5], np.int32)
    y = [0, 1, 0, 1]
    for dtype in ("float32", "float64"):
        classifier = SoftmaxClassifier(standardize=True, dtype=dtype, random_state=0)
        scale = classifier.fit(X, y).scale_
        np.testing.assert_allclose(scale, X.toarray().std(axis=0), rtol=1e-6)


def test_values_whose_sum_is_beyond_the_largest_float_are_refused():
    X = sparse.csr_array((3, 2))
    X.data = np.array([1.0, 1.5e308, 1.5e308, 2.0])
    X.indices = np.array([0, 1, 1, 1], np.int32)
    X.indptr = np.array([0, 1, 3, 4], np.int32)
    with pytest.raises(ValueError, match="X contains infinity in row 1, feature 1"):
        SoftmaxClassifier().fit(X, [0, 1, 0])
    classifier = SoftmaxClassifier(random_state=0).fit(X[[0, 2, 2]], [0, 1, 0])
    classifier.coef_ *= 100
    with pytest.raises(ValueError, match="X contains infinity in row 1, feature 1"):
        classifier.predict(X)


def test_rows_in_any_order_without_repeats_are_read_where_they_lie():
    X = sparse.csr_array((2, 5))
    X.data = np.arange(4.0)
    X.indices, X.indptr = np.array([3, 1, 4, 0], np.int32), np.array([0, 2, 4], np.int32)
    rows = SparseRows.of(X)
    assert rows.may_repeat
    summed = rows.summed()
    assert not summed.may_repeat
    assert summed.data is rows.data
    assert summed.indices is rows.indices
    X.indices[1] = 3
    summed = SparseRows.of(X).summed()
    np.testing.assert_array_equal(summed.data, [1, 3, 2])
    np.testing.assert_array_equal(summed.indices, [3, 0, 4])

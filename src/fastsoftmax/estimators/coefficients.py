"""Coefficients that the user keeps sparse: ``sparsify`` and ``densify``, and what kernels take.

No arithmetic. Inherited by the estimators, called by prediction.py.
"""

import numpy as np
from scipy.sparse import csr_matrix, issparse
from sklearn.utils.validation import check_is_fitted

__all__ = ["SparseCoefficients", "dense_coef"]


def dense_coef(coef):
    """Coefficients as the kernels take them."""
    return np.ascontiguousarray(coef.toarray()) if issparse(coef) else coef


class SparseCoefficients:
    """``sparsify`` and ``densify``, as scikit-learn's linear models have them."""

    def sparsify(self):
        """Keep ``coef_`` as a scipy CSR matrix, which takes less memory where most of it is 0.

        Predictions make it dense for the length of a call. Before it is trained further by
        ``partial_fit`` or ``warm_start``, it has to be dense again: see :meth:`densify`.

        Returns
        -------
        self : estimator
        """
        check_is_fitted(self)
        self.coef_ = csr_matrix(self.coef_)
        return self

    def densify(self):
        """Make ``coef_`` an ndarray again.

        Returns
        -------
        self : estimator
        """
        check_is_fitted(self)
        self.coef_ = dense_coef(self.coef_)
        return self

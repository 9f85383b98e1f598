"""Sums over rows that say how large features are: means, squares, and the largest eigenvalue.

No optimiser and no units. Called by standardization.py, curvature.py and preconditioning.py.
"""

from dataclasses import dataclass

import numpy as np
from scipy.sparse import issparse

from .rows import kernel_for

__all__ = ["ColumnStatistics", "largest_eigenvalue", "squares", "weighted_squares"]

#: Power iterations: after 20 the largest eigenvalue is met within a few per cent even where the
#: second is 0.9 of it, and the learning rate needs no more.
POWER_ITERATIONS = 20

#: Rows that are squared at once, in float64.
SQUARED_ROWS = 256


@dataclass(frozen=True)
class ColumnStatistics:
    """Weighted mean of each column and weighted sum of squares about it, in float64.

    Parameters
    ----------
    weight_sum : float
        Σ s over the rows seen.
    mean, squares : float64 ndarrays of shape (n_features,)
        Σ s x / Σ s and Σ s (x − mean)².
    """

    weight_sum: float
    mean: np.ndarray
    squares: np.ndarray

    @classmethod
    def of(cls, X, sample_weight, n_threads):
        """Statistics of the columns of X, weighted by float64 ``sample_weight`` unless None."""
        mean, squares = np.empty(X.shape[1]), np.empty(X.shape[1])
        with np.errstate(over="ignore", invalid="ignore"):  # scale() finds it and names the column
            weight_sum = kernel_for("column_statistics", X)(
                sample_weight=sample_weight, mean_out=mean, squares_out=squares, n_threads=n_threads
            )
        return cls(weight_sum, mean, squares)

    def merged(self, other):
        """Statistics of the rows of both.

        References
        ----------
        Chan, Golub, LeVeque, "Updating formulae and a pairwise algorithm for computing sample
        variances", 1979.
        """
        if other.weight_sum == 0:
            return self
        weight_sum = self.weight_sum + other.weight_sum
        share = other.weight_sum / weight_sum
        with np.errstate(over="ignore", invalid="ignore"):
            delta = other.mean - self.mean
            squares = self.squares + other.squares + share * self.weight_sum * delta**2
            return ColumnStatistics(weight_sum, self.mean + share * delta, squares)

    def scale(self, ddof, dtype, n_rows):
        """Standard deviation of each column, and 1 for a column that is constant.

        Parameters
        ----------
        ddof : {0, 1}
            0: the population's, √(squares / Σs). 1: the sample's, √(squares / (Σs − 1)), where
            weights count repetitions.
        dtype : {float32, float64}
            Of the computation: a spread that it can't divide by counts as none.
        n_rows : int
            Rows seen, on which the rounding errors depend, whatever their weights.

        Raises
        ------
        ValueError
            If ``ddof=1`` and Σs ≤ 1, or if a column's spread overflows.

        Notes
        -----
        A constant column has a variance of rounding errors, at most n ε var + (n ε mean)²
        (Chan, Golub, LeVeque, "Algorithms for computing the sample variance", 1983, eq. 2.4); the
        same bound as in scikit-learn's ``StandardScaler``.
        """
        if self.weight_sum <= ddof:
            raise ValueError(
                "standardize='sample' divides by the sum of sample_weight less 1, so that sum "
                f"must be above 1; got {self.weight_sum:g}"
            )
        variance = self.squares / (self.weight_sum - ddof)
        too_wide = np.flatnonzero(~np.isfinite(variance))
        if too_wide.size:
            raise ValueError(
                f"the variance of feature {too_wide[0]} of X overflows float64; divide it by a "
                "power of 10 or use standardize=False"
            )
        epsilon = n_rows * np.finfo(np.float64).eps
        scale = np.sqrt(variance)
        constant = variance <= epsilon * variance + (epsilon * self.mean) ** 2
        constant |= scale < np.finfo(dtype).tiny
        return np.where(constant, 1.0, scale)


def largest_eigenvalue(values, weight=None):
    """Of Σ s x xᵀ / Σ s over rows x, by power iterations from the mean square of each feature.

    Parameters
    ----------
    values : ndarray or CSR array of shape (n, n_features)
    weight : float64 ndarray of shape (n,) or None for ones

    Returns
    -------
    float ≥ 0, infinite where it overflows
    """
    weight = np.ones(values.shape[0]) if weight is None else weight
    weight = (weight / weight.sum()).astype(values.dtype)
    with np.errstate(over="ignore", invalid="ignore"):
        vector = np.sqrt(weighted_squares(values, weight))
        size = np.linalg.norm(vector)
        for _ in range(POWER_ITERATIONS):
            if size == 0:
                return 0.0
            vector = (weight * (values @ (vector / size).astype(values.dtype))) @ values
            size = np.linalg.norm(vector)
    return float(size) if np.isfinite(size) else np.inf


def weighted_squares(values, weight, power=2):
    """Σ s x_j² for each feature, or of a higher power that is even; in float64."""
    moments = np.zeros(values.shape[1])
    for start in range(0, len(weight), SQUARED_ROWS):
        block = slice(start, start + SQUARED_ROWS)
        moments += weight[block] @ squares(values[block], power)
    return moments


def squares(values, power=2):
    """Each value squared, or to a higher even power, in float64; a matrix or a CSR array."""
    if issparse(values):
        return values.astype(np.float64).power(power)
    result = np.square(values, dtype=np.float64)
    return result if power == 2 else np.power(result, power // 2, out=result)

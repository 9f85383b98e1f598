"""z-scoring as a change of units: column statistics, and parameters carried between the units.

Nothing here touches X beyond the kernel that reads its columns once; the kernels z-score rows as
they read them, and the parameters are put into the user's units afterwards. Called by
posing.py.
"""

from dataclasses import dataclass

import numpy as np

from .rows import SparseRows
from .statistics import ColumnStatistics, largest_eigenvalue, weighted_squares

__all__ = ["Units", "measure", "units_of"]

#: Rows whose mean is near enough for centring: any point would do.
UNIT_ROWS = 2000

#: Rows of them that are looked at at once, in float64.
PART_ROWS = 200

#: Rows of them whose largest eigenvalue is looked for.
EIGENVALUE_ROWS = 500

#: Scale, and its inverse, up to which X's own is good enough.
UNIT_RANGE = 10.0

#: Share of the mean square norm above which the mean is worth subtracting: reading rows where they
#: lie without a shift is about a tenth faster.
FAR_FROM_ZERO = 0.05

#: The same where a single feature lies so many of its variances from zero, whatever the others do:
#: its own curvature would vanish beside the intercept's.
MOST_VARIANCES = 25.0


@dataclass(frozen=True)
class Units:
    """The units that training runs in: x̃ = (x − shift) · inverse_scale.

    Parameters
    ----------
    shift, inverse_scale : ndarrays of shape (n_features,), or both None for the user's own units
        In the dtype of the computation: parameters are converted with the very numbers that the
        kernels z-score with.
    """

    shift: np.ndarray | None = None
    inverse_scale: np.ndarray | None = None

    @classmethod
    def of(cls, mean, scale, dtype):
        """Units of z-scores by these means and scales, float64 arrays of shape (n_features,)."""
        return cls(mean.astype(dtype), (1 / scale).astype(dtype))

    @classmethod
    def chosen(cls, X, rows, weight, dtype, fit_intercept, alpha):
        """Units about the mean of some rows, and of one scale for all features, where that matters.

        With an intercept that is free, the objective and its minimum are the same about any point;
        the path to it is shortest about the mean, which the curvature would else be dominated by.
        One scale s for all features turns the penalty alpha into alpha / s² and changes nothing
        else; without it the intercept is in no proportion to features of 1e-3 or 1e3. It makes the
        largest eigenvalue of their second moments, with alpha on top, about 1, which is what the
        intercept has. Rows count by ``weight``, of shape (n_samples,), unless it is None, so that
        weights are repetitions here too.

        Returns
        -------
        units : Units
        scale : float
            s; 1 where the units are X's own.
        """
        some = rows[:: -(-len(rows) // UNIT_ROWS)]
        share = np.ones(len(some)) if weight is None else weight[some].astype(np.float64)
        share /= share.sum()
        mean = np.zeros(X.shape[1])
        if isinstance(X, SparseRows):
            values = X.rows(some)
        else:
            if fit_intercept:
                for part in np.array_split(np.arange(len(some)), -(-len(some) // PART_ROWS)):
                    mean += share[part] @ X[some[part]].astype(np.float64)
            every = -(-len(some) // EIGENVALUE_ROWS)
            values = (X[some[::every]] - mean).astype(dtype)
            share = share[::every] / share[::every].sum()
        square = weighted_squares(values, share)
        scale = np.sqrt(largest_eigenvalue(values, share) + alpha)
        if not 1 / UNIT_RANGE < scale < UNIT_RANGE:
            usable = np.isfinite(scale) and np.finfo(dtype).tiny < scale**2 < np.finfo(dtype).max
            scale = 2.0 ** np.round(np.log2(scale)) if usable else 1.0  # exact to divide by
        else:
            scale = 1.0
        is_far = np.square(mean).sum() > FAR_FROM_ZERO * square.sum()
        if not (is_far or (np.square(mean) > MOST_VARIANCES * square).any()):
            mean[:] = 0
        with np.errstate(over="ignore"):
            shift = mean.astype(dtype)
        if (scale == 1 and not mean.any()) or not np.isfinite(shift).all():
            return cls(), 1.0
        return cls(shift, np.full(X.shape[1], 1 / scale, dtype)), scale

    def from_original(self, coef, intercept):
        """Parameters in these units of the function given in the user's; the dtype is kept."""
        if self.shift is None:
            return coef.copy(), intercept.copy()
        wide = coef.astype(np.float64)
        offset = intercept + wide @ self.shift.astype(np.float64)
        return (wide / self.inverse_scale).astype(coef.dtype), offset.astype(coef.dtype)

    def to_original(self, coef, intercept):
        """Parameters in the user's units of the function given in these; the dtype is kept.

        The intercept is computed from the rounded coef, so that their rounding errors cancel at
        the mean instead of being multiplied by it.
        """
        if self.shift is None:
            return coef.copy(), intercept.copy()
        with np.errstate(over="ignore", invalid="ignore"):
            original = (coef * self.inverse_scale.astype(np.float64)).astype(coef.dtype)
            offset = intercept - original.astype(np.float64) @ self.shift.astype(np.float64)
            offset = offset.astype(coef.dtype)
        if not (np.isfinite(original).all() and np.isfinite(offset).all()):
            raise ValueError(
                f"coefficients in the units of X overflow {coef.dtype}: a feature varies too "
                "little; multiply it by a power of 10, or give X as float64"
            )
        return original, offset


def measure(X, sample_weight, form, dtype, earlier, n_rows_earlier, n_threads):
    """What z-scoring X needs, one pass over it, or nothing at all.

    Parameters
    ----------
    X : ndarray or SparseRows of shape (n_samples, n_features)
    sample_weight : float64 ndarray of shape (n_samples,) or None
    form : bool or {"population", "sample"}
        False for no z-scoring; True is "population".
    dtype : {float32, float64}
        Of the computation.
    earlier : ColumnStatistics or None
        Of the rows of earlier calls, ``n_rows_earlier`` of them, to be merged in.
    n_threads : int

    Returns
    -------
    statistics : ColumnStatistics or None
    scale : float64 ndarray of shape (n_features,) or None
    units : Units
    """
    if not form:
        return None, None, Units()
    statistics = ColumnStatistics.of(X, sample_weight, n_threads)
    if earlier is not None:
        statistics = earlier.merged(statistics)
    n_rows = n_rows_earlier + len(X)
    return statistics, *units_of(statistics, form, dtype, n_rows, isinstance(X, SparseRows))


def units_of(statistics, form, dtype, n_rows, is_sparse):
    """The scale of each column, and the Units, of z-scores by these statistics of n_rows."""
    ddof = 1 if form == "sample" else 0
    if statistics.weight_sum > 0:
        scale = statistics.scale(ddof, dtype, n_rows)
    else:  # partial_fit has seen rows of weight 0 alone
        scale = np.ones(len(statistics.mean))
    # Centring would make sparse rows dense, and changes nothing but the intercept, which is free.
    shift = np.zeros(len(scale)) if is_sparse else statistics.mean
    return scale, Units.of(shift, scale, dtype)

"""Approximate inverses of the Hessian, from a subsample of the rows, for L-BFGS to start from.

By size: the whole Hessian where it is worth its price; a Kronecker product of a factor of the
classes and one of the features; the same with a factor of features of low rank, or a diagonal one,
where there are too many of them for a square matrix. Parameters are one float64 matrix
(n_rows, n_features + 1) here, the intercept its last column. Dense linear algebra is LAPACK's.
Called by solver.py.
"""

import numpy as np
from scipy.linalg import cho_solve, eigh, pinvh
from scipy.sparse import issparse

from .cholesky import raised_factor
from .curvature import probabilities
from .restricted import has_many_classes

__all__ = [
    "DiagonalHessian",
    "FullHessian",
    "KroneckerHessian",
    "LowRankHessian",
    "preconditioner_for",
]

#: Share of the mean curvature that is added: below it the subsample knows the curvature badly.
RIDGE = 1e-2

#: The same for a Kronecker product, which is no more than a model of the Hessian.
KRONECKER_RIDGE = 1e-1

#: Keeps a Cholesky factor from failing by rounding where directions have no curvature at all.
ROUNDING = 1e-12

#: What is no curvature: its inverse square root, times a value of X, would leave float32.
LEAST_CURVATURE = 1e-36

#: Share of the penalty that B is decomposed with. Where it has no rank, as with fewer rows than
#: features, any basis would do but for the penalty, and each would give another model.
PENALTY_SHARE = 1e-3

#: Multiply-adds of eigenvectors, times the third power of the size: of those of the classes, which
#: bring no pass less from a hundred classes on, they may cost as much as a pass.
EIGENVECTORS = 10

#: Numbers that couple the intercept to coef, at most, and passes that they may cost: beyond that
#: each class's intercept is coupled to its own row of coef alone.
MOST_COUPLED = 10_000_000
MOST_COUPLING_PASSES = 12

#: Numbers of pairs of classes that are taken at once: as many as a core's cache holds.
MOST_PAIRS = 1 << 18

#: Coefficients up to which the whole Hessian is formed; its factor costs the third power.
MOST_FULL = 1200

#: Passes over the rows that it may cost to form: about four times what it saves, at the higher rate
#: that LAPACK computes at.
MOST_PASSES = 100

#: Features up to which their factor is a square matrix.
MOST_SQUARE = 2048

#: Features, squared, over rows times classes up to which they are: eigenvectors then cost no more
#: than the passes that they save. (2100 x 2000, two classes: 5.7 s, and 0.7 s with a low rank.)
MOST_SQUARES = 20

#: Rows that a factor is made of, at most; more made no pass fewer on any benchmark set.
MOST_ROWS = 20000

#: Rows of it that the whole Hessian takes at once.
BLOCK_ROWS = 1024

#: Rank of the factor where there are more features than that.
LOW_RANK = 256


def _design(subsample, problem):
    """The subsample's rows, dense, with a feature of ones at the end, zeros without intercept."""
    values = subsample.values
    values = values.toarray() if issparse(values) else values
    ones = np.full((len(values), 1), float(problem.fit_intercept), values.dtype)
    return np.hstack([values, ones])


def _penalty_diagonal(n_columns, alpha):
    penalty = np.full(n_columns, float(alpha))
    penalty[-1] = 0.0  # the intercept
    return penalty


def _positive(diagonal):
    """The same with 1 in place of what can't be divided by: a constant feature without penalty."""
    return np.where((diagonal > LEAST_CURVATURE) & np.isfinite(diagonal), diagonal, 1.0)


def _second_moments(subsample, problem):
    """What to expect of x_j² for each feature and the ones, for the ridge and for the scales.

    Where rows are sparse each feature's own, over all rows, since a subsample may have missed every
    row that has it. Else the mean of all, which leaves a feature that few rows have to its ridge:
    that needs fewer passes than taking those few at their word. But no more than its square is
    where it counts, Σ x⁴ / Σ x²: a feature that is small because its unit is, would never move
    under the ridge of those in small units.
    """
    if problem.is_sparse:
        statistics = problem.column_statistics
        moments = statistics.squares / statistics.weight_sum + np.square(statistics.mean)
        if problem.inverse_scale is not None:
            moments *= np.square(problem.inverse_scale, dtype=np.float64)
        return np.append(moments, 1.0)
    moments = subsample.second_moments()
    used = moments > 0
    if used.any():
        fourth = subsample.fourth_moments()
        own = np.divide(fourth, moments, out=np.full_like(moments, np.inf), where=used)
        moments = np.minimum(moments[used].mean(), own)
    return np.append(moments, 1.0)


class FullHessian:
    """Cholesky factor of the subsample's whole Hessian, scaled to a unit diagonal, plus a ridge."""

    def __init__(self, subsample, problem, coef, intercept):
        n_rows, n_columns = len(coef), problem.n_features + 1
        blocks = np.zeros((n_rows, n_columns, n_rows, n_columns))
        hessian = blocks.reshape(n_rows * n_columns, -1)
        mean_spread = 0.0
        for start in range(0, len(subsample.rows), BLOCK_ROWS):
            part = subsample.part(slice(start, start + BLOCK_ROWS))
            # All in float64, and of probabilities that sum to 1: rows that are nearly sure of their
            # class leave a difference of numbers that agree in most of their digits.
            design = _design(part, problem).astype(np.float64)
            probability = probabilities(problem, part.values, coef, intercept).astype(np.float64)
            if problem.loss == "softmax":
                probability /= probability.sum(axis=1, keepdims=True)
            spread = probability * (1 - probability)
            mean_spread += float(np.mean(part.weight @ spread))
            share = probability if problem.loss == "softmax" else spread
            # Row i of `moment` is p_i ⊗ x_i; one product gives the blocks of the diagonal, another
            # the rank-one parts of all.
            moment = (share[:, :, None] * design[:, None, :]).reshape(len(design), -1)
            diagonal = ((part.weight[:, None] * design).T @ moment).reshape(n_columns, n_rows, -1)
            for k in range(n_rows):
                blocks[k, :, k] += diagonal[:, k]
            if problem.loss == "softmax":
                moment *= np.sqrt(part.weight)[:, None]
                hessian -= moment.T @ moment
        ridge = RIDGE * mean_spread * _second_moments(subsample, problem)
        hessian[np.diag_indices_from(hessian)] += np.tile(ridge, n_rows)
        self._hessian = hessian
        self._shape = n_rows, n_columns
        self._factorize(problem.alpha)

    def move(self, problem, coef, intercept):
        """Take the problem's penalty; the curvature stays that of the rows where it was formed."""
        self._factorize(problem.alpha)

    def _factorize(self, alpha):
        n_rows, n_columns = self._shape
        hessian = self._hessian.copy()
        hessian[np.diag_indices_from(hessian)] += np.tile(
            _penalty_diagonal(n_columns, alpha), n_rows
        )
        self._scale = 1 / np.sqrt(_positive(np.diagonal(hessian)))
        hessian *= self._scale[:, None]
        hessian *= self._scale
        self._factor = raised_factor(hessian, ROUNDING)

    def apply(self, gradient):
        """The step that the model of the Hessian gives for a gradient, of the same shape."""
        scaled = self._scale * gradient.ravel()
        step = cho_solve(self._factor, scaled, overwrite_b=True, check_finite=False)
        return (self._scale * step).reshape(gradient.shape)


class _Kronecker:
    """A ⊗ B + alpha, A over classes and B over features, in the eigenvectors of both.

    A = mean of diag(p) − p pᵀ (of p (1 − p) for logistic losses, and alone where there are so many
    classes that its eigenvectors would cost more than a pass), B = weighted mean of x xᵀ where
    a row weighs what it adds to the trace of A: rows that are sure of their class have no
    curvature. Features are scaled so that the diagonal of the model is 1; the penalty is taken by
    its diagonal in the eigenvectors of B, exact where all features have one scale.

    That is the model of coef. The intercept is taken out by its own Hessian H_b and its coupling to
    coef, both those of the rows: where coef takes a step, the intercept takes −H_b⁻¹ H_bw of that
    beside its own. It is as if each class had the mean of the rows it is in doubt of for zero.

    References
    ----------
    Martens, Grosse, "Optimizing neural networks with Kronecker-factored approximate curvature",
    ICML 2015.
    """

    def __init__(self, subsample, problem, coef, intercept):
        self._subsample, self._is_softmax = subsample, problem.loss == "softmax"
        self._moments = _second_moments(subsample, problem)
        trace = self._decompose_classes(problem, coef, intercept)
        row_weight = subsample.weight * np.maximum(trace, 1e-3 * trace.max(initial=1e-30))
        row_weight /= row_weight.sum()
        self._scale = 1 / np.sqrt(self._diagonal(problem.alpha))
        self._decompose_features(problem, row_weight)
        self._set_denominator(problem.alpha)

    def apply(self, gradient):
        """The step that the model of the Hessian gives for a gradient, of the same shape."""
        if self._coupling is None:
            return self._within(gradient)
        n_rows, coupling = len(gradient), self._coupling
        of_intercept = gradient[:, -1].astype(coupling.dtype)
        inner = np.array(gradient, coupling.dtype)
        if coupling.ndim == 2:
            inner[:, :-1] -= of_intercept[:, None] * coupling
        else:
            of_all = of_intercept @ coupling.reshape(n_rows, -1)
            inner[:, :-1] -= of_all.reshape(n_rows, -1)
        inner[:, -1] = 0
        step = self._within(inner)
        if coupling.ndim == 2:
            taken = (coupling * step[:, :-1]).sum(axis=1)
            step[:, -1] = gradient[:, -1] * self._inverse_intercept - taken
        else:
            flat = step[:, :-1].ravel().astype(coupling.dtype)
            taken = coupling.reshape(n_rows, -1) @ flat
            step[:, -1] = self._inverse_intercept @ gradient[:, -1] - taken
        if self._is_softmax:  # one number for all intercepts is none
            step[:, -1] -= step[:, -1].mean()
        return step

    def move(self, problem, coef, intercept):
        """Take the problem's penalty and the curvature over classes at these parameters.

        B, whose eigenvectors are what costs, stays as it was.
        """
        self._decompose_classes(problem, coef, intercept)
        self._set_denominator(problem.alpha)

    def _decompose_classes(self, problem, coef, intercept):
        """Eigenvectors of A; gives what each row of the subsample adds to its trace."""
        values, weight = self._subsample.values, self._subsample.weight
        self._class_vectors = None
        if has_many_classes(problem, len(coef)):
            return self._separate_classes(problem, coef, intercept)
        probability = probabilities(problem, values, coef, intercept).astype(np.float64)
        if problem.loss == "softmax":
            classes = -(probability.T @ (weight[:, None] * probability))
            classes[np.diag_indices_from(classes)] += weight @ probability
            trace = 1 - np.square(probability).sum(axis=1)
        else:
            spread = probability * (1 - probability)
            classes = np.diag(weight @ spread)
            trace = spread.sum(axis=1)
        values = np.diagonal(classes)
        if EIGENVECTORS * len(classes) ** 2 <= 4 * problem.n_features * problem.n_used:
            values, self._class_vectors = eigh(classes, check_finite=False, driver="evd")
        self._class_values = np.maximum(values, 0)
        self._couple(problem, probability, classes)
        return trace

    def _separate_classes(self, problem, coef, intercept):
        """The diagonal of A, and each intercept coupled to its own row of coef.

        For descent by the likeliest classes: what more would be made from takes as long as several
        of its passes.
        """
        values, weight = self._subsample.values, self._subsample.weight[:, None]
        spread = probabilities(problem, values, coef, intercept)
        spread *= 1 - spread
        trace = spread.sum(axis=1, dtype=np.float64)
        spread *= weight.astype(spread.dtype)
        self._class_values = spread.sum(axis=0, dtype=np.float64)
        self._coupling = None
        if problem.fit_intercept:
            self._couple_own(spread)
        return trace

    def _couple_own(self, spread):
        """Each class's intercept to its own row of coef, from weight · p (1 − p) of the rows."""
        values = self._subsample.values
        own = _positive(spread.sum(axis=0))
        self._inverse_intercept = 1 / own
        self._coupling = (values.T @ (spread / own).astype(values.dtype)).T

    def _couple(self, problem, probability, classes):
        """What the intercept does beside coef: H_b⁻¹ and H_b⁻¹ H_bw, or each class's own alone."""
        values, n_rows = self._subsample.values, probability.shape[1]
        weight, self._coupling = self._subsample.weight[:, None], None
        if not problem.fit_intercept:
            return
        n_coupled, n_features = n_rows**2, values.shape[1]
        is_cheap = len(probability) * n_rows <= MOST_COUPLING_PASSES * problem.n_used
        if problem.loss == "softmax" and n_coupled * n_features <= MOST_COUPLED and is_cheap:
            coupling = _coupling(values, weight, probability)
            rounding = 4 * n_rows * np.finfo(values.dtype).eps
            self._inverse_intercept = pinvh(classes, rtol=rounding)
            coupling = self._inverse_intercept.astype(values.dtype) @ coupling.reshape(n_rows, -1)
            self._coupling = coupling.reshape(n_rows, n_rows, n_features)
        else:
            self._couple_own(weight * probability * (1 - probability))

    def _diagonal(self, alpha):
        """Of the model, as a mean over classes, with 1 where there is no curvature at all."""
        mean = self._class_values.sum() / max(len(self._class_values) - 1, 1)
        return _positive(mean * self._moments + _penalty_diagonal(len(self._moments), alpha))

    def _decompose_features(self, problem, row_weight):
        """Decompose B, weighted by rows and scaled, into ``_vectors`` and ``_spectrum``."""
        design = _design(self._subsample, problem)
        if self._coupling is not None:
            design -= row_weight.astype(design.dtype) @ design
        design *= self._scale.astype(design.dtype)
        design *= np.sqrt(row_weight)[:, None].astype(design.dtype)
        penalty = _penalty_diagonal(len(self._scale), problem.alpha) * np.square(self._scale)
        self._spectrum, self._vectors = self._decompose(design, penalty)

    def _set_denominator(self, alpha):
        added = self._added(alpha)
        self._denominator = np.outer(self._class_values, self._spectrum)
        self._denominator += np.square(self._vectors).T @ added

    def _added(self, alpha):
        """Penalty and ridge in scaled features: a diagonal."""
        penalty = _penalty_diagonal(len(self._scale), alpha)
        return np.square(self._scale) * (penalty + KRONECKER_RIDGE * self._diagonal(alpha))

    def _rotated(self, gradient):
        scaled = gradient * self._scale
        return scaled if self._class_vectors is None else self._class_vectors.T @ scaled

    def _rotated_back(self, step):
        return step if self._class_vectors is None else self._class_vectors @ step


def _coupling(values, weight, probability):
    """Mean of (diag(p) − p pᵀ) ⊗ x over rows of these weights, (n_classes, n_classes, n_features).

    Each pair of classes once, and all pairs of some rows in one product.
    """
    n_classes = probability.shape[1]
    first, second = np.triu_indices(n_classes)
    own = np.flatnonzero(first == second)
    of_pairs = np.zeros((len(first), values.shape[1]), values.dtype)
    n_at_once = max(64, MOST_PAIRS // len(first))
    for start in range(0, len(probability), n_at_once):
        part = slice(start, start + n_at_once)
        p = probability[part].T
        shares = weight[part].T * p
        pairs = -shares[first] * p[second]
        pairs[own] += shares
        of_pairs += np.asarray(pairs.astype(values.dtype) @ values[part])
    coupling = np.empty((n_classes, n_classes, values.shape[1]), values.dtype)
    coupling[first, second] = coupling[second, first] = of_pairs
    return coupling


class KroneckerHessian(_Kronecker):
    """A ⊗ B + alpha, with B a square matrix over the features."""

    @staticmethod
    def _decompose(design, penalty):
        gram = design.T @ design  # in float32 too: the ridge is far above its rounding errors
        gram[np.diag_indices_from(gram)] += PENALTY_SHARE * penalty
        spectrum, vectors = eigh(gram, overwrite_a=True, check_finite=False, driver="evd")
        return np.maximum(spectrum, 0), vectors

    def _within(self, gradient):
        rotated = self._rotated(gradient).astype(self._vectors.dtype)
        inner = (rotated @ self._vectors) / self._denominator
        inner = inner.astype(self._vectors.dtype) @ self._vectors.T
        return self._rotated_back(inner.astype(np.float64)) * self._scale


class LowRankHessian(_Kronecker):
    """A ⊗ B + alpha, with B of low rank plus a multiple of the identity, in scaled features."""

    @staticmethod
    def _decompose(design, penalty):
        # Eigenvectors of the rows' inner products are cheaper than those of the features'.
        n_drawn = len(design)
        inner = (design @ design.T).astype(np.float64)
        first = max(0, n_drawn - LOW_RANK)
        spectrum, left = eigh(
            inner, overwrite_a=True, check_finite=False, subset_by_index=(first, n_drawn - 1)
        )
        kept = spectrum > 1e-6 * spectrum[-1]
        kept[-1] = True  # of rows of zeros too
        spectrum, left = spectrum[kept], left[:, kept]
        vectors = design.T.astype(np.float64) @ (left / np.sqrt(_positive(spectrum)))
        return np.maximum(spectrum, 0), vectors

    def _set_denominator(self, alpha):
        super()._set_denominator(alpha)
        rest = self._class_values[:, None] * self._spectrum[0]
        self._rest = rest + self._added(alpha).mean()

    def _within(self, gradient):
        rotated = self._rotated(gradient)
        inside = rotated @ self._vectors
        outside = (rotated - inside @ self._vectors.T) / self._rest
        step = (inside / self._denominator) @ self._vectors.T + outside
        return self._rotated_back(step) * self._scale


class DiagonalHessian(_Kronecker):
    """A ⊗ B + alpha, with B diagonal: for sparse rows, whose features hardly overlap."""

    def _decompose_features(self, problem, row_weight):
        self._spectrum = self._moments * np.square(self._scale)

    def _set_denominator(self, alpha):
        dtype = self._subsample.values.dtype
        denominator = np.outer(self._class_values, self._spectrum) + self._added(alpha)
        self._inverse = (1 / denominator).astype(dtype)
        if self._class_vectors is not None:
            self._class_vectors = self._class_vectors.astype(dtype)
        self._narrow_scale = self._scale.astype(dtype)

    def _within(self, gradient):
        """In the dtype of the computation and in place, as there are many features."""
        inner = np.multiply(gradient, self._narrow_scale, dtype=self._inverse.dtype)
        if self._class_vectors is not None:
            inner = self._class_vectors.T @ inner
        inner *= self._inverse
        step = self._rotated_back(inner)
        step *= self._narrow_scale
        return step


def preconditioner_for(n_rows, n_features, n_samples, sparse=False):
    """The form for parameters of this shape, and the rows that it is made of."""
    n_columns = n_features + 1
    n_coefficients = n_rows * n_columns
    # A fortieth of the rows: features that few rows have must be among them.
    n_drawn = min(n_samples, MOST_ROWS, max(2 * n_coefficients, 1000, n_samples // 40))
    cost = n_drawn * n_coefficients + n_coefficients**2 / 3  # per coefficient, as that of a pass
    if n_coefficients <= MOST_FULL and (n_rows == 1 or cost <= MOST_PASSES * n_samples):
        return FullHessian, n_drawn
    is_square = n_columns**2 <= MOST_SQUARES * n_samples * n_rows
    if n_columns <= MOST_SQUARE and is_square:
        return KroneckerHessian, min(n_samples, MOST_ROWS, max(6 * n_columns, 2000))
    if sparse:
        return DiagonalHessian, min(n_samples, 2000)
    return LowRankHessian, min(n_samples, 2 * LOW_RANK)

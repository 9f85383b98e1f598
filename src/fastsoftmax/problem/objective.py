"""What is minimised and where it stands: the objective over rows, and parameters with their state.

Every sum over rows that training asks for is a method of :class:`Problem`, which hands it to the
kernels; nothing is decided here, and no loop is. Built by posing.py, used by every solver.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from .. import kernels
from .rows import SparseRows, kernel_for
from .statistics import ColumnStatistics

__all__ = ["Likeliest", "Objective", "Problem", "State"]


@dataclass(frozen=True)
class Likeliest:
    """The likeliest classes of each row used, its own among them, at some parameters.

    Parameters
    ----------
    codes : int32 ndarray of shape (n_used, N_KEPT)
    probability : ndarray of shape (n_used, N_KEPT), in the dtype of the computation
        Of these classes; 0 from the slot that ends them on.
    rest : float64 ndarray of shape (n_rows,)
        Of each class, its mean probability in the rows that have others.
    """

    codes: np.ndarray
    probability: np.ndarray
    rest: np.ndarray

    @classmethod
    def empty(cls, n_used, n_rows, dtype):
        """Room for them, of coef with n_rows rows."""
        shape = n_used, kernels.implementation.N_KEPT
        return cls(np.zeros(shape, np.int32), np.zeros(shape, dtype), np.zeros(n_rows))


class Objective:
    """What an objective is, wherever its rows are; its fields are those of :class:`Problem`."""

    def objective_at_zero(self, n_rows):
        """The objective where coef and intercept are 0: every class is as likely as the others."""
        return float(np.log(n_rows)) if self.loss == "softmax" else n_rows * float(np.log(2))

    def penalty(self, coef):
        """(alpha/2)‖coef‖², summed in float64."""
        return 0.5 * self.alpha * float(np.square(coef, dtype=np.float64).sum())

    def mean_spread(self, intercept_gradient):
        """What curvature an intercept has of its own, nearly, from the gradient in it.

        Each class's mean probability p; of logistic losses p (1 − p).
        """
        mean = np.clip(intercept_gradient + self._mean_target(len(intercept_gradient)), 0, 1)
        return mean if self.loss == "softmax" else mean * (1 - mean)

    def _mean_target(self, n_rows):
        """What is wanted of each row of coef on average, by the classes' shares."""
        is_binary = n_rows == 1
        share = np.zeros(2 if is_binary else n_rows)
        share[: len(self.class_share)] = self.class_share
        n_outcomes = n_rows if self.loss == "softmax" else 2
        share = share[1:] if is_binary else share
        return (1 - self.label_smoothing) * share + self.label_smoothing / n_outcomes


@dataclass(frozen=True)
class Problem(Objective):
    """What is minimised: (1/Σs) Σ s_i · loss_i + (alpha/2)‖coef‖² over the rows used.

    Parameters
    ----------
    X : ndarray or SparseRows of shape (n_samples, n_features)
        Any dtype and strides that the kernels read; never copied, never written to.
    rows : intp ndarray of shape (n_used,)
        The rows of X to train on, in the order to take them in when they aren't shuffled.
    y_true : int32 ndarray of shape (n_samples,)
        Class codes.
    sample_weight : ndarray of shape (n_samples,) and the dtype of coef, or None for ones
        Mean 1 over ``rows``.
    shift, inverse_scale : ndarrays of shape (n_features,) and the dtype of coef, or both None
        The z-scoring x̃ = (x − shift) · inverse_scale, done as rows are read. Sparse rows are
        scaled alone: their shift is 0.
    loss : {"softmax", "logistic"}
        "logistic" with one row of coef has two classes, with K rows is one-vs-rest.
    alpha : float ≥ 0
    fit_intercept : bool
        If False, the intercept is used but not changed.
    n_threads : int ≥ 1
    dtype : {float32, float64}
        Of the computation.
    label_smoothing : float in [0, 1), default=0
        Of the targets, as in ``kernels.softmax_gradient``.
    """

    X: np.ndarray | SparseRows
    rows: np.ndarray
    y_true: np.ndarray
    sample_weight: np.ndarray | None
    shift: np.ndarray | None
    inverse_scale: np.ndarray | None
    loss: str
    alpha: float
    fit_intercept: bool
    n_threads: int
    dtype: np.dtype
    label_smoothing: float = 0.0

    # --- What solvers ask, of rows in memory or not: see streamed.py ------------------------------

    #: Whether all rows are in memory.
    is_held = True

    @property
    def n_used(self):
        return len(self.rows)

    @property
    def n_features(self):
        return self.X.shape[1]

    @property
    def is_sparse(self):
        return isinstance(self.X, SparseRows)

    @property
    def sampled(self):
        """A Problem of rows in memory, each weighing as much as those that it stands for."""
        return self

    def under(self, alpha):
        """The same problem with another strength of the penalty."""
        return replace(self, alpha=alpha)

    def summed(self, function, *arguments):
        """Σ of ``function(part, *arguments)`` over parts of the rows, which here are all of them.

        ``function`` gives a sum over the rows of a Problem, an array or a tuple of such.
        """
        return function(self, *arguments)

    @cached_property
    def column_statistics(self):
        """Of the columns of X, whatever the weights."""
        return ColumnStatistics.of(self.X, None, self.n_threads)

    @cached_property
    def class_share(self):
        """Share of the weights by the rows of each class that has a row, and those before it."""
        weight = None if self.sample_weight is None else self.sample_weight[self.rows]
        return np.bincount(self.y_true[self.rows], weight) / self.weight_sum

    def n_steps(self, batch_size):
        """Minibatches of an epoch."""
        return -(-len(self.rows) // batch_size)

    def order(self, shuffle, random_state):
        """In what order :meth:`run_epoch` takes the rows in."""
        # A permutation of the count of rows, not of the rows: leaving out rows of no weight then
        # gives the same order as a matrix that never had them.
        return self.rows[random_state.permutation(len(self.rows))] if shuffle else self.rows

    # --- Sums over rows ---------------------------------------------------------------------------

    def objective(self, state, rows=None):
        """The objective at fixed parameters over these rows, in one pass; nothing is updated.

        Over all that are used where ``rows`` is None.
        """
        rows = self.rows if rows is None else rows
        with np.errstate(all="ignore"):
            total = kernel_for("loss_sum", self.X)(
                rows=rows,
                coef=state.coef,
                intercept=state.intercept,
                **self._data_and_loss,
            )
            return total / self._weight_of(rows) + self.penalty(state.coef)

    def loss_gradient(self, coef, intercept, likeliest=None):
        """The objective over ``rows`` and its gradient at these parameters, in one pass.

        Parameters
        ----------
        coef : float64 ndarray of shape (n_rows, n_features)
        intercept : float64 ndarray of shape (n_rows,)
            Both are rounded to the dtype of the computation first, that of ``shift`` or X.
        likeliest : Likeliest or None
            Where the likeliest classes of the rows are written to; of dense rows and softmax alone.

        Returns
        -------
        objective : float
        coef_gradient, intercept_gradient : float64 ndarrays of the shapes of the parameters
            The latter is 0 without ``fit_intercept``.
        """
        dtype = self.dtype
        at_coef, at_intercept = coef.astype(dtype), intercept.astype(dtype)
        coef_gradient, intercept_gradient = np.empty_like(at_coef), np.empty_like(at_intercept)
        with np.errstate(all="ignore"):
            parameters = at_coef, at_intercept, coef_gradient, intercept_gradient
            loss = self._mean_loss(*parameters, likeliest)
            coef_gradient = coef_gradient.astype(np.float64) + self.alpha * coef
            intercept_gradient = intercept_gradient.astype(np.float64)
        if likeliest is not None:
            likeliest.rest[:] = self._rest(likeliest, intercept_gradient)
        if not self.fit_intercept:
            intercept_gradient[:] = 0
        return loss + self.penalty(coef), coef_gradient, intercept_gradient

    def restricted_loss_gradient(self, likeliest, coef, intercept):
        """How the mean loss bends where the parameters change, for the likeliest classes alone.

        Parameters
        ----------
        likeliest : Likeliest
            As they are before the change.
        coef, intercept : float64 ndarrays
            What is added to the parameters.

        Returns
        -------
        loss : float
            What the mean loss becomes, less what it becomes to first order, were the other classes
            to stand still.
        coef_gradient, intercept_gradient : float64 ndarrays
            Its gradient in ``coef`` and ``intercept``.
        """
        coef, intercept = coef.astype(self.dtype), intercept.astype(self.dtype)
        gradients = np.empty_like(coef), np.empty_like(intercept)
        total = kernels.implementation.restricted_loss_gradient(
            self.X,
            self.rows,
            self.sample_weight,
            self.shift,
            self.inverse_scale,
            likeliest.codes,
            likeliest.probability,
            coef,
            intercept,
            *gradients,
            self.n_threads,
        )
        of_coef, of_intercept = (part.astype(np.float64) / self.weight_sum for part in gradients)
        return total / self.weight_sum, of_coef, of_intercept

    def class_means(self, codes, values, n_rows):
        """Σ s_i v_ic / Σ s_i of each class, over the slots c of the rows that are of that class.

        Parameters
        ----------
        codes, values : ndarrays of shape (n_used, N_KEPT)
        n_rows : int

        Returns
        -------
        means : float64 ndarray of shape (n_rows,)
        """
        if self.sample_weight is not None:
            values = values * self.sample_weight[self.rows, None].astype(np.float64)
        return np.bincount(codes.ravel(), values.ravel(), n_rows) / self.weight_sum

    def _rest(self, likeliest, intercept_gradient):
        """Of each class, its mean probability in rows that don't keep it.

        The gradient in the intercept is its mean probability in all, less the mean target.
        """
        n_rows = len(likeliest.rest)
        kept = self.class_means(likeliest.codes, likeliest.probability, n_rows)
        return np.maximum(intercept_gradient + self._mean_target(n_rows) - kept, 0)

    def _mean_loss(self, coef, intercept, coef_gradient, intercept_gradient, likeliest=None):
        """Mean loss over ``rows``; writes its gradients."""
        if isinstance(self.X, SparseRows):
            weight = self.sample_weight
            if len(self.rows) < len(self.X):  # the others weigh nothing
                kept = np.zeros(len(self.X), coef.dtype)
                kept[self.rows] = 1 if weight is None else weight[self.rows]
                weight = kept
            return kernel_for("loss_gradient", self.X)(
                coef=coef,
                intercept=intercept,
                coef_gradient_out=coef_gradient,
                intercept_gradient_out=intercept_gradient,
                **(self._data_and_loss | {"sample_weight": weight}),
            )
        kept = {"fit_intercept": self.fit_intercept}
        if likeliest is not None:
            kept = {
                "fit_intercept": True,  # its gradient is each class's share
                "kept_out": likeliest.codes,
                "probability_out": likeliest.probability,
            }
        return kernel_for("loss_gradient", self.X)(
            rows=self.rows,
            coef=coef,
            intercept=intercept,
            coef_gradient_out=coef_gradient,
            intercept_gradient_out=intercept_gradient,
            **self._data_and_loss | kept,
        )

    @cached_property
    def square_norms(self):
        """‖x‖² of each row of sparse X, a float64 ndarray of shape (n_samples,)."""
        norms, scale = np.empty(len(self.X)), self.inverse_scale
        kernel_for("square_norms", self.X)(
            slots=np.zeros(self.X.shape[1], np.int32),
            inverse_scale=None if scale is None else scale.astype(np.float64),
            square_norm_out=norms,
        )
        return norms

    @cached_property
    def weight_sum(self):
        """Sum of the weights of the rows used."""
        return self._weight_of(self.rows)

    def _weight_of(self, rows):
        if self.sample_weight is None:
            return len(rows)
        return float(self.sample_weight[rows].sum(dtype=np.float64))

    def run_epoch(self, state, rows, rates, plan):
        """One pass that updates ``state``; gives its mean loss, as each row's was met."""
        # An overflow is divergence, which the caller looks for itself.
        with np.errstate(all="ignore"):
            total = kernel_for("epoch", self.X)(
                rows=rows,
                coef_inplace=state.coef,
                intercept_inplace=state.intercept,
                coef_state_inplace=state.coef_state,
                intercept_state_inplace=state.intercept_state,
                learning_rates=rates,
                batch_size=plan.batch_size,
                update=plan.update,
                momentum=plan.momentum,
                alpha=self.alpha,
                fit_intercept=self.fit_intercept,
                **self._data_and_loss,
            )
            return total / self.weight_sum

    @cached_property
    def _data_and_loss(self):
        """What every kernel over the problem's rows is told, by the names of its arguments."""
        return {
            "y_true": self.y_true,
            "sample_weight": self.sample_weight,
            "shift": self.shift,
            "inverse_scale": self.inverse_scale,
            "loss": self.loss,
            "label_smoothing": self.label_smoothing,
            "n_threads": self.n_threads,
        }


@dataclass
class State:
    """All that training changes: parameters, and what the optimiser remembers of each.

    Parameters
    ----------
    coef, coef_state : C-contiguous ndarrays of shape (n_rows, n_features)
        float32 or float64: the dtype of the computation.
    intercept, intercept_state : ndarrays of shape (n_rows,), of the same dtype
    """

    coef: np.ndarray
    intercept: np.ndarray
    coef_state: np.ndarray
    intercept_state: np.ndarray

    @classmethod
    def at(cls, coef, intercept):
        """These parameters, with an optimiser that remembers nothing."""
        return cls(coef, intercept, np.zeros_like(coef), np.zeros_like(intercept))

    @classmethod
    def drawn(cls, shape, dtype, init_scale, random_state):
        """Normal coef of standard deviation ``init_scale``, nothing drawn for 0; intercept 0."""
        coef = np.zeros(shape, dtype)
        if init_scale > 0:
            coef[:] = random_state.normal(0, init_scale, shape)
        return cls.at(coef, np.zeros(shape[0], dtype))

    def copy(self):
        return State(*(array.copy() for array in self._arrays()))

    def become(self, other):
        """Take over the values of another state, in place."""
        for mine, theirs in zip(self._arrays(), other._arrays(), strict=True):
            mine[:] = theirs

    def is_finite(self):
        return all(np.isfinite(array).all() for array in self._arrays())

    def _arrays(self):
        return self.coef, self.intercept, self.coef_state, self.intercept_state

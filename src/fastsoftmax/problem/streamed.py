"""The problem over rows that are not in memory: sums over blocks, and a sample that stands for all.

What solvers ask of a Problem, of rows in blocks. Those of a source are summed in their order, so
that a pass gives the same bits each time, whatever reads them. Built by posing.py.
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import csr_array, vstack

from .labels import encode_labels
from .objective import Objective, Problem, State
from .rows import SparseRows

if TYPE_CHECKING:
    from .scan import Scan

__all__ = ["OfBlocks", "StreamedProblem", "StreamedRows", "added", "coded", "part_of"]

#: Of ``max_memory``, what is mixed at once in an epoch.
SHARE_OF_MIXED = 4


@dataclass(frozen=True)
class StreamedRows:
    """A source's blocks, with the codes of their labels and the weights of training.

    Parameters
    ----------
    scan : scan.Scan
    class_weight : float64 ndarray of shape (n_classes,) or None for ones
    mean_weight : float
        Of sample weight times class weight over the rows used.
    """

    scan: "Scan"
    class_weight: np.ndarray | None
    mean_weight: float

    def blocks(self, seed=None):
        """X, codes and weights (in float64, or None for ones) of each block with a row to use."""
        for rows in self.scan.blocks(seed):
            if len(rows.X) == 0:
                continue
            codes = self.scan.codes_of_block(rows.number)
            codes, weight = coded(
                rows, self.scan.classes, self.class_weight, self.mean_weight, codes
            )
            if weight is None or weight.any():
                yield rows.X, codes, weight

    def mixed(self, seed):
        """The same, several blocks at once, as many as memory is set aside for."""
        joined = _Joined(self.scan.source.max_memory // SHARE_OF_MIXED)
        for part in self.blocks(seed):
            if joined.is_full_for(part[0]):
                yield joined.taken()
            joined.add(*part)
        if joined:
            yield joined.taken()


class _Joined:
    """Rows of several blocks, one after the other, up to so many bytes of X or of a single block.

    Dense rows are copied as they come, into room that serves again and again: a block that was is
    not held beside its copy.
    """

    def __init__(self, most):
        self._most, self._room = most, None
        self._X, self._codes, self._weight = [], [], []
        self._size = 0

    def __len__(self):
        return sum(map(len, self._codes))

    def is_full_for(self, X):
        """Whether these rows would be too many beside those that are there."""
        return bool(self._codes) and self._size + _n_bytes(X) > self._most

    def add(self, X, codes, weight):
        """Take in a block."""
        self._size += _n_bytes(X)
        if not isinstance(X, SparseRows) and self._size <= self._most:
            if self._room is None:
                self._room = np.empty((self._most // max(1, X[0].nbytes), X.shape[1]), X.dtype)
            place = slice(len(self), len(self) + len(X))
            self._room[place] = X
            X = self._room[place]
        self._X.append(X)
        self._codes.append(codes)
        self._weight.append(weight)

    def taken(self):
        """X, codes and weights of all that was added; the next begins anew."""
        X, codes, weight, n_rows = self._X, self._codes, self._weight, len(self)
        self._X, self._codes, self._weight, self._size = [], [], [], 0
        if len(X) == 1:
            return X[0], codes[0], weight[0]
        if isinstance(X[0], SparseRows):
            X = (csr_array((x.data, x.indices, x.indptr), shape=x.shape) for x in X)
            X = SparseRows.of(csr_array(vstack(list(X), format="csr")))
        else:
            X = self._room[:n_rows]
        if any(part is not None for part in weight):
            weight = np.concatenate(
                [np.ones(len(c)) if w is None else w for c, w in zip(codes, weight, strict=True)]
            )
        else:
            weight = None
        return X, np.concatenate(codes), weight


def coded(rows, classes, class_weight, mean_weight, codes=None):
    """Codes of a block's labels, and its rows' weights of training, in float64 or None for ones.

    The codes are those given, where they are known.
    """
    codes = encode_labels(rows.y, classes) if codes is None else codes
    weight = rows.sample_weight
    if class_weight is not None:
        own = class_weight[codes]
        weight = own if weight is None else weight * own
    if weight is not None or mean_weight != 1:
        weight = np.ones(len(codes)) if weight is None else weight
        weight = weight / mean_weight
    return codes, weight


def _n_bytes(X):
    if isinstance(X, SparseRows):
        return X.data.nbytes + X.indices.nbytes + X.indptr.nbytes
    return X.nbytes


@dataclass(frozen=True)
class OfBlocks(Objective):
    """What is minimised over rows in blocks, wherever those are: all but how sums are taken.

    A subclass has :meth:`summed`, ``column_statistics`` (of sparse rows alone, by sample weight)
    and epochs.

    Parameters
    ----------
    sampled : objective.Problem
        Rows in memory that stand for all, and what the objective is.
    n_used : int
        Rows whose weight is above 0.
    class_share : float64 ndarray of shape (n_classes,)
        Of the weights.
    """

    sampled: Problem
    n_used: int
    class_share: np.ndarray

    #: Whether all rows are in memory.
    is_held = False

    @property
    def n_features(self):
        return self.sampled.n_features

    @property
    def is_sparse(self):
        return self.sampled.is_sparse

    @property
    def loss(self):
        return self.sampled.loss

    @property
    def alpha(self):
        return self.sampled.alpha

    @property
    def fit_intercept(self):
        return self.sampled.fit_intercept

    @property
    def n_threads(self):
        return self.sampled.n_threads

    @property
    def dtype(self):
        return self.sampled.dtype

    @property
    def label_smoothing(self):
        return self.sampled.label_smoothing

    @property
    def shift(self):
        return self.sampled.shift

    @property
    def inverse_scale(self):
        return self.sampled.inverse_scale

    @property
    def weight_sum(self):
        """Sum of the weights of the rows used: their mean is 1."""
        return float(self.n_used)

    def under(self, alpha):
        """The same problem with another strength of the penalty."""
        return replace(self, sampled=replace(self.sampled, alpha=alpha))

    def summed(self, function, *arguments):
        """Σ over blocks of ``function(part, *arguments)``.

        Parameters
        ----------
        function : callable
            Of a Problem of the rows of a block, without a penalty; gives an array, or a tuple of
            arrays and numbers.
        *arguments
            Arrays and numbers.
        """
        raise NotImplementedError

    def objective(self, state):
        """The objective at fixed parameters over all rows, in one pass; nothing is updated."""
        (loss,) = self.summed(_share_of_loss, self.weight_sum, state.coef, state.intercept)
        return loss + self.penalty(state.coef)

    def loss_gradient(self, coef, intercept, likeliest=None):
        """As :meth:`objective.Problem.loss_gradient`; a row's likeliest classes aren't kept."""
        rounded = coef.astype(self.dtype), intercept.astype(self.dtype)
        loss, of_coef, of_intercept = self.summed(
            _share_of_loss_gradient, self.weight_sum, *rounded
        )
        of_coef = of_coef + self.alpha * coef
        return loss + self.penalty(coef), of_coef, of_intercept


def _share_of_loss(part, weight_sum, coef, intercept):
    """What the rows of a part have of the mean loss."""
    return (part.weight_sum / weight_sum * part.objective(State.at(coef, intercept)),)


def _share_of_loss_gradient(part, weight_sum, coef, intercept):
    """The same, and of its gradient."""
    share = part.weight_sum / weight_sum
    return tuple(share * term for term in part.loss_gradient(coef, intercept))


def added(total, terms):
    """The sum of two results of a function that is summed; the first may be written to."""
    if isinstance(total, tuple):
        return tuple(added(*pair) for pair in zip(total, terms, strict=True))
    total += terms
    return total


def part_of(sampled, X, codes, weight):
    """The problem of the rows of a block, without a penalty."""
    used = np.arange(len(codes)) if weight is None else np.flatnonzero(weight)
    weight = None if weight is None else weight.astype(sampled.dtype)
    return replace(sampled, X=X, rows=used, y_true=codes, sample_weight=weight, alpha=0.0)


@dataclass(frozen=True)
class StreamedProblem(OfBlocks):
    """What is minimised over the rows of a source.

    Parameters
    ----------
    rows : StreamedRows
    sampled, n_used, class_share
        As in :class:`OfBlocks`.
    """

    rows: StreamedRows

    @property
    def column_statistics(self):
        """Of the columns of X, by sample weight; of sparse rows alone."""
        return self.rows.scan.statistics

    def summed(self, function, *arguments):
        """As :meth:`OfBlocks.summed`, one block after another."""
        total = None
        for block in self.rows.blocks():
            of_block = function(part_of(self.sampled, *block), *arguments)
            total = of_block if total is None else added(total, of_block)
        return total

    # --- Epochs -----------------------------------------------------------------------------------

    def n_steps(self, batch_size):
        """Minibatches of an epoch, but for those that end where blocks do."""
        return -(-self.n_used // batch_size)

    def order(self, shuffle, random_state):
        """In what order :meth:`run_epoch` takes the rows in: a seed, or None for their own."""
        return int(random_state.randint(2**31 - 1)) if shuffle else None

    def run_epoch(self, state, order, rates, plan):
        """As :meth:`objective.Problem.run_epoch`.

        Blocks come in an order drawn anew, and rows are mixed among those that are held at once.
        """
        total, n_met = 0.0, 0
        for number, (X, codes, weight) in enumerate(self.rows.mixed(order)):
            part = replace(part_of(self.sampled, X, codes, weight), alpha=self.alpha)
            used = part.rows
            if order is not None:
                used = used[np.random.default_rng([order, number]).permutation(len(used))]
            steps = n_met + plan.batch_size * np.arange(part.n_steps(plan.batch_size))
            steps = np.minimum(steps // plan.batch_size, len(rates) - 1)
            loss = part.run_epoch(state, used, np.ascontiguousarray(rates[steps]), plan)
            total += loss * part.weight_sum
            n_met += len(used)
        return total / self.weight_sum

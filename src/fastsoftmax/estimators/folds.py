"""The folds of a cross-validation: what each trains on and holds out, its minima and their scores.

Held-out rows are rows of weight 0, so that X is not copied. Which penalties to try and what to make
of the scores is the estimators' affair; how a minimum is found is path.py's. Called by
cross_validation.py and logistic_regression_cv.py.
"""

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from numbers import Integral

import numpy as np
from sklearn.model_selection import check_cv
from sklearn.utils.validation import _check_method_params

from ..optimization.path import Path
from ..optimization.seeds import Seeded
from ..problem.checks import part_of_source
from ..problem.held_out import HeldOut, rows_of_given
from ..problem.posing import pose
from ..problem.validation_source import SourceHeldOut, validation_of
from ..sources.parts import PartOfSource
from .base import centred

__all__ = ["Fold", "FoldMinimum", "Mean", "beside_each_other", "folds_of", "folds_of_blocks"]

#: Intercept of a class that a fold has no row of, with the sign turned: a probability of 0 in any
#: dtype beside raw predictions up to a million. At the minimum it would be infinite, and a descent
#: towards that ends anywhere, which makes of the class's loss in rows held out a number of chance.
UNLEARNED = 1e6


def folds_of(data, cv, given, split_parameters, shows_rows, score_parameters=None):
    """The data of each fold: weights of the rows that it trains on, and what it holds out.

    Parameters
    ----------
    data : checks.CheckedData
    cv : int, splitter, iterable of (train, test) or None
        None is 5.
    given : (X, y)
        As the user gave them.
    split_parameters : dict
        Of ``cv.split``, beside X and y.
    shows_rows : bool
        Whether what scores the rows held out wants to see them as they were given.
    score_parameters : dict or None
        What scorers are given beside the rows, of all rows; None is ``sample_weight``, if any.

    Returns
    -------
    folds : list of checks.CheckedData

    Raises
    ------
    ValueError
        If a fold trains on or holds out no row of weight above 0.
    """
    y = data.classes[data.codes]
    cv = check_cv(5 if cv is None else cv, y, classifier=True)
    folds = []
    for k, fold in enumerate(cv.split(given[0], y, **split_parameters)):
        train, test = (_numbers(part, len(y)) for part in fold)
        weight = np.bincount(train, minlength=len(y)).astype(np.float64)  # rows may repeat
        if data.sample_weight is not None:
            weight *= data.sample_weight
            test = test[data.sample_weight[test] > 0]
        if not weight.any() or len(test) == 0:
            part = "trains on" if len(test) else "holds out"
            raise ValueError(f"fold {k} of cv {part} no row of weight above 0")
        shown = rows_of_given(*given, test) if shows_rows else None
        parameters = None
        if score_parameters is not None:
            parameters = _check_method_params(given[0], score_parameters, test)
        held_out = HeldOut(data.X, test, data.codes, data.sample_weight, shown, parameters)
        folds.append(replace(data, sample_weight=weight, held_out=held_out))
    return folds


def folds_of_blocks(data, source, cv, with_statistics):
    """The data of each fold of a source: some of its blocks are trained on, others held out.

    Where not all rows are in memory, each fold's first pass goes over what it trains on.

    Parameters
    ----------
    data : checks.CheckedData or checks.StreamedData
        Of the source.
    source : sources.Source
    cv : int, splitter, iterable of (train, test) or None
        Of the numbers of blocks. Of k folds, the one of number i holds out the blocks i, i + k,
        i + 2k and so on; None is 5.
    with_statistics : bool
        Whether those of the columns are wanted.

    Returns
    -------
    folds : list of checks.CheckedData or checks.StreamedData

    Raises
    ------
    ValueError
        If ``cv`` can't split blocks, or a fold trains on or holds out no row of weight above 0.
    """
    seen = data.seen
    n_used = np.array([block.n_used for block in seen])
    splits = _splits_of_blocks(cv, len(seen), source)
    starts = np.cumsum([0, *(block.n_rows for block in seen)])
    folds = []
    for k, (train, test) in enumerate(splits):
        if not n_used[train].any() or not n_used[test].any():
            part = "trains on" if n_used[test].any() else "holds out"
            raise ValueError(f"fold {k} of cv {part} no row of weight above 0")
        # What a fold keeps stays while others run: they share what one has.
        train_source, test_source = (
            PartOfSource(source, part.tolist(), max(1, source.max_memory // len(splits)))
            for part in (train, test)
        )
        held_out = SourceHeldOut(test_source, data.classes)
        if data.is_held:
            times = np.bincount(train, minlength=len(seen))  # blocks may repeat
            weight = np.repeat(times, np.diff(starts)).astype(np.float64)
            weight = weight if data.sample_weight is None else weight * data.sample_weight
            fold = replace(data, sample_weight=weight)
        else:
            fold = part_of_source(data, train_source, with_statistics)
        folds.append(replace(fold, held_out=held_out))
    return folds


def _splits_of_blocks(cv, n_blocks, source):
    """Numbers of the blocks that each fold trains on and holds out."""
    numbers = np.arange(n_blocks)
    cv = 5 if cv is None else cv
    if isinstance(cv, Integral):
        if not 2 <= cv <= n_blocks:
            raise ValueError(
                f"cv={cv} needs at least 2 folds and as many blocks; {source.name} has {n_blocks}, "
                "and a source is split by blocks: give a lower max_memory, or smaller blocks"
            )
        held_out = [numbers % cv == k for k in range(cv)]
        return [(numbers[~part], numbers[part]) for part in held_out]
    if hasattr(cv, "split"):
        try:
            splits = list(cv.split(numbers))
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"cv={cv!r} can't split the {n_blocks} blocks of {source.name} without their rows' "
                f"labels or groups ({error}); a source is split by blocks: use a number, KFold, or "
                "pairs of numbers of blocks"
            ) from error
    else:
        splits = list(cv)
    try:
        return [tuple(_numbers(part, n_blocks) for part in fold) for fold in splits]
    except IndexError as error:
        raise ValueError(
            f"cv must name blocks of {source.name}, which has {n_blocks}: a source is split by "
            f"blocks, not by rows ({error})"
        ) from error


def _numbers(part, n_samples):
    """Numbers of rows, from numbers that may be negative or from a mask."""
    part = np.asarray(part)
    return np.arange(n_samples)[part if part.size else part.astype(np.intp)]


@dataclass(frozen=True)
class FoldMinimum:
    """What one strength of the penalty came to in one fold.

    Parameters
    ----------
    coef, intercept : ndarrays of shapes (n_rows, n_features) and (n_rows,)
        In the units of X.
    is_learned : bool ndarray of shape (n_rows,)
        Whether the fold had rows of the class; of two classes, of both.
    score : float
        On the rows held out.
    n_iter : int
    suboptimality : float
    converged : bool
        As in :class:`path.Minimum`.
    """

    coef: np.ndarray
    intercept: np.ndarray
    is_learned: np.ndarray
    score: float
    n_iter: int
    suboptimality: float
    converged: bool


class Mean:
    """Mean parameters of some minima; of each class, over the folds that have learned it.

    Near the minimum of all rows, where the folds have one penalty.
    """

    def __init__(self, coef_shape):
        self._coef, self._intercept = np.zeros(coef_shape), np.zeros(coef_shape[0])
        self._n_learned = np.zeros(coef_shape[0], dtype=np.int64)

    @classmethod
    def of(cls, minima):
        """Of these minima."""
        mean = cls(minima[0].coef.shape)
        for minimum in minima:
            mean.add(minimum)
        return mean

    def add(self, minimum):
        """Take another one in."""
        learned = minimum.is_learned
        self._coef[learned] += minimum.coef[learned]
        self._intercept[learned] += minimum.intercept[learned]
        self._n_learned += learned

    @property
    def is_learned(self):
        """Whether any of the folds had rows of the class."""
        return self._n_learned > 0

    def parameters(self):
        """Coef and intercept, 0 for a class that none of the folds have learned."""
        n_folds = np.maximum(self._n_learned, 1)
        return self._coef / n_folds[:, None], self._intercept / n_folds


@contextmanager
def beside_each_other(folds, n_threads):
    """Within the block, a function that gives ``function(fold)`` of each fold, in their order.

    On threads of their own where that is sooner: kernels let others run, and what is around them
    takes longer than they do in smaller problems.
    """
    n_threads = min(n_threads, len(folds))
    if n_threads == 1 or not all(fold.has_long_calls for fold in folds):
        yield lambda function: [function(fold) for fold in folds]
        return
    with ThreadPoolExecutor(n_threads) as pool:
        yield lambda function: list(pool.map(function, folds))


class Fold:
    """The minima of one fold, and their scores on the rows that it holds out.

    A class that none of the rows trained on has stays a class, of probability 0: what the objective
    has for a limit. Rows of it that are held out count as misses, or with the greatest loss there
    is, whatever the penalty.

    Parameters
    ----------
    data : checks.CheckedData or checks.StreamedData
        One of :func:`folds_of` or :func:`folds_of_blocks`.
    settings : fitting.Settings
        Of the estimator that is tuned; the strength of its penalty is of no account.

    Attributes
    ----------
    has_long_calls : bool
        Whether it is worth a thread of its own, and may have one.
    """

    def __init__(self, data, settings):
        self._posed = posed = pose(data, settings.formulation)
        self._unlearned = _unlearned(len(data.classes), posed.problem)
        intercept = np.zeros(data.coef_shape[0])
        if len(self._unlearned) and data.coef_shape[0] == 1:
            intercept[:] = UNLEARNED if self._unlearned[0] == 0 else -UNLEARNED
        else:
            intercept[self._unlearned] = -UNLEARNED
        self._is_learned, self._limit = intercept == 0, intercept
        self._path = Path(
            posed.problem,
            data.coef_shape[0],
            Seeded(settings.random_state),
            settings.tolerance,
            settings.plan.n_epochs,
            intercept,
        )

        def fitted(state):
            return settings.fitted(data.classes, *self._parameters(state))

        # A user's scorer may not bear to be called by two threads at once.
        is_users = callable(settings.scoring.name)
        self.has_long_calls = not is_users and self._path.has_long_calls
        self._validation = validation_of(
            data.held_out, posed.problem, settings.scoring, fitted, unlearned=self._unlearned
        )

    @property
    def weight_sum(self):
        """Σ (sample weight · class weight) of the rows trained on."""
        return self._posed.seen.weight_sum

    def minimum(self, alpha, tolerance=None):
        """The FoldMinimum for this alpha, in the units of X; without a tolerance, by the last."""
        if tolerance is not None:
            self._path.tolerance = tolerance
        minimum = self._path.minimum(alpha / self._posed.unit**2)
        coef, intercept = self._parameters(minimum.state)
        coef[~self._is_learned], intercept[~self._is_learned] = 0, self._limit[~self._is_learned]
        if self._posed.problem.loss == "softmax":
            learned = self._is_learned
            coef[learned], intercept[learned] = centred(coef[learned], intercept[learned])
        return FoldMinimum(
            coef,
            intercept,
            self._is_learned,
            self._validation.score(minimum.state),
            minimum.n_iter,
            minimum.suboptimality,
            minimum.converged,
        )

    def _parameters(self, state):
        return self._posed.units.to_original(state.coef, state.intercept)


def _unlearned(n_classes, problem):
    """Codes of the classes whose probability goes to 0 as the objective falls.

    Without an intercept, or with label smoothing, there is a minimum for them as for all others.
    """
    if not problem.fit_intercept or problem.label_smoothing > 0:
        return np.empty(0, dtype=np.intp)
    is_learned = np.zeros(n_classes, dtype=bool)
    is_learned[: len(problem.class_share)] = problem.class_share > 0
    return np.flatnonzero(~is_learned)

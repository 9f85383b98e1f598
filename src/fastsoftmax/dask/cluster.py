"""Tasks on a cluster: one for each block, their sum by a tree, and what can go wrong with them.

All of ``distributed`` that is used is used here. Nothing of rows and solvers is known. No task is
bound to a worker, and each can be run again anywhere: the scheduler does so for a worker that has
ended. Called by collections.py, first_pass.py and problem.py.
"""

from concurrent.futures import CancelledError as FutureCancelled
from contextlib import contextmanager
from uuid import uuid4

import dask
import numpy as np
from dask import delayed
from dask.sizeof import sizeof
from distributed import get_client
from distributed.comm import CommClosedError
from distributed.scheduler import KilledWorker

from ..optimization.blas import one_blas_thread

__all__ = ["Cluster", "ClusterError", "aligned"]

#: Results that a task of the tree takes in. Fewer would be more tasks and more levels, and each
#: level is a message to the scheduler and back; more would be more arrays on one worker at once.
FAN_IN = 8

#: Bytes of a call's arguments, which its results are about as large as, up to which blocks of one
#: place share tasks: those of a group, or all where it is the bytes for all blocks. A task and a
#: level take milliseconds, as a megabyte does; larger results travel while others are made.
LITTLE = 1 << 20

#: Weights go with the tasks by way of the scheduler, so that they can be had again when the worker
#: that has them ends. Dask warns of more than 10 MB of that in a graph; there is one copy in it.
NO_WARNING = {"distributed.admin.large-graph-warning-threshold": "1 TiB"}


class ClusterError(RuntimeError):
    """Rows, or the results of tasks, are gone from the cluster, or the cluster is.

    Examples
    --------
    >>> import dask.array as da
    >>> from fastsoftmax.dask import ClusterError, SoftmaxClassifier
    >>> try:
    ...     SoftmaxClassifier().fit(da.eye(4, chunks=2), da.arange(4, chunks=2))
    ... except ClusterError as error:
    ...     print(error)
    there is no Dask client: make a distributed.Client first, or give it as client=
    """


class Cluster:
    """A client's cluster, for the length of one call.

    Parameters
    ----------
    client : distributed.Client or None
        None for the default one.

    Raises
    ------
    ClusterError
        If there is no client.
    TypeError
        If it is an asynchronous one.
    """

    def __init__(self, client=None):
        try:
            self._client = get_client() if client is None else client
        except ValueError as error:
            raise ClusterError(
                "there is no Dask client: make a distributed.Client first, or give it as client="
            ) from error
        if self._client.asynchronous:
            raise TypeError("client must be one that waits for results; got an asynchronous one")

    def started(self, tasks):
        """Futures of delayed values, for as long as they are kept."""
        with _told():
            return self._client.compute(list(tasks))

    def held(self, value):
        """A future of this value, that any worker can be given."""
        (future,) = self.started([_task("held", _itself, value)])
        return future

    def for_each(self, function, blocks, *arguments):
        """Futures of ``function(*block, *arguments)`` for each block, which may hold futures."""
        return self.started(_for_each(function, blocks, arguments))

    def results(self, futures):
        """What these futures hold, in their order."""
        with _told():
            return self._client.gather(list(futures))

    def places(self, futures):
        """Where these results are, as :meth:`total` takes it: each a worker and a thread of it."""
        with _told():
            workers = self._client.who_has(list(futures))
            n_threads = self._client.nthreads()
        places, taken = [], {}
        for future in futures:
            # Where several have a block, those that share a task should agree.
            worker = min(workers.get(future.key, ()), default=None)
            number = taken[worker] = taken.get(worker, -1) + 1
            places.append((worker, number % n_threads.get(worker, 1)))
        return places

    def total(self, function, add, blocks, *arguments, places=None):
        """The sum of ``function(*block, *arguments)`` over blocks, in one round.

        Parameters
        ----------
        function : callable
        add : callable
            ``add(total, result)`` gives the sum, and may write to its first argument.
        blocks : list of tuples
            Which may hold futures.
        *arguments
            If they are large, held by one task, from where workers have them from each other.
        places : list or None
            One for each block, of :meth:`places`, for blocks of one place to share tasks where
            arguments are small. None for a task each. Where it isn't true any more, blocks travel.

        Returns
        -------
        total
            Of a tree whose shape is that of the number of blocks alone: the same blocks give the
            same bits, whichever workers add them up, and whatever the places.
        """
        n_bytes, shared, size = sizeof(arguments), arguments, len(blocks)
        if places is None or n_bytes * len(blocks) > LITTLE:
            shared, size = _task("weights", _itself, arguments), FAN_IN
        if places is None or n_bytes > LITTLE:
            places = range(len(blocks))
        level = [
            _sum_of(function, add, shared, blocks[k : k + size], places[k : k + size])
            for k in range(0, len(blocks), size)
        ]
        while len(level) > 1:
            level = [_task("sum", _added_up, add, group) for group in _groups(level)]
        (future,) = self.started(level)
        with _told():
            return future.result()


def _for_each(function, blocks, arguments):
    name = function.__name__.strip("_")
    shared = _task("weights", _itself, arguments)
    return [_task(name, _with_shared, function, shared, *block) for block in blocks]


def _sum_of(function, add, shared, blocks, places):
    """A delayed sum over blocks, of which those of one place are one task."""
    name, at = function.__name__.strip("_"), {}
    for number, place in enumerate(places):
        at.setdefault(place, []).append(number)
    numbers = list(at.values())
    if len(numbers) == 1:
        return _task(name, _total_with_shared, function, add, shared, blocks)
    values = [
        _task(name, _each_with_shared, function, shared, [blocks[i] for i in those])
        for those in numbers
    ]
    return _task("sum", _total_in_order, add, numbers, values)


def _groups(results):
    """What is added up at once, of each level of the tree."""
    return [results[k : k + FAN_IN] for k in range(0, len(results), FAN_IN)]


def _task(name, function, *arguments):
    """A delayed call, known to the dashboard by that name."""
    key = f"fastsoftmax-{name}-{uuid4().hex}"
    return delayed(function, pure=False)(*arguments, dask_key_name=key)


def _itself(value):
    return value


@one_blas_thread()
def _with_shared(function, shared, *block):
    return function(*map(aligned, (*block, *shared)))


def _each_with_shared(function, shared, blocks):
    return [_with_shared(function, shared, *block) for block in blocks]


def _total_with_shared(function, add, shared, blocks):
    return _total(add, _each_with_shared(function, shared, blocks))


def _total_in_order(add, numbers, values):
    """The total of results that come in lists, each with the list of their numbers."""
    of_number = {}
    for those, here in zip(numbers, values, strict=True):
        of_number.update(zip(those, here, strict=True))
    return _total(add, [of_number[number] for number in sorted(of_number)])


def _total(add, results):
    """The sum of the tree over these results."""
    while len(results) > 1:
        results = [_added_up(add, group) for group in _groups(results)]
    return results[0]


def aligned(value):
    """The same, or copies of arrays that came over the network to an odd address."""
    if isinstance(value, tuple):
        return tuple(map(aligned, value))
    return np.require(value, requirements="A") if isinstance(value, np.ndarray) else value


def _added_up(add, results):
    """The sum of results, of which each is left as it is: other tasks may ask for it again."""
    total = _copied(results[0])
    for result in results[1:]:
        total = add(total, result)
    return total


def _copied(result):
    if isinstance(result, tuple):
        return tuple(map(_copied, result))
    return result.copy() if hasattr(result, "copy") else result


@contextmanager
def _told():
    """Errors of the cluster's, as a ClusterError that says what to do."""
    try:
        with dask.config.set(NO_WARNING):
            yield
    except KilledWorker as error:
        raise ClusterError(
            f"workers that ran a task ended, several times over: {error}. Blocks may be too large "
            "for their memory: make chunks smaller, or give workers more"
        ) from error
    except FutureCancelled as error:
        raise ClusterError(
            f"the cluster has lost rows or results that it can't make again: {error}. They were "
            "cancelled, the client was restarted or closed, or data that was scattered was on a "
            "worker that ended. Load the rows again, and fit again"
        ) from error
    except (CommClosedError, TimeoutError) as error:
        raise ClusterError(f"the cluster can't be reached: {error}") from error

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
from distributed import get_client
from distributed.comm import CommClosedError
from distributed.scheduler import KilledWorker

from ..optimization.blas import one_blas_thread

__all__ = ["Cluster", "ClusterError", "aligned"]

#: Results that a task of the tree takes in. Fewer would be more tasks and more levels, and each
#: level is a message to the scheduler and back; more would be more arrays on one worker at once.
FAN_IN = 8

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

    def total(self, function, add, blocks, *arguments):
        """The sum of ``function(*block, *arguments)`` over blocks, in one round.

        Parameters
        ----------
        function : callable
        add : callable
            ``add(total, result)`` gives the sum, and may write to its first argument.
        blocks : list of tuples
            Which may hold futures.
        *arguments
            Held by one task, from where workers have them from each other.

        Returns
        -------
        total
            Of a tree whose shape is that of the number of blocks alone: the same blocks give the
            same bits, whichever workers add them up.
        """
        level = _for_each(function, blocks, arguments)
        while len(level) > 1:
            groups = (level[k : k + FAN_IN] for k in range(0, len(level), FAN_IN))
            level = [_task("sum", _added_up, add, group) for group in groups]
        (future,) = self.started(level)
        with _told():
            return future.result()


def _for_each(function, blocks, arguments):
    name = function.__name__.strip("_")
    shared = _task("weights", _itself, arguments)
    return [_task(name, _with_shared, function, shared, *block) for block in blocks]


def _task(name, function, *arguments):
    """A delayed call, known to the dashboard by that name."""
    key = f"fastsoftmax-{name}-{uuid4().hex}"
    return delayed(function, pure=False)(*arguments, dask_key_name=key)


def _itself(value):
    return value


@one_blas_thread()
def _with_shared(function, shared, *block):
    return function(*map(aligned, (*block, *shared)))


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

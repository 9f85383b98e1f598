"""The problem over rows on a cluster: sums by a tree over the blocks, and epochs over the sample.

What solvers ask of a Problem. A pass is one round: weights go to the workers, each block gives its
part of loss and gradient, and their sum comes back. Built by first_pass.py.
"""

from dataclasses import dataclass, replace
from typing import Any

from scipy.sparse import issparse

from ..problem.rows import rows_of, well_behaved
from ..problem.scan import Scan
from ..problem.streamed import OfBlocks, added, part_of
from .cluster import aligned

__all__ = ["ClusterProblem"]


@dataclass(frozen=True)
class ClusterProblem(OfBlocks):
    """What is minimised over rows on a cluster.

    Parameters
    ----------
    scan : ClusterScan
    blocks : list of tuples
        Futures of X, of codes and weights, and of what a part's problem is beside these.
    places : list or None
        Of :meth:`cluster.Cluster.places`, for the blocks.
    sampled, n_used, class_share
        As in :class:`streamed.OfBlocks`.
    """

    scan: Scan
    blocks: Any
    places: Any

    @classmethod
    def of(cls, scan, blocks, sampled, **of_all):
        """The problem of these blocks, each a tuple of futures of X and of codes and weights."""
        source, none = scan.source, dict.fromkeys(("X", "rows", "y_true", "sample_weight"))
        form = source.cluster.held(replace(sampled, n_threads=source.n_threads, **none))
        places = source.cluster.places([X for X, _ in blocks])
        blocks = [(form, *block) for block in blocks]
        return cls(scan=scan, blocks=blocks, places=places, sampled=sampled, **of_all)

    @property
    def column_statistics(self):
        """Of the columns of X, by sample weight; of sparse rows alone."""
        return self.scan.statistics

    def summed(self, function, *arguments):
        """As :meth:`OfBlocks.summed`, by the workers that have the blocks."""
        cluster = self.scan.source.cluster
        return cluster.total(_on_part, added, self.blocks, function, arguments, places=self.places)

    # --- Epochs -----------------------------------------------------------------------------------

    def n_steps(self, batch_size):
        """Minibatches of an epoch."""
        return self.sampled.n_steps(batch_size)

    def order(self, shuffle, random_state):
        """In what order :meth:`run_epoch` takes the rows in."""
        return self.sampled.order(shuffle, random_state)

    def run_epoch(self, state, order, rates, plan):
        """As :meth:`objective.Problem.run_epoch`, over the sample: no row travels."""
        batch_size = min(plan.batch_size, self.sampled.n_used)
        return self.sampled.run_epoch(state, order, rates, replace(plan, batch_size=batch_size))


def _on_part(form, X, labels, function, arguments):
    """A function's value for a block."""
    X = X.tocsr() if issparse(X) else X
    units = {name: aligned(getattr(form, name)) for name in ("shift", "inverse_scale")}
    part = part_of(replace(form, **units), rows_of(well_behaved(X), summed=True), *labels)
    return function(part, *arguments)

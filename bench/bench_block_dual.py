"""Dual coordinate ascent over blocks that would come from a disk, against passes of L-BFGS.

Blocks are revisited as in Yu, Hsieh, Chang, Lin, "Large linear classification when data cannot fit
in memory" (KDD 2010): one is there at a time, its rows have their steps in a new order, and its
dual variables are kept. The kernel is the one that ``solver="dual"`` has in memory, called for the
rows of a block; the gap that ends it is that of all rows, and the passes that it would take from a
disk, two or more for each proof, aren't counted. Said here: why a source doesn't go by the dual.
Asserts nothing. Run by hand: ``python -m bench.bench_block_dual``
"""

import numpy as np

from bench.sparse_data import words
from fastsoftmax import SoftmaxClassifier
from fastsoftmax.optimization import dual, solver
from fastsoftmax.sources import IterableSource

N_BLOCKS = 10
TOL = 1e-5
MOST_EPOCHS = 100

#: Rows, features, classes, words a row, alpha.
SHAPES = (
    (8000, 20_000, 10, 60, 1e-3),
    (8000, 20_000, 10, 60, 1e-4),
    (20_000, 5000, 3, 30, 3e-5),
)

#: Of the intercept; the one of fastsoftmax.optimization.dual needs more epochs of blocks.
INTERCEPT_UNITS = (0.005, 0.02, dual.INTERCEPT_UNIT)


class BlockAscent(dual.DualAscent):
    """The same with blocks in a new order, and an order of rows within each."""

    n_steps, intercept_unit = 1, dual.INTERCEPT_UNIT

    def epoch(self):
        """Go through the blocks once, ``n_steps`` times through the rows of each."""
        problem, loss, divergence = self.problem, 0.0, 0.0
        unit = self.intercept_unit if problem.fit_intercept else 0.0
        blocks = np.array_split(problem.rows, N_BLOCKS)
        for block in self._random_state.permutation(N_BLOCKS):
            for step in range(self.n_steps):
                before = self._intercept.astype(np.float64)
                met, missed, squares = dual.kernel_for("dual_epoch", problem.X)(
                    rows=self._random_state.permutation(blocks[block]),
                    y_true=problem.y_true,
                    label_smoothing=problem.label_smoothing,
                    dual_inplace=self._dual,
                    coef_inplace=self._coef[:1],
                    intercept_inplace=self._intercept,
                    intercept_unit=unit,
                    damping=dual.DAMPING[1][min(self._epochs, 1)],
                    **self._arguments,
                )
                if step == 0:
                    loss, divergence = loss + met, divergence + missed
                if problem.fit_intercept:
                    self._missing += (self._intercept - before) / unit
                    self._intercept += (unit / N_BLOCKS * self._missing).astype(self._dtype)
        self.penalty = 0.5 * problem.alpha * squares
        self.objective = loss / problem.weight_sum + self.penalty
        self.divergence = divergence / problem.weight_sum
        self._epochs += 1


def epochs_of(X, y, alpha, ascent):
    """Epochs of the dual until the gap is proved, or None where there are too many."""
    kept = solver.DualAscent, solver.ascend
    solver.DualAscent = ascent
    solver.ascend = lambda ascends, notes: dual.ascend(ascends, notes, MOST_EPOCHS)
    try:
        model = SoftmaxClassifier(solver="dual", alpha=alpha, tol=TOL, random_state=0).fit(X, y)
    finally:
        solver.DualAscent, solver.ascend = kept
    return model.n_iter_ if np.isfinite(model.history_["gap"][-1]) else None


def passes_of(X, y, alpha, name):
    """Epochs and passes of another solver, over blocks that are read anew each time."""

    def blocks():
        for rows in np.array_split(np.arange(len(y)), N_BLOCKS):
            yield X[rows], y[rows]

    source = IterableSource(blocks, max_memory=1 << 20)
    return SoftmaxClassifier(solver=name, alpha=alpha, tol=TOL, random_state=0).fit(source).n_iter_


def main():
    """A line for each shape, for rows in any order and sorted by class."""
    for *shape, alpha in SHAPES:
        drawn, labels = words(*shape)
        for order in (np.arange(len(labels)), np.argsort(labels, kind="stable")):
            X, y = drawn[order], labels[order]
            found = {name: passes_of(X, y, alpha, name) for name in ("auto", "lbfgs")}
            found["dual, in memory"] = epochs_of(X, y, alpha, dual.DualAscent)
            for unit in INTERCEPT_UNITS:
                for n_steps in (1, 3):
                    settings = {"n_steps": n_steps, "intercept_unit": unit}
                    ascent = type("Ascent", (BlockAscent,), settings)
                    found[f"{n_steps} × each block, {unit:g}"] = epochs_of(X, y, alpha, ascent)
            is_sorted = "by class" if (np.diff(y) >= 0).all() else "in any order"
            print(f"{' × '.join(map(str, shape))}, alpha {alpha:g}, {is_sorted}")
            print("  " + ", ".join(f"{name}: {n}" for name, n in found.items()), flush=True)


if __name__ == "__main__":
    main()

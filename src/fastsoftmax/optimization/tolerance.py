"""How near the minimum is near enough.

Called by the solvers; the estimators say what their ``tol`` means.
"""

from dataclasses import dataclass

import numpy as np

__all__ = ["Tolerance", "least_gap"]


def least_gap(dtype, objective):
    """A suboptimality that drowns in the rounding errors of the objective."""
    return 0.1 * float(np.finfo(dtype).eps) * abs(objective)


@dataclass(frozen=True)
class Tolerance:
    """The suboptimality to stop at: the largest of these.

    Parameters
    ----------
    absolute : float ≥ 0 or None
        In units of mean cross-entropy. Where it is given, what drowns in the rounding errors of
        the objective is near enough too. Coefficients still get better there: not so for the other.
    of_penalty : float ≥ 0 or None
        As a share of the penalty at the iterate. With both None, nothing is near enough.
    """

    absolute: float | None = None
    of_penalty: float | None = None

    @property
    def is_none(self):
        """Whether to go on as long as the objective falls."""
        return self.absolute is None and self.of_penalty is None

    def allowed(self, objective, penalty, dtype):
        """The suboptimality to stop at where these are the values, or None."""
        if self.is_none:
            return None
        least = 0.0 if self.absolute is None else least_gap(dtype, objective)
        return max(self.absolute or 0.0, (self.of_penalty or 0.0) * penalty, least)

"""The NumPy twin of every kernel, which says what the kernel means; deliberately not fast.

Tests run it beside every compiled build, and ``fastsoftmax.kernels.use("reference")`` trains with
it. Dense rows, the likeliest classes of theirs, sparse rows, functions of the caller's arrays and
small problems have a file each.
"""

from .all_rows import *  # noqa: F403
from .dense import *  # noqa: F403
from .dual import *  # noqa: F403
from .functions import *  # noqa: F403
from .newton import *  # noqa: F403
from .restricted import *  # noqa: F403
from .sparse import *  # noqa: F403

"""bench/scalar_loop.c: the epoch as plain loops, to say what vectors and tiles are worth.

Equal work by its source; compiled when it is first needed, without vectorisation, by $CC or cc.
Float32 alone. Called by bench/test_isa.py.
"""

import ctypes
import os
import subprocess
import tempfile
from pathlib import Path

import numpy as np

SOURCE = Path(__file__).parent.parent / "scalar_loop.c"
FLAGS = ("-O2", "-fno-tree-vectorize", "-shared", "-fPIC")


def _compiled():
    """The function, loaded from a shared library that is deleted once it is."""
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder, "scalar_loop.so")
        compiler = os.environ.get("CC", "cc")
        subprocess.run([compiler, *FLAGS, SOURCE, "-lm", "-o", library], check=True)
        function = ctypes.CDLL(str(library)).scalar_epoch
    function.restype = ctypes.c_double
    function.argtypes = [
        *[ctypes.c_void_p] * 3,
        *[ctypes.c_ssize_t] * 4,
        *[ctypes.c_void_p] * 6,
        *[ctypes.c_float] * 3,
    ]
    return function


class ScalarLoop:
    """Minibatch SGD with momentum in plain C.

    Raises
    ------
    OSError, subprocess.CalledProcessError
        If there is no C compiler, or it fails.
    """

    def __init__(self, problem):
        self.problem = problem
        self._epoch = _compiled()
        n_classes, n_features = problem.n_classes, problem.X.shape[1]
        self._coef, self._velocity = (np.empty((n_classes, n_features), "f4") for _ in range(2))
        self._intercept, self._intercept_velocity = (np.empty(n_classes, "f4") for _ in range(2))
        self._raw = np.empty((problem.batch_size, n_classes), "f4")
        self._gradient = np.empty(n_features, "f4")
        self.reset()

    def reset(self):
        """Put the parameters and their velocity back to zero."""
        for array in (self._coef, self._velocity, self._intercept, self._intercept_velocity):
            array[...] = 0

    def epoch(self):
        """Train once over the rows; give the mean loss."""
        problem = self.problem
        arrays = (self._coef, self._intercept, self._velocity, self._intercept_velocity)
        loss_sum = self._epoch(
            *(array.ctypes.data for array in (problem.X, problem.rows, problem.y_true)),
            *problem.X.shape,
            problem.n_classes,
            problem.batch_size,
            *(array.ctypes.data for array in (*arrays, self._raw, self._gradient)),
            problem.learning_rate,
            problem.momentum,
            problem.alpha,
        )
        return loss_sum / len(problem.rows)

    def coef(self):
        """The coefficients, (n_classes, n_features)."""
        return self._coef.copy()

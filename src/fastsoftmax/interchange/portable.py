"""The estimator's ways out of the process: files, pickles and scikit-learn's own classes.

The work is done in files.py and to_sklearn.py. Inherited by the estimators.
"""

import inspect
import re
import warnings

from .. import __version__
from . import files
from .to_sklearn import to_sklearn

__all__ = ["Portable"]

#: In a pickle's state, beside the attributes; 0.1.0 wrote none at first.
VERSION_KEY = "_fastsoftmax_version"


class Portable:
    """``save``, ``to_sklearn`` and pickling, for an estimator of plain arrays and scalars."""

    def save(self, path):
        """Write this estimator to a file that can't execute code; ``fastsoftmax.load`` reads it.

        Parameters, fitted attributes and the state of the optimiser are written in the safetensors
        format, with a checksum. A file that is there already is replaced only when all is written.
        Needs the extra ``save``.

        Parameters
        ----------
        path : str or path-like
            ``.safetensors`` is the usual ending.

        Raises
        ------
        TypeError
            If a parameter or attribute is not plain data, such as a ``RandomState`` or a function;
            or if this is an instance of a subclass, which ``load`` knows nothing of.
        ImportError
            If safetensors is missing.
        OSError
            If the file can't be written. What was there is then there still.
        """
        files.save(self, path)

    def to_sklearn(self):
        """Give a scikit-learn classifier with the same coefficients and probabilities.

        Returns
        -------
        model : LogisticRegression or OneVsRestClassifier
            The latter, of a LogisticRegression a class, for ``multi_class="ovr"`` and more than
            two classes. It shares no array with this estimator. Its ``C`` makes its objective this
            one's: 1 / (``alpha`` · Σs), with Σs the sum of the weights of the rows trained on, a
            row once a call, ``alpha_`` in ``SoftmaxClassifierCV``; except with ``standardize``,
            where the penalty is on the coefficients of z-scores. ``class_weight`` is handed on to
            a LogisticRegression alone.

        Raises
        ------
        NotFittedError
            Before a fit.
        """
        return to_sklearn(self)

    def __getstate__(self):
        return {**super().__getstate__(), VERSION_KEY: __version__}

    def __setstate__(self, state):
        """Restore a pickle of any version; parameters that it didn't know get their defaults."""
        state = dict(state)
        version = state.pop(VERSION_KEY, "0.1.0")
        if _release(version) > _release(__version__):
            warnings.warn(
                f"this {type(self).__name__} was pickled by fastsoftmax {version}, and "
                f"{__version__}, which is older, may misread it",
                UserWarning,
                stacklevel=2,
            )
        parameters = inspect.signature(type(self).__init__).parameters.values()
        defaults = {p.name: p.default for p in parameters if p.default is not p.empty}
        super().__setstate__({**defaults, **state})


def _release(version):
    """The numbers at a version's start, to compare: "0.10.1.dev2" is (0, 10, 1)."""
    return tuple(int(number) for number in re.match(r"[\d.]*", version)[0].split(".") if number)

"""What a checkpoint needs of an estimator, and what a fit is known by. Called by classifier.py."""

import os
from contextlib import contextmanager

import numpy as np

from .. import __version__
from ..optimization.journal import NO_JOURNAL, Journal

__all__ = ["check_checkpoint", "journal_of"]

#: Parameters that a fit's result doesn't depend on.
OF_NO_ACCOUNT = ("callbacks", "n_jobs", "verbose")


def check_checkpoint(estimator, checkpoint, resume):
    """An error where these arguments of fit can't be, or not with these parameters."""
    if not isinstance(resume, bool | np.bool_):
        raise TypeError(f"resume must be True or False; got {resume!r}")
    if checkpoint is None:
        if resume:
            raise ValueError("resume=True needs the checkpoint to go on from; got checkpoint=None")
        return
    if not isinstance(checkpoint, str | os.PathLike):
        raise TypeError(f"checkpoint must be a path; got {checkpoint!r}")
    if not isinstance(estimator.random_state, int | np.integer):
        raise ValueError(
            "a checkpoint needs random_state to be an int, so that the fit can be repeated; got "
            f"random_state={estimator.random_state!r}"
        )
    if estimator.warm_start:
        raise ValueError("a checkpoint needs a fit that begins anew; got warm_start=True")


@contextmanager
def journal_of(estimator, data, checkpoint, resume):
    """The journal of a fit, closed at its end; NO_JOURNAL without a checkpoint."""
    if checkpoint is None:
        yield NO_JOURNAL
        return
    parameters = estimator.get_params(deep=False)
    key = {
        "version": __version__,
        **{
            name: repr(value)
            for name, value in sorted(parameters.items())
            if name not in OF_NO_ACCOUNT
        },
        "number of rows": len(data),
        "shape of coef_": list(data.coef_shape),
        "dtype": str(np.dtype(data.dtype)),
        "checksum of the rows": data.mark,
    }
    with Journal(os.fspath(checkpoint), key, bool(resume)) as journal:
        yield journal

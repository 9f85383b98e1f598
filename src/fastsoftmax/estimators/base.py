"""What the package's classifiers share: predictions, files, sparse coefficients, a fit's end.

No parameters and no fit of their own. Inherited by all four.
"""

from functools import cache
from importlib import metadata

from sklearn.base import BaseEstimator, ClassifierMixin

from ..interchange.portable import Portable
from .coefficients import SparseCoefficients
from .prediction import LinearPrediction

__all__ = ["LinearClassifier", "centred", "inverse_strength", "raise_if_interrupted"]


PACKAGE = __name__.partition(".")[0]


@cache
def site():
    """Where the package's metadata say that its documentation is, or None where they don't.

    The one place of the address is ``Documentation`` of ``[project.urls]`` in pyproject.toml.
    """
    try:
        entries = metadata.metadata(PACKAGE).get_all("Project-URL", [])
    except metadata.PackageNotFoundError:  # imported from a folder, without installation
        return None
    for entry in entries:
        label, _, address = entry.partition(", ")
        if label == "Documentation":
            return address.rstrip("/")
    return None


class LinearClassifier(
    Portable, LinearPrediction, SparseCoefficients, ClassifierMixin, BaseEstimator
):
    """A classifier of ``coef_`` and ``intercept_``, in every way but how they were found."""

    #: Of scikit-learn's diagrams, which link to the class's page: classes of this package have one.
    _doc_link_module = PACKAGE

    @property
    def _doc_link_template(self):
        """The address of a page; empty, which is no link, where no site is known."""
        return "" if site() is None else f"{site()}/api/{{page}}.html"

    def _doc_link_url_param_generator(self):
        """The name of the page, which is the class's public one; see docs/api.rst."""
        cls = type(self)
        return {"page": f"{cls.__module__.partition('.estimators')[0]}.{cls.__name__}"}

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


def centred(coef, intercept):
    """Softmax's parameters whose sums over the classes are 0, to the last place.

    What is added to all classes changes no probability, so that a descent may end anywhere; the
    penalty on coef is least with 0.
    """
    return coef - coef.mean(axis=0), intercept - intercept.mean()


def inverse_strength(alpha, weight_sum):
    """scikit-learn's ``C`` for a penalty: its objective isn't divided by the sum of the weights."""
    strength = alpha * weight_sum
    return float(1 / strength) if strength else float("inf")


def raise_if_interrupted(fitted):
    """KeyboardInterrupt where Ctrl-C ended the fit, now that the attributes are set."""
    if fitted.history.interrupted:
        n_done = len(fitted.memory.history["epoch"])
        raise KeyboardInterrupt(
            f"fit was interrupted; the estimator is that of the {n_done} epochs done"
        )

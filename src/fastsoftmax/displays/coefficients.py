"""CoefficientsDisplay: what a fitted classifier looks at, as images or as the largest by name.

Reads fitted coefficients; works for any scikit-learn classifier that has ``coef_``.
"""

import math
import textwrap

import numpy as np
from scipy import sparse
from sklearn.utils.validation import check_is_fitted

__all__ = ["CoefficientsDisplay"]


class CoefficientsDisplay:
    """Coefficients of each class: images where features form a grid, else bars by feature.

    Make it with :meth:`from_estimator` or :meth:`from_coefficients`.

    Parameters
    ----------
    coef : ndarray of shape (n_rows, n_features)
        A row an image or a panel of bars.
    names : list of str of length n_rows
        Title of each row.
    feature_names : list of str of length n_features
        For bars.
    image_shape : tuple of int or None
        (height, width), whose product is n_features; None for bars.

    Attributes
    ----------
    axes_ : ndarray of matplotlib Axes of shape (n_rows,)
    ax_ : matplotlib Axes
        The first of them, or those that were given.
    figure_ : matplotlib Figure or SubFigure
    images_ : list of AxesImage
        Empty for bars.
    bars_ : list of BarContainer
        Empty for images.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from fastsoftmax import SoftmaxClassifier
    >>> from fastsoftmax.displays import CoefficientsDisplay
    >>> classifier = SoftmaxClassifier(standardize=True).fit(*load_digits(return_X_y=True))
    >>> display = CoefficientsDisplay.from_estimator(classifier, image_shape=(8, 8))
    """

    def __init__(self, coef, names, feature_names, image_shape):
        self.coef = coef
        self.names = names
        self.feature_names = feature_names
        self.image_shape = image_shape

    @classmethod
    def from_estimator(
        cls,
        estimator,
        *,
        image_shape=None,
        feature_names=None,
        standardized=True,
        classes=None,
        **plot_arguments,
    ):
        """Draw the coefficients of a fitted classifier.

        Parameters
        ----------
        estimator : SoftmaxClassifier
            Fitted, or another linear classifier with ``coef_`` and ``classes_``.
        image_shape : tuple of two int or None, default=None
            (height, width) of the grid that features form row by row; None draws bars.
        feature_names : list of str or None, default=None
            None takes ``feature_names_in_``, or "feature 0", ...
        standardized : bool, default=True
            Multiply each coefficient by the ``scale_`` of its feature if there is one, which makes
            features of different units comparable.
        classes : array-like or None, default=None
            Labels to draw, of those in ``classes_``; None for all. Two classes share one row.
        **plot_arguments : dict
            Handed to :meth:`plot`.

        Returns
        -------
        display : CoefficientsDisplay

        Raises
        ------
        ValueError
            If the shape or the names don't fit the features, or a label is not known.
        NotFittedError
            If the estimator isn't fitted.
        """
        check_is_fitted(estimator, "coef_")
        coef = estimator.coef_
        coef = coef.toarray() if sparse.issparse(coef) else np.asarray(coef)
        if standardized and hasattr(estimator, "scale_"):
            coef = coef * estimator.scale_
        labels = estimator.classes_.tolist()
        if len(coef) == 1:
            names, rows = [f"{labels[0]} < 0 < {labels[1]}"], [0]
        else:
            wanted = labels if classes is None else list(classes)
            unknown = [label for label in wanted if label not in labels]
            if unknown:
                raise ValueError(f"classes must be labels out of {labels}; got {unknown}")
            names, rows = [str(w) for w in wanted], [labels.index(label) for label in wanted]
        if feature_names is None:
            feature_names = getattr(estimator, "feature_names_in_", None)
        return cls.from_coefficients(
            coef[rows],
            names,
            image_shape=image_shape,
            feature_names=feature_names,
            **plot_arguments,
        )

    @classmethod
    def from_coefficients(
        cls, coef, names, *, image_shape=None, feature_names=None, **plot_arguments
    ):
        """Draw coefficients that are given.

        Parameters
        ----------
        coef : array-like of shape (n_rows, n_features)
        names : list of str of length n_rows
        image_shape : tuple of two int or None, default=None
            (height, width) of the grid that features form row by row; None draws bars.
        feature_names : list of str or None, default=None
            None is "feature 0", ...
        **plot_arguments : dict
            Handed to :meth:`plot`.

        Returns
        -------
        display : CoefficientsDisplay

        Raises
        ------
        ValueError
            If shapes and names don't fit each other.
        """
        coef = np.asarray(coef, dtype=np.float64)
        if coef.ndim != 2 or not coef.size or len(names) != len(coef):
            raise ValueError(
                f"coef must be a matrix with a row for each of the {len(names)} names; got shape "
                f"{coef.shape}"
            )
        n_features = coef.shape[1]
        if feature_names is None:
            feature_names = [f"feature {j}" for j in range(n_features)]
        feature_names = [str(name) for name in feature_names]
        if len(feature_names) != n_features:
            raise ValueError(
                f"feature_names must have one name for each of the {n_features} features; got "
                f"{len(feature_names)}"
            )
        if image_shape is not None:
            image_shape = tuple(int(length) for length in image_shape)
            if len(image_shape) != 2 or math.prod(image_shape) != n_features:
                raise ValueError(
                    f"image_shape must be (height, width) of {n_features} features in all; got "
                    f"{image_shape}"
                )
        return cls(coef, list(names), feature_names, image_shape).plot(**plot_arguments)

    def plot(self, ax=None, *, n_columns=None, n_top=10, cmap="RdBu_r", colorbar=True):
        """Draw, once more if it was drawn already.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            To draw in: it is divided if there are several rows. None makes a new figure.
        n_columns : int or None, default=None
            Panels side by side; None is 5 images or 3 panels of bars, at most.
        n_top : int, default=10
            Bars a panel: the features with the largest absolute coefficients.
        cmap : str or Colormap, default="RdBu_r"
            Of images; its middle is 0.
        colorbar : bool, default=True
            Beside images.

        Returns
        -------
        self : CoefficientsDisplay
        """
        if n_columns is None:
            n_columns = 5 if self.image_shape else 3
        n_columns = min(n_columns, len(self.coef))
        n_lines = -(-len(self.coef) // n_columns)
        n_top = min(n_top, self.coef.shape[1])
        self._make_axes(ax, n_lines, n_columns, n_top)
        self.images_, self.bars_ = [], []
        for panel, coef, name in zip(self.axes_, self.coef, self.names, strict=True):
            panel.set_title(textwrap.fill(name, 18 if self.image_shape else 32), fontsize=10)
            if self.image_shape:
                self._draw_image(panel, coef, cmap)
            else:
                self._draw_bars(panel, coef, n_top)
        if self.image_shape and colorbar:
            self.figure_.colorbar(
                self.images_[0], ax=list(self.axes_), label="coefficient", shrink=0.8, pad=0.02
            )
        return self

    def _make_axes(self, ax, n_lines, n_columns, n_top):
        """A grid of axes in a new figure, or in the place of ``ax``."""
        if ax is None:
            from ._axes import new_figure

            if self.image_shape:
                aspect = self.image_shape[0] / self.image_shape[1]
                size = (1.6 * n_columns + 1.2, (1.6 * min(max(aspect, 0.3), 3) + 0.35) * n_lines)
            else:
                size = (max(3.4 * n_columns, 4.2), (0.24 * n_top + 0.8) * n_lines)
            self.figure_ = new_figure(size)
            grid = self.figure_.subplots(n_lines, n_columns, squeeze=False)
            self.ax_ = grid[0, 0]
        else:
            self.ax_, self.figure_ = ax, ax.figure
            if len(self.coef) == 1:
                grid = np.array([[ax]])
            else:
                ax.set_axis_off()
                inner = ax.get_subplotspec().subgridspec(n_lines, n_columns)
                grid = inner.subplots(squeeze=False)
        self.axes_ = grid.ravel()[: len(self.coef)]
        for unused in grid.ravel()[len(self.coef) :]:
            unused.remove()

    def _draw_image(self, panel, coef, cmap):
        limit = np.abs(self.coef).max() or 1.0
        image = panel.imshow(
            coef.reshape(self.image_shape), cmap=cmap, vmin=-limit, vmax=limit, interpolation="none"
        )
        panel.set(xticks=[], yticks=[])
        self.images_.append(image)

    def _draw_bars(self, panel, coef, n_top):
        """The largest on top; the sign by place and colour."""
        top = np.argsort(-np.abs(coef), kind="stable")[:n_top][::-1]
        colors = ["tab:red" if value > 0 else "tab:blue" for value in coef[top]]
        self.bars_.append(panel.barh(np.arange(len(top)), coef[top], color=colors))
        panel.set_yticks(np.arange(len(top)), [_shortened(self.feature_names[j]) for j in top])
        panel.tick_params(labelsize=8)
        panel.axvline(0, color="0.4", lw=0.8)
        panel.set_xlabel("coefficient", fontsize=9)


def _shortened(name, length=28):
    """A name that leaves room for the bars: its start and its end, which often holds a number."""
    end = length // 2 - 1
    return name if len(name) <= length else f"{name[: length - end - 1]}…{name[-end:]}"

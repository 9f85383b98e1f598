"""Pictures of an evaluation, as files; the displays draw what is of the classifier itself.

Imported only where pictures are wanted. Called by evaluate.py.
"""

import os

try:
    from matplotlib.figure import Figure
except ImportError as error:
    raise ImportError('--plot needs matplotlib: pip install "fastsoftmax[plot]"') from error

from ..displays import CoefficientsDisplay, LossCurveDisplay
from ..interchange.replacing import replacing

__all__ = ["draw"]

#: Classes of which there is a panel, or a name on an axis.
MOST_PANELS = 12
MOST_NAMES = 30


def draw(folder, model, feature_names, measures):
    """Save the pictures that there is something to show for; gives their paths."""
    os.makedirs(folder, exist_ok=True)
    figures = {
        "calibration": _calibration(measures),
        "coefficients": _coefficients(model, feature_names),
    }
    if measures.confusion is not None:
        figures["confusion"] = _confusion(measures)
    if len(getattr(model, "loss_curve_", ())):
        figures["loss_curve"] = _figure((7, 4.4))
        LossCurveDisplay.from_estimator(model, ax=figures["loss_curve"].add_subplot())
    paths = []
    for name, figure in sorted(figures.items()):
        paths.append(os.path.join(folder, f"{name}.png"))
        with replacing(paths[-1]) as temporary:
            figure.savefig(temporary, format="png", dpi=150)
    return paths


def _figure(size):
    return Figure(figsize=size, layout="constrained")


def _confusion(measures):
    """Shares of the rows of each class, so that rare ones are seen too."""
    counts, labels = measures.confusion, [str(label) for label in measures.classes.tolist()]
    total = counts.sum(axis=1, keepdims=True)
    side = min(max(0.45 * len(labels), 4), 14)
    figure = _figure((side + 1.2, side))
    ax = figure.add_subplot()
    shares = counts / total.clip(min=1e-300)
    image = ax.imshow(shares, cmap="Blues", vmin=0, vmax=1, interpolation="none")
    figure.colorbar(image, ax=ax, label="share of the class", shrink=0.8)
    ax.set(xlabel="predicted", ylabel="true")
    if len(labels) <= MOST_NAMES:
        ax.set_xticks(range(len(labels)), labels, rotation=90 if max(map(len, labels)) > 3 else 0)
        ax.set_yticks(range(len(labels)), labels)
        for i, j in zip(*counts.nonzero(), strict=True):
            color = "white" if shares[i, j] > 0.5 else "0.2"
            ax.text(j, i, f"{counts[i, j]:.0f}", ha="center", va="center", fontsize=8, color=color)
    return figure


def _calibration(measures):
    figure = _figure((5, 5))
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    met = measures.bin_weight > 0
    weight = measures.bin_weight[met]
    above.plot([0, 1], [0, 1], color="0.6", ls="--", lw=1)
    above.plot(
        measures.bin_probability[met] / weight, measures.bin_correct[met] / weight, marker="o"
    )
    above.set(ylabel="share that is right", ylim=(0, 1.02), aspect="auto")
    n_bins = len(measures.bin_weight)
    starts = [k / n_bins for k in range(n_bins)]
    below.bar(starts, measures.bin_weight, width=0.9 / n_bins, align="edge", color="0.6")
    below.set(xlabel="probability of the predicted class", ylabel="rows", xlim=(0, 1))
    for ax in (above, below):
        ax.grid(alpha=0.25)
    return figure


def _coefficients(model, feature_names):
    classes = model.classes_
    n_panels = 1 if len(classes) == 2 else min(len(classes), MOST_PANELS)
    n_columns = min(3, n_panels)
    n_lines = -(-n_panels // n_columns)
    figure = _figure((max(3.4 * n_columns, 4.2), 3.2 * n_lines))
    CoefficientsDisplay.from_estimator(
        model,
        feature_names=feature_names,
        classes=None if len(classes) == 2 else classes[:n_panels].tolist(),
        ax=figure.add_subplot(),
    )
    return figure

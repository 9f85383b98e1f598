"""``fastsoftmax evaluate``: how good a classifier is, in numbers and pictures."""

import numpy as np

from .measures import measure
from .reading import open_model, open_rows
from .reporting import Result, table

__all__ = ["evaluate"]

#: Classes of which a table shows all.
MOST_IN_TABLE = 40
MOST_IN_CONFUSION = 20


def evaluate(options, console):
    """Read, measure, and tell; draw if that is wanted."""
    if options.plot:
        from . import pictures  # or an error, before anything is read
    model, names, label, hashing = open_model(options.model)
    model.n_jobs = options.jobs
    opened = open_rows(
        options,
        console.progress,
        features=names,
        n_features=model.n_features_in_,
        label=label,
        hashing=hashing,
    )
    measures = measure(model, opened.source)
    document, text = measures.document, _text(measures)
    if options.plot:
        document["pictures"] = pictures.draw(options.plot, model, names, measures)
        text += "\n\n" + "\n".join(f"picture: {path}" for path in document["pictures"])
    return Result(document, text)


def _text(measures):
    return "\n\n".join(
        [
            f"{measures.n_rows} rows: accuracy {measures.accuracy:.4f}, log-loss "
            f"{measures.log_loss:.4f}",
            _of_classes(measures),
            _confusion(measures),
            _calibration(measures),
        ]
    )


def _of_classes(measures):
    """A line a class, or those of the classes that are found worst."""
    values, labels = measures.of_classes, measures.classes.tolist()
    shown, above = range(len(labels)), []
    if len(labels) > MOST_IN_TABLE:
        shown = np.argsort(np.nan_to_num(values["f1"], nan=2), kind="stable")[:MOST_IN_TABLE]
        above = [f"the {MOST_IN_TABLE} of {len(labels)} classes of the lowest F1; --json has all"]
    rows = [("class", "precision", "recall", "F1", "rows")]
    for k in shown:
        ratios = (_ratio(values[name][k]) for name in ("precision", "recall", "f1"))
        rows.append((str(labels[k]), *ratios, _count(values["support"][k])))
    return "\n".join([*above, table(rows)])


def _confusion(measures):
    """The matrix, or the pairs of classes that are taken for each other most often."""
    labels = [str(label) for label in measures.classes.tolist()]
    if measures.confusion is None:
        return f"confusion matrix: not made of {len(labels)} classes"
    if len(labels) <= MOST_IN_CONFUSION:
        rows = [("true \\ predicted", *labels)]
        for label, counts in zip(labels, measures.confusion, strict=True):
            rows.append((label, *map(_count, counts)))
        return table(rows)
    wrong = measures.confusion.copy()
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind="stable")[:MOST_IN_CONFUSION]
    rows = [("true", "predicted", "rows")]
    for true, predicted in zip(*np.unravel_index(order, wrong.shape), strict=True):
        if wrong[true, predicted] > 0:
            rows.append((labels[true], labels[predicted], _count(wrong[true, predicted])))
    return f"most often taken for each other\n{table(rows)}"


def _calibration(measures):
    """How often predictions are right, by how sure they are."""
    rows = [("probability", "mean", "right", "rows")]
    n_bins = len(measures.bin_weight)
    for k, weight in enumerate(measures.bin_weight):
        if weight > 0:
            mean, right = measures.bin_probability[k] / weight, measures.bin_correct[k] / weight
            rows.append(
                (
                    f"{k / n_bins:.1f}–{(k + 1) / n_bins:.1f}",
                    _ratio(mean),
                    _ratio(right),
                    _count(weight),
                )
            )
    return f"calibration: {measures.calibration_error:.4f} off on average\n{table(rows)}"


def _count(weight):
    """Rows, or what they weigh."""
    return f"{weight:.0f}" if weight == round(weight) else f"{weight:.1f}"


def _ratio(value):
    return "–" if np.isnan(value) else f"{value:.4f}"

"""``fastsoftmax show``: what a saved classifier is, and how it was made."""

from .reading import open_model
from .reporting import Result

__all__ = ["show"]

#: Names that a line has, at most.
MOST_NAMES = 10


def show(options, console):
    """Read the model and tell of it."""
    model, names, label, hashing = open_model(options.model)
    curve = getattr(model, "loss_curve_", ())
    document = {
        "model": options.model,
        "estimator": type(model).__name__,
        "parameters": _changed(model),
        "features": model.n_features_in_,
        "feature_names": names,
        "text": None if hashing is None else hashing.columns,
        "label": label,
        "classes": model.classes_,
        "dtype": str(model.coef_.dtype),
        "alpha": getattr(model, "alpha_", getattr(model, "alpha", None)),
        "passes": len(curve) or None,
        "objective": float(curve[-1]) if len(curve) else None,
        "converged": getattr(model, "converged_", None),
        "suboptimality": getattr(model, "suboptimality_", None),
        "suboptimality_bound": getattr(model, "suboptimality_bound_", None),
    }
    return Result(document, _text(document))


def _changed(model):
    """The parameters that are not as they come."""
    defaults = type(model)().get_params(deep=False)
    parameters = model.get_params(deep=False).items()
    return {name: value for name, value in parameters if repr(value) != repr(defaults[name])}


def _text(document):
    parameters = [f"{name}={value!r}" for name, value in document["parameters"].items()]
    classes = document["classes"].tolist()
    rows = [
        ("estimator", f"{document['estimator']}({', '.join(parameters)})"),
        ("features", _some(document["features"], document["feature_names"])),
        ("classes", _some(len(classes), classes)),
        ("coefficients", f"{document['dtype']}"),
    ]
    if document["text"] is not None:
        columns = ", ".join(document["text"])
        rows[1] = ("features", f"{document['features']}: words and pairs of words of {columns}")
    if document["label"] is not None:
        rows.insert(2, ("label", document["label"]))
    if document["alpha"] is not None:
        rows.append(("alpha", f"{document['alpha']:.4g}"))
    if document["objective"] is not None:
        rows.append(("objective", f"{document['objective']:.5f} after {document['passes']} passes"))
    if document["suboptimality"] is not None:
        distance = (
            f"{document['suboptimality']:.1e} by estimate, "
            f"{document['suboptimality_bound']:.1e} at most"
        )
        if not document["converged"]:
            distance += "; not converged"
        rows.append(("above minimum", distance))
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name.ljust(width)}  {value}" for name, value in rows)


def _some(number, names):
    """How many, and the first of them."""
    if not names:
        return str(number)
    more = f", … {names[-1]}" if len(names) > MOST_NAMES else ""
    return f"{number}: {', '.join(map(str, names[:MOST_NAMES]))}{more}"

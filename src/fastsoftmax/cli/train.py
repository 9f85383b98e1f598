"""``fastsoftmax train``: a classifier of files, saved."""

import os
import time

import numpy as np

from ..estimators import SoftmaxClassifier, SoftmaxClassifierCV
from ..interchange.files import require_safetensors
from .formats import paths_of
from .measures import measure
from .reading import held, open_rows
from .reporting import Result, UsageError
from .writing import check_output

__all__ = ["train"]

#: Options that are parameters of the same meaning; None leaves the parameter's default.
OF_BOTH = {
    "standardize": "standardize",
    "class_weight": "class_weight",
    "tol": "tol",
    "max_iter": "max_iter",
    "dtype": "dtype",
    "seed": "random_state",
    "jobs": "n_jobs",
}
OF_ONE = {"alpha": "alpha", "solver": "solver", "early_stopping": "early_stopping"}


def train(options, console):
    """Read, fit, save, and tell what came of it."""
    _check(options)
    opened = open_rows(options, console.progress)
    if opened.left_out:
        why = "--text names others" if options.text else "they hold no numbers"
        console.say(f"left out, as {why}: {', '.join(opened.left_out)}")
    validation = _validation(options, console, opened)
    start = time.perf_counter()
    fit = _fit_by_folds if options.cv else _fit
    model, interrupt = fit(options, console, opened.source, validation)
    seconds = time.perf_counter() - start
    if not hasattr(model, "coef_"):
        raise KeyboardInterrupt(
            f"interrupted; nothing was learned yet, and {options.output} was not written"
        )
    _save(model, options, opened)
    document = _described(model, options, opened.source.n_rows, seconds)
    document["left_out"], document["interrupted"] = list(opened.left_out), interrupt
    if interrupt:
        more = "; --resume goes on from there" if options.checkpoint else ""
        console.say(
            f"interrupted; {options.output} holds what {model.n_iter_} passes have learned{more}"
        )
        return Result(document, _text(document), status=130)
    if validation is not None:
        try:
            measures = measure(model, validation.source)
        except BaseException:
            console.say(f"{options.output} is saved, and was not scored")
            raise
        document["validation"] = {
            "rows": measures.n_rows,
            "accuracy": measures.accuracy,
            "log_loss": measures.log_loss,
        }
    return Result(document, _text(document))


def _check(options):
    """An error for options that don't go together, and where the end would fail."""
    for name in ("solver", "early_stopping", "checkpoint"):
        if options.cv and getattr(options, name):
            raise UsageError(f"--{name.replace('_', '-')} doesn't go with --cv")
    if options.early_stopping and not options.validation:
        raise UsageError("--early-stopping needs --validation FILE")
    if options.validation_labels and not options.validation:
        raise UsageError("--validation-labels needs --validation FILE")
    if options.resume and not options.checkpoint:
        raise UsageError("--resume needs --checkpoint FILE")
    if not os.path.basename(options.output):
        raise UsageError(f"--output must name a file; got {options.output}")
    read = (options.files, options.labels, options.validation, options.validation_labels)
    read = [path for given in read for path in paths_of(given or ())]
    check_output(options.output, read)
    if options.checkpoint:
        check_output(options.checkpoint, [options.output, *read], "--checkpoint")
    require_safetensors()


def _validation(options, console, opened):
    """The rows of ``--validation``, or None."""
    if not options.validation:
        return None
    return open_rows(
        options,
        console.progress,
        files=options.validation,
        labels=options.validation_labels or [],
        features=opened.feature_names,
        n_features=opened.n_features,
        hashing=opened.hashing,
    )


def _parameters(options, names):
    given = {names[name]: getattr(options, name) for name in names}
    return {name: value for name, value in given.items() if value is not None}


def _fit(options, console, source, validation):
    """The classifier, and whether Ctrl-C ended it."""
    model = SoftmaxClassifier(**_parameters(options, OF_BOTH | OF_ONE))
    more = {"checkpoint": options.checkpoint, "resume": options.resume}
    if options.early_stopping:
        rows = held(validation.source) or (validation.source, None, None)
        more |= dict(zip(("X_val", "y_val", "sample_weight_val"), rows, strict=True))
    if console.progress.is_shown:
        model.callbacks = [console.progress.epoch]
    try:
        model.fit(source, **more)
    except KeyboardInterrupt:
        return model, True
    finally:
        model.callbacks = None
    return model, False


def _fit_by_folds(options, console, source, validation):
    """The same, with alpha chosen by cross-validation, over folds of blocks where rows are many."""
    rows = held(source) or (source,)
    model = SoftmaxClassifierCV(cv=options.cv, **_parameters(options, OF_BOTH))
    model.verbose = int(console.progress.is_shown)
    console.progress.close()
    try:
        model.fit(*rows)
    except KeyboardInterrupt:
        return model, True
    finally:
        model.verbose = 0
    return model, False


def _save(model, options, opened):
    """Save it with the names by which other files are read."""
    if options.label is not None:
        model._label_column = options.label
    if opened.hashing is not None:
        opened.hashing.keep(model)
    if opened.feature_names is not None:
        model.feature_names_in_ = np.array(opened.feature_names, dtype=object)
    model.save(options.output)
    vars(model).pop("feature_names_in_", None)  # it goes on with rows, which have no names


def _described(model, options, n_rows, seconds):
    """What came of it, for ``--json``."""
    document = {
        "model": options.output,
        "rows": n_rows,
        "features": model.n_features_in_,
        "classes": model.classes_,
        "alpha": getattr(model, "alpha_", getattr(model, "alpha", None)),
        "passes": len(model.loss_curve_),
        "objective": model.loss_curve_[-1] if len(model.loss_curve_) else None,
        "converged": getattr(model, "converged_", None),
        "suboptimality": getattr(model, "suboptimality_", None),
        "suboptimality_bound": getattr(model, "suboptimality_bound_", None),
        "seconds": seconds,
    }
    if options.cv:
        scores = model.scores_.mean(axis=0)
        document["cv"] = {"alphas": model.alphas_, "accuracies": scores}
    return document


def _text(document):
    """The same for people."""
    lines = [
        f"{document['rows']} rows, {document['features']} features, {len(document['classes'])} "
        f"classes; {document['passes']} passes in {document['seconds']:.2f} s"
    ]
    if "cv" in document:
        lines.append(f"alpha {document['alpha']:.4g} chosen by cross-validation")
    if document["objective"] is not None:
        lines.append(f"objective {document['objective']:.5f}")
    if document["suboptimality"] is not None:
        lines[-1] += (
            f", an estimated {document['suboptimality']:.1e} above its minimum and at most "
            f"{document['suboptimality_bound']:.1e}, which is proved"
        )
    if "validation" in document:
        scores = document["validation"]
        lines.append(
            f"validation on {scores['rows']} rows: accuracy {scores['accuracy']:.4f}, log-loss "
            f"{scores['log_loss']:.4f}"
        )
    return "\n".join([*lines, f"saved: {document['model']}"])

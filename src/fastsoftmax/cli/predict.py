"""``fastsoftmax predict``: labels of rows in files, written block by block."""

import time

from .formats import paths_of
from .reading import named_blocks, open_model, open_rows
from .reporting import Result
from .writing import check_output, columns_of, format_of, writing

__all__ = ["predict"]


def predict(options, console):
    """Read, predict, write, and tell how many."""
    kind = format_of(options.output)
    model, names, label, hashing = open_model(options.model)
    check_output(options.output, [options.model, *paths_of(options.files)])
    model.n_jobs = options.jobs
    opened = open_rows(
        options,
        console.progress,
        features=names,
        n_features=model.n_features_in_,
        label=label,
        hashing=hashing,
        is_labelled=False,
    )

    def predicted(block):
        probability = model.predict_proba(block.X) if options.proba else None
        return model.predict(block.X), probability

    start, n_rows = time.perf_counter(), 0
    try:
        with writing(options.output, model.classes_, options.proba) as write:
            for _, (labels, probability) in named_blocks(opened.source, predicted):
                write(labels, probability)
                n_rows += len(labels)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"interrupted; {options.output} was not written") from None
    seconds = time.perf_counter() - start
    if kind == "npy":
        columns = None
    else:
        columns = ["prediction", *(columns_of(model.classes_) if options.proba else [])]
    document = {"output": options.output, "rows": n_rows, "columns": columns, "seconds": seconds}
    return Result(document, f"{n_rows} rows predicted in {seconds:.2f} s\nsaved: {options.output}")

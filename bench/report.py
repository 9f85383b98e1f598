"""Turns the medians in pytest-benchmark's JSON into tables of ratios, rows we lose included.

Measures nothing. ``python -m bench.report [FILE...]`` prints the tables of result files, by default
of the newest in bench/results/: each goal beside what was reached, then what peers take.
bench/update_docs.py writes the tables with peers into docs/benchmarks.md.

What a benchmark records in its ``extra_info``:

workload, contender, n_threads
    Which row it is. Rows of one workload and number of threads make a table.
limit_seconds, numpy_limit_seconds
    The machine's limit (bench/roofline.py), by the best product known and by NumPy's own.
goal
    At most so many times the limit.
goal_seconds
    At most this time.
comparisons
    A list of ``what``, ``at_least``, and the ``workload``, ``contender`` and ``n_threads`` of
    another row: this row's rate divided by that one's is to be at least so much, or is merely of
    interest where ``at_least`` is None. ``possible``: the most that the machine allows.
accuracy, objective
    Of a whole fit.
n_classes, operations, gemm_rate
    Of a row of the sweep over the number of classes, which has no workload.
"""

import json
import sys
from pathlib import Path

RESULTS = Path(__file__).parent / "results"

#: Fastest first is what `kernels` chooses; every ratio is against the first of these present.
OURS = ("fastsoftmax", "avx512", "avx2", "baseline")

#: The functions of arrays: their workloads, "name, n × K, dtype", make one table (function_table).
FUNCTIONS = ("softmax", "log_softmax", "logsumexp", "cross_entropy", "cross_entropy_gradient")
FUNCTION_GOALS = {"wide": 2.2, "narrow": 5.0}  # times a copy, at most: 100 classes and more, fewer
FASTER_THAN_PEERS = 5.0  # at least
CALL = 1000  # values, below which a call's own cost is all that counts

#: How each contender is called in a table.
LABELS = {
    "fastsoftmax": "fastsoftmax",
    "kernel": "fastsoftmax's kernel, called directly",
    "avx512": "fastsoftmax, avx512 build",
    "avx2": "fastsoftmax, avx2 build",
    "baseline": "fastsoftmax, baseline build",
    "scalar": "plain C loops, not vectorised",
    "numpy": "NumPy",
    "reference": "fastsoftmax's NumPy reference",
    "pytorch": "PyTorch",
    "scipy": "SciPy",
    "scikit-learn": "scikit-learn LogisticRegression",
    "validation": "scikit-learn's validation of X alone",
}


def newest_result():
    """The newest JSON file in bench/results/.

    Raises
    ------
    FileNotFoundError
        If there is none.
    """
    files = sorted(RESULTS.glob("*.json"), key=lambda path: path.stat().st_mtime)
    if not files:
        raise FileNotFoundError(f"no result in {RESULTS}: run `make bench` first")
    return files[-1]


def read_rows(paths):
    """All rows of result files; of two of the same name, the later.

    Returns
    -------
    rows : list of dict
        Each the benchmark's extra_info, with ``median`` in seconds added.
    """
    rows = {}
    for path in paths:
        for entry in json.loads(Path(path).read_text(encoding="utf-8"))["benchmarks"]:
            median = entry["stats"]["median"]
            rows[entry["fullname"]] = {**entry["extra_info"], "median": median}
    return list(rows.values())


def by_workload(rows):
    """Group rows: title of the work, with its number of threads → contender → row."""
    workloads = {}
    for row in rows:
        if "workload" in row:
            workloads.setdefault(title_of(row), {})[row["contender"]] = row
    return workloads


def title_of(row):
    """A workload's name with its number of threads; of a row or of a comparison."""
    threads = row["n_threads"]
    return f"{row['workload']}, {threads} thread{'s' if threads != 1 else ''}"


def markdown(headings, rows):
    """A Markdown table whose first column is text and whose others are numbers."""
    lines = [f"| {' | '.join(headings)} |", f"|---|{'---:|' * (len(headings) - 1)}"]
    return "\n".join([*lines, *(f"| {' | '.join(cells)} |" for cells in rows)])


# --- Goals ----------------------------------------------------------------------------------------


def limit_table(rows):
    """Times as multiples of the limit, each beside its goal.

    Returns
    -------
    table : str
        "÷ limit" is by the best matrix product known, "÷ NumPy's" by that of NumPy as installed.
        The goal is held against the first; "near" says that it is met against the second alone.
    """
    cells = []
    for row in rows:
        if "goal" not in row:
            continue
        ratio = row["median"] / row["limit_seconds"]
        by_numpy = row["median"] / row.get("numpy_limit_seconds", row["limit_seconds"])
        met = "yes" if ratio <= row["goal"] else "near" if by_numpy <= row["goal"] else "no"
        label = LABELS.get(row["contender"], row["contender"])
        numbers = (f"{ratio:.2f}", f"{by_numpy:.2f}", f"{row['goal']:.2f}")
        cells.append((f"{title_of(row)}: {label}", *numbers, met))
    return markdown(("time", "÷ limit", "÷ NumPy's", "goal: at most", "met"), cells)


def latency_table(rows):
    """Calls whose goal is a time."""
    cells = [
        (
            f"{title_of(row)}: {LABELS.get(row['contender'], row['contender'])}",
            f"{row['median'] * 1e6:.1f}",
            f"{row['goal_seconds'] * 1e6:.1f}",
            "yes" if row["median"] <= row["goal_seconds"] else "no",
        )
        for row in rows
        if "goal_seconds" in row
    ]
    return markdown(("time of a call", "µs", "goal: at most", "met"), cells)


def comparison_table(rows):
    """Rates of rows as multiples of another's.

    Returns
    -------
    table : str
        "limits" is the same ratio of the two limits, where they differ: no more can be had, and
        where nine tenths of it are reached the goal is met "as limits allow".
    """
    workloads = by_workload(rows)
    cells = []
    for row in rows:
        for comparison in row.get("comparisons", ()):
            other = workloads.get(title_of(comparison), {}).get(comparison["contender"])
            if other is None:
                continue
            ratio = other["median"] / row["median"]
            possible, goal = comparison.get("possible"), comparison["at_least"]
            if row["n_threads"] != other["n_threads"] and "limit_seconds" in row:
                possible = other["limit_seconds"] / row["limit_seconds"]
            met = "" if goal is None else "yes" if ratio >= goal else "no"
            if met == "no" and possible is not None and ratio >= 0.9 * possible:
                met = "as limits allow"
            cells.append(
                (
                    f"{comparison['what']}: {title_of(row)}, {row['contender']}",
                    f"{ratio:.2f}",
                    "" if possible is None else f"{possible:.2f}",
                    "" if goal is None else f"{goal:.2f}",
                    met,
                )
            )
    return markdown(("rate ÷ rate", "ratio", "limits", "goal: at least", "met"), sorted(cells))


def classes_table(rows):
    """The rate of an epoch at each number of classes, as a share of the best there is."""
    cells = [
        (
            str(row["n_classes"]),
            f"{row['operations'] / row['median'] / 1e9:.1f}",
            f"{row['operations'] / row['median'] / row['gemm_rate']:.2f}",
        )
        for row in sorted(rows, key=lambda row: row.get("n_classes", 0))
        if "n_classes" in row
    ]
    return markdown(("classes", "GFLOP/s", "÷ the best product's"), cells)


def is_function(row):
    """Whether a row belongs to function_table."""
    return row.get("workload", "").split(",")[0] in FUNCTIONS


def function_table(rows):
    """Functions of arrays: ours as a multiple of a copy, and peers as multiples of ours.

    Returns
    -------
    table : str
        The goals are met where ours takes at most 2.2 copies, or 5 with fewer than 100 classes, and
        each peer at least five times ours. A small call has none: see its microseconds.
    """
    peers = [
        name
        for name in ("PyTorch", "SciPy", "NumPy")
        if any(is_function(row) and row["contender"] == name for row in rows)
    ]
    cells = []
    for title, contenders in by_workload(filter(is_function, rows)).items():
        ours = contenders.get(OURS[0])
        if ours is None:
            continue
        n_samples, n_classes = (int(size) for size in title.split(", ")[1].split(" × "))
        copies = ours["median"] / ours["limit_seconds"]
        ratios = {
            name: contenders[name]["median"] / ours["median"]
            for name in peers
            if name in contenders
        }
        goal = FUNCTION_GOALS["wide" if n_classes >= 100 else "narrow"]
        fast = all(ratio >= FASTER_THAN_PEERS for name, ratio in ratios.items() if name != "NumPy")
        is_call = n_samples * n_classes < CALL
        cells.append(
            (
                title,
                f"{1e6 * ours['median']:.2f}",
                f"{copies:.2f}",
                "" if is_call else f"{goal:.1f}",
                *(f"{ratios[name]:.1f}" if name in ratios else "" for name in peers),
                "" if is_call else "yes" if copies <= goal and fast else "no",
            )
        )
    headings = ("function", "µs", "÷ a copy", "goal: at most")
    return markdown((*headings, *(f"{name} ÷ ours" for name in peers), "met"), cells)


# --- Peers ----------------------------------------------------------------------------------------


def workload_table(title, contenders):
    """One workload as a Markdown table, fastest row first.

    Parameters
    ----------
    title : str
    contenders : dict of str to dict, as :func:`by_workload` gives

    Returns
    -------
    table : str
        The ratio of each time to ours, and what else the rows carry: the ratio to the machine's
        limit, the accuracy, the objective.
    """
    ours = next((name for name in OURS if name in contenders), None)
    if ours is None:
        raise ValueError(f"workload {title!r} has no row of fastsoftmax: {sorted(contenders)}")
    columns = {"time ÷ ours": lambda row: f"{row['median'] / contenders[ours]['median']:.2f}"}
    optional = {
        "limit_seconds": (
            "time ÷ limit",
            lambda row: f"{row['median'] / row['limit_seconds']:.2f}",
        ),
        "accuracy": ("test accuracy", lambda row: f"{row['accuracy']:.4f}"),
        "objective": ("objective", lambda row: f"{row['objective']:.4f}"),
    }
    for key, (heading, cell) in optional.items():
        if all(key in row for row in contenders.values()):
            columns[heading] = cell
    rows = [
        (LABELS.get(name, name), *(cell(row) for cell in columns.values()))
        for name, row in sorted(contenders.items(), key=lambda item: item[1]["median"])
    ]
    return f"**{title}**\n\n" + markdown((" ", *columns), rows)


def peer_tables(rows):
    """The workloads that a peer took part in, as one Markdown text; functions are left out."""
    workloads = by_workload(row for row in rows if not is_function(row))
    return "\n\n".join(
        workload_table(title, contenders)
        for title, contenders in workloads.items()
        if any(name not in OURS for name in contenders) and any(name in OURS for name in contenders)
    )


def documented_tables(paths):
    """What docs/benchmarks.md shows: peers, one thread, ratios alone.

    Raises
    ------
    ValueError
        If there is nothing to show.
    """
    rows = [row for row in read_rows(paths) if row.get("n_threads") == 1]
    tables = [peer_tables(rows)]
    single = [row for row in rows if is_function(row) and row["workload"].endswith("float32")]
    if single:
        columns = []
        for line in function_table(single).splitlines():
            cells = line.strip("|").split("|")
            # No microseconds, goals or verdicts: those are for us.
            columns.append("|".join(["", cells[0], cells[2], *cells[4:-1], ""]))
        tables.append("**Functions of arrays, float32, 1 thread**\n\n" + "\n".join(columns))
    if not any(tables):
        raise ValueError(f"no workload with a peer in {', '.join(map(str, paths))}")
    return "\n\n".join(filter(None, tables))


def report(paths):
    """Everything in result files as one Markdown text: goals first, then peers."""
    rows = read_rows(paths)
    parts = {
        "Times and the machine's limit": limit_table(rows),
        "Times of single calls": latency_table(rows),
        "Functions of arrays": function_table(rows),
        "Rates compared": comparison_table(rows),
        "An epoch at 2048 × 784 by number of classes": classes_table(rows),
    }
    texts = [f"## {title}\n\n{table}" for title, table in parts.items() if table.count("\n") > 1]
    peers = peer_tables(rows)
    if peers:
        texts.append(f"## Peers\n\n{peers}")
    if not texts:
        raise ValueError(f"nothing that this report knows in {', '.join(map(str, paths))}")
    return "\n\n".join(texts)


def main(arguments):
    """Print the tables of the files named, or of the newest."""
    print(report(arguments or [newest_result()]))


if __name__ == "__main__":
    main(sys.argv[1:])

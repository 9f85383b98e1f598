"""Turns the medians in pytest-benchmark's JSON into tables of ratios, rows we lose included.

Measures nothing. ``python -m bench.report [FILE]`` prints the tables of a result file, by default
the newest in bench/results/; bench/update_readme.py writes the same tables into the README.
"""

import json
import sys
from pathlib import Path

RESULTS = Path(__file__).parent / "results"

#: Fastest first is what `kernels` chooses; every ratio is against the first of these present.
OURS = ("fastsoftmax", "avx512", "avx2", "baseline")

#: How each contender is called in a table.
LABELS = {
    "fastsoftmax": "fastsoftmax",
    "avx512": "fastsoftmax, avx512 build",
    "avx2": "fastsoftmax, avx2 build",
    "baseline": "fastsoftmax, baseline build",
    "numpy": "float32 NumPy loop",
    "reference": "fastsoftmax's NumPy reference",
    "pytorch": "PyTorch loop",
    "scikit-learn": "scikit-learn LogisticRegression",
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


def read_workloads(path):
    """Group a result file by workload.

    Returns
    -------
    workloads : dict of str to dict of str to dict
        workload → contender → its extra_info, with ``median`` in seconds added.
    """
    workloads = {}
    for entry in json.loads(Path(path).read_text(encoding="utf-8"))["benchmarks"]:
        info = entry["extra_info"]
        if "workload" not in info:
            continue
        threads = info["n_threads"]
        title = f"{info['workload']}, {threads} thread{'s' if threads != 1 else ''}"
        workloads.setdefault(title, {})[info["contender"]] = {
            **info,
            "median": entry["stats"]["median"],
        }
    return workloads


def workload_table(title, contenders):
    """One workload as a Markdown table, fastest row first.

    Parameters
    ----------
    title : str
    contenders : dict of str to dict, as :func:`read_workloads` gives

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
        "time ÷ limit": lambda row: f"{row['median'] / row['limit_seconds']:.2f}",
        "test accuracy": lambda row: f"{row['accuracy']:.4f}",
        "objective": lambda row: f"{row['objective']:.4f}",
    }
    for (heading, cell), key in zip(
        optional.items(), ("limit_seconds", "accuracy", "objective"), strict=True
    ):
        if all(key in row for row in contenders.values()):
            columns[heading] = cell
    lines = [
        f"**{title}**",
        "",
        f"| | {' | '.join(columns)} |",
        f"|---|{'---:|' * len(columns)}",
    ]
    for name, row in sorted(contenders.items(), key=lambda item: item[1]["median"]):
        cells = " | ".join(cell(row) for cell in columns.values())
        lines.append(f"| {LABELS.get(name, name)} | {cells} |")
    return "\n".join(lines)


def report(path):
    """All tables of a result file as one Markdown text."""
    workloads = read_workloads(path)
    if not workloads:
        raise ValueError(f"{path} holds no workload that this report knows")
    return "\n\n".join(workload_table(title, rows) for title, rows in workloads.items())


def main(arguments):
    """Print the tables of the file named, or of the newest."""
    print(report(arguments[0] if arguments else newest_result()))


if __name__ == "__main__":
    main(sys.argv[1:])

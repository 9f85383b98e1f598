"""How long until the objective is within 1e-4 of its optimum: a table, and a picture.

Every fit is a process of its own (bench/run_peer.py) on two threads, with a limit of time. A peer
is run as it comes, and then with growing caps on its iterations, each fit from the start, until it
is near enough; the cap is then narrowed to 10 %, so that its time is that of a user who knew when
to stop. fastsoftmax is only judged as it comes. A peer whose objective is another's is shown with
what it reaches and without a time. Asserts nothing. Run by hand:
``python -m bench.bench_time_to_optimum [--problems NAME...] [--peers NAME...] [--prefix COMMAND]``
Results add up in bench/results/time_to_optimum.json; ``--draw`` measures nothing.
"""

import argparse
import json
import math
import os
import shlex
import subprocess
import sys
from pathlib import Path

from bench.fit_data import PROBLEMS, RESULTS, prepared
from bench.optimum import optimum
from bench.run_peer import LIMIT, PEERS

TARGET = 1e-4  # of the suboptimality, absolute
NARROW = 1.1  # the ratio of caps at which narrowing ends
N_THREADS = 2
FILE = RESULTS / "time_to_optimum.json"
PICTURE = Path(__file__).parent.parent / "docs" / "time_to_optimum.png"
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")


class Runs:
    """The fits of one peer on one problem."""

    def __init__(self, name, problem, best, prefix):
        self.name, self.problem, self.best, self.prefix = name, problem, best, prefix
        self.points = []

    def run(self, effort):
        """One fit; None if it takes too long.

        Raises
        ------
        RuntimeError
            If the peer fails, or isn't installed.
        """
        command = [*self.prefix, sys.executable, "-m", "bench.run_peer", self.name, self.problem]
        if effort is not None:
            command.append(str(effort))
        environment = os.environ | dict.fromkeys(THREADS, str(N_THREADS))
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode and "Timeout (" in done.stderr:
            print(f"  {self.name:16s} {effort!s:>6}  > {LIMIT:g} s", flush=True)
            return None
        if done.returncode:
            raise RuntimeError(done.stderr.strip().splitlines()[-1])
        point = json.loads(done.stdout.splitlines()[-1])
        point |= {"effort": effort, "suboptimality": point["objective"] - self.best}
        self.points.append(point)
        print(
            f"  {self.name:16s} {effort!s:>6} {point['seconds']:9.3f} s "
            f"{point['suboptimality']:9.1e}  accuracy {point['accuracy']:.4f}",
            flush=True,
        )
        return point

    def search(self):
        """As it comes, growing caps, narrowing, and two caps beyond for the picture."""
        self.run(None)
        if self.name == "fastsoftmax":
            for effort in range(2, 17, 2):
                self.run(effort)
            return
        if not PEERS[self.name].comparable:
            return
        below, point = None, self.run(PEERS[self.name].first_effort)
        while point and point["suboptimality"] > TARGET:
            growth = min(2.0, 0.95 * LIMIT / point["seconds"])
            if growth < NARROW or _stands_still(below, point):
                return
            below, point = point, self.run(math.ceil(point["effort"] * growth))
        if point:
            self._narrow(below, point)
            for growth in (1.5, 2.25):
                if point["seconds"] * growth < LIMIT / 4:
                    self.run(math.ceil(point["effort"] * growth))

    def _narrow(self, below, point):
        """Between a cap that is too low and one that isn't, by their logarithms."""
        while below and point["effort"] > max(NARROW * below["effort"], below["effort"] + 1):
            few, many = below["effort"], point["effort"]
            high, low = (math.log(max(p["suboptimality"], 1e-12)) for p in (below, point))
            share = (high - math.log(TARGET)) / (high - low)
            middle = round(few + (many - few) * min(max(share, 0.15), 0.85))
            tried = self.run(min(max(middle, few + 1), many - 1))
            if tried is None:
                return
            below, point = (below, tried) if tried["suboptimality"] <= TARGET else (tried, point)


def _stands_still(before, now):
    """Whether a peer has ended by itself, so that more iterations are not made."""
    return before is not None and math.isclose(before["objective"], now["objective"], rel_tol=1e-12)


def time_to_target(name, points):
    """Seconds, or None if it was not reached; ours as it comes, a peer's at its best cap."""
    counted = [p for p in points if p["effort"] is None] if name == "fastsoftmax" else points
    return min((p["seconds"] for p in counted if p["suboptimality"] <= TARGET), default=None)


def table(results):
    """Markdown: a row a peer and problem, the fastest first."""
    lines = [
        "| data | contender | to 1e-4 | ÷ ours | as it comes | above the optimum | test accuracy |",
        "|---|---|---|---|---|---|---|",
    ]
    for problem, peers in results.items():
        times = {name: time_to_target(name, points) for name, points in peers.items()}
        ours = times.get("fastsoftmax")
        for name in sorted(times, key=lambda name: times[name] or math.inf):
            plain = next((p for p in peers[name] if p["effort"] is None), None)
            seconds = times[name]
            if not PEERS[name].comparable:
                reached, ratio = "another objective", ""
            elif seconds is None:
                slowest = max((p["seconds"] for p in peers[name]), default=LIMIT)
                reached = f"> {LIMIT:g} s" if slowest > LIMIT / 2 else "not reached"
                ratio = ""
            else:
                reached = f"{seconds:.3g} s"
                ratio = f"{seconds / ours:.2f}" if ours else ""
            cells = (
                (
                    f"{plain['seconds']:.3g} s",
                    f"{plain['suboptimality']:.1e}",
                    f"{plain['accuracy']:.4f}",
                )
                if plain
                else (f"> {LIMIT:g} s", "", "")
            )
            lines.append(
                f"| {problem} | {PEERS[name].label} | {reached} | {ratio} | {' | '.join(cells)} |"
            )
    return "\n".join(lines)


def draw(results, path):
    """A panel a problem: suboptimality against seconds, a line a peer."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    columns = min(3, len(results))
    rows = -(-len(results) // columns)
    figure, panels = pyplot.subplots(
        rows, columns, figsize=(4.3 * columns, 3.6 * rows), layout="constrained", squeeze=False
    )
    colours = {name: f"C{i}" for i, name in enumerate(PEERS)}
    for panel, (problem, peers) in zip(panels.flat, results.items(), strict=False):
        for name, points in peers.items():
            if not PEERS[name].comparable:
                continue
            line = sorted(
                (p["seconds"], max(p["suboptimality"], 1e-9))
                for p in points
                if p["effort"] is not None
            )
            panel.plot(
                *zip(*line, strict=True),
                ".-",
                color=colours[name],
                label=PEERS[name].label,
                linewidth=2.2 if name == "fastsoftmax" else 1.2,
            )
            panel.plot(
                [p["seconds"] for p in points if p["effort"] is None],
                [max(p["suboptimality"], 1e-9) for p in points if p["effort"] is None],
                "*" if name == "fastsoftmax" else "o",
                color=colours[name],
                markersize=9,
                markerfacecolor="none",
            )
        panel.axhline(TARGET, color="0.6", linestyle="--", linewidth=1)
        panel.set(xscale="log", yscale="log", title=problem)
        panel.grid(alpha=0.3)
    for panel in panels.flat[len(results) :]:
        panel.set_axis_off()
    for panel in panels[:, 0]:
        panel.set_ylabel("above the optimum")
    for panel in panels[-1]:
        panel.set_xlabel("seconds, call to return")
    handles = dict(
        zip(
            *reversed(
                [
                    [
                        handle
                        for panel in panels.flat
                        for handle in panel.get_legend_handles_labels()[0]
                    ],
                    [
                        label
                        for panel in panels.flat
                        for label in panel.get_legend_handles_labels()[1]
                    ],
                ]
            ),
            strict=True,
        )
    )
    figure.legend(
        handles.values(), handles.keys(), loc="outside lower center", ncols=4, frameon=False
    )
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def main(arguments):
    """Measure what is asked for, add it to the results, print the table and draw the picture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--problems", nargs="*", choices=PROBLEMS, default=list(PROBLEMS))
    parser.add_argument("--peers", nargs="*", choices=PEERS, default=list(PEERS))
    parser.add_argument(
        "--prefix", default="", help="of each fit's command, such as 'taskset -c 0,1'"
    )
    parser.add_argument("--draw", action="store_true", help="only draw what was measured")
    options = parser.parse_args(arguments)
    results = json.loads(FILE.read_text()) if FILE.exists() else {}
    for problem in [] if options.draw else options.problems:
        best = optimum(prepared(problem))[0]
        print(f"{problem}: optimum {best:.12f}", flush=True)
        for name in options.peers:
            runs = Runs(name, problem, best, shlex.split(options.prefix))
            try:
                runs.search()
            except RuntimeError as error:
                print(f"  {name}: left out, {error}", flush=True)
                continue
            results.setdefault(problem, {})[name] = runs.points
            FILE.write_text(json.dumps(results, indent=1))
    print(table(results))
    draw(results, PICTURE)


if __name__ == "__main__":
    main(sys.argv[1:])

"""Whether a revision has become slower than another, in what users feel (compare_rows.py).

Run from the repository root, or `make bench-compare BASE=rev`::

    python -m bench.compare BASE [--rows NAME...] [--pairs N] [--turns N] [--inject SHARE]

builds the revision BASE below build/compare/ and times it against the working copy's own build. A
process of each answers in turn, row by row, and after some turns both are started anew: where a
process's memory comes to lie makes it faster or slower by some per cent for all its life. So a pair
of processes gives one number a row, the ratio of their medians, and pairs are what is compared.

A row is slower where the median of its ratios is at least 1.05 and Wilcoxon's signed-rank test says
so at 1 %. Both must hold: the test alone would find differences that nobody feels, the ratio alone
would take noise for one. Exit status 1 where a row is slower. `--inject 0.1` makes the working copy
answer a tenth later, to see that this is found.
"""

import argparse
import contextlib
import os
import statistics
import subprocess
import sys
from pathlib import Path

import numpy as np
from scipy.stats import wilcoxon

ROOT = Path(__file__).resolve().parent.parent
PAIRS = 10
TURNS = 10  # even, so that either process leads in as many
ROUND_SECONDS = 0.01  # of calls that one answer is about
NOTABLE = 1.05
LEVEL = 0.01

#: One thread of everything, so that CPU time is that of the work.
ALONE = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


def verdict(ratios):
    """Judge the ratios of one row, a pair of processes each.

    Returns
    -------
    ratio : float
        Their median.
    word : {"slower", "faster", ""}
    """
    ratio = float(np.median(ratios))
    logs = np.log(ratios)
    for word, notable, side in (
        ("slower", ratio >= NOTABLE, "greater"),
        ("faster", ratio <= 1 / NOTABLE, "less"),
    ):
        if notable and wilcoxon(logs, alternative=side, method="exact").pvalue <= LEVEL:
            return ratio, word
    return ratio, ""


def built(revision):
    """Folder of the sources of a revision with its kernels in place; built once."""
    name = _output("git", "rev-parse", "--verify", f"{revision}^{{commit}}")
    tree = ROOT / "build" / "compare" / name
    done = tree / "is-built"
    if not done.exists():
        _output("git", "worktree", "prune")
        if not tree.exists():
            _output("git", "worktree", "add", "--detach", tree, name)
        print(f"Building {name[:12]}", file=sys.stderr)
        _output(sys.executable, "setup.py", "--quiet", "build_ext", "--inplace", folder=tree)
        done.touch()
    return tree


def _output(*command, folder=ROOT):
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{done.stdout}{done.stderr}\nfailed: {' '.join(map(str, command))}")
    return done.stdout.strip()


class Answering:
    """A process that times the build of one tree."""

    def __init__(self, tree, injected=0.0):
        environment = os.environ | ALONE | {"PYTHONPATH": f"{tree / 'src'}"}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.compare_rows", str(tree), str(injected)],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.names = self._line().split("\t")

    def seconds(self, name, n_calls):
        """CPU time of so many calls of a row."""
        print(f"{name}\t{n_calls}", file=self._process.stdin, flush=True)
        return float(self._line())

    def close(self):
        """End the process."""
        self._process.stdin.close()
        self._process.wait()

    def _line(self):
        line = self._process.stdout.readline()
        if not line:
            sys.exit("the process that times has ended; what it said is above")
        return line.strip()


def pair(contenders, names, turns):
    """Ratio of medians of each row, the second's by the first's, of two new processes.

    A contender is a tree and the share of a row's time that is injected into it.
    """
    with contextlib.ExitStack() as stack:
        first, second = (Answering(*contender) for contender in contenders)
        stack.callback(first.close)
        stack.callback(second.close)
        ratios = {}
        for name in names or first.names:
            once = [process.seconds(name, 1) for process in (first, second)]
            n_calls = max(1, round(ROUND_SECONDS / min(once)))
            taken = {first: [], second: []}
            for turn in range(turns):
                # Who answers twice running finds its caches warm: each leads in turn.
                for process in (first, second) if turn % 2 else (second, first):
                    taken[process].append(process.seconds(name, n_calls))
            medians = [statistics.median(taken[process]) for process in (first, second)]
            ratios[name] = medians[1] / medians[0]
        return ratios


def compare(trees, names=None, n_pairs=PAIRS, turns=TURNS, injected=0.0):
    """The ratios of each row, one a pair of processes."""
    base, ours = (trees[0], 0.0), (trees[1], injected)
    pairs = []
    for number in range(n_pairs):
        # Of two processes the one that starts first is slower by a per cent in some rows.
        if number % 2:
            ratios = pair((ours, base), names, turns)
            pairs.append({name: 1 / ratio for name, ratio in ratios.items()})
        else:
            pairs.append(pair((base, ours), names, turns))
    return {name: [ratios[name] for ratios in pairs] for name in pairs[0]}


def main(arguments=None):
    """Print a table; gives the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("base", help="a revision")
    parser.add_argument("--rows", nargs="*", help="all by default")
    parser.add_argument("--pairs", type=int, default=PAIRS, help="even, to start either first")
    parser.add_argument("--turns", type=int, default=TURNS, help="even, to have either lead")
    parser.add_argument("--inject", type=float, default=0.0, metavar="SHARE")
    options = parser.parse_args(arguments)
    trees = built(options.base), ROOT
    all_ratios = compare(trees, options.rows, options.pairs, options.turns, options.inject)
    print("| | new ÷ base | of pairs | |\n|---|---:|---:|---|")
    words = set()
    for name, ratios in all_ratios.items():
        ratio, word = verdict(ratios)
        words.add(word)
        print(f"| {name} | {ratio:.3f} | {min(ratios):.2f} to {max(ratios):.2f} | {word} |")
    return 1 if "slower" in words else 0


if __name__ == "__main__":
    sys.exit(main())

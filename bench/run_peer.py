"""One peer, one problem, one effort, in a process of its own: prints a line of JSON.

A small fit comes first, so that no contender is charged for loading libraries and starting
threads; short fits are run three times and give their median. The objective is evaluated in float64
outside the clock. A fit of more than a minute ends the process. Limits no threads:
bench_time_to_optimum.py, which runs this, does.
``python -m bench.run_peer PEER PROBLEM [EFFORT]``
"""

import faulthandler
import json
import statistics
import sys
import time
from dataclasses import dataclass, replace
from importlib import import_module

import numpy as np

from bench.fit_data import prepared

LIMIT = 60  # seconds of a fit
WARM_UP_ROWS = 500
REPEATED_BELOW = 1.0  # seconds


@dataclass(frozen=True)
class Peer:
    """Where an adapter is, what it is given beyond the problem, and how its efforts begin."""

    label: str
    adapter: str
    parameters: tuple = ()
    first_effort: int = 8
    comparable: bool = True  # whether its objective is ours


#: Name on the command line → the peer; the first is ours.
PEERS = {
    "fastsoftmax": Peer("fastsoftmax", "fastsoftmax_fit.FastsoftmaxFit", first_effort=2),
    "lbfgs": Peer("scikit-learn lbfgs", "scikit_learn.ScikitLearnFit", ("lbfgs",), 16),
    "newton-cg": Peer("scikit-learn newton-cg", "scikit_learn.ScikitLearnFit", ("newton-cg",), 4),
    "newton-cholesky": Peer(
        "scikit-learn newton-cholesky", "scikit_learn.ScikitLearnFit", ("newton-cholesky",), 4
    ),
    "saga": Peer("scikit-learn saga", "scikit_learn.ScikitLearnFit", ("saga",), 4),
    "intelex": Peer("scikit-learn-intelex", "scikit_learn_intelex.ScikitLearnIntelexFit", (), 16),
    "cyanure": Peer("Cyanure", "cyanure_erm.CyanureFit", (), 4),
    "pytorch": Peer("PyTorch SGD", "pytorch_sgd.PyTorchFit", (), 2),
    "snapml": Peer("Snap ML (one-vs-rest)", "snap_ml.SnapMLFit", (), 4, comparable=False),
}


def adapter(name, problem):
    """The adapter of a peer, made for a problem."""
    peer = PEERS[name]
    module, _, class_name = peer.adapter.partition(".")
    return getattr(import_module(f"bench.adapters.{module}"), class_name)(problem, *peer.parameters)


def few_rows(problem):
    """A small problem of the same features and dtype, its classes those of its first rows."""
    _, y = np.unique(problem.y[:WARM_UP_ROWS], return_inverse=True)
    raw = None if problem.raw is None else problem.raw[:WARM_UP_ROWS]
    return replace(problem, X=problem.X[:WARM_UP_ROWS], y=y.astype(np.int32), raw=raw)


def timed(contender, effort):
    """Seconds from call to return; the watchdog can end compiled code, which no signal can."""
    faulthandler.dump_traceback_later(LIMIT, exit=True)
    start = time.perf_counter()
    contender.fit(effort)
    seconds = time.perf_counter() - start
    faulthandler.cancel_dump_traceback_later()
    return seconds


def main(arguments):
    """Run one and print what came of it."""
    name, problem_name, *rest = arguments
    effort = int(rest[0]) if rest else None
    problem = prepared(problem_name)
    adapter(name, few_rows(problem)).fit(1 if effort else None)
    contender = adapter(name, problem)
    seconds = [timed(contender, effort)]
    while len(seconds) < 3 and seconds[0] < REPEATED_BELOW:
        seconds.append(timed(contender, effort))
    coef, intercept = contender.parameters()
    result = {
        "seconds": statistics.median(seconds),
        "objective": problem.objective(coef, intercept),
        "accuracy": problem.test_accuracy(coef, intercept),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main(sys.argv[1:])

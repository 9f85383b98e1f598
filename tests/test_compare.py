"""bench/compare.py's verdict, on times that are made up: what it must find, and what it mustn't."""

import numpy as np
import pytest

from bench.compare import PAIRS, TURNS, pair, verdict


def simulated(rng, slowdown, n_rows=1):
    """Ratios of pairs of processes as a shared machine gives them.

    Each process is faster or slower by some per cent for its life, each answer varies by more, the
    machine's speed drifts, and now and then an answer takes half as long again.
    """
    ratios = np.empty((n_rows, PAIRS))
    for row, one in np.ndindex(ratios.shape):
        drift = np.exp(np.cumsum(rng.normal(0, 0.02, size=2 * TURNS)))
        of_process = np.exp(rng.normal(0, 0.015, size=2))
        noise = np.exp(rng.normal(0, 0.03, size=2 * TURNS))
        noise *= np.where(rng.random(2 * TURNS) < 0.05, 1.5, 1)
        seconds = (drift * noise).reshape(TURNS, 2) * of_process
        medians = np.median(seconds, axis=0)
        ratios[row, one] = slowdown * medians[1] / medians[0]
    return ratios


@pytest.mark.parametrize("seed", range(20))
def test_a_tenth_is_found_in_either_direction(seed):
    rng = np.random.default_rng(seed)
    (slower,), (faster,) = simulated(rng, 1.1), simulated(rng, 1 / 1.1)
    assert verdict(slower)[1] == "slower"
    assert verdict(faster)[1] == "faster"
    assert verdict(slower)[0] == pytest.approx(1.1, rel=0.04)


def test_a_revision_is_not_slower_than_itself():
    rng = np.random.default_rng(0)
    for _ in range(20):
        assert {verdict(ratios)[1] for ratios in simulated(rng, 1.0, n_rows=10)} == {""}


def test_what_is_certain_but_small_is_let_pass():
    assert verdict(np.linspace(1.02, 1.03, PAIRS)) == (pytest.approx(1.025), "")


def test_what_is_large_but_uncertain_is_let_pass():
    ratios = np.where(np.arange(PAIRS) < 4, 0.7, 1.3) + np.linspace(0, 0.01, PAIRS)
    assert verdict(ratios)[1] == ""


class Warm:
    """Answers as a process does whose caches are warm when it is asked twice running."""

    asked_last = None
    names = ("row",)

    def __init__(self, tree, injected=0.0):
        self.factor = 1 + injected

    def seconds(self, name, n_calls):
        warm, Warm.asked_last = Warm.asked_last is self, self
        return self.factor * n_calls * (0.9 if warm else 1.0)

    def close(self):
        pass


def test_who_leads_is_not_faster(monkeypatch):
    monkeypatch.setattr("bench.compare.Answering", Warm)
    assert pair(("a", "b"), None, TURNS, 0.0) == {"row": 1.0}
    assert pair(("a", "b"), None, TURNS, 0.1) == {"row": pytest.approx(1.1)}

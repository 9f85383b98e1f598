"""bench/compare.py's verdict, on times that are made up: what it must find, and what it mustn't."""

import numpy as np
import pytest

from bench.compare import PAIRS, TURNS, compare, verdict


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


class Biased:
    """Answers faster when it is asked twice running, and slower where it was started first."""

    asked_last = None
    n_started = 0
    names = ("row",)

    def __init__(self, tree, injected=0.0):
        self.seconds_of_a_call = (1 + injected) * (1.0 if Biased.n_started % 2 else 1.01)
        Biased.n_started += 1

    def seconds(self, name, n_calls):
        warm, Biased.asked_last = Biased.asked_last is self, self
        return self.seconds_of_a_call * n_calls * (0.9 if warm else 1.0)

    def close(self):
        pass


def test_neither_who_leads_nor_who_starts_first_matters(monkeypatch):
    monkeypatch.setattr("bench.compare.Answering", Biased)
    for injected in (0.0, 0.1):
        ratios = compare(("a", "b"), injected=injected)["row"]
        assert len(ratios) == PAIRS
        assert np.median(ratios) == pytest.approx(1 + injected, rel=1e-3)

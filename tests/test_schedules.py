"""Learning-rate schedules against values worked out by hand. Nothing is trained here."""

import math

import numpy as np
import pytest

from fastsoftmax.optimization.schedules import SCHEDULES, WITH_AN_END, learning_rates


@pytest.mark.parametrize(
    ("schedule", "at_start", "at_half", "at_ten"),
    [
        ("constant", 1, 1, 1),
        ("inverse_time", 1, 1 / 1.1, 1 / 3),
        ("exponential", 1, math.exp(-0.1), math.exp(-2)),
        ("linear", 1, 0.975, 0.5),
        ("cosine", 1, 0.5 * (1 + math.cos(math.pi / 40)), 0.5),
    ],
)
def test_values(schedule, at_start, at_half, at_ten):
    # decay 0.2, end at 20 epochs, two minibatches an epoch: t is 0, ½ and, after ten epochs, 10.
    first = learning_rates(schedule, 0.3, 0, 2, decay=0.2, n_epochs=20)
    eleventh = learning_rates(schedule, 0.3, 10, 2, decay=0.2, n_epochs=20)
    assert first.dtype == np.float64
    np.testing.assert_allclose(first, [0.3 * at_start, 0.3 * at_half], rtol=1e-15)
    np.testing.assert_allclose(eleventh[0], 0.3 * at_ten, rtol=1e-15)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_does_not_depend_on_batch_size(schedule):
    coarse = learning_rates(schedule, 1.0, 3, 5, decay=0.1, n_epochs=8)
    fine = learning_rates(schedule, 1.0, 3, 50, decay=0.1, n_epochs=8)
    np.testing.assert_allclose(fine[::10], coarse, rtol=1e-15)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_starts_at_the_initial_rate_and_never_rises(schedule):
    rates = np.concatenate(
        [learning_rates(schedule, 0.5, epoch, 7, decay=0.3, n_epochs=4) for epoch in range(6)]
    )
    assert rates[0] == 0.5
    assert (np.diff(rates) <= 0).all()
    assert (rates >= 0).all()


@pytest.mark.parametrize("schedule", WITH_AN_END)
def test_is_zero_from_the_end_on(schedule):
    rates = learning_rates(schedule, 0.5, 4, 3, n_epochs=4)
    np.testing.assert_allclose(rates, 0, atol=1e-16)

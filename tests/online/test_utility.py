"""Smoothing, the shortest mixture of gradients, how good a smoothing is: worked numbers and what always holds."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coresift.online.utility import (
    best_smoothing,
    mixed_norm2,
    mixing,
    norm2_of_losses,
    smoothed,
    smoothing_error,
    transfer,
)

norms = st.floats(0.0, 100.0)
cosines = st.floats(-1.0, 1.0)


@pytest.mark.parametrize(("b", "expected"), [(0.1, [1.64, 1.514, 1.1414]), (0.5, [1.8, 1.65, 1.375])])
def test_utilities_of_three_rounds(b: float, expected: list[float]) -> None:
    utility, found = np.array([2.0]), []
    for loss in (1.6, 1.5, 1.1):
        utility = smoothed(utility, np.array([loss]), 0.0, b)
        found.append(float(utility[0]))
    np.testing.assert_allclose(found, expected)


def test_without_history_the_utility_is_the_corrected_loss_and_never_below_zero() -> None:
    found = smoothed(np.array([9.0, 9.0]), np.array([2.0, 0.5]), np.array([-0.5, -0.75]), 0.0)
    assert found.tolist() == [1.5, 0.0]


@given(st.floats(0.0, 10.0), st.floats(0.0, 10.0), st.floats(-10.0, 10.0), st.floats(0.0, 0.999999))
def test_a_utility_lies_between_its_history_and_the_corrected_loss(
    h: float, loss: float, move: float, b: float
) -> None:
    found = float(smoothed(np.array([h]), np.array([loss]), np.array([move]), b)[0])
    corrected = max(loss + move, 0.0)
    assert min(h, corrected) - 1e-9 <= found <= max(h, corrected) + 1e-9
    if b > 0.99999:
        assert found == pytest.approx(h, abs=2e-4)


@pytest.mark.parametrize(
    ("arm", "previous", "cosine", "share", "norm2"),
    [
        (4, 1, 1, 0.0, 1.0),
        (4, 1, 0.5, 0.0, 1.0),
        (4, 1, 0, 0.2, 0.8),
        (4, 1, -0.5, 0.285714, 0.428571),
        (1, 1, 0.2, 0.5, 0.6),
        (4, 1, 0.9, 0.0, 1.0),
        (1, 4, 0.9, 1.0, 1.0),
    ],
)
def test_worked_mixtures(arm: float, previous: float, cosine: float, share: float, norm2: float) -> None:
    found = mixing(arm, previous, cosine)
    assert found == pytest.approx(share, abs=1e-6)
    assert mixed_norm2(arm, previous, cosine, found) == pytest.approx(norm2, abs=1e-6)


def test_without_the_bound_parallel_gradients_would_cancel() -> None:
    assert mixed_norm2(4.0, 1.0, 1.0, -1.0) == 0.0
    assert mixed_norm2(4.0, 1.0, 0.9, -0.571429) == pytest.approx(0.542857, abs=1e-6)
    assert mixed_norm2(1.0, 4.0, 0.9, 1.571429) == pytest.approx(0.542857, abs=1e-6)


@given(norms, norms, cosines)
def test_the_mixture_is_in_bounds_no_longer_than_either_and_symmetric(a: float, b: float, cosine: float) -> None:
    share = mixing(a, b, cosine)
    assert 0.0 <= share <= 1.0
    assert mixed_norm2(a, b, cosine, share) <= min(a, b) + 1e-9
    other = mixing(b, a, cosine)
    assert mixed_norm2(b, a, cosine, other) == pytest.approx(mixed_norm2(a, b, cosine, share), abs=1e-9)


def test_gradients_exchanged_exchange_their_shares() -> None:
    for a, b, cosine in [(4.0, 1.0, 0.0), (4.0, 1.0, -0.5), (2.0, 3.0, 0.3), (9.0, 1.0, 0.9)]:
        assert mixing(a, b, cosine) == pytest.approx(1.0 - mixing(b, a, cosine))


def test_equal_gradients_mix_in_halves() -> None:
    assert mixing(3.0, 3.0, 1.0) == 0.5 and mixing(0.0, 0.0, 0.3) == 0.5
    assert mixed_norm2(3.0, 3.0, 1.0, 0.5) == pytest.approx(3.0)


def test_the_norm_of_a_gradient_is_the_fall_in_loss_over_the_path() -> None:
    assert norm2_of_losses(np.array([2.0, 2.0, 1.7, 1.6, np.nan, 1.5, 1.4, 1.0, 1.2]), 0.1) == pytest.approx(9.0)
    assert norm2_of_losses(np.array([1.0, 2.0]), 0.1) == 0.0
    assert norm2_of_losses(np.array([2.0, 1.0]), 0.0) == 0.0
    assert norm2_of_losses(np.array([2.0]), 0.1) == 0.0


def test_estimates_are_believed_until_losses_say_otherwise() -> None:
    assert transfer(0.0, 0.0) == 1.0
    assert transfer(0.5 * 100.0, 100.0) == pytest.approx(0.5, abs=0.01)
    assert transfer(-50.0, 100.0) == 0.0 and transfer(500.0, 100.0) == 1.0


@pytest.mark.parametrize(
    ("noise", "drift", "expected"), [(0.3, 0.05, 0.638), (0.3, 0.2, 0.346), (0.1, 0.2, 0.129), (0.5, 0.02, 0.835)]
)
def test_the_best_smoothing(noise: float, drift: float, expected: float) -> None:
    assert best_smoothing(noise, drift) == pytest.approx(expected)


def test_without_noise_nothing_is_smoothed() -> None:
    assert best_smoothing(0.0, 0.3) == 0.0 and best_smoothing(0.0, 0.0) == 0.0


def test_the_error_of_a_smoothing_is_that_of_a_drifting_loss() -> None:
    draws = np.random.default_rng(0)
    b, noise, drift, steps, runs = 0.5, 0.3, 0.05, 60, 20_000
    utility = np.zeros(runs)
    for step in range(steps):
        utility = smoothed(utility, 10.0 + drift * step + noise * draws.standard_normal(runs), 0.0, b)
    error = float(np.square(utility - 10.0 - drift * (steps - 1)).mean())
    assert smoothing_error(b, noise, drift) == pytest.approx(0.0325)
    assert error == pytest.approx(0.0325, rel=0.05)

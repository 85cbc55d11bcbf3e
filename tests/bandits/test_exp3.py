"""EXP3: worked tables, the floor, and weights that never overflow."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coresift.bandits.exp3 import History, clipped, draw, normalised, probabilities, updated

PLAIN = [
    (0, 0.30, (1 / 3, 1 / 3, 1 / 3), (1.030455, 1.0, 1.0), (0.339363, 0.330318, 0.330318)),
    (1, 0.10, (0.339363, 0.330318, 0.330318), (1.030455, 1.010142, 1.0), (0.338342, 0.332330, 0.329328)),
    (2, -0.20, (0.338342, 0.332330, 0.329328), (1.030455, 1.010142, 0.979960), (0.340366, 0.334314, 0.325321)),
    (0, 0.25, (0.340366, 0.334314, 0.325321), (1.055995, 1.010142, 0.979960), (0.345338, 0.331790, 0.322872)),
]
weights = st.lists(st.floats(-50, 50), min_size=1, max_size=8)


def test_the_worked_table_of_plain_rewards() -> None:
    logs = np.zeros(3)
    for arm, reward, before, after, then in PLAIN:
        chances = probabilities(logs, 0.1)
        np.testing.assert_allclose(chances, before, atol=1e-6)
        logs = updated(logs, arm, reward, chances[arm], 0.1)
        np.testing.assert_allclose(np.exp(logs), after, atol=1e-6)
        np.testing.assert_allclose(probabilities(logs, 0.1), then, atol=1e-6)


def test_the_worked_table_of_normalised_rewards() -> None:
    logs, history, scaled = np.zeros(3), History(), []
    for arm, reward in zip((0, 1, 2, 0), (0.3, 0.1, 0.2, 0.25), strict=True):
        scaled.append(normalised(reward, history))
        logs = updated(logs, arm, scaled[-1], probabilities(logs, 0.1)[arm], 0.1)
        history = history.with_reward(reward)
    np.testing.assert_allclose(scaled, [0.3, -1.0, 0.0, 0.5], atol=1e-12)
    np.testing.assert_allclose(np.exp(logs), [1.080803, 0.904012, 1.0], atol=1e-6)
    np.testing.assert_allclose(probabilities(logs, 0.1), [0.359224, 0.305917, 0.334860], atol=1e-6)


@given(weights, st.floats(0.01, 1.0), st.integers(0, 255))
def test_probabilities_sum_to_one_and_no_open_arm_falls_below_the_floor(
    logs: list[float], gamma: float, mask: int
) -> None:
    allowed = np.array([bool(mask >> place & 1) for place in range(len(logs))])
    chances = probabilities(np.array(logs), gamma, allowed)
    if not allowed.any():
        assert not chances.any()
        return
    assert chances.sum() == pytest.approx(1.0) and not chances[~allowed].any()
    assert chances[allowed].min() >= gamma / len(logs) * (1 - 1e-12)
    exponent = np.abs(gamma / len(logs) / chances[allowed])
    assert exponent.max() <= 1 + 1e-12


@given(weights, st.floats(-1e4, 1e4))
def test_a_constant_added_to_all_log_weights_changes_nothing(logs: list[float], shift: float) -> None:
    np.testing.assert_allclose(
        probabilities(np.array(logs) + shift, 0.1), probabilities(np.array(logs), 0.1), atol=1e-9
    )


def test_only_the_drawn_arm_changes_and_a_reward_of_nothing_changes_nothing() -> None:
    logs = np.array([0.3, -0.2, 0.0])
    after = updated(logs, 1, 0.5, 0.25, 0.3)
    assert after.tolist() == [0.3, pytest.approx(-0.2 + 0.1 * 0.5 / 0.25), 0.0]
    assert updated(logs, 1, 0.0, 0.25, 0.3).tolist() == logs.tolist()


def test_a_hundred_thousand_updates_do_not_overflow() -> None:
    logs = np.zeros(3)
    for _ in range(100_000):
        logs = updated(logs, 0, 1.0, probabilities(logs, 0.1)[0], 0.1)
    np.testing.assert_allclose(probabilities(logs, 0.1), [0.9 + 0.1 / 3, 0.1 / 3, 0.1 / 3])


def test_a_closed_arm_however_heavy_leaves_the_others_as_they_were() -> None:
    chances = probabilities(np.array([1e6, 0.0, math.log(3.0)]), 0.0 + 1e-9, np.array([False, True, True]))
    np.testing.assert_allclose(chances, [0.0, 0.25, 0.75], atol=1e-6)


def test_an_arm_is_drawn_by_the_inverse_of_the_cumulative_probabilities() -> None:
    chances = np.array([0.0, 0.25, 0.0, 0.75, 0.0])
    assert [draw(chances, u) for u in (0.0, 0.2499, 0.25, 0.9999999999999999)] == [1, 1, 3, 3]
    assert draw(np.array([0.1] * 9 + [0.0]), 0.95) == 8  # a sum below the number drawn


def test_rewards_stay_between_minus_one_and_one() -> None:
    assert normalised(7.0, History()) == 1.0 == clipped(7.0) and clipped(-3.0) == -1.0
    same = History().with_reward(0.2).with_reward(0.2)
    assert normalised(0.2, same) == 0.0 and same.count == 2
    assert normalised(0.1, same) == -1.0 and normalised(0.5, same) == 1.0


@given(st.lists(st.floats(-100, 100), min_size=2, max_size=20))
def test_the_second_reward_is_always_at_an_end(rewards: list[float]) -> None:
    history = History().with_reward(rewards[0])
    assert normalised(rewards[1], history) in (-1.0, 0.0, 1.0)
    for reward in rewards[1:]:
        assert -1.0 <= normalised(reward, history) <= 1.0
        history = history.with_reward(reward)

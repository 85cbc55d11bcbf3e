"""The pieces of training in rounds: rates, order, directions, the trace."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from coresift.training.changes import Directions, FirstOrder, last_layer, rest_of_round
from coresift.training.observed import RoundOrder
from coresift.training.rates import Rates
from coresift.training.trace import drop_rounds, read_rounds, write_round


def test_the_published_schedule_is_0_995_to_the_power_of_eighths() -> None:
    rates = Rates("steps")
    assert [rates(step) for step in (0, 7, 8, 16)] == pytest.approx([1, 1, 0.995, 0.995**2])
    assert rates(121 * 8) == pytest.approx(0.545, abs=5e-4)
    assert rates.facts == {"schedule": "steps", "rising": 0}


def test_the_linear_rate_rises_and_then_follows_the_budget_without_jumps() -> None:
    rates, found = Rates("linear", rising=3), []
    for first, steps, before, after in ((0, 4, 0.0, 0.4), (4, 2, 0.4, 0.4), (6, 4, 0.4, 1.0)):
        rates.begin(first=first, steps=steps, spent_before=before, spent_after=after)
        found += [rates(first + step) for step in range(steps)]
    assert found[:4] == pytest.approx([0.25, 0.5 * 0.9, 0.75 * 0.8, 0.7])
    assert found[4:] == pytest.approx([0.6, 0.6, 0.6, 0.45, 0.3, 0.15]) and rates(10) == 0.0


def test_a_round_is_shuffled_by_seed_and_number_and_sorted_inside_steps() -> None:
    lengths = np.random.default_rng(0).integers(1, 99, size=50)
    order, indices = RoundOrder(lengths.tolist(), step_size=8, seed=3), np.arange(10, 34)
    order.begin(0, indices)
    first = list(order)
    assert sorted(first) == indices.tolist() and len(order) == 24
    assert all((np.diff(lengths[first[start : start + 8]]) >= 0).all() for start in (0, 8, 16))
    order.begin(1, indices)
    assert list(order) != first
    order.begin(0, indices)
    order.set_epoch(7)
    assert list(order) == first


def test_a_clipped_gradient_is_taken_back_to_its_length() -> None:
    weight = nn.Parameter(torch.zeros(3))
    meter = FirstOrder([weight, nn.Parameter(torch.ones(2))])  # the second has no gradient
    for shrunk in (1.0, 0.25):
        weight.grad = shrunk * torch.tensor([2.0, 0.0, -2.0])
        meter.before()
        with torch.no_grad():
            weight -= 0.1 * torch.tensor([2.0, 0.0, -2.0])
        meter.after(shrunk)
    assert meter.take() == pytest.approx([-0.8, -0.8]) and meter.take() == []


def test_what_is_left_of_a_round_includes_the_step_itself() -> None:
    assert rest_of_round([-3.0, -2.0, -1.0]) == [-6.0, -3.0, -1.0] and rest_of_round([]) == []


def test_directions_compare_the_last_round_of_an_arm_with_the_round_before() -> None:
    weight = nn.Parameter(torch.zeros(2))
    followed = Directions([weight])

    def round_of(arm: int, *moves: float) -> None:
        followed.begin()
        with torch.no_grad():
            weight.add_(torch.tensor(moves))
        followed.end(arm)

    assert followed.cosine(0) is None
    round_of(0, 1.0, 0.0)
    assert followed.cosine(0) == 1.0 and followed.cosine(1) is None
    round_of(1, 1.0, 1.0)
    assert followed.cosine(0) == pytest.approx(2**-0.5)
    again = Directions([weight])
    again.from_tensors(followed.to_tensors())
    assert again.cosine(0) == followed.cosine(0)
    round_of(1, 0.0, 0.0)
    assert followed.cosine(0) is None, "no movement has no direction"


def test_the_last_layer_is_the_one_of_the_highest_number() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 3), nn.ReLU())
    assert [tuple(weight.shape) for weight in last_layer(model)] == [(3, 2), (3,)]
    assert len(last_layer(nn.Linear(2, 2))) == 2


def test_rounds_that_will_be_trained_again_are_dropped_and_odd_numbers_become_null(tmp_path: Path) -> None:
    for number in range(4):
        write_round(tmp_path, {"round": number, "losses": np.array([1.0, np.nan]), "arm": np.int64(2)})
    drop_rounds(tmp_path, 2)
    assert read_rounds(tmp_path) == [{"round": number, "losses": [1.0, None], "arm": 2} for number in (0, 1)]
    assert len(read_rounds(tmp_path, before=1)) == 1

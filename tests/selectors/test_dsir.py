"""DSIR: seeded draws in proportion to the weights, of any size, short examples included."""

from typing import Any

import numpy as np
import pytest

from coresift.coreset import Coreset
from coresift.features.memory import InMemoryFeatures
from coresift.selection import select
from coresift.selectors import DSIR


def dsir(weights: Any, budget: Any, seed: int = 0, **settings: Any) -> Coreset:
    method = DSIR(**settings)
    return select(method, InMemoryFeatures({method.importance: np.asarray(weights, float)[:, None]}), budget, seed=seed)


def test_a_draw_has_chances_in_proportion_to_the_weights() -> None:
    chances = np.array([0.5, 0.3, 0.15, 0.05])
    first = np.array([dsir(np.log(chances), 1, seed).indices[0] for seed in range(2000)])
    np.testing.assert_allclose(np.bincount(first, minlength=4) / 2000, chances, atol=0.035)


def test_the_same_seed_draws_the_same_and_prefixes_are_nested() -> None:
    weights = np.zeros(40)
    one, same, other = (dsir(weights, 9, seed).indices.tolist() for seed in (1, 1, 2))
    assert one == same != other and dsir(weights, 4, 1).indices.tolist() == one[:4]


def test_the_whole_pool_can_be_asked_for() -> None:
    assert sorted(dsir([5.0, -3.0, 0.0], 3).indices.tolist()) == [0, 1, 2]


def test_the_top_are_the_greatest_weights_and_ties_go_to_the_first() -> None:
    coreset = dsir([0.0, 2.0, 1.0, 2.0], 3, sample="top")
    assert coreset.indices.tolist() == [1, 3, 2] and coreset.weights.tolist() == pytest.approx([4 / 3] * 3)
    assert coreset.diagnostics["mean_log_weight"] == pytest.approx(5 / 3)


def test_how_few_examples_carry_the_weight_is_said() -> None:
    assert dsir(np.zeros(8), 2).diagnostics["examples_that_share_the_weight"] == pytest.approx(8)
    assert dsir([900.0, 0.0, 0.0], 2).diagnostics["examples_that_share_the_weight"] == pytest.approx(1)

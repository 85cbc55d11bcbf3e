"""Random and full: seeded, nested, evenly weighted, and strict about what they are asked."""

import numpy as np
import pytest

from coresift.errors import SelectionError
from coresift.problem import Selector
from coresift.selection import select
from coresift.selectors import SELECTORS, Brief, Full, Random

IDS = [f"e{number}" for number in range(50)]


def test_the_table_of_selectors_holds_selectors_by_name() -> None:
    assert set(SELECTORS) >= {"brief", "random", "full"}
    assert all(isinstance(method(), Selector) and method.name == name for name, method in SELECTORS.items())


def test_random_is_the_same_for_the_same_seed_only() -> None:
    one, same, other = (select(Random(), None, 10, ids=IDS, seed=seed).indices.tolist() for seed in (1, 1, 2))
    assert one == same != other


def test_random_prefixes_are_nested_and_weights_sum_to_the_pool() -> None:
    small, large = select(Random(), None, [5, 20], ids=IDS)
    assert small.indices.tolist() == large.indices[:5].tolist()
    assert small.weights.tolist() == [10.0] * 5 and large.weights.tolist() == [2.5] * 20
    assert large.effective_size == pytest.approx(20)


def test_random_draws_every_example_about_equally_often() -> None:
    counts = np.zeros(50)
    for seed in range(400):
        counts[select(Random(), None, 5, ids=IDS, seed=seed).indices] += 1
    assert counts.min() > 15 and counts.max() < 75


def test_full_is_the_pool_in_order_with_unit_weights() -> None:
    coreset = select(Full(), None, 1.0, ids=IDS)
    assert coreset.indices.tolist() == list(range(50)) and coreset.weights.tolist() == [1.0] * 50
    assert coreset.ids == tuple(IDS)


def test_full_refuses_to_be_less_than_full() -> None:
    with pytest.raises(SelectionError, match="full: asked for 5 of 50 examples. Give the budget 1.0"):
        select(Full(), None, "10%", ids=IDS)


def test_full_cannot_be_cut_to_a_number_of_tokens() -> None:
    with pytest.raises(SelectionError, match="budget 60 tokens: prefixes of full are not its answers"):
        select(Full(), None, "60 tokens", ids=IDS, tokens=[1] * 50)


def test_a_method_that_needs_features_says_so_when_there_are_none() -> None:
    with pytest.raises(SelectionError, match="no features given, but knowledge-none-8192-.* is needed"):
        select(Brief(), None, 5, ids=IDS)

"""Balanced random: equal shares of unequal groups, in every prefix, from a lottery that favours nobody."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coresift.coreset import Coreset
from coresift.errors import SelectionError
from coresift.selection import select
from coresift.selectors import BalancedRandom, Random

GROUPS = ["big"] * 60 + ["middle"] * 30 + ["small"] * 4 + ["tiny"]


def chosen(size: int, *, groups: list[str] = GROUPS, seed: int = 0) -> Coreset:
    return select(BalancedRandom(), None, size, ids=list(map(str, range(len(groups)))), groups=groups, seed=seed)


def shares(coreset: Coreset) -> dict[str, int]:
    return {each["group"]: each["picks"] for each in coreset.diagnostics["groups"]}


def filled_up(sizes: list[int], total: int) -> list[int]:
    """Water-filling by the book: one to each group that has any left, again and again, the last round in part."""
    level = max(height for height in range(max(sizes) + 1) if sum(min(size, height) for size in sizes) <= total)
    return [min(size, level) for size in sizes]


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (4, {"big": 1, "middle": 1, "small": 1, "tiny": 1}),
        (7, {"big": 2, "middle": 2, "small": 2, "tiny": 1}),
        (13, {"big": 4, "middle": 4, "small": 4, "tiny": 1}),
        (25, {"big": 10, "middle": 10, "small": 4, "tiny": 1}),
        (75, {"big": 40, "middle": 30, "small": 4, "tiny": 1}),
        (95, {"big": 60, "middle": 30, "small": 4, "tiny": 1}),
    ],
)
def test_shares_are_equal_and_what_a_small_group_lacks_goes_to_the_others(size: int, expected: dict[str, int]) -> None:
    assert shares(chosen(size)) == expected


@given(st.lists(st.integers(0, 6), min_size=1, max_size=60), st.data(), st.integers(0, 9))
def test_every_group_has_its_level_or_one_more_whatever_the_sizes(
    labels: list[int], data: st.DataObject, seed: int
) -> None:
    groups = [f"g{label}" for label in labels]
    size = data.draw(st.integers(1, len(groups)))
    coreset = chosen(size, groups=groups, seed=seed)
    sizes = Counter(groups)
    level = dict(zip(sizes, filled_up(list(sizes.values()), size), strict=True))
    found = Counter(groups[place] for place in coreset.indices)
    assert found.total() == size == len(set(coreset.indices.tolist()))
    assert all(found[name] - level[name] in (0, 1) and found[name] <= sizes[name] for name in sizes)


def test_weights_are_equal_in_a_group_and_sum_to_the_pool() -> None:
    coreset = chosen(13)
    weight_of = {GROUPS[place]: weight for place, weight in zip(coreset.indices, coreset.weights, strict=True)}
    assert weight_of == {"big": 15.0, "middle": 7.5, "small": 1.0, "tiny": 1.0}
    assert coreset.weights.sum() == len(GROUPS) and coreset.diagnostics["unrepresented"] == 0


def test_with_fewer_picks_than_groups_the_rest_is_counted_and_not_stood_for() -> None:
    coreset = chosen(3)
    assert sorted(shares(coreset).values()) == [0, 1, 1, 1]
    assert coreset.weights.sum() + coreset.diagnostics["unrepresented"] == len(GROUPS)


def test_every_prefix_is_the_answer_for_its_size() -> None:
    ids = list(map(str, range(len(GROUPS))))
    several = select(BalancedRandom(), None, [3, 13, 40], ids=ids, groups=GROUPS, seed=5)
    for coreset in several:
        alone = chosen(len(coreset), seed=5)
        assert coreset.indices.tolist() == alone.indices.tolist()
        assert coreset.weights.tolist() == alone.weights.tolist() and shares(coreset) == shares(alone)


def test_the_seed_decides_and_nothing_else() -> None:
    one, same, other = (chosen(13, seed=seed).indices.tolist() for seed in (1, 1, 2))
    assert one == same != other


def test_examples_of_a_group_and_groups_of_a_last_round_are_drawn_about_equally_often() -> None:
    examples, extra = np.zeros(len(GROUPS)), Counter[str]()
    for seed in range(600):
        coreset = chosen(14, seed=seed)  # four of each large group and one more of either
        examples[coreset.indices] += 1
        extra.update(name for name, picks in shares(coreset).items() if picks == 5)
    assert 250 < extra["big"] < 350 and extra.total() == 600
    # 600 draws of 4.5 of 60 and of 4.5 of 30
    assert examples[:60].min() > 20 and examples[:60].max() < 75
    assert examples[60:90].min() > 55 and examples[60:90].max() < 130


def test_one_group_is_a_uniform_sample() -> None:
    coreset = chosen(5, groups=["same"] * 20)
    assert coreset.weights.tolist() == [4.0] * 5


def test_a_token_budget_is_cut_from_the_same_order() -> None:
    ids = list(map(str, range(len(GROUPS))))
    coreset = select(BalancedRandom(), None, "70 tokens", ids=ids, groups=GROUPS, tokens=[10] * len(GROUPS))
    assert coreset.indices.tolist() == chosen(7).indices.tolist()


def test_without_groups_there_is_nothing_to_balance() -> None:
    with pytest.raises(
        SelectionError, match="no groups given, .* Pass groups=, one label per example, .* or take random"
    ):
        select(BalancedRandom(), None, 3, ids=["a", "b", "c"])


def test_groups_describe_every_example() -> None:
    with pytest.raises(SelectionError, match="2 groups for 3 examples. Pass one label per example"):
        select(Random(), None, 2, ids=["a", "b", "c"], groups=["x", "y"])

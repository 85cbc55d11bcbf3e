"""How rows are grouped into batches."""

from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coresift.models.batches import by_length, fewest_padded

LENGTHS = st.lists(st.integers(1, 30), min_size=1, max_size=9)


def cost(groups: list[list[int]], lengths: list[int], pass_tokens: int) -> int:
    return sum(len(group) * max(lengths[place] for place in group) + pass_tokens for group in groups)


def every_cut(lengths: list[int], max_tokens: int) -> list[list[list[int]]]:
    """All ways to cut the positions, sorted by length, into groups that fit."""
    order, found = by_length(lengths, max_tokens=10**9)[0], []
    for count in range(len(order)):
        for cuts in combinations(range(1, len(order)), count):
            groups = [order[begin:end] for begin, end in zip((0, *cuts), (*cuts, len(order)), strict=True)]
            if all(len(each) == 1 or len(each) * max(lengths[p] for p in each) <= max_tokens for each in groups):
                found.append(groups)
    return found


@settings(max_examples=60, deadline=None)
@given(LENGTHS, st.integers(1, 90), st.integers(0, 40))
def test_no_other_cut_costs_less(lengths: list[int], max_tokens: int, pass_tokens: int) -> None:
    found = fewest_padded(lengths, max_tokens=max_tokens, pass_tokens=pass_tokens)
    assert sorted(place for group in found for place in group) == list(range(len(lengths)))
    assert all(len(each) == 1 or len(each) * max(lengths[p] for p in each) <= max_tokens for each in found)
    least = min(cost(groups, lengths, pass_tokens) for groups in every_cut(lengths, max_tokens))
    assert cost(found, lengths, pass_tokens) == least


@pytest.mark.parametrize("group", [by_length, fewest_padded])
def test_no_rows_are_no_batches(group) -> None:
    assert group([], max_tokens=5) == []

"""Similarities to many target examples become one order: by sub-task means, by the largest, or in turn."""

from collections.abc import Sequence

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from coresift.errors import SelectionError
from coresift.targets.aggregate import places_of, ranked, round_robin, subtask_means


def similar_rows(n: int, targets: int, seed: int) -> torch.Tensor:
    """Few different values, so that there are ties."""
    return torch.randint(-4, 5, (n, targets), generator=torch.Generator().manual_seed(seed)).double() / 4


def in_turn(similar: torch.Tensor, size: int) -> tuple[list[int], list[int]]:
    """Round-robin by looking at everything at every turn."""
    left, order, takers = list(range(len(similar))), [], []
    least = similar.amin(dim=0)
    while len(order) < size:
        took = False
        for target in range(similar.shape[1]):
            better = [place for place in left if similar[place, target] > least[target]]
            if len(order) < size and better:
                pick = max(better, key=lambda place: (float(similar[place, target]), -place))
                left.remove(pick)
                order.append(pick)
                takers.append(target)
                took = True
        if not took:
            rest = sorted(left, key=lambda place: (-float(similar[place].max()), place))[: size - len(order)]
            return order + rest, takers + [-1] * len(rest)
    return order, takers


SIZES = st.tuples(st.integers(1, 12), st.integers(1, 5), st.integers(0, 999))


@settings(deadline=None)
@given(shape=SIZES)
def test_round_robin_is_what_looking_at_everything_at_every_turn_gives(shape: tuple[int, int, int]) -> None:
    similar = similar_rows(*shape)
    for size in range(1, len(similar) + 1):
        found = round_robin(similar, size)
        assert (found.order.tolist(), found.takers.tolist()) == in_turn(similar, size)


@settings(deadline=None)
@given(shape=SIZES)
def test_a_prefix_of_round_robin_is_round_robin_of_that_size(shape: tuple[int, int, int]) -> None:
    similar = similar_rows(*shape)
    whole = round_robin(similar, len(similar)).order.tolist()
    assert sorted(whole) == list(range(len(similar)))
    for size in range(1, len(similar)):
        assert round_robin(similar, size).order.tolist() == whole[:size]


def test_each_target_takes_its_best_left_one_in_turn() -> None:
    similar = torch.tensor([[0.9, 0.9, 0.0], [0.8, 0.1, 0.0], [0.1, 0.8, 0.0], [0.0, 0.0, 0.5], [0.0, 0.0, 0.0]])
    found = round_robin(similar, 5)
    assert found.order.tolist() == [0, 2, 3, 1, 4]
    assert found.takers.tolist() == [0, 1, 2, 0, -1]


def test_a_target_that_tells_no_examples_apart_takes_none() -> None:
    similar = torch.tensor([[0.0, 0.1], [0.0, 0.3], [0.0, 0.2]])
    assert round_robin(similar, 2).takers.tolist() == [1, 1]
    assert round_robin(torch.zeros(3, 2), 3).order.tolist() == [0, 1, 2]


@settings(deadline=None)
@given(shape=SIZES, names=st.lists(st.sampled_from("abc"), min_size=5, max_size=5))
def test_the_mean_of_a_subtask_is_that_of_its_columns_wherever_they_stand(
    shape: tuple[int, int, int], names: Sequence[str]
) -> None:
    similar = similar_rows(*shape)
    subtasks = names[: similar.shape[1]]
    means = subtask_means(similar, subtasks)
    for number, (name, places) in enumerate(places_of(subtasks).items()):
        assert [subtasks[place] for place in places] == [name] * len(places)
        torch.testing.assert_close(means[:, number], similar[:, places].mean(dim=1))


def test_equal_scores_keep_the_order_of_the_pool() -> None:
    assert ranked(torch.tensor([1.0, 2.0, 1.0, 2.0]), 3).tolist() == [1, 3, 0]


def test_names_that_are_not_one_per_target_example_are_refused() -> None:
    with pytest.raises(SelectionError, match="2 sub-task names for 3 target examples. Pass one name per target"):
        subtask_means(torch.zeros(4, 3), ["a", "b"])

"""Two rounds over parts come close to one round over everything, and say how close."""

import math

import numpy as np
import pytest
import torch

from coresift.errors import SelectionError
from coresift.submodular.cover.greedy import cover, nearest
from coresift.submodular.cover.partition import greedi, loss, merge, pick_in_part, random_parts, share_of
from coresift.submodular.distances.stored import pairwise
from coresift.submodular.distances.tiled import Tiled

N, SIZE = 2300, 60


@pytest.fixture(scope="module")
def rows() -> torch.Tensor:
    source = torch.Generator().manual_seed(3)
    centres = torch.randn(N // 20, 24, generator=source)
    spread = 0.4 * torch.randn(N, 24, generator=source)
    return (centres[torch.randint(0, len(centres), (N,), generator=source)] + spread) * torch.exp(
        0.5 * torch.randn(N, 1, generator=source)
    )


def error(rows: torch.Tensor, order: torch.Tensor) -> float:
    space = pairwise(rows)
    return float(nearest(space, order).sum(dtype=torch.float64)) * space.step


def test_one_part_is_central_greedy(rows: torch.Tensor) -> None:
    whole = pairwise(rows)
    found = greedi(lambda part: pairwise(rows[part]), whole, SIZE, parts=1, oversample=1.0)
    assert torch.equal(found.order, cover(whole, SIZE).order)


@pytest.mark.parametrize("parts", [3, 10])
def test_the_error_on_the_whole_pool_is_near_that_of_central_greedy(rows: torch.Tensor, parts: int) -> None:
    central = error(rows, cover(pairwise(rows), SIZE).order)
    found = greedi(lambda part: pairwise(rows[part]), Tiled.of(rows), SIZE, parts=parts)
    assert found.error == pytest.approx(error(rows, found.order), rel=1e-6)
    assert 0.0 <= loss(found.error, central) < 0.1
    assert set(found.order.tolist()) <= set(found.candidates.tolist()) and len(set(found.order.tolist())) == SIZE


def test_more_candidates_from_every_part_lose_less(rows: torch.Tensor) -> None:
    whole = pairwise(rows)
    errors = [
        greedi(lambda part: pairwise(rows[part]), whole, SIZE, parts=10, oversample=times).error
        for times in (1.0, 2.0, 6.0)
    ]
    assert errors[0] > errors[1] > errors[2]


@pytest.mark.parametrize(
    ("error", "central", "lost"), [(102.0, 100.0, 0.02), (99.0, 100.0, -0.01), (0.0, 0.0, 0.0), (1.0, 0.0, math.inf)]
)
def test_a_loss_is_the_part_by_which_the_error_is_above_that_of_central_greedy(
    error: float, central: float, lost: float
) -> None:
    assert loss(error, central) == pytest.approx(lost)


def test_parts_are_picked_in_alone_and_in_any_order(rows: torch.Tensor) -> None:
    parts = random_parts(N, 4, seed=1)
    picked = [pick_in_part(pairwise(rows[part]), part, 30) for part in parts]
    whole = pairwise(rows)
    assert torch.equal(merge(whole, picked, SIZE).order, merge(whole, picked[::-1], SIZE).order)


def test_random_parts_hold_every_example_once() -> None:
    parts = random_parts(103, 5, seed=0)
    assert sorted(np.concatenate(parts).tolist()) == list(range(103)) and {len(part) for part in parts} == {20, 21}
    assert all((np.diff(part) > 0).all() for part in parts)


@pytest.mark.parametrize(("part", "count"), [(100, 12), (5, 5)])
def test_a_part_gives_more_than_its_share_and_never_more_than_it_has(part: int, count: int) -> None:
    assert share_of(part, 60, 10, 2.0) == count


@pytest.mark.parametrize("count", [0, 11])
def test_more_parts_than_examples_are_refused(count: int) -> None:
    with pytest.raises(SelectionError, match=f"{count} parts of 10 examples"):
        random_parts(10, count, seed=0)


def test_too_few_candidates_are_refused(rows: torch.Tensor) -> None:
    with pytest.raises(SelectionError, match="3 candidates for 5 picks: every part must give more"):
        merge(pairwise(rows[:50]), [np.array([1, 2]), np.array([9])], 5)

"""Pools beyond float64, whichever way their distances are held: exact picks, centred rows, constant spaces, copies."""

from collections.abc import Callable
from functools import partial

import pytest
import torch

from coresift.submodular.cover.greedy import assign, cover, gains, nearest
from coresift.submodular.distances.stored import EXACT, Blend, Metric, pairwise
from coresift.submodular.distances.tiled import Tiled

N, DIM, SIZE = 2300, 16, 40
Hold = Callable[[torch.Tensor], Metric]
MATRICES: dict[str, Hold] = {"24 bits": pairwise, "16 bits": partial(pairwise, bits=16)}
WAYS: dict[str, Hold] = {**MATRICES, "tiled": Tiled.of}

every_way = pytest.mark.parametrize("hold", WAYS.values(), ids=WAYS)


def clusters(n: int, d: int, seed: int) -> torch.Tensor:
    source = torch.Generator().manual_seed(seed)
    centres = torch.randn(n // 20, d, generator=source)
    return centres[torch.randint(0, len(centres), (n,), generator=source)] + 0.4 * torch.randn(n, d, generator=source)


@pytest.mark.parametrize("hold", MATRICES.values(), ids=MATRICES)
@pytest.mark.parametrize("alpha", [0.0, 0.4])
def test_every_tenth_pick_is_the_lowest_index_of_the_largest_gain_left_of_six_thousand(
    hold: Hold, alpha: float
) -> None:
    n, size = 6000, 121
    spaces = [clusters(n, DIM, seed) for seed in (0, 1)]
    for rows in spaces:
        rows[:500] = rows[3000:3500]  # equal rows in both spaces: equal gains
    metric = Blend(hold(spaces[0]), hold(spaces[1]), alpha)
    covered = cover(metric, size)
    ties = 0
    for number in range(0, size, 10):
        if number == 0:
            left = -torch.cat([metric.rows(part).sum(1, dtype=torch.float64) for part in torch.arange(n).split(500)])
        else:
            left = gains(metric, nearest(metric, covered.order[:number]))
            assert float(covered.gains[number]) == float(left.max()) * metric.step
        best = (left == left.max()).nonzero().flatten()
        assert int(covered.order[number]) == int(best[0])
        ties += len(best) - 1
    assert ties > 0


@every_way
def test_what_all_rows_have_in_common_changes_no_pick(hold: Hold) -> None:
    """The rows are whole numbers and 2^12 in number, so their mean is exact, and so is what is left without it."""
    rows = (4.0 * clusters(4096, DIM, 2)).round()
    offset = 2.0**17 * torch.tensor([1.0, -1.0]).repeat(DIM // 2) + torch.arange(DIM)
    spread = float(rows.std())
    assert float(offset.abs().min()) > 1e4 * spread and torch.equal((rows + offset) - offset, rows)
    plain, moved = cover(hold(rows), SIZE), cover(hold(rows + offset), SIZE)
    assert torch.equal(plain.order, moved.order) and torch.equal(plain.gains, moved.gains)


@every_way
@pytest.mark.parametrize(
    ("constant", "alpha"), [("second", 0.0), ("second", 0.3), ("second", 1.0), ("first", 0.3), ("first", 1.0)]
)
def test_a_blend_with_a_constant_space_picks_what_the_other_space_picks_alone(
    hold: Hold, constant: str, alpha: float
) -> None:
    space, flat = hold(clusters(N, DIM, 3)), hold(torch.full((N, DIM), 0.1))
    alone = cover(space, SIZE)
    covered = cover(Blend(space, flat, alpha) if constant == "second" else Blend(flat, space, alpha), SIZE)
    weight = 1.0 - alpha if constant == "second" else alpha
    assert torch.equal(covered.order, alone.order)
    assert covered.gains.tolist() == pytest.approx((weight * alone.gains).tolist(), rel=1e-12)


@every_way
def test_where_the_first_space_alone_counts_and_is_constant_the_pool_is_picked_in_its_order(hold: Hold) -> None:
    covered = cover(Blend(hold(torch.full((N, DIM), 0.1)), hold(clusters(N, DIM, 3)), 0.0), SIZE)
    assert covered.order.tolist() == list(range(SIZE)) and covered.gains.tolist() == [0.0] * SIZE


@every_way
def test_rows_that_are_all_equal_are_picked_in_the_order_of_the_pool(hold: Hold) -> None:
    flat = hold(torch.full((N, DIM), 0.1))
    covered = cover(flat, SIZE)
    assert covered.order.tolist() == list(range(SIZE)) and covered.gains.tolist() == [0.0] * SIZE
    assert assign(flat, covered.order).counts.tolist() == [N - SIZE + 1] + [1] * (SIZE - 1)


@every_way
def test_of_rows_in_triples_the_first_is_picked_and_stands_for_all_three(hold: Hold) -> None:
    distinct = clusters(N // 3, DIM, 4)
    rows = distinct.repeat(3, 1)[torch.randperm(3 * len(distinct), generator=torch.Generator().manual_seed(5))]
    assert len(rows) > EXACT
    metric = hold(rows)
    covered = cover(metric, 300)
    firsts = [int((rows == rows[pick]).all(dim=1).nonzero()[0]) for pick in covered.order.tolist()]
    assert covered.order.tolist() == firsts and len(set(firsts)) == 300
    assert int(assign(metric, covered.order).counts.min()) >= 3


@every_way
def test_more_picks_than_distinct_rows_are_still_different_examples_and_gain_nothing(hold: Hold) -> None:
    distinct, size = clusters(N // 3, DIM, 6), N // 3 + 50
    metric = hold(distinct.repeat(3, 1))
    covered = cover(metric, size)
    assert len(set(covered.order.tolist())) == size
    assert float(nearest(metric, covered.order[: len(distinct)]).max()) == 0.0
    assert covered.gains[len(distinct) :].tolist() == [0.0] * 50

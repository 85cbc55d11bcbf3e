"""The lazy greedy is the greedy: same picks, exact gains, true ties, every pick its own."""

from itertools import combinations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from coresift.errors import SelectionError
from coresift.submodular.cover.greedy import assign, cover, gains, nearest
from coresift.submodular.distances.stored import Blend, Metric, pairwise

LATTICE = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=24)


def points(pairs: list[tuple[int, int]]) -> torch.Tensor:
    return torch.tensor(pairs, dtype=torch.float64)


def clusters(n: int, d: int, seed: int) -> torch.Tensor:
    source = torch.Generator().manual_seed(seed)
    centres = torch.randn(n // 10, d, generator=source)
    member = torch.randint(0, len(centres), (n,), generator=source)
    return centres[member] + 0.3 * torch.randn(n, d, generator=source)


def naive(metric: Metric, size: int) -> tuple[list[int], list[float]]:
    """Look at every candidate for every pick."""
    whole = metric.rows(slice(0, metric.n))
    reach, order, found = whole.amax().expand(metric.n), [], []
    for _ in range(size):
        left = (reach - whole).clamp(min=0).sum(dim=1, dtype=torch.float64)
        left[order] = -1.0
        pick = int((left == left.max()).nonzero()[0])
        order.append(pick)
        found.append(float(left[pick]) * metric.step)
        reach = torch.minimum(reach, whole[pick])
    return order, found


def error_of(metric: Metric, picks: list[int]) -> float:
    return float(nearest(metric, torch.tensor(picks)).sum(dtype=torch.float64)) * metric.step


@settings(max_examples=80, deadline=None, derandomize=True)
@given(pairs=LATTICE, data=st.data())
def test_lazy_picks_and_gains_are_the_naive_ones_with_all_the_ties_of_a_lattice(
    pairs: list[tuple[int, int]], data: st.DataObject
) -> None:
    metric = pairwise(points(pairs))
    size = data.draw(st.integers(1, len(pairs)))
    covered = cover(metric, size)
    assert (covered.order.tolist(), covered.gains.tolist()) == naive(metric, size)


@pytest.mark.parametrize(("seed", "alpha"), [(0, 0.0), (1, 0.37), (2, 0.8)])
def test_lazy_is_naive_on_float32_spaces_with_duplicates(seed: int, alpha: float) -> None:
    first, second = clusters(2100, 32, seed), clusters(2100, 32, seed + 10)
    first[50:150], second[50:150] = first[400:500], second[400:500]
    metric = Blend(pairwise(first), pairwise(second), alpha)
    covered = cover(metric, 30)
    assert (covered.order.tolist(), covered.gains.tolist()) == naive(metric, 30)


def test_no_pick_has_a_smaller_gain_than_any_candidate_left() -> None:
    metric = Blend(pairwise(clusters(600, 8, 0)), pairwise(clusters(600, 8, 1)), 0.6)
    covered = cover(metric, 100)
    for number in range(1, 100, 9):
        left = gains(metric, nearest(metric, covered.order[:number])) * metric.step
        assert float(covered.gains[number]) == float(left.max())


def test_gains_never_grow_and_add_up_to_the_error_saved() -> None:
    metric = pairwise(clusters(300, 8, 0))
    covered = cover(metric, 300)
    assert (covered.gains.diff() <= 0).all()
    largest = float(metric.whole.max()) * metric.step
    assert float(covered.gains.sum()) == pytest.approx(300 * largest, rel=1e-12)


def test_a_smaller_cover_is_a_prefix_of_a_larger_one() -> None:
    metric = pairwise(clusters(300, 8, 0))
    assert torch.equal(cover(metric, 20).order, cover(metric, 90).order[:20])


@settings(max_examples=60, deadline=None, derandomize=True)
@given(pairs=LATTICE, data=st.data())
def test_every_pick_owns_itself_and_weights_sum_to_the_pool(pairs: list[tuple[int, int]], data: st.DataObject) -> None:
    metric = pairwise(points(pairs))
    size = data.draw(st.integers(1, len(pairs)))
    order = cover(metric, size).order
    owners = assign(metric, order)
    assert owners.owner[order].tolist() == list(range(size))
    assert int(owners.counts.sum()) == len(pairs) and int(owners.counts.min()) >= 1
    assert torch.equal(owners.reach, nearest(metric, order))
    assert torch.equal(metric.at(torch.arange(len(pairs)), order[owners.owner]), owners.reach)


def test_a_point_between_two_picks_belongs_to_the_earlier() -> None:
    line = pairwise(torch.tensor([[0.0], [1.0], [2.0]]))
    assert assign(line, torch.tensor([2, 0])).owner.tolist() == [1, 0, 0]
    assert assign(line, torch.tensor([0, 2])).owner.tolist() == [0, 0, 1]


def test_triples_of_duplicates_cover_as_much_as_possible() -> None:
    distinct = clusters(500, 16, 0)
    rows = distinct.repeat(3, 1)[torch.randperm(1500, generator=torch.Generator().manual_seed(3))]
    metric = pairwise(rows)
    covered = cover(metric, 300)
    assert len(set(covered.order.tolist())) == 300
    assert len(torch.unique(rows[covered.order], dim=0)) == 300
    assert covered.order.tolist() == naive(metric, 300)[0]
    assert int(assign(metric, covered.order).counts.min()) >= 3


def test_more_picks_than_distinct_rows_are_still_different_examples() -> None:
    metric = pairwise(clusters(100, 4, 0)[:10].repeat(15, 1))
    covered = cover(metric, 100)
    assert len(set(covered.order.tolist())) == 100
    assert error_of(metric, covered.order[:10].tolist()) == 0.0
    assert covered.gains[10:].tolist() == [0.0] * 90


def test_equal_rows_are_picked_in_the_order_of_the_pool() -> None:
    covered = cover(pairwise(torch.ones(7, 3)), 3)
    assert covered.order.tolist() == [0, 1, 2] and covered.gains.tolist() == [0.0] * 3
    assert assign(pairwise(torch.ones(7, 3)), covered.order).counts.tolist() == [5, 1, 1]


def test_the_whole_pool_has_no_error_and_unit_weights() -> None:
    metric = pairwise(clusters(80, 4, 0))
    owners = assign(metric, cover(metric, 80).order)
    assert owners.counts.tolist() == [1] * 80 and float(owners.reach.sum()) == 0.0


def test_a_shuffled_pool_gives_the_same_examples() -> None:
    rows = clusters(200, 8, 0)
    shuffle = torch.randperm(200, generator=torch.Generator().manual_seed(1))
    straight, shuffled = cover(pairwise(rows), 30), cover(pairwise(rows[shuffle]), 30)
    assert torch.equal(shuffle[shuffled.order], straight.order)


@pytest.mark.parametrize("factor", [1e-3, 7.3, 1e6])
def test_a_longer_ruler_changes_no_pick(factor: float) -> None:
    rows = clusters(200, 8, 0).double()
    assert torch.equal(cover(pairwise(rows * factor), 30).order, cover(pairwise(rows), 30).order)


@pytest.mark.parametrize("seed", range(4))
def test_greedy_keeps_its_guarantee(seed: int) -> None:
    metric = pairwise(clusters(20, 3, seed))
    c = float(metric.whole.max()) * metric.step
    for size in (2, 3):
        best = min(error_of(metric, list(subset)) for subset in combinations(range(20), size))
        error = error_of(metric, cover(metric, size).order.tolist())
        share = 1 - (1 - 1 / size) ** size
        assert 20 * c - error >= share * (20 * c - best) - 1e-9
        assert error <= (1 - 1 / torch.e) * best + 20 * c / torch.e + 1e-9


@pytest.mark.parametrize("size", [0, -1, 6])
def test_sizes_outside_the_pool_are_refused(size: int) -> None:
    with pytest.raises(SelectionError, match=f"size {size}: a subset of 5 points has between 1 and 5"):
        cover(pairwise(torch.arange(5.0)[:, None]), size)


@pytest.mark.gpu
def test_a_gpu_makes_the_same_picks_from_the_same_distances() -> None:
    space = pairwise(clusters(2200, 32, 0))
    there = type(space)(space.whole.cuda(), space.step)
    here, far = cover(space, 100), cover(there, 100)
    assert torch.equal(here.order, far.order.cpu()) and torch.equal(here.gains, far.gains)
    assert torch.equal(assign(space, here.order).owner, assign(there, far.order).owner.cpu())


def test_a_tie_on_six_response_gradients_goes_to_the_lower_index() -> None:
    rows = torch.tensor([[4, 6], [8, 6], [8, 10], [7, 13], [5, 1], [10, 8]], dtype=torch.float64)
    metric = pairwise(rows)
    covered = cover(metric, 2)
    left = gains(metric, nearest(metric, covered.order[:1]))
    assert left[2] == left[3] == left.max()
    assert covered.order.tolist() == [1, 2] and assign(metric, covered.order).counts.tolist() == [4, 2]

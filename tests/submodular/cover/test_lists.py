"""What makes a cover fast changes nothing: near-pair lists, rough bounds and the short queue give the same picks."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from coresift.submodular.cover import first_pick, greedy, near_pairs, queue
from coresift.submodular.cover.certificate import certify
from coresift.submodular.cover.greedy import Cover, cover, cover_all, gains, nearest
from coresift.submodular.cover.near_pairs import Balls, pairs_within
from coresift.submodular.cover.on_matrices import Matrices
from coresift.submodular.cover.queue import Queue
from coresift.submodular.distances.stored import SLACK, Blend, Distances, Metric, pairwise, rough

LARGE = 2300  # above EXACT: float32
Spaces = tuple[Distances, Distances]


def clusters(n: int, d: int, seed: int, *, unit: bool = False) -> torch.Tensor:
    source = torch.Generator().manual_seed(seed)
    centres = torch.randn(n // 20, d, generator=source)
    rows = centres[torch.randint(0, len(centres), (n,), generator=source)] + 0.4 * torch.randn(n, d, generator=source)
    return (
        rows / rows.norm(dim=1, keepdim=True) if unit else rows * torch.exp(0.6 * torch.randn(n, 1, generator=source))
    )


@pytest.fixture(scope="module", params=[False, True], ids=["heavy-tailed", "unit"])
def spaces(request: pytest.FixtureRequest) -> Spaces:
    rows = [clusters(LARGE, 32, seed, unit=request.param) for seed in (0, 1)]
    for each in rows:
        each[100:300] = each[1000:1200]  # the same rows in both spaces
    return pairwise(rows[0]), pairwise(rows[1])


def by_rows(metric: Metric, size: int, monkeypatch: pytest.MonkeyPatch, *, lists: bool) -> Cover:
    """Without compiled loops over matrices: on whole rows, and on lists once they hold less than a fifth of all."""
    with monkeypatch.context() as patch:
        patch.setattr(Matrices, "of", lambda metric: None)
        patch.setattr(greedy, "SPARSE", 0.2)
        if not lists:
            patch.setattr(greedy, "ROUGH", metric.n)
        return cover(metric, size)


@pytest.mark.parametrize("alpha", [0.0, 0.31, 0.5, 1.0])
def test_lists_and_rough_bounds_change_neither_picks_nor_gains(
    spaces: Spaces, alpha: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    metric = Blend(*spaces, alpha)
    fast, slow = (by_rows(metric, 230, monkeypatch, lists=lists) for lists in (True, False))
    assert fast.lists is not None and slow.lists is None
    assert torch.equal(fast.order, slow.order) and torch.equal(fast.gains, slow.gains)


@pytest.mark.parametrize("share", [0.02, 0.005, 0.0])
def test_lists_hold_about_as_many_pairs_as_they_are_given_room_for_at_most(spaces: Spaces, share: float) -> None:
    metric, room = Blend(*spaces, 0.5), share * LARGE**2
    wanted, found = cover(metric, 230), cover_all([metric], 230, pairs=room)[0]
    assert torch.equal(found.order, wanted.order) and torch.equal(found.gains, wanted.gains)
    assert (found.lists is None) == (share == 0.0)
    assert found.lists is None or len(found.lists.whole) <= 1.5 * room  # foretold from a sample


@pytest.mark.parametrize("alpha", [0.0, 0.31, 1.0])
def test_compiled_loops_lazy_or_incremental_make_the_same_picks(
    spaces: Spaces, alpha: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    metric = Blend(*spaces, alpha)
    lazy, incremental = cover(metric, 230), cover(metric, 230, update="incremental")
    slow = by_rows(metric, 230, monkeypatch, lists=False)
    for each in (lazy, incremental):
        assert torch.equal(each.order, slow.order) and torch.equal(each.gains, slow.gains)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_the_number_of_threads_changes_nothing(spaces: Spaces, threads: int) -> None:
    metric, before = Blend(*spaces, 0.5), torch.get_num_threads()
    one = cover(metric, 100)
    torch.set_num_threads(threads)
    try:
        assert torch.equal(cover(metric, 100).gains, one.gains)
    finally:
        torch.set_num_threads(before)


def test_a_short_queue_and_a_long_one_give_the_same(spaces: Spaces, monkeypatch: pytest.MonkeyPatch) -> None:
    metric = Blend(*spaces, 0.6)
    whole = by_rows(metric, 120, monkeypatch, lists=False)
    monkeypatch.setattr(queue, "LISTED", 5)
    assert torch.equal(by_rows(metric, 120, monkeypatch, lists=False).order, whole.order)


def test_every_pick_of_a_large_pool_gains_the_most_that_is_left(spaces: Spaces) -> None:
    metric = Blend(*spaces, 0.4)
    covered = cover(metric, 115)
    for number in (1, 2, 9, 40, 114):
        left = gains(metric, nearest(metric, covered.order[:number])) * metric.step
        assert float(covered.gains[number]) == float(left.max())
        assert int(left.argmax()) == int(covered.order[number])


@pytest.mark.parametrize("alpha", [1e-6, 0.2, 0.5, 0.999])
def test_rough_distances_lie_within_the_slack(spaces: Spaces, alpha: float) -> None:
    metric = Blend(*spaces, alpha)
    part = slice(0, 400)
    assert float((rough(metric, part) - metric.rows(part)).abs().max()) <= SLACK


@pytest.mark.parametrize("alpha", [0.1, 0.5, 0.9])
def test_the_first_pick_of_a_blend_is_that_of_all_its_rows(spaces: Spaces, alpha: float) -> None:
    metric = Blend(*spaces, alpha)
    sums = metric.rows(slice(0, LARGE)).sum(dim=1, dtype=torch.float64)
    largest = metric.rows(slice(0, LARGE)).amax()
    pick, gain, top = first_pick.first_pick(metric)
    assert (pick, float(top)) == (int(sums.argmin()), float(largest))
    assert gain == float(largest) * LARGE - float(sums.min())


def test_lists_hold_the_pairs_closer_than_the_radius_and_no_others(spaces: Spaces) -> None:
    metric = Blend(*spaces, 0.5)
    radius = nearest(metric, torch.tensor([3, 77, 901]))
    lists, whole = Balls.of(metric, radius), metric.rows(slice(0, LARGE))
    near = whole < radius
    assert torch.equal(lists.starts.diff(), near.sum(dim=1))
    assert torch.equal(lists.points.long(), near.nonzero()[:, 1]) and torch.equal(lists.whole, whole[near])
    assert pairs_within([metric], [radius]) == pytest.approx(int(near.sum()), rel=0.5)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(cells=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=2, max_size=20), data=st.data())
def test_what_lists_answer_is_what_the_distances_say(cells: list[tuple[int, int]], data: st.DataObject) -> None:
    metric = pairwise(torch.tensor(cells, dtype=torch.float64))
    n = len(cells)
    picks = data.draw(st.lists(st.integers(0, n - 1), min_size=1, max_size=4, unique=True))
    radius = nearest(metric, torch.tensor(picks[:1]))
    reach = nearest(metric, torch.tensor(picks))
    lists, some = Balls.of(metric, radius), torch.tensor(picks)
    lowered = radius
    for pick in picks:
        lowered = lists.lower(lowered, pick)
    assert torch.equal(lowered, reach)
    assert torch.equal(lists.gains(reach), gains(metric, reach))
    assert torch.equal(lists.gains_of(reach, some), gains(metric, reach)[some])
    assert torch.equal(lists.served(reach, some), (metric.rows(some) < reach).sum(dim=0).double())


def test_sums_over_lists_do_not_depend_on_where_they_are_cut(spaces: Spaces, monkeypatch: pytest.MonkeyPatch) -> None:
    reach = nearest(spaces[0], torch.tensor([5, 9]))
    lists = Balls.of(spaces[0], reach)
    whole = lists.gains(reach)
    monkeypatch.setitem(near_pairs.CHUNK, "cpu", 1000)
    assert torch.equal(lists.gains(reach), whole)


def test_the_certificate_of_a_large_pool_holds_for_the_distances_as_they_are(spaces: Spaces) -> None:
    metric = Blend(*spaces, 0.5)
    order = cover(metric, 115).order
    proof = certify(metric, order, iterations=150)
    error = float(nearest(metric, order).sum(dtype=torch.float64)) * metric.step
    assert proof.error == error and 0.9 * error < proof.lower_bound <= error


def test_a_queue_offers_the_lowest_index_of_the_largest_gain() -> None:
    true = torch.tensor([1.0, 5.0, 3.0, 5.0, 0.0], dtype=torch.float64)
    waiting = Queue(true + 2.0, exact=False)
    waiting.remove(torch.tensor([2]))
    found = [waiting.pop(lambda which: true[which]) for _ in range(4)]
    assert found == [(1, 5.0), (3, 5.0), (0, 1.0), (4, 0.0)]

"""Without an n x n matrix: the same distances, the same picks, and passes that go on where they were killed."""

from pathlib import Path

import pytest
import torch

from coresift.errors import SelectionError
from coresift.savepoints import Nowhere, Savepoints
from coresift.submodular.cover import passes
from coresift.submodular.cover.certificate import certify
from coresift.submodular.cover.greedy import Cover, assign, cover, cover_all, gains, nearest
from coresift.submodular.cover.passes import take_sums
from coresift.submodular.cover.without_matrix import lists_of
from coresift.submodular.distances import blocks
from coresift.submodular.distances.blocks import grid
from coresift.submodular.distances.stored import Blend, pairwise
from coresift.submodular.distances.tiled import Tiled
from kills import Dying, Killed, until_done

N, SIZE = 2300, 115
Rows = tuple[torch.Tensor, torch.Tensor]


@pytest.fixture(scope="module", params=[False, True], ids=["heavy-tailed", "unit"])
def rows(request: pytest.FixtureRequest) -> Rows:
    source = torch.Generator().manual_seed(7)
    made = []
    for _ in range(2):
        centres = torch.randn(N // 20, 48, generator=source)
        each = centres[torch.randint(0, len(centres), (N,), generator=source)]
        each = each + 0.4 * torch.randn(N, 48, generator=source)
        norms = (
            each.norm(dim=1, keepdim=True) if request.param else torch.exp(0.6 * torch.randn(N, 1, generator=source))
        )
        each = each / norms if request.param else each * norms
        each[100:160], each[2000:2060] = each[1000:1060], each[1000:1060]  # triples, the same in both spaces
        made.append(each)
    return made[0], made[1]


def tiled(rows: Rows, alpha: float) -> Blend:
    return Blend(Tiled.of(rows[0]), Tiled.of(rows[1]), alpha)


def dense(rows: Rows, alpha: float, bits: int = 24) -> Blend:
    return Blend(pairwise(rows[0], bits=bits), pairwise(rows[1], bits=bits), alpha)


def test_blocks_hold_the_distances_that_a_matrix_holds(rows: Rows) -> None:
    space, stored = Tiled.of(rows[0]), pairwise(rows[0])
    assert space.step == stored.step
    for first, second in grid(N, torch.device("cpu")):
        assert torch.equal(space.tiles.block(first, second), stored.whole[first, second])
    whole, some = space.rows(torch.tensor([5, 100, 2299])), stored.rows(torch.tensor([5, 100, 2299]))
    assert float((whole - some).abs().max()) <= 8.0
    assert whole[0, 5] == whole[1, 1000] == whole[1, 2000] == 0.0
    points = torch.arange(N)
    assert float((space.at(points, points.flip(0)) - stored.at(points, points.flip(0))).abs().max()) <= 8.0


@pytest.mark.parametrize(("room", "head"), [(1.0, 1), (0.05, 32), (0.0, 0)])
@pytest.mark.parametrize("alpha", [0.0, 0.4, 1.0])
def test_the_picks_are_those_on_a_matrix_whatever_room_lists_have(
    rows: Rows, alpha: float, room: float, head: int
) -> None:
    wanted, found = cover(dense(rows, alpha), SIZE), cover_all([tiled(rows, alpha)], SIZE, pairs=room * N * N)[0]
    assert (found.lists is not None) == (head > 0) and found.head <= head
    assert torch.equal(found.order, wanted.order)
    assert torch.allclose(found.gains[1:], wanted.gains[1:], rtol=1e-5)


@pytest.mark.parametrize("alpha", [0.0, 0.4, 1.0])
def test_sixteen_bits_reach_the_same_error(rows: Rows, alpha: float) -> None:
    wanted, coarse = cover(dense(rows, alpha), SIZE), cover(dense(rows, alpha, bits=16), SIZE)
    differ = len(set(coarse.order.tolist()) ^ set(wanted.order.tolist()))
    error = [float(nearest(dense(rows, alpha), each.order).sum(dtype=torch.float64)) for each in (coarse, wanted)]
    assert error[0] == pytest.approx(error[1], rel=1e-3) and differ <= 4


def test_every_pick_gains_the_most_that_is_left_within_rounding(rows: Rows) -> None:
    metric = tiled(rows, 0.6)
    covered = cover(metric, SIZE)
    for number in (1, 2, 9, 40, SIZE - 1):
        left = gains(metric, nearest(metric, covered.order[:number])) * metric.step
        assert float(covered.gains[number]) == pytest.approx(float(left.max()), rel=1e-5)


def test_several_alphas_at_once_are_those_one_by_one(rows: Rows, monkeypatch: pytest.MonkeyPatch) -> None:
    spaces = Tiled.of(rows[0]), Tiled.of(rows[1])
    alphas = [0.0, 0.3, 0.7, 1.0]
    looked = []
    over = passes._over_blocks
    monkeypatch.setattr(passes, "_over_blocks", lambda *given, **named: looked.append(1) or over(*given, **named))
    together = cover_all([Blend(*spaces, alpha) for alpha in alphas], SIZE, pairs=0.02 * N * N)
    assert len(looked) == 3  # the sums of two spaces, and the first gains of all four
    for alpha, covered in zip(alphas, together, strict=True):
        alone = cover(Blend(*spaces, alpha), SIZE)
        assert torch.equal(covered.order, alone.order)
        assert torch.allclose(covered.gains, alone.gains, rtol=1e-5)


def test_owners_and_certificate_are_those_on_matrices(rows: Rows) -> None:
    stored, computed = dense(rows, 0.5), tiled(rows, 0.5)
    covered = cover(computed, SIZE)
    here, there = assign(computed, covered.order), assign(stored, covered.order)
    assert int((here.owner != there.owner).sum()) <= 2 and int(here.counts.sum()) == N
    proof, plain = certify(computed, covered.order, lists=covered.lists), certify(stored, covered.order)
    assert proof.error == pytest.approx(plain.error, rel=1e-6)
    assert 0.95 * proof.error < proof.lower_bound <= proof.error
    assert proof.gap == pytest.approx(plain.gap, abs=0.03)  # lists made for picking reach less far


def test_lists_too_long_for_the_ascent_are_shortened_and_the_bound_still_holds(rows: Rows) -> None:
    metric, few = tiled(rows, 0.5), 0.005 * N * N
    covered = cover(metric, SIZE)
    assert covered.lists is not None and len(covered.lists.whole) > few
    long = certify(metric, covered.order, lists=covered.lists)
    short = certify(metric, covered.order, lists=covered.lists, pairs=few)
    assert short.error == long.error and 0.9 * long.lower_bound < short.lower_bound < long.lower_bound


@pytest.mark.parametrize("alphas", [[0.4], [0.0, 0.3, 1.0]])
def test_torch_operations_find_what_compiled_loops_find(
    rows: Rows, alphas: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    def covers() -> list[Cover]:
        spaces = Tiled.of(rows[0]), Tiled.of(rows[1])
        return cover_all([Blend(*spaces, alpha) for alpha in alphas], SIZE, pairs=0.05 * N * N)

    looped = covers()
    monkeypatch.setattr(passes, "_compiled", lambda tile: False)  # as on a GPU
    for one, other in zip(looped, covers(), strict=True):
        assert torch.equal(one.order, other.order) and torch.allclose(one.gains, other.gains, rtol=1e-5)
        if len(alphas) > 1:
            assert one.lists is None and other.lists is None  # there is room for those of one cover only
            continue
        assert one.lists is not None and other.lists is not None
        assert torch.equal(one.lists.starts, other.lists.starts) and torch.equal(one.lists.points, other.lists.points)
        assert torch.equal(one.lists.whole, other.lists.whole)


@pytest.mark.parametrize("room", [(0.05, 1.0), (1.0, 0.05)])
def test_a_killed_pass_goes_on_right_where_lists_have_another_room_than_before(
    rows: Rows, room: tuple[float, float], tmp_path: Path
) -> None:
    wanted = cover(tiled(rows, 0.4), SIZE)
    lives = 1
    while lives < 60:  # killed at every save in turn, then finished with more or less memory
        folder = tmp_path / str(lives)
        try:
            cover_all([tiled(rows, 0.4)], SIZE, savepoints=Dying(folder, lives), pairs=room[0] * N * N)
            break
        except Killed:
            lives += 3
        found = cover_all([tiled(rows, 0.4)], SIZE, savepoints=Dying(folder, -1), pairs=room[1] * N * N)[0]
        assert torch.equal(found.order, wanted.order)
        assert torch.allclose(found.gains[1:], wanted.gains[1:], rtol=1e-5)
    assert lives > 10


def test_passes_killed_again_and_again_end_at_the_same_picks(rows: Rows, tmp_path: Path) -> None:
    def covered(savepoints: Savepoints) -> Cover:
        return cover_all([tiled(rows, 0.4)], SIZE, savepoints=savepoints, pairs=0.1 * N * N)[0]

    wanted, (found, kills) = covered(Nowhere()), until_done(covered, tmp_path, lives=4)
    assert kills >= 5
    assert torch.equal(found.order, wanted.order) and torch.equal(found.gains, wanted.gains)
    lists, again = wanted.lists, lists_of(tiled(rows, 0.4), found.slim(), Nowhere())
    assert lists is not None and again is not None
    assert torch.equal(again.points, lists.points) and torch.equal(again.whole, lists.whole)


def test_a_pass_killed_on_blocks_of_another_size_begins_anew(
    rows: Rows, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = take_sums(Tiled.of(rows[0]), Nowhere(), name="one space")
    monkeypatch.setitem(blocks.EDGE, "cpu", 700)
    with pytest.raises(Killed):
        take_sums(Tiled.of(rows[0]), Dying(tmp_path, lives=3), name="one space")
    monkeypatch.undo()
    sums, largest = take_sums(Tiled.of(rows[0]), Dying(tmp_path, lives=-1), name="one space")
    assert torch.equal(sums, wanted[0]) and largest == wanted[1]


def test_lists_are_not_kept_once_the_cover_made_on_them_is_saved(rows: Rows, tmp_path: Path) -> None:
    savepoints = Dying(tmp_path, lives=-1)
    covered = cover_all([tiled(rows, 0.4)], SIZE, savepoints=savepoints, pairs=0.1 * N * N)[0]
    saved = sum(path.stat().st_size for path in tmp_path.iterdir())
    assert covered.lists is not None and saved < 4 * len(covered.lists.whole)
    again = cover_all([tiled(rows, 0.4)], SIZE, savepoints=Dying(tmp_path, lives=1), pairs=0.1 * N * N)[0]
    assert torch.equal(again.order, covered.order)  # without a single save


def test_a_pool_of_equal_rows_and_a_single_pick_are_covers_too() -> None:
    flat = Tiled.of(torch.full((40, 3), 0.1))
    assert cover(flat, 3).order.tolist() == [0, 1, 2]
    line = Tiled.of(torch.tensor([[0.0], [1.0], [2.0], [7.0]]))
    assert (
        cover(line, 1).order.tolist() == cover(pairwise(torch.tensor([[0.0], [1.0], [2.0], [7.0]])), 1).order.tolist()
    )


def test_rows_with_nan_are_refused_by_name() -> None:
    rows = torch.zeros(4, 2)
    rows[1, 0] = torch.nan
    with pytest.raises(SelectionError, match=r"knowledge: 1 of 4 rows hold NaN or infinity \(rows 1"):
        Tiled.of(rows, name="knowledge")

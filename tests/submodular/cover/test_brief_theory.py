"""The theorems behind BRIEF (T1 to T10 of docs/methods/brief.md), on six points and on random pools."""

from itertools import combinations

import pytest
import torch

from coresift.submodular.cover.greedy import assign, cover, nearest
from coresift.submodular.cover.quality import assigned_sum, gradient_error, nearest_sum
from coresift.submodular.distances.stored import Blend, Distances, pairwise

KN = torch.tensor([[4, 0], [2, 5], [1, 7], [6, 6], [4, 1], [3, 1]], dtype=torch.float64)
IF = torch.tensor([[0, 6], [6, 1], [7, 3], [1, 7], [1, 0], [7, 7]], dtype=torch.float64)
ALPHAS = [0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95]
EPSILON = 25.0
SUBSETS = [list(subset) for size in range(1, 7) for subset in combinations(range(6), size)]


def random_spaces(seed: int, n: int = 40, d: int = 5) -> tuple[torch.Tensor, torch.Tensor]:
    source = torch.Generator().manual_seed(seed)
    return tuple(torch.randn(n, d, generator=source, dtype=torch.float64) for _ in range(2))  # type: ignore[return-value]


def total(metric: Distances | Blend, picks: list[int]) -> float:
    return float(nearest(metric, torch.tensor(picks)).sum()) * metric.step


def paper_total(knowledge: Distances, following: Distances, alpha: float, picks: list[int]) -> float:
    """B_alpha: the sum of the nearest d_KN / alpha + d_IF / (1 - alpha)."""
    return total(Blend(knowledge, following, alpha), picks) / (alpha * (1 - alpha))


def smallest(fits: list[bool]) -> int:
    return min(len(subset) for subset, fit in zip(SUBSETS, fits, strict=True) if fit)


@pytest.fixture(scope="module")
def toy() -> tuple[Distances, Distances]:
    return pairwise(KN), pairwise(IF)


@pytest.fixture(scope="module")
def tables(toy: tuple[Distances, Distances]) -> tuple[list[int], list[int], list[int]]:
    """For every alpha the smallest size with B_KN <= alpha epsilon, with B_IF <= (1 - alpha) epsilon, and with both."""
    knowledge, following = ([total(space, subset) for subset in SUBSETS] for space in toy)
    sizes: tuple[list[int], list[int], list[int]] = ([], [], [])
    for alpha in ALPHAS:
        one = [value <= alpha * EPSILON for value in knowledge]
        two = [value <= (1 - alpha) * EPSILON for value in following]
        both = [first and second for first, second in zip(one, two, strict=True)]
        for found, fits in zip(sizes, (one, two, both), strict=True):
            found.append(smallest(fits))
    return sizes


@pytest.mark.parametrize("alpha", [0.01, 0.3, 0.5, 0.77, 0.99])
@pytest.mark.parametrize("seed", range(3))
def test_t1_a_constant_space_plays_no_part(alpha: float, seed: int) -> None:
    knowledge = pairwise(random_spaces(seed)[0])
    flat = pairwise(torch.full((40, 3), 2.5))
    alone, together = cover(knowledge, 12), cover(Blend(knowledge, flat, alpha), 12)
    assert torch.equal(alone.order, together.order)


def test_t2_the_best_alpha_needs_no_more_than_the_joint_problem(toy: tuple[Distances, Distances]) -> None:
    sums = [(total(toy[0], subset), total(toy[1], subset)) for subset in SUBSETS]
    joint = smallest([knowledge + following <= EPSILON for knowledge, following in sums])
    grid = [step / 1000 for step in range(1001)]
    per_alpha = [smallest([k <= a * EPSILON and f <= (1 - a) * EPSILON for k, f in sums]) for a in grid]
    assert joint == min(per_alpha) == 2


def test_a_composite_within_budget_keeps_both_spaces_within_theirs(toy: tuple[Distances, Distances]) -> None:
    for alpha in ALPHAS:
        for subset in SUBSETS:
            composite = paper_total(*toy, alpha, subset)
            assert total(toy[0], subset) <= alpha * composite + 1e-9
            assert total(toy[1], subset) <= (1 - alpha) * composite + 1e-9


def test_the_sizes_needed_on_six_points_are_the_tabled_ones(tables: tuple[list[int], list[int], list[int]]) -> None:
    assert tables[0] == [5, 4, 3, 3, 2, 2, 2, 2, 1, 1, 1]
    assert tables[1] == [2, 2, 2, 2, 2, 3, 3, 4, 4, 5, 6]
    assert tables[2] == [5, 4, 3, 3, 2, 3, 3, 4, 4, 5, 6]


@pytest.mark.parametrize("alpha", [0.1, 0.25, 0.5, 0.75, 0.9])
@pytest.mark.parametrize("seed", range(4))
def test_t3_the_assigned_sums_lie_between_nearest_and_composite(alpha: float, seed: int) -> None:
    knowledge, following = map(pairwise, random_spaces(seed))
    blend = Blend(knowledge, following, alpha)
    picks = cover(blend, 6).order
    owners = assign(blend, picks)
    composite = paper_total(knowledge, following, alpha, picks.tolist())
    a_kn, a_if = assigned_sum(knowledge, picks, owners), assigned_sum(following, picks, owners)
    room = 1 + 1e-9
    assert nearest_sum(knowledge, picks) <= a_kn * room and a_kn <= alpha * composite * room
    assert nearest_sum(following, picks) <= a_if * room and a_if <= (1 - alpha) * composite * room
    assert a_kn / alpha + a_if / (1 - alpha) == pytest.approx(composite, rel=1e-9)


def test_t4_and_t5_both_budgets_together_need_between_the_larger_and_the_sum(
    tables: tuple[list[int], list[int], list[int]],
) -> None:
    for knowledge, following, both in zip(*tables, strict=True):
        assert max(knowledge, following) <= both <= knowledge + following
    assert tables[0] == sorted(tables[0], reverse=True) and tables[1] == sorted(tables[1])


@pytest.mark.parametrize("alpha", [0.0, 0.3, 0.5, 0.7, 1.0])
@pytest.mark.parametrize("seed", range(4))
def test_t6_gradient_errors_stay_within_the_assigned_sums(alpha: float, seed: int) -> None:
    rows = random_spaces(seed)
    spaces = tuple(map(pairwise, rows))
    blend = Blend(*spaces, alpha)
    picks = cover(blend, 5).order
    owners = assign(blend, picks)
    e_kn, e_if = (gradient_error(each, picks, owners.counts) for each in rows)
    e_sft = gradient_error(rows[0] + rows[1], picks, owners.counts)
    assert torch.allclose(e_sft, e_kn + e_if, rtol=1e-9, atol=1e-12)
    assert e_sft.norm() <= (e_kn.norm() + e_if.norm()) * (1 + 1e-12)
    for error, space in zip((e_kn, e_if), spaces, strict=True):
        assert error.norm() <= assigned_sum(space, picks, owners) * (1 + 1e-12)


def test_the_nearest_sum_does_not_bound_the_gradient_error(toy: tuple[Distances, Distances]) -> None:
    blend = Blend(*toy, 0.5)
    picks = cover(blend, 2).order
    owners = assign(blend, picks)
    error = float(gradient_error(KN, picks, owners.counts).norm())
    assert error == 10.0 > nearest_sum(toy[0], picks) > 8.773
    assert error <= assigned_sum(toy[0], picks, owners)


@pytest.mark.parametrize("alpha", [0.1, 0.4, 0.9])
def test_t7_the_papers_form_and_ours_pick_the_same(alpha: float) -> None:
    knowledge, following = random_spaces(1)
    ours = cover(Blend(pairwise(knowledge), pairwise(following), alpha), 10)
    paper = Blend(pairwise(knowledge / alpha), pairwise(following / (1 - alpha)), 0.5)
    scaled = Blend(pairwise(1e5 * knowledge), pairwise(1e5 * following), alpha)
    assert torch.equal(ours.order, cover(paper, 10).order) and torch.equal(ours.order, cover(scaled, 10).order)
    assert torch.equal(assign(paper, ours.order).counts, assign(scaled, ours.order).counts)


def test_t7_the_composite_is_a_metric() -> None:
    blend = Blend(*map(pairwise, random_spaces(2, n=25)), 0.37)
    whole = blend.rows(slice(0, 25))
    assert torch.equal(whole, whole.T) and (whole.diagonal() == 0).all()
    detour = (whole[:, :, None] + whole[None, :, :]).amin(dim=1)
    assert (whole <= detour * (1 + 1e-9) + 2).all()


def test_t8_a_larger_set_covers_more_and_gains_less() -> None:
    space = pairwise(random_spaces(0)[0])
    small, large = [0, 3], [0, 3, 7, 11]
    for point in range(12, 40):
        gain_small = total(space, small) - total(space, [*small, point])
        gain_large = total(space, large) - total(space, [*large, point])
        assert -1e-12 <= gain_large <= gain_small + 1e-12


@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0])
def test_t9_one_more_pick_never_raises_a_sum(alpha: float) -> None:
    knowledge, following = map(pairwise, random_spaces(3))
    order = cover(Blend(knowledge, following, alpha), 40).order
    for space in (knowledge, following):
        sums = [nearest_sum(space, order[:size]) for size in range(1, 41)]
        assert sums == sorted(sums, reverse=True) and sums[-1] == 0.0


def test_t10_a_shuffled_pool_gives_the_same_examples_and_weights() -> None:
    knowledge, following = random_spaces(5)
    shuffle = torch.randperm(40, generator=torch.Generator().manual_seed(0))
    straight = Blend(pairwise(knowledge), pairwise(following), 0.4)
    shuffled = Blend(pairwise(knowledge[shuffle]), pairwise(following[shuffle]), 0.4)
    one, two = cover(straight, 9).order, cover(shuffled, 9).order
    assert torch.equal(shuffle[two], one)
    assert torch.equal(assign(straight, one).counts, assign(shuffled, two).counts)
    everything = cover(straight, 40).order
    assert assign(straight, everything).counts.tolist() == [1] * 40 and nearest_sum(straight.first, everything) == 0.0

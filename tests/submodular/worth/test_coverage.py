"""Facility location and its relatives: worked numbers, brute force, every way to the same picks, a peer's values."""

import itertools
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from coresift.errors import SelectionError
from coresift.features.utilities import csr
from coresift.submodular.worth import coverage, kernels
from coresift.submodular.worth.coverage import Coverage
from coresift.submodular.worth.information import (
    conditional_gain,
    facility_location,
    mutual_information,
    saturating_information,
    target_information,
)
from coresift.submodular.worth.kernels import kernel_of
from worked import EXISTING, TARGETS, UTILITIES

WAYS: list[coverage.Way] = ["lazy", "columns"]


def picked(objective: Coverage, size: int, way: coverage.Way = "lazy") -> tuple[list[int], list[float], float]:
    found = objective.greedy(size, way=way)
    return found.order.tolist(), found.gains.tolist(), objective.value(found.order)


def agrees(objective: Coverage, order: list[int], gains: list[float]) -> None:
    for way in WAYS:
        found = picked(objective, len(order), way)
        assert found[0] == order
        assert found[1] == pytest.approx(gains, abs=1e-6) and found[2] == pytest.approx(sum(gains), abs=1e-6)


def test_facility_location_on_clipped_utilities_by_hand() -> None:
    objective = facility_location(UTILITIES)
    agrees(objective, [3, 2, 0, 1], [0.54, 0.35, 0.20, 0.13])
    assert objective.value(torch.tensor([2, 3])) == pytest.approx(0.89, abs=1e-6)
    other = torch.tensor([[-0.4, 0, -0.3, -0.4], [0, 0, -0.2, 0.3], [-0.1, -0.1, -0.7, -0.3], [0, 0, 0.6, -0.1]]).T
    agrees(facility_location(other), [2, 3], [0.6, 0.3])


def test_scaling_utilities_to_the_unit_interval_chooses_and_values_otherwise() -> None:
    scaled = (UTILITIES - UTILITIES.min()) / (UTILITIES.max() - UTILITIES.min())
    agrees(facility_location(scaled), [3, 2, 0, 1], [2.516667, 0.633333, 0.333333, 0.216667])
    other = torch.tensor([[-0.4, 0, -0.3, -0.4], [0, 0, -0.2, 0.3], [-0.1, -0.1, -0.7, -0.3], [0, 0, 0.6, -0.1]]).T
    agrees(facility_location((other + 0.7) / 1.3), [1, 2], [2.076923, 0.461538])
    assert facility_location(other).value(torch.tensor([1, 2])) == pytest.approx(0.6, abs=1e-6)


def test_target_information_by_hand() -> None:
    target = TARGETS  # worth of example j to target t: the same table, read as the target's row
    agrees(target_information(UTILITIES, target, eta=0.0), [3, 2, 0], [0.54, 0.35, 0.20])
    agrees(target_information(UTILITIES, target, eta=1.0), [1, 3, 0], [0.67, 0.50, 0.38])
    agrees(target_information(UTILITIES, target, eta=2.0), [1, 2, 3], [0.97, 0.55, 0.50])


def test_saturating_information_by_hand() -> None:
    agrees(saturating_information(UTILITIES, TARGETS, eta=1.0), [2, 1, 4], [0.40, 0.17, 0.06])
    agrees(saturating_information(UTILITIES, TARGETS, eta=2.0), [2, 4, 1], [0.45, 0.18, 0.13])


def test_mutual_information_by_hand() -> None:
    agrees(mutual_information(TARGETS, eta=1.0), [1, 2, 0], [0.60, 0.30, 0.10])
    agrees(mutual_information(TARGETS, eta=2.0), [1, 2, 0], [0.90, 0.45, 0.20])


def test_conditional_gain_by_hand() -> None:
    agrees(conditional_gain(UTILITIES, EXISTING, nu=0.5), [3, 1, 0], [0.42, 0.20, 0.175])
    agrees(conditional_gain(UTILITIES, EXISTING, nu=1.0), [3, 1, 4], [0.32, 0.20, 0.08])
    agrees(conditional_gain(UTILITIES, EXISTING, nu=2.0), [3, 1, 4], [0.20, 0.15, 0.05])
    agrees(conditional_gain(UTILITIES, EXISTING, nu=0.0), [3, 2, 0], [0.54, 0.35, 0.20])


def signed(n: int, m: int, seed: int) -> torch.Tensor:
    return torch.randn(n, m, generator=torch.Generator().manual_seed(seed))


def sparse(worth: torch.Tensor, share: float = 0.4) -> torch.Tensor:
    kept = torch.rand(worth.shape, generator=torch.Generator().manual_seed(7)) < share
    starts = torch.cat([torch.zeros(1, dtype=torch.int64), kept.sum(dim=1).cumsum(0)])
    return csr(starts, kept.nonzero()[:, 1], worth[kept], tuple(worth.shape))


OBJECTIVES: dict[str, Callable[[int, int], Coverage]] = {
    "location": lambda n, seed: facility_location(signed(n, 11, seed)),
    "target": lambda n, seed: target_information(signed(n, 11, seed), signed(n, 4, seed + 1), eta=0.7),
    "saturating": lambda n, seed: saturating_information(signed(n, 11, seed), signed(11, 4, seed + 1), eta=0.7),
    "mutual": lambda n, seed: mutual_information(signed(n, 4, seed + 1), eta=0.7),
    "conditional": lambda n, seed: conditional_gain(signed(n, 11, seed), signed(11, 3, seed + 1), nu=0.7),
    "lists": lambda n, seed: target_information(sparse(signed(n, 11, seed)), signed(n, 4, seed + 1), eta=0.2),
    "capped lists": lambda n, seed: saturating_information(sparse(signed(n, 11, seed)), signed(11, 4, seed + 1)),
}


@pytest.mark.parametrize("name", OBJECTIVES)
@pytest.mark.parametrize("seed", range(4))
def test_greedy_picks_come_near_the_best_subset_and_gains_add_up(name: str, seed: int) -> None:
    objective = OBJECTIVES[name](9, seed)
    order, gains, value = picked(objective, 3)
    best = max(objective.value(torch.tensor(each)) for each in itertools.combinations(range(9), 3))
    assert (1 - 1 / math.e) * best <= value <= best
    assert value == pytest.approx(sum(gains), rel=1e-12)
    assert gains == sorted(gains, reverse=True) and min(gains) >= 0.0 and len(set(order)) == 3


@pytest.mark.parametrize("name", OBJECTIVES)
@pytest.mark.parametrize("n", [1, 2, 40])
def test_lazy_picks_are_those_of_looking_at_every_gain(name: str, n: int) -> None:
    objective = OBJECTIVES[name](n, 5)
    order, gains, _ = picked(objective, n)
    assert sorted(order) == list(range(n))  # as many as there are is every one of them
    for size in range(1, min(n, 12)):
        before = objective.value(torch.tensor(order[: size - 1])) if size > 1 else 0.0
        added = {
            j: objective.value(torch.tensor([*order[: size - 1], j])) - before
            for j in range(n)
            if j not in order[: size - 1]
        }
        assert order[size - 1] == min(added, key=lambda j: (-round(added[j], 9), j))
        assert gains[size - 1] == pytest.approx(max(added.values()), abs=1e-9)


@pytest.mark.parametrize("name", [name for name in OBJECTIVES if "lists" not in name])
def test_whole_columns_give_the_lazy_picks_to_the_last_bit(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    objective = OBJECTIVES[name](60, 9)
    lazy, whole = picked(objective, 60), picked(objective, 60, "columns")
    assert lazy == whole
    monkeypatch.setattr(coverage, "BLOCK", 25)
    assert picked(objective, 60, "columns") == whole


def test_lists_with_every_pair_are_the_dense_kernel() -> None:
    worth = signed(50, 30, 3)
    caps, start, bonus = (torch.rand(size, generator=torch.Generator().manual_seed(size)) for size in (30, 31, 50))
    dense, lists = (
        Coverage.of(kernel_of(each, name="pool").capped(caps), start=start[:30] * 0.5, bonus=bonus)
        for each in (worth, sparse(worth, 1.0))
    )
    assert picked(dense, 50) == picked(lists, 50)
    picks = dense.greedy(6).order
    assert dense.owners(picks).tolist() == lists.owners(picks).tolist()
    assert -1 in dense.owners(picks).tolist()


def test_owners_are_the_first_best_picks_in_any_block_size(monkeypatch: pytest.MonkeyPatch) -> None:
    worth = torch.tensor([[0.5, 0.1, 0.0, 0.2], [0.5, 0.3, -1.0, 0.2], [0.9, 0.3, -1.0, 0.0]])
    for size in (1 << 24, 2):
        monkeypatch.setattr(kernels, "BLOCK", size)
        objective = facility_location(worth)
        assert objective.owners(torch.tensor([1, 0])).tolist() == [0, 0, -1, 0]
        assert objective.owners(torch.tensor([0, 1, 2])).tolist() == [2, 1, -1, 0]
        assert objective.value(torch.tensor([0, 1, 2])) == pytest.approx(1.4)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000), st.integers(2, 12), st.floats(1e-6, 1e6))
def test_scale_and_order_of_the_examples_do_not_matter(seed: int, n: int, scale: float) -> None:
    worth = signed(n, 9, seed).double()
    order, gains, _ = picked(facility_location(worth), n)
    useful = [gain > 1e-5 for gain in gains]
    scaled = picked(facility_location(worth * scale), n)
    assert [j for j, use in zip(scaled[0], useful, strict=True) if use] == order[: sum(useful)]
    turned = picked(facility_location(worth.roll(3, 0)), n)[0]
    assert [(j - 3) % n for j in turned[: sum(useful)]] == order[: sum(useful)]


def test_a_copy_adds_nothing_and_ties_go_to_the_first() -> None:
    worth = signed(6, 9, 1).repeat(2, 1)
    order, gains, _ = picked(facility_location(worth), 12)
    assert max(order[:6]) < 6 and gains[6:] == [0.0] * 6 and order[6:] == sorted(order[6:])


def test_what_is_known_by_everything_is_facility_location_on_the_rest() -> None:
    pool, known = signed(12, 20, 2), signed(20, 5, 3)
    order, gains, value = picked(conditional_gain(pool, known), 4)
    both = facility_location(torch.cat([pool, known.T]))
    known_alone = torch.arange(12, 17)
    together = both.value(torch.cat([torch.tensor(order), known_alone]))
    assert value == pytest.approx(together - both.value(known_alone), abs=1e-5)


def test_lazy_greedy_computes_few_gains() -> None:
    found = facility_location(signed(400, 300, 0)).greedy(100)
    assert found.looked < 0.4 * facility_location(signed(400, 300, 0)).greedy(100, way="columns").looked


@pytest.mark.parametrize("layout", ["dense", "lists"])
def test_worths_that_are_not_finite_are_refused_by_example(layout: str) -> None:
    worth = signed(9, 5, 0)
    worth[4, 1] = torch.nan
    array = worth if layout == "dense" else sparse(worth, 1.0)
    with pytest.raises(SelectionError, match=r"pool: 1 of 9 rows hold NaN or infinity \(rows 4, counted from 0\)"):
        facility_location(array)


def test_nobody_to_help_is_refused() -> None:
    with pytest.raises(SelectionError, match="target: 5 x 0. There is nobody to help"):
        target_information(UTILITIES, torch.zeros(5, 0))


def test_worths_below_zero_everywhere_are_worth_nothing() -> None:
    assert picked(facility_location(-torch.ones(4, 3)), 4) == ([0, 1, 2, 3], [0.0] * 4, 0.0)


@pytest.mark.gpu
@pytest.mark.parametrize("size", [1, 37, 300])
def test_a_gpu_picks_what_a_cpu_picks(size: int) -> None:
    worth, target = signed(300, 200, 1), signed(300, 9, 2)
    here = picked(target_information(worth, target), size)
    found = target_information(worth.cuda(), target.cuda())
    assert picked(found, size, "columns") == here
    assert (
        found.owners(torch.tensor(here[0])).tolist()
        == target_information(worth, target).owners(torch.tensor(here[0])).tolist()
    )


def peer(name: str, n: int, **arrays: Any) -> Any:
    functions = pytest.importorskip("submodlib.functions", reason="submodlib-py is optional")
    return getattr(functions, name)(n=n, **arrays)


@pytest.mark.parametrize("seed", range(3))
def test_values_are_those_of_submodlib(seed: int) -> None:
    pool, query = torch.rand(12, 12, generator=torch.Generator().manual_seed(seed)), signed(12, 4, seed).abs()
    square, sideways = (
        pool.T.contiguous().numpy(),
        query.numpy(),
    )  # the peer reads memory in order, whatever the strides
    made = {
        "FacilityLocationFunction": (
            facility_location(pool),
            {"mode": "dense", "sijs": square, "separate_rep": False},
        ),
        "FacilityLocationMutualInformationFunction": (
            saturating_information(pool, query, eta=0.8),
            {"num_queries": 4, "data_sijs": square, "query_sijs": sideways, "magnificationEta": 0.8},
        ),
        "FacilityLocationVariantMutualInformationFunction": (
            mutual_information(query, eta=0.8),
            {"num_queries": 4, "query_sijs": sideways, "queryDiversityEta": 0.8},
        ),
        "FacilityLocationConditionalGainFunction": (
            conditional_gain(pool, query * 0.5, nu=0.8),
            {"num_privates": 4, "data_sijs": square, "private_sijs": sideways * 0.5, "privacyHardness": 0.8},
        ),
    }
    for name, (ours, arrays) in made.items():
        theirs = peer(name, 12, **arrays)
        for picks in ([3], [0, 5, 7], [1, 2, 4, 8, 9, 11]):
            assert ours.value(torch.tensor(picks)) == pytest.approx(theirs.evaluate(set(picks)), abs=1e-5), name

"""k-center: farthest first, and never worse than twice the best."""

from itertools import combinations
from typing import Any

import pytest
import torch

from coresift.features.memory import InMemoryFeatures
from coresift.selection import select
from coresift.selectors import KCenter


def kcenter(rows: torch.Tensor, budget: Any, **settings: Any) -> Any:
    method = KCenter(dim=rows.shape[1], **settings)
    return select(method, InMemoryFeatures({method.gradient.stored: rows}), budget)


def pool(n: int = 80, seed: int = 0) -> torch.Tensor:
    return torch.randn(n, 4, generator=torch.Generator().manual_seed(seed))


def test_points_on_a_line_are_taken_farthest_first() -> None:
    coreset = kcenter(torch.tensor([[0.0], [1.0], [2.0], [6.0], [10.0]]), 4)
    assert coreset.indices.tolist() == [2, 4, 3, 0]  # 2 is nearest to the mean, 3.8
    assert coreset.diagnostics["radii"] == [8.0, 4.0, 2.0, 1.0]
    assert coreset.weights.tolist() == [2, 1, 1, 1]


def test_each_pick_is_the_farthest_from_those_before() -> None:
    rows = pool()
    order = kcenter(rows, 20).indices.tolist()
    distances = torch.cdist(rows.double(), rows.double(), compute_mode="donot_use_mm_for_euclid_dist")
    for number in range(1, 20):
        reach = distances[order[:number]].amin(dim=0)
        assert float(reach[order[number]]) == pytest.approx(float(reach.max()), rel=1e-6)


@pytest.mark.parametrize("seed", range(5))
def test_the_radius_is_at_most_twice_the_best_of_all_subsets(seed: int) -> None:
    rows = pool(12, seed)
    distances = torch.cdist(rows, rows)
    best = min(float(distances[list(subset)].amin(dim=0).max()) for subset in combinations(range(12), 3))
    assert kcenter(rows, 3).diagnostics["radius"] <= 2 * best + 1e-6


def test_weights_count_the_nearest_examples_for_every_size() -> None:
    rows = pool()
    for coreset in kcenter(rows, [5, 20]):
        owner = torch.cdist(rows.double(), rows[coreset.indices.copy()].double()).argmin(dim=1)
        assert coreset.weights.tolist() == torch.bincount(owner, minlength=len(coreset)).tolist()


def test_duplicates_wait_until_nothing_else_is_left_and_then_own_themselves() -> None:
    coreset = kcenter(torch.tensor([[0.0], [0.0], [5.0], [5.0]]), 4)
    assert coreset.indices.tolist() == [0, 2, 1, 3] and coreset.weights.tolist() == [1, 1, 1, 1]


def test_ties_go_to_the_lowest_index() -> None:
    assert kcenter(torch.tensor([[1.0], [-1.0], [1.0], [-1.0], [0.0]]), 3).indices.tolist() == [4, 0, 1]

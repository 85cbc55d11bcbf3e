"""DEFT-UCS: both ends of every cluster, by pool position, and as many as asked for."""

from typing import Any

import pytest
import torch

from coresift.coreset import Coreset
from coresift.features.memory import InMemoryFeatures
from coresift.selection import select
from coresift.selectors.deft import DeftUCS, equal_shares


def deft(rows: torch.Tensor, budget: Any, *, seed: int = 0, **settings: Any) -> Coreset:
    method = DeftUCS(**settings)
    return select(method, InMemoryFeatures({method.embedding: rows}), budget, seed=seed)


def blobs(*sizes: int) -> torch.Tensor:
    """Far apart clusters on a line, shuffled; the members of each lie at -1, 0, 1, 2, ... of its place."""
    rows = torch.tensor([[100.0 * number + place - 1.0] for number, size in enumerate(sizes) for place in range(size)])
    return rows[torch.randperm(len(rows), generator=torch.Generator().manual_seed(1))]


def test_picks_are_the_nearest_and_the_farthest_of_every_cluster_by_pool_position() -> None:
    rows = blobs(9, 9, 9)
    coreset = deft(rows, 12, clusters=3)
    for centre in (3.0, 103.0, 203.0):
        away = (rows[:, 0] - centre).abs()
        here = [int(place) for place in coreset.indices if away[int(place)] < 50]
        distances = [float(away[place]) for place in here]
        assert distances == [0.0, 1.0, 4.0, 4.0]
    assert coreset.weights.tolist() == [2.25] * 12


def test_positions_inside_a_cluster_are_not_mistaken_for_pool_positions() -> None:
    """Two clusters in turn; a copy that returns places within the cluster gives low numbers, and the same twice."""
    rows = torch.tensor([[0.0], [50.0], [0.1], [50.1], [0.2], [50.2], [9.0], [59.0]])
    coreset = deft(rows, 2, clusters=2, easy=0.0)
    assert sorted(coreset.indices.tolist()) == [6, 7]


@pytest.mark.parametrize("easy", [0.0, 0.25, 0.5, 1.0])
def test_the_easy_share_is_kept_in_every_cluster(easy: float) -> None:
    facts = deft(blobs(20, 20), 16, clusters=2, easy=easy).diagnostics["clusters"]
    assert [(each["easy"], each["hard"]) for each in facts] == [(round(8 * easy), 8 - round(8 * easy))] * 2


def test_small_clusters_give_all_they_have_and_the_others_fill_the_budget() -> None:
    coreset = deft(blobs(2, 30, 8), 20, clusters=3)
    given = {each["examples"]: each["picks"] for each in coreset.diagnostics["clusters"]}
    assert given == {2: 2, 30: 10, 8: 8} and len(coreset) == 20
    assert coreset.weights.sum() == pytest.approx(40)


def test_shares_can_follow_the_sizes() -> None:
    facts = deft(blobs(30, 10), 8, clusters=2, shares="proportional").diagnostics["clusters"]
    assert {each["examples"]: each["picks"] for each in facts} == {30: 6, 10: 2}


def test_a_random_base_comes_first_and_is_not_picked_again() -> None:
    coreset = deft(blobs(20, 20), 10, clusters=2, base=0.4)
    assert coreset.diagnostics["base"] == 4 and len(set(coreset.indices.tolist())) == 10
    other = deft(blobs(20, 20), 10, clusters=2, base=0.4, seed=1)
    assert coreset.indices[:4].tolist() != other.indices[:4].tolist()
    assert coreset.weights.sum() == pytest.approx(40)


def test_a_budget_of_the_whole_pool_returns_every_example() -> None:
    coreset = deft(blobs(5, 3), 8, clusters=2)
    assert sorted(coreset.indices.tolist()) == list(range(8)) and coreset.weights.tolist() == [1.0] * 8


def test_what_is_left_over_goes_to_the_largest() -> None:
    assert equal_shares([5, 7, 7], 7) == [2, 3, 2]
    assert equal_shares([0, 3, 1], 4) == [0, 3, 1]
    assert equal_shares([4, 4], 0) == [0, 0]

"""TAGCOS: shares by cluster, picks that match the cluster's mean, and stated shortfalls."""

from typing import Any

import pytest
import torch

from coresift.errors import SelectionError, SettingsError
from coresift.features.memory import InMemoryFeatures
from coresift.selection import select
from coresift.selectors import Tagcos

SIZES = [60, 30, 10]


def tagcos(rows: torch.Tensor, budget: Any, seed: int = 0, **settings: Any) -> Any:
    method = Tagcos(dim=rows.shape[1], **settings)
    return select(method, InMemoryFeatures({method.gradient.stored: rows}), budget, seed=seed)


def blobs() -> torch.Tensor:
    """Three groups that point in three directions."""
    source = torch.Generator().manual_seed(0)
    parts = [3.0 * torch.eye(8)[place] + 0.3 * torch.randn(n, 8, generator=source) for place, n in enumerate(SIZES)]
    return torch.cat(parts)


def test_every_cluster_gets_its_share() -> None:
    coreset = tagcos(blobs(), 20, clusters=3)
    groups = torch.bucketize(torch.from_numpy(coreset.indices.copy()), torch.tensor([60, 90]), right=True)
    assert torch.bincount(groups).tolist() == [12, 6, 2]
    facts = sorted(coreset.diagnostics["clusters"], key=lambda cluster: -cluster["examples"])
    assert facts == [{"examples": n, "share": n // 5, "picks": n // 5} for n in SIZES]


def test_picks_stand_for_equal_parts_of_their_cluster() -> None:
    coreset = tagcos(blobs(), 20, clusters=3)
    assert coreset.weights.tolist() == [5.0] * 20
    uneven = tagcos(blobs(), 7, clusters=3)
    assert sorted(set(uneven.weights.tolist())) == [10.0, 15.0] and uneven.weights.sum() == 100


def test_a_cluster_without_a_pick_is_reported_as_not_represented() -> None:
    rows = torch.cat([blobs()[:96], -5.0 * torch.ones(1, 8)])
    coreset = tagcos(rows, 4, clusters=4)
    assert coreset.diagnostics["unrepresented"] >= 1
    assert coreset.weights.sum() == 97 - coreset.diagnostics["unrepresented"]


def test_there_are_at_most_as_many_clusters_as_picks() -> None:
    assert len(tagcos(blobs(), 2).diagnostics["clusters"]) <= 2


def test_one_cluster_is_matching_of_the_pools_mean() -> None:
    rows = blobs()
    coreset = tagcos(rows, 6, clusters=1)
    unit = torch.nn.functional.normalize(rows.double(), dim=1)
    assert coreset.indices[0] == int((unit @ unit.mean(dim=0)).argmax())


def test_a_pursuit_that_ends_early_starts_again_on_the_rest() -> None:
    rows = torch.ones(9, 4) + 0.01 * torch.eye(9, 4)
    coreset = tagcos(rows, 7, clusters=1, ridge=0.0, tolerance=0.1)
    assert len(coreset) == 7 and "shortfall" not in coreset.diagnostics


def test_a_share_that_cannot_be_picked_is_a_shortfall() -> None:
    rows = torch.tensor([[1.0, 0.0]] * 4 + [[-1.0, 0.0]] * 2)
    coreset = tagcos(rows, 6, clusters=1)
    assert coreset.indices.tolist() == [0, 1, 2, 3]
    assert coreset.diagnostics["shortfall"].startswith("2 picks are missing: in 1 clusters no further example")


def test_length_plays_no_part_by_default() -> None:
    rows = blobs()
    longer = rows * torch.linspace(0.1, 9.0, 100)[:, None]
    assert tagcos(rows, 20, clusters=3).indices.tolist() == tagcos(longer, 20, clusters=3).indices.tolist()


def test_clusters_whose_means_are_zero_cannot_be_matched() -> None:
    with pytest.raises(SelectionError, match="response gradients of every cluster have the mean 0"):
        tagcos(torch.zeros(5, 3), 2)


@pytest.mark.parametrize("bad", [{"clusters": 0}, {"ridge": -1.0}, {"tolerance": 1.0}])
def test_settings_that_tagcos_cannot_honour_are_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match=next(iter(bad))):
        Tagcos(**bad)


def test_a_cluster_too_large_to_be_matched_in_the_memory_given_is_refused() -> None:
    method = Tagcos(dim=8, clusters=1)
    held = InMemoryFeatures({method.gradient.stored: blobs()})
    with pytest.raises(SelectionError, match=r"tagcos: matching with 90 picks of 8 numbers each needs \d+ KB beyond"):
        select(method, held, 90, memory="50KB")
    assert len(select(method, held, 10, memory="50KB")) == 10

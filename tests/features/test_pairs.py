"""Fewer pairs: candidate lists, and the plan that a pilot block leads to."""

import pytest
import torch

from coresift.features.candidates import candidate_lists, rows_of_examples
from coresift.features.pairs import PILOT, PairPlan, needs_pilot, pilot_places, plan_pairs
from coresift.submodular.worth.information import facility_location


def unit(n: int, d: int, seed: int) -> torch.Tensor:
    return torch.nn.functional.normalize(torch.randn(n, d, generator=torch.Generator().manual_seed(seed)), dim=1)


def test_candidates_are_oneself_the_nearest_and_a_few_random_others() -> None:
    points = unit(200, 8, 0)
    lists = candidate_lists(points, torch.arange(200), 24, seed=1)
    assert lists.shape == (200, 24)
    for row, found in enumerate(lists.tolist()):
        assert found == sorted(set(found)) and row in found
        near = (points @ points[row]).topk(21).indices.tolist()
        assert set(near) <= set(found) and len(set(found) - set(near)) == 3
    drawn = torch.bincount(lists.flatten(), minlength=200)
    assert int((drawn > 0).sum()) == 200


def test_candidates_of_an_example_do_not_depend_on_the_others_asked_for() -> None:
    points = unit(60, 5, 2)
    whole = candidate_lists(points, torch.arange(60), 7, seed=3)
    assert torch.equal(candidate_lists(points, torch.tensor([41, 3]), 7, seed=3), whole[[41, 3]])
    assert not torch.equal(candidate_lists(points, torch.arange(60), 7, seed=4), whole)


def test_pairs_are_listed_by_example_too() -> None:
    lists = candidate_lists(unit(30, 5, 6), torch.tensor([4, 9, 20]), 6)
    by_example = rows_of_examples(lists, 30)
    assert len(by_example) == 30 and sum(map(len, by_example)) == 18
    for example, places in enumerate(by_example):
        assert places.tolist() == [place for place in range(3) if example in lists[place].tolist()]


def test_odd_numbers_of_candidates_have_an_answer() -> None:
    points = torch.ones(9, 4) / 2.0  # all alike
    for count in (1, 2, 8):
        lists = candidate_lists(points, torch.arange(9), count)
        assert lists.shape == (9, count)
        assert all(row in found for row, found in enumerate(lists.tolist()))
        assert all(len(set(found)) == count for found in lists.tolist())
    assert candidate_lists(points, torch.arange(2), 50).tolist() == [list(range(9))] * 2


def world(n: int, follows: float, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Embeddings in clusters, and utilities that follow their cosines to a degree."""
    source = torch.Generator().manual_seed(seed)
    centres = torch.randn(12, 16, generator=source)
    points = centres[torch.randint(12, (n,), generator=source)] + 0.7 * torch.randn(n, 16, generator=source)
    points = torch.nn.functional.normalize(points, dim=1)
    cosines = points @ points.T
    noise = torch.randn(n, n, generator=source)
    shared = (cosines - cosines.mean()) / cosines.std()
    return points, 0.1 * (follows * shared + (1 - follows**2) ** 0.5 * noise - 0.5)


def planned(follows: float, n: int = 1200, size: int = 60, most_pairs: int = 120_000) -> PairPlan:
    points, utilities = world(n, follows)
    places = pilot_places(n, seed=1)
    assert places is not None and len(places) == PILOT
    block = utilities[places][:, places]
    return plan_pairs(n, size, most_pairs, utilities=block, embeddings=points[places], seed=2)


def test_embeddings_that_predict_utilities_lead_to_candidates() -> None:
    plan = planned(0.95)
    assert plan.pairs == "candidates" and plan.count == 100
    assert plan.correlation is not None and plan.correlation > 0.6
    assert plan.losses["candidates"] < plan.losses["rows"]
    assert "100 candidates per row lose" in plan.reason and "correlate with utilities by 0." in plan.reason


def test_embeddings_that_predict_the_wrong_way_lead_to_rows() -> None:
    plan = planned(-0.9)
    assert plan.pairs == "rows" and plan.count == 100 and plan.losses["rows"] < plan.losses["candidates"]
    assert plan.correlation is not None and plan.correlation < 0.0
    assert "100 random rows it is" in plan.reason


def test_the_way_chosen_is_the_better_one_on_the_whole_pool() -> None:
    n, size, count = 600, 60, 60
    for follows in (0.95, -0.9):
        points, utilities = world(n, follows)
        truth = facility_location(utilities)
        rows = facility_location(utilities[:, torch.randperm(n, generator=torch.Generator().manual_seed(3))[:count]])
        kept = torch.zeros(n, n, dtype=torch.bool)
        kept.scatter_(0, candidate_lists(points, torch.arange(n), count).T, True)
        lists = facility_location(torch.where(kept, utilities, 0.0))
        better = truth.value(lists.greedy(size).order) > truth.value(rows.greedy(size).order)
        assert planned(follows, n, size, n * count).pairs == ("candidates" if better else "rows")


def test_a_plan_is_the_same_every_time_and_json_able() -> None:
    plan = planned(0.5)
    assert plan == planned(0.5)
    assert set(plan.facts) == {"pairs", "count", "correlation", "losses", "reason"}


def test_a_pool_with_few_pairs_needs_no_pilot() -> None:
    assert not needs_pilot(1000, 1_000_000) and needs_pilot(1001, 1_000_000)
    assert not needs_pilot(PILOT, 1) and pilot_places(PILOT) is None
    plan = plan_pairs(1000, 50, 1_000_000, utilities=None, embeddings=None)
    assert plan.pairs == "all" and plan.count is None and plan.losses == {"all": 0.0}
    assert "1000 examples have 1,000,000 pairs, which is within the 1,000,000 allowed" in plan.reason


def test_a_pilot_on_which_nothing_differs_loses_nothing() -> None:
    flat = plan_pairs(900, 9, 90_000, utilities=-torch.ones(PILOT, PILOT), embeddings=torch.ones(PILOT, 4) / 2)
    assert flat.pairs == "rows" and flat.correlation == 0.0
    assert flat.losses == {"all": 0.0, "rows": 0.0, "candidates": 0.0}


def test_a_large_expected_loss_is_said() -> None:
    assert "allow more pairs" in planned(0.0, most_pairs=24_000).reason
    assert "allow more pairs" not in planned(0.95, most_pairs=720_000).reason


@pytest.mark.parametrize("size", [1, 1200])
def test_the_smallest_and_the_largest_budget_have_a_plan(size: int) -> None:
    assert planned(0.6, size=size).pairs in ("rows", "candidates")

"""CRAIG: the six-point example, the size version and the cover version."""

import json
from typing import Any

import pytest
import torch

from coresift.errors import SettingsError
from coresift.features.memory import InMemoryFeatures
from coresift.features.specs import GradientSpec
from coresift.selection import select
from coresift.selectors import Craig
from coresift.submodular.cover.greedy import cover, gains, nearest
from coresift.submodular.cover.quality import gradient_error, nearest_sum
from coresift.submodular.distances.stored import pairwise

KN = torch.tensor([[4, 0], [2, 5], [1, 7], [6, 6], [4, 1], [3, 1]], dtype=torch.float64)
IF = torch.tensor([[0, 6], [6, 1], [7, 3], [1, 7], [1, 0], [7, 7]], dtype=torch.float64)


def pool(n: int = 120, d: int = 5) -> torch.Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(3)) + 0.5


def craig(rows: torch.Tensor, budget: Any, **settings: Any) -> Any:
    method = Craig(dim=rows.shape[1], **settings)
    return select(method, InMemoryFeatures({method.gradient.stored: rows}), budget)


def test_on_six_points_a_small_response_error_hides_two_large_ones() -> None:
    coreset = craig(KN + IF, 2)
    picks, weights = torch.from_numpy(coreset.indices.copy()), torch.from_numpy(coreset.weights.copy())
    assert sorted(coreset.indices.tolist()) == [1, 2] and sorted(coreset.weights.tolist()) == [2, 4]
    assert dict(zip(coreset.indices.tolist(), coreset.weights.tolist(), strict=True)) == {1: 4, 2: 2}
    knowledge, following = (gradient_error(rows, picks, weights) for rows in (KN, IF))
    assert knowledge.tolist() == [10, -14] and following.tolist() == [-16, 14]
    assert coreset.diagnostics["e_SFT"] == 6.0
    assert float(torch.cosine_similarity(knowledge, following, dim=0)) == pytest.approx(-0.973, abs=5e-4)


def test_a_tie_on_the_six_points_goes_to_the_lowest_index() -> None:
    space = pairwise(KN + IF)
    first, second = craig(KN + IF, 2).indices.tolist()
    left = gains(space, nearest(space, torch.tensor([first])))
    assert (left == left[second]).sum() > 1 and second == int(left.argmax())


def test_picks_are_those_of_the_greedy_cover_and_the_error_stays_within_its_bound() -> None:
    rows = pool()
    coreset = craig(rows, 12)
    assert coreset.indices.tolist() == cover(pairwise(rows), 12).order.tolist()
    facts = coreset.diagnostics
    assert facts["e_SFT"] <= facts["A_SFT"] == pytest.approx(facts["B_SFT"])
    assert facts["certificate"]["lower_bound"] <= facts["certificate"]["error"] == pytest.approx(facts["B_SFT"])
    assert coreset.weights.sum() == 120 and coreset.weights.min() >= 1


@pytest.mark.parametrize("epsilon", [0.8, 0.5, 0.2])
def test_the_cover_version_stops_at_the_first_pick_that_meets_epsilon(epsilon: float) -> None:
    rows = pool()
    coreset = craig(rows, 120, epsilon=epsilon)
    limit = epsilon * float(rows.double().norm(dim=1).sum())
    picks = torch.from_numpy(coreset.indices.copy())
    assert nearest_sum(pairwise(rows), picks) <= limit < nearest_sum(pairwise(rows), picks[:-1])
    facts = coreset.diagnostics
    assert facts["cover"] == {"epsilon": epsilon, "limit": pytest.approx(limit), "met": True, "picks": len(coreset)}
    assert "picks bring the covering error down to epsilon" in facts["shortfall"]
    assert coreset.indices.tolist() == craig(rows, 120).indices.tolist()[: len(coreset)]


def test_the_budget_is_the_most_the_cover_version_takes() -> None:
    coreset = craig(pool(), 3, epsilon=0.01)
    assert len(coreset) == 3 and coreset.diagnostics["cover"]["met"] is False
    assert "shortfall" not in coreset.diagnostics
    assert "An ε of 0.01 is not met: with 3 picks" in coreset.diagnostics["cover"]["says"]


def test_epsilon_zero_takes_one_of_each_different_row() -> None:
    rows = pool(20).repeat(3, 1)
    assert sorted(place % 20 for place in craig(rows, 60, epsilon=0.0).indices.tolist()) == list(range(20))


def test_budgets_below_and_above_the_cover_are_told_apart() -> None:
    rows = pool()
    stop = len(craig(rows, 120, epsilon=0.5))
    small, same, large = craig(rows, [2, stop, 120], epsilon=0.5)
    assert [len(each) for each in (small, same, large)] == [2, stop, stop]
    assert ["shortfall" in each.diagnostics for each in (small, same, large)] == [False, False, True]
    assert small.diagnostics["cover"]["says"].endswith(f"It takes {stop} picks.")
    assert "says" not in same.diagnostics["cover"] and "says" not in large.diagnostics["cover"]
    json.dumps(dict(large.diagnostics), allow_nan=False)


def test_errors_are_those_of_real_gradients_also_on_unit_rows() -> None:
    rows = pool() * torch.arange(1, 121)[:, None]
    coreset = craig(rows, 10, unit_norm=True)
    error = (
        rows.double().sum(0) - torch.from_numpy(coreset.weights.astype(float)) @ rows[coreset.indices.copy()].double()
    )
    assert coreset.diagnostics["e_SFT"] == pytest.approx(float(error.norm()))


def test_any_loss_can_be_covered() -> None:
    assert Craig(dim=9).requires == (GradientSpec(loss="response", dim=9),)
    assert Craig(dim=9, loss="following", sketch_seed=2).requires == (GradientSpec(loss="following", dim=9, seed=2),)


@pytest.mark.parametrize("bad", [{"epsilon": 1.0}, {"epsilon": -0.1}, {"loss": "total"}, {"alpha": 0.5}])
def test_settings_that_craig_cannot_honour_are_refused(bad: dict[str, object]) -> None:
    with pytest.raises(SettingsError, match=next(iter(bad))):
        Craig(**bad)

"""GRAD-MATCH on arrays: worked example, shortfalls, scale, and what it reports."""

from typing import Any

import pytest
import torch

from coresift.errors import SelectionError, SettingsError
from coresift.features.memory import InMemoryFeatures
from coresift.selection import select
from coresift.selectors import GradMatch
from coresift.submodular.matching import check_room

TOY = torch.tensor([[4, 6], [8, 6], [8, 10], [7, 13], [5, 1], [10, 8]], dtype=torch.float64)


def pool(n: int = 150, d: int = 10) -> torch.Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(2)) + 0.2


def gradmatch(rows: torch.Tensor, budget: Any, **settings: Any) -> Any:
    method = GradMatch(dim=rows.shape[1], **settings)
    return select(method, InMemoryFeatures({method.gradient.stored: rows}), budget)


def test_the_six_points_are_matched_as_worked_out() -> None:
    coreset = gradmatch(TOY, 2, ridge=0.0)
    assert coreset.indices.tolist() == [3, 5]
    assert coreset.weights.tolist() == pytest.approx([1.405405, 3.216216], abs=5e-7)
    one = gradmatch(TOY, 1, ridge=0.0)
    assert one.diagnostics["e_SFT"] == pytest.approx(16.119394, abs=5e-7)


def test_a_shortfall_is_stated_and_not_filled_up() -> None:
    coreset = gradmatch(pool(), 40, ridge=0.0)
    assert len(coreset) == 10
    assert coreset.diagnostics["shortfall"] == "the residual is within the tolerance 0.0001 after 10 picks"


def test_with_a_penalty_budgets_beyond_the_dimension_are_filled_by_the_pursuit() -> None:
    coreset = gradmatch(pool(), 40)
    assert len(coreset) == 40 and "shortfall" not in coreset.diagnostics
    assert coreset.diagnostics["residual"] < 0.05


def test_a_larger_penalty_spreads_the_weights() -> None:
    sharp, flat = (gradmatch(pool(), 30, ridge=ridge).effective_size for ridge in (0.0001, 10.0))
    assert flat > sharp


def test_more_picks_leave_a_smaller_residual() -> None:
    residuals = [gradmatch(pool(), size, ridge=0.0).diagnostics["residual"] for size in (1, 3, 6, 9)]
    assert residuals == sorted(residuals, reverse=True)


def test_the_error_reported_is_that_of_the_gradients_as_extracted() -> None:
    rows = pool() * torch.linspace(0.1, 5.0, 150)[:, None]
    for unit in (False, True):
        coreset = gradmatch(rows, 8, unit_norm=unit)
        weights = torch.from_numpy(coreset.weights.astype(float))
        error = rows.double().sum(0) - weights @ rows[coreset.indices.copy()].double()
        assert coreset.diagnostics["e_SFT"] == pytest.approx(float(error.norm()), rel=1e-5)


def test_prefixes_are_not_answers_so_token_budgets_are_refused() -> None:
    method = GradMatch(dim=10)
    features = InMemoryFeatures({method.gradient: pool()})
    with pytest.raises(SelectionError, match="prefixes of gradmatch are not its answers"):
        select(method, features, "50 tokens", tokens=[5] * 150)


def test_gradients_that_sum_to_nothing_cannot_be_matched() -> None:
    with pytest.raises(SelectionError, match="response gradients of all 6 examples sum to nothing"):
        gradmatch(torch.cat([TOY[:3], -TOY[:3]]), 2)


@pytest.mark.parametrize("bad", [{"ridge": -1.0}, {"tolerance": 1.0}, {"fill": True}])
def test_settings_that_gradmatch_cannot_honour_are_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match=next(iter(bad))):
        GradMatch(**bad)


def test_more_picks_than_there_is_memory_for_are_refused_with_what_they_need() -> None:
    method = GradMatch(dim=10)
    held = InMemoryFeatures({method.gradient: pool(3000)})
    with pytest.raises(
        SelectionError,
        match=r"gradmatch: matching with 3000 picks of 10 numbers each needs (\d+\.\d) MB beyond the features, and the "
        r"memory given is 2\.0 MB\. Ask for fewer picks, lower dim, or give at least as much \(--memory\)\.",
    ) as caught:
        select(method, held, 3000, memory="2MB")
    assert len(select(method, held, 5, memory="2MB")) == 5
    named = float(str(caught.value).split(" needs ")[1].split(" MB")[0])
    check_room(3000, 10, round(named * 10**6), name="gradmatch")

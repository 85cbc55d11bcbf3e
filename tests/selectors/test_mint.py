"""MINT: worked examples, the pilot search, explicit coefficients and several budgets."""

from typing import Any

import pytest
import torch

from coresift.errors import SettingsError
from coresift.features.memory import InMemoryFeatures
from coresift.features.specs import FeatureSpec, GradientSpec
from coresift.line_search.plateau import alpha_grid, plateau
from coresift.selection import select
from coresift.selectors import Mint

KN = torch.tensor([[4, 0], [2, 5], [1, 7], [6, 6], [4, 1], [3, 1]], dtype=torch.float64)
IF = torch.tensor([[0, 6], [6, 1], [7, 3], [1, 7], [1, 0], [7, 7]], dtype=torch.float64)
RELABELLED = [4, 1, 2, 3, 0, 5]


def pool(n: int = 200, d: int = 6, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    source = torch.Generator().manual_seed(seed)
    centres = torch.randn(12, d, generator=source)
    label = torch.randint(12, (n,), generator=source)
    first, second = (centres[label] + 0.3 * torch.randn(n, d, generator=source) for _ in range(2))
    return first * torch.rand(n, 1, generator=source), second


def mint(knowledge: torch.Tensor, following: torch.Tensor, budget: Any, seed: int = 0, **settings: Any) -> Any:
    method = Mint(dim=knowledge.shape[1], **settings)
    arrays = {"knowledge": knowledge, "following": following, "response": knowledge + following}
    held: dict[FeatureSpec, torch.Tensor] = {spec.stored: arrays[loss] for loss, spec in method.spaces.items()}
    return select(method, InMemoryFeatures(held), budget, seed=seed)


def test_the_six_points_at_alpha_one_half_with_weights_counted_again_for_every_size() -> None:
    two, three, four = mint(KN, IF, [2, 3, 4], alpha=0.5, norm_power=1.0)
    assert (two.indices.tolist(), two.weights.tolist()) == ([1, 0], [2, 4])
    assert (three.indices.tolist(), three.weights.tolist()) == ([1, 0, 5], [2, 3, 1])
    assert (four.indices.tolist(), four.weights.tolist()) == ([1, 0, 5, 3], [2, 2, 1, 1])


def test_relabelled_points_are_picked_by_worth_and_not_because_one_is_number_zero() -> None:
    """An emptiness test that mistakes index 0 for the empty set would pick 0 second, and give [1, 0, 4, 5]."""
    coreset = mint(KN[RELABELLED], IF[RELABELLED], 4, alpha=0.5, norm_power=1.0)
    assert coreset.indices.tolist() == [1, 4, 5, 3]
    assert [RELABELLED[place] for place in coreset.indices.tolist()] == [1, 0, 5, 3]


def test_number_zero_is_second_no_more_often_than_any_other() -> None:
    seconds = [mint(*pool(40, seed=seed), 2, alpha=0.5).indices.tolist()[1] for seed in range(20)]
    assert seconds.count(0) <= 3


def test_the_search_runs_the_grid_on_a_pilot_and_applies_the_rule_to_the_following_error() -> None:
    facts = mint(*pool(), "10%").diagnostics
    trials = facts["trials"]
    assert [trial["alpha"] for trial in trials] == list(alpha_grid())
    chosen = plateau([trial["B_IF"] for trial in trials], alpha_grid())
    assert facts["alpha"] == alpha_grid()[chosen.place] and facts["alpha_mode"] == "plateau"
    search = {"method": "plateau", "pilot": 60, "pilot_picks": 6, "size": 20, "sigma": chosen.sigma}
    assert facts["search"] == {**search, "found": chosen.found}


def test_the_picks_are_those_of_the_alpha_chosen_given_by_hand() -> None:
    found = mint(*pool(), 20)
    by_hand = mint(*pool(), 20, alpha=found.diagnostics["alpha"])
    assert found.indices.tolist() == by_hand.indices.tolist() and found.weights.tolist() == by_hand.weights.tolist()
    assert by_hand.diagnostics["alpha_mode"] == "fixed" and len(by_hand.diagnostics["trials"]) == 0


def test_another_seed_draws_another_pilot() -> None:
    one, two = (mint(*pool(), 20, seed=seed).diagnostics["trials"] for seed in (0, 1))
    assert one != two


def test_a_pilot_of_the_whole_pool_measures_what_the_pool_measures() -> None:
    facts = mint(*pool(90), 9, pilot=1.0).diagnostics
    chosen = next(trial for trial in facts["trials"] if trial["alpha"] == facts["alpha"])
    assert (chosen["B_KN"], chosen["B_IF"]) == (facts["B_KN"], facts["B_IF"])


@pytest.mark.parametrize(("alpha", "space"), [(0.0, 0), (1.0, 1)])
def test_alpha_zero_and_one_are_one_space_alone(alpha: float, space: int) -> None:
    rows = pool()
    alone = mint(rows[space], rows[space], 15, alpha=0.5)
    assert mint(*rows, 15, alpha=alpha).indices.tolist() == alone.indices.tolist()


def test_rows_are_made_unit_but_errors_are_those_of_real_gradients() -> None:
    knowledge, following = pool()
    coreset = mint(knowledge, following, 15, alpha=0.4)
    longer = mint(knowledge * torch.arange(1, 201)[:, None], following, 15, alpha=0.4)
    assert coreset.indices.tolist() == longer.indices.tolist()
    assert coreset.diagnostics["B_KN"] == pytest.approx(longer.diagnostics["B_KN"], rel=1e-6)
    error = (
        knowledge.double().sum(0)
        - torch.from_numpy(coreset.weights.astype(float)) @ knowledge[coreset.indices.copy()].double()
    )
    assert coreset.diagnostics["e_KN"] == pytest.approx(float(error.norm()))


def test_coefficients_of_two_spaces_are_an_alpha() -> None:
    by_factors, by_alpha = mint(*pool(), 20, coefficients=(0, 1, 2)), mint(*pool(), 20, alpha=2 / 3)
    assert by_factors.indices.tolist() == by_alpha.indices.tolist()
    assert "alpha" not in by_factors.diagnostics and by_factors.diagnostics["coefficients"] == [0, 1, 2]


def test_a_response_coefficient_asks_for_the_response_gradients_and_uses_them() -> None:
    method = Mint(dim=6, coefficients=(1, 0, 0))
    assert list(method.spaces) == ["response", "knowledge", "following"]
    assert method.requires == tuple(method.spaces.values())
    knowledge, following = pool()
    coreset = mint(knowledge, following, 20, coefficients=(1, 0, 0))
    response = knowledge + following
    assert coreset.indices.tolist() == mint(response, response, 20, alpha=0.5).indices.tolist()
    assert {"B_SFT", "A_SFT", "B_KN", "B_IF", "e_SFT"} <= set(coreset.diagnostics)


def test_three_coefficients_mix_three_spaces() -> None:
    facts = mint(*pool(), 20, coefficients=(1, 1, 1)).diagnostics
    proof = facts["certificate"]
    assert proof["error"] == pytest.approx(facts["A_SFT"] + facts["A_KN"] + facts["A_IF"])
    assert 0 < proof["lower_bound"] <= proof["error"]


def test_several_ratios_come_from_one_run_and_one_alpha() -> None:
    small, large = mint(*pool(), [0.05, 0.15])
    assert small.indices.tolist() == large.indices.tolist()[:10] and small.weights.sum() == 200
    assert small.diagnostics["alpha"] == large.diagnostics["alpha"] and small.diagnostics["search"]["size"] == 30


def test_mint_asks_for_two_unit_spaces_by_default() -> None:
    assert Mint(dim=64).requires == tuple(
        GradientSpec(loss=loss, dim=64, unit_norm=True) for loss in ("knowledge", "following")
    )


@pytest.mark.parametrize(
    "bad", [{"alpha": 1.5}, {"pilot": 0.0}, {"pilot": 1.1}, {"coefficients": [1, 2]}, {"search": "golden"}]
)
def test_settings_that_mint_cannot_honour_are_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match=next(iter(bad))):
        Mint(**bad)


def test_two_ways_to_set_the_balance_are_refused() -> None:
    with pytest.raises(
        SettingsError, match=r"alpha is 0.5 and coefficients are \(0.0, 1.0, 2.0\): both set the balance"
    ):
        Mint(alpha=0.5, coefficients=(0, 1, 2))


@pytest.mark.parametrize("bad", [(0, 0, 0), (1, -1, 1)])
def test_coefficients_out_of_range_are_refused(bad: tuple[float, float, float]) -> None:
    with pytest.raises(SettingsError, match="Each is 0 or more, and not all are 0"):
        Mint(coefficients=bad)

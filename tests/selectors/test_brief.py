"""BRIEF end to end on arrays: the six-point table, the search over alpha, prefixes, odd pools and bad input."""

import json
import math
from typing import Any

import numpy as np
import pytest
import torch

from coresift.coreset import Coreset
from coresift.errors import SelectionError, SettingsError
from coresift.features.memory import InMemoryFeatures
from coresift.features.specs import GradientSpec
from coresift.selection import select
from coresift.selectors import SELECTORS, Brief
from coresift.selectors.brief import FLAT
from coresift.submodular.cover.greedy import gains, nearest
from coresift.submodular.cover.quality import nearest_sum
from coresift.submodular.distances.stored import Blend, pairwise

KN = torch.tensor([[4, 0], [2, 5], [1, 7], [6, 6], [4, 1], [3, 1]], dtype=torch.float64)
IF = torch.tensor([[0, 6], [6, 1], [7, 3], [1, 7], [1, 0], [7, 7]], dtype=torch.float64)

# alpha: picks, weights, gains, B_KN, B_IF, A_KN, A_IF, |e_KN|, |e_IF|, |e_SFT|
TOY = {
    0.0: ([4, 1], [3, 3], [27.129133941, 10.206331092])
    + (8.359173603, 21.401593038, 8.359173603, 25.348624641, 2.828427125, 21.023796042, 23.194827009),
    0.25: ([5, 1], [3, 3], [23.581675133, 8.948690647])
    + (8.773387165, 20.406155303, 8.773387165, 26.336929923, 5.385164807, 17.0, 12.165525061),
    0.5: ([1, 0], [2, 4], [21.005673953, 10.799490311])
    + (8.773387165, 14.832063584, 10.97483686, 16.804111882, 10.0, 10.198039027, 12.806248475),
    0.75: ([1, 0], [3, 3], [18.830981608, 11.580869846])
    + (8.773387165, 14.832063584, 13.683728923, 15.8158066, 5.385164807, 5.0, 10.0),
    1.0: ([2, 0], [3, 3], [27.546119177, 14.038103497])
    + (9.749301053, 13.73304407, 15.885178618, 13.73304407, 5.09901951, 3.16227766, 7.211102551),
}
MEASURES = ("B_KN", "B_IF", "A_KN", "A_IF", "e_KN", "e_IF", "e_SFT")
STEPS = [(0.0, 0.068, 29.760767), (0.069, 0.33, 29.179542), (0.331, 0.857, 23.605451), (0.858, 1.0, 23.482345)]


def features(method: Brief, knowledge: torch.Tensor, following: torch.Tensor) -> InMemoryFeatures:
    return InMemoryFeatures({method.knowledge.stored: knowledge, method.following.stored: following})


def run(knowledge: torch.Tensor, following: torch.Tensor, budget: Any, **settings: Any) -> Any:
    method = Brief(dim=knowledge.shape[1], **settings)
    return select(method, features(method, knowledge, following), budget)


def pool(n: int, d: int = 6, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    source = torch.Generator().manual_seed(seed)
    norms = torch.exp(0.6 * torch.randn(n, 1, generator=source))
    return norms * torch.randn(n, d, generator=source), norms * torch.randn(n, d, generator=source)


@pytest.mark.parametrize("alpha", TOY)
def test_the_six_point_table_is_met_to_nine_digits(alpha: float) -> None:
    coreset = run(KN, IF, 2, alpha=alpha)
    picks, weights, gains, *measures = TOY[alpha]
    assert coreset.indices.tolist() == picks and coreset.weights.tolist() == weights
    assert coreset.diagnostics["gains"] == pytest.approx(gains, abs=1.1e-9)
    assert [coreset.diagnostics[key] for key in MEASURES] == pytest.approx(measures, abs=5.1e-9)


def test_the_full_order_of_the_six_points_is_the_tabled_one() -> None:
    coreset = run(KN, IF, 6, alpha=0.5)
    assert coreset.indices.tolist() == [1, 0, 5, 3, 4, 2]
    tabled = [21.005673953, 10.799490311, 4.242640687, 3.869384441, 3.541381265, 2.236067977]
    assert coreset.diagnostics["gains"] == pytest.approx(tabled, abs=1.1e-9)


@pytest.mark.parametrize(("low", "high", "value"), STEPS)
def test_the_outer_objective_has_the_known_steps(low: float, high: float, value: float) -> None:
    for alpha in (low, (low + high) / 2, high):
        facts = run(KN, IF, 2, alpha=alpha).diagnostics
        assert facts["B_KN"] + facts["B_IF"] == pytest.approx(value, abs=1e-6)


@pytest.mark.parametrize("alpha", [0.78, 0.782, 0.8, 0.85])
def test_a_tie_that_rounding_could_turn_goes_to_the_lower_index(alpha: float) -> None:
    """After example 1, examples 0 and 3 gain the same; with 3 the outer objective would jump from 23.61 to 30.97."""
    space = Blend(pairwise(KN), pairwise(IF), alpha)
    left = gains(space, nearest(space, torch.tensor([1])))
    assert left[0] == left[3] == left.max()
    assert run(KN, IF, 2, alpha=alpha).indices.tolist() == [1, 0]
    other = torch.tensor([1, 3])
    assert nearest_sum(pairwise(KN), other) + nearest_sum(pairwise(IF), other) == pytest.approx(30.965775, abs=1e-6)


def test_golden_search_takes_fourteen_trials_and_keeps_the_best_ever() -> None:
    facts = run(KN, IF, 2).diagnostics
    trials = facts["trials"]
    totals = [trial["B_KN"] + trial["B_IF"] for trial in trials]
    assert len(trials) == 14 and trials[-1]["alpha"] == pytest.approx(0.998814, abs=1e-6)
    assert totals[-1] / 6 == pytest.approx(3.913724, abs=1e-6)
    assert facts["alpha"] == trials[totals.index(min(totals))]["alpha"]
    assert facts["alpha_mode"] == "searched" and facts["search"]["method"] == "golden" and facts["search"]["size"] == 2


def test_no_trial_beats_the_alpha_chosen() -> None:
    for search in ("golden", "ternary"):
        coreset = run(*pool(300), "5%", search=search)
        facts = coreset.diagnostics
        chosen = facts["B_KN"] + facts["B_IF"]
        assert chosen == min(trial["B_KN"] + trial["B_IF"] for trial in facts["trials"])
        assert [trial["picks"] for trial in facts["trials"] if trial["alpha"] == facts["alpha"]] == [
            coreset.indices.tolist()
        ]
    assert len(facts["trials"]) == 29


def test_a_precision_finer_than_a_flat_objective_resolves_is_said_in_the_file(tmp_path: Any) -> None:
    rows = pool(120)[0]
    run(rows, rows, 6).save(tmp_path)  # both spaces are one, so every alpha is as good
    facts = Coreset.load(tmp_path).diagnostics
    alphas = [trial["alpha"] for trial in facts["trials"]]
    assert facts["search"]["flat"] == [min(alphas), max(alphas)] and facts["search"]["tolerance"] == FLAT
    assert facts["search"]["says"] == (
        f"Every α tried from {min(alphas):.3f} to {max(alphas):.3f} is as good within 0.1 %: "
        "a precision of 0.005 is finer than the pool resolves."
    )


def test_a_precision_coarser_than_the_flat_part_needs_no_word() -> None:
    fine, coarse = (run(*pool(120), 6, precision=precision).diagnostics["search"] for precision in (0.005, 0.05))
    assert 0.005 < fine["flat"][1] - fine["flat"][0] < 0.05 and "says" in fine
    assert coarse["flat"][1] - coarse["flat"][0] <= 0.05 and "says" not in coarse


def test_stochastic_greedy_says_what_it_guarantees() -> None:
    facts = run(*pool(200), 20, alpha=0.5, stochastic=0.1).diagnostics["stochastic"]
    assert (facts["epsilon"], facts["sample"], facts["size"]) == (0.1, math.ceil(10 * math.log(10)), 20)
    assert "in expectation at least 1 − 1/e − ε = 53.2 % of the best value of any subset of this size" in facts["says"]
    assert "stochastic" not in run(*pool(200), 20, alpha=0.5).diagnostics
    small = run(*pool(200), [5, 20], alpha=0.5, stochastic=0.1)[0].diagnostics["stochastic"]
    assert small["size"] == 20 and "the first 5 of 20 picks" in small["says"]


def test_a_given_alpha_is_not_searched_for() -> None:
    facts = run(*pool(50), 5, alpha=0.3).diagnostics
    assert facts["alpha"] == 0.3 and facts["alpha_mode"] == "fixed" and len(facts["trials"]) == 1


def test_two_runs_are_the_same_to_the_last_byte(tmp_path: Any) -> None:
    for name in ("one", "two"):
        run(*pool(200), 20).save(tmp_path / name)
    assert (tmp_path / "one" / "coreset.npz").read_bytes() == (tmp_path / "two" / "coreset.npz").read_bytes()
    first, second = (Coreset.load(tmp_path / name) for name in ("one", "two"))
    assert first.diagnostics == second.diagnostics


def test_a_smaller_budget_is_a_prefix_with_its_own_weights_and_measures() -> None:
    rows = pool(200)
    large, small = run(*rows, [40, 10])
    alone = run(*rows, 10, alpha=large.diagnostics["alpha"])
    assert small.indices.tolist() == large.indices[:10].tolist() == alone.indices.tolist()
    assert small.weights.tolist() == alone.weights.tolist() and small.weights.sum() == 200
    assert small.diagnostics["search"]["size"] == 40
    for key in (*MEASURES, "gains", "effective_size", "certificate"):
        assert small.diagnostics[key] == alone.diagnostics[key]
    assert large.prefix(10) is not None and large.prefix(10).weights.tolist() == small.weights.tolist()


def test_diagnostics_are_json_and_the_certificate_is_about_the_composite() -> None:
    facts = run(*pool(200), 20).diagnostics
    json.dumps(facts, allow_nan=False)
    alpha, proof = facts["alpha"], facts["certificate"]
    assert proof["error"] == pytest.approx((1 - alpha) * facts["A_KN"] + alpha * facts["A_IF"], rel=1e-9)
    assert 0 < proof["lower_bound"] <= proof["error"] and proof["gap"] < 0.1
    assert proof["gap"] == 1 - proof["lower_bound"] / proof["error"]


def test_unit_rows_are_selected_on_but_errors_are_those_of_real_gradients() -> None:
    knowledge, following = pool(80)
    unit = run(knowledge, following, 8, unit_norm=True, alpha=0.4)
    by_hand = run(
        knowledge / knowledge.norm(dim=1, keepdim=True), following / following.norm(dim=1, keepdim=True), 8, alpha=0.4
    )
    assert unit.indices.tolist() == by_hand.indices.tolist()
    assert unit.diagnostics["B_KN"] == pytest.approx(by_hand.diagnostics["B_KN"], rel=1e-5)
    weights = torch.tensor(unit.weights).double()
    error = knowledge.double().sum(0) - weights @ knowledge[unit.indices.tolist()].double()
    assert unit.diagnostics["e_KN"] == pytest.approx(float(error.norm()), rel=1e-9)


def test_flatter_norms_spread_the_weights() -> None:
    source = torch.Generator().manual_seed(0)
    norms = torch.exp(2.0 * torch.randn(300, 1, generator=source))
    rows = norms * torch.randn(300, 8, generator=source), norms * torch.randn(300, 8, generator=source)
    raw, flat = (run(*rows, 30, norm_power=power, alpha=0.5).effective_size for power in (1.0, 0.0))
    assert flat > 2 * raw


def test_equal_rows_everywhere_give_the_first_examples() -> None:
    coreset = run(torch.ones(9, 4), torch.zeros(9, 4), 3)
    assert coreset.indices.tolist() == [0, 1, 2] and coreset.weights.tolist() == [7, 1, 1]
    says = "The sum of distances is zero: no subset of any size can do better."
    proof = {"error": 0.0, "lower_bound": 0.0, "gap": 0.0, "random": 0.0, "says": says}
    assert coreset.diagnostics["certificate"] == proof


@pytest.mark.parametrize("flat", ["knowledge", "following"])
def test_a_constant_space_leaves_the_choice_to_the_other(flat: str) -> None:
    rows = pool(60)[0]
    spaces = (torch.ones(60, 6), rows) if flat == "knowledge" else (rows, torch.ones(60, 6))
    alone = run(rows, rows, 6, alpha=0.0)
    assert run(*spaces, 6).indices.tolist() == alone.indices.tolist()


def test_the_whole_pool_comes_back_with_unit_weights() -> None:
    coreset = run(*pool(30), 1.0, alpha=0.5)
    assert sorted(coreset.indices.tolist()) == list(range(30)) and coreset.weights.tolist() == [1] * 30
    assert coreset.diagnostics["B_KN"] == coreset.diagnostics["B_IF"] == 0.0
    assert coreset.diagnostics["e_SFT"] == pytest.approx(0.0, abs=1e-9)


def test_a_pool_of_one_example_is_its_own_coreset() -> None:
    assert run(torch.ones(1, 2), torch.ones(1, 2), 1).weights.tolist() == [1.0]


def test_rows_that_are_not_finite_are_named_with_their_space() -> None:
    knowledge, following = pool(20)
    following[4, 2] = torch.nan
    with pytest.raises(SelectionError, match=r"following: 1 of 20 rows .* \(rows 4, "):
        run(knowledge, following, 3)


def test_brief_asks_for_the_two_spaces_of_one_sketch() -> None:
    method = Brief(dim=64, preconditioner="adam", sketch_seed=3)
    assert method.requires == tuple(
        GradientSpec(loss=loss, dim=64, preconditioner="adam", seed=3) for loss in ("knowledge", "following")
    )
    assert SELECTORS["brief"] is Brief


@pytest.mark.parametrize(
    "bad",
    [{"alpha": 1.5}, {"alpha": -0.1}, {"precision": 0.0}, {"max_iterations": 0}, {"search": "grid"}, {"beta": 1}]
    + [{"dim": 0}, {"norm_power": 2.0}, {"alpha": float("nan")}],
)
def test_settings_out_of_range_are_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match=next(iter(bad))):
        Brief(**bad)


def test_two_ways_to_normalise_at_once_are_refused_when_the_method_is_made() -> None:
    with pytest.raises(SettingsError, match="unit_norm is set and norm_power is 0.5"):
        Brief(unit_norm=True, norm_power=0.5)


@pytest.mark.gpu
def test_a_gpu_selects_like_a_cpu() -> None:
    knowledge, following = pool(500)
    here, there = run(knowledge, following, 25), run(knowledge.cuda(), following.cuda(), 25)
    assert here.indices.tolist() == there.indices.tolist() and here.weights.tolist() == there.weights.tolist()


def test_random_subsets_leave_more_than_the_picks_do() -> None:
    generator = np.random.default_rng(0)
    centres = generator.normal(size=(6, 8)) * 10
    rows = torch.from_numpy(np.repeat(centres, 20, axis=0) + generator.normal(size=(120, 8))).float()
    features = InMemoryFeatures(dict.fromkeys(Brief(dim=8).requires, rows))
    proof = select(Brief(dim=8), features, 6).diagnostics["certificate"]
    assert proof["lower_bound"] <= proof["error"] < 0.5 * proof["random"]

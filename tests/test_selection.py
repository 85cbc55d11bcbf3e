"""The one door: budgets, prefixes, tokens, checks and stamps."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch

from coresift.errors import SelectionError, SettingsError
from coresift.features.memory import InMemoryFeatures
from coresift.features.specs import FeatureSpec, GradientSpec
from coresift.problem import Problem, Selection
from coresift.selection import select
from coresift.selectors import Brief, Craig, Random

IDS = [f"e{number}" for number in range(40)]
LENGTHS = np.arange(1, 41) * 10
GPU = pytest.mark.gpu
NO_GPU = pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")


@dataclass(frozen=True)
class Scripted:
    """Answers from a script, and counts how often it is asked."""

    order: list[int]
    calls: list[int]
    nested: bool = True
    weight: float = 1.0
    most: int = 1000
    name: str = "scripted"
    requires: tuple[FeatureSpec, ...] = ()

    def select(self, problem: Problem, size: int) -> Selection:
        self.calls.append(size)
        order = np.array(self.order[: min(size, self.most)])
        parts = problem.wanted(order) if self.nested else ()
        short = f"{self.most} are enough" if size > self.most else ""
        return self._answer(order, {part: self._answer(order[:part], {}) for part in parts}, short)

    def _answer(self, order: np.ndarray, prefixes: dict[int, Selection], short: str = "") -> Selection:
        weights = np.full(len(order), self.weight)
        return Selection(indices=order, weights=weights, nested=self.nested, prefixes=prefixes, shortfall=short)


def scripted(**changes: Any) -> Scripted:
    return Scripted(**{"order": list(range(40)), "calls": [], **changes})


def test_one_budget_gives_one_coreset_with_ids_in_pick_order() -> None:
    coreset = select(scripted(order=[3, 1, 2]), None, 3, ids=IDS)
    assert coreset.ids == ("e3", "e1", "e2") and coreset.indices.tolist() == [3, 1, 2]


def test_without_ids_positions_are_the_ids() -> None:
    spec = GradientSpec(loss="response", dim=2)
    coreset = select(scripted(order=[3, 1]), InMemoryFeatures({spec: torch.zeros(5, 2)}), 2)
    assert coreset.ids == ("3", "1")


def test_a_coreset_says_where_it_came_from() -> None:
    coreset = select(Random(), None, "5%", ids=IDS, seed=7, provenance={"fingerprints": {"pool": "abc"}})
    stamp = coreset.provenance
    assert {key: stamp[key] for key in ("method", "seed", "n", "budget", "fingerprints", "settings")} == {
        "method": "random",
        "seed": 7,
        "n": 40,
        "budget": "0.05",
        "fingerprints": {"pool": "abc"},
        "settings": {},
    }
    assert stamp["seconds"] >= 0 and isinstance(stamp["version"], str)


def test_settings_of_the_method_are_stamped() -> None:
    method = Brief(dim=2, alpha=0.5)
    features = InMemoryFeatures({spec: torch.randn(9, 2) for spec in method.requires})
    assert select(method, features, 2).provenance["settings"] == method.model_dump(mode="json")


def test_several_budgets_are_answered_by_one_run_in_the_order_asked() -> None:
    method = scripted()
    coresets = select(method, None, [3, "50%", 0.1, 3], ids=IDS)
    assert [len(each) for each in coresets] == [3, 20, 4, 3] and method.calls == [20]
    assert coresets[1].prefix(4).ids == coresets[2].ids
    assert coresets[1].prefix(20) is coresets[1]


def test_a_method_that_is_not_nested_is_run_once_per_budget() -> None:
    method = scripted(nested=False)
    assert [len(each) for each in select(method, None, [3, 5], ids=IDS)] == [3, 5]
    assert method.calls[-2:] == [3, 5]


def test_a_token_budget_takes_the_longest_prefix_that_fits() -> None:
    coreset = select(scripted(), None, "100 tokens", ids=IDS, tokens=LENGTHS)
    assert len(coreset) == 4 and LENGTHS[coreset.indices].sum() == 100


def test_a_token_budget_asks_for_more_picks_until_no_more_fit() -> None:
    method = scripted()
    coreset = select(method, None, "1000 tokens", ids=IDS, tokens=LENGTHS)
    assert len(coreset) == 13 and method.calls[0] < 13 < method.calls[-1]
    assert method.calls == sorted(set(method.calls))


def test_a_token_budget_larger_than_the_pool_takes_all_of_it() -> None:
    assert len(select(scripted(), None, "99999 tokens", ids=IDS, tokens=LENGTHS)) == 40


def test_counts_and_tokens_may_be_asked_together() -> None:
    coresets = select(scripted(), None, [30, "60 tokens"], ids=IDS, tokens=LENGTHS)
    assert [len(each) for each in coresets] == [30, 3]


def test_weights_are_counted_again_for_a_token_budget() -> None:
    coreset = select(Random(), None, "500 tokens", ids=IDS, tokens=LENGTHS)
    assert coreset.weights.sum() == pytest.approx(40, rel=1e-6) and LENGTHS[coreset.indices].sum() <= 500


def test_a_first_pick_too_long_for_the_budget_is_named() -> None:
    with pytest.raises(SelectionError, match="first pick alone has 400 tokens. Ask for at least 400 tokens"):
        select(scripted(order=list(range(39, -1, -1))), None, "50 tokens", ids=IDS, tokens=LENGTHS)


def test_a_budget_below_the_shortest_example_fails_before_any_work() -> None:
    method = scripted()
    with pytest.raises(SelectionError, match="shortest example has 10 tokens. Ask for at least 10 tokens"):
        select(method, None, "9 tokens", ids=IDS, tokens=LENGTHS)
    assert method.calls == []


@pytest.mark.parametrize("nested", [True, False])
def test_a_method_may_give_fewer_picks_if_it_says_why(nested: bool) -> None:
    coresets = select(scripted(most=7, nested=nested), None, [3, 7, 20], ids=IDS)
    assert [len(each) for each in coresets] == [3, 7, 7]
    assert [each.diagnostics.get("shortfall") for each in coresets] == [None, None, "7 are enough"]


def test_a_token_budget_that_all_picks_fit_ends_when_the_method_has_no_more() -> None:
    method = scripted(most=3)
    coreset = select(method, None, "1000 tokens", ids=IDS, tokens=LENGTHS)
    assert len(coreset) == 3 and coreset.diagnostics["shortfall"] == "3 are enough" and len(method.calls) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"budget": []}, "no budgets given"),
        ({"budget": 41}, "the pool has 40 examples"),
        ({"ids": None}, "neither features nor ids"),
        ({"ids": []}, "the pool is empty"),
        ({"budget": "9 tokens"}, "needs the tokens of every example"),
        ({"tokens": [1, 2]}, r"tokens of shape \(2,\) for 40 examples"),
        ({"tokens": [0] * 40}, r"tokens\[0\] is 0"),
    ],
)
def test_what_does_not_fit_together_is_refused(arguments: dict[str, Any], message: str) -> None:
    given = {"budget": 3, "ids": IDS, **arguments}
    with pytest.raises(SelectionError, match=message):
        select(scripted(), None, given.pop("budget"), **given)


def test_ids_and_features_of_different_length_are_refused() -> None:
    features = InMemoryFeatures({GradientSpec(loss="response"): torch.zeros(5, 2)})
    with pytest.raises(SelectionError, match="40 ids for features of 5 rows"):
        select(scripted(), features, 3, ids=IDS)


@pytest.mark.parametrize("method", ["brief", Brief, None])
def test_what_is_no_method_is_refused(method: Any) -> None:
    with pytest.raises(SelectionError, match=r"is no selection method. Pass one with its settings, such as Brief\(\)"):
        select(method, None, 3, ids=IDS)


def test_memory_as_a_number_is_refused_with_the_way_to_write_it() -> None:
    memory: Any = 150_000_000
    with pytest.raises(SettingsError, match="memory is 150000000. Pass text with a unit, such as memory='150MB'"):
        select(scripted(), None, 3, ids=IDS, memory=memory)


def test_arrays_of_numpy_are_chosen_from_like_tensors() -> None:
    method = Brief(dim=16)
    arrays = {spec: np.random.default_rng(0).normal(size=(60, 16)) for spec in method.requires}
    tensors = {spec: torch.from_numpy(rows) for spec, rows in arrays.items()}
    one, two = (select(method, InMemoryFeatures(held), 9) for held in (arrays, tensors))
    assert one.indices.tolist() == two.indices.tolist() and one.weights.tolist() == two.weights.tolist()


def test_an_impossible_budget_is_a_settings_error() -> None:
    with pytest.raises(SettingsError, match="budget 0"):
        select(scripted(), None, 0, ids=IDS)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"order": [1, 1, 2]}, "scripted: a pick is negative or repeated"),
        ({"order": [1, -1, 2]}, "scripted: a pick is negative or repeated"),
        ({"order": [1, 40, 2]}, "scripted: pick 40 in a pool of 40"),
        ({"order": [1, 2]}, "scripted: 2 picks for a size of 3"),
        ({"order": []}, "picks and .* weights"),
        ({"weight": 0.0}, "weight 0.0 of pick 0"),
        ({"weight": float("nan")}, "weight nan of pick 0"),
        ({"weight": float("inf")}, "weight inf of pick 0"),
    ],
)
def test_an_answer_that_is_none_is_refused_with_the_name_of_the_method(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(SelectionError, match=message):
        select(scripted(**changes), None, 3, ids=IDS)


@pytest.mark.parametrize("device", ["gpu", "cuda:x", "cuda:99", pytest.param("cuda", marks=NO_GPU)])
def test_a_device_that_is_not_there_is_refused(device: str) -> None:
    with pytest.raises(SelectionError, match=f"device is '{device}'. .* one of: cpu.* such as device=\"cpu\""):
        select(Random(), None, 3, ids=IDS, device=device)


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=GPU)])
def test_where_distances_are_computed_changes_no_pick(device: str) -> None:
    method = Brief(dim=16)
    held = InMemoryFeatures({spec: torch.randn(60, 16) for spec in method.requires})
    here, there = select(method, held, 9), select(method, held, 9, device=device)
    assert here.indices.tolist() == there.indices.tolist() and here.weights.tolist() == there.weights.tolist()


def test_features_that_are_none_are_refused_with_the_way_to_hold_them() -> None:
    features: Any = {}
    with pytest.raises(SelectionError, match=r"features are a dict. Pass InMemoryFeatures\(\{spec: array\}\)"):
        select(Craig(dim=4), features, 5)


def test_an_id_that_comes_twice_is_named() -> None:
    with pytest.raises(SelectionError, match="the id 'a' comes 3 times. Ids name examples"):
        select(scripted(), None, 3, ids=["a", "b", "a", "c", "a"])


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((9, 10), "response-none-256-.* has 10 columns, but its spec says 256. Take a method with dim=10"),
        ((8, 256), "response-none-256-.* has 8 rows for 9 examples"),
    ],
)
def test_an_array_that_is_not_what_its_spec_says_is_refused(shape: tuple[int, int], message: str) -> None:
    class Wrong:
        n = 9

        def __getitem__(self, spec: Any) -> torch.Tensor:
            return torch.ones(shape)

    with pytest.raises(SelectionError, match=message):
        select(Craig(dim=256), Wrong(), 3)

"""DELIFT: the right arrays and objective for every stage, weights, what is reported, and input that cannot be used."""

import json
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from coresift.errors import SelectionError, SettingsError
from coresift.features.candidates import candidate_lists
from coresift.features.memory import InMemoryFeatures
from coresift.features.pairs import PairPlan
from coresift.features.specs import FeatureSpec
from coresift.features.utilities import EmbeddingSpec, SimilaritySpec, UtilitySpec, csr
from coresift.selection import select
from coresift.selectors import Delift
from coresift.settings import in_words
from coresift.submodular.worth.served import own_share
from worked import EXISTING, TARGETS, UTILITIES


def signed(n: int, m: int, seed: int = 0) -> torch.Tensor:
    return 0.2 * torch.randn(n, m, generator=torch.Generator().manual_seed(seed)) - 0.05


def sparse_of(array: torch.Tensor) -> torch.Tensor:
    pairs = array.nonzero()
    starts = torch.cat([torch.zeros(1, dtype=torch.int64), torch.bincount(pairs[:, 0], minlength=len(array)).cumsum(0)])
    return csr(starts, pairs[:, 1], array[pairs[:, 0], pairs[:, 1]], tuple(array.shape))


def features(**parts: torch.Tensor) -> InMemoryFeatures:
    arrays: dict[FeatureSpec, torch.Tensor] = {}
    for part, array in parts.items():
        arrays[UtilitySpec.model_validate({"part": part.replace("_", "-")})] = array
    return InMemoryFeatures(arrays)


def test_the_instruction_stage_covers_the_pool() -> None:
    coreset = select(Delift(), features(pool=UTILITIES), 4)
    assert coreset.indices.tolist() == [3, 2, 0, 1]
    facts = coreset.diagnostics
    assert facts["gains"] == pytest.approx([0.54, 0.35, 0.20, 0.13], abs=1e-6)
    assert facts["f"] == pytest.approx(1.22, abs=1e-6) and facts["objective"] == "fl"
    assert facts["first_pick"] == 3 and facts["without_gain"] == 0 and facts["helped"] == 1.0
    assert facts["f_random"] <= facts["f"]
    json.dumps(dict(facts), allow_nan=False)


@pytest.mark.parametrize(
    ("settings", "order", "gains"),
    [
        ({"eta": 0.0}, [3, 2, 0], [0.54, 0.35, 0.20]),
        ({"eta": 1.0}, [1, 3, 0], [0.67, 0.50, 0.38]),
        ({"eta": 2.0}, [1, 2, 3], [0.97, 0.55, 0.50]),
        ({"objective": "fl1mi", "eta": 1.0}, [2, 1, 4], [0.40, 0.17, 0.06]),
        ({"objective": "fl1mi", "eta": 2.0}, [2, 4, 1], [0.45, 0.18, 0.13]),
        ({"objective": "fl2mi", "eta": 1.0}, [1, 2, 0], [0.60, 0.30, 0.10]),
        ({"objective": "fl2mi", "eta": 2.0}, [1, 2, 0], [0.90, 0.45, 0.20]),
    ],
)
def test_the_task_stage_looks_at_the_target(settings: dict[str, Any], order: list[int], gains: list[float]) -> None:
    method = Delift(stage="task", **settings)
    held = features(pool=UTILITIES, target=TARGETS, by_target=TARGETS)
    coreset = select(method, held, 3)
    assert coreset.indices.tolist() == order
    assert coreset.diagnostics["gains"] == pytest.approx(gains, abs=1e-6)
    assert coreset.diagnostics["objective"] == settings.get("objective", "paper")


@pytest.mark.parametrize(
    ("nu", "order", "gains"),
    [
        (0.0, [3, 2, 0], [0.54, 0.35, 0.20]),
        (0.5, [3, 1, 0], [0.42, 0.20, 0.175]),
        (1.0, [3, 1, 4], [0.32, 0.20, 0.08]),
        (2.0, [3, 1, 4], [0.20, 0.15, 0.05]),
    ],
)
def test_the_continual_stage_covers_what_is_not_known(nu: float, order: list[int], gains: list[float]) -> None:
    coreset = select(Delift(stage="continual", nu=nu), features(pool=UTILITIES, existing=EXISTING), 3)
    assert coreset.indices.tolist() == order
    assert coreset.diagnostics["gains"] == pytest.approx(gains, abs=1e-6)
    assert coreset.diagnostics["nu"] == nu


def test_each_stage_asks_for_its_own_arrays() -> None:
    def parts(**settings: Any) -> list[str]:
        return [spec.part for spec in Delift(**settings).requires if isinstance(spec, UtilitySpec)]

    assert parts() == ["pool"] and parts(stage="continual") == ["pool", "existing"]
    assert parts(stage="task") == ["pool", "target"]
    assert parts(stage="task", objective="fl1mi") == ["pool", "by-target"]
    assert parts(stage="task", objective="fl2mi") == ["target"]
    se = Delift(kernel="embedding", stage="task", encoder="some/encoder", text="prompt")
    encoder = EmbeddingSpec(model="some/encoder", text="prompt")
    assert se.requires == (encoder, SimilaritySpec(part="target", encoder=encoder))
    rows = Delift(pairs="rows", rows=7, stage="continual", metric="pmi", template="delift", max_tokens=99)
    shared: dict[str, Any] = {"metric": "pmi", "template": "delift", "max_tokens": 99, "rows": 7}
    assert rows.requires == (UtilitySpec(**shared), UtilitySpec(part="existing", **shared))
    assert Delift(pairs="candidates", candidates=5).requires == (UtilitySpec(candidates=5),)


def test_a_budget_of_everything_is_everything() -> None:
    coreset = select(Delift(), features(pool=UTILITIES), 5)
    assert sorted(coreset.indices.tolist()) == [0, 1, 2, 3, 4]
    assert coreset.weights.tolist() == [1.0] * 5


def test_a_pick_stands_for_itself_and_for_those_it_helps_most() -> None:
    worth = torch.tensor(
        [  # example j in rows: what it is worth to each of six
            [0.9, 0.5, 0.5, 0.0, -0.1, 0.0],
            [0.0, 0.1, 0.1, 0.0, 0.0, 0.0],
            [0.0, 0.0, 0.2, 0.0, 0.0, 0.0],
            [0.0, 0.0, 0.0, 0.6, 0.4, 0.0],
            [0.0, 0.0, 0.0, 0.0, 0.1, 0.0],
            [-0.2, -0.2, -0.2, -0.2, -0.2, -0.2],
        ]
    )
    coreset = select(Delift(), features(pool=worth), 2)
    assert coreset.indices.tolist() == [0, 3]
    assert coreset.weights.tolist() == [3.0, 2.0]  # nobody helps the last one
    assert coreset.diagnostics["helped"] == pytest.approx(5 / 6)
    assert coreset.diagnostics["effective_size"] == pytest.approx(25 / 13)


def test_weights_count_targets_where_only_they_are_covered() -> None:
    coreset = select(Delift(stage="task", objective="fl2mi"), features(target=TARGETS), 2)
    assert coreset.indices.tolist() == [1, 2]
    assert coreset.weights.tolist() == [2.5, 2.5]  # one target each: half of the three that are not picked


def test_a_part_of_the_rows_gives_the_picks_of_those_rows() -> None:
    method, full = Delift(pairs="rows", rows=12, stage="continual"), signed(40, 40)
    pool, existing = method.requires
    places = UtilitySpec(rows=12).predicted(40)
    known = signed(40, 5, seed=3)
    held = InMemoryFeatures({pool: full[:, places], existing: known})
    coreset = select(method, held, 6)
    start = known[places].amax(dim=1).clamp(min=0.0)
    first = (full[:, places] - start).clamp(min=0.0).sum(dim=1)
    assert coreset.indices[0] == int(first.argmax())
    assert coreset.weights.sum() <= 40.0 + 1e-9 and coreset.weights.min() >= 1.0


def test_all_rows_and_all_candidates_are_the_whole_kernel() -> None:
    full = signed(30, 30)
    whole = select(Delift(), features(pool=full), 8)
    for method, array in [
        (Delift(pairs="rows", rows=30), full),
        (Delift(pairs="candidates", candidates=30), sparse_of(full)),
    ]:
        part = select(method, InMemoryFeatures({method.requires[0]: array}), 8)
        assert part.indices.tolist() == whole.indices.tolist() and part.weights.tolist() == whole.weights.tolist()
        assert part.diagnostics == whole.diagnostics


def test_candidates_that_hold_the_best_pairs_lose_little() -> None:
    points = torch.nn.functional.normalize(signed(150, 6), dim=1)
    full = points @ points.T + 0.1 * signed(150, 150)
    lists = candidate_lists(points, torch.arange(150), 30)
    kept = torch.zeros(150, 150, dtype=torch.bool).scatter_(0, lists.T, True)
    method = Delift(pairs="candidates", candidates=30)
    part = select(method, InMemoryFeatures({method.requires[0]: sparse_of(torch.where(kept, full, 0.0))}), 15)
    whole = select(Delift(), features(pool=full), 15)
    assert part.diagnostics["f"] > 0.9 * whole.diagnostics["f"]


@pytest.mark.parametrize("rule", ["zero", "cap"])
def test_what_examples_are_worth_to_themselves_is_reported(rule: str) -> None:
    # The answer itself in the context helps most, and the more, the harder the example.
    hard = 0.02 * signed(40, 40) + torch.diag(torch.linspace(0.1, 3.0, 40))
    kept = select(Delift(), features(pool=hard), 8)
    assert kept.diagnostics["self"]["rule"] == "keep" and kept.diagnostics["self"]["own_best"] == 1.0
    assert sorted(kept.indices.tolist()) == list(range(32, 40))  # so the picks are the hardest examples
    other = select(Delift.model_validate({"self": rule}), features(pool=hard), 8)
    assert other.diagnostics["self"]["own_best"] == 1.0 and other.diagnostics["self"]["same_picks"] < 0.7
    if rule == "zero":
        assert kept.diagnostics["self"]["same_picks"] == other.diagnostics["self"]["same_picks"]
    sparse = own_share(sparse_of(hard), torch.arange(40))
    assert sparse == own_share(hard, torch.arange(40)) == 1.0


def test_embeddings_stand_in_for_utilities() -> None:
    points = torch.nn.functional.normalize(signed(30, 5), dim=1)
    targets, known = (torch.nn.functional.normalize(signed(4, 5, seed), dim=1) for seed in (8, 9))
    encoder = EmbeddingSpec()
    held = InMemoryFeatures(
        {
            encoder: points,
            SimilaritySpec(part="target", encoder=encoder): points @ targets.T,
            SimilaritySpec(part="existing", encoder=encoder): points @ known.T,
        }
    )
    kernel, target, existing = ((1 + points @ other.T) / 2 for other in (points, targets, known))
    utilities = features(pool=kernel, target=target, by_target=target, existing=existing)
    for settings in (
        {},
        {"self": "zero"},
        {"stage": "task"},
        {"stage": "task", "objective": "fl1mi"},
        {"stage": "task", "objective": "fl2mi"},
        {"stage": "continual", "nu": 0.9},
        {"pairs": "rows", "rows": 30},
    ):
        direct = {key: value for key, value in settings.items() if key not in ("pairs", "rows")}
        one = select(Delift.model_validate({"kernel": "embedding", **settings}), held, 6)
        two = select(Delift.model_validate(direct), utilities, 6)
        assert one.indices.tolist() == two.indices.tolist(), settings
        assert one.diagnostics["f"] == pytest.approx(two.diagnostics["f"], rel=1e-5)


def test_negative_utilities_never_attract_picks() -> None:
    worth = signed(20, 20).abs()
    worth[7] = -5.0
    order = select(Delift(), features(pool=worth), 20).indices.tolist()
    assert order[-1] == 7 or select(Delift(), features(pool=worth), 20).diagnostics["gains"][order.index(7)] == 0.0


def test_a_plan_settles_the_pairs() -> None:
    plan = PairPlan(pairs="candidates", count=33, losses={}, reason="")
    settled = Delift(metric="pmi").planned(plan)
    assert settled == Delift(metric="pmi", pairs="candidates", candidates=33)
    assert Delift().planned(PairPlan(pairs="all", losses={}, reason="")) == Delift(pairs="all")
    assert Delift().requires == Delift(pairs="all").requires


def test_settings_are_said_as_in_a_recipe() -> None:
    said = Delift.model_validate({"self": "cap", "stage": "task"})
    assert said == Delift(self_="cap", stage="task") and said.model_dump(mode="json")["self"] == "cap"
    assert Delift.model_validate(said.model_dump(mode="json")) == said
    with pytest.raises(ValidationError) as caught:
        Delift.model_validate({"slf": "cap"})
    assert "Did you mean 'self'?" in in_words(caught.value, Delift, "method.", owner="delift")


def test_settings_that_do_not_fit_are_refused() -> None:
    with pytest.raises(SettingsError, match="objective is fl1mi in stage instruction: that is a form for targets"):
        Delift(objective="fl1mi")
    with pytest.raises(SettingsError, match="pairs is candidates with an embedding kernel"):
        Delift(kernel="embedding", pairs="candidates")
    with pytest.raises(SettingsError, match="Delift.eta: .* got -1.0"):
        Delift(stage="task", eta=-1.0)


def test_an_empty_target_set_is_refused() -> None:
    for settings in ({"stage": "task"}, {"stage": "task", "objective": "fl2mi"}):
        with pytest.raises(SelectionError, match="target: 5 x 0. There is nobody to help"):
            select(Delift.model_validate(settings), features(pool=UTILITIES, target=torch.zeros(5, 0)), 2)


def test_an_existing_set_that_is_the_pool_leaves_nothing_to_choose_by() -> None:
    held = features(pool=UTILITIES, existing=UTILITIES.T)
    with pytest.raises(SelectionError, match="no example helps more than 1 times what the existing set gives already"):
        select(Delift(stage="continual"), held, 2)
    assert len(select(Delift(stage="continual", nu=0.5), held, 2)) == 2


def test_utilities_without_any_help_are_refused() -> None:
    with pytest.raises(SelectionError, match="stage instruction: no example is worth more than 0 to any row"):
        select(Delift(), features(pool=-UTILITIES.abs()), 2)
    unhelpful = features(pool=UTILITIES, by_target=-TARGETS)
    with pytest.raises(SelectionError, match="Under fl1mi only rows count that some target helps"):
        select(Delift(stage="task", objective="fl1mi"), unhelpful, 2)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_utilities_that_are_not_finite_are_refused_by_number(bad: float) -> None:
    for part in ("pool", "target"):
        arrays = {"pool": UTILITIES.clone(), "target": TARGETS.clone()}
        arrays[part][3, 1] = bad
        with pytest.raises(SelectionError, match=rf"{part}: 1 of 5 rows hold NaN or infinity \(rows 3, counted from 0"):
            select(Delift(stage="task"), features(**arrays), 2)


def test_utilities_of_another_pool_are_refused() -> None:
    with pytest.raises(SelectionError, match=r"pool: utilities of shape \(5, 4\) for 5 examples and 5 rows"):
        select(Delift(), features(pool=UTILITIES[:, :4]), 2)


def test_several_budgets_are_prefixes_of_one_order() -> None:
    small, large = select(Delift(), features(pool=signed(50, 50)), [3, 10])
    assert small.indices.tolist() == large.indices.tolist()[:3]
    assert small.diagnostics == select(Delift(), features(pool=signed(50, 50)), 3).diagnostics


@pytest.mark.gpu
@pytest.mark.parametrize("stage", ["instruction", "task", "continual"])
def test_a_gpu_selects_like_a_cpu(stage: str) -> None:
    parts = {"pool": signed(80, 80), "target": signed(80, 4, 1), "existing": signed(80, 3, 2)}
    here, there = (
        select(Delift.model_validate({"stage": stage}), features(**arrays), 20)
        for arrays in (parts, {part: array.cuda() for part, array in parts.items()})
    )
    assert here.indices.tolist() == there.indices.tolist() and here.diagnostics == there.diagnostics
    assert here.weights.tolist() == there.weights.tolist()

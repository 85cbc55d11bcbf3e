"""From examples and a model to picks: utilities of every part, saved pairs, and the pilot."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch

from coresift.data.pool import Example
from coresift.errors import FeatureError
from coresift.extract.icl import UtilityScorer
from coresift.extract.utilities import extract_utilities, measured_plan
from coresift.features import pairs
from coresift.features.memory import InMemoryFeatures
from coresift.features.utilities import EmbeddingSpec, UtilitySpec
from coresift.features.utility_store import Group, UtilityStore
from coresift.selection import select
from coresift.selectors import Delift

POOL: list[Example] = list(tiny.pool(9))
GROUPS: dict[Group, Sequence[Example]] = {
    "pool": POOL[:6],
    "target": [replace(each, id=f"t{each.id}") for each in POOL[6:8]],
    "existing": [replace(each, id=f"x{each.id}") for each in POOL[8:]],
}


def embed(examples: Sequence[Example]) -> torch.Tensor:
    source = torch.Generator().manual_seed(len(examples))
    return torch.nn.functional.normalize(torch.randn(len(examples), 4, generator=source), dim=1)


def scorer(**settings: Any) -> UtilityScorer:
    return UtilityScorer(tiny.model(), tiny.tokenizer("llama3"), **settings)


def store(folder: Path) -> UtilityStore:
    ids = {group: [each.id for each in examples] for group, examples in GROUPS.items()}
    points = InMemoryFeatures({EmbeddingSpec(): embed(GROUPS["pool"])})
    return UtilityStore(folder, identity={"model": "tiny"}, embeddings=points, **ids)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"stage": "task"},
        {"stage": "task", "objective": "fl1mi", "template": "delift"},
        {"stage": "task", "objective": "fl2mi", "metric": "pmi-mean"},
        {"stage": "continual", "nu": 0.5, "template": "delift"},
        {"stage": "continual", "nu": 0.5, "pairs": "rows", "rows": 4},
        {"pairs": "candidates", "candidates": 3},
    ],
)
def test_every_stage_goes_from_examples_to_picks(tmp_path: Path, settings: dict[str, Any]) -> None:
    method, held = Delift.model_validate(settings), store(tmp_path)
    measured = {"template": method.template, "metric": method.metric, "max_tokens": method.max_tokens}
    for spec in method.requires:
        assert isinstance(spec, UtilitySpec)
        extract_utilities(scorer(**measured), held, spec, GROUPS)
        assert extract_utilities(scorer(**measured), held, spec, GROUPS).shards == 0  # nothing is left to do
    coreset = select(method, held, 3, ids=[each.id for each in GROUPS["pool"]])
    assert len(set(coreset.ids)) == 3 and coreset.diagnostics["f"] > 0.0


def test_utilities_are_those_of_the_scorer(tmp_path: Path) -> None:
    held = store(tmp_path)
    for part in ("pool", "by-target"):
        spec = UtilitySpec.model_validate({"part": part})
        extract_utilities(scorer(), held, spec, GROUPS)
    direct = scorer()
    pool, target = GROUPS["pool"], GROUPS["target"]
    torch.testing.assert_close(held[UtilitySpec()], direct.columns(pool, pool))
    torch.testing.assert_close(held[UtilitySpec(part="by-target")], direct.columns(target, pool).T)


def test_a_scorer_of_something_else_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FeatureError, match=r"the scorer has .*'pmi'.*, the spec .*'l2'.* Give both the same"):
        extract_utilities(scorer(metric="pmi"), store(tmp_path), UtilitySpec(), GROUPS)


def test_a_pilot_is_scored_only_where_pairs_must_be_saved(monkeypatch: pytest.MonkeyPatch) -> None:
    used = scorer()
    assert measured_plan(used, embed, POOL, 2, most_pairs=81).pairs == "all" and used.tokens == 0
    monkeypatch.setattr(pairs, "PILOT", 6)
    plan = measured_plan(used, embed, POOL, 2, most_pairs=30, seed=1)
    assert plan.pairs in ("rows", "candidates") and plan.count == 3 and used.tokens > 0
    assert plan == measured_plan(scorer(), embed, POOL, 2, most_pairs=30, seed=1)
    assert Delift().planned(plan).pairs == plan.pairs

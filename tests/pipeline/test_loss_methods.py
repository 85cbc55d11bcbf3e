"""Methods that look at losses and lengths, through the pipeline: no gradients, one pass for all who share a loss."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny

from coresift.coreset import Coreset
from coresift.features.losses import LengthSpec, LossSpec
from coresift.features.store import FeatureStore
from coresift.models.losses import pool_losses
from coresift.models.render import Renderer
from coresift.pipeline import features
from coresift.pipeline.recipes import resolve
from coresift.pipeline.runs import Run
from coresift.pipeline.stages import select


def begun(recipe: dict[str, Any], out: Path, method: dict[str, Any], **changes: Any) -> Run:
    small = {"method": method, "budget": 5, "train": None, "evaluate": {}, "merge": False, "compare": {"base": False}}
    return Run(resolve({**recipe, **small, **changes, "out": str(out)}))


def test_ifd_scores_the_candidates_by_the_base_model_without_a_warm_up(recipe: dict[str, Any], tmp_path: Path) -> None:
    run = begun(recipe, tmp_path / "run", {"name": "ifd", "keep_unhelpful": True})
    said: list[str] = []
    coreset = select(run, say=said.append)
    renderer = run.inputs.renderer
    known = pool_losses(tiny.model(), run.inputs.rows, start_token=renderer.start_token, pad_token=renderer.pad_token)
    ratios = (known.response / known.knowledge).numpy()
    np.testing.assert_allclose(coreset.diagnostics["scores"], np.sort(ratios)[::-1][:5], rtol=1e-4)
    assert "losses: 34 of 34 examples (response), by the base model" in said
    assert not (run.folder / "warmup").exists() and run.costs["losses"]["tokens"] > 0
    assert Coreset.load(tmp_path / "run").indices.tolist() == coreset.indices.tolist()


def test_what_one_method_measured_another_reads(
    recipe: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = begun(recipe, tmp_path / "run", {"name": "ifd"})
    features.fill(run, run.recipe.required, say=lambda line: None)
    monkeypatch.setattr(features, "load_model", lambda *names, **settings: pytest.fail("a model was loaded"))
    features.fill(run, [LossSpec(loss="response"), LengthSpec()], say=lambda line: None)


def test_another_model_scores_with_its_own_tokenizer_and_leaves_out_what_it_cannot_take(
    recipe: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scorer = tiny.save(tmp_path / "scorer", "opt")
    method = {"name": "ifd", "model": str(scorer), "ratio": "perplexity", "keep_unhelpful": True}
    run = begun(recipe, tmp_path / "run", method, budget=1.0)
    plain = Renderer(tiny.tokenizer("plain"), max_tokens=512)
    rows = [plain.render(example) for example in run.inputs.chosen_from]
    limit = int(np.median([len(row.tokens) for row in rows]))
    monkeypatch.setattr(features, "max_positions", lambda name: limit)
    coreset = select(run, say=lambda line: None)
    fit = [row for row in rows if len(row.tokens) <= limit]
    assert sorted(coreset.ids) == sorted(row.id for row in fit)
    assert coreset.diagnostics["not_scored"] == len(rows) - len(fit) > 0
    assert coreset.diagnostics["shortfall"].startswith(f"only {len(fit)} of 34 examples")
    known = pool_losses(tiny.model("opt"), fit, start_token=plain.start_token, pad_token=plain.pad_token)
    np.testing.assert_allclose(coreset.diagnostics["scores"], np.sort(known.ifd)[::-1], rtol=1e-4)


def test_a_warmed_up_model_scores_under_the_adapter_of_the_warm_up(recipe: dict[str, Any], tmp_path: Path) -> None:
    run = begun(recipe, tmp_path / "run", {"name": "perplexity"})
    plain, warm = LossSpec(loss="response"), LossSpec(loss="response", warmup=True)
    run.begin()
    held = features.fill(run, [plain, warm], say=lambda line: None)
    assert (run.folder / "warmup").exists() and held[plain].tolist() != held[warm].tolist()
    stores = [each for each in held._stores.values() if isinstance(each, FeatureStore)]
    assert sum("adapter" in store.identity for store in stores) == 1


@pytest.mark.parametrize("name", ["longest", "length-matched"])
def test_lengths_need_no_model(
    name: str, recipe: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(features, "load_model", lambda *names, **settings: pytest.fail("a model was loaded"))
    run = begun(recipe, tmp_path / "run", {"name": name})
    coreset, lengths = select(run, say=lambda line: None), {row.id: row.n_targets for row in run.inputs.rows}
    assert coreset.diagnostics["mean_tokens_of_pool"] == pytest.approx(np.mean(list(lengths.values())))
    assert len(coreset) == 5
    if name == "longest":
        assert sorted(lengths[id] for id in coreset.ids) == sorted(lengths.values())[-5:]

"""Cheaper gradients through the pipeline: each model is loaded as its spec says, and no warm-up is run for nothing."""

from pathlib import Path
from typing import Any

import pytest
import torch

from coresift.errors import FeatureError
from coresift.extract.run import GradientExtractor
from coresift.extract.sketch import VERSION
from coresift.features.store import FeatureStore
from coresift.pipeline import gradients as stage
from coresift.pipeline.outlook import outlook
from coresift.pipeline.recipes import resolve
from coresift.pipeline.runs import Run
from coresift.pipeline.stages import extract


def run_of(recipe: dict[str, Any], out: Path, **method: Any) -> Run:
    changes = {"method": {"name": "craig", "dim": 32, **method}, "train": None, "evaluate": {}, "compare": {}}
    return Run(resolve({**recipe, **changes, "merge": False, "out": str(out)}))


def loaded(run: Run, monkeypatch: pytest.MonkeyPatch) -> list[GradientExtractor]:
    """The extractors that a run makes, and its features."""
    made: list[GradientExtractor] = []

    def note(*args: Any, **settings: Any) -> GradientExtractor:
        made.append(GradientExtractor(*args, **settings))
        return made[-1]

    monkeypatch.setattr(stage, "GradientExtractor", note)
    features = extract(run, say=lambda line: None)
    (spec,) = run.recipe.required
    assert features is not None and features[spec].shape == (34, 32) and bool(features[spec].any())
    return made


def test_linear_maps_of_the_untuned_model_need_no_warm_up(
    recipe: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = run_of(recipe, tmp_path / "run", of="linear", layers="last-1")
    assert outlook(run) == ["to make: response gradients, and what follows from them"]
    (extractor,) = loaded(run, monkeypatch)
    assert not any("lora" in name for name, _ in extractor.model.named_parameters())
    assert not list(tmp_path.rglob("adapter"))
    assert outlook(run) == ["found: response gradients"]


def test_the_head_is_looked_at_with_the_adapter_folded_in(
    recipe: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (extractor,) = loaded(run_of(recipe, tmp_path / "run", of="head"), monkeypatch)
    assert not any("lora" in name for name, _ in extractor.model.named_parameters())
    assert list(tmp_path.rglob("adapter"))


def test_passes_in_16_bits_hold_weights_and_adapter_in_16_bits(
    recipe: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (extractor,) = loaded(run_of(recipe, tmp_path / "run", dtype="bfloat16"), monkeypatch)
    assert {weight.dtype for weight in extractor.model.parameters()} == {torch.bfloat16}


def test_gradients_of_another_projection_are_refused(
    recipe: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = run_of(recipe, tmp_path / "run", of="head")
    features = extract(run, say=lambda line: None)
    (spec,) = run.recipe.required
    assert features is not None
    identity = features.identity[spec.key]
    assert identity["projection"] == VERSION == 1
    (folder,) = {path.parent for path in tmp_path.rglob("manifest.json")}
    with pytest.raises(FeatureError, match="projection: the store has 1, this run needs 2"):
        FeatureStore(
            tmp_path,
            identity={**identity, "projection": 2},
            ids=run.inputs.chosen_from.ids,
            shard_rows=8,
            folders={spec.stored: folder},
        )[spec]

"""The shipped recipes of the baselines need nothing but the pool, and answer what they are for."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from coresift.pipeline.recipes import resolve, shipped_recipes
from coresift.pipeline.runs import Run
from coresift.pipeline.stages import select


@pytest.mark.parametrize(("name", "share"), [("random", 0.05), ("balanced-random", 0.05), ("full", 1.0)])
def test_the_recipe_of_a_baseline_picks_its_share_without_a_warm_up_or_features(
    name: str, share: float, recipe: dict[str, Any], tmp_path: Path
) -> None:
    shipped = yaml.safe_load(shipped_recipes()[name].read_text())
    small = {"pool": recipe["pool"], "model": recipe["model"], "evaluate": {}, "out": str(tmp_path / "run")}
    run = Run(resolve({**shipped, **small}))
    coreset = select(run, say=lambda line: None)
    candidates = len(run.inputs.candidates)
    assert len(coreset) == round(share * candidates)
    assert coreset.weights.sum() == pytest.approx(candidates - coreset.diagnostics.get("unrepresented", 0))
    assert run.recipe.required == () and not {"warmup", "features"} & {path.name for path in run.folder.iterdir()}

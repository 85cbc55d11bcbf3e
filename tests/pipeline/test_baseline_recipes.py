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


@pytest.mark.parametrize("name", ["ifd", "superfiltering", "perplexity", "longest", "length-matched", "mig", "deita"])
def test_the_recipe_of_a_score_picks_its_share_of_a_small_pool(
    name: str, recipe: dict[str, Any], tmp_path: Path
) -> None:
    shipped = yaml.safe_load(shipped_recipes()[name].read_text())
    small = {"pool": recipe["pool"], "model": recipe["model"], "evaluate": {}, "out": str(tmp_path / "run")}
    if "encoder" in shipped["method"] and shipped["method"]["encoder"]:
        shipped["method"]["encoder"] = recipe["model"]["path"]
    if shipped["method"]["name"] == "ifd":  # no instruction helps a model that was never trained
        shipped["method"]["keep_unhelpful"] = True
    run = Run(resolve({**shipped, **small}))
    coreset = select(run, say=lambda line: None)
    assert len(coreset) == round(0.05 * len(run.inputs.candidates))


def second_sets() -> list[tuple[str, str]]:
    """Recipes with a second set drawn from the embedded world, and which."""
    found = {name: yaml.safe_load(path.read_text()) for name, path in sorted(shipped_recipes().items())}
    parts = ((name, part) for name in found for part in ("target", "existing"))
    return [(name, part) for name, part in parts if (found[name].get(part) or {}).get("path") == "world"]


@pytest.mark.parametrize(("name", "part"), second_sets())
def test_the_second_set_of_a_shipped_recipe_holds_as_many_examples_as_it_asks_for(name: str, part: Any) -> None:
    run = Run(resolve(yaml.safe_load(shipped_recipes()[name].read_text())))
    assert len(run.inputs.others[part]) == getattr(run.recipe, part).examples

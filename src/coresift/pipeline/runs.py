"""A run folder: one set of settings, the files of every stage, and what each stage cost."""

import json
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from coresift import files
from coresift.budget import Budget
from coresift.errors import RunError
from coresift.pipeline.config import Recipe
from coresift.pipeline.inputs import Inputs
from coresift.pipeline.recipes import Resolved, load_recipe


class Run:
    """One recipe and the folder its stages write to.

    Args:
        resolved: The recipe with the origin of every value.

    Raises:
        RunError: If the folder was made with other settings; the differences are listed.
    """

    def __init__(self, resolved: Resolved) -> None:
        self.resolved = resolved
        self.recipe: Recipe = resolved.recipe
        self.folder = Path(self.recipe.out or Path("runs") / self.recipe.name)
        self._refuse_other_settings()

    @cached_property
    def inputs(self) -> Inputs:
        """Pool, rendering and test examples."""
        return Inputs(self.recipe)

    @property
    def settings_file(self) -> Path:
        """The resolved recipe; written once the inputs have been read without a fault."""
        return self.folder / "settings.yaml"

    def _refuse_other_settings(self) -> None:
        if not self.settings_file.exists() or len(self.costs) == 0:
            return  # no stage has finished here: there is nothing that other settings could be mixed with
        found = _flat(yaml.safe_load(self.settings_file.read_text(encoding="utf-8")))
        wanted = _flat(self.recipe.model_dump(mode="json"))
        lines = [
            f"  {key}: the folder has {found.get(key)!r}, this run needs {wanted.get(key)!r}"
            for key in sorted({*found, *wanted})
            if found.get(key) != wanted.get(key)
        ]
        if lines:
            raise RunError(
                f"{self.folder} was made with other settings:\n"
                + "\n".join(lines)
                + "\nUse another name (--set name=NAME), the same settings, or delete the folder."
            )

    def begin(self) -> None:
        """Check the inputs against the settings, then record the settings: the first thing a run writes."""
        self.inputs.refuse_longer_than_model()
        for budget in map(Budget.parse, self.recipe.budgets):
            if budget.kind != "tokens":
                budget.count(len(self.inputs.candidates))  # raises before hours of work, not after them
        text = self.resolved.to_yaml()
        if not self.settings_file.exists() or self.settings_file.read_text(encoding="utf-8") != text:
            files.write_text(self.settings_file, text)

    def record(self, stage: str, *, seconds: float, tokens: int | None = None, flops: float | None = None) -> None:
        """Add to the cost of a stage: wall-clock seconds, tokens through the model, floating-point operations."""
        costs = self.costs
        before = costs.get(stage, {})
        costs[stage] = {
            "seconds": round(before.get("seconds", 0.0) + seconds, 3),
            "tokens": _sum(before.get("tokens"), tokens),
            "flops": _sum(before.get("flops"), flops),
        }
        files.write_json(self.folder / "costs.json", costs)

    @property
    def costs(self) -> dict[str, dict[str, Any]]:
        """Stage -> {seconds, tokens, flops}, in the order the stages first ran."""
        return read_json(self.folder / "costs.json", {})


def open_run(recipe: str | Path, *, set: tuple[str, ...] = ()) -> Run:
    """The run of a recipe file or shipped recipe name, with `a.b=value` overrides."""
    return Run(load_recipe(recipe, set))


def read_json(path: Path, default: Any) -> Any:
    """The content of a JSON file, or `default` when there is none."""
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else default


def _sum(before: float | None, more: float | None) -> float | None:
    return before if more is None else more + (before or 0)


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping) and len(value) > 0:
            flat.update(_flat(value, f"{prefix}{key}."))
        else:
            flat[f"{prefix}{key}"] = value
    return flat

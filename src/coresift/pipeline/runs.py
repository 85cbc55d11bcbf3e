"""A run folder: one set of settings, the files of every stage, and what each stage cost."""

import json
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from coresift import files
from coresift.budget import Budget
from coresift.differences import both_sides
from coresift.errors import RunError, SelectionError
from coresift.evaluation.rouge import check_rouge
from coresift.models.encoders import read_layout
from coresift.models.load import resolve_device
from coresift.pipeline.config import Recipe
from coresift.pipeline.inputs import Inputs, model_path
from coresift.pipeline.recipes import Resolved, load_recipe


class Run:
    """One recipe and the folder its stages write to.

    Args:
        resolved: The recipe with the origin of every value.

    Raises:
        RunError: If the folder is a file, or was made with other settings; the differences are listed.
    """

    def __init__(self, resolved: Resolved) -> None:
        self.resolved = resolved
        self.recipe: Recipe = resolved.recipe
        self.folder = Path(self.recipe.out or Path("runs") / self.recipe.name)
        self._refuse_file()
        self._refuse_other_settings()

    @cached_property
    def inputs(self) -> Inputs:
        """Pool, rendering and test examples."""
        return Inputs(self.recipe)

    @property
    def settings_file(self) -> Path:
        """The resolved recipe; written once the inputs have been read without a fault."""
        return self.folder / "settings.yaml"

    def _refuse_file(self) -> None:
        if self.folder.is_file():
            raise RunError(
                f"{self.folder} is a file, and a run needs a folder. Name a new one (--out or --set out=...)."
            )

    def _refuse_other_settings(self) -> None:
        found = self._recorded()
        if found is None or len(self.costs) == 0:
            return  # no stage has finished here: there is nothing that other settings could be mixed with
        wanted = self.recipe.model_dump(mode="json")
        if not (self.folder / "coreset.jsonl").exists():
            found["memory"] = wanted["memory"]  # nothing but the selection uses it: a larger one must not cost the rest
        differences = both_sides(found, wanted, holder="the folder")
        if differences:
            raise RunError(
                f"{self.folder} was made with other settings:\n{differences}\n"
                "Use another run folder (another name or --out), the same settings, or delete the folder."
            )

    def _recorded(self) -> Any:
        """The settings in the folder, as plain values; None where there are none."""
        if not self.settings_file.exists():
            return None
        return yaml.safe_load(self.settings_file.read_text(encoding="utf-8"))

    def begin(self) -> None:
        """Check the inputs against the settings, then record the settings: the first thing a run writes."""
        self._refuse_foreign_folder()
        resolve_device(self.recipe.model.device)
        self.inputs.refuse_longer_than_model()
        self.inputs.refuse_unusable_others()
        self._refuse_unusable_metrics()
        self._refuse_impossible_budgets()
        if self._recorded() != self.recipe.model_dump(mode="json"):  # the same values keep their first origins
            files.write_text(self.settings_file, self.resolved.to_yaml())

    def _refuse_foreign_folder(self) -> None:
        if self.folder.is_dir() and any(self.folder.iterdir()) and not self.settings_file.exists():
            raise RunError(
                f"{self.folder} holds something that is not a run. Name a new folder, or one of the same command."
            )

    def _refuse_impossible_budgets(self) -> None:
        """Raise before hours of work, not after them."""
        shortest = min(len(row.tokens) for row in self.inputs.rows)
        for budget in map(Budget.parse, self.recipe.budgets):
            if budget.kind != "tokens":
                budget.count(len(self.inputs.candidates))
            elif budget.amount < shortest:
                raise SelectionError(
                    f"budget {budget}: the shortest example has {shortest} tokens. Ask for at least {shortest} tokens."
                )

    def _refuse_unusable_metrics(self) -> None:
        """Raise before models are trained, not when their answers are scored."""
        settings = self.recipe.evaluate
        if "rouge1" in settings.metrics:
            check_rouge()
        if settings.encoder is not None:
            read_layout(model_path(settings.encoder))

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

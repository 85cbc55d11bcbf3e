"""Finished runs in one table, where they may be compared: same base model, same test, same number of examples."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from coresift import files
from coresift.coreset import Coreset
from coresift.errors import RunError
from coresift.pipeline.comparison import gather
from coresift.pipeline.controls import CONTROL
from coresift.pipeline.grid_settings import Grid
from coresift.pipeline.scoring import ITEMS, SCORES, SELECTION_STAGES
from coresift.pipeline.uses import COSTS

SAME = {"test": "test examples", "model": "base model", "dtype": "dtype"}
"""What scores must have in common: key of their identity -> its name."""


def side_by_side(folders: Sequence[Path]) -> dict[str, Any]:
    """The tables of `comparison.gather`, from run folders that are finished.

    The random subsets of all runs together are what each is set beside; every run counts as one draw of its method.

    Args:
        folders: Run folders with a trained and scored model.

    Raises:
        RunError: If a folder is no such run, two were scored on other examples or from another base model, or none has
            a random subset of the size of a run beside it.
    """
    found = [_results(folder) for folder in folders]
    _refuse_unlike({str(folder): its[0]["identity"] for folder, its in zip(folders, found, strict=True)})
    results = [each for its in found for each in its]
    unique = {each["items"]: each for each in results}  # runs beside each other share the artefacts of equal subsets
    sizes = sorted({each["examples"] for each in unique.values() if each["label"] != CONTROL})
    for size in sizes:
        if not any(each["label"] == CONTROL and each["examples"] == size for each in unique.values()):
            raise RunError(
                f"no run has a random subset of {size} examples to compare with. Set compare.random=3 in one of them "
                "and run it again."
            )
    numbered = _with_draws([each for each in unique.values() if each["examples"] in sizes])
    base = next((its for folder in folders if (its := _base(folder))), {})
    name = "runs side by side"
    return gather(numbered, {"test": base} if base else {}, Grid(budgets=[f"{size}" for size in sizes]), name=name)


def _results(folder: Path) -> list[dict[str, Any]]:
    """The run's own model first, then its random subsets."""
    if not (folder / "scores" / "final" / SCORES).is_file():
        raise RunError(f"{folder}: no run with a trained and scored model. Name folders of finished runs, runs/NAME.")
    own = _result(folder, "final", folder / "final", folder, label=folder.name)
    names = sorted(path.name for path in (folder / "scores").glob("random-*") if path.name.count("-") == 1)
    subsets = folder / "compare"
    return [own, *(_result(folder, each, subsets / each / "final", subsets / each, label=CONTROL) for each in names)]


def _result(folder: Path, scores: str, training: Path, subset: Path, *, label: str) -> dict[str, Any]:
    place = (folder / "scores" / scores).resolve()
    coreset, summary = Coreset.load(subset), files.read_object(training / "training.json")
    costs = files.read_object(folder / COSTS) if label != CONTROL else {}
    before = {stage: cost for stage, cost in costs.items() if stage in SELECTION_STAGES}
    settings = yaml.safe_load((folder / "settings.yaml").read_text(encoding="utf-8"))
    return {
        "ok": True,
        "label": label,
        "method": coreset.provenance["method"],
        "control": label == CONTROL,
        "budget": str(len(coreset)),
        "training_seed": settings.get("training_seed", 0),
        "identity": files.read_object(place / "identity.json"),
        "items": str(place / ITEMS),
        "examples": summary["examples"],
        "steps": summary["steps"],
        "training": {key: summary[key] for key in ("tokens", "seconds", "flops")},
        "selection": {key: sum(cost[key] or 0 for cost in before.values()) for key in ("tokens", "seconds", "flops")},
        "picks": coreset.indices.tolist(),
        "alpha": coreset.diagnostics.get("alpha"),
        "trials": coreset.diagnostics.get("trials"),
        "errors": {key: coreset.diagnostics.get(key) for key in ("B_KN", "B_IF", "e_KN", "e_IF")},
        "tests": {"test": {**json.loads((place / SCORES).read_text(encoding="utf-8")), "items": str(place / ITEMS)}},
    }


def _with_draws(results: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Numbers the draws of each label and size."""
    seen: dict[tuple[str, str], int] = {}
    numbered = []
    for each in results:
        key = (each["label"], each["budget"])
        seen[key] = seen.get(key, -1) + 1
        numbered.append({**each, "draw": seen[key]})
    return numbered


def _base(folder: Path) -> dict[str, Any]:
    place = folder / "scores" / "base"
    scores = files.read_object(place / SCORES)
    return {**scores, "items": str(place / ITEMS)} if scores else {}


def _refuse_unlike(identities: Mapping[str, Mapping[str, Any]]) -> None:
    (first, its), *others = identities.items()
    for folder, other in others:
        for key, name in SAME.items():
            if its.get(key) != other.get(key):
                raise RunError(
                    f"{first} and {folder} cannot be compared: their {name} differ ({its.get(key)} and "
                    f"{other.get(key)}). Score both on the same."
                )

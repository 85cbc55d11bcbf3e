"""One cell of a comparison: choose, train, score. Any process can do it from the cell alone.

Cells share what they depend on through the store, and the pool as it was read within a process.
"""

import json
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from coresift import files
from coresift.budget import Budget
from coresift.coreset import Coreset
from coresift.errors import CoresiftError
from coresift.features.specs import FeatureSpec
from coresift.pipeline.features import fill
from coresift.pipeline.grid import Cell
from coresift.pipeline.recipes import resolve
from coresift.pipeline.runs import Run
from coresift.pipeline.scoring import SELECTION_STAGES, score_one
from coresift.pipeline.stages import train

RESULT = "cell.json"


@dataclass(frozen=True)
class Shared:
    """The features of one draw: what all its methods look at, in one pass.

    Attributes:
        recipe: Of any cell of the draw, as plain values.
        folder: The run folder in which they are linked.
        methods: Those that look.
    """

    recipe: dict[str, Any]
    folder: str
    methods: tuple[str, ...]


def share_features(draw: Shared) -> int:
    """Compute what the methods of a draw require, whoever uses it later. Returns how many arrays that are."""
    runs = [_opened({**draw.recipe, "out": draw.folder, "method": json.loads(each)}) for each in draw.methods]
    specs = list(dict.fromkeys(spec for run in runs for spec in run.recipe.required if _is_shared(spec)))
    if specs:
        runs[0].begin(say=_silent)
        fill(runs[0], specs, say=_silent)
    return len(specs)


def _is_shared(spec: FeatureSpec) -> bool:
    """Gradients and losses: passes over the pool that several methods look at."""
    from coresift.features.losses import LossSpec
    from coresift.features.specs import GradientSpec

    return isinstance(spec, GradientSpec | LossSpec)


def run_cell(cell: Cell) -> dict[str, Any]:
    """Do one cell, or find it done. A failure is a result too: it is named, and the others go on.

    Returns:
        What stands in `cell.json`: what the cell is, `ok`, and `scores`, sizes and costs or `error`.
    """
    path = Path(cell.folder) / RESULT
    facts = {
        "label": cell.variant.label,
        "method": cell.variant.method["name"],
        "settings": dict(cell.variant.method),
        "control": cell.variant.control,
        "budget": str(cell.budget),
        "draw": cell.draw,
        "training_seed": cell.training,
        "folder": cell.folder,
    }
    try:
        found = _done(cell)
        result = {**facts, "ok": True, **found}
    except CoresiftError as error:
        result = {**facts, "ok": False, "error": str(error)}
    except Exception as error:  # noqa: BLE001  whatever a cell dies of, the grid goes on and the cell says it
        files.write_text(path.with_name("error.log"), traceback.format_exc())
        result = {**facts, "ok": False, "error": f"{type(error).__name__}: {error} (see {path.with_name('error.log')})"}
    if files.read_object(path) != result:
        files.write_json(path, result)
    return result


def _done(cell: Cell) -> dict[str, Any]:
    run = _opened(_with_steps(cell))
    (name, checkpoint), *_ = train(run, say=_silent).items()
    tests = {test: score_one(run, name, checkpoint, _silent, test=test) for test in run.inputs.tests}
    coreset = Coreset.load(run.folder)
    summary, costs = checkpoint.summary, run.costs
    before = {stage: cost for stage, cost in costs.items() if stage in SELECTION_STAGES}
    return {
        "examples": summary["examples"],
        "steps": summary["steps"],
        "training": {key: summary[key] for key in ("tokens", "seconds", "flops")},
        "selection": {key: sum(cost[key] or 0 for cost in before.values()) for key in ("tokens", "seconds", "flops")},
        "picks": coreset.indices.tolist(),
        "weights": coreset.weights.tolist(),
        "alpha": coreset.diagnostics.get("alpha"),
        "trials": coreset.diagnostics.get("trials"),
        "errors": {
            key: coreset.diagnostics.get(key) for key in ("B_KN", "B_IF", "A_KN", "A_IF", "e_KN", "e_IF", "e_SFT")
        },
        "tests": tests,
    }


def _with_steps(cell: Cell) -> dict[str, Any]:
    """The cell's recipe, with what its kind of control changes in the number of epochs."""
    recipe = dict(cell.recipe)
    if cell.variant.steps == "epochs":
        return recipe
    n = len(_opened(recipe).inputs.candidates)
    size, epochs = Budget.parse(cell.budget).count(n), recipe["train"]["epochs"]
    if cell.variant.steps == "steps":
        recipe["train"] = {**recipe["train"], "epochs": epochs * size / n}
    else:
        recipe["train"] = {**recipe["train"], "epochs": 1.0}
        recipe["online"] = {**recipe["online"], "groups": "none"}
        recipe["budget"] = min(n, size * int(cell.variant.method["rounds"]))
    return recipe


def score_base(cell: Cell) -> dict[str, Any]:
    """Scores of the untuned model on every test."""
    run = _opened(dict(cell.recipe))
    run.begin(say=_silent)
    return {test: score_one(run, "base", None, _silent, test=test) for test in run.inputs.tests}


_latest: list[Run] = []
"""The run that this process opened last: its pool, as read and rendered, serves the next one."""


def _opened(values: dict[str, Any]) -> Run:
    run = Run(resolve(values, origin="comparison"), beside=_latest[0] if _latest else None)
    _latest[:] = [run]
    return run


def _silent(line: str) -> None:
    """Cells of several processes would talk at once; what they find stands in their folders."""


def labels(results: Sequence[dict[str, Any]]) -> list[str]:
    """Labels in the order in which they first come."""
    return list(dict.fromkeys(str(each["label"]) for each in results))

"""What a run will find and what it will have to make, before it begins: one line each, and why.

What comes after something that is missing depends on what that turns out to be, so it counts as missing too.
"""

from collections.abc import Mapping
from typing import Any

from coresift.differences import flat
from coresift.pipeline.gradients import gradients_missing
from coresift.pipeline.runs import Run
from coresift.pipeline.tuning import gradient_specs, warm_up_artefact
from coresift.training.checkpoints import Checkpoint

PLACELESS = ("name", "out", "store")
STAGE_OF = {
    "pool": "everything",
    "model": "everything",
    "seed": "everything",
    "warmup": "the warm-up and what follows from it",
    "method": "the selection and what follows from it",
    "budget": "the selection and what follows from it",
    "memory": "the selection and what follows from it",
    "target": "the features that look at it and what follows",
    "existing": "the features that look at it and what follows",
    "online": "the training in rounds and what follows from it",
    "train": "the trainings, the warm-up included, and what follows from them",
    "evaluate": "the scores",
    "compare": "what is compared",
    "merge": "the merged model",
}
"""Section of a recipe -> what a change in it may lead to; sections that are not named lead to nothing."""


def changes(recorded: Mapping[str, Any] | None, wanted: Mapping[str, Any]) -> list[str]:
    """One line per section of a recipe that is not as it was in this folder: what changed, and what that may touch."""
    if recorded is None:
        return []
    before, now = flat(dict(recorded)), flat(dict(wanted))
    found: dict[str, list[str]] = {}
    for key in sorted({*before, *now}):
        section = key.partition(".")[0]
        if section not in PLACELESS and before.get(key) != now.get(key):
            found.setdefault(section, []).append(f"{key} {_short(before.get(key))} -> {_short(now.get(key))}")
    return [
        f"changed: {', '.join(lines)} (touches {STAGE_OF[section]})"
        if section in STAGE_OF
        else f"changed: {', '.join(lines)} (touches nothing that is made)"
        for section, lines in found.items()
    ]


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."


def outlook(run: Run) -> list[str]:
    """What is found of all that comes before the selection, and what is to be made, in two lines at most."""
    found: list[str] = []
    missing: list[str] = []
    specs = gradient_specs(run)
    if specs:
        warm = warm_up_artefact(run)
        if any(spec.on_adapter for spec in specs):
            (found if warm.is_whole else missing).append("warm-up")
        wanted = list(dict.fromkeys(spec.stored for spec in specs))
        absent = gradients_missing(run, Checkpoint(warm.folder) if warm.is_whole else None, wanted)
        for spec in wanted:
            (missing if spec in absent else found).append(f"{spec.loss} gradients")
    lines = [f"found: {', '.join(found)}"] if found else []
    return [*lines, *([f"to make: {', '.join([*missing, 'and what follows from them'])}"] if missing else [])]

"""The report stage: what a run folder holds, gathered for the page."""

from collections import Counter
from pathlib import Path

import numpy as np
import torch

from coresift import __version__, files, fingerprints
from coresift.coreset import Coreset
from coresift.data.pool import Example
from coresift.pipeline import sets
from coresift.pipeline.features import fill
from coresift.pipeline.online import is_online, rounds_of
from coresift.pipeline.runs import Run
from coresift.pipeline.stages import select
from coresift.pipeline.tuning import Say, gradient_specs
from coresift.report.page import write_report
from coresift.report.view import RunView

DRAWN_FROM = "drawn-from.json"
TEXT_LENGTH = 400
"""Characters of an example that the page shows."""


def report(run: Run, *, say: Say = print) -> Path:
    """Draw the page from what is there; scores and training appear once they exist."""
    coreset = select(run, say=say)
    folder, identity = run.folder / "report", _identity(run)
    page = folder / "index.html"
    if not (page.exists() and files.read_object(folder / DRAWN_FROM).get("drawn from") == identity):
        with run.timed("figures"):
            write_report(gather(run, coreset), folder)
            files.write_json(folder / DRAWN_FROM, {"drawn from": identity})
        run.made(0.0)
    say(f"page: {page}")
    return page


def _identity(run: Run) -> str:
    """Everything that the page shows."""
    scores = files.read_object(run.folder / "scores.json")
    settings = run.recipe.model_dump(mode="json")
    return fingerprints.of_json(
        [__version__, settings, dict(run.resolved.origins), run.uses.names, scores, run.inputs.all_fingerprints]
    )


def gather(run: Run, coreset: Coreset) -> RunView:
    """Everything the page shows, as plain values."""
    pool, rendered = run.inputs.pool, run.inputs.rendered
    scores = {"rows": [], **files.read_object(run.folder / "scores.json")}
    return RunView(
        name=run.recipe.name,
        method=run.recipe.selector.name,
        pool={
            "n": len(pool),
            "sources": _counts([example.source for example in pool]),
            "lengths": rendered.targets,
            "excluded": [{"id": pool[place].id, "reason": reason} for place, reason in _excluded(run).items()],
            "duplicates": sum(len(group) - 1 for group in pool.duplicates),
            "skipped": len(pool.skipped),
            "fingerprint": pool.fingerprint,
        },
        coreset={
            "indices": coreset.indices,
            "ids": coreset.ids,
            "weights": coreset.weights,
            "diagnostics": coreset.diagnostics,
            "provenance": coreset.provenance,
        },
        settings=run.recipe.model_dump(mode="json"),
        origins=run.resolved.origins,
        source=run.resolved.source,
        budget=str(coreset.provenance.get("budget", "")),
        weighting=files.read_object(run.folder / "final" / "training.json").get("weighting"),
        trials=coreset.diagnostics.get("trials") or [],
        spaces=_spaces(run),
        texts=[_text(example) for example in pool],
        ids=list(pool.ids),
        example_sources=[example.source for example in pool],
        costs=[{"stage": stage, **cost} for stage, cost in run.costs.items()],
        scores=scores["rows"],
        rounds=rounds_of(run),
        notes=_notes(run, coreset),
    )


def _excluded(run: Run) -> dict[int, str]:
    """Pool position -> why it could not be chosen; examples held out or not drawn are not among them."""
    return {
        **dict.fromkeys(run.inputs.rendered.excluded, _too_long(run)),
        **{place: fault.reason for place, fault in run.inputs.rendered.faults.items()},
        **run.inputs.cleaning.reasons(run.inputs.pool),
    }


def _notes(run: Run, coreset: Coreset) -> list[str]:
    held_out = len(run.inputs.held_out_positions)
    notes = []
    if held_out > 0:
        notes.append(f"{held_out} examples of the pool were held out at random for scoring and could not be chosen.")
    if run.inputs.not_drawn > 0:
        notes.append(f"{run.inputs.not_drawn} further examples were not drawn for pool.examples and not looked at.")
    notes += run.inputs.notes
    notes += [sets.in_words(name, its, run.inputs.chosen_from) + "." for name, its in run.inputs.others.items()]
    if "pairs" in coreset.diagnostics:
        notes.append(coreset.diagnostics["pairs"]["reason"])
    return [*notes, *_unscored(coreset)]


def _unscored(coreset: Coreset) -> list[str]:
    """Utilities that were not measured as asked."""
    return [
        f"Of {counts['pairs']:,} pairs of part {part}, {counts['shortened']:,} were scored with a shortened example, "
        f"and {counts['unscorable']:,} could not be scored and count as 0."
        for part, counts in coreset.diagnostics.get("utilities", {}).items()
        if counts["shortened"] + counts["unscorable"] > 0
    ]


def _too_long(run: Run) -> str:
    return f"longer than {run.inputs.limit_in_words}"


def _counts(names: list[str]) -> dict[str, int]:
    return dict(Counter(names).most_common())


def _text(example: Example) -> str:
    text = "\n".join(f"{message.role}: {message.content}" for message in example.messages)
    return text if len(text) <= TEXT_LENGTH else text[: TEXT_LENGTH - 1] + "…"


def _spaces(run: Run) -> dict[str, np.ndarray]:
    """Both gradient spaces on their two leading principal directions; NaN where an example has no features."""
    specs = [] if is_online(run) else gradient_specs(run)
    store = fill(run, specs, say=lambda line: None)
    spaces: dict[str, np.ndarray] = {}
    for spec in specs:
        flat = np.full((len(run.inputs.pool), 2), np.nan)
        flat[run.inputs.candidates] = plane(store[spec])
        spaces[spec.loss] = flat
    return spaces


def plane(rows: torch.Tensor) -> np.ndarray:
    """Coordinates [n, 2] of rows [n, d] on their two leading principal directions; zeros where there are none."""
    centred = rows - rows.mean(dim=0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        _, _, directions = torch.svd_lowrank(centred, q=min(6, *centred.shape), niter=4)
    flat = (centred @ directions[:, :2]).double().numpy()
    return np.pad(flat, ((0, 0), (0, 2 - flat.shape[1])))

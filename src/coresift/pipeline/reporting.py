"""The report stage: what a run folder holds, gathered for the page."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import overload

import numpy as np
import torch

from coresift import __version__, files, fingerprints
from coresift.coreset import Coreset
from coresift.data.pool import Pool
from coresift.pipeline import sets
from coresift.pipeline.coverage import Coverage, cover, factors
from coresift.pipeline.features import fill
from coresift.pipeline.online import is_online, rounds_of
from coresift.pipeline.runs import Run
from coresift.pipeline.stages import select
from coresift.pipeline.tuning import Say, gradient_specs
from coresift.pipeline.verdicts import against_random
from coresift.report.page import write_report
from coresift.report.view import RunView
from coresift.training.build import few_steps_in_words

DRAWN_FROM = "drawn-from.json"


class Texts(Sequence[str]):
    """The conversations of a pool as text, each made when it is asked for: a page shows few of a large pool."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def __len__(self) -> int:
        return len(self._pool)

    @overload
    def __getitem__(self, place: int) -> str: ...
    @overload
    def __getitem__(self, place: slice) -> list[str]: ...
    def __getitem__(self, place: int | slice) -> str | list[str]:
        if isinstance(place, slice):
            return [self[each] for each in range(*place.indices(len(self)))]
        return "\n".join(f"{message.role}: {message.content}" for message in self._pool[int(place)].messages)


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
    scores = {"rows": [], "test_examples": None, **files.read_object(run.folder / "scores.json")}
    rows = _gradients(run)
    found = _coverage(run, coreset, rows)
    return RunView(
        name=run.recipe.name,
        method=run.recipe.selector.name,
        pool={
            "n": len(pool),
            "sources": _counts(pool.sources),
            "lengths": rendered.targets,
            "excluded": [{"id": pool[place].id, "reason": reason} for place, reason in _excluded(run).items()],
            "duplicates": sum(len(group) - 1 for group in pool.duplicates),
            "skipped": len(pool.skipped),
            "fingerprint": pool.fingerprint,
            "notes": list(pool.notes.sentences),
            "copies": {place: len(group) - 1 for group in pool.duplicates for place in group},
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
        spaces={space: _placed(run, plane(its)) for space, its in rows.items()},
        texts=Texts(pool),
        ids=list(pool.ids),
        example_sources=list(pool.sources),
        costs=[{"stage": stage, **cost} for stage, cost in run.costs.items()],
        scores=scores["rows"],
        test_examples=scores["test_examples"],
        against=against_random(run),
        nearest=[] if found is None else _placed(run, found.nearest, -1).astype(int).tolist(),
        distances=[] if found is None else _placed(run, found.distances).tolist(),
        scale={} if found is None else {"spread": found.spread, "chosen": found.chosen, "random": found.random},
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
    taken = files.read_object(run.folder / "warmup" / "training.json").get("steps")
    warning = None if taken is None else few_steps_in_words(taken)
    notes += [] if warning is None else [warning[0].upper() + warning[1:]]
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


def _counts(names: Sequence[str]) -> dict[str, int]:
    return dict(Counter(names).most_common())


def _gradients(run: Run) -> dict[str, torch.Tensor]:
    """The gradients that the method looked at, of the candidates: space -> `[n, d]`."""
    specs = [] if is_online(run) else gradient_specs(run)
    store = fill(run, specs, say=lambda line: None)
    return {spec.loss: store[spec] for spec in specs}


def _coverage(run: Run, coreset: Coreset, rows: dict[str, torch.Tensor]) -> Coverage | None:
    """Distances to the picks; None where the method measures none."""
    counted = factors(rows, coreset.diagnostics)
    if not counted or len(coreset) == 0:
        return None
    return cover(rows, counted, np.searchsorted(run.inputs.candidates, coreset.indices))


def _placed(run: Run, values: np.ndarray, missing: float = np.nan) -> np.ndarray:
    """Values of the candidates at their positions in the pool; `missing` at all others."""
    everywhere = np.full((len(run.inputs.pool), *values.shape[1:]), missing, dtype=np.float64)
    everywhere[run.inputs.candidates] = values
    return everywhere


def plane(rows: torch.Tensor) -> np.ndarray:
    """Coordinates [n, 2] of rows [n, d] on their two leading principal directions; zeros where there are none."""
    centred = rows - rows.mean(dim=0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        _, _, directions = torch.svd_lowrank(centred, q=min(6, *centred.shape), niter=4)
    flat = (centred @ directions[:, :2]).double().numpy()
    return np.pad(flat, ((0, 0), (0, 2 - flat.shape[1])))

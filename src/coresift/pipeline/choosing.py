"""The selection of a run as an artefact, and its files as people open them."""

import json
import shutil
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from coresift import files
from coresift.artefacts.store import Artefact, Work
from coresift.budget import Budget
from coresift.coreset import Coreset
from coresift.data.writers import coreset_text, write_skipped
from coresift.errors import SelectionError
from coresift.pipeline import budgets
from coresift.pipeline.features import RunFeatures
from coresift.pipeline.runs import Run
from coresift.pipeline.tuning import Say, gradient_specs
from coresift.pipeline.uses import HISTORY, history
from coresift.problem import Selector
from coresift.savepoints import InFolder
from coresift.seeds import derive
from coresift.selection import select as choose

CHANGED = "coreset.jsonl.changed"
"""What a coreset file is called that somebody has changed, once it is written again."""


def selected(
    run: Run, method: Selector, features: RunFeatures | None, *, facts: dict[str, Any], say: Say
) -> list[Coreset]:
    """The coresets of all budgets, as positions in the pool; equal ones once, by rising size.

    What has been chosen before from the same features with the same settings is found, also when fewer budgets are
    asked for now. `facts` join the diagnostics, beside what the features say of themselves.
    """
    identity = _identity(run, method, features)
    wanted = [str(Budget.parse(each)) for each in run.recipe.budgets]
    artefact = _that_answers(run, identity, wanted) or run.store.artefact("selection", {**identity, "budgets": wanted})

    def make(work: Work) -> None:
        began = time.perf_counter()
        coresets = choose(
            method,
            features,
            run.recipe.budgets,
            ids=run.inputs.chosen_from.ids,
            tokens=run.inputs.rows.lengths,
            groups=sources(run),
            subtasks=run.inputs.subtasks,
            seed=derive(run.recipe.seed, "selection"),
            memory=run.recipe.memory,
            savepoints=InFolder(work.folder / "parts", identity),
            say=say,
            provenance={"fingerprints": run.inputs.all_fingerprints, "seed": run.recipe.seed},
        )
        for place, coreset in enumerate(coresets):
            coreset.save(work.folder / str(place))
        shutil.rmtree(work.folder / "parts", ignore_errors=True)  # what a killed selection would have gone on from
        # The products behind the symmetric half of each distance matrix; what follows them is not matrix work.
        products = len(run.inputs.rows) ** 2 * sum(spec.dim for spec in gradient_specs(run))
        work.add(seconds=time.perf_counter() - began, flops=float(products) if products > 0 else None)

    made = not artefact.is_whole
    run.store.ensure(artefact, make, say=say)
    run.uses.note("selection", artefact, stage="selection", link=False)
    facts = {**facts, **({} if features is None else features.facts)}
    held = [str(each) for each in artefact.identity["budgets"]]
    chosen = [_in_pool(run, Coreset.load(artefact.folder / str(held.index(each))), facts) for each in wanted]
    placed = budgets.distinct(chosen)
    if made:
        _tell(run, placed, say)
    return placed


def write(run: Run, coresets: Sequence[Coreset], *, say: Say) -> None:
    """The files of the coresets in the run folder, where they are not there already; a changed one is kept beside."""
    names = budgets.folders(coresets)
    for coreset, name in zip(coresets, names, strict=True):
        write_one(run, coreset, run.folder / name, say=say)
    for folder in (run.folder / "budgets").glob("*"):
        if f"budgets/{folder.name}" not in names:
            shutil.rmtree(folder)
    if len(names) == 1:
        shutil.rmtree(run.folder / "budgets", ignore_errors=True)
    _remember(run, coresets[-1])


def write_one(run: Run, coreset: Coreset, folder: Path, *, say: Say) -> None:
    """The files of one coreset. The rows come last, so their presence says that all is written."""
    rows, text = folder / "coreset.jsonl", coreset_text(run.inputs.pool, coreset.indices, coreset.weights)
    if rows.exists() and _is_held(coreset, folder):
        if rows.read_text(encoding="utf-8") == text:
            return
        rows.replace(folder / CHANGED)
        say(f"{rows} was changed by somebody: it is written again, the changed file is kept as {CHANGED}")
    write_skipped(run.folder / "skipped.jsonl", [*run.inputs.pool.skipped, *run.inputs.unrendered])
    coreset.save(folder)
    trials = coreset.diagnostics.get("trials") or []
    tables = {
        "alpha_search.csv": _trials_csv(trials, coreset.diagnostics.get("alpha")) if trials else None,
        "errors.csv": _errors_csv(trials) if coreset.diagnostics.get("alpha_mode") == "plateau" else None,
    }
    for name, table in tables.items():
        if table is None:
            (folder / name).unlink(missing_ok=True)
        else:
            files.write_text(folder / name, table)
    files.write_text(rows, text)


def _is_held(coreset: Coreset, folder: Path) -> bool:
    """Whether the folder's own files are of this very coreset."""
    try:
        found = Coreset.load(folder)
    except SelectionError:
        return False
    return _timeless(found) == _timeless(coreset)


def _timeless(coreset: Coreset) -> dict[str, Any]:
    return {**coreset.to_json(), "seconds": None}


def sources(run: Run) -> list[str]:
    """The source of every candidate."""
    return [example.source for example in run.inputs.chosen_from]


def in_pool(run: Run, coreset: Coreset) -> Coreset:
    """Positions among the candidates become positions in the pool as it was read."""
    return _in_pool(run, coreset, {})


def _in_pool(run: Run, coreset: Coreset, facts: dict[str, Any]) -> Coreset:
    return replace(
        coreset,
        indices=run.inputs.candidates[coreset.indices],
        diagnostics={**coreset.diagnostics, **facts},
        provenance={**coreset.provenance, "fingerprints": run.inputs.all_fingerprints, **_notes(run)},
        prefixes={},
    )


def _notes(run: Run) -> dict[str, Any]:
    """What was not read or was changed on the way from the rows to the examples, where there is any of it."""
    return {"notes": run.inputs.notes} if run.inputs.notes else {}


def _identity(run: Run, method: Selector, features: RunFeatures | None) -> dict[str, Any]:
    """Everything a selection depends on but its budgets."""
    settings = method.model_dump(mode="json") if isinstance(method, BaseModel) else {}
    known = features.identity if features is not None else {}
    facts = {"features": known, "method": method.name, "settings": settings, "memory": run.recipe.memory}
    pool = {"candidates": run.inputs.fingerprints["candidates"], "tokens": run.inputs.fingerprints["tokens"]}
    beside = {} if run.inputs.subtasks is None else {"subtasks": run.inputs.subtasks}
    return {**facts, **pool, **beside, "seed": run.recipe.seed}


def _that_answers(run: Run, identity: dict[str, Any], wanted: list[str]) -> Artefact | None:
    """A selection for these and further budgets, the largest the same: smaller ones are parts of the largest."""
    plain = json.loads(json.dumps(identity))
    for found in run.store.identities("selection"):
        held = found.get("budgets", [])
        rest = {key: value for key, value in found.items() if key != "budgets"}
        if rest == plain and set(wanted) <= set(held) and _largest(run, held) == _largest(run, wanted):
            return run.store.artefact("selection", found)
    return None


def _largest(run: Run, given: Sequence[str]) -> str | int:
    """The largest budget, in picks; with token budgets among them the list itself, which is then only itself."""
    parsed = [Budget.parse(each) for each in given]
    if any(each.kind == "tokens" for each in parsed):
        return ", ".join(sorted(given))
    return max(each.count(len(run.inputs.rows)) for each in parsed)


def _tell(run: Run, placed: Sequence[Coreset], say: Say) -> None:
    last = placed[-1]
    say(
        f"selection: {len(last)} of {len(run.inputs.rows)} examples by {run.recipe.selector.name}, "
        f"{last.provenance['seconds']:.1f} s"
    )
    for line in [*_claims(last), *budgets.in_words(placed)]:
        say(line)
    if last.diagnostics.get("shortfall"):
        say(f"fewer than asked for: {last.diagnostics['shortfall']}")


def _claims(coreset: Coreset) -> list[str]:
    """What the coreset says about its search and its picks, as it stands in `coreset.json`."""
    found = {key: coreset.diagnostics.get(key) or {} for key in ("search", "stochastic", "cover", "certificate")}
    return [f"{key}: {facts['says']}" for key, facts in found.items() if facts.get("says")]


def _remember(run: Run, coreset: Coreset) -> None:
    """Add the selection to those that this folder has held, unless it is the latest of them."""
    entry = {
        "method": coreset.provenance["method"],
        "budget": coreset.provenance["budget"],
        "examples": len(coreset),
        "seed": run.recipe.seed,
        "settings": coreset.provenance["settings"],
        "artefact": run.uses.names.get("selection") or run.uses.names.get("final"),
    }
    before = history(run.folder)
    if before[-1:] != [entry]:
        lines = [json.dumps(each, ensure_ascii=False) for each in [*(each for each in before if each != entry), entry]]
        files.write_text(run.folder / HISTORY, "\n".join(lines) + "\n")


def _trials_csv(trials: list[dict[str, float]], chosen: float | None) -> str:
    lines = ["alpha,B_KN,B_IF,total,chosen"]
    for trial in trials:
        total = trial["B_KN"] + trial["B_IF"]
        mark = int(trial["alpha"] == chosen)
        lines.append(f"{trial['alpha']!r},{trial['B_KN']!r},{trial['B_IF']!r},{total!r},{mark}")
    return "\n".join(lines) + "\n"


def _errors_csv(trials: list[dict[str, float]]) -> str:
    """The two error curves alone, in the columns that MINT is published with."""
    lines = [f"{trial['alpha']!r},{trial['B_KN']!r},{trial['B_IF']!r}" for trial in trials]
    return "\n".join(["alpha,B_KN,B_IF", *lines]) + "\n"

"""The stages of a run. Each reads files and writes files, does only what is missing, and can be killed at any moment.

warmup ─▶ extract ─▶ select ─▶ train ─▶ evaluate ─▶ report
"""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel

from coresift import files
from coresift.coreset import Coreset
from coresift.data.writers import write_coreset, write_skipped
from coresift.errors import RunError
from coresift.models.lora import merge_adapter
from coresift.pipeline import budgets, online, sets
from coresift.pipeline.features import RunFeatures, fill
from coresift.pipeline.runs import Run
from coresift.pipeline.tuning import Say, gradient_specs, train_on, warmup
from coresift.pipeline.utilities import plan_facts, settled
from coresift.problem import Selector
from coresift.savepoints import InFolder
from coresift.seeds import derive
from coresift.selection import select as choose
from coresift.selectors import BalancedRandom, Full, Random
from coresift.training.checkpoints import Checkpoint

__all__ = ["Say", "extract", "select", "train", "warmup"]


def extract(run: Run, *, say: Say = print) -> RunFeatures | None:
    """Compute the features that the method requires, after a warm-up where it needs one; only what is missing."""
    if online.is_online(run):
        online.prepared(run, say=say)
    if online.is_online(run) or len(run.recipe.required) == 0:
        return None
    run.begin()
    return fill(run, settled(run, say=say).requires, say=say)


def select(run: Run, *, say: Say = print) -> Coreset:
    """Choose the coreset (several when the recipe lists budgets) and write it in every form."""
    if (run.folder / "coreset.jsonl").exists():
        return _same_pool(run, Coreset.load(run.folder))
    run.begin()
    for line in _inputs_in_words(run):
        say(line)
    if online.is_online(run):
        coreset = _in_pool(run, online.chosen(run, say=say))
        _write(run, coreset, run.folder)
        return coreset
    features, method = extract(run, say=say), settled(run, say=say)
    coresets = choose(
        method,
        features,
        run.recipe.budgets,
        ids=run.inputs.chosen_from.ids,
        tokens=np.array([len(row.tokens) for row in run.inputs.rows]),
        groups=_sources(run),
        seed=derive(run.recipe.seed, "selection"),
        memory=run.recipe.memory,
        savepoints=InFolder(run.folder / "selection", _selection_identity(run, method, features)),
        say=say,
        provenance={"fingerprints": run.inputs.all_fingerprints, "seed": run.recipe.seed},
    )
    facts = _feature_facts(run, features)
    placed = budgets.distinct([_in_pool(run, coreset, facts) for coreset in coresets])
    for coreset, name in zip(placed, budgets.folders(placed), strict=True):
        _write(run, coreset, run.folder / name)
    shutil.rmtree(run.folder / "selection", ignore_errors=True)  # what a killed selection would have gone on from
    seconds = placed[-1].provenance["seconds"]
    # The products behind the symmetric half of each distance matrix; what follows them is not matrix work.
    products = len(run.inputs.rows) ** 2 * sum(spec.dim for spec in gradient_specs(run))
    run.record("selection", seconds=seconds, flops=float(products) if products > 0 else None)
    name, n = run.recipe.selector.name, len(run.inputs.rows)
    say(f"selection: {len(placed[-1])} of {n} examples by {name}, {seconds:.1f} s")
    for line in _claims(placed[-1]):
        say(line)
    for line in budgets.in_words(placed):
        say(line)
    if placed[-1].diagnostics.get("shortfall"):
        say(f"fewer than asked for: {placed[-1].diagnostics['shortfall']}")
    return placed[-1]


def _claims(coreset: Coreset) -> list[str]:
    """What the coreset says about its search and its picks, as it stands in `coreset.json`."""
    found = {key: coreset.diagnostics.get(key) or {} for key in ("search", "stochastic", "cover", "certificate")}
    return [f"{key}: {facts['says']}" for key, facts in found.items() if facts.get("says")]


def _selection_identity(run: Run, method: Selector, features: RunFeatures | None) -> dict[str, object]:
    """Everything that work on the way to a selection depends on."""
    settings = method.model_dump(mode="json") if isinstance(method, BaseModel) else {}
    known = features.identity if features is not None else {}
    facts = {"features": known, "method": method.name, "settings": settings, "memory": run.recipe.memory}
    return {**facts, "seed": run.recipe.seed}


def _feature_facts(run: Run, features: RunFeatures | None) -> dict[str, Any]:
    """What the diagnostics say besides the method's own: the plan of pairs, and pairs without a utility."""
    plan = plan_facts(run)
    return {**({} if plan is None else {"pairs": plan}), **({} if features is None else features.facts)}


def _sources(run: Run) -> list[str]:
    return [run.inputs.pool[int(position)].source for position in run.inputs.candidates]


def _inputs_in_words(run: Run) -> list[str]:
    pool, inputs = run.inputs.pool, run.inputs
    left_out = {
        f"longer than {inputs.limit_in_words}": len(inputs.rendered.excluded),
        "held out for scoring": len(inputs.held_out_positions),
        "hold a piece of the test": len(inputs.cleaning.tested),
        "near duplicates left out": len(inputs.cleaning.dropped) - len(inputs.cleaning.tested),
        f"not drawn for pool.examples={run.recipe.pool.examples}": inputs.not_drawn,
        "bad rows skipped": len(pool.skipped),
    }
    parts = [f"{count} {reason}" for reason, count in left_out.items() if count > 0]
    duplicates = sum(len(group) - 1 for group in inputs.chosen_from.duplicates)
    parts += [f"{duplicates} exact duplicates among them"] if duplicates > 0 else []
    near = sum(place not in inputs.cleaning.dropped for place in inputs.cleaning.copies)
    parts += [f"{near} near duplicates among them"] if near > 0 else []
    first = ", ".join([f"pool: {len(inputs.candidates)} of {len(pool)} examples to choose from", *parts])
    return [first, *(sets.in_words(name, its, inputs.chosen_from) for name, its in inputs.others.items())]


def _in_pool(run: Run, coreset: Coreset, facts: dict[str, Any] | None = None) -> Coreset:
    """Positions among the candidates become positions in the pool as it was read; `facts` join the diagnostics."""
    diagnostics = {**coreset.diagnostics, **(facts or {})}
    return replace(coreset, indices=run.inputs.candidates[coreset.indices], prefixes={}, diagnostics=diagnostics)


def _same_pool(run: Run, coreset: Coreset) -> Coreset:
    known, now = coreset.provenance["fingerprints"], run.inputs.all_fingerprints
    named = {"pool": run.recipe.pool, "target": run.recipe.target, "existing": run.recipe.existing}
    for name, settings in named.items():
        if settings is not None and known.get(name) != now[name]:
            raise RunError(
                f"{run.folder}/coreset.json was chosen from the {name} {known.get(name)}, but {settings.path} is now "
                f"{now[name]}. Use another name (--set name=NAME) or delete the folder."
            )
    return coreset


def _write(run: Run, coreset: Coreset, folder: Path) -> None:
    """Files of one coreset; the rows come last, so their presence says that all is written."""
    write_skipped(run.folder / "skipped.jsonl", run.inputs.pool.skipped)
    coreset.save(folder)
    trials = coreset.diagnostics.get("trials") or []
    if len(trials) > 0:
        files.write_text(folder / "alpha_search.csv", _trials_csv(trials, coreset.diagnostics["alpha"]))
    if coreset.diagnostics.get("alpha_mode") == "plateau":
        files.write_text(folder / "errors.csv", _errors_csv(trials))
    write_coreset(folder / "coreset.jsonl", run.inputs.pool, coreset.indices, coreset.weights)


def _trials_csv(trials: list[dict[str, float]], chosen: float) -> str:
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


def train(run: Run, *, say: Say = print) -> dict[str, Checkpoint]:
    """Train the final model on the coreset, and the models it is compared with.

    Returns:
        Name -> checkpoint: the method's name first, then `NAME, unweighted`, `random-0`, ..., `balanced-random-0`, ...,
        `full`.
    """
    coreset = select(run, say=say)
    if run.recipe.train is None:
        say("nothing is trained: the recipe has no `train` section")
        return {}
    if online.is_online(run):
        final = online.trained_in_rounds(run, say=say).checkpoint
    else:
        final = train_on(run, coreset, run.folder / "final", "final training", say)
    if run.recipe.merge and final.adapter is not None and not (final.folder / "merged").exists():
        merge_adapter(run.inputs.base, final.adapter, final.folder / "merged")
    name = run.recipe.selector.name
    trained = {name: final}
    unweighted = run.recipe.train.model_copy(update={"weighting": "none"})
    if run.recipe.compare.unweighted:
        out = run.folder / "compare" / "unweighted" / "final"
        trained[f"{name}, unweighted"] = train_on(run, coreset, out, "training without weights", say, unweighted)
    for name, other in comparisons(run, len(coreset)).items():
        folder = run.folder / "compare" / name
        if not (folder / "coreset.jsonl").exists():
            _write(run, other, folder)
        # Weights would take back the equal shares, which are the point of a balanced subset.
        settings = unweighted if name.startswith("balanced-random") else None
        trained[name] = train_on(run, other, folder / "final", f"training on {name}", say, settings)
    return trained


def comparisons(run: Run, size: int) -> dict[str, Coreset]:
    """The subsets that the coreset is compared with, by name, each of `size` examples but the whole pool."""
    ids = [run.inputs.pool[int(position)].id for position in run.inputs.candidates]
    stamp = {"fingerprints": run.inputs.fingerprints}
    sets: dict[str, Coreset] = {}
    for repeat in range(run.recipe.compare.random):
        seed = derive(run.recipe.seed, "compare", repeat)
        sets[f"random-{repeat}"] = choose(Random(), None, size, ids=ids, seed=seed, provenance=stamp)
    for repeat in range(run.recipe.compare.balanced_random):
        seed = derive(run.recipe.seed, "compare", repeat)
        sets[f"balanced-random-{repeat}"] = choose(
            BalancedRandom(), None, size, ids=ids, groups=_sources(run), seed=seed, provenance=stamp
        )
    if run.recipe.compare.full:
        sets["full"] = choose(Full(), None, 1.0, ids=ids, provenance=stamp)
    return {name: _in_pool(run, coreset) for name, coreset in sets.items()}

"""The stages of a run. Each reads files and writes files, does only what is missing, and can be killed at any moment.

warmup ─▶ extract ─▶ select ─▶ train ─▶ evaluate ─▶ report
"""

import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from pydantic import BaseModel

from coresift import files
from coresift.budget import Budget
from coresift.coreset import Coreset
from coresift.data.splits import random_positions
from coresift.data.writers import write_coreset, write_skipped
from coresift.errors import RunError
from coresift.extract.run import GradientExtractor, extract_gradients
from coresift.features.specs import GradientSpec
from coresift.features.store import FeatureStore
from coresift.models.load import load_model, model_fingerprint
from coresift.models.lora import load_adapter, merge_adapter
from coresift.pipeline import budgets
from coresift.pipeline.runs import Run
from coresift.savepoints import InFolder
from coresift.seeds import derive
from coresift.select import select as choose
from coresift.selectors import BalancedRandom, Full, Random
from coresift.training.checkpoints import Checkpoint
from coresift.training.settings import TrainSettings
from coresift.training.trainer import train as fine_tune

Say = Callable[[str], None]


def warmup(run: Run, *, say: Say = print) -> Checkpoint | None:
    """Train LoRA on a random part of the candidates; None when the method needs no gradients."""
    if len(run.recipe.selector.requires) == 0:
        return None
    inputs, settings = run.inputs, run.recipe.warmup
    n = len(inputs.rows)
    size = Budget.parse(settings.fraction).count(n)
    chosen = sorted(random_positions(n, size, seed=run.recipe.seed, name="warm-up"))
    run.begin()
    done = (run.folder / "warmup" / "training.json").exists()
    checkpoint = fine_tune(
        inputs.base,
        [inputs.rows[row] for row in chosen],
        out=run.folder / "warmup",
        settings=run.recipe.warmup_train,
        seed=derive(run.recipe.seed, "warm-up training"),
        device=run.recipe.model.device,
        label="warm-up",
    )
    _account(run, "warm-up", checkpoint, done)
    if not done:
        say(f"warm-up: LoRA on {size} random examples of {n}, loss {_losses(checkpoint)}")
    return checkpoint


def extract(run: Run, *, say: Say = print) -> FeatureStore | None:
    """Compute the gradient features that the method requires; only missing shards are computed."""
    specs = gradient_specs(run)
    checkpoint = warmup(run, say=say)
    if checkpoint is None:
        return None
    store = _store(run, checkpoint)
    if all(len(store.array(spec).missing()) == 0 for spec in specs):
        return store
    assert checkpoint.adapter is not None, "the warm-up is always LoRA"
    model = load_model(run.inputs.base, dtype=run.recipe.model.dtype, device=run.recipe.model.device)
    extractor = GradientExtractor(
        load_adapter(model, checkpoint.adapter, trainable=True),
        start_token=run.inputs.renderer.start_token,
        pad_token=run.inputs.renderer.pad_token,
        moments=checkpoint.moments() if any(spec.preconditioner != "none" for spec in specs) else None,
        batch_tokens=run.recipe.extract.batch_tokens,
    )
    cost = extract_gradients(
        extractor, run.inputs.rows, store, specs, say=say, account=partial(run.record, "gradients")
    )
    say(f"gradients: {store.n} examples, {len(specs)} losses, {cost.seconds:.0f} s")
    return store


def gradient_specs(run: Run) -> list[GradientSpec]:
    """The gradient features that the method requires."""
    return [spec for spec in run.recipe.selector.requires if isinstance(spec, GradientSpec)]


def feature_store(run: Run) -> FeatureStore | None:
    """The features of this run under its warm-up adapter, computed or not; None when the method needs none."""
    checkpoint = warmup(run)
    return None if checkpoint is None else _store(run, checkpoint)


def _store(run: Run, checkpoint: Checkpoint) -> FeatureStore:
    identity = {
        **run.inputs.fingerprints,
        "model": model_fingerprint(run.inputs.base),
        "adapter": checkpoint.fingerprint,
        "dtype": run.recipe.model.dtype,
        "start_token": run.inputs.renderer.start_token,
    }
    ids = [run.inputs.pool[int(position)].id for position in run.inputs.candidates]
    return FeatureStore(run.folder / "features", identity=identity, ids=ids, shard_rows=run.recipe.extract.shard_rows)


def select(run: Run, *, say: Say = print) -> Coreset:
    """Choose the coreset (several when the recipe lists budgets) and write it in every form."""
    if (run.folder / "coreset.jsonl").exists():
        return _same_pool(run, Coreset.load(run.folder))
    run.begin()
    say(_inputs_in_words(run))
    store = extract(run, say=say)
    coresets = choose(
        run.recipe.selector,
        store,
        run.recipe.budgets,
        ids=[run.inputs.pool[int(position)].id for position in run.inputs.candidates],
        tokens=np.array([len(row.tokens) for row in run.inputs.rows]),
        groups=_sources(run),
        seed=derive(run.recipe.seed, "selection"),
        memory=run.recipe.memory,
        savepoints=InFolder(run.folder / "selection", _selection_identity(run, store)),
        provenance={"fingerprints": run.inputs.fingerprints, "seed": run.recipe.seed},
    )
    placed = budgets.distinct([_in_pool(run, coreset) for coreset in coresets])
    for coreset, name in zip(placed, budgets.folders(placed), strict=True):
        _write(run, coreset, run.folder / name)
    shutil.rmtree(run.folder / "selection", ignore_errors=True)  # what a killed selection would have gone on from
    seconds = placed[-1].provenance["seconds"]
    # The products behind the symmetric half of each distance matrix; what follows them is not matrix work.
    products = len(run.inputs.rows) ** 2 * sum(spec.dim for spec in gradient_specs(run))
    run.record("selection", seconds=seconds, flops=float(products))
    name, n = run.recipe.selector.name, len(run.inputs.rows)
    say(f"selection: {len(placed[-1])} of {n} examples by {name}, {seconds:.1f} s")
    if "distances" in placed[-1].diagnostics:
        say(f"distances: {placed[-1].diagnostics['distances']['reason']}")
    for line in budgets.in_words(placed):
        say(line)
    if placed[-1].diagnostics.get("shortfall"):
        say(f"fewer than asked for: {placed[-1].diagnostics['shortfall']}")
    return placed[-1]


def _selection_identity(run: Run, store: FeatureStore | None) -> dict[str, object]:
    """Everything that work on the way to a selection depends on."""
    method = run.recipe.selector
    settings = method.model_dump(mode="json") if isinstance(method, BaseModel) else {}
    features = store.identity if store is not None else {}
    return {"features": features, "method": method.name, "settings": settings, "memory": run.recipe.memory}


def _sources(run: Run) -> list[str]:
    return [run.inputs.pool[int(position)].source for position in run.inputs.candidates]


def _inputs_in_words(run: Run) -> str:
    pool, inputs = run.inputs.pool, run.inputs
    left_out = {
        f"longer than pool.max_tokens={run.recipe.pool.max_tokens}": len(inputs.rendered.excluded),
        "held out for scoring": len(inputs.held_out_positions),
        "bad rows skipped": len(pool.skipped),
    }
    parts = [f"{count} {reason}" for reason, count in left_out.items() if count > 0]
    duplicates = sum(len(group) - 1 for group in pool.duplicates)
    parts += [f"{duplicates} exact duplicates among them"] if duplicates > 0 else []
    return ", ".join([f"pool: {len(inputs.candidates)} of {len(pool)} examples to choose from", *parts])


def _in_pool(run: Run, coreset: Coreset) -> Coreset:
    """Positions among the candidates become positions in the pool as it was read."""
    return replace(coreset, indices=run.inputs.candidates[coreset.indices], prefixes={})


def _same_pool(run: Run, coreset: Coreset) -> Coreset:
    found = coreset.provenance["fingerprints"].get("pool")
    if found != run.inputs.pool.fingerprint:
        raise RunError(
            f"{run.folder}/coreset.json was chosen from the pool {found}, but {run.recipe.pool.path} is now "
            f"{run.inputs.pool.fingerprint}. Use another name (--set name=NAME) or delete the folder."
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
    final = _train_on(run, coreset, run.folder / "final", "final training", say)
    if run.recipe.merge and final.adapter is not None and not (final.folder / "merged").exists():
        merge_adapter(run.inputs.base, final.adapter, final.folder / "merged")
    name = run.recipe.selector.name
    trained = {name: final}
    unweighted = run.recipe.train.model_copy(update={"weighting": "none"})
    if run.recipe.compare.unweighted:
        out = run.folder / "compare" / "unweighted" / "final"
        trained[f"{name}, unweighted"] = _train_on(run, coreset, out, "training without weights", say, unweighted)
    for name, other in _comparisons(run, len(coreset)).items():
        folder = run.folder / "compare" / name
        if not (folder / "coreset.jsonl").exists():
            _write(run, other, folder)
        # Weights would take back the equal shares, which are the point of a balanced subset.
        settings = unweighted if name.startswith("balanced-random") else None
        trained[name] = _train_on(run, other, folder / "final", f"training on {name}", say, settings)
    return trained


def _comparisons(run: Run, size: int) -> dict[str, Coreset]:
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


def _train_on(
    run: Run, coreset: Coreset, out: Path, label: str, say: Say, settings: TrainSettings | None = None
) -> Checkpoint:
    inputs, settings = run.inputs, settings or run.recipe.train
    assert settings is not None, "callers check that there is a final training"
    row_of = {int(position): row for row, position in enumerate(inputs.candidates)}
    done = (out / "training.json").exists()
    checkpoint = fine_tune(
        inputs.base,
        [inputs.rows[row_of[int(position)]] for position in coreset.indices],
        weights=coreset.weights,
        out=out,
        settings=settings,
        seed=derive(run.recipe.seed, "final training"),
        device=run.recipe.model.device,
        label=label,
    )
    _account(run, label, checkpoint, done)
    if not done:
        say(f"{label}: {len(coreset)} examples, weighting {settings.weighting}, loss {_losses(checkpoint)}")
    return checkpoint


def _account(run: Run, stage: str, checkpoint: Checkpoint, done: bool) -> None:
    if not done:
        summary = checkpoint.summary
        run.record(stage, seconds=summary["seconds"], tokens=summary["tokens"], flops=summary["flops"])


def _losses(checkpoint: Checkpoint) -> str:
    return f"{checkpoint.summary['loss_first']:.3f} -> {checkpoint.summary['loss_last']:.3f}"

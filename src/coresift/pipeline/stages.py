"""The stages of a run. Each finds or makes artefacts and links what people open, and can be killed at any moment.

warmup ─▶ extract ─▶ select ─▶ train ─▶ evaluate ─▶ report
"""

import shutil
import time

from coresift.artefacts.store import Work
from coresift.coreset import Coreset
from coresift.models.load import model_fingerprint
from coresift.models.lora import merge_adapter
from coresift.pipeline import choosing, online, sets
from coresift.pipeline.features import RunFeatures, fill
from coresift.pipeline.outlook import changes, outlook
from coresift.pipeline.runs import Run
from coresift.pipeline.tuning import Say, train_on, warmup
from coresift.pipeline.utilities import plan_facts, settled
from coresift.seeds import derive
from coresift.selection import select as choose
from coresift.selectors import BalancedRandom, Full, Random
from coresift.training.build import as_many_steps
from coresift.training.checkpoints import Checkpoint
from coresift.training.settings import TrainSettings

__all__ = ["Say", "extract", "select", "train", "warmup"]


def extract(run: Run, *, say: Say = print) -> RunFeatures | None:
    """Compute the features that the method requires, after a warm-up where it needs one; only what is missing."""
    if online.is_online(run):
        online.prepared(run, say=say)
    if online.is_online(run) or len(run.recipe.required) == 0:
        return None
    run.begin(say=say)
    return fill(run, settled(run, say=say).requires, say=say)


def select(run: Run, *, say: Say = print) -> Coreset:
    """Choose the coreset (several when the recipe lists budgets) and write it in every form."""
    run.begin(say=say)
    if run.is_new and not run.is_announced:
        run.is_announced = True
        changed = changes(run.before, run.recipe.model_dump(mode="json"))
        for line in [*run.resolved.notes, *changed, *_inputs_in_words(run), *outlook(run)]:
            say(line)
    if online.is_online(run):
        coresets = [choosing.in_pool(run, online.chosen(run, say=say))]
    else:
        features, method = extract(run, say=say), settled(run, say=say)
        plan = plan_facts(run)
        coresets = choosing.selected(run, method, features, facts={} if plan is None else {"pairs": plan}, say=say)
    choosing.write(run, coresets, say=say)
    return coresets[-1]


def _inputs_in_words(run: Run) -> list[str]:
    pool, inputs = run.inputs.pool, run.inputs
    left_out = {
        f"longer than {inputs.limit_in_words}": len(inputs.rendered.excluded),
        "held out for scoring": len(inputs.held_out_positions),
        "hold a piece of the test": len(inputs.cleaning.tested),
        "near duplicates left out": len(inputs.cleaning.dropped) - len(inputs.cleaning.tested),
        f"not drawn for pool.examples={run.recipe.pool.examples}": inputs.not_drawn,
        "bad rows skipped": len(pool.skipped),
        "cannot be rendered": len(inputs.rendered.faults),
    }
    parts = [f"{count} {reason}" for reason, count in left_out.items() if count > 0]
    duplicates = sum(len(group) - 1 for group in inputs.chosen_from.duplicates)
    parts += [f"{duplicates} exact duplicates among them"] if duplicates > 0 else []
    near = sum(place not in inputs.cleaning.dropped for place in inputs.cleaning.copies)
    parts += [f"{near} near duplicates among them"] if near > 0 else []
    first = ", ".join([f"pool: {len(inputs.candidates)} of {len(pool)} examples to choose from", *parts])
    others = (sets.in_words(name, its, inputs.chosen_from) for name, its in inputs.others.items())
    return [first, *others, *inputs.notes]


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
        final = train_on(run, coreset, "final", "final training", say)
    if run.recipe.merge and final.adapter is not None:
        _merge(run, final, say)
    name = run.recipe.selector.name
    trained = {name: final}
    unweighted = run.recipe.train.model_copy(update={"weighting": "none"})
    if run.recipe.compare.unweighted:
        role = "compare/unweighted/final"
        settings = _as_often(final, unweighted, len(coreset)) if online.is_online(run) else unweighted
        trained[f"{name}, unweighted"] = train_on(run, coreset, role, "training without weights", say, settings)
    others = comparisons(run, len(coreset))
    for folder in (run.folder / "compare").glob("*"):
        if folder.name not in {*others, "unweighted"}:
            shutil.rmtree(folder)
    for name, other in others.items():
        choosing.write_one(run, other, run.folder / "compare" / name, say=say)
        # Weights would take back the equal shares, which are the point of a balanced subset.
        settings = unweighted if name.startswith("balanced-random") else run.recipe.train
        if online.is_online(run) and name != "full":
            settings = _as_often(final, settings, len(other))
        trained[name] = train_on(run, other, f"compare/{name}/final", f"training on {name}", say, settings)
    return trained


def _as_often(final: Checkpoint, settings: TrainSettings, n: int) -> TrainSettings:
    """What a subset is trained with that is compared with rounds: as many steps, of as many examples each."""
    summary = final.summary
    used = round(summary["examples"] * summary["epochs"])
    return as_many_steps(settings, n, taken=summary["steps"], used=used)


def _merge(run: Run, final: Checkpoint, say: Say) -> None:
    """The adapter of the final training folded into its base, as a model of its own."""
    base, adapter, template = run.inputs.base, final.adapter, run.recipe.model.template
    assert adapter is not None, "callers check that an adapter was trained"

    def make(work: Work) -> None:
        began = time.perf_counter()
        merge_adapter(base, adapter, work.folder / "model", template=template)
        work.add(seconds=time.perf_counter() - began)

    identity = {"model": model_fingerprint(base), "adapter": final.fingerprint}
    identity |= {} if template is None else {"template": run.inputs.renderer.facts.fingerprint}
    artefact = run.store.ensure(run.store.artefact("merged", identity), make, say=say)
    run.uses.note("merged", artefact, stage="merging")


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
            BalancedRandom(), None, size, ids=ids, groups=choosing.sources(run), seed=seed, provenance=stamp
        )
    if run.recipe.compare.full:
        sets["full"] = choose(Full(), None, 1.0, ids=ids, provenance=stamp)
    return {name: choosing.in_pool(run, coreset) for name, coreset in sets.items()}

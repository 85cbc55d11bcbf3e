"""How similar the candidates of a run are to its target, by gradients, hidden states or words.

`extract.keep` says what is left of a pass over the pool: its features, which serve further targets and other methods,
or the similarities alone. Either way a target's own features stay in memory.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from coresift.artefacts.store import Work
from coresift.extract.hidden import HiddenStates, extract_hidden, extract_hidden_similarities
from coresift.extract.influence import At, extract_gradient_similarities
from coresift.extract.lexical import extract_lexical
from coresift.extract.shards import Account
from coresift.features.specs import GradientSpec
from coresift.features.store import FeatureStore
from coresift.features.targets import (
    GradientSimilaritySpec,
    HiddenSimilaritySpec,
    HiddenSpec,
    LexicalSpec,
    TargetSpec,
)
from coresift.fingerprints import of_json
from coresift.models.load import load_model, model_fingerprint
from coresift.models.lora import adapter_weights
from coresift.pipeline.gradients import extractor_of, gradient_identity, model_of, stored_gradients
from coresift.pipeline.opened import filled, opened, shared, without_flops
from coresift.pipeline.runs import Run
from coresift.pipeline.tuning import Say, warm_up
from coresift.training.checkpoints import Epoch


def similarities(run: Run, specs: Sequence[TargetSpec], *, say: Say = print) -> dict[TargetSpec, FeatureStore]:
    """The arrays of `specs`, computed as far as nobody has.

    Args:
        run: Begun, with a target.
        specs: What the method requires of this kind.
        say: Told what is done.
    """
    held: dict[TargetSpec, FeatureStore] = {}
    gradients = [spec for spec in specs if isinstance(spec, GradientSimilaritySpec)]
    for way in dict.fromkeys((spec.checkpoints, spec.average) for spec in gradients):
        same = [spec for spec in gradients if (spec.checkpoints, spec.average) == way]
        held.update(dict.fromkeys(same, _by_gradients(run, same, say)))
    for spec in specs:
        if isinstance(spec, HiddenSimilaritySpec):
            held[spec] = _by_hidden_states(run, spec, say)
        elif isinstance(spec, LexicalSpec):
            held[spec] = _by_words(run, spec, say)
    return held


def _by_gradients(run: Run, specs: Sequence[GradientSimilaritySpec], say: Say) -> FeatureStore:
    """Arrays that are made at the same checkpoints, in the same passes."""
    ends = _ends(run, specs[0], say)
    identity = {
        **gradient_identity(run, specs[0].pool_gradients, ends[-1]),
        **run.inputs.target_identity,
        "ends": [None if end is None else [end.fingerprint, end.learning_rate] for end in ends],
        **({"subtasks": of_json(list(run.inputs.subtasks or ()))} if specs[0].by_subtask else {}),
    }
    artefacts = {
        spec: run.store.artefact("similarities", {**identity, "spec": spec.model_dump(mode="json")}) for spec in specs
    }

    def make(works: list[Work]) -> None:
        named = {work.artefact.name for work in works}
        missing = [spec for spec in specs if artefacts[spec].name in named]
        pool = tuple(dict.fromkeys(spec.pool_gradients for spec in missing))
        kept = [
            stored_gradients(run, pool, end, place=_place(number, len(ends)), say=say)
            for number, end in enumerate(ends, start=1)
            if run.recipe.extract.keep == "features"
        ]
        extract_gradient_similarities(
            _points(run, ends, missing),
            run.inputs.rows,
            run.inputs.target_rows,
            opened(run, artefacts, identity),
            missing,
            subtasks=run.inputs.subtasks or (),
            keep=kept,
            say=say if not kept else None,
            account=shared(works, [1 / len(works)] * len(works)),
        )
        at = f"{len(ends)} checkpoints" if len(ends) > 1 else "one checkpoint"
        say(_told(run, f"gradients at {at}"))

    run.store.ensure_all(list(artefacts.values()), make, say=say)
    for spec, its in artefacts.items():
        run.uses.note(f"features/{spec.key}", its, stage="similarities")
    return opened(run, artefacts, identity)


def _ends(run: Run, spec: GradientSimilaritySpec, say: Say) -> tuple[Epoch | None, ...]:
    """Where gradients are taken; None for the untuned model."""
    if not spec.pool_gradients.on_adapter:
        return (None,)
    warm = warm_up(run, say=say)
    return warm.epochs if spec.checkpoints == "epochs" else (warm.last,)


def _place(number: int, of: int) -> str:
    return "features" if number == of else f"features/epoch-{number}"


def _points(run: Run, ends: Sequence[Epoch | None], specs: Sequence[GradientSimilaritySpec]) -> list[At]:
    """One model for all checkpoints; what differs is put in place."""
    looked: list[GradientSpec] = [each for spec in specs for each in (spec.pool_gradients, spec.target_gradients)]
    model = model_of(run, looked, ends[-1])
    alone = len(ends) == 1
    return [
        At(extractor_of(run, model, looked, end))
        if end is None or alone
        else At(extractor_of(run, model, looked, end), adapter_weights(end.adapter), end.learning_rate)
        for end in ends
    ]


def _by_hidden_states(run: Run, spec: HiddenSimilaritySpec, say: Say) -> FeatureStore:
    own = {
        "tokens": run.inputs.row_identity["tokens"],
        "model": model_fingerprint(run.inputs.base),
        "dtype": run.recipe.model.dtype,
    }
    taken: list[HiddenStates] = []

    def states() -> HiddenStates:
        if len(taken) == 0:
            model = load_model(run.inputs.base, dtype=run.recipe.model.dtype, device=run.recipe.model.device)
            taken.append(HiddenStates(model, run.inputs.renderer.pad_token, run.recipe.extract.forward_tokens))
        return taken[0]

    def fill(hidden: HiddenSpec) -> FeatureStore:
        def compute(store: FeatureStore, account: Account) -> None:
            extract_hidden(states(), run.inputs.rows, store, hidden, account=account)

        return filled(run, hidden, "embeddings", own, compute, say)

    def compute(store: FeatureStore, account: Account) -> None:
        kept = fill(spec.hidden) if run.recipe.extract.keep == "features" else None
        rows, target = run.inputs.rows, run.inputs.target_rows
        extract_hidden_similarities(states(), rows, target, store, spec, keep=kept, account=account)
        say(_told(run, "hidden states"))

    return filled(run, spec, "similarities", {**own, **run.inputs.target_identity}, compute, say)


def _by_words(run: Run, spec: LexicalSpec, say: Say) -> FeatureStore:
    target = run.inputs.others["target"]

    def compute(store: FeatureStore, account: Account) -> None:
        extract_lexical(run.inputs.chosen_from, target, store, spec, account=without_flops(account))
        say(_told(run, "words"))

    own: Mapping[str, Any] = {"target": of_json([example.content_key for example in target])}
    return filled(run, spec, "similarities", own, compute, say)


def _told(run: Run, by: str) -> str:
    return (
        f"similarities: {len(run.inputs.rows)} examples with {len(run.inputs.others['target'])} of the target, by {by}"
    )

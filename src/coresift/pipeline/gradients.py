"""The gradients that a method requires, each of the weights and in the dtype that its spec names."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from coresift.artefacts.store import Artefact, Work
from coresift.extract.batch_size import with_fitting_batches
from coresift.extract.run import GradientExtractor, extract_gradients, propagated
from coresift.extract.sketch import VERSION
from coresift.features.implied import Implied, implying
from coresift.features.specs import GradientSpec
from coresift.features.store import FeatureStore
from coresift.models.load import load_model, model_fingerprint
from coresift.models.lora import load_adapter
from coresift.pipeline.opened import Store, opened, shared
from coresift.pipeline.runs import Run
from coresift.pipeline.tuning import Say, warmup
from coresift.training.checkpoints import Checkpoint, Epoch

if TYPE_CHECKING:
    from torch import nn

At = Checkpoint | Epoch | None
"""Where gradients are taken: the end of a warm-up or of one of its epochs; None for the untuned model."""


def gradients(run: Run, specs: Sequence[GradientSpec], *, say: Say = print) -> dict[GradientSpec, Store]:
    """A store for every spec: what is stored already, what follows from that, and what is computed now.

    Specs that look at the same model in the same dtype share one pass over the candidates.

    Raises:
        FeatureError: If a folder holds features of something else; both sides are printed.
        ModelError: If the model lacks what is to be tapped.
    """
    checkpoint = warmup(run, say=say)
    wanted = tuple(dict.fromkeys(spec.stored for spec in specs))
    stores: dict[GradientSpec, Store] = {}
    for kind in dict.fromkeys(map(_kind_of, wanted)):
        stores |= _together(run, [spec for spec in wanted if _kind_of(spec) == kind], checkpoint, say)
    return stores


def gradients_missing(run: Run, checkpoint: Checkpoint | None, specs: Sequence[GradientSpec]) -> list[GradientSpec]:
    """Those of `specs`, as they are stored, that are neither there nor follow from others that are.

    Args:
        run: Of these gradients.
        checkpoint: Its warm-up; None while there is none, and what is taken on its adapter counts as missing.
        specs: Asked about.
    """

    def missing(spec: GradientSpec) -> bool:
        if spec.on_adapter and checkpoint is None:
            return True
        held = _held(run, gradient_identity(run, spec, checkpoint))
        return not held(spec) and not implying(spec, held)

    return [spec for spec in dict.fromkeys(spec.stored for spec in specs) if missing(spec)]


def _together(
    run: Run, wanted: Sequence[GradientSpec], checkpoint: Checkpoint | None, say: Say
) -> dict[GradientSpec, Store]:
    identity = gradient_identity(run, wanted[0], checkpoint)
    held = _held(run, identity)
    parts = {spec: () if held(spec) else implying(spec, held) for spec in wanted}
    used = tuple(dict.fromkeys(each for spec in wanted for each in parts[spec] or (spec,)))
    stored = stored_gradients(run, used, checkpoint, say=say)
    stores: dict[GradientSpec, Store] = dict.fromkeys(wanted, stored)
    for spec in filter(lambda spec: parts[spec], wanted):
        say(f"{spec.key}: follows from {' and '.join(each.key for each in parts[spec])}, which are there")
        stores[spec] = Implied(stored, {"parts": [_artefact(run, identity, each).name for each in parts[spec]]})
    return stores


def stored_gradients(
    run: Run, specs: Sequence[GradientSpec], at: At, *, place: str = "features", say: Say
) -> FeatureStore:
    """The gradients of the candidates at a checkpoint, computed as far as nobody has.

    Args:
        run: Begun.
        specs: As they are stored, all different, all of the same model in the same dtype.
        at: Where they are taken.
        place: Where the run links to them.
        say: Told what is done.
    """
    identity = gradient_identity(run, specs[0], at)
    artefacts = {spec: _artefact(run, identity, spec) for spec in specs}

    def make(works: list[Work]) -> None:
        named = {work.artefact.name: work for work in works}
        missing = [spec for spec in specs if artefacts[spec].name in named]
        extractor = extractor_of(run, model_of(run, missing, at), missing, at, say=say)
        store = opened(run, artefacts, identity)
        cost = extract_gradients(
            extractor, run.inputs.rows, store, missing, say=say, account=shared(works, _parts(run, missing))
        )
        say(f"gradients: {len(run.inputs.rows)} examples, {len(missing)} losses, {cost.seconds:.0f} s")

    run.store.ensure_all(list(artefacts.values()), make, say=say)
    for spec, its in artefacts.items():
        run.uses.note(f"{place}/{spec.key}", its, stage="gradients")
    return opened(run, artefacts, identity)


def extractor_of(
    run: Run, model: "nn.Module", specs: Sequence[GradientSpec], at: At, *, say: Say = print
) -> GradientExtractor:
    """What takes the gradients of `specs`, with the moments of the checkpoint where they need them."""
    needed = at is not None and any(spec.preconditioner != "none" for spec in specs)
    extractor = GradientExtractor(
        model,
        start_token=run.inputs.renderer.start_token,
        pad_token=run.inputs.renderer.pad_token,
        moments=at.moments() if needed and at is not None else None,
        batch_tokens=run.recipe.extract.forward_tokens,
    )
    if run.recipe.extract.batch_tokens == "auto":
        return with_fitting_batches(extractor, run.inputs.rows, specs, say=say)
    return extractor


def _parts(run: Run, specs: Sequence[GradientSpec]) -> list[float]:
    """Of a pass that fills `specs`, what each takes: the tokens of its loss; a following row, what knowledge leaves."""
    rows = run.inputs.rows
    tokens = {"response": int(rows.lengths.sum()), "knowledge": int(rows.targets.sum()) + len(rows)}
    whole = sum(tokens[loss] for loss in propagated(specs))
    with_knowledge = {spec.model_copy(update={"loss": "following"}) for spec in specs if spec.loss == "knowledge"}
    own = {**tokens, "following": sum(tokens.values())}
    return [(tokens["response"] if spec in with_knowledge else own[spec.loss]) / whole for spec in specs]


def _kind_of(spec: GradientSpec) -> tuple[bool, str]:
    """What decides which model a pass runs."""
    return spec.on_adapter, spec.dtype


def _dtype(run: Run, spec: GradientSpec) -> str:
    return run.recipe.model.dtype if spec.dtype == "model" else spec.dtype


def model_of(run: Run, specs: Sequence[GradientSpec], at: At) -> "nn.Module":
    """What `specs` look at; an adapter that none of them taps is folded in where that is exact to rounding."""
    model = load_model(run.inputs.base, dtype=_dtype(run, specs[0]), device=run.recipe.model.device)
    if not specs[0].on_adapter:
        return model
    assert at is not None and at.adapter is not None, "gradients are taken on a LoRA warm-up"
    adapted = load_adapter(model, at.adapter, trainable=True)
    if all(spec.of == "head" for spec in specs) and model.dtype.itemsize >= 4:
        return adapted.merge_and_unload().eval()
    return adapted.to(model.dtype)  # peft keeps the adapters of 16-bit models in float32


def gradient_identity(run: Run, spec: GradientSpec, at: At) -> dict[str, Any]:
    """What all gradients depend on that look at the same model as `spec`."""
    known: dict[str, Any] = {
        **run.inputs.row_identity,
        "model": model_fingerprint(run.inputs.base),
        "dtype": _dtype(run, spec),
        "start_token": run.inputs.renderer.start_token,
        "projection": VERSION,
    }
    if not spec.on_adapter:
        return known
    assert at is not None, "gradients are taken on a LoRA warm-up"
    return {**known, "adapter": at.fingerprint}


def _artefact(run: Run, identity: dict[str, Any], spec: GradientSpec) -> Artefact:
    return run.store.artefact("gradients", {**identity, "spec": spec.stored.model_dump(mode="json")})


def _held(run: Run, identity: dict[str, Any]) -> Callable[[GradientSpec], bool]:
    return lambda spec: _artefact(run, identity, spec).is_whole

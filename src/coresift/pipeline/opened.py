"""Artefacts of a run that hold features: opened as stores, filled if nobody has, and who pays for that."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from coresift.artefacts.store import Artefact, Work
from coresift.extract.shards import Account
from coresift.features.base import Features
from coresift.features.specs import FeatureSpec
from coresift.features.store import FeatureStore
from coresift.pipeline.runs import Run
from coresift.pipeline.tuning import Say


class Store(Features, Protocol):
    """Features that say what they depend on."""

    identity: dict[str, Any]


def shared(works: Sequence[Work], parts: Sequence[float] = (1.0,)) -> Account:
    """Puts the cost of one pass that fills several artefacts on each of them.

    Args:
        works: Filled by the pass.
        parts: Of the pass, what each of them takes. They add up to more than 1 where one of them alone would take as
            much: a method pays for what it uses, also where others use it too.
    """

    def account(*, seconds: float, tokens: int, flops: float | None) -> None:
        for work, part in zip(works, parts, strict=True):
            work.add(seconds=seconds * part, tokens=tokens * part, flops=None if flops is None else flops * part)

    return account


def opened(run: Run, artefacts: Mapping[Any, Artefact], identity: Mapping[str, Any]) -> FeatureStore:
    """The store whose arrays lie in these artefacts, by spec."""
    return FeatureStore(
        run.store.root,
        identity=identity,
        ids=run.inputs.chosen_from.ids,
        shard_rows=run.recipe.extract.shard_rows,
        folders={spec: its.folder for spec, its in artefacts.items()},
    )


def filled(
    run: Run,
    spec: FeatureSpec,
    kind: str,
    own: Mapping[str, Any],
    compute: Callable[[FeatureStore, Account], None],
    say: Say,
) -> FeatureStore:
    """The store of one array that depends on the text of the candidates and on `own`.

    Args:
        run: Begun.
        spec: What the array holds.
        kind: Of the artefact, and its stage in the costs.
        own: What else the array depends on.
        compute: Fills the array in a store, telling its cost.
        say: Told what is waited for.
    """
    identity = {**run.inputs.text_identity, **own}
    artefact = run.store.artefact(kind, {**identity, "spec": spec.stored.model_dump(mode="json")})
    its = {spec.stored: artefact}

    def make(work: Work) -> None:
        compute(opened(run, its, identity), shared([work]))

    run.store.ensure(artefact, make, say=say)
    run.uses.note(f"features/{spec.stored.key}", artefact, stage=kind)
    return opened(run, its, identity)


def without_flops(account: Account) -> Account:
    """The operations of an encoder are not counted."""

    def told(*, seconds: float, tokens: int, flops: float | None) -> None:
        account(seconds=seconds, tokens=tokens, flops=None)

    return told

"""Artefacts of a run that hold features, opened as stores, and who pays for what is put into them."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from coresift.artefacts.store import Artefact, Work
from coresift.extract.shards import Account
from coresift.features.base import Features
from coresift.features.store import FeatureStore
from coresift.pipeline.runs import Run


class Store(Features, Protocol):
    """Features that say what they depend on."""

    identity: dict[str, Any]


def shared(works: Sequence[Work]) -> Account:
    """Puts the cost of one pass that fills several artefacts on all of them, in equal parts."""

    def account(*, seconds: float, tokens: int, flops: float | None) -> None:
        part = 1 / len(works)
        for work in works:
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

"""Artefacts by what they depend on: made once, whole or absent, verified when read.

    <root>/KIND-HASH/              the hash of everything the artefact depends on
        identity.json              the same, in full
        ...                        the payload
        cost.json                  seconds, tokens and operations that making it took
        whole.json                 size and SHA-256 of every payload file; written last
    <root>/.making/KIND-HASH/      what is not whole yet; a killed maker's work is gone on with
    <root>/.making/KIND-HASH.lock  who makes it now

No name, path or spelling is part of an identity, so whoever depends on the same finds the same artefact.
"""

import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from coresift import files, fingerprints
from coresift.artefacts.locks import locked
from coresift.differences import both_sides
from coresift.errors import RunError

IDENTITY, COST, WHOLE = "identity.json", "cost.json", "whole.json"
MAKING = ".making"
SHARDED = ("gradients", "embeddings", "similarities", "ratings", "losses", "utilities")
"""Kinds of which intact files are worth keeping when another file is damaged: they are filled in where they miss."""

Say = Callable[[str], None]


@dataclass(frozen=True, eq=False)
class Artefact:
    """One artefact of a store, there or not.

    Attributes:
        kind: What it is: a word that begins its name.
        identity: Everything it depends on, JSON-able.
        root: The store's folder, where it is made.
        beside: Other stores in which it may be found.
    """

    kind: str
    identity: Mapping[str, Any]
    root: Path
    beside: tuple[Path, ...] = ()

    @cached_property
    def name(self) -> str:
        """KIND-HASH."""
        return f"{self.kind}-{fingerprints.of_json(dict(self.identity))}"

    @property
    def is_whole(self) -> bool:
        """Whether it is there, with every file of the size that it should have."""
        return self._at() is not None

    @property
    def folder(self) -> Path:
        """Where it is, or where it is being made."""
        return self._at() or self.root / MAKING / self.name

    @property
    def cost(self) -> dict[str, Any]:
        """Seconds, tokens and flops that went into it so far; tokens and flops None where they are not counted."""
        return {"seconds": 0.0, "tokens": None, "flops": None} | files.read_object(self.folder / COST)

    def damaged(self) -> list[str]:
        """Payload files that are missing, of another size, or of another content than when it was made."""
        return damaged_files(self.folder)

    def _at(self) -> Path | None:
        for root in (self.root, *self.beside):
            folder = root / self.name
            if (folder / WHOLE).is_file() and len(damaged_files(folder, thorough=False)) == 0:
                self._refuse_other(folder)
                return folder
        return None

    def _refuse_other(self, folder: Path) -> None:
        """A hash of 64 bits may meet another one day; a file may be edited any day."""
        found = files.read_object(folder / IDENTITY)
        differences = both_sides(found, json.loads(json.dumps(dict(self.identity))), holder="the folder")
        if differences:
            raise RunError(f"{folder} is another artefact than its name says:\n{differences}\nDelete this folder.")


@dataclass(frozen=True)
class Work:
    """An artefact in the making.

    Attributes:
        artefact: What is made.
        spent: Told of seconds as they are spent, whichever artefact they go into.
    """

    artefact: Artefact
    spent: Callable[[float], None] = field(default=lambda seconds: None)

    @property
    def folder(self) -> Path:
        """Where the payload goes; holds what an earlier maker left."""
        return self.artefact.root / MAKING / self.artefact.name

    def add(self, *, seconds: float, tokens: float | None = None, flops: float | None = None) -> None:
        """Add to its cost; what a killed maker spent stays counted."""
        self.spent(seconds)
        before = self.artefact.cost
        files.write_json(
            self.folder / COST,
            {
                "seconds": round(before["seconds"] + seconds, 3),
                "tokens": _sum(before["tokens"], tokens),
                "flops": _sum(before["flops"], flops),
            },
        )


@dataclass(frozen=True)
class Store:
    """Artefacts in one folder.

    Attributes:
        root: The folder; made when something is made in it.
        beside: Stores that are read too, never written.
        spent: Told of seconds as they are spent on making something.
    """

    root: Path
    beside: tuple[Path, ...] = ()
    spent: Callable[[float], None] = field(default=lambda seconds: None)

    def artefact(self, kind: str, identity: Mapping[str, Any]) -> Artefact:
        """The artefact of a kind that depends on `identity`, there or not."""
        return Artefact(kind, identity, self.root, self.beside)

    def identities(self, kind: str) -> Iterator[dict[str, Any]]:
        """What each artefact of a kind depends on, whole ones alone, by name."""
        for root in (self.root, *self.beside):
            for folder in sorted(root.glob(f"{kind}-*")):
                if (folder / WHOLE).is_file():
                    yield files.read_object(folder / IDENTITY)

    def ensure(self, artefact: Artefact, make: Callable[[Work], None], *, say: Say = print) -> Artefact:
        """The artefact, made now if it is not there or damaged; see `ensure_all`."""
        self.ensure_all([artefact], lambda works: make(works[0]), say=say)
        return artefact

    def ensure_all(
        self, artefacts: Sequence[Artefact], make: Callable[[list[Work]], None], *, say: Say = print
    ) -> None:
        """Make what is not there of several artefacts, in one go.

        Whoever wants the same at the same time waits and then finds it. A maker that fails or is killed leaves what it
        has; the next one goes on from there.

        Args:
            artefacts: All different. Of those that are there the checksums are looked at.
            make: Fills the folder of each that is missing.
            say: Told what is waited for and what is made again.
        """
        for each in artefacts:
            self._refuse_damage(each, say)
        if all(each.is_whole for each in artefacts):
            return
        with ExitStack() as held:
            for each in sorted(artefacts, key=lambda each: each.name):  # one order for all: nobody waits in a circle
                held.enter_context(locked(self._lock(each), what=each.name, say=say))
            missing = [each for each in artefacts if not each.is_whole]
            works = [self._begun(each, say) for each in missing]
            if len(works) > 0:
                make(works)
            for work in works:
                _finish(work)

    def _refuse_damage(self, artefact: Artefact, say: Say) -> None:
        """Take an artefact out of use if a checksum says that a file of it is damaged; the file is named."""
        if artefact.is_whole and len(bad := artefact.damaged()) > 0:
            if artefact.folder.parent != self.root:
                raise RunError(
                    f"{artefact.folder} is damaged ({', '.join(bad[:3])}) and belongs to another store. "
                    "Delete this folder; what is missing is then made again."
                )
            with locked(self._lock(artefact), what=artefact.name, say=say):
                self._reopen(artefact, bad, say)

    def _begun(self, artefact: Artefact, say: Say) -> Work:
        whole = self.root / artefact.name
        if whole.exists():
            self._reopen(artefact, damaged_files(whole), say)
        work = Work(artefact, self.spent)
        work.folder.mkdir(parents=True, exist_ok=True)
        files.write_json(work.folder / IDENTITY, dict(artefact.identity))
        return work

    def _reopen(self, artefact: Artefact, bad: Sequence[str], say: Say) -> None:
        """Take a damaged artefact back into the making; only of some kinds the intact files stay."""
        whole, making = self.root / artefact.name, self.root / MAKING / artefact.name
        if not whole.exists():
            return
        named = ", ".join(bad[:3]) + (", ..." if len(bad) > 3 else "")
        say(f"damaged: {artefact.name} ({named or WHOLE}); it is made again")
        shutil.rmtree(making, ignore_errors=True)
        making.parent.mkdir(parents=True, exist_ok=True)
        whole.replace(making)
        (making / WHOLE).unlink(missing_ok=True)
        if artefact.kind not in SHARDED:
            shutil.rmtree(making)
            return
        for name in bad:
            (making / name).unlink(missing_ok=True)

    def _lock(self, artefact: Artefact) -> Path:
        return self.root / MAKING / f"{artefact.name}.lock"


def payload(folder: Path) -> Iterator[Path]:
    """The payload files of an artefact, ascending by name."""
    own = {folder / name for name in (IDENTITY, COST, WHOLE)}
    yield from (path for path in sorted(folder.rglob("*")) if path.is_file() and path not in own)


def damaged_files(folder: Path, *, thorough: bool = True) -> list[str]:
    """Names of payload files that are not as `whole.json` says; sizes alone unless `thorough`."""
    recorded = files.read_object(folder / WHOLE).get("files")
    if not isinstance(recorded, dict):
        return [WHOLE]
    return [name for name, facts in recorded.items() if not _is_intact(folder / name, facts, thorough)]


def _is_intact(path: Path, facts: Mapping[str, Any], thorough: bool) -> bool:
    try:
        same_size = path.stat().st_size == facts["bytes"]
        return same_size and (not thorough or fingerprints.checksum(path) == facts["sha256"])
    except (OSError, KeyError, TypeError):
        return False


def _finish(work: Work) -> None:
    """Note what the payload is, then move it to where it is found."""
    recorded = {
        str(path.relative_to(work.folder)): {"bytes": path.stat().st_size, "sha256": fingerprints.checksum(path)}
        for path in payload(work.folder)
    }
    if not (work.folder / COST).exists():
        work.add(seconds=0.0)
    files.write_json(work.folder / WHOLE, {"files": recorded})
    os.replace(work.folder, work.artefact.root / work.artefact.name)


def _sum(before: float | None, more: float | None) -> float | None:
    return before if more is None else more + (before or 0)

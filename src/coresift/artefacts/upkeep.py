"""What a store holds, who uses it, whether it is intact, and what can go.

    <root>/users/HASH.json    one file per run folder: where it is, and the names of what it uses

Every user writes its own file alone. A run folder that is no longer where its file says uses nothing.
"""

import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from coresift import files, fingerprints
from coresift.artefacts.locks import holder
from coresift.artefacts.store import MAKING, WHOLE, damaged_files, payload
from coresift.errors import RunError

USERS = "users"


@dataclass(frozen=True, slots=True)
class Entry:
    """One artefact as a list shows it.

    Attributes:
        name: KIND-HASH.
        bytes: Size of its payload.
        seconds: What making it took.
        users: Run folders that use it.
        state: "whole", "unfinished" (nobody makes it), or "in the making by ...".
    """

    name: str
    bytes: int
    seconds: float
    users: tuple[str, ...]
    state: str = "whole"


def register(root: Path, user: Path, names: Iterable[str]) -> None:
    """Note that a run folder uses artefacts of the store at `root`, and no others."""
    place = str(user.resolve())
    path = root / USERS / f"{fingerprints.of_json(place)}.json"
    facts = {"folder": place, "uses": sorted(set(names))}
    if files.read_object(path) != facts:
        files.write_json(path, facts)


def users(root: Path) -> dict[str, list[str]]:
    """Run folder -> names of what it uses; folders that are gone are left out."""
    found = [files.read_object(path) for path in sorted((root / USERS).glob("*.json"))]
    return {each["folder"]: each.get("uses", []) for each in found if Path(each.get("folder", "")).is_dir()}


def entries(root: Path) -> list[Entry]:
    """Everything in a store, whole artefacts first, then what is unfinished.

    Raises:
        RunError: If there is no such folder.
    """
    if not root.is_dir():
        raise RunError(f"{root}: no such store. Name the folder with --store; by default it is runs/.store.")
    using = users(root)
    whole = [_entry(folder, using) for folder in _folders(root) if (folder / WHOLE).is_file()]
    return [*whole, *(_unfinished(folder, using) for folder in _folders(root / MAKING))]


def verify(root: Path) -> dict[str, list[str]]:
    """Artefact -> its damaged files, by checksum; only artefacts that have some."""
    found = {folder.name: damaged_files(folder) for folder in _folders(root)}
    return {name: bad for name, bad in found.items() if bad}


def remove(root: Path, names: Iterable[str], *, force: bool = False) -> list[str]:
    """Delete artefacts by name, whole or unfinished.

    Raises:
        RunError: If there is no artefact of a name, somebody is making it, or a run uses it and `force` is not set.
    """
    held = {entry.name: entry for entry in entries(root)}
    chosen = list(names)
    for name in chosen:
        entry = held.get(name)
        if entry is None:
            raise RunError(f"{name}: no such artefact in {root}. `coresift store ls` lists them.")
        if entry.state.startswith("in the making"):
            raise RunError(f"{name} is {entry.state}. Stop that command first.")
        if entry.users and not force:
            raise RunError(
                f"{name} is used by {', '.join(entry.users)}. Pass --force to delete it all the same; it is made again "
                "when it is needed."
            )
    for name in chosen:
        for folder in (root / name, root / MAKING / name):
            shutil.rmtree(folder, ignore_errors=True)
    return chosen


def unused(root: Path) -> list[str]:
    """What no run folder uses, and what is unfinished with nobody making it."""
    return [entry.name for entry in entries(root) if not entry.users and not entry.state.startswith("in the making")]


def _folders(root: Path) -> list[Path]:
    return sorted(path for path in root.glob("*-*") if path.is_dir())


def _entry(folder: Path, using: dict[str, list[str]], state: str = "whole") -> Entry:
    return Entry(
        name=folder.name,
        bytes=sum(path.stat().st_size for path in payload(folder)),
        seconds=float(files.read_object(folder / "cost.json").get("seconds", 0.0)),
        users=tuple(user for user, names in using.items() if folder.name in names),
        state=state,
    )


def _unfinished(folder: Path, using: dict[str, list[str]]) -> Entry:
    maker = holder(folder.with_name(f"{folder.name}.lock"))
    return _entry(folder, using, "unfinished" if maker is None else f"in the making by {maker}")

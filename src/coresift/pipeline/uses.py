"""Which artefacts a run uses, as a file and as links, and what they cost.

<run>/artefacts.json    the store, every artefact by what it is to the run, and the run's own seconds
<run>/warmup, ...       links to those that people open
<run>/costs.json        what all of them cost, by stage
"""

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from coresift import files
from coresift.artefacts.store import Artefact, Store
from coresift.artefacts.upkeep import register
from coresift.errors import RunError

HISTORY = "history.jsonl"
FILE, COSTS, PACKED = "artefacts.json", "costs.json", "store"
OWN = ("reading", "figures", "other")
"""Stages that leave no artefact: time of the run itself."""


class Uses:
    """What one run folder uses.

    Args:
        folder: The run folder.
        store: Where its artefacts are.
    """

    def __init__(self, folder: Path, store: Store) -> None:
        self.folder, self.store = folder, store
        found = files.read_object(folder / FILE)
        self._uses: dict[str, dict[str, Any]] = dict(found.get("uses", {}))
        self._own: dict[str, float] = dict(found.get("own", {}))

    def note(self, role: str, artefact: Artefact, *, stage: str, link: bool = True) -> None:
        """Remember that `artefact` plays a role, and link to it under that name."""
        use = {"name": artefact.name, "stage": stage, "cost": artefact.cost, "link": link}
        if link:
            _link(self.folder / role, artefact.folder)
        if self._uses.get(role) != use:
            self._uses[role] = use
            self._write()

    def forget(self) -> None:
        """Other settings use other artefacts: drop all links; what they point to stays in the store."""
        for role, use in self._uses.items():
            if use["link"]:
                _unlink(self.folder / role, self.folder)
        if self._uses:
            self._uses = {}
            self._write()

    def spend(self, seconds: Mapping[str, float]) -> None:
        """Add to the run's own seconds, by stage."""
        for stage, more in seconds.items():
            self._own[stage] = round(self._own.get(stage, 0.0) + max(more, 0.0), 3)
        self._write()

    @property
    def names(self) -> dict[str, str]:
        """Role -> name of the artefact."""
        return {role: use["name"] for role, use in self._uses.items()}

    @property
    def costs(self) -> dict[str, dict[str, Any]]:
        """Stage -> {seconds, tokens, flops}, in the order in which the stages first came; artefacts count once."""
        costs: dict[str, dict[str, Any]] = {}
        counted: set[str] = set()
        for use in self._uses.values():
            if use["name"] not in counted:
                counted.add(use["name"])
                _add(costs, use["stage"], use["cost"])
        for stage in OWN:
            if stage in self._own:
                _add(costs, stage, {"seconds": self._own[stage], "tokens": None, "flops": None})
        return costs

    def _write(self) -> None:
        where = os.path.relpath(self.store.root, self.folder)
        files.write_json(self.folder / FILE, {"store": where, "uses": self._uses, "own": self._own})
        files.write_json(self.folder / COSTS, self.costs)
        register(self.store.root, self.folder, self.names.values())


def recorded_store(folder: Path) -> Path | None:
    """The store that a run folder was made with, where it still is; None elsewhere."""
    where = files.read_object(folder / FILE).get("store")
    path = None if where is None else (folder / where).resolve()
    return path if path is not None and path.is_dir() else None


def pack(folder: Path) -> Path:
    """Copy all that a run uses into its own folder, which then needs no store beside it.

    Returns:
        The folder of copies, `RUN/store`, which the run goes on with from now on.

    Raises:
        RunError: If there is no run, or an artefact that it uses is gone.
    """
    found = files.read_object(folder / FILE)
    if not found:
        raise RunError(f"{folder}: no {FILE} here, so this is no run folder that has made anything.")
    source = recorded_store(folder)
    packed = folder / PACKED
    for role, use in found.get("uses", {}).items():
        target = packed / use["name"]
        if not target.exists():
            if source is None or not (source / use["name"]).is_dir():
                raise RunError(
                    f"{folder} uses {use['name']}, which is in no store any more. Run its command again first."
                )
            copying = packed / f".{use['name']}.tmp"
            shutil.rmtree(copying, ignore_errors=True)
            shutil.copytree(source / use["name"], copying)
            copying.replace(target)
        if use["link"] and target.exists():
            _link(folder / role, target)
    files.write_json(folder / FILE, {**found, "store": PACKED})
    return packed


def _add(costs: dict[str, dict[str, Any]], stage: str, cost: Mapping[str, Any]) -> None:
    if cost["seconds"] == 0.0 and cost["tokens"] is None:
        return
    known = costs.setdefault(stage, {"seconds": 0.0, "tokens": None, "flops": None})
    known["seconds"] = round(known["seconds"] + cost["seconds"], 3)
    for key in ("tokens", "flops"):
        if cost[key] is not None:
            known[key] = (known[key] or 0) + cost[key]


def _link(path: Path, target: Path) -> None:
    """A relative link, which survives that both are moved together."""
    path.parent.mkdir(parents=True, exist_ok=True)
    where = os.path.relpath(target.resolve(), path.parent.resolve())
    if path.is_symlink() and os.readlink(path) == where:
        return
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)  # a copy of an artefact, left by a tool that copies what links point to
    path.unlink(missing_ok=True)
    path.symlink_to(where, target_is_directory=True)


def _unlink(path: Path, top: Path) -> None:
    if path.is_symlink():
        path.unlink()
    parent = path.parent
    while parent != top and parent.is_dir() and not any(parent.iterdir()):
        parent.rmdir()
        parent = parent.parent


def history(folder: Path) -> list[dict[str, Any]]:
    """The selections that a run folder has held, oldest first."""
    try:
        lines = (folder / HISTORY).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []
    return [json.loads(line) for line in lines]

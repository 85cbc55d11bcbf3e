"""Whether a command has nothing to do: the same settings in the same folder, and every file as the last one left it.

Answered from sizes and times of change alone, before torch is loaded and before the pool is read. Whatever cannot be
looked at in this way (a Hub id, a folder of shards) leaves the answer to the run itself.
"""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from coresift import __version__, files, fingerprints
from coresift.pipeline.recipes import Resolved

FILE = "finished.json"
WORLD = "world"
ARTEFACT = "whole.json"
LEFT = ("settings.yaml", "coreset.jsonl", "coreset.npz", "coreset.json", "scores.json", "report/index.html")
"""What a run leaves for people, as far as its stages came to it."""


def is_finished(resolved: Resolved, folder: Path, verb: str) -> bool:
    """Whether `verb` has been carried out in `folder` with these settings and nothing has changed since."""
    found = files.read_object(folder / FILE)
    if found.get("done", {}).get(verb) != _identity(resolved):
        return False
    stamps = found.get("stamps", {})
    return bool(stamps) and all(_stamp(folder / path) == stamp for path, stamp in stamps.items())


def remember(resolved: Resolved, folder: Path, verb: str) -> None:
    """Note that `verb` has been carried out, and how every file was left that this says something about."""
    inputs = _inputs(resolved)
    if inputs is None:
        return
    found = files.read_object(folder / FILE)
    paths = [*inputs, *(folder / name for name in LEFT), *_artefacts(folder)]
    stamps = {os.path.relpath(path, folder): _stamp(path) for path in paths}
    before = found.get("done", {}) if found.get("stamps") == stamps else {}
    done = {**before, verb: _identity(resolved)}
    if found != (facts := {"done": done, "stamps": stamps}):
        files.write_json(folder / FILE, facts)


def _identity(resolved: Resolved) -> str:
    return fingerprints.of_json([__version__, resolved.recipe.model_dump(mode="json")])


def _inputs(resolved: Resolved) -> list[Path] | None:
    """The files that settings name; None where something is named that is no file or model folder."""
    recipe, found = resolved.recipe, list[Path]()
    pools = [each.path for each in (recipe.pool, recipe.target, recipe.existing) if each is not None]
    named: list[Any] = [each for path in pools for each in (path if isinstance(path, list) else [path])]
    named += [recipe.evaluate.test, recipe.evaluate.second]
    for each in named:
        if each is not None and each != WORLD:
            if not Path(each).is_file():
                return None
            found.append(Path(each))
    template = recipe.model.template
    if template is not None and Path(template).is_file():
        found.append(Path(template))
    if recipe.model.path != WORLD:
        if not Path(recipe.model.path).is_dir():
            return None
        found += sorted(path for path in Path(recipe.model.path).iterdir() if path.is_file())
    return found


def _artefacts(folder: Path) -> Iterable[Path]:
    """The marks of the artefacts that the run uses, and the files they speak of."""
    used = files.read_object(folder / "artefacts.json")
    for use in used.get("uses", {}).values():
        artefact = folder / used.get("store", "") / use["name"]
        yield artefact / ARTEFACT
        yield from (artefact / name for name in files.read_object(artefact / ARTEFACT).get("files", {}))


def _stamp(path: Path) -> list[int] | None:
    """Size and time of change; None where there is no file."""
    try:
        status = path.stat()
    except OSError:
        return None
    return [status.st_size, status.st_mtime_ns]

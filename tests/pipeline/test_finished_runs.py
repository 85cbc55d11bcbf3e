"""A command with nothing to do says so at once, and notices whatever has changed."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from coresift.pipeline.finished import is_finished
from coresift.pipeline.recipes import load_recipe

NOTHING = "nothing has changed since"


@pytest.fixture
def command(recipe: dict[str, Any], tmp_path: Path) -> Path:
    """A recipe file of a small selection, with a pool and a folder of its own."""
    pool = tmp_path / "pool.jsonl"
    pool.write_text(Path(recipe["pool"]["path"]).read_text())
    values = {**recipe, "out": str(tmp_path / "run"), "pool": {**recipe["pool"], "path": str(pool)}, "train": None}
    values |= {"method": {"name": "random"}, "compare": {}, "merge": False, "budget": 4}
    path = tmp_path / "small.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


def test_the_same_command_again_does_nothing_and_loads_no_torch(command: Path, coresift: Callable[..., Any]) -> None:
    first = coresift("run", command)
    assert first.code == 0 and NOTHING not in first.out
    code = "import sys; from coresift.cli.main import run_command; run_command(sys.argv[1:]); "
    listing = "print(*sorted({'torch', 'transformers', 'matplotlib'} & set(sys.modules)), 'none')"
    again = subprocess.run(
        [sys.executable, "-c", code + listing, "run", str(command)], capture_output=True, text=True, env={**os.environ}
    )
    assert NOTHING in again.stdout and again.stdout.splitlines()[-1] == "none"
    assert "page: " in again.stdout, "it answers like the first one"


@pytest.mark.parametrize("change", ["pool", "coreset", "page", "artefact", "setting"])
def test_whatever_changed_is_noticed(command: Path, coresift: Callable[..., Any], change: str) -> None:
    folder = command.parent / "run"
    coresift("run", command)
    whole = (folder / "coreset.jsonl").read_text()
    if change == "pool":
        pool = command.parent / "pool.jsonl"
        pool.write_text("".join(pool.read_text().splitlines(keepends=True)[1:]))
    elif change == "coreset":
        (folder / "coreset.jsonl").write_text("")
    elif change == "page":
        (folder / "report" / "index.html").unlink()
    elif change == "artefact":
        name = json.loads((folder / "artefacts.json").read_text())["uses"]["selection"]["name"]
        (command.parent / ".store" / name / "0" / "coreset.npz").unlink()
    more = ["--set", "budget=5"] if change == "setting" else []
    assert not is_finished(load_recipe(command, [each for each in more if each != "--set"]), folder, "run")
    again = coresift("run", command, *more)
    assert again.code == 0 and NOTHING not in again.out
    assert ((folder / "coreset.jsonl").read_text() == whole) == (change not in ("pool", "setting"))
    assert NOTHING in coresift("run", command, *more).out


def test_one_verb_says_nothing_of_another(command: Path, coresift: Callable[..., Any]) -> None:
    coresift("select", command)
    resolved = load_recipe(command)
    assert is_finished(resolved, command.parent / "run", "select")
    assert not is_finished(resolved, command.parent / "run", "report")

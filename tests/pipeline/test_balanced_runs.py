"""Balanced random in a run: groups are the sources of the pool, as a method and as a comparison."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from coresift.coreset import Coreset
from coresift.pipeline.recipes import resolve
from coresift.pipeline.runs import Run
from coresift.pipeline.stages import select
from coresift.pipeline.whole import execute


def quiet(line: str) -> None:
    """Say nothing."""


@pytest.fixture
def uneven(recipe: dict[str, Any], tmp_path: Path) -> dict[str, Any]:
    """A recipe whose pool has 32 examples of one source and 8 of another."""
    rows = [json.loads(line) for line in Path(recipe["pool"]["path"]).read_text().splitlines()]
    pool = tmp_path / "pool.jsonl"
    named = [{**row, "source": "small" if place % 5 == 0 else "large"} for place, row in enumerate(rows)]
    pool.write_text("".join(json.dumps(row) + "\n" for row in named))
    settings = {**recipe["pool"], "path": str(pool)}
    return {**recipe, "pool": settings, "merge": False, "budget": 8, "out": str(tmp_path / "run")}


def sources(run: Run, folder: Path) -> Counter[str]:
    return Counter(run.inputs.pool[int(place)].source for place in Coreset.load(folder).indices)


def test_the_groups_of_a_run_are_the_sources_of_its_pool(uneven: dict[str, Any]) -> None:
    run = Run(resolve({**uneven, "method": {"name": "balanced-random"}, "compare": {}, "train": None}))
    coreset = select(run, say=quiet)
    assert sources(run, run.folder) == {"small": 4, "large": 4}
    assert coreset.weights.sum() == len(run.inputs.candidates)
    assert not (run.folder / "warmup").exists()


def test_balanced_subsets_are_compared_in_one_row_and_trained_on_without_weights(uneven: dict[str, Any]) -> None:
    compare = {"base": False, "balanced_random": 2}
    run = Run(resolve({**uneven, "method": {"name": "random"}, "compare": compare}))
    rows = execute(run, say=quiet)
    assert [(row["name"], row["seeds"], row["examples"]) for row in rows] == [
        ("random", 1, 8),
        ("balanced-random", 2, 8),
    ]
    for repeat in range(2):
        folder = run.folder / "compare" / f"balanced-random-{repeat}"
        assert sources(run, folder) == {"small": 4, "large": 4}
        assert json.loads((folder / "final" / "training.json").read_text())["weighting"] == "none"
        assert (run.folder / "scores" / folder.name / "scores.json").exists()
    assert json.loads((run.folder / "final" / "training.json").read_text())["weighting"] == "loss"

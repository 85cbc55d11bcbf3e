"""One small run of every stage, made once, and its recipe."""

import json
from pathlib import Path
from typing import Any

import pytest
import tiny
import yaml

from coresift.pipeline.recipes import resolve
from coresift.pipeline.runs import Run
from coresift.pipeline.whole import execute


def write_pool(path: Path, n: int = 40) -> Path:
    pool = tiny.pool(n)
    rows = [{**pool.row(place), "source": "ab"[place % 2], "note": {"kept": place}} for place in range(n)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture(scope="session")
def world_of_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny model and a pool."""
    folder = tmp_path_factory.mktemp("files")
    tiny.save(folder / "model")
    write_pool(folder / "pool.jsonl")
    return folder


@pytest.fixture(scope="session")
def recipe(world_of_files: Path) -> dict[str, Any]:
    """A recipe of everything, small."""
    return {
        "name": "small",
        "pool": {"path": str(world_of_files / "pool.jsonl"), "max_tokens": 256, "held_out": 6},
        "model": {"path": str(world_of_files / "model"), "dtype": "float32", "device": "cpu"},
        "extract": {"shard_rows": 8},
        "method": {"name": "brief", "dim": 64, "preconditioner": "adam"},
        "budget": [4, 0.3],
        "train": {
            "lora": {"rank": 4, "alpha": 8},
            "epochs": 1,
            "batch_size": 4,
            "micro_batch_size": 4,
            "learning_rate": 1e-3,
        },
        "evaluate": {"answers": True, "max_new_tokens": 4},
        "compare": {"random": 2, "full": True, "unweighted": True},
        "merge": True,
    }


@pytest.fixture(scope="session")
def finished(recipe: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The recipe, run to its end."""
    out = tmp_path_factory.mktemp("runs") / "small"
    run = Run(resolve({**recipe, "out": str(out)}, origin="small.yaml"))
    execute(run, say=lambda line: None)
    return run


@pytest.fixture
def recipe_file(recipe: dict[str, Any], tmp_path: Path) -> Path:
    """The recipe as a file whose run folder is in a fresh place."""
    path = tmp_path / "small.yaml"
    path.write_text(yaml.safe_dump({**recipe, "out": str(tmp_path / "run")}))
    return path

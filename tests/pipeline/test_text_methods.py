"""Methods that read texts and columns, through the pipeline: no base model is loaded."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from coresift.pipeline import features
from coresift.pipeline.recipes import resolve
from coresift.pipeline.runs import Run
from coresift.pipeline.stages import select


@pytest.fixture(autouse=True)
def no_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features, "load_model", lambda *names, **settings: pytest.fail("a model was loaded"))


def begun(recipe: dict[str, Any], out: Path, method: dict[str, Any], **changes: Any) -> Run:
    small = {"method": method, "budget": 5, "train": None, "evaluate": {}, "merge": False, "compare": {"base": False}}
    return Run(resolve({**recipe, **small, **changes, "out": str(out)}))


def test_dsir_draws_towards_a_target_file(recipe: dict[str, Any], tmp_path: Path) -> None:
    pool = [json.loads(line) for line in Path(recipe["pool"]["path"]).read_text().splitlines()]
    (tmp_path / "target.jsonl").write_text("".join(json.dumps(row) + "\n" for row in pool[2::3]))
    method = {"name": "dsir", "sample": "top", "per_ngram": True}
    run = begun(recipe, tmp_path / "run", method, target={"path": str(tmp_path / "target.jsonl")})
    coreset = select(run, say=lambda line: None)
    lengths = {example.id: len(example.messages) for example in run.inputs.chosen_from}
    assert [lengths[id] for id in coreset.ids] == [4] * 5, "the target holds the conversations of two rounds"
    assert np.isfinite(coreset.diagnostics["mean_log_weight"]) and run.costs["importance"]["seconds"] >= 0


def scored(recipe: dict[str, Any], folder: Path) -> str:
    """The pool with scores and labels in its rows."""
    rows = [json.loads(line) for line in Path(recipe["pool"]["path"]).read_text().splitlines()]
    more = [{"scores": {"q": place % 7, "c": place % 3}, "tags": [f"t{place % 5}"]} for place in range(len(rows))]
    path = folder / "scored.jsonl"
    path.write_text("".join(json.dumps(row | extra) + "\n" for row, extra in zip(rows, more, strict=True)))
    return str(path)


def test_deita_takes_its_scores_from_columns(recipe: dict[str, Any], tmp_path: Path) -> None:
    columns = {"quality": {"column": "scores.q"}, "complexity": {"column": "scores.c"}}
    method = {"name": "deita", "encoder": recipe["model"]["path"], "threshold": 1.0, **columns}
    run = begun(recipe, tmp_path / "run", method, pool={**recipe["pool"], "path": scored(recipe, tmp_path)})
    coreset = select(run, say=lambda line: None)
    rows = [run.inputs.pool.row(int(place)) for place in coreset.indices]
    assert coreset.diagnostics["scores"] == [row["scores"]["q"] * row["scores"]["c"] for row in rows]
    best = sorted((place % 7) * (place % 3) for place in run.inputs.candidates.tolist())[-1]
    assert coreset.diagnostics["scores"][0] == best


def test_mig_reaches_every_label_and_a_changed_column_is_read_again(recipe: dict[str, Any], tmp_path: Path) -> None:
    method = {"name": "mig", "labels": "tags", "encoder": "", "quality": {"column": "scores.q"}}
    pool = {**recipe["pool"], "path": scored(recipe, tmp_path)}
    coreset = select(begun(recipe, tmp_path / "run", method, pool=pool), say=lambda line: None)
    assert coreset.diagnostics["labels_reached"] == coreset.diagnostics["labels"] == 5
    changed = Path(pool["path"]).read_text().replace('"t1"', '"t2"')
    Path(pool["path"]).write_text(changed)
    again = select(begun(recipe, tmp_path / "run", method, pool=pool), say=lambda line: None)
    assert again.diagnostics["labels"] == 4

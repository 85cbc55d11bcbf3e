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

"""What is wrong with a model is said before anything is trained or extracted."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from coresift.errors import ModelError
from coresift.pipeline.recipes import resolve
from coresift.pipeline.runs import Run
from coresift.pipeline.stages import select


def on_a_copy(recipe: dict[str, Any], tmp_path: Path, **changes: Any) -> tuple[Run, Path]:
    model = Path(shutil.copytree(recipe["model"]["path"], tmp_path / "model"))
    values = {**recipe, "model": {**recipe["model"], "path": str(model)}, "out": str(tmp_path / "run"), **changes}
    return Run(resolve(values)), model


def test_a_cut_model_is_named_before_anything_is_written(recipe: dict[str, Any], tmp_path: Path) -> None:
    run, model = on_a_copy(recipe, tmp_path)
    weights = model / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:9999])
    with pytest.raises(ModelError, match="model.safetensors: 9,999 bytes where its header says .*: it is not whole"):
        select(run, say=lambda line: None)
    assert not run.folder.exists(), "nothing half-done"


def without_special_tokens(model: Path) -> None:
    path = model / "tokenizer_config.json"
    known = json.loads(path.read_text())
    for name in ("bos_token", "eos_token", "pad_token"):
        known.pop(name, None)
    path.write_text(json.dumps(known))
    (model / "chat_template.jinja").write_text("{% for m in messages %}{{ m.role }}: {{ m.content }}|{% endfor %}")


def test_a_tokenizer_without_start_is_refused_before_the_warm_up(recipe: dict[str, Any], tmp_path: Path) -> None:
    run, model = on_a_copy(recipe, tmp_path)
    without_special_tokens(model)
    with pytest.raises(ModelError, match="no BOS, EOS or PAD token.*Name one of them in its tokenizer_config.json"):
        select(run, say=lambda line: None)
    assert not run.folder.exists(), "nothing half-done"


def test_where_no_loss_is_looked_at_no_start_is_needed(recipe: dict[str, Any], tmp_path: Path) -> None:
    alone = {"method": {"name": "random"}, "train": None, "compare": {}, "evaluate": {}, "merge": False}
    run, model = on_a_copy(recipe, tmp_path, **alone)
    without_special_tokens(model)
    assert len(select(run, say=lambda line: None)) > 0

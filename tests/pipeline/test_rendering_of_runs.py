"""What a run says of its chat template, and what it does with rows that cannot be rendered."""

import json
from pathlib import Path
from typing import Any

import pytest

from coresift.errors import RenderError
from coresift.models.load import load_tokenizer
from coresift.pipeline.recipes import resolve
from coresift.pipeline.reporting import report
from coresift.pipeline.runs import Run
from coresift.pipeline.stages import select, train

FUSSY = "{% if 'bad' in messages[-1].content %}{{ raise_exception('no badness') }}{% endif %}"


def begun(recipe: dict[str, Any], out: Path, rows: list[dict[str, Any]], template: str, **changes: Any) -> Run:
    pool = out.parent / "rows.jsonl"
    pool.write_text("".join(json.dumps(row) + "\n" for row in rows))
    small: dict[str, Any] = {"method": {"name": "random"}, "budget": 3, "train": None, "merge": False, "evaluate": {}}
    small |= {"model": {**recipe["model"], "template": template}, "compare": {"base": False}, "out": str(out)}
    settings = {"path": str(pool), "held_out": 0, "max_tokens": 256, **changes.pop("pool", {})}
    return Run(resolve({**recipe, **small, "pool": settings, **changes}))


def row(id: str, response: str) -> dict[str, Any]:
    return {"id": id, "messages": [{"role": "user", "content": "Say it."}, {"role": "assistant", "content": response}]}


ROWS = [row(f"e{place}", "bad it is" if place in (1, 4) else f"it is {place}") for place in range(8)]


@pytest.fixture
def fussy(tmp_path: Path) -> str:
    file = tmp_path / "fussy.jinja"
    file.write_text(FUSSY + "{% for m in messages %}{{ m.role + ':' + m.content + '<|eot_id|>' }}{% endfor %}")
    return str(file)


def test_rows_that_cannot_be_rendered_are_skipped_listed_and_counted(
    recipe: dict[str, Any], tmp_path: Path, fussy: str
) -> None:
    run = begun(recipe, tmp_path / "run", ROWS, fussy, pool={"skip_bad_rows": True})
    said: list[str] = []
    select(run, say=said.append)
    assert any("pool: 6 of 8 examples to choose from, 2 cannot be rendered" in line for line in said)
    assert f"template: {fussy}" in said
    listed = [json.loads(line) for line in (tmp_path / "run" / "skipped.jsonl").read_text().splitlines()]
    assert [(each["record"], "no badness" in each["reason"]) for each in listed] == [(2, True), (5, True)]
    page = report(run, say=said.append).read_text()
    assert "no badness" in page and "fussy.jinja" in page


def test_without_leave_they_stop_the_run_by_file_and_line(recipe: dict[str, Any], tmp_path: Path, fussy: str) -> None:
    run = begun(recipe, tmp_path / "run", ROWS, fussy)
    with pytest.raises(RenderError, match=r"2 of 8 examples cannot be rendered:\n.*rows.jsonl, line 2: .*no badness"):
        _ = run.inputs.rendered
    run = begun(recipe, tmp_path / "all", [row("e", "bad")], fussy, pool={"skip_bad_rows": True})
    with pytest.raises(RenderError, match=r"rows.jsonl, line 1: example e: .*no badness"):
        _ = run.inputs.rendered


def test_a_merged_model_has_the_template_it_was_trained_with(recipe: dict[str, Any], tmp_path: Path) -> None:
    changes = {"train": recipe["train"], "merge": True}
    run = begun(recipe, tmp_path / "run", ROWS, "chatml", **changes)
    said: list[str] = []
    train(run, say=said.append)
    assert "template: chatml" in said and any("'<|im_end|>', which is not a token" in line for line in said)
    (merged,) = {path.parent for path in tmp_path.rglob("chat_template.jinja")}
    assert "<|im_start|>" in str(load_tokenizer(merged).chat_template)

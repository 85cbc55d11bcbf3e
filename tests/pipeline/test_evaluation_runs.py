"""Metrics of answers and evaluation in context, as a recipe asks for them: scores, table, page, and nothing unasked."""

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from coresift.errors import ModelError, SettingsError
from coresift.evaluation import rouge as rouging
from coresift.evaluation.judge import Judge
from coresift.pipeline.recipes import resolve
from coresift.pipeline.runs import Run
from coresift.pipeline.whole import execute
from coresift.report.tables import score_table

needs_rouge = pytest.mark.skipif(find_spec("rouge_score") is None, reason="needs the extra `evaluation`")
SHOWN = {"examples": 2, "max_prompt_tokens": 400, "max_new_tokens": 4}


def quiet(line: str) -> None:
    """Say nothing."""


@pytest.fixture
def plain(recipe: dict[str, Any], tmp_path: Path) -> dict[str, Any]:
    """A random subset against two others and the base model; nothing is trained."""
    changes = {"method": {"name": "delift", "kernel": "embedding", "encoder": recipe["model"]["path"]}, "budget": 5}
    compare = {"random": 2, "base": True}
    return {**recipe, **changes, "compare": compare, "train": None, "merge": False, "out": str(tmp_path / "run")}


@needs_rouge
def test_examples_of_every_subset_are_shown_in_context_and_scored_by_every_metric(
    plain: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Judge, "score", lambda self, *asked: [4.0, *[None] * (len(asked[0]) - 1)])
    tools = {"encoder": plain["model"]["path"], "judge": {"url": "http://localhost:1/v1", "model": "m"}}
    evaluate = {"metrics": ["rouge1", "similarity", "judge"], **tools, "in_context": SHOWN, "max_new_tokens": 4}
    run, said = Run(resolve({**plain, "evaluate": evaluate})), []
    rows = execute(run, say=said.append)
    names = ["delift, in context", "random, in context", "none (base model)"]
    assert [(row["name"], row["seeds"], row["examples"]) for row in rows] == list(
        zip(names, (1, 2, 1), (5, 5, 0), strict=True)
    )
    assert all(set(row["metrics"]) == {"rouge1", "similarity", "judge"} for row in rows)
    assert rows[0]["loss"] is None and rows[2]["loss"] is not None and rows[1]["spread"]["metrics"]
    assert rows[0]["seconds"] > 0 == rows[1]["seconds"], "what the picks cost is the method's"
    assert any("5 answers without a score by judge" in line for line in said)
    kept = run.folder / "scores" / "final-in-context"
    assert json.loads((kept / "scores.json").read_text())["metrics"]["unscored"] == {"judge": 5}
    assert json.loads((kept / "identity.json").read_text())["in_context"]["examples"] == 2
    table, page = score_table(rows), (run.folder / "report" / "index.html").read_text()
    assert all(word in table and word in page for word in ("ROUGE-1", "similarity", "judge"))
    assert "Rows in context are the untuned model" in page
    again: list[str] = []
    assert execute(Run(run.resolved), say=again.append) == rows
    assert [line for line in again if line.startswith("scores of")] == [], "what is there is kept"


def test_other_settings_of_the_context_are_scored_again(plain: dict[str, Any]) -> None:
    compare = {"random": 0, "base": False}
    first = Run(resolve({**plain, "compare": compare, "evaluate": {"in_context": SHOWN}}))
    execute(first, say=quiet)
    kept = first.folder / "scores" / "final-in-context"
    before = json.loads((kept / "identity.json").read_text())
    assert before["retrieval"] == "words" and json.loads((kept / "scores.json").read_text())["metrics"] is None
    second = Run(resolve({**plain, "compare": compare, "evaluate": {"in_context": {**SHOWN, "examples": 1}}}))
    execute(second, say=quiet)
    after = json.loads((kept / "identity.json").read_text())
    assert {key for key in before if before[key] != after[key]} == {"in_context"}


@needs_rouge
def test_metrics_stand_beside_the_losses_of_trained_models(recipe: dict[str, Any], tmp_path: Path) -> None:
    values = {**recipe, "method": {"name": "random"}, "budget": 4, "merge": False, "out": str(tmp_path / "run")}
    evaluate = {"metrics": ["rouge1"], "max_new_tokens": 4}
    rows = execute(Run(resolve({**values, "compare": {"base": True}, "evaluate": evaluate})), say=quiet)
    assert [set(row["metrics"]) for row in rows] == [{"rouge1"}, {"rouge1"}]
    assert all(row["loss"] is not None and row["accuracy"] is not None for row in rows), "answers are implied"


def test_nothing_is_scored_that_was_not_asked_for(finished: Run) -> None:
    rows = json.loads((finished.folder / "scores.json").read_text())["rows"]
    assert all("metrics" not in row and "in_context" not in row for row in rows)
    assert list(finished.folder.glob("scores/*-in-context")) == []
    assert "ROUGE" not in score_table(rows)


@pytest.mark.parametrize(
    ("evaluate", "message"),
    [
        ({"metrics": ["similarity"]}, r"holds 'similarity'.*evaluate.encoder=NAME"),
        ({"metrics": ["judge"]}, r"holds 'judge'.*evaluate.judge={url: URL, model: NAME}"),
        ({"metrics": ["bleu"]}, r"evaluate.metrics.0: Input should be 'exact', 'rouge1'"),
        ({"judge": {"url": "localhost", "model": "m"}}, r"must begin with http"),
        ({"in_context": {"example": 3}}, r"evaluate.in_context.example: no such setting. Did you mean 'examples'"),
    ],
)
def test_a_metric_without_what_it_needs_is_refused_with_the_recipe(
    plain: dict[str, Any], evaluate: dict[str, Any], message: str
) -> None:
    with pytest.raises(SettingsError, match=message):
        resolve({**plain, "evaluate": evaluate})


def test_what_a_metric_needs_is_looked_for_before_anything_runs(
    plain: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = {"metrics": ["similarity"], "encoder": str(tmp_path / "no encoder")}
    with pytest.raises(ModelError, match="no encoder"):
        execute(Run(resolve({**plain, "evaluate": named})), say=quiet)
    monkeypatch.setattr(rouging, "find_spec", lambda name: None)
    with pytest.raises(ModelError, match=r"pip install 'coresift\[evaluation\]'"):
        execute(Run(resolve({**plain, "evaluate": {"metrics": ["rouge1"]}})), say=quiet)
    assert not Path(plain["out"]).exists()

"""Near duplicates and pieces of the test in a run: left out of the candidates, counted, listed with their reasons."""

import json
from pathlib import Path
from typing import Any

import pytest

from coresift.errors import DataError, SettingsError
from coresift.pipeline.recipes import resolve
from coresift.pipeline.reporting import report
from coresift.pipeline.runs import Run
from coresift.pipeline.stages import select


def begun(recipe: dict[str, Any], out: Path, rows: list[dict[str, Any]], pool: dict[str, Any], **changes: Any) -> Run:
    path = out.parent / f"{out.name}.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    small: dict[str, Any] = {"method": {"name": "random"}, "budget": 3, "train": None, "merge": False, "evaluate": {}}
    small |= {"pool": {**recipe["pool"], "path": str(path), **pool}, "compare": {"base": False}, "out": str(out)}
    return Run(resolve({**recipe, **small, **changes}))


def row(id: str, prompt: str, response: str) -> dict[str, Any]:
    return {"id": id, "messages": [{"role": "user", "content": prompt}, {"role": "assistant", "content": response}]}


ROWS = [row(f"e{place}", f"Tell me of number {place}", f"it is {place} " + f"word{place} " * 9) for place in range(8)]
COPY = row("copy", "Tell me of number 3", "it is 3 " + "word3 " * 9 + "!")


def test_near_duplicates_are_left_out_said_and_listed(recipe: dict[str, Any], tmp_path: Path) -> None:
    run = begun(recipe, tmp_path / "run", [*ROWS, COPY], {"held_out": 0, "near_duplicates": {"threshold": 0.8}})
    said: list[str] = []
    select(run, say=said.append)
    assert run.inputs.chosen_from.ids == tuple(f"e{place}" for place in range(8)) and run.inputs.not_drawn == 0
    assert any("pool: 8 of 9 examples to choose from, 1 near duplicates left out" in line for line in said)
    assert "a near duplicate of e3" in report(run, say=said.append).read_text()


def test_near_duplicates_that_are_not_to_be_dropped_are_counted(recipe: dict[str, Any], tmp_path: Path) -> None:
    run = begun(recipe, tmp_path / "run", [*ROWS, COPY], {"held_out": 0, "near_duplicates": {"drop": False}})
    said: list[str] = []
    select(run, say=said.append)
    assert len(run.inputs.candidates) == 9 and any("1 near duplicates among them" in line for line in said)


def test_examples_that_hold_a_piece_of_the_test_are_left_out(recipe: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "test.jsonl").write_text(json.dumps(row("t", "Tell me of number 5", "five")) + "\n")
    changes = {"evaluate": {"test": str(tmp_path / "test.jsonl")}}
    run = begun(recipe, tmp_path / "run", ROWS, {"decontaminate": {"ngram": 13}}, **changes)
    said: list[str] = []
    select(run, say=said.append)
    assert "e5" not in run.inputs.chosen_from.ids and len(run.inputs.candidates) == 7
    assert any("1 hold a piece of the test" in line for line in said)
    assert "shares with the test: tell me of number 5" in report(run, say=said.append).read_text()


def test_examples_held_out_for_scoring_are_the_test_and_their_copies_go(recipe: dict[str, Any], tmp_path: Path) -> None:
    twice = [*ROWS, *({**each, "id": f"again-{each['id']}"} for each in ROWS)]
    run = begun(recipe, tmp_path / "run", twice, {"held_out": 4, "decontaminate": {}})
    held = {run.inputs.pool[int(place)].messages[0].content for place in run.inputs.held_out_positions}
    assert not held & {example.messages[0].content for example in run.inputs.chosen_from}


def test_without_a_test_or_without_anything_left_the_message_says_so(recipe: dict[str, Any], tmp_path: Path) -> None:
    run = begun(recipe, tmp_path / "none", ROWS, {"held_out": 0, "decontaminate": {}})
    with pytest.raises(SettingsError, match=r"pool.decontaminate looks for pieces of the test.*Set evaluate.test"):
        _ = run.inputs.candidates
    (tmp_path / "all.jsonl").write_text("".join(json.dumps(each) + "\n" for each in ROWS))
    run = begun(recipe, tmp_path / "all", ROWS, {"decontaminate": {}}, evaluate={"test": str(tmp_path / "all.jsonl")})
    with pytest.raises(DataError, match="nothing is left to choose from: 8 examples"):
        _ = run.inputs.candidates

"""The verbs that read a pool take where it is, how its columns are called, and say what was not read of it."""

import json
from pathlib import Path
from typing import Any

import pytest
import tiny


def save(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_inspect_says_what_is_not_read_and_what_was_mended(coresift, tmp_path: Path) -> None:
    turns = [{"role": role, "content": "Hi"} for role in ("user", "assistant", "user")]
    rows = [{"messages": turns[:2], "topic": "a"}, {"messages": turns, "topic": "b", "meta": {"x": 1}}]
    answer = coresift("inspect", save(tmp_path / "pool.jsonl", rows))
    assert "  not read: topic (2 rows), meta (1 row)\n" in answer.out
    assert "  left out what comes after the assistant's last turn (1 row)\n" in answer.out


def test_inspect_takes_a_mapping_a_format_and_a_split(coresift, tmp_path: Path) -> None:
    pool = save(tmp_path / "pool.jsonl", [{"ask": "Q", "reply": "A"}, {"ask": "R", "reply": "B"}])
    mapped = coresift("inspect", pool, "--map", "prompt=ask", "--map", "response=reply")
    assert mapped.code == 0 and "examples: 2" in mapped.out
    assert (
        "examples: 1"
        in coresift("inspect", pool, "--map", "prompt=ask", "--map", "response=reply", "--split", "train[:1]").out
    )
    both = save(tmp_path / "both.jsonl", [{"prompt": "Q", "completion": "A", "question": "R", "answer": "B"}])
    refused = coresift("inspect", both)
    assert refused.code == 2 and "--set pool.format=prompt-completion" in refused.err
    assert coresift("inspect", both, "--format", "question-answer").code == 0
    wrong = coresift("inspect", pool, "--map", "prompt")
    assert wrong.code == 2 and "--map prompt: not of the form role=column" in wrong.err


def test_inspect_reads_several_files_as_one_pool(coresift, tmp_path: Path) -> None:
    one = save(tmp_path / "one.jsonl", [{"prompt": "Q", "completion": "A"}])
    two = save(tmp_path / "two.jsonl", [{"prompt": "R", "completion": "B"}])
    answer = coresift("inspect", one, two)
    assert f"pool {one}, {two}\n" in answer.out and "examples: 2" in answer.out


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    tiny.save(folder)
    return folder


def test_select_takes_several_files_and_a_part(coresift, model: Path, tmp_path: Path) -> None:
    rows = [{"prompt": f"Q{number}", "completion": "A"} for number in range(8)]
    files = [save(tmp_path / "one.jsonl", rows[:4]), save(tmp_path / "two.jsonl", rows[4:])]
    out = ("--model", model, "--method", "full", "--budget", "100%", "--out", tmp_path / "out")
    answer = coresift("select", *files, "--split", "train[:6]", *out)
    assert answer.code == 0, answer.err
    chosen = [json.loads(line)["prompt"] for line in (tmp_path / "out" / "coreset.jsonl").read_text().splitlines()]
    assert sorted(chosen) == ["Q0", "Q1", "Q2", "Q3", "Q4", "Q5"]


def test_select_can_be_strict_and_can_drop_copies(coresift, model: Path, tmp_path: Path) -> None:
    turns = [{"role": role, "content": "Hi"} for role in ("user", "assistant", "user")]
    pool = save(tmp_path / "pool.jsonl", [{"messages": turns}, {"messages": turns[:2]}])
    out = ("--model", model, "--method", "full", "--budget", "100%", "--out")
    refused = coresift("select", pool, "--strict", *out, tmp_path / "strict")
    assert refused.code == 2 and "line 1: the last turn is the user's; it must be the assistant's" in refused.err
    assert coresift("select", pool, *out, tmp_path / "out", "--set", "pool.deduplicate=drop").code == 0
    assert len((tmp_path / "out" / "coreset.jsonl").read_text().splitlines()) == 1

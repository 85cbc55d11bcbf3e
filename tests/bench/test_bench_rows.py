"""`coresift bench rows`: all ways of rendering give the same tokens."""

import json
from pathlib import Path

from coresift.bench.rows import synthetic


def test_every_way_gives_the_same_tokens(bench, tmp_path: Path) -> None:
    kept = tmp_path / "figures.json"
    answer = bench("rows", "--n", 40, "--repeats", 2, "--json", kept)
    assert answer.code == 0 and "40 rows" in answer.out and "peak memory of this process" in answer.out
    rows = json.loads(kept.read_text())["tables"][0]["rows"]
    assert [row["name"].split(",")[0] for row in rows] == ["spliced", "whole", "whole", "whole", "read back from files"]
    assert all(row["same_tokens"] is True and len(row["seconds"]) == 2 and row["cpu"] >= 0 for row in rows)


def test_a_pool_of_the_users_own_is_rendered_alone(bench, tmp_path: Path) -> None:
    row = {"messages": [{"role": "user", "content": "Who?"}, {"role": "assistant", "content": "He."}]}
    (tmp_path / "pool.jsonl").write_text(json.dumps(row) + "\n")
    answer = bench("rows", "--pool", tmp_path / "pool.jsonl", "--alone", "--repeats", 1)
    assert answer.code == 0 and "1 rows" in answer.out and "spliced" not in answer.out


def test_synthetic_rows_are_drawn_by_seed() -> None:
    first, again, other = list(synthetic(30)), list(synthetic(30)), list(synthetic(30, seed=1))
    assert first == again != other
    assert {message.role for example in first for message in example.messages} == {"system", "user", "assistant"}

"""A written coreset keeps the input's schema and can be read back as a pool."""

import datetime
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from coresift.data import Pool, SkippedRow, read_pool, write_coreset, write_skipped
from coresift.data.values import jsonable
from coresift.errors import DataError

TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(lambda text: text.strip() != "")
ROWS = [
    {"instruction": "Add", "input": "1 and 2", "output": "3", "cluster": 4},
    {"instruction": "Sing", "input": "", "output": "La", "cluster": 5},
    {"instruction": "Sit", "input": "", "output": "Ok", "cluster": 6},
]


def save(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text(json.dumps(rows))
    return path


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_rows_are_written_in_pick_order_with_id_and_weight(tmp_path: Path) -> None:
    pool = read_pool(save(tmp_path / "pool.json", ROWS))
    write_coreset(tmp_path / "coreset.jsonl", pool, np.array([2, 0]), np.array([0.1, 43], dtype=np.float32))
    assert lines(tmp_path / "coreset.jsonl") == [
        {**ROWS[2], "coresift_id": pool[2].id, "coresift_weight": 0.1},
        {**ROWS[0], "coresift_id": pool[0].id, "coresift_weight": 43.0},
    ]


@given(st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=6), st.data())
def test_any_text_survives_writing_and_reading(
    tmp_path_factory: pytest.TempPathFactory, pairs: list[tuple[str, str]], data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("coreset")
    pool = read_pool(save(folder / "pool.json", [{"question": ask, "answer": reply} for ask, reply in pairs]))
    picks = data.draw(st.permutations(range(len(pool))))
    write_coreset(folder / "coreset.jsonl", pool, picks, [1.0] * len(picks))
    again = read_pool(folder / "coreset.jsonl")
    assert list(again) == list(pool.take(picks))
    assert again.fingerprint == pool.take(picks).fingerprint
    assert len(lines(folder / "coreset.jsonl")) == len(picks)


def test_copies_keep_their_ids_when_a_coreset_is_read_again(tmp_path: Path) -> None:
    pool = read_pool(save(tmp_path / "pool.json", [ROWS[0], ROWS[0], ROWS[1]]))
    write_coreset(tmp_path / "coreset.jsonl", pool, [2, 1], [1, 2])
    assert read_pool(tmp_path / "coreset.jsonl").ids == (pool.ids[2], pool.ids[1])


@pytest.mark.parametrize("number", ["1", "NaN"])
def test_the_deepest_row_that_can_be_read_can_be_written(tmp_path: Path, number: str) -> None:
    deep = '{"prompt": "a", "completion": "b", "y": NUMBER, "x": ' + "[" * 499 + "]" * 499 + "}"
    (tmp_path / "pool.jsonl").write_text(deep.replace("NUMBER", number) + "\n")
    write_coreset(tmp_path / "coreset.jsonl", read_pool(tmp_path / "pool.jsonl"), [0], [1.0])
    assert read_pool(tmp_path / "coreset.jsonl")[0].messages[0].content == "a"


def test_a_coreset_of_a_coreset_gets_new_weights(tmp_path: Path) -> None:
    pool = read_pool(save(tmp_path / "pool.json", ROWS))
    write_coreset(tmp_path / "first.jsonl", pool, [2, 0], [5, 6])
    write_coreset(tmp_path / "second.jsonl", read_pool(tmp_path / "first.jsonl"), [1], [9])
    assert lines(tmp_path / "second.jsonl") == [{**ROWS[0], "coresift_id": pool[0].id, "coresift_weight": 9.0}]


def test_values_of_a_parquet_pool_become_json(tmp_path: Path) -> None:
    row = {
        "prompt": "Q",
        "completion": "A",
        "day": datetime.date(2024, 5, 1),
        "when": datetime.datetime(2024, 5, 1, 12, 30),
        "raw": b"\x00\xff",
        "scores": [0.5, float("nan")],
        "nested": {"price": Decimal("1.50")},
        "nothing": None,
    }
    parquet.write_table(pyarrow.Table.from_pylist([row]), tmp_path / "pool.parquet")
    write_coreset(tmp_path / "coreset.jsonl", read_pool(tmp_path / "pool.parquet"), [0], [1])
    (written,) = lines(tmp_path / "coreset.jsonl")
    assert written["day"] == "2024-05-01"
    assert written["when"] == "2024-05-01T12:30:00"
    assert written["raw"] == "AP8="
    assert written["scores"] == [0.5, None]
    assert written["nested"] == {"price": "1.50"}
    assert written["nothing"] is None


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.array([[1, 2]]), [[1, 2]]),
        (np.float32(0.5), 0.5),
        (np.float64("inf"), None),
        (datetime.time(9, 30), "09:30:00"),
        (datetime.timedelta(minutes=2), 120.0),
        ((1, {"a": True}), [1, {"a": True}]),
        ({1: "x"}, {"1": "x"}),
    ],
)
def test_other_values_have_a_nearest_json_value(value: Any, expected: Any) -> None:
    assert jsonable(value) == expected
    json.dumps(jsonable(value), allow_nan=False)


def test_half_a_character_in_a_column_nobody_reads_survives(tmp_path: Path) -> None:
    pool = read_pool(save(tmp_path / "pool.json", [{**ROWS[0], "note": "\ud800"}]))
    write_coreset(tmp_path / "coreset.jsonl", pool, [0], [1])
    assert lines(tmp_path / "coreset.jsonl")[0]["note"] == "\ud800"


@pytest.mark.parametrize(
    ("positions", "weights", "message"),
    [
        ([0, 1], [1.0], r"coreset\.jsonl: 2 positions but 1 weights\. Pass one weight per position"),
        ([0], [0.0], r"has the weight 0\.0\. Weights are finite and above 0"),
        ([0], [float("nan")], r"has the weight nan\. Weights are finite and above 0"),
        ([0], [-2], r"has the weight -2\.0"),
        ([7], [1.0], r"position 7 .* is not in the pool"),
        ([0, 0], [1.0, 1.0], r"position 0 comes twice"),
    ],
)
def test_a_coreset_that_makes_no_sense_leaves_no_file(
    tmp_path: Path, positions: list[int], weights: list[float], message: str
) -> None:
    pool = read_pool(save(tmp_path / "pool.json", ROWS))
    with pytest.raises(DataError, match=message):
        write_coreset(tmp_path / "coreset.jsonl", pool, positions, weights)
    assert [path.name for path in tmp_path.iterdir()] == ["pool.json"]


def test_skipped_rows_are_listed_with_record_reason_and_row(tmp_path: Path) -> None:
    pool = read_pool(save(tmp_path / "pool.json", [ROWS[0], {"instruction": "x", "output": ""}]), skip_bad_rows=True)
    write_skipped(tmp_path / "skipped.jsonl", pool.skipped)
    reason = "'output' is empty; the response needs text"
    assert lines(tmp_path / "skipped.jsonl") == [
        {"record": 2, "reason": reason, "row": {"instruction": "x", "output": ""}}
    ]


def test_no_skipped_rows_make_an_empty_file(tmp_path: Path) -> None:
    write_skipped(tmp_path / "skipped.jsonl", [])
    assert (tmp_path / "skipped.jsonl").read_bytes() == b""


def test_a_row_of_any_type_can_be_listed(tmp_path: Path) -> None:
    write_skipped(tmp_path / "skipped.jsonl", [SkippedRow(1, "why", None), SkippedRow(2, "why", ["a", "\u2028"])])
    assert lines(tmp_path / "skipped.jsonl")[1]["row"] == ["a", "\u2028"]


def test_a_pool_made_in_code_can_be_written_and_read(tmp_path: Path) -> None:
    pool = read_pool(save(tmp_path / "pool.json", ROWS))
    bare = Pool(pool)
    write_coreset(tmp_path / "coreset.jsonl", bare, [1, 2], [1, 1])
    assert list(read_pool(tmp_path / "coreset.jsonl")) == [pool[1], pool[2]]

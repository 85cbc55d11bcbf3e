"""What `datasets` and Arrow store in their own way reads like the JSON it came from."""

import json
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from pyarrow import parquet

from coresift.data import Pool, read_pool
from coresift.data.arrow_tables import ArrowRecords
from coresift.errors import DataError

datasets = pytest.importorskip("datasets")

ASK, REPLY = {"role": "user", "content": "Say\nit"}, {"role": "assistant", "content": 'a "1" é'}
PARTS = {"role": "user", "content": [{"type": "text", "text": "hi"}]}
TALKS = [{"messages": [{**ASK, "content": f"Say\nit {number}"}, REPLY]} for number in range(4)]
ODD: dict[str, list[dict[str, Any]]] = {
    "one row with parts": [*TALKS, {"messages": [PARTS, REPLY]}],
    "one turn with a weight": [*TALKS, {"messages": [ASK, {**REPLY, "weight": 1}]}],
    "one turn with a name": [*TALKS, {"messages": [{**ASK, "name": "Ann"}, REPLY]}],
    "calls with other arguments": [
        {"messages": [ASK, {**REPLY, "tool_calls": [{"name": "f", "arguments": {"a": 1}}]}]},
        {"messages": [ASK, {**REPLY, "tool_calls": [{"name": "f", "arguments": {"b": ["x"]}}]}]},
        {"messages": [ASK, {**REPLY, "tool_calls": [{"name": "f", "arguments": {"a": "text"}}]}]},
    ],
    "a column of mixed types": [
        {"prompt": "a", "completion": "x", "meta": 5},
        {"prompt": "b", "completion": "y", "meta": "z"},
    ],
}
BAD: dict[str, tuple[list[dict[str, Any]], str]] = {
    "a number after text": (
        [{"prompt": "a", "completion": "x"}, {"prompt": "b", "completion": 5}],
        r"(record|line) 2: 'completion' is a number; the response must be text",
    ),
    "text after a number": (
        [{"instruction": "a", "input": 5, "output": "x"}, {"instruction": "b", "input": "five", "output": "y"}],
        r"(record|line) 1: 'input' is a number; the input must be text",
    ),
}


def stored(rows: list[dict[str, Any]], folder: Path) -> list[Path]:
    """The rows as JSON Lines, as a saved data set and as Parquet."""
    path = folder / "pool.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    data = datasets.load_dataset("json", data_files=str(path), split="train", cache_dir=str(folder / "cache"))
    data.save_to_disk(folder / "saved")
    data.to_parquet(folder / "pool.parquet")
    return [path, folder / "saved", folder / "pool.parquet"]


def contents(pool: Pool) -> list[Any]:
    return [[message.facts for message in example.messages] for example in pool]


@pytest.mark.parametrize("kind", ODD)
def test_rows_of_mixed_types_read_like_their_json(kind: str, tmp_path: Path) -> None:
    plain, *others = [read_pool(path) for path in stored(ODD[kind], tmp_path)]
    for pool in others:
        assert contents(pool) == contents(plain)
        assert pool.fingerprint == plain.fingerprint
        assert pool.notes == plain.notes


@pytest.mark.parametrize("kind", BAD)
def test_a_wrong_type_is_the_fault_of_its_row_alone(kind: str, tmp_path: Path) -> None:
    rows, message = BAD[kind]
    for path in stored(rows, tmp_path):
        with pytest.raises(DataError, match=message):
            read_pool(path)
        assert len(read_pool(path, skip_bad_rows=True)) == 1


def test_metadata_tells_what_an_arrow_type_does_not() -> None:
    feature = {"talk": {"feature": {"role": {"dtype": "string"}, "content": {"_type": "Json"}}, "_type": "List"}}
    old = {"talk": [{"role": {"dtype": "string"}, "content": {"_type": "Json"}}]}
    for features in (feature, old):
        turns = [{"role": "user", "content": '"a\\n"'}, {"role": "assistant", "content": None}]
        table = pyarrow.Table.from_pylist([{"talk": turns}, {"talk": None}])
        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
        first, second = ArrowRecords(table)
        assert [turn["content"] for turn in first.row["talk"]] == ["a\n", None]
        assert second.row == {"talk": None}


def test_text_that_is_no_json_stays_what_it_is() -> None:
    features = {"info": {"features": {"a": {"_type": "Json"}}}}
    table = pyarrow.table({"a": ["{", "1"], "b": ["1", "{"]}).replace_schema_metadata(
        {"huggingface": json.dumps(features)}
    )
    assert [record.row for record in ArrowRecords(table)] == [{"a": "{", "b": "1"}, {"a": 1, "b": "{"}]


def test_every_row_of_a_table_is_found_in_any_order() -> None:
    records = ArrowRecords(pyarrow.table({"a": list(range(200))}))
    assert [records[place].row["a"] for place in (199, 0, 64, 63, -1)] == [199, 0, 64, 63, 199]
    assert [record.number for record in records[62:66]] == [63, 64, 65, 66]


@pytest.mark.parametrize("nested", [False, True])
def test_text_that_a_loader_took_for_dates_is_named_with_the_cause(nested: bool, tmp_path: Path) -> None:
    turns = [{"messages": [{**turn, "content": f"2024-05-0{day}"} for turn in (ASK, REPLY)]} for day in (1, 2)]
    pairs = [{"prompt": "When?", "completion": f"2024-05-0{day}"} for day in (1, 2)]
    plain, *others = stored(turns if nested else pairs, tmp_path)
    assert read_pool(plain)[0].messages[1].content == "2024-05-01"
    for path in others:
        with pytest.raises(
            DataError, match=r"is a date or time; .*The loaders of datasets .* dates of a column whose texts"
        ):
            read_pool(path)


def test_a_parquet_file_without_rows_or_columns_to_decode_is_read(tmp_path: Path) -> None:
    parquet.write_table(
        pyarrow.Table.from_pylist([{"prompt": "a", "completion": "b"}]).slice(0, 0), tmp_path / "p.parquet"
    )
    with pytest.raises(DataError, match=r"p\.parquet: no records\. A pool needs at least one"):
        read_pool(tmp_path / "p.parquet")

"""JSON, JSON Lines, CSV and Parquet give the same pool; a file that is none of them is refused as a whole."""

import csv
import datetime
import json
from pathlib import Path

import pyarrow
import pytest
from pyarrow import parquet

from coresift.data import Pool, json_files, read_pool
from coresift.errors import DataError

ROWS = [
    {"instruction": "Add, please", "input": "1\nand 2", "output": 'It is "3"'},
    {"instruction": "Größe?\u2028", "input": "", "output": "日本 🙂"},
]


def save(folder: Path, suffix: str) -> Path:
    path = folder / f"pool{suffix}"
    if suffix == ".json":
        path.write_text(json.dumps(ROWS), encoding="utf-8")
    elif suffix == ".parquet":
        parquet.write_table(pyarrow.Table.from_pylist(ROWS), path)
    elif suffix == ".csv":
        with path.open("w", newline="", encoding="utf-8") as handle:
            writer = csv.DictWriter(handle, list(ROWS[0]))
            writer.writeheader()
            writer.writerows(ROWS)
    else:
        path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS), encoding="utf-8")
    return path


@pytest.mark.parametrize("suffix", [".json", ".jsonl", ".ndjson", ".csv", ".parquet", ".JSON"])
def test_every_kind_of_file_gives_the_same_pool(tmp_path: Path, suffix: str) -> None:
    path = save(tmp_path, suffix.lower()).rename(tmp_path / f"given{suffix}")
    assert read_pool(path).fingerprint == read_pool(save(tmp_path, ".jsonl")).fingerprint
    assert [dict(read_pool(str(path)).row(position)) for position in (0, 1)] == ROWS


@pytest.mark.parametrize("suffix", [".json", ".jsonl", ".csv"])
def test_a_byte_order_mark_is_no_text(tmp_path: Path, suffix: str) -> None:
    path = save(tmp_path, suffix)
    plain = read_pool(path).fingerprint
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert read_pool(path).fingerprint == plain


@pytest.mark.parametrize("block", [1, 2, 7, 64])
def test_a_list_is_read_in_blocks_of_any_size(tmp_path: Path, block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "pool.json"
    rows = [*ROWS, {"instruction": "x" * 99, "output": "]},", "n": [1, {"a": 12}]}]
    path.write_text(f" {json.dumps(rows, ensure_ascii=False, indent=1)} \n", encoding="utf-8")
    whole = read_pool(path).fingerprint
    monkeypatch.setattr(json_files, "BLOCK", block)
    assert read_pool(path).fingerprint == whole
    path.write_text("[1, 23 , 456]")
    with pytest.raises(DataError, match=r"record 1: the record is a number.* 2 more of the 3 records"):
        read_pool(path)
    path.write_text('[{"a": 1} {"a": 2}]')
    with pytest.raises(DataError, match=r"line 1, column 11: not JSON \(Expecting ',' delimiter\)"):
        read_pool(path)


def test_a_json_file_of_lines_is_read_as_lines(tmp_path: Path) -> None:
    path = save(tmp_path, ".jsonl").rename(tmp_path / "pool.json")
    assert len(read_pool(path)) == 2


def test_windows_line_ends_and_blank_lines_are_passed_over(tmp_path: Path) -> None:
    path = save(tmp_path, ".jsonl")
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n\r\n"))
    assert len(read_pool(path)) == 2


def test_a_csv_field_may_be_longer_than_the_usual_limit(tmp_path: Path) -> None:
    before = csv.field_size_limit()
    path = tmp_path / "pool.csv"
    path.write_text(f"prompt,completion\nlong,{'x' * 200_000}\n")
    assert len(read_pool(path)[0].messages[1].content) == 200_000
    assert csv.field_size_limit() == before


def test_nested_parquet_columns_are_conversations(tmp_path: Path) -> None:
    turns = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]
    path = tmp_path / "pool.parquet"
    day = datetime.date(2024, 5, 1)
    parquet.write_table(pyarrow.Table.from_pylist([{"messages": turns, "day": day, "id": 4}]), path)
    assert read_pool(path)[0].messages[1].content == "Hello"
    assert read_pool(path).ids == ("4",)


TEXT_FAULTS = [
    ("pool.json", b'[{"prompt": "a", "completion": "b"},]', r"pool\.json, line 1, column 3\d: not JSON \("),
    ("pool.json", b'{"data": []}', r"pool\.json: no records\. A pool needs at least one"),
    ("pool.json", b'{"a": 1}', r"pool\.json: the top level is an object, not a list of records\. Put the records"),
    ("pool.json", b'{"a": [{}], "b": [{}]}', r"top level is an object with the lists 'a', 'b', not a list of records"),
    ("pool.json", b'{"messages": [{"role": "user"}]}', r"the top level is an object, not a list of records"),
    ("pool.json", b"3", r"pool\.json: the top level is a number, not a list of records"),
    ("pool.json", b"[]", r"pool\.json: no records\. A pool needs at least one"),
    ("pool.json", b"", r"pool\.json: the file is empty\. A pool needs at least one record"),
    ("pool.jsonl", b" \n\n", r"pool\.jsonl: the file is empty"),
    ("pool.csv", b"", r"pool\.csv: the file is empty"),
    ("pool.parquet", b"", r"pool\.parquet: the file is empty"),
    ("pool.parquet", b"PAR1 or not", r"pool\.parquet: not a readable Parquet file \("),
    ("pool.csv", b"prompt,completion\n", r"pool\.csv: no records\. A pool needs at least one"),
    (
        "pool.csv",
        b"prompt,prompt\na,b\n",
        r"the header has the column 'prompt' empty or twice\. Name every column once",
    ),
    ("pool.csv", b"prompt,\na,b\n", r"the header has the column '' empty or twice"),
    ("pool.csv", b'prompt,completion\na,"b\n', r"pool\.csv, line 2: not CSV \(unexpected end of data\)\. Fields with"),
    ("pool.jsonl", b'[\n{"prompt": "a"},]', r"pool\.jsonl, line 2, column 1\d: not JSON \(.*a \.jsonl pool one"),
    (
        "pool.jsonl",
        b'{"a": 1}\n{"b": "caf\xe9"}',
        r"pool\.jsonl, line 2: byte 19 \(0xe9\) is not UTF-8\. Pools are read",
    ),
    ("pool.jsonl", b"\xef\xbb\xbfab\n\xff", r"line 2: byte 6 \(0xff\) is not UTF-8"),
    ("pool.json", "[]".encode("utf-16"), r"line 1: byte 0 \(0xff\) is not UTF-8"),
    ("pool.json", b"[" * 200_000, r"pool\.json: not usable JSON \(nested too deeply\)"),
    ("pool.json", b"[" + b"1" * 5000 + b"]", r"pool\.json: not usable JSON \(Exceeds the limit"),
    ("pool.txt", b"Hi", r"pool\.txt: unknown suffix '\.txt'\. Known are \.json, \.jsonl"),
    ("pool", b"Hi", r"pool: unknown suffix ''"),
]


@pytest.mark.parametrize(("name", "content", "message"), TEXT_FAULTS)
@pytest.mark.parametrize("skip", [False, True])
def test_a_broken_file_is_refused_even_when_rows_may_be_skipped(
    tmp_path: Path, name: str, content: bytes, message: str, skip: bool
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_pool(path, skip_bad_rows=skip)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"prompt": "a", ', r"not JSON \(.*, column \d+\)"),
        ("[" * 200_000, r"not usable JSON \(nested too deeply\)"),
        ("[" * 501 + "]" * 501, r"not usable JSON \(nested too deeply\)"),
        ("1" * 5000, r"not usable JSON \(Exceeds the limit"),
    ],
)
def test_a_broken_line_is_one_bad_record(tmp_path: Path, line: str, reason: str) -> None:
    path = tmp_path / "pool.jsonl"
    path.write_text('{"prompt": "a", "completion": "b"}\n\n' + line + "\n")
    with pytest.raises(DataError, match=r"pool\.jsonl, line 3: " + reason):
        read_pool(path)
    (skipped,) = read_pool(path, skip_bad_rows=True).skipped
    assert (skipped.record, skipped.row) == (3, None)


def test_a_ragged_csv_row_is_one_bad_record(tmp_path: Path) -> None:
    path = tmp_path / "pool.csv"
    path.write_text("prompt,completion\na,b\n\nc\nd,e,f\ng,h\n")
    with pytest.raises(DataError, match=r"record 2: 1 fields where the header has 2.* 1 more of the 4 records"):
        read_pool(path)
    pool = read_pool(path, skip_bad_rows=True)
    assert [(row.record, row.row) for row in pool.skipped] == [(2, ["c"]), (3, ["d", "e", "f"])]
    assert len(pool) == 2


@pytest.mark.parametrize("name", ["missing.json", "folder/deeper/missing", "pool.xlsx", "gsm8k"])
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match=rf"{name}: no such file\. Check the path"):
        read_pool(tmp_path / name)


def test_a_folder_that_is_no_data_set_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a folder, but not one written by datasets .*Name a file in it"):
        read_pool(tmp_path)


def test_a_file_has_no_splits(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"pool\.json: a single file has no split 'test'\. Leave the split out"):
        read_pool(save(tmp_path, ".json"), split="test")


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    path = save(tmp_path, ".json")
    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(DataError, match=r"pool\.json: cannot be read \(Permission denied\)\. Check the permissions"):
        read_pool(path)


def test_the_file_is_named_as_it_was_typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path, ".json")
    monkeypatch.chdir(tmp_path)
    pool: Pool = read_pool("pool.json")
    assert pool.origin == "pool.json"

"""A pool may be packed, in several files, in a folder of shards, or a part of any of these; it reads the same."""

import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from pyarrow import parquet

from coresift.data import Pool, read_pool, write_skipped
from coresift.errors import DataError

ROWS = [{"prompt": f"Q{number}", "completion": f"Ä{number}"} for number in range(12)]


def lines(rows: list[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def zstd(data: bytes) -> bytes:
    sink = pyarrow.BufferOutputStream()
    with pyarrow.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(data)
    return bytes(sink.getvalue().to_pybytes())


def prompts(pool: Pool) -> list[str]:
    return [example.messages[0].content for example in pool]


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    """Twelve rows in files 1, 2 and 10, four in each, and other rows beside them."""
    for place, number in enumerate((1, 2, 10)):
        (tmp_path / f"part-{number}.jsonl").write_bytes(lines(ROWS[place * 4 : place * 4 + 4]))
    (tmp_path / "other.jsonl").write_bytes(lines([{"prompt": "x", "completion": "y"}]))
    return tmp_path


@pytest.mark.parametrize(("suffix", "pack"), [(".gz", gzip.compress), (".zst", zstd)])
@pytest.mark.parametrize("inner", [".jsonl", ".json", ".csv", ".tsv"])
def test_a_packed_file_reads_like_its_content(tmp_path: Path, suffix: str, pack: Any, inner: str) -> None:
    text = {
        ".jsonl": lines(ROWS),
        ".json": json.dumps(ROWS).encode(),
        ".csv": "".join(["prompt,completion\n", *(f"{row['prompt']},{row['completion']}\n" for row in ROWS)]).encode(),
        ".tsv": "".join(
            ["prompt\tcompletion\n", *(f"{row['prompt']}\t{row['completion']}\n" for row in ROWS)]
        ).encode(),
    }[inner]
    plain, packed = tmp_path / f"pool{inner}", tmp_path / f"pool{inner}{suffix}"
    plain.write_bytes(text)
    packed.write_bytes(pack(text))
    assert read_pool(packed).fingerprint == read_pool(plain).fingerprint


@pytest.mark.parametrize(("suffix", "pack"), [(".gz", gzip.compress), (".zst", zstd)])
def test_a_packed_file_that_is_not_whole_is_refused(tmp_path: Path, suffix: str, pack: Any) -> None:
    path = tmp_path / f"pool.jsonl{suffix}"
    whole = pack(lines(ROWS))
    for broken in (whole[:-4], b"no such thing", b""):
        path.write_bytes(broken)
        with pytest.raises(
            DataError, match=r"pool\.jsonl\.\w+: (cannot be unpacked \(.*Check that the file is|the file is e)"
        ):
            read_pool(path)


def test_a_packed_file_of_an_unknown_kind_is_refused(tmp_path: Path) -> None:
    (tmp_path / "pool.txt.gz").write_bytes(gzip.compress(b"x"))
    with pytest.raises(DataError, match=r"unknown suffix '\.txt\.gz'\. Known are .* packed with \.gz or \.zst"):
        read_pool(tmp_path / "pool.txt.gz")


def test_a_pattern_reads_its_files_by_their_numbers(shards: Path) -> None:
    pool = read_pool(f"{shards}/part-*.jsonl")
    assert prompts(pool) == [row["prompt"] for row in ROWS]
    assert pool.where(5) == f"{shards}/part-2.jsonl, line 2"
    assert pool.take([5]).where(0) == pool.where(5)


def test_several_files_are_read_one_after_the_other(shards: Path) -> None:
    paths = [shards / "part-10.jsonl", shards / "part-1.jsonl"]
    pool = read_pool(paths)
    assert prompts(pool) == [row["prompt"] for row in ROWS[8:] + ROWS[:4]]
    assert pool.origin == f"{paths[0]}, {paths[1]}"


def test_files_of_several_formats_make_one_pool(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(lines([{"instruction": "Q", "output": "A"}]))
    (tmp_path / "b.jsonl").write_bytes(lines(ROWS[:1]))
    pool = read_pool([tmp_path / "a.jsonl", tmp_path / "b.jsonl"])
    assert prompts(pool) == ["Q", "Q0"]
    assert dict(pool.row(0)) == {"instruction": "Q", "output": "A"}


def test_a_fault_in_one_of_several_files_names_that_file(shards: Path, tmp_path: Path) -> None:
    (shards / "part-2.jsonl").write_bytes(lines([ROWS[0], {"prompt": "x"}]))
    with pytest.raises(DataError, match=r"part-2\.jsonl, line 2: no 'completion'"):
        read_pool(f"{shards}/part-*.jsonl")
    pool = read_pool(f"{shards}/part-*.jsonl", skip_bad_rows=True)
    write_skipped(tmp_path / "skipped.jsonl", pool.skipped)
    skipped = json.loads((tmp_path / "skipped.jsonl").read_text())
    assert (skipped["file"], skipped["record"]) == (f"{shards}/part-2.jsonl", 2)


def test_equal_ids_in_two_files_name_both(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.jsonl").write_bytes(lines([{**ROWS[0], "id": "x"}]))
    with pytest.raises(DataError, match=r"b\.jsonl, line 1: the id 'x' is already that of \S*a\.jsonl, line 1"):
        read_pool(f"{tmp_path}/*.jsonl")


@pytest.mark.parametrize(
    ("part", "wanted"),
    [
        ("[:5]", range(5)),
        ("[5:]", range(5, 12)),
        ("[3:9]", range(3, 9)),
        ("[:50%]", range(6)),
        ("[10:99]", range(10, 12)),
    ],
)
def test_a_part_is_those_records(shards: Path, part: str, wanted: range) -> None:
    pool = read_pool(f"{shards}/part-*.jsonl{part}")
    assert prompts(pool) == [ROWS[place]["prompt"] for place in wanted]
    (shards / "whole.jsonl").write_bytes(lines(ROWS))
    one = read_pool(f"{shards}/whole.jsonl{part}")
    assert one.fingerprint == pool.fingerprint == read_pool(shards / "whole.jsonl", split=f"train{part}").fingerprint
    assert one.where(0) == f"{shards}/whole.jsonl{part}, line {wanted[0] + 1}"


def test_a_part_without_records_is_refused(shards: Path) -> None:
    with pytest.raises(
        DataError, match=r"part-1\.jsonl\[4:\]: the part is empty; there are 4 records\. Ask for another"
    ):
        read_pool(f"{shards}/part-1.jsonl[4:]")


def test_a_file_may_be_named_like_a_part(tmp_path: Path) -> None:
    (tmp_path / "pool.jsonl[:2]").write_bytes(b"")
    with pytest.raises(DataError, match=r"unknown suffix '\.jsonl\[:2\]'"):
        read_pool(tmp_path / "pool.jsonl[:2]")


def test_a_pattern_without_files_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"\*\.jsonl: no file matches\. Check the pattern, and the folder it starts from"
    ):
        read_pool(f"{tmp_path}/*.jsonl")


@pytest.mark.parametrize("inside", ["", "data"])
def test_a_folder_of_shards_is_read_split_by_split(tmp_path: Path, inside: str) -> None:
    folder = tmp_path / "set" / inside
    folder.mkdir(parents=True)
    for name, rows in (
        ("train-00000-of-00002", ROWS[:4]),
        ("train-00001-of-00002", ROWS[4:8]),
        ("test-00000-of-00001", ROWS[8:]),
    ):
        parquet.write_table(pyarrow.Table.from_pylist(rows), folder / f"{name}.parquet")
    (tmp_path / "set" / "README.md").write_text("words")
    pool = read_pool(tmp_path / "set")
    assert prompts(pool) == [row["prompt"] for row in ROWS[:8]]
    assert pool.where(4).endswith("train-00001-of-00002.parquet, record 1")
    assert prompts(read_pool(tmp_path / "set", split="test")) == [row["prompt"] for row in ROWS[8:]]
    assert prompts(read_pool(tmp_path / "set", split="test[:1]")) == ["Q8"]
    with pytest.raises(
        DataError, match=r"set: no split 'dev'; there are test, train\. Name one of them .*--split NAME"
    ):
        read_pool(tmp_path / "set", split="dev")


def test_shards_of_any_name_are_the_training_split(tmp_path: Path) -> None:
    for number in (2, 10, 1):
        parquet.write_table(pyarrow.Table.from_pylist(ROWS[number - 1 : number]), tmp_path / f"{number}.parquet")
    assert prompts(read_pool(tmp_path)) == ["Q0", "Q1", "Q9"]


def test_a_folder_of_configurations_is_asked_which(tmp_path: Path) -> None:
    for name in ("main", "extra"):
        (tmp_path / name).mkdir()
        parquet.write_table(pyarrow.Table.from_pylist(ROWS), tmp_path / name / "train-00000-of-00001.parquet")
    with pytest.raises(DataError, match=r"without Parquet files\. Parquet files are in extra, main: name one of these"):
        read_pool(tmp_path)
    assert len(read_pool(tmp_path / "main")) == 12

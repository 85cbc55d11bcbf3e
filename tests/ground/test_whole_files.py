"""A file is written whole or not at all."""

import json
from pathlib import Path

import pytest

from coresift import files


def test_text_is_written_as_utf8_and_folders_are_made(tmp_path: Path) -> None:
    files.write_text(tmp_path / "deep" / "er" / "file.txt", "Größe\u2028\n")
    assert (tmp_path / "deep" / "er" / "file.txt").read_bytes() == "Größe\u2028\n".encode()


def test_a_failed_write_keeps_the_old_file_and_leaves_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    files.write_text(path, "old")

    def fail(temporary: Path) -> None:
        temporary.write_text("half of the new")
        raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        files.write_whole(path, fail)
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file.txt"]


def test_the_target_does_not_change_before_the_write_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    seen: list[bool] = []
    files.write_whole(path, lambda temporary: (temporary.write_text("new"), seen.append(path.exists())))
    assert seen == [False]
    assert path.read_text() == "new"


def test_json_has_no_nan_and_a_refused_value_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        files.write_json(tmp_path / "file.json", {"loss": float("nan")})
    assert list(tmp_path.iterdir()) == []


def test_json_is_readable_by_people_and_programs(tmp_path: Path) -> None:
    value = {"name": "Größe", "list": [1, None, True]}
    files.write_json(tmp_path / "file.json", value)
    text = (tmp_path / "file.json").read_text(encoding="utf-8")
    assert json.loads(text) == value
    assert "Größe" in text
    assert text.endswith("}\n")

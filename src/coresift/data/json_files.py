"""JSON (one list of records) and JSON Lines (one record per line)."""

import json
from pathlib import Path
from typing import Any

from coresift.data.records import Record, decode, kind_of, numbered, read_bytes
from coresift.errors import DataError


def read_json(path: Path, name: str) -> list[Record]:
    """Read a JSON list; a file that really holds JSON Lines is read as such.

    Raises:
        DataError: If the file is not UTF-8, not JSON, or not a list at the top.
    """
    text = decode(read_bytes(path, name), name)
    try:
        top = _parse(text)
    except json.JSONDecodeError as error:
        if _is_lines(text):
            return _lines(text)
        raise DataError(
            f"{name}, line {error.lineno}, column {error.colno}: not JSON ({error.msg}). "
            "A .json pool is one list of records; for one record per line use the suffix .jsonl."
        ) from None
    except (ValueError, RecursionError) as error:
        raise DataError(f"{name}: not usable JSON ({_reason(error)}). A .json pool is one list of records.") from None
    if not isinstance(top, list):
        raise DataError(
            f"{name}: the top level is {kind_of(top)}, not a list of records. "
            "Put the records into one list, or one per line in a .jsonl file."
        )
    return numbered(top)


def read_jsonl(path: Path, name: str) -> list[Record]:
    """Read one record per line; blank lines are passed over, broken lines become records with a fault.

    Raises:
        DataError: If the file is not UTF-8, or is one JSON list.
    """
    text = decode(read_bytes(path, name), name)
    if text.lstrip().startswith("["):
        raise DataError(f"{name}: starts with a JSON list where every line is one record. Rename the file to .json.")
    return _lines(text)


def _lines(text: str) -> list[Record]:
    # Only \n ends a line: str.splitlines would also cut at U+2028 and its like, which JSON allows inside text.
    lines = enumerate(text.split("\n"), start=1)
    return [_line(number, line) for number, line in lines if line.strip() != ""]


def _line(number: int, line: str) -> Record:
    where = f"line {number}"
    try:
        return Record(number, where, _parse(line))
    except json.JSONDecodeError as error:
        return Record(number, where, None, f"not JSON ({error.msg}, column {error.colno})")
    except (ValueError, RecursionError) as error:
        return Record(number, where, None, f"not usable JSON ({_reason(error)})")


def _parse(text: str) -> Any:
    return json.loads(text)


def _is_lines(text: str) -> bool:
    """Whether the first line with text is a JSON object by itself."""
    first = next((line for line in text.split("\n") if line.strip() != ""), "")
    try:
        return isinstance(_parse(first), dict)
    except (ValueError, RecursionError):
        return False


def _reason(error: Exception) -> str:
    return "nested too deeply" if isinstance(error, RecursionError) else str(error)

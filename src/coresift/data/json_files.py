"""JSON (one list of records) and JSON Lines (one record per line)."""

import json
import re
from array import array
from typing import Any

import numpy as np

from coresift.data.records import BLOCK, Parsed, Record, TextRecords, kind_of, numbered, places_of
from coresift.data.turns import is_turn
from coresift.errors import DataError

_SPACE = re.compile(r"[ \t\r\n]*")
DEEPEST = 500
"""Lists and objects inside each other that a record may have: what can be read can also be written, and read again."""
MARK = b"\xef\xbb\xbf"
"""The byte order mark."""


def read_json(data: bytes, name: str) -> "TextRecords | list[Record]":
    """Read a JSON list of records, or an object with one such list in it; JSON Lines are read as such.

    Raises:
        DataError: If the text is not JSON, or holds no list of records.
    """
    elements = _elements(data)
    if elements is not None:
        return TextRecords(data, *elements, _parsed)
    try:
        top = json.loads(data.decode("utf-8-sig"))
    except json.JSONDecodeError as error:
        if isinstance(_first_line(data), dict | list):
            return _lines(data)
        raise DataError(
            f"{name}, line {error.lineno}, column {error.colno}: not JSON ({error.msg}). "
            "A .json pool is one list of records, a .jsonl pool one record per line."
        ) from None
    except (ValueError, RecursionError) as error:
        raise DataError(f"{name}: not usable JSON ({_reason(error)}). A .json pool is one list of records.") from None
    return numbered([as_row(value) for value in _records_in(top, name)])


def read_jsonl(data: bytes, name: str) -> "TextRecords | list[Record]":
    """Read one record per line; blank lines are passed over, broken lines become records with a fault.

    A line that is a list of turns is a conversation. A file that is one JSON list of records is read as such.

    Raises:
        DataError: As `read_json`, for a file that begins with a list and has no line of turns first.
    """
    if data[_first_place(data)] == ord("[") and not isinstance(_first_line(data), dict):
        return read_json(data, name)
    return _lines(data)


def as_row(value: Any) -> Any:
    """A list of turns as the row it stands for; anything else as it is."""
    is_talk = isinstance(value, list) and len(value) > 0 and all(map(is_turn, value))
    return {"messages": value} if is_talk else value


def _lines(data: bytes) -> TextRecords:
    # Only \n ends a line: others cut at U+2028 and its like too, which JSON allows inside text.
    breaks = places_of(data, b"\n")
    starts = np.concatenate([[_begin(data)], breaks + 1])
    ends = np.concatenate([breaks, [len(data)]])
    filled = np.array([_is_filled(data, start, end) for start, end in zip(starts.tolist(), ends.tolist(), strict=True)])
    numbers = None if filled[:-1].all() else np.flatnonzero(filled) + 1
    return TextRecords(data, starts[filled], ends[filled], _parsed, unit="line", numbers=numbers)


def _is_filled(data: bytes, start: int, end: int) -> bool:
    return start < end and (data[start] == ord("{") or data[start:end].decode().strip() != "")


def _begin(data: bytes) -> int:
    """Where the text begins: behind the byte order mark, if there is one."""
    return len(MARK) if data.startswith(MARK) else 0


def _first_place(data: bytes) -> int:
    """Where the first byte is that is no space; the data is not blank."""
    return next(place for place in range(_begin(data), len(data)) if data[place] not in b" \t\r\n")


def _first_line(data: bytes) -> Any:
    """The value of the first line with text; None if it is not JSON by itself."""
    start, end = _first_place(data), data.find(b"\n", _first_place(data))
    return _parsed(data[start : end if end >= 0 else len(data)].decode())[0]


def _parsed(text: str) -> Parsed:
    try:
        value = json.loads(text)
        if text.count("[") + text.count("{") > DEEPEST and _depth(value) > DEEPEST:
            raise RecursionError
        return as_row(value), ""
    except json.JSONDecodeError as error:
        return None, f"not JSON ({error.msg}, column {error.colno})"
    except (ValueError, RecursionError) as error:
        return None, f"not usable JSON ({_reason(error)})"


def _depth(value: Any) -> int:
    """How many lists and objects are inside each other."""
    depth, level = 0, [value]
    while len(level) > 0:
        inner = [each.values() if isinstance(each, dict) else each for each in level if isinstance(each, dict | list)]
        depth, level = depth + (len(inner) > 0), [item for items in inner for item in items]
    return depth


def _elements(data: bytes) -> tuple[np.ndarray, np.ndarray] | None:
    """Where the elements of a JSON list begin and end, in bytes; None if the data is no such list."""
    place, size = _first_place(data), BLOCK
    if data[place] != ord("["):
        return None
    place += 1
    starts, ends = array("q"), array("q")
    while True:
        # One character per byte: only text inside quotes differs, and places are those of the file.
        text = data[place : place + size].decode("latin-1")
        used, closed = _walk(text, place, starts, ends)
        if closed:
            rest = data[place + used :]
            return (np.array(starts), np.array(ends)) if rest == b"" or rest.isspace() else None
        if place + size >= len(data):
            return None
        place, size = place + used, BLOCK if used > 0 else 2 * size


def _walk(text: str, offset: int, starts: "array[int]", ends: "array[int]") -> tuple[int, bool]:
    """Note the elements of a list that the text has whole: how much of it that took, and whether the list ended."""
    decode, place = json.JSONDecoder().raw_decode, 0
    try:
        while True:
            start = _past(text, place)
            _, end = decode(text, start)
            after = _past(text, end)
            if text[after] not in ",]":
                return place, False
            starts.append(offset + start)
            ends.append(offset + end)
            place = after + 1
            if text[after] == "]":
                return place, True
    except (ValueError, IndexError, RecursionError):
        return place, False


def _past(text: str, place: int) -> int:
    """The next place that is no space."""
    match = _SPACE.match(text, place)
    return match.end() if match is not None else place


def _records_in(top: Any, name: str) -> list[Any]:
    """The list of records at the top, or the only one inside the object at the top."""
    if isinstance(top, list):
        return top
    lists = {key: value for key, value in top.items() if isinstance(value, list)} if isinstance(top, dict) else {}
    full = {key: value for key, value in lists.items() if all(map(_may_be_record, value))}
    if len(full) == 1:
        return next(iter(full.values()))
    several = f" with the lists {', '.join(map(repr, lists))}" if len(lists) > 1 else ""
    raise DataError(
        f"{name}: the top level is {kind_of(top)}{several}, not a list of records. "
        "Put the records into one list, or one per line in a .jsonl file."
    )


def _may_be_record(value: Any) -> bool:
    return isinstance(value, dict | list) and not is_turn(value)


def _reason(error: Exception) -> str:
    return "nested too deeply" if isinstance(error, RecursionError) else str(error)

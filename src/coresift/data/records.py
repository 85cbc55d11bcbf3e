"""What every reader yields: the records of an input in order, each with the words to point at it."""

import codecs
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, time
from typing import Any, overload

import numpy as np

from coresift.errors import DataError


@dataclass(frozen=True, slots=True)
class Record:
    """One record of an input, before anybody has looked inside.

    Attributes:
        number: 1-based position: the line in a JSON Lines file, the row elsewhere.
        where: The same in words, as an error names it.
        row: The parsed value, of any type; None where it could not be parsed.
        fault: Why it could not be parsed, or "".
        file: The file it is in, where there are several; otherwise "".
    """

    number: int
    where: str
    row: Any
    fault: str = ""
    file: str = ""


class RowFault(Exception):
    """One record breaks a rule; the reader adds file and position, and decides whether to skip it."""


BLOCK = 1 << 24
"""Bytes that are looked at together: a large file is never copied whole."""
Parsed = tuple[Any, str]
"""The value of a record and "", or what could be made of it and why that is not all."""


class TextRecords(Sequence[Record]):
    """The records of a text file, held as its bytes and parsed when asked for.

    Args:
        data: UTF-8.
        starts: Where each record begins, in bytes [n].
        ends: Where it ends [n].
        parse: From the text of one record to its value.
        unit: What a record is called: "line" or "record".
        numbers: 1-based numbers of the records [n]; None where there is no gap between them.
    """

    def __init__(
        self,
        data: bytes,
        starts: np.ndarray,
        ends: np.ndarray,
        parse: Callable[[str], Parsed],
        *,
        unit: str = "record",
        numbers: np.ndarray | None = None,
    ) -> None:
        width = np.uint32 if len(data) < 2**32 else np.uint64
        self._data, self._parse, self._unit = data, parse, unit
        self._starts, self._ends = starts.astype(width), ends.astype(width)
        self._numbers = None if numbers is None else numbers.astype(width)

    def __len__(self) -> int:
        return len(self._starts)

    @overload
    def __getitem__(self, position: int) -> Record: ...
    @overload
    def __getitem__(self, position: slice) -> list[Record]: ...
    def __getitem__(self, position: int | slice) -> Record | list[Record]:
        if isinstance(position, slice):
            return [self[place] for place in range(len(self))[position]]
        start, end = int(self._starts[position]), int(self._ends[position])
        number = range(1, len(self) + 1)[position] if self._numbers is None else int(self._numbers[position])
        return Record(number, f"{self._unit} {number}", *self._parse(self._data[start:end].decode()))


def numbered(rows: Sequence[Any]) -> list[Record]:
    """Records counted from 1."""
    return [Record(number, f"record {number}", row) for number, row in enumerate(rows, start=1)]


def refuse_other_text(data: bytes, name: str) -> None:
    """Raise DataError unless a text file is UTF-8 and not blank."""
    if data == b"" or data.isspace():
        raise DataError(f"{name}: the file is empty. A pool needs at least one record.")
    try:
        decoder = codecs.getincrementaldecoder("utf-8")()
        for start in _starts(data):
            decoder.decode(data[start : start + BLOCK])
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        _raise_not_utf8(data, name)


def places_of(data: bytes, byte: bytes) -> np.ndarray:
    """Where a byte stands in the data, ascending."""
    blocks = ((start, np.frombuffer(data, np.uint8, min(BLOCK, len(data) - start), start)) for start in _starts(data))
    return np.concatenate([np.flatnonzero(block == ord(byte)) + start for start, block in blocks])


def _starts(data: bytes) -> range:
    return range(0, len(data), BLOCK)


def _raise_not_utf8(data: bytes, name: str) -> None:
    try:
        data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{name}, line {line}: byte {error.start} (0x{data[error.start]:02x}) is not UTF-8. "
            "Pools are read as UTF-8: save the file in that encoding."
        ) from None


def kind_of(value: Any) -> str:
    """The type of a value in the words of a JSON file."""
    names = {type(None): "null", bool: "true or false", int: "a number", float: "a number", str: "text"}
    if isinstance(value, list | tuple):
        return "a list"
    if isinstance(value, date | time):
        return "a date or time"
    return "an object" if isinstance(value, dict) else names.get(type(value), type(value).__name__)


def must_be_text(value: Any, what: str, rule: str = "it must be text") -> str:
    """The value, if it is text that can be written.

    Raises:
        RowFault: If it is not; for a date the cause is named.
    """
    if isinstance(value, str):
        return unbroken(value, what)
    cause = (
        ". The loaders of datasets and pandas make dates of a column whose texts all look like dates: "
        "load the set again with that column as text"
    )
    raise RowFault(f"{what} is {kind_of(value)}; {rule}{cause if isinstance(value, date | time) else ''}")


def absent(value: Any) -> bool:
    """Whether a value stands for none: null, or what is not a number, which pandas writes for it."""
    return value is None or (isinstance(value, float) and value != value)


def is_empty(value: Any) -> bool:
    """Whether there is nothing in a value: it is absent, or empty text, an empty list or object."""
    return absent(value) or (isinstance(value, str | list | tuple | Mapping) and len(value) == 0)


def unbroken(text: str, where: str) -> str:
    """The text, if it can be written as UTF-8 at all. Raises RowFault."""
    try:
        _ = text.isascii() or text.encode()
    except UnicodeEncodeError as error:
        half = ord(text[error.start])
        raise RowFault(f"{where} holds half a character (\\u{half:04x}); it is no valid text") from None
    return text

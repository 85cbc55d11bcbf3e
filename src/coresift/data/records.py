"""What every reader yields: the records of an input in order, each with the words to point at it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from coresift.errors import DataError


@dataclass(frozen=True, slots=True)
class Record:
    """One record of an input, before anybody has looked inside.

    Attributes:
        number: 1-based position: the line in a JSON Lines file, the row elsewhere.
        where: The same in words, as an error names it.
        row: The parsed value, of any type; None where it could not be parsed.
        fault: Why it could not be parsed, or "".
    """

    number: int
    where: str
    row: Any
    fault: str = ""


class RowFault(Exception):
    """One record breaks a rule; the reader adds file and position, and decides whether to skip it."""


def numbered(rows: Sequence[Any]) -> list[Record]:
    """Records counted from 1."""
    return [Record(number, f"record {number}", row) for number, row in enumerate(rows, start=1)]


def read_bytes(path: Path, name: str) -> bytes:
    """The content of a text file that must not be blank."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"{name}: cannot be read ({error.strerror}). Check the permissions of the file.") from None
    if data.strip() == b"":
        raise DataError(f"{name}: the file is empty. A pool needs at least one record.")
    return data


def decode(data: bytes, name: str) -> str:
    """UTF-8 text without a byte order mark."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        # Decoders count from behind the mark; the position is looked up again so that it is the file's own.
        start = error.start + (3 if data.startswith(b"\xef\xbb\xbf") else 0)
        line = data.count(b"\n", 0, start) + 1
        raise DataError(
            f"{name}, line {line}: byte {start} (0x{data[start]:02x}) is not UTF-8. "
            "Pools are read as UTF-8: save the file in that encoding."
        ) from None


def kind_of(value: Any) -> str:
    """The type of a value in the words of a JSON file."""
    names = {type(None): "null", bool: "true or false", int: "a number", float: "a number", str: "text"}
    if isinstance(value, list | tuple):
        return "a list"
    return "an object" if isinstance(value, dict) else names.get(type(value), type(value).__name__)


def absent(value: Any) -> bool:
    """Whether a value stands for none: null, or what is not a number, which pandas writes for it."""
    return value is None or (isinstance(value, float) and value != value)


def is_empty(value: Any) -> bool:
    """Whether there is nothing in a value: it is absent, or empty text, an empty list or object."""
    return absent(value) or (isinstance(value, str | list | tuple | Mapping) and len(value) == 0)


def unbroken(text: str, where: str) -> str:
    """The text, if it can be written as UTF-8 at all. Raises RowFault."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        half = ord(text[error.start])
        raise RowFault(f"{where} holds half a character (\\u{half:04x}); it is no valid text") from None
    return text

"""CSV (comma, header line, RFC 4180 quotes), and the same with tabs."""

import csv
import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from coresift.data.records import Parsed, TextRecords
from coresift.errors import DataError

INDEX = "Unnamed: 0"
"""What pandas calls the first column of a file that it wrote its index into, whose header has no name for it."""


def read_csv(data: bytes, name: str, *, delimiter: str = ",") -> TextRecords:
    """Read a CSV file; a row with too few or too many fields becomes a record with a fault.

    Raises:
        DataError: If the header has a repeated name, or an empty one behind the first, or quotes are broken.
    """
    # One character per byte: quotes and delimiters are found where the file has them, and places are the file's.
    lines = _Lines(io.TextIOWrapper(io.BytesIO(data), encoding="latin-1", newline=""))
    with _long_fields():
        reader = csv.reader(lines, delimiter=delimiter, strict=True)
        try:
            header = next((row for row in reader if len(row) > 0), [])
            spans, start = [], lines.read
            for row in reader:
                if len(row) > 0:
                    spans.append((start, lines.read))
                start = lines.read
        except csv.Error as error:
            raise DataError(
                f"{name}, line {reader.line_num}: not {'CSV' if delimiter == ',' else 'TSV'} ({error}). Fields with "
                f"{'commas' if delimiter == ',' else 'tabs'}, quotes or line breaks stand in double quotes, and quotes "
                "inside them are doubled."
            ) from None
    names = _checked([column.encode("latin-1").decode("utf-8-sig") for column in header], name)
    places = np.array(spans, dtype=np.int64).reshape(-1, 2)
    return TextRecords(data, places[:, 0], places[:, 1], lambda text: _parsed(text, names, delimiter))


def read_tsv(data: bytes, name: str) -> TextRecords:
    """Read a file of values between tabs, quoted as in CSV. Raises DataError as `read_csv`."""
    return read_csv(data, name, delimiter="\t")


class _Lines(Iterator[str]):
    """The lines of a text with how many characters of it were read."""

    def __init__(self, text: io.TextIOBase) -> None:
        self._text, self.read = text, 0

    def __next__(self) -> str:
        line = next(self._text)
        self.read += len(line)
        return line


def _checked(header: list[str], name: str) -> list[str]:
    names = [INDEX if place == 0 and column == "" else column for place, column in enumerate(header)]
    for column in names:
        if column.strip() == "" or names.count(column) > 1:
            raise DataError(f"{name}: the header has the column {column!r} empty or twice. Name every column once.")
    return names


def _parsed(text: str, header: list[str], delimiter: str) -> Parsed:
    with _long_fields():
        row = next(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))
    if len(row) == len(header):
        return dict(zip(header, row, strict=True)), ""
    return row, f"{len(row)} fields where the header has {len(header)}"


@contextmanager
def _long_fields() -> Iterator[None]:
    """Lift the csv module's limit of 131 072 characters, which long responses pass, and put it back."""
    before = csv.field_size_limit(sys.maxsize)
    try:
        yield
    finally:
        csv.field_size_limit(before)

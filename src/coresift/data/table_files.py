"""CSV (comma, header line, RFC 4180 quotes) and Parquet."""

import csv
import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from coresift.data.records import Record, decode, numbered, read_bytes
from coresift.errors import DataError


def read_csv(path: Path, name: str) -> list[Record]:
    """Read a CSV file; a row with too few or too many fields becomes a record with a fault.

    Raises:
        DataError: If the file is not UTF-8, the header has an empty or repeated name, or quotes are broken.
    """
    text = decode(read_bytes(path, name), name)
    with _long_fields():
        reader = csv.reader(io.StringIO(text, newline=""), strict=True)
        try:
            header = _header(reader, name)
            return list(_rows(reader, header))
        except csv.Error as error:
            raise DataError(
                f"{name}, line {reader.line_num}: not CSV ({error}). Fields with commas, quotes or line breaks "
                "stand in double quotes, and quotes inside them are doubled."
            ) from None


def _header(reader: Iterator[list[str]], name: str) -> list[str]:
    header = next((row for row in reader if len(row) > 0), [])
    for column in header:
        if column.strip() == "" or header.count(column) > 1:
            raise DataError(f"{name}: the header has the column {column!r} empty or twice. Name every column once.")
    return header


def _rows(reader: Iterator[list[str]], header: list[str]) -> Iterator[Record]:
    filled = (row for row in reader if len(row) > 0)
    for number, row in enumerate(filled, start=1):
        where = f"record {number}"
        if len(row) == len(header):
            yield Record(number, where, dict(zip(header, row, strict=True)))
        else:
            yield Record(number, where, row, f"{len(row)} fields where the header has {len(header)}")


@contextmanager
def _long_fields() -> Iterator[None]:
    """Lift the csv module's limit of 131 072 characters, which long responses pass, and put it back."""
    before = csv.field_size_limit(sys.maxsize)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def read_parquet(path: Path, name: str) -> list[Record]:
    """Read all columns of a Parquet file.

    Raises:
        DataError: If pyarrow cannot read the file.
    """
    import pyarrow
    from pyarrow import parquet

    if path.stat().st_size == 0:
        raise DataError(f"{name}: the file is empty. A pool needs at least one record.")
    try:
        rows = parquet.ParquetFile(path).read().to_pylist()
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        raise DataError(
            f"{name}: not a readable Parquet file ({error}). Write it again with pyarrow or datasets."
        ) from None
    return numbered(rows)

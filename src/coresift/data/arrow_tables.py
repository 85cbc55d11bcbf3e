"""Arrow tables: those of Parquet files, and of data sets that `datasets` wrote."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from coresift.data.records import Record
from coresift.errors import DataError

if TYPE_CHECKING:
    import pyarrow

Decode = Callable[[Any], Any]
BLOCK = 64
"""Rows that are made at once: neighbours are mostly asked for one after the other."""


class ArrowRecords(Sequence[Record]):
    """The rows of a table, made when asked for, values of the feature `Json` decoded.

    Args:
        table: The table; a `huggingface` entry of its metadata tells the features that Arrow types do not.
    """

    def __init__(self, table: "pyarrow.Table") -> None:
        self._table = table
        features = _features(table.schema)
        decoders = {field.name: _decoder(field.type, features.get(field.name)) for field in table.schema}
        self._decoders = {name: decode for name, decode in decoders.items() if decode is not None}
        self._block: tuple[int, list[dict[str, Any]]] = (-1, [])

    def __len__(self) -> int:
        return int(self._table.num_rows)

    @overload
    def __getitem__(self, position: int) -> Record: ...
    @overload
    def __getitem__(self, position: slice) -> list[Record]: ...
    def __getitem__(self, position: int | slice) -> Record | list[Record]:
        if isinstance(position, slice):
            return [self[place] for place in range(len(self))[position]]
        place = range(len(self))[position]
        return Record(place + 1, f"record {place + 1}", self._row(place))

    def _row(self, place: int) -> dict[str, Any]:
        number, rows = self._block
        if number != place // BLOCK:
            number = place // BLOCK
            rows = self._table.slice(number * BLOCK, BLOCK).to_pylist()
            self._block = number, rows
        row = dict(rows[place % BLOCK])
        return {**row, **{name: decode(row[name]) for name, decode in self._decoders.items()}}


def read_parquet(path: Path, name: str) -> ArrowRecords:
    """Read all columns of a Parquet file.

    Raises:
        DataError: If pyarrow cannot read the file.
    """
    import pyarrow
    from pyarrow import parquet

    if path.stat().st_size == 0:
        raise DataError(f"{name}: the file is empty. A pool needs at least one record.")
    try:
        return ArrowRecords(parquet.ParquetFile(path).read())
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        raise DataError(
            f"{name}: not a readable Parquet file ({error}). Write it again with pyarrow or datasets."
        ) from None


def _features(schema: "pyarrow.Schema") -> Mapping[str, Any]:
    """The features that `datasets` wrote down in a schema; empty where it did not."""
    try:
        return dict(json.loads(schema.metadata[b"huggingface"])["info"]["features"])
    except (KeyError, TypeError, ValueError):
        return {}


def _decoder(kind: "pyarrow.DataType", feature: Any) -> Decode | None:
    """What turns stored values of a type into those that were meant; None where they are the same.

    Args:
        kind: The Arrow type.
        feature: What `datasets` calls it, as in its metadata, or None.
    """
    from pyarrow import types

    named = feature.get("_type") if isinstance(feature, Mapping) else None
    if getattr(kind, "extension_name", "") == "arrow.json" or named == "Json":
        return _from_json
    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        inner = feature.get("feature") if isinstance(feature, Mapping) else None
        if isinstance(feature, list) and len(feature) == 1:
            inner = feature[0]
        each = _decoder(kind.value_type, inner)
        return None if each is None else lambda value: None if value is None else [each(item) for item in value]
    if types.is_struct(kind):
        parts = feature if isinstance(feature, Mapping) and not isinstance(named, str) else {}
        named_fields = [kind.field(place) for place in range(kind.num_fields)]
        fields = {field.name: _decoder(field.type, parts.get(field.name)) for field in named_fields}
        known = {name: decode for name, decode in fields.items() if decode is not None}
        return (lambda value: _with_decoded(value, known)) if known else None
    return None


def _with_decoded(value: Any, fields: Mapping[str, Decode]) -> Any:
    return None if value is None else {**value, **{name: decode(value[name]) for name, decode in fields.items()}}


def _from_json(value: Any) -> Any:
    """The value of JSON source text; text that is none stays as it is, for another program may have written it."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value

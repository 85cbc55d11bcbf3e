"""`read_pool`: from a file, a folder or a Hub name to a pool, or to an error that says what is wrong where."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from coresift.data.examples import Interpreter, Join
from coresift.data.faults import first_fault, nothing_left
from coresift.data.formats import choose_layout
from coresift.data.locate import located
from coresift.data.pool import Pool
from coresift.data.reading import Reading
from coresift.errors import DataError


def read_pool(
    path: str | Path | Iterable[str | Path],
    *,
    format: str = "auto",
    columns: Mapping[str, str] | None = None,
    split: str = "train",
    join: Join = "blank line",
    skip_bad_rows: bool = False,
    strict: bool = False,
) -> Pool:
    """Read an instruction pool.

    Args:
        path: A .json, .jsonl, .ndjson, .csv, .tsv or .parquet file (text also packed: .gz, .zst), a pattern with * for
            several, a folder of Parquet files or one written by `datasets` (`save_to_disk`), or a Hub name: owner/name,
            or owner/name:configuration. `[start:end]` behind any of them reads a part; several are read one after the
            other.
        format: A name in `formats.FORMATS`, or "auto": by the columns.
        columns: Role to column, for columns with other names; the roles are `formats.ROLES`. An empty column name
            switches an optional role off.
        split: Which split of a folder or a data set; `[start:end]` behind it reads a part.
        join: What stands between an instruction and its input: a blank line, or a newline.
        skip_bad_rows: Leave records with a fault out and list them in `Pool.skipped`; otherwise the first one raises.
        strict: Refuse conversations that do not end with the assistant, begin with it, or have several turns of one
            speaker in a row; otherwise they are mended as trainers do it, and counted in `Pool.notes`.

    Returns:
        The pool, in input order. Ids come from the id column where a record has one, otherwise from the content. Those
        do not depend on the order of distinct records; the second copy of a conversation ends in "-2". What was not
        read of the records is in `Pool.notes`. Records stay packed: the pool needs little more memory than its files.

    Raises:
        DataError: With file, record, rule and next step; nothing is read by halves.
    """
    paths = [path] if isinstance(path, str | Path) else list(path)
    name = ", ".join(map(str, paths))
    sources = located(paths, split)
    if sum(len(source.records) for source in sources) == 0:
        raise DataError(f"{name}: no records. A pool needs at least one.")
    layouts = [
        choose_layout(source.records, format=format, columns=columns or {}, name=source.name) for source in sources
    ]
    reading = Reading(
        [(source, Interpreter(layout, join, strict)) for source, layout in zip(sources, layouts, strict=True)]
    )
    reasons = [reason for _, reason in reading.faults]
    firsts = [reading.record(place) for place, _ in reading.faults[:3]]
    if len(reasons) == reading.total or (reasons and not skip_bad_rows):
        named = [replace(record, file=record.file or name) for record in firsts]
        layout = reading.interpreter(reading.faults[0][0]).layout
        if not skip_bad_rows:
            raise DataError(first_fault(named[0], reasons, reading.total, layout))
        raise DataError(nothing_left(named, reasons, layout))
    return reading.pool(name)

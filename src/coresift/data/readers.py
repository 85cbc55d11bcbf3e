"""`read_pool`: from a file, a folder or a Hub name to a pool, or to an error that says what is wrong where."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from coresift.data import hub
from coresift.data.examples import Interpreter, Join
from coresift.data.formats import choose_layout
from coresift.data.json_files import read_json, read_jsonl
from coresift.data.notes import Notes, Tally
from coresift.data.pool import Example, Pool, Row, SkippedRow
from coresift.data.records import Record, RowFault
from coresift.data.table_files import read_csv, read_parquet
from coresift.errors import DataError
from coresift.progress import track

READERS: Mapping[str, Callable[[Path, str], list[Record]]] = {
    ".json": read_json,
    ".jsonl": read_jsonl,
    ".ndjson": read_jsonl,
    ".csv": read_csv,
    ".parquet": read_parquet,
}
"""What reads a file, by its suffix."""


def read_pool(
    path: str | Path,
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
        path: A .json, .jsonl, .ndjson, .csv or .parquet file, a folder written by `datasets` (`save_to_disk`), or a
            Hub name: owner/name, or owner/name:configuration.
        format: "messages", "sharegpt", "alpaca", "prompt-completion", "question-answer", or "auto": by the columns.
        columns: Role to column, for columns with other names. Roles: instruction, input, response, system, messages,
            prompt, source, id. An empty column name switches input, system, source or id off.
        split: Which split of a saved or Hub data set.
        join: What stands between an instruction and its input: a blank line, or a newline.
        skip_bad_rows: Leave records with a fault out and list them in `Pool.skipped`; otherwise the first one raises.
        strict: Refuse conversations that do not end with the assistant, begin with it, or have several turns of one
            speaker in a row; otherwise they are mended as trainers do it, and counted in `Pool.notes`.

    Returns:
        The pool, in input order. Ids come from the id column where a record has one, otherwise from the content. Those
        do not depend on the order of distinct records; the second copy of a conversation ends in "-2".

    Raises:
        DataError: With file, record, rule and next step; nothing is read by halves.
    """
    name = str(path)
    records = _read_records(path, name, split)
    if len(records) == 0:
        raise DataError(f"{name}: no records. A pool needs at least one.")
    layout = choose_layout(records, format=format, columns=columns or {}, name=name)
    examples, rows, faults, notes = _convert(records, Interpreter(layout, join, strict))
    if len(faults) > 0 and not skip_bad_rows:
        raise DataError(_first_fault(name, faults, len(records)))
    if len(examples) == 0:
        raise DataError(_nothing_left(name, faults))
    skipped = [SkippedRow(record.number, reason, record.row) for record, reason in faults]
    return Pool(examples, rows=rows, skipped=skipped, origin=name, notes=notes)


def _read_records(path: str | Path, name: str, split: str) -> list[Record]:
    file = Path(path).expanduser()
    if file.is_dir():
        if hub.is_saved(file):
            return hub.read_saved(file, name, split)
        raise DataError(
            f"{name}: a folder, but not one written by datasets (no dataset_dict.json or state.json in it). "
            "Name a file in it, or save the data set with save_to_disk."
        )
    if not file.exists():
        if hub.NAME.fullmatch(name) and file.suffix not in READERS and not file.parent.exists():
            return hub.read_hub(name, split)
        raise DataError(f"{name}: no such file. Check the path; a data set on the Hub is named owner/name.")
    if file.suffix.lower() not in READERS:
        raise DataError(
            f"{name}: unknown suffix {file.suffix!r}. Known are {', '.join(READERS)}; rename or convert the file."
        )
    if split != "train":
        raise DataError(
            f"{name}: a single file has no split {split!r}. Leave the split out, or name the split's own file."
        )
    return READERS[file.suffix.lower()](file, name)


def _convert(
    records: list[Record], interpreter: Interpreter
) -> tuple[list[Example], list[Row], list[tuple[Record, str]], Notes]:
    """Examples and their rows, the records with a fault, and what was not read."""
    examples: list[Example] = []
    rows: list[Row] = []
    faults: list[tuple[Record, str]] = []
    taken: dict[str, Record] = {}
    tally = Tally()
    for record in track(records, "reading the pool", total=len(records), unit="records"):
        try:
            if record.fault != "":
                raise RowFault(record.fault)
            example, notes = interpreter.example(record.row)
            example = _named(example, taken)
        except RowFault as fault:
            faults.append((record, str(fault)))
            continue
        taken[example.id] = record
        examples.append(example)
        rows.append(record.row)
        tally.add(notes)
    return examples, rows, faults, tally.notes


def _named(example: Example, taken: Mapping[str, Record]) -> Example:
    """The example with its id, from its content where the row has none."""
    if example.id == "":
        return replace(example, id=_free(example.content_key, taken))
    if example.id in taken:
        raise RowFault(
            f"the id {example.id!r} is already that of {taken[example.id].where}; ids must be unique. "
            "Mend them, or take ids from the content with --map id="
        )
    return example


def _free(key: str, taken: Mapping[str, Record]) -> str:
    """The content key, or with the number of its occurrence."""
    name, copy = key, 1
    while name in taken:
        copy += 1
        name = f"{key}-{copy}"
    return name


def _first_fault(name: str, faults: list[tuple[Record, str]], total: int) -> str:
    record, reason = faults[0]
    more = "" if len(faults) == 1 else f" {len(faults) - 1} more of the {total} records have faults."
    return f"{name}, {record.where}: {reason}. Fix the row or pass --skip-bad-rows to leave it out.{more}"


def _nothing_left(name: str, faults: list[tuple[Record, str]]) -> str:
    listed = "; ".join(f"{record.where}: {reason}" for record, reason in faults[:3])
    return (
        f"{name}: all {len(faults)} records have faults, so nothing is left after skipping. {listed}. "
        "Fix them, or name the columns with --map role=column."
    )

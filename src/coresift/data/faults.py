"""What is said of records that are no examples: which, why, and what to do; where all fail alike, of the format."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence

from coresift.data.formats import Layout
from coresift.data.hints import as_options, likely_roles, listed
from coresift.data.records import Record

ALIKE = 0.9
"""The share of records that fail in the same way from which on it is the format and not the row."""


def first_fault(record: Record, reasons: Sequence[str], total: int, layout: Layout) -> str:
    """The message for records that may not be skipped.

    Args:
        record: The first record with a fault; `file` names its file.
        reasons: Of every record with a fault, the first one's first.
        total: How many records there are in all.
        layout: By which they were read.
    """
    place = f"{record.file}, {record.where}: {reasons[0]}. "
    if total > 1 and _alike(reasons) >= ALIKE * total:
        more = f"{len(reasons) - 1} more of the {total} records fail in the same way"
        return f"{place}{more}{_of_the_format(record, layout)}"
    more = "" if len(reasons) == 1 else f" {len(reasons) - 1} more of the {total} records have faults."
    return f"{place}Fix the row or pass --skip-bad-rows to leave it out.{more}"


def nothing_left(records: Sequence[Record], reasons: Sequence[str], layout: Layout) -> str:
    """The message where every record was skipped; the first three of them, and arguments as above."""
    told = "; ".join(f"{record.where}: {reason}" for record, reason in zip(records, reasons, strict=False))
    start = f"{records[0].file}: all {len(reasons)} records have faults, so nothing is left after skipping. {told}. "
    if len(reasons) > 1 and _alike(reasons) >= ALIKE * len(reasons):
        return f"{start}They fail in the same way{_of_the_format(records[0], layout)}"
    return f"{start}Fix them, or name the columns with --map role=column."


def _alike(reasons: Sequence[str]) -> int:
    """How many of the faults are of the most frequent kind; kinds that differ in numbers are one."""
    return max(Counter(re.sub(r"\d+", "0", reason) for reason in reasons).values())


def _of_the_format(record: Record, layout: Layout) -> str:
    """The end of a sentence about records that fail in the same way, and what to do."""
    said = ", so it is the format and not the row. "
    if not isinstance(record.row, Mapping):
        return f"{said}A record is an object with named columns."
    columns = f"The columns are {listed(record.row, kinds=True)}. "
    roles = likely_roles(record.row)
    if {*roles.values()} <= {column for columns in layout.columns.values() for column in columns}:
        return f"{said}{columns}Fix them, or name the columns with --map role=column."
    return f"{said}{columns}Name them, for example {as_options(roles)}."

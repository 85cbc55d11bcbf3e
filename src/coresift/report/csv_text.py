"""The data of a figure as CSV, safe to open in a spreadsheet."""

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""How a cell begins that spreadsheets compute instead of showing it."""


def csv_text(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows of equal keys as CSV with a header; nothing for no rows. None is an empty cell.

    A text that a spreadsheet would take for a formula gets an apostrophe in front: names of sources come from the pool,
    and a pool may be anybody's. Numbers stay as they are.
    """
    if len(rows) == 0:
        return ""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: _safe(value) for key, value in row.items()} for row in rows)
    # Half a surrogate pair cannot be written as UTF-8; it becomes a question mark, as on the page.
    return buffer.getvalue().encode("utf-8", "replace").decode("utf-8")


def _safe(value: Any) -> Any:
    if isinstance(value, str) and value.startswith(FORMULA):
        return f"'{value}"
    return value

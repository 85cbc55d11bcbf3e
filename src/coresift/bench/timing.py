"""What a benchmark yields: tables of timed rows, as text for people and as plain values for a file."""

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch


@dataclass(frozen=True, slots=True)
class Row:
    """One thing measured.

    Attributes:
        name: What ran.
        seconds: Wall time of every repeat.
        facts: What else is known of it, in the order of columns; underscores become spaces in a heading.
    """

    name: str
    seconds: tuple[float, ...]
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def median(self) -> float:
        """Median seconds."""
        return statistics.median(self.seconds)


@dataclass(frozen=True, slots=True)
class Table:
    """Rows that may be compared with one another: they ran on the same data, in one run.

    Attributes:
        title: What was measured.
        rows: Ratios are to the first of them.
        notes: What a reader must know besides, one line each.
        named: Facts that the names of the rows say already: no columns of the text.
    """

    title: str
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()
    named: tuple[str, ...] = ()

    @property
    def plain(self) -> dict[str, Any]:
        """The same as values that JSON knows."""
        rows = [
            {
                "name": row.name,
                "seconds": list(row.seconds),
                "median": row.median,
                "ratio": self.ratio(row),
                **row.facts,
            }
            for row in self.rows
        ]
        return {"title": self.title, "rows": rows, "notes": list(self.notes)}

    def ratio(self, row: Row) -> float | None:
        """How many times the seconds of the first row; None where those are too short for the clock."""
        first = self.rows[0].median
        return row.median / first if first > 0 else None


def timed(
    name: str,
    work: Callable[[], Any],
    repeats: int,
    facts: Callable[[Any], Mapping[str, Any]] = lambda _: {},
    *,
    warm: bool = False,
) -> Row:
    """Run some times; `facts` is asked about the last answer.

    Args:
        name: What the row is called.
        work: What is timed; work on an accelerator is waited for.
        repeats: How many times.
        facts: Answer -> what else to say about it.
        warm: Whether one run goes before that is not counted.
    """
    seconds = []
    if warm:
        work()
    for _ in range(repeats):
        finish()
        began = time.perf_counter()
        found = work()
        finish()
        seconds.append(time.perf_counter() - began)
    return Row(name, tuple(seconds), facts(found))


def finish() -> None:
    """Wait until an accelerator in use has done what it was given."""
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        torch.cuda.synchronize()


def show(table: Table) -> str:
    """A plain table: median, [least, most] where there are repeats, ratio to the first row, then the facts."""
    lines = _aligned([_heading(table), *(_cells(table, row) for row in table.rows)]) if table.rows else []
    return "\n".join([table.title, *lines, *(f"  {note}" for note in table.notes)])


def _columns(table: Table) -> list[str]:
    return list(dict.fromkeys(key for row in table.rows for key in row.facts if key not in table.named))


def _heading(table: Table) -> list[str]:
    spread = ["[least, most]"] if _repeated(table) else []
    ratio = ["ratio"] if len(table.rows) > 1 else []
    return ["", "seconds", *spread, *ratio, *(key.replace("_", " ") for key in _columns(table))]


def _cells(table: Table, row: Row) -> list[str]:
    several = f"[{_seconds(min(row.seconds))}, {_seconds(max(row.seconds))}]" if len(row.seconds) > 1 else ""
    spread = [several] if _repeated(table) else []
    share = table.ratio(row)
    ratio = ["" if share is None else f"{share:.2f}"] if len(table.rows) > 1 else []
    return [row.name, _seconds(row.median), *spread, *ratio, *(_number(row.facts.get(key)) for key in _columns(table))]


def _repeated(table: Table) -> bool:
    return any(len(row.seconds) > 1 for row in table.rows)


def _seconds(value: float) -> str:
    return f"{value:.3g}" if value < 100 else f"{value:,.0f}"


def _number(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3g}" if abs(value) < 100 else f"{value:.7g}"
    return "" if value is None else str(value)


def _aligned(rows: list[list[str]]) -> list[str]:
    """Names to the left, all else to the right."""
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    return [
        ("  " + row[0].ljust(widths[0]) + "".join(f"  {cell:>{width}}" for cell, width in _rest(row, widths))).rstrip()
        for row in rows
    ]


def _rest(row: list[str], widths: list[int]) -> list[tuple[str, int]]:
    return list(zip(row[1:], widths[1:], strict=True))

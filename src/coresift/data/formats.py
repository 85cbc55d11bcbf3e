"""The formats of instruction data, told apart by their columns; `columns` says otherwise where names differ."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from coresift.data.hints import as_options, likely_roles, listed
from coresift.data.pool import Row
from coresift.data.records import Record, absent
from coresift.errors import DataError

OPTIONAL = ("input", "history", "system", "tools", "reasoning", "label", "media", "id", "source")
ROLES = ("instruction", "prompt", "response", "messages", *OPTIONAL)
_EVERYWHERE: Mapping[str, tuple[str, ...]] = {
    "system": ("system", "system_prompt"),
    "tools": ("tools", "functions"),
    "label": ("label", "kto_tag"),
    "media": ("image", "images", "audio", "audios", "video", "videos"),
    "id": ("coresift_id", "id"),
    "source": ("source", "dataset"),
}
"""A coreset that is read again keeps the ids it was written with, so coresift_id comes first."""
PREFERRED = "chosen"
"""The column of the better one of two responses."""
_THOUGHT = ("reasoning_content", "thinking")


@dataclass(frozen=True, slots=True)
class Layout:
    """Which columns of a record play which role.

    Attributes:
        name: Name of the format.
        columns: For each role the column names it may have; exactly one of them holds the value.

        required: Roles without which there is no example.
    """

    name: str
    columns: Mapping[str, tuple[str, ...]]
    required: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "required", tuple(role for role in self.columns if role not in OPTIONAL))

    def fits(self, row: Row) -> bool:
        """Whether every required role has a column."""
        return all(self._has(row, role) for role in self.required)

    def touches(self, row: Row) -> bool:
        """Whether any required role has a column."""
        return any(self._has(row, role) for role in self.required)

    def _has(self, row: Row, role: str) -> bool:
        return any(not absent(row.get(column)) for column in self.columns[role])


def _talk(name: str, *columns: str) -> Layout:
    return Layout(name, {"messages": columns, **_EVERYWHERE})


def _pair(name: str, ask: str, response: str, **columns: tuple[str, ...]) -> Layout:
    return Layout(name, {"prompt": (ask,), "response": (response,), **columns, "reasoning": _THOUGHT, **_EVERYWHERE})


_ALPACA: Mapping[str, tuple[str, ...]] = {
    "instruction": ("instruction",),
    "input": ("input", "context"),
    "response": ("output", "response"),
    "history": ("history",),
    "reasoning": _THOUGHT,
}
FORMATS: Mapping[str, Layout] = {
    layout.name: layout
    for layout in (
        _talk("messages", "messages"),
        _talk("sharegpt", "conversations", "conversation"),
        Layout("alpaca", {**_ALPACA, **_EVERYWHERE}),
        _pair("prompt-completion", "prompt", "completion"),
        _pair("question-answer", "question", "answer", input=("context",)),
        _pair("query-response", "query", "response", history=("history",)),
        _pair("question-response", "question", "response"),
        _pair("prompt-response", "prompt", "response"),
    )
}
"""Every known format by name."""
_WEAK = ("query-response", "question-response", "prompt-response")
"""Formats that a row has only if it has none of the others."""


def choose_layout(records: Iterable[Record], *, format: str, columns: Mapping[str, str], name: str) -> Layout:
    """The one layout of a file: decided by the first record whose columns fit a format.

    Args:
        records: The records of the file.
        format: A name in `FORMATS`, or "auto".
        columns: Role to column; a column of "" switches an optional role off.
        name: The file as errors call it.

    Raises:
        DataError: If format, role or mapped column is unknown, or the columns fit no format or several.
    """
    rows = _Rows(records)
    _check_columns(columns, rows, name)
    layouts = _candidates(format, columns, name)
    if len(layouts) == 1:
        return layouts[0]
    for row in rows:
        fitting = [layout for layout in layouts if layout.fits(row)]
        fitting = [layout for layout in fitting if layout.name not in _WEAK] or fitting
        if len(fitting) > 1:
            names = " and ".join(layout.name for layout in fitting)
            raise DataError(
                f"{name}: the columns {listed(row)} fit {names}. Say which one with the format setting (--set "
                f"pool.format={fitting[0].name}; of inspect --format {fitting[0].name})."
            )
        if len(fitting) == 1:
            return fitting[0]
    return _nearest(layouts, rows, name)


class _Rows(Iterable[Row]):
    """The rows of the records that are objects, made anew for every look at them."""

    def __init__(self, records: Iterable[Record]) -> None:
        self._records = records

    def __iter__(self) -> Iterator[Row]:
        for record in self._records:
            if isinstance(record.row, Mapping) and record.fault == "":
                yield record.row


def _nearest(layouts: list[Layout], rows: Iterable[Row], name: str) -> Layout:
    """The layout of which a record has a part, so that its fault can say what is missing."""
    for row in rows:
        for layout in layouts:
            if layout.touches(row) or row.get(PREFERRED) is not None:
                return layout
    for row in rows:  # where the columns are there, but hold nothing
        for layout in layouts:
            if all(any(column in row for column in layout.columns[role]) for role in layout.required):
                return layout
    first = next(iter(rows), None)
    if first is not None:
        example = as_options(likely_roles(first))
        advice = (
            f"for example {example}" if example else "one of turns (messages), or one of prompts and one of responses"
        )
        raise DataError(
            f"{name}: the columns {listed(first)} fit no known format ({', '.join(FORMATS)}). "
            f"Name the columns with --map role=column, {advice}."
        )
    return layouts[0]


def _candidates(format: str, columns: Mapping[str, str], name: str) -> list[Layout]:
    if format != "auto" and format not in FORMATS:
        raise DataError(f"{name}: unknown format {format!r}. Known are auto, {', '.join(FORMATS)}.")
    known = FORMATS.values() if format == "auto" else [FORMATS[format]]
    mapped = [_override(layout, columns) for layout in known if set(columns) <= set(layout.columns)]
    # Mapping every required role of two formats makes them the same; the first one stands for both.
    distinct = {repr([layout.columns[role] for role in layout.required]): layout for layout in reversed(mapped)}
    if len(distinct) == 0:
        raise DataError(
            f"{name}: the mapped roles {', '.join(columns)} do not go together"
            f"{'' if format == 'auto' else f' in the format {format}'}. Map messages; or instruction, input and "
            "response; or prompt and response; system, tools, source and id go with each."
        )
    return list(reversed(distinct.values()))


def _override(layout: Layout, columns: Mapping[str, str]) -> Layout:
    named = {role: (column,) if column != "" else () for role, column in columns.items()}
    return replace(layout, columns={**layout.columns, **named})


def _check_columns(columns: Mapping[str, str], rows: Iterable[Row], name: str) -> None:
    for role, column in columns.items():
        if role not in ROLES:
            raise DataError(f"{name}: unknown role {role!r} in the column mapping. Roles are {', '.join(ROLES)}.")
        if column == "" and role not in OPTIONAL:
            raise DataError(f"{name}: the role {role!r} is mapped to no column; only {', '.join(OPTIONAL)} can be off.")
        first = next(iter(rows), None)
        if column != "" and first is not None and not any(column in row for row in rows):
            raise DataError(
                f"{name}: no column {column!r}, to which the role {role!r} is mapped. Columns are {listed(first)}."
            )

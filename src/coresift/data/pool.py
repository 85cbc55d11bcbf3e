"""What an instruction pool is: examples with stable ids, in a fixed order, with a fingerprint."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from types import MappingProxyType
from typing import Any, Literal, overload

import numpy as np

from coresift import fingerprints
from coresift.data.index import Index, keys_of
from coresift.data.lazy import taken
from coresift.data.notes import DROPPED, Notes
from coresift.data.records import Record
from coresift.errors import DataError

Role = Literal["system", "user", "assistant", "tool"]
Row = Mapping[str, Any]
"""A record as it stood in the input file."""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call of a tool, as the assistant writes it.

    Attributes:
        name: Of the tool.
        arguments: As JSON text.
        id: What the tool's answer refers to, or "".
    """

    name: str
    arguments: str
    id: str = ""


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation.

    Attributes:
        role: Who speaks. A tool's answer is context, like what the user says.
        content: The text; may be empty beside `tool_calls`.
        learn: Whether a turn of the assistant is a response; one that is not to be learned is context.
        reasoning: The thought that the assistant wrote before its content, without the marks around it, or "".
        tool_calls: What the assistant calls, after its content; part of its response.
        name: Of the tool that answers, or "".
        call_id: The id of the call that a tool answers, or "".
    """

    role: Role
    content: str
    learn: bool = True
    reasoning: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    name: str = ""
    call_id: str = ""

    @property
    def facts(self) -> list[Any]:
        """What identity is made of: role and content, and whatever else is not as usual."""
        if self.learn and not (self.reasoning or self.tool_calls or self.name or self.call_id):
            return [self.role, self.content]
        calls = [[call.name, call.arguments, call.id] for call in self.tool_calls]
        more = {"reasoning": self.reasoning, "tool_calls": calls, "name": self.name, "call_id": self.call_id}
        unusual = {field: value for field, value in more.items() if value}
        return [self.role, self.content, unusual if self.learn else {**unusual, "learn": False}]


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One conversation with at least one turn of the assistant that is to be learned.

    Attributes:
        id: Name that survives sorting, filtering and re-reading; unique within a pool.
        messages: The turns, in order.
        source: Where the example comes from (a data set, a task family), or "".
        tools: The tools that may be called, as the JSON text of a list, or "".
    """

    id: str
    messages: tuple[Message, ...]
    source: str = ""
    tools: str = ""

    @property
    def content_key(self) -> str:
        """A hash of the turns alone: equal exactly when two examples are exact duplicates."""
        turns = [message.facts for message in self.messages]
        return fingerprints.of_json([*turns, {"tools": self.tools}] if self.tools else turns)


@dataclass(frozen=True, slots=True)
class SkippedRow:
    """A record that was left out, and why."""

    record: int
    """1-based position in the input."""
    reason: str
    row: Any
    """The record as read; None where it could not be parsed."""
    file: str = ""
    """The file it is in, where a pool was read from several."""


class Pool(Sequence[Example]):
    """An immutable sequence of examples with the rows they were read from.

    Args:
        examples: The examples, in pool order; ids must be unique.
        rows: The input records, one per example, in the same order; the coreset is written in their schema.
        skipped: Records left out on reading.
        origin: Path or name the pool was read from, for messages only; not part of the fingerprint.
        notes: What was not read of the rows, and what was changed on the way.

    Raises:
        DataError: If the pool is empty, two ids are equal, or `rows` and `examples` differ in number.
    """

    def __init__(
        self,
        examples: Iterable[Example],
        *,
        rows: Iterable[Row] | None = None,
        skipped: Iterable[SkippedRow] = (),
        origin: str = "",
        notes: Notes | None = None,
    ) -> None:
        made = tuple(examples)
        its_rows = tuple(map(_row_of, made)) if rows is None else tuple(rows)
        if len(its_rows) != len(made):
            raise DataError(
                f"{origin or 'pool'}: {len(its_rows)} rows for {len(made)} examples. Pass one row per example."
            )
        records = [Record(number, f"example {number}", row) for number, row in enumerate(its_rows, start=1)]
        ids, sources = tuple(one.id for one in made), tuple(one.source for one in made)
        index = Index(ids, sources, keys_of(one.content_key for one in made))
        self._fill(made, records, index, tuple(skipped), origin, notes or Notes())
        for position, id in enumerate(ids):
            if self._positions[id] != position:
                raise DataError(
                    f"{origin or 'pool'}: examples {position + 1} and {self._positions[id] + 1} share the id {id!r}. "
                    "Ids must be unique: fix the 'id' column or remove it to get ids derived from the content."
                )

    @classmethod
    def packed(
        cls,
        examples: Sequence[Example],
        records: Sequence[Record],
        index: Index,
        *,
        skipped: Sequence[SkippedRow] = (),
        origin: str = "",
        notes: Notes | None = None,
    ) -> "Pool":
        """A pool of examples and records that are made when asked for, with what is known of them already.

        Raises:
            DataError: If the pool is empty.
        """
        pool = cls.__new__(cls)
        pool._fill(examples, records, index, skipped, origin, notes or Notes())
        return pool

    def _fill(
        self,
        examples: Sequence[Example],
        records: Sequence[Record],
        index: Index,
        skipped: Sequence[SkippedRow],
        origin: str,
        notes: Notes,
    ) -> None:
        if len(examples) == 0:
            raise DataError(f"{origin or 'pool'}: no examples. A pool needs at least one usable record.")
        self._examples, self._records, self._index = examples, records, index
        self._skipped, self._origin, self._notes = skipped, origin, notes

    def __len__(self) -> int:
        return len(self._examples)

    @overload
    def __getitem__(self, position: int) -> Example: ...
    @overload
    def __getitem__(self, position: slice) -> tuple[Example, ...]: ...
    def __getitem__(self, position: int | slice) -> Example | tuple[Example, ...]:
        return tuple(self._examples[position]) if isinstance(position, slice) else self._examples[position]

    def __iter__(self) -> Iterator[Example]:
        return iter(self._examples)

    def __repr__(self) -> str:
        return f"Pool({len(self)} examples, fingerprint {self.fingerprint})"

    @property
    def skipped(self) -> Sequence[SkippedRow]:
        """Records left out on reading."""
        return self._skipped

    @property
    def origin(self) -> str:
        """Path or name the pool was read from, or ""."""
        return self._origin

    @property
    def notes(self) -> Notes:
        """What was not read of the rows, and what was changed; of all that was read, also in a part of it."""
        return self._notes

    @property
    def ids(self) -> tuple[str, ...]:
        """Ids in pool order."""
        return self._ids

    @cached_property
    def _ids(self) -> tuple[str, ...]:
        return tuple(self._index.ids)

    @property
    def sources(self) -> Sequence[str]:
        """Where each example comes from, in pool order."""
        return self._index.sources

    @property
    def content_keys(self) -> np.ndarray:
        """`Example.content_key` of every example as a number, uint64 [n]: equal exactly where turns are."""
        return self._index.keys

    @cached_property
    def fingerprint(self) -> str:
        """Hash of ids, sources and turns in order: equal pools, equal fingerprints, on every machine."""
        return self._index.fingerprint

    @cached_property
    def _positions(self) -> dict[str, int]:
        return {id: position for position, id in enumerate(self.ids)}

    def position(self, id: str) -> int:
        """Pool position of an id. Raises DataError if the id is not in the pool."""
        try:
            return self._positions[id]
        except KeyError:
            raise DataError(f"{self.origin or 'pool'}: no example has the id {id!r}.") from None

    def row(self, position: int) -> Row:
        """The input record of the example at `position`, in the input's own schema; a read-only view."""
        return MappingProxyType(self._records[position].row)

    def where(self, position: int) -> str:
        """The file and the line or record that the example at `position` was read from, in words."""
        record = self._records[position]
        return f"{record.file or self.origin or 'pool'}, {record.where}"

    def number(self, position: int) -> int:
        """The 1-based number of the record that the example at `position` was read from."""
        return self._records[position].number

    def take(self, positions: Iterable[int]) -> "Pool":
        """The pool of the given positions, in the given order.

        Raises:
            DataError: If there is no position, one is not in the pool, or one comes twice.
        """
        chosen = np.fromiter(map(int, positions), dtype=np.int64)
        outside = np.flatnonzero((chosen < 0) | (chosen >= len(self)))
        if len(outside) > 0:
            raise DataError(
                f"{self.origin or 'pool'}: position {chosen[outside[0]]} (number {outside[0] + 1} of those to take) is "
                f"not in the pool. Positions run from 0 to {len(self) - 1}."
            )
        values, counts = np.unique(chosen, return_counts=True)
        if len(values) < len(chosen):
            twice = values[counts > 1][0]
            raise DataError(f"{self.origin or 'pool'}: position {twice} comes twice. Take every position at most once.")
        return self._part(chosen, self.skipped, self.notes)

    def leave_out(self, reasons: Mapping[int, str]) -> "Pool":
        """The pool without some positions, which become skipped rows with the reason given for each.

        Raises:
            DataError: If a position is not in the pool, or nothing is left.
        """
        kept = [position for position in range(len(self)) if position not in reasons]
        if len(kept) + len(reasons) != len(self):
            raise DataError(f"{self.origin or 'pool'}: one of the positions {sorted(reasons)[:5]} is not in the pool.")
        left = [_skipped(self._records[position], reason) for position, reason in sorted(reasons.items())]
        return self._part(kept, (*self.skipped, *left), self.notes)

    def without_duplicates(self) -> "Pool":
        """The pool without exact copies of an earlier example; their number is among the notes."""
        copies = {position for group in self.duplicates for position in group[1:]}
        if len(copies) == 0:
            return self
        kept = [position for position in range(len(self)) if position not in copies]
        changes = {**self.notes.changes, DROPPED: len(copies)}
        return self._part(kept, self.skipped, replace(self.notes, changes=changes))

    def _part(self, chosen: Sequence[int] | np.ndarray, skipped: Sequence[SkippedRow], notes: Notes) -> "Pool":
        examples, records = taken(self._examples, chosen), taken(self._records, chosen)
        index = self._index.take(chosen)
        return Pool.packed(examples, records, index, skipped=skipped, origin=self.origin, notes=notes)

    @cached_property
    def duplicates(self) -> tuple[tuple[int, ...], ...]:
        """Groups (two or more positions, ascending) of examples whose turns are exactly equal."""
        return self._index.duplicates


def _skipped(record: Record, reason: str) -> SkippedRow:
    return SkippedRow(record.number, reason, record.row, record.file)


def _row_of(example: Example) -> Row:
    row: dict[str, Any] = {"id": example.id, "source": example.source}
    row["messages"] = [_turn_of(message) for message in example.messages]
    return {**row, "tools": json.loads(example.tools)} if example.tools else row


def _turn_of(message: Message) -> dict[str, Any]:
    """The turn in the fields that are read back."""
    turn: dict[str, Any] = {"role": message.role, "content": message.content}
    calls = [
        {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
        for call in message.tool_calls
    ]
    more = {
        "reasoning_content": message.reasoning,
        "tool_calls": calls,
        "name": message.name,
        "tool_call_id": message.call_id,
    }
    turn |= {field: value for field, value in more.items() if value}
    return turn if message.learn else {**turn, "weight": 0}

"""What an instruction pool is: examples with stable ids, in a fixed order, with a fingerprint."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Any, Literal, overload

from coresift import fingerprints
from coresift.data.notes import Notes
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
        usual = Message(self.role, self.content)
        fields = ("learn", "reasoning", "tool_calls", "name", "call_id")
        more = {name: getattr(self, name) for name in fields if getattr(self, name) != getattr(usual, name)}
        if "tool_calls" in more:
            more["tool_calls"] = [[call.name, call.arguments, call.id] for call in self.tool_calls]
        return [self.role, self.content, *([more] if more else [])]


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
        self._examples = tuple(examples)
        self._rows: tuple[Row, ...] = tuple(map(_row_of, self._examples)) if rows is None else tuple(rows)
        self._skipped, self._origin, self._notes = tuple(skipped), origin, notes or Notes()
        if len(self._examples) == 0:
            raise DataError(f"{origin or 'pool'}: no examples. A pool needs at least one usable record.")
        if len(self._rows) != len(self._examples):
            raise DataError(
                f"{origin or 'pool'}: {len(self._rows)} rows for {len(self._examples)} examples. "
                "Pass one row per example."
            )
        self._positions: dict[str, int] = {}
        for position, example in enumerate(self._examples):
            first = self._positions.setdefault(example.id, position)
            if first != position:
                raise DataError(
                    f"{origin or 'pool'}: examples {first + 1} and {position + 1} share the id {example.id!r}. "
                    "Ids must be unique: fix the 'id' column or remove it to get ids derived from the content."
                )

    def __len__(self) -> int:
        return len(self._examples)

    @overload
    def __getitem__(self, position: int) -> Example: ...
    @overload
    def __getitem__(self, position: slice) -> tuple[Example, ...]: ...
    def __getitem__(self, position: int | slice) -> Example | tuple[Example, ...]:
        return self._examples[position]

    def __repr__(self) -> str:
        return f"Pool({len(self)} examples, fingerprint {self.fingerprint})"

    @property
    def skipped(self) -> tuple[SkippedRow, ...]:
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
        return tuple(self._positions)

    @cached_property
    def fingerprint(self) -> str:
        """Hash of ids, sources and turns in order: equal pools, equal fingerprints, on every machine."""
        return fingerprints.of_json([[example.id, example.source, example.content_key] for example in self])

    def position(self, id: str) -> int:
        """Pool position of an id. Raises DataError if the id is not in the pool."""
        try:
            return self._positions[id]
        except KeyError:
            raise DataError(f"{self.origin or 'pool'}: no example has the id {id!r}.") from None

    def row(self, position: int) -> Row:
        """The input record of the example at `position`, in the input's own schema; a read-only view."""
        return MappingProxyType(self._rows[position])

    def take(self, positions: Iterable[int]) -> "Pool":
        """The pool of the given positions, in the given order.

        Raises:
            DataError: If there is no position, one is not in the pool, or one comes twice.
        """
        chosen = [int(position) for position in positions]
        for place, position in enumerate(chosen):
            if not 0 <= position < len(self):
                raise DataError(
                    f"{self.origin or 'pool'}: position {position} (number {place + 1} of those to take) is not in the "
                    f"pool. Positions run from 0 to {len(self) - 1}."
                )
        if len(set(chosen)) < len(chosen):
            twice = next(position for position, count in Counter(chosen).items() if count > 1)
            raise DataError(f"{self.origin or 'pool'}: position {twice} comes twice. Take every position at most once.")
        return Pool(
            [self._examples[position] for position in chosen],
            rows=[self._rows[position] for position in chosen],
            skipped=self.skipped,
            origin=self.origin,
            notes=self.notes,
        )

    @cached_property
    def duplicates(self) -> tuple[tuple[int, ...], ...]:
        """Groups (two or more positions, ascending) of examples whose turns are exactly equal."""
        groups: dict[str, list[int]] = defaultdict(list)
        for position, example in enumerate(self):
            groups[example.content_key].append(position)
        return tuple(tuple(group) for group in groups.values() if len(group) > 1)


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

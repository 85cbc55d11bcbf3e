"""What an instruction pool is: examples with stable ids, in a fixed order, with a fingerprint."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, overload

from coresift import fingerprints
from coresift.errors import DataError

Role = Literal["system", "user", "assistant"]
Row = Mapping[str, Any]
"""A record as it stood in the input file."""


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation."""

    role: Role
    content: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One conversation with at least one assistant turn; every assistant turn is a response.

    Attributes:
        id: Name that survives sorting, filtering and re-reading; unique within a pool.
        messages: The turns, in order.
        source: Where the example comes from (a data set, a task family), or "".
    """

    id: str
    messages: tuple[Message, ...]
    source: str = ""

    @property
    def content_key(self) -> str:
        """A hash of the turns alone: equal exactly when two examples are exact duplicates."""
        text = "\x1e".join(f"{message.role}\x1f{message.content}" for message in self.messages)
        return hashlib.sha256(text.encode()).hexdigest()[: fingerprints.LENGTH]


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
    ) -> None:
        self._examples = tuple(examples)
        self._rows = tuple(map(_row_of, self._examples)) if rows is None else tuple(rows)
        self.skipped = tuple(skipped)
        self.origin = origin
        if len(self._examples) == 0:
            raise DataError(f"{origin or 'pool'}: no examples. A pool needs at least one usable record.")
        if len(self._rows) != len(self._examples):
            raise DataError(
                f"{origin or 'pool'}: {len(self._rows)} rows for {len(self._examples)} examples. Pass one row per example."
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
        """The input record of the example at `position`, in the input's own schema."""
        return self._rows[position]

    def take(self, positions: Iterable[int]) -> "Pool":
        """The pool of the given positions, in the given order."""
        chosen = [int(position) for position in positions]
        return Pool(
            [self._examples[position] for position in chosen],
            rows=[self._rows[position] for position in chosen],
            skipped=self.skipped,
            origin=self.origin,
        )

    @cached_property
    def duplicates(self) -> tuple[tuple[int, ...], ...]:
        """Groups (two or more positions, ascending) of examples whose turns are exactly equal."""
        groups: dict[str, list[int]] = defaultdict(list)
        for position, example in enumerate(self):
            groups[example.content_key].append(position)
        return tuple(tuple(group) for group in groups.values() if len(group) > 1)


def _row_of(example: Example) -> Row:
    messages = [{"role": message.role, "content": message.content} for message in example.messages]
    return {"id": example.id, "source": example.source, "messages": messages}

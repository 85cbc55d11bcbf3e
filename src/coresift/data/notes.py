"""What reading did besides reading: what of the rows was not read, and what was changed on the way."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

ENDS_WITH_USER = "left out what comes after the assistant's last turn"
BEGINS_WITH_ASSISTANT = "kept as context an opening of the assistant"
SAME_SPEAKER = "joined turns of one speaker in a row by a blank line"
NOT_LEARNED = "kept as context turns of the assistant that are not to be learned"
DROPPED = "dropped exact copies of an earlier row"
"""The changes that are counted."""


@dataclass(slots=True)
class RowNotes:
    """Of one row, filled while it is read.

    Attributes:
        unread: Columns, and fields of turns as `column[].field`, that hold something and were not read.
        changes: Those of the above that were made.
    """

    unread: set[str] = field(default_factory=set)
    changes: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Notes:
    """Of a whole pool.

    Attributes:
        unread: Column or field to the number of rows that have something in it; most frequent first.
        changes: What was done to the number of rows that it was done to.
    """

    unread: Mapping[str, int] = field(default_factory=dict)
    changes: Mapping[str, int] = field(default_factory=dict)

    @property
    def sentences(self) -> tuple[str, ...]:
        """For people: one about what was not read, one for every change; none where there is nothing to say."""
        unread = ", ".join(f"{name} ({_rows(count)})" for name, count in self.unread.items())
        changes = [f"{said} ({_rows(count)})" for said, count in self.changes.items()]
        return (*([f"not read: {unread}"] if unread else []), *changes)


class Tally:
    """Adds up the notes of rows."""

    def __init__(self) -> None:
        self._unread: Counter[str] = Counter()
        self._changes: Counter[str] = Counter()

    def add(self, row: RowNotes) -> None:
        """Count one row that became an example."""
        self._unread.update(row.unread)
        self._changes.update(row.changes)

    @property
    def notes(self) -> Notes:
        """The counts so far: most frequent first, equal ones by name."""
        return Notes(_ordered(self._unread), _ordered(self._changes))


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count} rows"


def _ordered(counts: Counter[str]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))

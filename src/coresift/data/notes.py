"""What reading did besides reading: what of the rows was not read, and what was changed on the way."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

ENDS_WITH_USER = "do not end with the assistant: what comes after its last turn was left out"
BEGINS_WITH_ASSISTANT = "begin with the assistant: that turn is context, not a response"
SAME_SPEAKER = "have several turns of one speaker in a row: joined by a blank line"
NOT_LEARNED = "have turns of the assistant that are not to be learned: they are context"
DROPPED = "were dropped as exact copies of an earlier one"
"""The changes that are counted, as the end of a sentence about conversations."""


@dataclass(slots=True)
class RowNotes:
    """Of one row, filled while it is read.

    Attributes:
        unread: Columns, and fields of turns as `column[].field`, that hold something and were not read.
        changes: Those of the sentences above that are true of it.
    """

    unread: set[str] = field(default_factory=set)
    changes: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Notes:
    """Of a whole pool.

    Attributes:
        unread: Column or field to the number of rows that have something in it; most frequent first.
        changes: Sentence about conversations to the number of them.
    """

    unread: Mapping[str, int] = field(default_factory=dict)
    changes: Mapping[str, int] = field(default_factory=dict)

    @property
    def sentences(self) -> tuple[str, ...]:
        """For people: one about what was not read, one for every kind of change; none where there is nothing to say."""
        listed = ", ".join(f"{name} ({count} {'row' if count == 1 else 'rows'})" for name, count in self.unread.items())
        changes = [f"{count} conversations {said}" for said, count in self.changes.items()]
        return (*([f"not read: {listed}"] if listed else []), *changes)


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


def _ordered(counts: Counter[str]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))

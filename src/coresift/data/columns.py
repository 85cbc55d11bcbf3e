"""The columns of one row by the roles they play, and which of them were read."""

from typing import Any

from coresift.data.formats import OPTIONAL, Layout
from coresift.data.notes import RowNotes
from coresift.data.pool import Row
from coresift.data.records import RowFault, absent, is_empty, kind_of, must_be_text, unbroken

_WITHOUT = {"id": "takes ids from the content", "source": "leaves it out"}
"""What it means to read a row without the column."""


class Columns:
    """One row as its file's layout sees it.

    Args:
        row: The record.
        layout: Which columns play which role.
    """

    def __init__(self, row: Row, layout: Layout) -> None:
        self.row, self.layout = row, layout
        self._read: set[str] = set()

    def value(self, role: str) -> tuple[str, Any]:
        """The column that plays a role and its value; ("", None) where an optional role has none.

        Raises:
            RowFault: If a required role has no column, or two columns could play the role.
        """
        chosen = ""
        for column in self.layout.columns.get(role, ()):
            value = self.row.get(column)
            if value is None or absent(value) or (is_empty(value) and chosen != ""):
                continue
            if chosen != "" and not is_empty(self.row[chosen]):
                both = f"{chosen!r} and {column!r}"
                raise RowFault(f"both {both} could be the {role}; map one with --map {role}=COLUMN")
            chosen = column
        if chosen != "":
            self._read.add(chosen)
            return chosen, self.row[chosen]
        if role in self.layout.required:
            named = " or ".join(map(repr, self.layout.columns[role]))
            raise RowFault(f"no {named}; {self.layout.name} records need the {role}")
        return "", None

    def text(self, role: str) -> str:
        """The text of a role; "" for an optional role without a column. Raises RowFault."""
        column, value = self.value(role)
        if column == "":
            return ""
        way_out = f" (--map {role}= leaves it out)" if role in OPTIONAL else ""
        return must_be_text(value, repr(column), f"the {role} must be text{way_out}")

    def filled(self, role: str) -> str:
        """The text of a role that must not be blank. Raises RowFault."""
        text = self.text(role)
        if text.strip() == "":
            names = self.layout.columns[role]
            raise RowFault(f"{next((c for c in names if c in self.row), names[0])!r} is empty; the {role} needs text")
        return text

    def label(self, role: str) -> str:
        """The id or the source as text; "" where there is none. Raises RowFault."""
        for column in self.layout.columns[role]:
            value = self.row.get(column)
            if value is None or absent(value):
                continue
            if isinstance(value, bool) or not isinstance(value, str | int):
                wrong = f"{column!r} is {kind_of(value)}; the {role} must be text or a whole number"
                raise RowFault(f"{wrong} (--map {role}= {_WITHOUT[role]})")
            if str(value).strip() != "":
                return unbroken(str(value), repr(column))
        return ""

    def denied(self, role: str) -> str:
        """The column that plays a role and is false, or ""; one that is true counts as read, another value does not."""
        for column in self.layout.columns[role]:
            if isinstance(self.row.get(column), bool):
                self._read.add(column)
                if not self.row[column]:
                    return column
        return ""

    def note_unread(self, notes: RowNotes) -> None:
        """Note the columns that hold something and were not asked for."""
        unread = {column for column, value in self.row.items() if column not in self._read and not is_empty(value)}
        if unread:
            notes.unread |= unread.difference(*(self.layout.columns[role] for role in _WITHOUT))

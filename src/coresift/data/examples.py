"""From a row to an example: the conversation in its columns, its tools, its name."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from coresift.data.columns import Columns
from coresift.data.conversations import settled
from coresift.data.formats import FORMATS, PREFERRED, Layout
from coresift.data.notes import RowNotes
from coresift.data.pool import Example, Message, Row
from coresift.data.records import RowFault, is_empty, kind_of
from coresift.data.tools import parsed, tools_of
from coresift.data.turns import is_turn, messages_of_turn

Join = Literal["blank line", "newline"]
"""What stands between an instruction and its input."""
JOINTS: Mapping[Join, str] = {"blank line": "\n\n", "newline": "\n"}
MEDIA = ("image", "images", "audio", "audios", "video", "videos")


@dataclass(frozen=True, slots=True)
class Interpreter:
    """Makes examples of the rows of one file.

    Attributes:
        layout: Which columns play which role.
        join: Between an instruction and its input, and whatever else is put together as one prompt.
        strict: Refuse what is otherwise mended and counted; see `conversations.settled`.
    """

    layout: Layout
    join: Join = "blank line"
    strict: bool = False

    def example(self, row: Any) -> tuple[Example, RowNotes]:
        """The example in a row, its id "" where the row has none, and what was not read or was changed.

        Raises:
            RowFault: If a column is missing, of another type or empty, or the turns break a rule.
        """
        if not isinstance(row, Mapping):
            raise RowFault(f"the record is {kind_of(row)}; it must be an object with named columns")
        columns, notes = Columns(row, self.layout), RowNotes()
        self._refuse_other_kinds(row, columns)
        turns = self._turns(columns, notes)
        if turns[-1].role != "assistant":
            self._refuse_preference(row)
        system = columns.text("system")
        if system.strip() != "":
            turns = [Message("system", system), *turns]
        column, tools = columns.value("tools")
        example = Example(
            id=columns.label("id"),
            messages=settled(turns, notes, strict=self.strict),
            source=columns.label("source"),
            tools="" if is_empty(tools) else tools_of(tools, repr(column)),
        )
        columns.note_unread(notes)
        return example, notes

    def _refuse_other_kinds(self, row: Row, columns: Columns) -> None:
        """Raise RowFault for a row of another format, of preferences, marked as bad, or with pictures or sound."""
        if not self.layout.fits(row):
            self._refuse_preference(row)
            for other in FORMATS.values():
                if other.name != self.layout.name and other.fits(row):
                    both = f"the columns are those of {other.name}, but the file is {self.layout.name}"
                    raise RowFault(f"{both}; one file, one format")
        column = columns.denied("label")
        if column != "":
            raise RowFault(f"{column!r} is false: the response is marked as bad, no example (--map label= reads it)")
        for column in self.layout.columns["media"]:
            if column in row and not is_empty(row[column]):
                raise RowFault(f"the row has {column!r}; only text can be read (--map media= reads the text alone)")

    def _refuse_preference(self, row: Row) -> None:
        """Raise RowFault if a row without a response of its own has one that is preferred to another."""
        mapped = {column for role in self.layout.columns.values() for column in role}
        if PREFERRED not in mapped and isinstance(row.get(PREFERRED), str | list | tuple | Mapping):
            raise RowFault(
                "the row has a chosen and a rejected response, which is no example; to read the chosen one, name it "
                "(--map response=chosen, or --map messages=chosen where it has all turns)"
            )

    def _turns(self, columns: Columns, notes: RowNotes) -> list[Message]:
        if "messages" in self.layout.columns:
            return _listed_turns(*columns.value("messages"), notes)
        history = _history(*columns.value("history"))
        ask = "prompt" if "prompt" in self.layout.columns else "instruction"
        asked, replied = columns.value(ask), columns.value("response")
        if _has_turns(asked[1]):
            context = [replace(turn, learn=turn.role != "assistant") for turn in _listed_turns(*asked, notes)]
        else:
            context = [Message("user", self._prompt(columns, ask))]
        if _has_turns(replied[1]):
            reply = _listed_turns(*replied, notes)
        else:
            reply = [Message("assistant", columns.filled("response"), reasoning=columns.text("reasoning"))]
        return [*history, *context, *reply]

    def _prompt(self, columns: Columns, ask: str) -> str:
        extra = columns.text("input")
        if extra.strip() == "":
            return columns.filled(ask)
        asked = columns.text(ask)
        return extra if asked.strip() == "" else f"{asked}{JOINTS[self.join]}{extra}"


def _is_list(value: Any) -> bool:
    return isinstance(value, list | tuple)


def _has_turns(value: Any) -> bool:
    """Whether a prompt or a response is given as turns."""
    return _is_list(value) and len(value) > 0 and all(map(is_turn, value))


def _listed_turns(column: str, value: Any, notes: RowNotes) -> list[Message]:
    """The messages of a list of turns, also as JSON text, or as an object of lists as Arrow tables may have it."""
    turns = parsed(value, repr(column)) if isinstance(value, str) and value.lstrip()[:1] in ("[", "{") else value
    if isinstance(turns, Mapping) and len({len(v) if _is_list(v) else -1 for v in turns.values()} - {-1}) == 1:
        lists = {name: v for name, v in turns.items() if _is_list(v)}
        turns = [dict(zip(lists, values, strict=True)) for values in zip(*lists.values(), strict=True)]
    if not _is_list(turns):
        raise RowFault(f"{column!r} is {kind_of(turns)}; it must be a list of turns")
    if len(turns) == 0:
        raise RowFault(f"{column!r} has no turns; a conversation ends with an answer of the assistant")
    named = [(turn, f"turn {number} of {column!r}") for number, turn in enumerate(turns, start=1)]
    return [message for turn, where in named for message in messages_of_turn(turn, where, column, notes)]


def _history(column: str, value: Any) -> list[Message]:
    """The rounds before the turn, each a pair of prompt and response."""
    rounds = parsed(value, repr(column)) if isinstance(value, str) and value.strip() != "" else value
    if is_empty(rounds):
        return []
    if not _is_list(rounds):
        raise RowFault(f"{column!r} is {kind_of(rounds)}; it must be a list of pairs of prompt and response")
    turns = []
    for number, pair in enumerate(rounds, start=1):
        if not (_is_list(pair) and len(pair) == 2 and all(isinstance(text, str) for text in pair)):
            raise RowFault(f"pair {number} of {column!r} is no pair of texts, prompt and response")
        turns += [Message("user", pair[0]), Message("assistant", pair[1])]
    return turns

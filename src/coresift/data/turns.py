"""From a record to a conversation: who says what, and the rules a conversation obeys."""

from collections.abc import Mapping
from typing import Any

from coresift.data.formats import Layout
from coresift.data.pool import Message, Role, Row
from coresift.data.records import RowFault, kind_of

_VOCABULARIES: tuple[tuple[str, str, dict[str, Role]], ...] = (
    ("role", "content", {"system": "system", "user": "user", "assistant": "assistant"}),
    (
        "from",
        "value",
        {
            "system": "system",
            "human": "user",
            "user": "user",
            "gpt": "assistant",
            "assistant": "assistant",
            "chatgpt": "assistant",
            "model": "assistant",
        },
    ),
)
"""Names of the two fields of a turn, and what its speakers are called."""


def messages_of(row: Row, layout: Layout) -> tuple[Message, ...]:
    """The conversation in a record: an optional system message, then user and assistant in turn.

    Raises:
        RowFault: If a column is missing, of another type or empty, or the turns break a rule.
    """
    if "messages" in layout.columns:
        turns = _conversation(row, layout)
    else:
        turns = [Message("user", _prompt(row, layout)), Message("assistant", _filled(row, layout, "response"))]
    system = _text(row, layout, "system")
    if system.strip() != "":
        turns = [Message("system", system), *turns]
    turns = [turn for turn in turns if turn.role != "system" or turn.content.strip() != ""]
    _check(turns)
    return tuple(turns)


def label_of(row: Row, layout: Layout, role: str) -> str:
    """The id or source of a record as text; "" where there is none."""
    for column in layout.columns[role]:
        value = row.get(column)
        if isinstance(value, bool) or not isinstance(value, str | int | None):
            raise RowFault(f"{column!r} is {kind_of(value)}; the {role} must be text or a whole number")
        if value is not None and str(value).strip() != "":
            return _unbroken(str(value), repr(column))
    return ""


def _prompt(row: Row, layout: Layout) -> str:
    if "prompt" in layout.columns:
        return _filled(row, layout, "prompt")
    instruction, extra = _filled(row, layout, "instruction"), _text(row, layout, "input")
    return instruction if extra.strip() == "" else f"{instruction}\n\n{extra}"


def _filled(row: Row, layout: Layout, role: str) -> str:
    text = _text(row, layout, role)
    if text.strip() == "":
        column = next((c for c in layout.columns[role] if c in row), layout.columns[role][0])
        raise RowFault(f"{column!r} is empty; the {role} needs text")
    return text


def _text(row: Row, layout: Layout, role: str) -> str:
    """The text of a role; "" for an optional role without a column."""
    column, value = _value(row, layout, role)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise RowFault(f"{column!r} is {kind_of(value)}; the {role} must be text")
    return _unbroken(value, repr(column))


def _value(row: Row, layout: Layout, role: str) -> tuple[str, Any]:
    """The column that plays a role in this record, and its value."""
    present = [column for column in layout.columns[role] if row.get(column) is not None]
    telling = [column for column in present if row[column] != ""]
    if len(telling) > 1:
        raise RowFault(f"both {telling[0]!r} and {telling[1]!r} could be the {role}; map one with --map {role}=COLUMN")
    for column in telling or present:
        return column, row[column]
    if role in layout.required:
        raise RowFault(f"no {' or '.join(map(repr, layout.columns[role]))}; {layout.name} records need the {role}")
    return "", None


def _conversation(row: Row, layout: Layout) -> list[Message]:
    column, turns = _value(row, layout, "messages")
    if not isinstance(turns, list | tuple):
        raise RowFault(f"{column!r} is {kind_of(turns)}; it must be a list of turns")
    if len(turns) == 0:
        raise RowFault(f"{column!r} has no turns; a conversation ends with an answer of the assistant")
    return [_turn(turn, f"turn {number} of {column!r}") for number, turn in enumerate(turns, start=1)]


def _turn(turn: Any, where: str) -> Message:
    if not isinstance(turn, Mapping):
        raise RowFault(f"{where} is {kind_of(turn)}; it must be an object with role and content, or from and value")
    for speaker, words, roles in _VOCABULARIES:
        if speaker in turn:
            role, content = turn[speaker], turn.get(words)
            if not isinstance(role, str) or role not in roles:
                raise RowFault(f"{where} has the unknown {speaker} {role!r}; known are {', '.join(roles)}")
            if not isinstance(content, str):
                raise RowFault(f"{words!r} of {where} is {kind_of(content)}; it must be text")
            return Message(roles[role], _unbroken(content, where))
    raise RowFault(f"{where} names no speaker; it must have role and content, or from and value")


def _check(turns: list[Message]) -> None:
    for number, turn in enumerate(turns, start=1):
        if turn.content.strip() == "":
            kind = "response" if turn.role == "assistant" else "prompt"
            raise RowFault(f"message {number} ({turn.role}) is empty; the {kind} needs text")
    if not any(turn.role == "assistant" for turn in turns):
        raise RowFault("no assistant turn; there is no response to learn")
    if turns[-1].role != "assistant":
        raise RowFault(f"the last turn is the {turns[-1].role}'s; it must be the assistant's")
    talk = turns[1:] if turns[0].role == "system" else turns
    for number, turn in enumerate(talk, start=1 + len(turns) - len(talk)):
        expected = "assistant" if (number - len(turns) + len(talk)) % 2 == 0 else "user"
        if turn.role != expected:
            raise RowFault(
                f"message {number} is the {turn.role}'s where the {expected}'s is due; "
                "after an optional system message user and assistant alternate"
            )


def _unbroken(text: str, where: str) -> str:
    """The text, if it can be written as UTF-8 at all."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise RowFault(
            f"{where} holds half a character (\\u{ord(text[error.start]):04x}); it is no valid text"
        ) from None
    return text

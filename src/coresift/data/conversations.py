"""The rules of a conversation, and what is done, as trainers do it, to one that breaks them in a usual way."""

from collections.abc import Sequence
from dataclasses import replace

from coresift.data.notes import BEGINS_WITH_ASSISTANT, ENDS_WITH_USER, NOT_LEARNED, SAME_SPEAKER, RowNotes
from coresift.data.pool import Message
from coresift.data.records import RowFault

_ALTERNATE = "after an optional system message user and assistant alternate"


def settled(turns: Sequence[Message], notes: RowNotes, *, strict: bool) -> tuple[Message, ...]:
    """A conversation that keeps the rules: system at most once and first, then user and assistant in turn.

    What follows the last turn of the assistant is left out, its turns before the first of the user are context, and
    turns of one speaker in a row become one, with a blank line between. Each is noted; `strict` refuses it. The answers
    of tools stand after the turn of the assistant that they answer.

    Raises:
        RowFault: If a turn has no text, a system message comes late, a tool answers nobody, or nothing is to be
            learned.
    """
    if _is_usual(turns):
        return tuple(turns)
    kept = [turn for turn in turns if turn.role != "system" or turn.content.strip() != ""]
    kept = _without_end(kept, notes, strict)
    _refuse_blank(kept)
    kept = _joined(_beginning(kept, notes, strict), notes, strict)
    for number, turn in enumerate(kept, start=1):
        before = kept[number - 2].role if number > 1 else ""
        if turn.role == "system" and number > 1:
            due = "assistant" if before == "user" else "user"
            raise RowFault(f"message {number} is the system's where the {due}'s is due; {_ALTERNATE}")
        if turn.role == "tool" and before not in ("assistant", "tool"):
            raise RowFault(f"message {number} is a tool's, but no turn of the assistant is before it that called one")
    if not any(turn.role == "assistant" and turn.learn for turn in kept):
        raise RowFault("no turn of the assistant is to be learned; all of them are context")
    if not all(turn.learn for turn in kept):
        notes.changes |= set() if BEGINS_WITH_ASSISTANT in notes.changes else {NOT_LEARNED}
    return tuple(kept)


def _is_usual(turns: Sequence[Message]) -> bool:
    """Whether turns of the user and of the assistant alternate, all with text and to be learned: as they mostly do."""
    if len(turns) % 2 == 1:
        return False
    pairs = zip(turns[::2], turns[1::2], strict=True)
    return all(ask.role == "user" and reply.role == "assistant" for ask, reply in pairs) and all(
        turn.learn and turn.content != "" and not turn.content.isspace() for turn in turns
    )


def _without_end(turns: list[Message], notes: RowNotes, strict: bool) -> list[Message]:
    last = max((place for place, turn in enumerate(turns) if turn.role == "assistant"), default=-1)
    if last < 0:
        raise RowFault("no assistant turn; there is no response to learn")
    if last < len(turns) - 1:
        if strict:
            raise RowFault(f"the last turn is the {turns[-1].role}'s; it must be the assistant's")
        notes.changes.add(ENDS_WITH_USER)
    return turns[: last + 1]


def _refuse_blank(turns: Sequence[Message]) -> None:
    for number, turn in enumerate(turns, start=1):
        if turn.content.strip() == "" and len(turn.tool_calls) == 0 and turn.role != "tool":
            kind = "response" if turn.role == "assistant" else "prompt"
            raise RowFault(f"message {number} ({turn.role}) is empty; the {kind} needs text")


def _beginning(turns: list[Message], notes: RowNotes, strict: bool) -> list[Message]:
    """The turns with those of the assistant before the first of the user as context."""
    first = next((place for place, turn in enumerate(turns) if turn.role in ("user", "tool")), len(turns))
    early = [place for place in range(first) if turns[place].role == "assistant"]
    if early and (strict or first == len(turns)):
        raise RowFault(f"message {early[0] + 1} is the assistant's where the user's is due; {_ALTERNATE}")
    if early:
        notes.changes.add(BEGINS_WITH_ASSISTANT)
    return [replace(turn, learn=False) if place in early else turn for place, turn in enumerate(turns)]


def _joined(turns: list[Message], notes: RowNotes, strict: bool) -> list[Message]:
    """The turns with neighbours of one role as one; a tool may answer several times."""
    result: list[Message] = []
    for number, turn in enumerate(turns, start=1):
        if not result or result[-1].role != turn.role or turn.role == "tool":
            result.append(turn)
            continue
        if strict:
            due = {"user": "assistant", "assistant": "user", "system": "user"}[turn.role]
            raise RowFault(f"message {number} is the {turn.role}'s where the {due}'s is due; {_ALTERNATE}")
        result[-1] = _one(result[-1], turn, number)
        notes.changes.add(SAME_SPEAKER)
    return result


def _one(first: Message, second: Message, number: int) -> Message:
    """Two turns of one speaker as one."""
    if first.learn != second.learn or len(first.tool_calls) > 0 or second.reasoning != "":
        raise RowFault(
            f"messages {number - 1} and {number} are both the {first.role}'s and cannot be joined: one of them is not "
            "to be learned, a call comes before text, or a thought after it"
        )
    if first.role == "system" and first.content == second.content:
        return first
    content = "\n\n".join(text for text in (first.content, second.content) if text != "")
    return replace(first, content=content, tool_calls=second.tool_calls)

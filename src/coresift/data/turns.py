"""From one turn of a row to messages: who speaks, what, and whether it is to be learned."""

import json
from collections.abc import Mapping
from typing import Any

from coresift.data.notes import RowNotes
from coresift.data.pool import Message, Role
from coresift.data.records import RowFault, absent, is_empty, kind_of, must_be_text, unbroken
from coresift.data.tools import calls_of

SPEAKERS: Mapping[str, Role] = {
    **dict.fromkeys(("system", "developer"), "system"),
    **dict.fromkeys(("user", "human", "prompter"), "user"),
    **dict.fromkeys(("assistant", "gpt", "chatgpt", "model", "ai", "bot", "bing", "bard"), "assistant"),
    **dict.fromkeys(("tool", "function", "observation", "ipython", "tool_response"), "tool"),
}
"""What speakers are called."""
CALLERS = ("function_call", "tool_call")
"""Speakers whose text is a call of a tool: the assistant."""
FIELDS = (("role", "content"), ("from", "value"))
"""Names of the two fields of a turn."""
PAIRS = (("human", "assistant"), ("user", "assistant"), ("input", "output"))
"""Names of the two fields of a question with its answer."""
THOUGHTS = ("reasoning_content", "thinking", "reasoning")
CALLS = ("tool_calls", "function_call")
LEARN = ("weight", "train", "loss", "loss_weight")
"""Fields that say whether a turn is to be learned: false or 0 is not."""
TEXTS = ("text", "input_text", "output_text")
"""Types of a part of content that is text."""


def messages_of_turn(turn: Any, where: str, column: str, notes: RowNotes) -> list[Message]:
    """The message in a turn, or the two in a pair.

    Args:
        turn: {role, content}, {from, value}, or a pair such as {human, assistant}.
        where: The turn, as a fault calls it.
        column: The column it stands in.
        notes: Gets the fields that were not read.

    Raises:
        RowFault: If the turn names no known speaker, or a field is not what it must be.
    """
    if not isinstance(turn, Mapping):
        raise RowFault(f"{where} is {kind_of(turn)}; it must be an object with role and content, or from and value")
    for speaker, words in FIELDS:
        if speaker in turn:
            message, read = _message(turn, speaker, words, where)
            if len(turn) > 2:
                _note_unread(turn, {speaker, words, *read}, column, notes)
            return [message]
    for ask, reply in PAIRS:
        if ask in turn and reply in turn:
            _note_unread(turn, {"system", ask, reply}, column, notes)
            roles: tuple[tuple[str, Role], ...] = (("system", "system"), (ask, "user"), (reply, "assistant"))
            said = [(name, role) for name, role in roles if not absent(turn.get(name))]
            return [Message(role, text_of(turn[name], where, name)) for name, role in said]
    raise RowFault(f"{where} names no speaker; it must have role and content, or from and value")


def is_turn(value: Any) -> bool:
    """Whether a value looks like a turn, or like a pair of them."""
    names = [speaker for speaker, _ in FIELDS]
    return isinstance(value, Mapping) and (
        any(name in value for name in names) or any(ask in value and reply in value for ask, reply in PAIRS[:2])
    )


def text_of(value: Any, where: str, field: str) -> str:
    """Content as text; a list of text parts is their text put together.

    Raises:
        RowFault: If it is neither, or holds a picture, sound or film.
    """
    if isinstance(value, list | tuple):
        return "".join(_part(part, where) for part in value)
    return must_be_text(value, f"{field!r} of {where}")


def _message(turn: Mapping[str, Any], speaker: str, words: str, where: str) -> tuple[Message, set[str]]:
    """The message, and the fields that were read besides speaker and words."""
    name, value = turn[speaker], turn.get(words)
    known = SPEAKERS.get(name.lower()) if isinstance(name, str) else None
    if known is not None and isinstance(value, str) and len(turn) == 2:  # nothing but who and what, as most turns are
        return Message(known, unbroken(value, where)), set()
    if isinstance(name, str) and name.lower() in CALLERS:
        called = calls_of(value, f"{words!r} of {where}")
        return Message("assistant", "", _learned(turn, where), tool_calls=called), {*LEARN}
    if known is None:
        names = ", ".join((*SPEAKERS, *CALLERS))
        raise RowFault(f"{where} has the unknown {speaker} {name!r}; known are {names}")
    if known == "assistant":
        return _assistant(turn, value, where, words), {*LEARN, *CALLS, *THOUGHTS}
    if known == "tool":
        value = json.dumps(value, ensure_ascii=False) if isinstance(value, Mapping) else value
        content = text_of(value, where, words)
        labels = {each: turn[each] for each in ("name", "tool_call_id") if isinstance(turn.get(each), str)}
        value = json.dumps(value, ensure_ascii=False) if isinstance(value, Mapping) else value
        content = text_of(value, where, words)
        labels = {each: turn.get(each) for each in ("name", "tool_call_id")}
        labels = {each: unbroken(label, where) if isinstance(label, str) else "" for each, label in labels.items()}
        return _answer(content, labels, where), {*LEARN, *labels}
    return Message(known, text_of(value, where, words)), {*LEARN}


def _assistant(turn: Mapping[str, Any], value: Any, where: str, words: str) -> Message:
    calls = tuple(
        call
        for field in CALLS
        if not is_empty(turn.get(field))
        for call in calls_of(turn[field], f"{field!r} of {where}")
    )
    thoughts = {field: turn[field] for field in THOUGHTS if not is_empty(turn.get(field))}
    if isinstance(value, list | tuple) and len(value) > 0 and _is_thought(value[0]):
        thoughts, value = {**thoughts, "thinking part": value[0].get("thinking")}, value[1:]
    content = "" if value is None and len(calls) > 0 else text_of(value, where, words)
    texts = {text_of(thought, where, field) for field, thought in thoughts.items()}
    if len(texts) > 1:
        raise RowFault(f"{where} has several thoughts, in {' and '.join(thoughts)}; leave one of them")
    reasoning = texts.pop() if texts else ""
    if reasoning != "" and content.lstrip().startswith("<think>"):
        raise RowFault(f"{where} has its thought twice, in {next(iter(thoughts))!r} and as <think> text; leave one")
    return Message("assistant", content, _learned(turn, where), reasoning, calls)


def _answer(content: str, labels: Mapping[str, str], where: str) -> Message:
    name, call_id = (unbroken(labels.get(field, ""), where) for field in ("name", "tool_call_id"))
    return Message("tool", content, name=name, call_id=call_id)


def _learned(turn: Mapping[str, Any], where: str) -> bool:
    """Whether a turn of the assistant is to be learned."""
    said = {field: turn[field] for field in LEARN if not absent(turn.get(field))}
    for field, value in said.items():
        if not isinstance(value, bool | int | float) or value not in (0, 1):
            raise RowFault(
                f"{where} has the {field} {value!r}; a turn is learned (1, true) or is context (0, false), and nothing "
                "between"
            )
    return all(said.values())


def _part(part: Any, where: str) -> str:
    if isinstance(part, str):
        return unbroken(part, where)
    kind = part.get("type", "text" if "text" in part else None) if isinstance(part, Mapping) else kind_of(part)
    if kind in TEXTS and isinstance(part.get("text"), str):
        return unbroken(part["text"], where)
    raise RowFault(f"{where} has a part of the type {kind!r}; only parts that are text can be read")


def _is_thought(part: Any) -> bool:
    return isinstance(part, Mapping) and part.get("type") == "thinking"


def _note_unread(turn: Mapping[str, Any], read: set[str], column: str, notes: RowNotes) -> None:
    unread = (field for field, value in turn.items() if field not in read and not is_empty(value))
    notes.unread |= {f"{column}[].{field}" for field in unread}

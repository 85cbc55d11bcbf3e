"""Tools in a conversation: how they reach the template, that it shows them, and where a call lies in the text."""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from coresift.data.pool import Message, ToolCall
from coresift.models.template import TemplateMismatch, Tools
from coresift.models.wording import Shown

_ANSWER = "coresiftAnswer"


def read_tools(text: str) -> Tools:
    """The tools of an example as templates take them: functions under "function".

    Raises:
        TemplateMismatch: If the text is not the JSON of a list of objects.
    """
    try:
        tools = json.loads(text) if text else []
    except ValueError as error:
        raise TemplateMismatch(f"its tools are not JSON ({error}). Fix the row.") from error
    if not isinstance(tools, list) or not all(isinstance(tool, dict) for tool in tools):
        raise TemplateMismatch("its tools are not a list of objects. Fix the row.")
    bare = [("name" in tool and "function" not in tool, tool) for tool in tools]
    return [{"type": "function", "function": tool} if is_bare else tool for is_bare, tool in bare]


def check_tools(text: str, tools: Tools) -> None:
    """Raise TemplateMismatch if a tool's name is not in the text."""
    for tool in tools:
        its = tool.get("function", tool)
        name = its.get("name") if isinstance(its, Mapping) else None
        if isinstance(name, str) and name not in text:
            raise TemplateMismatch(
                f"the chat template does not show the tools of the conversation (such as {name!r}). Take the tools "
                "out of the row, or choose a template for tools with model.template."
            )


def locate(
    messages: Sequence[Message], turn: int, text: str, show: Shown, ends: Sequence[str]
) -> tuple[int, int]:
    """Where a turn with calls begins and ends in the text of the conversation.

    It begins where the generation prompt of the turns before it ends, else where an answer in its place would. It ends
    where the conversation up to it does, trailing whitespace apart; where a template writes a last turn in its own
    way, after the first end marker behind the call.

    Args:
        messages: The conversation.
        turn: Which message calls tools.
        text: The conversation's text.
        show: Renders conversations.
        ends: Texts that end a turn.

    Raises:
        TemplateMismatch: If the template does not show what is called, and with what.
    """
    begin, calls = _begin(messages, turn, text, show), messages[turn].tool_calls
    end = len(text[: _same(text, show(messages[: turn + 1]))].rstrip())
    if _missing(calls, text[begin:end]) is None:
        return begin, end
    behind = max((_end_of(spelling, text, begin) for call in calls for spelling in _spellings(call)), default=0)
    later = [found + len(marker) for marker in ends if (found := text.find(marker, behind)) >= 0]
    end = min(later, default=behind)
    missing = _missing(calls, text[begin:end])
    if missing is not None or len(later) == 0:
        ordinal = sum(message.role == "assistant" for message in messages[: turn + 1])
        raise TemplateMismatch(
            f"the chat template does not show the tool call of assistant turn {ordinal} "
            f"({missing or calls[0].name!r} is missing). Take the call out of the row, or choose a template for tools "
            "with model.template."
        )
    return begin, end


def _begin(messages: Sequence[Message], turn: int, text: str, show: Shown) -> int:
    before = messages[:turn]
    begin = _same(text, show([*before, Message("assistant", _ANSWER)]).rpartition(_ANSWER)[0])
    if turn > 0 and messages[turn - 1].role != "assistant":
        prompt = show(before, prompt=True)
        if prompt != show(before) and text.startswith(prompt):
            begin = len(prompt)
    return len(text[:begin].rstrip(" "))


def _missing(calls: Sequence[ToolCall], text: str) -> str | None:
    """A name or a value of the calls that is not in the text, shortened; None if all are."""
    values = (value for call in calls for value in _values(call))
    return next((value[:40] for value in values if not _is_in(value, text)), None)


def _values(call: ToolCall) -> list[str]:
    try:
        return [call.name, *_leaves(json.loads(call.arguments))]
    except ValueError:
        return [call.name, call.arguments]


def _spellings(call: ToolCall) -> Iterator[str]:
    for value in _values(call):
        yield from _written(value)


def _end_of(spelling: str, text: str, begin: int) -> int:
    """Where a text that is searched from `begin` on ends first; `begin` if it is not there."""
    found = text.find(spelling, begin)
    return begin if found < 0 else found + len(spelling)


def _same(left: str, right: str) -> int:
    return len(os.path.commonprefix([left, right]))


def _leaves(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield str(name)
            yield from _leaves(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _leaves(inner)
    elif isinstance(value, str):
        yield value


def _is_in(value: str, text: str) -> bool:
    return any(spelling in text or _tight(spelling) in _tight(text) for spelling in _written(value))


def _written(value: str) -> tuple[str, ...]:
    """A text as it is, and as JSON writes it."""
    return value, json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1]


def _tight(text: str) -> str:
    return "".join(text.split())

"""Tools in a conversation: how they reach the template, that it shows them, and where a call lies in the text."""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from coresift.data.pool import Message
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


def check_calls(message: Message, text: str, ordinal: int) -> None:
    """Raise TemplateMismatch if what a turn calls, and with what, is not in its text."""
    for call in message.tool_calls:
        try:
            values = list(_leaves(json.loads(call.arguments)))
        except ValueError:
            values = [call.arguments]
        missing = [value for value in (call.name, *values) if not _is_in(value, text)]
        if missing:
            raise TemplateMismatch(
                f"the chat template does not show the tool call of assistant turn {ordinal} ({missing[0][:40]!r} is "
                "missing). Take the call out of the row, or choose a template for tools with model.template."
            )


def locate(messages: Sequence[Message], turn: int, text: str, show: Shown) -> tuple[int, int]:
    """Where a turn with calls begins and ends in the text of the conversation.

    It begins where the generation prompt of the turns before it ends, else where an answer in its place would, and it
    ends where the conversation up to it does, trailing whitespace apart.

    Raises:
        TemplateMismatch: If the template refuses these parts of the conversation.
    """
    before = messages[:turn]
    begin = _same(text, show([*before, Message("assistant", _ANSWER)]).rpartition(_ANSWER)[0])
    if turn > 0 and messages[turn - 1].role != "assistant":
        prompt = show(before, prompt=True)
        if prompt != show(before) and text.startswith(prompt):
            begin = len(prompt)
    end = _same(text, show(messages[: turn + 1]))
    return len(text[:begin].rstrip(" ")), len(text[:end].rstrip())


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
    spellings = (value, json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1])
    return any(spelling in text or _tight(spelling) in _tight(text) for spelling in spellings)


def _tight(text: str) -> str:
    return "".join(text.split())

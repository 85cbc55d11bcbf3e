"""How a template is spoken to, found by asking it: text or parts, thoughts, the prompt, what ends a turn."""

import json
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from coresift.data.pool import Message, ToolCall
from coresift.models.template import ChatTemplate, TemplateMismatch, Tools, Turn

THOUGHT = re.compile(r"\s*<think>(.*?)</think>\s*", re.DOTALL)
"""A thought at the head of a text, as reasoning data sets write it."""

_ASKED, _SAID = "coresiftAsked", "coresiftSaid"
_CALL = "call00000"
"""The id of a call: nine letters and digits, which Mistral's templates insist on."""


@dataclass(frozen=True, slots=True)
class Ending:
    """What follows a response in the template's text.

    Attributes:
        length: Characters of the end marker, whitespace before it included; 0 for none.
        is_token: Whether it ends in a token of its own, at which generation can stop.
    """

    length: int
    is_token: bool


class Wording:
    """What a template expects of its input and writes around it.

    Args:
        template: The template.
        markers: Texts of the tokenizer's special and added tokens.
        eos: The text of EOS, or "".
    """

    def __init__(self, template: ChatTemplate, markers: Sequence[str], eos: str) -> None:
        self.template, self._eos = template, eos
        known = sorted({marker for marker in markers if marker.strip()}, key=lambda marker: (-len(marker), marker))
        self._longest = max(map(len, known), default=0)
        self._marker = re.compile("|".join(map(re.escape, known)) or r"(?!)")

    def show(self, messages: Sequence[Message], *, prompt: bool = False) -> str:
        """The text of a conversation. Raises TemplateMismatch as the template does."""
        return self.template.show(self.turns(messages), prompt=prompt)

    def show_many(self, conversations: Sequence[Sequence[Message]]) -> list[str | TemplateMismatch]:
        """The texts of conversations without tools, or why there is none."""
        return self.template.show_many([self.turns(messages) for messages in conversations])

    def turns(self, messages: Sequence[Message]) -> list[Turn]:
        """The conversation as the template takes it."""
        return [_turn(message, self._takes_parts, self._takes_call_text) for message in messages]

    def prepared(self, message: Message) -> Message:
        """A turn of the assistant with its thought where the template looks for it, and no end marker of its own.

        A thought goes into the field `reasoning_content` if the template shows that, else into the text, as it is
        written there or between `<think>` and `</think>`. An end marker that ends the text is the template's to write.
        """
        if message.role != "assistant":
            return message
        content = message.content
        if self.takes_reasoning and not message.reasoning and (found := THOUGHT.match(content)) is not None:
            message, content = replace(message, reasoning=found[1].strip("\n")), content[found.end() :]
        elif not self.takes_reasoning:
            message = _with_written_thought(message)
            content = message.content
        return replace(message, content=self._without_end(content))

    def _without_end(self, content: str) -> str:
        kept = content.rstrip()
        for marker in self.end_texts:
            if kept.endswith(marker):
                return kept.removesuffix(marker)
        return content

    @cached_property
    def _takes_parts(self) -> bool:
        """Whether the template shows content only when it is given as a list of parts."""
        asked = Message("user", _ASKED)
        try:
            if _ASKED in self.template.show([_turn(asked)]):
                return False
        except TemplateMismatch:
            pass
        try:
            return _ASKED in self.template.show([_turn(asked, in_parts=True)])
        except TemplateMismatch:
            return False

    @cached_property
    def _takes_call_text(self) -> bool:
        """Whether the template takes the arguments of a call only as text; most take them as an object."""
        call = ToolCall("look", '{"at": 1}', _CALL)
        asked = [Message("user", _ASKED), Message("assistant", "", tool_calls=(call,))]
        return not self._shows(asked) and self._shows(asked, call_text=True)

    def _shows(self, messages: Sequence[Message], *, call_text: bool = False) -> bool:
        try:
            self.template.show([_turn(message, self._takes_parts, call_text) for message in messages])
        except TemplateMismatch:
            return False
        return True

    @cached_property
    def takes_reasoning(self) -> bool:
        """Whether the template shows the field `reasoning_content` of the last turn."""
        said = Message("assistant", "Yes.", reasoning=_SAID)
        try:
            return _SAID in self.show([Message("user", _ASKED), said])
        except TemplateMismatch:
            return False

    def tail(self, role: str) -> str | None:
        """What stands between a last message of this role and what the model writes then, by the generation prompt.

        For a template without generation prompt it is what stands before an answer. None where neither can be found.
        """
        if role not in self._tails:
            self._tails[role] = self._find_tail(role)
        return self._tails[role]

    @cached_property
    def _tails(self) -> dict[str, str | None]:
        return {}

    def _find_tail(self, role: str) -> str | None:
        call = Message("assistant", "", tool_calls=(ToolCall("look", '{"at": 1}', _CALL),))
        last = Message("tool", _ASKED, name="look", call_id=_CALL)
        before = {
            "user": [Message("user", _ASKED)],
            "system": [Message("system", _ASKED)],
            "assistant": [Message("user", "Why?"), Message("assistant", _ASKED)],
            "tool": [Message("user", "Why?"), call, last],
        }[role]
        try:
            shown = self.show(before, prompt=True)
            if shown == self.show(before):
                shown, _, _ = self.show([*before, Message("assistant", _SAID)]).partition(_SAID)
        except TemplateMismatch:
            return None
        _, found, tail = shown.rpartition(_ASKED)
        return tail if found else None

    def ending(self, text: str) -> Ending:
        """The end marker at the head of a template's text: the first special token, or `end_text`."""
        space = len(text) - len(text.lstrip())
        found = self._marker.match(text, space)
        if found is None:
            marker = self.end_text
            return Ending(len(marker) if marker and text.startswith(marker) else 0, is_token=False)
        end = stop = found.end()
        while (found is not None) and found[0] != self._eos:
            found = self._marker.match(text, stop)
            stop = stop if found is None else found.end()
        return Ending(end if found is None else stop, is_token=True)

    def closes(self, text: str) -> bool:
        """Whether a text ends in a special or added token."""
        tail = text[-max(self._longest, 1) :]
        return any(found.end() == len(tail) for found in self._marker.finditer(tail))

    @cached_property
    def end_text(self) -> str:
        """An end marker that is ordinary text: what stands after the last response, if also after an earlier one."""
        said = [Message("user", "Why?"), Message("assistant", _SAID)]
        try:
            _, _, last = self.show(said).rpartition(_SAID)
        except TemplateMismatch:
            return ""
        try:
            _, _, earlier = self.show([*said, Message("user", "Why?"), Message("assistant", "So.")]).rpartition(_SAID)
        except TemplateMismatch:
            earlier = last
        marker = last.rstrip()
        found = self._marker.search(last)
        return marker if marker.strip() and found is None and earlier.startswith(marker) else ""

    @cached_property
    def end_texts(self) -> tuple[str, ...]:
        """Texts that end a turn: the template's end marker, whole and without what comes before EOS, and EOS."""
        try:
            _, _, last = self.show([Message("user", "Why?"), Message("assistant", _SAID)]).rpartition(_SAID)
        except TemplateMismatch:
            last = ""
        whole = last[: self.ending(last).length].strip()
        return tuple(text for text in dict.fromkeys((whole, self._eos)) if text)


@dataclass(frozen=True, slots=True)
class Shown:
    """Renders conversations.

    Attributes:
        wording: How the template is spoken to.
        tools: The tools that may be called.
        blank_thoughts: Say of every turn without a thought that it has none, so that templates do not look for
            `</think>` in its text.
        written_thoughts: Write thoughts into the texts, for templates that look for them there.
    """

    wording: Wording
    tools: Tools = ()
    blank_thoughts: bool = False
    written_thoughts: bool = False

    def __call__(self, messages: Sequence[Message], *, prompt: bool = False) -> str:
        """The text of a conversation. Raises TemplateMismatch as the template does."""
        if self.written_thoughts:
            messages = [_with_written_thought(message) for message in messages]
        turns = self.wording.turns(messages)
        if self.blank_thoughts:
            turns = [{"reasoning_content": "", **turn} if turn["role"] == "assistant" else turn for turn in turns]
        return self.wording.template.show(turns, tools=self.tools, prompt=prompt)


def _with_written_thought(message: Message) -> Message:
    if not message.reasoning:
        return message
    return replace(message, reasoning="", content=f"<think>\n{message.reasoning}\n</think>\n\n{message.content}")


def _turn(message: Message, in_parts: bool = False, call_text: bool = False) -> Turn:
    turn: dict[str, Any] = {"role": message.role, "content": message.content}
    if in_parts:
        turn["content"] = [{"type": "text", "text": message.content}]
    if message.reasoning:
        turn["reasoning_content"] = message.reasoning
    if message.tool_calls:
        turn["tool_calls"] = [_call(call, call_text) for call in message.tool_calls]
    if message.name:
        turn["name"] = message.name
    if message.call_id:
        turn["tool_call_id"] = message.call_id
    return turn


def _call(call: ToolCall, as_text: bool) -> Mapping[str, Any]:
    arguments: Any = call.arguments
    if not as_text:
        with suppress(ValueError):
            arguments = json.loads(call.arguments)
    function = {"name": call.name, "arguments": arguments if isinstance(arguments, dict) else call.arguments}
    return {**({"id": call.id} if call.id else {}), "type": "function", "function": function}

"""Conversations as text, with the places of the responses in it: proved, not guessed."""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from coresift.data.pool import Example, Message
from coresift.models import outline, tool_use
from coresift.models.held_back import HeldBack
from coresift.models.skeleton import Place, Skeleton
from coresift.models.template import TemplateMismatch
from coresift.models.wording import THOUGHT, Shown, Wording

THOUGHTS_DROPPED = "thoughts of earlier turns that the template leaves out"
SYSTEM_MOVED = "conversations whose system text the template shows beside the last user turn alone"
SHAPES = 4096
"""How many shapes of conversations are kept."""


@dataclass(frozen=True, slots=True)
class Region:
    """A response in the text, in characters.

    Attributes:
        begin: Where what the model must write begins.
        answer: Where the answer itself begins, after the words that every answer of this template begins with.
        said: Where the answer ends.
        end: After the end marker.
        closed: Whether it ends in a token at which generation can stop.
    """

    begin: int
    answer: int
    said: int
    end: int
    closed: bool


@dataclass(frozen=True, slots=True)
class Layout:
    """A rendered conversation.

    Attributes:
        text: All of it.
        regions: The responses to learn, ascending.
        open_end: Whether the conversation ends in a response without an end marker that is a token.
        notes: What the template leaves out or moves, counted.
    """

    text: str
    regions: tuple[Region, ...]
    open_end: bool
    notes: Mapping[str, int] = field(default_factory=dict)


class Layouts:
    """Lays conversations out in a template's text.

    Args:
        wording: What the template expects and writes.
    """

    def __init__(self, wording: Wording) -> None:
        self._wording = wording
        self._known: OrderedDict[tuple[object, ...], Skeleton | TemplateMismatch] = OrderedDict()

    def of(self, examples: Sequence[Example]) -> list[Layout | TemplateMismatch]:
        """The layout of every conversation, or why it has none."""
        ready = [tuple(map(self._wording.prepared, example.messages)) for example in examples]
        plain = [place for place, example in enumerate(examples) if not example.tools]
        texts = dict(zip(plain, self._wording.show_many([ready[place] for place in plain]), strict=True))
        return [
            self._laid_out(messages, example.tools, texts.get(place))
            for place, (messages, example) in enumerate(zip(ready, examples, strict=True))
        ]

    def _laid_out(
        self, messages: Sequence[Message], tools: str, text: str | TemplateMismatch | None
    ) -> Layout | TemplateMismatch:
        if isinstance(text, TemplateMismatch):
            return text
        try:
            return self._lay_out(messages, tools, text)
        except TemplateMismatch as error:
            if not any("</think>" in message.content for message in messages) or not self._wording.takes_reasoning:
                return error
        try:
            return self._lay_out(messages, tools, None, blank_thoughts=True)
        except TemplateMismatch as error:
            return error

    def _lay_out(
        self, messages: Sequence[Message], tools: str, text: str | None, *, blank_thoughts: bool = False
    ) -> Layout:
        show = Shown(self._wording, tool_use.read_tools(tools), blank_thoughts)
        if text is None:
            text = show(messages)
            tool_use.check_tools(text, show.tools)
        if any(message.tool_calls for message in messages):
            return self._with_calls(messages, text, show)
        try:
            return self._fitted(self._skeleton(messages, tools, show), messages, text, show)
        except outline.NotShown as error:
            if error.role != "system":
                raise
        held = HeldBack(show)
        found = self._fitted(self._skeleton(messages, tools, held), messages, held(messages), held)
        return replace(found, notes={**found.notes, SYSTEM_MOVED: 1})

    def _skeleton(self, messages: Sequence[Message], tools: str, show: Shown | HeldBack) -> Skeleton:
        """The skeleton of this shape, or the error that its first conversation met."""
        shape = (type(show), show.blank_thoughts, tools, *(_kind(message) for message in messages))
        known = self._known.get(shape)
        if known is None:
            try:
                known = outline.of_shape(messages, show, self._wording)
            except TemplateMismatch as error:
                known = error
            self._known[shape] = known
            if len(self._known) > SHAPES:
                self._known.popitem(last=False)
        if isinstance(known, outline.NotShown):
            raise outline.NotShown(messages, known.turn)
        if isinstance(known, TemplateMismatch):
            raise known
        return known

    def _fitted(
        self, skeleton: Skeleton, messages: Sequence[Message], text: str, show: Shown | HeldBack
    ) -> Layout:
        """The layout of a row by the skeleton of its shape, or by one of its own."""
        at = skeleton.fit(text, messages)
        if at is not None:
            return _layout(skeleton, at, messages, text, skeleton.dropped)
        earlier, count = _without_thoughts(messages, last=False)
        if count > 0 and (at := skeleton.fit(text, earlier)) is not None:
            return _layout(skeleton, at, messages, text, skeleton.dropped + count)
        none, count = _without_thoughts(messages, last=True)
        if count > 0 and skeleton.fit(text, none) is not None:
            raise TemplateMismatch(outline.thought_dropped(messages, _last_thought(messages)))
        if count > 0 and isinstance(show, Shown) and (found := self._with_thoughts(messages, text, show)) is not None:
            return found
        skeleton = outline.of_row(messages, show, self._wording)
        at = skeleton.fit(text, messages)
        if at is None:
            raise TemplateMismatch(_difference(skeleton, messages, text))
        return _layout(skeleton, at, messages, text, skeleton.dropped)

    def _with_thoughts(self, messages: Sequence[Message], text: str, show: Shown) -> Layout | None:
        """The layout of a row whose thoughts the template finds in the texts and writes in its own way."""
        apart = [_with_thought_apart(message) for message in messages]
        try:
            skeleton = outline.of_row(apart, replace(show, written_thoughts=True), self._wording)
        except TemplateMismatch:
            return None
        at = skeleton.fit(text, apart)
        return None if at is None else _layout(skeleton, at, messages, text, skeleton.dropped)

    def _with_calls(self, messages: Sequence[Message], text: str, show: Shown) -> Layout:
        """The layout of a conversation in which the assistant calls tools: what it calls belongs to the response."""
        skeleton = outline.of_row(messages, show, self._wording)
        at = skeleton.fit(text, messages)
        if at is None:
            raise TemplateMismatch(_difference(skeleton, messages, text))
        found = _layout(skeleton, at, messages, text, skeleton.dropped)
        said = dict[float, Region](zip((span.turn for span in skeleton.spans), found.regions, strict=True))
        for turn, message in enumerate(messages):
            if message.tool_calls:
                begin, end = tool_use.locate(messages, turn, text, show, self._wording.end_texts)
                if message.learn:
                    said.update(self._joined(turn, said.get(turn), begin, end, text))
        regions = tuple(said[turn] for turn in sorted(said))
        return replace(found, regions=regions, open_end=_open(messages, regions))

    def _joined(self, turn: int, words: Region | None, begin: int, end: int, text: str) -> dict[float, Region]:
        """The regions of a turn that says `words` and calls tools from `begin` to `end`: one, where they are together.

        Some templates put the tool's answer between the call and the words; it is not to be learned.
        """
        closed = self._wording.closes(text[:end])
        if not closed:
            ending = self._wording.ending(text[end:])
            end, closed = end + ending.length, ending.is_token
        if words is None:
            return {turn: Region(begin, begin, end, end, closed)}
        if words.said <= end:
            return {turn: Region(words.begin, words.answer, end, end, closed)}
        apart = replace(words, begin=words.answer)
        return {turn: Region(begin, begin, end, end, closed), turn + 0.5: apart}


def _layout(skeleton: Skeleton, at: Sequence[int], messages: Sequence[Message], text: str, dropped: int) -> Layout:
    def place(its: Place) -> int:
        return at[its.literal] + its.offset

    regions = tuple(
        Region(place(span.begin), place(span.answer), place(span.said), place(span.end), span.closed)
        for span in skeleton.spans
    )
    return Layout(text, regions, _open(messages, regions), {THOUGHTS_DROPPED: dropped} if dropped else {})


def _open(messages: Sequence[Message], regions: Sequence[Region]) -> bool:
    last = messages[-1]
    return last.role == "assistant" and last.learn and len(regions) > 0 and not regions[-1].closed


def _kind(message: Message) -> tuple[object, ...]:
    return message.role, message.learn, message.content != "", message.reasoning != "", message.name, message.call_id


def _without_thoughts(messages: Sequence[Message], *, last: bool) -> tuple[list[Message], int]:
    """The messages without the thoughts at the head of the assistant's texts, in the last round too or not."""
    kept, count = list(messages), 0
    for turn, message in enumerate(messages):
        found = THOUGHT.match(message.content) if message.role == "assistant" else None
        if found is not None and (last or not outline.is_last_round(messages, turn)):
            kept[turn], count = replace(message, content=message.content[found.end(1) + len("</think>") :]), count + 1
    return kept, count


def _with_thought_apart(message: Message) -> Message:
    found = THOUGHT.match(message.content) if message.role == "assistant" else None
    if found is None:
        return message
    return replace(message, reasoning=found[1].strip("\n"), content=message.content[found.end() :])


def _last_thought(messages: Sequence[Message]) -> int:
    return max(turn for turn, message in enumerate(messages) if THOUGHT.match(message.content))


def _difference(skeleton: Skeleton, messages: Sequence[Message], text: str) -> str:
    expected = skeleton.spelled(messages)
    pairs = enumerate(zip(expected, text, strict=False))
    place = next((place for place, (left, right) in pairs if left != right), min(len(expected), len(text)))
    return (
        f"the chat template alters a response: expected {_excerpt(expected, place)}, rendered {_excerpt(text, place)}. "
        "Fix the response or use a tokenizer whose template shows responses unchanged."
    )


def _excerpt(text: str, place: int) -> str:
    return repr(text[max(place - 20, 0) : place + 40])

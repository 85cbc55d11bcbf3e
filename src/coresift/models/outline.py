"""Skeletons of conversations: rendered with a sentinel in place of each text, once per shape or for one row."""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from coresift.data.pool import Message
from coresift.models.skeleton import Place, Skeleton, Slot, Span
from coresift.models.template import TemplateMismatch
from coresift.models.wording import Wording

Show = Callable[[Sequence[Message]], str]
"""Renders a conversation."""


class NotShown(TemplateMismatch):
    """A template does not show a turn of the context."""

    def __init__(self, messages: Sequence[Message], turn: int) -> None:
        self.role, self.turn = messages[turn].role, turn
        super().__init__(
            f"the chat template does not show the {self.role} message in turn {turn + 1} "
            f"({messages[turn].content.strip()[:40]!r}). Remove the turn, or choose another template with "
            "model.template."
        )


def of_shape(messages: Sequence[Message], show: Show, wording: Wording) -> Skeleton:
    """The skeleton of all conversations with the same roles and kinds of turns, every text a slot.

    Args:
        messages: One of these conversations.
        show: Renders a conversation.
        wording: What the template writes around it.

    Raises:
        NotShown: If the template does not show a turn of the context.
        TemplateMismatch: If it refuses the conversation, does not show every response once and in order, or drops the
            thought of the last turn.
    """
    stem = _stem(messages)
    masked = [
        _with_texts(message, {field: f"{stem}{turn}{field[0]}E" for field in _fields(message)})
        for turn, message in enumerate(messages)
    ]
    text = show(masked)
    found = list(re.finditer(rf"{stem}(\d+)([cr])E", text))
    return _skeleton(_literals(text, found), _slots(found), messages, wording, exact=True)


def of_row(messages: Sequence[Message], show: Show, wording: Wording) -> Skeleton:
    """The skeleton of one conversation, its responses the slots: for templates that look into texts.

    A sentinel stands on either side of each response, so that the template still sees what it looks for in it. The
    context must be shown up to whitespace. Arguments and errors as `of_shape`.
    """
    stem = _stem(messages)
    wrapped = list(messages)
    for turn, message in enumerate(messages):
        if _learned(message):
            names = {field: f"{turn}{field[0]}" for field in _fields(message)}
            wrapped[turn] = _with_texts(
                message,
                {field: f"{stem}{name}A{getattr(message, field)}B{name}{stem}" for field, name in names.items()},
            )
    text = show(wrapped)
    found = list(re.finditer(rf"{stem}(\d+)([cr])A(.*?)B\1\2{stem}", text, re.DOTALL))
    for slot, each in zip(_slots(found), found, strict=True):
        if each[3] != getattr(messages[slot.turn], slot.field):
            raise TemplateMismatch(altered(messages, slot.turn))
    shown = _collapsed(text)
    for turn, message in enumerate(messages):
        if not _learned(message) and _collapsed(message.content) not in shown:
            raise NotShown(messages, turn)
    return _skeleton(_literals(text, found), _slots(found), messages, wording, exact=False)


def altered(messages: Sequence[Message], turn: int) -> str:
    """What is said of a response that a template changes."""
    thought = " It has the text </think>, which some templates rewrite." if "</think>" in messages[turn].content else ""
    return (
        f"the chat template alters a response (assistant turn {ordinal(messages, turn)}).{thought} "
        "Fix the response or use a tokenizer whose template shows responses unchanged."
    )


def thought_dropped(messages: Sequence[Message], turn: int) -> str:
    """What is said of a last thought that a template does not show."""
    return (
        f"the chat template drops the thought (<think>) of assistant turn {ordinal(messages, turn)}, which is to be "
        "learned. Take the thought out of the row, or choose a template that shows it with model.template."
    )


def _words_hidden(messages: Sequence[Message], turn: int) -> str:
    return (
        f"the chat template shows what assistant turn {ordinal(messages, turn)} calls, but not the text beside it "
        f"({messages[turn].content.strip()[:40]!r}). Take the text out of the row, or choose another template with "
        "model.template."
    )


def ordinal(messages: Sequence[Message], turn: int) -> int:
    """Which turn of the assistant this is, from 1."""
    return sum(message.role == "assistant" for message in messages[: turn + 1])


def is_last_round(messages: Sequence[Message], turn: int) -> bool:
    """Whether no user speaks after this turn: templates may drop the thoughts of earlier rounds."""
    return not any(message.role == "user" for message in messages[turn:])


def _skeleton(
    literals: Sequence[str], slots: Sequence[Slot], messages: Sequence[Message], wording: Wording, *, exact: bool
) -> Skeleton:
    """Check that all is shown, and find the responses; `exact` says that all texts are slots."""
    counts, spans, dropped, latest = Counter(slots), list[Span](), 0, -1
    places: dict[int, list[int]] = {}
    for place, slot in enumerate(slots):
        places.setdefault(slot.turn, []).append(place)
    hidden: int | None = None
    for turn, message in enumerate(messages):
        if message.reasoning and counts[Slot(turn, "reasoning")] == 0 and (exact or _learned(message)):
            if message.learn and is_last_round(messages, turn):
                raise TemplateMismatch(thought_dropped(messages, turn))
            dropped += 1
        if not _learned(message):
            if exact and message.content and counts[Slot(turn, "content")] == 0 and hidden is None:
                hidden = turn
            continue
        shown, wanted = places.get(turn, []), "content" in _fields(message)
        often = counts[Slot(turn, "content")] if wanted else len(shown)
        if (often != 1 and wanted) or (shown and shown[0] < latest):
            if often == 0 and message.tool_calls:
                raise TemplateMismatch(_words_hidden(messages, turn))
            if not exact:
                raise TemplateMismatch(altered(messages, turn))
            raise TemplateMismatch(
                f"the chat template shows assistant turn {ordinal(messages, turn)} {often} times or out of order; it "
                "must show every one once. Use a tokenizer with another template."
            )
        if shown:
            latest = shown[-1]
            tail = wording.tail(messages[turn - 1].role) if turn else None
            spans.append(_span(literals, turn, (shown[0], shown[-1] + 1), tail, wording, exact))
    if hidden is not None:
        raise NotShown(messages, hidden)
    return Skeleton(tuple(literals), tuple(slots), tuple(spans), dropped)


def _span(
    literals: Sequence[str], turn: int, around: tuple[int, int], tail: str | None, wording: Wording, exact: bool
) -> Span:
    """The response between two literals. `tail` is what the generation prompt writes before a response."""
    before, after = literals[around[0]], literals[around[1]]
    begin = len(before)
    if tail and before.startswith(tail):
        begin = len(tail)
    elif tail and not exact and tail in before:
        begin = before.rindex(tail) + len(tail)
    ending = wording.ending(after)
    return Span(
        turn,
        Place(around[0], len(before[:begin].rstrip(" "))),
        Place(around[0], len(before.rstrip(" "))),
        Place(around[1], 0),
        Place(around[1], ending.length),
        ending.is_token,
    )


def _learned(message: Message) -> bool:
    return message.role == "assistant" and message.learn


def _fields(message: Message) -> list[str]:
    """The fields of a turn that are texts to find again; a blank response is one, unless it calls tools instead."""
    blank = message.role == "assistant" and not (message.tool_calls or message.reasoning)
    content = message.content != "" or blank
    return [field for field, there in (("content", content), ("reasoning", message.reasoning != "")) if there]


def _with_texts(message: Message, texts: Mapping[str, str]) -> Message:
    content, reasoning = texts.get("content", message.content), texts.get("reasoning", message.reasoning)
    return replace(message, content=content, reasoning=reasoning)


def _stem(messages: Sequence[Message]) -> str:
    """A word that occurs nowhere in the conversation and that stripping leaves alone."""
    stem = "coresiftTurn"
    while any(stem in message.content or stem in message.reasoning for message in messages):
        stem += "X"
    return stem


def _slots(found: Sequence[re.Match[str]]) -> list[Slot]:
    return [Slot(int(each[1]), "reasoning" if each[2] == "r" else "content") for each in found]


def _literals(text: str, found: Sequence[re.Match[str]]) -> list[str]:
    edges = [0, *(edge for each in found for edge in each.span()), len(text)]
    return [text[begin:end] for begin, end in zip(edges[::2], edges[1::2], strict=True)]


def _collapsed(text: str) -> str:
    return " ".join(text.split())

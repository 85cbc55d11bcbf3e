"""A conversation's text without its words: the template's literals, the slots between them, and where responses lie.

A template is rendered once for every shape of conversation, with a sentinel in place of each text. What stands between
the sentinels are the literals. The real rendering of a row must be exactly these literals with the row's texts in the
slots, so one rendering per row proves where its responses are and that every turn is shown.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from coresift.data.pool import Message


@dataclass(frozen=True, slots=True)
class Slot:
    """Where a text of the conversation is shown."""

    turn: int
    field: str
    """"content" or "reasoning"."""


@dataclass(frozen=True, slots=True)
class Place:
    """A place in the template's text: a literal and characters into it."""

    literal: int
    offset: int


@dataclass(frozen=True, slots=True)
class Span:
    """A response in the template's text.

    Attributes:
        turn: Which message it is.
        begin: Where what the model must write begins: after the generation prompt, with the spaces before it.
        answer: Where the answer itself begins, with the spaces before it; at `begin` or later.
        said: Where the answer ends.
        end: After the end marker.
        closed: Whether the end marker is a token at which generation can stop.
    """

    turn: int
    begin: Place
    answer: Place
    said: Place
    end: Place
    closed: bool


@dataclass(frozen=True, slots=True)
class Skeleton:
    """The text of all conversations of one shape: literals[0] + slot + literals[1] + ... + literals[-1].

    Attributes:
        literals: The template's own text, one more than there are slots.
        slots: What stands between them, in the order shown.
        spans: The responses to learn, in order.
        dropped: How many thoughts of earlier turns the template does not show.
    """

    literals: tuple[str, ...]
    slots: tuple[Slot, ...]
    spans: tuple[Span, ...]
    dropped: int = 0

    def fit(self, text: str, messages: Sequence[Message]) -> list[int] | None:
        """Where every literal begins in `text`, the rendering of `messages`; None if these are not its words.

        Texts may be shown as they are or stripped of outer whitespace, each in its own way.
        """
        values = self._values(messages)
        for shown in (values, [value.strip() for value in values]):
            places = self._laid(shown)
            if self._spelled(shown) == text:
                return places
        return self._search(text, values)

    def spelled(self, messages: Sequence[Message]) -> str:
        """The text with the messages' own texts in the slots."""
        return self._spelled(self._values(messages))

    def _values(self, messages: Sequence[Message]) -> list[str]:
        return [str(getattr(messages[slot.turn], slot.field)) for slot in self.slots]

    def _spelled(self, values: Sequence[str]) -> str:
        return "".join(part for pair in zip(self.literals, [*values, ""], strict=True) for part in pair)

    def _laid(self, values: Sequence[str]) -> list[int]:
        places, at = [], 0
        for literal, value in zip(self.literals, [*values, ""], strict=True):
            places.append(at)
            at += len(literal) + len(value)
        return places

    def _search(self, text: str, values: Sequence[str]) -> list[int] | None:
        if not text.startswith(self.literals[0]):
            return None
        open_, dead = [(0, 0)], set[tuple[int, int]]()
        parents: dict[tuple[int, int], tuple[int, int]] = {}
        while open_:
            index, at = open_.pop()
            after = at + len(self.literals[index])
            if index == len(values):
                if after == len(text):
                    return _walked((index, at), parents)
                continue
            for shown in reversed(_variants(values[index])):
                follower = (index + 1, after + len(shown))
                fits = text.startswith(shown, after) and text.startswith(self.literals[index + 1], follower[1])
                if fits and follower not in dead:
                    dead.add(follower)
                    parents[follower] = (index, at)
                    open_.append(follower)
        return None


def _walked(last: tuple[int, int], parents: dict[tuple[int, int], tuple[int, int]]) -> list[int]:
    places = [last[1]]
    while last in parents:
        last = parents[last]
        places.append(last[1])
    return places[::-1]


def _variants(value: str) -> list[str]:
    """A text as templates show it: as it is, or with outer whitespace or newlines removed. Longest first."""
    ways = {value, value.strip(), value.lstrip(), value.rstrip()}
    ways |= {value.strip("\n"), value.lstrip("\n"), value.rstrip("\n")}
    return sorted(ways, key=lambda shown: (-len(shown), shown))

"""A chat template's text around the responses, found with sentinels and checked against the real rendering."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jinja2.exceptions import TemplateError

from coresift.data.pool import Message

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

PLAIN = (
    "{% if bos_token %}{{ bos_token }}{% endif %}"
    "{% for message in messages %}"
    "{% if message.role == 'system' %}{{ '### System:\\n' + message.content + '\\n\\n' }}"
    "{% elif message.role == 'user' %}{{ '### Instruction:\\n' + message.content + '\\n\\n' }}"
    "{% else %}{{ '### Response:\\n' + message.content + (eos_token or '') }}"
    "{% if not loop.last %}{{ '\\n\\n' }}{% endif %}"
    "{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '### Response:\\n' }}{% endif %}"
)
"""The chat template used when the tokenizer has none: titled sections, BOS first, EOS after every response."""


DATE = "26 Jul 2024"
"""The date given to templates that show one (Llama 3.1 and later): tokens must not change from day to day."""


class TemplateMismatch(Exception):
    """A template refuses a conversation or does not show a response unchanged; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Split:
    """A rendered conversation: pieces[0] + responses[0] + pieces[1] + ... + pieces[-1].

    Attributes:
        pieces: The template's text, one more than there are responses.
        responses: The responses as the template shows them: unchanged, or stripped of outer whitespace.
    """

    pieces: tuple[str, ...]
    responses: tuple[str, ...]


def split_conversation(tokenizer: "PreTrainedTokenizerBase", messages: Sequence[Message]) -> Split:
    """Split the rendering of a conversation into the template's pieces and the responses.

    Raises:
        TemplateMismatch: If the template refuses the conversation, or pieces and responses (as they are, or stripped of
            outer whitespace) do not add up to what it renders.
    """
    contents = [message.content for message in messages if message.role == "assistant"]
    sentinels = _sentinels(messages, len(contents))
    stand_ins = iter(sentinels)
    masked = [Message("assistant", next(stand_ins)) if message.role == "assistant" else message for message in messages]
    pieces = _cut(_apply(tokenizer, masked), sentinels)
    text = _apply(tokenizer, messages)
    responses = _match(text, pieces, contents)
    if responses is None:
        raise TemplateMismatch(_difference(text, pieces, contents))
    return Split(tuple(pieces), tuple(responses))


def _apply(tokenizer: "PreTrainedTokenizerBase", messages: Sequence[Message]) -> str:
    turns = [{"role": message.role, "content": message.content} for message in messages]
    template = PLAIN if tokenizer.chat_template is None else None
    try:
        return str(tokenizer.apply_chat_template(turns, tokenize=False, chat_template=template, date_string=DATE))
    except (TemplateError, TypeError, ValueError) as error:
        roles = ", ".join(message.role for message in messages)
        raise TemplateMismatch(
            f"the chat template refuses its turns ({roles}): {error}. "
            "Change or remove the turns it does not accept, or use a tokenizer whose template accepts them."
        ) from error


def _sentinels(messages: Sequence[Message], count: int) -> list[str]:
    """Strings that occur nowhere in the conversation and that stripping leaves alone."""
    stem = "coresiftAnswer"
    while any(stem in message.content for message in messages):
        stem += "X"
    return [f"{stem}{place}E" for place in range(count)]


def _cut(text: str, sentinels: Sequence[str]) -> list[str]:
    pieces: list[str] = []
    for turn, sentinel in enumerate(sentinels, start=1):
        if text.count(sentinel) != 1:
            raise TemplateMismatch(
                f"the chat template shows assistant turn {turn} {text.count(sentinel)} times or out of order; it must "
                "show every one once. Use a tokenizer with another template."
            )
        before, _, text = text.partition(sentinel)
        pieces.append(before)
    return [*pieces, text]


def _match(text: str, pieces: Sequence[str], contents: Sequence[str]) -> list[str] | None:
    """The responses as shown in `text`, or None; each turn may be stripped in its own way."""
    if not text.startswith(pieces[0]):
        return None
    text = text[len(pieces[0]) :]
    if len(contents) == 0:
        return [] if text == "" else None
    for shown in _variants(contents[0]):
        if text.startswith(shown):
            rest = _match(text[len(shown) :], pieces[1:], contents[1:])
            if rest is not None:
                return [shown, *rest]
    return None


def _variants(content: str) -> list[str]:
    """A response as templates show it: as it is, or with outer whitespace or newlines removed. Longest first."""
    ways = {content, content.strip(), content.lstrip(), content.rstrip()}
    ways |= {content.strip("\n"), content.lstrip("\n"), content.rstrip("\n")}
    return sorted(ways, key=lambda shown: (-len(shown), shown))


def _difference(text: str, pieces: Sequence[str], contents: Sequence[str]) -> str:
    expected = "".join(piece + content for piece, content in zip(pieces, [*contents, ""], strict=True))
    pairs = enumerate(zip(expected, text, strict=False))
    place = next((place for place, (left, right) in pairs if left != right), min(len(expected), len(text)))
    return (
        f"the chat template alters a response: expected {_excerpt(expected, place)}, rendered {_excerpt(text, place)}. "
        "Fix the response or use a tokenizer whose template shows responses unchanged."
    )


def _excerpt(text: str, place: int) -> str:
    return repr(text[max(place - 20, 0) : place + 40])

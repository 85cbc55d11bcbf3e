"""The words of a conversation, for comparing texts: what is near a copy of what, and what was tested on."""

import re
import unicodedata

from coresift.data.pool import Example

UNSPACED = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\u0e00-\u0e7f"
"""Scripts whose words are not set apart, or whose words are short: each of their characters counts as a word."""
WORDS = re.compile(rf"[{UNSPACED}]|[^\W{UNSPACED}]+")


def words(text: str) -> list[str]:
    """Words without signs, in lower case, compatible characters made equal.

    >>> words("Don't: 3.5 kg, 日本")
    ['don', 't', '3', '5', 'kg', '日', '本']
    """
    return WORDS.findall(unicodedata.normalize("NFKC", text).lower())


def prompt_words(example: Example) -> list[str]:
    """What is asked for: all turns before the last response, but system messages, which many examples share."""
    last = max(place for place, message in enumerate(example.messages) if message.role == "assistant")
    return [word for message in example.messages[:last] if message.role != "system" for word in words(message.content)]


def all_words(example: Example) -> list[str]:
    """The whole conversation but system messages."""
    return [word for message in example.messages if message.role != "system" for word in words(message.content)]


def ngrams(found: list[str], size: int) -> list[str]:
    """Runs of `size` words, joined by a space, in order; none where there are fewer words.

    >>> ngrams(["a", "b", "c"], 2)
    ['a b', 'b c']
    """
    return [" ".join(found[start : start + size]) for start in range(len(found) - size + 1)]

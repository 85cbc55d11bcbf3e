"""Text from files and settings, made safe to print: what would steer a terminal is shown as its escape sequence."""

import unicodedata
from typing import Any

STEERING = {"Cc", "Cf", "Cs", "Zl", "Zp"}
"""Unicode categories that do something instead of showing something: controls, directions, half pairs, line ends."""
JOINERS = {"\u200c", "\u200d"}
"""Of category Cf, but part of how Persian, Hindi and emoji are written."""


def shown(text: Any, *, longest: int | None = None) -> str:
    """One line that prints as it stands: control and direction characters escaped, cut when longer than `longest`.

    >>> shown("a\\x1b[31mb\\n")
    'a\\\\x1b[31mb\\\\n'
    >>> shown("abcdef", longest=4)
    'abc…'
    """
    line = str(text)
    if longest is not None and len(line) > longest:
        line = line[: longest - 1] + "…"
    return line if line.isprintable() else "".join(map(_escaped, line))


def lines_shown(text: Any) -> str:
    """As `shown`, but line feeds stay: for whole messages."""
    return "\n".join(map(shown, str(text).split("\n")))


def say(text: str = "") -> None:
    """Print a message that may hold other people's text."""
    print(lines_shown(text))


def _escaped(mark: str) -> str:
    if mark in JOINERS or unicodedata.category(mark) not in STEERING:
        return mark
    return mark.encode("unicode_escape").decode("ascii")

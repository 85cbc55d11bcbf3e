"""An example that leaves too little room for the query loses text from the middle of its longest turns."""

from collections.abc import Sequence
from dataclasses import replace

from coresift.data.pool import Example, Message
from coresift.extract.icl_prompts import Prompts, conversation

STEP = 64
"""Prefixes are shortened to multiples of this many tokens, so that queries of about one length share one."""
LEAST = 4
"""A turn is never cut to fewer tokens."""
GAP = " … "
"""What stands for the text left out."""
TRIES = 8


def room_for(limit: int, suffix: int) -> int:
    """Tokens a shortened prefix may take before a suffix: what is left of the limit, rounded down to a multiple."""
    return max(limit - suffix, 0) // STEP * STEP


def shortened(prompts: Prompts, example: Example, room: int) -> tuple[int, ...] | None:
    """The prefix of an example in at most `room` tokens; None where that would leave next to nothing of it.

    Raises:
        DataError, RenderError: As the prompts do.
    """
    turns = conversation(example).messages
    tokens = [prompts.encode(message.content) for message in turns]
    prefix = prompts.prefix(example)
    drop = 0
    for _ in range(TRIES):
        if len(prefix) <= room:
            return prefix
        drop += len(prefix) - room
        cap = _cap([len(ids) for ids in tokens], drop)
        if cap < LEAST:
            return None
        cut = [_cut(prompts, message, ids, cap) for message, ids in zip(turns, tokens, strict=True)]
        prefix = prompts.prefix(replace(example, messages=tuple(cut)))
    return None


def _cap(lengths: Sequence[int], drop: int) -> int:
    """The largest length to which all longer turns are cut when at least `drop` tokens must go."""
    low, high = 0, max(lengths)
    while low < high:
        middle = (low + high + 1) // 2
        if sum(max(length - middle, 0) for length in lengths) >= drop:
            low = middle
        else:
            high = middle - 1
    return low


def _cut(prompts: Prompts, message: Message, tokens: Sequence[int], cap: int) -> Message:
    if len(tokens) <= cap:
        return message
    head, tail = tokens[: (cap + 1) // 2], tokens[len(tokens) - cap // 2 :]
    # A cut within a character leaves broken bytes at the edge, which decode to replacement characters.
    text = prompts.decode(head).rstrip("\ufffd") + GAP + prompts.decode(tail).lstrip("\ufffd")
    return replace(message, content=text)

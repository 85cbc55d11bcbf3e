"""Texts as tokens, whole, and the tokens that begin at given places in them.

A text is tokenised once, as a whole, since SentencePiece tokenizers put spaces of their own before every text they are
given. Where a place falls inside a token, the text is cut there and what follows is tokenised behind a marker, whose
tokens are then taken off; that this spells the same as the whole is checked.
"""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from coresift.errors import RenderError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

MARKERS = ("\n", "a", ".", "0", "|", "\u00e9")
"""Texts to tokenise a part of a text behind; one must not merge with what follows."""

_PROBE = "a  B\n\t\u00e9\u4e2d9."


@dataclass(frozen=True, slots=True)
class Encoded:
    """A tokenised text.

    Attributes:
        tokens: Token ids.
        begins_at: The number of tokens before a place in the text, in characters; None if the place is in a token.
    """

    tokens: list[int]
    begins_at: Callable[[int], int | None]


class TextEncoder:
    """Tokenises texts without adding special tokens around them.

    Args:
        tokenizer: A Hugging Face tokenizer.
    """

    def __init__(self, tokenizer: "PreTrainedTokenizerBase") -> None:
        self._tokenizer = tokenizer
        self._backend = _backend(tokenizer)
        self._bytes = None if self._backend is None else _bytes_of_tokens(self._backend)
        added = getattr(tokenizer, "added_tokens_decoder", {})
        self._greedy = frozenset(int(id) for id, token in added.items() if token.lstrip or token.rstrip)

    @cached_property
    def _with_spaces(self) -> Any:
        """The same, with offsets that hold the spaces of tokens; a copy where it trims them."""
        processor = self._backend.post_processor
        if processor is None or b'"trim_offsets":true' not in processor.__getstate__():
            return self._backend
        copied = deepcopy(self._backend)
        copied.post_processor = None
        return copied

    def encode(self, texts: Sequence[str]) -> list[Encoded | UnicodeError]:
        """Every text as tokens; in place of one that is not valid Unicode stands the error."""
        try:
            return list(self._encode(texts))
        except (UnicodeError, TypeError):
            return [self._encoded_or_not(text) for text in texts]

    def _encoded_or_not(self, text: str) -> Encoded | UnicodeError:
        try:
            text.encode()
        except UnicodeError as error:
            return error
        return self._encode([text])[0]

    def _encode(self, texts: Sequence[str]) -> list[Encoded]:
        if self._backend is None:
            return [self._without_offsets(text) for text in texts]
        self._backend.no_truncation()
        self._backend.no_padding()
        if self._bytes is not None:
            found = self._backend.encode_batch_fast(list(texts), add_special_tokens=False)
            spelled = [_spelled_out(each.ids, text, self._bytes) for each, text in zip(found, texts, strict=True)]
            if None not in spelled:
                return [each for each in spelled if each is not None]
            self._bytes = None  # it does not spell texts byte by byte after all
        found = self._with_spaces.encode_batch(list(texts), add_special_tokens=False)
        return [_with_offsets(each, text, self._greedy) for each, text in zip(found, texts, strict=True)]

    def _without_offsets(self, text: str) -> Encoded:
        tokens = self._ids(text)

        def begins_at(place: int) -> int | None:
            before = self._ids(text[:place])
            return len(before) if tokens[: len(before)] == before else None

        return Encoded(tokens, begins_at)

    def _ids(self, text: str) -> list[int]:
        return list(self._tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]) if text else []

    def cut(self, text: str, whole: Encoded, places: Sequence[int]) -> tuple[list[int], list[int]]:
        """The tokens of a text with a token boundary at every place, and the number of tokens before each place.

        Args:
            text: The text.
            whole: The same, as `encode` gives it; used as it is where its boundaries suffice.
            places: Characters, ascending.

        Raises:
            RenderError: If the text cannot be tokenised with these boundaries and spell the same.
        """
        cuts: set[int] = set()
        parts = [whole]
        while True:
            begins = [0, *sorted(cuts)]
            counts, inside = _counted(parts, begins, places)
            if not inside:
                break
            cuts |= inside
            begins = [0, *sorted(cuts)]
            parts = [self._part(text, begin, end) for begin, end in zip(begins, [*begins[1:], len(text)], strict=True)]
        tokens = [token for part in parts for token in part.tokens]
        if len(parts) > 1 and self._spell(tokens) != self._spell(whole.tokens):
            raise RenderError(
                "the text cannot be cut into tokens where a response begins or ends without changing it. "
                "Use another tokenizer or template."
            )
        return tokens, counts

    def _part(self, text: str, begin: int, end: int) -> Encoded:
        """A part of a text as tokens, with no space of its own before it."""
        if begin == 0:
            return self._encode([text[:end]])[0]
        for marker in MARKERS:
            marked = self._encode([marker + text[begin:end]])[0]
            count = marked.begins_at(len(marker))
            if count is not None and count > 0:
                return _after(marked, len(marker), count)
        raise RenderError(
            f"the tokenizer does not separate {text[begin : begin + 20]!r} from what comes before. "
            "Fix the row or use another tokenizer."
        )

    def _spell(self, tokens: Sequence[int]) -> str:
        return str(
            self._tokenizer.decode(list(tokens), skip_special_tokens=False, clean_up_tokenization_spaces=False)
        )


def _counted(parts: Sequence[Encoded], begins: Sequence[int], places: Sequence[int]) -> tuple[list[int], set[int]]:
    """The tokens before every place, and the places that fall inside a token."""
    before = [0, *accumulate(len(part.tokens) for part in parts)]
    counts, inside = list[int](), set[int]()
    for place in places:
        which = bisect_right(begins, place) - 1
        count = parts[which].begins_at(place - begins[which])
        if count is None:
            inside.add(place)
        else:
            counts.append(before[which] + count)
    return counts, inside


def _after(marked: Encoded, length: int, count: int) -> Encoded:
    """What comes after the first `length` characters, which are `count` tokens."""

    def begins_at(place: int) -> int | None:
        at = marked.begins_at(length + place)
        return None if at is None else at - count

    return Encoded(marked.tokens[count:], begins_at)


LONG = 4096
"""Tokens from which on all offsets are read at once: reading a single one takes time in proportion to the text."""


def _with_offsets(encoding: Any, text: str, greedy: frozenset[int]) -> Encoded:
    """A text as tokens with their offsets; `greedy` tokens swallow whitespace around them, where nothing is cut."""
    tokens: list[int] = encoding.ids
    if len(tokens) > LONG:
        offsets = encoding.offsets
        ends = [end for _, end in offsets]
        first_beyond, span = partial(bisect_right, ends), offsets.__getitem__
    else:
        first_beyond, span = partial(_first_beyond, encoding), encoding.token_to_chars

    def begins_at(place: int) -> int | None:
        at = len(tokens) if place >= len(text) else first_beyond(place)
        if at == len(tokens) or span(at)[0] >= place:
            return at
        begin, end = span(at)
        if tokens[at] in greedy and text[place:end].isspace():
            return at + 1
        return at if tokens[at] in greedy and text[begin:place].isspace() else None

    return Encoded(tokens, begins_at)


def _first_beyond(encoding: Any, place: int) -> int:
    """The first token that ends after a place."""
    at = encoding.char_to_token(place)
    if at is None:  # a character that the tokenizer leaves out
        return bisect_right([end for _, end in encoding.offsets], place)
    while at > 0 and encoding.token_to_chars(at - 1)[1] > place:
        at -= 1
    return int(at)


def _bytes_of_tokens(backend: Any) -> NDArray[np.int64] | None:
    """[vocabulary] how many bytes every token of a byte-level vocabulary spells; None for other vocabularies.

    With these, places are found without offsets, which cost a quarter of the time of tokenising.
    """
    if type(backend.decoder).__name__ != "ByteLevel" or backend.normalizer is not None:
        return None
    added = set(backend.get_added_tokens_decoder())
    vocabulary = backend.get_vocab(with_added_tokens=True)
    lengths = np.zeros(max(vocabulary.values()) + 1, dtype=np.int64)
    for token, id in vocabulary.items():
        lengths[id] = len(token.encode()) if id in added else len(token)
    return lengths


def _spelled_out(tokens: list[int], text: str, lengths: NDArray[np.int64]) -> Encoded | None:
    """A text as tokens with the bytes that each spells; None if they do not add up to the text."""
    ends = lengths[tokens].cumsum()
    raw = text if text.isascii() else text.encode()
    if (int(ends[-1]) if len(tokens) else 0) != len(raw):
        return None

    def begins_at(place: int) -> int | None:
        at = place if raw is text else len(text[:place].encode())
        before = int(ends.searchsorted(at, side="right"))
        return before if at == 0 or int(ends[before - 1]) == at else None

    return Encoded(tokens, begins_at)


def _backend(tokenizer: "PreTrainedTokenizerBase") -> Any:
    """The tokenizer's Rust part; None if it has none that does the same."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        return None
    same = tokenizer(_PROBE, add_special_tokens=False, verbose=False)["input_ids"]
    return backend if backend.encode(_PROBE, add_special_tokens=False).ids == list(same) else None

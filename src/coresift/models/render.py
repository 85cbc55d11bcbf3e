"""From a conversation to tokens and a mask of the tokens to predict, without tokenising across the boundary.

The chat template is rendered once with a sentinel in place of every response. The text between sentinels is tokenised
piece by piece, every response is tokenised alone, and the two are spliced. So the response has the same token ids in
its context and on its own, which is what makes response = knowledge + following exact. Two checks make it safe: pieces
and responses together must be what the template renders for the real conversation, and the tokens to predict must
decode to the response.
"""

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from coresift.data.pool import Example, Message, Pool
from coresift.errors import DataError, ModelError, RenderError
from coresift.models.template import Split, TemplateMismatch, split_conversation
from coresift.progress import track

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True, slots=True)
class Rendered:
    """One conversation as tokens, up to and including the last token to predict.

    Attributes:
        id: Id of the example.
        tokens: Token ids.
        response: For every token whether it is predicted: the responses and their end markers. Never the first.
    """

    id: str
    tokens: tuple[int, ...]
    response: tuple[bool, ...]

    @property
    def response_tokens(self) -> tuple[int, ...]:
        """The tokens to predict, all assistant turns in order, end markers included."""
        return tuple(token for token, wanted in zip(self.tokens, self.response, strict=True) if wanted)

    @property
    def n_targets(self) -> int:
        """How many tokens are predicted."""
        return sum(self.response)


def refuse_longer(rows: Iterable[Rendered], limit: int | None) -> None:
    """Raise DataError if a row has more than `limit` tokens, the most that a model takes; None is no limit."""
    longest = max(rows, key=lambda row: len(row.tokens))
    if limit is not None and len(longest.tokens) > limit:
        raise DataError(
            f"example {longest.id} has {len(longest.tokens)} tokens, but the model takes at most {limit}. "
            f"Pass --set pool.max_tokens={limit} or lower."
        )


class Renderer:
    """Renders conversations with a tokenizer's own chat template, or with `template.PLAIN` when it has none.

    Args:
        tokenizer: A Hugging Face tokenizer.
        max_tokens: Conversations longer than this do not fit; nothing is ever cut.
    """

    def __init__(self, tokenizer: "PreTrainedTokenizerBase", *, max_tokens: int) -> None:
        self.tokenizer, self.max_tokens = tokenizer, max_tokens
        added = {int(token) for token in getattr(tokenizer, "added_tokens_decoder", {})}
        self._markers = added | set(tokenizer.all_special_ids)

    @cached_property
    def start_token(self) -> int:
        """What the knowledge loss conditions on: BOS, else the neutral start: EOS, else PAD. Raises ModelError."""
        for token in (self.tokenizer.bos_token_id, self.tokenizer.eos_token_id, self.tokenizer.pad_token_id):
            if token is not None:
                return int(token)
        raise ModelError(
            f"{self.tokenizer.name_or_path or 'tokenizer'}: no BOS, EOS or PAD token, so the knowledge loss has "
            "nothing to start from. Give the tokenizer one of them."
        )

    @property
    def pad_token(self) -> int:
        """PAD, else the start token; padded positions are masked."""
        pad = self.tokenizer.pad_token_id
        return self.start_token if pad is None else int(pad)

    @cached_property
    def stop_tokens(self) -> tuple[int, ...]:
        """Tokens that end a generated answer: the template's end marker and EOS."""
        stops = {self.tokenizer.eos_token_id} - {None}
        try:
            probe = self.render(Example(id="probe", messages=(Message("user", "a"), Message("assistant", "b"))))
        except RenderError:
            return tuple(sorted(stops))
        return tuple(sorted(stops | ({probe.tokens[-1]} & self._markers)))

    def render(self, example: Example) -> Rendered:
        """Tokens and mask of one conversation, whatever its length (see `fits`).

        Raises:
            RenderError: If the template refuses the conversation, alters a response, or the tokens to predict do not
                decode to the responses.
        """
        parts = list(self._parts(self._split(example.messages, example.id), example.id))
        tokens = [token for ids, _ in parts for token in ids]
        wanted = [target for ids, target in parts for _ in ids]
        if True not in wanted:
            raise RenderError(
                f"example {example.id}: no token to predict (a blank response and no end marker). Fix or drop the row."
            )
        length = len(wanted) - wanted[::-1].index(True)
        row = Rendered(example.id, tuple(tokens[:length]), tuple(wanted[:length]))
        if wanted[0]:  # a template that puts nothing before the first response: it is predicted from the start token
            return replace(row, tokens=(self.start_token, *row.tokens), response=(False, *row.response))
        return row

    def fits(self, row: Rendered) -> bool:
        """Whether a conversation stays within `max_tokens`."""
        return len(row.tokens) <= self.max_tokens

    def prompt(self, messages: Sequence[Message]) -> tuple[int, ...]:
        """Tokens up to where the next assistant turn starts, exactly as in training.

        Args:
            messages: The conversation without the answer that is asked for.

        Raises:
            RenderError: As `render`.
        """
        split = self._split((*messages, Message("assistant", "?")), "of a prompt")
        *before, _, _, _ = self._parts(split, "of a prompt")
        return tuple(token for ids, _ in before for token in ids) or (self.start_token,)

    def decode(self, tokens: Sequence[int]) -> str:
        """Text of tokens, special tokens dropped."""
        return str(self.tokenizer.decode(list(tokens), skip_special_tokens=True, clean_up_tokenization_spaces=False))

    def _split(self, messages: Sequence[Message], id: str) -> Split:
        try:
            return split_conversation(self.tokenizer, messages)
        except TemplateMismatch as error:
            raise RenderError(f"example {id}: {error}") from error

    def _parts(self, split: Split, id: str) -> Iterator[tuple[list[int], bool]]:
        """Token runs and whether they are predicted: piece, then for every response: itself, end marker, piece."""
        piece, moved = _move_spaces(split.pieces[0])
        yield self._encode(piece, id), False
        for turn, response in enumerate(split.responses, start=1):
            last = turn == len(split.responses)
            yield self._response(moved, response, id), True
            piece, moved = (split.pieces[turn], "") if last else _move_spaces(split.pieces[turn])
            ids = self._encode(piece, id)
            end = self._end(ids)
            if end == 0 and last and self.tokenizer.eos_token_id is not None:
                yield [int(self.tokenizer.eos_token_id)], True
            else:
                yield ids[:end], True
            yield ids[end:], False

    def _response(self, moved: str, response: str, id: str) -> list[int]:
        """Ids of a response with the spaces that came before it, checked to decode to it."""
        dropped = 1 if moved and self._adds_space else 0
        ids = self._encode(moved[dropped:] + response, id)
        decoded = str(self.tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False))
        if not _same(decoded, response):
            raise RenderError(
                f"example {id}: its response decodes to {decoded[:60]!r} instead of {response[:60]!r}. The tokenizer "
                "cannot represent it: fix the row or use another tokenizer."
            )
        return ids

    def _end(self, ids: Sequence[int]) -> int:
        """How many of the tokens after a response belong to its end marker (whitespace before it included)."""
        for place, token in enumerate(ids):
            if token in self._markers:
                return place + 1
            if str(self.tokenizer.decode([token])).strip() != "":
                return 0
        return 0

    @cached_property
    def _adds_space(self) -> bool:
        """Whether the tokenizer puts a space of its own before a text (SentencePiece style)."""
        first = self.tokenizer.convert_ids_to_tokens(self._encode("a", "probe")[:1])
        return bool(first) and first[0].startswith("\u2581")

    def _encode(self, text: str, id: str) -> list[int]:
        try:
            return list(self.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]) if text else []
        except (UnicodeError, TypeError) as error:
            raise RenderError(f"example {id}: its text is not valid Unicode ({error}). Fix the row.") from error


def _move_spaces(piece: str) -> tuple[str, str]:
    """A piece without its last spaces, and these: they belong to the response that follows."""
    kept = piece.rstrip(" ")
    return kept, piece[len(kept) :]


def _same(decoded: str, response: str) -> bool:
    """Equal up to outer whitespace and Unicode normalisation, which some tokenizers apply."""
    left, right = decoded.strip(), response.strip()
    return left == right or unicodedata.normalize("NFKC", left).strip() == unicodedata.normalize("NFKC", right).strip()


@dataclass(frozen=True, slots=True)
class RenderedPool:
    """A pool as tokens.

    Attributes:
        rows: One per pool position; None where the conversation does not fit.
    """

    rows: tuple[Rendered | None, ...]

    @property
    def fits(self) -> tuple[int, ...]:
        """Pool positions that fit, ascending."""
        return tuple(position for position, row in enumerate(self.rows) if row is not None)

    @property
    def excluded(self) -> tuple[int, ...]:
        """Pool positions that do not fit, ascending."""
        return tuple(position for position, row in enumerate(self.rows) if row is None)


def render_pool(pool: Pool, renderer: Renderer) -> RenderedPool:
    """Render every example; those longer than the renderer's `max_tokens` are left out, never cut.

    Raises:
        RenderError: As `Renderer.render`, for the first example that cannot be rendered.
    """
    rows = [renderer.render(example) for example in track(pool, "rendering", total=len(pool), unit="examples")]
    return RenderedPool(tuple(row if renderer.fits(row) else None for row in rows))

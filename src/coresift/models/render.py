"""From a conversation to tokens and a mask of the tokens to predict, without tokenising across the boundary.

The chat template is rendered once with a sentinel in place of every response. The text between sentinels is tokenised
piece by piece, every response is tokenised alone, and the two are spliced. So the response has the same token ids in
its context and on its own, which is what makes response = knowledge + following exact. Two checks make it safe: pieces
and responses together must be what the template renders for the real conversation, and the tokens to predict must
decode to the response.
"""

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from coresift.data.pool import Example, Message, Pool
from coresift.errors import ModelError, RenderError
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
            f"{self.tokenizer.name_or_path or 'tokenizer'}: no BOS, EOS or PAD token, so the knowledge loss has nothing "
            "to start from. Give the tokenizer one of them."
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
        tokens: list[int] = []
        wanted: list[bool] = []
        for ids, target in self._parts(self._split(example.messages, example.id), example.id):
            tokens.extend(ids)
            wanted.extend([target] * len(ids))
        if True not in wanted:
            raise RenderError(f"example {example.id}: no token to predict. Give it a response that is not blank.")
        length = len(wanted) - wanted[::-1].index(True)
        if wanted[0]:
            tokens, wanted, length = [self.start_token, *tokens], [False, *wanted], length + 1
        return Rendered(example.id, tuple(tokens[:length]), tuple(wanted[:length]))

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
        split = self._split((*messages, Message("assistant", "?")), "prompt")
        parts = list(self._parts(split, "prompt"))
        while parts and parts[-1][1] is False:
            parts.pop()
        before = [token for ids, _ in parts[: -1 if len(parts) else None] for token in ids]
        return tuple(before)

    def decode(self, tokens: Sequence[int]) -> str:
        """Text of tokens, special tokens dropped."""
        return str(self.tokenizer.decode(list(tokens), skip_special_tokens=True, clean_up_tokenization_spaces=False))

    def _split(self, messages: Sequence[Message], id: str) -> Split:
        try:
            return split_conversation(self.tokenizer, messages)
        except TemplateMismatch as error:
            raise RenderError(f"example {id}: {error}") from error

    def _parts(self, split: Split, id: str) -> Iterator[tuple[list[int], bool]]:
        """Runs of tokens with whether they are predicted, one for every piece, response and end marker."""
        carried = ""
        for place, piece in enumerate(split.pieces):
            if place > 0:
                ids = self._encode(carried + split.responses[place - 1], id, starts=True)
                marker, piece_ids = self._marker(piece, id, last=place == len(split.pieces) - 1)
                self._check(ids, split.responses[place - 1], id)
                yield ids + marker, True
            else:
                piece_ids = None
            text = piece.rstrip(" ") if place < len(split.responses) else piece
            carried = piece[len(text) :]
            if carried == "" and piece_ids is not None:
                yield piece_ids, False
            else:
                yield self._after_marker(text, id, skip=place > 0), False

    def _encode(self, text: str, id: str, *, starts: bool = False) -> list[int]:
        try:
            return list(self.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]) if text else []
        except UnicodeError as error:
            raise RenderError(f"example {id}: its text is not valid Unicode ({error}). Fix the row.") from error

"""From a conversation to tokens and a mask of the tokens to predict.

A conversation is rendered and tokenised whole, once. Where its responses lie in the text is proved by the template's
skeleton (`layout`), and the tokens that begin and end there are found by their offsets (`encode`). The knowledge loss
takes the same target tokens, which is what makes response = knowledge + following exact.
"""

import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from coresift.data.pool import Example, Message
from coresift.errors import DataError, ModelError, RenderError
from coresift.models.encode import Encoded, TextEncoder
from coresift.models.layout import Layout, Layouts
from coresift.models.template import ChatTemplate, TemplateMismatch
from coresift.models.template_facts import TemplateFacts, template_facts
from coresift.models.wording import Wording

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
    notes: Mapping[str, int] = field(default_factory=dict, compare=False)
    """What the template left out or moved in this conversation, counted."""

    @property
    def response_tokens(self) -> tuple[int, ...]:
        """The tokens to predict, all assistant turns in order, end markers included."""
        return tuple(token for token, wanted in zip(self.tokens, self.response, strict=True) if wanted)

    @property
    def n_targets(self) -> int:
        """How many tokens are predicted."""
        return sum(self.response)


_Ahead = tuple[Sequence[Example], list[Layout | TemplateMismatch], Future[list[Encoded | UnicodeError]]]
"""A batch that is laid out and being tokenised."""


@dataclass(frozen=True, slots=True)
class RenderFault:
    """Why a conversation cannot be rendered."""

    id: str
    reason: str


def refuse_longer(rows: Iterable[Rendered], limit: int | None) -> None:
    """Raise DataError if a row has more than `limit` tokens, the most that a model takes; None is no limit."""
    longest = max(rows, key=lambda row: len(row.tokens))
    if limit is not None and len(longest.tokens) > limit:
        raise DataError(
            f"example {longest.id} has {len(longest.tokens)} tokens, but the model takes at most {limit}. "
            f"Pass --set pool.max_tokens={limit} or lower."
        )


class Renderer:
    """Renders conversations with a tokenizer's own chat template, or with another one.

    Args:
        tokenizer: A Hugging Face tokenizer.
        max_tokens: Conversations longer than this do not fit; nothing is ever cut.
        template: "plain", "chatml" or "alpaca", a Jinja file, or the name of one of the tokenizer's templates; by
            default its own, or `template.PLAIN` when it has none.

    Raises:
        SettingsError: If there is no such template.
        ModelError: If the tokenizer has several templates, none is the default, and none was chosen.
    """

    def __init__(self, tokenizer: "PreTrainedTokenizerBase", *, max_tokens: int, template: str | None = None) -> None:
        self.tokenizer, self.max_tokens, self._named = tokenizer, max_tokens, template
        added = getattr(tokenizer, "added_tokens_decoder", {})
        self._markers = {int(token) for token in added} | set(tokenizer.all_special_ids)
        texts = {str(token.content) for token in added.values()} | set(map(str, tokenizer.all_special_tokens))
        self._template = ChatTemplate(tokenizer, template)
        self._wording = Wording(self._template, sorted(texts), str(tokenizer.eos_token or ""))
        self._layouts = Layouts(self._wording)

    def __reduce__(self) -> tuple[Any, ...]:
        """What it was made of: what it has found out does not travel."""
        return _renderer, (self.tokenizer, self.max_tokens, self._named)

    @cached_property
    def _encoder(self) -> TextEncoder:
        return TextEncoder(self.tokenizer)

    @cached_property
    def facts(self) -> TemplateFacts:
        """Which template is used, and what to know about it."""
        return template_facts(self._wording, self._layouts, self.tokenizer.eos_token_id is not None)

    @cached_property
    def start_token(self) -> int:
        """What the knowledge loss conditions on: BOS, else the neutral start: EOS, else PAD. Raises ModelError."""
        for token in (self.tokenizer.bos_token_id, self.tokenizer.eos_token_id, self.tokenizer.pad_token_id):
            if token is not None:
                return int(token)
        name = self.tokenizer.name_or_path or "tokenizer"
        file = Path(name) / "tokenizer_config.json"
        lost = file.parent.is_dir() and not file.is_file()
        raise ModelError(
            f"{name}: no BOS, EOS or PAD token, so the knowledge loss has nothing to start from. "
            + (
                "Its folder has no tokenizer_config.json, which names them: copy it from where the model came."
                if lost
                else "Name one of them in its tokenizer_config.json (bos_token, eos_token or pad_token)."
            )
        )

    @property
    def pad_token(self) -> int:
        """What fills up short rows: a token that every model knows, for padded positions are masked.

        It is not the tokenizer's PAD, which people add without making room for it in the embedding.
        """
        return 0

    @cached_property
    def stop_tokens(self) -> tuple[int, ...]:
        """Tokens that end a generated answer: the last ones of the turns in a conversation, and EOS."""
        stops = {self.tokenizer.eos_token_id} - {None}
        asked, said = Message("user", "a"), Message("assistant", "b")
        for messages in ((asked, said), (asked, said, asked, said)):
            row = self.render_many([Example(id="probe", messages=messages)])[0]
            if isinstance(row, Rendered):
                ends = [place for place, wanted in enumerate(row.response) if wanted and not _next(row.response, place)]
                stops |= {row.tokens[place] for place in ends} & self._markers
        return tuple(sorted(stops))

    def render(self, example: Example) -> Rendered:
        """Tokens and mask of one conversation, whatever its length (see `fits`).

        Raises:
            RenderError: If the template refuses the conversation, does not show a turn, or alters a response, or the
                tokenizer cannot represent it.
        """
        found = self.render_many([example])[0]
        if isinstance(found, RenderFault):
            raise RenderError(f"example {found.id}: {found.reason}")
        return found

    def render_many(self, examples: Sequence[Example]) -> list[Rendered | RenderFault]:
        """Tokens and mask of every conversation, or why it cannot be rendered; equal to one by one, and faster."""
        layouts = self._layouts.of(examples)
        return self._rows(examples, layouts, self._encoded(layouts))

    def render_batches(self, batches: Iterable[Sequence[Example]]) -> Iterator[list[Rendered | RenderFault]]:
        """As `render_many` gives for each batch; the next one is laid out while this one is tokenised.

        Tokenising is compiled code on all cores, which leaves the interpreter free.
        """
        with ThreadPoolExecutor(max_workers=1) as beside:
            ahead: _Ahead | None = None
            for examples in batches:
                layouts = self._layouts.of(examples)
                tokenised = beside.submit(self._encoded, layouts)
                if ahead is not None:
                    yield self._rows(ahead[0], ahead[1], ahead[2].result())
                ahead = examples, layouts, tokenised
            if ahead is not None:
                yield self._rows(ahead[0], ahead[1], ahead[2].result())

    def _encoded(self, layouts: Sequence[Layout | TemplateMismatch]) -> list[Encoded | UnicodeError]:
        return self._encoder.encode([layout.text for layout in layouts if isinstance(layout, Layout)])

    def _rows(
        self,
        examples: Sequence[Example],
        layouts: Sequence[Layout | TemplateMismatch],
        texts: Sequence[Encoded | UnicodeError],
    ) -> list[Rendered | RenderFault]:
        encoded = iter(texts)
        return [
            RenderFault(example.id, str(layout))
            if isinstance(layout, TemplateMismatch)
            else self._row(example.id, layout, next(encoded))
            for example, layout in zip(examples, layouts, strict=True)
        ]

    def fits(self, row: Rendered) -> bool:
        """Whether a conversation stays within `max_tokens`."""
        return len(row.tokens) <= self.max_tokens

    def prompt(self, messages: Sequence[Message], *, opened: bool = False) -> tuple[int, ...]:
        """Tokens up to where the next turn of the assistant is predicted, exactly as in training.

        Args:
            messages: The conversation without the answer that is asked for.
            opened: Go on to where the answer itself begins: with the words, such as an empty thought, that the
                template puts before every answer, which a trained model writes itself.

        Raises:
            RenderError: As `render`.
        """
        layout = self._layouts.of([Example(id="of a prompt", messages=(*messages, Message("assistant", "?")))])[0]
        if isinstance(layout, TemplateMismatch):
            raise RenderError(f"example of a prompt: {layout}") from layout
        last = layout.regions[-1]
        whole = self._encoder.encode([layout.text])[0]
        if isinstance(whole, UnicodeError):
            raise RenderError(f"example of a prompt: its text is not valid Unicode ({whole}). Fix the row.")
        tokens, (count,) = self._encoder.cut(layout.text, whole, [last.answer if opened else last.begin])
        return tuple(tokens[:count]) or (self.start_token,)

    def decode(self, tokens: Sequence[int]) -> str:
        """Text of tokens, special tokens dropped, and an end marker that is ordinary text."""
        text = str(self.tokenizer.decode(list(tokens), skip_special_tokens=True, clean_up_tokenization_spaces=False))
        marker = self._wording.end_text
        return text.rstrip().removesuffix(marker) if marker and text.rstrip().endswith(marker) else text

    def _row(self, id: str, layout: Layout, whole: Encoded | UnicodeError) -> Rendered | RenderFault:
        if isinstance(whole, UnicodeError):
            return RenderFault(id, f"its text is not valid Unicode ({whole}). Fix the row.")
        places = sorted({place for region in layout.regions for place in (region.begin, region.end)})
        try:
            tokens, counts = self._encoder.cut(layout.text, whole, places)
        except RenderError as error:
            return RenderFault(id, str(error))
        at = dict(zip(places, counts, strict=True))
        spans = [(at[region.begin], at[region.end]) for region in layout.regions]
        wanted = list[bool]()
        for begin, end in spans:
            wanted += [False] * (begin - len(wanted)) + [True] * (end - begin)
        tokens = tokens[: len(wanted)]
        if layout.open_end and self.tokenizer.eos_token_id is not None:
            tokens, wanted = [*tokens, int(self.tokenizer.eos_token_id)], [*wanted, True]
        if True not in wanted:
            return RenderFault(id, "no token to predict (a blank response and no end marker). Fix or drop the row.")
        fault = self._unrepresented(layout, tokens, spans)
        if fault:
            return RenderFault(id, fault)
        if wanted[0]:  # a template that puts nothing before the first response: it is predicted from the start token
            tokens, wanted = [self.start_token, *tokens], [False, *wanted]
        return Rendered(id, tuple(tokens), tuple(wanted), layout.notes)

    def _unrepresented(self, layout: Layout, tokens: Sequence[int], spans: Sequence[tuple[int, int]]) -> str:
        """What is said where the tokens of a response do not spell it, or ""."""
        if self._spells and self.tokenizer.unk_token_id not in tokens:
            return ""
        for region, (begin, end) in zip(layout.regions, spans, strict=True):
            while end > begin and tokens[end - 1] in self._markers:
                end -= 1
            text, decoded = layout.text[region.begin : region.said], self._spelled(tokens[begin:end])
            if not _same(decoded, text):
                return (
                    f"its response decodes to {decoded[:60]!r} instead of {text[:60]!r}. The tokenizer cannot "
                    "represent it: fix the row or use another tokenizer."
                )
        return ""

    @cached_property
    def _spells(self) -> bool:
        """Whether the tokenizer gives every kind of text back, up to unknown tokens."""
        tokens = self._encoder.encode([_PROBE])[0]
        return isinstance(tokens, Encoded) and _same(self._spelled(tokens.tokens), _PROBE)

    def _spelled(self, tokens: Sequence[int]) -> str:
        return str(self.tokenizer.decode(list(tokens), skip_special_tokens=False, clean_up_tokenization_spaces=False))


def _renderer(tokenizer: "PreTrainedTokenizerBase", max_tokens: int, template: str | None) -> Renderer:
    return Renderer(tokenizer, max_tokens=max_tokens, template=template)


_PROBE = "Ab  cD\n\t(\u00e9 \u4e2d\u6587 9.5) don't\n\n    x"


def _next(wanted: Sequence[bool], place: int) -> bool:
    return place + 1 < len(wanted) and wanted[place + 1]


def _same(decoded: str, response: str) -> bool:
    """Equal up to outer whitespace and Unicode normalisation, which some tokenizers apply."""
    left, right = decoded.strip(), response.strip()
    return left == right or unicodedata.normalize("NFKC", left).strip() == unicodedata.normalize("NFKC", right).strip()

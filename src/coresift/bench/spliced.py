"""Rendering as it was before texts were tokenised whole: what `coresift bench rows` compares with.

Two renderings of every row, the text between the responses tokenised piece by piece, every response alone, each decoded
to check it. On byte-level vocabularies the tokens are the same; on SentencePiece ones spaces appear and disappear.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from coresift.data.pool import Example

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


class SplicedRenderer:
    """Renders conversations with a tokenizer's own chat template, one by one.

    Args:
        tokenizer: A Hugging Face tokenizer with a chat template and an EOS token.
    """

    def __init__(self, tokenizer: "PreTrainedTokenizerBase") -> None:
        self._tokenizer: Any = tokenizer
        self._markers = {int(token) for token in tokenizer.added_tokens_decoder} | set(tokenizer.all_special_ids)

    def render(self, example: Example) -> tuple[list[int], list[bool]]:
        """Tokens of a conversation, and which of them are predicted."""
        answers = [message.content for message in example.messages if message.role == "assistant"]
        sentinels = [f"coresiftAnswer{place}E" for place in range(len(answers))]
        stand_ins = iter(sentinels)
        turns = [{"role": message.role, "content": message.content} for message in example.messages]
        masked = [{**turn, "content": next(stand_ins)} if turn["role"] == "assistant" else turn for turn in turns]
        pieces, rest = [], self._shown(masked)
        for sentinel in sentinels:
            before, _, rest = rest.partition(sentinel)
            pieces.append(before)
        pieces.append(rest)
        whole = self._shown(turns)
        for spelled in (answers, [answer.strip() for answer in answers]):
            if "".join(part for pair in zip(pieces, [*spelled, ""], strict=True) for part in pair) == whole:
                runs = list(self._runs(pieces, spelled))
        tokens = [token for ids, _ in runs for token in ids]
        wanted = [target for ids, target in runs for _ in ids]
        length = len(wanted) - wanted[::-1].index(True)
        return tokens[:length], wanted[:length]

    def _shown(self, turns: Sequence[dict[str, str]]) -> str:
        return str(self._tokenizer.apply_chat_template(turns, tokenize=False, date_string="26 Jul 2024"))

    def _runs(self, pieces: Sequence[str], answers: Sequence[str]) -> Iterator[tuple[list[int], bool]]:
        kept = pieces[0].rstrip(" ")
        yield self._encode(kept), False
        moved = pieces[0][len(kept) :]
        for turn, answer in enumerate(answers, start=1):
            ids = self._encode(moved + answer)
            decoded = self._tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False)
            assert decoded.strip() == answer.strip(), "a byte-level vocabulary gives every text back"
            yield ids, True
            piece = pieces[turn] if turn == len(answers) else pieces[turn].rstrip(" ")
            moved = pieces[turn][len(piece) :]
            after = self._encode(piece)
            end = self._end(after)
            yield after[:end], True
            yield after[end:], False

    def _end(self, ids: Sequence[int]) -> int:
        for place, token in enumerate(ids):
            if token in self._markers:
                return place + 1
            if str(self._tokenizer.decode([token])).strip() != "":
                return 0
        return 0

    def _encode(self, text: str) -> list[int]:
        return list(self._tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]) if text else []

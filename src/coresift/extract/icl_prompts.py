"""What the model reads: an example, then a query with its response; cut so that the example's part is the same for all.

A prompt with an example is `prefix(example)` followed by the question's `suffix`, token for token: the prefix does not
depend on the query, nor the suffix on the example. So the keys and values of a prefix serve every query. The response
is the last answer of a conversation; everything before it is the query. Its token ids are the same with and without an
example.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np

from coresift.data.pool import Example, Message
from coresift.errors import DataError, ModelError, RenderError
from coresift.models.render import Renderer

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

TemplateName = Literal["chat", "delift"]
PLAIN_TASK = "Please generate a response to the following query."
GUIDED_TASK = (
    "Use the following example as a guide to answer the query in the same format and style, "
    "providing a clear and concise response."
)
"""The two instructions of the DELIFT prompts, without and with an example."""


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """One example as something to be predicted.

    Attributes:
        id: Id of the example.
        alone: Tokens without an example, int32.
        suffix: Tokens that follow the prefix of an example, int32.
        n_targets: How many tokens at the end of either are predicted: the response and its end marker.
    """

    id: str
    alone: np.ndarray
    suffix: np.ndarray
    n_targets: int


class Prompts(Protocol):
    """A way of showing an example and a query."""

    def question(self, example: Example) -> Question:
        """The example as something to be predicted. Raises DataError or RenderError."""
        ...

    def prefix(self, example: Example) -> tuple[int, ...]:
        """Tokens that show the example, up to where a suffix goes on. Raises DataError or RenderError."""
        ...

    def encode(self, text: str) -> list[int]:
        """Tokens of a text alone."""
        ...

    def decode(self, tokens: Sequence[int]) -> str:
        """Text of tokens."""
        ...


def conversation(example: Example) -> Example:
    """The turns up to the last answer, with system texts joined to the user turn beside them.

    Templates show a system turn only at the very start, where it would have to be both the example's and the query's.

    Raises:
        DataError: If the last answer is blank or no user turn comes before it.
    """
    end = max(place for place, message in enumerate(example.messages) if message.role == "assistant")
    if example.messages[end].content.strip() == "":
        raise DataError(
            f"example {example.id}: its last response is empty, so there is nothing to predict. Fix or drop the row."
        )
    turns: list[Message] = []
    for message in example.messages[: end + 1]:
        if turns and turns[-1].role != "assistant" and message.role != "assistant":
            turns[-1] = Message("user", f"{turns[-1].content}\n\n{message.content}")
        else:
            turns.append(message if message.role == "assistant" else Message("user", message.content))
    if turns[0].role != "user":
        raise DataError(
            f"example {example.id}: no user turn before its first answer, so there is no query. Fix or drop the row."
        )
    return replace(example, messages=tuple(turns))


class _Texts:
    """Text to tokens and back, no special tokens added."""

    def __init__(self, tokenizer: "PreTrainedTokenizerBase") -> None:
        self.tokenizer = tokenizer

    def encode(self, text: str) -> list[int]:
        """Tokens of a text alone."""
        try:
            return list(self.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]) if text else []
        except (UnicodeError, TypeError) as error:
            raise RenderError(f"{text[:40]!r} is not valid Unicode ({error}). Fix the row.") from error

    def decode(self, tokens: Sequence[int]) -> str:
        """Text of tokens."""
        return str(self.tokenizer.decode(list(tokens), clean_up_tokenization_spaces=False))


class DeliftPrompts(_Texts):
    """The prompts of the DELIFT code: plain text, an end-of-text token after the query and after the response.

    A query of several turns is their texts, one per line.

    Raises:
        ModelError: If the tokenizer has no end-of-text token.
    """

    def __init__(self, tokenizer: "PreTrainedTokenizerBase") -> None:
        super().__init__(tokenizer)
        if tokenizer.eos_token_id is None:
            raise ModelError(
                f"{tokenizer.name_or_path or 'tokenizer'}: no EOS token, which the delift template needs. "
                "Use template='chat' or give the tokenizer one."
            )
        self._end = [int(tokenizer.eos_token_id)]

    def question(self, example: Example) -> Question:
        """The example as something to be predicted."""
        query, response = _query_and_response(example)
        target = [*self.encode(response), *self._end]
        alone = self.encode(f"Instruction: {PLAIN_TASK}\n\n\nQuery: {query}\n")
        after = self.encode(f"{query}\n")
        return _question(example.id, [*alone, *self._end, *target], [*after, *self._end, *target], len(target))

    def prefix(self, example: Example) -> tuple[int, ...]:
        """Tokens that show the example, up to where the query begins."""
        query, response = _query_and_response(example)
        text = f"Instruction:\n{GUIDED_TASK}\n\n\nExample:\n{query}\n{response}\n\n\nQuery:\n"
        return tuple(self.encode(text))


class ChatPrompts(_Texts):
    """The model's chat template: the example is the conversation so far, the query goes on with it.

    The cut is at the end of the example's last answer, where the renderer cuts too. So prefix and suffix together are
    exactly what rendering the whole conversation gives.
    """

    def __init__(self, tokenizer: "PreTrainedTokenizerBase") -> None:
        super().__init__(tokenizer)
        self._renderer = Renderer(tokenizer, max_tokens=1)

    def question(self, example: Example) -> Question:
        """The example as something to be predicted.

        Raises:
            RenderError: If the template shows it differently after different examples.
        """
        turns = conversation(example).messages
        alone, count = self._render(example.id, turns)[0], 0
        found = []
        for before in STAND_INS:
            tokens, runs = self._render(example.id, (*before, *turns))
            found.append(tokens[runs[len(before) // 2 - 1][1] :])
            count = runs[-1][1] - runs[-1][0]
        if found[0] != found[1] or alone[-count:] != found[0][-count:] or count == len(found[0]):
            raise _depends(example.id)
        return _question(example.id, alone, found[0], count)

    def prefix(self, example: Example) -> tuple[int, ...]:
        """Tokens that show the example, up to the end of its last answer.

        Raises:
            RenderError: If the template shows it differently before different queries.
        """
        turns = conversation(example).messages
        answers = sum(message.role == "assistant" for message in turns)
        found = []
        for after in STAND_INS:
            tokens, runs = self._render(example.id, (*turns, *after))
            found.append(tokens[: runs[answers - 1][1]])
        if found[0] != found[1]:
            raise _depends(example.id)
        return found[0]

    def _render(self, id: str, turns: Sequence[Message]) -> tuple[tuple[int, ...], list[tuple[int, int]]]:
        row = self._renderer.render(Example(id=id, messages=tuple(turns)))
        runs = _runs(row.response)
        if len(runs) != sum(message.role == "assistant" for message in turns):  # two answers with nothing between
            raise _depends(id)
        return row.tokens, runs


STAND_INS = (
    (Message("user", "Why?"), Message("assistant", "So.")),
    (Message("user", "A"), Message("assistant", "b"), Message("user", "And then"), Message("assistant", "It is.")),
)
"""Conversations that take the place of the example or of the query; two, so that dependence on them shows."""


def _question(id: str, alone: Sequence[int], suffix: Sequence[int], n_targets: int) -> Question:
    return Question(id, np.array(alone, dtype=np.int32), np.array(suffix, dtype=np.int32), n_targets)


def _query_and_response(example: Example) -> tuple[str, str]:
    *before, last = conversation(example).messages
    return "\n".join(message.content for message in before), last.content


def _runs(wanted: Sequence[bool]) -> list[tuple[int, int]]:
    """[start, stop) of every stretch of tokens to predict: one per answer."""
    edges = np.flatnonzero(np.diff(np.array([False, *wanted, False], dtype=np.int8)))
    return [(int(start), int(stop)) for start, stop in edges.reshape(-1, 2)]


def _depends(id: str) -> RenderError:
    return RenderError(
        f"example {id}: the chat template shows it differently with other turns around it, so nothing can be shared. "
        "Use template='delift'."
    )


def prompts_of(name: TemplateName, tokenizer: "PreTrainedTokenizerBase") -> Prompts:
    """The prompts of a name."""
    return ChatPrompts(tokenizer) if name == "chat" else DeliftPrompts(tokenizer)

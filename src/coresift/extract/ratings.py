"""How likely a model gives an example each mark from 1 to 5: one forward pass per example and question, no sampling."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from coresift.data.pool import Example, Message
from coresift.errors import DataError, ModelError, RenderError
from coresift.execution.base import Executor
from coresift.extract.embeddings import text_of
from coresift.extract.shards import Account, fill
from coresift.features.ratings import MARKS, RatingSpec, ask
from coresift.features.store import FeatureStore
from coresift.models.batches import by_length
from coresift.models.render import Renderer

SHOWN = 5
"""Ids named in a message."""


@dataclass(frozen=True)
class Rater:
    """A model that gives marks.

    Args:
        model: A causal language model in evaluation mode.
        renderer: Its tokenizer and chat template; `max_tokens` bounds a question with its example.
        batch_tokens: Upper bound on questions x padded length of one forward pass.
    """

    model: nn.Module
    renderer: Renderer
    batch_tokens: int = 8192

    @cached_property
    def marks(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Tokens that come before a mark in an answer (such as a lone space), and the token of each mark.

        They are found by rendering each mark as an answer: they are what this tokenizer and template make of it.

        Raises:
            ModelError: If the marks do not begin with five different tokens.
        """
        asked = Message("user", "?")
        answers = [
            self.renderer.render(Example(id="mark", messages=(asked, Message("assistant", mark)))).response_tokens
            for mark in MARKS
        ]
        same = 0
        while len({answer[same] for answer in answers}) == 1:
            same += 1
        tokens = tuple(answer[same] for answer in answers)
        if len(set(tokens)) < len(MARKS):
            shown = ", ".join(f"{mark}: {token}" for mark, token in zip(MARKS, tokens, strict=True))
            raise ModelError(
                f"the tokenizer does not tell the marks apart by one token ({shown}). Rate with another model."
            )
        return answers[0][:same], tokens

    def rate(self, examples: Sequence[Example], spec: RatingSpec) -> tuple[Tensor, int]:
        """Probabilities of the marks.

        Returns:
            [n, 5 * prompts] float32, five for each prompt in turn, and the number of tokens read.

        Raises:
            DataError: If a question with its example is longer than the renderer's `max_tokens`; the ids are named.
            ModelError: As `marks`.
            RenderError: If a question cannot be rendered; the id is named.
        """
        before, marks = self.marks
        ids = [(*self._question(prompt, example), *before) for example in examples for prompt in spec.prompts]
        self._refuse_longer(examples, ids, len(spec.prompts))
        found = torch.zeros(len(ids), len(MARKS))
        with torch.inference_mode():
            for places in by_length(list(map(len, ids)), max_tokens=self.batch_tokens):
                found[places] = self._next([ids[place] for place in places])[:, list(marks)].cpu()
        return found.reshape(len(examples), -1), sum(map(len, ids))

    def _question(self, prompt: str, example: Example) -> tuple[int, ...]:
        filled = ask(prompt, instruction=text_of(example, "prompt"), response=text_of(example, "response"))
        try:
            return self.renderer.prompt((Message("user", filled),))
        except RenderError as error:
            raise RenderError(f"example {example.id}: the question about it cannot be rendered: {error}") from error

    def _refuse_longer(self, examples: Sequence[Example], ids: Sequence[Sequence[int]], prompts: int) -> None:
        limit = self.renderer.max_tokens
        long = dict.fromkeys(examples[place // prompts].id for place, row in enumerate(ids) if len(row) > limit)
        if len(long) > 0:
            named = ", ".join(map(repr, list(long)[:SHOWN])) + (", ..." if len(long) > SHOWN else "")
            raise DataError(
                f"{len(long)} examples are longer than {limit} tokens together with the question about them (the "
                f"longest has {max(map(len, ids))}): {named}. Nothing is cut: raise max_tokens or leave them out."
            )

    def _next(self, ids: Sequence[Sequence[int]]) -> Tensor:
        """Probabilities of the token after each sequence, [b, vocabulary] float32."""
        device, width = next(self.model.parameters()).device, max(map(len, ids))
        pad = self.renderer.pad_token
        tokens = torch.tensor([[*row, *[pad] * (width - len(row))] for row in ids], device=device)
        mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in ids], device=device)
        last = mask.sum(dim=1) - 1
        kept, at = last.unique(return_inverse=True)
        model: Any = self.model
        logits = model(input_ids=tokens, attention_mask=mask, use_cache=False, logits_to_keep=kept).logits
        return logits[torch.arange(len(ids), device=device), at].float().softmax(dim=1)


def extract_ratings(
    rater: Rater,
    examples: Sequence[Example],
    store: FeatureStore,
    spec: RatingSpec,
    *,
    executor: Executor | None = None,
    account: Account | None = None,
) -> None:
    """Fill the array of `spec`, computing only the shards that are missing.

    Args:
        rater: The model that `spec` names.
        examples: The pool, in the order of `store.ids`; a conversation is rated by its last response.
        store: Where the rows go; its identity names the rating model.
        spec: The questions.
        executor: Runs the shards; this process by default.
        account: Called after every shard with its seconds, tokens and flops.

    Raises:
        DataError: As `Rater.rate`. Every failure is an error at the example it concerns; no row is left out.
        ModelError: As `Rater.marks`.
    """
    flops = 2.0 * sum(weight.numel() for weight in rater.model.parameters())

    def compute(shard: range) -> tuple[Tensor, int]:
        return rater.rate([examples[row] for row in shard], spec)

    fill(store.array(spec), compute, label="ratings", flops_per_token=flops, executor=executor, account=account)

"""What examples are worth in a model's context, without training: the nearest few of a subset before every question.

The examples stand as earlier turns of the conversation, the most similar last. A zero-shot answer is the same with no
examples, so fine-tuned models are asked through this file too.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

from coresift.data.pool import Example, Message
from coresift.errors import DataError, RenderError
from coresift.evaluation.generation import generate
from coresift.evaluation.retrieval import nearest
from coresift.evaluation.settings import InContext
from coresift.extract.embeddings import text_of
from coresift.models.encoders import Encoder
from coresift.models.render import Renderer


@dataclass(frozen=True, slots=True)
class Shots:
    """Prompts with the examples that they show.

    Attributes:
        prompts: Token ids, one prompt per test example.
        shown: For each the positions in the subset, in the order shown: most similar last.
        left_out: How many of the examples found did not fit, in all.
    """

    prompts: tuple[tuple[int, ...], ...]
    shown: tuple[tuple[int, ...], ...]
    left_out: int


def shots(
    renderer: Renderer,
    subset: Sequence[Example],
    test: Sequence[Example],
    settings: InContext,
    *,
    encoder: Encoder | None = None,
) -> Shots:
    """Put the nearest examples of `subset` before every test question.

    Similarity is that of the prompts: by `encoder`, or by shared words without one. An example with the turns of the
    test example itself is never shown.

    Raises:
        DataError: If a question alone is longer than `max_prompt_tokens`, or there are no examples to show.
        RenderError: If the chat template refuses a conversation.
    """
    found = _found(subset, test, settings, encoder)
    prompts, shown, left_out = [], [], 0
    for example, places in zip(test, found, strict=True):
        prompt, kept = _fitting(renderer, [subset[place] for place in places], example, settings.max_prompt_tokens)
        prompts.append(prompt)
        shown.append(tuple(reversed(places[:kept])))
        left_out += len(places) - kept
    return Shots(tuple(prompts), tuple(shown), left_out)


def _found(
    subset: Sequence[Example], test: Sequence[Example], settings: InContext, encoder: Encoder | None
) -> Sequence[tuple[int, ...]]:
    if settings.examples == 0:
        return [()] * len(test)
    if len(subset) == 0:
        raise DataError("no examples to show: the subset is empty. Pass a coreset, or ask with examples=0.")
    same: dict[str, list[int]] = {}
    for place, example in enumerate(subset):
        same.setdefault(example.content_key, []).append(place)
    return nearest(
        [text_of(example, "prompt") for example in test],
        [text_of(example, "prompt") for example in subset],
        settings.examples,
        encoder=encoder,
        barred=[frozenset(same.get(example.content_key, ())) for example in test],
    )


def _fitting(
    renderer: Renderer, examples: Sequence[Example], asked: Example, limit: int
) -> tuple[tuple[int, ...], int]:
    """The prompt with as many of the examples, most similar first, as fit in `limit` tokens, and how many these are."""
    for kept in range(len(examples), -1, -1):
        shown = tuple(reversed(examples[:kept]))
        try:
            prompt = renderer.prompt(conversation(shown, asked), opened=True)
        except RenderError as error:
            named = ", ".join(example.id for example in shown) or "none"
            raise RenderError(f"test example {asked.id}, shown after examples {named}: {error}") from error
        if len(prompt) <= limit:
            return prompt, kept
    raise DataError(
        f"test example {asked.id} has {len(prompt)} tokens without its answer, but max_prompt_tokens is {limit}. "
        "Raise it or leave the example out."
    )


def conversation(examples: Sequence[Example], asked: Example) -> tuple[Message, ...]:
    """The turns of `examples`, then those of `asked` without its answer.

    The system message of `asked` comes first; those of the examples are put before their first question, since a
    conversation has one system message at most.
    """
    head, rest = _system(question(asked))
    turns: list[Message] = []
    for example in examples:
        system, shown = _system(_up_to_answer(example))
        lead = [message.content for message in system]
        if shown[0].role == "user":
            lead, shown = [*lead, shown[0].content], shown[1:]
        turns += [Message("user", "\n\n".join(lead))] if lead else []
        turns += shown
    return (*head, *turns, *rest)


def question(example: Example) -> tuple[Message, ...]:
    """The turns before the last answer: what a model is asked."""
    return _up_to_answer(example)[:-1]


def _up_to_answer(example: Example) -> tuple[Message, ...]:
    last = max(place for place, message in enumerate(example.messages) if message.role == "assistant")
    return example.messages[: last + 1]


def _system(messages: Sequence[Message]) -> tuple[list[Message], list[Message]]:
    """System messages, and the others."""
    return [each for each in messages if each.role == "system"], [each for each in messages if each.role != "system"]


def answers(model: nn.Module, renderer: Renderer, asked: Shots, settings: InContext) -> list[str]:
    """Greedy answers to the prompts, as text without outer whitespace.

    Args:
        model: A causal language model in evaluation mode.
        renderer: Its tokenizer and chat template.
        asked: As `shots` gives.
        settings: Lengths and batch size.
    """
    said = generate(
        model,
        asked.prompts,
        stop_tokens=renderer.stop_tokens,
        pad_token=renderer.pad_token,
        max_new_tokens=settings.max_new_tokens,
        batch_size=settings.batch_size,
    )
    return [renderer.decode(tokens).strip() for tokens in said]

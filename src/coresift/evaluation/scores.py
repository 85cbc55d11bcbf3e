"""What a model is worth on held-out examples: its losses, in nats per token, and its exact answers."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from torch import nn

from coresift import fingerprints
from coresift.data.pool import Example, Pool
from coresift.evaluation.generation import generate
from coresift.evaluation.in_context import answers, question, shots
from coresift.evaluation.judge import Judge
from coresift.evaluation.metrics import check_metrics, score_answers
from coresift.evaluation.settings import InContext, Metric
from coresift.models.encoders import Encoder
from coresift.models.losses import pool_losses
from coresift.models.render import Rendered, Renderer

LOSSES = ("response", "knowledge", "following")


@dataclass(frozen=True, kw_only=True)
class HeldOut:
    """Examples a model is scored on.

    Attributes:
        pool: The examples; the last assistant turn is the expected answer.
        rows: The same, rendered.
        kinds: For each example "knowledge", "following" or "" (not labelled).
        answers: Whether answers are generated and compared exactly.
        max_new_tokens: Longest answer.
        metrics: What else the answers are scored by.
    """

    pool: Pool
    rows: tuple[Rendered, ...]
    kinds: tuple[str, ...]
    answers: bool
    max_new_tokens: int = 64
    metrics: tuple[Metric, ...] = ()

    @property
    def fingerprint(self) -> str:
        """Hash of everything a score depends on besides the model."""
        rows = [[row.id, row.tokens, row.n_targets] for row in self.rows]
        metrics = [list(self.metrics)] if self.metrics else []  # scores that were made without any stay what they are
        return fingerprints.of_json(
            [self.pool.fingerprint, rows, self.kinds, self.answers, self.max_new_tokens, *metrics]
        )


@dataclass(frozen=True, kw_only=True)
class Scores:
    """Scores of one model.

    Attributes:
        loss: Mean over examples of each loss, nats per token; None where only answers were looked at.
        accuracy: Share of exact answers, by kind and over "all"; None when no answers were generated.
        metrics: `AnswerScores.to_json` of the metrics asked for; None when there are none.
        each: For every test example, in order: its losses, by name, and by metric the score of its answer (None where
            a judge gave none). What paired comparisons of models are made from.
    """

    loss: Mapping[str, float] | None
    accuracy: Mapping[str, float] | None
    metrics: Mapping[str, Any] | None = None
    each: Mapping[str, Sequence[float | None]] = field(default_factory=dict, repr=False)

    def to_json(self) -> dict[str, Any]:
        """The means, as plain values."""
        return {key: value for key, value in asdict(self).items() if key != "each"}


def score(
    model: nn.Module,
    held_out: HeldOut,
    renderer: Renderer,
    *,
    batch_tokens: int = 8192,
    encoder: Encoder | None = None,
    judge: Judge | None = None,
) -> Scores:
    """Score a model in evaluation mode on the held-out examples.

    Args:
        model: A causal language model.
        held_out: The examples and what is asked of them.
        renderer: The model's tokenizer and chat template.
        batch_tokens: Upper bound on rows x padded length of one forward pass.
        encoder: For the metric `similarity`.
        judge: For the metric `judge`.

    Raises:
        SettingsError, ModelError: If a metric cannot be computed, before anything is.
    """
    check_metrics(held_out.metrics, encoder=encoder, judge=judge)
    losses = pool_losses(
        model,
        held_out.rows,
        start_token=renderer.start_token,
        pad_token=renderer.pad_token,
        batch_tokens=batch_tokens,
    )
    each = {name: getattr(losses, name).double().tolist() for name in LOSSES}
    means = {name: float(getattr(losses, name).double().mean()) for name in LOSSES}
    if not held_out.answers:
        return Scores(loss=means, accuracy=None, each=each)
    scored = _scored(_answers(model, held_out, renderer), held_out, encoder, judge)
    return replace(scored, loss=means, each={**each, **scored.each})


def score_in_context(
    model: nn.Module,
    held_out: HeldOut,
    subset: Sequence[Example],
    renderer: Renderer,
    settings: InContext,
    *,
    encoder: Encoder | None = None,
    judge: Judge | None = None,
) -> Scores:
    """Score a model's answers to the held-out examples, the nearest examples of a subset in its context.

    Args:
        model: A causal language model in evaluation mode, not tuned on the subset.
        held_out: The examples; `answers` and `max_new_tokens` are not looked at.
        subset: What examples are taken from.
        renderer: The model's tokenizer and chat template.
        settings: How many are shown, and how long prompts and answers are.
        encoder: Finds the nearest (words do without one), and for the metric `similarity`.
        judge: For the metric `judge`.

    Raises:
        SettingsError, ModelError: If a metric cannot be computed, before anything is.
        DataError, RenderError: As `shots`.
    """
    check_metrics(held_out.metrics, encoder=encoder, judge=judge)
    asked = shots(renderer, subset, tuple(held_out.pool), settings, encoder=encoder)
    return _scored(answers(model, renderer, asked, settings), held_out, encoder, judge)


def _scored(said: Sequence[str], held_out: HeldOut, encoder: Encoder | None, judge: Judge | None) -> Scores:
    """Exact match always, and the metrics asked for."""
    asked: tuple[Metric, ...] = ("exact", *(each for each in held_out.metrics if each != "exact"))
    scored = score_answers(said, tuple(held_out.pool), metrics=asked, encoder=encoder, judge=judge)
    right = [value == 1.0 for value in scored.each["exact"]]
    return Scores(
        loss=None,
        accuracy=share_by_kind(right, held_out.kinds),
        metrics=scored.to_json() if held_out.metrics else None,
        each={name: list(values) for name, values in scored.each.items()},
    )


def _answers(model: nn.Module, held_out: HeldOut, renderer: Renderer) -> list[str]:
    said = generate(
        model,
        [renderer.prompt(question(example), opened=True) for example in held_out.pool],
        stop_tokens=renderer.stop_tokens,
        pad_token=renderer.pad_token,
        max_new_tokens=held_out.max_new_tokens,
    )
    return [renderer.decode(tokens) for tokens in said]


def share_by_kind(right: Sequence[bool], kinds: Sequence[str]) -> dict[str, float]:
    """Share of True for every kind that occurs (the unlabelled "" excepted), and over all.

    >>> share_by_kind([True, False, True], ["knowledge", "knowledge", "following"])
    {'following': 1.0, 'knowledge': 0.5, 'all': 0.6666666666666666}
    """
    shares = {
        kind: statistics.fmean(hit for hit, its in zip(right, kinds, strict=True) if its == kind)
        for kind in sorted(set(kinds) - {""})
    }
    return {**shares, "all": statistics.fmean(right)}


def mean_and_spread(values: Sequence[float]) -> tuple[float, float]:
    """Mean and sample standard deviation (0 for a single value)."""
    return statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else 0.0

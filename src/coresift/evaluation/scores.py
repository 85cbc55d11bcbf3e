"""What a model is worth on held-out examples: its losses, in nats per token, and its exact answers."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from torch import nn

from coresift import fingerprints
from coresift.data.pool import Pool
from coresift.evaluation.generation import generate
from coresift.models.losses import pool_losses
from coresift.models.render import Rendered, Renderer

LOSSES = ("response", "knowledge", "following")


@dataclass(frozen=True, kw_only=True)
class HeldOut:
    """Examples a model is scored on.

    Attributes:
        pool: The examples; the last turn is the expected answer.
        rows: The same, rendered.
        kinds: For each example "knowledge", "following" or "" (not labelled).
        answers: Whether answers are generated and compared exactly.
    """

    pool: Pool
    rows: tuple[Rendered, ...]
    kinds: tuple[str, ...]
    answers: bool
    max_new_tokens: int = 64

    @property
    def fingerprint(self) -> str:
        """Hash of everything a score depends on besides the model."""
        rows = [[row.id, row.tokens, row.n_targets] for row in self.rows]
        return fingerprints.of_json([self.pool.fingerprint, rows, self.kinds, self.answers, self.max_new_tokens])


@dataclass(frozen=True, kw_only=True)
class Scores:
    """Scores of one model.

    Attributes:
        loss: Mean over examples of each loss, nats per token.
        accuracy: Share of exact answers, by kind and over "all"; None when no answers were generated.
    """

    loss: Mapping[str, float]
    accuracy: Mapping[str, float] | None

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)


def score(model: nn.Module, held_out: HeldOut, renderer: Renderer, *, batch_tokens: int = 8192) -> Scores:
    """Score a model in evaluation mode on the held-out examples."""
    losses = pool_losses(
        model,
        held_out.rows,
        start_token=renderer.start_token,
        pad_token=renderer.pad_token,
        batch_tokens=batch_tokens,
    )
    means = {name: float(getattr(losses, name).double().mean()) for name in LOSSES}
    return Scores(loss=means, accuracy=_accuracy(model, held_out, renderer) if held_out.answers else None)


def _accuracy(model: nn.Module, held_out: HeldOut, renderer: Renderer) -> dict[str, float]:
    prompts = [renderer.prompt(example.messages[:-1]) for example in held_out.pool]
    answers = generate(
        model,
        prompts,
        stop_tokens=renderer.stop_tokens,
        pad_token=renderer.pad_token,
        max_new_tokens=held_out.max_new_tokens,
    )
    right = [
        renderer.decode(answer).strip() == example.messages[-1].content.strip()
        for answer, example in zip(answers, held_out.pool, strict=True)
    ]
    return share_by_kind(right, held_out.kinds)


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

"""One pass over the pool fills every gradient array that is asked for, shard by shard; what is there is left alone."""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from coresift.execution.base import Executor
from coresift.execution.local import LocalExecutor
from coresift.extract.gradients import GradientTap
from coresift.extract.preconditioners import Moments, Preconditioner
from coresift.extract.sketch import Sketch
from coresift.features.specs import GradientSpec
from coresift.features.store import FeatureStore
from coresift.models.batches import Batch, Kind, by_length, collate
from coresift.models.lora import lora_parameters
from coresift.models.losses import example_losses, token_nll
from coresift.models.render import Rendered

LOSSES: tuple[Kind, ...] = ("response", "knowledge")
"""The two losses that are propagated; following = response - knowledge, by linearity."""


@dataclass
class ExtractionCost:
    """What an extraction cost; zeros when everything was already there."""

    seconds: float = 0.0
    tokens: int = 0
    """Tokens that went forward and backward, padding not counted."""
    flops: float = 0.0
    shards: int = 0
    """Shards computed now."""


@dataclass(frozen=True)
class GradientExtractor:
    """Computes projected per-example gradients of rendered examples.

    Args:
        model: In evaluation mode, with trainable LoRA tensors.
        start_token: The token the knowledge loss conditions on.
        pad_token: Any token; padded positions are masked.
        moments: The warm-up's AdamW state, for the Adam preconditioners.
        batch_tokens: Upper bound on examples x padded length of one backward pass (one longer example still runs).
    """

    model: nn.Module
    start_token: int
    pad_token: int
    moments: Moments | None = None
    batch_tokens: int = 4096
    _weights: list[tuple[str, nn.Parameter]] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_weights", lora_parameters(self.model))

    @property
    def device(self) -> torch.device:
        """Where the model lives."""
        return self._weights[0][1].device

    @property
    def flops_per_token(self) -> float:
        """Forward and activation-backward over all weights, plus the per-example products of the LoRA maps."""
        everything = sum(weight.numel() for weight in self.model.parameters())
        return 4.0 * everything + 2.0 * sum(weight.numel() for _, weight in self._weights)

    def projections(self, specs: Iterable[GradientSpec]) -> dict[GradientSpec, "Projection"]:
        """One projection for each way of transforming and projecting among `specs`, shared by their losses."""
        names = [name for name, _ in self._weights]
        sizes = [weight.numel() for _, weight in self._weights]
        return {
            way: Projection(
                Preconditioner(way.preconditioner, self.moments, names, self.device),
                Sketch(sizes, dim=way.dim, seed=way.seed, device=self.device),
            )
            for way in dict.fromkeys(way_of(spec) for spec in specs)
        }

    def gradients(
        self, rows: Sequence[Rendered], specs: Sequence[GradientSpec], projections: dict[GradientSpec, "Projection"]
    ) -> dict[GradientSpec, Tensor]:
        """Projected gradients of `rows` for every spec.

        Returns:
            spec -> [len(rows), spec.dim], float32 or wider.
        """
        parts = {loss: self._propagate(rows, loss, projections) for loss in propagated(specs)}
        return {spec: _rows_of(spec, parts) for spec in specs}

    def _propagate(
        self, rows: Sequence[Rendered], loss: Kind, projections: dict[GradientSpec, "Projection"]
    ) -> dict[GradientSpec, Tensor]:
        precise = torch.promote_types(self._weights[0][1].dtype, torch.float32)
        out = {way: torch.zeros(len(rows), way.dim, dtype=precise, device=self.device) for way in projections}
        lengths = [len(row.tokens) if loss == "response" else row.n_targets + 1 for row in rows]
        with GradientTap(self.model, self._weights) as tap, torch.enable_grad():
            for places in by_length(lengths, max_tokens=self.batch_tokens):
                batch = self._collate([rows[place] for place in places], loss)
                losses = example_losses(token_nll(self.model, batch), batch.targets)
                into = {way: out[way].new_zeros(len(places), way.dim) for way in projections}
                for parameter, gradient in enumerate(tap.per_example(losses)):
                    for way, projection in projections.items():
                        projection.add(into[way], parameter, gradient)
                for way in projections:
                    out[way][torch.tensor(places, device=self.device)] = into[way]
        return out

    def _collate(self, rows: Sequence[Rendered], loss: Kind) -> Batch:
        batch = collate(rows, kind=loss, start_token=self.start_token, pad_token=self.pad_token)
        return batch.to(self.device)

    def predicted_memory(self, rows: Sequence[Rendered], specs: Sequence[GradientSpec]) -> dict[str, int]:
        """Bytes this extraction will hold at its peak, by what holds them; activations inside the model not counted."""
        sizes = [weight.numel() for _, weight in self._weights]
        longest = max((len(row.tokens) for row in rows), default=0)
        batch = max(self.batch_tokens, longest)
        widths = sum(sum(weight.shape) for _, weight in self._weights)
        examples = max(self.batch_tokens // max(min(len(row.tokens) for row in rows), 1), 1) if len(rows) > 0 else 1
        ways = set(map(way_of, specs))
        return {
            "weights": sum(w.numel() * w.element_size() for w in self.model.parameters()),
            "tapped activations": batch * widths * 4,
            "largest per-example gradient": examples * max(sizes) * 4,
            "projection signs": len(ways) * sum(sizes),
            "moments": sum(sizes) * 8 if any(way.preconditioner != "none" for way in ways) else 0,
            "projected rows": examples * sum(way.dim for way in ways) * 4 * len(LOSSES),
        }


@dataclass(frozen=True)
class Projection:
    """A preconditioner followed by a sketch."""

    preconditioner: Preconditioner
    sketch: Sketch

    def add(self, into: Tensor, parameter: int, gradient: Tensor) -> None:
        """Transform and add the gradients of one parameter tensor to [b, dim]."""
        self.sketch.add(into, parameter, self.preconditioner.apply(parameter, gradient))


def way_of(spec: GradientSpec) -> GradientSpec:
    """The spec with its loss and row scaling blanked: what decides preconditioner and projection."""
    return spec.stored.model_copy(update={"loss": "response"})


def propagated(specs: Iterable[GradientSpec]) -> list[Kind]:
    """The losses that have to be propagated for `specs`: a following row needs both."""
    asked = {spec.loss for spec in specs}
    return [loss for loss in LOSSES if loss in asked or "following" in asked]


def tokens_read(rows: Iterable[Rendered], specs: Iterable[GradientSpec]) -> int:
    """Tokens that go forward and backward for `specs`, padding not counted."""
    losses = propagated(specs)
    return sum(len(row.tokens) * ("response" in losses) + (row.n_targets + 1) * ("knowledge" in losses) for row in rows)


def _rows_of(spec: GradientSpec, parts: dict[Kind, dict[GradientSpec, Tensor]]) -> Tensor:
    way = way_of(spec)
    if spec.loss == "following":
        return parts["response"][way] - parts["knowledge"][way]
    return parts[spec.loss][way]


def extract_gradients(
    extractor: GradientExtractor,
    rows: Sequence[Rendered],
    store: FeatureStore,
    specs: Sequence[GradientSpec],
    *,
    executor: Executor | None = None,
    say: Callable[[str], None] | None = None,
    account: Callable[..., None] | None = None,
) -> ExtractionCost:
    """Fill the arrays of `specs` in `store`, computing only the shards that are missing.

    A shard is computed from its own rows alone, so neither a resume nor the number of processes changes a byte.

    Args:
        extractor: Model, tokens and batch size.
        rows: Rendered examples, in the order of `store.ids`.
        store: Where the rows go.
        specs: What to compute; specs that share a stored array share the work.
        executor: Runs the shards; this process by default.
        say: Called with one line of text: the memory the extraction is predicted to need.
        account: Called after every shard with its seconds, tokens and flops, so that a kill loses no costs.

    Raises:
        FeatureError: If a store belongs to something else, or a gradient is not finite.
    """
    arrays = {spec.stored: store.array(spec) for spec in specs}
    missing = {spec: array.missing() for spec, array in arrays.items()}
    shards = sorted({shard for ranges in missing.values() for shard in ranges}, key=lambda shard: shard.start)
    cost = ExtractionCost(shards=len(shards))
    if len(shards) == 0:
        return cost
    began = time.perf_counter()
    if say is not None:
        say(describe_memory(extractor.predicted_memory(rows, list(arrays))))
    projections = extractor.projections(arrays)

    def compute(shard: range) -> range:
        wanted = [spec for spec in arrays if shard in missing[spec]]
        for spec, values in extractor.gradients([rows[row] for row in shard], wanted, projections).items():
            arrays[spec].write(shard, values)
        return shard

    before = began
    for shard in (executor or LocalExecutor()).map(compute, shards, label="gradients", unit="shards"):
        tokens, now = tokens_read([rows[row] for row in shard], list(arrays)), time.perf_counter()
        if account is not None:
            account(seconds=now - before, tokens=tokens, flops=extractor.flops_per_token * tokens)
        cost.tokens, before = cost.tokens + tokens, now
    cost.flops = extractor.flops_per_token * cost.tokens
    cost.seconds = time.perf_counter() - began
    return cost


def describe_memory(parts: dict[str, int]) -> str:
    """One line: predicted bytes in total and by part, in MiB."""
    shown = ", ".join(f"{name} {bytes / 2**20:.0f}" for name, bytes in parts.items() if bytes > 0)
    return f"predicted memory for gradients: {sum(parts.values()) / 2**20:.0f} MiB ({shown}), plus activations"

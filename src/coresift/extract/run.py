"""One pass over the pool fills every gradient array that is asked for, shard by shard; what is there is left alone."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from coresift.errors import FeatureError
from coresift.execution.base import Executor
from coresift.execution.local import LocalExecutor
from coresift.extract.gradients import Contribution, GradientTap
from coresift.extract.maps import maps_of, size_of, weights_above, widths_of
from coresift.extract.memory import PROBED, Footprint, describe_memory, predicted_memory
from coresift.extract.preconditioners import Moments, Preconditioner
from coresift.extract.projections import BothSides, Projection, Whole
from coresift.extract.sketch import Sketch
from coresift.features.specs import GradientSpec
from coresift.features.store import FeatureStore
from coresift.models.batches import Batch, Kind, collate, fewest_padded
from coresift.models.load import DTYPES
from coresift.models.render import Rendered

LOSSES: tuple[Kind, ...] = ("response", "knowledge")
"""The two losses that are propagated; following = response - knowledge, by linearity."""
Projections = Mapping[GradientSpec, Projection]


@dataclass
class ExtractionCost:
    """What an extraction cost; zeros when everything was already there."""

    seconds: float = 0.0
    tokens: int = 0
    """Tokens that went forward, and backward where the spec asks for it, padding not counted."""
    flops: float = 0.0
    shards: int = 0
    """Shards computed now."""


@dataclass(frozen=True)
class GradientExtractor:
    """Computes projected per-example gradients of rendered examples.

    Args:
        model: In evaluation mode: with the warm-up's adapter on it, or for `of: linear` as it is.
        start_token: The token the knowledge loss conditions on.
        pad_token: Any token; padded positions are never looked at.
        moments: The warm-up's AdamW state, for the Adam preconditioners.
        batch_tokens: Upper bound on examples x padded length of one backward pass (one longer example still runs).
    """

    model: nn.Module
    start_token: int
    pad_token: int
    moments: Moments | None = None
    batch_tokens: int = 4096

    @property
    def device(self) -> torch.device:
        """Where the model lives."""
        return next(self.model.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        """What the model computes in."""
        return next(self.model.parameters()).dtype

    def flops_per_token(self, specs: Iterable[GradientSpec]) -> float:
        """Forward over all weights, backward over those above the first tapped map, and the maps' own products."""
        projections = self.projections(specs)
        products = sum(projection.entries for projection in projections.values())
        return 2.0 * (size_of(self.model) + weights_above(self.model, _maps(projections)) + products)

    def projections(self, specs: Iterable[GradientSpec]) -> dict[GradientSpec, Projection]:
        """One projection for each way of tapping, transforming and projecting among `specs`, shared by their losses.

        Raises:
            ModelError: If the model does not have what is to be tapped.
            FeatureError: If it computes in another dtype, or the moments are missing.
        """
        return {way: self._projection(way) for way in dict.fromkeys(way_of(spec) for spec in specs)}

    def _projection(self, way: GradientSpec) -> Projection:
        if way.dtype != "model" and DTYPES[way.dtype] != self.dtype:
            raise FeatureError(
                f"{way.key} asks for passes in {way.dtype}, but the model computes in "
                f"{str(self.dtype).removeprefix('torch.')}. Load it with dtype={way.dtype}."
            )
        maps = maps_of(self.model, way)
        if way.of != "lora":
            return BothSides(maps, dim=way.dim, seed=way.seed, device=self.device)
        sizes = [width * depth for width, depth in map(widths_of, maps.values())]
        return Whole(
            maps,
            Preconditioner(way.preconditioner, self.moments, list(maps), self.device),
            Sketch(sizes, dim=way.dim, seed=way.seed, device=self.device),
        )

    def gradients(
        self, rows: Sequence[Rendered], specs: Sequence[GradientSpec], projections: Projections
    ) -> dict[GradientSpec, Tensor]:
        """Projected gradients of `rows` for every spec.

        Returns:
            spec -> [len(rows), spec.dim], float32 or wider.
        """
        ways = {way: projections[way] for way in map(way_of, specs)}
        parts = {loss: self._propagate(rows, loss, ways) for loss in propagated(specs)}
        return {spec: _rows_of(spec, parts) for spec in specs}

    def _propagate(self, rows: Sequence[Rendered], loss: Kind, ways: Projections) -> dict[GradientSpec, Tensor]:
        precise = torch.promote_types(self.dtype, torch.float32)
        out = {way: torch.zeros(len(rows), way.dim, dtype=precise, device=self.device) for way in ways}
        into: dict[GradientSpec, Tensor] = {}

        def take(map: nn.Module, seen: Contribution) -> None:
            for way, projection in ways.items():
                projection.add(into[way], map, seen)

        with GradientTap(self.model, _maps(ways), take) as tap:
            for places in self.batches(rows, loss):
                into.update({way: each.new_zeros(len(places), way.dim) for way, each in out.items()})
                tap.run(self.batch([rows[place] for place in places], loss))
                for way, each in out.items():
                    each[torch.tensor(places, device=self.device)] = into[way]
        return out

    def batches(self, rows: Sequence[Rendered], loss: Kind) -> list[list[int]]:
        """Positions of `rows` that go through the model together."""
        return fewest_padded([self.length(row, loss) for row in rows], max_tokens=self.batch_tokens)

    @staticmethod
    def length(row: Rendered, loss: Kind) -> int:
        """Tokens of a row as the model is given it for one loss."""
        return len(row.tokens) if loss == "response" else row.n_targets + 1

    def batch(self, rows: Sequence[Rendered], loss: Kind) -> Batch:
        """Rows as the model is given them for one loss."""
        return collate(rows, kind=loss, start_token=self.start_token, pad_token=self.pad_token).to(self.device)

    def predicted_memory(
        self, rows: Sequence[Rendered], specs: Sequence[GradientSpec], *, shard_rows: int = 256
    ) -> dict[str, int]:
        """Bytes this extraction will hold at its peak, by what holds them; a few tokens are sent through the model."""
        projections, lengths = self.projections(specs), [len(row.tokens) for row in rows]
        longest = max(range(len(rows)), key=lambda place: lengths[place])
        probe = self.batch([rows[longest]], "response").first(PROBED)
        return predicted_memory(
            self.model,
            Footprint.of(self.model, _maps(projections), probe),
            list(projections.values()),
            tokens=min(max(self.batch_tokens, max(lengths)), sum(lengths)),
            examples=min(max(self.batch_tokens // min(lengths), 1), shard_rows, len(rows)),
            rows=min(shard_rows, len(rows)) * sum(way.dim for way in projections) * len(propagated(specs)),
        )


def way_of(spec: GradientSpec) -> GradientSpec:
    """The spec with its loss and row scaling blanked: what decides maps, preconditioner and projection."""
    return spec.stored.model_copy(update={"loss": "response"})


def propagated(specs: Iterable[GradientSpec]) -> list[Kind]:
    """The losses that have to be propagated for `specs`: a following row needs both."""
    asked = {spec.loss for spec in specs}
    return [loss for loss in LOSSES if loss in asked or "following" in asked]


def tokens_read(rows: Iterable[Rendered], specs: Iterable[GradientSpec]) -> int:
    """Tokens that go through the model for `specs`, padding not counted."""
    losses = propagated(specs)
    return sum(GradientExtractor.length(row, loss) for row in rows for loss in losses)


def _maps(projections: Projections) -> dict[str, nn.Module]:
    return {name: map for projection in projections.values() for name, map in projection.maps.items()}


def _rows_of(spec: GradientSpec, parts: Mapping[Kind, Mapping[GradientSpec, Tensor]]) -> Tensor:
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
        say(describe_memory(extractor.predicted_memory(rows, list(arrays), shard_rows=store.shard_rows)))
    projections = extractor.projections(arrays)
    flops = extractor.flops_per_token(arrays)

    def compute(shard: range) -> range:
        wanted = [spec for spec in arrays if shard in missing[spec]]
        for spec, values in extractor.gradients([rows[row] for row in shard], wanted, projections).items():
            arrays[spec].write(shard, values)
        return shard

    before = began
    for shard in (executor or LocalExecutor()).map(compute, shards, label="gradients", unit="shards"):
        tokens, now = tokens_read([rows[row] for row in shard], list(arrays)), time.perf_counter()
        if account is not None:
            account(seconds=now - before, tokens=tokens, flops=flops * tokens)
        cost.tokens, before = cost.tokens + tokens, now
    cost.flops = flops * cost.tokens
    cost.seconds = time.perf_counter() - began
    return cost

"""Which pairs of a large pool to score: a pilot block measures what saving pairs would cost, on this pool and model.

n examples make n^2 pairs. With fewer, either all examples are shown to a part of the rows, or every row is shown a part
of the examples, chosen by embedding. The pilot is the pool in small: 64 random examples, all their pairs, and budget,
rows and candidates reduced in proportion. What each way loses there is measured by doing it. Measured against whole
pools (docs/methods/delift.md), the losses are about right, and too high for short lists of good candidates.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from coresift.features.candidates import candidate_lists
from coresift.lazy import torch
from coresift.seeds import generator
from coresift.submodular.worth.coverage import Coverage
from coresift.submodular.worth.information import facility_location

if TYPE_CHECKING:
    from torch import Tensor

Pairs = Literal["all", "rows", "candidates"]
PILOT = 64
"""Examples of the pilot block."""
TURNS = 16
"""How often each way is tried on it."""
HIGH = 0.5
"""A loss from which a plan comes with a warning."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PairPlan:
    """What to score.

    Attributes:
        pairs: `all`, some `rows`, or some `candidates` per row.
        count: Rows, or candidates per row; None for all pairs.
        correlation: Of utilities (those below 0 as 0) with cosines, over the pilot's pairs of different examples; None
            without a pilot.
        losses: The expected loss of each way: the part of what greedy picks gain over random ones that is lost.
        reason: All of this in a sentence or two.
    """

    pairs: Pairs
    count: int | None = None
    correlation: float | None = None
    losses: dict[str, float]
    reason: str

    @property
    def facts(self) -> dict[str, Any]:
        """JSON-able."""
        shown = {"pairs": self.pairs, "count": self.count, "correlation": self.correlation}
        return {**shown, "losses": dict(self.losses), "reason": self.reason}


def pilot_places(n: int, *, seed: int = 0) -> Tensor | None:
    """The pool positions of the pilot block, ascending; None for a pool that is no larger than it."""
    if n <= PILOT:
        return None
    return torch.from_numpy(generator(seed, "pilot block").choice(n, size=PILOT, replace=False)).sort().values


def needs_pilot(n: int, most_pairs: int) -> bool:
    """Whether pairs must be saved, and a pilot has to say how."""
    return n > PILOT and n * n > most_pairs


def plan_pairs(
    n: int, size: int, most_pairs: int, *, utilities: Tensor | None, embeddings: Tensor | None, seed: int = 0
) -> PairPlan:
    """Choose the pairs to score.

    Args:
        n: Examples in the pool.
        size: The budget, in picks.
        most_pairs: How many pairs may be scored.
        utilities: The pilot block: A[j, i] is what pilot example j is worth to pilot example i. May be None where
            `needs_pilot` is false.
        embeddings: One unit vector per pilot example.
        seed: Of the trials.

    Returns:
        All pairs if they fit, else the way that loses less on the pilot; some rows if both lose the same.
    """
    if utilities is None or embeddings is None or not needs_pilot(n, most_pairs):
        reason = f"{n} examples have {n * n:,} pairs, which is within the {most_pairs:,} allowed: all are scored."
        return PairPlan(pairs="all", losses={"all": 0.0}, reason=reason)
    count = max(1, most_pairs // n)
    correlation = _correlation(utilities, embeddings)
    losses = _losses(utilities, embeddings, part=count / n, picked=size / n, seed=seed)
    pairs: Pairs = "candidates" if losses["candidates"] < losses["rows"] else "rows"
    return PairPlan(
        pairs=pairs,
        count=count,
        correlation=correlation,
        losses={"all": 0.0, **losses},
        reason=_reason(n, most_pairs, count, pairs, correlation, losses),
    )


def _reason(n: int, most_pairs: int, count: int, pairs: Pairs, correlation: float, losses: dict[str, float]) -> str:
    ways = {"rows": f"{count:,} random rows", "candidates": f"{count:,} candidates per row"}
    other = "rows" if pairs == "candidates" else "candidates"
    text = (
        f"{n} examples have {n * n:,} pairs, more than the {most_pairs:,} allowed. On a pilot of {PILOT} x {PILOT} "
        f"pairs, embeddings correlate with utilities by {correlation:.2f}; {ways[pairs]} lose {losses[pairs]:.0%} of "
        f"what greedy picks gain over random ones, {ways[other]} {losses[other]:.0%}: {ways[pairs]} it is."
    )
    return text + (" That is a lot: allow more pairs if you can." if losses[pairs] >= HIGH else "")


def _correlation(utilities: Tensor, embeddings: Tensor) -> float:
    """Pearson's, off the diagonal, where an example would be compared with itself; 0 if one side is constant."""
    off = ~torch.eye(len(utilities), dtype=torch.bool)
    worth, cosines = utilities.double().cpu().clamp(min=0.0)[off], (embeddings @ embeddings.T).double().cpu()[off]
    if float(worth.std()) == 0.0 or float(cosines.std()) == 0.0:
        return 0.0
    return float(torch.corrcoef(torch.stack([worth, cosines]))[0, 1])


def _losses(utilities: Tensor, embeddings: Tensor, *, part: float, picked: float, seed: int) -> dict[str, float]:
    """Mean loss of both ways on the pilot, with the pool's proportions."""
    edge = len(utilities)
    size, count = (min(edge, max(1, round(edge * share))) for share in (picked, part))
    truth = facility_location(utilities, name="pilot")
    source = generator(seed, "pilot trials")
    floor = float(np.mean([truth.value(_draw(source, edge, size)) for _ in range(TURNS)]))
    ceiling = truth.value(truth.greedy(size).order)
    if ceiling <= floor:
        return {"rows": 0.0, "candidates": 0.0}

    def loss(tried: Coverage) -> float:
        return (ceiling - truth.value(tried.greedy(size).order)) / (ceiling - floor)

    everyone = torch.arange(edge)
    rows = [loss(facility_location(utilities[:, _draw(source, edge, count)])) for _ in range(TURNS)]
    lists = [
        loss(facility_location(_only(utilities, candidate_lists(embeddings, everyone, count, seed=turn))))
        for turn in range(TURNS)
    ]
    return {"rows": max(0.0, float(np.mean(rows))), "candidates": max(0.0, float(np.mean(lists)))}


def _draw(source: np.random.Generator, edge: int, size: int) -> Tensor:
    return torch.from_numpy(source.choice(edge, size=size, replace=False))


def _only(utilities: Tensor, lists: Tensor) -> Tensor:
    """Utilities with 0 wherever an example is no candidate of the row."""
    kept = torch.zeros(utilities.shape, dtype=torch.bool).scatter_(0, lists.T, True)
    return torch.where(kept, utilities, 0.0)

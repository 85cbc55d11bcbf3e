"""A space without an n x n matrix: distances are computed whenever they are asked for.

Memory is the rows and a few blocks. What needs all distances is done in passes, see `cover.passes`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from coresift.lazy import torch
from coresift.submodular.distances.blocks import EDGE, Tiles, Which
from coresift.submodular.distances.rows import check_rows
from coresift.submodular.distances.stored import Blend, Metric

if TYPE_CHECKING:
    from torch import Tensor

ROWS = {"cpu": 1 << 24, "cuda": 1 << 28}
"""Distances computed together when whole rows are asked for."""


@dataclass(frozen=True, slots=True, eq=False)
class Tiled:
    """One space: rows ready for products."""

    tiles: Tiles
    facts: list[tuple[Tensor, float]] = field(default_factory=list, init=False, repr=False)
    """Sum of every row (float64, n) and the largest distance, once a pass has taken them."""

    @classmethod
    def of(cls, rows: Tensor, *, name: str = "rows", device: torch.device | None = None) -> Tiled:
        """Args:
            rows: n x d.
            name: What the rows are called in messages.
            device: Where distances are computed, if not where the rows are; it holds one copy of them in float32.

        Raises:
            SelectionError: As for `pairwise`.
        """
        check_rows(rows, name=name)
        return cls(Tiles.of(rows, bits=24, device=device))

    @property
    def n(self) -> int:
        """Number of points."""
        return self.tiles.n

    @property
    def step(self) -> float:
        """What one whole number is worth."""
        return self.tiles.step

    @property
    def device(self) -> torch.device:
        """Where the rows are."""
        return self.tiles.rows.squares.device

    @property
    def dtype(self) -> torch.dtype:
        """Float type of the whole numbers."""
        return self.tiles.rows.values.dtype

    @property
    def height(self) -> int:
        """How many rows are best asked for together."""
        return max(1, min(EDGE["cpu"], ROWS.get(self.device.type, ROWS["cuda"]) // self.n))

    def rows(self, which: Which) -> Tensor:
        """Distances from the points `which` to all."""
        return self.tiles.to_all(which)

    def at(self, first: Tensor, second: Tensor) -> Tensor:
        """Distances of pairs."""
        return self.tiles.pairs(first, second)


Pair = tuple[Tiled, Tiled, float]
"""Two spaces and the share of the first one's whole numbers."""


def parts_of(metric: Metric) -> Pair | None:
    """The spaces and the share of a metric without a matrix; None for any other."""
    if isinstance(metric, Tiled):
        return metric, metric, 1.0
    if isinstance(metric, Blend) and isinstance(metric.first, Tiled) and isinstance(metric.second, Tiled):
        return metric.first, metric.second, metric.share
    return None

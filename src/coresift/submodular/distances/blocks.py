"""Blocks of the matrix of distances between rows, in whole numbers of one step, computed when asked for.

A distance is taken from a product: |x - y|^2 = |x|^2 + |y|^2 - 2 x.y. Where that is no larger than the rounding noise
of the product, it is put right: 0 between rows that are equal bit for bit, else computed again in float64.

The step is fixed before any distance is known: no distance exceeds the sum of the two largest row lengths.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from coresift.lazy import torch
from coresift.submodular.distances.products import noise, products
from coresift.submodular.distances.rows import Rows, power_of_two, prepare
from coresift.submodular.threads import in_parts

if TYPE_CHECKING:
    from torch import Tensor

EDGE = {"cpu": 1024, "cuda": 8192}
"""Rows and columns of a block in passes over the whole matrix: large enough that starting it costs nothing."""
PAIRS = 1024
"""Pairs computed together where they are computed one by one."""
STRIP = 64
"""Rows of a block worked on together on a CPU, about what its cache holds; elsewhere all are."""
FEW_BITS = 16
"""Too few to give any away: only a step of more bits is rounded up to a power of two, which loses nothing."""

Which: TypeAlias = "slice | Tensor"


@dataclass(frozen=True, slots=True, eq=False)
class Tiles:
    """Attributes:
    rows: The rows, ready for products (float32, or float64 for small pools).
    unit: What one whole number is worth in the scale of `rows`; 0 when all rows are equal.
    most: The largest whole number.
    noise: Squared distances below this part of the squared lengths are computed again.
    """

    rows: Rows
    unit: float
    most: float
    noise: float

    @classmethod
    def of(
        cls, rows: Tensor, *, bits: int, dtype: torch.dtype | None = None, device: torch.device | None = None
    ) -> Tiles:
        """Args:
        rows: n x d, finite.
        bits: Length of the whole numbers: at most 16 for uint16, 24 for float32, 50 for float64.
        dtype: Precision of the products; float32 if not given.
        device: Where products are taken, if not where the rows are.
        """
        ready = prepare(rows, dtype=dtype or torch.float32, device=device)
        squares = ready.squares
        longest = float(squares.topk(min(2, len(squares))).values.sqrt().sum()) * (1.0 + 1e-6)
        if longest == 0.0 or bool((ready.keys == ready.keys[0]).all()):
            return cls(ready, 0.0, 0.0, noise())
        most = 2.0**bits if bits > FEW_BITS else 2.0**bits - 1.0
        return cls(ready, (power_of_two(longest) if bits > FEW_BITS else longest) / most, most, noise())

    @property
    def n(self) -> int:
        """Number of rows."""
        return len(self.rows.squares)

    @property
    def step(self) -> float:
        """What one whole number is worth."""
        return self.unit * self.rows.scale

    def block(self, first: slice, second: slice) -> Tensor:
        """Whole distances between two runs of rows: a x b, in the dtype of the rows.

        A block on the diagonal is symmetric bit for bit.
        """
        if first != second:
            return self._distances(first, second, 0)
        tile = self._distances(first, second, first.stop - first.start).triu_(diagonal=1)
        return tile + tile.T

    def to_all(self, which: Which) -> Tensor:
        """Whole distances from the rows `which` to all: b x n."""
        own = torch.arange(self.n, device=self.rows.squares.device)[which]
        tile = self._distances(which, slice(0, self.n), len(own))
        tile[torch.arange(len(own), device=own.device), own] = 0.0
        return tile

    def _distances(self, first: Which, second: Which, selves: int) -> Tensor:
        """In `selves` places a row meets itself: they alone are no reason to look for noise."""
        x, y = self.rows.values[first], self.rows.values[second]
        left, right = self.rows.squares[first].to(x.dtype), self.rows.squares[second].to(x.dtype)
        tile = products(x, y)
        if self.unit == 0.0:
            return tile.zero_()
        if self._finish(tile, left, right) > selves:
            self._repair(tile, first, second)
        return tile

    def pairs(self, first: Tensor, second: Tensor) -> Tensor:
        """Whole distances of pairs of rows, from differences in float64: b, in the dtype of the rows."""
        found = []
        for a, b in zip(first.split(PAIRS), second.split(PAIRS), strict=True):
            apart = (self.rows.values[a].double() - self.rows.values[b].double()).norm(dim=1)
            found.append((apart / (self.unit or 1.0)).round_().to(self.rows.values.dtype))
        return torch.cat(found) if found else self.rows.values.new_zeros(0)

    def _finish(self, tile: Tensor, left: Tensor, right: Tensor) -> int:
        """From products to whole distances, in place; returns how many may be noise."""
        if tile.device.type == "cpu" and tile.dtype == torch.float32:
            from coresift.submodular.compiled import tiles as compiled

            products_, ours, theirs = tile.numpy(), left.numpy(), right.numpy()
            constants = np.float32(self.noise), np.float32(1.0 / self.unit), np.float32(self.most)

            def work(begin: int, end: int) -> int:
                return int(compiled.finish(products_[begin:end], ours[begin:end], theirs, *constants))

            return sum(in_parts(work, len(tile)))
        near, height = 0, STRIP if tile.device.type == "cpu" else len(tile)
        for part, norms in zip(tile.split(height), left.split(height), strict=True):
            lengths = norms[:, None] + right[None]
            square = part.mul_(-2.0).add_(lengths)
            near += int((square < self.noise * lengths).sum())
            square.clamp_(min=0.0).sqrt_().mul_(1.0 / self.unit).round_().clamp_(max=self.most)
        return near

    def _repair(self, tile: Tensor, first: Which, second: Which) -> None:
        """Put right what may be noise."""
        left, right = self.rows.squares[first].to(tile.dtype), self.rows.squares[second].to(tile.dtype)
        limit = (self.noise * (left[:, None] + right[None])).sqrt_().div_(self.unit)
        near = tile <= limit.add_(1.0)
        equal = near & (self.rows.keys[first, None] == self.rows.keys[None, second])
        unequal = near & ~equal
        a, b = unequal.any(dim=1).nonzero().flatten(), unequal.any(dim=0).nonzero().flatten()
        if len(a) > 0 and tile.dtype != torch.float64:
            x, y = self.rows.values[first][a].double(), self.rows.values[second][b].double()
            fine = (x @ y.T).mul_(-2.0).add_(x.square().sum(1)[:, None]).add_(y.square().sum(1)[None])
            fine = fine.clamp_(min=0.0).sqrt_().div_(self.unit).round_().clamp_(max=self.most).to(tile.dtype)
            corner = tile[a[:, None], b[None]]
            tile[a[:, None], b[None]] = torch.where(unequal[a][:, b], fine, corner)
        tile[equal] = 0.0


def grid(n: int, device: torch.device) -> list[tuple[slice, slice]]:
    """The blocks of the upper half of an n x n matrix, row by row."""
    edge = EDGE.get(device.type, EDGE["cuda"])
    parts = [slice(start, min(start + edge, n)) for start in range(0, n, edge)]
    return [(first, second) for number, first in enumerate(parts) for second in parts[number:]]

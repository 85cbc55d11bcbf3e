"""Euclidean distances between all rows, held as whole numbers of one step, so that sums of them are exact.

A sum of whole numbers in float64 does not depend on its order (below 2^53). So gains computed lazily, in blocks or all
at once are the same numbers, and a tie is a tie. Steps are powers of two: distances that are short binary fractions, as
in small integer examples, are held without any rounding.

Small pools (up to `EXACT`) are held in float64 with as many bits as exact sums allow, 41 and more; larger ones in
float32 with 24 bits, which rounds a distance by at most 2^-24 of the largest row times two, or with 16 bits in half the
memory, which rounds it by 2^-17 of the two largest rows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from coresift.errors import SelectionError
from coresift.lazy import torch
from coresift.progress import Progress
from coresift.submodular.distances.blocks import Tiles, Which, grid
from coresift.submodular.distances.rows import check_rows, power_of_two

if TYPE_CHECKING:
    from torch import Tensor

BLOCK = {"cpu": 1 << 16, "cuda": 1 << 26}
"""Distances read together."""
EXACT = 2048
"""Pools up to this size are held in float64."""
DIRECT = 1 << 27
"""Up to this many subtractions (n * n * d) distances are taken from differences instead of products."""

SLACK = 4.0
"""How far, in whole numbers, a `rough` distance may lie from the exact one: a handful of roundings of half a unit."""


class Metric(Protocol):
    """Symmetric distances between n points, in whole numbers of `step`."""

    @property
    def n(self) -> int: ...
    @property
    def step(self) -> float: ...
    @property
    def device(self) -> torch.device: ...
    @property
    def dtype(self) -> torch.dtype: ...
    @property
    def height(self) -> int:
        """How many rows are best asked for together."""
        ...

    def rows(self, which: Which) -> Tensor:
        """Distances from the points `which` to all: b x n, not to be changed in place."""
        ...

    def at(self, first: Tensor, second: Tensor) -> Tensor:
        """Distances of pairs: b."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Distances:
    """One space: `whole` (n x n, whole numbers, zero diagonal) times `step`."""

    whole: Tensor
    step: float
    facts: list[tuple[Tensor, Tensor]] = field(default_factory=list, init=False, repr=False)
    """Sum and largest of every row, once somebody has taken them."""

    @property
    def n(self) -> int:
        """Number of points."""
        return len(self.whole)

    @property
    def device(self) -> torch.device:
        """Where the numbers are."""
        return self.whole.device

    @property
    def dtype(self) -> torch.dtype:
        """Float type of the whole numbers when read."""
        return self.whole.dtype if self.whole.is_floating_point() else torch.float32

    @property
    def height(self) -> int:
        """How many rows are best read together: about what the cache holds."""
        return max(1, BLOCK.get(self.device.type, BLOCK["cuda"]) // self.n)

    def rows(self, which: Which) -> Tensor:
        """Distances from the points `which` to all."""
        return self.whole[which].to(self.dtype)

    def at(self, first: Tensor, second: Tensor) -> Tensor:
        """Distances of pairs."""
        return self.whole[first, second].to(self.dtype)


@dataclass(frozen=True, slots=True, eq=False)
class Blend:
    """(1 - alpha) * first + alpha * second, fused on reading: nothing n x n is kept.

    The sum of both steps, each with its factor, is the step of the blend; the blend of whole numbers is rounded to a
    whole number. At alpha 0 and 1, and where one space is constant, it is the other space exactly.

    Raises:
        SelectionError: If the spaces differ in size or alpha is not in [0, 1].
    """

    first: Metric
    second: Metric
    alpha: float

    def __post_init__(self) -> None:
        if self.first.n != self.second.n:
            raise SelectionError(
                f"spaces of {self.first.n} and {self.second.n} rows. Both spaces describe the same pool: same rows."
            )
        if not 0.0 <= self.alpha <= 1.0:
            raise SelectionError(f"alpha is {self.alpha}. It lies between 0 and 1, both included.")

    @property
    def n(self) -> int:
        """Number of points."""
        return self.first.n

    @property
    def device(self) -> torch.device:
        """Where the numbers are."""
        return self.first.device

    @property
    def dtype(self) -> torch.dtype:
        """Float type that holds the whole numbers."""
        return self.first.dtype

    @property
    def height(self) -> int:
        """How many rows are best read together."""
        return self.first.height

    @property
    def step(self) -> float:
        """What one whole number is worth."""
        return (1.0 - self.alpha) * self.first.step + self.alpha * self.second.step

    def rows(self, which: Which) -> Tensor:
        """Blended distances from the points `which` to all."""
        share = self.share
        if share in (0.0, 1.0):
            return (self.first if share == 1.0 else self.second).rows(which)
        return _mix(self.first.rows(which), self.second.rows(which), share)

    def at(self, first: Tensor, second: Tensor) -> Tensor:
        """Blended distances of pairs."""
        return _mix(self.first.at(first, second), self.second.at(first, second), self.share)

    @property
    def share(self) -> float:
        """Factor of the first space's whole numbers; the second's is the rest to 1."""
        return 1.0 if self.step == 0.0 else (1.0 - self.alpha) * self.first.step / self.step


def _mix(first: Tensor, second: Tensor, share: float) -> Tensor:
    # Two products and one sum, each rounded by itself: a fused multiply-add would differ between devices.
    return (first * share).add_(second * (1.0 - share)).round_()


def rough(metric: Metric, which: slice) -> Tensor:
    """Distances from the points `which` to all, each within SLACK of the exact one, in fewer passes over memory."""
    if isinstance(metric, Blend) and metric.share not in (0.0, 1.0):
        return torch.lerp(metric.second.rows(which), metric.first.rows(which), metric.share)
    return metric.rows(which)


def pairwise(
    rows: Tensor,
    *,
    name: str = "rows",
    label: str = "distances",
    bits: int = 24,
    device: torch.device | None = None,
) -> Distances:
    """Un-squared Euclidean distances between all rows (n x d).

    Symmetric, zero on the diagonal and between rows that are equal bit for bit. Only the upper half is computed, in
    tiles; beyond the n x n result it needs one copy of the rows. Rows that are all equal give a step of 0.

    Args:
        rows: n x d, any float type.
        name: What the rows are called in messages.
        label: What the work is called while it runs.
        bits: 24 (4 bytes a distance), or 16 (2 bytes). Pools up to `EXACT` are held in float64 all the same.
        device: Where distances are computed and held, if not where the rows are.

    Raises:
        SelectionError: If `rows` is not two-dimensional, is empty, or holds NaN or infinity.
    """
    check_rows(rows, name=name)
    n, d = rows.shape
    if n <= EXACT and n * n * d <= DIRECT:
        return _direct(rows.to(device or rows.device))
    if n <= EXACT:
        tiles = Tiles.of(rows, bits=_exact_bits(n), dtype=torch.float64, device=device)
        return Distances(tiles.block(slice(0, n), slice(0, n)), tiles.step)
    dtype = torch.uint16 if bits == 16 else torch.float32
    return _tiled(Tiles.of(rows, bits=bits, device=device), dtype, label=label)


def _exact_bits(n: int) -> int:
    """With so many bits a sum of n distances stays below 2^53."""
    return min(50, 52 - math.ceil(math.log2(n)))


def _direct(rows: Tensor) -> Distances:
    """From differences in float64."""
    exact = rows.double()
    scale = power_of_two(float(exact.abs().amax()))
    scaled = exact / scale
    distances = torch.cdist(scaled, scaled, compute_mode="donot_use_mm_for_euclid_dist")
    largest = float(distances.amax())
    unit = power_of_two(largest) / 2 ** _exact_bits(len(rows))
    return Distances((distances / unit).round_(), unit * scale if largest > 0 else 0.0)


def _tiled(tiles: Tiles, dtype: torch.dtype, *, label: str) -> Distances:
    out = torch.empty(tiles.n, tiles.n, dtype=dtype, device=tiles.rows.squares.device)
    blocks = grid(tiles.n, out.device)
    with Progress(label, len(blocks), unit="tiles") as progress:
        for first, second in blocks:
            tile = tiles.block(first, second).to(dtype)
            out[first, second] = tile
            if first != second:
                out[second, first] = tile.T.contiguous()  # far quicker than a transposed copy into part of rows
            progress.advance()
    return Distances(out, tiles.step)

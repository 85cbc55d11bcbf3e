"""Euclidean distances between all rows, held as whole numbers of one step, so that sums of them are exact.

A sum of whole numbers in float64 does not depend on its order (below 2^53). So gains computed lazily, in blocks or all
at once are the same numbers, and a tie is a tie. Steps are powers of two: distances that are short binary fractions, as
in small integer examples, are held without any rounding.

Small pools (up to `EXACT`) are held in float64 with as many bits as exact sums allow, 42 and more; larger ones in
float32 with 24 bits, which rounds a distance by at most 2^-24 of the largest row times two.
"""

import math
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor

from coresift.errors import SelectionError
from coresift.progress import Progress
from coresift.submodular.rows import Rows, check_rows, power_of_two, prepare
from coresift.submodular.threads import one_thread

EXACT = 2048
"""Pools up to this size are held in float64."""
DIRECT = 1 << 27
"""Up to this many subtractions (n * n * d) distances are taken from differences instead of products."""
TILE = 1024
STRIP = 64
"""Rows of a tile worked on together."""
NOISE = 4e-6
"""Squared distances below this part of the squared norms are rounding noise of float32 products."""

SLACK = 4.0
"""How far, in whole numbers, a `rough` distance may lie from the exact one: a handful of roundings of half a unit."""

Which = slice | Tensor


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
        """Float type that holds the whole numbers."""
        return self.whole.dtype

    def rows(self, which: Which) -> Tensor:
        """Distances from the points `which` to all."""
        return self.whole[which]

    def at(self, first: Tensor, second: Tensor) -> Tensor:
        """Distances of pairs."""
        return self.whole[first, second]


@dataclass(frozen=True, slots=True, eq=False)
class Blend:
    """(1 - alpha) * first + alpha * second, fused on reading: nothing n x n is kept.

    The sum of both steps, each with its factor, is the step of the blend; the blend of whole numbers is rounded to a
    whole number. At alpha 0 and 1, and where one space is constant, it is the other space exactly.

    Raises:
        SelectionError: If the spaces differ in size or alpha is not in [0, 1].
    """

    first: Distances
    second: Distances
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


def pairwise(rows: Tensor, *, name: str = "rows", label: str = "distances") -> Distances:
    """Un-squared Euclidean distances between all rows (n x d), on the rows' device.

    Symmetric, zero on the diagonal and between rows that are equal bit for bit. Only the upper half is computed, in
    tiles; beyond the n x n result it needs one copy of the rows. Rows that are all equal give a step of 0.

    Args:
        rows: n x d, any float type.
        name: What the rows are called in messages.
        label: What the work is called while it runs.

    Raises:
        SelectionError: If `rows` is not two-dimensional, is empty, or holds NaN or infinity.
    """
    check_rows(rows, name=name)
    n, d = rows.shape
    if n * n * d <= DIRECT:
        return _whole(*_direct(rows))
    with one_thread():
        ready = prepare(rows, dtype=torch.float64 if n <= EXACT else torch.float32)
    return _whole(_tiled(ready, label=label), ready.scale)


def _direct(rows: Tensor) -> tuple[Tensor, float]:
    """Distances from differences in float64, and the scale they are in."""
    exact = rows.double()
    scale = power_of_two(float(exact.abs().amax()))
    scaled = exact / scale
    return torch.cdist(scaled, scaled, compute_mode="donot_use_mm_for_euclid_dist"), scale


def _whole(distances: Tensor, scale: float) -> Distances:
    """Round distances, in place, to whole numbers of a step; `scale` brings them to real units."""
    n = len(distances)
    exact = n <= EXACT
    bits = min(50, 52 - math.ceil(math.log2(n))) if exact else 24
    largest = float(distances.amax())
    step = power_of_two(largest) / 2**bits
    whole = distances.to(torch.float64 if exact else torch.float32)
    for part in whole.split(max(1, STRIP * TILE // n)):
        part.mul_(1.0 / step).round_()
    return Distances(whole, step * scale if largest > 0 else 0.0)


def _tiled(ready: Rows, *, label: str) -> Tensor:
    n = len(ready.values)
    out = torch.empty(n, n, dtype=ready.values.dtype, device=ready.values.device)
    squares = torch.cat([part.double().square().sum(dim=1) for part in ready.values.split(TILE)])
    parts = [slice(start, min(start + TILE, n)) for start in range(0, n, TILE)]
    with Progress(label, len(parts) * (len(parts) + 1) // 2, unit="tiles") as progress:
        for number, first in enumerate(parts):
            for second in parts[number:]:
                tile = _tile(ready, squares, first, second)
                out[first, second] = tile
                if first != second:
                    out[second, first] = tile.T.contiguous()  # far quicker than a transposed copy into part of rows
                progress.advance()
    return out


def _tile(ready: Rows, squares: Tensor, first: slice, second: slice) -> Tensor:
    """Distances between two runs of rows; on the diagonal the upper half is mirrored."""
    x, y = ready.values[first], ready.values[second]
    left, right = squares[first, None].to(x.dtype), squares[None, second].to(x.dtype)
    tile = x @ y.T
    with one_thread():
        return _finish(tile, left, right, ready, squares, first, second)


def _finish(
    tile: Tensor, left: Tensor, right: Tensor, ready: Rows, squares: Tensor, first: slice, second: slice
) -> Tensor:
    """From products to distances, in place."""
    least = torch.cat([_strip(part, *norms) for part, norms in _strips(tile, left, right)])
    if first == second or bool((least <= NOISE * left[:, 0] + NOISE * right.amax()).any()):
        near = tile < NOISE * left + NOISE * right
        if first == second:
            near.fill_diagonal_(False)
        if near.any():
            _repair(tile, near, ready, squares, first, second)
    for part in tile.split(STRIP):
        part.clamp_(min=0.0).sqrt_()
    if first != second:
        return tile
    upper = tile.triu_(diagonal=1)
    return upper + upper.T


def _strips(tile: Tensor, left: Tensor, right: Tensor) -> list[tuple[Tensor, tuple[Tensor, Tensor]]]:
    """A few rows at a time, so that all that is done to them is done in the cache."""
    return [(part, (norms, right)) for part, norms in zip(tile.split(STRIP), left.split(STRIP), strict=True)]


def _strip(products: Tensor, left: Tensor, right: Tensor) -> Tensor:
    """Turn products into squared distances, in place; returns the least of every row."""
    torch.sub(left, products, alpha=2.0, out=products)
    return products.add_(right).amin(dim=1)


def _repair(tile: Tensor, near: Tensor, ready: Rows, squares: Tensor, first: slice, second: slice) -> None:
    """Put right squared distances that are as small as the noise of their products: 0 for equal rows, else float64."""
    equal = near & (ready.keys[first, None] == ready.keys[None, second])
    left, right = (near & ~equal).any(dim=1).nonzero().flatten(), (near & ~equal).any(dim=0).nonzero().flatten()
    if len(left) > 0 and tile.dtype != torch.float64:
        x, y = ready.values[first][left].double(), ready.values[second][right].double()
        fine = (x @ y.T).mul_(-2.0).add_(squares[first][left, None]).add_(squares[second][None, right])
        corner = tile[left[:, None], right[None, :]]
        tile[left[:, None], right[None, :]] = torch.where(near[left][:, right], fine.to(tile.dtype), corner)
    tile[equal] = 0.0

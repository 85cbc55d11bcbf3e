"""From what a batch says about linear maps to rows of `dim` numbers, map by map.

    Whole       sketch(transform(G)), G = sum_t g_t x_t^T: every entry of the gradient is made, transformed and folded
    BothSides   sketch(sum_t (P g_t) (Q x_t)^T): both sides are narrowed before the product, so G is never made

P and Q are sketches of their own for every map (the identity where a side is narrow enough already), so that
E <row, row'> = <G, G'> still holds. They add to the variance: with s the side, the relative variance of a squared norm
grows from 2 / dim by at most about 4 / s over the number of maps that share the norm; measured in docs/features.md.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isqrt
from typing import Protocol

import torch
from torch import Tensor, nn

from coresift.extract.gradients import Contribution
from coresift.extract.maps import widths_of
from coresift.extract.preconditioners import Preconditioner
from coresift.extract.sketch import Sketch
from coresift.seeds import derive

NARROWED = 1 << 22
"""Entries of all narrowed gradients of an example together, at most: sets the side."""


class Projection(Protocol):
    """Adds what linear maps contribute to rows."""

    maps: Mapping[str, nn.Module]

    @property
    def entries(self) -> int:
        """Entries of an example's gradient that are made."""
        ...

    @property
    def largest(self) -> int:
        """Most of them at once."""
        ...

    @property
    def memory(self) -> int:
        """Bytes held between batches."""
        ...

    def add(self, into: Tensor, map: nn.Module, seen: Contribution) -> None:
        """Add the gradients of one map to [b, dim]; nothing where it is not among `maps`."""
        ...


@dataclass
class Whole:
    """A preconditioner followed by a sketch.

    Args:
        maps: Name of the weight -> its map, in the recorded order.
        preconditioner: Of these names.
        sketch: Of these sizes.
    """

    maps: Mapping[str, nn.Module]
    preconditioner: Preconditioner
    sketch: Sketch
    _place: dict[nn.Module, tuple[int, str]] = field(init=False)

    def __post_init__(self) -> None:
        self._place = {map: (place, name) for place, (name, map) in enumerate(self.maps.items())}

    @property
    def entries(self) -> int:
        """All of the weights."""
        return sum(self.sketch.sizes)

    @property
    def largest(self) -> int:
        """Those of the largest weight."""
        return max(self.sketch.sizes)

    @property
    def memory(self) -> int:
        """The signs and the moments."""
        return self.sketch.memory + self.entries * self.preconditioner.memory

    def add(self, into: Tensor, map: nn.Module, seen: Contribution) -> None:
        """Transform and project the gradients of one map; nothing where it is not one of these."""
        if map not in self._place:
            return
        place, name = self._place[map]
        transformed = self.preconditioner.apply(name, seen.gradient)
        self.sketch.add(into, place, transformed, self.preconditioner.scale(name))


class BothSides:
    """Narrows inputs and sensitivities of every map to `side` before their product, and sketches that.

    Args:
        maps: Name -> map.
        dim: Columns of the result.
        seed: Names the projection.
        device: Where the gradients live.
    """

    def __init__(
        self, maps: Mapping[str, nn.Module], *, dim: int, seed: int, device: torch.device | str = "cpu"
    ) -> None:
        self.maps = maps
        self.side = side_of(len(maps))
        self._narrow: dict[nn.Module, tuple[int, Narrow, Narrow]] = {}
        for place, map in enumerate(maps.values()):
            width, depth = widths_of(map)
            outs = Narrow(width, self.side, seed=derive(seed, "sensitivities", place), device=device)
            ins = Narrow(depth, self.side, seed=derive(seed, "inputs", place), device=device)
            self._narrow[map] = (place, outs, ins)
        sizes = [outs.side * ins.side for _, outs, ins in self._narrow.values()]
        self.sketch = Sketch(sizes, dim=dim, seed=seed, device=device)

    @property
    def entries(self) -> int:
        """All of the narrowed gradients."""
        return sum(self.sketch.sizes)

    @property
    def largest(self) -> int:
        """Those of the largest one."""
        return max(self.sketch.sizes)

    @property
    def memory(self) -> int:
        """The signs of all three sketches."""
        return self.sketch.memory + sum(outs.memory + ins.memory for _, outs, ins in self._narrow.values())

    def add(self, into: Tensor, map: nn.Module, seen: Contribution) -> None:
        """Narrow, multiply and project the gradients of one map; nothing where it is not one of these."""
        if map not in self._narrow:
            return
        place, outs, ins = self._narrow[map]
        self.sketch.add(into, place, seen.product(outs(seen.sensitivity), ins(seen.inputs)))


class Narrow:
    """[..., width] to [..., side], by a sketch where the width is larger than the side; as it is elsewhere."""

    def __init__(self, width: int, side: int, *, seed: int, device: torch.device | str = "cpu") -> None:
        self.side = min(width, side)
        self._sketch = Sketch([width], dim=side, seed=seed, device=device) if width > side else None

    @property
    def memory(self) -> int:
        """Bytes held: the signs."""
        return 0 if self._sketch is None else self._sketch.memory

    def __call__(self, rows: Tensor) -> Tensor:
        """At least float32 where it is narrowed."""
        if self._sketch is None:
            return rows
        flat = rows.flatten(0, -2).to(torch.promote_types(rows.dtype, torch.float32))
        out = flat.new_zeros(len(flat), self.side)
        self._sketch.add(out, 0, flat)
        return out.view(*rows.shape[:-1], self.side)


def side_of(maps: int) -> int:
    """To what width both sides are narrowed for so many maps: the largest power of two that `NARROWED` allows.

    >>> side_of(1), side_of(56), side_of(210)
    (2048, 256, 128)
    """
    return 1 << (isqrt(NARROWED // maps).bit_length() - 1)

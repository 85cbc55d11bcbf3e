"""A seeded random projection that costs one pass over the gradient and no matrix.

The flat gradient g (all LoRA parameters in their recorded order, P entries) is cut into chunks of `dim` entries. Every
entry gets a random sign, every chunk is rotated by a random shift, and the chunks are added up:

    sketch(g)[(j + shift_c) mod dim] += sign_i * g_i        i = c * dim + j

This is a CountSketch (Charikar, Chen, Farach-Colton, 2002; as feature hashing: Weinberger et al., ICML 2009) whose
buckets are uniform between chunks and never collide within one. With independent signs it is linear and

    E <sketch(x), sketch(y)> = <x, y>,      Var <= (|x|^2 |y|^2 + <x, y>^2) / dim,

the variance of a dense random-sign matrix, at P instead of P * dim operations. Signs and shifts are a counter-based
integer hash of (seed, entry), so CPU, CUDA and any batch size give the same projection. When P <= dim it is an
isometry: nothing is lost.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from coresift.extract.folding import fold
from coresift.seeds import derive

VERSION = 1
"""Of all numbers made here and in `projections`: rows of one version are never put beside those of another."""
_GROUP_ENTRIES = 1 << 24
"""Entries (batch x parameters) folded at once; bounds the temporary memory at 128 MiB of float32 for copy and signs."""


def _mix(counter: Tensor) -> Tensor:
    """The splitmix64 finaliser (Steele, Lea, Flood, 2014) on int64 with wrap-around; the same on every device."""
    z = counter * -7046029254386353131
    z = (z ^ ((z >> 30) & ((1 << 34) - 1))) * -4658895280553007687
    z = (z ^ ((z >> 27) & ((1 << 37) - 1))) * -7723592293110705685
    return z ^ ((z >> 31) & ((1 << 33) - 1))


class Sketch:
    """Projects per-example gradients to `dim` columns, one parameter tensor at a time.

    Args:
        sizes: Number of entries of every parameter tensor, in the recorded order.
        dim: Columns of the result, at least 1.
        seed: Names the projection.
        device: Where the gradients live.
    """

    def __init__(self, sizes: Sequence[int], *, dim: int, seed: int, device: torch.device | str = "cpu") -> None:
        self.dim, self.device = dim, torch.device(device)
        self.sizes = tuple(sizes)
        self._offsets = [sum(self.sizes[:k]) for k in range(len(self.sizes))]
        self._sign_key = derive(seed, "sketch signs")
        self._shift_key = derive(seed, "sketch shifts")
        self._signs: dict[int, Tensor] = {}

    @property
    def memory(self) -> int:
        """Bytes held between calls: one per parameter entry (the signs)."""
        return sum(self.sizes)

    def add(self, into: Tensor, parameter: int, gradient: Tensor, scale: Tensor | None = None) -> None:
        """Add the part of one parameter tensor.

        Args:
            into: [b, dim], changed in place.
            parameter: Index into `sizes`.
            gradient: [b, sizes[parameter]], flat.
            scale: [sizes[parameter]], what every entry is multiplied with before it is projected; ones by default.
        """
        if gradient.device.type != "cpu":
            self.add_eagerly(into, parameter, gradient, scale)
            return
        offset, entries = self._offsets[parameter], self.sizes[parameter]
        chunks = (offset + entries - 1) // self.dim - offset // self.dim + 1
        shifts = self._shifts(offset // self.dim, chunks)
        fold(into, gradient, self._factors(parameter, scale), offset=offset, shifts=shifts)

    def add_eagerly(self, into: Tensor, parameter: int, gradient: Tensor, scale: Tensor | None = None) -> None:
        """The same by torch's own operations, on any device."""
        factors, offset = self._factors(parameter, scale), self._offsets[parameter]
        step = max(_GROUP_ENTRIES // max(gradient.shape[0], 1), self.dim)
        for start in range(0, gradient.shape[1], step):
            stop = min(start + step, gradient.shape[1])
            self._fold(into, offset + start, gradient[:, start:stop] * factors[start:stop].to(gradient.dtype))

    def _factors(self, parameter: int, scale: Tensor | None) -> Tensor:
        signs = self._signs_of(parameter)
        return signs if scale is None else scale * signs

    def _fold(self, into: Tensor, offset: int, signed: Tensor) -> None:
        before = offset % self.dim
        chunks = -(-(before + signed.shape[1]) // self.dim)
        padded = torch.nn.functional.pad(signed, (before, chunks * self.dim - before - signed.shape[1]))
        # Gathering (not scattering) keeps the order of additions fixed, so CUDA is deterministic too.
        shifts = self._shifts(offset // self.dim, chunks)[:, None]
        columns = (torch.arange(self.dim, device=self.device) - shifts) % self.dim
        places = columns + torch.arange(chunks, device=self.device)[:, None] * self.dim
        into += padded[:, places.flatten()].view(-1, chunks, self.dim).sum(dim=1)

    def _shifts(self, first: int, count: int) -> Tensor:
        chunks = torch.arange(first, first + count, device=self.device)
        return (_mix(chunks + self._shift_key) & ((1 << 62) - 1)) % self.dim

    def _signs_of(self, parameter: int) -> Tensor:
        if parameter not in self._signs:
            start = self._offsets[parameter]
            entries = torch.arange(start, start + self.sizes[parameter], device=self.device)
            self._signs[parameter] = (1 - 2 * (_mix(entries + self._sign_key) & 1)).to(torch.int8)
        return self._signs[parameter]

"""How much each example is worth to each row, ready for greedy coverage: clipped at 0 and held in whole numbers.

A worth is a whole number of one step, a power of two chosen so that the largest takes 24 bits. So sums of worths are
exact in any order: ties are ties, lazy and eager picks are the same, and so are those of a CPU and of a GPU.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from coresift.errors import SelectionError
from coresift.lazy import torch
from coresift.submodular.distances.rows import SHOWN, check_rows, power_of_two
from coresift.submodular.threads import in_parts

if TYPE_CHECKING:
    from torch import Tensor

Loops = tuple[Callable[..., None], Callable[..., Any]]
"""What computes all gains, and what makes picks lazily and says how many gains it computed."""
BITS = 24
BLOCK = 1 << 24
"""Worths handled together."""


@dataclass(frozen=True, slots=True, eq=False)
class DenseKernel:
    """Every pair.

    Attributes:
        whole: n examples x m rows, float32 whole numbers from 0 to 2^24.
        step: What one of them is worth.
    """

    whole: Tensor
    step: float

    @property
    def n(self) -> int:
        """Number of examples to pick from."""
        return self.whole.shape[0]

    @property
    def m(self) -> int:
        """Number of rows to be helped."""
        return self.whole.shape[1]

    @property
    def device(self) -> torch.device:
        """Where the worths are."""
        return self.whole.device

    def capped(self, caps: Tensor) -> DenseKernel:
        """No row is helped by more than its cap (m, real units)."""
        return DenseKernel(torch.minimum(self.whole, whole_of(caps, self.step).float()), self.step)

    def reached(self, picks: Tensor, start: Tensor) -> Tensor:
        """The best worth to every row among `start` (m) and the picks."""
        for part in picks.split(max(1, BLOCK // self.m)):
            start = torch.maximum(start, self.whole[part].amax(dim=0))
        return start

    def owners(self, picks: Tensor, start: Tensor) -> Tensor:
        """The place in `picks` of the first best pick of every row; -1 where none is worth more than `start`."""
        found = []
        width = max(1, BLOCK // len(picks))
        for rows, below in zip(self.whole.split(width, dim=1), start.split(width), strict=True):
            worth = rows[picks]
            best = worth.argmax(dim=0)
            found.append(torch.where(worth.gather(0, best[None])[0] > below, best, -1))
        return torch.cat(found)

    def loops(self, bonus: np.ndarray) -> Loops:
        """Compiled `gains` and `lazily` with the worths filled in."""
        from coresift.submodular.compiled import coverage as compiled

        arrays = self.whole.numpy(), bonus
        return partial(compiled.gains, *arrays), partial(compiled.lazily, *arrays)


@dataclass(frozen=True, slots=True, eq=False)
class ListKernel:
    """Some pairs, by example; all others are worth 0.

    Attributes:
        starts: Where the pairs of each example begin (int64, n + 1).
        rows: Their rows (int64).
        whole: Their worths, as in `DenseKernel`.
        step: What one of them is worth.
        m: Number of rows to be helped.
    """

    starts: Tensor
    rows: Tensor
    whole: Tensor
    step: float
    m: int

    @property
    def n(self) -> int:
        """Number of examples to pick from."""
        return len(self.starts) - 1

    @property
    def device(self) -> torch.device:
        """Lists are kept, and covered, on the CPU."""
        return self.whole.device

    def capped(self, caps: Tensor) -> ListKernel:
        """No row is helped by more than its cap (m, real units)."""
        limits = whole_of(caps, self.step).float().cpu()[self.rows]
        return ListKernel(self.starts, self.rows, torch.minimum(self.whole, limits), self.step, self.m)

    def reached(self, picks: Tensor, start: Tensor) -> Tensor:
        """The best worth to every row among `start` (m) and the picks."""
        pairs, _ = self._pairs(picks)
        return start.clone().scatter_reduce_(0, self.rows[pairs], self.whole[pairs], "amax")

    def owners(self, picks: Tensor, start: Tensor) -> Tensor:
        """The place in `picks` of the first best pick of every row; -1 where none is worth more than `start`."""
        pairs, places = self._pairs(picks)
        rows, worth = self.rows[pairs], self.whole[pairs]
        best = (worth > start[rows]) & (worth == self.reached(picks, start)[rows])
        nobody = len(picks)
        first = torch.full((self.m,), nobody).scatter_reduce_(0, rows[best], places[best], "amin")
        return torch.where(first < nobody, first, -1)

    def _pairs(self, picks: Tensor) -> tuple[Tensor, Tensor]:
        """The pairs of all picks, and the place in `picks` that each belongs to."""
        lengths = self.starts.diff()[picks]
        places = torch.repeat_interleave(torch.arange(len(picks)), lengths)
        ends = lengths.cumsum(0)
        within = torch.arange(len(places)) - (ends - lengths)[places]
        return self.starts[picks][places] + within, places

    def loops(self, bonus: np.ndarray) -> Loops:
        """Compiled `gains` and `lazily` with the worths filled in."""
        from coresift.submodular.compiled import coverage as compiled

        arrays = self.starts.numpy(), self.rows.numpy(), self.whole.numpy(), bonus
        return partial(compiled.list_gains, *arrays), partial(compiled.lists_lazily, *arrays)


Kernel = DenseKernel | ListKernel


def kernel_of(worth: Tensor, *, name: str) -> Kernel:
    """A kernel from signed worths: those below 0 become 0.

    Args:
        worth: n examples x m rows, dense or CSR; pairs that a CSR tensor does not hold are worth 0.
        name: For messages.

    Raises:
        SelectionError: If a worth is not finite; the first examples are named. If there are no rows.
    """
    check_worth(worth, name=name)
    if worth.layout == torch.sparse_csr:
        starts, values = worth.crow_indices().cpu().long(), worth.values().cpu()
        step = _step(values)
        whole = whole_of(values, step).float()
        return ListKernel(starts, worth.col_indices().cpu().long(), whole, step, worth.shape[1])
    step = _step(worth)
    whole = torch.empty(worth.shape, dtype=torch.float32, device=worth.device)
    height = max(1, BLOCK // worth.shape[1])
    for part, rows in zip(whole.split(height), worth.split(height), strict=True):
        part.copy_(whole_of(rows, step))
    return DenseKernel(whole, step)


def check_worth(worth: Tensor, *, name: str) -> None:
    """Raises SelectionError like `kernel_of`."""
    if worth.ndim == 2 and worth.shape[1] == 0:
        raise SelectionError(f"{name}: {len(worth)} x 0. There is nobody to help: give at least one example.")
    if worth.layout != torch.sparse_csr:
        check_rows(worth, name=name)
        return
    bad = (~torch.isfinite(worth.values())).nonzero().flatten()
    if len(bad) > 0:
        examples = torch.searchsorted(worth.crow_indices(), bad, right=True).sub(1).unique()
        named = ", ".join(map(str, examples[:SHOWN].tolist())) + (", ..." if len(examples) > SHOWN else "")
        raise SelectionError(
            f"{name}: {len(examples)} of {len(worth)} rows hold NaN or infinity (rows {named}, counted from 0). "
            "Every row must be finite: extract those examples again or leave them out of the pool."
        )


def _step(worth: Tensor) -> float:
    return power_of_two(max(0.0, float(worth.amax())) if worth.numel() else 0.0) / (1 << BITS)


def whole_of(worth: Tensor, step: float) -> Tensor:
    """Worths in steps, those below 0 as 0 and those above 2^24 as they are (float64)."""
    return worth.double().clamp(min=0.0).div_(step).round_()


def first_gains(gains: Callable[..., None], reach: np.ndarray, n: int) -> np.ndarray:
    """What every example would gain (int64), with all threads."""
    out = np.empty(n, dtype=np.int64)
    in_parts(lambda begin, end: gains(reach, out, begin, end), n)
    return out

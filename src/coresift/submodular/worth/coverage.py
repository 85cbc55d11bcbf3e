"""Covering rows by worth: every row is worth what its best pick is worth to it.

f(A) = sum_i max(0, max_{j in A} s_ji - start_i) + sum_{j in A} bonus_j

This is facility location (start 0, bonus 0), and with other starts, bonuses and caps on s its mutual-information forms
and its conditional gain (`information`). All are monotone and submodular, so greedy picks reach at least 1 - 1/e of the
best possible value (Nemhauser et al., 1978).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from coresift.lazy import torch
from coresift.progress import Progress
from coresift.submodular.worth.kernels import BITS, BLOCK, DenseKernel, Kernel, first_gains, whole_of

if TYPE_CHECKING:
    from torch import Tensor

Way = Literal["lazy", "columns"]
STRETCH = 256
"""Picks made by one compiled call: between two of them progress is shown and an interrupt is heard."""


@dataclass(frozen=True, slots=True, eq=False)
class Picks:
    """Picks in greedy order.

    Attributes:
        order: Positions (int64, on the CPU).
        gains: What each added to f (float64, on the CPU); their sum is f.
        looked: Gains computed in all.
    """

    order: Tensor
    gains: Tensor
    looked: int


@dataclass(frozen=True, slots=True, eq=False)
class Coverage:
    """The objective above, in whole numbers of the kernel's step.

    Attributes:
        kernel: s, n examples x m rows.
        start: What every row has already (float32 whole numbers, m).
        bonus: What a pick adds by itself (int64, n).
    """

    kernel: Kernel
    start: Tensor
    bonus: Tensor

    @classmethod
    def of(cls, kernel: Kernel, *, start: Tensor | None = None, bonus: Tensor | None = None) -> Coverage:
        """From a start (m) and a bonus (n) in real units; values below 0 count as 0."""
        zero = torch.zeros((), device=kernel.device)
        begin = zero.expand(kernel.m) if start is None else start.to(kernel.device)
        extra = zero.expand(kernel.n) if bonus is None else bonus.to(kernel.device)
        # Above 2^24 there is nothing left to gain, and float32 would no longer hold whole numbers exactly.
        whole = whole_of(begin, kernel.step).clamp_(max=1 << BITS).float()
        return cls(kernel, whole, whole_of(extra, kernel.step).long())

    def value(self, picks: Tensor) -> float:
        """f of any set of picks."""
        places = picks.to(self.kernel.device)
        covered = (self.kernel.reached(places, self.start) - self.start).sum(dtype=torch.float64)
        return (float(covered) + float(self.bonus[places].sum())) * self.kernel.step

    def owners(self, picks: Tensor) -> Tensor:
        """The place in `picks` of the first best pick of every row (m, on the CPU); -1 where none helps."""
        return self.kernel.owners(picks.to(self.kernel.device), self.start).cpu()

    def greedy(self, size: int, *, way: Way | None = None, label: str = "picks") -> Picks:
        """Pick `size` examples, each time the one with the largest gain, of equal ones the first.

        Args:
            size: From 1 to n.
            way: `lazy` computes few gains, on a CPU; `columns` computes all of them for every pick, which suits a GPU.
                None takes what suits the kernel. Both give the same picks.
            label: Shown with the progress.
        """
        columns = way == "columns" if way else self.kernel.device.type != "cpu"
        if columns and isinstance(self.kernel, DenseKernel):
            return self._by_columns(self.kernel.whole, size, label)
        return self._lazily(size, label)

    def _lazily(self, size: int, label: str) -> Picks:
        from coresift.submodular.compiled.heap import heaped

        gains, lazily = self.kernel.loops(self.bonus.numpy())
        reach = self.start.numpy().copy()
        bounds = first_gains(gains, reach, self.kernel.n)
        order, found = np.zeros(size, dtype=np.int64), np.zeros(size, dtype=np.int64)
        seen, heap = np.zeros(len(bounds), dtype=np.int32), heaped(bounds)
        looked = len(bounds)
        with Progress(label, size, unit="picks") as progress:
            for begin in range(0, size, STRETCH):
                end = min(size, begin + STRETCH)
                looked += lazily(reach, bounds, seen, heap, order, found, begin, end)
                progress.advance(end - begin)
        return Picks(torch.from_numpy(order), torch.from_numpy(found).double() * self.kernel.step, looked)

    def _by_columns(self, whole: Tensor, size: int, label: str) -> Picks:
        """Nothing is read back before the end, so a GPU never waits."""
        order = torch.empty(size, dtype=torch.int64, device=whole.device)
        found = torch.empty(size, dtype=torch.float64, device=whole.device)
        reach, taken = self.start, torch.zeros(len(whole), dtype=torch.bool, device=whole.device)
        height = max(1, BLOCK // whole.shape[1])
        with Progress(label, size, unit="picks") as progress:
            for number in range(size):
                parts = [(rows - reach).clamp_(min=0.0).sum(dim=1, dtype=torch.float64) for rows in whole.split(height)]
                gains = (torch.cat(parts) + self.bonus).masked_fill_(taken, -1.0)
                best = gains.argmax().view(1)  # as an array: a lone number would be read back
                order[number : number + 1], found[number : number + 1] = best, gains[best]
                taken.index_fill_(0, best, True)
                reach = torch.maximum(reach, whole[best][0])
                progress.advance()
        return Picks(order.cpu(), found.cpu() * self.kernel.step, size * len(whole))

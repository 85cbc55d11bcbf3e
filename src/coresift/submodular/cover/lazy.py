"""A greedy cover under way, on any metric: lazily, one pick after the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from coresift.lazy import torch
from coresift.submodular.cover.near_pairs import Balls, pairs_within
from coresift.submodular.cover.on_matrices import Matrices
from coresift.submodular.cover.queue import Queue
from coresift.submodular.distances.stored import Metric, Which

if TYPE_CHECKING:
    from torch import Tensor

LISTS = 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096
"""Numbers of picks after which a cover may go over to lists."""


@dataclass(frozen=True, slots=True, eq=False)
class Cover:
    """Picks in greedy order with the gain of each, in real units.

    Attributes:
        order: The picks.
        gains: What each gained (float64).
        lists: The pairs that mattered after the first `head` picks, where lists were made and are still held.
        head: Number of picks after which lists were made; 0 where none were.
    """

    order: Tensor
    gains: Tensor
    lists: Balls | None = None
    head: int = 0

    def slim(self) -> Cover:
        """Without the lists, which are large."""
        return replace(self, lists=None)


class UnderWay:
    """A cover under way."""

    def __init__(self, metric: Metric, order: list[int], found: list[float], reach: Tensor) -> None:
        self.metric, self.order, self.found, self.reach = metric, order, found, reach
        self._matrices = Matrices.of(metric)

    @classmethod
    def begin(cls, metric: Metric, pick: int, gain: float, largest: Tensor) -> UnderWay:
        """With its first pick."""
        return cls(metric, [pick], [gain], torch.minimum(largest, row_of(metric, pick)))

    def wait(self, bounds: Tensor, exact: bool) -> None:
        """Queue the candidates by these bounds on their gains (float64, n)."""
        self.queue = Queue(bounds, exact=exact)
        self.queue.remove(self.picks)

    @property
    def picks(self) -> Tensor:
        """The picks so far."""
        return torch.tensor(self.order, device=self.metric.device)

    def next(self) -> None:
        """Make one pick."""
        pick, gain = self.queue.pop(self._gains)
        self.order.append(pick)
        self.found.append(gain)
        self.reach = torch.minimum(self.reach, row_of(self.metric, pick))
        self.queue.age()

    def _gains(self, which: Tensor) -> Tensor:
        if self._matrices is not None:
            return self._matrices.gains_of(which, self.reach).double()
        height = self.metric.height
        return torch.cat([gains_of(self.metric, self.reach, part) for part in which.split(height)])

    def on_lists(self, lists: Balls, size: int) -> Cover:
        """Make the rest of the picks on lists."""
        return self.ended(*lists.cover(self.order, self.reach, size), lists=lists)

    def ended(self, order: Tensor | None = None, found: Tensor | None = None, *, lists: Balls | None = None) -> Cover:
        """The cover, with what was picked elsewhere at the end."""
        picks, gained = torch.tensor(self.order), torch.tensor(self.found, dtype=torch.float64)
        if order is not None and found is not None:
            picks, gained = torch.cat([picks, order]), torch.cat([gained, found.double()])
        head = len(self.order) if lists is not None else 0
        return Cover(picks.to(self.metric.device), gained * self.metric.step, lists, head)


def few_pairs(covers: Sequence[UnderWay], most: float) -> bool:
    """Whether lists of the pairs that still matter to any cover would be short enough, by a sample."""
    return pairs_within([each.metric for each in covers], [each.reach for each in covers]) <= most


def row_of(metric: Metric, point: int) -> Tensor:
    """Distances from one point to all (n)."""
    return metric.rows(torch.tensor([point], device=metric.device))[0]


def gains_of(metric: Metric, reach: Tensor, which: Which) -> Tensor:
    """What the candidates `which` would gain, in whole numbers of the step (float64)."""
    return (reach - metric.rows(which)).clamp_(min=0.0).sum(dim=1, dtype=torch.float64)

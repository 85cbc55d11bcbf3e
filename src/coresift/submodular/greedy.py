"""Greedy facility location, exact and lazy: cover a pool with k of its points at the least sum of distances.

Start with every point at the largest distance c; add the point j with the largest gain sum_i max(0, reach_i - d_ij);
lower the reach; repeat. F(S) = sum_i (c - min_{j in S} d_ij) is monotone submodular, so the greedy value is at least
(1 - (1 - 1/k)^k) of the best (Nemhauser, Wolsey and Fisher, 1978), and a gain seen earlier bounds every later one
(Minoux, 1978): only candidates whose old gain could still win are looked at again.

Ties go to the lowest index. A point belongs to the nearest pick, the earliest of equals, except that a pick belongs to
itself: so every weight is at least 1 even where rows are duplicated.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from coresift.errors import SelectionError
from coresift.submodular.balls import Balls, pairs_within, passes
from coresift.submodular.distances import SLACK, Metric, Which, rough
from coresift.submodular.first import first_pick
from coresift.submodular.queue import Queue
from coresift.submodular.threads import one_thread

BLOCK = {"cpu": 1 << 16, "cuda": 1 << 26}
"""Distances looked at together: on a CPU, about what its cache holds."""
LISTS = 8, 16, 32, 64, 128, 256, 512
"""Numbers of picks after which a cover may go over to lists."""
ROUGH = 2048
"""Pools up to this size are looked at exactly and in whole rows throughout: nothing else would be faster."""
FEW = 32
"""With fewer picks left, making lists does not pay."""
SPARSE = 0.03
"""Share of all pairs that lists may hold."""
PAIRS = 1.5e8
"""Number of pairs that lists may hold: 8 bytes each."""
SUMMED = 2.0**-14
"""More than the relative error of a float32 sum of terms that are not negative, as torch takes it."""


@dataclass(frozen=True, slots=True, eq=False)
class Assignment:
    """Who stands for whom.

    Attributes:
        owner: For each of n points the number (0 to k - 1, in order of picks) of the pick it belongs to.
        reach: For each point the distance to that pick, in whole numbers of the metric's step.
        counts: For each pick the number of its points; at least 1, sums to n.
    """

    owner: Tensor
    reach: Tensor
    counts: Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Cover:
    """Picks in greedy order with the gain of each, in real units."""

    order: Tensor
    gains: Tensor


@one_thread()
def cover(metric: Metric, size: int) -> Cover:
    """Pick `size` points greedily.

    Raises:
        SelectionError: If `size` is not between 1 and n.
    """
    if not 1 <= size <= metric.n:
        raise SelectionError(f"size {size}: a subset of {metric.n} points has between 1 and {metric.n} of them.")
    pick, gain, largest = first_pick(metric)
    order, gained = [pick], [gain * metric.step]
    reach = torch.minimum(largest, _row(metric, pick))
    if size > 1:
        state = _State(metric, reach, pick)
        for number in range(1, size):
            pick, gain = state.next(number, size)
            order.append(pick)
            gained.append(gain * metric.step)
    return Cover(torch.tensor(order, device=metric.device), torch.tensor(gained, dtype=torch.float64))


class _State:
    """A cover under way: first on whole rows of distances, later on the lists of the pairs that still matter."""

    def __init__(self, metric: Metric, reach: Tensor, first: int) -> None:
        self.metric, self.reach = metric, reach
        self.balls: Balls | None = None
        self.queue = Queue(_bounds(metric, reach), exact=metric.n <= ROUGH)
        self.picked = [first]
        self.queue.remove(torch.tensor(self.picked, device=reach.device))

    def next(self, number: int, size: int) -> tuple[int, float]:
        """Pick number `number` and its gain."""
        if self.balls is None and number in LISTS and _worth(self.metric, self.reach, size - number):
            self.balls = Balls.of(self.metric, self.reach)
            self.queue = Queue(self.balls.gains(self.reach), exact=True)
            self.queue.remove(torch.tensor(self.picked, device=self.reach.device))
        pick, gain = self.queue.pop(self._gains)
        self.picked.append(pick)
        if self.balls is None:
            self.reach = torch.minimum(self.reach, _row(self.metric, pick))
        else:
            self.reach = self.balls.lower(self.reach, pick)
        self.queue.age()
        return pick, gain

    def _gains(self, which: Tensor) -> Tensor:
        if self.balls is not None:
            return self.balls.gains_of(self.reach, which)
        return torch.cat([_gains(self.metric, self.reach, part) for part in which.split(height(self.metric))])


@one_thread()
def assign(metric: Metric, picks: Tensor) -> Assignment:
    """Give every point to the nearest pick under `metric`; `picks` are in greedy order, all different."""
    reach = torch.full((metric.n,), torch.inf, dtype=metric.dtype, device=metric.device)
    owner = torch.zeros(metric.n, dtype=torch.int64, device=metric.device)
    step = height(metric)
    for start in range(0, len(picks), step):
        for number, row in enumerate(metric.rows(picks[start : start + step]), start):
            owner.masked_fill_(row < reach, number)
            reach = torch.minimum(reach, row)
    owner[picks] = torch.arange(len(picks), device=metric.device)
    return Assignment(owner, reach, torch.bincount(owner, minlength=len(picks)))


@one_thread()
def nearest(metric: Metric, picks: Tensor) -> Tensor:
    """For each point the distance to its nearest pick, in whole numbers of the step."""
    reach = torch.full((metric.n,), torch.inf, dtype=metric.dtype, device=metric.device)
    for part in picks.split(height(metric)):
        reach = torch.minimum(reach, metric.rows(part).amin(dim=0))
    return reach


def gains(metric: Metric, reach: Tensor) -> Tensor:
    """What each of the n points would gain now, in whole numbers of the step (float64)."""
    return torch.cat([_gains(metric, reach, part) for part in runs(metric)])


def runs(metric: Metric) -> list[slice]:
    """Consecutive points whose distances to all are looked at together."""
    step = height(metric)
    return [slice(start, min(start + step, metric.n)) for start in range(0, metric.n, step)]


def height(metric: Metric) -> int:
    """How many rows of distances are looked at together."""
    return max(1, BLOCK.get(metric.device.type, BLOCK["cuda"]) // metric.n)


def _row(metric: Metric, point: int) -> Tensor:
    return metric.rows(torch.tensor([point], device=metric.device))[0]


def _gains(metric: Metric, reach: Tensor, which: Which) -> Tensor:
    return (reach - metric.rows(which)).clamp_(min=0.0).sum(dim=1, dtype=torch.float64)


def _bounds(metric: Metric, reach: Tensor) -> Tensor:
    """Upper bounds on all gains: the gains themselves in small pools, else from rough distances and float32 sums."""
    if metric.n <= ROUGH:
        return gains(metric, reach)
    room = reach + SLACK
    sums = [(room - rough(metric, part)).clamp_(min=0.0).sum(dim=1) for part in passes(metric)]
    return torch.cat(sums).double() * (1.0 + SUMMED)


def _worth(metric: Metric, reach: Tensor, left: int) -> bool:
    """Whether the rest of the picks is better made on lists of the pairs that still matter."""
    if metric.n <= ROUGH or left < FEW:
        return False
    return pairs_within(metric, reach) <= min(SPARSE * metric.n**2, PAIRS)

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
from coresift.submodular.distances import Metric, Which

BLOCK = {"cpu": 1 << 18, "cuda": 1 << 26}
"""Distances looked at together: on a CPU, about what its cache holds."""
WIDTH = 16, 256
"""Candidates looked at again together: at first, and at most."""


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


def cover(metric: Metric, size: int) -> Cover:
    """Pick `size` points greedily.

    Raises:
        SelectionError: If `size` is not between 1 and n.
    """
    if not 1 <= size <= metric.n:
        raise SelectionError(f"size {size}: a subset of {metric.n} points has between 1 and {metric.n} of them.")
    bound, reach = _first_gains(metric)
    seen = torch.zeros(metric.n, dtype=torch.int64, device=metric.device)
    order: list[int] = []
    gained: list[float] = []
    for number in range(size):
        if number == 1:  # gains before the first pick say little about those after it, so all are taken again
            bound = gains(metric, reach)
            bound[order[0]] = -1.0
            seen.fill_(1)
        pick = int(bound.argmax()) if number < 2 else _lazily(metric, reach, bound, seen, number)
        order.append(pick)
        gained.append(float(bound[pick]) * metric.step)
        bound[pick] = -1.0
        reach = torch.minimum(reach, metric.rows(torch.tensor([pick], device=metric.device))[0])
    return Cover(torch.tensor(order, device=metric.device), torch.tensor(gained, dtype=torch.float64))


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


def _first_gains(metric: Metric) -> tuple[Tensor, Tensor]:
    """Gains over the empty set, where every point is at the largest distance, and that reach."""
    sums, largest = [], []
    for part in runs(metric):
        distances = metric.rows(part)
        sums.append(distances.sum(dim=1, dtype=torch.float64))
        largest.append(distances.amax())
    top = torch.stack(largest).amax()
    return top.double() * metric.n - torch.cat(sums), top.expand(metric.n)


def _gains(metric: Metric, reach: Tensor, which: Which) -> Tensor:
    return (reach - metric.rows(which)).clamp_(min=0.0).sum(dim=1, dtype=torch.float64)


def _lazily(metric: Metric, reach: Tensor, bound: Tensor, seen: Tensor, number: int) -> int:
    """The lowest index of the largest gain; `bound` and `seen` (when each bound was exact) are brought up to date."""
    width = WIDTH[0]
    while True:
        first = int(bound.argmax())
        if seen[first] == number or bound[first] == 0.0:  # a bound of 0 is exact: gains are never negative
            return first
        top = torch.cat([bound.topk(min(width, len(bound))).indices, torch.tensor([first], device=bound.device)])
        stale = top[(seen[top] < number) & (bound[top] > 0.0)].unique()
        bound[stale] = _gains(metric, reach, stale)
        seen[stale] = number
        width = min(2 * width, WIDTH[1])

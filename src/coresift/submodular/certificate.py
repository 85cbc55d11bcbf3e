"""How good a subset provably is: a lower bound on the error of every subset of the same size.

The error of a subset S is sum_i min_{j in S} d_ij (k-median on the pool's own points). For any numbers u_i,

    LB(u) = sum_i u_i - (sum of the k largest over j of sum_i max(0, u_i - d_ij))

is a lower bound: it is the Lagrangian dual of the k-median problem when "every point is served" is relaxed
(Cornuejols, Fisher and Nemhauser, 1977). With u = the reach after t greedy picks it says: the error now, less the k
largest gains left. The best prefix t is the start of a subgradient ascent that tightens the bound. All u are rounded to
whole numbers, so every bound is exact for the distances as held.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from coresift.submodular.distances import Distances, Metric
from coresift.submodular.greedy import gains, height, nearest

WORK = 4e10
"""Distances that the ascent may look at."""
ITERATIONS = 30, 200
"""Fewest and most steps of the ascent."""
KEPT = 1 << 26
"""Largest number of distances that is put together for the ascent."""
PATIENCE = 5
"""Steps without a better bound before the ascent goes back to the best place with half the step length."""
MEMORY = 0.7
"""Share of the last direction in the next one: plain subgradients zigzag."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """In real units of the metric.

    Attributes:
        error: Sum of the distances to the nearest pick.
        lower_bound: No subset of the same size has a smaller error.
    """

    error: float
    lower_bound: float

    @property
    def gap(self) -> float:
        """No subset of the same size has an error smaller by more than this part of `error`."""
        return 0.0 if self.error == 0.0 else 1.0 - self.lower_bound / self.error


def certify(metric: Metric, order: Tensor, *, iterations: int | None = None) -> Certificate:
    """Bound how much better than `order` (picks in greedy order) any subset of that size can be.

    Args:
        metric: Distances.
        order: The picks.
        iterations: Steps of the ascent; by default as many as the size of the pool allows, 30 to 200.
    """
    size = len(order)
    if metric.n**2 <= KEPT:  # read some hundred times: small enough to be put together once
        metric = Distances(metric.rows(slice(0, metric.n)), metric.step)
    if iterations is None:
        iterations = int(min(max(WORK / metric.n**2, ITERATIONS[0]), ITERATIONS[1]))
    error = float(nearest(metric, order).sum(dtype=torch.float64))
    if error == 0.0:
        return Certificate(0.0, 0.0)
    start, reach = best_prefix(metric, order)
    bound = max(0.0, start, _ascend(metric, reach, size, error, iterations))
    return Certificate(error * metric.step, min(bound, error) * metric.step)


def best_prefix(metric: Metric, order: Tensor) -> tuple[float, Tensor]:
    """The best bound LB(reach) over all prefixes of the picks, in whole numbers, and the reach it was seen at.

    Gains of all points are carried from pick to pick: only the points that came closer change them, so all prefixes
    together cost about as much as a few passes over the distances.
    """
    size = len(order)
    reach = nearest(metric, order[:1])
    left = gains(metric, reach)
    best, place = _bound(reach, left, size), reach
    for pick in order[1:]:
        row = metric.rows(pick[None])[0]
        closer = (row < reach).nonzero().flatten()
        now = torch.minimum(reach, row)
        for part in closer.split(height(metric)):
            distances = metric.rows(part)
            lost = (reach[part, None] - distances).clamp_(min=0.0) - (now[part, None] - distances).clamp_(min=0.0)
            left -= lost.sum(dim=0, dtype=torch.float64)
        reach = now
        value = _bound(reach, left, size)
        if value > best:
            best, place = value, reach
    return best, place


def _bound(u: Tensor, left: Tensor, size: int) -> float:
    return float(u.sum(dtype=torch.float64) - left.topk(size).values.sum())


def _ascend(metric: Metric, u: Tensor, size: int, error: float, iterations: int) -> float:
    """Deflected subgradient ascent with Polyak steps towards `error`; returns the best bound seen."""
    cap = min(2.0 / torch.finfo(metric.dtype).eps, 2.0**53 / metric.n)  # beyond it whole numbers would be rounded
    best, place, length, waited = -math.inf, u, 1.0, 0
    direction: Tensor | None = None
    for _ in range(iterations):
        left = gains(metric, u)
        leaders = left.topk(size).indices
        value = float(u.sum(dtype=torch.float64) - left[leaders].sum())
        waited = 0 if value > best else waited + 1
        if value > best:
            best, place = value, u
        if waited == PATIENCE:
            u, length, waited, direction = place, length / 2.0, 0, None
            continue
        slope = 1.0 - _served(metric, u, leaders)
        direction = slope if direction is None else MEMORY * direction + (1.0 - MEMORY) * slope
        steepness = float(direction.square().sum())
        if steepness == 0.0 or best >= error:
            break  # every point is served once: a subset reaches the bound
        stride = length * (error - value) / steepness
        u = (u + stride * direction).round_().clamp_(0.0, cap).to(metric.dtype)
    return best


def _served(metric: Metric, u: Tensor, picks: Tensor) -> Tensor:
    """How many of the picks each point would count as closer than its u."""
    times = torch.zeros(metric.n, dtype=torch.float64, device=metric.device)
    for part in picks.split(height(metric)):
        times += (metric.rows(part) < u).sum(dim=0)
    return times

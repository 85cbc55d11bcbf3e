"""How good a subset provably is: a lower bound on the error of every subset of the same size.

The error of a subset S is sum_i min_{j in S} d_ij (k-median on the pool's own points). For any numbers u_i,

    LB(u) = sum_i u_i - (sum of the k largest over j of sum_i max(0, u_i - d_ij))

is a lower bound: it is the Lagrangian dual of the k-median problem when "every point is served" is relaxed
(Cornuejols, Fisher and Nemhauser, 1977). With u = the reach after t greedy picks it says: the error now, less the k
largest gains left. The best prefix t is the start of a subgradient ascent that tightens the bound. All u are rounded to
whole numbers, so every bound is exact for the distances as held. The ascent keeps u within the reach after the first
few picks, so it only ever looks at the pairs that are closer than that: one list of them is made, once.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from coresift.lazy import torch
from coresift.progress import track
from coresift.submodular.cover.greedy import nearest
from coresift.submodular.cover.near_pairs import Balls, pairs_within, radius_of
from coresift.submodular.distances.stored import Metric
from coresift.submodular.threads import one_thread

if TYPE_CHECKING:
    from torch import Tensor

ITERATIONS = 400
"""Steps of the ascent; on synthetic pools the bound has come to rest after 200 to 400."""
PAIRS = 1.5e7
"""Number of pairs that every step may look at."""
LADDER = 40
"""About how many prefixes are tried as the start, beyond the first LADDER."""
PATIENCE = 10
"""Steps without a better bound before the ascent goes back to the best place with half the step length."""
MEMORY = 0.8
"""Share of the last direction in the next one: plain subgradients zigzag."""
AIM = 0.3
"""The bound that a step aims for: this part of the way from the best bound to the error."""
SHORTEST = 1e-4
"""Step length at which the ascent has come to rest."""


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


def certify(
    metric: Metric,
    order: Tensor,
    *,
    iterations: int = ITERATIONS,
    pairs: float = PAIRS,
    lists: Balls | None = None,
    reach: Tensor | None = None,
) -> Certificate:
    """Bound how much better than `order` (picks in greedy order) any subset of that size can be.

    Args:
        metric: Distances.
        order: The picks.
        iterations: Most steps of the ascent.
        pairs: Number of pairs that every step may look at.
        lists: The pairs closer than the reach after the first few picks, if they are at hand already.
        reach: The distance of every point to its nearest pick, if at hand, in whole numbers.
    """
    with one_thread():
        error = float((nearest(metric, order) if reach is None else reach).sum(dtype=torch.float64))
        if error == 0.0:
            return Certificate(0.0, 0.0)
        balls = Balls.of(metric, _radius(metric, order, pairs)) if lists is None else lists
    order = order.to(balls.radius.device)
    balls = _shortened(balls, order, pairs)
    radius = balls.radius
    start, reach = _best_prefix(balls, radius, order)
    bound = max(0.0, start, _ascend(balls, radius, reach, len(order), error, iterations))
    return Certificate(error * metric.step, min(bound, error) * metric.step)


def best_prefix(metric: Metric, order: Tensor) -> tuple[float, Tensor]:
    """The best bound LB(reach) over the prefixes of the picks, in whole numbers, and the reach it was seen at.

    All prefixes up to LADDER picks are tried, and about LADDER more in equal ratios.
    """
    radius = _radius(metric, order, PAIRS)
    return _best_prefix(Balls.of(metric, radius), radius, order)


def _radius(metric: Metric, order: Tensor, pairs: float) -> Tensor:
    """The reach after as few picks as leave no more pairs than every step may look at; these picks get the mean."""
    first = 1
    while True:
        radius = nearest(metric, order[:first])
        if 2 * first > len(order) or pairs_within([metric], [radius]) <= pairs:
            return radius_of(radius, order[:first])
        first *= 2


def _shortened(balls: Balls, order: Tensor, pairs: float) -> Balls:
    """The pairs closer than the reach after so many picks that no more are left than every step may look at."""
    reach, picked = balls.radius, 0
    while len(balls.whole) > pairs and 2 * picked < len(order):
        for pick in order[picked : 2 * picked + 1].tolist():
            reach = balls.lower(reach, pick)
        picked = 2 * picked + 1
        balls = balls.within(radius_of(reach, order[:picked]))
        reach = torch.minimum(reach, balls.radius)
    return balls


def _best_prefix(balls: Balls, radius: Tensor, order: Tensor) -> tuple[float, Tensor]:
    size = len(order)
    ratio = (size / min(LADDER, size)) ** (1.0 / LADDER)
    steps = {round(min(LADDER, size) * ratio**step) for step in range(LADDER + 1)}
    tried = {*range(1, min(LADDER, size) + 1), *steps}
    best, place, reach = -math.inf, radius, radius
    picks = track(order.tolist(), "certificate: where to begin", total=size, unit="picks")
    for count, pick in enumerate(picks, start=1):
        reach = balls.lower(reach, pick)
        if count in tried:
            value = _bound(reach, balls.gains(reach), size)[0]
            if value > best:
                best, place = value, reach
    return best, place


def _bound(u: Tensor, left: Tensor, size: int) -> tuple[float, Tensor]:
    """LB(u) and the candidates with the largest gains."""
    top = left.topk(size)
    return float(u.sum(dtype=torch.float64) - top.values.sum()), top.indices


def _ascend(balls: Balls, radius: Tensor, u: Tensor, size: int, error: float, iterations: int) -> float:
    """Deflected subgradient ascent with Polyak steps; returns the best bound seen."""
    best, place, length, waited = -math.inf, u, 1.0, 0
    direction: Tensor | None = None
    for _ in track(range(iterations), "certificate: ascent", total=iterations, unit="steps at most"):
        value, leaders = _bound(u, balls.gains(u), size)
        waited = 0 if value > best else waited + 1
        if value > best:
            best, place = value, u
        if waited == PATIENCE:
            u, length, waited, direction = place, length / 2.0, 0, None
            continue
        slope = 1.0 - balls.served(u, leaders)
        direction = slope if direction is None else MEMORY * direction + (1.0 - MEMORY) * slope
        steepness = float(direction.square().sum())
        if steepness == 0.0 or best >= error or length < SHORTEST:
            break  # no slope: every point is served once, a subset reaches the bound
        stride = length * (best + AIM * (error - best) - value) / steepness
        u = torch.minimum((u + stride * direction).round_().clamp_(min=0.0).to(radius.dtype), radius)
    return best

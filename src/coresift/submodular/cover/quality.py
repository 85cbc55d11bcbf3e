"""What a weighted subset keeps of the gradients of the whole pool (BRIEF paper, Theorems 5.3 and 5.6).

For picks C, each point i owned by pick j(i), and weights w_j = number of points owned by j:

    B = sum_i min_{c in C} d(i, c)      each space with its own nearest picks; what the search over alpha minimises
    A = sum_i d(i, j(i))                the owners of the composite distance; A >= B
    e = sum_i g_i - sum_j w_j g_j       the error in the sum of gradients; ||e|| <= A, but not ||e|| <= B
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from coresift.lazy import torch
from coresift.seeds import generator
from coresift.submodular.cover.greedy import Assignment, nearest
from coresift.submodular.distances.rows import blocks
from coresift.submodular.distances.stored import Metric

if TYPE_CHECKING:
    from torch import Tensor

    from coresift.submodular.cover.certificate import Certificate

DRAWS = 3
"""Random subsets that the picks are set beside."""


def nearest_sum(space: Metric, picks: Tensor) -> float:
    """B: the sum over all points of the distance to the nearest pick in this space, in real units."""
    return float(nearest(space, picks).sum(dtype=torch.float64)) * space.step


def proved(proof: Certificate, metric: Metric, picks: Tensor) -> dict[str, float]:
    """A certificate with what gives it a scale: the mean sum that random subsets of the size leave.

    Args:
        proof: Of the picks.
        metric: It was made in.
        picks: [k].

    Returns:
        `error`, `lower_bound`, `gap`, `random` (mean over `DRAWS` draws, the same on every machine).
    """
    drawn = [generator(0, "value of random subsets", draw).permutation(metric.n)[: len(picks)] for draw in range(DRAWS)]
    sums = [nearest_sum(metric, torch.from_numpy(each).to(picks.device)) for each in drawn]
    return {
        "error": proof.error,
        "lower_bound": proof.lower_bound,
        "gap": proof.gap,
        "random": sum(sums) / len(sums),
    }


def assigned_sum(space: Metric, picks: Tensor, assignment: Assignment) -> float:
    """A: the sum over all points of the distance in this space to the pick they belong to, in real units."""
    points = torch.arange(space.n, device=space.device)
    return float(space.at(points, picks[assignment.owner]).sum(dtype=torch.float64)) * space.step


def gradient_error(rows: Tensor, picks: Tensor, weights: Tensor) -> Tensor:
    """e: the sum of all rows (n x d) minus the weighted sum of the picks' rows, in float64 (d)."""
    total = torch.zeros(rows.shape[1], dtype=torch.float64, device=rows.device)
    for _, block in blocks(rows):
        total += block.double().sum(dim=0)
    return total - weights.to(rows.device, torch.float64) @ rows[picks.to(rows.device)].double()

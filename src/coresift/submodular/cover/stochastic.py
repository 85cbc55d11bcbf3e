"""Stochastic greedy: each pick is the best of a random sample (Mirzasoleiman et al., AAAI 2015, arXiv 1409.7938).

With samples of (n / k) ln(1 / epsilon) candidates, rounded up, a subset of k has, in expectation, at least
1 - 1/e - epsilon of the best value of F(S) = sum_i (c - min_{j in S} d_ij). The picks do not depend on c, so this holds
for every c from the largest distance up, where it says the most. In all n ln(1 / epsilon) gains are looked at, whatever
k is.

Exact greedy is usually as quick and better: this is for pools whose lists of near pairs do not fit.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from coresift.errors import SelectionError
from coresift.lazy import torch
from coresift.progress import Progress
from coresift.seeds import generator
from coresift.submodular.cover.lazy import Cover, gains_of, row_of
from coresift.submodular.cover.on_matrices import Matrices
from coresift.submodular.distances.stored import Metric

if TYPE_CHECKING:
    from torch import Tensor


def cover_stochastic(metric: Metric, size: int, *, epsilon: float = 0.05, seed: int = 0) -> Cover:
    """Pick `size` points, each the best of a fresh sample of the points not picked; ties go to the lowest index.

    Args:
        metric: Distances.
        size: Number of picks.
        epsilon: What the guarantee may lose, in (0, 1).
        seed: Root of the samples.

    Raises:
        SelectionError: If `size` is not between 1 and n, or epsilon not between 0 and 1.
    """
    if not 1 <= size <= metric.n:
        raise SelectionError(f"size {size}: a subset of {metric.n} points has between 1 and {metric.n} of them.")
    if not 0.0 < epsilon < 1.0:
        raise SelectionError(f"epsilon is {epsilon}: what stochastic greedy may lose lies between 0 and 1.")
    draw, left = generator(seed, "stochastic greedy"), torch.arange(metric.n).numpy()
    matrices = Matrices.of(metric)
    sample = sample_size(metric.n, size, epsilon)
    # Twice the largest distance of any point bounds all distances (triangle inequality): F is counted from there.
    reach = (2.0 * row_of(metric, 0).amax()).expand(metric.n).clone()
    order, found = [], []
    with Progress("picks", size, unit="picks") as progress:
        for _ in range(size):
            places = draw.choice(len(left), min(sample, len(left)), replace=False)
            places.sort()
            asked = torch.from_numpy(left[places]).to(metric.device)
            gains = matrices.gains_of(asked, reach) if matrices is not None else _gains(metric, reach, asked)
            best = int(gains.argmax())
            pick = int(asked[best])
            order.append(pick)
            found.append(float(gains[best]))
            reach = torch.minimum(reach, row_of(metric, pick))
            left[places[best] : -1] = left[places[best] + 1 :]
            left = left[:-1]
            progress.advance()
    return Cover(torch.tensor(order, device=metric.device), torch.tensor(found, dtype=torch.float64) * metric.step)


def sample_size(n: int, size: int, epsilon: float) -> int:
    """Candidates looked at for one pick: rounded up, as fewer would not keep the guarantee."""
    return min(n, math.ceil(n / size * math.log(1.0 / epsilon)))


def _gains(metric: Metric, reach: Tensor, asked: Tensor) -> Tensor:
    return torch.cat([gains_of(metric, reach, part) for part in asked.split(metric.height)])

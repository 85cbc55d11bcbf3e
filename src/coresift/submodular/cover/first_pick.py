"""The first pick, the point with the least sum of distances, without looking at all distances for every alpha.

Row sums of a blend are, but for rounding, the blend of the row sums of its two spaces; and its largest distance is at
most the blend of the largest. So both are taken once per space, and per blend only the rows that could win are read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from coresift.lazy import torch
from coresift.submodular.cover.near_pairs import passes
from coresift.submodular.cover.on_matrices import Matrices
from coresift.submodular.distances.stored import SLACK, Blend, Distances, Metric

if TYPE_CHECKING:
    from torch import Tensor

CONTENDERS = 0.125
"""With more rows than this part of the pool to look at, all are looked at in order."""
BATCH = 8


def first_pick(metric: Metric) -> tuple[int, float, Tensor]:
    """The lowest index of the largest gain over the empty set, that gain, and the largest distance (as a 0-d tensor).

    Over the empty set every point is at the largest distance of all.
    """
    blended = _of_blend(metric) if isinstance(metric, Blend) else None
    pick, least, largest = blended or _of_all(metric)
    return pick, float(largest) * metric.n - least, largest


def _of_all(metric: Metric) -> tuple[int, float, Tensor]:
    sums, tops = _facts(metric)
    pick = int(sums.argmin())
    return pick, float(sums[pick]), tops.amax()


def _of_blend(metric: Blend) -> tuple[int, float, Tensor] | None:
    """None if too many rows could win or only one space counts."""
    share = metric.share
    if share in (0.0, 1.0):
        return None
    (first, first_top), (second, second_top) = _facts(metric.first), _facts(metric.second)
    near = share * first + (1.0 - share) * second
    could = (near <= near.min() + 2.0 * SLACK * metric.n).nonzero().flatten()
    limit = (share * first_top.double() + (1.0 - share) * second_top.double()) + SLACK
    largest = _largest(metric, limit)
    if len(could) > CONTENDERS * metric.n or largest is None:
        return None
    sums = torch.cat([metric.rows(part).sum(dim=1, dtype=torch.float64) for part in could.split(BATCH)])
    place = int(sums.argmin())
    return int(could[place]), float(sums[place]), largest


def _largest(metric: Blend, limit: Tensor) -> Tensor | None:
    """The largest distance, from the rows whose `limit` could hold it; None if these are too many."""
    best = torch.zeros((), dtype=metric.dtype, device=metric.device)
    order = limit.argsort(descending=True)[: BATCH + int(CONTENDERS * metric.n)]
    for part in order.split(BATCH):
        if limit[part[0]] <= best:
            return best
        best = torch.maximum(best, metric.rows(part).amax())
    return best if len(order) == metric.n else None


def _facts(metric: Metric) -> tuple[Tensor, Tensor]:
    """Sum (float64) and largest of every row."""
    if isinstance(metric, Distances) and metric.facts:
        return metric.facts[0]
    matrices = Matrices.of(metric) if isinstance(metric, Distances) else None
    if matrices is not None:
        found = matrices.facts()
    else:
        sums, tops = [], []
        for part in passes(metric):
            rows = metric.rows(part)
            sums.append(rows.sum(dim=1, dtype=torch.float64))
            tops.append(rows.amax(dim=1))
        found = torch.cat(sums), torch.cat(tops)
    if isinstance(metric, Distances):
        metric.facts.append(found)
    return found

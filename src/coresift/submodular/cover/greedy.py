"""Greedy facility location, exact and lazy: cover a pool with k of its points at the least sum of distances.

Start with every point at the largest distance c; add the point j with the largest gain sum_i max(0, reach_i - d_ij);
lower the reach; repeat. F(S) = sum_i (c - min_{j in S} d_ij) is monotone submodular, so the greedy value is at least
(1 - (1 - 1/k)^k) of the best (Nemhauser, Wolsey and Fisher, 1978), and a gain seen earlier bounds every later one
(Minoux, 1978): only candidates whose old gain could still win are looked at again.

Ties go to the lowest index. A point belongs to the nearest pick, the earliest of equals, except that a pick belongs to
itself: so every weight is at least 1 even where rows are duplicated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from coresift.errors import SelectionError
from coresift.lazy import torch
from coresift.progress import Progress
from coresift.savepoints import Nowhere, Savepoints
from coresift.submodular.cover.first_pick import first_pick
from coresift.submodular.cover.lazy import LISTS, Cover, UnderWay, few_pairs, gains_of
from coresift.submodular.cover.near_pairs import Balls, passes, radius_of
from coresift.submodular.cover.on_matrices import Matrices, Update
from coresift.submodular.cover.without_matrix import cover_tiled
from coresift.submodular.distances.stored import SLACK, Metric, rough
from coresift.submodular.distances.tiled import parts_of
from coresift.submodular.threads import one_thread

if TYPE_CHECKING:
    from torch import Tensor

ROUGH = 2048
"""Pools up to this size are looked at exactly and in whole rows throughout: nothing else would be faster."""
FEW = 32
"""With fewer picks left, making lists does not pay."""
SPARSE = 0.03
"""Share of all pairs that lists made from stored distances may hold."""
PAIRS = 1.5e8
"""Number of pairs that lists may hold: 8 bytes each, 16 while they are made."""
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


def cover(metric: Metric, size: int, *, update: Update = "lazy") -> Cover:
    """Pick `size` points greedily.

    Args:
        metric: Distances.
        size: Number of picks.
        update: How the gains are kept on matrices of 16 or 24 bits; the picks are the same.

    Raises:
        SelectionError: If `size` is not between 1 and n.
    """
    return cover_all([metric], size, update=update)[0]


def cover_all(
    metrics: Sequence[Metric],
    size: int,
    *,
    update: Update = "lazy",
    savepoints: Savepoints | None = None,
    pairs: float = PAIRS,
) -> list[Cover]:
    """A cover under each of several metrics; blends of the same tiled spaces share every pass over the distances.

    Args:
        metrics: Distances of the same points.
        size: Number of picks.
        update: As for `cover`.
        savepoints: Where the passes of tiled spaces are saved; nowhere by default.
        pairs: Number of pairs that lists may hold.

    Raises:
        SelectionError: If `size` is not between 1 and n.
    """
    n = metrics[0].n
    if not 1 <= size <= n:
        raise SelectionError(f"size {size}: a subset of {n} points has between 1 and {n} of them.")
    if all(parts_of(metric) is not None for metric in metrics):
        return cover_tiled(metrics, size, savepoints or Nowhere(), most=pairs)
    covers = (_cover(metric, size, update, min(pairs, PAIRS, SPARSE * n * n)) for metric in metrics)
    return list(covers) if len(metrics) == 1 else [each.slim() for each in covers]


@one_thread()
def _cover(metric: Metric, size: int, update: Update, pairs: float) -> Cover:
    """From stored distances: on whole rows, then on lists of the pairs that still matter, once these are few."""
    begun, matrices = UnderWay.begin(metric, *first_pick(metric)), Matrices.of(metric)
    if size == 1:
        return begun.ended()
    if update == "incremental" and matrices is not None:
        return begun.ended(*matrices.incrementally(begun.order, begun.reach, size))
    ready = _goes_over(begun, size, pairs)
    if not ready:
        begun.wait(*_bounds(metric, begun.reach, matrices))
    with Progress("picks", size, unit="picks", begun=1) as progress:
        while not ready and len(begun.order) < size:
            begun.next()
            progress.advance()
            ready = _goes_over(begun, size, pairs)
    if not ready:
        return begun.ended()
    return begun.on_lists(Balls.of(metric, radius_of(begun.reach, begun.picks)), size)


def _goes_over(cover: UnderWay, size: int, pairs: float) -> bool:
    """Whether to make lists now."""
    number = len(cover.order)
    return cover.metric.n > ROUGH and number in LISTS and size - number >= FEW and few_pairs([cover], pairs)


@one_thread()
def assign(metric: Metric, picks: Tensor) -> Assignment:
    """Give every point to the nearest pick under `metric`; `picks` are in greedy order, all different."""
    reach = torch.full((metric.n,), torch.inf, dtype=metric.dtype, device=metric.device)
    owner = torch.zeros(metric.n, dtype=torch.int64, device=metric.device)
    step = metric.height
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
    for part in picks.split(metric.height):
        reach = torch.minimum(reach, metric.rows(part).amin(dim=0))
    return reach


def gains(metric: Metric, reach: Tensor) -> Tensor:
    """What each of the n points would gain now, in whole numbers of the step (float64)."""
    return torch.cat([gains_of(metric, reach, part) for part in runs(metric)])


def runs(metric: Metric) -> list[slice]:
    """Consecutive points whose distances to all are looked at together."""
    return [slice(start, min(start + metric.height, metric.n)) for start in range(0, metric.n, metric.height)]


def _bounds(metric: Metric, reach: Tensor, matrices: Matrices | None) -> tuple[Tensor, bool]:
    """Upper bounds on all gains (float64), and whether they are the gains: else from rough distances, float32 sums."""
    if matrices is not None:
        return matrices.gains(reach).double(), True
    if metric.n <= ROUGH:
        return gains(metric, reach), True
    room = reach + SLACK
    sums = [(room - rough(metric, part)).clamp_(min=0.0).sum(dim=1) for part in passes(metric)]
    return torch.cat(sums).double() * (1.0 + SUMMED), False

"""Greedy in two rounds over parts of a pool that no one machine need hold at once: GreeDi (Mirzasoleiman et al., 2013).

Round one picks in every part on its own. Round two picks among what was picked, for the whole pool. A part that gives
only its share of the picks leaves round two nothing to choose from, so each gives `oversample` times its share. What
counts is the error on the whole pool: round two works on it, and `loss` says what the two rounds lost against greedy on
the whole pool. The bound of the paper, for the better of round two and the best part alone, is not claimed: with more
parts than `oversample` a part gives fewer picks than are asked for, so none is an answer by itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from coresift.errors import SelectionError
from coresift.lazy import torch
from coresift.seeds import generator
from coresift.submodular.cover.greedy import cover
from coresift.submodular.cover.lazy import Cover, UnderWay, gains_of
from coresift.submodular.cover.quality import nearest_sum
from coresift.submodular.distances.stored import Metric

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Partitioned:
    """Attributes:
    order: The picks of round two, positions in the pool.
    gains: What each gained on the whole pool, in real units.
    error: Sum over the whole pool of the distance to the nearest pick, in real units.
    candidates: What round two chose among.
    """

    order: Tensor
    gains: Tensor
    error: float
    candidates: Tensor


def random_parts(n: int, count: int, *, seed: int) -> list[np.ndarray]:
    """The positions 0 to n - 1 in `count` random parts of about equal size, each ascending.

    Raises:
        SelectionError: If there are more parts than examples, or none.
    """
    if not 1 <= count <= n:
        raise SelectionError(f"{count} parts of {n} examples: there are at least 1 part and 1 example in each.")
    return [np.sort(part) for part in np.array_split(generator(seed, "parts").permutation(n), count)]


def share_of(part: int, size: int, parts: int, oversample: float) -> int:
    """How many picks a part of so many examples gives to round two."""
    return min(part, max(1, math.ceil(oversample * size / parts)))


def pick_in_part(metric: Metric, positions: np.ndarray, count: int) -> np.ndarray:
    """Round one: the pool positions of `count` greedy picks of one part, whose distances `metric` holds."""
    return positions[cover(metric, count).order.cpu().numpy()]


def merge(whole: Metric, picked: Sequence[np.ndarray], size: int) -> Partitioned:
    """Round two: `size` greedy picks for the whole pool among those of all parts.

    Raises:
        SelectionError: If the parts gave fewer picks than asked for.
    """
    candidates = torch.from_numpy(np.unique(np.concatenate(list(picked)))).to(whole.device)
    if len(candidates) < size:
        raise SelectionError(
            f"{len(candidates)} candidates for {size} picks: every part must give more. Raise oversample."
        )
    found = _cover_among(whole, candidates, size)
    return Partitioned(found.order, found.gains, nearest_sum(whole, found.order), candidates)


def greedi(
    part_of: Callable[[np.ndarray], Metric],
    whole: Metric,
    size: int,
    *,
    parts: int,
    oversample: float = 2.0,
    seed: int = 0,
) -> Partitioned:
    """Both rounds in this process.

    Args:
        part_of: The distances within a part, given its positions.
        whole: The distances of the whole pool; only those from candidates are read.
        size: Number of picks.
        parts: Number of random parts.
        oversample: Times its share that every part gives.
        seed: Root of the random parts.
    """
    picked = []
    for positions in random_parts(whole.n, parts, seed=seed):
        count = share_of(len(positions), size, parts, oversample)
        picked.append(pick_in_part(part_of(positions), positions, count))
    return merge(whole, picked, size)


def loss(error: float, central: float) -> float:
    """By which part an error on the whole pool is above `central`, that of as many picks of greedy on the whole pool.

    0.02 says 2 %; below 0 where the picks are better; infinite where only central greedy leaves no error.
    """
    if central == 0.0:
        return 0.0 if error == 0.0 else math.inf
    return error / central - 1.0


def _cover_among(metric: Metric, candidates: Tensor, size: int) -> Cover:
    """Greedy cover of all points by some of them."""
    sums, largest = [], torch.zeros((), dtype=metric.dtype, device=metric.device)
    for part in candidates.split(metric.height):
        rows = metric.rows(part)
        sums.append(rows.sum(dim=1, dtype=torch.float64))
        largest = torch.maximum(largest, rows.amax())
    total = torch.cat(sums)
    best = int(total.argmin())
    # Twice the largest distance of a candidate bounds all distances, by the triangle inequality.
    state = UnderWay.begin(
        metric, int(candidates[best]), 2.0 * float(largest) * metric.n - float(total[best]), 2.0 * largest
    )
    bounds = torch.full((metric.n,), -1.0, dtype=torch.float64, device=metric.device)
    for part in candidates.split(metric.height):
        bounds[part] = gains_of(metric, state.reach, part)
    state.wait(bounds, exact=True)
    while len(state.order) < size:
        state.next()
    return state.ended()

"""k-means on rows, and largest-remainder quotas: how a budget is divided among clusters."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from coresift.lazy import torch
from coresift.progress import Progress, track
from coresift.submodular.distances.rows import BLOCK, blocks

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Clusters:
    """Attributes:
    label: For each of n rows the number of its cluster, 0 to c - 1; no cluster is empty.
    centres: c x d means of the clusters, float64.
    rounds: Rounds until no row changed its cluster (or the most allowed).
    spread: Sum of squared distances to the centres.
    """

    label: Tensor
    centres: Tensor
    rounds: int
    spread: float


def k_means(rows: Tensor, clusters: int, *, source: np.random.Generator, rounds: int = 100) -> Clusters:
    """Lloyd's algorithm from greedy k-means++ starts (Arthur and Vassilvitskii, 2007).

    There may be fewer clusters than asked for: as many as there are different rows at most. A cluster that runs empty
    takes the row that is farthest from its centre. Ties go to the lowest number.

    Args:
        rows: n x d, finite.
        clusters: Number of clusters, at least 1.
        source: Randomness of the starts.
        rounds: Most rounds.
    """
    centres = _starts(rows, clusters, source)
    label = torch.full((len(rows),), -1, dtype=torch.int64, device=rows.device)
    done = 0
    for _ in track(range(rounds), "k-means", total=rounds, unit="rounds at most"):
        done += 1
        now = _no_empty(rows, _closest(rows, centres), centres)
        if bool((now == label).all()):
            break
        label, centres = now, _means(rows, now, len(centres))
    return Clusters(label, centres, done, float(_squared(rows, centres, label).sum()))


def quotas(sizes: list[int], total: int) -> list[int]:
    """Divide `total` in proportion to `sizes` by largest remainders; sums to `total`, none above its size.

    Ties go to the lower number. `total` is at most the sum of `sizes`.
    """
    whole = sum(sizes)
    shares = [divmod(size * total, whole) for size in sizes]
    left = total - sum(share for share, _ in shares)
    first = sorted(range(len(sizes)), key=lambda place: (-shares[place][1], place))[:left]
    return [share + (place in first) for place, (share, _) in enumerate(shares)]


def _starts(rows: Tensor, clusters: int, source: np.random.Generator) -> Tensor:
    """Rows drawn in proportion to their squared distance from the starts so far, each the best of a few draws."""
    draws = 2 + int(math.log(clusters))
    squares = torch.cat([block.double().square().sum(dim=1) for _, block in blocks(rows)])
    picks = [int(source.integers(len(rows)))]
    nearest = _squared_from(rows, picks[0])
    with Progress("k-means starts", clusters, unit="clusters") as progress:
        while len(picks) < clusters and float(nearest.max()) > 0.0:
            chances = nearest.cpu().numpy()
            sums = chances.cumsum()
            drawn = np.searchsorted(sums, source.random(draws) * sums[-1], side="right")
            places = np.minimum(drawn, np.flatnonzero(chances)[-1]).tolist()
            # Products are good enough to compare the draws; the distances kept are from differences.
            apart = squares[:, None] + squares[places] - 2.0 * (rows @ rows[places].T).double()
            left = torch.minimum(nearest[:, None], apart).sum(dim=0)
            picks.append(places[int(left.argmin())])
            nearest = torch.minimum(nearest, _squared_from(rows, picks[-1]))
            progress.reach(len(picks))
    return rows[picks].double()


def _squared_from(rows: Tensor, place: int) -> Tensor:
    """Squared distances to one of the rows, from differences: 0 where they are equal."""
    apart = torch.cdist(rows, rows[place][None], compute_mode="donot_use_mm_for_euclid_dist")
    return apart[:, 0].double().square()


def _closest(rows: Tensor, centres: Tensor) -> Tensor:
    """Number of the closest centre; ||x||^2 is the same for all centres and left out."""
    squares = centres.square().sum(dim=1)
    step = max(1, BLOCK // max(centres.shape))
    return torch.cat([(squares - 2.0 * (part.double() @ centres.T)).argmin(dim=1) for part in rows.split(step)])


def _squared(rows: Tensor, centres: Tensor, label: Tensor) -> Tensor:
    """Squared distance of each row to the centre of its cluster."""
    parts = [
        (block.double() - centres[label[start : start + len(block)]]).square().sum(dim=1)
        for start, block in blocks(rows)
    ]
    return torch.cat(parts)


def _no_empty(rows: Tensor, label: Tensor, centres: Tensor) -> Tensor:
    """Give every empty cluster the row farthest from its centre among clusters of two and more."""
    counts = torch.bincount(label, minlength=len(centres))
    empty = (counts == 0).nonzero().flatten().tolist()
    if len(empty) == 0:
        return label
    label, squared = label.clone(), _squared(rows, centres, label)
    for number in empty:
        place = int(torch.where(counts[label] > 1, squared, -1.0).argmax())
        counts[label[place]] -= 1
        counts[number] += 1
        label[place], squared[place] = number, 0.0
    return label


def _means(rows: Tensor, label: Tensor, clusters: int) -> Tensor:
    sums = torch.zeros(clusters, rows.shape[1], dtype=torch.float64, device=rows.device)
    for start, block in blocks(rows):
        sums.index_add_(0, label[start : start + len(block)], block.double())
    return sums / torch.bincount(label, minlength=clusters)[:, None]

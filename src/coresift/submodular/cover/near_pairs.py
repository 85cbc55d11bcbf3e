"""The pairs of a metric that still matter: for every candidate, the points that are closer to it than their radius.

A point whose nearest pick is at distance r gains nothing from a candidate at distance r or more. Reaches only fall as
picks are added, so the pairs closer than the reach after a few picks are all that the rest of a greedy cover, and every
bound of a certificate with u <= radius, will ever look at: 0.2 to 3 % of all pairs after 16 to 64 picks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from coresift.lazy import torch
from coresift.progress import Progress
from coresift.submodular.cover.on_matrices import STRETCH, Matrices
from coresift.submodular.distances.stored import SLACK, Metric, rough
from coresift.submodular.threads import in_parts

if TYPE_CHECKING:
    from torch import Tensor

BLOCK = {"cpu": 1 << 18, "cuda": 1 << 26}
"""Distances looked at together in a pass over all of them: on a CPU, about what its cache holds."""
CHUNK = {"cpu": 1 << 17, "cuda": 1 << 24}
"""Pairs summed together."""
SAMPLE = 64
"""Points from which the number of pairs is foretold."""


@dataclass(frozen=True, slots=True, eq=False)
class Balls:
    """Lists by candidate.

    Attributes:
        starts: n + 1; the pairs of candidate j are starts[j] to starts[j + 1].
        points: The point of each pair, ascending within a candidate (int32).
        whole: The distance of each pair, in whole numbers of the metric's step.
        radius: What the distances of each point lie below (n).
    """

    starts: Tensor
    points: Tensor
    whole: Tensor
    radius: Tensor

    @property
    def n(self) -> int:
        """Number of candidates and of points."""
        return len(self.starts) - 1

    @classmethod
    def of(cls, metric: Metric, radius: Tensor) -> Balls:
        """All pairs (candidate j, point i) with d_ij < radius_i, from one pass over the distances."""
        matrices = Matrices.of(metric)
        if matrices is not None:
            return cls(*matrices.near(radius), radius)
        limit = radius + SLACK
        points, wholes, counts = [], [], []
        for part in passes(metric):
            height = part.stop - part.start
            found = _where(rough(metric, part) < limit)
            row, point = found // metric.n, found % metric.n
            whole = metric.at(row + part.start, point)
            kept = whole < radius[point]
            points.append(point[kept].int())
            wholes.append(whole[kept])
            counts.append(torch.bincount(row[kept], minlength=height))
        return cls(_starts(torch.cat(counts)), torch.cat(points), torch.cat(wholes), radius)

    def cover(self, picked: list[int], reach: Tensor, size: int) -> tuple[Tensor, Tensor]:
        """Go on lazily from some picks to `size` of them, on the CPU; the picks and what each gained (int64).

        Args:
            picked: The picks so far.
            reach: The distance of every point to the nearest of them, at most the radius (n).
            size: Picks in the end.
        """
        from coresift.submodular.compiled import lists as compiled
        from coresift.submodular.compiled.heap import heaped

        lists = Balls(self.starts.cpu(), self.points.cpu(), self.whole.cpu().float(), self.radius.cpu())
        left = reach.cpu().float().clone()
        bounds = lists.gains(left).long().numpy()
        bounds[picked] = -1
        order, found = np.array(picked + [0] * (size - len(picked))), np.zeros(size, dtype=np.int64)
        seen = np.full(len(bounds), len(picked), dtype=np.int32)
        arrays = *lists.arrays, left.numpy(), bounds, seen, heaped(bounds), order, found
        with Progress("picks", size, unit="picks", begun=len(picked)) as progress:
            for begin in range(len(picked), size, STRETCH):
                compiled.lists_lazily(*arrays, begin, min(begin + STRETCH, size))
                progress.reach(min(begin + STRETCH, size))
        return torch.from_numpy(order[len(picked) :]), torch.from_numpy(found[len(picked) :])

    def gains(self, reach: Tensor) -> Tensor:
        """What every candidate would gain: sum over its points of max(0, reach - d), in float64 (n)."""
        if self.whole.device.type == "cpu" and self.whole.dtype == torch.float32:
            return self._compiled_gains(reach)
        return torch.cat([self._sums(reach, slice(low, high)) for low, high in self._chunks()])

    def _compiled_gains(self, reach: Tensor) -> Tensor:
        from coresift.submodular.compiled import lists as compiled

        arrays, reach_, out = self.arrays, reach.numpy(), np.empty(self.n, dtype=np.int64)
        in_parts(lambda begin, end: compiled.list_gains(*arrays, reach_, out, begin, end), self.n)
        return torch.from_numpy(out).double()

    def gains_of(self, reach: Tensor, which: Tensor) -> Tensor:
        """The same for the candidates `which`."""
        pairs, ends = self._pairs(which)
        return _segments((reach[self.points[pairs]] - self.whole[pairs]).clamp_(min=0.0), ends)

    def lower(self, reach: Tensor, pick: int) -> Tensor:
        """The reach once `pick` is picked too."""
        pairs = slice(int(self.starts[pick]), int(self.starts[pick + 1]))
        points = self.points[pairs].long()
        reach = reach.clone()
        reach[points] = torch.minimum(reach[points], self.whole[pairs])
        return reach

    def served(self, u: Tensor, which: Tensor) -> Tensor:
        """For each point, how many of the candidates `which` are closer than its u (float64, n)."""
        pairs, _ = self._pairs(which)
        points = self.points[pairs]
        return torch.bincount(points[self.whole[pairs] < u[points]], minlength=self.n).double()

    def within(self, radius: Tensor) -> Balls:
        """The pairs closer than a smaller radius."""
        kept = torch.cat([part_whole < radius[part] for part, part_whole in self._split()])
        passed = torch.zeros(len(kept) + 1, dtype=torch.int64, device=kept.device)
        torch.cumsum(kept, dim=0, out=passed[1:])
        return Balls(passed[self.starts], self.points[kept], self.whole[kept], radius)

    @property
    def arrays(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Starts, points (unsigned: never counted from the end) and distances, as compiled loops read them."""
        return self.starts.numpy(), self.points.numpy().view(np.uint32), self.whole.numpy()

    def _split(self) -> list[tuple[Tensor, Tensor]]:
        chunk = CHUNK.get(self.whole.device.type, CHUNK["cuda"])
        return list(zip(self.points.split(chunk), self.whole.split(chunk), strict=True))

    def _chunks(self) -> list[tuple[int, int]]:
        """Runs of candidates with about CHUNK pairs each."""
        chunk = CHUNK.get(self.whole.device.type, CHUNK["cuda"])
        steps = torch.arange(0, len(self.whole) + 1, chunk, device=self.starts.device)
        cuts = {0, self.n, *torch.searchsorted(self.starts, steps).clamp_(max=self.n).tolist()}
        ordered = sorted(cuts)
        return list(zip(ordered[:-1], ordered[1:], strict=True))

    def _sums(self, reach: Tensor, part: slice) -> Tensor:
        ends = self.starts[part.start : part.stop + 1]
        first, last = int(ends[0]), int(ends[-1])
        left = reach.index_select(0, self.points[first:last]).sub_(self.whole[first:last]).clamp_(min=0.0)
        return _segments(left, ends - first)

    def _pairs(self, which: Tensor) -> tuple[Tensor, Tensor]:
        """Numbers of the pairs of some candidates, one candidate after the other, and where each begins and ends."""
        begins = self.starts[which]
        lengths = self.starts[which + 1] - begins
        ends = torch.zeros(len(which) + 1, dtype=torch.int64, device=which.device)
        torch.cumsum(lengths, dim=0, out=ends[1:])
        shift = torch.repeat_interleave(begins - ends[:-1], lengths)
        return shift + torch.arange(len(shift), device=which.device), ends


Triple: TypeAlias = "tuple[Tensor, Tensor, Tensor, Tensor]"
"""Candidates, points, and the distances of some pairs in two spaces."""


@dataclass(frozen=True, slots=True, eq=False)
class NearPairs:
    """Pairs that matter under any of several blends of two spaces, with the distances in both.

    Attributes:
        starts, points: As for `Balls`.
        first, second: The distances in the two spaces; the same tensor where there is one space only.
    """

    starts: Tensor
    points: Tensor
    first: Tensor
    second: Tensor

    @classmethod
    def of(cls, n: int, found: list[Triple], *, one_space: bool) -> NearPairs:
        """From batches, on the CPU; a candidate's points come in ascending order. The batches are let go."""
        from coresift.submodular.compiled import lists as compiled

        counts = torch.zeros(n, dtype=torch.int64)
        for candidates, *_ in found:
            counts += torch.bincount(candidates, minlength=n)
        starts = _starts(counts)
        points, first = torch.empty(int(starts[-1]), dtype=torch.int32), torch.empty(int(starts[-1]))
        second = first if one_space else torch.empty_like(first)
        places = starts[:-1].clone().numpy()
        found.reverse()
        while found:
            batch = [each.numpy() for each in found.pop()]
            into = places, points.numpy(), first.numpy(), second.numpy()
            compiled.sort_pairs(batch[0], batch[1], batch[2], batch[3], *into)
        return cls(starts, points, first, second)

    def under(self, share: float, radius: Tensor) -> Balls:
        """The lists under one blend; pairs that matter under another one only are not closer than the radius."""
        from coresift.submodular.compiled import lists as compiled

        if share == 1.0:
            return Balls(self.starts, self.points, self.first, radius.cpu())
        whole = torch.empty_like(self.first)
        arrays = self.first.numpy(), self.second.numpy(), np.float32(share), np.float32(1.0 - share), whole.numpy()
        in_parts(lambda begin, end: compiled.blend(*arrays, begin, end), len(whole))
        return Balls(self.starts, self.points, whole, radius.cpu())


def passes(metric: Metric) -> list[slice]:
    """Consecutive points for a pass over all distances."""
    step = max(metric.height, BLOCK.get(metric.device.type, BLOCK["cuda"]) // metric.n)
    return [slice(start, min(start + step, metric.n)) for start in range(0, metric.n, step)]


def radius_of(reach: Tensor, picks: Tensor) -> Tensor:
    """The reach after some picks, and the mean reach for the picks themselves.

    Lists to that radius hold all that a cover needs, and let the bound of a certificate count the picks too.
    """
    return reach.index_fill(0, picks, float(reach.mean(dtype=torch.float64).ceil()))


def pairs_within(metrics: Sequence[Metric], radii: Sequence[Tensor]) -> float:
    """About how many pairs are closer than the radius under any of several metrics, from evenly spaced candidates."""
    n, device = metrics[0].n, metrics[0].device
    asked = torch.linspace(0, n - 1, min(SAMPLE, n), device=device).long()
    seen = 0
    for part in asked.split(min(8, metrics[0].height)):
        near = torch.zeros(len(part), n, dtype=torch.bool, device=device)
        for metric, radius in zip(metrics, radii, strict=True):
            near |= metric.rows(part) < radius
        seen += int(near.sum())
    return seen * n / len(asked)


def _starts(counts: Tensor) -> Tensor:
    starts = torch.zeros(len(counts) + 1, dtype=torch.int64, device=counts.device)
    torch.cumsum(counts, dim=0, out=starts[1:])
    return starts


def _segments(values: Tensor, ends: Tensor) -> Tensor:
    """Sums of consecutive runs of whole numbers: exact, as they stay below 2^53."""
    sums = torch.zeros(len(values) + 1, dtype=torch.float64, device=values.device)
    torch.cumsum(values, dim=0, dtype=torch.float64, out=sums[1:])
    return sums[ends].diff()


def _where(mask: Tensor) -> Tensor:
    """Positions of the set elements, as if the mask were one-dimensional."""
    flat = mask.flatten()
    if mask.device.type == "cpu":  # several times as fast where few elements are set
        return torch.from_numpy(flat.numpy().nonzero()[0])
    return flat.nonzero().flatten()

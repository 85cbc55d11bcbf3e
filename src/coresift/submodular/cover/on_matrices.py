"""Stored matrices of distances as compiled loops read them: gains, near pairs, and picks with all gains kept exact.

There are two ways to the same picks. Lazy: a gain seen earlier bounds every later one, so few candidates are looked at
again (Minoux, 1978). Incremental: all gains are kept exact, by the row of every point whose reach falls.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from coresift.lazy import torch
from coresift.progress import Progress
from coresift.submodular.distances.stored import Blend, Distances, Metric
from coresift.submodular.threads import in_parts

if TYPE_CHECKING:
    from torch import Tensor

Update = Literal["lazy", "incremental"]

SCRATCH = 1 << 20
"""Pairs for which each thread has room while lists are made."""
STRETCH = 256
"""Picks made by one compiled call: between two of them progress is shown and an interrupt is heard."""


@dataclass(frozen=True, slots=True, eq=False)
class Matrices:
    """What compiled loops read: one or two n x n arrays of whole numbers and the shares of a blend."""

    first: np.ndarray
    second: np.ndarray
    share: np.float32
    rest: np.float32

    @classmethod
    def of(cls, metric: Metric) -> Matrices | None:
        """None for a metric that is not held in matrices of 16 or 24 bits on the CPU."""
        if isinstance(metric, Distances) and _readable(metric):
            whole = metric.whole.numpy()
            return cls(whole, whole, np.float32(1.0), np.float32(0.0))
        if not isinstance(metric, Blend) or not isinstance(metric.first, Distances):
            return None
        if metric.share in (0.0, 1.0):
            return cls.of(metric.first if metric.share == 1.0 else metric.second)
        if not isinstance(metric.second, Distances) or not (_readable(metric.first) and _readable(metric.second)):
            return None
        shares = np.float32(metric.share), np.float32(1.0 - metric.share)
        return cls(metric.first.whole.numpy(), metric.second.whole.numpy(), *shares)

    def gains(self, reach: Tensor) -> Tensor:
        """What every candidate would gain, in whole numbers (int64, n)."""
        return self.gains_of(torch.arange(len(reach)), reach)

    def gains_of(self, which: Tensor, reach: Tensor) -> Tensor:
        """What some candidates would gain, in whole numbers (int64)."""
        from coresift.submodular.compiled import matrices as compiled

        asked, out = which.numpy(), np.empty(len(which), dtype=np.int64)
        arrays = self.first, self.second, self.share, self.rest, self._alike(reach), asked, out
        in_parts(lambda begin, end: compiled.some_gains(*arrays, begin, end), len(asked))
        return torch.from_numpy(out)

    def facts(self) -> tuple[Tensor, Tensor]:
        """Sum (float64) and largest (float32) of every row of the first array."""
        from coresift.submodular.compiled import matrices as compiled

        # The bits of floats that are not negative are in their order, and integers are compared several times as fast.
        words = self.first if self.first.dtype == np.uint16 else self.first.view(np.int32)
        sums, tops = np.empty(len(words)), np.empty(len(words), dtype=words.dtype)

        def work(begin: int, end: int) -> None:
            part = slice(begin, end)
            compiled.row_facts(self.first[part], words[part], sums[part], tops[part])

        in_parts(work, len(words))
        largest = tops.astype(np.float32) if self.first.dtype == np.uint16 else tops.view(np.float32)
        return torch.from_numpy(sums), torch.from_numpy(largest)

    def near(self, radius: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The pairs closer than the radius of their point: starts, points and distances as `Balls` has them."""
        from coresift.submodular.compiled import near as compiled

        n, radius_ = len(self.first), self._alike(radius)
        starts = np.zeros(n + 1, dtype=np.int64)
        height = max(1, SCRATCH // n)

        def work(begin: int, end: int) -> list[tuple[np.ndarray, np.ndarray]]:
            words = np.zeros(-(-n // compiled.WORD), dtype=np.uint64)
            marks, hits = words.view(np.bool_), np.empty(len(words), dtype=np.int32)
            points = np.empty(height * n + compiled.WORD, dtype=np.int32)
            whole, found = np.empty(len(points), dtype=np.float32), []
            for start in range(begin, end, height):
                part = slice(start, min(start + height, end))
                rows = self.first[part], self.second[part], self.share, self.rest, radius_
                counts = starts[1:][part]
                count = int(compiled.near_rows(*rows, marks, words, hits, points, whole, counts))
                found.append((points[:count].copy(), whole[:count].copy()))
            return found

        parts = [each for part in in_parts(work, n) for each in part][::-1]
        np.cumsum(starts, out=starts)
        points, whole = np.empty(starts[-1], dtype=np.int32), np.empty(starts[-1], dtype=np.float32)
        place = 0
        while parts:  # each is let go once it is copied
            part = parts.pop()
            points[place : place + len(part[0])], whole[place : place + len(part[0])] = part
            place += len(part[0])
        return torch.from_numpy(starts), torch.from_numpy(points), torch.from_numpy(whole)

    def incrementally(self, picked: list[int], reach: Tensor, size: int) -> tuple[Tensor, Tensor]:
        """Go on from some picks to `size` of them with all gains kept exact; the picks and what each gained (int64).

        Args:
            picked: The picks so far.
            reach: The distance of every point to the nearest of them (n).
            size: Picks in the end.
        """
        from coresift.submodular.compiled import matrices as compiled

        gains, left = self.gains(reach).numpy(), reach.float().numpy().copy()
        gains[picked] = -1
        order, found = np.array(picked + [0] * (size - len(picked))), np.zeros(size, dtype=np.int64)
        arrays = self.first, self.second, self.share, self.rest, left, gains, order, found
        with Progress("picks", size, unit="picks", begun=len(picked)) as progress:
            for begin in range(len(picked), size, STRETCH):
                compiled.incrementally(*arrays, begin, min(begin + STRETCH, size))
                progress.reach(min(begin + STRETCH, size))
        return torch.from_numpy(order[len(picked) :]), torch.from_numpy(found[len(picked) :])

    def _alike(self, reach: Tensor) -> np.ndarray:
        """Reaches as loops over these distances read them quickest: whole numbers of 16 bits where those suffice."""
        short = self.share == 1.0 and self.first.dtype == np.uint16 and float(reach.amax()) < 1 << 16
        return np.ascontiguousarray(reach.numpy(), dtype=np.uint16 if short else np.float32)


def _readable(space: Distances) -> bool:
    return space.whole.device.type == "cpu" and space.whole.dtype in (torch.float32, torch.uint16)

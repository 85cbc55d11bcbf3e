"""Greedy picks on stored matrices of distances, by compiled loops on one CPU core.

Two ways to the same picks. Lazy: a gain seen earlier bounds every later one, so few candidates are looked at again
(Minoux, 1978). Incremental: all gains are kept exact, by the row of every point whose reach falls. Which is quicker
depends on the data: where a few long rows dominate, lazy; on unit rows they are close.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from coresift.submodular.distances import Blend, Distances, Metric
from coresift.submodular.threads import in_parts

Update = Literal["lazy", "incremental"]


@dataclass(frozen=True, slots=True, eq=False)
class Matrices:
    """What compiled loops read: one or two n x n arrays of whole numbers and the shares of a blend."""

    first: np.ndarray
    second: np.ndarray
    share: np.float32
    rest: np.float32

    @classmethod
    def of(cls, metric: Metric) -> "Matrices | None":
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

    def gains(self, reach: np.ndarray) -> np.ndarray:
        """What every candidate would gain, in whole numbers (int64, n)."""
        from coresift.submodular.compiled import matrices as compiled

        out = np.empty(len(reach), dtype=np.int64)

        def work(begin: int, end: int) -> None:
            rows = self.first[begin:end], self.second[begin:end]
            compiled.gains(*rows, self.share, self.rest, reach, out[begin:end])

        in_parts(work, len(reach))
        return out

    def facts(self) -> tuple[Tensor, Tensor]:
        """Sum (float64) and largest (float32) of every row of the first array."""
        from coresift.submodular.compiled import matrices as compiled

        n = len(self.first)
        sums, tops = np.empty(n), np.empty(n, dtype=np.float32)
        in_parts(lambda begin, end: compiled.row_facts(self.first[begin:end], sums[begin:end], tops[begin:end]), n)
        return torch.from_numpy(sums), torch.from_numpy(tops)

    def gains_of(self, which: Tensor, reach: Tensor) -> Tensor:
        """What some candidates would gain, in whole numbers (int64)."""
        from coresift.submodular.compiled import matrices as compiled

        asked, reach_, out = which.numpy(), reach.numpy(), np.empty(len(which), dtype=np.int64)
        arrays = self.first, self.second, self.share, self.rest, reach_, asked, out
        in_parts(lambda begin, end: compiled.some_gains(*arrays, begin, end), len(asked))
        return torch.from_numpy(out)

    def near(self, radius: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The pairs closer than the radius of their point: starts, points and distances as `Balls` has them."""
        from coresift.submodular.compiled import matrices as compiled

        n, radius_ = len(self.first), radius.numpy().astype(np.float32)
        arrays = self.first, self.second, self.share, self.rest, radius_
        starts = np.zeros(n + 1, dtype=np.int64)
        in_parts(lambda begin, end: compiled.count_near(*arrays, starts[1:], begin, end), n)
        np.cumsum(starts, out=starts)
        points, whole = np.empty(starts[-1], dtype=np.int32), np.empty(starts[-1], dtype=np.float32)
        in_parts(lambda begin, end: compiled.list_near(*arrays, starts, points, whole, begin, end), n)
        return torch.from_numpy(starts), torch.from_numpy(points), torch.from_numpy(whole)


class Picking:
    """A cover under way on matrices.

    Args:
        matrices: The distances.
        picked: The picks so far.
        reach: The distance of every point to the nearest of them (n).
        size: Picks in the end.
        update: How gains are kept.
    """

    def __init__(self, matrices: Matrices, picked: list[int], reach: Tensor, size: int, update: Update) -> None:
        from coresift.submodular.compiled.heap import heaped

        self._matrices, self._update, self._done, self._begun = matrices, update, len(picked), len(picked)
        self._reach = reach.numpy().astype(np.float32, copy=True)
        self._bounds = matrices.gains(self._reach)
        self._bounds[picked] = -1
        self._order = np.array(picked + [0] * (size - len(picked)))
        self._found = np.zeros(size, dtype=np.int64)
        self._seen = np.full(len(self._bounds), len(picked), dtype=np.int32)
        self._heap = heaped(self._bounds)

    @property
    def picked(self) -> tuple[Tensor, Tensor]:
        """The picks made here and the gain of each, in whole numbers (int64)."""
        made = slice(self._begun, self._done)
        return torch.from_numpy(self._order[made]), torch.from_numpy(self._found[made])

    def go(self, until: int) -> None:
        """Pick on until there are so many."""
        from coresift.submodular.compiled import matrices as compiled

        m = self._matrices
        arrays = m.first, m.second, m.share, m.rest, self._reach, self._bounds
        stretch = self._order, self._found, self._done, until
        if self._update == "lazy":
            compiled.lazily(*arrays, self._seen, self._heap, *stretch)
        else:
            compiled.incrementally(*arrays, *stretch)
        self._done = max(self._done, until)


def _readable(space: Distances) -> bool:
    return space.whole.device.type == "cpu" and space.whole.dtype in (torch.float32, torch.uint16)

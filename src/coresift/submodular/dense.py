"""Greedy picks on stored matrices of distances, by compiled loops on one CPU core.

Two ways to the same picks. Lazy: a gain seen earlier bounds every later one, so few candidates are looked at again
(Minoux, 1978). Incremental: all gains are kept exact, by the row of every point whose reach falls. Which is quicker
depends on the data: where a few long rows dominate, lazy; on unit rows they are close.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from coresift.submodular.distances import Blend, Distances, Metric
from coresift.submodular.threads import in_parts

Update = Literal["lazy", "incremental"]
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
        from coresift.submodular import compiled

        out = np.empty(len(reach), dtype=np.int64)

        def work(begin: int, end: int) -> None:
            rows = self.first[begin:end], self.second[begin:end]
            compiled.gains(*rows, self.share, self.rest, reach, out[begin:end])

        in_parts(work, len(reach))
        return out

    def gains_of(self, which: Tensor, reach: Tensor) -> Tensor:
        """What some candidates would gain, in whole numbers (int64)."""
        from coresift.submodular import compiled

        asked, reach_, out = which.numpy(), reach.numpy(), np.empty(len(which), dtype=np.int64)
        arrays = self.first, self.second, self.share, self.rest, reach_, asked, out
        in_parts(lambda begin, end: compiled.some_gains(*arrays, begin, end), len(asked))
        return torch.from_numpy(out)

    def cover(
        self,
        picked: list[int],
        reach: Tensor,
        size: int,
        *,
        update: Update = "lazy",
        advance: Callable[[int], None] = lambda picks: None,
    ) -> tuple[Tensor, Tensor]:
        """Go on from some picks to `size` of them.

        Args:
            picked: The picks so far.
            reach: The distance of every point to the nearest of them (n).
            size: Picks in the end.
            update: How gains are kept.
            advance: Told after every stretch how many picks there are.

        Returns:
            The further picks and the gain of each, in whole numbers.
        """
        from coresift.submodular import compiled

        arrays = self.first, self.second, self.share, self.rest
        reach_ = reach.numpy().astype(np.float32, copy=True)
        bounds = self.gains(reach_)
        bounds[picked] = -1
        order, found = np.array(picked + [0] * (size - len(picked))), np.zeros(size, dtype=np.int64)
        seen = np.full(len(bounds), len(picked), dtype=np.int32)
        heap = compiled.heaped(bounds)
        for begin in range(len(picked), size, STRETCH):
            stretch = order, found, begin, min(size, begin + STRETCH)
            if update == "lazy":
                compiled.lazily(*arrays, reach_, bounds, seen, heap, *stretch)
            else:
                compiled.incrementally(*arrays, reach_, bounds, *stretch)
            advance(stretch[-1])
        return torch.from_numpy(order[len(picked) :]), torch.from_numpy(found[len(picked) :])


def _readable(space: Distances) -> bool:
    return space.whole.device.type == "cpu" and space.whole.dtype in (torch.float32, torch.uint16)

"""Lazy evaluation: gains seen earlier bound every later one, so few candidates are looked at again (Minoux, 1978).

The candidates with the largest bounds are kept apart in a short list. Only when the list's best no longer beats every
bound outside is the list made anew.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from coresift.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor

LISTED = 1024
"""Candidates in the short list."""
WIDTH = 32, 1024
"""Candidates looked at again together: at first, and at most."""


class Queue:
    """Upper bounds on the gains of all candidates.

    Args:
        bounds: n; float64. They may be above the true gains, never below.
        exact: Whether they are the true gains now.
    """

    def __init__(self, bounds: Tensor, *, exact: bool) -> None:
        self._bounds = bounds.clone()
        self._fresh = torch.full((len(bounds),), exact, dtype=torch.bool, device=bounds.device)
        self._list()

    def remove(self, candidates: Tensor) -> None:
        """Never offer these."""
        self._return()
        self._bounds[candidates] = -1.0
        self._fresh[candidates] = True
        self._list()

    def pop(self, evaluate: Callable[[Tensor], Tensor]) -> tuple[int, float]:
        """The lowest index of the largest gain and that gain; it is not offered again.

        Args:
            evaluate: The gains now of some candidates.
        """
        width = WIDTH[0]
        while True:
            place = int(self._near.argmax())
            value = float(self._near[place])
            if value <= self._outside:
                self._return()
                self._list()
                continue
            if value == 0.0 or self._new[place]:  # gains are never negative: a bound of 0 is exact
                self._near[place] = -1.0
                return int(self._index[place]), value
            best = torch.cat([self._near.topk(min(width, len(self._near))).indices, self._index.new_tensor([place])])
            stale = best[~self._new[best] & (self._near[best] > 0.0)].unique()
            self._near[stale] = evaluate(self._index[stale])
            self._new[stale] = True
            width = min(2 * width, WIDTH[1])

    def age(self) -> None:
        """Gains have changed: what was exact is a bound from now on."""
        self._fresh.zero_()
        self._new.zero_()

    def _return(self) -> None:
        """Write back what was learnt about the short list."""
        self._bounds[self._index] = self._near
        self._fresh[self._index] = self._new

    def _list(self) -> None:
        """Put the largest bounds into the short list, all equals of the last one included."""
        least = self._bounds.topk(min(LISTED, len(self._bounds))).values[-1]
        listed = self._bounds >= least
        self._index = listed.nonzero().flatten()
        self._near, self._new = self._bounds[self._index], self._fresh[self._index]
        rest = self._bounds[~listed]
        self._outside = float(rest.max()) if len(rest) > 0 else -torch.inf

"""A weighted sum of the distances of any number of spaces, in whole numbers like every metric here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from coresift.errors import SelectionError
from coresift.lazy import torch
from coresift.submodular.distances.stored import Metric, Which

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Mixture:
    """sum_s coefficient_s * d_s, put together on reading.

    The sum of all steps, each times its coefficient, is the step of the mixture; sums are rounded to whole numbers.
    Picks depend on the ratios of the coefficients only.

    Raises:
        SelectionError: If the spaces differ in size, or there is not one coefficient of 0 or more for each.
    """

    spaces: Sequence[Metric]
    coefficients: Sequence[float]

    def __post_init__(self) -> None:
        sizes = {space.n for space in self.spaces}
        if len(sizes) != 1:
            raise SelectionError(f"spaces of {sorted(sizes)} rows. All spaces describe the same pool: same rows.")
        if len(self.coefficients) != len(self.spaces) or min(self.coefficients) < 0 or sum(self.coefficients) == 0:
            raise SelectionError(
                f"coefficients {tuple(self.coefficients)} for {len(self.spaces)} spaces. "
                "Give one of 0 or more for each, not all 0."
            )

    @property
    def n(self) -> int:
        """Number of points."""
        return self.spaces[0].n

    @property
    def device(self) -> torch.device:
        """Where the numbers are."""
        return self.spaces[0].device

    @property
    def dtype(self) -> torch.dtype:
        """Float type that holds the whole numbers."""
        return self.spaces[0].dtype

    @property
    def height(self) -> int:
        """How many rows are best read together."""
        return self.spaces[0].height

    @property
    def step(self) -> float:
        """What one whole number is worth."""
        return sum(factor * space.step for factor, space in zip(self.coefficients, self.spaces, strict=True))

    def rows(self, which: Which) -> Tensor:
        """Distances from the points `which` to all."""
        return self._mix([space.rows(which) for space in self.spaces])

    def at(self, first: Tensor, second: Tensor) -> Tensor:
        """Distances of pairs."""
        return self._mix([space.at(first, second) for space in self.spaces])

    def _mix(self, parts: list[Tensor]) -> Tensor:
        step = self.step
        total = torch.zeros_like(parts[0])
        for factor, space, part in zip(self.coefficients, self.spaces, parts, strict=True):
            total += part * (factor * space.step / step if step > 0.0 else 0.0)
        return total.round_()

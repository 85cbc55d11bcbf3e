"""What a selector sees of the pool: one array per spec, and how many rows there are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

from coresift.features.specs import FeatureSpec

if TYPE_CHECKING:
    from torch import Tensor


@runtime_checkable
class Features(Protocol):
    """Arrays by spec; every array has `n` rows, in pool order."""

    @property
    def n(self) -> int:
        """Number of rows of every array."""
        ...

    def __getitem__(self, spec: FeatureSpec) -> Tensor:
        """The array of `spec`, n x d. Raises FeatureError if it is not there."""
        ...

"""Gradients that follow from stored ones: response = knowledge + following holds for rows as it does for losses.

Rows are stored in 16 bits and a norm, so a sum of two stored rows differs from a stored sum by their rounding, about
one part in two thousand of the longer row.
"""

from collections.abc import Callable
from typing import Any

from torch import Tensor

from coresift.errors import FeatureError
from coresift.features.base import Features
from coresift.features.specs import FeatureSpec, GradientSpec, Loss

SIGNS: dict[Loss, dict[Loss, float]] = {
    "response": {"knowledge": 1.0, "following": 1.0},
    "following": {"response": 1.0, "knowledge": -1.0},
    "knowledge": {"response": 1.0, "following": -1.0},
}
"""Loss -> the losses whose gradients give its own, each with its sign."""


def implying(spec: GradientSpec, held: Callable[[GradientSpec], bool]) -> tuple[GradientSpec, ...]:
    """The stored specs that give `spec`; empty where not both of them are held."""
    others = tuple(spec.stored.model_copy(update={"loss": loss}) for loss in SIGNS[spec.loss])
    return others if all(map(held, others)) else ()


class Implied:
    """Gradients put together from two stored arrays; satisfies the `Features` protocol.

    Args:
        stored: Holds the arrays that imply those asked for.
        identity: What those depend on.
    """

    def __init__(self, stored: Features, identity: dict[str, Any]) -> None:
        self._stored, self.identity = stored, identity

    @property
    def n(self) -> int:
        """Number of rows."""
        return self._stored.n

    def __getitem__(self, spec: FeatureSpec) -> Tensor:
        """Rows of `spec`, float32 [n, d]. Raises FeatureError for what is no gradient."""
        if not isinstance(spec, GradientSpec):
            raise FeatureError(f"no array for {spec.key}: only gradients follow from other gradients.")
        (one, its), (other, others) = SIGNS[spec.loss].items()
        rows = {loss: self._stored[spec.stored.model_copy(update={"loss": loss})] for loss in (one, other)}
        return spec.transform(its * rows[one] + others * rows[other])

"""RDS+: what the base model represents most like a target example. Ivison et al., 2025 (2503.01807).

Cosines of position-weighted mean hidden states, target examples in turn. Where this deviates and why:
docs/methods/rds.md. In short: a target example whose best one is taken takes its next, instead of losing its turn.
"""

from typing import ClassVar

from coresift.features.targets import HiddenSimilaritySpec
from coresift.targeted import Aggregate, Targeted


class RdsPlus(Targeted):
    """The examples with hidden states most like those of target examples."""

    name: ClassVar[str] = "rds"
    aggregate: Aggregate = "round-robin"

    @property
    def similarity(self) -> HiddenSimilaritySpec:
        """Cosines of hidden states."""
        return HiddenSimilaritySpec()

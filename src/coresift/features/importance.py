"""What an importance weight holds: how much more an example looks like a target than like the pool it comes from."""

from typing import Literal

from pydantic import Field

from coresift.features.specs import FeatureSpec
from coresift.features.utilities import Text


class ImportanceSpec(FeatureSpec):
    """Log importance weights, n x 1: sum over an example's n-grams of log p_target - log p_pool.

    Both distributions are over buckets that n-grams are hashed into; the pool's is that of all candidates.

    Attributes:
        ngrams: Words in the longest n-grams; shorter ones count too.
        buckets: How many buckets.
        smoothing: Added to every bucket's count in the target, so that a small target rules out less.
        per_ngram: The mean instead of the sum, which grows with the length of the text.
        text: What of a conversation is read, on both sides.
    """

    ngrams: int = Field(2, ge=1)
    buckets: int = Field(10_000, ge=1)
    smoothing: float = Field(0.0, ge=0.0)
    per_ngram: bool = False
    text: Text = "full"

    @property
    def part(self) -> Literal["target"]:
        """The set of examples beside the pool that the array speaks of."""
        return "target"

    @property
    def key(self) -> str:
        """For example `importance-2-10000-1f2e3d4c`."""
        return f"importance-{self.ngrams}-{self.buckets}-{self._hash}"

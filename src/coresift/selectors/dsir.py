"""DSIR: draw from the pool as if from the target. Xie et al., NeurIPS 2023 (2302.03169).

Importance resampling without replacement, over bags of hashed n-grams. Where this deviates and why:
docs/methods/dsir.md. In short: seeded, short examples are drawn too, any budget up to the pool works, and weights may
be taken per n-gram or smoothed.
"""

from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from coresift.features.importance import ImportanceSpec
from coresift.features.losses import column
from coresift.features.specs import FeatureSpec
from coresift.features.utilities import Text
from coresift.problem import Problem, Selection, evenly
from coresift.seeds import generator
from coresift.settings import Settings


class DSIR(Settings):
    """A sample whose words are those of the target.

    Attributes:
        sample: `gumbel` draws without replacement with chances in proportion to the importance weights; `top` takes the
            greatest.
        ngrams, buckets, smoothing, per_ngram, text: As in `ImportanceSpec`.
    """

    name: ClassVar[str] = "dsir"
    sample: Literal["gumbel", "top"] = "gumbel"
    ngrams: int = Field(2, ge=1)
    buckets: int = Field(10_000, ge=1)
    smoothing: float = Field(0.0, ge=0.0)
    per_ngram: bool = False
    text: Text = "full"

    @property
    def importance(self) -> ImportanceSpec:
        """The weights looked at."""
        return ImportanceSpec(
            ngrams=self.ngrams,
            buckets=self.buckets,
            smoothing=self.smoothing,
            per_ngram=self.per_ngram,
            text=self.text,
        )

    @property
    def requires(self) -> tuple[FeatureSpec, ...]:
        """One weight per example."""
        return (self.importance,)

    def select(self, problem: Problem, size: int) -> Selection:
        """Pick `size` examples, ties by position; prefixes of one seed are nested; every pick counts the same."""
        weights = column(problem[self.importance], name="importance weights")
        noise = generator(problem.seed, "dsir").gumbel(size=problem.n) if self.sample == "gumbel" else 0.0
        order = np.argsort(-(weights + noise), kind="stable")

        def facts(picks: np.ndarray) -> dict[str, Any]:
            chances = np.exp(weights - weights.max())
            return {
                "mean_log_weight": float(weights[picks].mean()),
                "mean_log_weight_of_pool": float(weights.mean()),
                "examples_that_share_the_weight": float(chances.sum() ** 2 / np.square(chances).sum()),
            }

        return evenly(problem, order, size, facts=facts)

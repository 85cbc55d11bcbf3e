"""Longest: the examples with the longest responses. Zhao et al., ICML 2024 (2402.04833); see docs/methods/length.md.

A control that costs nothing. Many scores rise with length: a method that does not beat this one may measure little
else.
"""

from typing import Any, ClassVar

import numpy as np

from coresift.features.losses import LengthSpec, column
from coresift.features.specs import FeatureSpec
from coresift.problem import Problem, Selection, evenly
from coresift.settings import Settings


class Longest(Settings):
    """The greatest numbers of response tokens."""

    name: ClassVar[str] = "longest"

    @property
    def requires(self) -> tuple[FeatureSpec, ...]:
        """Lengths, for which no model is run."""
        return (LengthSpec(),)

    def select(self, problem: Problem, size: int) -> Selection:
        """Pick the `size` longest, ties by position; prefixes are answers; every pick counts the same."""
        lengths = column(problem[LengthSpec()], name="response tokens")

        def facts(picks: np.ndarray) -> dict[str, Any]:
            return {"mean_tokens": float(lengths[picks].mean()), "mean_tokens_of_pool": float(lengths.mean())}

        return evenly(problem, np.argsort(-lengths, kind="stable"), size, facts=facts)

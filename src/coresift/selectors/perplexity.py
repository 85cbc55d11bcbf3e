"""Perplexity: keep what a model finds hardest, or neither hard nor easy: a cheap control.

See docs/methods/perplexity.md.
"""

from typing import Any, ClassVar, Literal

import numpy as np

from coresift.errors import SelectionError
from coresift.features.losses import NOT_SCORED, Losses, column
from coresift.features.specs import FeatureSpec
from coresift.problem import Problem, Selection, evenly


class Perplexity(Losses):
    """Examples by the mean loss of their response, which orders them as its perplexity, the exponential, does.

    Attributes:
        part: `top` from the greatest loss on; `middle` from the median outwards.
    """

    name: ClassVar[str] = "perplexity"
    part: Literal["top", "middle"] = "top"

    @property
    def requires(self) -> tuple[FeatureSpec, ...]:
        """The response loss of one model."""
        return (self.loss_of("response"),)

    def select(self, problem: Problem, size: int) -> Selection:
        """Pick `size` examples, ties by position; prefixes are answers; every pick counts the same.

        Raises:
            SelectionError: If no example was scored.
        """
        losses = column(problem[self.loss_of("response")], name="response losses")
        scored = np.flatnonzero(losses != NOT_SCORED)
        if len(scored) == 0:
            raise SelectionError(
                f"perplexity: nothing to choose from, all {problem.n} examples are longer than the model takes. "
                "Take another model."
            )
        hardest = scored[np.argsort(-losses[scored], kind="stable")]
        order = hardest if self.part == "top" else hardest[outwards(len(hardest))]

        def facts(picks: np.ndarray) -> dict[str, Any]:
            means = {"mean_loss": float(losses[picks].mean()), "mean_loss_of_pool": float(losses[scored].mean())}
            return {**means, "not_scored": problem.n - len(scored)}

        lacking = f"only {len(order)} of {problem.n} examples are short enough for the model"
        return evenly(problem, order, size, facts=facts, shortfall=lacking)


def outwards(n: int) -> np.ndarray:
    """Places 0 to n - 1 from the middle to both ends, so that every prefix is a band about the middle.

    >>> outwards(5).tolist(), outwards(4).tolist()
    ([2, 1, 3, 0, 4], [1, 2, 0, 3])
    """
    return np.argsort(np.abs(np.arange(n) - (n - 1) / 2), kind="stable")

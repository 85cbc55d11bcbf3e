"""IFD: keep what stays hardest once its instruction is known. Li et al. (2308.12032, NAACL 2024; 2402.00530, ACL 2024).

Instruction-following difficulty compares the loss of a response after its instruction with the loss of the response
alone. The two papers divide different things, and the orders differ: `loss` is Cherry's ratio of mean losses, and
`perplexity` that of Superfiltering, which lets a small model score. Where this deviates and why: docs/methods/ifd.md.
In short: any conversation, exact token boundaries, and no row is cut or scored 0.
"""

from typing import Any, ClassVar

import numpy as np

from coresift.errors import SelectionError
from coresift.features.losses import NOT_SCORED, Losses, Ratio, column, ratio
from coresift.features.specs import FeatureSpec
from coresift.problem import Problem, Selection, evenly


class IFD(Losses):
    """The examples of greatest difficulty, among those whose instruction helps.

    Attributes:
        ratio: `loss`, the mean loss after the instruction by that of the response alone (Cherry); or `perplexity`, the
            exponential of their difference (Superfiltering).
        keep_unhelpful: Whether difficulties above 1 are kept: the instruction makes the response harder, so the two
            hardly belong together.
    """

    name: ClassVar[str] = "ifd"
    ratio: Ratio = "loss"
    keep_unhelpful: bool = False

    @property
    def requires(self) -> tuple[FeatureSpec, ...]:
        """Both losses of one model."""
        return (self.loss_of("response"), self.loss_of("knowledge"))

    def select(self, problem: Problem, size: int) -> Selection:
        """Pick the `size` greatest difficulties, ties by position; prefixes are answers; every pick counts the same.

        Raises:
            SelectionError: If no example has a difficulty.
        """
        response, alone = (column(problem[spec], name=f"losses {spec.key}") for spec in self.requires)
        scored = (response != NOT_SCORED) & (alone != NOT_SCORED)
        values = np.where(scored, ratio(response, alone, self.ratio), np.nan)
        helped = np.isfinite(values) & (self.keep_unhelpful | (values <= 1.0))
        counts = {
            "not_scored": int((~scored).sum()),
            "not_finite": int((scored & ~np.isfinite(values)).sum()),
            "unhelpful": int((np.isfinite(values) & ~helped).sum()),
        }
        if not helped.any():
            raise SelectionError(
                f"ifd: nothing to choose from. Of {problem.n} examples {counts['not_scored']} are longer than the "
                f"model takes, {counts['not_finite']} have no finite ratio, and {counts['unhelpful']} are harder with "
                "their instruction than without. Set keep_unhelpful, or take another model."
            )
        order = np.flatnonzero(helped)
        order = order[np.argsort(-values[order], kind="stable")]

        def facts(picks: np.ndarray) -> dict[str, Any]:
            return {"scores": values[picks].tolist(), "mean_score_of_pool": float(values[helped].mean()), **counts}

        lacking = f"only {len(order)} of {problem.n} examples are made easier by their instruction"
        return evenly(problem, order, size, facts=facts, shortfall=lacking)

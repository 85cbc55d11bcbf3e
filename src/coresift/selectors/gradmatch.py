"""GRAD-MATCH: a weighted subset whose gradients sum to those of the pool. Killamsetty et al., ICML 2021, Alg. 1 and 2.

Non-negative orthogonal matching pursuit on one gradient space. Where this deviates and why: docs/methods/gradmatch.md.
In short: the penalty on squared weights is relative to the mean squared length of the gradients, so rescaling them
changes nothing; a pursuit that ends early gives fewer picks and says so, and nothing is filled up at random.
"""

from typing import ClassVar

from pydantic import Field

from coresift.errors import SelectionError
from coresift.features.settings import OneGradient
from coresift.lazy import torch
from coresift.problem import Problem, Selection
from coresift.submodular.cover.quality import gradient_error
from coresift.submodular.distances.rows import blocks, check_rows
from coresift.submodular.matching import check_room, match


class GradMatch(OneGradient):
    """Non-negative matching pursuit towards the sum of all gradients.

    Attributes:
        ridge: Penalty on squared weights, relative to the mean squared length of the gradients. Without one, a pursuit
            ends after about `dim` picks, when the sum is met.
        tolerance: The pursuit ends when the residual is at most this part of the sum.
    """

    name: ClassVar[str] = "gradmatch"
    ridge: float = Field(0.01, ge=0.0)
    tolerance: float = Field(1e-4, ge=0.0, lt=1.0)

    def select(self, problem: Problem, size: int) -> Selection:
        """Pick at most `size` examples; another size is another answer.

        Raises:
            SelectionError: If the gradients sum to nothing, or the memory does not suffice.
        """
        rows = problem[self.gradient]
        check_rows(rows, name=self.loss)
        check_room(min(size, problem.n), rows.shape[1], problem.room(), name=self.name)
        target = torch.stack([block.double().sum(dim=0) for _, block in blocks(rows)]).sum(dim=0)
        found = match(rows, target, size, ridge=self.ridge, tolerance=self.tolerance)
        if len(found.picks) == 0:
            raise SelectionError(
                f"gradmatch: the {self.loss} gradients of all {problem.n} examples sum to nothing, so there is nothing "
                "to match. Take another loss or another method."
            )
        stored = rows if self.gradient == self.gradient.stored else problem[self.gradient.stored]
        weights = found.weights
        facts = {
            "residual": found.residual,
            "e_SFT": float(gradient_error(stored, found.picks, weights).norm()),
            "effective_size": float(weights.sum() ** 2 / weights.square().sum()),
            "weight_sum": float(weights.sum()),
        }
        return Selection(
            indices=found.picks.numpy(),
            weights=weights.numpy(),
            nested=False,
            diagnostics=facts,
            shortfall=found.reason,
        )

"""Full: the whole pool, the ceiling (and the bill) that a coreset is measured against."""

from typing import ClassVar

import numpy as np

from coresift.errors import SelectionError
from coresift.features.specs import FeatureSpec
from coresift.problem import Problem, Selection
from coresift.settings import Settings


class Full(Settings):
    """Every example once, in pool order, with weight 1; its only budget is the pool."""

    name: ClassVar[str] = "full"

    @property
    def requires(self) -> tuple[FeatureSpec, ...]:
        """Nothing."""
        return ()

    def select(self, problem: Problem, size: int) -> Selection:
        """Return the pool.

        Raises:
            SelectionError: If `size` is not the size of the pool.
        """
        if size != problem.n:
            raise SelectionError(
                f"full: asked for {size} of {problem.n} examples. Give the budget 1.0, or take random."
            )
        return Selection(indices=np.arange(size), weights=np.ones(size), nested=False)

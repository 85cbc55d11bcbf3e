"""Random: a seeded uniform sample, the baseline every method has to beat."""

from typing import ClassVar

import numpy as np

from coresift.features.specs import FeatureSpec
from coresift.problem import Problem, Selection
from coresift.seeds import generator
from coresift.settings import Settings


class Random(Settings):
    """The first `size` entries of one seeded permutation; every pick stands for n / size examples."""

    name: ClassVar[str] = "random"

    @property
    def requires(self) -> tuple[FeatureSpec, ...]:
        """Nothing."""
        return ()

    def select(self, problem: Problem, size: int) -> Selection:
        """Pick `size` examples; prefixes of one seed are nested."""
        order = generator(problem.seed, "random").permutation(problem.n)[:size]
        prefixes = {part: _even(order[:part], problem.n) for part in problem.wanted(order)}
        return _even(order, problem.n, prefixes)


def _even(order: np.ndarray, n: int, prefixes: dict[int, Selection] | None = None) -> Selection:
    weights = np.full(len(order), n / len(order))
    return Selection(indices=order, weights=weights, nested=True, prefixes=prefixes or {})

"""Random: a seeded uniform sample, the baseline every method has to beat."""

from typing import ClassVar

from coresift.features.specs import FeatureSpec
from coresift.problem import Problem, Selection, evenly
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
        return evenly(problem, generator(problem.seed, "random").permutation(problem.n), size)

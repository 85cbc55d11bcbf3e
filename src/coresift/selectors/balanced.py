"""Balanced random: a seeded sample with equal shares for all groups, the baseline of pools with sources of many sizes.

Ivison et al. (2503.01807) use it as a control. Where this deviates and why: docs/methods/balanced-random.md. In short:
groups are shuffled inside, and every prefix of the order is balanced too.
"""

from typing import ClassVar

import numpy as np

from coresift.errors import SelectionError
from coresift.features.specs import FeatureSpec
from coresift.problem import Problem, Selection
from coresift.seeds import generator
from coresift.settings import Settings


class BalancedRandom(Settings):
    """The groups take turns, in a new random order every round, until their examples run out.

    So every group has the same number of picks, give or take one, or all its examples. A pick stands for an equal part
    of its group.
    """

    name: ClassVar[str] = "balanced-random"

    @property
    def requires(self) -> tuple[FeatureSpec, ...]:
        """Nothing but `Problem.groups`."""
        return ()

    def select(self, problem: Problem, size: int) -> Selection:
        """Pick `size` examples; prefixes of one seed are nested.

        Raises:
            SelectionError: If the problem has no groups.
        """
        if problem.groups is None:
            raise SelectionError(
                "balanced-random: no groups given, and the budget is shared among them. Pass groups=, one label per "
                "example, such as its source, or take random."
            )
        names, group = np.unique(np.array(problem.groups, dtype=object), return_inverse=True)
        order = _turns(group, generator(problem.seed, "balanced random"))[:size]
        prefixes = {part: _answer(order[:part], group, names) for part in problem.wanted(order)}
        return _answer(order, group, names, prefixes)


def _turns(group: np.ndarray, source: np.random.Generator) -> np.ndarray:
    """All places, the first of every group before the second of any, at random otherwise.

    Args:
        group: Number of the group of every example, 0 to g - 1, none left out.
        source: Randomness of the order in each group and in each round.
    """
    shuffled = source.permutation(len(group))
    by_group = shuffled[np.argsort(group[shuffled], kind="stable")]
    sizes = np.bincount(group)
    firsts = np.cumsum(sizes) - sizes
    turn = np.arange(len(group)) - firsts[group[by_group]]
    return by_group[np.lexsort((source.permutation(len(group)), turn))]


def _answer(
    order: np.ndarray, group: np.ndarray, names: np.ndarray, prefixes: dict[int, Selection] | None = None
) -> Selection:
    sizes, picks = np.bincount(group), np.bincount(group[order], minlength=len(names))
    counts = [
        {"group": name, "examples": int(size), "picks": int(picked)}
        for name, size, picked in zip(names, sizes, picks, strict=True)
    ]
    return Selection(
        indices=order,
        weights=sizes[group[order]] / picks[group[order]],
        nested=True,
        diagnostics={"groups": counts, "unrepresented": int(sizes[picks == 0].sum())},
        prefixes=prefixes or {},
    )

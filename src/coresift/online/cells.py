"""The pool divided into cells, one per arm and task, and the best examples of a cell: fast at any size of pool."""

from dataclasses import dataclass

import numpy as np

NONE = -1
"""Label of examples that belong to no arm."""


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """Attributes:
    arm: Arm of each of n examples, 0 to arms - 1, or -1.
    arms: Number of arms.
    tasks: Names of the tasks, in the order of their numbers.
    order: Pool positions of all examples with an arm, by arm, then task, then position.
    bounds: Where each cell begins in `order`: cell arm * len(tasks) + task, and the end (arms * tasks + 1 numbers).
    """

    arm: np.ndarray
    arms: int
    tasks: tuple[str, ...]
    order: np.ndarray
    bounds: np.ndarray

    def of_arm(self, arm: int) -> list[np.ndarray]:
        """Pool positions of the tasks of one arm, tasks without examples left out."""
        bounds = self.bounds[arm * len(self.tasks) : (arm + 1) * len(self.tasks) + 1]
        return [self.order[start:end] for start, end in zip(bounds[:-1], bounds[1:], strict=True) if end > start]

    def members(self, among: np.ndarray) -> np.ndarray:
        """How many of the pool positions `among` each arm has."""
        found: np.ndarray = np.bincount(self.arm[among] + 1, minlength=self.arms + 1)[1:]
        return found

    @property
    def sizes(self) -> np.ndarray:
        """Number of examples of each arm."""
        return np.diff(self.bounds[:: len(self.tasks)])


def divided(arm: np.ndarray, arms: int, groups: list[str] | None) -> Cells:
    """Cells of a pool from the arm of each example (-1 for none) and the name of its task; names are sorted."""
    names, task = (("",), np.zeros(len(arm), np.int64)) if groups is None else _numbered(groups)
    held = np.flatnonzero(arm >= 0)
    key = arm[held].astype(np.int64) * len(names) + task[held]
    order = held[np.argsort(key, kind="stable")]
    counts = np.bincount(key, minlength=arms * len(names))
    return Cells(arm, arms, names, order, np.concatenate([[0], np.cumsum(counts)]))


def best(places: np.ndarray, worth: np.ndarray, size: int) -> np.ndarray:
    """The `size` places of greatest worth, best first; of equal worth the smaller place goes first.

    Args:
        places: Pool positions, rising.
        worth: What each of them is worth, without NaN.
        size: How many, at least 1; all where there are fewer.
    """
    if size < len(places):
        bound = np.partition(worth, len(worth) - size)[len(worth) - size]
        above, equal = np.flatnonzero(worth > bound), np.flatnonzero(worth == bound)
        kept = np.sort(np.concatenate([above, equal[: size - len(above)]]))
        places, worth = places[kept], worth[kept]
    return places[np.argsort(-worth, kind="stable")]


def _numbered(groups: list[str]) -> tuple[tuple[str, ...], np.ndarray]:
    names = sorted(set(groups))
    number = {name: place for place, name in enumerate(names)}
    return tuple(names), np.array([number[name] for name in groups], dtype=np.int64)

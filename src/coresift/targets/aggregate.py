"""How similarities to many target examples become one order of picks.

    mean          the mean over the target examples of a sub-task, then the largest over the sub-tasks (LESS)
    max           the largest over all target examples
    round-robin   target examples in turn, each takes the most similar example that is left (RDS+)

Ties go to the lowest position, so every order is a function of the array alone, and prefixes are answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from coresift.errors import SelectionError
from coresift.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor

BLOCK = 1 << 22
"""Similarities handled together in float64."""


def places_of(subtasks: Sequence[str]) -> dict[str, list[int]]:
    """The positions of every sub-task's target examples; sub-tasks in the order of their first example.

    >>> places_of(["a", "b", "a"])
    {'a': [0, 2], 'b': [1]}
    """
    places: dict[str, list[int]] = {}
    for place, name in enumerate(subtasks):
        places.setdefault(name, []).append(place)
    return places


def subtask_means(similar: Tensor, subtasks: Sequence[str]) -> Tensor:
    """The mean similarity to each sub-task's target examples.

    Args:
        similar: [n, T].
        subtasks: One name per target example; they need not stand together.

    Returns:
        [n, S] float64, sub-tasks in the order of their first example.

    Raises:
        SelectionError: If there is not one name per column.
    """
    if len(subtasks) != similar.shape[1]:
        raise SelectionError(
            f"{len(subtasks)} sub-task names for {similar.shape[1]} target examples. Pass one name per target example."
        )
    groups = list(places_of(subtasks).values())
    shares = torch.zeros(similar.shape[1], len(groups), dtype=torch.float64, device=similar.device)
    for number, places in enumerate(groups):
        shares[places, number] = 1.0 / len(places)
    height = max(1, BLOCK // similar.shape[1])
    return torch.cat([block.double() @ shares for block in similar.split(height)])


def ranked(scores: Tensor, size: int) -> Tensor:
    """Positions of the `size` largest of n scores, the largest first, of equal ones the lowest position (int64)."""
    return scores.argsort(descending=True, stable=True)[:size]


@dataclass(frozen=True, slots=True, eq=False)
class Turns:
    """Picks made in turn.

    Attributes:
        order: Positions (int64).
        takers: The target example that took each; -1 for picks that no target example tells apart.
    """

    order: Tensor
    takers: Tensor


def round_robin(similar: Tensor, size: int) -> Turns:
    """Target examples in turn, each takes the most similar example that is left.

    A target example passes once what is left is no more similar to it than its least similar example of all: it has
    nothing to say about those. When all pass, the rest goes by the largest similarity to any of them.

    Args:
        similar: [n, T] finite.
        size: From 1 to n.
    """
    columns = similar.T.cpu()
    # Before a target example has looked at so many, others can have taken at most so many: the pick is made by then.
    lists = [
        order[:size][column[order[:size]] > column.min()].numpy()
        for column in columns
        for order in [column.argsort(descending=True, stable=True)]
    ]
    free = np.ones(len(similar), dtype=bool)
    order: list[int] = []
    takers: list[int] = []
    at, active = [0] * len(lists), list(range(len(lists)))
    while len(order) < size and active:
        still = []
        for target in active:
            if len(order) == size:
                break
            wanted = lists[target]
            while at[target] < len(wanted) and not free[wanted[at[target]]]:
                at[target] += 1
            if at[target] < len(wanted):
                pick = int(wanted[at[target]])
                free[pick] = False
                order.append(pick)
                takers.append(target)
                still.append(target)
        active = still
    if len(order) < size:
        left = torch.from_numpy(free).nonzero().flatten()
        rest = left[ranked(columns[:, left].amax(dim=0), size - len(order))].tolist()
        order, takers = order + rest, takers + [-1] * len(rest)
    return Turns(torch.tensor(order), torch.tensor(takers))

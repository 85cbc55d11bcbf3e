"""What picks are worth beyond their objective: whom each one serves, and how they compare with picks at random."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from coresift.lazy import torch
from coresift.submodular.worth.coverage import Coverage

if TYPE_CHECKING:
    from torch import Tensor

RANDOM_SUBSETS = 5
"""Random subsets that picks are compared with."""


def served_weights(objective: Coverage, picks: Tensor, rows: Tensor | None) -> Tensor:
    """How many examples each pick stands for: itself, and its share of those that no pick is.

    Every row that is not a pick itself goes to the first pick that is worth most to it, and stands for an equal part of
    the examples that are not picks, which matters where only some examples are rows, or none. A row that no pick helps
    goes to nobody, so the weights sum to n at most.

    Args:
        objective: What was maximised, over n examples.
        picks: k picks, in order.
        rows: The position of each row among the examples; None if rows are others, such as targets.

    Returns:
        k weights, at least 1 (float64).
    """
    owners = objective.owners(picks)
    counted = owners >= 0
    others = len(owners)
    if rows is not None:
        picked = torch.isin(rows, picks)
        counted &= ~picked
        others -= int(picked.sum())
    counts = torch.bincount(owners[counted], minlength=len(picks)).double()
    return 1.0 + counts * ((objective.kernel.n - len(picks)) / max(1, others))


def served_share(objective: Coverage, picks: Tensor) -> float:
    """The part of the rows that at least one pick helps."""
    return float((objective.owners(picks) >= 0).double().mean())


def random_value(objective: Coverage, size: int, source: np.random.Generator) -> float:
    """The mean value of a few random subsets."""
    n = objective.kernel.n
    draws = [torch.from_numpy(source.choice(n, size=size, replace=False)) for _ in range(RANDOM_SUBSETS)]
    return float(np.mean([objective.value(draw) for draw in draws]))


def own_share(worth: Tensor, rows: Tensor) -> float:
    """The part of the rows to which nothing is worth more than they themselves, and they more than 0.

    Args:
        worth: n examples x m rows, dense or CSR.
        rows: The position of each row among the examples.
    """
    if worth.layout == torch.sparse_csr:
        owners = torch.repeat_interleave(torch.arange(len(worth)), worth.crow_indices().diff().cpu())
        columns, values = worth.col_indices().cpu(), worth.values().cpu()
        best = torch.zeros(worth.shape[1], dtype=values.dtype).scatter_reduce_(0, columns, values, "amax")
        own = torch.zeros_like(best)
        same = owners == rows[columns]
        own[columns[same]] = values[same]
    else:
        best = worth.amax(dim=0)
        own = worth[rows.to(worth.device), torch.arange(len(rows), device=worth.device)]
    return float(((own >= best) & (own > 0)).double().mean())

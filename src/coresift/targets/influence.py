"""What a step on a pool example does for a target example, to first order: inner products of gradients.

LESS (Xia et al., ICML 2024, 2402.04333): with eta_k the mean learning rate of epoch k of a warm-up, scaled to sum to 1,

    S[i, v] = sum_k eta_k * cos(a_k(i), g_k(v))

where a_k is the direction in which AdamW moves for pool example i at checkpoint k, and g_k the plain gradient of target
example v. Other similarities here are the same with one checkpoint.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from coresift.errors import SelectionError
from coresift.lazy import torch
from coresift.targets.aggregate import places_of

if TYPE_CHECKING:
    from torch import Tensor


def units(rows: Tensor) -> Tensor:
    """Rows (m x d) at length 1, float32 or wider; rows of zeros stay zero."""
    precise = rows.to(torch.promote_types(rows.dtype, torch.float32))
    lengths = precise.norm(dim=1, keepdim=True)
    return precise / lengths.where(lengths > 0, lengths.new_ones(()))


def cosines(pool: Tensor, target: Tensor) -> Tensor:
    """[n, T] cosines of rows [n, d] with rows [T, d]; 0 where one of the two is zero."""
    return units(pool) @ units(target).T


def mean_rows(target: Tensor, subtasks: Sequence[str]) -> Tensor:
    """One mean row per sub-task, [S, d], sub-tasks in the order of their first example.

    Args:
        target: [T, d].
        subtasks: One name per row.
    """
    return torch.stack([target[places].mean(dim=0) for places in places_of(subtasks).values()])


def shares_of(rates: Sequence[float]) -> list[float]:
    """Learning rates scaled to sum to 1.

    Raises:
        SelectionError: If there is none, one is below 0 or not finite, or all are 0.
    """
    total = sum(rates)
    if len(rates) == 0 or not all(0.0 <= rate < float("inf") for rate in rates) or total == 0.0:
        raise SelectionError(
            f"learning rates {list(rates)} of the checkpoints. Give one of 0 or more for each, not all 0."
        )
    return [rate / total for rate in rates]


def influence(pool: Sequence[Tensor], target: Sequence[Tensor], rates: Sequence[float]) -> Tensor:
    """The equation above.

    Args:
        pool: One [n, d] array per checkpoint.
        target: One [T, d] array per checkpoint, or [S, d] of sub-task means.
        rates: One learning rate per checkpoint; only their ratios matter.

    Returns:
        [n, T], between -1 and 1, float32 or wider.

    Raises:
        SelectionError: If the numbers of checkpoints differ, or as `shares_of`.
    """
    if not len(pool) == len(target) == len(rates):
        raise SelectionError(
            f"{len(pool)} pool arrays, {len(target)} target arrays and {len(rates)} learning rates. Give one of each "
            "per checkpoint."
        )
    parts = [share * cosines(a, g) for share, a, g in zip(shares_of(rates), pool, target, strict=True)]
    return torch.stack(parts).sum(dim=0)

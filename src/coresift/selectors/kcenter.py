"""k-center: no example far from a pick. Sener and Savarese, ICLR 2018 (arXiv 1708.00489), Alg. 1; Gonzalez, 1985.

Farthest-first traversal of one gradient space, without n x n distances. Where this deviates and why:
docs/methods/kcenter.md. In short: the first pick is the row nearest to the mean row instead of a random or given set.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from coresift.features.settings import OneGradient
from coresift.lazy import torch
from coresift.problem import Problem, Selection
from coresift.progress import Progress
from coresift.submodular.distances.rows import blocks, check_rows

if TYPE_CHECKING:
    from torch import Tensor


class KCenter(OneGradient):
    """Every pick is the example farthest from all earlier picks."""

    name: ClassVar[str] = "kcenter"

    def select(self, problem: Problem, size: int) -> Selection:
        """Pick `size` examples; prefixes are answers. The largest distance left is at most twice the least possible."""
        rows = problem[self.gradient]
        check_rows(rows, name=self.loss)
        order, radii = _farthest_first(rows, size)
        parts = problem.wanted(order.cpu().numpy())
        counts = _counts(rows, order, {*parts, size})

        def answer(part: int, prefixes: dict[int, Selection]) -> Selection:
            weights = counts[part].double()
            facts = {
                "radius": radii[part - 1],
                "radii": radii[:part],
                "effective_size": float(weights.sum() ** 2 / weights.square().sum()),
            }
            return Selection(
                indices=order[:part].cpu().numpy(),
                weights=counts[part].cpu().numpy(),
                nested=True,
                diagnostics=facts,
                prefixes=prefixes,
            )

        return answer(size, {part: answer(part, {}) for part in parts})


def _farthest_first(rows: Tensor, size: int) -> tuple[Tensor, list[float]]:
    """Picks in order, and after each the largest distance to the nearest pick; ties go to the lowest index."""
    mean = sum(block.double().sum(dim=0) for _, block in blocks(rows)) / len(rows)
    from_mean = torch.cat([(block.double() - mean).square().sum(dim=1) for _, block in blocks(rows)])
    pick, order, radii = int(from_mean.argmin()), [], []
    reach = torch.full((len(rows),), torch.inf, dtype=rows.dtype, device=rows.device)
    free = torch.ones(len(rows), dtype=torch.bool, device=rows.device)
    with Progress("k-center", size, unit="picks") as progress:
        for _ in range(size):
            order.append(pick)
            free[pick] = False
            reach = torch.minimum(reach, _from(rows, pick))
            radii.append(float(reach.max()))
            pick = int(torch.where(free, reach, -1.0).argmax())
            progress.advance()
    return torch.tensor(order, device=rows.device), radii


def _counts(rows: Tensor, order: Tensor, sizes: set[int]) -> dict[int, Tensor]:
    """For each size, how many rows belong to each of the first picks: to the nearest, the earliest of equals.

    A pick belongs to itself.
    """
    reach = torch.full((len(rows),), torch.inf, dtype=rows.dtype, device=rows.device)
    owner = torch.zeros(len(rows), dtype=torch.int64, device=rows.device)
    counts: dict[int, Tensor] = {}
    for number, pick in enumerate(order.tolist()):
        away = _from(rows, pick)
        owner.masked_fill_(away < reach, number)
        owner[pick] = number
        reach = torch.minimum(reach, away)
        if number + 1 in sizes:
            counts[number + 1] = torch.bincount(owner, minlength=number + 1)
    return counts


def _from(rows: Tensor, pick: int) -> Tensor:
    """Distances of all rows to one of them, from differences: 0 where they are equal."""
    return torch.cdist(rows, rows[pick][None], compute_mode="donot_use_mm_for_euclid_dist")[:, 0]

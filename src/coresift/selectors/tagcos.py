"""TAGCOS: cluster the gradients, then match each cluster's mean. Zhang et al., Findings of NAACL 2025 (2407.15235).

k-means on unit gradients, a share of the budget per cluster, matching pursuit inside each. Where this deviates and why:
docs/methods/tagcos.md. In short: shares by largest remainders, so they sum to the budget; the penalty is relative to
the scale of the gradients; one checkpoint instead of three; picks stand for equal parts of their cluster.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from pydantic import Field

from coresift.errors import SelectionError
from coresift.features.settings import OneGradient
from coresift.lazy import torch
from coresift.problem import Problem, Selection
from coresift.seeds import generator
from coresift.submodular.clustering import k_means, quotas
from coresift.submodular.distances.rows import check_rows
from coresift.submodular.matching import check_room, match

if TYPE_CHECKING:
    from torch import Tensor


class Tagcos(OneGradient):
    """Non-negative matching pursuit towards the mean of each k-means cluster.

    Attributes:
        norm_power: 0 by default: unit gradients.
        clusters: Number of clusters; at most as many as picks are made of.
        ridge: Penalty on squared weights, relative to the mean squared length of a cluster's gradients.
        tolerance: A pursuit ends when its residual is at most this part of the cluster's mean, and starts again on the
            rest of the cluster until its share is picked.
    """

    name: ClassVar[str] = "tagcos"
    norm_power: float = Field(0.0, ge=0.0, le=1.0)
    clusters: int = Field(100, ge=1)
    ridge: float = Field(0.01, ge=0.0)
    tolerance: float = Field(1e-4, ge=0.0, lt=1.0)

    def select(self, problem: Problem, size: int) -> Selection:
        """Pick at most `size` examples; another size is another answer.

        Raises:
            SelectionError: If no cluster gives a pick, since all their means are zero, or the memory does not suffice.
        """
        rows = problem[self.gradient]
        check_rows(rows, name=self.loss)
        found = k_means(rows, min(self.clusters, size), source=generator(problem.seed, "tagcos clusters"))
        members = [(found.label == number).nonzero().flatten() for number in range(len(found.centres))]
        shares = quotas([len(each) for each in members], size)
        check_room(max(shares), rows.shape[1], problem.room(), name=self.name)
        groups = []
        for each, centre, share in zip(members, found.centres, shares, strict=True):
            picks = each[self._match(rows[each], centre, share).to(each.device)].cpu()
            groups.append(_Group(len(each), share, picks))
        return self._selection(groups, found.rounds)

    def _selection(self, groups: list[_Group], rounds: int) -> Selection:
        picked = [group for group in groups if len(group.picks) > 0]
        if len(picked) == 0:
            raise SelectionError(
                f"tagcos: the {self.loss} gradients of every cluster have the mean 0, so there is nothing to match. "
                "Take another loss or another method."
            )
        facts = {
            "clusters": [{"examples": g.examples, "share": g.share, "picks": len(g.picks)} for g in groups],
            "unrepresented": sum(group.examples for group in groups if len(group.picks) == 0),
            "rounds": rounds,
        }
        return Selection(
            indices=torch.cat([group.picks for group in picked]).numpy(),
            weights=np.concatenate([np.full(len(g.picks), g.examples / len(g.picks)) for g in picked]),
            nested=False,
            diagnostics=facts,
            shortfall=_shortfall(groups),
        )

    def _match(self, rows: Tensor, centre: Tensor, share: int) -> Tensor:
        """Places of `share` rows of one cluster, or of as many as point its way, in order."""
        allowed = torch.ones(len(rows), dtype=torch.bool)
        places = torch.empty(0, dtype=torch.int64)
        while len(places) < share:
            found = match(
                rows, centre, share - len(places), ridge=self.ridge, tolerance=self.tolerance, allowed=allowed
            )
            if len(found.picks) == 0:
                break
            allowed[found.picks] = False
            places = torch.cat([places, found.picks])
        return places


@dataclass(frozen=True, slots=True, eq=False)
class _Group:
    """One cluster: how many examples it has, how many picks it is due, and the pool positions it gave."""

    examples: int
    share: int
    picks: Tensor


def _shortfall(groups: list[_Group]) -> str:
    missing = [group.share - len(group.picks) for group in groups]
    if sum(missing) == 0:
        return ""
    short = sum(each > 0 for each in missing)
    return f"{sum(missing)} picks are missing: in {short} clusters no further example points along the mean"

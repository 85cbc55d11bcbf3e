"""CRAIG: cover one gradient space. Mirzasoleiman, Bilmes and Leskovec, ICML 2020 (arXiv 1906.01827), Alg. 1.

Two versions: the budget says how many picks (facility location), or `epsilon` says how small the covering error has to
be and the budget is the most picks allowed (submodular cover). Where this deviates and why: docs/methods/craig.md. In
short: one group for the whole pool instead of one per class; gradients of all LoRA parameters, projected, instead of
the last layer's; epsilon is relative to the summed length of the gradients.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from coresift.features.settings import OneGradient
from coresift.problem import Problem, Selection
from coresift.submodular.cover.certificate import certify
from coresift.submodular.cover.greedy import Assignment, assign, cover_all
from coresift.submodular.cover.lazy import Cover
from coresift.submodular.cover.near_pairs import Balls
from coresift.submodular.cover.quality import assigned_sum, gradient_error, nearest_sum, proved
from coresift.submodular.cover.without_matrix import lists_of
from coresift.submodular.distances.rows import blocks
from coresift.submodular.distances.stored import Metric

if TYPE_CHECKING:
    from torch import Tensor


class Craig(OneGradient):
    """Greedy facility location on the gradients of one loss.

    Attributes:
        epsilon: None to make as many picks as the budget says; else stop at the first pick with which the covering
            error is at most this part of the summed length of all (rescaled) gradients.
    """

    name: ClassVar[str] = "craig"
    epsilon: float | None = Field(None, ge=0.0, lt=1.0)

    def select(self, problem: Problem, size: int) -> Selection:
        """Pick `size` examples, or fewer when `epsilon` is met earlier; prefixes are answers."""
        rows = problem[self.gradient]
        stored = rows if self.gradient == self.gradient.stored else problem[self.gradient.stored]
        held, plan = problem.spaces({self.loss: rows})
        space = held[self.loss]
        covered = cover_all([space], size, savepoints=problem.savepoints, pairs=plan.pairs)[0]
        lists = lists_of(space, covered, problem.savepoints)
        stop = self._stop(rows, space, covered)
        order = covered.order[: stop["picks"]] if stop else covered.order

        def answer(part: int, prefixes: dict[int, Selection]) -> Selection:
            picks = order[:part]
            owners = assign(space, picks)
            facts = {"gains": covered.gains[:part].tolist(), **({"cover": stop} if stop else {})}
            return Selection(
                indices=picks.cpu().numpy(),
                weights=owners.counts.cpu().numpy(),
                nested=True,
                diagnostics={
                    **facts,
                    **_measures(space, stored, picks, owners, lists if part == size else None),
                    "distances": {"way": plan.way, "bits": plan.bits, "reason": plan.reason},
                },
                prefixes=prefixes,
                shortfall=_reason(stop) if part < size and part == len(order) else "",
            )

        return answer(len(order), {part: answer(part, {}) for part in problem.wanted(order.cpu().numpy())})

    def _stop(self, rows: Tensor, space: Metric, covered: Cover) -> dict[str, Any]:
        """Where the cover version ends; empty without an epsilon."""
        if self.epsilon is None:
            return {}
        limit = self.epsilon * sum(float(block.double().norm(dim=1).sum()) for _, block in blocks(rows))
        # A gain lowers the error by itself, and both are whole numbers of one step: the differences are exact.
        first = nearest_sum(space, covered.order[:1]) + covered.gains[0]
        met = (first - covered.gains.cumsum(0) <= limit).nonzero().flatten()
        picks = int(met[0]) + 1 if len(met) > 0 else len(covered.order)
        return {"epsilon": self.epsilon, "limit": limit, "met": len(met) > 0, "picks": picks}


def _reason(stop: dict[str, Any]) -> str:
    return (
        f"{stop['picks']} picks bring the covering error down to epsilon {stop['epsilon']:g} (limit {stop['limit']:g})"
    )


def _measures(space: Metric, stored: Tensor, picks: Tensor, owners: Assignment, lists: Balls | None) -> dict[str, Any]:
    """Covering error, error in the sum of the gradients as extracted, and how good the picks provably are."""
    weights = owners.counts.double()
    proof = certify(space, picks, lists=lists, reach=owners.reach)
    return {
        "B_SFT": nearest_sum(space, picks),
        "A_SFT": assigned_sum(space, picks, owners),
        "e_SFT": float(gradient_error(stored, picks, weights).norm()),
        "effective_size": float(weights.sum() ** 2 / weights.square().sum()),
        "certificate": proved(proof, space, picks),
    }

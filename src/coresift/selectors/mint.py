"""MINT: cover unit-length knowledge and following gradients, with the balance read off where an error curve is flat.

The same composite distance as BRIEF, d_KN / alpha + d_IF / (1 - alpha), between unit rows. On a random pilot of the
pool alpha goes through a grid of 174 values; the following error B_IF flattens as alpha grows, and the plateau rule
picks the place. Where this deviates and why: docs/methods/mint.md. In short: exact greedy facility location, gradients
over the response tokens only, and alpha may be 0 or 1 since the composite is multiplied by alpha (1 - alpha).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from pydantic import Field, model_validator

from coresift.errors import SettingsError
from coresift.features.settings import GradientSettings
from coresift.features.specs import FeatureSpec, GradientSpec, Loss
from coresift.lazy import torch
from coresift.line_search.plateau import alpha_grid, plateau
from coresift.problem import Problem, Selection
from coresift.progress import Progress
from coresift.savepoints import Clock, Savepoints, Within
from coresift.seeds import generator
from coresift.submodular.cover.certificate import certify
from coresift.submodular.cover.greedy import Assignment, assign, cover_all
from coresift.submodular.cover.lazy import Cover
from coresift.submodular.cover.near_pairs import Balls
from coresift.submodular.cover.quality import assigned_sum, gradient_error, nearest_sum, proved
from coresift.submodular.cover.without_matrix import lists_of
from coresift.submodular.distances.mixture import Mixture
from coresift.submodular.distances.rows import check_rows
from coresift.submodular.distances.stored import Blend, Metric

if TYPE_CHECKING:
    from torch import Tensor

LOSSES: tuple[Loss, Loss, Loss] = ("response", "knowledge", "following")
SHORT = {"response": "SFT", "knowledge": "KN", "following": "IF"}
TOGETHER = 8
"""Alphas of the grid tried together."""


class Mint(GradientSettings):
    """Facility location on unit gradients; alpha by the plateau rule, or given, or explicit coefficients.

    Attributes:
        norm_power: 0 by default: unit gradients.
        alpha: None for the plateau rule; else the balance: 0 is knowledge only, 1 following only.
        coefficients: Instead of alpha: factors of the (response, knowledge, following) distances.
        pilot: Part of the pool on which the grid is tried.
    """

    name: ClassVar[str] = "mint"
    norm_power: float = Field(0.0, ge=0.0, le=1.0)
    alpha: float | None = Field(None, ge=0.0, le=1.0)
    coefficients: tuple[float, float, float] | None = None
    pilot: float = Field(0.3, gt=0.0, le=1.0)

    @model_validator(mode="after")
    def _one_balance(self) -> Mint:
        if self.coefficients is None:
            return self
        if self.alpha is not None:
            raise SettingsError(
                f"alpha is {self.alpha} and coefficients are {self.coefficients}: both set the balance. Give one."
            )
        if min(self.coefficients) < 0.0 or sum(self.coefficients) == 0.0:
            raise SettingsError(f"coefficients are {self.coefficients}. Each is 0 or more, and not all are 0.")
        return self

    @property
    def spaces(self) -> dict[Loss, GradientSpec]:
        """Knowledge and following gradients, and those of the response where it has a coefficient."""
        response = self.coefficients is not None and self.coefficients[0] > 0.0
        return {loss: self.gradient_of(loss) for loss in LOSSES if loss != "response" or response}

    @property
    def requires(self) -> tuple[FeatureSpec, ...]:
        """Two spaces, or three."""
        return tuple(self.spaces.values())

    def select(self, problem: Problem, size: int) -> Selection:
        """Pick `size` examples; prefixes are the same method with the same balance."""
        balance = self._balance(problem, size)
        spaces, plan = problem.spaces({loss: problem[spec] for loss, spec in self.spaces.items()})
        metric = self._metric(spaces, balance.get("alpha"))
        covered = cover_all([metric], size, savepoints=problem.savepoints, pairs=plan.pairs)[0]
        held = {"distances": {"way": plan.way, "bits": plan.bits, "reason": plan.reason}}
        stored = {loss: problem[spec.stored] for loss, spec in self.spaces.items()}

        def answer(part: int, prefixes: dict[int, Selection]) -> Selection:
            picks = covered.order[:part]
            owners = assign(metric, picks)
            lists = lists_of(metric, covered, problem.savepoints) if part == size else None
            facts = {"gains": covered.gains[:part].tolist(), **_measures(metric, spaces, stored, picks, owners, lists)}
            return Selection(
                indices=picks.cpu().numpy(),
                weights=owners.counts.cpu().numpy(),
                nested=True,
                diagnostics={**balance, **facts, **held},
                prefixes=prefixes,
            )

        return answer(size, {part: answer(part, {}) for part in problem.wanted(covered.order.cpu().numpy())})

    def _metric(self, spaces: Mapping[str, Metric], alpha: float | None) -> Metric:
        if self.coefficients is not None and "response" in spaces:
            return Mixture([spaces[loss] for loss in LOSSES], self.coefficients)
        if self.coefficients is not None:
            alpha = self.coefficients[2] / (self.coefficients[1] + self.coefficients[2])
        assert alpha is not None, "without coefficients there is an alpha"
        return Blend(spaces["knowledge"], spaces["following"], alpha)

    def _balance(self, problem: Problem, size: int) -> dict[str, Any]:
        """How the spaces are weighed, as `coreset.json` says it."""
        if self.coefficients is not None:
            return {"coefficients": list(self.coefficients), "trials": []}
        if self.alpha is not None:
            return {"alpha": self.alpha, "alpha_mode": "fixed", "search": None, "trials": []}
        tried = _Pilot.of(problem, self.spaces, share=self.pilot, size=size).trials()
        alphas = [trial["alpha"] for trial in tried]
        chosen = plateau([trial["B_IF"] for trial in tried], alphas)
        pilot, picks = _pilot_sizes(problem.n, self.pilot, size)
        search = {"method": "plateau", "pilot": pilot, "pilot_picks": picks, "size": size}
        return {
            "alpha": alphas[chosen.place],
            "alpha_mode": "plateau",
            "search": {**search, "sigma": chosen.sigma, "found": chosen.found},
            "trials": tried,
        }


@dataclass(frozen=True, slots=True)
class _Pilot:
    """Both spaces on a random part of the pool.

    Attributes:
        knowledge: Distances between the examples of the pilot in one space.
        following: In the other.
        picks: How many picks are made of them.
        pairs: Pairs that lists may hold.
        savepoints: Where its work is saved, apart from that on the whole pool.
    """

    knowledge: Metric
    following: Metric
    picks: int
    pairs: float
    savepoints: Savepoints

    @classmethod
    def of(cls, problem: Problem, spaces: Mapping[Loss, GradientSpec], *, share: float, size: int) -> _Pilot:
        examples, picks = _pilot_sizes(problem.n, share, size)
        drawn = np.sort(generator(problem.seed, "mint pilot").permutation(problem.n)[:examples])
        chosen = torch.from_numpy(drawn)

        def part_of(loss: Loss) -> Tensor:
            rows = problem[spaces[loss]]
            check_rows(rows, name=loss)  # rows are named by their place in the pool, not in the pilot
            return rows[chosen.to(rows.device)]

        parts = {"knowledge": part_of("knowledge"), "following": part_of("following")}
        held, plan = problem.spaces(parts, what="distances of the pilot")
        return cls(held["knowledge"], held["following"], picks, plan.pairs, Within(problem.savepoints, "pilot"))

    def trials(self) -> list[dict[str, float]]:
        """Every alpha of the grid with the two covering errors on the pilot."""
        grid, name = alpha_grid(), f"both errors of {self.picks} picks"
        saved, clock = self.savepoints.load(name), Clock(self.savepoints)
        errors: list[list[float]] = [] if saved is None else saved["errors"].tolist()
        with Progress("alpha on the pilot", len(grid), unit="alphas", begun=len(errors)) as progress:
            while len(errors) < len(grid):
                covers = self._covers(grid[len(errors) : len(errors) + TOGETHER])
                errors += [[nearest_sum(space, each.order) for space in self._spaces] for each in covers]
                progress.reach(len(errors))
                if clock.due():
                    self.savepoints.save(name, {"errors": np.array(errors)})
        return [
            {"alpha": alpha, "B_KN": knowledge, "B_IF": following}
            for alpha, (knowledge, following) in zip(grid, errors, strict=True)
        ]

    @property
    def _spaces(self) -> tuple[Metric, Metric]:
        return self.knowledge, self.following

    def _covers(self, alphas: Sequence[float]) -> list[Cover]:
        """Several alphas together: without matrices they share the passes over the distances."""
        blends = [Blend(*self._spaces, alpha) for alpha in alphas]
        return cover_all(blends, self.picks, savepoints=self.savepoints, pairs=self.pairs)


def _pilot_sizes(n: int, share: float, size: int) -> tuple[int, int]:
    """Examples in the pilot (two at least, if there are two) and picks made of them, in the ratio of the budget."""
    examples = min(n, max(2, math.floor(share * n + 0.5)))
    return examples, max(1, math.floor(size * examples / n + 0.5))


def _measures(
    metric: Metric,
    spaces: Mapping[str, Metric],
    stored: Mapping[Loss, Tensor],
    picks: Tensor,
    owners: Assignment,
    lists: Balls | None,
) -> dict[str, Any]:
    """Covering errors per space, errors in the sums of the gradients as extracted, and how good the picks are."""
    weights = owners.counts.double()
    facts: dict[str, Any] = {}
    for loss, space in spaces.items():
        facts[f"B_{SHORT[loss]}"] = nearest_sum(space, picks)
        facts[f"A_{SHORT[loss]}"] = assigned_sum(space, picks, owners)
    errors = {loss: gradient_error(rows, picks, weights) for loss, rows in stored.items()}
    response = errors["response"] if "response" in errors else errors["knowledge"] + errors["following"]
    norms = {"e_KN": errors["knowledge"], "e_IF": errors["following"], "e_SFT": response}
    proof = certify(metric, picks, lists=lists, reach=owners.reach)
    return {
        **facts,
        **{key: float(error.norm()) for key, error in norms.items()},
        "effective_size": float(weights.sum() ** 2 / weights.square().sum()),
        "certificate": proved(proof, metric, picks),
    }

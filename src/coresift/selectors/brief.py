"""BRIEF: cover the knowledge and the following gradients at once, with the balance between them searched for.

Paper: the composite distance d_KN / alpha + d_IF / (1 - alpha) (Eq. 20), facility location on it (Alg. 1), and a
one-dimensional search over alpha that minimises B_KN + B_IF. Where this deviates and why: docs/methods/brief.md. In
short: the composite is multiplied by alpha (1 - alpha), which picks the same and is defined at alpha 0 and 1; the best
alpha ever evaluated wins; distances are computed once for all alphas.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from coresift.features.settings import GradientSettings
from coresift.features.specs import FeatureSpec, GradientSpec
from coresift.line_search.search import evaluations, flat_part, golden_section, ternary
from coresift.problem import Problem, Selection
from coresift.progress import Progress
from coresift.submodular.cover.certificate import certify
from coresift.submodular.cover.greedy import Assignment, assign, cover_all
from coresift.submodular.cover.lazy import Cover
from coresift.submodular.cover.near_pairs import Balls
from coresift.submodular.cover.plan import Plan
from coresift.submodular.cover.quality import assigned_sum, gradient_error, nearest_sum, proved
from coresift.submodular.cover.stochastic import cover_stochastic, sample_size
from coresift.submodular.cover.without_matrix import lists_of
from coresift.submodular.distances.stored import Blend, Metric

if TYPE_CHECKING:
    from torch import Tensor

FLAT = 1e-3
"""Totals within this part of the lowest are told apart by chance: 16 and 24 bit distances differ by as much."""
AHEAD = 3
"""Iterations of the search prepared together when alphas share passes over the distances."""


class Brief(GradientSettings):
    """Facility location under (1 - alpha) d_KN + alpha d_IF, alpha searched for or given.

    Attributes (and those of `GradientSettings`, for both spaces):
        alpha: None to search; else the balance: 0 is knowledge only, 1 following only.
        search: `golden` section or `ternary` search of [0, 1].
        precision: Width of the last interval.
        max_iterations: Most iterations of the search.
        stochastic: None for exact greedy; else the epsilon of stochastic greedy, which needs no lists of near pairs.
    """

    name: ClassVar[str] = "brief"
    alpha: float | None = Field(None, ge=0.0, le=1.0)
    search: Literal["golden", "ternary"] = "golden"
    precision: float = Field(0.005, gt=0.0, lt=1.0)
    max_iterations: int = Field(15, ge=1)
    stochastic: float | None = Field(None, gt=0.0, lt=1.0)

    @property
    def knowledge(self) -> GradientSpec:
        """Gradients of the response without its instruction."""
        return self.gradient_of("knowledge")

    @property
    def following(self) -> GradientSpec:
        """Gradients of what the instruction adds: response minus knowledge."""
        return self.gradient_of("following")

    @property
    def requires(self) -> tuple[FeatureSpec, ...]:
        """Both spaces."""
        return self.knowledge, self.following

    def select(self, problem: Problem, size: int) -> Selection:
        """Pick `size` examples; prefixes are the same method at the same alpha."""
        rows = {"knowledge": problem[self.knowledge], "following": problem[self.following]}
        held, plan = problem.spaces(rows)
        spaces = _Spaces(held["knowledge"], held["following"], plan, problem, self.stochastic)
        trials = self._trials(spaces, size)
        best = min(trials, key=lambda trial: trial.total)
        blend, order = spaces.at(best.alpha), best.cover.order
        gains = best.cover.gains.tolist()
        shared = {**self._searched(size, trials), "alpha": best.alpha, "trials": [trial.facts for trial in trials]}
        if self.stochastic is not None:
            sample = sample_size(problem.n, size, self.stochastic)
            shared["stochastic"] = {"epsilon": self.stochastic, "sample": sample, "size": size}
        errors = _Errors(problem[self.knowledge.stored], problem[self.following.stored])

        def answer(part: int, prefixes: dict[int, Selection]) -> Selection:
            picks = order[:part]
            owners = assign(blend, picks)
            lists = lists_of(blend, best.cover, problem.savepoints) if part == size else None
            facts = {
                **shared,
                "gains": gains[:part],
                **_measures(spaces, blend, picks, owners, errors, lists),
                "distances": {"way": plan.way, "bits": plan.bits, "reason": plan.reason},
            }
            return Selection(
                indices=picks.cpu().numpy(),
                weights=owners.counts.cpu().numpy(),
                nested=True,
                diagnostics=facts,
                prefixes=prefixes,
            )

        return answer(size, {part: answer(part, {}) for part in problem.wanted(order.cpu().numpy())})

    def _trials(self, spaces: _Spaces, size: int) -> list[_Trial]:
        """Every alpha evaluated, in order; one if alpha is given."""
        trials: list[_Trial] = []
        covers: dict[float, Cover] = {}

        def prepare(alphas: list[float]) -> None:
            covers.clear()  # what was foreseen and not asked for is let go, with its lists
            covers.update(zip(alphas, spaces.covers(alphas, size), strict=True))

        def evaluate(alpha: float) -> float:
            trials.append(_Trial.of(spaces, alpha, covers[alpha]))
            best = min(trials, key=lambda trial: trial.total)
            trials[:] = [trial if trial is best else trial.slim() for trial in trials]
            progress.advance()
            return trials[-1].total

        limits: dict[str, Any] = {"precision": self.precision, "max_iterations": self.max_iterations}
        total = 1 if self.alpha is not None else evaluations(self.search, **limits)
        with Progress("search over alpha", total, unit="alphas") as progress:
            if self.alpha is not None:
                prepare([self.alpha])
                evaluate(self.alpha)
            elif self.search == "golden":
                golden_section(evaluate, **limits, prepare=prepare, ahead=spaces.ahead)
            else:
                ternary(evaluate, **limits, prepare=prepare, ahead=spaces.ahead)
        return trials

    def _searched(self, size: int, trials: list[_Trial]) -> dict[str, Any]:
        if self.alpha is not None:
            return {"alpha_mode": "fixed", "search": None}
        facts = {"method": self.search, "precision": self.precision, "max_iterations": self.max_iterations}
        flat = flat_part([(trial.alpha, trial.total) for trial in trials], tolerance=FLAT)
        return {"alpha_mode": "searched", "search": {**facts, "size": size, "tolerance": FLAT, "flat": list(flat)}}


@dataclass(frozen=True, slots=True)
class _Spaces:
    knowledge: Metric
    following: Metric
    plan: Plan
    problem: Problem
    stochastic: float | None

    def at(self, alpha: float) -> Blend:
        return Blend(self.knowledge, self.following, alpha)

    @property
    def ahead(self) -> int:
        """Iterations of a search prepared together: without a matrix several alphas share each pass."""
        return AHEAD if self.plan.way == "tiled" and self.stochastic is None else 1

    def covers(self, alphas: list[float], size: int) -> list[Cover]:
        blends = [self.at(alpha) for alpha in alphas]
        if self.stochastic is not None:
            return [cover_stochastic(blend, size, epsilon=self.stochastic, seed=self.problem.seed) for blend in blends]
        return cover_all(blends, size, savepoints=self.problem.savepoints, pairs=self.plan.pairs)


@dataclass(frozen=True, slots=True)
class _Trial:
    """One alpha: its picks in greedy order and the two sums that the search adds up."""

    alpha: float
    cover: Cover
    knowledge: float
    following: float

    @classmethod
    def of(cls, spaces: _Spaces, alpha: float, cover: Cover) -> _Trial:
        return cls(alpha, cover, nearest_sum(spaces.knowledge, cover.order), nearest_sum(spaces.following, cover.order))

    def slim(self) -> _Trial:
        return replace(self, cover=self.cover.slim())

    @property
    def total(self) -> float:
        return self.knowledge + self.following

    @property
    def facts(self) -> dict[str, Any]:
        picks = self.cover.order.tolist()
        return {"alpha": self.alpha, "B_KN": self.knowledge, "B_IF": self.following, "picks": picks}


@dataclass(frozen=True, slots=True)
class _Errors:
    """The gradients as they come, without unit_norm or norm_power: their errors are those of real gradients."""

    knowledge: Tensor
    following: Tensor

    def norms(self, picks: Tensor, weights: Tensor) -> dict[str, float]:
        knowledge = gradient_error(self.knowledge, picks, weights)
        following = gradient_error(self.following, picks, weights)
        vectors = {"e_KN": knowledge, "e_IF": following, "e_SFT": knowledge + following}
        return {key: float(vector.norm()) for key, vector in vectors.items()}


def _measures(
    spaces: _Spaces, blend: Blend, picks: Tensor, owners: Assignment, errors: _Errors, lists: Balls | None
) -> dict[str, Any]:
    """Everything `coreset.json` says about one set of picks."""
    weights = owners.counts.double()
    proof = certify(blend, picks, lists=lists, reach=owners.reach)
    return {
        "B_KN": nearest_sum(spaces.knowledge, picks),
        "B_IF": nearest_sum(spaces.following, picks),
        "A_KN": assigned_sum(spaces.knowledge, picks, owners),
        "A_IF": assigned_sum(spaces.following, picks, owners),
        **errors.norms(picks, weights),
        "effective_size": float(weights.sum() ** 2 / weights.square().sum()),
        "certificate": proved(proof, blend, picks),
    }

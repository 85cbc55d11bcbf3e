"""BRIEF: cover the knowledge and the following gradients at once, with the balance between them searched for.

Paper: the composite distance d_KN / alpha + d_IF / (1 - alpha) (Eq. 20), facility location on it (Alg. 1), and a
one-dimensional search over alpha that minimises B_KN + B_IF. Where this deviates and why: docs/methods/brief.md. In
short: the composite is multiplied by alpha (1 - alpha), which picks the same and is defined at alpha 0 and 1; the best
alpha ever evaluated wins; distances are computed once for all alphas.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from pydantic import Field
from torch import Tensor

from coresift.features.settings import GradientSettings
from coresift.features.specs import FeatureSpec, GradientSpec
from coresift.progress import Progress
from coresift.select import Problem, Selection
from coresift.submodular.certificate import certify
from coresift.submodular.distances import Blend, Distances, pairwise
from coresift.submodular.greedy import Assignment, assign, cover
from coresift.submodular.quality import assigned_sum, gradient_error, nearest_sum
from coresift.submodular.search import evaluations, golden_section, ternary

SEARCHES: dict[str, Callable[..., Any]] = {"golden": golden_section, "ternary": ternary}


class Brief(GradientSettings):
    """Facility location under (1 - alpha) d_KN + alpha d_IF, alpha searched for or given.

    Attributes (and those of `GradientSettings`, for both spaces):
        alpha: None to search; else the balance: 0 is knowledge only, 1 following only.
        search: `golden` section or `ternary` search of [0, 1].
        precision: Width of the last interval.
        max_iterations: Most iterations of the search.
    """

    name: ClassVar[str] = "brief"
    alpha: float | None = Field(None, ge=0.0, le=1.0)
    search: Literal["golden", "ternary"] = "golden"
    precision: float = Field(0.005, gt=0.0, lt=1.0)
    max_iterations: int = Field(15, ge=1)

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
        spaces = _Spaces(
            pairwise(problem[self.knowledge], name="knowledge", label="knowledge distances"),
            pairwise(problem[self.following], name="following", label="following distances"),
        )
        trials = self._trials(spaces, size)
        best = min(trials, key=lambda trial: trial.total)
        blend, order = spaces.at(best.alpha), best.order
        shared = {**self._searched(size), "alpha": best.alpha, "trials": [trial.facts for trial in trials]}
        errors = _Errors(problem[self.knowledge.stored], problem[self.following.stored])

        def answer(part: int, prefixes: dict[int, Selection]) -> Selection:
            picks = order[:part]
            owners = assign(blend, picks)
            facts = {**shared, "gains": best.gains[:part], **_measures(spaces, blend, picks, owners, errors)}
            return Selection(
                indices=picks.cpu().numpy(),
                weights=owners.counts.cpu().numpy(),
                nested=True,
                diagnostics=facts,
                prefixes=prefixes,
            )

        return answer(size, {part: answer(part, {}) for part in problem.wanted(order.cpu().numpy())})

    def _trials(self, spaces: "_Spaces", size: int) -> list["_Trial"]:
        """Every alpha evaluated, in order; one if alpha is given."""
        trials: list[_Trial] = []

        def evaluate(alpha: float) -> float:
            trials.append(_Trial.of(spaces, alpha, size))
            progress.advance()
            return trials[-1].total

        limits: dict[str, Any] = {"precision": self.precision, "max_iterations": self.max_iterations}
        total = 1 if self.alpha is not None else evaluations(self.search, **limits)
        with Progress("search over alpha", total, unit="alphas") as progress:
            if self.alpha is not None:
                evaluate(self.alpha)
            else:
                SEARCHES[self.search](evaluate, **limits)
        return trials

    def _searched(self, size: int) -> dict[str, Any]:
        if self.alpha is not None:
            return {"alpha_mode": "fixed", "search": None}
        facts = {"method": self.search, "precision": self.precision, "max_iterations": self.max_iterations}
        return {"alpha_mode": "searched", "search": {**facts, "size": size}}


@dataclass(frozen=True, slots=True)
class _Spaces:
    knowledge: Distances
    following: Distances

    def at(self, alpha: float) -> Blend:
        return Blend(self.knowledge, self.following, alpha)


@dataclass(frozen=True, slots=True)
class _Trial:
    """One alpha: its picks in greedy order and the two sums that the search adds up."""

    alpha: float
    order: Tensor
    gains: list[float]
    knowledge: float
    following: float

    @classmethod
    def of(cls, spaces: _Spaces, alpha: float, size: int) -> "_Trial":
        covered = cover(spaces.at(alpha), size)
        sums = nearest_sum(spaces.knowledge, covered.order), nearest_sum(spaces.following, covered.order)
        return cls(alpha, covered.order, covered.gains.tolist(), *sums)

    @property
    def total(self) -> float:
        return self.knowledge + self.following

    @property
    def facts(self) -> dict[str, Any]:
        return {"alpha": self.alpha, "B_KN": self.knowledge, "B_IF": self.following, "picks": self.order.tolist()}


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


def _measures(spaces: _Spaces, blend: Blend, picks: Tensor, owners: Assignment, errors: _Errors) -> dict[str, Any]:
    """Everything `coreset.json` says about one set of picks."""
    weights = owners.counts.double()
    proof = certify(blend, picks)
    return {
        "B_KN": nearest_sum(spaces.knowledge, picks),
        "B_IF": nearest_sum(spaces.following, picks),
        "A_KN": assigned_sum(spaces.knowledge, picks, owners),
        "A_IF": assigned_sum(spaces.following, picks, owners),
        **errors.norms(picks, weights),
        "effective_size": float(weights.sum() ** 2 / weights.square().sum()),
        "certificate": {"error": proof.error, "lower_bound": proof.lower_bound, "gap": proof.gap},
    }

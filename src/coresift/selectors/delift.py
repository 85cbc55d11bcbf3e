"""DELIFT: the examples that help the model most, shown in context, with the pool, a target or what is still unknown.

Paper: pairwise utilities from in-context predictions, and facility location, its mutual information with a target or
its conditional gain over what is known, one for each stage of fine-tuning (Agarwal et al., 2411.04425). Where this
deviates and why: docs/methods/delift.md. In short: utilities below 0 count as 0 instead of being rescaled, the target
is really looked at, and picks have weights.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from pydantic import ConfigDict, Field, model_validator

from coresift.errors import SelectionError, SettingsError
from coresift.features.pairs import PairPlan
from coresift.features.specs import FeatureSpec
from coresift.features.utilities import (
    OFFLINE_ENCODER,
    EmbeddingSpec,
    Metric,
    Part,
    Self,
    SimilaritySpec,
    Template,
    Text,
    UtilitySpec,
)
from coresift.lazy import torch
from coresift.problem import Problem, Selection
from coresift.seeds import generator
from coresift.settings import PathText, Settings
from coresift.submodular.distances.rows import check_rows
from coresift.submodular.worth.coverage import Coverage, Picks
from coresift.submodular.worth.information import (
    conditional_gain,
    facility_location,
    mutual_information,
    saturating_information,
    target_information,
)
from coresift.submodular.worth.served import own_share, random_value, served_share, served_weights

if TYPE_CHECKING:
    from torch import Tensor

Stage = Literal["instruction", "task", "continual"]


class Delift(Settings):
    """Greedy picks under a submodular function of pairwise worths.

    Attributes:
        stage: `instruction` covers the pool; `task` also rewards worth to a target set; `continual` covers what an
            existing set does not help with yet.
        kernel: `utility` asks the model; `embedding` takes (1 + cosine) / 2 of sentence embeddings, DELIFT(SE).
        objective: Of stage `task`: `paper`, or the forms known as FL1MI and FL2MI.
        eta: Weight of the target in stage `task`.
        nu: How much of what the existing set gives counts in stage `continual`.
        metric, template, self, max_tokens: Of the utilities, as in `UtilitySpec`; `self` holds for embeddings too.
        pairs: `all` pairs of pool examples; some random `rows`, some `candidates` per row; or `auto`, to be settled by
            a pilot before utilities are made (`planned`). Unsettled, it means `all`.
        rows, candidates: How many.
        most_pairs: How many pairs `auto` may take.
        encoder, text: The sentence encoder, and what it is given.
        pairs_seed: Of random rows and candidates.
    """

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)
    name: ClassVar[str] = "delift"
    stage: Stage = "instruction"
    kernel: Literal["utility", "embedding"] = "utility"
    objective: Literal["paper", "fl1mi", "fl2mi"] = "paper"
    eta: float = Field(1.0, ge=0.0)
    nu: float = Field(1.0, ge=0.0)
    metric: Metric = "l2"
    template: Template = "chat"
    self_: Self = Field("keep", alias="self")
    max_tokens: int = Field(2048, ge=16)
    pairs: Literal["all", "rows", "candidates", "auto"] = "auto"
    rows: int = Field(512, ge=1)
    candidates: int = Field(64, ge=1)
    most_pairs: int = Field(1_000_000, ge=1)
    encoder: PathText = Field(OFFLINE_ENCODER, min_length=1)
    text: Text = "full"
    pairs_seed: int = Field(0, ge=0)

    @model_validator(mode="after")
    def _settings_fit_each_other(self) -> Delift:
        if self.objective != "paper" and self.stage != "task":
            raise SettingsError(
                f"objective is {self.objective} in stage {self.stage}: that is a form for targets. Set stage to task, "
                "or leave the objective out."
            )
        if self.kernel == "embedding" and self.pairs == "candidates":
            raise SettingsError(
                "pairs is candidates with an embedding kernel: cosines of all pairs cost nothing. "
                "Set pairs to all, or to rows if memory is short."
            )
        return self

    def planned(self, plan: PairPlan) -> Delift:
        """The same method with the pairs that a plan says."""
        count = {} if plan.count is None else {str(plan.pairs): plan.count}
        return self.model_copy(update={"pairs": plan.pairs, **count})

    @property
    def embedding(self) -> EmbeddingSpec:
        """The sentence embeddings that stand in for utilities, or that candidates come from."""
        return EmbeddingSpec(model=self.encoder, text=self.text)

    def utility(self, part: Part) -> UtilitySpec:
        """The utilities of one part."""
        sampled = self.pairs == "rows" and part != "target"
        listed = self.pairs == "candidates" and part == "pool"
        return UtilitySpec(
            part=part,
            metric=self.metric,
            template=self.template,
            self_=self.self_ if part == "pool" else "keep",
            rows=self.rows if sampled else None,
            candidates=self.candidates if listed else None,
            encoder=self.embedding if listed else None,
            seed=self.pairs_seed if sampled or listed else 0,
            max_tokens=self.max_tokens,
        )

    @property
    def parts(self) -> tuple[Part, ...]:
        """The arrays of pairs that the objective is made of, the one to be covered first."""
        if self.stage == "instruction":
            return ("pool",)
        if self.stage == "continual":
            return "pool", "existing"
        forms: dict[str, tuple[Part, ...]] = {"paper": ("pool", "target"), "fl1mi": ("pool", "by-target")}
        return forms.get(self.objective, ("target",))

    @property
    def requires(self) -> tuple[FeatureSpec, ...]:
        """Utilities, or embeddings and cosines, by stage and objective."""
        return tuple(self._spec(part) for part in self.parts)

    def _spec(self, part: Part) -> FeatureSpec:
        if self.kernel == "utility":
            return self.utility(part)
        if part == "pool":
            return self.embedding
        return SimilaritySpec(part="existing" if part == "existing" else "target", encoder=self.embedding)

    def select(self, problem: Problem, size: int) -> Selection:
        """Pick `size` examples; prefixes are answers.

        Raises:
            SelectionError: If worths are not finite or of the wrong shape, a target or existing set is empty, or no
                example helps.
        """
        worths = [self._worth(problem, part) for part in self.parts]
        itself = self._itself(problem, worths, size)  # first, so that its kernel is gone when the next one is made
        objective = self._objective(worths)
        picks = objective.greedy(size)
        self._check_help(picks)
        rows = self._rows(problem.n) if "pool" in self.parts else None

        def answer(part: int, prefixes: dict[int, Selection]) -> Selection:
            order, gains = picks.order[:part], picks.gains[:part]
            weights = served_weights(objective, order, rows)
            facts = {
                **self._named,
                **_measures(objective, order, gains, generator(problem.seed, "delift random", part)),
                **itself(order),
                "effective_size": float(weights.sum() ** 2 / weights.square().sum()),
            }
            return Selection(
                indices=order.numpy(), weights=weights.numpy(), nested=True, diagnostics=facts, prefixes=prefixes
            )

        return answer(size, {part: answer(part, {}) for part in problem.wanted(picks.order.numpy())})

    @property
    def _named(self) -> dict[str, Any]:
        form = {"instruction": "fl", "task": self.objective, "continual": "flcg"}[self.stage]
        weight = {"instruction": {}, "task": {"eta": self.eta}, "continual": {"nu": self.nu}}[self.stage]
        return {"stage": self.stage, "kernel": self.kernel, "objective": form, **weight}

    def _rows(self, n: int) -> Tensor:
        """Pool positions of the rows covered."""
        return self.utility("pool").predicted(n)

    def _worth(self, problem: Problem, part: Part) -> Tensor:
        """Signed worths of one part: `pool` n x m, `target` n x T, the others m x T or m x E, of the m rows covered."""
        found: Tensor = problem[self._spec(part)]
        rows = self._rows(problem.n).to(found.device)
        if part == "pool" and self.kernel == "embedding":
            return self.utility("pool").transform(_likeness(found, rows))
        if part == "pool" and tuple(found.shape) != (problem.n, len(rows)):
            raise SelectionError(
                f"pool: utilities of shape {tuple(found.shape)} for {problem.n} examples and {len(rows)} rows. "
                "Make them for this pool and these settings."
            )
        worth = (1.0 + found) / 2.0 if self.kernel == "embedding" else found
        return worth if part in ("pool", "target") else worth[rows]

    def _objective(self, worths: list[Tensor]) -> Coverage:
        if self.stage == "instruction":
            return facility_location(worths[0])
        if self.stage == "continual":
            return conditional_gain(worths[0], worths[1], nu=self.nu)
        if self.objective == "fl2mi":
            return mutual_information(worths[0], eta=self.eta)
        form = target_information if self.objective == "paper" else saturating_information
        return form(worths[0], worths[1], eta=self.eta)

    def _check_help(self, picks: Picks) -> None:
        if float(picks.gains[0]) > 0.0:
            return
        if self.stage == "continual":
            raise SelectionError(
                f"stage continual: no example helps more than {self.nu:g} times what the existing set gives already: "
                "nothing to choose by. Check that the existing set is not the pool itself, or lower nu."
            )
        limited = " Under fl1mi only rows count that some target helps." if self.objective == "fl1mi" else ""
        raise SelectionError(
            f"stage {self.stage}: no example is worth more than 0 to any row: nothing to choose by.{limited} "
            "Check the model and the template the utilities were made with."
        )

    def _itself(self, problem: Problem, worths: list[Tensor], size: int) -> Callable[[Tensor], dict[str, Any]]:
        """What the worth of examples to themselves does: how often it is the largest, and to the picks."""
        if "pool" not in self.parts:
            return lambda order: {}
        rule: Self = "zero" if self.self_ == "keep" else "keep"
        other = self.model_copy(update={"self_": rule})
        changed = other._worth(problem, "pool")
        share = own_share(worths[0] if self.self_ == "keep" else changed, self._rows(problem.n))
        others = other._objective([changed, *worths[1:]]).greedy(size, label=f"picks, self {rule}").order

        def facts(order: Tensor) -> dict[str, Any]:
            same = float(torch.isin(order, others[: len(order)]).double().mean())
            return {"self": {"rule": self.self_, "own_best": share, "compared_with": rule, "same_picks": same}}

        return facts


def _likeness(embeddings: Tensor, rows: Tensor) -> Tensor:
    """(1 + cosine) / 2 of every example with some of them, n x m."""
    check_rows(embeddings, name="embeddings")
    units = torch.nn.functional.normalize(embeddings.float(), dim=1)
    return (units @ units[rows].T).add_(1.0).div_(2.0)


def _measures(objective: Coverage, picks: Tensor, gains: Tensor, source: np.random.Generator) -> dict[str, Any]:
    """What `coreset.json` says about the value of one set of picks."""
    return {
        "f": objective.value(picks),
        "f_random": random_value(objective, len(picks), source),
        "gains": gains.tolist(),
        "without_gain": int((gains <= 0).sum()),
        "first_pick": int(picks[0]),
        "helped": served_share(objective, picks),
    }

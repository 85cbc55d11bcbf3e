"""SelectIT: keep what a model rates highly, firmly and however it is asked. Liu et al., NeurIPS 2024 (2402.16705).

Marks at the token, sentence and model level. Where this deviates and why: docs/methods/selectit.md. In short: the
paper's equation without a second softmax, and marks found through the tokenizer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from pydantic import Field, model_validator

from coresift.errors import SelectionError
from coresift.features.ratings import MARKS, PROMPTS, RatingSpec
from coresift.features.specs import FeatureSpec
from coresift.lazy import torch
from coresift.problem import Problem, Selection, evenly
from coresift.settings import PathText, Settings
from coresift.submodular.distances.rows import check_rows

if TYPE_CHECKING:
    from torch import Tensor

FAINT = 0.01
"""Probability of all marks together below which a model can hardly be said to have given one."""


class RatingModel(Settings):
    """A model that rates.

    Attributes:
        model: Name or path; "" is the base model of the run.
        parameters: How large it is, in any unit: marks of several models count in proportion to it.
    """

    model: PathText = ""
    parameters: float = Field(1.0, gt=0.0)


class SelectIT(Settings):
    """The examples with the highest scores.

    Attributes:
        models: Who rates.
        prompts: The questions, with {instruction} and {response}.
        alpha: How much disagreement among the questions lowers a score.
    """

    name: ClassVar[str] = "selectit"
    models: tuple[RatingModel, ...] = Field((RatingModel(),), min_length=1)
    prompts: tuple[str, ...] = Field(PROMPTS, min_length=1)
    alpha: float = Field(0.2, ge=0.0)

    @model_validator(mode="after")
    def _prompts_make_sense(self) -> SelectIT:
        RatingSpec(prompts=self.prompts)  # its own checks speak before any work is done
        return self

    @property
    def requires(self) -> tuple[FeatureSpec, ...]:
        """One array of ratings per model."""
        return tuple(self._spec(each) for each in self.models)

    def _spec(self, rating: RatingModel) -> RatingSpec:
        return RatingSpec(model=rating.model, prompts=self.prompts)

    def select(self, problem: Problem, size: int) -> Selection:
        """Pick the `size` highest scores, ties by position; prefixes are answers; every pick counts the same."""
        whole = sum(each.parameters for each in self.models)
        scores, faint = torch.zeros(problem.n, dtype=torch.float64), {}
        for each in self.models:
            marks = self._marks(problem[self._spec(each)])
            scores += each.parameters / whole * sentence_score(token_score(marks), self.alpha)
            faint[each.model or "base"] = int((marks.sum(dim=2).mean(dim=1) < FAINT).sum())
        order = scores.argsort(descending=True, stable=True).numpy()

        def facts(picks: np.ndarray) -> dict[str, Any]:
            return {
                "scores": scores[picks].tolist(),
                "mean_score": float(scores[picks].mean()),
                "mean_score_of_pool": float(scores.mean()),
                "hardly_rated": faint,
            }

        return evenly(problem, order, size, facts=facts)

    def _marks(self, rows: Tensor) -> Tensor:
        """[n, prompts, 5] float64, checked."""
        check_rows(rows, name="ratings")
        if rows.shape[1] != len(MARKS) * len(self.prompts):
            raise SelectionError(
                f"ratings of shape {tuple(rows.shape)} for {len(self.prompts)} prompts. Pass the probabilities of "
                f"{len(MARKS)} marks for each prompt: {len(MARKS) * len(self.prompts)} columns."
            )
        if bool((rows < 0).any()):
            place = int((rows < 0).any(dim=1).nonzero()[0])
            raise SelectionError(f"ratings: row {place} holds a negative number. Ratings are probabilities.")
        return rows.detach().cpu().double().reshape(len(rows), len(self.prompts), len(MARKS))


def token_score(marks: Tensor) -> Tensor:
    """The likeliest mark, times how far the others stay behind it on average.

    With P' the marks' probabilities made to sum to 1 and b the likeliest mark, b * mean over the others of
    |P'_i - P'_b|: 5 for a certain 5, 0 when all marks are equally likely or none has any probability.

    Args:
        marks: [..., 5], at least 0.

    Returns:
        [...], between 0 and 5.
    """
    mass = marks.sum(dim=-1, keepdim=True)
    shares = marks / mass.where(mass > 0, 1.0)
    best, place = shares.max(dim=-1)
    return (place + 1) * (best[..., None] - shares).sum(dim=-1) / (marks.shape[-1] - 1)


def sentence_score(scores: Tensor, alpha: float) -> Tensor:
    """Mean over prompts, divided by 1 + alpha times the (population) standard deviation over prompts.

    Args:
        scores: [n, prompts].
        alpha: At least 0.

    Returns:
        [n].
    """
    return scores.mean(dim=1) / (1.0 + alpha * scores.std(dim=1, correction=0))

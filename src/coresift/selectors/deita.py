"""DEITA: the best and most demanding examples that are not like one another. Liu et al., ICLR 2024 (2312.15685).

Examples by quality times complexity; one too similar to an earlier pick is passed over. Where this deviates and why:
docs/methods/deita.md. In short: scores come from any column or any model, and equal scores are said to be equal.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from pydantic import Field

from coresift.errors import SelectionError
from coresift.features.columns import ScoreOf
from coresift.features.specs import FeatureSpec
from coresift.features.utilities import OFFLINE_ENCODER, EmbeddingSpec, Text
from coresift.lazy import torch
from coresift.problem import Problem, Selection, evenly
from coresift.settings import Settings
from coresift.submodular.distances.rows import check_rows

if TYPE_CHECKING:
    from torch import Tensor

QUALITY = (
    "Below are an instruction and an answer to it. How good is the answer: correct, complete, clear, helpful? Give it "
    "a mark from 1 (useless) to 5 (excellent).\n\n[Instruction]\n{instruction}\n\n[Answer]\n{response}\n\n"
    "Reply with the mark alone."
)
COMPLEXITY = (
    "Below are an instruction and an answer to it. How much does the instruction demand: knowledge, steps of "
    "reasoning, conditions to be met? Give the instruction a mark from 1 (trivial) to 5 (very demanding).\n\n"
    "[Instruction]\n{instruction}\n\n[Answer]\n{response}\n\nReply with the mark alone."
)
BLOCK = 512
"""Candidates compared with the picks at a time."""


class Deita(Settings):
    """Greatest quality times complexity first, none too similar to an earlier pick.

    Attributes:
        quality, complexity: Where the two scores come from.
        encoder, text: Whose embeddings are compared, and of what of a conversation.
        threshold: Cosine to an earlier pick above which an example is passed over.
    """

    name: ClassVar[str] = "deita"
    quality: ScoreOf = ScoreOf()
    complexity: ScoreOf = ScoreOf()
    encoder: str = Field(OFFLINE_ENCODER, min_length=1)
    text: Text = "full"
    threshold: float = Field(0.9, ge=-1.0, le=1.0)

    @property
    def embedding(self) -> EmbeddingSpec:
        """The embeddings compared."""
        return EmbeddingSpec(model=self.encoder, text=self.text)

    @property
    def requires(self) -> tuple[FeatureSpec, ...]:
        """Two scores and one space."""
        return (self.quality.spec(QUALITY), self.complexity.spec(COMPLEXITY), self.embedding)

    def select(self, problem: Problem, size: int) -> Selection:
        """Pick `size` examples, ties by position; prefixes are answers; every pick counts the same."""
        quality, complexity, embedding = self.requires
        scores = self.quality.values(problem[quality], name="quality")
        scores = scores * self.complexity.values(problem[complexity], name="complexity")
        rows = problem[embedding]
        check_rows(rows, name="embeddings")
        if len(rows) != len(scores):
            raise SelectionError(f"{len(scores)} scores and {len(rows)} embeddings. Both describe the same pool.")
        different = len(np.unique(scores))
        if different == 1 and problem.n > 1:
            problem.say("deita: all scores are equal, so the order is that of the pool. Look at what gives them.")
        order, passed = unlike(rows, np.argsort(-scores, kind="stable"), size, self.threshold)

        def facts(picks: np.ndarray) -> dict[str, Any]:
            return {
                "scores": scores[picks].tolist(),
                "mean_score_of_pool": float(scores.mean()),
                "different_scores": different,
                "passed_over": passed[: len(picks)].tolist()[-1],
            }

        lacking = f"only {len(order)} examples have cosines of at most {self.threshold:g} with all earlier picks"
        return evenly(problem, order, size, facts=facts, shortfall=lacking)


def unlike(rows: Tensor, order: np.ndarray, size: int, threshold: float) -> tuple[np.ndarray, np.ndarray]:
    """Walk down an order, and take what is not too similar to anything taken.

    Args:
        rows: [n, d] embeddings of any length; a row of zeros is similar to nothing.
        order: Positions, the best first.
        size: How many to take at most.
        threshold: Cosine that a taken example has at most with every earlier one.

    Returns:
        [k] positions taken, k <= `size`; and for each, how many were passed over before it.
    """
    lengths = rows.norm(dim=1, keepdim=True)
    units = rows / lengths.where(lengths > 0, 1.0)
    taken: list[int] = []
    passed: list[int] = []
    for begin in range(0, len(order), BLOCK):
        block = order[begin : begin + BLOCK]
        here = units[block.tolist()]
        to_taken = (here @ units[taken].T).amax(dim=1) if taken else torch.full((len(block),), -torch.inf)
        among = (here @ here.T).cpu()
        free = (to_taken.cpu() <= threshold).numpy()
        for place, position in enumerate(block.tolist()):
            if len(taken) == size:
                return np.array(taken, dtype=np.int64), np.array(passed)
            if free[place]:
                passed.append(begin + place - len(taken))
                taken.append(position)
                free &= (among[place] <= threshold).numpy()
    return np.array(taken, dtype=np.int64), np.array(passed)

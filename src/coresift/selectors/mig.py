"""MIG: the examples that add most information over labels. Chen et al., Findings of ACL 2025 (2504.13835).

Every example brings its quality to its labels, and to labels that mean nearly the same; what a label has already counts
less and less. Where this deviates and why: docs/methods/mig.md. In short: labels and scores come from any column, and
nothing is dropped without a word.
"""

from __future__ import annotations

import heapq
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from coresift.errors import SelectionError
from coresift.features.columns import LabelSpec, ScoreOf
from coresift.features.specs import FeatureSpec
from coresift.features.utilities import OFFLINE_ENCODER
from coresift.problem import Problem, Selection, evenly
from coresift.progress import Progress
from coresift.settings import Settings
from coresift.submodular.distances.rows import check_rows

QUALITY = (
    "Below are an instruction and an answer to it. How much can a language model learn from the pair? Give it a mark "
    "from 1 (nothing, or harm) to 5 (very much).\n\n[Instruction]\n{instruction}\n\n[Answer]\n{response}\n\n"
    "Reply with the mark alone."
)
OFFSET = 1e-6
"""Keeps the slope of the information finite where a label has nothing yet."""

Gain = Literal["slope", "exact"]


class MIG(Settings):
    """Greedy picks by the information they add: sum over labels of (mass + 1e-6)^power.

    Attributes:
        labels: The column of labels; `source` is the example's source.
        encoder, threshold: Who embeds labels, and the least cosine of labels that share; "" keeps labels apart.
        quality: Where the score of an example comes from.
        power: How slowly the worth of more mass falls, above 0 and at most 1; at 1 it does not fall.
        gain: `slope` is the derivative times the mass an example brings, as published; `exact` is the difference.
    """

    name: ClassVar[str] = "mig"
    labels: str = Field("labels", min_length=1)
    encoder: str = OFFLINE_ENCODER
    threshold: float = Field(0.9, ge=-1.0, le=1.0)
    quality: ScoreOf = ScoreOf()
    power: float = Field(0.8, gt=0.0, le=1.0)
    gain: Gain = "slope"

    @property
    def label(self) -> LabelSpec:
        """The labels looked at."""
        return LabelSpec(column=self.labels, encoder=self.encoder, threshold=self.threshold)

    @property
    def requires(self) -> tuple[FeatureSpec, ...]:
        """Labels and one score."""
        return (self.label, self.quality.spec(QUALITY))

    def select(self, problem: Problem, size: int) -> Selection:
        """Pick `size` examples, of equal gains the first; prefixes are answers; every pick counts the same.

        Raises:
            SelectionError: If a label or a score is negative, or no example adds information.
        """
        label, quality = self.requires
        rows, scores = problem[label], self.quality.values(problem[quality], name="quality")
        check_rows(rows, name="labels")
        mass = rows.detach().cpu().double().numpy() * scores[:, None]
        if (mass < 0).any():
            place = int((mass < 0).any(axis=1).nonzero()[0][0])
            raise SelectionError(f"mig: row {place} has a negative label or score. Shift the scores to be at least 0.")
        order, gains = most_informative(mass, size, power=self.power, gain=self.gain)
        if len(order) == 0:
            raise SelectionError(
                f"mig: nothing to choose from. None of the {problem.n} examples has both a label and a score above 0."
            )

        def facts(picks: np.ndarray) -> dict[str, Any]:
            whole = mass[picks].sum(axis=0)
            return {
                "gains": gains[: len(picks)].tolist(),
                "information": float(np.power(whole + OFFSET, self.power).sum()),
                "labels": int(mass.shape[1]),
                "labels_reached": int((whole > 0).sum()),
                "without_labels": int((mass.sum(axis=1) == 0).sum()),
            }

        lacking = f"only {len(order)} of {problem.n} examples have both a label and a score above 0"
        return evenly(problem, order, size, facts=facts, shortfall=lacking)


def most_informative(
    mass: np.ndarray, size: int, *, power: float = 0.8, gain: Gain = "slope"
) -> tuple[np.ndarray, np.ndarray]:
    """Greedy picks; since the worth of mass falls, an old gain is a bound, and few are computed again (lazy greedy).

    Args:
        mass: [n, L] what each example brings to each label, at least 0. Examples that bring nothing are never picked.
        size: How many to pick at most.
        power, gain: As in `MIG`.

    Returns:
        Positions in the order picked, and what each added.
    """
    places = [np.flatnonzero(row) for row in mass]
    brought = [row[place] for row, place in zip(mass, places, strict=True)]
    whole = np.zeros(mass.shape[1])

    def worth(example: int) -> float:
        had, more = whole[places[example]] + OFFSET, brought[example]
        if gain == "slope":
            return float(power * np.power(had, power - 1.0) @ more)
        return float((np.power(had + more, power) - np.power(had, power)).sum())

    queue = [(-worth(example), example, 0) for example in range(len(mass)) if len(places[example]) > 0]
    heapq.heapify(queue)
    order: list[int] = []
    gains: list[float] = []
    with Progress("picks", size, unit="picks") as progress:
        while queue and len(order) < size:
            bound, example, seen = heapq.heappop(queue)
            if seen < len(order):
                heapq.heappush(queue, (-worth(example), example, len(order)))
                continue
            order.append(example)
            gains.append(-bound)
            whole[places[example]] += brought[example]
            progress.advance()
    return np.array(order, dtype=np.int64), np.array(gains)
